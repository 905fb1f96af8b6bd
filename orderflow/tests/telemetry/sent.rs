//! Spans and log records arrive, over either protocol, and name the trace that the answer named.

use orderflow_servers::Collector;

use crate::process::{Answer, Service};

const REQUESTS: usize = 30;

fn everything_arrives(protocol: &str, env: &[(&str, &str)]) {
    let collector = Collector::start().unwrap();
    let settings = [
        ("telemetry.otlp_endpoint", collector.url()),
        ("telemetry.otlp_protocol", protocol.to_owned()),
        ("telemetry.otlp_timeout", "30s".to_owned()),
        ("telemetry.service_name", "shop".to_owned()),
        ("telemetry.environment", "test".to_owned()),
        // As much as there is to say of the sender itself.
        ("log.filter", "trace".to_owned()),
    ];
    let settings = settings.each_ref().map(|(key, value)| (*key, value.as_str()));
    let service = Service::start(&settings, env);
    let answers: Vec<Answer> =
        (0..REQUESTS).map(|number| service.get(&format!("/api/products?page=1&limit={}", number + 1))).collect();
    assert!(answers.iter().all(|answer| answer.status == 200));
    service.lose_products();
    let failed = service.get("/api/products/1");
    assert_eq!(failed.status, 500, "{}", failed.body);
    assert!(service.end().success());

    // It has ended, so that whatever comes has come.
    let collected = collector.collected();
    for answer in answers.iter().chain([&failed]) {
        let (trace, span) = answer.trace();
        let found = collected.spans.iter().find(|found| found.trace_id == trace && found.span_id == span);
        let found = found.unwrap_or_else(|| panic!("no span {span} of {trace} in {}", collected.spans.len()));
        assert_eq!((found.kind, found.parent_id.as_ref(), found.error), ("server", None, answer.status == 500));
        assert_eq!(found.attributes["http.response.status_code"], answer.status.to_string());
        let request = answer.head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
        assert_eq!(found.attributes["orderflow.request_id"], request);
        let resource = |name: &str| found.resource.get(name).map(String::as_str);
        assert_eq!(resource("service.name"), Some("shop"));
        assert_eq!(resource("service.version"), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(resource("deployment.environment.name"), Some("test"));
        assert_eq!(resource("service.instance.id").map(str::len), Some(32));
    }
    let names: Vec<_> = collected.spans.iter().map(|span| span.name.as_str()).collect();
    assert!(names.contains(&"GET /api/products") && names.contains(&"GET /api/products/{id}"), "{names:?}");
    let (trace, span) = failed.trace();
    let said = collected.logs.iter().find(|log| log.body == "a request failed").expect("the failure was logged");
    assert_eq!((said.trace_id.as_ref(), said.span_id.as_ref()), (Some(&trace), Some(&span)));
    assert_eq!((said.severity.as_str(), said.resource["service.name"].as_str()), ("ERROR", "shop"));
    // What does not belong to a request names none.
    let ended = collected.logs.iter().find(|log| log.body == "ended").expect("the last words come too");
    assert_eq!((ended.trace_id.as_ref(), ended.span_id.as_ref()), (None, None));
    let every = collected.logs.len() + collected.spans.len();
    assert!(collected.requests < 100, "{} requests for {every} records: it tells of itself", collected.requests);
}

#[test]
fn over_grpc() {
    everything_arrives("grpc", &[]);
}

#[test]
fn over_http_from_one_thread() {
    everything_arrives("http", &[("TOKIO_WORKER_THREADS", "1")]);
}

#[test]
fn a_caller_goes_on_in_its_own_trace() {
    use std::{
        io::{Read, Write},
        net::TcpStream,
    };
    let collector = Collector::start().unwrap();
    let service = Service::start(&[("telemetry.otlp_endpoint", &collector.url())], &[]);
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut stream = TcpStream::connect(service.public).unwrap();
    let head = format!("GET /api/stats HTTP/1.1\r\nHost: shop\r\nTraceparent: {parent}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.read_to_string(&mut String::new()).unwrap();
    assert!(service.end().success());
    let collected = collector.collected();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let root = collected.spans.iter().find(|span| span.trace_id == trace && span.kind == "server").unwrap();
    assert_eq!(root.parent_id.as_deref(), Some("00f067aa0ba902b7"));
}
