//! A shop of programs: a database, a collector, a mail server, and whatever is started on them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use orderflow::{auth::NewKey, config::Role};
use orderflow_servers::{Collected, CollectedSpan, Collector, Sink};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tempfile::TempDir;

/// Far more than anything takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// What the programs of a test work with.
pub(crate) struct Shop {
    pub(crate) sink: Sink,
    pub(crate) collector: Collector,
    pub(crate) key: NewKey,
    settings: Vec<(&'static str, String)>,
    url: String,
    postgres: Option<orderflow_servers::Database>,
    dir: TempDir,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A program that runs. Dropped, it is killed.
pub(crate) struct Program {
    child: Child,
    pub(crate) public: SocketAddr,
    pub(crate) ops: SocketAddr,
    said: Arc<Mutex<String>>,
    listening: Option<thread::JoinHandle<()>>,
}

impl Shop {
    /// On the embedded database.
    pub(crate) fn sqlite() -> Self {
        let dir = TempDir::new().unwrap();
        let url = format!("sqlite:{}", dir.path().join("orders.db").display());
        Self::open(dir, url, None)
    }

    /// On a database of a server's. `None` where there is no server.
    pub(crate) fn postgresql() -> Option<Self> {
        let database = orderflow_servers::postgres()?.database().unwrap();
        let url = database.url().to_owned();
        Some(Self::open(TempDir::new().unwrap(), url, Some(database)))
    }

    fn open(dir: TempDir, url: String, postgres: Option<orderflow_servers::Database>) -> Self {
        let (sink, collector, key) = (Sink::start().unwrap(), Collector::start().unwrap(), NewKey::random().unwrap());
        let accepted = key.accepted_as("till", Role::Admin);
        let sha256 = orderflow::auth::hex(&accepted.sha256);
        let settings = vec![
            ("database.url", url.clone()),
            ("database.seed_orders", "0".to_owned()),
            ("database.acquire_timeout", "20s".to_owned()),
            ("database.statement_timeout", "20s".to_owned()),
            ("http.request_timeout", "30s".to_owned()),
            ("http.rate_limit", "0".to_owned()),
            ("http.listen", "127.0.0.1:0".to_owned()),
            ("http.drain_notice", "0s".to_owned()),
            ("ops.listen", "127.0.0.1:0".to_owned()),
            ("mail.smtp_url", sink.url()),
            ("worker.retry_base", "50ms".to_owned()),
            ("worker.retry_max", "200ms".to_owned()),
            ("queue.poll", "50ms".to_owned()),
            ("auth.keys", format!("[{{ name = \"till\", role = \"admin\", sha256 = \"{sha256}\" }}]")),
            ("telemetry.otlp_endpoint", collector.url()),
            ("telemetry.otlp_timeout", "30s".to_owned()),
        ];
        Self { sink, collector, key, settings, url, postgres, dir }
    }

    /// Starts `orderflow COMMAND` and waits until it says where it is.
    pub(crate) fn start(&self, command: &str, more: &[(&'static str, &str)]) -> Program {
        let more = more.iter().map(|(key, value)| (*key, (*value).to_owned()));
        let settings = self.settings.iter().cloned().chain(more);
        let set = settings.flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")]);
        let mut program = Command::new(env!("CARGO_BIN_EXE_orderflow"));
        program.arg(command).args(set).env_clear().current_dir(self.dir.path());
        program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let (said, mut stderr) = (Arc::new(Mutex::new(String::new())), BufReader::new(child.stderr.take().unwrap()));
        let heard = Arc::clone(&said);
        let listening = thread::spawn(move || {
            let mut line = Vec::new();
            while stderr.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                heard.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        let nowhere = ([127, 0, 0, 1], 0).into();
        let mut program = Program { child, public: nowhere, ops: nowhere, said, listening: Some(listening) };
        while program.ops == nowhere {
            let Ok(line) = lines.recv_timeout(LONG) else { panic!("it did not start: {}", program.said()) };
            let Some((_, url)) = line.split_once("http://") else { continue };
            let address = url.split('/').next().unwrap().parse().unwrap();
            if line.starts_with("operators ") { program.ops = address } else { program.public = address }
        }
        program
    }

    /// Runs SQL past the programs.
    pub(crate) fn sql(&self, sql: &str) {
        let Some(postgres) = &self.postgres else {
            let run = async {
                let mut file = SqliteConnection::connect(&self.url).await.unwrap();
                sqlx::query("PRAGMA busy_timeout = 20000").execute(&mut file).await.unwrap();
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut file).await.unwrap();
            };
            return tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run);
        };
        postgres.psql(sql).unwrap();
    }

    /// Puts a million kettles on the shelf.
    pub(crate) fn stock(&self) {
        let now = if self.postgres.is_some() { "now()" } else { "1000000" };
        let columns = "INSERT INTO products (id, name, category, price_cents, stock, updated_at)";
        self.sql(&format!("{columns} VALUES (1, 'Kettle', 'kitchen', 250, 1000000, {now})"));
    }

    /// Sends a request with the key.
    pub(crate) fn send(
        &self,
        to: &Program,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let key = format!("Bearer {}", self.key.plain());
        let mut all = vec![("Authorization", key.as_str()), ("Content-Type", "application/json")];
        all.extend(headers);
        ask(to.public, method, path, &all, &body.to_string())
    }

    /// Adds a customer, and gives its identifier.
    pub(crate) fn customer(&self, to: &Program, name: &str, email: &str) -> i64 {
        let body = json!({ "name": name, "email": email, "birthday": "1987-03-09" });
        let answer = self.send(to, "POST", "/api/customers", &[], &body);
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_i64().unwrap()
    }

    /// Orders a kettle.
    pub(crate) fn order(&self, to: &Program, customer: i64, headers: &[(&str, &str)]) -> Answer {
        let body = json!({ "customer_id": customer, "items": [{ "product_id": 1, "quantity": 1 }] });
        self.send(to, "POST", "/api/orders", headers, &body)
    }

    /// The spans of a trace that the collector has, once they are enough.
    pub(crate) fn spans(&self, trace: &str, enough: impl Fn(&[&CollectedSpan]) -> bool) -> Vec<CollectedSpan> {
        let of = |collected: &Collected| -> Vec<CollectedSpan> {
            collected.spans.iter().filter(|span| span.trace_id == trace).cloned().collect()
        };
        let enough = |collected: &Collected| enough(&of(collected).iter().collect::<Vec<_>>());
        of(&self.collector.wait_for(enough, LONG))
    }
}

impl Program {
    /// What it has said on standard error so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the operators' listener answers.
    pub(crate) fn look(&self, path: &str) -> String {
        let answer = ask(self.ops, "GET", path, &[], "");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.body
    }

    /// The spans of a trace as `/debug/traces` tells them.
    pub(crate) fn spans(&self, trace: &str) -> Vec<Value> {
        let told: Value = serde_json::from_str(&self.look(&format!("/debug/traces?trace={trace}"))).unwrap();
        told["traces"][0]["spans"].as_array().cloned().unwrap_or_default()
    }

    /// Asks it to end, and gives everything that it said on standard error.
    pub(crate) fn end(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < LONG, "it has not ended: {}", self.said());
            thread::sleep(Duration::from_millis(10));
        }
        self.listening.take().unwrap().join().unwrap();
        self.said()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The trace and the span that answered, as the answer says.
    #[track_caller]
    pub(crate) fn trace(&self) -> (String, String) {
        let line = self.head.lines().find_map(|line| line.strip_prefix("traceresponse: "));
        let parts: Vec<_> = line.unwrap_or_else(|| panic!("no trace: {}", self.head)).split('-').collect();
        (parts[1].to_owned(), parts[2].to_owned())
    }
}

pub(crate) fn ask(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < LONG, "not within {LONG:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
