//! Random exports of orders, as the marketplace writes them: what was delivered in one week. The job gets a month's.

pub(crate) fn export(rng: &mut harness::Rng, orders: usize) -> String {
    const SELLERS: [&str; 6] = ["Anvil Tools", "blue teapot", "Hop & Barley", "Oak & Ash", "paper moon", "Ångström"];
    // Any year and month, so that the feasts that move do, and some payments fall into the next year.
    let (year, month, first) = (rng.u32(1990..2090), rng.u32(1..=12), rng.u32(1..=22));
    let mut line = || {
        let day = first + rng.u32(..7);
        let seller = SELLERS[rng.usize(..SELLERS.len())];
        let (quantity, pounds, pence) = (rng.u32(1..20), rng.u32(..2_000), rng.u32(..100));
        format!("{year}-{month:02}-{day:02},{seller},{quantity},{pounds}.{pence:02}\n")
    };
    (0..orders).map(|_| line()).collect()
}
