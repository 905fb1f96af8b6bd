//! Invoices as plain text, for the mail that confirms an order.
//!
//! Since the wholesale customers came, some invoices have thousands of lines, and the mail worker spends most of its
//! time in here. Make `render` allocate next to nothing. The text must stay as it is, to the byte.

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

// ANCHOR: render
/// The invoice as text: a head, a row for each line, the sums.
pub fn render(invoice: &Invoice) -> String {
    let mut rows = vec![
        "Invoice ".to_string() + &zeros(invoice.number.to_string(), 8) + "\n",
        "For     ".to_string() + &invoice.customer + "\n\n",
        row("Qty", "Item", "Each", "Amount"),
    ];

    let mut subtotal = 0;
    for line in &invoice.lines {
        let amount = line.quantity * line.unit_cents;
        subtotal += amount;
        rows.push(row(&line.quantity.to_string(), &line.item, &money(line.unit_cents), &money(amount)));
    }

    let vat = (subtotal * invoice.vat_percent + 50) / 100;
    rows.push("\n".to_string());
    rows.push(row("", "", "Subtotal", &money(subtotal)));
    rows.push(row("", "", &format!("VAT {} %", invoice.vat_percent), &money(vat)));
    rows.push(row("", "", "Total", &money(subtotal + vat)));
    rows.concat()
}
// ANCHOR_END: render

// ANCHOR: row
/// One row of the table. Items that are too long are cut.
fn row(quantity: &str, item: &str, each: &str, amount: &str) -> String {
    let item: String = item.chars().take(30).collect();
    left(quantity, 5) + "  " + &right(&item, 30) + &left(each, 14) + &left(amount, 16) + "\n"
}

// ANCHOR_END: row

/// `text` with spaces before it, `width` characters in all.
fn left(text: &str, width: usize) -> String {
    " ".repeat(width.saturating_sub(text.chars().count())) + text
}

/// `text` with spaces after it, `width` characters in all.
fn right(text: &str, width: usize) -> String {
    text.to_string() + &" ".repeat(width.saturating_sub(text.chars().count()))
}

/// `digits` with zeros before it, `width` characters in all.
fn zeros(digits: String, width: usize) -> String {
    "0".repeat(width.saturating_sub(digits.len())) + &digits
}

/// An amount with separators: 1234567 cents are 12,345.67.
fn money(cents: u64) -> String {
    let whole = (cents / 100).to_string();
    let mut separated = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            separated.push(',');
        }
        separated.push(digit);
    }
    separated + "." + &zeros((cents % 100).to_string(), 2)
}
