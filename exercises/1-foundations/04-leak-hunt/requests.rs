//! Random requests: who sends which, drawn before anything is counted.

use harness::Rng;

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

/// A request of a customer who may open a tab.
pub(crate) struct Visit {
    pub(crate) token: u64,
    /// Who has signed out just before.
    pub(crate) left: Option<u64>,
    pub(crate) opens_tab: bool,
    pub(crate) notice: bool,
}

/// Requests of so many customers at a time, of whom a fifth stay all along and the others come and go.
pub(crate) fn visits(rng: &mut Rng, customers: usize, count: usize) -> Vec<Visit> {
    let mut signed_in: Vec<u64> = (0..customers).map(|_| rng.u64(..)).collect();
    let stay = customers / 5;
    let mut request = |i| {
        // At first everybody comes once: then as many are signed in as ever will be.
        let at = if i < customers { i } else { rng.usize(..customers) };
        let leaves = i >= customers && at >= stay && rng.u32(..10) == 0;
        let left = leaves.then(|| std::mem::replace(&mut signed_in[at], rng.u64(..)));
        Visit { token: signed_in[at], left, opens_tab: rng.u32(..4) == 0, notice: rng.u32(..200) == 0 }
    };
    (0..count).map(&mut request).collect()
}
