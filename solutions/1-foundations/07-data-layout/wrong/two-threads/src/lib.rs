//! A year of orders in memory, for the analytics page; and what its loaders count.
//!
//! The totals are added up by two threads, each with half of the orders.

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
    thread,
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

    /// For each status, the cents of the orders that were placed within `placed` and came to a sum within `cents`. The
    /// sliders may be anywhere, below and above what orders can be too.
    pub fn by_status(&self, placed: Range<u64>, cents: Range<u64>) -> [u64; STATUSES] {
        let total = |orders: &[Order]| {
            let mut sums = [0; STATUSES];
            for order in orders {
                if placed.contains(&order.placed_at) && cents.contains(&order.total_cents) {
                    sums[order.status as usize] += order.total_cents;
                }
            }
            sums
        };
        let [one, other] = self.halves(total);
        std::array::from_fn(|status| one[status] + other[status])
    }

    /// The same for each of the `days`, counted from 1970.
    pub fn by_day(&self, days: Range<u64>, cents: Range<u64>) -> Vec<[u64; STATUSES]> {
        let total = |orders: &[Order]| {
            let mut sums = vec![[0; STATUSES]; days.clone().count()];
            for order in orders {
                let day = order.placed_at / DAY;
                if days.contains(&day) && cents.contains(&order.total_cents) {
                    sums[(day - days.start) as usize][order.status as usize] += order.total_cents;
                }
            }
            sums
        };
        let [mut sums, other] = self.halves(total);
        for (sum, more) in sums.iter_mut().flatten().zip(other.iter().flatten()) {
            *sum += more;
        }
        sums
    }

    /// What `total` says of each half of the orders.
    fn halves<T: Send>(&self, total: impl Fn(&[Order]) -> T + Sync) -> [T; 2] {
        let (one, other) = self.orders.split_at(self.orders.len() / 2);
        thread::scope(|scope| {
            let one = scope.spawn(|| total(one));
            let other = total(other);
            [one.join().expect("adding up does not panic"), other]
        })
    }
}

/// What the loaders have loaded so far. Each is a thread, asks once for the counters under its number, and adds to both
/// of them at every order; the page reads the total now and then.
#[derive(Debug)]
pub struct Progress {
    loaders: Vec<Counters>,
}

/// What one loader has loaded. Both counters may share a cache line, since they are written by the same thread; no other
/// loader's may. 128 bytes are two lines of most processors, which fetch them in pairs, and one line of some.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counters {
    orders: AtomicU64,
    cents: AtomicU64,
}

impl Progress {
    /// For loaders 0 to `loaders - 1`, all at zero.
    pub fn new(loaders: usize) -> Self {
        Self { loaders: (0..loaders).map(|_| Counters::default()).collect() }
    }

    /// Where this loader counts its orders.
    pub fn orders(&self, loader: usize) -> &AtomicU64 {
        &self.loaders[loader].orders
    }

    /// Where this loader adds up what they came to.
    pub fn cents(&self, loader: usize) -> &AtomicU64 {
        &self.loaders[loader].cents
    }

    /// The orders and the cents of all loaders together.
    pub fn total(&self) -> (u64, u64) {
        let sum = |counter: fn(&Counters) -> &AtomicU64| {
            self.loaders.iter().map(|loader| counter(loader).load(Ordering::Relaxed)).sum()
        };
        (sum(|loader| &loader.orders), sum(|loader| &loader.cents))
    }
}
