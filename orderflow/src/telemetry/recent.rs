//! What is kept in memory of recent traces and slow statements, for whoever has no collector.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::TraceContext;

/// How many slow statements are kept.
const STATEMENTS: usize = 50;

/// A request that was not traced and is kept all the same, since it failed or was slow.
#[derive(Debug, Clone)]
pub struct Outline {
    /// Its place in a trace.
    pub context: TraceContext,
    /// Its identifier.
    pub request: String,
    /// Its method.
    pub method: &'static str,
    /// Its route.
    pub route: &'static str,
    /// The status of its answer.
    pub status: u16,
    /// When it came.
    pub started: SystemTime,
    /// How long it took.
    pub took: Duration,
}

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

/// What is kept. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Recent(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    outlines: VecDeque<Outline>,
    statements: VecDeque<SlowStatement>,
}

impl Recent {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a request that was not traced.
    pub fn outline(&self, outline: Outline) {
        let mut kept = self.lock();
        kept.outlines.truncate(STATEMENTS - 1);
        kept.outlines.push_front(outline);
    }

    /// Keeps a slow statement.
    pub fn slow_statement(&self, statement: SlowStatement) {
        let mut kept = self.lock();
        kept.statements.truncate(STATEMENTS - 1);
        kept.statements.push_front(statement);
    }

    /// The slow statements, the newest first.
    pub fn slow_statements(&self) -> Vec<SlowStatement> {
        self.lock().statements.iter().cloned().collect()
    }
}
