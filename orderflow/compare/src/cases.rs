//! The comparisons: what is started, what is asked, and what the figure should be.

use std::{fs, thread, time::Duration};

use anyhow::{Context, Result};
use orderflow::{
    auth::{NewKey, hex},
    config::Role,
    store::postgres::write::PLACE,
};
use orderflow_load::{Draft, RequestDraft, ValueDraft};
use orderflow_servers::{Database, Postgres, Settings};
use tempfile::TempDir;

use crate::{
    finding::{Bound, Finding},
    measure::{Run, Spread, alternate, load},
    process::{Program, Programs},
    seen,
};

/// What all comparisons work with.
pub(crate) struct Setting {
    pub(crate) programs: Programs,
    pub(crate) rounds: usize,
    /// Of each run, without the warm-up.
    pub(crate) seconds: f64,
}

/// A comparison.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Setting) -> Result<Vec<Finding>>,
}

pub(crate) const CASES: [Case; 12] = [
    Case { name: "cached", run: cached },
    Case { name: "coalesced", run: coalesced },
    Case { name: "lone", run: lone },
    Case { name: "sqlite", run: sqlite },
    Case { name: "list", run: list },
    Case { name: "orders", run: orders },
    Case { name: "memory", run: memory },
    Case { name: "seen", run: seen::seen },
    Case { name: "traced", run: seen::traced },
    Case { name: "profiled", run: seen::profiled },
    Case { name: "console", run: seen::console },
    Case { name: "generator", run: generator },
];

/// Orders in the databases that are compared on: as many as the embedded one has, with 1,000 products and 2,000 customers.
const ORDERS: u64 = 10_000;
const PRODUCTS: u64 = 1_000;
const CUSTOMERS: u64 = 2_000;
/// Orders in the database that memory is measured on.
const MANY_ORDERS: u64 = 1_000_000;
const CACHE_OFF: (&str, &str) = ("cache.enabled", "false");

impl Setting {
    /// A closed loop, which asks for as much as the server gives: throughput is what is compared.
    pub(crate) fn closed(&self, name: &str, users: u32) -> Draft {
        Draft::closed(name, users).warmup(1.0).seconds(1.0 + self.seconds)
    }

    pub(crate) fn product(&self, users: u32) -> Draft {
        let product = ValueDraft::Uniform { from: 1, to: PRODUCTS.into() };
        self.closed("a product", users).value("product", product).request(RequestDraft::get("/api/products/{product}"))
    }

    pub(crate) fn against(&self, ours: &Program, peer: &Program, draft: &Draft) -> Result<Vec<(Run, Run)>> {
        alternate(self.rounds, || load(draft, &ours.url, None), || load(draft, &peer.url, None))
    }
}

/// A PostgreSQL database with example data, in a server that flushes each commit to the disk, and the service's directory.
pub(crate) struct Filled {
    directory: TempDir,
    database: Database,
    _server: Postgres,
}

impl Filled {
    /// As many orders as the embedded database has.
    pub(crate) fn example(setting: &Setting) -> Result<Self> {
        Self::new(setting, ORDERS)
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    fn new(setting: &Setting, orders: u64) -> Result<Self> {
        let server = Postgres::own(&Settings::durable())?;
        let database = server.database()?;
        let directory = tempfile::tempdir()?;
        setting.programs.fill(directory.path(), database.url(), orders)?;
        Ok(Self { directory, database, _server: server })
    }

    pub(crate) fn serve(&self, setting: &Setting, settings: &[(&str, &str)]) -> Result<Program> {
        let mut all = vec![("database.url", self.database.url())];
        all.extend(settings);
        setting.programs.serve(self.directory.path(), &all)
    }

    /// Another command of the service's on this database.
    pub(crate) fn command(&self, setting: &Setting, settings: &[(&str, &str)]) -> std::process::Command {
        let mut all = vec![("database.url", self.database.url())];
        all.extend(settings);
        setting.programs.orderflow(self.directory.path(), &all)
    }

    /// Makes a key with which one may write to what is served from now on.
    pub(crate) fn accept_a_key(&self) -> Result<String> {
        let key = NewKey::random()?;
        let accepted = key.accepted_as("compare", Role::Writer);
        let toml =
            format!("[[auth.keys]]\nname = \"compare\"\nrole = \"writer\"\nsha256 = \"{}\"\n", hex(&accepted.sha256));
        fs::write(self.directory.path().join("orderflow.toml"), toml)?;
        Ok(key.plain().to_owned())
    }
}

fn cached(setting: &Setting) -> Result<Vec<Finding>> {
    let directory = tempfile::tempdir()?;
    let ours = setting.programs.serve(directory.path(), &[])?;
    let peer = setting.programs.peer("memory")?;
    let runs = setting.against(&ours, &peer, &setting.product(64))?;
    let what =
        "GET /api/products/{id} from the cache, everything on, against axum answering from memory; 64 connections";
    Ok(vec![Finding::throughput(what, &runs, Bound::AtLeast(0.75))])
}

fn coalesced(setting: &Setting) -> Result<Vec<Finding>> {
    let filled = Filled::new(setting, ORDERS)?;
    let ours = filled.serve(setting, &[CACHE_OFF])?;
    let peer = setting.programs.peer(filled.database.url())?;
    let runs = setting.against(&ours, &peer, &setting.product(64))?;
    let what = "the same, cache off, PostgreSQL, 64 connections, against one sqlx query";
    Ok(vec![Finding::throughput(what, &runs, Bound::AtLeast(2.0)), Finding::p99(what, &runs, Bound::AtMost(0.5))])
}

fn lone(setting: &Setting) -> Result<Vec<Finding>> {
    let filled = Filled::new(setting, ORDERS)?;
    let ours = filled.serve(setting, &[CACHE_OFF])?;
    let peer = setting.programs.peer(filled.database.url())?;
    let runs = setting.against(&ours, &peer, &setting.product(1))?;
    let what = "the same, one connection, so that nothing can be coalesced";
    Ok(vec![Finding::throughput(what, &runs, Bound::AtLeast(0.9))])
}

fn sqlite(setting: &Setting) -> Result<Vec<Finding>> {
    let directory = tempfile::tempdir()?;
    let ours = setting.programs.serve(directory.path(), &[CACHE_OFF])?;
    let file = directory.path().join(".orderflow/orderflow.db");
    let peer = setting.programs.peer(&format!("sqlite:{}", file.display()))?;
    let runs = setting.against(&ours, &peer, &setting.product(32))?;
    let what = "the same on SQLite, 32 connections";
    Ok(vec![Finding::throughput(what, &runs, Bound::AtLeast(0.9))])
}

fn list(setting: &Setting) -> Result<Vec<Finding>> {
    let filled = Filled::new(setting, ORDERS)?;
    let ours = filled.serve(setting, &[])?;
    let peer = setting.programs.peer(filled.database.url())?;
    let draft = setting.closed("a list of orders", 16).request(RequestDraft::get("/api/orders?limit=20"));
    let runs = setting.against(&ours, &peer, &draft)?;
    let what = "GET /api/orders?limit=20 with customers and lines, against the N+1 way; 16 connections";
    Ok(vec![Finding::throughput(what, &runs, Bound::AtLeast(5.0))])
}

fn orders(setting: &Setting) -> Result<Vec<Finding>> {
    const CONNECTIONS: u32 = 32;
    let filled = Filled::new(setting, ORDERS)?;
    let key = filled.accept_a_key()?;
    let ours = filled.serve(setting, &[("database.max_connections", "32")])?;
    let draft = setting
        .closed("an order", CONNECTIONS)
        .value("product", ValueDraft::Uniform { from: 1, to: PRODUCTS.into() })
        .value("customer", ValueDraft::Uniform { from: 1, to: CUSTOMERS.into() })
        .request(
            RequestDraft::post(
                "/api/orders",
                r#"{"customer_id":{customer},"items":[{"product_id":{product},"quantity":1}]}"#,
            )
            .header("Idempotency-Key", "{unique}")
            .auth()
            .expect(201),
        );
    let script = filled.directory.path().join("place.sql");
    fs::write(&script, pgbench_script())?;
    let (clients, script) = (CONNECTIONS.to_string(), script.display().to_string());
    let seconds = format!("{:.0}", setting.seconds);
    let pgbench = || {
        let said = filled
            .database
            .pgbench(&["-n", "-M", "prepared", "-c", &clients, "-j", "2", "-T", &seconds, "-f", &script])?;
        let tps = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        Ok(Run { per_second: tps.with_context(|| format!("pgbench did not say its rate: {said}"))?, p99_ms: f64::NAN })
    };
    let runs = alternate(setting.rounds, || load(&draft, &ours.url, Some(&key)), pgbench)?;
    let what = "POST /api/orders, PostgreSQL, 32 connections, against pgbench running the same statement";
    Ok(vec![Finding::throughput(what, &runs, Bound::AtLeast(0.8))])
}

/// The service's own statement with pgbench's variables for its parameters: one line of one product under a new key.
fn pgbench_script() -> String {
    let statement = PLACE
        .replace("$1", ":customer")
        .replace("$2", "ARRAY[:product]")
        .replace("$3", "ARRAY[1]")
        .replace("$4", ":key")
        .replace("$5", &format!("'\\x{}'", "ab".repeat(32)))
        .replace("$6", "NULL");
    format!(
        "\\set customer random(1, {CUSTOMERS})\n\\set product random(1, {PRODUCTS})\n\
         \\set key random(1, 9000000000000000000)\n{};\n",
        statement.trim()
    )
}

fn memory(setting: &Setting) -> Result<Vec<Finding>> {
    const MEGABYTE: f64 = 1_000_000.0;
    let filled = Filled::new(setting, MANY_ORDERS)?;
    let ours = filled.serve(setting, &[])?;
    let resident = || Some(ours.resident_bytes()? as f64 / MEGABYTE);
    let unknown = "this system does not tell how much memory a process has";
    // What starting up took is given back by then.
    thread::sleep(Duration::from_secs(2));
    let idle = resident().context(unknown)?;
    let id = |to: u64| ValueDraft::Uniform { from: 1, to: to.into() };
    let draft = setting
        .closed("a mix of reads", 64)
        .value("product", id(10_000))
        .value("order", id(MANY_ORDERS))
        .value("page", id(100))
        .request(RequestDraft::get("/api/products/{product}").weight(5))
        .request(RequestDraft::get("/api/products?limit=100&page={page}").weight(1))
        .request(RequestDraft::get("/api/orders/{order}").weight(3))
        .request(RequestDraft::get("/api/orders?limit=100&page={page}").weight(1));
    let mut most = idle;
    for _ in 0..setting.rounds {
        thread::scope(|scope| {
            let loading = scope.spawn(|| load(&draft, &ours.url, None));
            while !loading.is_finished() {
                most = resident().map_or(most, |now| most.max(now));
                thread::sleep(Duration::from_millis(20));
            }
            loading.join().expect("the load does not panic")
        })?;
    }
    let one = |figure| Spread::of([figure]);
    Ok(vec![
        Finding::amount("resident memory, idle", "MB", one(idle), Bound::AtMost(40.0)),
        Finding::amount(
            "resident memory, the most under a mix of reads with 1,000,000 orders; 64 connections",
            "MB",
            one(most),
            Bound::AtMost(150.0),
        ),
    ])
}

fn generator(setting: &Setting) -> Result<Vec<Finding>> {
    let mut command = std::process::Command::new(&setting.programs.trivial_server);
    command.arg("127.0.0.1:0");
    let server = Program::start(command)?;
    let (mut rates, mut errors) = (Vec::new(), Vec::new());
    for _ in 0..setting.rounds {
        let closed = setting.closed("as much as there is", 64).request(RequestDraft::get("/"));
        rates.push(load(&closed, &server.url, None)?.per_second);
        let open = Draft::open("5,000 a second", 64).warmup(1.0).rate(1.0 + setting.seconds, 5_000.0);
        errors.push(load(&open.request(RequestDraft::get("/")), &server.url, None)?.p99_ms);
    }
    Ok(vec![
        Finding::amount(
            "the load generator on one thread, against a server that does next to nothing",
            "requests/s",
            Spread::of(rates),
            Bound::AtLeast(40_000.0),
        ),
        Finding::amount(
            "what it reports as p99 of that server at 5,000 requests/s, which bounds its own error",
            "ms",
            Spread::of(errors),
            Bound::AtMost(1.0),
        ),
    ])
}
