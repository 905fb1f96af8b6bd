//! Random requests, and customers to answer them with. A macro where the learner's types and the baseline's differ.

use harness::Rng;

/// Sessions that there is room for.
pub(crate) const CAPACITY: usize = 300;

/// Which tokens a day of requests comes with. A quarter of `capacity` are regulars, who order all day. Everybody else
/// signs in, asks often at first and then less and less, and never comes back.
pub(crate) fn requests(rng: &mut Rng, capacity: usize, count: usize) -> Vec<u64> {
    let regulars: Vec<u64> = (0..capacity / 4).map(|_| rng.u64(..)).collect();
    let mut others = vec![rng.u64(..)];
    let active = capacity * 2 / 5;
    let mut next = || match rng.f64() {
        ..0.3 => regulars[rng.usize(..regulars.len())],
        0.3..0.38 => {
            others.push(rng.u64(..));
            others[others.len() - 1]
        }
        _ => {
            // The cube makes the latest the likeliest by far.
            let back = (rng.f64().powi(3) * active.min(others.len()) as f64) as usize;
            others[others.len() - 1 - back]
        }
    };
    (0..count).map(|_| next()).collect()
}

/// The customer whose token it is, with agreed prices for as many articles.
macro_rules! customer {
    ($types:ident, $token:expr, $articles:expr) => {{
        let id = crate::inputs::id($token);
        $types::Customer { id, name: format!("Customer {id}"), prices: vec![id as u32; $articles] }
    }};
}
pub(crate) use customer;

/// Which customer signed in with a token.
pub(crate) fn id(token: u64) -> u64 {
    token % 1_000_003
}
