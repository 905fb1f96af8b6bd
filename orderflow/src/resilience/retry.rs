//! When to try again: at growing distances that vary, and not more often than a share of what is called for the first time
//! pays for.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::metrics::Metrics;

/// Distances between attempts.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The first, before it is varied.
    pub base: Duration,
    /// The longest, however it is varied.
    pub most: Duration,
}

impl Backoff {
    /// How long to wait after so many failed attempts, from 1: twice as long each time, and a random half more or less of
    /// that, so that those who failed together do not come back together, however often they have failed.
    pub fn after(&self, failed: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failed.saturating_sub(1));
        // Half more than this is the longest.
        let middle = self.base.saturating_mul(doubled).min(self.most / 3 * 2);
        // Below 1, so that no rounding can leave what a duration holds.
        middle / 2 + middle.mul_f64(fastrand::f64())
    }
}

/// What retries are paid from: each call that is made for the first time puts in a tenth of a retry, and the purse holds
/// ten, which it does at the beginning.
#[derive(Debug)]
pub struct Budget {
    name: &'static str,
    metrics: Metrics,
    /// In tenths of a retry.
    held: AtomicU32,
}

/// What the purse holds, and what a retry costs, in tenths of a retry.
const FULL: u32 = 100;
const PRICE: u32 = 10;

impl Budget {
    /// A full one, for retries of this name.
    pub fn new(name: &'static str, metrics: Metrics) -> Self {
        Self { name, metrics, held: AtomicU32::new(FULL) }
    }

    /// A call is made for the first time.
    pub fn first(&self) {
        // An error means that the purse is full.
        let _ = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| (held < FULL).then_some(held + 1));
    }

    /// Pays for a retry, if there is enough: false if it must not be made.
    pub fn again(&self) -> bool {
        let paid = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| held.checked_sub(PRICE)).is_ok();
        let counted = if paid { &self.metrics.retries } else { &self.metrics.retries_denied };
        counted.get_or_create(&[("name", self.name)]).inc();
        paid
    }
}
