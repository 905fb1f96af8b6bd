//! A year of orders in memory, for the analytics page; and what its loaders count.
//!
//! The columns are sorted by placement when totals are asked for, so that a total begins and ends at the slider.

use std::{
    cell::RefCell,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

/// The most that an order comes to, in cents.
pub const LARGEST: u64 = 4_000_000_000;
/// Every order was placed before this moment, the beginning of 2100, in seconds since 1970.
pub const LATEST: u64 = 4_102_444_800;
const DAY: u32 = 86_400;

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
///
/// What the totals read is in columns, one Vec for each field and no wider than its values; entries at the same index
/// belong to the same order. What only `get` reads stays together.
#[derive(Debug, Default)]
pub struct Orders {
    facts: Vec<(u32, u32, Status)>,
    details: Vec<Details>,
    /// The facts by placement, once they were asked for.
    sorted: RefCell<Option<Vec<(u32, u32, Status)>>>,
}

/// What no total reads of an order.
#[derive(Debug)]
struct Details {
    id: u64,
    customer: u64,
    email: String,
    tax_cents: u64,
    shipping: Address,
    billing: Option<Address>,
    coupon: Option<String>,
    note: Option<String>,
}

impl Orders {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an order behind the others.
    pub fn push(&mut self, order: Order) {
        let Order { id, customer, email, placed_at, status, total_cents, tax_cents, shipping, billing, coupon, note } =
            order;
        self.facts.push((narrow(placed_at), narrow(total_cents), status));
        *self.sorted.get_mut() = None;
        self.details.push(Details { id, customer, email, tax_cents, shipping, billing, coupon, note });
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.details.len()
    }

    /// The whole of the order that was pushed after `place` others.
    pub fn get(&self, place: usize) -> Option<Order> {
        let details = self.details.get(place)?;
        let (placed_at, total_cents, status) = self.facts[place];
        Some(Order {
            id: details.id,
            customer: details.customer,
            email: details.email.clone(),
            placed_at: placed_at.into(),
            status,
            total_cents: total_cents.into(),
            tax_cents: details.tax_cents,
            shipping: details.shipping.clone(),
            billing: details.billing.clone(),
            coupon: details.coupon.clone(),
            note: details.note.clone(),
        })
    }

    /// For each status, the cents of the orders that were placed within `placed` and came to a sum within `cents`. The
    /// sliders may be anywhere, below and above what orders can be too.
    pub fn by_status(&self, placed: Range<u64>, cents: Range<u64>) -> [u64; STATUSES] {
        let [placed, cents] = [placed, cents].map(narrow_range);
        let mut sums = [0; STATUSES];
        self.placed(placed, |_, total, status| {
            if cents.contains(&total) {
                sums[status as usize] += u64::from(total);
            }
        });
        sums
    }

    /// The same for each of the `days`, counted from 1970.
    pub fn by_day(&self, days: Range<u64>, cents: Range<u64>) -> Vec<[u64; STATUSES]> {
        let mut sums = vec![[0; STATUSES]; days.clone().count()];
        let [days, cents] = [days, cents].map(narrow_range);
        let seconds = days.start.saturating_mul(DAY)..days.end.saturating_mul(DAY);
        self.placed(seconds, |at, total, status| {
            if cents.contains(&total) {
                sums[(at / DAY - days.start) as usize][status as usize] += u64::from(total);
            }
        });
        sums
    }

    /// Hands on what the totals read of each order that was placed within `seconds`.
    fn placed(&self, seconds: Range<u32>, mut take: impl FnMut(u32, u32, Status)) {
        let mut sorted = self.sorted.borrow_mut();
        let sorted = sorted.get_or_insert_with(|| {
            let mut facts = self.facts.clone();
            facts.sort_unstable_by_key(|(at, ..)| *at);
            facts
        });
        let [from, to] = [seconds.start, seconds.end].map(|end| sorted.partition_point(|(at, ..)| *at < end));
        for (at, total, status) in &sorted[from..to.max(from)] {
            take(*at, *total, *status);
        }
    }
}

/// A moment or a sum as the columns hold it. Both LATEST and LARGEST fit; what is larger is larger than any of them still.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn narrow_range(range: Range<u64>) -> Range<u32> {
    narrow(range.start)..narrow(range.end)
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
