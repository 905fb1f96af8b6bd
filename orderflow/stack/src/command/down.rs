//! `down`: ends everything and removes what is left.

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::{containers, state::Place};

/// How long everything may take to end: requests, workers, and then the servers.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK: Duration = Duration::from_millis(50);

pub(super) fn run(place: &Place) -> Result<ExitCode> {
    if containers::up_already(place) {
        return containers::down(place);
    }
    let existed = place.path().exists();
    if end(place)? {
        println!("The stack is down; {} is removed.", place.path().display());
    } else if existed {
        println!("The stack was not up; what an earlier one left in {} is removed.", place.path().display());
    } else {
        println!("The stack is not up.");
    }
    Ok(ExitCode::SUCCESS)
}

/// Ends the supervisor, if one lives, and with it everything; removes the directory. Whether one lived.
pub(super) fn end(place: &Place) -> Result<bool> {
    if !place.path().exists() {
        return Ok(false);
    }
    let began = Instant::now();
    let mut told = None;
    loop {
        if let Some(_lock) = place.try_lock()? {
            place.clear()?;
            return Ok(told.is_some());
        }
        // One that has only just started may not have written yet.
        if let Some(pid) = place.read()?.and_then(|state| Pid::from_raw(i32::try_from(state.pid).ok()?))
            && told != Some(pid)
        {
            // Nobody else has this number: it lives, because it has the lock.
            kill_process(pid, Signal::TERM).context("the supervisor cannot be told to end")?;
            told = Some(pid);
        }
        if began.elapsed() > PATIENCE {
            bail!("the stack has not ended within {} s; `status` says what is left", PATIENCE.as_secs());
        }
        thread::sleep(LOOK);
    }
}
