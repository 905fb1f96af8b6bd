//! The description of the API: what it says, that it holds together, and that it and the service have the same routes.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::service::Service;

fn description() -> Value {
    serde_json::to_value(orderflow::http::openapi()).unwrap()
}

/// Every operation: path, method, itself.
fn operations(description: &Value) -> Vec<(String, String, Value)> {
    let paths = description["paths"].as_object().unwrap();
    let methods = |path: &String, item: &Value| {
        let of = |(method, operation): (&String, &Value)| (path.clone(), method.clone(), operation.clone());
        item.as_object().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    paths.iter().flat_map(|(path, item)| methods(path, item)).collect()
}

/// Every object in the tree, with its place.
fn walk<'a>(place: &str, value: &'a Value, visit: &mut impl FnMut(&str, &'a serde_json::Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            visit(place, fields);
            fields.iter().for_each(|(name, value)| walk(&format!("{place}/{name}"), value, visit));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(place, item, visit)),
        _ => {}
    }
}

#[test]
fn the_description_is_what_it_was() {
    insta::assert_snapshot!("openapi", orderflow::http::openapi().to_pretty_json().unwrap());
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let description = description();
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1."));
    let mut used = BTreeSet::new();
    walk("", &description, &mut |place, fields| {
        if let Some(Value::String(reference)) = fields.get("$ref") {
            let target = reference.strip_prefix('#').expect("references stay in the document");
            assert!(description.pointer(target).is_some(), "{place}: {reference} leads nowhere");
            used.insert(reference.clone());
        }
    });
    for schema in description["components"]["schemas"].as_object().unwrap().keys() {
        assert!(used.contains(&format!("#/components/schemas/{schema}")), "{schema} is used nowhere");
    }
}

#[test]
fn every_operation_says_what_it_does_and_how_it_fails() {
    let description = description();
    let tags: BTreeSet<_> =
        description["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).map(Value::to_string).collect();
    let operations = operations(&description);
    let mut names: Vec<_> = operations.iter().map(|(_, _, operation)| operation["operationId"].to_string()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), operations.len(), "every operation has a name of its own: {names:?}");
    for (path, method, operation) in operations {
        let at = format!("{method} {path}");
        assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 5), "{at}");
        assert!(tags.contains(&operation["tags"][0].to_string()), "{at}");
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let of = |place: &str| {
            let there = parameters.iter().filter(|parameter| parameter["in"] == place);
            there.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
        };
        let in_path: BTreeSet<_> = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{'))
            .map(|part| part.trim_end_matches('}').to_owned())
            .collect();
        assert_eq!(of("path"), in_path, "{at}");
        assert!(parameters.iter().all(|parameter| parameter["description"].is_string()), "{at}");

        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{at}");
        for (status, response) in responses {
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{at} {status}");
            let content: Vec<_> =
                response["content"].as_object().into_iter().flatten().map(|(kind, _)| kind.as_str()).collect();
            let expected: &[&str] = match &**status {
                "204" | "304" => &[],
                _ if path.starts_with("/healthz") => &["application/json"],
                status if status >= "400" => &["application/problem+json"],
                _ if operation["operationId"] == "stream_orders" => &["text/event-stream"],
                _ => &["application/json"],
            };
            assert_eq!(content, expected, "{at} {status}");
        }
        if path.starts_with("/healthz") {
            continue;
        }
        let writes = method != "get";
        assert_eq!(operation["security"].is_array(), writes, "{at}");
        for (status, there) in
            [("400", true), ("429", true), ("503", true), ("401", writes), ("404", path.ends_with("{id}"))]
        {
            assert_eq!(responses.contains_key(status), there, "{at} {status}");
        }
        let body = method == "post" || method == "put";
        assert_eq!(operation["requestBody"].is_object(), body, "{at}");
        for status in ["408", "413", "415", "422"] {
            assert_eq!(responses.contains_key(status), body, "{at} {status}");
        }
    }
    assert_eq!(description["components"]["securitySchemes"]["api_key"]["scheme"], "bearer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_has_the_routes_that_are_described_and_no_other_methods() {
    let service = Service::sqlite().await;
    let served = service.get("/api/openapi.json").await.ok(200);
    assert_eq!(served, description());
    let operations = operations(&served);
    let paths: BTreeSet<_> = operations.iter().map(|(path, _, _)| path).collect();
    for path in paths {
        // What a route allows is told by whoever refuses a method that none has.
        let refused = service.request("BREW", &path.replace("{id}", "1")).send().await;
        refused.problem("method-not-allowed");
        let allowed: BTreeSet<_> = refused.header("allow").unwrap().split(',').map(str::to_ascii_lowercase).collect();
        let mut described: BTreeSet<_> =
            operations.iter().filter(|(other, _, _)| other == path).map(|(_, method, _)| method.clone()).collect();
        assert!(described.contains("get") || !allowed.contains("head"));
        described.insert("head".to_owned());
        assert_eq!(allowed, described, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_for_people_is_complete_and_asks_no_other_host() {
    let service = Service::sqlite().await;
    let page = service.get("/docs").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    for (file, kind) in
        [("/docs/page.css", "text/css; charset=utf-8"), ("/docs/page.js", "text/javascript; charset=utf-8")]
    {
        assert!(page.text().contains(&format!("\"{}\"", &file[1..])), "{file}");
        let answer = service.get(file).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)));
        assert!(!answer.text().contains("//cdn"));
    }
    assert!(!page.text().contains("https://"), "everything comes from the service itself");
}
