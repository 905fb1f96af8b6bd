//! What correct means: the same statement, and an answer that a profile of the starter gave.

use std::process::ExitCode;

use flamegraph_hunt as yours;
use harness::{Failed, Outcome, Trial};

#[path = "baseline.rs"]
mod baseline;
mod inputs;
// The measured shares. Have your own answer before you read them.
mod truth;

fn main() -> ExitCode {
    harness::checks!()
        .check("report-unchanged", report_unchanged)
        .check("calendar-edges", calendar_edges)
        .check("awkward-exports", awkward_exports)
        .check("names-the-hot-spot", names_the_hot_spot)
        .run()
}

fn report_unchanged(t: &mut Trial) -> Outcome {
    // Weeks of several years: some with moved holidays, some that are paid in the next year.
    for orders in [0, 1, 2, 30, 30, 30, 30, 30, 30, 30, 30, 300] {
        let export = inputs::export(&mut t.rng, orders);
        let first = export.lines().next().unwrap_or("none");
        let what = format!("the statement of {orders} orders (the first of them: {first})");
        t.expect(what, statement(&export)?).reads(&baseline::statement(&export).expect("the export is valid"))?;
    }
    Ok(())
}

fn calendar_edges(t: &mut Trial) -> Outcome {
    for (why, delivered, paid) in [
        ("Christmas on a Saturday is made up for on Monday, Boxing Day on Tuesday", "2021-12-03", "2022-01-05"),
        ("Christmas on a Sunday is made up for on Tuesday", "2022-11-28", "2022-12-28"),
        ("New Year on a Sunday is made up for on Monday", "2022-12-02", "2023-01-04"),
        ("Boxing Day on a Saturday is made up for on Monday", "2020-12-01", "2020-12-31"),
        ("a payment falls into the next year", "2026-12-31", "2027-01-29"),
        ("2000 was a leap year", "2000-02-01", "2000-02-29"),
        ("2100 is none", "2100-02-01", "2100-03-01"),
        ("Easter at its earliest in 1990 to 2099", "2008-02-22", "2008-03-25"),
        ("Easter at its latest", "2038-04-02", "2038-05-05"),
        ("Good Friday and Easter Monday lie between", "2024-03-01", "2024-04-02"),
        ("both holidays of May lie between", "2026-05-02", "2026-06-02"),
        ("delivered on a holiday", "2024-12-25", "2025-01-24"),
    ] {
        let text = statement(&format!("{delivered},Hop & Barley,1,1.00\n"))?;
        let day = text.lines().nth(3).and_then(|row| row.get(..10)).unwrap_or("none");
        t.expect(format!("the day of payment for a delivery of {delivered} ({why})"), day).reads(paid)?;
    }
    Ok(())
}

fn awkward_exports(t: &mut Trial) -> Outcome {
    let export = "\
2026-03-02,zest,1,1000.00
2026-03-02 , Anvil & Söhne ,2, 500.00
2026-03-03,Hop,65535,4294967295.99
2026-03-02,zest,0,3.00
2026-03-03,Bell,1,0.04
2026-03-04,Bell,1,0.05
";
    let expected = "\
Payouts

Hop
2026-03-31      1 orders 281,470,681,742,704.65 less 33,776,481,809,124.56 is 247,694,199,933,580.09
                                                           247,694,199,933,580.09

Anvil & Söhne
2026-03-30      1 orders         1,000.00 less         120.00 is           880.00
                                                                           880.00

zest
2026-03-30      2 orders         1,000.00 less         120.00 is           880.00
                                                                           880.00

Bell
2026-03-31      1 orders             0.04 less           0.00 is             0.04
2026-04-01      1 orders             0.05 less           0.01 is             0.04
                                                                             0.08

Total                                                      247,694,199,935,340.17
";
    t.expect("an awkward export", statement(export)?).reads(expected)?;

    for (line, wrong) in [
        ("", "1 fields instead of 4"),
        ("2026-03-02,Hop,1,1.00,now", "5 fields instead of 4"),
        ("2026-02-29,Hop,1,1.00", "there is no day 2026-02-29"),
        ("2026-03-02,Hop,-1,1.00", "-1 is no quantity"),
        ("2026-03-02,Hop,1,1.5", "1.5 is no price"),
    ] {
        let export = format!("2026-03-02,Hop,1,1.00\n{line}\n");
        let expected = Err(format!("line 2: {wrong}"));
        t.expect(format!("an export whose second line is {line:?}"), yours::statement(&export)).equals(expected)?;
    }
    Ok(())
}

fn statement(export: &str) -> Result<String, Failed> {
    yours::statement(export).map_err(|error| Failed::because(format!("an export without a fault was refused: {error}")))
}

/// How many points of a hundred an answer may be off: machines and allocators differ, and so do two samples.
const TOLERANCE: f64 = 8.0;

fn names_the_hot_spot(_: &mut Trial) -> Outcome {
    let answers = include_str!("src/answers.toml");
    let function = answer(answers, "function")?.trim_matches('"').trim();
    // Whatever the profiler put around the name.
    let function = function.trim_end_matches("()").rsplit("::").next().unwrap_or_default();
    let claimed: f64 = answer(answers, "share")?.trim_end_matches('%').trim().parse().map_err(|_| {
        Failed::because("`share` in src/answers.toml is no number. It is a percentage: 25 for a quarter of the time.")
    })?;

    if function.is_empty() {
        return Err(Failed::because(
            "src/answers.toml names no function yet. `cargo xtask profile flamegraph-hunt` looks at the call stack some \
             hundred times a second and draws how often each function was on it. Look before you change src/lib.rs: \
             the drawing is of the code as it is now.",
        ));
    }
    let Some((_, share)) = truth::SHARES.iter().find(|(name, _)| *name == function) else {
        return Err(Failed::because(format!(
            "`{function}` is no function of src/lib.rs that has a box of its own in the starter's profile. Code of the \
             standard library is as wide as its callers make it, and a short method is part of what calls it: name the \
             function of src/lib.rs that it stands on."
        )));
    };
    if function != truth::HOT && *share >= 80.0 {
        return Err(Failed::because(format!(
            "`{function}` has {share} % of the time, but next to none of it is its own: one of the functions that it calls \
             has nearly all. Follow that one, for as long as one has most of the width; where it falls apart, stop."
        )));
    }
    if function != truth::HOT {
        let at_most = 100.0 / (100.0 - share);
        return Err(Failed::because(format!(
            "`{function}` has {share} % of the starter's time, with all that it calls. If it cost nothing at all, the \
             statement would be {at_most:.2} times as fast. Five times takes a function with 80 % or more."
        )));
    }
    // Not `>`, which lets `nan` through.
    let near = (claimed - share).abs() <= TOLERANCE;
    if !near {
        let why = if claimed < *share {
            "Count the whole width of its box, as the drawing shows it when you point there. What stands on it, it \
             called: that time is its time too, and only the part with nothing on top is spent in its own lines. If \
             you have changed src/lib.rs already, the drawing is of the new code; the question is about the starter."
        } else {
            "Point at its box in the drawing of the starter, and write down the percentage of all samples that it \
             shows. The boxes beside it are not part of it."
        };
        return Err(Failed::because(format!("`{function}` is right, but {claimed} % is not its share. {why}")));
    }
    Ok(())
}

/// The value of `key` in lines such as `key = value # remark`.
fn answer<'a>(answers: &'a str, key: &str) -> Result<&'a str, Failed> {
    let mut pairs = answers.lines().filter_map(|line| line.split('#').next()?.split_once('='));
    let value = pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim());
    value.ok_or_else(|| Failed::because(format!("src/answers.toml has no line that begins with `{key} = `.")))
}
