//! How new what is cached must at least be, so that no answer that is kept is older than a write that this instance knows of.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::store::Position;

/// What is known of writes. The positions of some come a moment after the writes themselves: these are uncovered until then.
#[derive(Debug, Default)]
pub(super) struct Floor {
    position: AtomicU64,
    /// How many writes there were.
    written: AtomicU64,
    /// How many of them the position stands for.
    covered: AtomicU64,
    /// The newest position beyond the primary's own that a client has told, until the primary is asked: it may be made up.
    claimed: AtomicU64,
}

/// What a read for the cache needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Needs {
    /// How new the copy must be at least.
    pub(super) position: Position,
    /// Whether there was a write whose position is not known yet, so that the primary is to be asked if it answers at all.
    pub(super) primary_first: bool,
}

impl Floor {
    /// A write was made, or may have been; where, is not known yet.
    pub(super) fn wrote(&self) {
        self.written.fetch_add(1, SeqCst);
    }

    /// How many writes there were so far. Taken before the primary is asked for its position: see [`Floor::cover`].
    pub(super) fn written(&self) -> u64 {
        self.written.load(SeqCst)
    }

    /// The first `written` writes are all before this position.
    pub(super) fn cover(&self, written: u64, position: Position) {
        if self.covered.load(SeqCst) < written {
            // In this order: who sees that they are covered sees the position too.
            self.raise(position);
            self.covered.fetch_max(written, SeqCst);
        }
    }

    /// There is a write before this position.
    pub(super) fn raise(&self, position: Position) {
        self.position.fetch_max(position.get(), SeqCst);
    }

    /// A client says that there is a write before this position; `known` is where the primary has been for certain. What is
    /// beyond that counts no sooner than the primary has got there, so that nobody can make it up.
    pub(super) fn claim(&self, position: Position, known: Position) {
        if position <= known {
            self.raise(position);
        } else if position != Position::PRIMARY {
            self.claimed.fetch_max(position.get(), SeqCst);
        }
    }

    /// What clients have claimed so far. Taken before the primary is asked, and given to [`Floor::settle`] afterwards.
    pub(super) fn claimed(&self) -> Position {
        Position::new(self.claimed.swap(0, SeqCst))
    }

    /// The primary has been at `known` since these claims were made: what lies beyond is made up.
    pub(super) fn settle(&self, claimed: Position, known: Position) {
        self.raise(claimed.min(known));
    }

    /// What a read for the cache needs, beside what its own client does.
    pub(super) fn needs(&self, position: Position) -> Needs {
        let primary_first = self.covered.load(SeqCst) < self.written.load(SeqCst);
        let floor = Position::new(self.position.load(SeqCst));
        Needs { position: position.max(floor), primary_first }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64) -> Position {
        Position::new(position)
    }

    #[test]
    fn a_write_sends_reads_to_the_primary_until_its_position_is_known() {
        let floor = Floor::default();
        assert_eq!(floor.needs(at(5)), Needs { position: at(5), primary_first: false });
        floor.wrote();
        let first = floor.written();
        floor.wrote();
        assert!(floor.needs(Position::START).primary_first);
        floor.cover(first, at(10));
        assert_eq!(floor.needs(Position::START), Needs { position: at(10), primary_first: true });
        floor.cover(floor.written(), at(20));
        assert_eq!(floor.needs(Position::START), Needs { position: at(20), primary_first: false });
        floor.cover(floor.written(), at(30));
        assert_eq!(floor.needs(at(7)).position, at(20), "what is covered does not rise with every look");
    }

    #[test]
    fn what_a_client_makes_up_counts_only_as_far_as_the_primary_is() {
        let floor = Floor::default();
        floor.claim(at(50), at(100));
        assert_eq!(floor.needs(Position::START).position, at(50));
        floor.claim(at(u64::MAX - 1), at(100));
        floor.claim(Position::PRIMARY, at(100));
        assert_eq!(floor.needs(Position::START), Needs { position: at(50), primary_first: false });
        floor.settle(floor.claimed(), at(110));
        assert_eq!(floor.needs(Position::START).position, at(110));
        floor.settle(floor.claimed(), at(120));
        assert_eq!(floor.needs(Position::START).position, at(110), "a claim counts once");
    }
}
