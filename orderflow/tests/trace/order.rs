//! One trace from the order to its mail.

use orderflow_servers::{Behaviour, CollectedSpan, RabbitMq, needs};

use crate::shop::{LONG, Shop, until};

/// The span above which a trace that a client has begun goes on.
const CALLER: &str = "00f067aa0ba902b7";

/// What a client of a trace of its own sends.
fn traceparent(trace: &str, flag: u8) -> String {
    format!("00-{trace}-{CALLER}-{flag:02x}")
}

/// The only span of this name, and that of its parent if it is there.
#[track_caller]
fn only<'a>(spans: &'a [CollectedSpan], name: &str) -> (&'a CollectedSpan, Option<&'a CollectedSpan>) {
    let mut found = spans.iter().filter(|span| span.name == name);
    let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
    let span = found.next().unwrap_or_else(|| panic!("no {name} in {names:?}"));
    assert!(found.next().is_none(), "{name} twice in {names:?}");
    let parent = span.parent_id.as_ref();
    (span, spans.iter().find(|other| Some(&other.span_id) == parent))
}

/// Asserts that a span is there once, below that one.
#[track_caller]
fn below(spans: &[CollectedSpan], name: &str, parent: &str) {
    let found = only(spans, name).1.map(|parent| parent.name.as_str());
    assert_eq!(found, Some(parent), "the parent of {name}");
}

fn names(spans: &[&CollectedSpan], name: &str) -> usize {
    spans.iter().filter(|span| span.name == name).count()
}

#[test]
fn from_a_request_by_way_of_a_broker_to_a_mail_that_another_process_sends() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let (Some(shop), Some(broker)) = (Shop::postgresql(), needs(RabbitMq::shared())) else { return };
    let url = broker.url();
    let queue = [("queue.broker", url.as_str()), ("queue.name", "test.trace")];
    let serve = shop.start("serve", &[("telemetry.traces_per_route", "0"), ("telemetry.traces_ratio", "0")]);
    shop.stock();
    let ada = shop.customer(&serve, "Ada", "ada@example.com");
    // The first attempt fails: the retry belongs to the same trace.
    shop.sink.behave(Behaviour::Temporary);
    let patient = [("worker.max_attempts", "100"), ("worker.retry_base", "2s"), ("worker.retry_max", "2s")];
    let worker = shop.start("worker", &[&queue[..], &patient].concat());
    let placed = shop.order(&serve, ada, &[("traceparent", &traceparent(TRACE, 1))]);
    assert_eq!(placed.status, 201, "{placed:?}");
    let (trace, root) = placed.trace();
    assert_eq!(trace, TRACE);
    let failed = shop.spans(TRACE, |spans| names(spans, "send a notification") > 0);
    assert!(failed.iter().any(|span| span.name == "send a notification" && span.error), "{failed:#?}");
    shop.sink.behave(Behaviour::Accept { after: std::time::Duration::ZERO });
    assert_eq!(shop.sink.wait_for(1, LONG).len(), 1);

    let sent = |span: &&CollectedSpan| span.attributes.get("outcome").is_some_and(|outcome| outcome == "sent");
    let spans = shop.spans(TRACE, |spans| spans.iter().any(sent));
    // Both processes say that they are the same service.
    assert!(spans.iter().all(|span| span.trace_id == TRACE));
    let (server, above) = only(&spans, "POST /api/orders");
    assert_eq!((server.kind, &server.span_id, server.parent_id.as_deref()), ("server", &root, Some(CALLER)));
    assert!(above.is_none());
    assert!(spans.iter().any(|span| span.kind == "client" && span.parent_id.as_ref() == Some(&root)), "its statement");
    below(&spans, "relay an order", "POST /api/orders");

    let attempts: Vec<_> = spans.iter().filter(|span| span.name == "send a notification").collect();
    assert!(attempts.len() >= 2, "{spans:#?}");
    let find = |id: Option<&String>| spans.iter().find(|span| Some(&span.span_id) == id);
    for attempt in &attempts {
        assert_eq!((attempt.kind, attempt.attributes["messaging.system"].as_str()), ("consumer", "rabbitmq"));
        assert_eq!(attempt.attributes["kind"], "order");
        let published = find(attempt.parent_id.as_ref()).expect("it came by a message");
        assert_eq!((published.name.as_str(), published.kind), ("publish a notification", "producer"));
        assert_eq!(published.parent_id.as_ref(), Some(&root));
        let taken = spans
            .iter()
            .any(|span| span.name == "take up a notification" && span.parent_id.as_ref() == Some(&published.span_id));
        assert!(taken, "{spans:#?}");
        for step in ["render a mail", "send a mail", "record the outcome"] {
            let steps = spans.iter().filter(|span| span.parent_id.as_ref() == Some(&attempt.span_id));
            assert_eq!(steps.filter(|span| span.name == step).count(), 1, "{step} in {spans:#?}");
        }
    }
    let mut numbers: Vec<_> = attempts.iter().map(|attempt| attempt.attributes["attempt"].as_str()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!((numbers.len(), numbers[0]), (attempts.len(), "1"));
    drop((serve, worker));
}

#[test]
fn in_one_process_with_what_it_spawns() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let shop = Shop::sqlite();
    let serve = shop.start("serve", &[("mail.smtp_url", ""), ("worker.in_process", "on")]);
    shop.stock();
    let ada = shop.customer(&serve, "Ada", "ada@example.com");
    let placed = shop.order(&serve, ada, &[("traceparent", &traceparent(TRACE, 1))]);
    assert_eq!(placed.status, 201, "{placed:?}");
    let (_, root) = placed.trace();
    let named = |name: &str| {
        let spans = serve.spans(TRACE);
        spans.into_iter().find(|span| span["name"] == name)
    };
    until("its mail is written and recorded", || named("send a notification").is_some());
    let id = |name: &str| named(name).unwrap_or_else(|| panic!("no {name}"))["span_id"].as_str().unwrap().to_owned();
    let parent = |name: &str| named(name).unwrap()["parent_id"].as_str().unwrap().to_owned();
    assert_eq!(id("POST /api/orders"), root);
    for step in ["relay an order", "send a notification"] {
        assert_eq!(parent(step), root, "{step}");
    }
    for step in ["render a mail", "send a mail", "record the outcome"] {
        assert_eq!(parent(step), id("send a notification"), "{step}");
    }
    // On a thread for what blocks.
    assert_eq!(parent("write a file"), id("send a mail"));
    // The order is written by a task of its own, and what is written there belongs to the request.
    let written = serve.spans(TRACE).into_iter().any(|span| span["attributes"]["db.query.name"] == "insert order");
    assert!(written, "{:#?}", serve.spans(TRACE));
    assert_eq!(named("send a notification").unwrap()["attributes"]["messaging.system"], "table");
}

#[test]
fn what_is_not_traced_names_its_order_in_the_worker_s_log_all_the_same() {
    const TRACE: &str = "ad8dc9cd67b3b1f1e6a2e6b5a2b1c0d9";
    let shop = Shop::sqlite();
    shop.sink.behave(Behaviour::Temporary);
    let serve = shop.start("serve", &[("worker.in_process", "on"), ("log.format", "json")]);
    shop.stock();
    let ada = shop.customer(&serve, "Ada", "ada@example.com");
    let placed = shop.order(&serve, ada, &[("traceparent", &traceparent(TRACE, 0))]);
    assert_eq!(placed.status, 201, "{placed:?}");
    let line = |said: String| {
        let line = said.lines().find(|line| line.contains("a notification was not sent"));
        line.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
    };
    until("an attempt has failed", || line(serve.said()).is_some());
    assert_eq!(line(serve.said()).unwrap()["trace_id"], TRACE);
    assert!(serve.spans(TRACE).is_empty());
}
