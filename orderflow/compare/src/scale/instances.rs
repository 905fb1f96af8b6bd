//! Several instances: behind nginx, and before an empty cache.

use std::{sync::Barrier, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use orderflow_load::{RequestDraft, ValueDraft};
use orderflow_servers::{Link, Nginx, Redis, free_port};

use crate::{
    cases::{Filled, Setting},
    finding::{Bound, Finding},
    measure::{Spread, alternate, load},
    process::Program,
};

const INSTANCES: usize = 3;
/// Slots of an instance: its connections to the dependency.
const SLOTS: &str = "16";
/// How far the dependency is away, there and back.
const DISTANCE: Duration = Duration::from_millis(20);
const CUSTOMERS: u64 = 2_000;
/// Callers that ask at once for what has just expired.
const CALLERS: usize = 1_000;
/// How long an answer is kept there, and how long until the latest has expired: a time varies by a tenth.
const TTL: &str = "2s";
const EXPIRED: Duration = Duration::from_millis(2_300);

pub(crate) fn instances(setting: &Setting) -> Result<Vec<Finding>> {
    let filled = Filled::example(setting)?;
    let link = Link::to(filled.database().server().port())?;
    let far = filled
        .database()
        .url()
        .replace(&format!(":{}/", filled.database().server().port()), &format!(":{}/", link.port()));
    let settings = [
        ("database.url", far.as_str()),
        ("database.max_connections", SLOTS),
        // Reads that meet would share a slot.
        ("database.coalesce_reads", "false"),
    ];
    let services = (0..INSTANCES).map(|_| filled.serve(setting, &settings)).collect::<Result<Vec<_>>>()?;
    link.delay(DISTANCE / 2);
    let (one, three) = (Balancer::start(&services[..1])?, Balancer::start(&services)?);
    let draft = setting
        .closed("a customer", 192)
        .value("customer", ValueDraft::Uniform { from: 1, to: CUSTOMERS.into() })
        .request(RequestDraft::get("/api/customers/{customer}"));
    let runs = alternate(setting.rounds, || load(&draft, &three.url, None), || load(&draft, &one.url, None))?;
    let what =
        "three instances against one behind nginx, a route that waits 20 ms for its dependency, 16 slots an instance";
    Ok(vec![Finding::throughput(what, &runs, Bound::AtLeast(2.9))])
}

/// nginx in front of instances, with no limit of its own.
struct Balancer {
    url: String,
    _nginx: Nginx,
}

impl Balancer {
    fn start(services: &[Program]) -> Result<Self> {
        let port = free_port()?;
        let addresses = services.iter().map(|service| service.url.trim_start_matches("http://"));
        let servers: String = addresses.flat_map(|address| ["server ", address, ";"]).collect();
        let nginx = Nginx::start(&format!(
            "worker_processes 1; error_log {{dir}}/error.log; events {{ worker_connections 2048; }}
             http {{
               access_log off;
               keepalive_requests 1000000;
               upstream orderflow {{ least_conn; {servers} keepalive 256; keepalive_requests 1000000; }}
               server {{
                 listen 127.0.0.1:{port};
                 location / {{ proxy_pass http://orderflow; proxy_http_version 1.1; proxy_set_header Connection ''; }}
               }}
             }}"
        ))?;
        Ok(Self { url: format!("http://127.0.0.1:{port}"), _nginx: nginx })
    }
}

pub(crate) fn stampede(setting: &Setting) -> Result<Vec<Finding>> {
    let filled = Filled::example(setting)?;
    let alone = loads(setting, &filled, None)?;
    let redis = Redis::own()?;
    let together = loads(setting, &filled, Some(&redis))?;
    let what = "loads from the database when 1,000 callers ask three instances for what has just expired";
    Ok(vec![
        Finding::amount(what, "loads", alone, Bound::AtMost(INSTANCES as f64)),
        Finding::amount("the same with Redis", "loads", together, Bound::AtMost(1.0)),
    ])
}

/// How many statements for a product reach the database in each round.
fn loads(setting: &Setting, filled: &Filled, redis: Option<&Redis>) -> Result<Spread> {
    let url = redis.map(Redis::url);
    let mut settings = vec![("cache.ttl", TTL), ("cache.redis_ttl", TTL), ("cache.redis_entries", "1000")];
    settings.extend(url.as_deref().map(|url| ("redis.url", url)));
    let services = (0..INSTANCES).map(|_| filled.serve(setting, &settings)).collect::<Result<Vec<_>>>()?;
    let count = || -> Result<f64> {
        let sql = "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements \
                   WHERE query LIKE 'SELECT id, name, category%FROM products WHERE id = ANY%'";
        Ok(filled.database().psql(sql)?.trim().parse()?)
    };
    filled.database().psql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")?;
    ask(&services, 30)?;
    let mut found = Vec::new();
    for _ in 0..setting.rounds {
        thread::sleep(EXPIRED);
        let before = count()?;
        ask(&services, CALLERS)?;
        found.push(count()? - before);
    }
    ensure!(found.iter().all(|loads| *loads >= 1.0), "nothing had expired: {found:?}");
    Ok(Spread::of(found))
}

/// So many callers, each with a connection of its own to one of the instances, ask at once.
fn ask(services: &[Program], callers: usize) -> Result<()> {
    use std::{
        io::{Read, Write},
        net::TcpStream,
    };
    let ready = Barrier::new(callers);
    thread::scope(|scope| {
        let asking: Vec<_> = (0..callers)
            .map(|caller| {
                let (address, ready) = (services[caller % services.len()].url.trim_start_matches("http://"), &ready);
                let ask = move || -> Result<()> {
                    let connected = TcpStream::connect(address);
                    ready.wait();
                    let mut stream = connected?;
                    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
                    stream
                        .write_all(b"GET /api/products/7 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
                    let mut answer = Vec::new();
                    stream.read_to_end(&mut answer)?;
                    ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
                    Ok(())
                };
                thread::Builder::new().stack_size(128 << 10).spawn_scoped(scope, ask)
            })
            .collect::<std::io::Result<_>>()
            .context("threads for the callers")?;
        asking
            .into_iter()
            .try_for_each(|caller: thread::ScopedJoinHandle<'_, _>| caller.join().expect("a caller does not panic"))
    })
}
