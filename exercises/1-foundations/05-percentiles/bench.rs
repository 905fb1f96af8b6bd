//! What fast means for `record`: a cost that does not grow with what was recorded, and that nobody notices. Also draws
//! the figures of the chapter.

use std::{cell::OnceCell, process::ExitCode, rc::Rc};

use harness::{
    Rng, Side,
    evidence::{Axis, Figure, Series},
};
use percentiles as yours;

#[path = "baseline.rs"]
mod baseline;
mod inputs;
use inputs::{HOUR, log_normal};

/// How many latencies one input records: many against the cost of making the input, few against 50,000.
const BATCH: usize = 5_000;
/// How many latencies the batches are taken from: to draw one takes longer than to record it.
const DRAWN: usize = 20_000;

/// Records a batch into a recorder that holds `$before` latencies already. A macro, because the learner's recorder and
/// the baseline's are two types.
macro_rules! record_after {
    ($types:ident, $before:expr) => {{
        // Filled when the first input is made: nothing of the submission runs before it is asked to.
        let prepared = OnceCell::new();
        Side::new(
            move |rng| {
                let (filled, drawn) = prepared.get_or_init(|| {
                    let mut filled = $types::Recorder::new();
                    (0..$before).for_each(|_| filled.record(log_normal(rng, 20_000.0, 1.0)));
                    let drawn: Rc<[u64]> = (0..DRAWN).map(|_| log_normal(rng, 20_000.0, 1.0)).collect();
                    (filled, drawn)
                });
                let mut recorder = filled.clone();
                // A copied Vec has no room to spare. That it grows now and then is part of what `record` costs; that the
                // first one after a copy always makes it grow is not.
                recorder.record(20_000);
                (Some(recorder), drawn.clone(), rng.usize(..DRAWN - BATCH))
            },
            |(recorder, drawn, start)| {
                let mut recorder = recorder.take().expect("every input is used once");
                for micros in &drawn[*start..*start + BATCH] {
                    recorder.record(*micros);
                }
                Recorded(Box::new(move || (recorder.count() - $before, recorder.percentile(0.5))))
            },
        )
    }};
}

/// What a recorder says once it has recorded the batch, asked for outside the timed part: how many more latencies than
/// before, and the median. An answer that only counts while it is timed is found out by the second.
struct Recorded(Box<dyn Fn() -> (u64, Option<u64>)>);

impl PartialEq for Recorded {
    /// The sides draw their own latencies from the same distribution; medians of so many are within a tenth of each other.
    fn eq(&self, other: &Self) -> bool {
        let [(count, median), (other_count, other_median)] = [(self.0)(), (other.0)()];
        let near = |a: u64, b: u64| a.abs_diff(b) <= a.max(b) / 10;
        count == other_count && median.zip(other_median).is_some_and(|(a, b)| near(a, b))
    }
}

fn main() -> ExitCode {
    harness::bench!()
        .growth(
            "record-does-not-grow",
            "Whatever is inserted into the middle of a Vec moves everything behind it, and a latency in order has half of \
             them behind it. Does a percentile within 1 % need the latencies themselves?",
            record_after!(yours, 5_000),
            record_after!(yours, 50_000),
        )
        .speed(
            "record-cost",
            "`record` runs on the path of every request: it should find its place by arithmetic on the latency, without a \
             search among others and without an allocation.",
            record_after!(baseline, 20_000),
            record_after!(yours, 20_000),
        )
        .figure("percentiles-merge", "The p99 of five instances, one of them slow, and two averages of theirs", merge)
        .figure("percentiles-error", "How far off a recorded latency can be", error)
        .run()
}

/// Five instances serve 40,000 requests; four answer in 100 ms at the median, the fifth in a second.
fn merge() -> Figure {
    const REQUESTS: f64 = 40_000.0;
    const SHARES: [f64; 20] =
        [0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.3, 1.6, 2.0, 3.0, 5.0, 7.0, 10.0, 20.0, 40.0];
    let mut rng = Rng::with_seed(1);
    let labels =
        ["all requests together", "average of the five p99s, weighted by requests", "average of the five p99s"];
    let mut series = labels.map(|label| Series { label: label.into(), points: Vec::new() });
    for share in SHARES {
        let slow = (REQUESTS * share / 100.0).round();
        let fast = ((REQUESTS - slow) / 4.0).round();
        let mut histograms = Vec::new();
        let mut percentiles = Vec::new();
        for (requests, median) in [(slow, 1_000_000.0)].into_iter().chain([(fast, 100_000.0); 4]) {
            let mut instance = (yours::Recorder::new(), baseline::Recorder::new());
            for _ in 0..requests as u64 {
                let micros = log_normal(&mut rng, median, 0.3);
                instance.0.record(micros);
                instance.1.record(micros);
            }
            histograms.push(instance.0.summary());
            percentiles.push(instance.1.summary());
        }
        let p99 = |answer: Option<u64>| answer.unwrap_or(0) as f64 / 1_000.0;
        let plain = percentiles.iter().map(|summary| p99(summary.percentile(0.99))).sum::<f64>() / 5.0;
        let weighted = baseline::Summary::merge(&percentiles);
        let together = yours::Summary::merge(&histograms);
        let share = 100.0 * slow / weighted.count() as f64;
        for (series, ms) in
            series.iter_mut().zip([p99(together.percentile(0.99)), p99(weighted.percentile(0.99)), plain])
        {
            series.points.push([share, ms]);
        }
    }
    Figure::Lines {
        x: Axis { label: "requests that the slow instance serves, %".into(), log: true },
        y: Axis { label: "p99, ms".into(), log: true },
        series: series.into(),
    }
}

/// The largest error of a recorder that holds one latency, for each eighth of a doubling.
fn error() -> Figure {
    let mut largest = Vec::new();
    let mut from = 1.0_f64;
    while from < HOUR as f64 {
        let to = (from * 2_f64.powf(0.125)).min(HOUR as f64);
        let off = |i: i32| {
            let micros = (from + (to - from) * f64::from(i) / 100.0) as u64;
            let mut recorder = yours::Recorder::new();
            recorder.record(micros);
            recorder.percentile(0.5).unwrap_or(0).abs_diff(micros) as f64 / micros as f64
        };
        largest.push([from, 100.0 * (0..100).map(off).fold(0.0, f64::max)]);
        from = to;
    }
    let allowed = vec![[1.0, 1.0], [HOUR as f64, 1.0]];
    Figure::Lines {
        x: Axis { label: "latency, us".into(), log: true },
        y: Axis { label: "largest error, %".into(), log: false },
        series: vec![
            Series { label: "the histogram".into(), points: largest },
            Series { label: "what the dashboard allows".into(), points: allowed },
        ],
    }
}
