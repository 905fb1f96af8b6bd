//! Sentry is told of panics and errors, at a project that is a listener of this test's.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    panic::catch_unwind,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use orderflow::{
    config::{Config, Flag, Sources},
    telemetry::{Telemetry, TraceContext, Work},
};
use serde_json::Value;

/// A request: its first line and headers in lower case, and its body.
type Posted = (String, String);

/// Takes what is posted to it.
#[derive(Clone, Default)]
struct Project(Arc<Mutex<Vec<Posted>>>);

impl Project {
    fn start() -> (Self, u16) {
        let project = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let into = project.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let into = into.clone();
                thread::spawn(move || into.take(&stream));
            }
        });
        (project, port)
    }

    /// Requests of a connection until its client leaves.
    fn take(&self, mut stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                (reader.read_line(&mut head).ok()? > 0).then_some(())?;
            }
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().ok()?;
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            self.posted().push((head, String::from_utf8(body).ok()?));
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").ok()?;
        }
    }

    fn posted(&self) -> MutexGuard<'_, Vec<Posted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The events of all envelopes: a header, and items of a header and a line each. One that came twice, since its answer was
    /// late, is one by its identifier, as it is to Sentry.
    fn events(&self) -> Vec<Value> {
        let mut events: Vec<Value> = Vec::new();
        for (_, envelope) in self.posted().iter() {
            let lines: Vec<Value> = envelope
                .lines()
                .filter(|line| !line.is_empty())
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            let items = lines[1..].chunks(2).filter(|item| item[0]["type"] == "event");
            let come: Vec<_> = items.map(|item| item[1].clone()).collect();
            assert!(come.iter().all(|event| event["event_id"].is_string()), "{envelope}");
            let new = |event: &Value| events.iter().all(|known| known["event_id"] != event["event_id"]);
            let come: Vec<_> = come.into_iter().filter(new).collect();
            events.extend(come);
        }
        events
    }
}

/// Whoever begins telemetry does so for the whole process, so that this is one test.
#[test]
fn errors_and_panics_are_told_with_their_trace_and_nothing_personal() {
    let (project, port) = Project::start();
    let dsn = format!("http://abc123@127.0.0.1:{port}/42");
    let flags = [
        ("telemetry.sentry_dsn", dsn.as_str()),
        ("telemetry.environment", "test"),
        ("telemetry.otlp_endpoint", "http://127.0.0.1:1"),
        ("telemetry.otlp_protocol", "http"),
        // What is told does not depend on what is logged.
        ("log.filter", "info,telemetry=off"),
    ];
    let flags = flags.map(|(key, value)| Flag::set(key, value)).to_vec();
    let config = Config::load(&Sources { flags, ..Sources::default() }).unwrap_or_else(|problems| panic!("{problems}"));
    let telemetry = Telemetry::start(&config).unwrap();
    assert!(Telemetry::start(&config).is_err(), "it is begun once");

    let trace = TraceContext::root(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Work::new(trace, Some("r-1")).scope(async {
        let cause = "duplicate key (email)=(ada@example.com)";
        for _ in 0..50 {
            tracing::error!(request = "r-1", status = 500, cause, "a request failed");
        }
        tracing::warn!("a warning is none");
        assert!(catch_unwind(|| panic!("a literal")).is_err());
        let name = "Ada Lovelace";
        assert!(catch_unwind(|| panic!("no customer {name}")).is_err());
        // On the only thread of a runtime.
        telemetry.end(Duration::from_secs(30));
        telemetry.end(Duration::from_secs(30));
    }));

    let events = project.events();
    let of = |key: &str, value: &str| -> Vec<&Value> { events.iter().filter(|event| event[key] == value).collect() };
    let failed = of("message", "a request failed");
    assert_eq!((failed.len(), events.len()), (10, 12), "{events:#?}");
    assert_eq!(
        (&failed[0]["tags"]["status"], &failed[0]["level"]),
        (&"500".into(), &Value::Null),
        "error is the default"
    );
    let panics = of("level", "fatal");
    let values: Vec<_> = panics.iter().map(|event| &event["exception"]["values"][0]["value"]).collect();
    assert_eq!(values, ["a literal", "a panic"]);
    for event in &events {
        assert_eq!(event["contexts"]["trace"]["trace_id"], trace.trace.to_string());
        assert_eq!(event["contexts"]["trace"]["span_id"], trace.span.to_string());
        assert_eq!(event["environment"], "test");
        assert_eq!(event["release"], concat!("orderflow@", env!("CARGO_PKG_VERSION")));
        assert!(event["server_name"].is_null() && event["user"].is_null());
    }
    for panic in &panics {
        assert!(panic["culprit"].as_str().unwrap().contains("reports.rs"), "{panic}");
    }
    for (head, envelope) in project.posted().iter() {
        assert!(head.starts_with("post /api/42/envelope/ http/1.1") && head.contains("sentry_key=abc123"), "{head}");
        assert!(!envelope.contains("Ada") && !envelope.contains("ada@"), "{envelope}");
    }
    let limited = "telemetry_records_total{kind=\"report\",outcome=\"limited\"} 40";
    assert!(telemetry.metrics.text().contains(limited), "{}", telemetry.metrics.text());
}
