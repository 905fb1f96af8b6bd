//! Scenarios: the built-in ones are sound, what is wrong with others is said all at once, and journeys hold together.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use orderflow_load::{BUILT_IN, Draft, Options, RequestDraft, ValueDraft};

use crate::server::{Server, answer};

#[test]
fn built_in_scenarios_are_sound_and_say_what_they_are_for() {
    for (name, text) in BUILT_IN {
        let scenario = Draft::parse(text, name).and_then(|draft| draft.check()).unwrap();
        assert_eq!(scenario.name(), name);
        assert!(scenario.needs_key(), "{name} writes");
        assert!(text.contains("[thresholds]"), "{name}");
        assert!(text.contains("description = \"") && !scenario.routes().is_empty(), "{name}");
    }
}

#[test]
fn every_problem_is_told_at_once_with_its_key() {
    let text = r#"
        name = ""
        model = "open"
        users = 3
        connections = 0
        backlog = 1000001
        [[stage]]
        seconds = 0
        rate = 5
        [[stage]]
        seconds = 1
        from = 5
        [values]
        empty = { uniform = { from = 9, to = 8 } }
        lost = { uniform = { to = "nowhere" } }
        steep = { zipf = { to = 10, exponent = 0 } }
        few = { choice = [] }
        [thresholds]
        error_rate = 2
        p99_ms = -1
        [[request]]
        path = "no-slash"
        weight = 0
        [[request]]
        path = "/{who}"
        method = "FETCH"
        expect = [700]
        [[request]]
        path = "/"
        headers = { Authorization = "secret", Host = "x", "a b" = "c" }
        capture = { name = "id", json = "/id" }
        [[journey]]
        name = "none"
        [[journey]]
        name = "early"
        [[journey.step]]
        path = "/{later}"
        weight = 2
        capture = { name = "email", json = "/id" }
    "#;
    let error = Draft::parse(text, "my.toml").unwrap().check().unwrap_err();
    let told = error.to_string();
    assert!(told.starts_with("my.toml: "), "{told}");
    for part in [
        "name: ",
        "users: ",
        "connections: ",
        "backlog: ",
        "stage[0]: lasts 0 s",
        "stage[1]: give it either",
        "values.empty: the range 9 to 8",
        "values.lost: there is no count `nowhere`",
        "values.steep: ",
        "values.few: ",
        "thresholds.error_rate: ",
        "thresholds.p99_ms: ",
        "request[0].path: ",
        "request[0].weight: ",
        "request[1].path: nothing fills {who}",
        "request[1].method: ",
        "request[1].expect: 700",
        "request[2].headers.Authorization: a secret",
        "request[2].headers.Host: ",
        "request[2].headers.a b: ",
        "request[2].capture: ",
        "journey[0].step: ",
        "journey[1].step[0].path: nothing fills {later}",
        "journey[1].step[0].weight: ",
        "journey[1].step[0].capture.name: ",
    ] {
        assert!(error.problems.iter().any(|problem| problem.starts_with(part)), "{part} is not in\n{told}");
    }
}

/// What makes a sound draft unsound.
type Change = fn(&mut Draft);

#[test]
fn limits_hold_at_their_edges() {
    let draft = || Draft::open("edge", 10_000).rate(86_400.0, 1e6).request(RequestDraft::get("/"));
    assert!(draft().check().is_ok());
    let checks: [(&str, Change); 8] = [
        ("connections: is 10001", |draft| draft.connections = Some(10_001)),
        ("stage: they last", |draft| draft.stages.push(draft.stages[0])),
        ("stage[0]: a rate of 1000001", |draft| draft.stages[0].rate = Some(1_000_001.0)),
        ("warmup_seconds: ", |draft| draft.warmup_seconds = 86_400.0),
        ("request: the mix has 0", |draft| draft.requests.clear()),
        ("request: the mix has 101", |draft| draft.requests = vec![RequestDraft::get("/"); 101]),
        ("stage: no arrival is due", |draft| draft.stages[0].rate = Some(0.0)),
        ("request[0].body: filled in it is no JSON", |draft| draft.requests[0].body = Some("{\"a\":}".into())),
    ];
    for (part, change) in checks {
        let mut changed = draft();
        change(&mut changed);
        let told = changed.check().unwrap_err().to_string();
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let zipf = |to: u64| draft().value("id", ValueDraft::Zipf { to: to.into(), exponent: 1.0 }).check();
    assert!(zipf(orderflow_load::MAX_ZIPF).is_ok() && zipf(orderflow_load::MAX_ZIPF + 1).is_err() && zipf(0).is_err());
}

#[test]
fn a_schedule_is_scaled_without_losing_its_shape() {
    let mut draft = Draft::open("scaled", 1).ramp(10.0, 0.0, 50.0).rate(20.0, 100.0).request(RequestDraft::get("/"));
    draft.thresholds.min_rate = Some(90.0);
    draft.peak_rate(1000.0).unwrap();
    draft.lasting(3.0);
    assert_eq!(
        (draft.stages[0].to, draft.stages[1].rate, draft.thresholds.min_rate),
        (Some(500.0), Some(1000.0), Some(900.0))
    );
    assert!((draft.stages[0].seconds - 1.0).abs() < 1e-9 && (draft.stages[1].seconds - 2.0).abs() < 1e-9);
}

#[test]
fn the_customer_desk_works_on_its_own_customers_in_the_stated_shares() {
    let seen = Arc::<Mutex<Vec<(String, String)>>>::default();
    let told = seen.clone();
    let server = Server::start(move |request, stream| {
        told.lock().unwrap().push((request.line.clone(), request.body.clone()));
        match request.line.split(' ').next().unwrap() {
            "POST" => answer(stream, 201, &format!("{{\"id\":{}}}", 100_000 + request.number)),
            "DELETE" => answer(stream, 204, ""),
            _ => answer(stream, 200, "{}"),
        }
    });
    let mut draft = Draft::load("crud").unwrap();
    draft.lasting(3.0);
    draft.users = Some(5);
    draft.think = None;
    let outcome = server.load(&draft, &Options::default());
    assert_eq!(outcome.counts.errors_in_all(), 0, "{:?}", outcome.generator.examples);
    let (seen, mut shares) = (seen.lock().unwrap(), BTreeMap::<&str, f64>::new());
    for (line, body) in seen.iter() {
        let (method, path) = line.split_once(' ').unwrap();
        *shares.entry(method).or_default() += 1.0 / seen.len() as f64;
        if method != "POST" {
            let id = path.strip_prefix("/api/customers/").and_then(|id| id.parse::<u64>().ok());
            assert!(id.is_some_and(|id| id >= 100_000), "{line} is not about a customer that was created");
        }
        assert!(body.is_empty() || body.contains("@example.com"), "{body}");
    }
    assert!(seen.len() > 500, "{} requests are too few for shares", seen.len());
    for (method, share) in [("GET", 0.4), ("POST", 0.3), ("PUT", 0.2), ("DELETE", 0.1)] {
        assert!((shares[method] - share).abs() < 0.03, "{method}: {shares:?}");
    }
    assert_eq!(outcome.routes.len(), 4);
}

#[test]
fn a_step_that_fails_ends_its_journey() {
    let server = Server::start(|request, stream| {
        answer(stream, if request.line.ends_with("/second") { 500 } else { 200 }, "{}")
    });
    let steps = ["/first", "/second", "/third"].map(RequestDraft::get).to_vec();
    let outcome = server.load(&Draft::open("journey", 2).rate(1.0, 20.0).journey("j", 1, steps), &Options::default());
    let sent: Vec<_> = outcome.routes.iter().map(|route| route.sent).collect();
    assert_eq!((outcome.counts.arrivals, sent), (20, vec![20, 20, 0]));
}
