//! The heart of the open loop: arrivals become due by the clock, and a connection serves one as soon as it can.
//!
//! ```text
//!   schedule --due--> idle connection          latency counts from the due time in all three cases,
//!            \--due--> backlog --> connection   so a server that stalls is charged for all who had to wait
//!             \--due--> backlog full: dropped   and counted
//! ```
//!
//! Nothing here asks how the server is doing. That is what a closed loop does without meaning to: it sends the next
//! request when the last is answered, so that a stall of a second is one slow request instead of a thousand.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

/// One arrival of the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Its place in the whole schedule, which decides what it asks for.
    pub(crate) number: u64,
    /// When it is due.
    pub(crate) due: Instant,
    /// Whether a connection was free when it was due, so that any wait is the generator's own fault.
    pub(crate) direct: bool,
}

/// What became of arrivals when they were noticed to be due.
pub(crate) trait Notice {
    /// It was noticed at `now`; `dropped` tells whether the backlog had no room for it.
    fn due(&mut self, arrival: Arrival, now: Instant, dropped: bool);
}

/// Hands the arrivals of `schedule` to a fixed number of connections.
pub(crate) struct Dispatcher<S: Iterator<Item = (u64, Duration)>> {
    state: RefCell<State<S>>,
}

struct State<S: Iterator<Item = (u64, Duration)>> {
    start: Instant,
    schedule: std::iter::Peekable<S>,
    backlog: VecDeque<Arrival>,
    bound: usize,
    /// Connections without work, the one that has waited longest first: each stays as warm as the others.
    idle: VecDeque<usize>,
    slots: Vec<Slot>,
    closed: bool,
}

#[derive(Default)]
struct Slot {
    arrival: Option<Arrival>,
    waker: Option<Waker>,
}

impl<S: Iterator<Item = (u64, Duration)>> Dispatcher<S> {
    /// For so many connections, and a backlog of at most `bound`. Due times count from `start`.
    pub(crate) fn new(start: Instant, schedule: S, connections: usize, bound: usize) -> Self {
        let slots = (0..connections).map(|_| Slot::default()).collect();
        let (backlog, idle) = (VecDeque::new(), VecDeque::with_capacity(connections));
        let schedule = schedule.peekable();
        Self { state: RefCell::new(State { start, schedule, backlog, bound, idle, slots, closed: false }) }
    }

    /// Gives out every arrival that is due by `now`. Returns when the next one is, or `None` after the last.
    pub(crate) fn release(&self, now: Instant, notice: &mut impl Notice) -> Option<Instant> {
        let state = &mut *self.state.borrow_mut();
        if state.closed {
            return None;
        }
        while let Some((number, after)) = state.schedule.peek().copied() {
            let due = state.start + after;
            if due > now {
                return Some(due);
            }
            state.schedule.next();
            let mut arrival = Arrival { number, due, direct: false };
            if let Some(slot) = state.idle.pop_front() {
                arrival.direct = true;
                notice.due(arrival, now, false);
                state.slots[slot].arrival = Some(arrival);
                if let Some(waker) = state.slots[slot].waker.take() {
                    waker.wake();
                }
            } else {
                let full = state.backlog.len() >= state.bound;
                notice.due(arrival, now, full);
                if !full {
                    state.backlog.push_back(arrival);
                }
            }
        }
        None
    }

    /// The next arrival for the connection `slot`, or `None` when there will be none.
    pub(crate) async fn next(&self, slot: usize) -> Option<Arrival> {
        let mut waiting = false;
        poll_fn(|context| {
            let state = &mut *self.state.borrow_mut();
            if let Some(arrival) = state.slots[slot].arrival.take() {
                return Poll::Ready(Some(arrival));
            }
            if !waiting && let Some(arrival) = state.backlog.pop_front() {
                return Poll::Ready(Some(arrival));
            }
            if state.closed {
                return Poll::Ready(None);
            }
            if !waiting {
                state.idle.push_back(slot);
                waiting = true;
            }
            state.slots[slot].waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// No arrival becomes due any more. The backlog is still served.
    pub(crate) fn close(&self) {
        let state = &mut *self.state.borrow_mut();
        state.closed = true;
        for waker in state.slots.iter_mut().filter_map(|slot| slot.waker.take()) {
            waker.wake();
        }
    }

    /// Takes the arrivals that still wait, when the run ends without them.
    pub(crate) fn abandon(&self) -> VecDeque<Arrival> {
        std::mem::take(&mut self.state.borrow_mut().backlog)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::{Pin, pin},
        task::Context,
    };

    use super::*;

    #[derive(Default)]
    struct Seen(Vec<(u64, bool, bool)>);

    impl Notice for Seen {
        fn due(&mut self, arrival: Arrival, _: Instant, dropped: bool) {
            self.0.push((arrival.number, arrival.direct, dropped));
        }
    }

    fn poll<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    fn every_millisecond(n: u64) -> impl Iterator<Item = (u64, Duration)> {
        (0..n).map(|n| (n, Duration::from_millis(n)))
    }

    #[test]
    fn arrivals_go_to_the_idle_then_wait_then_are_dropped() {
        let start = Instant::now();
        let dispatcher = Dispatcher::new(start, every_millisecond(6), 2, 2);
        let mut seen = Seen::default();
        let (mut first, mut second) = (Box::pin(dispatcher.next(0)), Box::pin(dispatcher.next(1)));
        assert_eq!((poll(first.as_mut()), poll(second.as_mut())), (None, None));
        // Nobody looked for 4.5 ms: numbers 0 and 1 go to the two idle ones, 2 and 3 wait, 4 is one too many.
        let next = dispatcher.release(start + Duration::from_micros(4500), &mut seen);
        assert_eq!(next, Some(start + Duration::from_millis(5)));
        assert_eq!(
            seen.0,
            [(0, true, false), (1, true, false), (2, false, false), (3, false, false), (4, false, true)]
        );
        let arrival = poll(first.as_mut()).flatten().unwrap();
        assert_eq!((arrival.number, arrival.due), (0, start));
        // The first is done: it takes who has waited longest, whose due time is the one of the schedule.
        let arrival = poll(pin!(dispatcher.next(0))).flatten().unwrap();
        assert_eq!((arrival.number, arrival.due, arrival.direct), (2, start + Duration::from_millis(2), false));
        assert_eq!(dispatcher.release(start + Duration::from_millis(5), &mut seen), None);
        assert_eq!(seen.0.last(), Some(&(5, false, false)));
        dispatcher.close();
        assert_eq!(poll(pin!(dispatcher.next(0))).flatten().unwrap().number, 3);
        assert_eq!(dispatcher.abandon().len(), 1);
        assert_eq!(poll(pin!(dispatcher.next(0))), Some(None));
        assert_eq!(poll(second.as_mut()).flatten().unwrap().number, 1);
    }

    #[test]
    fn connections_take_turns() {
        let start = Instant::now();
        let dispatcher = Dispatcher::new(start, every_millisecond(6), 3, 1);
        let mut waiting: Vec<_> = (0..3).map(|slot| Box::pin(dispatcher.next(slot))).collect();
        for future in &mut waiting {
            assert!(poll(future.as_mut()).is_none());
        }
        for n in 0..6 {
            dispatcher.release(start + Duration::from_millis(n), &mut Seen::default());
            let slot = n as usize % 3;
            assert_eq!(poll(waiting[slot].as_mut()).flatten().unwrap().number, n);
            waiting[slot] = Box::pin(dispatcher.next(slot));
            assert!(poll(waiting[slot].as_mut()).is_none());
        }
    }
}
