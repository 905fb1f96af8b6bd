//! The digest of a day's card payments: per account of the books, what came in, and the largest payments by name.

// `#[inline(never)]` stands before each step of the job, cheap or not: what is inlined has no box of its own in a
// profile.

use std::collections::{BTreeMap, HashSet};

/// How many payments are listed for an account.
const LISTED: usize = 5;

/// A payment, as the provider notified it. The job has them in the order of arrival.
#[derive(Debug, Clone)]
pub struct Payment {
    /// The provider's own number for it. A notification that is delivered again has the same.
    pub id: String,
    /// What the till wrote: `t5 receipt 4021 tip`.
    pub note: String,
    pub cents: u64,
}

/// The digest of `payments`, booked by `rules`. It is made in these three steps; each can be called, and measured, by
/// itself. Their signatures stay as they are.
pub fn digest(payments: &[Payment], rules: &str) -> String {
    let repeats = repeats(payments);
    let accounts = accounts(payments, rules);
    render(payments, &repeats, &accounts)
}

/// For each payment, whether it was notified before.
#[inline(never)]
pub fn repeats(payments: &[Payment]) -> Vec<bool> {
    let mut seen = HashSet::with_capacity(payments.len());
    payments.iter().map(|payment| !seen.insert(payment.id.as_str())).collect()
}

/// For each payment, the account that it is booked to: that of the first rule that fits its note, or `?` if none does.
///
/// A rule is a line such as `t5 * tip = Tips`, where the star stands for anything. Lines without `=` are remarks.
#[inline(never)]
pub fn accounts<'a>(payments: &[Payment], rules: &'a str) -> Vec<&'a str> {
    let rules: Vec<Rule> = rules.lines().filter_map(Rule::parse).collect();
    let account =
        |payment: &Payment| rules.iter().find(|rule| rule.fits(&payment.note)).map_or("?", |rule| rule.account);
    payments.iter().map(account).collect()
}

/// One line of the rules.
struct Rule<'a> {
    /// What a note begins with.
    start: &'a str,
    /// What it ends with, after anything; without a star in the rule, there is nothing after the start.
    end: Option<&'a str>,
    account: &'a str,
}

impl<'a> Rule<'a> {
    #[inline(never)]
    fn parse(line: &'a str) -> Option<Self> {
        let (pattern, account) = line.split_once('=')?;
        let pattern = pattern.trim();
        let (start, end) = pattern.split_once('*').map_or((pattern, None), |(start, end)| (start, Some(end)));
        Some(Self { start, end, account: account.trim() })
    }

    fn fits(&self, note: &str) -> bool {
        match self.end {
            Some(end) => note.strip_prefix(self.start).is_some_and(|rest| rest.ends_with(end)),
            None => note == self.start,
        }
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
    let mut text = String::with_capacity(8_192);
    text += "Payments of the day\n";
    for (name, account) in &books {
        text += &format!("\n{name}: {} payments, {}\n", account.payments, money(account.cents));
        for payment in &account.largest {
            text += &format!("  {:>12}  {}  {}\n", money(payment.cents), payment.id, payment.note);
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
