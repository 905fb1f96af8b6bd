//! What fast means for `statement`: five times the starter's speed. The job gets a month of orders; a week of 600,
//! which `cargo xtask profile` runs on too, is enough to compare by.

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
            "A change to a function gives back no more time than the function had: by Amdahl's law, a share p limits \
             the whole to 1 / (1 - p) times the speed. `cargo xtask profile flamegraph-hunt` draws your code as it is \
             now. Compare that with the drawing of the starter, and look at what is wide in it.",
            Side::new(|rng| inputs::export(rng, ORDERS), |export| baseline::statement(export)),
            Side::new(|rng| inputs::export(rng, ORDERS), |export| yours::statement(export)),
        )
        .run()
}
