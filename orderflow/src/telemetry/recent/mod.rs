//! What is kept in memory of recent traces and slow statements, for whoever has no collector.

mod rings;
mod trace;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use opentelemetry::trace::TraceId;
use opentelemetry_sdk::trace::SpanData;

pub use rings::{Counts, Found, KeptAs};
pub use trace::{Root, Step, Trace};

use super::TraceContext;
use rings::Rings;

/// How many slow statements are kept.
const STATEMENTS: usize = 50;
/// How many traces are kept of each sort, and which requests are slow, unless somebody says otherwise.
const KEPT: usize = 200;
const SLOW: Duration = Duration::from_secs(1);

/// A statement that took long.
#[derive(Debug, Clone)]
pub struct SlowStatement {
    /// When it ended.
    pub at: SystemTime,
    /// Its name.
    pub name: &'static str,
    /// How long it took.
    pub took: Duration,
    /// The trace of what it was asked for, if that is known.
    pub context: Option<TraceContext>,
}

/// What is looked for among the traces. The default is all of them.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// This trace.
    pub trace: Option<TraceId>,
    /// Requests of this route.
    pub route: Option<String>,
    /// Requests that were answered so.
    pub status: Option<u16>,
    /// What took so long at least.
    pub longer: Option<Duration>,
    /// Traces that are kept for each of these reasons.
    pub kept: Vec<KeptAs>,
    /// The most that are given.
    pub limit: usize,
}

/// What is kept. Clones are the same.
#[derive(Debug, Clone)]
pub struct Recent(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    rings: Mutex<Rings>,
    statements: Mutex<VecDeque<SlowStatement>>,
}

impl Default for Recent {
    fn default() -> Self {
        Self::new(KEPT, SLOW)
    }
}

impl Recent {
    /// Keeps so many recent traces, as many that took `slow` or longer, and as many that failed.
    pub fn new(kept: usize, slow: Duration) -> Self {
        Self(Arc::new(Kept { rings: Mutex::new(Rings::new(kept, slow)), statements: Mutex::default() }))
    }

    /// Keeps a span that has ended, for as long as its trace is kept. A request that was not traced is all that is known of
    /// its trace; whoever tells of those sees to it that there are not too many.
    pub(super) fn ended(&self, span: &SpanData) {
        let (trace, step, root) = trace::parts(span);
        let mut rings = held(&self.0.rings);
        match root {
            Some(root) if !span.span_context.is_sampled() => rings.outlined(trace, step, root),
            root => rings.ended(trace, step, root),
        }
    }

    /// The traces that are looked for, the newest first.
    pub fn traces(&self, search: &Search) -> Vec<Found> {
        held(&self.0.rings).search(search)
    }

    /// How many traces there are.
    pub fn counts(&self) -> Counts {
        held(&self.0.rings).counts()
    }

    /// Keeps a slow statement.
    pub fn slow_statement(&self, statement: SlowStatement) {
        let mut statements = held(&self.0.statements);
        statements.truncate(STATEMENTS - 1);
        statements.push_front(statement);
    }

    /// The slow statements, the newest first.
    pub fn slow_statements(&self) -> Vec<SlowStatement> {
        held(&self.0.statements).iter().cloned().collect()
    }
}

/// What a thread that panicked leaves behind is in order, or at worst a trace short.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Answered, Work};

    fn refused(second: u64) -> SpanData {
        let started = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let (name, method, route) = ("GET /api/stats", "GET", "/api/stats");
        let work = &Work::new(TraceContext::root(false), Some("r-1"));
        Answered { work, parent: None, name, method, route, status: 503, started, took: Duration::from_millis(3) }
            .span()
    }

    #[test]
    fn what_was_not_traced_is_kept_as_an_outline() {
        let recent = Recent::new(10, SLOW);
        for second in [100, 101] {
            for _ in 0..1_000 {
                recent.ended(&refused(second));
            }
        }
        let found = recent.traces(&Search { limit: 50, ..Search::default() });
        assert_eq!((found.len(), recent.counts()), (10, Counts { recent: 0, slow: 0, failed: 10 }));
        let second = SystemTime::UNIX_EPOCH + Duration::from_secs(101);
        assert!(
            found.iter().all(|found| found.trace.started() == second && !found.trace.sampled),
            "the newest are kept"
        );
        assert_eq!(found[0].trace.route(), Some("/api/stats"));
    }

    #[test]
    fn the_last_slow_statements_are_kept() {
        let recent = Recent::default();
        for millis in 0..200 {
            let took = Duration::from_millis(millis);
            recent.slow_statement(SlowStatement { at: SystemTime::now(), name: "orders in", took, context: None });
        }
        let kept: Vec<_> = recent.slow_statements().iter().map(|statement| statement.took.as_millis()).collect();
        assert_eq!(kept, (150..200).rev().collect::<Vec<_>>());
    }
}
