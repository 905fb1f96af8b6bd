//! Recent traces and slow statements, as operators are told of them.

use serde_json::Value;

use crate::process::{Service, until};

fn names(traces: &Value) -> Vec<&str> {
    traces["traces"].as_array().unwrap().iter().map(|trace| trace["name"].as_str().unwrap()).collect()
}

#[test]
fn traces_are_found_by_what_is_known_of_them() {
    let service = Service::start(&[("telemetry.slow_request", "1h"), ("http.max_lists_in_flight", "1")], &[]);
    let answers =
        ["/api/products/1", "/api/products/1", "/api/stats", "/api/products/999999"].map(|path| service.get(path));
    until("all are kept", || service.look("/debug/traces").json()["kept"]["recent"] == 4);
    let all = service.look("/debug/traces").json();
    let expected = ["GET /api/products/{id}", "GET /api/stats", "GET /api/products/{id}", "GET /api/products/{id}"];
    assert_eq!(names(&all), expected, "the newest first");
    assert_eq!((&all["kept"]["slow"], &all["kept"]["failed"]), (&Value::from(0), &Value::from(0)));

    let (trace, span) = answers[2].trace();
    let only = service.look(&format!("/debug/traces?trace={trace}")).json();
    assert_eq!(names(&only), ["GET /api/stats"]);
    let found = &only["traces"][0];
    assert_eq!((&found["trace_id"], &found["route"]), (&Value::from(trace), &Value::from("/api/stats")));
    assert_eq!(
        (&found["status"], &found["sampled"], &found["kept"]),
        (&200.into(), &true.into(), &["recent"][..].into())
    );
    assert!(found["request_id"].is_string() && found["started"].as_str().unwrap().ends_with('Z'));
    let spans = found["spans"].as_array().unwrap();
    let root = spans.iter().find(|step| step["span_id"] == *span).expect("the root's span is there");
    assert_eq!((&root["kind"], &root["parent_id"], &root["error"]), (&"server".into(), &Value::Null, &false.into()));
    assert_eq!(root["attributes"]["http.response.status_code"], 200);
    assert!(root["duration_ms"].as_f64().unwrap() > 0.0 && root["offset_ms"] == 0.0);

    for (query, count) in [
        ("route=/api/products/%7Bid%7D", 3),
        ("route=/api/products/{id}&status=404", 1),
        ("status=200", 3),
        ("status=failed", 0),
        ("kept=slow", 0),
        ("kept=recent&limit=2", 2),
        ("min_ms=3600000", 0),
        ("min_ms=0.0001", 4),
        ("trace=4bf92f3577b34da6a3ce929d0e0e4736", 0),
    ] {
        assert_eq!(names(&service.look(&format!("/debug/traces?{query}")).json()).len(), count, "{query}");
    }
}

#[test]
fn slow_ones_are_kept_beside_recent_ones_and_as_an_outline_where_they_were_not_traced() {
    let settings =
        [("telemetry.slow_request", "1ms"), ("telemetry.traces_ratio", "0"), ("telemetry.traces_per_route", "0")];
    let service = Service::start(&settings, &[]);
    let kept = || service.look("/debug/traces?kept=slow").json();
    until("a request was slow", || {
        service.get("/api/products?limit=100&page=1");
        service.get("/api/stats");
        !names(&kept()).is_empty()
    });
    let outline = &kept()["traces"][0];
    assert_eq!((&outline["sampled"], &outline["kept"]), (&false.into(), &["slow"][..].into()));
    assert_eq!(outline["spans"].as_array().map(Vec::len), Some(1));
    assert!(outline["duration_ms"].as_f64().unwrap() >= 1.0);
}

#[test]
fn a_question_that_makes_no_sense_is_refused_with_what_would() {
    let service = Service::start(&[], &[]);
    for (query, field, hint) in [
        ("status=slow", "status", "failed"),
        ("status=99", "status", "100 to 599"),
        ("min_ms=-1", "min_ms", "milliseconds"),
        ("min_ms=NaN", "min_ms", "milliseconds"),
        ("kept=all", "kept", "recent, slow or failed"),
        ("trace=xyz", "trace", "32 hexadecimal digits"),
        ("limit=201", "limit", "1 to 200"),
        ("limit=0", "limit", "1 to 200"),
        ("route=", "route", "/api/products/{id}"),
        ("colour=red", "colour", "route, status"),
        ("limit=1&limit=2", "limit", "twice"),
    ] {
        let answer = service.look(&format!("/debug/traces?{query}"));
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
        let problem = answer.json();
        let error = &problem["errors"][0];
        assert_eq!(error["field"], field, "{query}");
        assert!(error["message"].as_str().unwrap().contains(hint), "{query}: {error}");
    }
    assert_eq!(service.look("/debug/statements?limit=1").status, 400);
    assert_eq!(service.look("/debug/statements").json(), serde_json::json!({ "slow": [] }));
}
