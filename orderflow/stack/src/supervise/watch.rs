//! A thread for each part, which asks it how it is, and starts it again when it has died: at once the first time, and ever
//! more rarely when that does not help.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Result;

use super::board::Board;
use crate::{
    kept::{Kept, Plan},
    probe::Probe,
    state::Health,
};

/// How often a part is asked.
const EVERY: Duration = Duration::from_millis(500);
/// How often it is looked whether the thread is to end.
const LOOK: Duration = Duration::from_millis(50);
/// How many times a part that is not answering is asked again before it is tried to be started.
const PATIENCE: u32 = 2;
/// After a start, the next one waits this long, and twice as long each time, up to the other.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// A part that was well for so long has earned a start at once.
const WELL: Duration = Duration::from_mins(1);

/// A part that is watched; it ends with this value.
pub(super) struct Watch {
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts a process and watches it.
    pub(super) fn process(board: &Arc<Board>, name: &str, plan: Plan, probe: Probe) -> Self {
        Self::spawn(board, name, move |watched| watched.process(&plan, probe))
    }

    /// Watches a server that runs. `again` starts it when it has died, and is an error while it lives; the server ends with it.
    pub(super) fn server(
        board: &Arc<Board>,
        name: &str,
        probe: Probe,
        pid: impl Fn() -> Option<u32> + Send + 'static,
        again: impl Fn() -> Result<()> + Send + 'static,
    ) -> Self {
        Self::spawn(board, name, move |watched| watched.server(probe, &pid, &again))
    }

    /// Watches what lives in this process, and does something for it again and again.
    pub(super) fn repeated(
        board: &Arc<Board>,
        name: &str,
        probe: Probe,
        every: Duration,
        mut work: impl FnMut() + Send + 'static,
    ) -> Self {
        Self::spawn(board, name, move |watched| {
            while watched.waits(every) {
                work();
                match probe.ask() {
                    Ok(()) => watched.healthy(),
                    Err(detail) => watched.unwell(detail),
                }
            }
            // What has come until the end.
            work();
        })
    }

    fn spawn(board: &Arc<Board>, name: &str, run: impl FnOnce(&Watched) + Send + 'static) -> Self {
        let ending = Arc::new(AtomicBool::new(false));
        let watched = Watched { board: Arc::clone(board), name: name.to_owned(), ending: Arc::clone(&ending) };
        Self { ending, thread: Some(thread::spawn(move || run(&watched))) }
    }

    /// Asks it to end, and does not wait.
    pub(super) fn end(&self) {
        self.ending.store(true, Ordering::SeqCst);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Watched {
    board: Arc<Board>,
    name: String,
    ending: Arc<AtomicBool>,
}

impl Watched {
    fn process(&self, plan: &Plan, probe: Probe) {
        let mut pace = Pace::default();
        let mut running: Option<Kept> = None;
        let mut starts = 0_u32;
        while self.waits(if running.is_some() { EVERY } else { LOOK }) {
            let Some(kept) = &mut running else {
                if !pace.may_start() {
                    continue;
                }
                match Kept::start(plan) {
                    Ok(kept) => {
                        self.started(Some(kept.pid()), starts);
                        running = Some(kept);
                    }
                    Err(error) => self.unwell(format!("{error:#}")),
                }
                starts += 1;
                continue;
            };
            if let Some(how) = kept.ended() {
                self.unwell(how);
                running = None;
                continue;
            }
            match probe.ask() {
                Ok(()) => {
                    pace.well();
                    self.healthy();
                }
                Err(detail) => self.unwell(detail),
            }
        }
    }

    fn server(&self, probe: Probe, pid: &dyn Fn() -> Option<u32>, again: &dyn Fn() -> Result<()>) {
        let mut pace = Pace::default();
        let (mut failures, mut restarts) = (0, 0);
        self.started(pid(), 0);
        while self.waits(EVERY) {
            let Err(detail) = probe.ask() else {
                failures = 0;
                pace.well();
                self.healthy();
                continue;
            };
            self.unwell(detail);
            failures += 1;
            // Refused while it runs: then it may just be busy.
            if failures > PATIENCE && pace.may_start() && again().is_ok() {
                restarts += 1;
                self.started(pid(), restarts);
            }
        }
    }

    fn started(&self, pid: Option<u32>, restarts: u32) {
        self.board.update(&self.name, |part| {
            part.pid = pid;
            part.restarts = restarts;
        });
    }

    fn healthy(&self) {
        self.board.update(&self.name, |part| {
            part.health = Health::Healthy;
            part.detail.clear();
        });
    }

    /// It is not well. One that never was is starting, unless it has ended.
    fn unwell(&self, detail: String) {
        self.board.update(&self.name, |part| {
            if part.health == Health::Healthy || detail.starts_with("ended") {
                part.health = Health::Unhealthy;
            }
            part.detail = detail;
        });
    }

    /// Waits; whether to go on.
    fn waits(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while Instant::now() < end && !self.ending.load(Ordering::SeqCst) {
            thread::sleep(LOOK);
        }
        !self.ending.load(Ordering::SeqCst)
    }
}

/// When a part may be started again.
struct Pace {
    next: Instant,
    pause: Duration,
    well_since: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { next: Instant::now(), pause: FIRST, well_since: None }
    }
}

impl Pace {
    fn may_start(&mut self) -> bool {
        self.may_start_at(Instant::now())
    }

    fn may_start_at(&mut self, now: Instant) -> bool {
        if self.well_since.take().is_some_and(|since| now.duration_since(since) >= WELL) {
            *self = Self { next: now, ..Self::default() };
        }
        if now < self.next {
            return false;
        }
        self.next = now + self.pause;
        self.pause = (self.pause * 2).min(LONGEST);
        true
    }

    fn well(&mut self) {
        self.well_since.get_or_insert_with(Instant::now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_become_rare_until_the_part_was_well_for_a_while() {
        let mut pace = Pace::default();
        let begin = pace.next;
        let starts = (0..3600).filter(|second| pace.may_start_at(begin + Duration::from_secs(*second))).count();
        // After 0, 1, 3, 7, 15 and 31 seconds, and from then on every 30.
        assert_eq!(starts, 6 + (3599 - 31) / 30);
        let later = begin + Duration::from_hours(1);
        pace.well_since = Some(later);
        assert!(!pace.may_start_at(later));
        pace.well_since = Some(later);
        assert!(pace.may_start_at(later + WELL));
        assert!(pace.may_start_at(later + WELL + FIRST));
    }
}
