//! The digest of a day's card payments: per account of the books, what came in, and the largest payments by name.

use std::collections::HashMap;

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

/// The digest of `payments`, booked by `rules`: in one loop over the payments.
pub fn digest(payments: &[Payment], rules: &str) -> String {
    let (mut first, mut rules) = (First::default(), Rules::parse(rules));
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

/// For each payment, the account that it is booked to: that of the first rule that fits, or `?` if none does.
///
/// A rule is a line such as `t5, tip, Tips, to be shared`: the till, the kind, the account. A star stands for any till or
/// kind. Lines with fewer commas are remarks.
#[inline(never)]
pub fn accounts<'a>(payments: &[Payment], rules: &'a str) -> Vec<&'a str> {
    let mut rules = Rules::parse(rules);
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

/// How often each id was seen.
#[derive(Default)]
struct First<'a> {
    seen: HashMap<&'a str, u32>,
}

impl<'a> First<'a> {
    fn is_first(&mut self, payment: &'a Payment) -> bool {
        let times = self.seen.entry(&payment.id).or_default();
        *times += 1;
        *times == 1
    }
}

/// The rules, and what they said of each till and kind so far.
struct Rules<'p, 'a> {
    rules: Vec<[&'a str; 3]>,
    known: HashMap<(&'p str, &'p str), &'a str>,
}

impl<'p, 'a> Rules<'p, 'a> {
    fn parse(text: &'a str) -> Self {
        let rule = |line: &'a str| <[&str; 3]>::try_from(line.splitn(3, ',').map(str::trim).collect::<Vec<_>>()).ok();
        Self { rules: text.lines().filter_map(rule).collect(), known: HashMap::new() }
    }

    fn account(&mut self, payment: &'p Payment) -> &'a str {
        let (till, kind) = (payment.till.as_str(), payment.kind.as_str());
        *self.known.entry((till, kind)).or_insert_with(|| {
            let fits = |field: &str, value: &str| field == "*" || field == value;
            let mut fitting = self.rules.iter().filter(|rule| fits(rule[0], till) && fits(rule[1], kind));
            fitting.next().map_or("?", |rule| rule[2])
        })
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
                text += &format!("  {:>12}  {}  {} {}\n", money(payment.cents), payment.id, payment.till, payment.kind);
            }
        }
        text
    }
}

/// 1250 cents are 12.50.
fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}
