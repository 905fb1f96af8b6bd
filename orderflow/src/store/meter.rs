//! Counting and timing of statements and of waits for a connection, and what a trace and the log say of them.

use std::{
    sync::OnceLock,
    time::{Duration, Instant, SystemTime},
};

use prometheus_client::metrics::{counter::Counter, histogram::Histogram};
use tracing::{Span, field::Empty};

use super::{
    StoreError,
    statement::{NAMES, Statement},
};
use crate::{
    metrics::{Metrics, Traced},
    step,
    telemetry::{Recent, SlowStatement, Telemetry, Work, exemplar},
};

/// What a pool and its connections are called.
#[derive(Clone, Copy)]
pub(super) struct Called {
    /// What is behind them: `postgresql` or `sqlite`.
    pub(super) system: &'static str,
    /// The pool.
    pub(super) pool: &'static str,
}

/// How a statement ended.
#[derive(Clone, Copy)]
pub(super) enum Outcome {
    Ok,
    Error,
    Timeout,
    /// Nobody waited for its end.
    Abandoned,
}

impl Outcome {
    const LABELS: [&str; 4] = ["ok", "error", "timeout", "abandoned"];

    pub(super) fn of<T>(result: &Result<T, StoreError>) -> Self {
        match result {
            Ok(_) => Self::Ok,
            // A lock that was not given in time.
            Err(StoreError::TimedOut | StoreError::Busy) => Self::Timeout,
            Err(_) => Self::Error,
        }
    }
}

/// What a pool counts. The metrics of a statement are looked up when it first ends.
pub(super) struct Meter {
    metrics: Metrics,
    recent: Recent,
    statements: [OnceLock<Meters>; NAMES.len()],
    wait: Histogram,
    timeouts: Counter,
}

struct Meters {
    outcomes: [Counter; Outcome::LABELS.len()],
    duration: Traced,
}

impl Meter {
    pub(super) fn new(telemetry: &Telemetry, called: Called) -> Self {
        let Telemetry { metrics, recent, .. } = telemetry;
        let pool = [("pool", called.pool)];
        Self {
            metrics: metrics.clone(),
            recent: recent.clone(),
            statements: [const { OnceLock::new() }; NAMES.len()],
            wait: metrics.db_pool_wait.get_or_create_owned(&pool),
            timeouts: metrics.db_pool_timeouts.get_or_create_owned(&pool),
        }
    }

    fn of(&self, statement: Statement) -> &Meters {
        self.statements[statement.place].get_or_init(|| {
            let name = ("statement", statement.name());
            Meters {
                outcomes: Outcome::LABELS
                    .map(|outcome| self.metrics.db_queries.get_or_create_owned(&[name, ("outcome", outcome)])),
                duration: self.metrics.db_query_duration.get_or_create_owned(&[name]),
            }
        })
    }

    /// A call got its place at once.
    pub(super) fn no_wait(&self) {
        self.wait.observe(0.0);
    }

    /// A call waits until this is dropped, however that comes.
    pub(super) fn waiting(&self) -> Waiting<'_> {
        Waiting { wait: &self.wait, since: Instant::now() }
    }

    /// A call got no connection in time.
    pub(super) fn timed_out(&self) {
        self.timeouts.inc();
    }
}

/// A call that waits for a place.
pub(super) struct Waiting<'a> {
    wait: &'a Histogram,
    since: Instant,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.wait.observe(self.since.elapsed().as_secs_f64());
    }
}

/// A statement that is under way.
pub(super) struct Running {
    statement: Statement,
    called: Called,
    began: Instant,
    span: Span,
}

impl Running {
    /// From now on the statement takes time, for whatever the current task works for.
    pub(super) fn begin(statement: Statement, called: Called) -> Self {
        let began = Instant::now();
        Work::with(Work::count_statement);
        let span = step!(
            "statement",
            otel.kind = "client",
            otel.status_code = Empty,
            db.system.name = called.system,
            db.query.name = statement.name(),
            db.pool = called.pool,
            error.type = Empty,
            rows = Empty,
        );
        Self { statement, called, began, span }
    }

    /// The span of the statement, for what waits for its end.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// It has ended, with so many rows if it gave an answer, and counts there.
    pub(super) fn end(self, outcome: Outcome, rows: Option<u64>, meter: Option<&Meter>, slow: Duration) {
        let took = self.began.elapsed();
        if !self.span.is_none() {
            if let Some(rows) = rows {
                self.span.record("rows", rows);
            }
            if !matches!(outcome, Outcome::Ok) {
                self.span.record("otel.status_code", "ERROR").record("error.type", Outcome::LABELS[outcome as usize]);
            }
        }
        let Some(meter) = meter else { return };
        let meters = meter.of(self.statement);
        meters.outcomes[outcome as usize].inc();
        meters.duration.observe(took.as_secs_f64(), exemplar(), None);
        if took >= slow {
            self.tell(meter, took);
        }
    }

    fn tell(&self, meter: &Meter, took: Duration) {
        let name = self.statement.name();
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(statement = name, pool = self.called.pool, took_ms, "a statement was slow");
        meter.metrics.db_slow_statements.get_or_create(&[("statement", name)]).inc();
        let context = Work::with(Work::trace);
        meter.recent.slow_statement(SlowStatement { at: SystemTime::now(), name, took, context });
    }
}
