//! Cache misses of a submission's own functions, counted by valgrind's cachegrind in a processor that it plays. Its caches
//! are the same on every machine, and so are the counts.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use catalogue::{Exercise, evidence::Figure, number};

use super::bench;
use crate::{
    compose::Purpose,
    course::Course,
    grade::find_program,
    interrupt::{self, Group},
    state,
    stop::{Exit, Stop},
    submission::Submission,
    term::spinner,
};

/// Size, ways, bytes in a line: of the first level, for instructions and data, and of the last, of which one program among
/// others has some part.
const FIRST: &str = "32768,8,64";
const LAST: &str = "8388608,16,64";
/// Functions of the table.
const MOST: usize = 8;

/// What one function did, calls into others left out unless they were inlined.
#[derive(Debug, Default, PartialEq)]
struct Cost {
    instructions: u64,
    /// Reads and writes.
    accesses: u64,
    /// Of these, what the first level did not have: lines that were fetched.
    first_misses: u64,
    /// And what no cache had: lines from memory.
    last_misses: u64,
}

/// `cargo xtask profile SLUG --cache`.
pub(crate) fn run(course: &Course, slug: &str) -> Result<Exit> {
    let exercise = course.exercise(slug)?;
    let _alone = state::one_at_a_time(course)?;
    if let Figure::Table { columns, rows } = table(course, exercise, &Submission::working_copy(&course.catalogue))? {
        for row in std::iter::once(&columns).chain(&rows) {
            let numbers = row[1..].iter().map(|cell| format!("{cell:>17}")).collect::<Vec<_>>().concat();
            println!("{numbers}  {}", row[0]);
        }
    }
    println!("\nCounted by cachegrind, on caches of 32 KiB and 8 MiB with lines of 64 bytes.");
    Ok(Exit::Pass)
}

/// What each function of a submission does in the first bench, on one input.
pub(crate) fn table(course: &Course, exercise: &Exercise, submission: &Submission) -> Result<Figure> {
    if find_program("valgrind").is_none() {
        let what = "valgrind is not on this machine, and cache misses are counted by it";
        return Err(Stop::usage(what, "`cargo xtask doctor` says how to get it. No check needs it.").into());
    }
    let binaries = bench::build(course, exercise, submission, Purpose::Grade)?;
    let file = course.target.join(format!("cachegrind-{}.out", exercise.slug));
    cachegrind(&binaries.bench, &file)?;
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let mut costs: Vec<_> = by_function(&text, &exercise.slug.replace('-', "_")).into_iter().collect();
    costs.sort_by_key(|(name, cost)| (std::cmp::Reverse(cost.first_misses), name.clone()));
    costs.truncate(MOST);
    let columns = ["function", "instructions", "reads and writes", "lines fetched", "from memory"];
    let row = |(name, cost): &(String, Cost)| {
        let counts = [cost.instructions, cost.accesses, cost.first_misses, cost.last_misses];
        std::iter::once(name.clone()).chain(counts.map(|count| number(count as f64))).collect()
    };
    Ok(Figure::Table { columns: columns.map(String::from).to_vec(), rows: costs.iter().map(row).collect() })
}

fn cachegrind(program: &Path, file: &Path) -> Result<()> {
    let bar = spinner();
    bar.set_message("counting, some fifty times as slow as it would run");
    let mut command = Command::new("valgrind");
    command.args(["--tool=cachegrind", "--cache-sim=yes", "--quiet"]);
    command.args([format!("--I1={FIRST}"), format!("--D1={FIRST}"), format!("--LL={LAST}")]);
    command.arg(format!("--cachegrind-out-file={}", file.display())).arg(program).arg("--once");
    // What it says on standard error is that it made up the processor.
    let mut group = Group::spawn(command.stdout(Stdio::null()).stderr(Stdio::null()))?;
    let status = group.child.wait()?;
    bar.finish_and_clear();
    interrupt::check()?;
    if status.success() {
        return Ok(());
    }
    let what = format!("valgrind ended with {status}");
    let next = format!("This shows why: valgrind --tool=cachegrind {} --once", program.display());
    Err(Stop { exit: Exit::NotPassed, what, next }.into())
}

/// The functions of one crate in what cachegrind wrote: <https://valgrind.org/docs/manual/cg-manual.html>.
fn by_function(text: &str, krate: &str) -> HashMap<String, Cost> {
    let mut costs: HashMap<String, Cost> = HashMap::new();
    let mut events: Vec<&str> = Vec::new();
    let mut function = None;
    for line in text.lines() {
        if let Some(names) = line.strip_prefix("events: ") {
            events = names.split(' ').collect();
        } else if let Some(name) = line.strip_prefix("fn=") {
            function = own(name, krate);
        } else if line.starts_with(|first: char| first.is_ascii_digit())
            && let Some(function) = &function
        {
            // The number of the line, then one count for each event; those that are left out at the end are zero.
            let counts: Vec<u64> = line.split(' ').skip(1).filter_map(|count| count.parse().ok()).collect();
            let sum = |names: &[&str]| -> u64 {
                events.iter().zip(&counts).filter(|(event, _)| names.contains(event)).map(|(_, count)| count).sum()
            };
            let cost = costs.entry(function.clone()).or_default();
            cost.instructions += sum(&["Ir"]);
            cost.accesses += sum(&["Dr", "Dw"]);
            cost.first_misses += sum(&["D1mr", "D1mw"]);
            cost.last_misses += sum(&["DLmr", "DLmw"]);
        }
    }
    costs
}

/// `Orders::push` of `data_layout::Orders::push::h0123456789abcdef`, or of `<data_layout::Orders>::push`; `None` where the
/// function is another crate's, or of a trait.
fn own(name: &str, krate: &str) -> Option<String> {
    let name = name.split_once("::h").filter(|(_, hash)| hash.len() == 16).map_or(name, |(name, _)| name);
    let plain = match name.strip_prefix('<') {
        // What is derived, mostly.
        Some(name) if name.contains(" as ") => return None,
        Some(name) => name.replacen('>', "", 1),
        None => name.to_owned(),
    };
    Some(plain.strip_prefix(krate)?.strip_prefix("::")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_added_up_by_function() {
        let text = "desc: D1 cache: 32768 B\ncmd: bench --once\nevents: Ir I1mr ILmr Dr D1mr DLmr Dw D1mw DLmw\n\
                    fl=/a/lib.rs\nfn=a_b::Orders::total::h0123456789abcdef\n10 5 0 0 3 2 1 1 1 0\n12 7 0 0 2 1\n\
                    fl=/a/iter.rs\nfn=<a_b::Orders>::total\n7 1\n\
                    fn=a_bc::other\n1 100 0 0 100\nfn=<a_b::Order as core::clone::Clone>::clone\n1 100\nfn=core::hint\n1 100\nsummary: 213 0 0 105 3 1 1 1 0\n";
        let costs = by_function(text, "a_b");
        let total = Cost { instructions: 13, accesses: 6, first_misses: 4, last_misses: 1 };
        assert_eq!(costs.into_iter().collect::<Vec<_>>(), [("Orders::total".to_owned(), total)]);
    }
}
