//! Every bound, on its edge and one step beyond, and every rule between settings.

use orderflow::config::SETTINGS;

use crate::{Written, faults, set};

/// The setting, the least and the most that it may be, and what is just beyond them.
const BOUNDS: &[(&str, [&str; 2], &[&str])] = &[
    ("http.request_timeout", ["10s", "1h"], &["0ms", "3600001ms"]),
    ("http.idle_timeout", ["1ms", "1h"], &["0ms", "3600001ms"]),
    ("http.max_body_bytes", ["1", "16MiB"], &["0", "16777217", "-1"]),
    ("http.max_connections", ["1", "1000000"], &["0", "1000001", "-1"]),
    ("http.max_in_flight", ["1", "1000000"], &["0", "1000001", "-1"]),
    ("http.drain_notice", ["0s", "1h"], &["3600001ms"]),
    ("http.drain_timeout", ["0s", "1h"], &["3600001ms"]),
    ("http.rate_limit", ["0", "1000000"], &["1000001", "-1"]),
    ("http.rate_burst", ["1", "1000000"], &["1000001", "-1"]),
    ("database.max_connections", ["1", "1000"], &["0", "1001"]),
    ("database.acquire_timeout", ["1ms", "1h"], &["0s", "3600001ms"]),
    ("database.statement_timeout", ["1ms", "1h"], &["0s", "3600001ms"]),
    ("database.seed_orders", ["0", "10000000"], &["10000001", "-1"]),
    ("cache.max_bytes", ["1", "1024GiB"], &["0", "1099511627777"]),
    ("cache.ttl", ["1ms", "24h"], &["0s", "86400001ms"]),
    ("cache.stats_ttl", ["1ms", "24h"], &["0s", "86400001ms"]),
    ("http.max_lists_in_flight", ["1", "1000000"], &["0", "1000001", "-1"]),
    ("http.max_writes_in_flight", ["1", "1000000"], &["0", "1000001", "-1"]),
    ("replicas.max_lag", ["1ms", "1h"], &["0s", "3600001ms"]),
    ("replicas.timeout", ["1ms", "1h"], &["0s", "3600001ms"]),
    ("redis.timeout", ["1ms", "1m"], &["0s", "60001ms"]),
    ("cache.redis_entries", ["1", "10000000"], &["0", "10000001"]),
    ("cache.redis_ttl", ["1ms", "24h"], &["0s", "86400001ms"]),
    ("queue.poll", ["1ms", "1h"], &["0s", "3600001ms"]),
    ("queue.claim", ["100ms", "1h"], &["99ms", "3600001ms"]),
    ("queue.republish", ["100ms", "24h"], &["99ms", "86400001ms"]),
    ("worker.concurrency", ["1", "1000"], &["0", "1001"]),
    ("worker.max_attempts", ["1", "100"], &["0", "101"]),
    ("worker.retry_base", ["1ms", "1h"], &["0s", "3600001ms"]),
    ("worker.retry_max", ["1ms", "24h"], &["0s", "86400001ms"]),
    ("mail.timeout", ["1ms", "1h"], &["0s", "3600001ms"]),
    ("scheduler.interval", ["10ms", "1h"], &["9ms", "3600001ms"]),
    ("scheduler.catch_up_days", ["0", "366"], &["367", "-1"]),
    ("scheduler.reminder_after", ["1ms", "744h"], &["0s", "2678400001ms"]),
    ("events.max_streams", ["1", "1000000"], &["0", "1000001"]),
    ("events.buffer", ["1", "65536"], &["0", "65537"]),
    ("events.retention", ["1s", "744h"], &["999ms", "2678400001ms"]),
    ("events.poll", ["1ms", "1h"], &["0s", "3600001ms"]),
    ("ops.max_profile", ["1s", "10m"], &["999ms", "600001ms"]),
    ("database.slow_statement", ["1ms", "1h"], &["0s", "3600001ms"]),
    ("telemetry.traces_ratio", ["0", "1"], &["-0.001", "1.001", "nan", "one"]),
    ("telemetry.traces_per_route", ["0", "1000"], &["1001", "-1", "0.5"]),
    ("telemetry.traces_kept", ["1", "10000"], &["0", "10001"]),
    ("telemetry.slow_request", ["1ms", "1h"], &["0s", "3600001ms"]),
    ("telemetry.otlp_timeout", ["1ms", "1m"], &["0s", "60001ms"]),
    ("telemetry.otlp_queue", ["1", "1000000"], &["0", "1000001"]),
];

#[test]
fn bounds_hold_on_their_edges() {
    for (key, allowed, refused) in BOUNDS {
        for value in allowed {
            assert_eq!(faults(&set(&[(key, value)])), [""; 0], "{key} = {value}");
        }
        for value in *refused {
            let found = faults(&set(&[(key, value)]));
            assert_eq!(found.len(), 1, "{key} = {value}: {found:?}");
            assert!(found[0].starts_with(&format!("{key} is ")), "{}", found[0]);
        }
    }
}

#[test]
fn every_setting_with_bounds_is_tried_on_them() {
    for setting in SETTINGS.iter().filter(|setting| setting.allowed().contains(" from ")) {
        assert!(BOUNDS.iter().any(|(key, _, _)| *key == setting.key), "{} is not", setting.key);
    }
}

#[test]
fn other_settings_take_what_they_name_and_nothing_else() {
    for (key, allowed, refused) in [
        ("data_dir", &["a", "/x y"][..], &[""][..]),
        ("http.listen", &["0.0.0.0:80", "[::1]:0"], &["localhost:80", "127.0.0.1", ":80", "127.0.0.1:65536", ""]),
        ("http.trust_forwarded_for", &["true", "false"], &["yes", "1", "True", ""]),
        ("database.pooler", &["none"], &["session", ""]),
        ("worker.in_process", &["auto", "on", "off"], &["true", ""]),
        (
            "redis.url",
            &["redis://h", "redis://h/", "redis://:p@h:1/2", ""],
            &[
                "h:6379",
                "rediss://h",
                "redis://",
                "redis://:1",
                "redis://h/orders",
                "redis://h/-1",
                "redis://h/1/2",
                "redis://:%ff@h",
                "redis://h?protocol=4",
            ],
        ),
        ("redis.prefix", &["a", "a.b-c_d"], &["", "a:b", "a b"]),
        ("queue.broker", &["amqp://u:p@h:1/v", ""], &["amqps://h", "amqp:///v", "amqp://h:x"]),
        ("queue.name", &["a"], &["", "a b"]),
        ("mail.smtp_url", &["smtp://h:25", "smtps://u:p@h", ""], &["mailto:x", "smtp://"]),
        ("mail.spool", &["spool", ""], &[]),
        ("mail.from", &["a@example.com", "A <a@example.com>"], &["", "A", "a@"]),
        ("scheduler.utc_offset", &["+00:00", "-03:30"], &["", "Z", "+15:00"]),
        (
            "ops.hosts",
            &["", "ops.example.com", "a, B-c_d.example,e"],
            &["ops.example.com:80", "http://ops", "a b", "*.example.com"],
        ),
        ("telemetry.service_name", &["orderflow"], &["", "a b"]),
        ("telemetry.environment", &["production"], &["", "a/b"]),
        ("telemetry.metrics", &["true", "false"], &["on"]),
        ("telemetry.traces", &["true", "false"], &["on"]),
        ("telemetry.follow_parent", &["true", "false"], &["on"]),
        ("telemetry.otlp_logs", &["true", "false"], &["on"]),
        ("telemetry.otlp_protocol", &["grpc", "http"], &["", "http/json"]),
        (
            "telemetry.otlp_endpoint",
            &["", "http://h:4317", "https://h", "http://h/collector"],
            &["h:4317", "grpc://h:4317", "http://", "http://u:p@h", "http://h?a=b"],
        ),
        ("telemetry.sentry_dsn", &["", "https://key@h/1"], &["https://h/1", "key@h/1", "https://key@h/"]),
        ("log.format", &["auto", "pretty", "json"], &["text", "JSON", ""]),
        (
            "log.filter",
            &["info", "INFO", "warn,orderflow=debug", "info,a::b=off", "info,[span]=debug"],
            &["", "inf", "info,,warn", "orderflow=loud", "info,orderflow", "\u{3000}\u{e9}=info"],
        ),
        ("database.url", &["sqlite:x.db", ""], &["x.db", "mysql://h/d", "postgres://h:x/d"]),
    ] {
        for value in allowed {
            assert_eq!(faults(&set(&[(key, value)])), [""; 0], "{key} = {value:?}");
        }
        for value in refused {
            assert_eq!(faults(&set(&[(key, value)])).len(), 1, "{key} = {value:?}");
        }
    }
}

#[test]
fn a_file_has_types() {
    for (line, wrong) in [
        ("max_connections = \"5\"", "http.max_connections is the text \"5\""),
        ("max_connections = 5.0", "http.max_connections is the number 5.0"),
        ("request_timeout = 10", "http.request_timeout is the number 10, without a unit; \"10s\" or \"10ms\"?"),
        ("trust_forwarded_for = \"true\"", "http.trust_forwarded_for is the text \"true\""),
        ("listen = [\"127.0.0.1:1\"]", "http.listen is a list"),
        ("listen.port = 5", "http.listen is a table"),
        ("max_body_bytes = 1979-05-27", "http.max_body_bytes is a date or a time"),
    ] {
        let file = Written::new(format!("# first\n[http]\n{line}\n"));
        assert_eq!(faults(&file.sources()), [format!("{wrong} @ {}:3", file.path().display())]);
    }
    for line in
        ["max_body_bytes = 4096", "max_body_bytes = \"4KiB\"", "max_connections = 1_000", "max_connections = 0xff"]
    {
        assert_eq!(faults(&Written::new(format!("[http]\n{line}\n")).sources()), [""; 0], "{line}");
    }
}

#[test]
fn rules_between_settings_hold() {
    let burst = faults(&set(&[("http.rate_burst", "0")]));
    assert_eq!(burst.len(), 1);
    assert!(
        burst[0].contains("http.rate_limit is 1000") && burst[0].ends_with("@ --set http.rate_burst"),
        "{}",
        burst[0]
    );
    assert_eq!(faults(&set(&[("http.rate_burst", "0"), ("http.rate_limit", "0")])), [""; 0]);

    assert_eq!(faults(&set(&[("http.listen", "127.0.0.1:9464")])).len(), 1);
    assert_eq!(faults(&set(&[("http.listen", "127.0.0.1:0"), ("ops.listen", "127.0.0.1:0")])), [""; 0]);
}

#[test]
fn a_rule_says_nothing_about_a_setting_that_is_wrong_by_itself() {
    let found = faults(&set(&[("http.rate_limit", "many"), ("http.rate_burst", "0")]));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("http.rate_limit is \"many\""), "{}", found[0]);
}
