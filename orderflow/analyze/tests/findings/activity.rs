//! Connections: who works for long, who has left a transaction open, who waits for whom.

use std::thread::{self, JoinHandle};

use orderflow_servers::Database;

use crate::{analyse, analyse_until, counted};

/// Runs SQL in the background, in one connection, until it ends or its database does.
fn background(database: &Database, sql: &str) -> JoinHandle<anyhow::Result<String>> {
    let (server, sql) = (database.server().clone(), format!("\\c {}\n{sql}", database.name()));
    thread::spawn(move || server.psql(&sql))
}

/// Ends everybody in the database but the one who asks.
fn end_all(database: &Database, running: Vec<JoinHandle<anyhow::Result<String>>>) {
    database.server().terminate_backends(database.name()).unwrap();
    for one in running {
        let _ = one.join().unwrap();
    }
}

#[test]
fn a_transaction_that_lasts_is_found_by_the_time_that_is_given() {
    let Some(database) = counted() else { return };
    let running = background(&database, "SET application_name = 'report'; SELECT pg_sleep(120), 'S3CRET'");
    let analysis =
        analyse_until(&database, &["--older-than", "0.5"], |found| !found.of("long transactions").is_empty());
    let found = analysis.of("long transactions")[0];
    let subject = found["subject"].as_str().unwrap();
    assert!(subject.starts_with("pid ") && subject.ends_with("(report) of orderflow"), "{subject}");
    let pid = found["numbers"]["pid"].as_i64().unwrap();
    analysis.advises("long transactions", subject, &format!("pg_terminate_backend({pid})"));
    assert!(!analysis.json.to_string().contains("S3CRET"), "{:#}", analysis.json);
    assert_eq!(analysis.code, Some(1));
    assert!(analyse(&database, &[]).of("long transactions").is_empty(), "a minute is not over");
    end_all(&database, vec![running]);
    analyse_until(&database, &["--older-than", "0"], |found| found.of("long transactions").is_empty());
}

#[test]
fn a_transaction_that_was_left_open_and_who_waits_for_it_are_found() {
    let Some(database) = counted() else { return };
    database.psql("CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, '')").unwrap();
    // psql sleeps, and its connection is idle in a transaction that has a row.
    let holder = background(
        &database,
        "SET application_name = 'forgetful'; BEGIN; UPDATE orders SET note = 'S3CRET'; \n\\! sleep 90\nROLLBACK",
    );
    analyse_until(&database, &["--older-than", "0"], |found| !found.of("idle in transaction").is_empty());
    let waiters: Vec<_> =
        (0..2).map(|_| background(&database, "UPDATE orders SET note = 'S3CRET 2' WHERE id = 1")).collect();
    let analysis = analyse_until(&database, &["--older-than", "0.5"], |found| {
        found.of("lock waits").first().is_some_and(|wait| wait["numbers"]["waiting"] == 2)
    });
    let (idle, wait) = (analysis.of("idle in transaction")[0], analysis.of("lock waits")[0]);
    assert_eq!(analysis.of("lock waits").len(), 1, "{:#}", analysis.json);
    // Both wait for the one who has the row, the second by way of the first.
    assert_eq!(idle["numbers"]["pid"], wait["numbers"]["pid"]);
    assert_eq!(idle["subject"], wait["subject"]);
    assert!(idle["subject"].as_str().unwrap().contains("(forgetful)"), "{idle}");
    assert_eq!(wait["numbers"]["relation"], "public.orders", "{wait}");
    assert!(wait["evidence"].as_str().unwrap().contains("idle in transaction"), "{wait}");
    assert!(wait["advice"].as_str().unwrap().contains("UPDATE"), "{wait}");
    assert!(!analysis.json.to_string().contains("S3CRET"), "{:#}", analysis.json);
    assert!(analyse(&database, &[]).of("idle in transaction").is_empty(), "a minute is not over");
    end_all(&database, waiters);
    drop(holder);
    analyse_until(&database, &["--older-than", "0"], |found| {
        found.of("lock waits").is_empty() && found.of("idle in transaction").is_empty()
    });
}

#[test]
fn a_table_that_is_locked_keeps_nobody_from_seeing_who_locks_it() {
    let Some(database) = counted() else { return };
    database.psql("CREATE TABLE orders (id int PRIMARY KEY)").unwrap();
    let holder =
        background(&database, "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(120); ROLLBACK");
    analyse_until(&database, &["--older-than", "0"], |found| !found.of("long transactions").is_empty());
    let waiter = background(&database, "SELECT * FROM orders");
    let analysis = analyse_until(&database, &[], |found| !found.of("lock waits").is_empty());
    assert_eq!(analysis.of("lock waits")[0]["numbers"]["relation"], "public.orders");
    // What cannot be told of the table meanwhile is told of.
    for left in analysis.json["not_checked"].as_array().unwrap() {
        assert_eq!(left["why"], "a lock was in its way for two seconds");
    }
    end_all(&database, vec![holder, waiter]);
}
