//! From what each thread measured to one outcome.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;

use super::{Counts, Generator, Latency, Outcome, Point, Route, Series, VERSION};
use crate::{
    client::ErrorKind,
    engine::{Measured, Shared},
    record::{self, RouteRecord, histogram},
    scenario::{Model, Pace},
    threshold::judge,
};

/// Lateness is no news below this, in milliseconds.
const NEGLIGIBLE_MS: f64 = 0.1;
/// The share of the measured p99 that the generator's own lateness may be before it is said.
const OWN_SHARE: f64 = 0.2;
/// A thread that used more of its processor than this is likely to have measured itself.
const BUSY: f64 = 0.9;
/// Steps of a distribution to each halving of what is left above it.
const STEPS: u32 = 8;

/// Joins what the threads measured.
pub(crate) fn gather(shared: &Shared, started: Duration, threads: &[Measured]) -> Outcome {
    let scenario = &shared.scenario;
    let start = shared.start.get().copied().unwrap_or_else(std::time::Instant::now);
    let interrupted = threads.iter().any(|thread| thread.interrupted);
    let last = threads.iter().filter_map(|thread| thread.recorder.last).max();
    let last = last.map_or(Duration::ZERO, |last| last.saturating_duration_since(start));
    // What was interrupted did not go on to the end of the plan.
    let end = if interrupted { last.min(scenario.duration()) } else { last.max(scenario.duration()) };
    let seconds = end.saturating_sub(scenario.warmup).as_secs_f64();
    let (model, connections, arrivals) = match &scenario.pace {
        Pace::Open { connections, schedule, .. } => (Model::Open, *connections, Some(schedule.arrivals())),
        Pace::Closed { users, .. } => (Model::Closed, *users, None),
    };
    let open = model == Model::Open;
    let mut overall = (histogram(), histogram());
    let routes: Vec<Route> =
        (0..scenario.routes.len()).map(|at| route(shared, threads, at, open, &mut overall)).collect();
    let counts = count(threads, &routes);
    let lost = counts.errors_in_all() + counts.dropped + if interrupted { 0 } else { counts.unfinished };
    let per_second = |count: u64, seconds: f64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
    let offered_for = scenario.duration().min(end).saturating_sub(scenario.warmup).as_secs_f64();
    let mut outcome = Outcome {
        version: VERSION,
        scenario: scenario.name.clone(),
        description: scenario.description.clone(),
        model,
        model_in_words: scenario.model_in_words(),
        arrivals,
        target: shared.target.to_string(),
        seed: scenario.seed.to_string(),
        started_unix: started.as_secs(),
        threads: shared.threads,
        connections,
        planned_seconds: scenario.duration().as_secs_f64(),
        warmup_seconds: scenario.warmup.as_secs_f64(),
        seconds,
        interrupted,
        offered_per_second: open.then(|| per_second(counts.arrivals, offered_for)),
        ok_per_second: per_second(counts.ok, seconds),
        error_rate: (counts.ok + lost > 0).then(|| lost as f64 / (counts.ok + lost) as f64),
        latency: Latency::of(&overall.0),
        service: open.then(|| Latency::of(&overall.1)),
        counts,
        routes,
        series: series(threads),
        thresholds: Vec::new(),
        generator: generator(threads, open),
        warnings: Vec::new(),
    };
    outcome.thresholds = judge(&scenario.thresholds, &outcome);
    outcome.warnings = warnings(&outcome);
    outcome
}

fn route(
    shared: &Shared,
    threads: &[Measured],
    at: usize,
    open: bool,
    overall: &mut (Histogram<u64>, Histogram<u64>),
) -> Route {
    let (mut latency, mut service) = (histogram(), histogram());
    let mut statuses = BTreeMap::new();
    let records: Vec<&RouteRecord> = threads.iter().map(|thread| &thread.recorder.routes[at]).collect();
    for record in &records {
        latency += &record.latency;
        service += &record.service;
        for (status, count) in &record.statuses {
            *statuses.entry(*status).or_default() += count;
        }
    }
    overall.0 += &latency;
    overall.1 += &service;
    Route {
        name: shared.scenario.routes[at].clone(),
        sent: records.iter().map(|record| record.sent).sum(),
        ok: records.iter().map(|record| record.ok).sum(),
        errors: by_kind(&records, |record| &record.errors),
        statuses,
        latency: Latency::of(&latency),
        service: open.then(|| Latency::of(&service)),
    }
}

fn by_kind<T>(among: &[&T], errors: fn(&T) -> &[u64; 5]) -> BTreeMap<ErrorKind, u64> {
    ErrorKind::ALL.into_iter().map(|kind| (kind, among.iter().map(|one| errors(one)[kind.index()]).sum())).collect()
}

fn count(threads: &[Measured], routes: &[Route]) -> Counts {
    let of = |figure: fn(&Measured) -> u64| threads.iter().map(figure).sum::<u64>();
    let mut counts = Counts {
        arrivals: of(|thread| thread.recorder.arrivals),
        dropped: of(|thread| thread.recorder.dropped),
        unfinished: of(|thread| thread.recorder.abandoned),
        over_range: of(|thread| thread.recorder.over_range),
        connects: of(|thread| thread.totals.connects),
        retries: of(|thread| thread.totals.retries),
        bytes: of(|thread| thread.totals.bytes),
        ..Counts::default()
    };
    for kind in ErrorKind::ALL {
        counts.errors.insert(kind, routes.iter().map(|route| route.errors[&kind]).sum());
    }
    for route in routes {
        counts.sent += route.sent;
        counts.ok += route.ok;
    }
    counts.unfinished += counts.sent.saturating_sub(counts.ok + counts.errors_in_all());
    counts
}

impl Latency {
    /// The summary of a histogram of microseconds.
    pub(crate) fn of(times: &Histogram<u64>) -> Self {
        if times.is_empty() {
            return Self::default();
        }
        let ms = |micros: u64| micros as f64 / 1000.0;
        let at = |quantile: f64| ms(times.value_at_quantile(quantile));
        let distribution =
            times.iter_quantiles(STEPS).map(|it| [it.quantile_iterated_to(), ms(it.value_iterated_to())]).collect();
        Self {
            count: times.len(),
            mean_ms: times.mean() / 1000.0,
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            p99_9_ms: at(0.999),
            max_ms: ms(times.max()),
            distribution,
        }
    }
}

/// The points of all threads, their latencies put together before any percentile is taken: percentiles do not add up.
fn series(threads: &[Measured]) -> Series {
    let points = threads.iter().map(|thread| thread.recorder.points.len()).max().unwrap_or(0);
    let point_seconds = threads.first().map_or(1, |thread| thread.recorder.point_seconds);
    let mut latencies = histogram();
    let points = (0..points).map(|index| {
        let of: Vec<&record::Point> = threads.iter().filter_map(|thread| thread.recorder.points.get(index)).collect();
        latencies.reset();
        for (micros, count) in of.iter().flat_map(|point| &point.latencies) {
            latencies.saturating_record_n(u64::from(*micros), u64::from(*count));
        }
        let mut errors = by_kind(&of, |point| &point.errors);
        errors.retain(|_, count| *count > 0);
        let at = |quantile| (!latencies.is_empty()).then(|| latencies.value_at_quantile(quantile) as f64 / 1000.0);
        Point {
            at: index as u64 * point_seconds,
            due: of.iter().map(|point| point.due).sum(),
            sent: of.iter().map(|point| point.sent).sum(),
            ok: of.iter().map(|point| point.ok).sum(),
            errors,
            dropped: of.iter().map(|point| point.dropped).sum(),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            max_ms: at(1.0),
        }
    });
    Series { point_seconds, points: points.collect() }
}

fn generator(threads: &[Measured], open: bool) -> Generator {
    let mut lateness = histogram();
    let mut examples = BTreeMap::new();
    for thread in threads {
        lateness += &thread.recorder.lateness;
        for (kind, why) in &thread.recorder.examples {
            examples.entry(*kind).or_insert_with(|| why.clone().into_owned());
        }
    }
    let at = |quantile| (open && !lateness.is_empty()).then(|| lateness.value_at_quantile(quantile) as f64 / 1000.0);
    Generator {
        lateness_p50_ms: at(0.5),
        lateness_p99_ms: at(0.99),
        lateness_max_ms: at(1.0),
        cpu: threads.iter().filter_map(|thread| thread.cpu).reduce(f64::max),
        examples,
    }
}

/// Whether the generator's own lateness is too much of what it measured. Both are 99th percentiles in milliseconds.
fn doubtful(late: f64, latency: f64) -> bool {
    late > NEGLIGIBLE_MS && late > OWN_SHARE * latency
}

fn warnings(outcome: &Outcome) -> Vec<String> {
    let mut warnings = Vec::new();
    let counts = &outcome.counts;
    if outcome.interrupted {
        warnings.push(format!(
            "Interrupted after {:.1} s of {:.1} s: thresholds are judged on what was measured until then.",
            outcome.warmup_seconds + outcome.seconds,
            outcome.planned_seconds
        ));
    }
    if let Some(late) = outcome.generator.lateness_p99_ms
        && doubtful(late, outcome.latency.p99_ms)
    {
        warnings.push(format!(
            "The generator was late: 1 % of its sends by more than {late:.2} ms, where the p99 is {:.2} ms. What it \
             measured is partly itself; lower the rate, give it a processor of its own, or add --threads.",
            outcome.latency.p99_ms
        ));
    }
    if let Some(cpu) = outcome.generator.cpu
        && cpu > BUSY
    {
        warnings.push(format!(
            "The generator used {:.0} % of its processor: it may be what limits the rate. Add --threads, or lower the rate.",
            cpu * 100.0
        ));
    }
    if counts.dropped > 0 {
        warnings.push(format!(
            "{} arrivals found the backlog full and were dropped. They count as errors and are in no percentile, so every \
             latency here is better than the truth.",
            counts.dropped
        ));
    }
    if counts.unfinished > 0 {
        warnings
            .push(format!("{} requests had not ended when the run did, and are in no percentile.", counts.unfinished));
    }
    if counts.over_range > 0 {
        warnings.push(format!("{} times were over 60 s and are shown as 60 s.", counts.over_range));
    }
    for (kind, why) in &outcome.generator.examples {
        warnings.push(format!("The first {} error: {why}.", kind.word()));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_told_when_it_is_a_fifth_of_the_latency_and_more_than_nothing() {
        assert!(doubtful(2.01, 10.0) && !doubtful(2.0, 10.0));
        assert!(doubtful(0.11, 0.2) && !doubtful(0.1, 0.2));
        assert!(!doubtful(5.0, 1000.0), "a stalled server is not the generator's doing");
    }

    #[test]
    fn a_summary_says_what_was_recorded() {
        let mut times = histogram();
        for micros in 1..=10_000 {
            times.record(micros * 10).unwrap();
        }
        let summary = Latency::of(&times);
        for (measured, known) in
            [(summary.p50_ms, 50.0), (summary.p99_ms, 99.0), (summary.p99_9_ms, 99.9), (summary.max_ms, 100.0)]
        {
            assert!((measured - known).abs() / known < 0.001, "{measured} is not {known}");
        }
        assert_eq!(summary.distribution.last().map(|point| point[0]), Some(1.0));
        assert!(summary.distribution.is_sorted_by(|one, next| one[0] <= next[0] && one[1] <= next[1]));
        assert_eq!(Latency::of(&histogram()), Latency::default());
    }
}
