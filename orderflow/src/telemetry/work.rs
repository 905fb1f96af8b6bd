//! Which request or job the current task works for. Whatever it logs, asks the database or sends on is told apart by that,
//! traced or not.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use prometheus_client::encoding::EncodeLabelSet;
use tokio::task::JoinHandle;
use tracing::{Instrument, Span};

use super::TraceContext;

tokio::task_local! {
    static WORK: Work;
}

/// A request that is answered, or a job that is done.
#[derive(Debug, Clone)]
pub struct Work(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    request: Option<Box<str>>,
    trace: TraceContext,
    statements: AtomicU32,
    in_memory: AtomicBool,
}

impl Work {
    /// Work with this place in a trace, and the identifier of the request if it is one.
    pub fn new(trace: TraceContext, request: Option<&str>) -> Self {
        let (statements, in_memory) = (AtomicU32::new(0), AtomicBool::new(false));
        Self(Arc::new(Inner { request: request.map(Into::into), trace, statements, in_memory }))
    }

    /// What the current task works for, if it is known.
    pub fn current() -> Option<Self> {
        WORK.try_with(Clone::clone).ok()
    }

    /// Asks something about what the current task works for, without a clone.
    pub fn with<T>(ask: impl FnOnce(&Self) -> T) -> Option<T> {
        WORK.try_with(ask).ok()
    }

    /// Does this work.
    pub fn scope<F: Future>(self, doing: F) -> impl Future<Output = F::Output> {
        WORK.scope(self, doing)
    }

    /// Where it stands in its trace.
    pub fn trace(&self) -> TraceContext {
        self.0.trace
    }

    /// The request's identifier, if it is one.
    pub fn request(&self) -> Option<&str> {
        self.0.request.as_deref()
    }

    /// Counts a statement that a database was asked for it.
    pub fn count_statement(&self) {
        self.0.statements.fetch_add(1, Ordering::Relaxed);
    }

    /// Says that what it asked for was in memory.
    pub fn found_in_memory(&self) {
        self.0.in_memory.store(true, Ordering::Relaxed);
    }

    /// Whether something that it asked for was in memory.
    pub fn had_it_in_memory(&self) -> bool {
        self.0.in_memory.load(Ordering::Relaxed)
    }

    /// How many statements there were.
    pub fn statements(&self) -> u32 {
        self.0.statements.load(Ordering::Relaxed)
    }
}

/// Whether what the current task works for is traced.
pub fn sampled() -> bool {
    Work::with(|work| work.trace().sampled) == Some(true)
}

/// The label of an exemplar: the trace that shows what was measured.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TraceLabel {
    /// As 32 hexadecimal digits.
    pub trace_id: String,
}

/// What to say with a measurement: the trace of the current task, if that is kept.
pub fn exemplar() -> Option<TraceLabel> {
    let trace = Work::with(Work::trace).filter(|trace| trace.sampled)?;
    Some(TraceLabel { trace_id: trace.trace.to_string() })
}

/// Starts a task that works for the same as this one, as a part of the current span.
pub fn spawn<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let task = task.instrument(Span::current());
    match Work::current() {
        Some(work) => tokio::spawn(work.scope(task)),
        None => tokio::spawn(task),
    }
}

/// Does what blocks on a thread for that, for the same as this task, as a part of the current span.
pub fn spawn_blocking<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let (span, work) = (Span::current(), Work::current());
    tokio::task::spawn_blocking(move || {
        let task = || span.in_scope(task);
        match work {
            Some(work) => WORK.sync_scope(work, task),
            None => task(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_goes_along_with_what_it_starts() {
        let work = Work::new(TraceContext::root(true), Some("r-1"));
        let trace = work.trace();
        let ask = || Work::with(|work| (work.trace(), work.request().map(str::to_owned)));
        let found = work
            .scope(async move {
                let spawned = spawn(async move { ask() }).await.unwrap();
                let blocking = spawn_blocking(ask).await.unwrap();
                (ask(), spawned, blocking, exemplar())
            })
            .await;
        let expected = Some((trace, Some("r-1".to_owned())));
        let label = TraceLabel { trace_id: trace.trace.to_string() };
        assert_eq!(found, (expected.clone(), expected.clone(), expected, Some(label)));
        assert!(Work::current().is_none() && exemplar().is_none() && !sampled());
    }

    #[tokio::test]
    async fn what_is_not_traced_has_no_exemplar_and_no_steps() {
        let work = Work::new(TraceContext::root(false), None);
        work.scope(async {
            assert!(!sampled() && exemplar().is_none());
            assert!(crate::step!("a step", size = 1).is_none());
        })
        .await;
    }

    #[tokio::test]
    async fn statements_are_counted_for_all_of_it() {
        let work = Work::new(TraceContext::root(false), None);
        let count = || Work::with(Work::count_statement).unwrap();
        work.clone()
            .scope(async {
                count();
                spawn(async move { count() }).await.unwrap();
            })
            .await;
        assert_eq!(work.statements(), 2);
    }
}
