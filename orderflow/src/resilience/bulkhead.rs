//! Places for what may be under way at once. Whoever finds none is refused at once: there is no queue.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many places.
#[derive(Debug, Clone)]
pub struct Bulkhead(Arc<Semaphore>);

/// A place, free again when dropped.
#[derive(Debug)]
pub struct Place {
    _taken: OwnedSemaphorePermit,
}

impl Bulkhead {
    /// With so many places.
    pub fn new(places: usize) -> Self {
        Self(Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))))
    }

    /// A place, if one is free.
    pub fn enter(&self) -> Option<Place> {
        Arc::clone(&self.0).try_acquire_owned().ok().map(|taken| Place { _taken: taken })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_once_it_is_dropped_and_a_refusal_takes_none() {
        let bulkhead = Bulkhead::new(2);
        let (first, second) = (bulkhead.enter(), bulkhead.clone().enter());
        assert!(first.is_some() && second.is_some());
        for _ in 0..10 {
            assert!(bulkhead.enter().is_none());
        }
        drop(first);
        let third = bulkhead.enter();
        assert!(third.is_some() && bulkhead.enter().is_none());
        assert!(Bulkhead::new(usize::MAX).enter().is_some());
        assert!(Bulkhead::new(0).enter().is_none());
    }
}
