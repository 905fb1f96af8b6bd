//! What fast means for `statement`: five times the starter's speed on a week of 600 orders.

use std::process::ExitCode;

use flamegraph_hunt as yours;
use harness::Side;

#[path = "baseline.rs"]
mod baseline;
mod inputs;

const ORDERS: usize = 600;

fn main() -> ExitCode {
    harness::bench!()
        .speed(
            "five-times-faster",
            "All but one function together are about a tenth of the starter's time, so that one decides. Making its work \
             quicker gives a part of what not doing it gives: over a whole export, how often is it called, and how many \
             different things does it work out?",
            Side::new(|rng| inputs::export(rng, ORDERS), |export| baseline::statement(export)),
            Side::new(|rng| inputs::export(rng, ORDERS), |export| yours::statement(export)),
        )
        .run()
}
