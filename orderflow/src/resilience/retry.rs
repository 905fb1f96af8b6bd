//! When to try again: at growing distances that vary, and not more often than a share of what succeeds pays for.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

/// Distances between attempts.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The first.
    pub base: Duration,
    /// The longest.
    pub most: Duration,
}

impl Backoff {
    /// How long to wait after so many failed attempts, from 1: twice as long each time, and a random half more or less of
    /// that, so that those who failed together do not come back together.
    pub fn after(&self, failed: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failed.saturating_sub(1));
        self.base.saturating_mul(doubled).min(self.most).mul_f64(0.5 + fastrand::f64())
    }
}

/// What retries are paid from: each call that is made for the first time puts in a tenth of a retry, and the purse holds ten.
#[derive(Debug)]
pub struct Budget(AtomicI64);

const FULL: i64 = 100;
const PRICE: i64 = 10;

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicI64::new(FULL))
    }
}

impl Budget {
    /// A call is made for the first time.
    pub fn first(&self) {
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| (held < FULL).then_some(held + 1));
    }

    /// Pays for a retry, if there is enough.
    pub fn again(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| (held >= PRICE).then_some(held - PRICE))
            .is_ok()
    }
}
