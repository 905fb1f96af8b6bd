//! How long the course's own tools take, measured as a user meets them: on fresh clones, from outside.

use std::{
    fs::{self, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use catalogue::{Exercise, Run, evidence::Figure};

use crate::{
    compile::cargo,
    course::Course,
    interrupt::{self, Group},
};

/// Fresh clones, and repetitions of everything that is quick.
const ROUNDS: usize = 5;
/// The exercise that stands for all where all take the same way.
const SLUG: &str = "allocation-budget";
/// The most seconds from an edit to its verdict, and of which exercises not so many, or more: the last measures every step
/// again.
const EDIT: f64 = 1.5;
const EDITS: [(&str, f64); 2] = [(SLUG, 1.2), ("optimization-loop", 3.0)];

pub(super) fn measure(course: &Course) -> Result<Figure> {
    let mut figures = Figures::default();
    for round in 0..ROUNDS {
        eprintln!("fresh clone {} of {ROUNDS}", round + 1);
        let clone = Clone::make(course)?;
        clone.fresh(&mut figures)?;
        if round + 1 == ROUNDS {
            clone.warm(course, &mut figures)?;
        }
    }
    Ok(figures.table())
}

#[derive(Default)]
struct Figures {
    /// What, the bound with its unit, and the measured values.
    rows: Vec<(String, f64, &'static str, Vec<f64>)>,
}

impl Figures {
    fn add(&mut self, what: &str, at_most: f64, unit: &'static str, value: f64) {
        match self.rows.iter_mut().find(|(known, ..)| *known == what) {
            Some((.., values)) => values.push(value),
            None => self.rows.push((what.to_owned(), at_most, unit, vec![value])),
        }
    }

    fn table(mut self) -> Figure {
        let columns = ["", "median", "least to most", "runs", "at most"].map(String::from).to_vec();
        let rows = self.rows.iter_mut().map(|(what, at_most, unit, values)| {
            values.sort_by(f64::total_cmp);
            let digits = if *at_most < 2.0 { 3 } else { 1 };
            let show = |value: f64| format!("{value:.digits$}");
            let ends = format!("{} to {}", show(values[0]), show(values[values.len() - 1]));
            let median = format!("{} {unit}", show(values[values.len() / 2]));
            vec![what.clone(), median, ends, values.len().to_string(), format!("{at_most} {unit}")]
        });
        Figure::Table { columns, rows: rows.collect() }
    }
}

/// A fresh clone with an empty package cache of its own; both are gone with this value.
struct Clone {
    home: PathBuf,
}

impl Drop for Clone {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.home);
    }
}

impl Clone {
    fn make(course: &Course) -> Result<Self> {
        let home = std::env::temp_dir().join(format!("course-evidence-{}", std::process::id()));
        fs::create_dir(&home).with_context(|| home.display().to_string())?;
        let clone = Self { home };
        let mut git = Command::new("git");
        git.args(["clone", "--quiet"]).arg(course.root()).arg(clone.root());
        ensure!(Group::spawn(&mut git)?.child.wait()?.success(), "git cannot clone the course");
        Ok(clone)
    }

    fn root(&self) -> PathBuf {
        self.home.join("course")
    }

    fn xtask(&self, arguments: &[&str]) -> Command {
        let mut command = cargo();
        command.arg("xtask").args(arguments).current_dir(self.root()).stdin(Stdio::null()).stderr(Stdio::null());
        command.env("CARGO_HOME", self.home.join("cargo-home")).env_remove("CARGO_TARGET_DIR");
        command
    }

    /// Runs `cargo xtask` to its end; its standard output and its time in seconds.
    fn timed(&self, arguments: &[&str]) -> Result<(String, f64)> {
        timed_command(&mut self.xtask(arguments), arguments)
    }

    /// The same without cargo, which takes its time to find that xtask is up to date.
    fn timed_directly(&self, arguments: &[&str]) -> Result<(String, f64)> {
        timed_command(self.program().args(arguments), arguments)
    }

    /// The program that cargo has built in this clone. It finds its course by where it runs; cargo's word would be about
    /// another.
    fn program(&self) -> Command {
        let mut command = Command::new(self.root().join("target/course/xtask"));
        command.current_dir(self.root()).stdin(Stdio::null()).stderr(Stdio::null()).env_remove("CARGO_MANIFEST_DIR");
        command
    }

    fn fresh(&self, figures: &mut Figures) -> Result<()> {
        let (_, list) = self.timed(&["list"])?;
        figures.add("first `cargo xtask list` on a fresh clone, downloads included", 35.0, "s", list);
        let (said, check) = self.timed(&["check", SLUG])?;
        ensure!(said.contains("points in"), "no verdict: {said}");
        figures.add("fresh clone to first verdict", 120.0, "s", list + check);
        let start = Instant::now();
        let mut book = Group::spawn(self.xtask(&["start", "--book-only"]).stdout(Stdio::piped()))?;
        let stdout = book.child.stdout.take().context("piped")?;
        let line = BufReader::new(stdout).lines().map_while(Result::ok).find(|line| line.starts_with("Book"));
        let address = line.context("the book never said where it is")?;
        let address = address.split("http://").nth(1).context("an address")?.trim().trim_end_matches('/').to_owned();
        let mut page = std::net::TcpStream::connect(&address)?;
        page.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(page, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut status = String::new();
        BufReader::new(page).read_line(&mut status)?;
        ensure!(status.contains(" 200 "), "the book answered {status}");
        figures.add("fresh clone to the book answering", 150.0, "s", list + start.elapsed().as_secs_f64());
        Ok(())
    }

    fn warm(&self, course: &Course, figures: &mut Figures) -> Result<()> {
        for exercise in course.exercises()? {
            self.edits(exercise, "starter", figures)?;
            let [mine, solution] = [&exercise.dir, &exercise.solution_dir()].map(|dir| self.root().join(dir));
            for path in &exercise.spec.editable {
                fs::copy(solution.join(path), mine.join(path))?;
            }
            self.edits(exercise, "solution", figures)?;
        }
        for _ in 0..ROUNDS {
            figures.add("`check` of an unchanged, passed exercise", 0.25, "s", self.timed(&["check", SLUG])?.1);
        }
        for _ in 0..ROUNDS {
            let (said, took) = self.timed_directly(&["check", SLUG, "--force", "--format", "json"])?;
            let run: Run = serde_json::from_str(&said)?;
            let ran: f64 = run.reports.iter().map(|report| report.run_seconds).sum();
            figures.add("what xtask adds to the graded programs' own time", 0.1, "s", took - ran);
        }
        self.timed(&["verify"])?;
        for _ in 0..ROUNDS {
            let each = self.timed(&["verify"])?.1 / course.exercises()?.len() as f64;
            figures.add("`verify` for each exercise, warm", 4.0, "s", each);
        }
        for _ in 0..ROUNDS {
            if let Some(peak) = self.peak_memory()? {
                figures.add("resident memory of xtask while grading", 50.0, "MB", peak);
            }
        }
        Ok(())
    }

    /// Times verdicts on the answer that is in the learner's place, with one more comment each time. The first is not
    /// counted: it builds more than what changed.
    fn edits(&self, exercise: &Exercise, answer: &str, figures: &mut Figures) -> Result<()> {
        let slug = &exercise.slug;
        self.timed(&["check", slug])?;
        let source = self.root().join(&exercise.dir).join("src/lib.rs");
        let at_most = EDITS.iter().find(|(of, _)| of == slug).map_or(EDIT, |(_, at_most)| *at_most);
        for edit in 0..ROUNDS {
            writeln!(OpenOptions::new().append(true).open(&source)?, "// edit {edit}")?;
            let what = format!("edit to verdict: {slug}, {answer}");
            figures.add(&what, at_most, "s", self.timed(&["check", slug])?.1);
        }
        Ok(())
    }

    /// The most memory that xtask itself held while it graded the solutions, in MB; the system must have /proc.
    fn peak_memory(&self) -> Result<Option<f64>> {
        let mut group = Group::spawn(self.program().args(["grade", "solutions"]).stdout(Stdio::null()))?;
        let status = PathBuf::from(format!("/proc/{}/status", group.child.id()));
        let mut peak = None;
        while group.child.try_wait()?.is_none() {
            interrupt::check()?;
            peak = high_water(&status).or(peak);
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(peak)
    }
}

fn high_water(status: &Path) -> Option<f64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

fn timed_command(command: &mut Command, arguments: &[&str]) -> Result<(String, f64)> {
    interrupt::check()?;
    let start = Instant::now();
    let mut group = Group::spawn(command.stdout(Stdio::piped()))?;
    let mut said = String::new();
    let stdout = group.child.stdout.take().context("piped")?;
    std::io::Read::read_to_string(&mut BufReader::new(stdout), &mut said)?;
    let status = group.child.wait()?;
    let took = start.elapsed().as_secs_f64();
    ensure!(matches!(status.code(), Some(0 | 1)), "cargo xtask {} ended with {status}", arguments.join(" "));
    Ok((said, took))
}
