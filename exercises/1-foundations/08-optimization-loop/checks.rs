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
        payments[largest].note += " corrected";
        let what = format!("the digest of the same {count} payments after the note of one was corrected");
        t.expect(what, yours::digest(&payments, &rules)).reads(&baseline::digest(&plain(&payments), &rules))?;
    }
    Ok(())
}

fn awkward_days(t: &mut Trial) -> Outcome {
    let day = |payments: &[(&str, &str, u64)]| -> Vec<yours::Payment> {
        let payment =
            |&(id, note, cents): &(&str, &str, u64)| yours::Payment { id: id.into(), note: note.into(), cents };
        payments.iter().map(payment).collect()
    };
    t.expect("the digest of no payments", yours::digest(&[], "* = All")).reads("Payments of the day\n")?;

    let notified = day(&[("a", "x", 5), ("A", "x", 5), ("a", "y", 900), ("", "x", 1), ("", "x", 1), ("a", "x", 5)]);
    let expected = "\
Payments of the day

All: 3 payments, 0.11
          0.05  a  x
          0.05  A  x
          0.01    x
";
    t.expect("the digest when only the first of equal ids counts", yours::digest(&notified, "* = All"))
        .reads(expected)?;

    let ties = day(&[
        ("1", "n", 70),
        ("2", "n", 50),
        ("3", "n", 50),
        ("4", "n", 50),
        ("5", "n", 9_999_999_999),
        ("6", "n", 50),
        ("7", "n", 60),
        ("8", "n", 0),
    ]);
    let expected = "\
Payments of the day

All: 8 payments, 100000003.29
   99999999.99  5  n
          0.70  1  n
          0.60  7  n
          0.50  2  n
          0.50  3  n
";
    t.expect("the digest when equal payments compete for the last place", yours::digest(&ties, "* = All"))
        .reads(expected)?;

    let rules =
        "remark\n\n  ab*ba  =  Long \nx = Exact\n x* = Begins = twice\n*z = Ends\n** = Star\nq * = Blank\n= Empty\n";
    for (note, account) in [
        ("abba", "Long"),
        ("ab or ba", "Long"),
        ("aba", "?"),
        ("ab", "?"),
        ("AB ba", "?"),
        ("x", "Exact"),
        ("xy", "Begins = twice"),
        ("yz", "Ends"),
        ("xz", "Begins = twice"),
        ("a star*", "Star"),
        ("q r", "Blank"),
        ("q", "?"),
        ("", "Empty"),
        (" x", "?"),
    ] {
        let payments = day(&[("1", note, 1)]);
        let booked = yours::accounts(&payments, rules);
        t.expect(format!("the account of the note {note:?}"), booked).equals(vec![account])?;
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
    let payment = |id: String| yours::Payment { id, note: "t1 receipt 1".into(), cents: 100 };
    let payments: Vec<_> = ids.into_iter().map(payment).collect();
    t.expect("repeats of ids that differ in one letter", yours::repeats(&payments))
        .equals(baseline::repeats(&plain(&payments)))
}

/// The same payments as the baseline knows them.
fn plain(payments: &[yours::Payment]) -> Vec<baseline::Payment> {
    let plain = |payment: &yours::Payment| baseline::Payment {
        id: payment.id.clone(),
        note: payment.note.clone(),
        cents: payment.cents,
    };
    payments.iter().map(plain).collect()
}
