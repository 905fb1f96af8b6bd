//! What fast means: totals in two fifths of the starter's time, from orders that are loaded about as quickly as before. Also
//! draws the figures of the chapter.

use std::{
    cell::{OnceCell, RefCell},
    process::ExitCode,
    rc::Rc,
};

use data_layout as yours;
use harness::{Rng, Side};

#[path = "baseline.rs"]
#[expect(dead_code, reason = "its totals are timed, and nothing else")]
mod baseline;
mod figures;
mod inputs;
use inputs::{USUAL, YEAR, days, slid};

/// The chapter counts these bytes.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<baseline::Order>() == 360);

/// A year. As rows they are larger than any cache that one core can count on.
const ORDERS: usize = 200_000;
/// How many are loaded in one input: few enough that the memory for them is at hand, for the system is slow to give more
/// while others are busy.
const LOADED: usize = 2_000;
/// How many different texts there are of each kind among them, at most.
const TEXTS: usize = 300;

/// Orders without end, of which each is `$like(rng)` but for what the totals read. A macro, because the learner's types and
/// the baseline's are two.
macro_rules! orders {
    ($types:ident, $rng:expr, $like:expr) => {{
        let rng: &mut Rng = $rng;
        std::iter::repeat_with(move || $types::Order {
            placed_at: rng.u64(YEAR),
            status: inputs::status!($types, rng),
            total_cents: inputs::cents(rng),
            ..$like(rng)
        })
    }};
}

/// The totals of a year, with sliders that are elsewhere each time, after one more order has come in. `$seed` is drawn once,
/// since both sides need the same year.
macro_rules! totals {
    ($types:ident, $seed:expr) => {{
        let seed: Rc<OnceCell<u64>> = $seed.clone();
        // Filled when the first input is made: nothing of the submission runs before it is asked to.
        let prepared = OnceCell::new();
        Side::new(
            move |rng| {
                let year: &Rc<RefCell<$types::Orders>> = prepared.get_or_init(|| {
                    let mut rng = Rng::with_seed(*seed.get_or_init(|| rng.u64(..)));
                    // Without text: no total reads any, and to make it takes longer than all that is measured.
                    let nowhere = $types::Address {
                        name: String::new(),
                        street: String::new(),
                        postcode: String::new(),
                        city: String::new(),
                        country: String::new(),
                    };
                    let bare = $types::Order {
                        email: String::new(),
                        shipping: nowhere,
                        billing: None,
                        coupon: None,
                        note: None,
                        ..inputs::order!($types, &mut rng)
                    };
                    let mut year = $types::Orders::new();
                    let orders = orders!($types, &mut rng, |_: &mut Rng| bare.clone());
                    orders.take(ORDERS).for_each(|order| year.push(order));
                    Rc::new(RefCell::new(year))
                });
                // Beyond the slider, so that the sides agree whichever of them was asked more often.
                let newest = $types::Order { total_cents: $types::LARGEST, ..inputs::order!($types, rng) };
                (year.clone(), Some(newest), slid(rng, &YEAR), slid(rng, &(0..USUAL)))
            },
            |(year, newest, placed, cents)| {
                let mut year = year.borrow_mut();
                year.push(newest.take().expect("every input is used once"));
                (year.by_status(placed.clone(), cents.clone()), year.by_day(days(placed), cents.clone()))
            },
        )
    }};
}

macro_rules! loading {
    ($types:ident) => {
        Side::new(
            |rng| {
                let some: Vec<_> = (0..TEXTS).map(|_| inputs::order!($types, rng)).collect();
                orders!($types, rng, |rng: &mut Rng| some[rng.usize(..some.len())].clone())
                    .take(LOADED)
                    .collect::<Vec<_>>()
            },
            |orders| {
                let mut year = $types::Orders::new();
                orders.drain(..).for_each(|order| year.push(order));
                Loaded(Box::new(move || year.by_status(YEAR, 0..u64::MAX)))
            },
        )
    };
}

/// What was loaded, and is asked for outside the timed part.
struct Loaded(Box<dyn Fn() -> [u64; 5]>);

impl PartialEq for Loaded {
    fn eq(&self, other: &Self) -> bool {
        (self.0)() == (other.0)()
    }
}

fn main() -> ExitCode {
    let seed = Rc::new(OnceCell::new());
    harness::bench!()
        .speed(
            "faster-totals",
            "A pass over the orders costs what it fetches, in whole cache lines, and not what it computes: neither another \
             order of the fields, nor results that are kept for sliders that never come back, nor more threads (their time \
             is added up) make it fetch less. `cargo xtask profile data-layout --cache` counts. What do the totals need of \
             the bytes of an order?",
            totals!(baseline, seed),
            totals!(yours, seed),
        )
        .speed(
            "quick-to-load",
            "Whoever loads the orders waits for what `push` does with each. Taking an order apart is cheap; for each \
             of its parts, looking for it among what is there already is not.",
            loading!(baseline),
            loading!(yours),
        )
        .figure("data-layout-widths", "What it costs to read four bytes of each row", figures::widths)
        .figure("data-layout-distances", "What it costs to add to a counter, with another thread at its own", figures::distances)
        .run()
}
