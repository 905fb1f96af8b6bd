//! A course of one exercise in a directory of its own, the real `book serve` on it, and requests as bytes.
#![allow(dead_code, reason = "each test target uses a part of this")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use catalogue::{Catalogue, Finding, Live, Report, Status, write_atomically};
use tempfile::TempDir;

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const EXERCISE: &str = r#"
title = "A `sample` of <work>"
lesson = "Count first & then change \"one\" thing."
chapter = "first/chapter.md"
minutes = 1
needs = ["postgresql"]
hints = ["Look at `Vec<u8>`.", "Closer:\n\nit {{#include}}s.", "Plain"]

[[checks]]
name = "right"
title = "It is right"
kind = "correctness"
points = 1

[[checks]]
name = "fast"
title = "It is fast"
kind = "speed"
points = 4
lesson = true
gate = { at_least = 2.5, unit = "x the starter's speed" }
"#;

/// The course root of a new sample.
pub(crate) fn course() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().to_owned();
    let real = Path::new(env!("CARGO_MANIFEST_DIR"));
    copy(&real.join("theme"), &dir.join("book/theme"));
    fs::copy(real.join("book.toml"), dir.join("book/book.toml")).unwrap();
    write(&dir, "exercises/1-first/01-sample/exercise.toml", EXERCISE);
    write(&dir, "exercises/1-first/01-sample/src/lib.rs", "// ANCHOR: first\nfn f() {}\n// ANCHOR_END: first\n");
    write(&dir, "book/src/SUMMARY.md", "# Summary\n\n[Welcome](welcome.md)\n\n- [Chapter](first/chapter.md)\n");
    write(&dir, "book/src/welcome.md", "# Welcome\n\n{{#exercises 1}}\n");
    write(&dir, "book/src/first/chapter.md", "# Chapter\n\n## A section\n\n{{#exercise sample}}\n");
    root
}

/// Writes a file of the course, with the directories above it.
pub(crate) fn write(root: &Path, path: &str, content: &str) {
    let file = root.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}

/// The content of an evidence file with this figure.
pub(crate) fn evidence(figure: &str) -> String {
    format!(
        r#"{{"title": "Time & `again`", "command": "cargo xtask evidence it", "machine": "2 cores, <fast>", "date": "2026-11-21",
            "commit": "0123abc", "figure": {figure}}}"#
    )
}

/// Copies a directory without what builds leave in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let name = entry.file_name();
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(name)).unwrap();
        } else if entry.path().is_dir() && name != "target" && name != "dist" {
            copy(&entry.path(), &to.join(name));
        }
    }
}

/// Leaves a verdict on `slug` as the runner does, the same for every check.
pub(crate) fn verdict(root: &Path, slug: &str, running: bool, status: Status, message: &str) {
    let catalogue = Catalogue::read(root);
    let exercise = catalogue.find(slug).expect("the sample has the exercise");
    let report = Report::new(exercise, "working copy", |check| {
        let measured = check.gate.as_ref().map(|gate| gate.bound() / 2.0);
        Finding { measured, ..Finding::new(status, message) }
    });
    let live = serde_json::to_vec(&Live { running, report }).unwrap();
    write_atomically(&Live::path(root, slug), &live).unwrap();
}

/// A running `book serve`; ends with the test, however that ends.
pub(crate) struct Server {
    pub(crate) process: Child,
    pub(crate) port: u16,
    pub(crate) root: PathBuf,
}

impl Server {
    pub(crate) fn start(root: &Path) -> Self {
        Self::start_at(root, 0)
    }

    pub(crate) fn start_at(root: &Path, port: u16) -> Self {
        let mut process = serve(root, &["--port", &port.to_string()]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("Book  http://127.0.0.1:").and_then(|port| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("not the line that was agreed: {line:?}"));
        Self { process, port, root: root.into() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// Sends a request and leaves the connection open for the answer.
    pub(crate) fn open(&self, path: &str, host: &str) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        BufReader::new(stream)
    }

    /// The whole answer to a request.
    pub(crate) fn get(&self, path: &str) -> String {
        self.get_as(path, &format!("127.0.0.1:{}", self.port))
    }

    pub(crate) fn get_as(&self, path: &str, host: &str) -> String {
        let mut answer = Vec::new();
        self.open(path, host).read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `book serve` on the course under `root`.
pub(crate) fn serve(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_book"));
    command.arg("--root").arg(root).arg("serve").args(args);
    command
}
