//! How much processor the calling thread has used: a generator that is out of it measures itself.

use std::time::Duration;

/// Processor time of this thread, where the system tells.
pub(crate) fn used() -> Option<Duration> {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
    }
    #[cfg(not(unix))]
    None
}

#[cfg(all(test, unix))]
mod tests {
    #[test]
    fn work_uses_it() {
        let before = super::used().unwrap();
        let mut sum = 0_u64;
        while super::used().unwrap().saturating_sub(before) < std::time::Duration::from_millis(2) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(sum > 0);
    }
}
