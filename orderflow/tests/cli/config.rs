//! What the program says about its configuration.

use crate::program::Place;

const EIGHT_MISTAKES: &str = r#"data_dir = ""

[http]
listen = "localhost:8080"
request_timeout = 10
rate_burst = 0
max_conections = 5

[database]
url = "mysql://root:hunter2@db/orders"

[cache]
max_bytes = "64MB"

[[auth.keys]]
name = "shop"
role = "owner"
sha256 = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
"#;

#[test]
fn a_file_with_eight_mistakes_is_told_all_eight() {
    let place = Place::new();
    place.file("orderflow.toml", EIGHT_MISTAKES);
    let ended = place.run(&["serve"]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""));
    insta::assert_snapshot!(ended.stderr);
}

#[test]
fn mistakes_of_variables_and_flags_are_told_by_their_names() {
    let place = Place::new();
    let args = ["config", "--listen", "8080", "--set", "cache.ttl=0s"];
    let ended = place.run_with(&args, &[("ORDERFLOW_LOG_FILTER", "debug"), ("ORDERFLOW_OPS__LISTEN", "all")]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""));
    insta::assert_snapshot!(ended.stderr);
}

#[test]
fn what_is_shown_has_sources_and_no_secret_and_can_be_read_again() {
    let place = Place::new();
    place.file("first.toml", "[cache]\nenabled = false\n");
    let env = [("ORDERFLOW_DATABASE__URL", "postgres://shop:hunter2@127.0.0.1/orders")];
    let shown = place.run_with(&["--config", "first.toml", "config", "--ops-listen", "127.0.0.1:0"], &env);
    assert_eq!((shown.status, shown.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(shown.stdout);
    let json = place.run_with(&["config", "--format", "json"], &env);
    assert!(json.stdout.contains("postgres://shop:***@127.0.0.1/orders") && !json.stdout.contains("hunter2"));
    serde_json::from_str::<serde_json::Value>(&json.stdout).unwrap();

    // As the file that is taken without being named.
    place.file("orderflow.toml", &shown.stdout);
    let again = place.run_with(&["config"], &env);
    let values =
        |text: &str| text.lines().map(|line| line.split("  # from").next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(values(&again.stdout), values(&shown.stdout));
    assert!(again.stdout.contains("enabled = false  # from orderflow.toml:"), "{}", again.stdout);
}

#[test]
fn the_example_is_printed_whatever_the_configuration_is() {
    let place = Place::new();
    place.file("orderflow.toml", "nonsense");
    let ended = place.run(&["config", "--example"]);
    assert_eq!(ended.stdout, include_str!("../../orderflow.toml.example"));
    assert_eq!(ended.status, Some(0));
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_status_2() {
    let place = Place::new();
    for args in [
        &["serv"][..],
        &["--set", "http.listen"],
        &["seed"],
        &["seed", "--orders", "0"],
        &["key", "--name", ""],
        &["--nope"],
    ] {
        let ended = place.run(args);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(!ended.stderr.is_empty(), "{args:?}");
    }
    for args in [["--help"], ["--version"]] {
        assert_eq!(place.run(&args).status, Some(0));
    }
}
