//! A graded run: read the brief before any code of the submission runs, then report each check on the sealed channel.

use std::{
    any::Any,
    cell::RefCell,
    fs::File,
    io::{self, BufRead, Write},
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
};

use catalogue::{
    Finding, Status,
    channel::{Brief, Record, Seal},
};

thread_local! {
    /// Where the latest panic of this thread was, since the payload does not say.
    static PANICKED_AT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs the checks that the brief names, in its order. `run` answers `None` for a check that this binary does not have.
pub(crate) fn serve(mut run: impl FnMut(&Brief, &str) -> Option<Finding>) -> ExitCode {
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    let Some(brief) = read.ok().and_then(|_| serde_json::from_str::<Brief>(&line).ok()) else {
        return explain();
    };
    let Ok(mut report) = channel() else {
        eprintln!("standard output cannot be written to");
        return ExitCode::FAILURE;
    };
    limit(&brief);
    let mut seal = Seal::new(brief.key.clone());
    let mut say = |record: &Record| report.write_all(seal.write(record).as_bytes());
    for name in &brief.checks {
        let started = say(&Record::Start(name.clone()));
        let finding = run(&brief, name).unwrap_or_else(|| {
            Finding::new(Status::Error, format!("the course's own file does not define the check {name}"))
        });
        if started.and_then(|()| say(&Record::End(name.clone(), finding))).is_err() {
            return ExitCode::FAILURE;
        }
    }
    match say(&Record::Done) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// What a person reads who starts a graded binary by hand.
pub(crate) fn explain() -> ExitCode {
    eprintln!(
        "This binary is run by `cargo xtask check`. By hand, run `cargo test` or `cargo bench` for the exercise."
    );
    ExitCode::from(2)
}

/// Runs `code`, turning a panic into [`Status::Error`] with its message and place.
pub(crate) fn guarded(code: impl FnOnce() -> Finding) -> Finding {
    let default = panic::take_hook();
    panic::set_hook(Box::new(|info| {
        let at = info.location().map(|at| format!("{}:{}", at.file(), at.line()));
        PANICKED_AT.set(at.unwrap_or_default());
    }));
    let result = panic::catch_unwind(AssertUnwindSafe(code));
    panic::set_hook(default);
    result.unwrap_or_else(|payload| {
        let message = format!("panicked at {}: {}", PANICKED_AT.take(), text(&*payload));
        // The payload is the submission's, and so is its `Drop`, which may panic in turn.
        std::mem::forget(payload);
        Finding::new(Status::Error, message)
    })
}

fn text(payload: &(dyn Any + Send)) -> &str {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("with a value that is no text")
}

/// Standard output as a file of our own: a submission that holds the lock of `std::io::stdout` cannot silence us, and
/// half a line in that one's buffer cannot come between.
#[cfg(unix)]
fn channel() -> io::Result<impl Write> {
    use std::os::fd::AsFd;
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

#[cfg(windows)]
fn channel() -> io::Result<impl Write> {
    use std::os::windows::io::AsHandle;
    Ok(File::from(io::stdout().as_handle().try_clone_to_owned()?))
}

/// Bounds this process by the operating system, before the submission runs. Time and output are bounded by the runner.
#[cfg(unix)]
fn limit(brief: &Brief) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let bound = |resource, most| {
        // Where the system has no such limit, the runner's limit on time still ends the process.
        let _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    };
    bound(Resource::As, u64::from(brief.spec.limits.memory_mib) << 20);
    bound(Resource::Core, 0);
}

#[cfg(not(unix))]
fn limit(_: &Brief) {}
