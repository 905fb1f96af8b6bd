//! Building a composed package with cargo, and making the compiler's errors readable.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use catalogue::Exercise;
use serde::{Deserialize, Serialize};

use crate::{
    compose::Composed,
    course::Course,
    interrupt::{self, Group},
    stop::Stop,
};

/// Errors that are shown; the rest mostly follow from them.
const MOST_ERRORS: usize = 3;
/// Lines of one error that are shown.
const MOST_LINES: usize = 30;

/// The two programs that decide the checks of an exercise.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Binaries {
    pub(crate) checks: PathBuf,
    pub(crate) bench: PathBuf,
}

impl Binaries {
    fn copy_to(&mut self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)?;
        for (program, name) in [(&mut self.checks, "checks"), (&mut self.bench, "bench")] {
            let copy = dir.join(name).with_extension(std::env::consts::EXE_EXTENSION);
            fs::copy(&*program, &copy)?;
            *program = copy;
        }
        Ok(())
    }
}

/// What came of a build.
pub(crate) enum Built {
    /// It compiles.
    Yes(Binaries),
    /// It does not; the compiler's first errors, with paths as the learner knows them, coloured if asked.
    No(String),
}

/// What a finished build is recognised by, so that cargo need not be asked again.
#[derive(Serialize, Deserialize)]
struct Stamp {
    sources: String,
    compiler: Option<String>,
    binaries: Binaries,
}

/// Builds both programs of a composed package. With `kept`, copies of them stay under that name when the package is composed
/// from other files.
pub(crate) fn build(
    course: &Course,
    exercise: &Exercise,
    composed: &Composed,
    kept: Option<&str>,
    colour: bool,
) -> Result<Built> {
    let own = kept.map_or_else(|| composed.dir.clone(), |name| composed.dir.join("kept").join(name));
    let stamp = own.join("built.json");
    let known = fs::read(&stamp).ok().and_then(|bytes| serde_json::from_slice::<Stamp>(&bytes).ok());
    if let Some(known) = known
        && known.sources == composed.sources
        && known.compiler == compiler(course)
        && known.binaries.checks.is_file()
        && known.binaries.bench.is_file()
    {
        return Ok(Built::Yes(known.binaries));
    }
    // A build that is cut off may have replaced the programs already. They must not be taken for those of the old stamp.
    let _ = fs::remove_file(&stamp);
    let mut built = run_cargo(course, exercise, composed, colour)?;
    if let Built::Yes(binaries) = &mut built {
        if kept.is_some() {
            binaries.copy_to(&own).with_context(|| own.display().to_string())?;
        }
        let stamp_now =
            Stamp { sources: composed.sources.clone(), compiler: compiler(course), binaries: binaries.clone() };
        fs::write(&stamp, serde_json::to_vec(&stamp_now)?).with_context(|| stamp.display().to_string())?;
    }
    Ok(built)
}

/// Cargo's own note on which compiler it last used here, so that an update of the compiler is not missed.
fn compiler(course: &Course) -> Option<String> {
    #[derive(Deserialize)]
    struct Info {
        rustc_fingerprint: serde_json::Number,
    }
    let info = fs::read(course.target.join(".rustc_info.json")).ok()?;
    Some(serde_json::from_slice::<Info>(&info).ok()?.rustc_fingerprint.to_string())
}

/// The cargo that runs us, or the one on the path.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    forget_us(&mut command);
    command
}

/// Takes out what cargo sets for the programs that it runs. It speaks of xtask, and would make builds under the command
/// differ from the learner's own.
pub(crate) fn forget_us(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_BIN_") || name == "CARGO_MANIFEST_DIR" {
            command.env_remove(&*name);
        }
    }
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(rename = "message")]
    diagnostic: Option<Diagnostic>,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    rendered: Option<String>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

fn run_cargo(course: &Course, exercise: &Exercise, composed: &Composed, colour: bool) -> Result<Built> {
    let format = if colour { "json-diagnostic-rendered-ansi" } else { "json" };
    let mut command = cargo();
    command
        .args(["build", "--profile", "grade", "--test", "checks", "--bench", "bench", "--message-format", format])
        .arg("--manifest-path")
        .arg(composed.dir.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&course.target)
        // From the composed directory, a configuration of the learner's own still applies, as it does to cargo build.
        .current_dir(&composed.dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut group = Group::spawn(&mut command).context("cargo cannot be started")?;
    let mut progress = group.child.stderr.take().context("cargo has no standard error")?;
    let said = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = progress.read_to_string(&mut text);
        text
    });

    let (mut errors, mut checks, mut bench) = (Vec::new(), None, None);
    let messages = group.child.stdout.take().context("cargo has no standard output")?;
    for line in BufReader::new(messages).lines() {
        let Ok(message) = serde_json::from_str::<Message>(&line?) else { continue };
        match (message.reason.as_str(), message.diagnostic, message.executable, message.target) {
            ("compiler-message", Some(diagnostic), ..) if diagnostic.level == "error" => {
                errors.extend(diagnostic.rendered);
            }
            ("compiler-artifact", _, Some(path), Some(target)) if target.name == "checks" => checks = Some(path),
            ("compiler-artifact", _, Some(path), Some(target)) if target.name == "bench" => bench = Some(path),
            _ => {}
        }
    }
    let status = group.child.wait()?;
    interrupt::check()?;
    let said = said.join().unwrap_or_default();
    match (status.success(), checks, bench) {
        (true, Some(checks), Some(bench)) => Ok(Built::Yes(Binaries { checks, bench })),
        _ if !errors.is_empty() => Ok(Built::No(shorten(&errors, &exercise.dir))),
        _ => {
            let what = format!("cargo could not build {}", exercise.slug);
            Err(Stop::broken(what, said.trim()).into())
        }
    }
}

/// The first errors, each cut to a screen, with the paths that the learner edits instead of the copies that were built.
fn shorten(errors: &[String], dir: &Path) -> String {
    // The same error comes once for each program that includes the file, and a count of errors at the end.
    let mut distinct: Vec<&String> = Vec::new();
    for error in errors.iter().filter(|error| !error.contains("aborting due to")) {
        if !distinct.contains(&error) {
            distinct.push(error);
        }
    }
    let mut text = String::new();
    for error in distinct.iter().take(MOST_ERRORS) {
        let lines: Vec<_> = error.trim_end().lines().collect();
        for line in lines.iter().take(MOST_LINES) {
            text += &relocate(line, dir);
            text.push('\n');
        }
        if lines.len() > MOST_LINES {
            text += &format!("  ... {} more lines\n", lines.len() - MOST_LINES);
        }
        text.push('\n');
    }
    match distinct.len().saturating_sub(MOST_ERRORS) {
        0 => {}
        1 => text += "and one more error\n",
        more => text += &format!("and {more} more errors\n"),
    }
    text
}

/// Puts the exercise's directory before paths that are relative to the composed package.
pub(crate) fn relocate(text: &str, dir: &Path) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) =
        ["src/", "checks.rs:", "bench.rs:", "inputs.rs:"].iter().filter_map(|path| rest.find(path)).min()
    {
        let (before, from) = rest.split_at(at);
        out += before;
        // Only where a path begins: after a space, an escape sequence, or at the start.
        if !before.ends_with(|last: char| last.is_alphanumeric() && last != 'm' || "/_-.(".contains(last)) {
            out += &dir.to_string_lossy();
            out.push('/');
        }
        let (path, after) = from.split_at(4);
        out += path;
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_file_that_the_learner_edits() {
        let dir = Path::new("exercises/1-foundations/03-allocation-budget");
        let plain = relocate("  --> src/lib.rs:3:5", dir);
        assert_eq!(plain, "  --> exercises/1-foundations/03-allocation-budget/src/lib.rs:3:5");
        let coloured = relocate("\u{1b}[94m--> \u{1b}[0msrc/lib.rs:3:5", dir);
        assert!(coloured.ends_with("\u{1b}[0mexercises/1-foundations/03-allocation-budget/src/lib.rs:3:5"));
        for untouched in ["/rustc/abc/library/core/src/option.rs:1", "my-src/lib.rs", "a/checks.rs:1"] {
            assert_eq!(relocate(untouched, dir), untouched);
        }
    }

    #[test]
    fn only_the_first_errors_are_shown_each_once() {
        let error = |n: usize| format!("error: number {n}\n --> src/lib.rs:{n}:1\n");
        let mut errors: Vec<_> = (1..=5).map(error).collect();
        errors.push(error(1));
        errors.push("error: aborting due to 5 previous errors".into());
        let text = shorten(&errors, Path::new("d"));
        assert!(text.contains("number 3") && !text.contains("number 4"), "{text}");
        assert_eq!(text.matches("number 1").count(), 1);
        assert!(text.ends_with("and 2 more errors\n"), "{text}");
        let long = format!("error: long\n{}", "line\n".repeat(50));
        assert!(shorten(&[long], Path::new("d")).contains("... 21 more lines"));
    }
}
