//! The workspace's own test programs, two at a time: many of them wait for a server, a browser or a clock, and `cargo test`,
//! which runs one program after the other, would wait with them.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::{
    compile::forget_us,
    course::Course,
    interrupt::{self, Group},
};

/// More would stand in each other's way: each has threads, servers and builds of its own.
const AT_ONCE: usize = 2;

/// A built test program.
#[derive(Debug, PartialEq)]
struct Suite {
    /// The directory of its package, in which cargo runs it too.
    dir: PathBuf,
    /// What cargo calls it: `store` for `tests/store`.
    target: String,
    program: PathBuf,
}

/// Builds what `cargo test`, given as `command`, would run, and runs it; whether all of it builds and passes. `with` are
/// variables of the environment for the programs.
pub(super) fn run(course: &Course, mut command: Command, with: &[(&str, PathBuf)]) -> Result<bool> {
    command.args(["--no-run", "--message-format", "json-render-diagnostics"]);
    let mut group = Group::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let messages = group.child.stdout.take().context("cargo has no standard output")?;
    let lines = BufReader::new(messages).lines().collect::<Result<Vec<_>, _>>()?;
    let built = group.child.wait()?.success();
    interrupt::check()?;
    if !built {
        return Ok(false);
    }
    let suites = suites(&lines)?;

    let outputs = course.target.join("suites");
    fs::create_dir_all(&outputs).with_context(|| outputs.display().to_string())?;
    let waiting = Mutex::new(suites.into_iter());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| -> Result<()> {
        let lanes: Vec<_> = (0..AT_ONCE)
            .map(|lane| {
                let output = outputs.join(format!("{lane}.log"));
                let (next, failed) = (&next, &failed);
                scope.spawn(move || -> Result<()> {
                    while let Some(suite) = next() {
                        if !suite.run(course, with, &output)? {
                            failed.lock().unwrap_or_else(PoisonError::into_inner).push(suite.name(course));
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        lanes.into_iter().try_for_each(|lane| lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !failed.is_empty() {
        println!("failed: {}", failed.join(", "));
    }
    Ok(failed.is_empty())
}

impl Suite {
    fn name(&self, course: &Course) -> String {
        let dir = self.dir.strip_prefix(course.root()).unwrap_or(&self.dir);
        format!("{} {}", dir.display(), self.target)
    }

    /// Runs it to its end and prints all that it said at once, so that it is not mixed with what others say.
    fn run(&self, course: &Course, with: &[(&str, PathBuf)], output: &Path) -> Result<bool> {
        interrupt::check()?;
        // A file and no pipe: a server that outlives its test would keep a pipe open.
        let said = File::create(output).with_context(|| output.display().to_string())?;
        let mut command = Command::new(&self.program);
        forget_us(&mut command);
        command.env("CARGO_MANIFEST_DIR", &self.dir).envs(with.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.dir).stdin(Stdio::null()).stderr(said.try_clone()?).stdout(said);
        let began = Instant::now();
        let mut group = Group::spawn(&mut command).with_context(|| self.program.display().to_string())?;
        let status = group.child.wait()?;
        interrupt::check()?;
        let took = began.elapsed().as_secs_f64();
        let said = fs::read(output).with_context(|| output.display().to_string())?;
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "--- {}, {took:.1} s", self.name(course))?;
        stdout.write_all(&said)?;
        if status.code().is_none_or(|code| code != 0 && code != 101) {
            // It did not come to its own summary.
            writeln!(stdout, "{} ended with {status}", self.program.display())?;
        }
        Ok(status.success())
    }
}

/// The test programs that cargo's messages are about, in the order in which they are begun. That there are none is an error:
/// it would look as if all had passed.
fn suites(messages: &[String]) -> Result<Vec<Suite>> {
    let mut suites: Vec<_> = messages.iter().filter_map(|message| suite(message)).collect();
    ensure!(!suites.is_empty(), "cargo names no test program that it has built");
    // The command line's tests grade whole courses, which takes the longest. Begun last, they would run alone at the end.
    suites.sort_by_key(|suite| !suite.dir.ends_with("xtask"));
    Ok(suites)
}

/// The test program that one of cargo's messages is about.
fn suite(message: &str) -> Option<Suite> {
    #[derive(Deserialize)]
    struct Artifact {
        manifest_path: PathBuf,
        target: Target,
        profile: Profile,
        executable: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    #[derive(Deserialize)]
    struct Profile {
        test: bool,
    }
    let artifact: Artifact = serde_json::from_str(message).ok()?;
    let program = artifact.executable.filter(|_| artifact.profile.test)?;
    Some(Suite { dir: artifact.manifest_path.parent()?.to_owned(), target: artifact.target.name, program })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(package: &str, test: bool, executable: &str) -> String {
        format!(
            r#"{{"reason":"compiler-artifact","manifest_path":"/course/{package}/Cargo.toml","target":{{"kind":["test"],
            "name":"store"}},"profile":{{"opt_level":"0","test":{test}}},"executable":{executable},"fresh":true}}"#
        )
    }

    fn message(test: bool, executable: &str) -> String {
        of("orderflow", test, executable)
    }

    #[test]
    fn the_longest_is_begun_first_and_none_at_all_is_an_error() {
        let messages = [of("orderflow", true, r#""/a""#), of("xtask", true, r#""/b""#), of("book", true, r#""/c""#)];
        let begun: Vec<_> = suites(&messages).unwrap().into_iter().map(|suite| suite.program).collect();
        assert_eq!(begun, [Path::new("/b"), Path::new("/a"), Path::new("/c")]);
        assert!(suites(&[message(false, r#""/target/store""#), "no message of cargo's".into()]).is_err());
    }

    #[test]
    fn only_test_programs_are_run() {
        let store =
            Suite { dir: "/course/orderflow".into(), target: "store".into(), program: "/target/store-1".into() };
        assert_eq!(suite(&message(true, r#""/target/store-1""#)), Some(store));
        assert_eq!(suite(&message(false, r#""/target/store""#)), None, "a program that tests start");
        assert_eq!(suite(&message(true, "null")), None, "a library that is only checked");
        assert_eq!(suite(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(suite("no message of cargo's"), None);
    }
}
