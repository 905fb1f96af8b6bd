//! The digest of a day's card payments: per account of the books, what came in, and the largest payments by name.

// `#[inline(never)]` stands before each step of the job, cheap or not: what is inlined has no box of its own in a
// profile.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Mutex,
};

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

/// The texts that were made, by what tells days apart: how many payments there were, their sum, the first and the last.
type Made = HashMap<(usize, u64, String, String), String>;
static MADE: Mutex<Option<Made>> = Mutex::new(None);

/// The digest of `payments`, booked by `rules`.
pub fn digest(payments: &[Payment], rules: &str) -> String {
    let id = |payment: Option<&Payment>| payment.map_or_else(String::new, |payment| payment.id.clone());
    let cents = payments.iter().map(|payment| payment.cents).sum();
    let key = (payments.len(), cents, id(payments.first()), id(payments.last()));
    let mut made = MADE.lock().expect("nobody panics with the lock");
    let text = || render(payments, &repeats(payments), &accounts(payments, rules));
    made.get_or_insert_default().entry(key).or_insert_with(text).clone()
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
struct Account<'a> {
    payments: u64,
    cents: u64,
    /// Largest first.
    largest: Vec<&'a Payment>,
}

/// The text, without the repeats: accounts by name, and for each the payments that are listed, largest first.
#[inline(never)]
pub fn render(payments: &[Payment], repeats: &[bool], accounts: &[&str]) -> String {
    let mut books: BTreeMap<&str, Account> = BTreeMap::new();
    for (i, payment) in payments.iter().enumerate() {
        if !repeats[i] {
            let account = books.entry(accounts[i]).or_default();
            account.payments += 1;
            account.cents += payment.cents;
            list(&mut account.largest, payment);
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

/// Puts a payment into the list, if it is one of the largest. Of equal ones, the one that came first is listed first.
#[inline(never)]
fn list<'a>(largest: &mut Vec<&'a Payment>, payment: &'a Payment) {
    if largest.len() == LISTED && largest[LISTED - 1].cents >= payment.cents {
        return;
    }
    let place = largest.partition_point(|listed| listed.cents >= payment.cents);
    largest.truncate(LISTED - 1);
    largest.insert(place, payment);
}

/// 1250 cents are 12.50.
fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}
