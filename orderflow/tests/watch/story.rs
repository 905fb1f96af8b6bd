//! A story that touches everything: what clients do, and what goes wrong meanwhile.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use orderflow_servers::Behaviour;
use time::{Date, OffsetDateTime};

use crate::{
    client::{Answer, Client, Stream},
    fleet::{Fleet, KEY, Process, until},
};

/// Makes names that nobody has had.
static COUNTED: AtomicU32 = AtomicU32::new(0);

fn write(client: &mut Client, method: &str, path: &str, body: &str) -> Answer {
    client.ask(method, path, &format!("Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"), body)
}

fn customer(client: &mut Client, birthday: Option<Date>) -> Answer {
    let number = COUNTED.fetch_add(1, Ordering::Relaxed);
    let birthday = birthday.map(|day| format!(r#","birthday":"{day}""#)).unwrap_or_default();
    let body = format!(r#"{{"name":"Ada","email":"ada{number}@example.com"{birthday}}}"#);
    write(client, "POST", "/api/customers", &body)
}

/// Places an order; whatever becomes of it.
pub(crate) fn order(client: &mut Client) -> Answer {
    let product = 1 + COUNTED.fetch_add(1, Ordering::Relaxed) % 20;
    let body = format!(r#"{{"customer_id":1,"items":[{{"product_id":{product},"quantity":1}}]}}"#);
    write(client, "POST", "/api/orders", &body)
}

/// Somebody has a birthday today, and somebody tomorrow: it may be that by the time that it is looked at.
pub(crate) fn birthdays(instance: &Process) {
    let today = OffsetDateTime::now_utc().date();
    for day in [Some(today), today.next_day()].into_iter().flatten() {
        // On the 29th of February a year that has one.
        let born = day.replace_year(2000).unwrap();
        assert_eq!(customer(&mut Client::new(instance.public), Some(born)).status, 201);
    }
}

/// What clients and operators do on a good day. To be told more than once: a rate takes two looks.
pub(crate) fn good_day(fleet: &Fleet) {
    let mut client = fleet.client();
    let made = customer(&mut client, None);
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.body.split("\"id\":").nth(1).unwrap().split([',', '}']).next().unwrap().trim().to_owned();
    let body = r#"{"name":"Ada","email":"countess@example.com"}"#;
    assert_eq!(write(&mut client, "PUT", &format!("/api/customers/{id}"), body).status, 200);
    assert_eq!(write(&mut client, "DELETE", &format!("/api/customers/{id}"), "").status, 204);
    for path in [
        "/api/products?limit=3",
        "/api/products/1",
        "/api/products/1",
        "/api/customers?limit=3",
        "/api/customers/1",
        "/api/orders?limit=3",
        "/api/orders/1",
        "/api/stats",
        "/healthz",
        "/healthz/ready",
        "/healthz/live",
        "/api/openapi.json",
        "/docs",
    ] {
        let answer = client.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
    for (path, status) in [("/api/products/0", 400), ("/api/products/999999", 404), ("/nowhere", 404)] {
        assert_eq!(client.get(path).status, status, "{path}");
    }
    for product in 1..20 {
        client.get(&format!("/api/products/{product}"));
    }
    assert_eq!(client.ask("HEAD", "/api/stats", "", "").status, 200);

    // One may listen, and a second one is refused.
    until("nobody else listens", || client.get("/healthz").status == 200 && !fleet.shows("event_streams > 0"));
    let mut stream = Stream::open(fleet.instance.public);
    // From here on it misses nothing.
    stream.wait_for("id:");
    assert_eq!(client.get("/api/orders/stream").status, 503);
    let placed = order(&mut client);
    assert_eq!(placed.status, 201, "{}", placed.body);
    stream.wait_for("data:");
    fleet.until_shown("event_streams > 0", || ());
    drop(stream);

    let mut operator = Client::new(fleet.instance.ops);
    let vitals = r#"{"LCP":0.2,"INP":0.05,"FCP":0.1,"TTFB":0.01}"#;
    let told = operator.ask("POST", "/console/vitals", "Content-Type: application/json\r\n", vitals);
    assert_eq!(told.status, 204, "{}", told.body);
    assert_eq!(operator.get("/debug/profile?seconds=1").status, 200);
}

/// What goes wrong, one thing after the other, each until it is seen, and mended afterwards.
pub(crate) fn bad_day(fleet: &Fleet) {
    let mut client = fleet.client();
    // Redis is silent, so that it is left alone. All ask at once: two seconds later the connection is taken for broken, and
    // then nobody is refused by the circuit any more.
    fleet.redis.pause().unwrap();
    let stranger = || {
        // What nobody has asked for yet is in no cache's memory.
        fleet.client().get(&format!("/api/products/{}", 1_000 + COUNTED.fetch_add(1, Ordering::Relaxed)));
    };
    let open = "max(max_over_time(circuit_state{name=\"redis\"}[10m])) == 2";
    fleet.until_shown(&format!("{open} and on() circuit_refusals_total{{name=\"redis\"}} > 0"), || {
        thread::scope(|scope| (0..20).for_each(|_| drop(scope.spawn(stranger))));
    });
    fleet.redis.resume().unwrap();

    // Mail is refused, until somebody's is given up.
    fleet.sink.behave(Behaviour::Temporary);
    fleet.until_shown("max(jobs_dead) > 0 and on() max(jobs_queued) > 0", || {
        order(&mut client);
    });
    fleet.sink.behave(Behaviour::Accept { after: Duration::ZERO });
    fleet.rabbitmq.close_connections().unwrap();
    fleet.until_shown("broker_reconnects_total > 0", || ());

    // The replica is behind, so that reads pass it by. How far is known up to twice `replicas.max_lag`.
    fleet.replica.pause_replay().unwrap();
    let behind = "max(max_over_time(replica_lag_seconds[10m])) > 0";
    fleet.until_shown(&format!("{behind} and on() replica_fallbacks_total{{reason=\"lagging\"}} > 0"), || {
        order(&mut client);
        client.get("/api/orders/1");
    });
    fleet.replica.resume_replay().unwrap();

    // The replica goes, and then the connections of those who read from the primary instead.
    fleet.replica.stop().unwrap();
    let mut order_id = 0;
    fleet.until_shown("sum(retries_total{name=\"reads\"}) > 0 and on() sum(replica_fallbacks_total) > 0", || {
        let others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND \
                      datname = current_database() AND state = 'idle'";
        fleet.database.psql(others).unwrap();
        for _ in 0..20 {
            order_id = order_id % 200 + 1;
            client.get(&format!("/api/orders/{order_id}"));
        }
    });
    fleet.replica.start().unwrap();

    // Writes wait for a lock with all connections there are, so that others get none.
    let held = "BEGIN; LOCK TABLE products IN EXCLUSIVE MODE; SELECT pg_sleep(6); COMMIT";
    let crowd = || {
        let mut client = fleet.client();
        order(&mut client);
        client.get("/api/customers?limit=7");
    };
    until("calls get no connection and say so", || {
        thread::scope(|scope| {
            scope.spawn(|| fleet.database.psql(held).unwrap());
            (0..16).for_each(|_| drop(scope.spawn(crowd)));
        });
        fleet.shows("db_pool_timeouts_total > 0 and on() sum(http_requests_total{status=~\"5..\"}) > 0")
    });
}
