//! A year of orders in memory, for the analytics page; and what its loaders count.

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

/// The most that an order comes to, in cents.
pub const LARGEST: u64 = 4_000_000_000;
/// Every order was placed before this moment, the beginning of 2100, in seconds since 1970.
pub const LATEST: u64 = 4_102_444_800;
const DAY: u64 = 86_400;

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

/// The orders of a year, in no particular order: each shop sends its own. Those of one status are together, so that it
/// need not be stored with each.
#[derive(Debug, Default)]
pub struct Orders {
    by_status: [Columns; STATUSES],
    orders: Vec<Order>,
}

/// What the totals read of the orders of one status.
#[derive(Debug, Default)]
struct Columns {
    placed_at: Vec<u64>,
    total_cents: Vec<u64>,
}

impl Columns {
    /// When each order was placed that came to a sum within `cents`, and to what it came.
    fn within(&self, cents: Range<u64>) -> impl Iterator<Item = (u64, u64)> {
        let both = self.placed_at.iter().copied().zip(self.total_cents.iter().copied());
        both.filter(move |(_, total)| cents.contains(total))
    }
}

impl Orders {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an order behind the others.
    pub fn push(&mut self, order: Order) {
        let columns = &mut self.by_status[order.status as usize];
        columns.placed_at.push(order.placed_at);
        columns.total_cents.push(order.total_cents);
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

    /// For each status, the cents of the orders that were placed within `placed` and came to a sum within `cents`. The
    /// sliders may be anywhere, below and above what orders can be too.
    pub fn by_status(&self, placed: Range<u64>, cents: Range<u64>) -> [u64; STATUSES] {
        self.by_status.each_ref().map(|columns| {
            let within = columns.within(cents.clone()).filter(|(at, _)| placed.contains(at));
            within.map(|(_, total)| total).sum()
        })
    }

    /// The same for each of the `days`, counted from 1970.
    pub fn by_day(&self, days: Range<u64>, cents: Range<u64>) -> Vec<[u64; STATUSES]> {
        let mut sums = vec![[0; STATUSES]; days.clone().count()];
        for (status, columns) in self.by_status.iter().enumerate() {
            for (at, total) in columns.within(cents.clone()) {
                let day = at / DAY;
                if days.contains(&day) {
                    sums[(day - days.start) as usize][status] += total;
                }
            }
        }
        sums
    }
}

/// What the loaders have loaded so far. Each is a thread, asks once for the counters under its number, and adds to both
/// of them at every order; the page reads the total now and then.
#[derive(Debug)]
pub struct Progress {
    loaders: Box<[[Apart; 2]]>,
}

/// A counter with nothing else near it.
#[derive(Debug, Default)]
#[repr(align(256))]
struct Apart(AtomicU64);

impl Progress {
    /// For loaders 0 to `loaders - 1`, all at zero.
    pub fn new(loaders: usize) -> Self {
        Self { loaders: (0..loaders).map(|_| Default::default()).collect() }
    }

    /// Where this loader counts its orders.
    pub fn orders(&self, loader: usize) -> &AtomicU64 {
        &self.loaders[loader][0].0
    }

    /// Where this loader adds up what they came to.
    pub fn cents(&self, loader: usize) -> &AtomicU64 {
        &self.loaders[loader][1].0
    }

    /// The orders and the cents of all loaders together.
    pub fn total(&self) -> (u64, u64) {
        let sum = |which: usize| self.loaders.iter().map(|loader| loader[which].0.load(Ordering::Relaxed)).sum();
        (sum(0), sum(1))
    }
}
