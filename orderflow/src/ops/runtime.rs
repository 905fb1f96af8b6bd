//! How the runtime is doing: its threads, its tasks, and how late a task runs.

use std::time::{Duration, Instant};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};
use tokio::runtime::{Handle, RuntimeMetrics};

use crate::{background::Stop, metrics::Metrics};

/// How often a task asks to be woken, to see how late it is.
const EVERY: Duration = Duration::from_millis(50);

/// Asks to be woken again and again, and records how late that was, until it is time to stop. The timer itself counts in
/// whole milliseconds and never wakes early, so that an idle runtime is up to one late.
pub async fn watch_delay(metrics: Metrics, mut stop: Stop) {
    loop {
        let asked = Instant::now();
        if stop.sleep(EVERY).await {
            return;
        }
        metrics.tokio_scheduling_delay.observe(asked.elapsed().saturating_sub(EVERY).as_secs_f64());
    }
}

/// What the runtime says of itself whenever somebody asks.
#[derive(Debug)]
pub(super) struct Runtime(pub(super) RuntimeMetrics);

impl Runtime {
    /// The one that this runs on.
    pub(super) fn current() -> Option<Self> {
        Handle::try_current().ok().map(|handle| Self(handle.metrics()))
    }
}

impl Collector for Runtime {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let Self(runtime) = self;
        let workers = 0..runtime.num_workers();
        let mut gauge = |name, help, value: usize| {
            let gauge = ConstGauge::new(value as u64);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        gauge("tokio_workers", "Threads that run tasks.", workers.len())?;
        gauge("tokio_alive_tasks", "Tasks that have begun and not ended.", runtime.num_alive_tasks())?;
        gauge(
            "tokio_global_queue_depth",
            "Tasks that wait in the queue of all threads.",
            runtime.global_queue_depth(),
        )?;
        let busy: Duration = workers.clone().map(|worker| runtime.worker_total_busy_duration(worker)).sum();
        let busy = ConstCounter::new(busy.as_secs_f64());
        let help = "How long the threads have run tasks, all together.";
        busy.encode(encoder.encode_descriptor("tokio_busy", help, Some(&Unit::Seconds), busy.metric_type())?)?;
        let parks = ConstCounter::new(workers.map(|worker| runtime.worker_park_count(worker)).sum::<u64>());
        let help = "How often the threads had nothing to do and slept.";
        parks.encode(encoder.encode_descriptor("tokio_park", help, None, parks.metric_type())?)
    }
}
