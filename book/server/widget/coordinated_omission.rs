//! A server that stalls, under a closed and an open load. All times are whole microseconds.

use catalogue::evidence::Bar;

use super::{Still, nearest_rank, time};
use crate::plot;

/// What the widget begins with: time between requests, service time, and a stall at the end of each period.
const GAP: u64 = 10_000;
const SERVICE: u64 = 2_000;
const STALL: u64 = 1_000_000;
const PERIOD: u64 = 10_000_000;
const PERIODS: u64 = 6;

/// When a request is answered whose service begins at `from`, or as soon after that as the server does anything.
fn finish(from: u64) -> u64 {
    let (mut now, mut left) = (from, SERVICE);
    loop {
        let end = (now / PERIOD + 1) * PERIOD;
        let able = (end - STALL).saturating_sub(now);
        if left <= able {
            return now + left;
        }
        left -= able;
        now = end;
    }
}

/// Latencies, sorted. An open load counts from when a request was due, and the next is due all the same.
fn latencies(open: bool) -> Vec<u64> {
    let (mut at, mut free, mut took) = (0, 0, Vec::new());
    while at < PERIODS * PERIOD {
        free = finish(free.max(at));
        took.push(free - at);
        at = if open { at + GAP } else { free.max(at + GAP) };
    }
    took.sort_unstable();
    took
}

pub(super) fn still(id: &str) -> Result<Still, String> {
    let loads = [("closed load", latencies(false)), ("open load", latencies(true))];
    let percentile = |took: &[u64], of: u64| took[nearest_rank(took.len() as u64, of) as usize - 1] as f64 / 1e6;
    let bars: Vec<Bar> = [(500, "p50"), (900, "p90"), (990, "p99")]
        .into_iter()
        .flat_map(|(of, name)| {
            loads
                .iter()
                .map(move |(load, took)| Bar { label: format!("{name}, {load}"), value: 1e3 * percentile(took, of) })
        })
        .collect();
    let title = "One server that stalls, two sets of latencies";
    let drawing = plot::bars(id, title, "ms", &bars)?;
    let [(_, closed), (_, open)] = &loads;
    let words = format!(
        "The server needs {} for a request and stalls for {} every {}. A client means to send {} requests a second. If it \
         waits for each answer before it sends the next (closed load), it reports a p99 of {}. If requests are sent when they \
         are due, and counted from then (open load), the p99 is {}. The difference is {} requests that the closed load never \
         sent, since it was waiting.",
        time(SERVICE as f64 / 1e6),
        time(STALL as f64 / 1e6),
        time(PERIOD as f64 / 1e6),
        1_000_000 / GAP,
        time(percentile(closed, 990)),
        time(percentile(open, 990)),
        open.len() - closed.len(),
    );
    Ok(Still { title, drawing, words })
}
