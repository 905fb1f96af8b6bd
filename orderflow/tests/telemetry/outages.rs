//! A collector that is away, slow, silent or broken costs records, which are counted, and nothing else.

use std::time::Duration;

use orderflow_servers::{Collected, Collector, Collects};

use crate::process::{LONG, Service, until};

const REQUESTS: u64 = 200;
/// Room for this many spans.
const QUEUE: u64 = 50;

fn service(collector: &Collector, settings: &[(&str, &str)], env: &[(&str, &str)]) -> Service {
    let url = collector.url();
    let base = [("telemetry.otlp_endpoint", url.as_str()), ("telemetry.otlp_logs", "false")];
    Service::start(&[&base[..], settings].concat(), env)
}

fn ask(service: &Service, requests: u64) {
    for _ in 0..requests {
        assert_eq!(service.get("/api/stats").status, 200);
    }
}

/// Requests are answered, there is room for so many spans and no more, and the process ends.
fn nothing_else_suffers(protocol: &str, fault: Option<Collects>, env: &[(&str, &str)]) {
    let collector = Collector::start().unwrap();
    match fault {
        Some(fault) => collector.behave(fault),
        None => collector.stop(),
    }
    let queue = QUEUE.to_string();
    let settings = [
        ("telemetry.otlp_protocol", protocol),
        ("telemetry.otlp_queue", queue.as_str()),
        ("telemetry.otlp_timeout", "1m"),
    ];
    let service = service(&collector, &settings, env);
    ask(&service, REQUESTS);
    // A request has a span at least. Those that are not kept for later are counted, all of them.
    until("spans are dropped", || {
        service.records("span", "dropped") + service.records("span", "failed") >= REQUESTS - QUEUE
    });
    assert_eq!(service.records("span", "exported"), 0);
    assert_eq!(service.look("/debug/traces?limit=200").json()["traces"].as_array().map(Vec::len), Some(200));
    assert!(service.end().success());
}

#[test]
fn a_collector_that_is_away() {
    nothing_else_suffers("grpc", None, &[]);
    nothing_else_suffers("http", None, &[("TOKIO_WORKER_THREADS", "1")]);
}

#[test]
fn a_collector_that_never_answers() {
    nothing_else_suffers("grpc", Some(Collects::Never), &[("TOKIO_WORKER_THREADS", "1")]);
    nothing_else_suffers("http", Some(Collects::Never), &[]);
}

#[test]
fn a_collector_that_resets_connections() {
    nothing_else_suffers("grpc", Some(Collects::Resets), &[("TOKIO_WORKER_THREADS", "1")]);
    nothing_else_suffers("http", Some(Collects::Resets), &[]);
}

#[test]
fn a_collector_that_is_slower_than_requests_are() {
    let slow = Some(Collects::After(Duration::from_mins(1)));
    nothing_else_suffers("grpc", slow, &[]);
    nothing_else_suffers("http", slow, &[("TOKIO_WORKER_THREADS", "1")]);
}

#[test]
fn what_waited_arrives_when_the_collector_is_back() {
    for (protocol, is_away) in [("grpc", false), ("http", false), ("grpc", true), ("http", true)] {
        let collector = Collector::start().unwrap();
        if is_away {
            collector.stop();
        } else {
            collector.behave(Collects::Unavailable);
        }
        let service = service(&collector, &[("telemetry.otlp_protocol", protocol)], &[]);
        ask(&service, 5);
        if is_away {
            collector.start_again().unwrap();
        } else {
            let tried = collector.wait_for(|collected| collected.requests > 0, LONG);
            assert!(tried.requests > 0 && tried.spans.is_empty());
            collector.behave(Collects::After(Duration::ZERO));
        }
        let enough = |collected: &Collected| collected.spans.iter().filter(|span| span.kind == "server").count() == 5;
        assert!(enough(&collector.wait_for(enough, LONG)), "{protocol}");
        until("they are counted", || service.records("span", "exported") >= 5);
        assert_eq!((service.records("span", "failed"), service.records("span", "dropped")), (0, 0));
    }
}

#[test]
fn a_batch_is_tried_a_few_times() {
    for (protocol, fault, most) in [
        ("grpc", Collects::Unavailable, 9),
        ("http", Collects::Unavailable, 9),
        // Told that it is of no use, an exporter does not insist.
        ("grpc", Collects::Refuses, 3),
        ("http", Collects::Refuses, 3),
    ] {
        let collector = Collector::start().unwrap();
        collector.behave(fault);
        let service = service(&collector, &[("telemetry.otlp_protocol", protocol)], &[]);
        ask(&service, 1);
        until("it is given up", || service.records("span", "failed") > 0);
        let requests = collector.collected().requests;
        assert!((2..=most).contains(&requests), "{protocol} {fault:?}: {requests}");
    }
}
