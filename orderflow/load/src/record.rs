//! What one thread of the generator measures. Nothing here is shared, so recording takes no lock and no atomic operation
//! except for the live counters, which only this thread writes.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::{
    client::{ErrorKind, Failure},
    engine::{Arrival, Notice},
};

/// The shortest and the longest time that a histogram tells apart, in microseconds. Longer ones count as the longest.
pub(crate) const RANGE_US: (u64, u64) = (1, 60_000_000);
/// Significant decimal digits of every time.
pub(crate) const DIGITS: u8 = 3;
/// The most points of a time series; a run of over an hour has points of more than a second.
const MAX_POINTS: u64 = 3600;

/// A histogram of microseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    // The bounds are valid, being constants.
    Histogram::new_with_bounds(RANGE_US.0, RANGE_US.1, DIGITS).expect("valid bounds")
}

fn micros(time: Duration) -> u64 {
    time.saturating_add(Duration::from_nanos(500)).as_micros() as u64
}

fn record(into: &mut Histogram<u64>, micros: u64) {
    into.saturating_record(micros.clamp(RANGE_US.0, RANGE_US.1));
}

/// What other threads may see of this one while it runs.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) sent: AtomicU64,
    pub(crate) ok: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) p99_us: AtomicU64,
}

fn bump(counter: &AtomicU64) {
    // One writer, so that no read-modify-write is needed.
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// One route's figures.
#[derive(Debug)]
pub(crate) struct RouteRecord {
    pub(crate) sent: u64,
    pub(crate) ok: u64,
    pub(crate) errors: [u64; 5],
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) latency: Histogram<u64>,
    pub(crate) service: Histogram<u64>,
}

/// One point of the time series.
#[derive(Debug, Default, Clone)]
pub(crate) struct Point {
    pub(crate) due: u64,
    pub(crate) sent: u64,
    pub(crate) ok: u64,
    pub(crate) errors: [u64; 5],
    pub(crate) dropped: u64,
    /// Latencies in microseconds and how often each was recorded: a few kilobytes where a histogram has 140.
    pub(crate) latencies: Vec<(u32, u32)>,
}

/// Everything that one thread has measured.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) start: Instant,
    warm: Instant,
    open: bool,
    pub(crate) routes: Vec<RouteRecord>,
    pub(crate) arrivals: u64,
    pub(crate) dropped: u64,
    pub(crate) abandoned: u64,
    pub(crate) over_range: u64,
    pub(crate) lateness: Histogram<u64>,
    pub(crate) point_seconds: u64,
    pub(crate) points: Vec<Point>,
    current: Histogram<u64>,
    current_at: usize,
    pub(crate) last: Option<Instant>,
    /// The first error of each kind, in words.
    pub(crate) examples: BTreeMap<ErrorKind, Cow<'static, str>>,
    live: Arc<Live>,
}

/// One request that has ended.
#[derive(Debug)]
pub(crate) struct Ended<'a> {
    pub(crate) route: usize,
    /// When it was due in the open loop, when it was sent in the closed one.
    pub(crate) intended: Instant,
    pub(crate) sent: Instant,
    pub(crate) at: Instant,
    pub(crate) status: Option<u16>,
    pub(crate) failure: Option<&'a Failure>,
    pub(crate) measured: bool,
}

impl Recorder {
    pub(crate) fn new(
        start: Instant,
        warmup: Duration,
        planned: Duration,
        open: bool,
        routes: usize,
        live: Arc<Live>,
    ) -> Self {
        let route = || RouteRecord {
            sent: 0,
            ok: 0,
            errors: [0; 5],
            statuses: BTreeMap::new(),
            latency: histogram(),
            service: histogram(),
        };
        Self {
            start,
            warm: start + warmup,
            open,
            routes: (0..routes).map(|_| route()).collect(),
            arrivals: 0,
            dropped: 0,
            abandoned: 0,
            over_range: 0,
            lateness: histogram(),
            point_seconds: planned.as_secs().div_ceil(MAX_POINTS).max(1),
            points: Vec::new(),
            current: histogram(),
            current_at: 0,
            last: None,
            examples: BTreeMap::new(),
            live,
        }
    }

    /// Whether what begins at `at` is measured, or is warm-up.
    pub(crate) fn measures(&self, at: Instant) -> bool {
        at >= self.warm
    }

    fn index(&self, at: Instant) -> usize {
        (at.saturating_duration_since(self.start).as_secs() / self.point_seconds) as usize
    }

    fn point(&mut self, at: Instant) -> &mut Point {
        let index = self.index(at);
        if index >= self.points.len() {
            self.points.resize_with(index + 1, Point::default);
        }
        &mut self.points[index]
    }

    /// A request begins to be written. `direct` is set when it was due and a connection was free.
    pub(crate) fn sent(&mut self, route: usize, at: Instant, measured: bool, direct: Option<Instant>) {
        self.point(at).sent += 1;
        bump(&self.live.sent);
        if measured {
            self.routes[route].sent += 1;
            if let Some(due) = direct {
                record(&mut self.lateness, micros(at.saturating_duration_since(due)));
            }
        }
    }

    /// A request has its answer, or will not have one.
    ///
    /// The histograms hold expected answers, and time-outs at the time they waited: leaving those out would hide the very
    /// worst. Other errors are counted, not timed: a refusal in no time must not make the service look fast.
    pub(crate) fn ended(&mut self, ended: &Ended<'_>) {
        let kind = ended.failure.map(|failure| failure.kind);
        let latency = micros(ended.at.saturating_duration_since(ended.intended));
        let timed = matches!(kind, None | Some(ErrorKind::Timeout));
        self.roll(ended.at);
        let point = self.point(ended.at);
        match kind {
            None => point.ok += 1,
            Some(kind) => point.errors[kind.index()] += 1,
        }
        bump(if kind.is_none() { &self.live.ok } else { &self.live.errors });
        if timed {
            record(&mut self.current, latency);
        }
        if let Some(failure) = ended.failure {
            self.examples.entry(failure.kind).or_insert_with(|| failure.why.clone());
        }
        if !ended.measured {
            return;
        }
        self.last = Some(ended.at);
        self.over_range += u64::from(timed && latency > RANGE_US.1);
        let route = &mut self.routes[ended.route];
        if let Some(status) = ended.status {
            *route.statuses.entry(status).or_default() += 1;
        }
        match kind {
            None => route.ok += 1,
            Some(kind) => route.errors[kind.index()] += 1,
        }
        if timed {
            record(&mut route.latency, latency);
            if self.open {
                record(&mut route.service, micros(ended.at.saturating_duration_since(ended.sent)));
            }
        }
    }

    /// Puts the latencies of a point away once time has moved on from it.
    fn roll(&mut self, now: Instant) {
        let index = self.index(now);
        if index != self.current_at {
            self.close();
            self.current_at = index;
        }
    }

    /// Puts away what the current point holds; also called at the end.
    pub(crate) fn close(&mut self) {
        if self.current.is_empty() {
            return;
        }
        self.live.p99_us.store(self.current.value_at_quantile(0.99), Ordering::Relaxed);
        let latencies = self
            .current
            .iter_recorded()
            .map(|it| (it.value_iterated_to() as u32, it.count_at_value() as u32))
            .collect();
        if self.current_at >= self.points.len() {
            self.points.resize_with(self.current_at + 1, Point::default);
        }
        self.points[self.current_at].latencies = latencies;
        self.current.reset();
    }

    /// The run ends while this arrival still waits for a connection.
    pub(crate) fn abandon(&mut self, arrival: Arrival) {
        self.abandoned += u64::from(self.measures(arrival.due));
    }
}

impl Notice for Recorder {
    fn due(&mut self, arrival: Arrival, now: Instant, dropped: bool) {
        let measured = self.measures(arrival.due);
        let point = self.point(arrival.due);
        point.due += 1;
        point.dropped += u64::from(dropped);
        if dropped {
            bump(&self.live.dropped);
        }
        if measured {
            self.arrivals += 1;
            self.dropped += u64::from(dropped);
            if !arrival.direct {
                // Who must wait for a connection is late by the server's fault, but was noticed late by ours.
                record(&mut self.lateness, micros(now.saturating_duration_since(arrival.due)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(recorder: &mut Recorder, after: Duration, failure: Option<&Failure>) {
        let intended = recorder.start;
        let at = intended + after;
        recorder.ended(&Ended { route: 0, intended, sent: intended, at, status: None, failure, measured: true });
    }

    #[test]
    fn over_a_minute_is_a_minute_and_counted() {
        let live = Arc::<Live>::default();
        let mut recorder = Recorder::new(Instant::now(), Duration::ZERO, Duration::from_secs(1), true, 1, live);
        ended(&mut recorder, Duration::from_mins(1), None);
        assert_eq!(recorder.over_range, 0);
        ended(&mut recorder, Duration::from_secs(61), None);
        ended(&mut recorder, Duration::from_hours(2), None);
        assert_eq!((recorder.over_range, recorder.routes[0].latency.len()), (2, 3));
        let longest = recorder.routes[0].latency.max();
        assert!(longest.abs_diff(RANGE_US.1) <= RANGE_US.1 / 1000, "{longest}");
    }

    #[test]
    fn time_outs_are_timed_and_other_errors_are_not() {
        let live = Arc::<Live>::default();
        let mut recorder = Recorder::new(Instant::now(), Duration::ZERO, Duration::from_secs(1), true, 1, live.clone());
        for kind in ErrorKind::ALL {
            ended(&mut recorder, Duration::from_millis(5), Some(&Failure::new(kind, "why")));
        }
        ended(&mut recorder, Duration::from_millis(5), None);
        recorder.close();
        assert_eq!((recorder.routes[0].latency.len(), recorder.routes[0].errors), (2, [1; 5]));
        assert_eq!((recorder.routes[0].ok, recorder.points[0].latencies.len()), (1, 1));
        assert_eq!((live.ok.load(Ordering::Relaxed), live.errors.load(Ordering::Relaxed)), (1, 5));
    }

    #[test]
    fn long_runs_have_wider_points() {
        let points = |hours| {
            let planned = Duration::from_hours(hours);
            Recorder::new(Instant::now(), Duration::ZERO, planned, true, 0, Arc::default()).point_seconds
        };
        assert_eq!((points(1), points(2), points(24)), (1, 2, 24));
    }
}
