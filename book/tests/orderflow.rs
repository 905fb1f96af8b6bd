//! OrderFlow beside the book: built while pages are served, started, called through the book, and ended with it.
#![cfg(unix)]

mod beside;
mod sample;

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
};

use beside::{STAYS, Stage, state, until, until_state};
use sample::{PATIENCE, Server, course};
use serde_json::Value;

/// The answer to a request as it stands, to which `Host` and the end of the head are added.
fn ask(server: &Server, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "{head}Host: 127.0.0.1:{}\r\nContent-Length: {}\r\n\r\n{body}", server.port, body.len()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whether a process runs: neither gone, nor only waiting for somebody to take its exit status.
fn runs(pid: &str) -> bool {
    let listed = Command::new("ps").args(["-o", "stat=", "-p", pid]).output().unwrap();
    let stat = String::from_utf8_lossy(&listed.stdout).trim().to_owned();
    !stat.is_empty() && !stat.starts_with('Z')
}

fn said(path: &Path) -> String {
    until(&format!("{} is there", path.display()), || fs::read_to_string(path).is_ok_and(|text| text.ends_with('\n')));
    fs::read_to_string(path).unwrap().trim().to_owned()
}

#[test]
fn pages_are_served_while_it_is_built_and_say_how_it_stands() {
    let stage = Stage::new(course(), STAYS);
    let (server, printed) = stage.serve();
    assert!(server.get("/").contains("Welcome"));
    assert_eq!(state(&server)["state"], "building");
    let refused = server.get("/orderflow/api/products");
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("being built"), "{refused}");
    assert!(refused.to_lowercase().contains("retry-after: "), "{refused}");
    let built = said(&stage.path("built-with"));
    let target = stage.path("target").display().to_string();
    assert_eq!(built, format!("build --profile course --package orderflow --target-dir {target}"));

    stage.allow_build();
    let address = format!("127.0.0.1:{}", stage.upstream.port);
    assert_eq!(until_state(&server, "ready")["address"], Value::from(address.clone()));
    let started = said(&stage.path("started-with"));
    for part in ["serve --set data_dir=.course/orderflow", "http.listen=127.0.0.1:", "ops.listen=127.0.0.1:"] {
        assert!(started.contains(part), "{started}");
    }
    // What it prints comes through: nobody sees its key anywhere else.
    let lines: Vec<_> = printed.iter().take(2).collect();
    assert!(lines[0].contains(&address) && lines[1] == "API key    of_shown", "{lines:?}");
    assert!(server.get("/orderflow/api/products").starts_with("HTTP/1.1 200"));
}

#[test]
fn open_pages_hear_of_every_state() {
    let stage = Stage::new(course(), STAYS);
    let (server, _) = stage.serve();
    let mut events = server.open("/api/events", &format!("localhost:{}", server.port));
    let mut heard = |word: &str| {
        let mut line = String::new();
        while !line.contains(&format!(r#""state":"{word}""#)) {
            line.clear();
            assert!(std::io::BufRead::read_line(&mut events, &mut line).unwrap() > 0, "the stream ended before {word}");
        }
    };
    heard("building");
    stage.allow_build();
    heard("ready");
    let pid = said(&stage.path("pid"));
    assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    heard("failed");
}

#[test]
fn a_request_passes_without_what_belongs_to_its_connection() {
    let stage = Stage::new(course(), STAYS);
    stage.allow_build();
    let (server, _) = stage.serve();
    until_state(&server, "ready");
    let head = "POST /orderflow/api/orders?a=%2F&b HTTP/1.1\r\nAuthorization: Bearer of_key\r\nX-Mine: 1\r\n\
        Keep-Alive: timeout=5\r\nTE: trailers\r\nConnection: close, X-Mine\r\nContent-Type: application/json\r\n";
    let answer = ask(&server, head, "{\"order\": 1}");
    let asked = stage.upstream.asked();
    assert!(
        asked.starts_with("POST /api/orders?a=%2F&b HTTP/1.1\r\n") && asked.ends_with("\r\n\r\n{\"order\": 1}"),
        "{asked}"
    );
    let asked = asked.to_lowercase();
    for there in [
        "authorization: bearer of_key",
        "content-type: application/json",
        &format!("host: 127.0.0.1:{}", stage.upstream.port),
    ] {
        assert!(asked.contains(there), "{there} is not in {asked}");
    }
    for dropped in ["x-mine", "keep-alive", "te:", "connection"] {
        assert!(!asked.contains(dropped), "{dropped} is in {asked}");
    }

    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.starts_with("http/1.1 200") && body == "{\"id\":7}", "{answer}");
    // Its headers, and not the book's: a learner is to see what the service says.
    assert!(head.contains("cache-control: public, max-age=60") && head.contains("etag: \"tag\""), "{head}");
    assert!(
        !head.contains("x-hop") && !head.contains("keep-alive") && !head.contains("content-security-policy"),
        "{head}"
    );

    let unchanged =
        ask(&server, "GET /orderflow/api/products/7 HTTP/1.1\r\nIf-None-Match: \"tag\"\r\nConnection: close\r\n", "");
    assert!(unchanged.starts_with("HTTP/1.1 304"), "{unchanged}");
}

#[test]
fn a_body_may_have_a_mebibyte() {
    let stage = Stage::new(course(), STAYS);
    stage.allow_build();
    let (server, _) = stage.serve();
    until_state(&server, "ready");
    let head = "POST /orderflow/api/orders HTTP/1.1\r\nConnection: close\r\n";
    let most = "x".repeat(1 << 20);
    assert!(ask(&server, head, &most).starts_with("HTTP/1.1 200"));
    assert!(stage.upstream.asked().ends_with(&most));
    let refused = ask(&server, head, &(most + "x"));
    assert!(refused.starts_with("HTTP/1.1 413"), "{refused}");
    assert!(stage.upstream.asked.try_recv().is_err(), "what is too large is not handed on");
}

#[test]
fn other_hosts_are_refused_here_too() {
    let stage = Stage::new(course(), STAYS);
    stage.allow_build();
    let (server, _) = stage.serve();
    until_state(&server, "ready");
    for host in ["evil.example".to_owned(), format!("evil.example:{}", server.port)] {
        assert!(server.get_as("/orderflow/api/products", &host).starts_with("HTTP/1.1 403"), "{host}");
    }
    assert!(stage.upstream.asked.try_recv().is_err());
}

#[test]
fn a_build_that_fails_is_said_and_the_book_goes_on() {
    let stage = Stage::new(course(), STAYS);
    stage.script("cargo", "exit 101");
    let (server, _) = stage.serve();
    let why = until_state(&server, "failed")["why"].clone();
    assert!(why.as_str().unwrap().contains("does not build"), "{why}");
    let refused = server.get("/orderflow/docs");
    assert!(refused.starts_with("HTTP/1.1 502") && refused.contains("does not build"), "{refused}");
    assert!(server.get("/").contains("Welcome"));
}

#[test]
fn an_end_of_its_own_is_said_with_its_last_words() {
    let stage = Stage::new(course(), "echo 'the database is from a later version' >&2; exit 3");
    stage.allow_build();
    let (server, _) = stage.serve();
    let why = until_state(&server, "failed")["why"].clone();
    let why = why.as_str().unwrap();
    assert!(why.contains("exit status: 3") && why.ends_with("\nthe database is from a later version"), "{why}");
}

#[test]
fn it_ends_with_the_book() {
    for asked in [true, false] {
        let stage = Stage::new(course(), STAYS);
        stage.allow_build();
        let (mut server, _) = stage.serve();
        until_state(&server, "ready");
        let pid = said(&stage.path("pid"));
        if asked {
            let id = server.process.id().to_string();
            assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        } else {
            drop(server.process.stdin.take());
        }
        assert_eq!(server.process.wait().unwrap().code(), Some(0));
        assert!(stage.path("ended").exists(), "it was asked to end, not killed");
        assert!(!runs(&pid));
    }
}

#[test]
fn a_build_ends_with_the_book_and_so_does_what_it_started() {
    let stage = Stage::new(course(), STAYS);
    stage.script("cargo", "sleep 1000 & echo $! > compiler; wait");
    let (mut server, _) = stage.serve();
    let compiler = said(&stage.path("compiler"));
    assert!(runs(&compiler));
    drop(server.process.stdin.take());
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
    until("what cargo started has ended", || !runs(&compiler));
}

#[test]
fn a_book_by_itself_has_no_orderflow() {
    let root = course();
    let server = Server::start(root.path());
    assert_eq!(state(&server), Value::Null);
    let missing = server.get("/orderflow/api/products");
    assert!(missing.starts_with("HTTP/1.1 404") && missing.contains("cargo xtask start"), "{missing}");
}
