//! Invoices as plain text, for the mail that confirms an order.
//!
//! Everything is pushed into one String, character by character, without the formatting machinery.

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
    let names = invoice.customer.len() + invoice.lines.iter().map(|line| line.item.len()).sum::<usize>();
    // The shortest item leaves 30 spaces, and a row has 38 characters besides.
    let mut text = String::with_capacity(64 + 5 * 68 + 68 * invoice.lines.len() + names / 4);

    text.push_str("Invoice ");
    let number = Number::new(invoice.number.into(), 0);
    repeat(&mut text, '0', 8_usize.saturating_sub(number.len()));
    number.push(&mut text);
    text.push_str("\nFor     ");
    text.push_str(&invoice.customer);
    text.push_str("\n\n");
    words(&mut text, "Qty", "Item", "Each");
    right(&mut text, 16, "Amount");
    text.push('\n');

    let mut subtotal = 0;
    for line in &invoice.lines {
        let amount = line.quantity * line.unit_cents;
        subtotal += amount;
        padded(&mut text, 5, &Number::new(line.quantity, 0));
        text.push_str("  ");
        left(&mut text, 30, &line.item);
        padded(&mut text, 14, &Number::new(line.unit_cents, 2));
        padded(&mut text, 16, &Number::new(amount, 2));
        text.push('\n');
    }

    let vat = (subtotal * invoice.vat_percent + 50) / 100;
    text.push('\n');
    for (label, cents) in [("Subtotal", subtotal), ("VAT", vat), ("Total", subtotal + vat)] {
        repeat(&mut text, ' ', 37);
        if label == "VAT" {
            let percent = Number::new(invoice.vat_percent, 0);
            repeat(&mut text, ' ', 14_usize.saturating_sub("VAT  %".len() + percent.len()));
            text.push_str("VAT ");
            percent.push(&mut text);
            text.push_str(" %");
        } else {
            right(&mut text, 14, label);
        }
        padded(&mut text, 16, &Number::new(cents, 2));
        text.push('\n');
    }
    text
}

/// The first three columns of the heading.
fn words(text: &mut String, quantity: &str, item: &str, each: &str) {
    right(text, 5, quantity);
    text.push_str("  ");
    left(text, 30, item);
    right(text, 14, each);
}

fn repeat(text: &mut String, character: char, times: usize) {
    text.extend(std::iter::repeat_n(character, times));
}

/// `word`, which is ASCII, at the right end of its column.
fn right(text: &mut String, width: usize, word: &str) {
    repeat(text, ' ', width.saturating_sub(word.len()));
    text.push_str(word);
}

/// `name` at the left end of its column, cut if it is too long.
fn left(text: &mut String, width: usize, name: &str) {
    let mut room = width;
    for character in name.chars().take(width) {
        text.push(character);
        room -= 1;
    }
    repeat(text, ' ', room);
}

fn padded(text: &mut String, width: usize, number: &Number) {
    repeat(text, ' ', width.saturating_sub(number.len()));
    number.push(text);
}

/// The digits of a number, from the last to the first, with separators if it is an amount.
struct Number {
    reversed: [u8; 28],
    len: usize,
}

impl Number {
    fn new(mut value: u64, decimals: usize) -> Self {
        let mut number = Self { reversed: [0; 28], len: 0 };
        for place in 0.. {
            if value == 0 && place > decimals {
                break;
            }
            if decimals > 0 && place == decimals {
                number.add(b'.');
            } else if decimals > 0 && place > decimals && (place - decimals).is_multiple_of(3) {
                number.add(b',');
            }
            number.add(b'0' + (value % 10) as u8);
            value /= 10;
            if value == 0 && place >= decimals {
                break;
            }
        }
        number
    }

    fn add(&mut self, byte: u8) {
        self.reversed[self.len] = byte;
        self.len += 1;
    }

    fn len(&self) -> usize {
        self.len
    }

    fn push(&self, text: &mut String) {
        text.extend(self.reversed[..self.len].iter().rev().map(|byte| char::from(*byte)));
    }
}
