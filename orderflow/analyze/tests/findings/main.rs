//! Each finding provoked on a real PostgreSQL and found, and none on a healthy one. And what the program says when it cannot
//! look.

mod activity;
mod refusals;
mod space;
mod statements;

use std::{
    process::{Command, Output},
    time::{Duration, Instant},
};

use orderflow_servers::{Database, Postgres, Settings, needs};
use serde_json::Value;

/// What the program said.
struct Analysis {
    code: Option<i32>,
    json: Value,
}

impl Analysis {
    /// The findings of a check.
    fn of(&self, check: &str) -> Vec<&Value> {
        let findings = self.json["findings"].as_array().unwrap();
        findings.iter().filter(|finding| finding["check"] == check).collect()
    }

    /// The one finding of a check whose subject is this.
    #[track_caller]
    fn one(&self, check: &str, subject: &str) -> &Value {
        let found = self.of(check).into_iter().find(|finding| finding["subject"] == subject);
        found.unwrap_or_else(|| panic!("no finding of {check} on {subject}: {:#}", self.json))
    }

    fn number(&self, check: &str, subject: &str, name: &str) -> f64 {
        self.one(check, subject)["numbers"][name].as_f64().unwrap()
    }

    #[track_caller]
    fn advises(&self, check: &str, subject: &str, words: &str) {
        let advice = self.one(check, subject)["advice"].as_str().unwrap();
        assert!(advice.contains(words), "{advice}");
    }
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orderflow-analyze"));
    command.args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ORDERFLOW_") {
            command.env_remove(name);
        }
    }
    // Where there is no orderflow.toml.
    command.current_dir(env!("CARGO_TARGET_TMPDIR"));
    command
}

fn run(arguments: &[&str]) -> Output {
    program(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn analyse(database: &Database, arguments: &[&str]) -> Analysis {
    let output = run(&[&["--url", database.url(), "--format", "json"], arguments].concat());
    let json = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {} {}", text(&output.stdout), text(&output.stderr)));
    Analysis { code: output.status.code(), json }
}

/// Asks until it is as it should be; counters are written some time after what they count.
#[track_caller]
fn analyse_until(database: &Database, arguments: &[&str], ready: impl Fn(&Analysis) -> bool) -> Analysis {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let analysis = analyse(database, arguments);
        if ready(&analysis) {
            return analysis;
        }
        assert!(Instant::now() < deadline, "it never came to that: {:#}", analysis.json);
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A database in the server that tests share, where statements are counted.
fn counted() -> Option<Database> {
    let database = orderflow_servers::postgres()?.database().unwrap();
    database.psql("CREATE EXTENSION pg_stat_statements").unwrap();
    Some(database)
}

/// One in a server of its own.
fn own(settings: &Settings) -> Option<Database> {
    Some(needs(Postgres::own(settings))?.database().unwrap())
}

#[test]
fn a_healthy_database_is_called_so() {
    let Some(database) = counted() else { return };
    database
        .psql(
            "CREATE TABLE products (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL); \
             CREATE INDEX ON products (name); \
             INSERT INTO products (name) SELECT 'product ' || n FROM generate_series(1, 20000) n; VACUUM ANALYZE products; \
             SELECT count(*) FROM products; SELECT id FROM products WHERE name = 'product 7'",
        )
        .unwrap();
    let analysis = analyse(&database, &[]);
    assert_eq!(analysis.json["findings"].as_array().unwrap().len(), 0, "{:#}", analysis.json);
    assert_eq!(analysis.json["not_checked"].as_array().unwrap().len(), 0, "{:#}", analysis.json);
    assert_eq!((analysis.code, &analysis.json["healthy"]), (Some(0), &Value::Bool(true)));
    assert_eq!(analysis.json["checked"].as_array().unwrap().len(), 12);
    let output = run(&["--url", database.url()]);
    let said = text(&output.stdout);
    assert!(said.contains("healthy: 12 checks found nothing wrong"), "{said}");
    assert!(!said.contains(password(&database)), "{said}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn it_cannot_write_and_leaves_nothing_behind() {
    let Some(database) = counted() else { return };
    // A function of the database's own, found by an unqualified name, would run with the rights of whoever analyses.
    database
        .psql(
            "CREATE TABLE seen (who text); CREATE SCHEMA orderflow; \
             CREATE FUNCTION public.current_database() RETURNS name LANGUAGE plpgsql AS $$ BEGIN \
             INSERT INTO seen VALUES ('caught'); RETURN 'caught'; END $$; \
             ALTER DATABASE \"$db\" SET search_path = public, pg_catalog"
                .replace("$db", database.name())
                .as_str(),
        )
        .unwrap();
    let analysis = analyse(&database, &[]);
    assert_eq!(analysis.code, Some(0), "{:#}", analysis.json);
    assert_eq!(database.psql("SELECT count(*) FROM public.seen").unwrap(), "0");
    let counted =
        database.psql("SELECT count(*) FROM pg_stat_statements WHERE query LIKE '%orderflow-analyze%'").unwrap();
    assert_ne!(counted, "0", "its statements bear the comment that it leaves them out by");
    let again = analyse(&database, &[]);
    assert!(!again.json["statements"].to_string().contains("pg_stat_user_tables"), "{:#}", again.json["statements"]);
}

fn password(database: &Database) -> &str {
    database.url().split(['/', ':', '@']).nth(4).unwrap()
}
