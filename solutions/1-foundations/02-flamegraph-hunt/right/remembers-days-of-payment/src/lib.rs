//! The statement of payouts: what the marketplace owes each of its sellers, and on which day the bank sends it.

// `#[inline(never)]` stands before each step of the job, cheap or not: what is inlined has no box of its own in a
// profile. Short methods go without it, and count as part of whatever calls them.

use std::collections::{BTreeMap, BTreeSet};

/// What the marketplace keeps of an order, in percent.
const FEE_PERCENT: u64 = 12;
/// How many working days after the delivery the seller is paid. By then an order can no longer be sent back.
const TERM: u32 = 20;

/// The statement for an export of orders, one a line: `2026-03-14,Hop & Barley,3,12.50` is the day of delivery, the
/// seller, how many, and the price of each.
///
/// # Errors
/// What is wrong with the first line that is no such order.
// ANCHOR: statement
pub fn statement(export: &str) -> Result<String, String> {
    let mut orders = Vec::new();
    for (i, line) in export.lines().enumerate() {
        orders.push(parse_order(line).map_err(|what| format!("line {}: {what}", i + 1))?);
    }
    let mut sellers = group(&orders);
    rank(&mut sellers);
    Ok(render(&sellers))
}
// ANCHOR_END: statement

struct Order {
    delivered: Date,
    seller: String,
    cents: u64,
}

struct Seller {
    name: String,
    payouts: BTreeMap<Date, Payout>,
}

/// What one seller is sent on one day.
#[derive(Default)]
struct Payout {
    orders: u64,
    gross: u64,
    fee: u64,
}

#[inline(never)]
fn parse_order(line: &str) -> Result<Order, String> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let [delivered, seller, quantity, price] = fields[..] else {
        return Err(format!("{} fields instead of 4", fields.len()));
    };
    let delivered = Date::from_iso(delivered).ok_or_else(|| format!("there is no day {delivered}"))?;
    let quantity: u16 = quantity.parse().map_err(|_| format!("{quantity} is no quantity"))?;
    let price = parse_cents(price).ok_or_else(|| format!("{price} is no price"))?;
    Ok(Order { delivered, seller: seller.to_string(), cents: u64::from(quantity) * price })
}

/// 12.50 is 1250 cents. There are always two decimals.
#[inline(never)]
fn parse_cents(price: &str) -> Option<u64> {
    let (whole, cents) = price.split_once('.')?;
    let cents = if cents.len() == 2 { cents.parse::<u32>().ok()? } else { return None };
    Some(u64::from(whole.parse::<u32>().ok()?) * 100 + u64::from(cents))
}

/// The orders by seller and day of payment.
#[inline(never)]
fn group(orders: &[Order]) -> Vec<Seller> {
    let mut sellers: BTreeMap<String, BTreeMap<Date, Payout>> = BTreeMap::new();
    // A week has seven days, and a month of orders not many more: each is worked out once.
    let mut payout_days: BTreeMap<Date, Date> = BTreeMap::new();
    for order in orders {
        let payouts = sellers.entry(order.seller.clone()).or_default();
        let day = *payout_days.entry(order.delivered).or_insert_with(|| payout_day(order.delivered));
        let payout = payouts.entry(day).or_default();
        payout.orders += 1;
        payout.gross += order.cents;
        payout.fee += (order.cents * FEE_PERCENT + 50) / 100;
    }
    sellers.into_iter().map(|(name, payouts)| Seller { name, payouts }).collect()
}

/// Largest sum first, then by name.
#[inline(never)]
fn rank(sellers: &mut [Seller]) {
    sellers.sort_by(|a, b| {
        let by_sum = net(b).cmp(&net(a));
        by_sum.then_with(|| a.name.to_lowercase().cmp(&b.name.to_lowercase()))
    });
}

/// All that a seller is sent.
#[inline(never)]
fn net(seller: &Seller) -> u64 {
    seller.payouts.values().map(|payout| payout.gross - payout.fee).sum()
}

#[inline(never)]
fn render(sellers: &[Seller]) -> String {
    let mut text = String::from("Payouts\n");
    for seller in sellers {
        text += &format!("\n{}\n", seller.name);
        for (day, payout) in &seller.payouts {
            let [gross, fee, net] = [payout.gross, payout.fee, payout.gross - payout.fee].map(money);
            let day = format!("{:04}-{:02}-{:02}", day.year, day.month, day.day);
            text += &format!("{day} {:>6} orders {gross:>16} less {fee:>14} is {net:>16}\n", payout.orders);
        }
        text += &format!("{:>81}\n", money(net(seller)));
    }
    let total = sellers.iter().map(net).sum();
    text + &format!("\nTotal {:>75}\n", money(total))
}

/// An amount with separators: 1234567 cents are 12,345.67.
#[inline(never)]
fn money(cents: u64) -> String {
    let mut groups = Vec::new();
    let mut rest = cents / 100;
    while rest >= 1000 {
        groups.insert(0, format!("{:03}", rest % 1000));
        rest /= 1000;
    }
    groups.insert(0, rest.to_string());
    format!("{}.{:02}", groups.join(","), cents % 100)
}

// ANCHOR: days
/// The day on which an order is paid for.
#[inline(never)]
fn payout_day(delivered: Date) -> Date {
    let mut day = delivered;
    let mut left = TERM;
    while left > 0 {
        day = day.day_after();
        if is_working_day(day) {
            left -= 1;
        }
    }
    day
}

#[inline(never)]
fn is_working_day(day: Date) -> bool {
    !is_bank_holiday(day) && !day.is_weekend()
}

/// Whether it is a bank holiday in England and Wales. Those declared for one year only are left out.
#[inline(never)]
fn is_bank_holiday(day: Date) -> bool {
    let year = day.year;
    let easter = easter(year);
    let mut holidays = BTreeSet::from([
        easter.day_before().day_before(),
        easter.day_after(),
        monday_from(Date { year, month: 5, day: 1 }),
        monday_from(Date { year, month: 5, day: 25 }),
        monday_from(Date { year, month: 8, day: 25 }),
    ]);
    for (month, day) in [(1, 1), (12, 25), (12, 26)] {
        let mut holiday = Date { year, month, day };
        // Instead of a day that is free anyway, the next one is.
        while holiday.is_weekend() || !holidays.insert(holiday) {
            holiday = holiday.day_after();
        }
    }
    holidays.contains(&day)
}
// ANCHOR_END: days

/// The first Monday that is not before `day`.
#[inline(never)]
fn monday_from(mut day: Date) -> Date {
    while day.weekday() != 0 {
        day = day.day_after();
    }
    day
}

/// Easter Sunday: the Sunday after the full moon that follows the equinox, by the tables of the Gregorian calendar.
#[inline(never)]
fn easter(year: u32) -> Date {
    let century = year / 100;
    // Days from 21 March to the full moon: it comes 11 days earlier each year and 19 years bring it back, but for
    // corrections once in some centuries.
    let moved = 15 + century - century / 4 - (13 + 8 * century) / 25;
    let moon = (19 * (year % 19) + moved) % 30;
    // The tables keep the full moon from falling on 19 April, or twice within 19 years on 18 April.
    let moon = moon - moon / 29 - u32::from(moon == 28 && year % 19 > 10);
    let full =
        if moon <= 10 { Date { year, month: 3, day: 21 + moon } } else { Date { year, month: 4, day: moon - 10 } };
    let mut day = full.day_after();
    while day.weekday() != 6 {
        day = day.day_after();
    }
    day
}

/// A day of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Date {
    year: u32,
    month: u32,
    day: u32,
}

impl Date {
    /// Reads `2026-03-14`.
    #[inline(never)]
    fn from_iso(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-').map(|part| part.parse().ok());
        let date = Self { year: parts.next()??, month: parts.next()??, day: parts.next()?? };
        let exists = (1583..=9999).contains(&date.year)
            && (1..=12).contains(&date.month)
            && (1..=date.days_in_month()).contains(&date.day);
        exists.then_some(date)
    }

    fn day_after(self) -> Self {
        if self.day < self.days_in_month() {
            Self { day: self.day + 1, ..self }
        } else if self.month < 12 {
            Self { month: self.month + 1, day: 1, ..self }
        } else {
            Self { year: self.year + 1, month: 1, day: 1 }
        }
    }

    fn day_before(self) -> Self {
        if self.day > 1 {
            return Self { day: self.day - 1, ..self };
        }
        let month = if self.month > 1 {
            Self { month: self.month - 1, ..self }
        } else {
            Self { year: self.year - 1, month: 12, ..self }
        };
        Self { day: month.days_in_month(), ..month }
    }

    fn days_in_month(self) -> u32 {
        match self.month {
            4 | 6 | 9 | 11 => 30,
            2 if self.is_leap_year() => 29,
            2 => 28,
            _ => 31,
        }
    }

    fn is_leap_year(self) -> bool {
        self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400))
    }

    /// Monday is 0, Sunday 6.
    #[inline(never)]
    fn weekday(self) -> u32 {
        // Days of the year before each month, when it is no leap year.
        const BEFORE: [u32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let leap_day = u32::from(self.month > 2 && self.is_leap_year());
        let years = self.year - 1;
        let days = BEFORE[self.month as usize - 1] + leap_day + self.day - 1;
        (years + years / 4 - years / 100 + years / 400 + days) % 7
    }

    fn is_weekend(self) -> bool {
        self.weekday() >= 5
    }
}
