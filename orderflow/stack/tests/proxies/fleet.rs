//! Three real instances behind the real proxies, under load: what a client notices when one of them is killed, and when each
//! is replaced in turn.

use std::{
    fs,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use orderflow_servers::{Database, free_port};
use orderflow_stack::{
    kept::{Kept, Plan},
    probe::Probe,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    client::{Client, PATIENCE},
    front::Front,
    program,
};

const KEY: &str = "of_test";
/// SHA-256 of that.
const ACCEPTED: &str = "7266aef5fc69fe5436c6e4dd80be7e6ac0e906b029e0ba4ca73722eb8156ab5f";
/// Between two requests of one client.
const PACE: Duration = Duration::from_millis(20);

/// Instances on one database.
struct Fleet {
    plans: Vec<Plan>,
    running: Vec<Option<Kept>>,
    ops: Vec<u16>,
    api: Vec<u16>,
    dir: TempDir,
    database: Database,
}

impl Fleet {
    fn start() -> Option<Self> {
        let database = orderflow_servers::postgres()?.database().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut fleet =
            Self { plans: Vec::new(), running: Vec::new(), ops: Vec::new(), api: Vec::new(), dir, database };
        for number in 0..3 {
            let (api, ops) = (free_port().unwrap(), free_port().unwrap());
            let directory = fleet.dir.path().join(number.to_string());
            fs::create_dir(&directory).unwrap();
            let variables = [
                ("DATABASE__URL", fleet.database.url().to_owned()),
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
        fleet.database.psql(shop).unwrap();
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

/// What a client does again and again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Get,
    Keyed,
    /// An order that nobody may send twice.
    Bare,
}

/// Requests of clients of their own while `happens` happens: how many there were, and those that failed.
fn under_load(front: &Front, kinds: &[Kind], happens: impl FnOnce(&dyn Fn(usize))) -> Vec<String> {
    let over = AtomicBool::new(false);
    let (done, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for (client, (name, [_, _, port])) in front.ports().into_iter().enumerate() {
            for kind in kinds {
                let (over, done, failed) = (&over, &done, &failed);
                scope.spawn(move || {
                    let mut connection = Client::to(port).unwrap();
                    let mut number = 0;
                    while !over.load(Ordering::SeqCst) {
                        number += 1;
                        let key = format!("{client}-{number}");
                        let outcome = request(&mut connection, *kind, &key);
                        if let Err(why) = &outcome {
                            failed.lock().unwrap().push(format!("{name}: {why}"));
                        }
                        if !matches!(outcome, Ok(true)) {
                            connection = Client::to(port).unwrap();
                        }
                        done.fetch_add(1, Ordering::SeqCst);
                        thread::sleep(PACE);
                    }
                });
            }
        }
        let more = |count: usize| {
            let (from, deadline) = (done.load(Ordering::SeqCst), Instant::now() + PATIENCE);
            while done.load(Ordering::SeqCst) < from + count {
                assert!(Instant::now() < deadline, "the load stands still");
                thread::sleep(Duration::from_millis(5));
            }
        };
        more(100);
        happens(&more);
        more(100);
        over.store(true, Ordering::SeqCst);
    });
    failed.into_inner().unwrap()
}

/// Whether the connection can go on, or what went wrong.
fn request(connection: &mut Client, kind: Kind, key: &str) -> Result<bool, String> {
    let mut headers = format!("Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\n");
    let order = r#"{"customer_id":1,"items":[{"product_id":1,"quantity":1}]}"#;
    let (line, body, status) = match kind {
        Kind::Get => ("GET /api/products/1", "", 200),
        _ => ("POST /api/orders", order, 201),
    };
    if kind == Kind::Keyed {
        headers += &format!("Idempotency-Key: {key}\r\n");
    }
    let answer = connection.ask(line, &headers, body).map_err(|error| format!("{line}: {error}"))?;
    if answer.status != status {
        return Err(format!("{line}: {} {}", answer.status, answer.body));
    }
    Ok(answer.all("connection") != ["close"])
}

#[test]
fn instances_come_and_go_and_clients_do_not_notice() {
    let Some(mut fleet) = Fleet::start() else { return };
    let Some(front) = Front::of(&fleet.api, [10_000, 10_000, 1_000]) else { return };

    // One is killed in the middle of its work. What may be done twice is done.
    let failed = under_load(&front, &[Kind::Get, Kind::Keyed, Kind::Keyed], |more| {
        let pid = fleet.running[0].as_ref().unwrap().pid();
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
        more(200);
    });
    assert!(failed.is_empty(), "a kill cost {} requests: {failed:#?}", failed.len());
    fleet.running[0] = None;
    fleet.begin(0);
    fleet.ready(0);

    // Each is replaced in turn, as README.md says. Nothing fails, not even what is never sent twice.
    let failed = under_load(&front, &[Kind::Get, Kind::Keyed, Kind::Bare], |more| {
        for number in 0..3 {
            // Ends it by SIGTERM, and waits until it has ended.
            fleet.running[number] = None;
            fleet.begin(number);
            fleet.ready(number);
            more(20);
        }
    });
    assert!(failed.is_empty(), "a rolling restart cost {} requests: {failed:#?}", failed.len());

    // Each order with a key is there once, however often it was sent.
    let twice = "SELECT count(*) - count(DISTINCT order_id) FROM idempotency_keys";
    assert_eq!(fleet.database.psql(twice).unwrap().trim(), "0");
}
