//! From the outbox to notifications: at once when an order was placed in this process, and else by looking now and then.

use std::time::Duration;

use super::{SharedJobs, Wake, worker::OUTAGE};
use crate::{background::Stop, metrics::Metrics};

/// How many outbox rows become notifications together.
const BATCH: u32 = 200;

/// Relays until told to stop. Dropped at any moment, it has relayed a batch or not.
pub(super) async fn relay(jobs: SharedJobs, metrics: Metrics, wake: Wake, poll: Duration, mut stop: Stop) {
    let mut failed = 0_u32;
    loop {
        match jobs.relay(BATCH).await {
            Ok(count) => {
                failed = 0;
                if count > 0 {
                    metrics.outbox_relayed.inc_by(u64::from(count));
                    wake.due();
                }
                let wait = async {
                    tokio::select! {
                        () = wake.until_placed() => {}
                        () = tokio::time::sleep(poll) => {}
                    }
                };
                tokio::select! {
                    biased;
                    () = stop.wait() => return,
                    () = wait, if count < BATCH => {}
                    else => {}
                }
            }
            Err(error) => {
                failed += 1;
                if failed.is_power_of_two() {
                    tracing::warn!(%error, failed, "the outbox cannot be relayed; it is tried again");
                }
                if stop.sleep(OUTAGE.after(failed)).await {
                    return;
                }
            }
        }
    }
}
