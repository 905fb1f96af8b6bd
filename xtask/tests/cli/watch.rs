//! `watch` on a real terminal, which util-linux's `script` provides.

use std::{
    io::{Read, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use crate::course::{SLUG, TestCourse};

/// Far longer than a build takes on a slow machine; the test goes on as soon as it sees what it waits for.
const PATIENCE: Duration = Duration::from_mins(5);

struct Terminal {
    script: Child,
    output: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn watch(course: &TestCourse) -> Self {
        // `script` runs a shell, whose word on the terminal's settings afterwards is part of the output.
        let xtask = env!("CARGO_BIN_EXE_xtask");
        let line = format!("stty cols 100 rows 40; '{xtask}' watch {SLUG}; echo status $?; stty -a");
        let mut script = Command::new("script")
            .args(["--quiet", "--flush", "--command", &line, "/dev/null"])
            .current_dir(course.path(""))
            .env_remove("CARGO_MANIFEST_DIR")
            .env("TERM", "xterm")
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("util-linux's script is part of every Linux system");
        let mut stdout = script.stdout.take().unwrap();
        let (sender, output) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = stdout.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { script, output, seen: String::new() }
    }

    /// Waits until the screen has shown `words`, and forgets everything before them.
    #[track_caller]
    fn shows(&mut self, words: &str) {
        self.shows_one_of([words]);
    }

    /// The same with several, and which of them it was.
    #[track_caller]
    fn shows_one_of<const N: usize>(&mut self, words: [&str; N]) -> usize {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = words.iter().enumerate().filter_map(|(which, words)| Some((self.seen.find(words)?, which)));
            if let Some((at, which)) = found.min() {
                self.seen.drain(..at + words[which].len());
                return which;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.seen += &String::from_utf8_lossy(&bytes),
                Err(error) => panic!("none of {words:?} was shown ({error}); this was:\n{}", self.seen),
            }
        }
    }

    fn press(&mut self, key: &str) {
        self.script.stdin.as_mut().unwrap().write_all(key.as_bytes()).unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

#[test]
fn a_save_brings_a_verdict_and_keys_bring_the_rest() {
    let course = TestCourse::fresh();
    let mut terminal = Terminal::watch(&course);
    terminal.shows("3 of 10 points");
    terminal.shows("q:quit");
    terminal.press("h");
    terminal.shows("Hint 1 of 3");
    terminal.press("s");
    terminal.shows("has not passed yet");
    terminal.press("l");
    terminal.shows("> open    allocation-budget");
    course.write(&course.solution());
    // A machine that is too busy to tell how fast it is says so. Whoever reads that asks again.
    let mut asked = 0;
    while terminal.shows_one_of(["10 of 10 points", "inconclusive"]) == 1 {
        asked += 1;
        assert!(asked < 10, "it never could tell");
        terminal.shows("q:quit");
        terminal.press("c");
        terminal.shows("checking");
    }
    terminal.shows("Done.");
    terminal.shows("1/1");
    terminal.press("r");
    terminal.shows("y/n");
    terminal.press("y");
    terminal.shows("3 of 10 points");
    terminal.shows("q:quit");
    terminal.press("q");
    terminal.shows("status 0");
    // Canonical input and echo are what raw mode takes away.
    terminal.shows(" icanon");
    terminal.shows(" echo ");
}

#[test]
fn control_c_ends_it_in_the_middle_of_a_check_and_restores_the_terminal() {
    let course = TestCourse::fresh();
    let begin = "pub fn render(invoice: &Invoice) -> String {";
    course.write(&course.starter().replacen(begin, &format!("{begin}\n loop {{ std::hint::spin_loop() }}"), 1));
    let mut terminal = Terminal::watch(&course);
    terminal.shows("checking");
    terminal.shows("q:quit");
    terminal.press("\u{3}");
    terminal.shows("status 0");
    terminal.shows(" icanon");
}

#[test]
fn it_ends_with_its_terminal() {
    let course = TestCourse::fresh();
    let mut terminal = Terminal::watch(&course);
    terminal.shows("3 of 10 points");
    assert_eq!(watchers(&course), 1);
    drop(terminal);
    let deadline = Instant::now() + PATIENCE;
    while watchers(&course) > 0 {
        assert!(Instant::now() < deadline, "it outlived its terminal");
        thread::sleep(Duration::from_millis(20));
    }
}

/// How many processes watch this course.
fn watchers(course: &TestCourse) -> usize {
    let root = course.path("").canonicalize().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let watches = |process: &std::path::PathBuf| {
        let here = std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == root);
        let program = std::fs::read_link(process.join("exe")).is_ok_and(|exe| exe.ends_with("xtask"));
        here && program
    };
    processes.filter(watches).count()
}
