//! What invalidates a cache entry, without a list of entries.
//!
//! A tag names something that answers are made from, such as a product. Each has a place in a fixed table that holds the
//! moment of its last change; an answer is stale if something that it was made from changed after its loading began. So
//! nothing is searched when a tag changes, nothing grows, and a load that overlaps a write cannot bring the old value back.
//! Two tags may share a place: then one too many is loaded again, and never one too few.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::domain::ProductId;

/// Places in the table: 128 KiB, so that with 10,000 changing products an entry shares its place with fewer than one.
const PLACES: usize = 1 << 14;

/// Something that answers are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tag {
    /// One product, its stock included.
    Product(ProductId),
}

/// A moment in the order of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

/// When each tag last changed.
pub struct Tags {
    clock: AtomicU64,
    changed: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Default for Tags {
    fn default() -> Self {
        let changed = std::iter::repeat_with(|| AtomicU64::new(0)).take(PLACES).collect();
        Self { clock: AtomicU64::new(0), changed, hasher: RandomState::new() }
    }
}

impl Tags {
    /// Now. Taken before loading.
    pub fn now(&self) -> Moment {
        Moment(self.clock.load(Ordering::SeqCst))
    }

    /// Where this tag is kept.
    pub fn place(&self, tag: Tag) -> u32 {
        (self.hasher.hash_one(tag) % PLACES as u64) as u32
    }

    /// Says that what the tag names has changed. Called after the change can be read.
    pub fn change(&self, tag: Tag) {
        let moment = self.clock.fetch_add(1, Ordering::SeqCst) + 1;
        self.changed[self.place(tag) as usize].fetch_max(moment, Ordering::SeqCst);
    }

    /// Whether something at these places changed after this moment.
    pub fn changed_since(&self, moment: Moment, places: &[u32]) -> bool {
        places.iter().any(|place| self.changed[*place as usize].load(Ordering::Acquire) > moment.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(id: i64) -> Tag {
        Tag::Product(ProductId::try_from(id).unwrap())
    }

    #[test]
    fn a_change_is_seen_by_what_was_loaded_before_it_only() {
        let tags = Tags::default();
        let places = [tags.place(product(1)), tags.place(product(2))];
        let before = tags.now();
        assert!(!tags.changed_since(before, &places));
        tags.change(product(2));
        assert!(tags.changed_since(before, &places));
        assert!(!tags.changed_since(tags.now(), &places));
    }

    #[test]
    fn a_load_that_began_before_the_change_stays_stale_whenever_it_ends() {
        let tags = Tags::default();
        let began = tags.now();
        tags.change(product(7));
        tags.change(product(8));
        assert!(tags.changed_since(began, &[tags.place(product(7))]));
    }
}
