//! A book with OrderFlow beside it, of which everything but the book is the test's: a cargo that builds when it may, a
//! program that announces itself, and an upstream that tells what it was asked.
#![allow(dead_code, reason = "each test target uses a part of this")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    ops::{Deref, DerefMut},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Instant,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::sample::{PATIENCE, Server, serve};

/// What OrderFlow's program does once it has said where it is: nothing, until it is asked to end, which it remembers.
pub(crate) const STAYS: &str = "while :; do sleep 0.05; done";

/// The course with what the book is told to build.
pub(crate) struct Stage {
    pub(crate) root: TempDir,
    pub(crate) upstream: Upstream,
}

impl Stage {
    /// A cargo that waits for [`Stage::allow_build`], and a program that says where the upstream is and then does `then`.
    pub(crate) fn new(root: TempDir, then: &str) -> Self {
        let upstream = Upstream::start();
        let stage = Self { root, upstream };
        let target = stage.path("target");
        let cargo = format!(
            "echo \"$@\" > built-with; while [ ! -e build ]; do sleep 0.05; done; mkdir -p '{0}/course'; cp program '{0}/course/orderflow'",
            target.display()
        );
        stage.script("cargo", &cargo);
        let said = format!("OrderFlow  http://127.0.0.1:{}/api/products", stage.upstream.port);
        stage.script(
            "program",
            &format!("trap 'touch ended; exit 0' TERM; echo \"$@\" > started-with; echo $$ > pid; echo '{said}'; echo 'API key    of_shown'; {then}"),
        );
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a script by way of another process. A file that this one had open for writing could still be so in a child
    /// that another test is just starting, and what is open for writing cannot be executed.
    pub(crate) fn script(&self, name: &str, lines: &str) {
        let mut write = Command::new("sh");
        write.args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(self.path(name)).stdin(Stdio::piped());
        let mut process = write.spawn().unwrap();
        write!(process.stdin.take().unwrap(), "#!/bin/sh\n{lines}\n").unwrap();
        assert!(process.wait().unwrap().success());
    }

    pub(crate) fn allow_build(&self) {
        fs::write(self.path("build"), "").unwrap();
    }

    /// Serves the book as the course's command line does: as the leader of a group, until its input ends. The other value is
    /// what it prints after its address.
    pub(crate) fn serve(&self) -> (Beside, Receiver<String>) {
        let target = self.path("target").display().to_string();
        let mut command = serve(self.root.path(), &["--port", "0", "--until-input-ends", "--orderflow", &target]);
        command.env("CARGO", self.path("cargo")).process_group(0);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("Book  http://127.0.0.1:").and_then(|port| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("not the line that was agreed: {line:?}"));
        let (sender, printed) = mpsc::channel();
        thread::spawn(move || out.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        (Beside(Server { process, port, root: self.root.path().into() }), printed)
    }
}

/// A served book and what it has started; all of it ends with the test.
pub(crate) struct Beside(Server);

impl Deref for Beside {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl DerefMut for Beside {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.0
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Its group outlives it as long as something else is in it.
        let group = format!("-{}", self.0.process.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
    }
}

/// What the book says of OrderFlow.
pub(crate) fn state(server: &Server) -> Value {
    let answer = server.get("/api/status");
    let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    body["orderflow"].clone()
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    let started = Instant::now();
    while !so() {
        assert!(started.elapsed() < PATIENCE, "never so: {what}");
        thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[track_caller]
pub(crate) fn until_state(server: &Server, word: &str) -> Value {
    until(word, || state(server)["state"] == word);
    state(server)
}

/// A server that answers every request alike, on a connection of its own, and tells what was asked.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    pub(crate) asked: Receiver<String>,
}

const ANSWER: &str = "HTTP/1.1 200 OK\r\nETag: \"tag\"\r\nCache-Control: public, max-age=60\r\nX-Hop: 1\r\n\
    Keep-Alive: timeout=5\r\nConnection: close, X-Hop\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"id\":7}";
const UNCHANGED: &str = "HTTP/1.1 304 Not Modified\r\nETag: \"tag\"\r\nConnection: close\r\n\r\n";

impl Upstream {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, asked) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let Some(request) = read(&stream) else { continue };
                let answer = if request.to_lowercase().contains("if-none-match: \"tag\"") { UNCHANGED } else { ANSWER };
                let _ = (&stream).write_all(answer.as_bytes());
                if tell.send(request).is_err() {
                    return;
                }
            }
        });
        Self { port, asked }
    }

    /// The next request, head and body.
    #[track_caller]
    pub(crate) fn asked(&self) -> String {
        self.asked.recv_timeout(PATIENCE).expect("a request arrives")
    }
}

fn read(stream: &TcpStream) -> Option<String> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.to_lowercase();
    let length = length.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8_lossy(&body))
}
