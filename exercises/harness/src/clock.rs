//! Clocks that stand still while others have the processor.

use std::time::Duration;

/// What a sample's time is read from. The first two count only while this process has a processor, so that a busy machine's other
/// work is not taken for the code's own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Clock {
    /// This thread, for the baseline: threads that a submission leaves running cannot make the baseline look slow.
    Thread,
    /// Every thread of the process, for the submission: work that it gives to other threads is still its own.
    Process,
    /// Nothing, where somebody watches from outside: the processor that valgrind plays has not all clocks.
    Stopped,
}

impl Clock {
    /// Time on this clock since some moment of its own.
    #[cfg(unix)]
    pub(crate) fn now(self) -> Duration {
        use rustix::time::{ClockId, clock_gettime};
        let read = clock_gettime(match self {
            Self::Thread => ClockId::ThreadCPUTime,
            Self::Process => ClockId::ProcessCPUTime,
            Self::Stopped => return Duration::ZERO,
        });
        // Both parts are never negative on a clock that starts with the process.
        Duration::new(read.tv_sec.unsigned_abs(), u32::try_from(read.tv_nsec).unwrap_or(0))
    }

    /// Where the system counts in scheduler ticks of many milliseconds, wall time is the better clock.
    #[cfg(not(unix))]
    pub(crate) fn now(self) -> Duration {
        use std::{sync::LazyLock, time::Instant};
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }
}

/// How long this thread has had a processor, for checks that hand a clock to the submission. Where the system cannot say,
/// time on the wall.
pub fn thread_time() -> Duration {
    Clock::Thread.now()
}
