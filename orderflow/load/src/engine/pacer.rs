//! Waking up on time. The runtime's own timer counts in milliseconds, which is longer than many a request takes.
//!
//! The schedule is known beforehand, so a thread of its own can follow it: it sleeps from one due time to the next, which
//! an operating system does to within some 70 microseconds, and rings a bell that wakes the event loop. Nothing spins, so
//! a low rate costs next to no processor, and at a high one a ring covers everything that has become due meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// The longest sleep: after it the bell rings in any case, so that an interruption is noticed.
const SLICE: Duration = Duration::from_millis(50);

/// Rings at every due time. Its thread ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Pacer {
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Bell {
    rung: Notify,
    done: AtomicBool,
}

impl Pacer {
    /// Follows `schedule`, whose times count from `start`.
    pub(crate) fn new(
        start: Instant,
        schedule: impl Iterator<Item = Duration> + Send + 'static,
    ) -> std::io::Result<Self> {
        let bell = Arc::<Bell>::default();
        let mine = bell.clone();
        let thread = thread::Builder::new().name("load-pacer".into()).spawn(move || follow(&mine, start, schedule))?;
        Ok(Self { bell, thread: Some(thread) })
    }

    /// Waits for the next ring, or returns at once if there was one since the last wait.
    pub(crate) async fn ring(&self) {
        self.bell.rung.notified().await;
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.bell.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It cannot panic, and ends within a slice.
            let _ = thread.join();
        }
    }
}

fn follow(bell: &Bell, start: Instant, schedule: impl Iterator<Item = Duration>) {
    let mut now = Instant::now();
    for due in schedule.map(|due| start + due) {
        // What was due by the last ring has been rung for.
        while now < due {
            thread::sleep((due - now).min(SLICE));
            if bell.done.load(Ordering::Relaxed) {
                return;
            }
            now = Instant::now();
            bell.rung.notify_one();
        }
    }
    bell.rung.notify_one();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_follows_every_due_time_and_none_is_missed() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let start = Instant::now() + Duration::from_millis(2);
        let times: Vec<Duration> = [0, 0, 40, 1000, 1001, 1002, 9000].map(Duration::from_micros).to_vec();
        runtime.block_on(async {
            let pacer = Pacer::new(start, times.clone().into_iter()).unwrap();
            let mut rings = 0;
            let mut left = times.iter().peekable();
            while left.peek().is_some() {
                pacer.ring().await;
                rings += 1;
                let now = Instant::now();
                while left.next_if(|due| start + **due <= now).is_some() {}
            }
            assert!(rings <= times.len() + 1, "{rings} rings");
        });
    }

    #[test]
    fn its_thread_ends_with_it() {
        let pacer = Pacer::new(Instant::now(), [Duration::from_hours(1)].into_iter()).unwrap();
        let bell = Arc::downgrade(&pacer.bell);
        drop(pacer);
        assert!(bell.upgrade().is_none());
    }
}
