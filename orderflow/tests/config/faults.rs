//! What a fault says, and that none hides another.

use orderflow::config::{Config, Problems};
use proptest::prelude::*;

use crate::{Written, env, faults, set};

#[test]
fn every_fault_is_told_at_once() {
    let file = Written::new("[http]\nlisten = 80\nrate_limit = -1\n[cahce]\nttl = \"1s\"\n[cache]\nttl = \"1\"\n");
    let mut sources = file.sources();
    sources.env = env(&[("LOG__FILTER", "loud")]).env;
    sources.flags = set(&[("http.max_inflight", "1")]).flags;
    assert_eq!(faults(&sources).len(), 6, "{:?}", faults(&sources));
}

#[test]
fn an_unknown_setting_is_told_with_the_one_that_was_meant() {
    for (key, hint) in [
        ("http.max_conections", "did you mean http.max_connections?"),
        ("http.listn", "did you mean http.listen?"),
        ("htp.listen", "did you mean http.listen?"),
        ("datadir", "did you mean data_dir?"),
        ("cahce", "did you mean cache?"),
        ("cache.weight", "the settings of cache are enabled, max_bytes, ttl, stats_ttl, redis_entries, redis_ttl"),
        ("telemetry.endpoint", "did you mean telemetry.otlp_endpoint?"),
        (
            "unheard.setting",
            "the sections are http, ops, database, replicas, redis, cache, queue, worker, mail, scheduler, events, auth, telemetry, log; `orderflow config` lists every setting",
        ),
    ] {
        let Problems(problems) = Config::load(&set(&[(key, "1")])).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].allowed, hint, "{key}");
    }
    let Problems(problems) = Config::load(&env(&[("HTTP_LISTEN", "1")])).unwrap_err();
    assert_eq!(problems[0].allowed, "did you mean ORDERFLOW_HTTP__LISTEN?", "in the notation in which it was written");
}

#[test]
fn a_section_must_be_a_table() {
    let file = Written::new("http = 5\n");
    assert_eq!(faults(&file.sources()), [format!("http is not a table @ {}:1", file.path().display())]);
}

#[test]
fn what_is_not_toml_is_told_by_its_line_and_the_rest_is_still_read() {
    let file = Written::new("[http]\nlisten = 127.0.0.1:80\nrate_burst = 0\n[log\nfilter = \"info\"\n");
    let found = faults(&file.sources());
    let path = file.path();
    for line in [2, 4] {
        let end = format!("@ {}:{line}", path.display());
        let told = found.iter().filter(|fault| fault.contains("is not TOML") && fault.ends_with(&end)).count();
        assert_eq!(told, 1, "line {line}: {found:?}");
    }
    assert!(found.iter().any(|fault| fault.contains("http.rate_burst is 0")), "{found:?}");
    let twice = Written::new("[http]\nrate_burst = 1\nrate_burst = 2\n");
    assert!(faults(&twice.sources())[0].contains("duplicate key"), "{:?}", faults(&twice.sources()));
}

#[test]
fn no_fault_shows_a_secret() {
    let key = "of_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
    for sources in [
        set(&[("database.url", "hunter2://u:hunter2@h/db")]),
        set(&[("database.url", "hunter2")]),
        set(&[("database.url", "postgres://u:hunter2@h:hunter2/db")]),
        set(&[("database.url", "postgres://u:hun/ter2@h/db")]),
        set(&[("auth.keys", &format!("[{{ name = \"a\", role = \"admin\", sha256 = \"{key}\" }}]"))]),
        set(&[("auth.keys", key)]),
        set(&[("auth.keys", &format!("[\"{key}\"]"))]),
        Written::new(format!("[auth]\nkeys = \"{key}\"\n")).sources(),
        Written::new(format!("auth = \"{key}\"\n")).sources(),
    ] {
        let Err(problems) = Config::load(&sources) else { panic!("{sources:?} is accepted") };
        let said = format!("{problems} {problems:?}");
        assert!(!said.contains("hunter2") && !said.contains("ter2") && !said.contains(&key[3..]), "{said}");
    }
}

proptest! {
    #[test]
    fn no_file_and_no_variable_is_too_odd(text in "\\PC{0,40}|(\\[[a-z]{0,5}\\]?\n[a-z._]{0,12} ?= ?[ -~]{0,12}\n?){0,4}", value: String) {
        let file = Written::new(&text);
        let mut sources = file.sources();
        sources.env = orderflow::config::SETTINGS.iter().map(|setting| (setting.variable(), value.clone())).collect();
        if let Err(problems) = Config::load(&sources) {
            prop_assert!(!problems.0.is_empty());
        }
    }
}
