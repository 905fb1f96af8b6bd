//! `migrate` and `seed`, and what is said about a database that cannot be used.

use std::net::TcpListener;

use sqlx::{Connection, Executor, SqliteConnection};

use crate::program::Place;

const SQLITE: [&str; 2] = ["--database-url", "sqlite:shop.db"];

#[test]
fn a_database_is_migrated_once_and_filled_once() {
    let place = Place::new();
    let run = |args: &[&str]| place.run(&[args, &SQLITE].concat());
    let early = run(&["seed", "--orders", "20"]);
    assert!(early.status == Some(1) && early.stderr.contains("orderflow migrate"), "{}", early.stderr);

    let migrated = run(&["migrate"]);
    assert_eq!(migrated.status, Some(0), "{}", migrated.stderr);
    assert!(migrated.stdout.contains("sqlite:shop.db is up to date"), "{}", migrated.stdout);
    assert_eq!(run(&["migrate"]).stdout, "sqlite:shop.db was up to date\n");

    let seeded = run(&["seed", "--orders", "20"]);
    assert_eq!(seeded.status, Some(0), "{}", seeded.stderr);
    assert!(seeded.stdout.contains("20 orders"), "{}", seeded.stdout);
    let again = run(&["seed", "--orders", "20"]);
    assert_eq!((again.status, again.stdout.as_str()), (Some(1), ""));
    assert!(again.stderr.contains("sqlite:shop.db") && again.stderr.contains("not empty"), "{}", again.stderr);
}

#[test]
fn a_database_that_cannot_be_reached_is_told_without_its_password() {
    let place = Place::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let env = [("ORDERFLOW_DATABASE__URL", &*format!("postgres://shop:hunter2@{free}/orders"))];
    for args in [
        &["migrate"][..],
        &["seed", "--orders", "1"],
        &["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--set", "database.acquire_timeout=500ms"],
    ] {
        let ended = place.run_with(args, &env);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{args:?}");
        for part in [
            &*format!("postgres://shop:***@{free}/orders"),
            "cannot be reached",
            "Connection refused",
            "--database-url",
        ] {
            assert!(ended.stderr.contains(part), "{args:?}, {part}: {}", ended.stderr);
        }
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
}

#[test]
fn a_newer_schema_is_left_alone() {
    let place = Place::new();
    assert_eq!(place.run(&["migrate"]).status, Some(0));
    let file = place.path().join(".orderflow/orderflow.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                     VALUES (99990101000000, 'from the future', 1, x'00', 0)";
        connection.execute(newer).await.unwrap();
        connection.close().await.unwrap();
    });
    for args in [&["migrate"][..], &["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]] {
        let ended = place.run(args);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""));
        for part in ["sqlite:.orderflow/orderflow.db", "99990101000000", "newer"] {
            assert!(ended.stderr.contains(part), "{args:?}, {part}: {}", ended.stderr);
        }
    }
}
