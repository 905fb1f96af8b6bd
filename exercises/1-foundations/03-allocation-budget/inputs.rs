//! Random invoices. A macro, because the learner's types and the baseline's are two sets of types with the same fields;
//! from equal seeds it makes equal invoices of either.

macro_rules! invoice {
    ($types:ident, $rng:expr, $lines:expr) => {{
        let rng: &mut harness::Rng = $rng;
        $types::Invoice {
            number: rng.u32(1..1_000_000),
            customer: crate::inputs::words(rng, 2),
            vat_percent: *rng.choice(&[0, 7, 19]).unwrap(),
            lines: (0..$lines)
                .map(|_| $types::Line {
                    quantity: rng.u64(1..50),
                    item: {
                        let words = rng.usize(1..7);
                        crate::inputs::words(rng, words)
                    },
                    unit_cents: rng.u64(1..500_000),
                })
                .collect(),
        }
    }};
}
pub(crate) use invoice;

pub(crate) fn words(rng: &mut harness::Rng, count: usize) -> String {
    const WORDS: [&str; 8] = ["beans", "coffee", "oil", "cream", "tea", "chocolate", "sugar", "roast"];
    let words: Vec<&str> = (0..count).map(|_| WORDS[rng.usize(..WORDS.len())]).collect();
    words.join(" ")
}
