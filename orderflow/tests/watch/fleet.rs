//! A real OrderFlow with everything that it can use: an instance, a worker and a scheduler, and a Prometheus that asks them.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use orderflow::auth::hex;
use orderflow_servers::{Collector, Database, Postgres, Prometheus, RabbitMq, Redis, Replica, Settings, Sink, needs};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::{client::Client, files};

/// Far more than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// May do everything.
pub(crate) const KEY: &str = "of_office";

/// All of it. The processes end first, and then what they use.
pub(crate) struct Fleet {
    pub(crate) prometheus: Prometheus,
    pub(crate) instance: Process,
    pub(crate) worker: Process,
    pub(crate) scheduler: Process,
    pub(crate) sink: Sink,
    pub(crate) rabbitmq: RabbitMq,
    pub(crate) redis: Redis,
    pub(crate) replica: Replica,
    pub(crate) database: Database,
    _postgres: Postgres,
    _collector: Collector,
    _dir: TempDir,
}

/// A process of OrderFlow, killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    /// Where clients ask; that of operators where it has no clients.
    pub(crate) public: SocketAddr,
    pub(crate) ops: SocketAddr,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(command: &str, settings: &[(&str, String)], dir: &TempDir) -> Self {
        let mut program = program(dir);
        program.arg(command);
        for (key, value) in settings {
            program.arg("--set").arg(format!("{key}={value}"));
        }
        let log = dir.path().join(format!("{command}.log"));
        let mut child = program.stdout(Stdio::piped()).stderr(File::create(&log).unwrap()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let said = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || said.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let mut public = None;
        let mut process = Self { child, public: SocketAddr::from(([0; 4], 0)), ops: SocketAddr::from(([0; 4], 0)) };
        loop {
            let line = lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("{command}: {error}: {}", fs::read_to_string(&log).unwrap()));
            let Some((name, url)) = line.split_once("http://") else { continue };
            let address = url.split('/').next().unwrap().parse().unwrap();
            if name.starts_with("operators") {
                (process.public, process.ops) = (public.unwrap_or(address), address);
                return process;
            }
            public.get_or_insert(address);
        }
    }
}

fn program(dir: &TempDir) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_orderflow"));
    program.env_clear().current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    program
}

impl Fleet {
    /// Starts it, where all the servers are there. `before` is done with the instance before the scheduler looks first.
    pub(crate) fn start(before: impl FnOnce(&Process)) -> Option<Self> {
        needs(orderflow_servers::promtool())?;
        let (redis, rabbitmq) = (needs(Redis::own())?, needs(RabbitMq::own())?);
        let postgres = needs(Postgres::own(&Settings::default()))?;
        let dir = TempDir::new().unwrap();
        let database = postgres.database().unwrap();
        let run = |arguments: &[&str]| {
            let mut program = program(&dir);
            let status = program.args(arguments).env("ORDERFLOW_DATABASE__URL", database.url()).status().unwrap();
            assert!(status.success(), "{arguments:?}");
        };
        run(&["migrate"]);
        run(&["seed", "--orders", "200"]);
        let replica = postgres.replica().unwrap();
        let (sink, collector) = (Sink::start().unwrap(), Collector::start().unwrap());
        let key = format!(r#"[{{ name = "office", role = "admin", sha256 = "{}" }}]"#, hex(&Sha256::digest(KEY)));
        let settings = [
            ("ops.listen", "127.0.0.1:0".to_owned()),
            ("auth.keys", key),
            ("database.url", database.url().to_owned()),
            ("database.max_connections", "4".to_owned()),
            ("database.acquire_timeout", "20s".to_owned()),
            ("database.slow_statement", "1ms".to_owned()),
            ("replicas.urls", replica.url(database.name())),
            ("replicas.max_lag", "1s".to_owned()),
            ("redis.url", redis.url()),
            ("queue.broker", rabbitmq.url()),
            ("mail.smtp_url", sink.url()),
            ("worker.in_process", "off".to_owned()),
            ("worker.max_attempts", "2".to_owned()),
            ("worker.retry_base", "100ms".to_owned()),
            ("scheduler.interval", "1s".to_owned()),
            ("events.max_streams", "1".to_owned()),
            ("telemetry.traces_ratio", "1".to_owned()),
            ("telemetry.otlp_endpoint", collector.url()),
        ];
        let public = [
            ("http.listen", "127.0.0.1:0".to_owned()),
            ("http.rate_limit", "0".to_owned()),
            ("database.acquire_timeout", "3s".to_owned()),
        ];
        let instance = Process::start("serve", &[&settings[..], &public].concat(), &dir);
        before(&instance);
        let worker = Process::start("worker", &settings, &dir);
        let scheduler = Process::start("scheduler", &settings, &dir);
        let prometheus = prometheus(&[&instance, &worker, &scheduler]);
        Some(Self {
            prometheus,
            instance,
            worker,
            scheduler,
            sink,
            rabbitmq,
            redis,
            replica,
            database,
            _postgres: postgres,
            _collector: collector,
            _dir: dir,
        })
    }

    /// A client of the instance.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.instance.public)
    }

    /// What an expression is now: a vector's elements, or a scalar as one.
    pub(crate) fn asked(&self, expression: &str) -> Vec<Value> {
        let answer: Value = serde_json::from_str(&self.prometheus.query(expression).unwrap()).unwrap();
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// Whether an expression has an element that is a number.
    pub(crate) fn shows(&self, expression: &str) -> bool {
        self.asked(expression).iter().any(|element| element["value"][1].as_str().is_some_and(|value| value != "NaN"))
    }

    /// Waits until an expression has an element, and does something again and again meanwhile.
    pub(crate) fn until_shown(&self, expression: &str, mut meanwhile: impl FnMut()) {
        until(expression, || {
            meanwhile();
            self.shows(expression)
        });
    }
}

/// A server with the very files of production, only that it asks every second, and whom.
fn prometheus(processes: &[&Process; 3]) -> Prometheus {
    let faster = |text: String| {
        let text = text.replace(": 15s", ": 1s").replace("interval: 2m", "interval: 1s").replace(": 10s", ": 1s");
        text.replace("refresh_interval: 30s", "refresh_interval: 1s")
    };
    let [instance, worker, scheduler] = processes.map(|process| process.ops);
    let targets = format!(
        "- {{labels: {{job: orderflow}}, targets: [\"{instance}\"]}}\n\
         - {{labels: {{job: orderflow-worker}}, targets: [\"{worker}\"]}}\n\
         - {{labels: {{job: orderflow-scheduler}}, targets: [\"{scheduler}\"]}}\n\
         - {{labels: {{job: postgres}}, targets: [\"127.0.0.1:1\"]}}\n"
    );
    let names = ["prometheus.yml", "rules/recording.yml", "rules/alerts.yml"];
    let texts = names.map(|name| faster(files::read(name)));
    let mut all: Vec<_> = names.iter().copied().zip(texts.iter().map(String::as_str)).collect();
    all.extend([("targets.yml", targets.as_str()), ("alertmanagers.yml", "[]\n")]);
    Prometheus::start(&all).unwrap()
}

/// Waits until nothing is left of what is wrong.
#[track_caller]
pub(crate) fn until_none(what: &str, mut left: impl FnMut() -> Vec<String>) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = left();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{what}, after {PATIENCE:?}: {left:#?}");
        thread::sleep(Duration::from_millis(500));
    }
}

/// Waits until `is_so` says yes.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} until {what}");
        thread::sleep(Duration::from_millis(50));
    }
}
