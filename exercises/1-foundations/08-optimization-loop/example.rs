//! The example of the chapter: orders leave the house as lines of text, each with a checksum at its end.

use std::fmt::Write;

use harness::{Rng, Side, Step, evidence::Figure};

/// What makes a checksum, and what writes a line, so that each can be exchanged.
type Checksum = fn(&str) -> u32;
type Line = fn(&mut String, &str, u32);

// ANCHOR: export
/// The orders as text: first all checksums, then all lines.
pub(crate) fn export(orders: &[String], checksum: Checksum, line: Line) -> String {
    let sums: Vec<u32> = orders.iter().map(|order| checksum(order)).collect();
    let mut text = String::new();
    for (order, sum) in orders.iter().zip(sums) {
        line(&mut text, order, sum);
    }
    text
}

#[inline(never)]
pub(crate) fn with_format(text: &mut String, order: &str, sum: u32) {
    text.push_str(&format!("{order},{sum:08x}\n"));
}

/// The CRC-32 that zip files have.
#[inline(never)]
pub(crate) fn bit_by_bit(order: &str) -> u32 {
    let mut sum = !0;
    for byte in order.bytes() {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            let odd = sum & 1 == 1;
            sum >>= 1;
            if odd {
                sum ^= 0xedb8_8320;
            }
        }
    }
    !sum
}
// ANCHOR_END: export

// ANCHOR: write
#[inline(never)]
pub(crate) fn with_write(text: &mut String, order: &str, sum: u32) {
    writeln!(text, "{order},{sum:08x}").expect("a String takes any text");
}
// ANCHOR_END: write

// ANCHOR: table
/// What the eight steps make of each byte.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            let odd = sum & 1 == 1;
            sum >>= 1;
            if odd {
                sum ^= 0xedb8_8320;
            }
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};

#[inline(never)]
pub(crate) fn by_table(order: &str) -> u32 {
    let mut sum = !0;
    for byte in order.bytes() {
        sum = sum >> 8 ^ TABLE[(sum as u8 ^ byte) as usize];
    }
    !sum
}
// ANCHOR_END: table

fn orders(rng: &mut Rng) -> Vec<String> {
    let order = |rng: &mut Rng| {
        let (number, day, cents) = (rng.u32(..1_000_000), rng.u32(1..29), rng.u32(100..100_000));
        format!("{number:06},2026-11-{day:02},Hop & Barley,3,{}.{:02}", cents / 100, cents % 100)
    };
    (0..500).map(|_| order(rng)).collect()
}

/// Not inlined, and named so that a flamegraph leaves it out.
#[inline(never)]
fn prepare_all(seed: u64) -> Vec<String> {
    orders(&mut Rng::with_seed(seed))
}

/// What is drawn as a flamegraph.
pub(crate) fn run(seed: u64, line: Line) {
    let orders = prepare_all(seed);
    for _ in 0..20 {
        std::hint::black_box(export(&orders, bit_by_bit, line));
    }
}

/// Each change by itself: what the share of its step allows, and what was measured.
pub(crate) fn changes() -> Figure {
    let checksums =
        |checksum: Checksum| Side::new(orders, move |orders| orders.iter().fold(0, |all, order| all ^ checksum(order)));
    let lines = |line: Line| {
        Side::new(orders, move |orders| {
            let mut text = String::new();
            orders.iter().for_each(|order| line(&mut text, order, 7));
            text
        })
    };
    let whole = |checksum: Checksum, line: Line| Side::new(orders, move |orders| export(orders, checksum, line));
    let measured = harness::compare(&[
        Step::new("a table for the checksum", checksums(bit_by_bit), checksums(by_table)),
        Step::new("write! instead of format!", lines(with_format), lines(with_write)),
        Step::new("all with the table", whole(bit_by_bit, with_format), whole(by_table, with_format)),
        Step::new("all with write!", whole(bit_by_bit, with_format), whole(bit_by_bit, with_write)),
    ]);
    let (steps, wholes) = measured.split_at(2);
    let rows = steps.iter().zip(wholes).map(|(step, whole)| {
        let share = step.before / whole.before;
        let expected = 1.0 / (1.0 - share + share / step.times_as_fast);
        let mut row = vec![step.name.to_owned(), format!("{:.0} %", 100.0 * share)];
        row.extend(
            [1.0 / (1.0 - share), step.times_as_fast, expected, whole.times_as_fast].map(|x| format!("{x:.2} x")),
        );
        row
    });
    let columns = ["change", "step's share", "limit", "step", "whole, expected", "whole, measured"];
    Figure::Table { columns: columns.map(String::from).to_vec(), rows: rows.collect() }
}
