//! What correct means: the same totals, every order whole, and counters that no two loaders have to share a line for.

use std::{collections::BTreeMap, ops::Range, process::ExitCode, sync::atomic::Ordering::Relaxed, thread};

use data_layout::{self as yours, Progress};
use harness::{Failed, Outcome, Rng, Trial};

#[path = "baseline.rs"]
#[expect(dead_code, reason = "its totals are compared with, and nothing else")]
mod baseline;
mod inputs;
use inputs::{USUAL, YEAR, days, slid};

fn main() -> ExitCode {
    harness::checks!()
        .check("same-totals", same_totals)
        .check("whole-orders", whole_orders)
        .check("counters-add-up", counters_add_up)
        .check("own-lines", own_lines)
        .run()
}

fn same_totals(t: &mut Trial) -> Outcome {
    let empty = (yours::Orders::new(), baseline::Orders::new());
    compare(&empty, &YEAR, &(0..u64::MAX))?;
    let mut many = Both::default();
    for count in [1, 2, 50, 3_000] {
        // Asked, added to, and asked again: an answer that was kept is out of date.
        while many.0.count() < count {
            push_both(&mut many, &mut t.rng, |_| {});
        }
        for _ in 0..3 {
            compare(&many, &slid(&mut t.rng, &YEAR), &slid(&mut t.rng, &(0..USUAL)))?;
        }
        // Sliders exactly on an order: the lower one counts it, the upper one does not.
        let (at, sum) = many.1.get(t.rng.usize(..count)).map(|order| (order.placed_at, order.total_cents)).unwrap();
        for placed in [at..YEAR.end, YEAR.start..at, at..at + 1, at + 1..YEAR.end, at..at] {
            compare(&many, &placed, &(0..u64::MAX))?;
        }
        for cents in [sum..u64::MAX, 0..sum, sum..sum + 1, sum + 1..u64::MAX, sum..sum] {
            compare(&many, &YEAR, &cents)?;
        }
    }
    // As large and as late as orders are.
    let mut extreme = Both::default();
    for place in 0..40 {
        push_both(&mut extreme, &mut t.rng, |order| {
            order.total_cents = [0, 1, u64::from(u32::MAX) / 2, yours::LARGEST - 1, yours::LARGEST][place % 5];
            order.placed_at = [0, 1, yours::LATEST - 1][place % 3];
        });
    }
    for placed in [0..1, 1..u64::MAX, yours::LATEST - 1..yours::LATEST, 0..1 << 32, 1 << 32..1 << 33, 1 << 33..u64::MAX]
    {
        for cents in [0..u64::MAX, yours::LARGEST..u64::MAX, 0..yours::LARGEST, 1 << 32..1 << 33, 0..(1 << 32) + 1] {
            compare(&extreme, &placed, &cents)?;
        }
    }
    Ok(())
}

/// The learner's store and the baseline's, with the same orders.
type Both = (yours::Orders, baseline::Orders);

fn push_both(both: &mut Both, rng: &mut Rng, change: impl Fn(&mut yours::Order)) {
    let mut same = rng.clone();
    let mut order = inputs::order!(yours, rng);
    let mut twin = inputs::order!(baseline, &mut same);
    change(&mut order);
    (twin.placed_at, twin.total_cents) = (order.placed_at, order.total_cents);
    both.0.push(order);
    both.1.push(twin);
}

fn compare(both: &Both, placed: &Range<u64>, cents: &Range<u64>) -> Outcome {
    let which = || format!("of {} orders, those placed from {placed:?} that came to {cents:?} cents", both.1.count());
    let sums = both.0.by_status(placed.clone(), cents.clone());
    same_sums(&both.1.by_status(placed.clone(), cents.clone()), &sums, || format!("by_status, {}", which()))?;
    // Not those of all time: each day has a place in the result.
    let days = days(placed);
    let days = days.start..days.end.min(days.start.saturating_add(400));
    let by_day = both.0.by_day(days.clone(), cents.clone());
    let expected = both.1.by_day(days.clone(), cents.clone());
    if by_day.len() != expected.len() {
        let what = format!("by_day, {}: it gives {} days, not {}", which(), by_day.len(), expected.len());
        return Err(Failed::because(what));
    }
    for (day, (sums, expected)) in days.zip(by_day.iter().zip(&expected)) {
        same_sums(expected, sums, || format!("by_day, {}: day {day}", which()))?;
    }
    Ok(())
}

fn same_sums(expected: &[u64; 5], sums: &[u64; 5], which: impl Fn() -> String) -> Outcome {
    let Some((expected, sum)) = expected.iter().zip(sums).find(|(expected, sum)| expected != sum) else {
        return Ok(());
    };
    let why = if *sum == expected % (1 << 32) {
        " It is that less a multiple of 2 to the power of 32: one amount fits a u32, and a sum of them does not."
    } else if *expected > 1_000 && expected.abs_diff(*sum) < expected / 1_000 {
        " That is close, but money is counted and not measured: an f32 holds seven digits, and what is smaller gets lost \
         on the way. Narrow columns need wide sums."
    } else {
        ""
    };
    Err(Failed::because(format!("{}: expected {expected} cents, got {sum}.{why}", which())))
}

fn whole_orders(t: &mut Trial) -> Outcome {
    let mut orders = yours::Orders::new();
    let mut pushed: Vec<_> = (0..200).map(|_| inputs::order!(yours, &mut t.rng)).collect();
    let nobody = || yours::Address {
        name: String::new(),
        street: "Größe 7, \n c/o Zoë".into(),
        postcode: " 0 ".into(),
        city: "x".repeat(70_000),
        country: "\0".into(),
    };
    for (place, order) in pushed.iter_mut().enumerate().filter(|(place, _)| place % 9 == 0) {
        order.id = [0, u64::MAX][place % 2];
        order.customer = u64::MAX - order.customer;
        order.placed_at = [0, yours::LATEST - 1][place % 2];
        order.total_cents = [yours::LARGEST, 0][place % 2];
        order.tax_cents = u64::MAX;
        order.shipping = nobody();
        order.billing = Some(nobody());
        (order.coupon, order.note) = (Some(String::new()), Some(" ".into()));
    }
    pushed.iter().for_each(|order| orders.push(order.clone()));
    t.expect("the count of 200 orders", orders.count()).equals(200)?;
    t.expect("what is behind the last of them", orders.get(200)).equals(None)?;
    for place in (0..200).chain([3, 0, 199]) {
        let Some(got) = orders.get(place) else {
            return Err(Failed::because(format!("of 200 orders, get({place}) gives none")));
        };
        let pushed = &pushed[place];
        let fields = [
            ("id", got.id == pushed.id),
            ("customer", got.customer == pushed.customer),
            ("email", got.email == pushed.email),
            ("placed_at", got.placed_at == pushed.placed_at),
            ("status", got.status == pushed.status),
            ("total_cents", got.total_cents == pushed.total_cents),
            ("tax_cents", got.tax_cents == pushed.tax_cents),
            ("shipping", got.shipping == pushed.shipping),
            ("billing", got.billing == pushed.billing),
            ("coupon", got.coupon == pushed.coupon),
            ("note", got.note == pushed.note),
        ];
        if let Some((field, _)) = fields.iter().find(|(_, same)| !same) {
            return Err(Failed::because(format!(
                "get({place}): `{field}` is not what was pushed. What no total reads must be out of their way, and still \
                 be there when somebody clicks on the order."
            )));
        }
    }
    Ok(())
}

fn counters_add_up(t: &mut Trial) -> Outcome {
    // Two at once: counters belong to their Progress, not to the program.
    let other = Progress::new(2);
    counted(&other, 2, 7)?;
    for loaders in [0, 1, 2, 3, 8, 33] {
        let progress = Progress::new(loaders);
        let rounds = t.rng.u64(100..1_000);
        counted(&progress, loaders, rounds)?;
        let orders: u64 = (1..=loaders as u64).map(|number| number * rounds).sum();
        let cents = orders * 10_000_000_000;
        t.expect(format!("the total of {loaders} loaders"), progress.total()).equals((orders, cents))?;
    }
    t.expect("the total of another Progress meanwhile", other.total()).equals((21, 210_000_000_000))
}

/// Lets each loader add to its counters in a thread of its own, `rounds` times its number from 1, as loaders do. These
/// are the counters that the other checks look at, so they had better be the real ones. The addresses of both, as each
/// thread saw them.
fn counted(progress: &Progress, loaders: usize, rounds: u64) -> Result<Vec<[usize; 2]>, Failed> {
    let places: Vec<[usize; 2]> = thread::scope(|scope| {
        let threads: Vec<_> = (0..loaders)
            .map(|loader| {
                scope.spawn(move || {
                    let (orders, cents) = (progress.orders(loader), progress.cents(loader));
                    for _ in 0..rounds {
                        orders.fetch_add(loader as u64 + 1, Relaxed);
                        cents.fetch_add((loader as u64 + 1) * 10_000_000_000, Relaxed);
                    }
                    [std::ptr::from_ref(orders).addr(), std::ptr::from_ref(cents).addr()]
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("nothing in it panics")).collect()
    });
    let mut owners = BTreeMap::new();
    for (loader, both) in places.iter().enumerate() {
        for (place, what) in both.iter().zip(["orders", "cents"]) {
            if let Some((other, its)) = owners.insert(*place, (loader, what)) {
                return Err(Failed::because(format!(
                    "Of {loaders} loaders, {other} counts its {its} where {loader} counts its {what}. That makes one number \
                     of two, and both write to one place: it is the sharing that was to end, only in earnest."
                )));
            }
        }
    }
    for (loader, place) in places.iter().enumerate() {
        let counters = [progress.orders(loader), progress.cents(loader)];
        let counts = counters.map(|counter| counter.load(Relaxed));
        let expected = (loader as u64 + 1) * rounds;
        if counters.map(|counter| std::ptr::from_ref(counter).addr()) != *place
            || counts != [expected, expected * 10_000_000_000]
        {
            return Err(Failed::because(format!(
                "Of {loaders} loaders, {loader} was given other counters in its thread than later, or they have lost \
                 something: it counted {expected} orders, and the counter that it has now says {}.",
                counts[0]
            )));
        }
    }
    Ok(places)
}

/// Bytes that most processors move between their cores at a time.
const LINE: usize = 64;
/// Bytes that some fetch together, or have as one line.
const BLOCK: usize = 128;

fn own_lines(t: &mut Trial) -> Outcome {
    // What lies between them on the heap puts them at other addresses each time, and stays until the end.
    let mut kept = Vec::new();
    for loaders in [8, 33, 2, 3, 4, 8, 33, 2, 3, 4] {
        let progress = Progress::new(loaders);
        let places = counted(&progress, loaders, 1)?;
        let mut sorted: Vec<(usize, usize)> =
            places.iter().enumerate().flat_map(|(loader, both)| both.map(|place| (place, loader))).collect();
        sorted.sort_unstable();
        // Two neighbours of different loaders come nearest to each other.
        let near = sorted.windows(2).filter(|pair| pair[0].1 != pair[1].1 && pair[0].0 / BLOCK == pair[1].0 / BLOCK);
        if let Some([(place, one), (next, other)]) = near.min_by_key(|pair| pair[1].0 - pair[0].0) {
            let apart = next - place;
            let (one, other) = (one.min(other), one.max(other));
            let why = if place / LINE == next / LINE {
                "in one cache line. A core must have the whole line for itself to write to any of it, so each add of one \
                 takes the line away from the other, though they share no number. Put what one loader writes together, \
                 and keep it away from what the others write."
            } else {
                "each in a line of its own where lines have 64 bytes, but in one block of 128. Some processors fetch lines \
                 in pairs, and on others a line has 128 bytes. Give each loader a whole block, beginning where one begins."
            };
            return Err(Failed::because(format!(
                "Of {loaders} loaders, {one} and {other} count {apart} bytes apart, {why}"
            )));
        }
        kept.push((progress, vec![0_u8; t.rng.usize(1..500)]));
    }
    Ok(())
}
