//! The digest of a day's card payments: per account of the books, what came in, and the largest payments by name.
//!
//! Finance gets it at six in the morning, made from what the payment provider has notified. Since the merger there are
//! three times as many payments, and the job takes nine times as long. Make it twenty times as fast; the text must stay
//! as it is, to the byte. Keep a log of what you measure in measurements.toml, while you go along.

// `#[inline(never)]` stands before each step of the job, cheap or not: what is inlined has no box of its own in a
// profile.

use std::collections::BTreeMap;

/// How many payments are listed for an account.
const LISTED: usize = 5;

/// A payment, as the provider notified it. The job has them in the order of arrival.
#[derive(Debug, Clone)]
pub struct Payment {
    /// The provider's own number for it. A notification that is delivered again has the same.
    pub id: String,
    /// Where it was made: `t5`.
    pub till: String,
    /// `sale`, `tip` and others.
    pub kind: String,
    pub cents: u64,
}

/// The digest of `payments`, booked by `rules`. It is made in these three steps; each can be called, and measured, by
/// itself. Their signatures stay as they are.
// ANCHOR: digest
pub fn digest(payments: &[Payment], rules: &str) -> String {
    let repeats = repeats(payments);
    let accounts = accounts(payments, rules);
    render(payments, &repeats, &accounts)
}
// ANCHOR_END: digest

/// For each payment, whether it was notified before.
#[inline(never)]
pub fn repeats(payments: &[Payment]) -> Vec<bool> {
    let mut repeats = Vec::new();
    for (i, payment) in payments.iter().enumerate() {
        repeats.push(payments[..i].iter().any(|earlier| earlier.id == payment.id));
    }
    repeats
}

/// For each payment, the account that it is booked to: that of the first rule that fits, or `?` if none does.
///
/// A rule is a line such as `t5, tip, Tips, to be shared`: the till, the kind, the account. A star stands for any till or
/// kind. Lines with fewer commas are remarks.
#[inline(never)]
pub fn accounts<'a>(payments: &[Payment], rules: &'a str) -> Vec<&'a str> {
    payments.iter().map(|payment| account(payment, rules)).collect()
}

#[inline(never)]
fn account<'a>(payment: &Payment, rules: &'a str) -> &'a str {
    let mut fitting = rules.lines().filter_map(Rule::parse).filter(|rule| rule.fits(payment));
    fitting.next().map_or("?", |rule| rule.account)
}

/// One line of the rules.
struct Rule<'a> {
    till: String,
    kind: String,
    account: &'a str,
}

impl<'a> Rule<'a> {
    #[inline(never)]
    fn parse(line: &'a str) -> Option<Self> {
        let fields: Vec<&str> = line.splitn(3, ',').map(str::trim).collect();
        let [till, kind, account] = fields[..] else { return None };
        Some(Self { till: till.to_string(), kind: kind.to_string(), account })
    }

    fn fits(&self, payment: &Payment) -> bool {
        (self.till == "*" || self.till == payment.till) && (self.kind == "*" || self.kind == payment.kind)
    }
}

/// What the digest says of one account.
#[derive(Default)]
struct Account {
    payments: u64,
    cents: u64,
    /// Largest first.
    largest: Vec<Payment>,
}

/// The text, without the repeats: accounts by name, and for each the payments that are listed, largest first.
#[inline(never)]
pub fn render(payments: &[Payment], repeats: &[bool], accounts: &[&str]) -> String {
    let mut books: BTreeMap<String, Account> = BTreeMap::new();
    for (i, payment) in payments.iter().enumerate() {
        if !repeats[i] {
            let account = books.entry(accounts[i].to_string()).or_default();
            account.payments += 1;
            account.cents += payment.cents;
            account.largest = with(&account.largest, payment);
        }
    }
    let mut text = String::from("Payments of the day\n");
    for (name, account) in &books {
        text += &format!("\n{name}: {} payments, {}\n", account.payments, money(account.cents));
        for payment in &account.largest {
            text += &format!("  {:>12}  {}  {} {}\n", money(payment.cents), payment.id, payment.till, payment.kind);
        }
    }
    text
}

/// The list with one more payment in it, if that is one of the largest. Of equal ones, the one that came first is listed
/// first.
#[inline(never)]
fn with(largest: &[Payment], payment: &Payment) -> Vec<Payment> {
    let mut largest = largest.to_vec();
    largest.push(payment.clone());
    largest.sort_by_key(|payment| std::cmp::Reverse(payment.cents));
    largest.truncate(LISTED);
    largest
}

/// 1250 cents are 12.50.
fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}
