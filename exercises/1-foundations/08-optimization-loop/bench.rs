//! What fast means for `digest`: twenty times the starter's speed. Also measures the steps that measurements.toml speaks
//! of, and the example of the chapter.

use std::process::ExitCode;

use harness::{Side, Step};
use optimization_loop as yours;

#[path = "baseline.rs"]
mod baseline;
mod example;
mod inputs;

const PAYMENTS: usize = 4_000;

/// The digest of a day.
macro_rules! digest {
    ($types:ident) => {
        Side::new(
            |rng| (inputs::rules(rng), inputs::payments!($types, rng, PAYMENTS)),
            |(rules, payments)| $types::digest(payments, rules),
        )
    };
}

macro_rules! repeats {
    ($types:ident) => {
        Side::new(|rng| inputs::payments!($types, rng, PAYMENTS), |payments| $types::repeats(payments))
    };
}

/// Of the accounts only the sum of their lengths: they are borrowed from the rules, which are the input.
macro_rules! accounts {
    ($types:ident) => {
        Side::new(
            |rng| (inputs::rules(rng), inputs::payments!($types, rng, PAYMENTS)),
            |(rules, payments)| $types::accounts(payments, rules).iter().map(|account| account.len()).sum::<usize>(),
        )
    };
}

macro_rules! render {
    ($types:ident) => {
        Side::new(
            |rng| {
                let payments = inputs::payments!($types, rng, PAYMENTS);
                let repeats: Vec<bool> = payments.iter().map(|_| rng.u32(..100) < 3).collect();
                (inputs::accounts(rng, PAYMENTS), repeats, payments)
            },
            |(accounts, repeats, payments)| $types::render(payments, repeats, accounts),
        )
    };
}

fn main() -> ExitCode {
    harness::bench!()
        .speed(
            "twenty-times-faster",
            "Twenty times leaves the whole a twentieth, so no step may keep more than that: two that are mended do not \
             make up for a third. `cargo xtask bench optimization-loop -- steps` says which step has the largest share of \
             what is left, and Amdahl's law what it can give.",
            digest!(baseline),
            digest!(yours),
        )
        .measurements(
            "measured",
            include_str!("src/measurements.toml"),
            vec![
                Step::new("repeats", repeats!(baseline), repeats!(yours)),
                Step::new("accounts", accounts!(baseline), accounts!(yours)),
                Step::new("render", render!(baseline), render!(yours)),
            ],
        )
        .example("export-with-format", |seed| example::run(seed, example::with_format))
        .example("export-with-write", |seed| example::run(seed, example::with_write))
        .figure("optimization-loop-changes", "What two changes could give, and what they gave", example::changes)
        .run()
}
