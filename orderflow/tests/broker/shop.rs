//! A shop whose orders are told to customers: a database, a mail server, and workers that are programs of their own.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
};

use orderflow::{
    config::{Config, Flag, Sources},
    domain::{CustomerDraft, CustomerId, ItemDraft, OrderDraft, ProductId, Quantity},
    store::{self, Backend},
};
use orderflow_servers::Sink;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::stage::{PATIENCE, until};

/// A shop with one customer and as many kettles as anybody may want.
pub(crate) struct Shop {
    pub(crate) sink: Sink,
    /// What each worker is started with.
    settings: Vec<(&'static str, String)>,
    backend: Backend,
    customer: CustomerId,
    dir: TempDir,
    postgres: Option<orderflow_servers::Database>,
}

/// A worker. Dropped, it is killed.
pub(crate) struct Worker {
    child: Child,
    ops: String,
}

impl Shop {
    pub(crate) async fn sqlite(broker: &str, queue: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let url = format!("sqlite:{}", dir.path().join("orders.db").display());
        Self::open(dir, url, None, broker, queue).await
    }

    pub(crate) async fn postgresql(broker: &str, queue: &str) -> Option<Self> {
        let database = orderflow_servers::postgres()?.database().unwrap();
        let url = database.url().to_owned();
        Some(Self::open(TempDir::new().unwrap(), url, Some(database), broker, queue).await)
    }

    async fn open(
        dir: TempDir,
        url: String,
        postgres: Option<orderflow_servers::Database>,
        broker: &str,
        queue: &str,
    ) -> Self {
        let sink = Sink::start().unwrap();
        let settings = vec![
            ("database.url", url),
            ("database.acquire_timeout", "20s".to_owned()),
            ("database.statement_timeout", "20s".to_owned()),
            ("ops.listen", "127.0.0.1:0".to_owned()),
            ("queue.broker", broker.to_owned()),
            ("queue.name", queue.to_owned()),
            ("mail.smtp_url", sink.url()),
            ("http.drain_timeout", "10s".to_owned()),
            ("log.filter", "error".to_owned()),
        ];
        let config = config(&settings, dir.path());
        store::migrate(&config.database, dir.path()).await.unwrap();
        let backend = Backend::connect(&config.database, dir.path()).await.unwrap();
        let draft =
            CustomerDraft { name: "ada".parse().unwrap(), email: "ada@example.com".parse().unwrap(), birthday: None };
        let customer = backend.store().create_customer(&draft).await.unwrap().id;
        let shop = Self { sink, settings, backend, customer, dir, postgres };
        let now = if shop.postgres.is_some() { "now()" } else { "1000000" };
        let kettle = format!("VALUES (1, 'Kettle', 'kitchen', 250, 1000000, {now})");
        shop.sql(&format!("INSERT INTO products (id, name, category, price_cents, stock, updated_at) {kettle}")).await;
        shop
    }

    async fn sql(&self, sql: &str) {
        match &self.postgres {
            Some(postgres) => drop(postgres.psql(sql).unwrap()),
            None => drop(sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.file().await).await.unwrap()),
        }
    }

    /// How many notifications are so.
    pub(crate) async fn notifications(&self, condition: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM notifications WHERE {condition}");
        match &self.postgres {
            Some(postgres) => postgres.psql(&sql).unwrap().trim().parse().unwrap(),
            None => sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut self.file().await).await.unwrap(),
        }
    }

    async fn file(&self) -> SqliteConnection {
        let path = format!("sqlite:{}", self.dir.path().join("orders.db").display());
        let mut file = SqliteConnection::connect(&path).await.unwrap();
        sqlx::query("PRAGMA busy_timeout = 20000").execute(&mut file).await.unwrap();
        file
    }

    /// Places so many orders.
    pub(crate) async fn orders(&self, count: u32) {
        let item = ItemDraft { product_id: ProductId::try_from(1).unwrap(), quantity: Quantity::try_from(1).unwrap() };
        let order = OrderDraft { customer_id: self.customer, items: vec![item] };
        for _ in 0..count {
            self.backend.store().place_order(&order, None).await.unwrap();
        }
    }

    /// Starts a worker and waits until it says that it works.
    pub(crate) fn worker(&self, more: &[(&'static str, &str)]) -> Worker {
        let more = more.iter().map(|(key, value)| (*key, (*value).to_owned()));
        let settings = self.settings.iter().cloned().chain(more);
        let set = settings.flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")]);
        let mut command = Command::new(env!("CARGO_BIN_EXE_orderflow"));
        command.arg("worker").args(set).env_clear().current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let said = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || said.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut worker = Worker { child, ops: String::new() };
        while worker.ops.is_empty() {
            let line = lines.recv_timeout(PATIENCE).expect("the worker starts");
            let url = line.split_once("http://").map_or("", |(_, url)| url);
            url.split('/').next().unwrap_or_default().clone_into(&mut worker.ops);
        }
        worker
    }

    /// Waits until so many orders were told, and makes sure that each was told by mails of one Message-ID. Gives how many
    /// mails there were more than orders.
    pub(crate) async fn all_told(&self, orders: u32) -> usize {
        until("all notifications are sent", async || self.notifications("state = 'sent'").await == i64::from(orders))
            .await;
        assert_eq!(self.notifications("true").await, i64::from(orders));
        let mails = self.sink.mails();
        let mut by_text: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for mail in &mails {
            by_text.entry(&mail.message_id).or_default().push(&mail.to);
        }
        let orders = orders as usize;
        assert_eq!(by_text.len(), orders, "an occasion has one Message-ID");
        mails.len() - orders
    }
}

fn config(settings: &[(&'static str, String)], dir: &Path) -> Config {
    let set = |(key, value): &(&str, String)| Flag {
        name: format!("--set {key}"),
        key: (*key).to_owned(),
        value: value.clone(),
    };
    let mut flags: Vec<_> = settings.iter().map(set).collect();
    flags.push(set(&("data_dir", dir.display().to_string())));
    Config::load(&Sources { flags, ..Sources::default() }).unwrap()
}

impl Worker {
    /// Ends it as a crash would, at once.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What its operators' listener answers.
    pub(crate) async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.ops).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.ops);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
