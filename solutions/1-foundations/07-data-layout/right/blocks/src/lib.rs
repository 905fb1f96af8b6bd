//! A year of orders in memory, for the analytics page; and what its loaders count.

use std::{
    ops::Range,
    rc::Rc,
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

/// The orders of a year, in no particular order: each shop sends its own. What the totals read is in blocks, and in
/// columns within a block.
#[derive(Debug, Default)]
pub struct Orders {
    blocks: Vec<Block>,
    orders: Vec<Rc<Order>>,
}

/// How many orders a block has.
const BLOCK: usize = 256;

/// What the totals read of some orders.
#[derive(Debug)]
struct Block {
    placed_at: [u64; BLOCK],
    total_cents: [u32; BLOCK],
    status: [u8; BLOCK],
}

impl Orders {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an order behind the others.
    pub fn push(&mut self, order: Order) {
        let place = self.orders.len() % BLOCK;
        if place == 0 {
            self.blocks.push(Block { placed_at: [0; BLOCK], total_cents: [0; BLOCK], status: [0; BLOCK] });
        }
        if let Some(block) = self.blocks.last_mut() {
            block.placed_at[place] = order.placed_at;
            block.total_cents[place] = order.total_cents as u32;
            block.status[place] = order.status as u8;
        }
        self.orders.push(Rc::new(order));
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.orders.len()
    }

    /// The whole of the order that was pushed after `place` others.
    pub fn get(&self, place: usize) -> Option<Order> {
        self.orders.get(place).map(|order| Order::clone(order))
    }

    /// For each status, the cents of the orders that were placed within `placed` and came to a sum within `cents`. The
    /// sliders may be anywhere, below and above what orders can be too.
    pub fn by_status(&self, placed: Range<u64>, cents: Range<u64>) -> [u64; STATUSES] {
        let mut sums = [0; STATUSES];
        self.for_each(&cents, |at, total, status| {
            if placed.contains(&at) {
                sums[status] += total;
            }
        });
        sums
    }

    /// The same for each of the `days`, counted from 1970.
    pub fn by_day(&self, days: Range<u64>, cents: Range<u64>) -> Vec<[u64; STATUSES]> {
        let mut sums = vec![[0; STATUSES]; days.clone().count()];
        self.for_each(&cents, |at, total, status| {
            if let Some(sums) = (at / DAY).checked_sub(days.start).and_then(|day| sums.get_mut(day as usize)) {
                sums[status] += total;
            }
        });
        sums
    }

    /// Hands on the moment, the sum and the status of each order that came to a sum within `cents`. Places of the last
    /// block that are still empty came to nothing.
    fn for_each(&self, cents: &Range<u64>, mut take: impl FnMut(u64, u64, usize)) {
        for Block { placed_at, total_cents, status } in &self.blocks {
            for i in 0..BLOCK {
                let total = u64::from(total_cents[i]);
                if cents.contains(&total) {
                    take(placed_at[i], total, status[i].into());
                }
            }
        }
    }
}

/// What the loaders have loaded so far. Each is a thread, asks once for the counters under its number, and adds to both
/// of them at every order; the page reads the total now and then.
#[derive(Debug)]
pub struct Progress {
    loaders: Vec<Box<Counters>>,
}

/// What one loader has loaded, with room on both sides, wherever the allocator puts it.
#[derive(Debug, Default)]
struct Counters {
    _before: [u64; 16],
    orders: AtomicU64,
    cents: AtomicU64,
    _behind: [u64; 16],
}

impl Progress {
    /// For loaders 0 to `loaders - 1`, all at zero.
    pub fn new(loaders: usize) -> Self {
        Self { loaders: (0..loaders).map(|_| Box::default()).collect() }
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
