//! What memory is held by. The allocator notes the stack of about one allocation in 512 KiB, and forgets it when that is
//! freed; what is left is the profile.
//!
//! Noting costs a loop that does nothing but allocate half of its speed, and its stacks as deep as those of a service. So it
//! is on for as long as a profile takes only, and the profile then shows what was allocated in that time and is still held.
//! Who wants everything that is held starts the process with `_RJEM_MALLOC_CONF=prof_active:true`.

use std::{
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::{Instant, SystemTime},
};

use jemalloc_pprof::{JemallocProfCtl, PROF_CTL, StackProfile};
use tokio::sync::Mutex;

use super::{
    asked::{Asked, Impossible, Profiler, Waiting},
    stacks::{Line, Stack, Stacks},
    symbols::Symbols,
};

pub(super) const HEAP: Profiler =
    Profiler { name: "heap", parameters: &["seconds", "format"], possible: || allocator().map(drop), take };

fn allocator() -> Result<&'static Arc<Mutex<JemallocProfCtl>>, Impossible> {
    let why = "The allocator does not note who allocates. Start the process with \
        _RJEM_MALLOC_CONF=prof:true,prof_active:false in its environment, or build it in its repository, where \
        .cargo/config.toml says so.";
    PROF_CTL.as_ref().ok_or_else(|| Impossible(why.to_owned()))
}

/// Noting that goes on until this is dropped.
struct Noting<'a>(&'a Mutex<JemallocProfCtl>);

impl<'a> Noting<'a> {
    /// Begins, unless it has gone on since the process began.
    fn begin(allocator: &'a Mutex<JemallocProfCtl>) -> Result<Option<Self>, Impossible> {
        let mut control = allocator.blocking_lock();
        if control.activated() {
            return Ok(None);
        }
        control.activate().map_err(|error| Impossible(format!("The allocator does not begin to note: {error}.")))?;
        drop(control);
        Ok(Some(Self(allocator)))
    }
}

impl Drop for Noting<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.blocking_lock().deactivate() {
            tracing::warn!(%error, "the allocator still notes who allocates");
        }
    }
}

fn take(asked: &Asked, waiting: &Waiting) -> Result<Stacks, Impossible> {
    let allocator = allocator()?;
    let (started, began) = (SystemTime::now(), Instant::now());
    let noting = Noting::begin(allocator)?;
    let wanted = noting.is_none() || waiting.wait(asked.time);
    let took = began.elapsed();
    let found = if wanted {
        let dumped = allocator.blocking_lock().dump_profile();
        dumped.map_err(|error| {
            Impossible(format!(
                "The allocator could not write what it noted: {error}. It needs a directory for temporary files, which \
                TMPDIR can name."
            ))
        })?
    } else {
        StackProfile::default()
    };
    let since = match noting {
        Some(_) => format!("allocated in {:.1} s", took.as_secs_f64()),
        None => "allocated since the process began".to_owned(),
    };
    drop(noting);
    let mut stacks = Stacks {
        title: String::new(),
        measure: ("inuse_space", "bytes"),
        period: (("space", "bytes"), 1 << allocator.blocking_lock().lg_sample()),
        started,
        took,
        found: HashMap::new(),
    };
    add(&mut stacks, &found);
    let held: i64 = stacks.found.values().sum();
    stacks.title = if stacks.found.is_empty() {
        format!("No samples: nothing, or little, that was {since} is still held")
    } else {
        format!("Memory that was {since} and is still held: about {} KiB", held / 1024)
    };
    Ok(stacks)
}

fn add(stacks: &mut Stacks, found: &StackProfile) {
    let mut symbols = Symbols::of(&found.mappings);
    let mut names = HashMap::new();
    for (stack, _) in found.iter() {
        let lines = stack.addrs.iter().rev().map(|address| {
            // What a stack holds is where a call returns to, which is just behind the call.
            let address = address.saturating_sub(1);
            let line = names.entry(address).or_insert_with(|| {
                let (function, file) = symbols.name(address);
                Rc::new(Line { function, file: file.to_string_lossy().into_owned(), number: 0 })
            });
            Rc::clone(line)
        });
        let mut lines: Vec<_> = lines.collect();
        // The allocator's own functions are at the end of each stack, and say nothing.
        let own = |line: &Rc<Line>| line.function.starts_with("_rjem_");
        let own = lines.iter().take(12).rposition(own).map_or(0, |last| last + 1);
        stacks.add(Stack { lines: lines.split_off(own), thread: None }, stack.weight as i64);
    }
}
