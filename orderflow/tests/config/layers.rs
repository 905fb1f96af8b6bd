//! Defaults, then a file, then the environment, then the command line.

use orderflow::config::{Config, Flag, Loaded, SETTINGS, Source, Sources};

use crate::{Written, env, faults, set};

#[test]
fn each_layer_holds_over_those_before_it() {
    let file = Written::new("[http]\nrate_limit = 2\nrate_burst = 2\nmax_in_flight = 2\n");
    let sources = Sources {
        env: env(&[("HTTP__RATE_BURST", "3"), ("HTTP__MAX_IN_FLIGHT", "3")]).env,
        flags: vec![Flag::set("http.max_in_flight", "4"), Flag::set("http.max_in_flight", "5")],
        ..file.sources()
    };
    let loaded = Loaded::load(&sources).unwrap();
    let http = &loaded.config.http;
    assert_eq!((http.max_connections, http.rate_limit, http.rate_burst, http.max_in_flight), (20_000, 2, 3, 5));
    let source = |key| loaded.effective.iter().find(|one| one.setting.key == key).unwrap().source.clone();
    assert_eq!(source("http.max_connections"), Source::Default);
    assert_eq!(source("http.rate_limit"), Source::File(file.path(), Some(2)));
    assert_eq!(source("http.rate_burst"), Source::Env("ORDERFLOW_HTTP__RATE_BURST".to_owned()));
    assert_eq!(source("http.max_in_flight"), Source::Flag("--set http.max_in_flight".to_owned()));
}

#[test]
fn every_setting_can_be_given_by_its_variable_and_by_a_flag() {
    for setting in SETTINGS {
        let by_env = Sources { env: vec![(setting.variable(), setting.default.to_owned())], ..Sources::default() };
        for sources in [by_env, set(&[(setting.key, setting.default)])] {
            let loaded = Loaded::load(&sources).unwrap();
            let given: Vec<_> = loaded.effective.iter().filter(|one| one.source != Source::Default).collect();
            assert_eq!(given.iter().map(|one| one.setting.key).collect::<Vec<_>>(), [setting.key]);
        }
    }
}

#[test]
fn the_embedded_database_is_in_the_data_directory() {
    let config = Config::load(&Sources::default()).unwrap();
    assert!(config.embedded());
    assert_eq!(config.database.url.expose(), "sqlite:.orderflow/orderflow.db");
    let config = Config::load(&set(&[("data_dir", "/var/lib/x")])).unwrap();
    assert!(config.embedded());
    assert_eq!(config.database_shown(), "sqlite:/var/lib/x/orderflow.db");
    let config = Config::load(&set(&[("database.url", "sqlite:other.db")])).unwrap();
    assert!(!config.embedded());
    let config = Config::load(&env(&[("DATABASE__URL", "postgres://u:hunter2@h/db")])).unwrap();
    assert!(!config.embedded());
    assert_eq!(config.database_shown(), "postgres://u:***@h/db");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_variable_that_is_not_ours_is_left_alone_and_one_that_might_be_is_not() {
    // What Kubernetes gives every pod beside a service called "orderflow".
    let links = [
        ("SERVICE_HOST", "10.0.0.1"),
        ("SERVICE_PORT", "8080"),
        ("SERVICE_PORT_HTTP", "8080"),
        ("PORT", "tcp://10.0.0.1:8080"),
        ("PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("PORT_8080_TCP_ADDR", "10.0.0.1"),
    ];
    assert_eq!(faults(&env(&links)), [""; 0]);
    let other = Sources { env: vec![("HTTP__LISTEN".to_owned(), "nonsense".to_owned())], ..Sources::default() };
    assert_eq!(faults(&other), [""; 0]);
    assert_eq!(faults(&env(&[("HTTP_LISTEN", "127.0.0.1:1")])), ["http_listen is no setting @ ORDERFLOW_HTTP_LISTEN"]);
    assert_eq!(faults(&env(&[("DATA_DIR", "a\u{fffd}b")])), ["data_dir is not UTF-8 @ ORDERFLOW_DATA_DIR"]);
}

#[test]
fn a_named_file_must_be_there() {
    let missing = Sources { file: Some("/nowhere/orderflow.toml".into()), ..Sources::default() };
    let [fault] = &faults(&missing)[..] else { panic!("one fault") };
    assert!(fault.contains("cannot be read") && fault.ends_with("@ /nowhere/orderflow.toml"), "{fault}");
    let binary = Written::new([0xff, 0xfe]);
    assert_eq!(faults(&binary.sources()).len(), 1);
    let empty = Written::new("");
    assert_eq!(faults(&empty.sources()), [""; 0]);
}
