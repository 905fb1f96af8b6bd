//! What waits to be sent: a queue with a bound, which whoever fills it never waits for.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus_client::metrics::{counter::Counter, histogram::Histogram};
use tokio::sync::Notify;

use crate::metrics::Metrics;

/// The most that is sent at once.
pub(super) const BATCH: usize = 512;
/// How long the first of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);

/// How many records of a kind were sent, or were not and why, and how long that took.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) exported: Counter,
    pub(super) dropped: Counter,
    pub(super) failed: Counter,
    pub(super) took: Histogram,
}

impl Counts {
    pub(super) fn of(metrics: &Metrics, kind: &'static str) -> Self {
        let records = |outcome| metrics.telemetry_records.get_or_create_owned(&[("kind", kind), ("outcome", outcome)]);
        Self {
            exported: records("exported"),
            dropped: records("dropped"),
            failed: records("failed"),
            took: metrics.telemetry_export_duration.get_or_create_owned(&[("kind", kind)]),
        }
    }
}

/// Records that wait.
#[derive(Debug)]
pub(super) struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    most: usize,
    /// There is a whole batch, or the end has come.
    ready: Notify,
    pub(super) counts: Counts,
}

#[derive(Debug)]
struct Waiting<T> {
    records: VecDeque<T>,
    /// How many are being sent just now: they take room until that is over.
    lent: usize,
    ended: bool,
}

impl<T> Queue<T> {
    /// An empty one with room for `most`.
    pub(super) fn new(most: usize, counts: Counts) -> Self {
        let waiting = Waiting { records: VecDeque::new(), lent: 0, ended: false };
        Self { waiting: Mutex::new(waiting), most, ready: Notify::new(), counts }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a record, or drops it where there is no room.
    pub(super) fn push(&self, record: T) {
        let mut waiting = self.waiting();
        if waiting.ended || waiting.records.len() + waiting.lent >= self.most {
            self.counts.dropped.inc();
            return;
        }
        waiting.records.push_back(record);
        if waiting.records.len() == BATCH {
            self.ready.notify_one();
        }
    }

    /// The next batch, when it is whole or its first record has waited long enough; at the end whatever is left, and then
    /// nothing. The records take room until [`Queue::settled`].
    pub(super) async fn batch(&self) -> Option<Vec<T>> {
        loop {
            let whole = {
                let waiting = self.waiting();
                waiting.ended || waiting.records.len() >= BATCH
            };
            if !whole {
                let _ = tokio::time::timeout(GATHER, self.ready.notified()).await;
            }
            let mut waiting = self.waiting();
            let size = waiting.records.len().min(BATCH);
            if size > 0 {
                waiting.lent = size;
                return Some(waiting.records.drain(..size).collect());
            }
            if waiting.ended {
                return None;
            }
        }
    }

    /// Says that the last batch is dealt with.
    pub(super) fn settled(&self) {
        self.waiting().lent = 0;
    }

    /// Takes nothing more from now on.
    pub(super) fn end(&self) {
        self.waiting().ended = true;
        self.ready.notify_one();
    }

    /// Takes out whatever is left, and how much that was.
    pub(super) fn clear(&self) -> usize {
        std::mem::take(&mut self.waiting().records).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(most: usize) -> Queue<usize> {
        Queue::new(most, Counts::of(&Metrics::default(), "span"))
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_no_room_is_dropped_and_what_is_sent_takes_room() {
        let queue = queue(600);
        (0..1_000).for_each(|number| queue.push(number));
        assert_eq!(queue.counts.dropped.get(), 400);
        assert_eq!(queue.batch().await, Some((0..BATCH).collect()));
        (0..600).for_each(|number| queue.push(number));
        assert_eq!(queue.counts.dropped.get(), 1_000, "nothing is settled yet");
        queue.settled();
        queue.push(7);
        assert_eq!(queue.counts.dropped.get(), 1_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_record_waits_for_others_and_the_end_for_nobody() {
        let queue = queue(600);
        queue.push(1);
        let began = tokio::time::Instant::now();
        assert_eq!(queue.batch().await, Some(vec![1]));
        assert!(began.elapsed() >= GATHER);
        queue.push(2);
        queue.end();
        queue.push(3);
        let began = tokio::time::Instant::now();
        assert_eq!((queue.batch().await, queue.batch().await), (Some(vec![2]), None));
        assert_eq!((began.elapsed(), queue.counts.dropped.get()), (Duration::ZERO, 1));
    }
}
