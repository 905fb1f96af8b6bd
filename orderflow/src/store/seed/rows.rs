//! The rows, made up one after the other. What is drawn depends on the plan alone: each table has a source of random
//! numbers of its own, and a moment stands for "now".

use fastrand::Rng;
use time::{Date, Month};

use super::Plan;
use crate::domain::OrderStatus;

/// The moment after the last order: 2026-03-01T00:00:00Z, in microseconds since 1970.
const NOW: i64 = 1_772_323_200_000_000;
const DAY: i64 = 86_400_000_000;
/// Orders go back this far; the first customers came a year earlier.
const YEAR: i64 = 365 * DAY;
/// As many as a load test does not buy up.
pub(super) const STOCK: i64 = 100_000;

const MATERIALS: [&str; 16] = [
    "Ash", "Bamboo", "Brass", "Copper", "Cork", "Cotton", "Enamel", "Felt", "Glass", "Linen", "Oak", "Slate", "Steel",
    "Stone", "Walnut", "Wool",
];
/// What is sold, under which category, and from how many cents.
const THINGS: [(&str, &str, u64); 24] = [
    ("Kettle", "kitchen", 2_900),
    ("Teapot", "kitchen", 2_400),
    ("Mug", "kitchen", 900),
    ("Bread Board", "kitchen", 1_900),
    ("Desk Lamp", "lighting", 4_900),
    ("Lantern", "lighting", 3_400),
    ("Candle Holder", "lighting", 1_200),
    ("Notebook", "office", 700),
    ("Pen Tray", "office", 1_500),
    ("Bookend", "office", 1_800),
    ("Letter Rack", "office", 2_100),
    ("Blanket", "bedroom", 5_900),
    ("Pillow", "bedroom", 3_200),
    ("Alarm Clock", "bedroom", 2_700),
    ("Bath Mat", "bathroom", 1_700),
    ("Soap Dish", "bathroom", 800),
    ("Towel Rail", "bathroom", 3_900),
    ("Planter", "garden", 2_200),
    ("Watering Can", "garden", 2_600),
    ("Bird Feeder", "garden", 1_600),
    ("Puzzle", "games", 1_900),
    ("Chess Set", "games", 6_400),
    ("Tool Box", "hand-tools", 4_300),
    ("Mallet", "hand-tools", 2_300),
];
const FIRST_NAMES: [&str; 20] = [
    "Ada", "Alan", "Annie", "Barbara", "Chen", "Claude", "Edsger", "Elena", "Fatima", "Grace", "Hedy", "Ibrahim",
    "Joan", "Kofi", "Leslie", "Margaret", "Niklaus", "Radia", "Sofia", "Tim",
];
const LAST_NAMES: [&str; 20] = [
    "Adeyemi",
    "Bauer",
    "Costa",
    "Dubois",
    "Evans",
    "Fischer",
    "Garcia",
    "Haddad",
    "Ivanova",
    "Jansen",
    "Kim",
    "Larsen",
    "Moreau",
    "Novak",
    "Okafor",
    "Papadakis",
    "Rossi",
    "Silva",
    "Tanaka",
    "Weber",
];

/// A product. It was last changed on the first day.
pub(super) struct Product {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) category: &'static str,
    pub(super) price_cents: u64,
}

/// The moment at which every product was last changed.
pub(super) const LISTED: i64 = NOW - 2 * YEAR;

/// Every product, in the order of its identifier.
pub(super) fn products(plan: Plan) -> impl Iterator<Item = Product> + Send {
    let mut random = Rng::with_seed(1);
    (1..=plan.products()).map(move |id| {
        let place = (id - 1) as usize;
        let (thing, category, from) = THINGS[place % THINGS.len()];
        let material = MATERIALS[place / THINGS.len() % MATERIALS.len()];
        let series = place / (THINGS.len() * MATERIALS.len()) + 1;
        let name = if series == 1 { format!("{material} {thing}") } else { format!("{material} {thing} No. {series}") };
        Product { id, name, category, price_cents: from + 50 * random.u64(0..=from / 50) }
    })
}

/// A customer.
pub(super) struct Customer {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) birthday: Option<Date>,
    pub(super) created_at: i64,
}

/// Every customer, in the order of their identifiers, which is the one in which they came.
pub(super) fn customers(plan: Plan) -> impl Iterator<Item = Customer> + Send {
    let mut random = Rng::with_seed(2);
    let count = plan.customers();
    (1..=count).map(move |id| {
        let (first, last) = (FIRST_NAMES[random.usize(..20)], LAST_NAMES[random.usize(..20)]);
        let month = Month::January.nth_next(random.u8(..12));
        let birthday = Date::from_calendar_date(random.i32(1940..=2007), month, random.u8(1..=28)).ok();
        Customer {
            id,
            name: format!("{first} {last}"),
            email: format!("{}.{}.{id}@example.com", first.to_lowercase(), last.to_lowercase()),
            // Four in five tell.
            birthday: birthday.filter(|_| random.u8(..5) > 0),
            created_at: spread(id, count, NOW - 2 * YEAR, YEAR),
        }
    })
}

/// The moment of one of `count` events that come evenly over a span.
fn spread(id: u64, count: u64, from: i64, span: i64) -> i64 {
    from + (i128::from(id - 1) * i128::from(span) / i128::from(count)) as i64
}

/// An order with its lines.
pub(super) struct Order {
    pub(super) id: u64,
    pub(super) customer: u64,
    pub(super) status: OrderStatus,
    pub(super) placed_at: i64,
    pub(super) lines: Vec<Line>,
}

/// One line of an order.
pub(super) struct Line {
    pub(super) product: u64,
    pub(super) quantity: u64,
    pub(super) price_cents: u64,
}

impl Order {
    /// What the lines come to, in cents.
    pub(super) fn total(&self) -> u64 {
        self.lines.iter().map(|line| line.quantity * line.price_cents).sum()
    }
}

/// Every order, in the order of its identifier, which is the one in which they were placed.
pub(super) fn orders(plan: Plan) -> impl Iterator<Item = Order> + Send {
    let mut random = Rng::with_seed(3);
    let prices: Vec<u64> = products(plan).map(|product| product.price_cents).collect();
    let customers = plan.customers();
    (1..=plan.orders).map(move |id| {
        let placed_at = spread(id, plan.orders, NOW - YEAR, YEAR);
        // One to five lines, two and a half on average.
        let count = [1, 1, 2, 2, 2, 3, 3, 3, 4, 5][random.usize(..10)].min(prices.len());
        let mut lines = Vec::<Line>::with_capacity(count);
        while lines.len() < count {
            let product = popular(&mut random, prices.len() as u64);
            if lines.iter().all(|line| line.product != product) {
                // Most lines are of one.
                let quantity = u64::from(random.u8(1..=12).saturating_sub(8).max(1));
                lines.push(Line { product, quantity, price_cents: prices[(product - 1) as usize] });
            }
        }
        let customer = popular(&mut random, customers);
        Order { id, customer, status: status(&mut random, NOW - placed_at), placed_at, lines }
    })
}

/// One of `count`, the first ones much more often: the first percent is drawn more than every fifth time. A cube, since
/// a product of three numbers is the same on every machine, which a power need not be.
fn popular(random: &mut Rng, count: u64) -> u64 {
    let draw = random.f64();
    (draw * draw * draw * count as f64) as u64 + 1
}

/// Where an order of this age stands.
fn status(random: &mut Rng, age: i64) -> OrderStatus {
    let draw = random.u8(..100);
    let (pending, paid, shipped, delivered) = match age / DAY {
        0 => (60, 95, 97, 97),
        1..=3 => (10, 50, 90, 94),
        4..=14 => (1, 3, 35, 94),
        _ => (0, 0, 1, 94),
    };
    match draw {
        draw if draw < pending => OrderStatus::Pending,
        draw if draw < paid => OrderStatus::Paid,
        draw if draw < shipped => OrderStatus::Shipped,
        draw if draw < delivered => OrderStatus::Delivered,
        _ => OrderStatus::Cancelled,
    }
}
