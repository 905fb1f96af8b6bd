//! What fast means for `render`: half as fast again as the starter on an invoice of 200 lines.

use std::process::ExitCode;

use allocation_budget as yours;
use harness::Side;

#[path = "baseline.rs"]
mod baseline;
mod inputs;

const LINES: usize = 200;

fn main() -> ExitCode {
    harness::bench!()
        .speed(
            "faster",
            "An allocation costs some 20 to 50 ns, and what it returns is cold memory. Profile it: what is left on the \
             path of every line?",
            Side::new(|rng| inputs::invoice!(baseline, rng, LINES), |invoice| baseline::render(invoice)),
            Side::new(|rng| inputs::invoice!(yours, rng, LINES), |invoice| yours::render(invoice)),
        )
        .run()
}
