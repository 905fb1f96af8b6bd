//! Running a graded program: brief it, read its findings, and hold it to its limits whatever it does.

use std::{
    collections::HashMap,
    io::{Read, Write},
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use catalogue::{
    Exercise, Finding, Status,
    channel::{Brief, Record, Seal, hex},
};

use crate::interrupt::{self, Group, strays};

/// Output that a report keeps.
const KEPT_OUTPUT: usize = 4 << 10;
/// How often a child that says nothing is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// After a program has ended, how long its pipes may stay open: a grandchild may hold them.
const DRAIN: Duration = Duration::from_millis(200);

/// What running the checks came to.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// One finding for each check that was asked for.
    pub(crate) by_check: HashMap<String, Finding>,
    /// The first of what the submission printed.
    pub(crate) output: String,
    /// Time that the programs ran.
    pub(crate) ran: Duration,
}

/// Runs `checks` in `program`. A check that ends the process does not take the others with it: they are run in a new one.
pub(crate) fn run(
    program: &Path,
    exercise: &Exercise,
    checks: &[&str],
    seed: u64,
    budget_ms: u64,
    said: &mut dyn FnMut(&str, &Finding),
) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut left: Vec<String> = checks.iter().map(|name| (*name).to_owned()).collect();
    while !left.is_empty() {
        interrupt::check()?;
        let brief = Brief { key: key()?, seed, budget_ms, checks: left.clone(), spec: exercise.spec.clone() };
        let start = Instant::now();
        let others = strays::children();
        let mut process = Process::start(program, &brief, exercise)?;
        let ending = process.follow(&mut |name, finding| {
            said(name, &finding);
            findings.by_check.insert(name.to_owned(), finding);
        });
        findings.ran += start.elapsed();
        findings.output += &process.output;
        let running = process.running.take();
        drop(process);
        strays::end(&others);
        let ending = ending?;
        left.retain(|name| !findings.by_check.contains_key(name));
        if let Some(finding) = ending {
            // The check that was running when the process ended, or else the next one: each round settles one at least.
            let name = running.filter(|name| left.contains(name)).or_else(|| left.first().cloned());
            if let Some(name) = name {
                said(&name, &finding);
                left.retain(|other| *other != name);
                findings.by_check.insert(name, finding);
            }
        } else if !left.is_empty() {
            for name in left.drain(..) {
                let finding = Finding::new(Status::Error, "The report ended without this check.");
                findings.by_check.insert(name, finding);
            }
        }
    }
    Ok(findings)
}

/// A key that nobody can guess, from the operating system's randomness by way of the standard library's hasher keys.
fn key() -> Result<String> {
    let mut bytes = [0; 32];
    #[cfg(unix)]
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    #[cfg(not(unix))]
    for chunk in bytes.chunks_mut(8) {
        use std::hash::{BuildHasher, Hasher};
        let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
        chunk.copy_from_slice(&random.to_le_bytes());
    }
    Ok(hex(&bytes))
}

enum Event {
    Record(Record),
    Output(String),
    TooMuchOutput,
    Closed,
}

struct Process {
    group: Group,
    events: Receiver<Event>,
    time_limit: Duration,
    output_limit: u32,
    memory_limit: u32,
    running: Option<String>,
    output: String,
    errors: String,
}

impl Process {
    fn start(program: &Path, brief: &Brief, exercise: &Exercise) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("--graded").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Where the package is, so that file reads relative to it work; a backtrace would cost more than the check.
        command.current_dir(program.parent().unwrap_or(Path::new("."))).env("RUST_BACKTRACE", "0");
        let mut group = Group::spawn(&mut command).with_context(|| format!("{} cannot be run", program.display()))?;
        let (sender, events) = mpsc::channel();
        let limit = exercise.spec.limits.output_kib as usize * 1024;
        if let Some(stdout) = group.child.stdout.take() {
            let (sender, seal) = (sender.clone(), Seal::new(brief.key.clone()));
            std::thread::spawn(move || read_records(stdout, limit, seal, &sender));
        }
        if let Some(stderr) = group.child.stderr.take() {
            std::thread::spawn(move || read_errors(stderr, limit, &sender));
        }
        if let Some(mut stdin) = group.child.stdin.take() {
            // A program that ends before it has read the brief is dealt with like one that ends later.
            let _ = stdin.write_all((serde_json::to_string(brief)? + "\n").as_bytes());
        }
        Ok(Self {
            group,
            events,
            time_limit: Duration::from_secs(exercise.spec.limits.seconds.into()),
            output_limit: exercise.spec.limits.output_kib,
            memory_limit: exercise.spec.limits.memory_mib,
            running: None,
            output: String::new(),
            errors: String::new(),
        })
    }

    /// Reads records until the program is done (`None`) or has ended otherwise (what to say of the running check).
    fn follow(&mut self, found: &mut dyn FnMut(&str, Finding)) -> Result<Option<Finding>> {
        let mut deadline = Instant::now() + self.time_limit;
        let mut ended: Option<(ExitStatus, Instant)> = None;
        let mut open_pipes = 2;
        loop {
            interrupt::check()?;
            match self.events.recv_timeout(LOOK) {
                Ok(Event::Record(Record::Start(name))) => {
                    deadline = Instant::now() + self.time_limit;
                    self.running = Some(name);
                }
                Ok(Event::Record(Record::End(name, finding))) => {
                    self.running = None;
                    found(&name, finding);
                }
                Ok(Event::Record(Record::Done)) => {
                    self.group.kill();
                    return Ok(None);
                }
                Ok(Event::Output(text)) => self.keep(&text),
                Ok(Event::TooMuchOutput) => {
                    self.group.kill();
                    let what = format!("It printed more than {} KiB, which is the most it may.", self.output_limit);
                    return Ok(Some(Finding::new(Status::Limit, what)));
                }
                Ok(Event::Closed) => open_pipes -= 1,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            if ended.is_none() {
                ended = self.group.child.try_wait()?.map(|status| (status, Instant::now()));
            }
            if let Some((status, at)) = ended
                && (open_pipes == 0 || at.elapsed() > DRAIN)
            {
                return Ok(Some(self.explain(status)));
            }
            if Instant::now() > deadline {
                self.group.kill();
                let what = format!(
                    "It was still running after {} s, which is the most a check may take.",
                    self.time_limit.as_secs()
                );
                return Ok(Some(Finding::new(Status::Limit, what)));
            }
        }
    }

    fn keep(&mut self, text: &str) {
        let room = KEPT_OUTPUT.saturating_sub(self.output.len());
        let cut = text.floor_char_boundary(room);
        self.output.push_str(&text[..cut]);
        // The last of standard error says why a program was ended by the system.
        self.errors.push_str(text);
        let surplus = self.errors.ceil_char_boundary(self.errors.len().saturating_sub(KEPT_OUTPUT));
        self.errors.drain(..surplus);
    }

    /// Why a program ended before it was done.
    fn explain(&self, status: ExitStatus) -> Finding {
        if self.errors.contains("memory allocation of") {
            let what = format!("It asked for more than the {} MiB of memory that it may have.", self.memory_limit);
            return Finding::new(Status::Limit, what);
        }
        if self.errors.contains("has overflowed its stack") {
            return Finding::new(Status::Error, "It overflowed its stack: a recursion does not end, or goes too deep.");
        }
        let how = match status.code() {
            Some(code) => format!("ended the process with exit status {code}"),
            None => format!("was ended by the system ({status})"),
        };
        Finding::new(Status::Error, format!("The code under test {how} in the middle of the check."))
    }
}

/// Splits standard output into records and what the submission printed.
fn read_records(stdout: impl Read, limit: usize, mut seal: Seal, to: &Sender<Event>) {
    let mut pending = Vec::new();
    read_bounded(stdout, limit, to, |bytes| {
        pending.extend_from_slice(bytes);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let event = match seal.read(line.trim_end_matches('\n')) {
                Some(record) => Event::Record(record),
                // A record begins with a line break, so an empty line is as likely ours as the submission's.
                None if line == "\n" => continue,
                None => Event::Output(line.into_owned()),
            };
            let _ = to.send(event);
        }
    });
    let _ = to.send(Event::Closed);
}

fn read_errors(stderr: impl Read, limit: usize, to: &Sender<Event>) {
    read_bounded(stderr, limit, to, |bytes| {
        let _ = to.send(Event::Output(String::from_utf8_lossy(bytes).into_owned()));
    });
    let _ = to.send(Event::Closed);
}

/// Reads to the end, or until more has come than may.
fn read_bounded(mut from: impl Read, limit: usize, to: &Sender<Event>, mut take: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 16 << 10];
    let mut total = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(n) => {
                total += n;
                if total > limit {
                    let _ = to.send(Event::TooMuchOutput);
                    return;
                }
                take(&buffer[..n]);
            }
        }
    }
}
