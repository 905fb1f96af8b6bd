//! Statements: which take the time, what of their text may be shown, and what they lack.

use orderflow_servers::Settings;

use crate::{analyse, counted, own, run, text};

#[test]
fn a_slow_statement_is_found_with_its_share() {
    let Some(database) = counted() else { return };
    database.psql("SELECT 1 AS quick; SELECT pg_sleep(0.6), 'S3CRET' AS slow").unwrap();
    let analysis = analyse(&database, &["--top", "1"]);
    let slow = "SELECT pg_sleep($1), $2 AS slow";
    assert_eq!(analysis.code, Some(1));
    assert!(analysis.number("slow statements", slow, "mean_ms") >= 600.0);
    assert!(analysis.number("slow statements", slow, "share") > 0.5);
    analysis.advises("slow statements", slow, "`SELECT pg_sleep($1), $2 AS slow` reads little and takes long");
    assert_eq!(analysis.of("slow statements").len(), 1, "{:#}", analysis.json);
    let top = analysis.json["statements"].as_array().unwrap();
    assert_eq!((top.len(), &top[0]["text"], &top[0]["calls"]), (1, &slow.into(), &1.into()));
}

#[test]
fn no_literal_shows_whatever_the_server_has_kept() {
    let Some(database) = counted() else { return };
    // What PostgreSQL keeps as it came: utility statements, and a SELECT that turns out to be one.
    database
        .psql(
            "CREATE TABLE customers AS SELECT 'Ada S3CRET' AS name, pg_sleep(0.6)::text AS slept; \
             SELECT name, 'B S3CRET' AS other, pg_sleep(0.6)::text AS waited INTO copied FROM customers WHERE name = 'Ada S3CRET'; \
             CREATE ROLE s3cret_user PASSWORD 'S3CRET'; DROP ROLE s3cret_user; \
             /* for Ada S3CRET */ SELECT pg_sleep(0.6) -- S3CRET",
        )
        .unwrap();
    let kept = database.psql("SELECT count(*) FROM pg_stat_statements WHERE query LIKE '%S3CRET%'").unwrap();
    assert_ne!(kept, "0", "the server has kept some literals, so that there is something to hide");
    let analysis = analyse(&database, &["--top", "1000"]);
    assert!(!analysis.json.to_string().contains("S3CRET"), "{:#}", analysis.json);
    assert_eq!(analysis.number("slow statements", "SELECT pg_sleep($1)", "calls"), 1.0);
    let said = text(&run(&["--url", database.url()]).stdout);
    assert!(said.contains("SELECT pg_sleep($1)") && !said.contains("S3CRET"), "{said}");
}

#[test]
fn a_large_table_without_an_index_is_found_with_the_statement_that_reads_it() {
    let Some(database) = counted() else { return };
    database
        .psql(
            "CREATE TABLE orders (id int PRIMARY KEY, customer_id int NOT NULL); \
             INSERT INTO orders SELECT n, n % 1000 FROM generate_series(1, 20000) n; VACUUM ANALYZE orders; \
             CREATE TABLE indexed (id int PRIMARY KEY); INSERT INTO indexed SELECT generate_series(1, 20000); \
             VACUUM ANALYZE indexed",
        )
        .unwrap();
    let ask = "SELECT count(*) FROM orders WHERE customer_id = 7; SELECT id FROM indexed WHERE id = 7;";
    database.psql(&ask.repeat(25)).unwrap();
    let analysis = analyse(&database, &[]);
    assert_eq!(analysis.code, Some(1));
    assert!(analysis.number("missing indexes", "public.orders", "sequential_scans") >= 25.0);
    assert!(analysis.number("missing indexes", "public.orders", "rows_per_scan") >= 10_000.0);
    analysis.advises("missing indexes", "public.orders", "`SELECT count(*) FROM orders WHERE customer_id = $1`");
    assert_eq!(analysis.of("missing indexes").len(), 1, "{:#}", analysis.json);
}

#[test]
fn without_the_extension_the_rest_is_checked() {
    let Some(database) = orderflow_servers::postgres().map(|postgres| postgres.database().unwrap()) else { return };
    let analysis = analyse(&database, &[]);
    let missing = &analysis.json["not_checked"][0];
    assert_eq!(missing["check"], "slow statements");
    assert!(missing["why"].as_str().unwrap().contains(database.name()), "{missing}");
    assert!(missing["remedy"].as_str().unwrap().contains("CREATE EXTENSION pg_stat_statements;"), "{missing}");
    assert!(analysis.json["statements"].is_null());
    assert_eq!(analysis.json["checked"].as_array().unwrap().len(), 11);
    assert_eq!((analysis.code, &analysis.json["healthy"]), (Some(0), &false.into()), "not everything was seen");
    let said = text(&run(&["--url", database.url()]).stdout);
    assert!(said.contains("11 checks found nothing wrong; 1 could not be made"), "{said}");
}

#[test]
fn without_the_library_the_way_to_it_is_told() {
    let Some(database) = own(&Settings::default().with("shared_preload_libraries", "")) else { return };
    database.psql("CREATE EXTENSION pg_stat_statements").unwrap();
    let analysis = analyse(&database, &[]);
    let missing = &analysis.json["not_checked"][0];
    assert!(missing["why"].as_str().unwrap().contains("without the library"), "{missing}");
    assert!(missing["remedy"].as_str().unwrap().contains("shared_preload_libraries"), "{missing}");
    assert_eq!(analysis.json["checked"].as_array().unwrap().len(), 11);
}

#[test]
fn statistics_that_were_just_reset_are_told_of() {
    let Some(database) = counted() else { return };
    database.psql("SELECT pg_stat_reset()").unwrap();
    let analysis = analyse(&database, &[]);
    let note = analysis.one("statistics", database.name());
    assert!(note["evidence"].as_str().unwrap().contains("were reset"), "{note}");
    assert_eq!((analysis.code, &analysis.json["healthy"]), (Some(0), &true.into()));
}
