//! A migrated, empty store of a test's own, with a way past it to the tables.

use std::{path::Path, sync::Arc, time::Duration};

use orderflow::{
    config::{Database, Pooler},
    domain::{
        CustomerDraft, CustomerId, Fingerprint, IdempotencyKey, ItemDraft, Limit, OrderDraft, ProductId, Quantity,
        Start, Window,
    },
    store::{self, Placed, SharedStore},
};
use orderflow_servers::PgBouncer;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

/// Held by every stage, and alone by a test that counts what the whole process does.
pub(crate) static QUIET: std::sync::LazyLock<Arc<RwLock<()>>> = std::sync::LazyLock::new(Arc::default);

/// A store with nothing in it.
pub(crate) struct Stage {
    pub(crate) store: SharedStore,
    pub(crate) database: Database,
    pub(crate) dir: TempDir,
    pub(crate) postgres: Option<orderflow_servers::Database>,
    _beside_others: Option<OwnedRwLockReadGuard<()>>,
}

/// A configuration for `url`, with little patience.
pub(crate) fn database(url: String) -> Database {
    Database {
        url: url.into(),
        max_connections: 8,
        acquire_timeout: Duration::from_secs(20),
        statement_timeout: Duration::from_secs(20),
        slow_statement: Duration::from_secs(10),
        coalesce_reads: true,
        pooler: Pooler::None,
        direct_url: String::new().into(),
        seed_orders: 0,
    }
}

impl Stage {
    pub(crate) async fn sqlite() -> Self {
        let guard = QUIET.clone().read_owned().await;
        Self { _beside_others: Some(guard), ..Self::sqlite_alone().await }
    }

    pub(crate) async fn sqlite_alone() -> Self {
        let dir = TempDir::new().unwrap();
        let database = database(format!("sqlite:{}", dir.path().join("orders.db").display()));
        Self::open(database, dir, None).await
    }

    pub(crate) async fn postgresql() -> Option<Self> {
        let guard = QUIET.clone().read_owned().await;
        Some(Self { _beside_others: Some(guard), ..Self::postgresql_alone().await? })
    }

    pub(crate) async fn postgresql_alone() -> Option<Self> {
        let server = orderflow_servers::postgres()?;
        Some(Self::on(&server, |_| {}).await)
    }

    /// On PostgreSQL by way of a pooler that all tests share, whose connections are fewer than the store's.
    pub(crate) async fn pgbouncer() -> Option<Self> {
        static POOLER: std::sync::OnceLock<Option<PgBouncer>> = std::sync::OnceLock::new();
        let guard = QUIET.clone().read_owned().await;
        let server = orderflow_servers::postgres()?;
        let pooler = POOLER.get_or_init(|| orderflow_servers::needs(PgBouncer::own(&server))).as_ref()?;
        let postgres = server.database().unwrap();
        let mut database = database(pooler.url(postgres.name()));
        database.direct_url = postgres.url().to_owned().into();
        database.pooler = Pooler::Transaction;
        let stage = Self::open(database, TempDir::new().unwrap(), Some(postgres)).await;
        Some(Self { _beside_others: Some(guard), ..stage })
    }

    /// On a server of the test's choice, with settings of its choice.
    pub(crate) async fn on(server: &orderflow_servers::Postgres, set: impl FnOnce(&mut Database)) -> Self {
        let postgres = server.database().unwrap();
        let mut database = database(postgres.url().to_owned());
        set(&mut database);
        Self::open(database, TempDir::new().unwrap(), Some(postgres)).await
    }

    async fn open(database: Database, dir: TempDir, postgres: Option<orderflow_servers::Database>) -> Self {
        store::migrate(&database, dir.path()).await.unwrap();
        let store = store::connect(&database, dir.path()).await.unwrap();
        Self { store, database, dir, postgres, _beside_others: None }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Runs SQL past the store.
    pub(crate) async fn sql(&self, sql: &str) {
        match &self.postgres {
            Some(postgres) => drop(postgres.psql(sql).unwrap()),
            None => drop(sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.file().await).await.unwrap()),
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
        SqliteConnection::connect(self.database.url.expose()).await.unwrap()
    }

    /// How this store writes the present moment.
    pub(crate) fn now(&self) -> &'static str {
        if self.postgres.is_some() { "now()" } else { "1000000" }
    }

    /// Adds products with these identifiers.
    pub(crate) async fn products(&self, ids: std::ops::RangeInclusive<i64>, category: &str, price: i64, stock: i64) {
        let now = self.now();
        let rows: Vec<_> =
            ids.map(|id| format!("({id}, 'Product {id}', '{category}', {price}, {stock}, {now})")).collect();
        let into = "INSERT INTO products (id, name, category, price_cents, stock, updated_at) VALUES";
        self.sql(&format!("{into} {}", rows.join(","))).await;
    }

    /// Adds a customer.
    pub(crate) async fn customer(&self, name: &str) -> CustomerId {
        self.store.create_customer(&customer(name)).await.unwrap().id
    }

    /// Places an order that must be accepted.
    pub(crate) async fn order(&self, order: &OrderDraft) -> Placed {
        self.store.place_order(order, None).await.unwrap()
    }

    /// Places an order under a key.
    pub(crate) async fn order_once(&self, order: &OrderDraft, key: &str) -> store::Result<Placed> {
        let key: IdempotencyKey = key.parse().unwrap();
        self.store.place_order(order, Some((&key, Fingerprint::of(order)))).await
    }

    /// How many rows a table has.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        self.ask(&format!("SELECT count(*) FROM {table}")).await
    }
}

/// A customer with an address of the name.
pub(crate) fn customer(name: &str) -> CustomerDraft {
    CustomerDraft { name: name.parse().unwrap(), email: format!("{name}@example.com").parse().unwrap(), birthday: None }
}

pub(crate) fn product(id: i64) -> ProductId {
    ProductId::try_from(id).unwrap()
}

/// An order of lines of product and quantity.
pub(crate) fn order(customer_id: CustomerId, lines: &[(i64, i64)]) -> OrderDraft {
    let line = |&(id, quantity): &(i64, i64)| ItemDraft {
        product_id: product(id),
        quantity: Quantity::try_from(quantity).unwrap(),
    };
    OrderDraft { customer_id, items: lines.iter().map(line).collect() }
}

pub(crate) fn limit(rows: u32) -> Limit {
    rows.to_string().parse().unwrap()
}

/// The page of this number.
pub(crate) fn page(number: u32, rows: u32) -> Window {
    Window { start: Start::Page(number.to_string().parse().unwrap()), limit: limit(rows) }
}

/// What follows a row.
pub(crate) fn after(id: i64, rows: u32) -> Window {
    Window { start: Start::After(orderflow::domain::Cursor::after(id)), limit: limit(rows) }
}

/// Waits until `is_so` says yes.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let start = std::time::Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < Duration::from_mins(1), "waited a minute until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
