//! Who waits for work in this process is told at once when some comes from it. What comes from other processes is found by
//! looking at the database now and then.

use std::sync::Arc;

use tokio::sync::Notify;

/// Wakes those who work. Clones wake the same. One that is not waiting when it is told hears of it when it waits next.
#[derive(Debug, Clone, Default)]
pub struct Wake {
    placed: Arc<Notify>,
    due: Arc<Notify>,
}

impl Wake {
    /// An order was placed: there is something to relay.
    pub fn placed(&self) {
        self.placed.notify_one();
    }

    /// A notification was made: there is something to send.
    pub fn due(&self) {
        self.due.notify_one();
    }

    /// Waits until an order was placed.
    pub(super) async fn until_placed(&self) {
        self.placed.notified().await;
    }

    /// Waits until a notification was made.
    pub(super) async fn until_due(&self) {
        self.due.notified().await;
    }

    /// The same as something to wait for, for whoever gives due notifications to a broker.
    pub fn for_due(&self) -> Arc<Notify> {
        Arc::clone(&self.due)
    }
}
