//! Three real instances behind the real proxies, under load: what a client notices when one of them is killed, and when each
//! is replaced in turn.

#[path = "shared/client.rs"]
mod client;
#[path = "shared/front.rs"]
mod front;
#[path = "shared/program.rs"]
mod program;

use std::{
    fs,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use client::{Client, PATIENCE};
use front::Front;
use orderflow_servers::{Postgres, Settings, free_port, needs};
use orderflow_stack::{
    kept::{Kept, Plan},
    probe::Probe,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const KEY: &str = "of_test";
/// SHA-256 of that.
const ACCEPTED: &str = "SHA";
/// Between two requests of one client.
const PACE: Duration = Duration::from_millis(20);

/// Instances on one database.
struct Fleet {
    plans: Vec<Plan>,
    running: Vec<Option<Kept>>,
    ops: Vec<u16>,
    api: Vec<u16>,
    _dir: TempDir,
    _postgres: Postgres,
}

impl Fleet {
    fn start() -> Option<Self> {
        let postgres = needs(Postgres::own(&Settings::default()))?;
        postgres.psql("CREATE DATABASE shop").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut fleet = Self {
            plans: Vec::new(),
            running: Vec::new(),
            ops: Vec::new(),
            api: Vec::new(),
            _dir: dir,
            _postgres: postgres.clone(),
        };
        for number in 0..3 {
            let (api, ops) = (free_port().unwrap(), free_port().unwrap());
            let directory = fleet._dir.path().join(number.to_string());
            fs::create_dir(&directory).unwrap();
            let variables = [
                ("DATABASE__URL", postgres.url("shop")),
                ("HTTP__LISTEN", format!("127.0.0.1:{api}")),
                ("OPS__LISTEN", format!("127.0.0.1:{ops}")),
                ("HTTP__RATE_LIMIT", "0".to_owned()),
                ("HTTP__DRAIN_NOTICE", "3s".to_owned()),
                ("WORKER__IN_PROCESS", "off".to_owned()),
                ("AUTH__KEYS", format!("[{{ name = \"test\", role = \"admin\", sha256 = \"{ACCEPTED}\" }}]")),
            ];
            fleet.plans.push(Plan {
                keeper: env!("CARGO_BIN_EXE_orderflow-stack").into(),
                program: program::orderflow().into(),
                arguments: vec!["serve".into()],
                variables: variables.map(|(name, value)| (format!("ORDERFLOW_{name}"), value)).into(),
                log: directory.join("log"),
                directory,
                grace: Duration::from_secs(30),
            });
            fleet.api.push(api);
            fleet.ops.push(ops);
            fleet.running.push(None);
        }
        for number in 0..3 {
            fleet.begin(number);
        }
        for number in 0..3 {
            fleet.ready(number);
        }
        let shop = "INSERT INTO customers (id, name, email) VALUES (1, 'A', 'a@example.org'); \
                    INSERT INTO products (id, name, category, price_cents, stock) VALUES (1, 'P', 'c', 100, 100000000)";
        fleet._postgres.psql_in("shop", shop);
        Some(fleet)
    }

    fn begin(&mut self, number: usize) {
        self.running[number] = Some(Kept::start(&self.plans[number]).unwrap());
    }

    fn ready(&self, number: usize) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(why) = Probe::Answers(self.ops[number], "/healthz/ready").ask() {
            let log = fs::read_to_string(&self.plans[number].log).unwrap_or_default();
            assert!(Instant::now() < deadline, "an instance is not ready: {why}\n{log}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}
