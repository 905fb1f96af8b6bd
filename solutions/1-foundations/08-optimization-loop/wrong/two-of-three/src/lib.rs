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
    /// Where it was made: `t5`.
    pub till: String,
    /// `sale`, `tip` and others.
    pub kind: String,
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

/// For each payment, the account that it is booked to: that of the first rule that fits, or `?` if none does.
///
/// A rule is a line such as `t5, tip, Tips, to be shared`: the till, the kind, the account. A star stands for any till or
/// kind. Lines with fewer commas are remarks.
#[inline(never)]
pub fn accounts<'a>(payments: &[Payment], rules: &'a str) -> Vec<&'a str> {
    let rules: Vec<Rule> = rules.lines().filter_map(Rule::parse).collect();
    let account = |payment| rules.iter().find(|rule| rule.fits(payment)).map_or("?", |rule| rule.account);
    payments.iter().map(account).collect()
}

/// One line of the rules.
struct Rule<'a> {
    /// `None` fits any.
    till: Option<&'a str>,
    kind: Option<&'a str>,
    account: &'a str,
}

impl<'a> Rule<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(3, ',').map(str::trim);
        let (till, kind, account) = (fields.next()?, fields.next()?, fields.next()?);
        let unless_star = |field| Some(field).filter(|field| *field != "*");
        Some(Self { till: unless_star(till), kind: unless_star(kind), account })
    }

    fn fits(&self, payment: &Payment) -> bool {
        self.till.is_none_or(|till| till == payment.till) && self.kind.is_none_or(|kind| kind == payment.kind)
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
