//! Where the process spends its processor time. A timer interrupts it so often for each second of that time, on whichever
//! thread is at work, and the stack of that moment is a sample.
//!
//! The handler unwinds the stack inside a signal. That needs a C library that finds unwinding tables without a lock, as glibc
//! does since 2.35. Calls of the system that the signal interrupts are begun again. From its first profile on a process takes
//! some 70 MB more memory: it stays ready for samples.

use std::{
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant, SystemTime},
};

use pprof::{Frames, ProfilerGuardBuilder};

use super::{
    asked::{Asked, Impossible, Profiler, Waiting},
    stacks::{Line, Stack, Stacks},
};

pub(super) const CPU: Profiler =
    Profiler { name: "cpu", parameters: &["seconds", "format", "hz"], possible: || Ok(()), take };

/// Where a sample is not taken: in the middle of unwinding, and in the pages of the kernel, whose tables are not to be
/// trusted everywhere.
const NOT_IN: [&str; 3] = ["libgcc", "ld-linux", "vdso"];

fn take(asked: &Asked, waiting: &Waiting) -> Result<Stacks, Impossible> {
    let impossible = |error: pprof::Error| {
        Impossible(format!(
            "The profiler does not work: {error}. It needs a directory for temporary files, which TMPDIR can name."
        ))
    };
    let rate = i32::try_from(asked.rate).expect("it has a bound");
    let guard = ProfilerGuardBuilder::default().frequency(rate).blocklist(&NOT_IN).build().map_err(impossible)?;
    // The first in a process takes a while to begin: the program's tables are read, and memory for samples is taken.
    let (started, began) = (SystemTime::now(), Instant::now());
    let wanted = waiting.wait(asked.time);
    let took = began.elapsed();
    let found = wanted.then(|| guard.report().build_unresolved());
    // The timer ends here: what follows takes time of its own, and is not part of the profile.
    drop(guard);
    let mut stacks = empty(asked.rate, started, took);
    let Some(found) = found else { return Ok(stacks) };
    let mut names = HashMap::new();
    for (sample, count) in found.map_err(impossible)?.data {
        let frames = sample.frames.iter().map(|frame| {
            let named = names.entry(frame.ip() as usize).or_insert_with(|| {
                let mut alone = sample.clone();
                alone.frames.clear();
                alone.frames.push(frame.clone());
                named(Frames::from(alone))
            });
            named.clone()
        });
        let frames: Vec<_> = frames.collect();
        let lines = frames[interrupted(&frames)..].concat();
        // Between the end of the profile and that of the timer it is the profiler that works.
        if lines.iter().any(|line| line.function.starts_with("pprof::")) {
            continue;
        }
        let thread = &sample.thread_name[..sample.thread_name_length];
        let thread = Some(String::from_utf8_lossy(thread).into_owned());
        stacks.add(Stack { lines, thread }, count as i64);
        if !waiting.is_wanted() {
            break;
        }
    }
    let samples: i64 = stacks.found.values().sum();
    stacks.title = title(samples, asked.rate, took);
    Ok(stacks)
}

fn empty(rate: u32, started: SystemTime, took: Duration) -> Stacks {
    Stacks {
        title: String::new(),
        measure: ("samples", "count"),
        period: (("cpu", "nanoseconds"), 1_000_000_000 / i64::from(rate)),
        started,
        took,
        found: HashMap::new(),
    }
}

fn title(samples: i64, rate: u32, took: Duration) -> String {
    let seconds = took.as_secs_f64();
    if samples == 0 {
        return format!(
            "No samples in {seconds:.1} s: the process used less than 1/{rate} s of processor time, or none at all"
        );
    }
    let used = samples as f64 / f64::from(rate);
    format!("Processor time: {samples} samples in {seconds:.1} s, {rate} for each of {used:.1} s that were used")
}

/// The functions at one address, the innermost first: more than one where some became part of others, and none where nobody
/// knows.
fn named(frames: Frames) -> Vec<Rc<Line>> {
    let symbols = frames.frames.into_iter().flatten();
    let line = |symbol: pprof::Symbol| {
        let file = symbol.filename.as_ref().map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
        Rc::new(Line { function: symbol.name(), file, number: symbol.lineno() })
    };
    symbols.map(line).collect()
}

/// Where in a stack that begins in the handler the function is that was interrupted. The handler has no name, since `pprof`
/// takes it away, and stands behind the functions that it unwinds with, if those did not become part of it. The kernel's way
/// to call it comes next.
fn interrupted(frames: &[Vec<Rc<Line>>]) -> usize {
    let unwinds = |lines: &Vec<Rc<Line>>| {
        lines.iter().any(|line| line.function.contains("backtrace::") || line.function.contains("pprof::"))
    };
    let handler = frames.iter().position(|lines| !unwinds(lines));
    match handler {
        Some(at) if frames[at].is_empty() => frames.len().min(at + 2),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_begins_with_what_was_interrupted() {
        let stack = |names: &[&str]| -> Vec<Vec<Rc<Line>>> {
            let line = |name: &str| Rc::new(Line { function: name.to_owned(), ..Line::default() });
            names.iter().map(|name| if name.is_empty() { Vec::new() } else { vec![line(name)] }).collect()
        };
        for (names, first) in [
            (&["", "__restore_rt", "work", "main"][..], 2),
            (&["", "", "work", "main"], 2),
            (&["backtrace::backtrace::trace_unsynchronized", "<pprof::backtrace::Trace>::trace", "", "", "work"], 4),
            (&["work", "", "main"], 0),
            (&["", "__restore_rt"], 2),
            (&[""], 1),
            (&[], 0),
        ] {
            assert_eq!(interrupted(&stack(names)), first, "{names:?}");
        }
    }
}
