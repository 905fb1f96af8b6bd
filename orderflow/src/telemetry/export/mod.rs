//! What leaves the process: spans and log records for a collector, reports for Sentry. Whoever makes them never waits: they
//! go into queues with bounds. A thread with a runtime of its own sends them, so that neither a collector that hangs nor a
//! service that ends, with however few threads, can stand in the other's way.

mod client;
mod drain;
mod otlp;
mod queue;
mod records;
mod report;

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use opentelemetry_sdk::{Resource, trace::SpanData};
use tokio::{runtime, sync::watch, time::Instant};

pub(super) use records::Logs;
pub use records::Spans;
pub(super) use report::{Address, Report};

use super::Recent;
use crate::{config::Telemetry, metrics::Metrics};
use drain::{End, drain};
use otlp::Log;
use queue::{Counts, Queue};

/// The most reports for Sentry that wait.
const REPORTS: usize = 100;
/// How long one report may take.
const REPORT: Duration = Duration::from_secs(5);
/// How much longer than it may take the end is waited for.
const GRACE: Duration = Duration::from_millis(200);

/// What sends. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Exporter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queues: Queues,
    end: watch::Sender<Option<Instant>>,
    done: Arc<Done>,
}

#[derive(Debug, Clone, Default)]
struct Queues {
    spans: Option<Arc<Queue<SpanData>>>,
    logs: Option<Arc<Queue<Log>>>,
    reports: Option<Arc<Queue<Report>>>,
}

/// Whether the thread has ended, and if all was sent then.
#[derive(Debug, Default)]
struct Done {
    all_sent: Mutex<Option<bool>>,
    told: Condvar,
}

impl Exporter {
    /// Begins to send what the configuration says, if that is anything.
    ///
    /// # Errors
    /// If an address turns out to be impossible, or there is no thread to be had.
    pub(super) fn start(config: &Telemetry, sentry: Option<Address>, metrics: &Metrics) -> Result<Option<Self>> {
        let collector = !config.otlp_endpoint.is_empty();
        let counts = |kind| Counts::of(metrics, kind);
        let queues = Queues {
            spans: (collector && config.traces).then(|| Arc::new(Queue::new(config.otlp_queue, counts("span")))),
            logs: (collector && config.otlp_logs).then(|| Arc::new(Queue::new(config.otlp_queue, counts("log")))),
            reports: sentry.is_some().then(|| Arc::new(Queue::new(REPORTS, counts("report")))),
        };
        if queues.spans.is_none() && queues.logs.is_none() && queues.reports.is_none() {
            return Ok(None);
        }
        let (end, ending) = watch::channel(None);
        let done = Arc::<Done>::default();
        let (begun, begins) = mpsc::channel();
        let sender =
            Sender { config: config.clone(), resource: otlp::resource(config), sentry, queues: queues.clone() };
        let finished = Arc::clone(&done);
        let run = move || {
            records::SENDS.set(true);
            // However this ends, nobody waits for it any longer.
            let _finished = Finished(&finished);
            sender.run(&begun, &ending, &finished);
        };
        thread::Builder::new().name("telemetry".to_owned()).spawn(run).context("cannot start a thread")?;
        begins.recv().unwrap_or_else(|_| Err(anyhow!("the thread that sends telemetry ended at once")))?;
        Ok(Some(Self(Arc::new(Inner { queues, end, done }))))
    }

    /// Where ended spans go.
    pub(super) fn spans(exporter: Option<&Self>, recent: Recent) -> Spans {
        Spans { recent, queue: exporter.and_then(|exporter| exporter.0.queues.spans.clone()) }
    }

    /// Where log records go, if they go anywhere.
    pub(super) fn logs(&self) -> Option<Logs> {
        self.0.queues.logs.clone().map(Logs::into)
    }

    /// Has a report sent.
    pub(super) fn report(&self, report: Report) {
        if let Some(reports) = &self.0.queues.reports {
            reports.push(report);
        }
    }

    /// Takes nothing more, sends what waits, and waits for that. False if something was lost or is still on its way.
    pub(super) fn end(&self, within: Duration) -> bool {
        let Inner { end, done, .. } = &*self.0;
        end.send_if_modified(|end| {
            let first = end.is_none();
            end.get_or_insert(Instant::now() + within);
            first
        });
        self.0.queues.end();
        let all_sent = done.all_sent.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = done.told.wait_timeout_while(all_sent, within + GRACE, |all_sent| all_sent.is_none());
        let (all_sent, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *all_sent == Some(true)
    }
}

impl Drop for Inner {
    /// Ends the thread of whoever has not done so; nobody waits for it.
    fn drop(&mut self) {
        self.queues.end();
    }
}

impl Queues {
    fn end(&self) {
        if let Some(spans) = &self.spans {
            spans.end();
        }
        if let Some(logs) = &self.logs {
            logs.end();
        }
        if let Some(reports) = &self.reports {
            reports.end();
        }
    }
}

/// Tells those who wait that the thread has ended, even by a panic.
struct Finished<'a>(&'a Done);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.tell(false);
    }
}

impl Done {
    /// The first word counts.
    fn tell(&self, all_sent: bool) {
        self.all_sent.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(all_sent);
        self.told.notify_all();
    }
}

/// What the thread sends.
struct Sender {
    config: Telemetry,
    resource: Resource,
    sentry: Option<Address>,
    queues: Queues,
}

impl Sender {
    fn run(self, begun: &mpsc::Sender<Result<()>>, end: &End, done: &Done) {
        let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = begun.send(Err(error).context("cannot start the runtime that sends telemetry"));
                return;
            }
        };
        done.tell(runtime.block_on(self.send(begun, end)));
        // A name that is being looked up, say, is left behind.
        runtime.shutdown_background();
    }

    /// Sends everything until the end; whether nothing was lost in it.
    async fn send(self, begun: &mpsc::Sender<Result<()>>, end: &End) -> bool {
        let Self { config, resource, sentry, queues: Queues { spans, logs, reports } } = self;
        let carriers = || -> Result<_> {
            let spans = spans.map(|queue| otlp::Spans::to(&config, &resource).map(|to| (queue, to))).transpose()?;
            let logs = logs.map(|queue| otlp::Logs::to(&config, &resource).map(|to| (queue, to))).transpose()?;
            Ok((spans, logs, reports.zip(sentry.map(|address| report::Reports::to(address, REPORT)))))
        };
        let (spans, logs, reports) = match carriers() {
            Ok(carriers) => carriers,
            Err(error) => {
                let _ = begun.send(Err(error));
                return false;
            }
        };
        let _ = begun.send(Ok(()));
        // Each at its own pace: a kind that cannot be sent does not hold up the others.
        let within = config.otlp_timeout;
        let (spans, logs, reports) = tokio::join!(
            async { if let Some((queue, to)) = spans { drain(&queue, to, within, end.clone()).await } else { true } },
            async { if let Some((queue, to)) = logs { drain(&queue, to, within, end.clone()).await } else { true } },
            async { if let Some((queue, to)) = reports { drain(&queue, to, REPORT, end.clone()).await } else { true } },
        );
        spans && logs && reports
    }
}
