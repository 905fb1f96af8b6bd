//! Random orders. Macros, because the learner's types and the baseline's are two sets of types with the same fields; from
//! equal seeds they make equal orders of either.

use std::ops::Range;

use harness::Rng;

/// The year that the orders are of: its first second and the one after its last.
pub(crate) const YEAR: Range<u64> = 1_767_225_600..1_798_761_600;
/// What nearly all orders come to less than, in cents; the slider ends here.
pub(crate) const USUAL: u64 = 50_000;

macro_rules! order {
    ($types:ident, $rng:expr) => {{
        let rng: &mut harness::Rng = $rng;
        let address = |rng: &mut harness::Rng| $types::Address {
            name: crate::inputs::name(rng),
            street: format!("{} Street {}", crate::inputs::word(rng), rng.u32(1..300)),
            postcode: rng.u32(10_000..100_000).to_string(),
            city: crate::inputs::word(rng).into(),
            country: ["DE", "FR", "NL", "AT"][rng.usize(..4)].into(),
        };
        let total_cents = crate::inputs::cents(rng);
        $types::Order {
            id: rng.u64(..),
            customer: rng.u64(1..40_000),
            email: format!("{}{}@example.com", crate::inputs::word(rng), rng.u32(..40_000)),
            placed_at: rng.u64(crate::inputs::YEAR),
            status: crate::inputs::status!($types, rng),
            total_cents,
            tax_cents: total_cents / 5,
            shipping: address(rng),
            billing: (rng.u32(..8) == 0).then(|| address(rng)),
            coupon: (rng.u32(..8) == 0).then(|| crate::inputs::word(rng).to_uppercase()),
            note: (rng.u32(..20) == 0).then(|| format!("please ring at {}", crate::inputs::name(rng))),
        }
    }};
}
pub(crate) use order;

/// Most orders are paid or shipped.
macro_rules! status {
    ($types:ident, $rng:expr) => {
        match $rng.u32(..20) {
            0 => $types::Status::Pending,
            1..8 => $types::Status::Paid,
            8..17 => $types::Status::Shipped,
            17..19 => $types::Status::Cancelled,
            _ => $types::Status::Refunded,
        }
    };
}
pub(crate) use status;

/// What an order comes to: mostly little, now and then a wholesaler's.
pub(crate) fn cents(rng: &mut Rng) -> u64 {
    if rng.u32(..500) == 0 { rng.u64(USUAL..=4_000_000_000) } else { rng.u64(100..USUAL) }
}

/// What two sliders leave of `whole`: most of it, as they do most of the time. An index on either helps little then.
pub(crate) fn slid(rng: &mut Rng, whole: &Range<u64>) -> Range<u64> {
    let most = (whole.end - whole.start) / 16;
    whole.start + rng.u64(..most)..whole.end - rng.u64(..most)
}

/// The days, counted from 1970, that lie wholly within some seconds.
pub(crate) fn days(seconds: &Range<u64>) -> Range<u64> {
    seconds.start.div_ceil(86_400)..seconds.end / 86_400
}

pub(crate) fn name(rng: &mut Rng) -> String {
    let [first, last] = [word(rng), word(rng)];
    format!("{first} {last}")
}

pub(crate) fn word(rng: &mut Rng) -> &'static str {
    const WORDS: [&str; 8] = ["almond", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo", "hazel"];
    WORDS[rng.usize(..WORDS.len())]
}
