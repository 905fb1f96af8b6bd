//! From the outbox to notifications: at once when an order was placed in this process, and else by looking now and then.

use std::time::Duration;

use tracing::Instrument;

use super::{
    SharedJobs, Traces, Wake,
    traced::{self, Own},
    worker::OUTAGE,
};
use crate::{background::Stop, metrics::Metrics, telemetry::span};

/// How many outbox rows become notifications together.
const BATCH: u32 = 200;

/// Relays until told to stop. Dropped at any moment, it has relayed a batch or not.
pub(super) async fn relay(
    jobs: SharedJobs,
    metrics: Metrics,
    traces: Traces,
    wake: Wake,
    poll: Duration,
    mut stop: Stop,
) {
    let mut failed = 0_u32;
    // Whether the next look is likely to find something.
    let mut likely = false;
    loop {
        let (work, span) = traces.own(Own::Relay, "relay the outbox", likely);
        match work.scope(jobs.relay(BATCH).instrument(span.clone())).await {
            Ok(relayed) => {
                failed = 0;
                let count = u32::try_from(relayed.len()).unwrap_or(u32::MAX);
                span::attribute(&span, "rows", i64::from(count));
                drop(span);
                relayed.into_iter().flatten().for_each(traced::relayed);
                if count > 0 {
                    metrics.outbox_relayed.inc_by(u64::from(count));
                    wake.due();
                }
                likely = count > 0;
                let wait = async {
                    tokio::select! {
                        () = wake.until_placed() => likely = true,
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
                span::failed(&span);
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
