//! The digest of a day's card payments: per account of the books, what came in, and the largest payments by name.

// `#[inline(never)]` stands before each step of the job, cheap or not: what is inlined has no box of its own in a
// profile.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashMap},
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
    let mut seen = BTreeSet::new();
    payments.iter().map(|payment| !seen.insert(&payment.id)).collect()
}

/// For each payment, the account that it is booked to: that of the first rule that fits, or `?` if none does.
///
/// A rule is a line such as `t5, tip, Tips, to be shared`: the till, the kind, the account. A star stands for any till or
/// kind. Lines with fewer commas are remarks.
#[inline(never)]
pub fn accounts<'a>(payments: &[Payment], rules: &'a str) -> Vec<&'a str> {
    let rules: Vec<Rule> = rules.lines().filter_map(Rule::parse).collect();
    payments.iter().map(|payment| account(payment, &rules)).collect()
}

fn account<'a>(payment: &Payment, rules: &[Rule<'a>]) -> &'a str {
    rules.iter().find(|rule| rule.fits(payment)).map_or("?", |rule| rule.account)
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

/// The text, without the repeats: accounts by name, and for each the payments that are listed, largest first.
#[inline(never)]
pub fn render(payments: &[Payment], repeats: &[bool], accounts: &[&str]) -> String {
    let mut books: HashMap<&str, (u64, u64, BinaryHeap<Listed>)> = HashMap::new();
    for (i, payment) in payments.iter().enumerate().filter(|(i, _)| !repeats[*i]) {
        let (count, cents, largest) = books.entry(accounts[i]).or_default();
        *count += 1;
        *cents += payment.cents;
        let listed = Listed(Reverse(payment.cents), i);
        if largest.len() < LISTED {
            largest.push(listed);
        } else if let Some(mut last) = largest.peek_mut()
            && listed < *last
        {
            *last = listed;
        }
    }
    let mut books: Vec<_> = books.into_iter().collect();
    books.sort_unstable_by_key(|(name, _)| *name);
    let mut text = String::from("Payments of the day\n");
    for (name, (count, cents, largest)) in books {
        text += &format!("\n{name}: {count} payments, {}\n", money(cents));
        for Listed(_, i) in largest.into_sorted_vec() {
            let payment = &payments[i];
            text += &format!("  {:>12}  {}  {} {}\n", money(payment.cents), payment.id, payment.till, payment.kind);
        }
    }
    text
}

/// A payment's place among the listed: larger ones first, then those that came first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Listed(Reverse<u64>, usize);

/// 1250 cents are 12.50.
fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}
