//! Nothing of a person, and no key, is in what is seen from outside: a story full of marked words, everything that can go
//! wrong with them, and a search.

use orderflow_servers::{Behaviour, Collected};
use serde_json::json;

use crate::shop::{LONG, Program, Shop, until};

/// Words that are nowhere else. Each stands for what it names.
const NAME: &str = "Quillfeather";
const OTHER_NAME: &str = "Zebulonia";
const ADDRESS: &str = "wobblethorpe@example.com";
const REFUSED_ADDRESS: &str = "grumblewick@example.com";
const MALFORMED: &str = "snorkelbane";
const IDEMPOTENCY_KEY: &str = "idem-frobnicator";
const WRONG_KEY: &str = "of_pumpernickelpumpernickelpumpernickelpumpern";
const IN_A_PATH: &str = "bumblesnort";
const IN_A_QUERY: &str = "thimblerig";
const IN_A_HEADER: &str = "cattywampus";
const BIRTHDAY: &str = "1903-07-29";
const MARKED: [&str; 11] = [
    NAME,
    OTHER_NAME,
    "wobblethorpe",
    "grumblewick",
    MALFORMED,
    "frobnicator",
    "pumpernickel",
    IN_A_PATH,
    IN_A_QUERY,
    IN_A_HEADER,
    BIRTHDAY,
];

/// Everything as loud as it gets.
const LOUD: &[(&str, &str)] = &[
    ("log.filter", "trace"),
    ("log.format", "json"),
    ("telemetry.traces_ratio", "1"),
    ("telemetry.otlp_queue", "100000"),
    ("telemetry.traces_kept", "10000"),
    ("database.slow_statement", "1ms"),
    ("telemetry.slow_request", "1ms"),
    ("worker.in_process", "on"),
    ("worker.max_attempts", "2"),
];

#[test]
fn on_postgresql() {
    let Some(shop) = Shop::postgresql() else { return };
    nothing_marked_is_seen(&shop, |shop| {
        // The message, and not only the detail, quotes what was sent.
        shop.sql(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'no % here, nor %', NEW.email, NEW.birthday; END $$; \
             CREATE TRIGGER refuse BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION refuse(); \
             CREATE UNIQUE INDEX customers_name ON customers (name)",
        );
    });
}

#[test]
fn on_sqlite() {
    nothing_marked_is_seen(&Shop::sqlite(), |shop| {
        shop.sql(
            "CREATE TRIGGER refuse BEFORE UPDATE ON customers \
             BEGIN SELECT RAISE(ABORT, 'no more') FROM customers WHERE name = NEW.name; END",
        );
    });
}

fn nothing_marked_is_seen(shop: &Shop, break_the_database: impl FnOnce(&Shop)) {
    let serve = shop.start("serve", LOUD);
    shop.stock();
    tell(shop, &serve, break_the_database);
    let told = [
        serve.look("/debug/traces?limit=200"),
        serve.look("/debug/traces?kept=failed&limit=200"),
        serve.look("/debug/statements"),
        serve.look("/metrics"),
        serve.look("/healthz"),
    ];
    let said = serve.end();
    let collected = shop.collector.collected();
    // What was to be searched is there.
    for message in ["a request failed", "a notification is given up"] {
        assert!(said.contains(message), "{said}");
        assert!(collected.logs.iter().any(|log| log.body == message), "{message} was not sent");
    }
    for span in ["POST /api/customers", "PUT /api/customers/{id}", "send a notification", "send a mail"] {
        assert!(collected.spans.iter().any(|found| found.name == span), "no span {span}");
        assert!(told[0].contains(span), "{span} is not kept");
    }
    let mut found = search("standard error", said.lines());
    for (place, text) in ["traces", "failed traces", "statements", "metrics", "health"].iter().zip(&told) {
        found.extend(search(place, text.split_inclusive([',', '\n'])));
    }
    found.extend(search("the collector", records(&collected).iter().map(String::as_str)));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The story.
fn tell(shop: &Shop, serve: &Program, break_the_database: impl FnOnce(&Shop)) {
    let headers = [
        ("User-Agent", IN_A_HEADER),
        ("Referer", IN_A_HEADER),
        ("Cookie", IN_A_HEADER),
        ("tracestate", "vendor=cattywampus"),
        ("baggage", "customer=cattywampus"),
        ("X-Request-Id", "not an identifier: cattywampus"),
    ];
    let customer = |name: &str, email: &str| json!({ "name": name, "email": email, "birthday": BIRTHDAY });
    let post = |body| shop.send(serve, "POST", "/api/customers", &headers, &body);
    let made = post(customer(NAME, ADDRESS));
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.json()["id"].as_i64().unwrap();
    assert_eq!(post(customer("Another", ADDRESS)).status, 409);
    for body in [
        customer("Another", MALFORMED),
        customer(&MALFORMED.repeat(100), "a@example.com"),
        json!({ "name": NAME, "email": ADDRESS, "birthday": MALFORMED }),
        json!({ MALFORMED: 1 }),
        json!(MALFORMED),
    ] {
        let refused = post(body);
        assert!((400..500).contains(&refused.status), "{refused:?}");
    }
    for path in [
        "/api/customers/bumblesnort",
        "/bumblesnort",
        "/api/customers?cursor=thimblerig",
        "/api/customers?thimblerig=1",
    ] {
        let refused = shop.send(serve, "GET", path, &headers, &json!(null));
        assert!((400..500).contains(&refused.status), "{path}: {refused:?}");
    }
    let stranger = crate::shop::ask(
        serve.public,
        "POST",
        "/api/customers",
        &[("Authorization", &format!("Bearer {WRONG_KEY}"))],
        &customer(NAME, ADDRESS).to_string(),
    );
    assert_eq!(stranger.status, 401, "{stranger:?}");

    // An order, its repetition, and another under the same key.
    let key = [("Idempotency-Key", IDEMPOTENCY_KEY)];
    for _ in 0..2 {
        assert_eq!(shop.order(serve, id, &key).status, 201);
    }
    let other = json!({ "customer_id": id, "items": [{ "product_id": 1, "quantity": 2 }] });
    assert_eq!(shop.send(serve, "POST", "/api/orders", &key, &other).status, 422);
    assert!(shop.sink.wait_for(1, LONG)[0].to.contains(ADDRESS));

    // The mail server quotes the address when it refuses it.
    let made = post(customer(OTHER_NAME, REFUSED_ADDRESS));
    assert_eq!(made.status, 201, "{made:?}");
    let refused = made.json()["id"].as_i64().unwrap();
    shop.sink.behave(Behaviour::Temporary);
    assert_eq!(shop.order(serve, refused, &[]).status, 201);
    until("a notification is given up", || serve.said().contains("a notification is given up"));
    shop.sink.behave(Behaviour::Permanent);
    let before = serve.said().matches("a notification is given up").count();
    assert_eq!(shop.order(serve, refused, &[]).status, 201);
    until("another is", || serve.said().matches("a notification is given up").count() > before);

    break_the_database(shop);
    let path = format!("/api/customers/{id}");
    let failed = shop.send(serve, "PUT", &path, &headers, &customer(NAME, "wobblethorpe@example.org"));
    assert_eq!(failed.status, 500, "{failed:?}");
    let failed = post(customer(NAME, "wobblethorpe@example.net"));
    assert!([201, 500].contains(&failed.status), "{failed:?}");
    assert_eq!(shop.send(serve, "GET", &path, &headers, &json!(null)).status, 200);
}

/// Everything that the collector has, record by record.
fn records(collected: &Collected) -> Vec<String> {
    let spans = collected.spans.iter().map(|span| format!("{span:?}"));
    spans.chain(collected.logs.iter().map(|log| format!("{log:?}"))).collect()
}

/// Where marked words are.
fn search<'a>(place: &str, lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let marked = |line: &str| MARKED.iter().find(|word| line.to_lowercase().contains(&word.to_lowercase())).copied();
    let hits = lines.filter_map(|line| Some(format!("{place} holds {}: {line}", marked(line)?)));
    hits.take(20).collect()
}
