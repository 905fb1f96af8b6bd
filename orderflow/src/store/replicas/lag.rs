//! How far in time a replica is behind, from what the primary's log had reached when.
//!
//! The replica's own clock of replayed transactions says how old the last one is, and on a quiet system that grows although
//! nothing is missing. So the primary is watched instead.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::store::Position;

/// Steps that the longest bearable lag is told in. Positions that come faster share one, at the time of the first.
const STEPS: u32 = 1_000;

/// When the primary was seen at which position.
#[derive(Debug)]
pub(super) struct Ring {
    max_lag: Duration,
    /// In order. Bounded: at least a step lies between two, and none but the first is older than twice the longest lag.
    seen: VecDeque<(Position, Instant)>,
    /// When the primary was last seen at all.
    last: Option<Instant>,
}

impl Ring {
    pub(super) fn new(max_lag: Duration) -> Self {
        Self { max_lag, seen: VecDeque::new(), last: None }
    }

    /// The primary is at this position now.
    pub(super) fn push(&mut self, position: Position, now: Instant) {
        self.last = Some(now);
        let count = self.seen.len();
        match self.seen.back_mut() {
            Some((latest, _)) if *latest >= position => {}
            // The first stays as it is: what a replica must have reached before its lag can be told at all.
            Some((latest, since)) if count > 1 && now.duration_since(*since) < self.max_lag / STEPS => {
                *latest = position;
            }
            _ => self.seen.push_back((position, now)),
        }
        while self.seen.get(1).is_some_and(|(_, since)| now.duration_since(*since) > 2 * self.max_lag) {
            self.seen.pop_front();
        }
    }

    /// The newest position that the primary is known to have had.
    pub(super) fn latest(&self) -> Position {
        self.seen.back().map_or(Position::START, |(position, _)| *position)
    }

    /// How long the primary had been beyond what the replica has replayed, when it was last seen. While the primary is away
    /// this stands still, since nobody can know. `None` if that cannot be told: the replica has not yet reached the oldest
    /// position that is remembered.
    pub(super) fn lag(&self, replayed: Position) -> Option<Duration> {
        let (oldest, _) = self.seen.front()?;
        if replayed < *oldest {
            return None;
        }
        let beyond = self.seen.iter().find(|(position, _)| *position > replayed);
        Some(beyond.zip(self.last).map_or(Duration::ZERO, |((_, since), last)| last.duration_since(*since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(position: u64) -> Position {
        Position::new(position)
    }

    #[test]
    fn a_quiet_system_has_no_lag_however_long_nothing_happens() {
        let (mut ring, start) = (Ring::new(5 * SECOND), Instant::now());
        assert_eq!(ring.lag(at(100)), None, "nothing is known yet");
        for second in 0..1_000 {
            ring.push(at(100), start + second * SECOND);
        }
        assert_eq!(ring.lag(at(100)), Some(Duration::ZERO));
        ring.push(at(200), start + 1_000 * SECOND);
        assert_eq!(ring.lag(at(100)), Some(Duration::ZERO), "it was beyond only now");
        ring.push(at(200), start + 1_003 * SECOND);
        assert_eq!(ring.lag(at(100)), Some(3 * SECOND));
        assert_eq!(ring.lag(at(200)), Some(Duration::ZERO));
    }

    #[test]
    fn a_replica_that_was_behind_before_anybody_looked_has_no_known_lag() {
        let (mut ring, start) = (Ring::new(5 * SECOND), Instant::now());
        ring.push(at(100), start);
        assert_eq!(ring.lag(at(99)), None);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_errs_towards_too_much_lag() {
        let (mut ring, start) = (Ring::new(SECOND), Instant::now());
        for tick in 0..100_000_u32 {
            ring.push(at(u64::from(tick)), start + tick * Duration::from_micros(100));
        }
        assert!(ring.seen.len() <= 2 * STEPS as usize + 2, "{}", ring.seen.len());
        let lag = ring.lag(at(95_000)).unwrap();
        let exact = Duration::from_micros(100) * (99_999 - 95_001);
        assert!(lag >= exact && lag <= exact + SECOND / STEPS, "{lag:?} for {exact:?}");
        assert_eq!(ring.lag(at(1)), None);
    }
}
