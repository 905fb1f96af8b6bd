//! Indexes, pages, rows, sequences and slots: what takes room, or runs out of it.

use orderflow_servers::Settings;

use crate::{analyse, analyse_until, counted, own};

#[test]
fn unused_and_duplicate_indexes_are_found_and_no_others() {
    let Some(database) = counted() else { return };
    database
        .psql(
            "CREATE TABLE items (id int PRIMARY KEY, sku int UNIQUE, a int, b int, c int); \
             INSERT INTO items SELECT n, n, n, n, n FROM generate_series(1, 100000) n; \
             CREATE INDEX used ON items (a); CREATE INDEX unused ON items (b, c); \
             CREATE INDEX sku_again ON items (sku); CREATE INDEX descending ON items (sku DESC) WHERE a > 5; \
             VACUUM ANALYZE items; SET enable_seqscan = off; SELECT id FROM items WHERE a = 7; \
             SELECT id FROM items WHERE sku = 7 AND a > 5",
        )
        .unwrap();
    let analysis = analyse(&database, &[]);
    let unused: Vec<_> = analysis.of("unused indexes").iter().map(|one| one["subject"].as_str().unwrap()).collect();
    assert!(unused.contains(&"public.unused"), "{:#}", analysis.json);
    for innocent in ["public.used", "public.items_pkey", "public.items_sku_key"] {
        assert!(!unused.contains(&innocent), "{innocent}");
    }
    assert!(analysis.number("unused indexes", "public.unused", "bytes") >= f64::from(1 << 20));
    assert!(analysis.number("unused indexes", "public.unused", "writes") >= 100_000.0);
    // The server has run for less than a week.
    assert_eq!(analysis.one("unused indexes", "public.unused")["severity"], "note");
    analysis.advises("unused indexes", "public.unused", "DROP INDEX CONCURRENTLY public.unused;");
    assert_eq!(analysis.of("duplicate indexes").len(), 1, "{:#}", analysis.json);
    assert_eq!(analysis.one("duplicate indexes", "public.sku_again")["numbers"]["same_as"], "public.items_sku_key");
    analysis.advises("duplicate indexes", "public.sku_again", "DROP INDEX CONCURRENTLY public.sku_again;");
    assert_eq!(analysis.code, Some(1));
}

#[test]
fn dead_rows_are_found_until_they_are_vacuumed() {
    let Some(database) = counted() else { return };
    database
        .psql(
            "CREATE TABLE stock (id int PRIMARY KEY, left_over int) WITH (autovacuum_enabled = off); \
             INSERT INTO stock SELECT n, 1 FROM generate_series(1, 20000) n; UPDATE stock SET left_over = 2",
        )
        .unwrap();
    let analysis = analyse(&database, &[]);
    assert_eq!(analysis.number("dead rows", "public.stock", "dead"), 20_000.0);
    assert_eq!(analysis.number("dead rows", "public.stock", "live"), 20_000.0);
    assert_eq!(analysis.one("dead rows", "public.stock")["severity"], "critical");
    analysis.advises("dead rows", "public.stock", "ALTER TABLE public.stock RESET (autovacuum_enabled)");
    database.psql("VACUUM stock").unwrap();
    analyse_until(&database, &[], |analysis| analysis.of("dead rows").is_empty());
}

#[test]
fn room_that_nothing_fills_is_found() {
    let Some(database) = counted() else { return };
    database
        .psql(
            "CREATE TABLE events (id int, body text) WITH (autovacuum_enabled = off); \
             INSERT INTO events SELECT n, repeat('x', 100) FROM generate_series(1, 150000) n; VACUUM ANALYZE events",
        )
        .unwrap();
    assert!(analyse(&database, &[]).of("bloat").is_empty(), "a table that is full is not bloated");
    // A row here and there keeps each page from being given back.
    database.psql("DELETE FROM events WHERE id % 50 <> 0; VACUUM ANALYZE events").unwrap();
    let analysis = analyse(&database, &[]);
    assert!(analysis.number("bloat", "public.events", "bytes") > 15e6);
    assert!(analysis.number("bloat", "public.events", "share") > 0.9, "{:#}", analysis.json);
    analysis.advises("bloat", "public.events", "VACUUM FULL public.events");
    assert_eq!(analysis.code, Some(1));
}

#[test]
fn a_cache_that_is_too_small_is_found() {
    let Some(database) = own(&Settings::default().with("shared_buffers", "1MB")) else { return };
    database
        .psql(
            "CREATE TABLE pages AS SELECT n AS id, repeat('x', 500) AS body FROM generate_series(1, 60000) n; \
             CREATE TABLE small AS SELECT 1 AS id; VACUUM ANALYZE pages; SELECT pg_stat_reset()",
        )
        .unwrap();
    database.psql(&"SELECT count(body) FROM pages;".repeat(4)).unwrap();
    let analysis = analyse(&database, &[]);
    assert!(analysis.number("cache", "tables", "ratio") < 0.8);
    analysis.advises("cache", "tables", "public.pages");
    let pages = &analysis.json["cache"]["tables"];
    assert_eq!(pages["read"].as_f64().unwrap(), analysis.number("cache", "tables", "read"));
    assert_eq!(analysis.of("cache").len(), 1, "nobody has asked for a page of an index: {:#}", analysis.json);
}

#[test]
fn sequences_near_their_end_are_found() {
    let Some(database) = counted() else { return };
    database
        .psql(
            "CREATE TABLE old (id serial PRIMARY KEY); SELECT setval('old_id_seq', 2000000000); \
             CREATE SEQUENCE numbers; CREATE TABLE narrow (id smallint DEFAULT nextval('numbers')); \
             ALTER SEQUENCE numbers OWNED BY narrow.id; SELECT setval('numbers', 26000); \
             CREATE TABLE fine (id bigserial); SELECT setval('fine_id_seq', 2000000000); \
             CREATE SEQUENCE round MAXVALUE 10 CYCLE; SELECT setval('round', 10)",
        )
        .unwrap();
    let analysis = analyse(&database, &[]);
    assert_eq!(analysis.of("sequences").len(), 2, "{:#}", analysis.json);
    assert_eq!(analysis.one("sequences", "public.old_id_seq")["severity"], "critical");
    analysis.advises("sequences", "public.old_id_seq", "Make public.old.id a bigint");
    assert_eq!(analysis.number("sequences", "public.numbers", "most"), 32_767.0);
    assert_eq!(analysis.one("sequences", "public.numbers")["severity"], "warning");
}

#[test]
fn a_slot_that_nobody_reads_is_found_by_the_log_that_it_keeps() {
    let Some(database) = own(&Settings::default()) else { return };
    database.psql("SELECT pg_create_physical_replication_slot('forgotten', true)").unwrap();
    assert!(analyse(&database, &[]).of("replication slots").is_empty(), "it keeps next to nothing yet");
    database.psql("CREATE TABLE filler AS SELECT repeat('x', 100) FROM generate_series(1, 200000)").unwrap();
    let analysis = analyse(&database, &[]);
    assert!(analysis.number("replication slots", "forgotten", "held_bytes") > 16e6);
    analysis.advises("replication slots", "forgotten", "pg_drop_replication_slot('forgotten')");
    assert_eq!(analysis.code, Some(1));
    database.psql("SELECT pg_drop_replication_slot('forgotten')").unwrap();
    assert!(analyse(&database, &[]).of("replication slots").is_empty());
}
