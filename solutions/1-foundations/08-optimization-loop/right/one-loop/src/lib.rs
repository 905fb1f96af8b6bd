//! The digest of a day's card payments: per account of the books, what came in, and the largest payments by name.

use std::collections::HashMap;

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

/// The digest of `payments`, booked by `rules`: in one loop over the payments.
pub fn digest(payments: &[Payment], rules: &str) -> String {
    let (mut first, rules) = (First::default(), Rules::parse(rules));
    let mut books = Books::default();
    for payment in payments {
        if first.is_first(payment) {
            books.book(rules.account(payment), payment);
        }
    }
    books.text()
}

/// For each payment, whether it was notified before.
#[inline(never)]
pub fn repeats(payments: &[Payment]) -> Vec<bool> {
    let mut first = First::default();
    payments.iter().map(|payment| !first.is_first(payment)).collect()
}

/// For each payment, the account that it is booked to: that of the first rule that fits its note, or `?` if none does.
///
/// A rule is a line such as `t5 * tip = Tips`, where the star stands for anything. Lines without `=` are remarks.
#[inline(never)]
pub fn accounts<'a>(payments: &[Payment], rules: &'a str) -> Vec<&'a str> {
    let rules = Rules::parse(rules);
    payments.iter().map(|payment| rules.account(payment)).collect()
}

/// The text, without the repeats: accounts by name, and for each the payments that are listed, largest first.
#[inline(never)]
pub fn render(payments: &[Payment], repeats: &[bool], accounts: &[&str]) -> String {
    let mut books = Books::default();
    for ((payment, repeat), account) in payments.iter().zip(repeats).zip(accounts) {
        if !repeat {
            books.book(account, payment);
        }
    }
    books.text()
}

/// The ids that were seen, by their last eight bytes, which are mostly enough to tell them apart.
#[derive(Default)]
struct First<'a> {
    seen: HashMap<&'a [u8], Vec<&'a str>>,
}

impl<'a> First<'a> {
    fn is_first(&mut self, payment: &'a Payment) -> bool {
        let id = payment.id.as_str();
        let alike = self.seen.entry(&id.as_bytes()[id.len().saturating_sub(8)..]).or_default();
        let first = !alike.contains(&id);
        if first {
            alike.push(id);
        }
        first
    }
}

/// For each rule, how a note begins, how it ends if there is a star, and the account.
struct Rules<'a>(Vec<(&'a str, Option<&'a str>, &'a str)>);

impl<'a> Rules<'a> {
    fn parse(text: &'a str) -> Self {
        let rule = |line: &'a str| {
            let (pattern, account) = line.split_once('=')?;
            let mut parts = pattern.trim().splitn(2, '*');
            Some((parts.next()?, parts.next(), account.trim()))
        };
        Self(text.lines().filter_map(rule).collect())
    }

    fn account(&self, payment: &Payment) -> &'a str {
        let note = &payment.note;
        for (start, end, account) in &self.0 {
            let fits = match end {
                // The end first: it turns away more notes than the start does.
                Some(end) => note.len() >= start.len() + end.len() && note.ends_with(end) && note.starts_with(start),
                None => note == start,
            };
            if fits {
                return account;
            }
        }
        "?"
    }
}

/// What is booked to each account, in no order until the text is made.
#[derive(Default)]
struct Books<'a> {
    accounts: Vec<Account<'a>>,
}

struct Account<'a> {
    name: &'a str,
    payments: u64,
    cents: u64,
    largest: [Option<&'a Payment>; LISTED],
}

impl<'a> Books<'a> {
    fn book(&mut self, name: &'a str, payment: &'a Payment) {
        // A business has a dozen accounts; a search is as quick as a map.
        let at = self.accounts.iter().position(|account| account.name == name).unwrap_or_else(|| {
            self.accounts.push(Account { name, payments: 0, cents: 0, largest: [None; LISTED] });
            self.accounts.len() - 1
        });
        let account = &mut self.accounts[at];
        account.payments += 1;
        account.cents += payment.cents;
        let after = |listed: &Option<&Payment>| listed.is_none_or(|listed| listed.cents < payment.cents);
        if let Some(place) = account.largest.iter().position(after) {
            account.largest[place..].rotate_right(1);
            account.largest[place] = Some(payment);
        }
    }

    fn text(mut self) -> String {
        self.accounts.sort_unstable_by_key(|account| account.name);
        let mut text = String::from("Payments of the day\n");
        for account in &self.accounts {
            text += &format!("\n{}: {} payments, {}\n", account.name, account.payments, money(account.cents));
            for payment in account.largest.iter().flatten() {
                text += &format!("  {:>12}  {}  {}\n", money(payment.cents), payment.id, payment.note);
            }
        }
        text
    }
}

/// 1250 cents are 12.50.
fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}
