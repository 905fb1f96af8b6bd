//! Invoices as plain text, for the mail that confirms an order.
//!
//! A row begins as 67 spaces in a buffer that all rows share; columns are laid over it, and it is copied into the text.

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

/// Where the columns end, in characters.
const QUANTITY: usize = 5;
const ITEM: std::ops::Range<usize> = 7..37;
const EACH: usize = 51;
const AMOUNT: usize = 67;

/// The invoice as text: a head, a row for each line, the sums.
pub fn render(invoice: &Invoice) -> String {
    let wide = |name: &str| name.len() - name.chars().count();
    let wider: usize = invoice.lines.iter().map(|line| wide(&line.item)).sum();
    let mut text =
        String::with_capacity(40 + invoice.customer.len() + (invoice.lines.len() + 5) * (AMOUNT + 1) + wider);
    let mut row = Row::new();

    text.push_str("Invoice ");
    let number = row.digits(invoice.number.into());
    (number.len()..8).for_each(|_| text.push('0'));
    text.push_str(number);
    text.push_str("\nFor     ");
    text.push_str(&invoice.customer);
    text.push_str("\n\n");
    text.push_str("  Qty  Item                                    Each          Amount\n");

    let mut subtotal = 0;
    for line in &invoice.lines {
        let amount = line.quantity * line.unit_cents;
        subtotal += amount;
        row.clear();
        row.money(EACH, line.unit_cents);
        row.money(AMOUNT, amount);
        let (quantity, rest) = row.split(line.quantity);
        text.push_str(quantity);
        text.push_str("  ");
        let shown = line.item.char_indices().nth(ITEM.len()).map_or(&*line.item, |(end, _)| &line.item[..end]);
        text.push_str(shown);
        text.push_str(&SPACES[..ITEM.len() - shown.chars().count()]);
        text.push_str(rest);
        text.push('\n');
    }

    let vat = (subtotal * invoice.vat_percent + 50) / 100;
    text.push('\n');
    for (label, percent, cents) in
        [("Subtotal", None, subtotal), ("VAT ", Some(invoice.vat_percent), vat), ("Total", None, subtotal + vat)]
    {
        row.clear();
        row.money(AMOUNT, cents);
        let mut end = EACH;
        if let Some(percent) = percent {
            end = row.put(end, b" %");
            end = row.number(end, percent);
        }
        row.put(end, label.as_bytes());
        text.push_str(row.text(0..AMOUNT));
        text.push('\n');
    }
    text
}

const SPACES: &str = "                              ";

/// A row of ASCII, written from the right, and room before it for a quantity that is wider than its column.
struct Row {
    bytes: [u8; AMOUNT],
    quantity: [u8; 20],
}

impl Row {
    fn new() -> Self {
        Self { bytes: [b' '; AMOUNT], quantity: [b' '; 20] }
    }

    fn clear(&mut self) {
        *self = Self::new();
    }

    fn text(&self, part: std::ops::Range<usize>) -> &str {
        std::str::from_utf8(&self.bytes[part]).expect("only ASCII is put there")
    }

    /// Puts `text` before `end`, and says where it begins.
    fn put(&mut self, end: usize, text: &[u8]) -> usize {
        self.bytes[end - text.len()..end].copy_from_slice(text);
        end - text.len()
    }

    fn number(&mut self, mut end: usize, mut value: u64) -> usize {
        loop {
            end = self.put(end, &[b'0' + (value % 10) as u8]);
            value /= 10;
            if value == 0 {
                return end;
            }
        }
    }

    fn money(&mut self, end: usize, cents: u64) {
        let mut end = self.put(end, &[b'.', b'0' + (cents / 10 % 10) as u8, b'0' + (cents % 10) as u8]);
        let mut whole = cents / 100;
        while whole >= 1_000 {
            let digit = |of: u64| b'0' + (whole / of % 10) as u8;
            end = self.put(end, &[b',', digit(100), digit(10), digit(1)]);
            whole /= 1_000;
        }
        self.number(end, whole);
    }

    /// The digits of `value`, for as long as nothing else is put into the row.
    fn digits(&mut self, value: u64) -> &str {
        let start = self.number(AMOUNT, value);
        self.text(start..AMOUNT)
    }

    /// The first column with `quantity` in it, and what is right of the item.
    fn split(&mut self, mut quantity: u64) -> (&str, &str) {
        let mut start = self.quantity.len();
        while quantity > 0 || start == self.quantity.len() {
            start -= 1;
            self.quantity[start] = b'0' + (quantity % 10) as u8;
            quantity /= 10;
        }
        let start = start.min(self.quantity.len() - QUANTITY);
        let column = std::str::from_utf8(&self.quantity[start..]).expect("only ASCII is put there");
        (column, self.text(ITEM.end..AMOUNT))
    }
}
