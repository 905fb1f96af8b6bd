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

/// For code that is counted, to read how things stand while it runs.
#[derive(Debug)]
pub struct Meter {
    counting: bool,
}

impl Meter {
    /// Bytes alive now, of those that were asked for since the counting began.
    pub fn live_bytes(&self) -> usize {
        if self.counting { dhat::HeapStats::get().curr_bytes } else { 0 }
    }
}

/// Runs `code` and counts what it does on the heap. Its result is still alive when [`Heap::live_bytes`] is read.
pub fn heap<T>(code: impl FnOnce() -> T) -> (Heap, T) {
    heap_metered(|_| code())
}

/// As [`heap`], for code that also wants to know what is alive on its way.
pub fn heap_metered<T>(code: impl FnOnce(&Meter) -> T) -> (Heap, T) {
    // A panic in `code` poisons the lock and harms nothing: the profiler ends with its scope.
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if RECORDING.load(Ordering::Relaxed) {
        let uncounted = Heap { allocations: 0, bytes: 0, peak_bytes: 0, live_bytes: 0 };
        return (uncounted, std::hint::black_box(code(&Meter { counting: false })));
    }
    let profiler = dhat::Profiler::builder().testing().build();
    let result = std::hint::black_box(code(&Meter { counting: true }));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static COUNTED: dhat::Alloc = dhat::Alloc;

    /// In one test, since other threads' allocations count too, and a recording keeps everybody from counting.
    #[test]
    fn what_is_alive_is_known_on_the_way_and_at_the_end() {
        // Far more than the test runner's own threads ask for meanwhile.
        const KIB: usize = 1 << 10;
        let near = |bytes: usize, kib: usize| bytes.abs_diff(kib * KIB) < 64 * KIB;
        let (heap, (on_the_way, _kept)) = heap_metered(|meter| {
            let gone = vec![1_u8; 1_000 * KIB];
            let kept = std::hint::black_box(vec![1_u8; 2_000 * KIB]);
            let both = meter.live_bytes();
            drop(std::hint::black_box(gone));
            ([both, meter.live_bytes()], kept)
        });
        assert!(near(on_the_way[0], 3_000) && near(on_the_way[1], 2_000), "{on_the_way:?}");
        assert!(near(heap.live_bytes, 2_000) && near(heap.peak_bytes, 3_000), "{heap:?}");

        let file = std::env::temp_dir().join(format!("harness-heap-{}.json", std::process::id()));
        record(&file, || {
            let (heap, alive) = heap_metered(|meter| (vec![1_u8; KIB], meter.live_bytes()).1);
            assert_eq!((heap.peak_bytes, alive), (0, 0), "nobody counts while a profile is recorded");
        });
        assert!(std::fs::read_to_string(&file).unwrap().contains("\"pps\""));
        std::fs::remove_file(file).unwrap();
    }
}
