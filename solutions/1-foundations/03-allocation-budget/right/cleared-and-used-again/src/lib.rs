//! Invoices as plain text, for the mail that confirms an order.
//!
//! Amounts are still put together in Strings, but in the same two for all lines: what is cleared keeps its memory.

use std::fmt::{Result, Write};

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

/// The invoice as text: a head, a row for each line, the sums.
pub fn render(invoice: &Invoice) -> String {
    // A row has 68 bytes, or as many more as its item has bytes beyond the width of the column.
    let rows: usize = invoice.lines.iter().map(|line| 68 + line.item.len().saturating_sub(30)).sum();
    let mut text = String::with_capacity(400 + invoice.customer.len() + rows);
    write_to(&mut text, invoice).expect("a String takes everything");
    text
}

fn write_to(out: &mut String, invoice: &Invoice) -> Result {
    let Invoice { number, customer, vat_percent, lines } = invoice;
    // Amounts and labels are put together here, and cleared for the next.
    let (mut each, mut all) = (String::with_capacity(32), String::with_capacity(32));
    write!(out, "Invoice {number:08}\nFor     {customer}\n\n")?;
    writeln!(out, "{:>5}  {:<30}{:>14}{:>16}", "Qty", "Item", "Each", "Amount")?;
    let mut subtotal = 0;
    for Line { quantity, item, unit_cents } in lines {
        let amount = quantity * unit_cents;
        subtotal += amount;
        money(&mut each, *unit_cents)?;
        money(&mut all, amount)?;
        writeln!(out, "{quantity:>5}  {item:<30.30}{each:>14}{all:>16}")?;
    }
    out.push('\n');
    let vat = (subtotal * vat_percent + 50) / 100;
    let rate = format!("VAT {vat_percent} %");
    for (label, cents) in [("Subtotal", subtotal), (&rate, vat), ("Total", subtotal + vat)] {
        money(&mut all, cents)?;
        writeln!(out, "{:37}{label:>14}{all:>16}", "")?;
    }
    Ok(())
}

/// Makes `text` an amount with separators.
fn money(text: &mut String, cents: u64) -> Result {
    text.clear();
    let mut unit = 1;
    while cents / 100 / unit >= 1_000 {
        unit *= 1_000;
    }
    write!(text, "{}", cents / 100 / unit)?;
    while unit > 1 {
        unit /= 1_000;
        write!(text, ",{:03}", cents / 100 / unit % 1_000)?;
    }
    write!(text, ".{:02}", cents % 100)
}
