//! Where the process spends its processor time. A timer interrupts it so often for each second of that time, on whichever
//! thread is at work, and the stack of that moment is a sample.
//!
//! The handler unwinds the stack inside a signal. That needs a C library that finds unwinding tables without a lock, as glibc
//! does since 2.35. Calls of the system that the signal interrupts are begun again.

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
        let (mut lines, mut skip) = (Vec::new(), false);
        for frame in &sample.frames {
            let here = names.entry(frame.ip() as usize).or_insert_with(|| {
                let mut alone = sample.clone();
                alone.frames.clear();
                alone.frames.push(frame.clone());
                named(Frames::from(alone))
            });
            match here {
                // What came before is the handler's own, and what comes next is how the kernel calls it.
                None => {
                    lines.clear();
                    skip = true;
                }
                Some(_) if skip => skip = false,
                Some(here) => lines.extend_from_slice(here),
            }
        }
        let thread = &sample.thread_name[..sample.thread_name_length];
        let thread = Some(String::from_utf8_lossy(thread).into_owned());
        stacks.add(Stack { lines, thread }, count as i64);
        if !waiting.is_wanted() {
            break;
        }
    }
    let samples: i64 = stacks.stacks.values().sum();
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
        stacks: HashMap::new(),
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

/// The functions at one address, the innermost first: more than one where some became part of others. `None` for the
/// handler that takes samples.
fn named(frames: Frames) -> Option<Vec<Rc<Line>>> {
    let mut lines = Vec::new();
    for symbol in frames.frames.into_iter().flatten() {
        let function = symbol.name();
        if function.ends_with("perf_signal_handler") {
            return None;
        }
        let file = symbol.filename.as_ref().map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
        lines.push(Rc::new(Line { function, file, line: symbol.lineno() }));
    }
    Some(lines)
}
