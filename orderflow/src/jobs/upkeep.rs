//! What a worker does now and then: it shows how much there is to do, and forgets what was relayed long ago.

use std::time::Duration;

use tokio::time::Instant;

use super::SharedJobs;
use crate::{background::Stop, metrics::Metrics};

/// How often the backlog is counted.
const COUNT: Duration = Duration::from_secs(1);
/// Counting waits so many times as long as it took, if that is longer: a large backlog takes long to count.
const SHARE: u32 = 50;
/// How often old outbox rows are looked for.
const FORGET: Duration = Duration::from_secs(10);
/// How many are forgotten at once: few, so that nobody waits for long.
const BATCH: u32 = 500;

/// Keeps up until told to stop.
pub(super) async fn upkeep(jobs: SharedJobs, metrics: Metrics, retention: Duration, mut stop: Stop) {
    let mut forget_at = Instant::now();
    loop {
        let began = Instant::now();
        // While the database is away the last numbers stay, and others complain.
        if let Ok(backlog) = jobs.backlog().await {
            metrics.jobs_queued.set(i64::try_from(backlog.queued).unwrap_or(i64::MAX));
            metrics.jobs_dead.set(i64::try_from(backlog.dead).unwrap_or(i64::MAX));
        }
        let pause = COUNT.max(began.elapsed().saturating_mul(SHARE));
        while Instant::now() >= forget_at {
            let gone = jobs.forget_published(retention, BATCH).await;
            if !matches!(gone, Ok(gone) if gone == u64::from(BATCH)) {
                forget_at = Instant::now() + FORGET;
            }
            if stop.sleep(Duration::ZERO).await {
                return;
            }
        }
        if stop.sleep(pause).await {
            return;
        }
    }
}
