//! The service as somebody starts it.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    time::Instant,
};

use rustix::process::Signal;
use sqlx::{Connection, SqliteConnection};
use tokio::runtime::{Builder, Runtime};

use crate::program::{PATIENCE, Place, Serving, request};

const ANY_PORT: [&str; 4] = ["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"];

/// The development key, if the service printed one.
fn key(said: &str) -> Option<&str> {
    said.split_whitespace().find(|word| word.starts_with("of_"))
}

/// Ends a service, and gives what it printed after its addresses.
fn end(serving: Serving) -> String {
    serving.running.signal(Signal::TERM);
    let ended = serving.running.end();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    ended.stdout
}

/// The status of an attempt to create a customer with a key.
fn create(address: SocketAddr, key: &str, email: &str) -> u16 {
    let head = format!("POST /api/customers HTTP/1.1\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json");
    request(address, &head, &format!(r#"{{"name": "Ada", "email": "{email}"}}"#)).0
}

#[test]
fn the_first_start_needs_nothing_and_shows_a_key_that_later_starts_know() {
    let place = Place::new();
    let first = place.serve(&ANY_PORT);
    assert!(first.public.port() != 0 && first.ops.port() != 0 && first.public != first.ops);
    for address in [first.public, first.ops] {
        assert_eq!(request(address, "GET /healthz/ready HTTP/1.1", "").0, 200);
    }
    let url = format!("http://{}/healthz/ready", first.ops);
    let asked = place.run(&["healthcheck", "--url", &url]);
    assert_eq!((asked.status, asked.stderr.as_str()), (Some(0), ""));
    assert_eq!(asked.stdout, format!("{url} answers 200\n"));
    let said = end(first);
    let key = key(&said).unwrap_or_else(|| panic!("no key: {said}"));
    let gone = place.run(&["healthcheck", "--url", &url]);
    assert_eq!(gone.status, Some(1), "{}", gone.stdout);
    assert!(place.path().join(".orderflow/orderflow.db").exists());

    let second = place.serve(&[&["serve"][..], &ANY_PORT].concat());
    assert_eq!(create(second.public, key, "ada@example.com"), 201);
    assert_eq!(create(second.public, "of_wrong", "eve@example.com"), 401);
    let said = end(second);
    assert_eq!(self::key(&said), None, "{said}");
}

#[test]
fn a_port_that_is_taken_is_told_with_its_listener_and_nothing_is_made() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flags, setting) in [
        (["--listen", &address, "--ops-listen", "127.0.0.1:0"], "http.listen"),
        (["--listen", "127.0.0.1:0", "--ops-listen", &address], "ops.listen"),
    ] {
        let place = Place::new();
        let ended = place.run(&flags);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""));
        for part in [address.as_str(), setting, "Address already in use", "--listen 127.0.0.1:"] {
            assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
        }
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "no data directory");
    }
}

#[test]
fn a_data_directory_that_cannot_be_is_told() {
    let place = Place::new();
    place.file("file", "");
    let ended = place.run(&[&ANY_PORT[..], &["--set", "data_dir=file"]].concat());
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("sqlite:file/orderflow.db") && ended.stderr.contains("data_dir"), "{}", ended.stderr);
}

#[test]
fn a_second_signal_does_not_wait_for_a_request() {
    let place = Place::new();
    let serving =
        place.serve(&[&ANY_PORT[..], &["--set", "http.drain_timeout=1h", "--set", "http.drain_notice=1h"]].concat());
    // A head that never ends keeps its connection open while the service drains.
    let mut open = TcpStream::connect(serving.public).unwrap();
    std::io::Write::write_all(&mut open, b"GET /api/products HTTP/1.1\r\n").unwrap();
    // The service answers on another connection only after it has taken this one.
    assert_eq!(request(serving.public, "GET /healthz/ready HTTP/1.1", "").0, 200);
    serving.running.signal(Signal::INT);
    let end = Instant::now() + PATIENCE;
    while request(serving.public, "GET /healthz/ready HTTP/1.1", "").0 != 503 {
        assert!(Instant::now() < end, "the first signal has no effect");
    }
    serving.running.signal(Signal::INT);
    let ended = serving.running.end();
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("second signal"), "{}", ended.stderr);
}

/// Holds the place of the one who writes to an embedded database, until what this gives is dropped.
fn write_lock(place: &Place) -> (Runtime, SqliteConnection) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("sqlite:{}", place.path().join(".orderflow/orderflow.db").display());
    let lock = runtime.block_on(async {
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
        connection
    });
    (runtime, lock)
}

#[test]
fn a_line_names_the_trace_and_the_request_that_the_answer_names() {
    for form in ["json", "pretty"] {
        let place = Place::new();
        let made = place.run(&["key", "--name", "shop", "--role", "writer"]).stdout;
        let (key, lines) = made.split_once('\n').unwrap();
        place.file("orderflow.toml", lines);
        let form = format!("log.format={form}");
        let settings = ["--set", &form, "--set", "database.statement_timeout=100ms", "--set", "worker.in_process=off"];
        let serving = place.serve(&[&ANY_PORT[..], &settings].concat());
        let (runtime, lock) = write_lock(&place);
        let head =
            format!("POST /api/customers HTTP/1.1\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json");
        let (status, answer) = request(serving.public, &head, r#"{"name": "Ada", "email": "ada@example.com"}"#);
        assert_eq!(status, 503, "{answer}");
        runtime.block_on(lock.close()).unwrap();
        let header = |name| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let (trace, id) = (&header("traceresponse: ")[3..35], header("x-request-id: "));
        serving.running.signal(Signal::TERM);
        let log = serving.running.end().stderr;
        let told: Vec<_> = log.lines().filter(|line| line.contains("a request was not answered")).collect();
        let [line] = told[..] else { panic!("one line tells of it: {log}") };
        if form.ends_with("json") {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!((&line["trace_id"], &line["request_id"]), (&trace.into(), &id.into()));
            assert_eq!((&line["method"], &line["route"]), (&"POST".into(), &"/api/customers".into()));
            assert_eq!((&line["status"], &line["level"]), (&503.into(), &"WARN".into()));
        } else {
            assert!(line.ends_with(&format!(" trace_id={trace} request_id={id}")), "{line}");
        }
    }
}

#[test]
fn the_log_is_json_where_nobody_watches() {
    let place = Place::new();
    let serving = place.serve(&[&ANY_PORT[..], &["--set", "log.filter=debug"]].concat());
    serving.running.signal(Signal::TERM);
    let ended = serving.running.end();
    assert!(!ended.stderr.is_empty());
    for line in ended.stderr.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(event["timestamp"].is_string() && event["level"].is_string(), "{line}");
    }
}
