//! A year of orders in memory, for the analytics page; and what its loaders count.
//!
//! Texts are in a dictionary, each of them once, and orders hold its number.

use std::{
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
    placed_at: Vec<u32>,
    total_cents: Vec<u32>,
    status: Vec<Status>,
    details: Vec<Details>,
    texts: Dictionary,
}

/// Texts by their number.
#[derive(Debug, Default)]
struct Dictionary {
    texts: Vec<String>,
}

impl Dictionary {
    /// The number of a text, which is added unless it is there already.
    fn number(&mut self, text: String) -> u32 {
        let known = self.texts.iter().position(|known| *known == text);
        let number = known.unwrap_or_else(|| {
            self.texts.push(text);
            self.texts.len() - 1
        });
        number as u32
    }

    fn numbers(&mut self, address: Address) -> [u32; 5] {
        let Address { name, street, postcode, city, country } = address;
        [name, street, postcode, city, country].map(|text| self.number(text))
    }

    fn text(&self, number: u32) -> String {
        self.texts[number as usize].clone()
    }

    fn address(&self, numbers: [u32; 5]) -> Address {
        let [name, street, postcode, city, country] = numbers.map(|number| self.text(number));
        Address { name, street, postcode, city, country }
    }
}

/// What no total reads of an order.
#[derive(Debug)]
struct Details {
    id: u64,
    customer: u64,
    email: u32,
    tax_cents: u64,
    shipping: [u32; 5],
    billing: Option<[u32; 5]>,
    coupon: Option<u32>,
    note: Option<u32>,
}

impl Orders {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an order behind the others.
    pub fn push(&mut self, order: Order) {
        let Order { id, customer, email, placed_at, status, total_cents, tax_cents, shipping, billing, coupon, note } =
            order;
        self.placed_at.push(narrow(placed_at));
        self.total_cents.push(narrow(total_cents));
        self.status.push(status);
        let texts = &mut self.texts;
        self.details.push(Details {
            id,
            customer,
            email: texts.number(email),
            tax_cents,
            shipping: texts.numbers(shipping),
            billing: billing.map(|address| texts.numbers(address)),
            coupon: coupon.map(|text| texts.number(text)),
            note: note.map(|text| texts.number(text)),
        });
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.details.len()
    }

    /// The whole of the order that was pushed after `place` others.
    pub fn get(&self, place: usize) -> Option<Order> {
        let details = self.details.get(place)?;
        Some(Order {
            id: details.id,
            customer: details.customer,
            email: self.texts.text(details.email),
            placed_at: self.placed_at[place].into(),
            status: self.status[place],
            total_cents: self.total_cents[place].into(),
            tax_cents: details.tax_cents,
            shipping: self.texts.address(details.shipping),
            billing: details.billing.map(|numbers| self.texts.address(numbers)),
            coupon: details.coupon.map(|number| self.texts.text(number)),
            note: details.note.map(|number| self.texts.text(number)),
        })
    }

    /// For each status, the cents of the orders that were placed within `placed` and came to a sum within `cents`. The
    /// sliders may be anywhere, below and above what orders can be too.
    pub fn by_status(&self, placed: Range<u64>, cents: Range<u64>) -> [u64; STATUSES] {
        let [placed, cents] = [placed, cents].map(narrow_range);
        let mut sums = [0; STATUSES];
        for ((at, total), status) in self.placed_at.iter().zip(&self.total_cents).zip(&self.status) {
            // `&` and not `&&`: with nothing to jump over, nothing is guessed wrong.
            let counts = placed.contains(at) & cents.contains(total);
            sums[*status as usize] += u64::from(counts) * u64::from(*total);
        }
        sums
    }

    /// The same for each of the `days`, counted from 1970.
    pub fn by_day(&self, days: Range<u64>, cents: Range<u64>) -> Vec<[u64; STATUSES]> {
        let mut sums = vec![[0; STATUSES]; days.clone().count()];
        let [days, cents] = [days, cents].map(narrow_range);
        for ((at, total), status) in self.placed_at.iter().zip(&self.total_cents).zip(&self.status) {
            let day = at / DAY;
            if days.contains(&day) & cents.contains(total) {
                sums[(day - days.start) as usize][*status as usize] += u64::from(*total);
            }
        }
        sums
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
