//! A migrated database of a test's own with customers and something to order, and a way past the store to the tables.

use std::time::{Duration, Instant};

use orderflow::{
    config::{Database, Pooler},
    domain::{CustomerDraft, CustomerId, ItemDraft, OrderDraft, OrderId, ProductId, Quantity},
    jobs::{Claimed, NotificationId, Outcome, Settled, SharedJobs},
    store::{self, Backend, SharedStore},
};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::task::block_in_place;

/// Longer than anything takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// A database.
pub(crate) struct Stage {
    pub(crate) store: SharedStore,
    pub(crate) jobs: SharedJobs,
    pub(crate) database: Database,
    pub(crate) dir: TempDir,
    pub(crate) postgres: Option<orderflow_servers::Database>,
}

fn database(url: String) -> Database {
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
        let dir = TempDir::new().unwrap();
        let database = database(format!("sqlite:{}", dir.path().join("orders.db").display()));
        Self::open(database, dir, None).await
    }

    pub(crate) async fn postgresql() -> Option<Self> {
        let server = block_in_place(orderflow_servers::postgres)?;
        Some(Self::on(&server).await)
    }

    /// On a server of the test's choice.
    pub(crate) async fn on(server: &orderflow_servers::Postgres) -> Self {
        let postgres = block_in_place(|| server.database()).unwrap();
        Self::open(database(postgres.url().to_owned()), TempDir::new().unwrap(), Some(postgres)).await
    }

    async fn open(database: Database, dir: TempDir, postgres: Option<orderflow_servers::Database>) -> Self {
        store::migrate(&database, dir.path()).await.unwrap();
        let backend = Backend::connect(&database, dir.path()).await.unwrap();
        let stage = Self { store: backend.store(), jobs: backend.jobs(), database, dir, postgres };
        let now = if stage.postgres.is_some() { "now()" } else { "1000000" };
        let columns = "INSERT INTO products (id, name, category, price_cents, stock, updated_at)";
        stage.sql(&format!("{columns} VALUES (1, 'Kettle', 'kitchen', 250, 1000000, {now})")).await;
        stage
    }

    /// Runs SQL past the store.
    pub(crate) async fn sql(&self, sql: &str) {
        match &self.postgres {
            Some(postgres) => drop(block_in_place(|| postgres.psql(sql)).unwrap()),
            None => drop(sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.file().await).await.unwrap()),
        }
    }

    /// The one number that a query gives.
    pub(crate) async fn ask(&self, sql: &str) -> i64 {
        match &self.postgres {
            Some(postgres) => block_in_place(|| postgres.psql(sql)).unwrap().trim().parse().unwrap(),
            None => sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut self.file().await).await.unwrap(),
        }
    }

    /// How many rows of a table are so.
    pub(crate) async fn count(&self, table_and_condition: &str) -> i64 {
        self.ask(&format!("SELECT count(*) FROM {table_and_condition}")).await
    }

    /// A connection to the SQLite file.
    pub(crate) async fn file(&self) -> SqliteConnection {
        let mut file = SqliteConnection::connect(self.database.url.expose()).await.unwrap();
        sqlx::query("PRAGMA busy_timeout = 20000").execute(&mut file).await.unwrap();
        file
    }

    /// Adds a customer.
    pub(crate) async fn customer(&self, name: &str) -> CustomerId {
        let email = format!("{name}@example.com").parse().unwrap();
        let draft = CustomerDraft { name: name.parse().unwrap(), email, birthday: None };
        self.store.create_customer(&draft).await.unwrap().id
    }

    /// Places an order.
    pub(crate) async fn order(&self, customer: CustomerId) -> OrderId {
        self.store.place_order(&order(customer), None).await.unwrap().receipt.id
    }

    /// Places so many orders of one new customer and makes them notifications.
    pub(crate) async fn notifications(&self, count: u32) -> Vec<OrderId> {
        let customer = self.customer("ada").await;
        let mut orders = Vec::new();
        for _ in 0..count {
            orders.push(self.order(customer).await);
        }
        assert_eq!(self.jobs.relay(count + 1).await.unwrap().len(), count as usize);
        orders
    }

    /// Takes one notification that must be due.
    pub(crate) async fn claim(&self) -> Claimed {
        let mut claimed = self.jobs.claim(1, LONG).await.unwrap();
        assert_eq!(claimed.len(), 1, "nothing is due");
        claimed.remove(0)
    }

    /// Records what became of a notification. False if it is another's.
    pub(crate) async fn settle(&self, claimed: &Claimed, outcome: Outcome) -> bool {
        let settled = Settled { id: claimed.id, claim: claimed.claim, outcome };
        let done = self.jobs.settle(&[settled]).await.unwrap();
        assert!(done.is_empty() || done == [claimed.id]);
        !done.is_empty()
    }

    /// The state of a notification.
    pub(crate) async fn is(&self, id: NotificationId, state: &str) -> bool {
        self.count(&format!("notifications WHERE id = {} AND state = '{state}'", id.0)).await == 1
    }

    /// Lets the leases of all notifications run out.
    pub(crate) async fn expire(&self) {
        let past = if self.postgres.is_some() { "now() - interval '1 second'" } else { "1000000" };
        self.sql(&format!("UPDATE notifications SET due_at = {past} WHERE state = 'queued'")).await;
    }
}

/// An order of one kettle.
pub(crate) fn order(customer_id: CustomerId) -> OrderDraft {
    let item = ItemDraft { product_id: ProductId::try_from(1).unwrap(), quantity: Quantity::try_from(1).unwrap() };
    OrderDraft { customer_id, items: vec![item] }
}

/// Waits until `is_so` says yes.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < LONG, "waited {LONG:?} until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
