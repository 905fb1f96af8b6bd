//! The real `book serve`, asked over plain sockets.

mod sample;

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use catalogue::{Progress, STATE_DIR, Standing, Status, write_atomically};
use sample::{PATIENCE, Server, course, serve, verdict, write};

/// The data of the next event of that name.
fn next(events: &mut BufReader<TcpStream>, name: &str) -> String {
    let wanted = format!("event: {name}");
    let mut matched = false;
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        let mut line = String::new();
        assert!(events.read_line(&mut line).unwrap() > 0, "the stream ended before an event `{name}`");
        if line.starts_with("event: ") {
            matched = line.trim_end() == wanted;
        } else if let Some(data) = line.strip_prefix("data: ").filter(|_| matched) {
            return data.trim_end().to_owned();
        }
    }
    panic!("no event `{name}`");
}

fn events(server: &Server) -> BufReader<TcpStream> {
    server.open("/api/events", &format!("localhost:{}", server.port))
}

#[test]
fn pages_have_their_types_and_missing_ones_a_page_that_says_so() {
    let root = course();
    let server = Server::start(root.path());
    let page = server.get("/first/chapter.html");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("text/html") && page.contains("no-store"), "{page}");
    assert!(page.contains("<html data-live=\""), "{page}");
    assert!(server.get("/").contains("Welcome"));
    assert!(server.get("/css/variables-").starts_with("HTTP/1.1 404"));
    assert!(server.get("/toc.html").contains("content-security-policy"));
    let missing = server.get("/first/nothing.html");
    assert!(missing.starts_with("HTTP/1.1 404") && missing.contains("Document not found"), "{missing}");
}

#[test]
fn no_path_leads_out_of_the_book() {
    let root = course();
    write(root.path(), "secret.txt", "secret");
    let server = Server::start(root.path());
    for path in [
        "/../secret.txt",
        "/../../etc/passwd",
        "/%2e%2e/secret.txt",
        "/first/..%2f..%2fsecret.txt",
        "//etc/passwd",
        "/book.toml",
    ] {
        let answer = server.get(path);
        assert!(answer.starts_with("HTTP/1.1 404") && !answer.contains("secret\n"), "{path}: {answer}");
    }
}

#[test]
fn only_this_machine_is_answered() {
    let root = course();
    let server = Server::start(root.path());
    for host in
        ["evil.example".to_owned(), format!("evil.example:{}", server.port), format!("127.0.0.1:{}", server.port ^ 1)]
    {
        for path in ["/", "/api/status", "/api/events"] {
            assert!(server.get_as(path, &host).starts_with("HTTP/1.1 403"), "{host} {path}");
        }
    }
    assert!(server.get_as("/", &format!("[::1]:{}", server.port)).starts_with("HTTP/1.1 200"));
}

#[test]
fn the_status_follows_the_learner() {
    let root = course();
    let server = Server::start(root.path());
    let state = |server: &Server| {
        let answer = server.get("/api/status");
        let body: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        let entry = &body["exercises"]["sample"];
        (
            entry["state"].as_str().unwrap().to_owned(),
            entry["points"].as_u64().unwrap(),
            entry["max_points"].as_u64().unwrap(),
        )
    };
    assert_eq!(state(&server), ("untouched".into(), 0, 5));
    verdict(root.path(), "sample", true, Status::Skipped, "");
    assert_eq!(state(&server).0, "running");
    for (status, word, points) in [
        (Status::Pass, "passed", 5),
        (Status::Fail, "failed", 0),
        (Status::Blocked, "blocked", 0),
        (Status::Inconclusive, "inconclusive", 0),
    ] {
        verdict(root.path(), "sample", false, status, "");
        assert_eq!(state(&server), (word.into(), points, 5));
    }
    write(root.path(), ".course/reports/sample.json", "half a repor");
    assert_eq!(state(&server).0, "untouched");
    let mut progress = Progress { version: 1, ..Progress::default() };
    let standing = Standing { passed: Some("hash".into()), best_points: 5, attempts: 2, ..Standing::default() };
    progress.exercises.insert("sample".into(), standing);
    write_atomically(&Progress::path(root.path()), &serde_json::to_vec(&progress).unwrap()).unwrap();
    assert_eq!(state(&server), ("passed".into(), 5, 5));
}

#[test]
fn open_pages_hear_of_verdicts_even_when_the_state_appears_and_goes() {
    let root = course();
    let server = Server::start(root.path());
    let mut events = events(&server);
    assert!(next(&mut events, "status").contains(r#""state":"untouched""#), "the first event is the state as it is");
    for _ in 0..2 {
        verdict(root.path(), "sample", false, Status::Fail, "too slow");
        let mut heard = next(&mut events, "status");
        while !heard.contains("too slow") {
            heard = next(&mut events, "status");
        }
        fs::remove_dir_all(root.path().join(STATE_DIR)).unwrap();
        while !heard.contains(r#""state":"untouched""#) {
            heard = next(&mut events, "status");
        }
    }
}

#[test]
fn an_edit_reloads_and_a_bad_one_keeps_the_pages() {
    let root = course();
    let server = Server::start(root.path());
    let mut events = events(&server);
    next(&mut events, "status");
    write(root.path(), "book/src/welcome.md", "# Welcome\n\nEdited once.\n");
    next(&mut events, "reload");
    assert!(server.get("/welcome.html").contains("Edited once."));
    write(root.path(), "book/src/welcome.md", "# Welcome\n\nEdited twice.\n\n{{#exercise nobody}}\n");
    assert!(next(&mut events, "build-error").contains("book/src/welcome.md:5"));
    assert!(server.get("/welcome.html").contains("Edited once."));
    assert!(server.get("/api/status").contains("book/src/welcome.md:5"));
    write(root.path(), "book/src/welcome.md", "# Welcome\n\nEdited thrice.\n");
    next(&mut events, "reload");
    assert!(server.get("/welcome.html").contains("Edited thrice."));
    write(
        root.path(),
        "exercises/1-first/01-sample/exercise.toml",
        &sample::EXERCISE.replace("It is right", "It is righter"),
    );
    next(&mut events, "reload");
    assert!(server.get("/first/chapter.html").contains("It is righter"));
}

#[test]
fn an_edit_of_included_code_reloads() {
    let root = course();
    let listing = "# Chapter\n\n```rust\n{{#include ../../../exercises/1-first/01-sample/src/lib.rs:first}}\n```\n";
    write(root.path(), "book/src/first/chapter.md", listing);
    let server = Server::start(root.path());
    let mut events = events(&server);
    next(&mut events, "status");
    write(
        root.path(),
        "exercises/1-first/01-sample/src/lib.rs",
        "// ANCHOR: first\nfn renamed() {}\n// ANCHOR_END: first\n",
    );
    next(&mut events, "reload");
    assert!(server.get("/first/chapter.html").contains("fn renamed"));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let root = course();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = serve(root.path(), &["--port", &port]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(&port) && said.contains("--port") && output.stdout.is_empty(), "{said}");
}

#[test]
fn a_broken_book_is_not_served() {
    let root = course();
    write(root.path(), "book/src/welcome.md", "{{#exercise nobody}}\n");
    let output = serve(root.path(), &["--port", "0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("book/src/welcome.md:1"));
}

#[test]
fn a_directory_without_a_course_is_said_so() {
    let empty = tempfile::tempdir().unwrap();
    let output = serve(empty.path(), &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--root"));
}

#[cfg(unix)]
#[test]
fn it_ends_when_asked_although_a_page_is_listening() {
    let root = course();
    let mut server = Server::start(root.path());
    let mut events = events(&server);
    next(&mut events, "status");
    let id = server.process.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let started = Instant::now();
    let status = loop {
        if let Some(status) = server.process.try_wait().unwrap() {
            break status;
        }
        assert!(started.elapsed() < PATIENCE, "it goes on although it was asked to end");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(0));
    let mut rest = String::new();
    while events.read_line(&mut rest).unwrap_or(0) > 0 {}
}

#[test]
fn it_ends_with_whoever_started_it() {
    let root = course();
    let mut command = serve(root.path(), &["--port", "0", "--until-input-ends"]);
    let mut server = command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("Book"), "{line}");
    assert_eq!(server.try_wait().unwrap(), None, "it goes on while its input is open");
    drop(server.stdin.take());
    assert_eq!(server.wait().unwrap().code(), Some(0));
}
