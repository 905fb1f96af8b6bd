//! A migrated, empty database, a clock, and schedulers on them.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use orderflow::{
    config::{Config, Flag, Sources},
    domain::Timestamp,
    metrics::Metrics,
    scheduler::{Clock, Found, Scheduler, SharedSchedule},
    store::{self, Backend},
};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tempfile::TempDir;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A database of a test's own.
pub(crate) struct Stage {
    pub(crate) backend: Backend,
    pub(crate) postgres: Option<orderflow_servers::Database>,
    dir: TempDir,
    url: String,
    now: Arc<AtomicI64>,
}

impl Stage {
    pub(crate) async fn sqlite() -> Self {
        let dir = TempDir::new().unwrap();
        let url = format!("sqlite:{}", dir.path().join("orders.db").display());
        Self::open(dir, url, None).await
    }

    pub(crate) async fn postgresql() -> Option<Self> {
        let database = orderflow_servers::postgres()?.database().unwrap();
        let url = database.url().to_owned();
        Some(Self::open(TempDir::new().unwrap(), url, Some(database)).await)
    }

    async fn open(dir: TempDir, url: String, postgres: Option<orderflow_servers::Database>) -> Self {
        let config = configured(dir.path(), &url, &[]);
        store::migrate(&config.database, dir.path()).await.unwrap();
        let backend = Backend::connect(&config.database, dir.path()).await.unwrap();
        Self { backend, postgres, dir, url, now: Arc::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn config(&self, settings: &[(&str, &str)]) -> Config {
        configured(self.path(), &self.url, settings)
    }

    /// The schedule, as a process with these settings has it.
    pub(crate) fn schedule(&self, settings: &[(&str, &str)]) -> SharedSchedule {
        self.backend.schedule(&self.config(settings).database, self.path()).unwrap()
    }

    /// A scheduler with these settings that goes by the stage's clock.
    pub(crate) fn scheduler(&self, settings: &[(&str, &str)], metrics: &Metrics) -> Scheduler {
        let now = Arc::clone(&self.now);
        let clock: Clock = Arc::new(move || Timestamp::from_micros(now.load(Ordering::Relaxed)).unwrap());
        Scheduler::new(self.schedule(settings), &self.config(settings), metrics.clone(), clock)
    }

    /// Sets the clock: `2026-02-28T12:00:00Z`.
    pub(crate) fn clock(&self, now: &str) {
        self.now.store(moment(now).micros(), Ordering::Relaxed);
    }

    /// What a scheduler with these settings finds at that time.
    pub(crate) async fn look_with(&self, now: &str, settings: &[(&str, &str)]) -> Found {
        self.clock(now);
        self.scheduler(settings, &Metrics::default()).once().await.unwrap()
    }

    /// What one with the usual settings finds.
    pub(crate) async fn look(&self, now: &str) -> Found {
        self.look_with(now, &[]).await
    }

    /// Runs SQL past the store.
    pub(crate) async fn sql(&self, sql: &str) {
        match &self.postgres {
            Some(postgres) => drop(postgres.psql(sql).unwrap()),
            None => drop(sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.file().await).await.unwrap()),
        }
    }

    /// The texts that a query gives.
    pub(crate) async fn lines(&self, sql: &str) -> Vec<String> {
        match &self.postgres {
            Some(postgres) => postgres.psql(sql).unwrap().lines().map(str::to_owned).collect(),
            None => sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut self.file().await).await.unwrap(),
        }
    }

    /// The one number that a query gives.
    pub(crate) async fn ask(&self, sql: &str) -> i64 {
        match &self.postgres {
            Some(postgres) => postgres.psql(sql).unwrap().trim().parse().unwrap(),
            None => sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut self.file().await).await.unwrap(),
        }
    }

    /// A connection to the SQLite file.
    pub(crate) async fn file(&self) -> SqliteConnection {
        SqliteConnection::connect(&self.url).await.unwrap()
    }

    /// A moment as this store writes it.
    pub(crate) fn written(&self, moment: Timestamp) -> String {
        match self.postgres {
            Some(_) => format!("'{}'::timestamptz", moment.get().format(&Rfc3339).unwrap()),
            None => moment.micros().to_string(),
        }
    }

    /// Adds a customer with each of these birthdays, numbered from 1.
    pub(crate) async fn born(&self, birthdays: &[&str]) {
        let now = self.written(moment("2020-01-01T00:00:00Z"));
        for (number, birthday) in (1..).zip(birthdays) {
            self.sql(&format!(
                "INSERT INTO customers (id, name, email, birthday, created_at, updated_at) \
                 VALUES ({number}, 'Ada', 'c{number}@example.com', '{birthday}', {now}, {now})"
            ))
            .await;
        }
    }

    /// Adds so many customers with this birthday, numbered from 1.
    pub(crate) async fn many_born(&self, count: u32, birthday: &str) {
        let now = self.written(moment("2020-01-01T00:00:00Z"));
        let cast = if self.postgres.is_some() { "::date" } else { "" };
        self.sql(&format!(
            "WITH RECURSIVE series AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM series WHERE n < {count}) \
             INSERT INTO customers (id, name, email, birthday, created_at, updated_at) \
             SELECT n, 'Ada', 'c' || n || '@example.com', '{birthday}'{cast}, {now}, {now} FROM series"
        ))
        .await;
    }

    /// Adds an order of customer 1.
    pub(crate) async fn order(&self, id: i64, status: &str, placed_at: &str) {
        let at = self.written(moment(placed_at));
        let sql = "INSERT INTO orders (id, customer_id, status, total_cents, placed_at) VALUES";
        self.sql(&format!("{sql} ({id}, 1, '{status}', 1999, {at})")).await;
    }

    /// Every notification as `customer occasion`.
    pub(crate) async fn told(&self) -> Vec<String> {
        self.lines("SELECT customer_id || ' ' || occasion FROM notifications ORDER BY customer_id, id").await
    }
}

/// The configuration of a process on this database.
fn configured(dir: &Path, url: &str, settings: &[(&str, &str)]) -> Config {
    let base = [
        ("data_dir", dir.to_str().expect("UTF-8")),
        ("database.url", url),
        // Others use both cores while this runs.
        ("database.acquire_timeout", "30s"),
        ("database.statement_timeout", "30s"),
        ("scheduler.interval", "50ms"),
    ];
    let flags = base.iter().chain(settings).map(|(key, value)| Flag::set(*key, *value)).collect();
    Config::load(&Sources { flags, ..Sources::default() }).unwrap_or_else(|problems| panic!("{problems}"))
}

pub(crate) fn moment(text: &str) -> Timestamp {
    OffsetDateTime::parse(text, &Rfc3339).unwrap().into()
}

pub(crate) fn found(birthdays: u64, reminders: u64) -> Found {
    Found { birthdays, reminders }
}

/// Waits until `is_so` says yes.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < Duration::from_mins(1), "waited a minute until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
