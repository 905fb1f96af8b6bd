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

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::*;

    /// The sample of `tokio_global_queue_depth`.
    fn waiting(registry: &Registry) -> u64 {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        let sample = text.lines().find_map(|line| line.strip_prefix("tokio_global_queue_depth "));
        sample.expect("it is there").parse().unwrap()
    }

    #[test]
    fn tasks_that_no_thread_has_time_for_are_seen_to_wait() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Runtime(runtime.metrics())));
        assert_eq!(waiting(&registry), 0);
        let ((busy, is_busy), (free, is_free)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
        let blocks = runtime.spawn(async move {
            busy.send(()).unwrap();
            let _ = is_free.recv();
        });
        is_busy.recv().unwrap();
        let waits: Vec<_> = (0..10).map(|_| runtime.spawn(async {})).collect();
        assert_eq!(waiting(&registry), 10);
        drop(free);
        runtime.block_on(async {
            blocks.await.unwrap();
            for task in waits {
                task.await.unwrap();
            }
        });
        assert_eq!(waiting(&registry), 0);
    }
}
