//! Exact heap figures, by dhat. It sees every allocation of the process and is never wrong by one.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

/// What happened on the heap while a piece of code ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heap {
    /// Allocations and reallocations.
    pub allocations: u64,
    /// Bytes asked for, over all of them.
    pub bytes: u64,
    /// Most bytes alive at once.
    pub peak_bytes: usize,
    /// Bytes still alive at the end, the code's own result included.
    pub live_bytes: usize,
}

/// One profiler may run in a process at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Whether a profile of the whole check is being recorded: then nobody counts, for the same reason.
static RECORDING: AtomicBool = AtomicBool::new(false);

/// Runs `code` and counts what it does on the heap. Its result is still alive when [`Heap::live_bytes`] is read.
pub fn heap<T>(code: impl FnOnce() -> T) -> (Heap, T) {
    // A panic in `code` poisons the lock and harms nothing: the profiler ends with its scope.
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if RECORDING.load(Ordering::Relaxed) {
        let uncounted = Heap { allocations: 0, bytes: 0, peak_bytes: 0, live_bytes: 0 };
        return (uncounted, std::hint::black_box(code()));
    }
    let profiler = dhat::Profiler::builder().testing().build();
    let result = std::hint::black_box(code());
    let stats = dhat::HeapStats::get();
    drop(profiler);
    let heap = Heap {
        allocations: stats.total_blocks,
        bytes: stats.total_bytes,
        peak_bytes: stats.max_bytes,
        live_bytes: stats.curr_bytes,
    };
    (heap, result)
}

/// Runs `code` with every allocation's call stack recorded, and writes dhat's profile to `file`.
pub(crate) fn record<T>(file: &std::path::Path, code: impl FnOnce() -> T) {
    RECORDING.store(true, Ordering::Relaxed);
    let profiler = dhat::Profiler::builder().file_name(file).trim_backtraces(Some(24)).build();
    std::hint::black_box(code());
    drop(profiler);
    RECORDING.store(false, Ordering::Relaxed);
}
