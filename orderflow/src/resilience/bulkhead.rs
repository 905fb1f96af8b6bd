//! Places for what may be under way at once. Whoever finds none is refused at once: there is no queue.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many places.
#[derive(Debug, Clone)]
pub struct Bulkhead(Arc<Semaphore>);

/// A place, free again when dropped.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "held for as long as the place is taken")] OwnedSemaphorePermit);

impl Bulkhead {
    /// With so many places.
    pub fn new(places: usize) -> Self {
        Self(Arc::new(Semaphore::new(places)))
    }

    /// A place, if one is free.
    pub fn enter(&self) -> Option<Place> {
        Arc::clone(&self.0).try_acquire_owned().ok().map(Place)
    }
}
