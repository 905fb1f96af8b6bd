//! What correct means for `render`: the same text, from next to no allocations.

use std::process::ExitCode;

use allocation_budget as yours;
use harness::{Outcome, Trial};

#[path = "baseline.rs"]
mod baseline;
mod inputs;

fn main() -> ExitCode {
    harness::checks!()
        .check("text-unchanged", text_unchanged)
        .check("awkward-invoices", awkward_invoices)
        .check("allocations", allocations)
        .check("peak-memory", peak_memory)
        .run()
}

fn text_unchanged(t: &mut Trial) -> Outcome {
    for lines in [0, 1, 2, 7, 200] {
        let [mut same, mut seed] = [t.rng.clone(), t.rng.clone()];
        let expected = baseline::render(&inputs::invoice!(baseline, &mut same, lines));
        let invoice = inputs::invoice!(yours, &mut seed, lines);
        t.expect(format!("an invoice of {lines} lines"), yours::render(&invoice)).reads(&expected)?;
        t.rng = seed;
    }
    Ok(())
}

fn awkward_invoices(t: &mut Trial) -> Outcome {
    let line = |quantity, item: &str, unit_cents| yours::Line { quantity, item: item.into(), unit_cents };
    let invoice = yours::Invoice {
        number: 42,
        customer: "Zoë".into(),
        vat_percent: 19,
        lines: vec![
            line(1, "Ünïcödé läßt sich nicht in Bytes zählen", 5),
            line(0, "", 100),
            line(123, "exactly thirty characters long", 100_000_000),
            line(12_345_678, "crème brûlée", 1),
        ],
    };
    let expected = "\
Invoice 00000042
For     Zoë

  Qty  Item                                    Each          Amount
    1  Ünïcödé läßt sich nicht in Byt          0.05            0.05
    0                                          1.00            0.00
  123  exactly thirty characters long  1,000,000.00  123,000,000.00
12345678  crème brûlée                            0.01      123,456.78

                                           Subtotal  123,123,456.83
                                           VAT 19 %   23,393,456.80
                                              Total  146,516,913.63
";
    t.expect("an invoice with awkward lines", yours::render(&invoice)).reads(expected)
}

fn allocations(t: &mut Trial) -> Outcome {
    const LINES: u64 = 1_000;
    let invoice = inputs::invoice!(yours, &mut t.rng, LINES);
    let (heap, _) = harness::heap(|| yours::render(&invoice));
    let advice = match heap.allocations / LINES {
        0 => "The buffer grows while you write: ask for its whole capacity at once.",
        1..8 => {
            "That is some for each line: `format!` makes a new String and grows it piece by piece, even when `push_str` \
             throws it away a moment later. `write!` puts the same text straight into the buffer."
        }
        _ => {
            "Every function that returns a String allocates one, and so does each `repeat`, `to_string` and `collect`. \
              Let them write into the buffer that they are given."
        }
    };
    t.measure(heap.allocations as f64, advice)
}

fn peak_memory(t: &mut Trial) -> Outcome {
    let invoice = inputs::invoice!(yours, &mut t.rng, 1_000);
    let (heap, text) = harness::heap(|| yours::render(&invoice));
    let ratio = heap.peak_bytes as f64 / text.len() as f64;
    let advice = if (2.0..4.0).contains(&ratio) {
        "The rows and the text that is made of them are held at the same time. Write each row straight into the text."
    } else {
        "A buffer that doubles when it is full ends up to twice as large as its content, and a guess that is always enough \
         is mostly too much. The length can be computed from the invoice."
    };
    t.measure(ratio, advice)
}
