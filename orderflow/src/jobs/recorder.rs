//! Recording what became of notifications. Between a mail's being accepted and that being recorded lies the moment in which a
//! crash makes a repeat. So nothing waits here for company: outcomes go out together with all others that came while the
//! last statement was under way, as soon as that has returned.

use std::{collections::HashSet, sync::Arc};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
};
use tracing::{Instrument, Span};

use super::{NotificationId, Settled, SharedJobs, broker::Receipt, worker::OUTAGE};
use crate::{metrics::Metrics, step, store, telemetry::Work};

/// Where outcomes are given to. When the last clone is gone and everything is recorded, the recording ends.
#[derive(Clone)]
pub(super) struct Recorder {
    outcomes: mpsc::UnboundedSender<Entry>,
    /// As many outcomes wait at once as there are places; who comes with one more waits, and keeps its place.
    room: Arc<Semaphore>,
}

struct Entry {
    settled: Settled,
    /// What it is recorded for, and how long that takes: the span ends with this.
    work: Option<Work>,
    span: Span,
    /// Dropped when the outcome is recorded.
    _receipt: Option<Receipt>,
    _room: OwnedSemaphorePermit,
}

impl Recorder {
    /// With room for so many outcomes, and the task that records them. Dropped, it ends with what is under way.
    pub(super) fn start(jobs: SharedJobs, metrics: Metrics, room: usize) -> (Self, JoinSet<()>) {
        let (outcomes, incoming) = mpsc::unbounded_channel();
        let mut recording = JoinSet::new();
        recording.spawn(record(jobs, metrics, incoming, room));
        (Self { outcomes, room: Arc::new(Semaphore::new(room)) }, recording)
    }

    /// Takes an outcome. When this returns, it is on its way to the database.
    pub(super) async fn record(&self, settled: Settled, receipt: Option<Receipt>) {
        let Ok(room) = Arc::clone(&self.room).acquire_owned().await else { return };
        // Nobody listens any more when the process ends without waiting, which is a crash as far as this mail goes.
        let (work, span) = (Work::current(), step!("record the outcome"));
        let _ = self.outcomes.send(Entry { settled, work, span, _receipt: receipt, _room: room });
    }
}

async fn record(jobs: SharedJobs, metrics: Metrics, mut incoming: mpsc::UnboundedReceiver<Entry>, most: usize) {
    let mut batch = Vec::new();
    let mut failed = 0_u32;
    loop {
        if batch.is_empty() {
            if incoming.recv_many(&mut batch, most).await == 0 {
                return;
            }
        } else {
            // What could not be recorded goes out again, together with what has come since.
            while let Ok(entry) = incoming.try_recv() {
                batch.push(entry);
            }
        }
        let settled: Vec<_> = batch.iter().map(|entry| entry.settled.clone()).collect();
        match settle(&jobs, &settled, &batch).await {
            Ok(done) => {
                count(&metrics, &settled, &done, failed > 0);
                failed = 0;
                batch.clear();
            }
            Err(error) => {
                failed += 1;
                if failed.is_power_of_two() {
                    tracing::warn!(%error, failed, count = settled.len(), "outcomes cannot be recorded; it is tried again");
                }
                tokio::time::sleep(OUTAGE.after(failed)).await;
            }
        }
    }
}

/// One statement for all of them. It is shown in the trace of one that is traced, if there is one.
async fn settle(jobs: &SharedJobs, settled: &[Settled], batch: &[Entry]) -> store::Result<Vec<NotificationId>> {
    let shown = batch.iter().max_by_key(|entry| entry.work.as_ref().map(|work| work.trace().sampled));
    let Some((work, span)) = shown.and_then(|entry| Some((entry.work.clone()?, entry.span.clone()))) else {
        return jobs.settle(settled).await;
    };
    work.scope(jobs.settle(settled).instrument(span)).await
}

/// `again` if an earlier statement with some of these failed, which may have recorded them all the same.
fn count(metrics: &Metrics, settled: &[Settled], done: &[NotificationId], again: bool) {
    let done: HashSet<_> = done.iter().collect();
    for one in settled {
        let lost = !again && !done.contains(&one.id);
        let outcome = if lost { "lost" } else { one.outcome.word() };
        metrics.jobs_processed.get_or_create(&[("outcome", outcome)]).inc();
    }
}
