//! A course to test on: a copy of this one with a single exercise, in a directory whose name has a space.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use catalogue::{Report, Run};

pub(crate) const SLUG: &str = "allocation-budget";
const EXERCISE: &str = "1-foundations/03-allocation-budget";

/// One place for all tests, one test at a time: builds of the harness are kept by place.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub(crate) struct TestCourse {
    root: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

/// What a command did.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "standard output:\n{}\nstandard error:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        // A sentence may be broken into lines, and that is no matter here.
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let all = flat(&self.stdout) + " " + &flat(&self.stderr);
        assert!(all.contains(&flat(words)), "`{words}` is not in:\n{}\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn run(&self) -> Run {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {} {}", self.stdout, self.stderr))
    }

    #[track_caller]
    pub(crate) fn report(&self) -> Report {
        self.run().reports.pop().expect("one report")
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl TestCourse {
    /// The course as it is after a clone.
    pub(crate) fn fresh() -> Self {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("a course");
        if root.exists() {
            fs::remove_dir_all(&root).unwrap();
        }
        for file in ["Cargo.toml", "Cargo.lock", "exercises/Cargo.toml", "book/book.toml", "rustfmt.toml"] {
            copy(&source.join(file), &root.join(file));
        }
        let dirs = ["exercises/src", "exercises/harness", "book/src"].map(String::from);
        for dir in dirs.into_iter().chain([format!("exercises/{EXERCISE}"), format!("solutions/{EXERCISE}")]) {
            copy(&source.join(&dir), &root.join(&dir));
        }
        let course = Self { root, _alone: alone };
        // Whatever a learner has made of this copy's original, the tests begin with the starter.
        copy(&course.exercise("baseline.rs"), &course.exercise("src/lib.rs"));
        course
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    pub(crate) fn exercise(&self, relative: &str) -> PathBuf {
        self.root.join("exercises").join(EXERCISE).join(relative)
    }

    /// The learner's code.
    /// Saves the submission in one step, as editors do: nobody meets a file that is half written.
    pub(crate) fn write(&self, code: &str) {
        let beside = self.path("saved.rs");
        fs::write(&beside, code).unwrap();
        fs::rename(beside, self.exercise("src/lib.rs")).unwrap();
    }

    pub(crate) fn starter(&self) -> String {
        fs::read_to_string(self.exercise("baseline.rs")).unwrap()
    }

    pub(crate) fn solution(&self) -> String {
        fs::read_to_string(self.path(&format!("solutions/{EXERCISE}/src/lib.rs"))).unwrap()
    }

    /// Changes a file of the course.
    pub(crate) fn change(&self, relative: &str, from: &str, to: &str) {
        let path = self.exercise(relative);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} is not in {relative}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// A second is enough for what is meant to run out of time.
    pub(crate) fn impatient(self) -> Self {
        self.change("exercise.toml", "minutes = ", "limits = { seconds = 1, memory_mib = 256 }\nminutes = ");
        self
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(arguments).current_dir(&self.root).stdin(Stdio::null());
        command.env_remove("CARGO_MANIFEST_DIR").env_remove("CI").env_remove("NO_COLOR");
        command
    }

    pub(crate) fn xtask(&self, arguments: &[&str]) -> Done {
        self.command(arguments).output().unwrap().into()
    }

    /// Checks the learner's code and gives the report.
    pub(crate) fn check(&self) -> Report {
        self.xtask(&["check", SLUG, "--format", "json"]).report()
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
        return;
    }
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
}
