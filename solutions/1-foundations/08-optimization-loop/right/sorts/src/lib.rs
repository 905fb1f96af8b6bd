//! The digest of a day's card payments: per account of the books, what came in, and the largest payments by name.

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
pub fn digest(payments: &[Payment], rules: &str) -> String {
    let repeats = repeats(payments);
    let accounts = accounts(payments, rules);
    render(payments, &repeats, &accounts)
}

/// For each payment, whether it was notified before.
#[inline(never)]
pub fn repeats(payments: &[Payment]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..payments.len()).collect();
    // Equal ids stay in the order in which they came, so that the first of them is no repeat.
    order.sort_by_key(|i| &payments[*i].id);
    let mut repeats = vec![false; payments.len()];
    for pair in order.windows(2) {
        repeats[pair[1]] = payments[pair[0]].id == payments[pair[1]].id;
    }
    repeats
}

/// For each payment, the account that it is booked to: that of the first rule that fits, or `?` if none does.
///
/// A rule is a line such as `t5, tip, Tips, to be shared`: the till, the kind, the account. A star stands for any till or
/// kind. Lines with fewer commas are remarks.
#[inline(never)]
pub fn accounts<'a>(payments: &[Payment], rules: &'a str) -> Vec<&'a str> {
    let mut accounts = vec!["?"; payments.len()];
    let mut left: Vec<usize> = (0..payments.len()).collect();
    for line in rules.lines() {
        let Some((till, rest)) = line.split_once(',') else { continue };
        let Some((kind, account)) = rest.split_once(',') else { continue };
        let [till, kind, account] = [till, kind, account].map(str::trim);
        left.retain(|i| {
            let payment = &payments[*i];
            let fits = (till == "*" || till == payment.till) && (kind == "*" || kind == payment.kind);
            if fits {
                accounts[*i] = account;
            }
            !fits
        });
    }
    accounts
}

/// The text, without the repeats: accounts by name, and for each the payments that are listed, largest first.
#[inline(never)]
pub fn render(payments: &[Payment], repeats: &[bool], accounts: &[&str]) -> String {
    let mut books: BTreeMap<&str, Vec<&Payment>> = BTreeMap::new();
    for ((payment, repeat), account) in payments.iter().zip(repeats).zip(accounts) {
        if !repeat {
            books.entry(account).or_default().push(payment);
        }
    }
    let mut text = String::from("Payments of the day\n");
    for (name, mut booked) in books {
        let cents = booked.iter().map(|payment| payment.cents).sum();
        text += &format!("\n{name}: {} payments, {}\n", booked.len(), money(cents));
        booked.sort_by_key(|payment| std::cmp::Reverse(payment.cents));
        for payment in booked.iter().take(LISTED) {
            text += &format!("  {:>12}  {}  {} {}\n", money(payment.cents), payment.id, payment.till, payment.kind);
        }
    }
    text
}

/// 1250 cents are 12.50.
fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}
