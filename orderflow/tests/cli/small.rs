//! Commands that need no database.

use std::{fs, net::TcpListener};

use crate::program::Place;

#[test]
fn a_key_is_printed_with_the_lines_that_accept_it() {
    let place = Place::new();
    let made = place.run(&["key", "--name", "the \"shop\"", "--role", "admin"]);
    assert_eq!((made.status, made.stderr.as_str()), (Some(0), ""));
    let (key, lines) = made.stdout.split_once('\n').unwrap();
    assert!(key.starts_with("of_") && key.len() == 46, "{key}");
    assert!(!lines.contains(&key[3..]), "the key is on the first line only");

    fs::write(place.path().join("orderflow.toml"), lines).unwrap();
    let shown = place.run(&["config"]);
    assert_eq!(shown.status, Some(0), "{}", shown.stderr);
    let sha256 = lines.lines().find_map(|line| line.strip_prefix("sha256 = ")).unwrap();
    assert!(shown.stdout.contains(sha256) && shown.stdout.contains("role = \"admin\""), "{}", shown.stdout);
    let other = place.run(&["key"]);
    assert_ne!(other.stdout.lines().next(), Some(key));
    assert!(other.stdout.contains("role = \"writer\""));
}

#[test]
fn the_description_of_the_api_is_json() {
    let ended = Place::new().run(&["openapi"]);
    let description: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(description["openapi"].as_str().unwrap().starts_with("3."));
    assert!(description["paths"]["/api/products"].is_object());
}

#[test]
fn a_health_check_of_nothing_fails_and_says_what_it_asked() {
    let place = Place::new();
    // Bound and let go again, so that nobody listens there.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let ended = place.run(&["healthcheck", "--ops-listen", &free]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains(&format!("http://{free}/healthz/ready gives no answer")), "{}", ended.stderr);
    assert!(ended.stderr.contains("Connection refused"), "{}", ended.stderr);
    let unknown = place.run(&["healthcheck", "--ops-listen", "127.0.0.1:0"]);
    assert!(unknown.status == Some(1) && unknown.stderr.contains("--url"), "{}", unknown.stderr);
    let faulty = place.run(&["healthcheck", "--ops-listen", "nowhere"]);
    assert_eq!(faulty.status, Some(2));
}
