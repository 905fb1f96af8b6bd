//! What invalidates a cache entry, without a list of entries.
//!
//! A tag names something that answers are made from, such as a product. Each has a place in a fixed table that holds the
//! moment of its last change; an answer is stale if something that it was made from changed after its loading began. So
//! nothing is searched when a tag changes, nothing grows, and a load that overlaps a write cannot bring the old value back.
//! Two tags may share a place: then one too many is loaded again, and never one too few.

use std::sync::atomic::{AtomicU64, Ordering};

use super::stable;
use crate::domain::ProductId;

/// Places in the table: 128 KiB, so that with 10,000 changing products an entry shares its place with fewer than one.
const PLACES: usize = 1 << 14;

/// Something that answers are made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tag {
    /// One product, its stock included.
    Product(ProductId),
}

impl Tag {
    /// Where this tag is kept: the same place in every instance.
    pub fn place(self) -> u32 {
        let Self::Product(id) = self;
        (stable::mixed(id.get().cast_unsigned()) % PLACES as u64) as u32
    }
}

/// A moment in the order of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

/// When each tag last changed.
pub struct Tags {
    clock: AtomicU64,
    changed: Box<[AtomicU64]>,
}

impl Default for Tags {
    fn default() -> Self {
        let changed = std::iter::repeat_with(|| AtomicU64::new(0)).take(PLACES).collect();
        Self { clock: AtomicU64::new(0), changed }
    }
}

impl Tags {
    /// Now. Taken before loading.
    pub fn now(&self) -> Moment {
        Moment(self.clock.load(Ordering::SeqCst))
    }

    /// Says that what is kept at these places has changed. Called after the change can be read. A place that the table does
    /// not have names nothing.
    pub fn change(&self, places: impl IntoIterator<Item = u32>) {
        let moment = self.clock.fetch_add(1, Ordering::SeqCst) + 1;
        for changed in places.into_iter().filter_map(|place| self.changed.get(place as usize)) {
            changed.fetch_max(moment, Ordering::SeqCst);
        }
    }

    /// Says that anything may have changed.
    pub fn change_all(&self) {
        self.change(0..PLACES as u32);
    }

    /// Whether something at these places changed after this moment.
    pub fn changed_since(&self, moment: Moment, places: &[u32]) -> bool {
        places.iter().any(|place| self.changed[*place as usize].load(Ordering::Acquire) > moment.0)
    }

    /// The places of a text that names them with commas between, if the table has each.
    pub fn places(text: &[u8]) -> Option<Vec<u32>> {
        let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse().ok();
        let fields = text.split(|byte| *byte == b',').filter(|field| !field.is_empty());
        fields.map(|field| number(field).filter(|place| (*place as usize) < PLACES)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(id: i64) -> u32 {
        Tag::Product(ProductId::try_from(id).unwrap()).place()
    }

    #[test]
    fn a_change_is_seen_by_what_was_loaded_before_it_only() {
        let tags = Tags::default();
        let places = [product(1), product(2)];
        let before = tags.now();
        assert!(!tags.changed_since(before, &places));
        tags.change([product(2)]);
        assert!(tags.changed_since(before, &places));
        assert!(!tags.changed_since(tags.now(), &places));
    }

    #[test]
    fn a_load_that_began_before_the_change_stays_stale_whenever_it_ends() {
        let tags = Tags::default();
        let began = tags.now();
        tags.change([product(7)]);
        tags.change([product(8)]);
        assert!(tags.changed_since(began, &[product(7)]));
    }

    #[test]
    fn anything_may_have_changed() {
        let tags = Tags::default();
        let before = tags.now();
        tags.change_all();
        assert!((1..=1_000).all(|id| tags.changed_since(before, &[product(id)])));
        assert!(!tags.changed_since(tags.now(), &[product(1)]));
    }

    #[test]
    fn a_tag_has_the_same_place_in_every_instance_of_every_version() {
        assert_eq!([1, 2, 3, i64::MAX].map(product), [7_361, 5_838, 4_077, 7_847]);
        // 10,000 products share few places: an even spread would use 46 % of as many places as there are.
        let places: std::collections::HashSet<_> = (1..=10_000).map(product).collect();
        assert!((7_300..7_700).contains(&places.len()), "{}", places.len());
    }

    #[test]
    fn what_another_instance_says_is_looked_at() {
        assert_eq!(Tags::places(b""), Some(vec![]));
        assert_eq!(Tags::places(b"0,16383"), Some(vec![0, 16_383]));
        for text in [&b"16384"[..], b"-1", b"1,x", b"\xff"] {
            assert_eq!(Tags::places(text), None);
        }
    }
}
