//! The checks by which the compose files tell whether a part is well, run against parts that are and parts that are not.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

#[path = "shared/program.rs"]
mod program;
#[path = "shared/served.rs"]
mod served;

use orderflow_servers::{Database, Postgres, RabbitMq, Redis, Settings, Stop, needs};
use served::Served;

/// The checks of both files that run a program, as words, each once. At least one: a check that nobody finds checks nothing.
fn checks(program: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for name in ["compose.yaml", "compose.production.yaml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name);
        let text = fs::read_to_string(path).unwrap();
        for list in text.lines().filter_map(|line| line.trim().strip_prefix("test: ")) {
            let words: Vec<String> =
                serde_json::from_str(list).unwrap_or_else(|error| panic!("{name}: {list}: {error}"));
            assert_eq!(words[0], "CMD", "{name}: {list}");
            if words[1] == program && !found.contains(&words[1..].to_vec()) {
                found.push(words[1..].to_vec());
            }
        }
    }
    assert!(!found.is_empty(), "no check runs {program}");
    found
}

/// Whether a check says that all is well, run with further arguments after its program.
fn well(check: &[String], more: &[&str], variables: &[(&str, &str)]) -> bool {
    let mut command = Command::new(&check[0]);
    command.args(more).args(&check[1..]).envs(variables.iter().copied());
    command.output().unwrap_or_else(|error| panic!("{}: {error}", check[0])).status.success()
}

#[test]
fn redis_is_well_while_it_takes_commands_from_who_has_its_password() {
    let Some(redis) = needs(Redis::own()) else { return };
    let (url, port) = (redis.url(), redis.port().to_string());
    let password = url.strip_prefix("redis://:").and_then(|rest| rest.split('@').next()).unwrap();
    for check in checks("redis-cli") {
        assert!(well(&check, &["-p", &port], &[("REDISCLI_AUTH", password)]), "{check:?}");
        assert!(!well(&check, &["-p", &port], &[]), "{check:?}: an answer is not yet a good one");
        redis.stop().unwrap();
        assert!(!well(&check, &["-p", &port], &[("REDISCLI_AUTH", password)]), "{check:?}");
        redis.start().unwrap();
    }
}

#[test]
fn postgresql_is_well_while_it_takes_connections() {
    let Some(postgres) = needs(Postgres::own(&Settings::default())) else { return };
    let port = postgres.port().to_string();
    for check in checks("pg_isready") {
        assert!(well(&check, &["-p", &port], &[]), "{check:?}");
        postgres.stop(Stop::Fast).unwrap();
        assert!(!well(&check, &["-p", &port], &[]), "{check:?}");
        postgres.start().unwrap();
    }
}

#[test]
fn rabbitmq_is_well_while_its_port_answers() {
    let Some(broker) = needs(RabbitMq::own()) else { return };
    for check in checks("rabbitmq-diagnostics") {
        let words: Vec<_> = check[1..].iter().map(String::as_str).collect();
        broker.diagnostics(&words).unwrap();
        broker.stop().unwrap();
        assert!(broker.diagnostics(&words).is_err(), "{check:?}");
        broker.start().unwrap();
    }
}

#[test]
fn orderflow_is_well_while_its_database_is() {
    let Some(server) = needs(Postgres::own(&Settings::default())) else { return };
    let database: Database = server.database().unwrap();
    let (served, place) = (Served::start(database.url()), tempfile::tempdir().unwrap());
    let ready = format!("http://127.0.0.1:{}/healthz/ready", served.port);
    let asks = |check: &[String]| {
        let mut words: Vec<String> =
            check.iter().map(|word| word.replace("http://127.0.0.1:8080/healthz/ready", &ready)).collect();
        if words[0] == "/usr/local/bin/orderflow" {
            words[0] = program::orderflow().display().to_string();
            words.extend(["--url".to_owned(), ready.clone()]);
        }
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(place.path()).output().unwrap()
    };
    let checks = [checks("/usr/local/bin/orderflow"), checks("curl")].concat();
    for check in &checks {
        let said = asks(check);
        assert!(said.status.success(), "{check:?}: {said:?}");
    }
    server.stop(Stop::Fast).unwrap();
    for check in &checks {
        // Probes that come together share an answer, so that the first ones may be told what was so a moment ago.
        let deadline = Instant::now() + Duration::from_mins(1);
        while asks(check).status.success() {
            assert!(Instant::now() < deadline, "{check:?}");
        }
    }
}
