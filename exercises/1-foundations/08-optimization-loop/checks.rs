//! What correct means: the same digest, and the same from each of its steps. What measurements.toml says is measured again
//! in bench.rs.

use std::process::ExitCode;

use harness::{Outcome, Rng, Trial};
use optimization_loop as yours;

#[path = "baseline.rs"]
mod baseline;
mod inputs;

fn main() -> ExitCode {
    harness::checks!()
        .check("digest-unchanged", digest_unchanged)
        .check("awkward-days", awkward_days)
        .check("steps-unchanged", steps_unchanged)
        .run()
}

fn digest_unchanged(t: &mut Trial) -> Outcome {
    for count in [1, 2, 5, 50, 400] {
        let rules = inputs::rules(&mut t.rng);
        let mut payments = inputs::payments!(yours, &mut t.rng, count);
        let what = format!("the digest of {count} payments");
        t.expect(what, yours::digest(&payments, &rules)).reads(&baseline::digest(&plain(&payments), &rules))?;

        // The largest is listed, and so this changes the text.
        let largest = (0..count).max_by_key(|i| payments[*i].cents).expect("there are payments");
        payments[largest].kind += " corrected";
        let what = format!("the digest of the same {count} payments after the kind of one was corrected");
        t.expect(what, yours::digest(&payments, &rules)).reads(&baseline::digest(&plain(&payments), &rules))?;
    }
    Ok(())
}

fn awkward_days(t: &mut Trial) -> Outcome {
    let payment = |id: &str, till: &str, kind: &str, cents| {
        let [id, till, kind] = [id, till, kind].map(String::from);
        yours::Payment { id, till, kind, cents }
    };
    t.expect("the digest of no payments", yours::digest(&[], "*, *, All")).reads("Payments of the day\n")?;

    let notified: Vec<_> = [("a", "x", 5), ("A", "x", 5), ("a", "y", 900), ("", "x", 1), ("", "x", 1), ("a", "x", 5)]
        .map(|(id, kind, cents)| payment(id, "t1", kind, cents))
        .into();
    let expected = "\
Payments of the day

All: 3 payments, 0.11
          0.05  a  t1 x
          0.05  A  t1 x
          0.01    t1 x
";
    t.expect("the digest when only the first of equal ids counts", yours::digest(&notified, "*, *, All"))
        .reads(expected)?;

    let ties: Vec<_> = [70, 50, 50, 50, 9_999_999_999, 50, 60, 0]
        .iter()
        .zip(["1", "2", "3", "4", "5", "6", "7", "8"])
        .map(|(cents, id)| payment(id, "t1", "n", *cents))
        .collect();
    let expected = "\
Payments of the day

All: 8 payments, 100000003.29
   99999999.99  5  t1 n
          0.70  1  t1 n
          0.60  7  t1 n
          0.50  2  t1 n
          0.50  3  t1 n
";
    t.expect("the digest when equal payments compete for the last place", yours::digest(&ties, "*, *, All"))
        .reads(expected)?;

    let rules = "\
remark
t1, remark

  t1 ,tip,  Tips, to be shared
*, tip, Tips
t1, *, One
t1, sale, never
**, x, Stars
, blank, No till
t 2, *,
*, a sale, Sales, and more
";
    for (till, kind, account) in [
        ("t1", "tip", "Tips, to be shared"),
        ("t2", "tip", "Tips"),
        ("t1", "sale", "One"),
        ("t1", "", "One"),
        ("t1", "Tip", "One"),
        ("T1", "sale", "?"),
        ("t1 ", "sale", "?"),
        ("t3", "x", "?"),
        ("**", "x", "Stars"),
        ("", "blank", "No till"),
        ("t3", "blank", "?"),
        ("t 2", "x", ""),
        ("t3", "a sale", "Sales, and more"),
        ("*", "*", "?"),
    ] {
        let payments = [payment("1", till, kind, 1)];
        let booked = yours::accounts(&payments, rules);
        t.expect(format!("the account of till {till:?} and kind {kind:?}"), booked).equals(vec![account])?;
    }
    t.expect("the account where there are no rules", yours::accounts(&notified[..1], "")).equals(vec!["?"])
}

fn steps_unchanged(t: &mut Trial) -> Outcome {
    for count in [0, 1, 60, 300] {
        let rules = inputs::rules(&mut t.rng);
        let payments = inputs::payments!(yours, &mut t.rng, count);
        let before = plain(&payments);
        let repeats = yours::repeats(&payments);
        t.expect(format!("repeats of {count} payments"), repeats.clone()).equals(baseline::repeats(&before))?;
        let accounts = yours::accounts(&payments, &rules);
        t.expect(format!("accounts of {count} payments"), accounts.clone())
            .equals(baseline::accounts(&before, &rules))?;
        let made = yours::render(&payments, &repeats, &accounts);
        t.expect("the digest, beside what its three steps give", yours::digest(&payments, &rules)).reads(&made)?;

        // Any flags and accounts, not only those that the other steps would give.
        let flags: Vec<bool> = payments.iter().map(|_| t.rng.u32(..4) == 0).collect();
        let booked = inputs::accounts(&mut t.rng, count);
        let what = format!("render of {count} payments");
        t.expect(what, yours::render(&payments, &flags, &booked)).reads(&baseline::render(&before, &flags, &booked))?;
    }
    near_misses(t)
}

/// Ids that differ in one place, wherever it is.
fn near_misses(t: &mut Trial) -> Outcome {
    let id = inputs::id(&mut t.rng);
    let other = |rng: &mut Rng| char::from(rng.u8(b'g'..=b'z'));
    let mut ids: Vec<String> = vec![id.clone()];
    for at in 0..id.len() {
        let mut letters: Vec<char> = id.chars().collect();
        letters[at] = other(&mut t.rng);
        ids.push(letters.into_iter().collect());
    }
    ids.push(id.clone());
    let payment = |id: String| yours::Payment { id, till: "t1".into(), kind: "sale".into(), cents: 100 };
    let payments: Vec<_> = ids.into_iter().map(payment).collect();
    t.expect("repeats of ids that differ in one letter", yours::repeats(&payments))
        .equals(baseline::repeats(&plain(&payments)))
}

/// The same payments as the baseline knows them.
fn plain(payments: &[yours::Payment]) -> Vec<baseline::Payment> {
    let plain = |payment: &yours::Payment| baseline::Payment {
        id: payment.id.clone(),
        till: payment.till.clone(),
        kind: payment.kind.clone(),
        cents: payment.cents,
    };
    payments.iter().map(plain).collect()
}
