//! What the program says when it cannot look, and what it never says.

use std::net::TcpListener;

use orderflow_servers::{PgBouncer, Stop, needs};

use crate::{own, password, program, run, text};

/// What it says, all in one line; its status is 2.
#[track_caller]
fn refusal(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(2), "{} {}", text(&output.stdout), text(&output.stderr));
    assert!(output.stdout.is_empty());
    text(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn without_an_address_it_says_how_to_give_one() {
    let said = refusal(&[]);
    for part in ["no database is named", "--url", "ORDERFLOW_DATABASE__URL", "orderflow.toml"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(refusal(&["--url", "sqlite:orderflow.db"]).contains("SQLite"));
    assert!(refusal(&["--config", "no-such.toml"]).contains("no-such.toml cannot be read"));
}

#[test]
fn where_nothing_answers_it_says_where_it_asked() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = refusal(&["--url", &format!("postgres://ada:S3CRET@{free}/shop")]);
    assert!(said.contains(&format!("nothing answers at {free}/shop")) && said.contains("--url"), "{said}");
    assert!(!said.contains("S3CRET"), "{said}");
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for() {
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let said = refusal(&["--url", &format!("postgres://ada:S3CRET@{address}/shop")]);
    assert!(said.contains("has not answered within 10 s") && !said.contains("S3CRET"), "{said}");
}

#[test]
fn what_the_server_refuses_comes_with_what_to_do() {
    let Some(postgres) = orderflow_servers::postgres() else { return };
    let (database, port) = (postgres.database().unwrap(), postgres.port());
    let said = refusal(&["--url", &format!("postgres://orderflow:S3CRET@127.0.0.1:{port}/{}", database.name())]);
    assert!(said.contains("is the password right?") && !said.contains("S3CRET"), "{said}");
    let said = refusal(&["--url", &postgres.url("no_such_shop")]);
    assert!(said.contains("no_such_shop") && said.contains("psql -l"), "{said}");
    assert!(!said.contains(password(&database)), "{said}");
}

#[test]
fn the_environment_and_the_file_say_where_the_database_is() {
    let Some(postgres) = orderflow_servers::postgres() else { return };
    let database = postgres.database().unwrap();
    let output = program(&[]).env("ORDERFLOW_DATABASE__URL", database.url()).output().unwrap();
    let shown = format!("127.0.0.1:{}/{}", postgres.port(), database.name());
    assert!(text(&output.stdout).starts_with(&shown), "{} {}", text(&output.stdout), text(&output.stderr));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("orderflow.toml"), format!("[database]\nurl = \"{}\"\n", database.url())).unwrap();
    let output = program(&[]).current_dir(dir.path()).output().unwrap();
    assert!(text(&output.stdout).starts_with(&shown), "{} {}", text(&output.stdout), text(&output.stderr));
    assert!(!text(&output.stdout).contains(password(&database)));
}

#[test]
fn who_may_not_see_others_is_told_so_and_sees_the_rest() {
    let Some(postgres) = orderflow_servers::postgres() else { return };
    let database = postgres.database().unwrap();
    let role = format!("clerk_{}", database.name());
    database
        .psql(&format!(
            "CREATE EXTENSION pg_stat_statements; CREATE ROLE {role} LOGIN PASSWORD 'clerk'; SELECT pg_sleep(0.6)"
        ))
        .unwrap();
    let url = format!("postgres://{role}:clerk@127.0.0.1:{}/{}", postgres.port(), database.name());
    let output = run(&["--url", &url]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said} {}", text(&output.stderr));
    assert!(said.contains(&format!("GRANT pg_monitor TO {role}")) && said.contains("1 could not be made"), "{said}");
    database.psql(&format!("GRANT pg_monitor TO {role}")).unwrap();
    let output = run(&["--url", &url]);
    let said = text(&output.stdout);
    assert!(said.contains("SELECT pg_sleep($1)") && !said.contains("could not be made"), "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
    database.psql(&format!("DROP ROLE {role}")).unwrap();
}

#[test]
fn a_pooler_is_told_from_a_server() {
    let Some(database) = own(&orderflow_servers::Settings::default()) else { return };
    let Some(pooler) = needs(PgBouncer::own(database.server())) else { return };
    let said = refusal(&["--url", &pooler.url(database.name())]);
    assert!(said.contains("pooler") && said.contains("database.direct_url"), "{said}");
    assert!(!said.contains(password(&database)), "{said}");
}

#[test]
fn a_server_that_was_stopped_is_told_apart_from_one_that_is_wrong() {
    let Some(database) = own(&orderflow_servers::Settings::default()) else { return };
    database.server().stop(Stop::Fast).unwrap();
    assert!(refusal(&["--url", database.url()]).contains("Is the server running"));
}
