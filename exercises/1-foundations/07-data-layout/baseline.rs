//! A year of orders in memory, for the analytics page; and what its loaders count.
//!
//! The page has two sliders, one for when an order was placed and one for what it came to. Each time one of them moves,
//! the totals are asked for again, and since the year has 200,000 orders the page stutters. Make the totals at least two
//! and a half times as fast. Nothing of an order may be lost: a click on it shows all of it.
//!
//! Several threads load the year, each a part of it, and count what they have loaded in `Progress`. With the second thread
//! each of them became slower, though no two count in the same place. See to it that they leave each other alone.

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

/// The most that an order comes to, in cents.
pub const LARGEST: u64 = 4_000_000_000;
/// Every order was placed before this moment, the beginning of 2100, in seconds since 1970.
pub const LATEST: u64 = 4_102_444_800;
const DAY: u64 = 86_400;

// ANCHOR: order
/// An order, as OrderFlow exports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub id: u64,
    pub customer: u64,
    pub email: String,
    /// In seconds since 1970.
    pub placed_at: u64,
    pub status: Status,
    pub total_cents: u64,
    pub tax_cents: u64,
    pub shipping: Address,
    /// Where it is not the shipping address.
    pub billing: Option<Address>,
    pub coupon: Option<String>,
    pub note: Option<String>,
}
// ANCHOR_END: order

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub name: String,
    pub street: String,
    pub postcode: String,
    pub city: String,
    pub country: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Pending,
    Paid,
    Shipped,
    Cancelled,
    Refunded,
}

/// How many statuses there are.
pub const STATUSES: usize = 5;

/// The orders of a year, in no particular order: each shop sends its own.
#[derive(Debug, Default)]
pub struct Orders {
    orders: Vec<Order>,
}

impl Orders {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an order behind the others.
    pub fn push(&mut self, order: Order) {
        self.orders.push(order);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.orders.len()
    }

    /// The whole of the order that was pushed after `place` others.
    pub fn get(&self, place: usize) -> Option<Order> {
        self.orders.get(place).cloned()
    }

    // ANCHOR: by-status
    /// For each status, the cents of the orders that were placed within `placed` and came to a sum within `cents`. The
    /// sliders may be anywhere, below and above what orders can be too.
    pub fn by_status(&self, placed: Range<u64>, cents: Range<u64>) -> [u64; STATUSES] {
        let mut sums = [0; STATUSES];
        for order in &self.orders {
            if placed.contains(&order.placed_at) && cents.contains(&order.total_cents) {
                sums[order.status as usize] += order.total_cents;
            }
        }
        sums
    }
    // ANCHOR_END: by-status

    /// The same for each of the `days`, counted from 1970.
    pub fn by_day(&self, days: Range<u64>, cents: Range<u64>) -> Vec<[u64; STATUSES]> {
        let mut sums = vec![[0; STATUSES]; days.clone().count()];
        for order in &self.orders {
            let day = order.placed_at / DAY;
            if days.contains(&day) && cents.contains(&order.total_cents) {
                sums[(day - days.start) as usize][order.status as usize] += order.total_cents;
            }
        }
        sums
    }
}

// ANCHOR: progress
/// What the loaders have loaded so far. Each is a thread, asks once for the counters under its number, and adds to both
/// of them at every order; the page reads the total now and then.
#[derive(Debug)]
pub struct Progress {
    orders: Vec<AtomicU64>,
    cents: Vec<AtomicU64>,
}
// ANCHOR_END: progress

impl Progress {
    /// For loaders 0 to `loaders - 1`, all at zero.
    pub fn new(loaders: usize) -> Self {
        let zeros = || (0..loaders).map(|_| AtomicU64::new(0)).collect();
        Self { orders: zeros(), cents: zeros() }
    }

    /// Where this loader counts its orders.
    pub fn orders(&self, loader: usize) -> &AtomicU64 {
        &self.orders[loader]
    }

    /// Where this loader adds up what they came to.
    pub fn cents(&self, loader: usize) -> &AtomicU64 {
        &self.cents[loader]
    }

    /// The orders and the cents of all loaders together.
    pub fn total(&self) -> (u64, u64) {
        let sum = |counters: &[AtomicU64]| counters.iter().map(|counter| counter.load(Ordering::Relaxed)).sum();
        (sum(&self.orders), sum(&self.cents))
    }
}
