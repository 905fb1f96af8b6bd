//! `start`, with a cargo that builds a book of two lines.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use crate::course::TestCourse;

/// Says what it was asked to do and ends when its input does, as the real one.
const BOOK: &str = "#!/bin/sh\necho \"Book  $*\"\ncat > /dev/null\necho ended > \"$BOOK_ENDED\"\n";

/// Writes a script by way of another process: what this one has open for writing may still be so in a child that another
/// test is just starting, and then cannot be executed.
fn executable(path: &Path, text: &str) {
    let mut write = Command::new("sh");
    write.args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(path).stdin(Stdio::piped());
    let mut process = write.spawn().unwrap();
    process.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(process.wait().unwrap().success());
}

/// Ends the command with the test, and the book, which writes into the course as it ends: nobody may do so when the next
/// test clears it away.
struct Started {
    command: Child,
    /// Is open for as long as one of the two runs.
    output: BufReader<ChildStdout>,
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.command.kill();
        let _ = self.command.wait();
        let _ = io::copy(&mut self.output, &mut io::sink());
    }
}

fn start(course: &TestCourse, arguments: &[&str]) -> (Started, String) {
    // The program's own place says where it builds, and real builds are to stay as they are.
    let target = course.path("target");
    let xtask = target.join("course/xtask");
    fs::create_dir_all(target.join("course")).unwrap();
    if !xtask.exists() {
        fs::hard_link(env!("CARGO_BIN_EXE_xtask"), &xtask).unwrap();
    }
    executable(&course.path("book-program"), BOOK);
    let build = format!(
        "#!/bin/sh\ncp '{}' '{}'\n",
        course.path("book-program").display(),
        target.join("course/book").display()
    );
    executable(&course.path("cargo"), &build);
    let mut command = Command::new(xtask);
    command.arg("start").args(arguments).current_dir(course.path("")).env_remove("CARGO_MANIFEST_DIR");
    command.env("CARGO", course.path("cargo")).env("BOOK_ENDED", course.path("ended"));
    let mut command = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(command.stdout.take().unwrap());
    let mut started = Started { command, output };
    let mut said = String::new();
    started.output.read_line(&mut said).unwrap();
    (started, said)
}

#[test]
fn the_book_is_told_to_build_orderflow_unless_it_is_wanted_alone() {
    let course = TestCourse::fresh();
    let (_started, said) = start(&course, &["--port", "8123"]);
    assert!(said.starts_with("Book  serve --root ") && said.contains("--port 8123"), "{said}");
    let orderflow = format!("--orderflow {}", course.path("target").display());
    assert!(said.contains(&orderflow), "{said}");
    let (_started, said) = start(&course, &["--book-only"]);
    assert!(said.starts_with("Book") && !said.contains("--orderflow"), "{said}");
}

#[test]
fn the_book_ends_with_a_command_that_was_killed() {
    let course = TestCourse::fresh();
    let (mut started, said) = start(&course, &[]);
    assert!(said.starts_with("Book"), "{said}");
    started.command.kill().unwrap();
    started.command.wait().unwrap();
    let began = std::time::Instant::now();
    while !course.path("ended").exists() {
        assert!(began.elapsed().as_secs() < 30, "the book goes on although nobody is left to show it to");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
