//! A database with a small shop in it, and what must be true of it after every fault.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
    time::Duration,
};

use orderflow::{
    auth::{NewKey, hex},
    config::{Database, Pooler, Role},
    store::{
        self,
        seed::{self, Plan},
    },
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection, query_scalar};
use tempfile::TempDir;

use crate::load::Sent;

/// The name of the API key in these tests.
const NAME: &str = "faults";
/// Orders that are there before the test; there are 50 products and 40 customers with them.
const ORDERS: u64 = 200;
/// Violations that a failure shows.
const SHOWN: usize = 10;

/// A filled database and the key to its service.
pub(crate) struct Shop {
    dir: TempDir,
    base: Base,
    key: NewKey,
    before: Before,
}

/// Where the tables are.
enum Base {
    Postgres(orderflow_servers::Database),
    /// In this file.
    Sqlite(PathBuf),
    /// In this data directory, which only the service sees.
    Embedded(PathBuf),
}

/// What was there before the load.
#[derive(Default)]
struct Before {
    order: i64,
    outbox: i64,
    stock: HashMap<i64, i64>,
}

impl Shop {
    /// In a database of its own on this server.
    pub(crate) async fn postgres(server: &orderflow_servers::Postgres) -> Self {
        Self::filled(TempDir::new().unwrap(), Base::Postgres(server.database().unwrap())).await
    }

    /// In a file.
    pub(crate) async fn sqlite() -> Self {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("orders.db");
        Self::filled(dir, Base::Sqlite(file)).await
    }

    /// Still to be made, by the service itself in its data directory, which is on a disk that only the service sees.
    pub(crate) fn embedded() -> Self {
        let dir = TempDir::new().unwrap();
        let base = Base::Embedded(dir.path().to_owned());
        Self { dir, base, key: NewKey::random().unwrap(), before: Before::default() }
    }

    async fn filled(dir: TempDir, base: Base) -> Self {
        let mut shop = Self { dir, base, key: NewKey::random().unwrap(), before: Before::default() };
        let database = Database {
            url: shop.url().into(),
            max_connections: 2,
            acquire_timeout: crate::waiting::PATIENCE,
            statement_timeout: crate::waiting::PATIENCE,
            slow_statement: Duration::from_secs(10),
            coalesce_reads: true,
            pooler: Pooler::None,
            direct_url: String::new().into(),
            seed_orders: 0,
        };
        store::migrate(&database, shop.dir()).await.unwrap();
        seed::seed(&database, shop.dir(), Plan { orders: ORDERS }, &mut |_| {}).await.unwrap();
        shop.begin().await;
        shop
    }

    /// The same shop as it is in a copy of its file, with the same past.
    pub(crate) fn copied(self, file: PathBuf) -> Self {
        Self { base: Base::Sqlite(file), ..self }
    }

    /// Remembers what is there: everything that comes later is the load's.
    pub(crate) async fn begin(&mut self) {
        let one = |rows: Vec<Vec<i64>>| rows.first().map_or(0, |row| row[0]);
        let order = one(self.numbers("SELECT CAST(coalesce(max(id), 0) AS text) FROM orders").await);
        let outbox = one(self.numbers("SELECT CAST(coalesce(max(id), 0) AS text) FROM outbox").await);
        self.before = Before { order, outbox, stock: self.stock().await };
    }

    /// What only this test's service is told on its command line.
    pub(crate) fn flags(&self) -> Vec<String> {
        let hash = hex(&self.key.accepted_as(NAME, Role::Writer).sha256);
        let keys = format!(r#"auth.keys=[{{ name = "{NAME}", role = "writer", sha256 = "{hash}" }}]"#);
        let place = match &self.base {
            Base::Embedded(dir) => format!("data_dir={}", dir.display()),
            _ => format!("database.url={}", self.url()),
        };
        let seed = format!("database.seed_orders={ORDERS}");
        [keys, place, seed].into_iter().flat_map(|pair| ["--set".to_owned(), pair]).collect()
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The API key that may write.
    pub(crate) fn key(&self) -> &str {
        self.key.plain()
    }

    /// The PostgreSQL database.
    pub(crate) fn database(&self) -> &orderflow_servers::Database {
        match &self.base {
            Base::Postgres(database) => database,
            _ => panic!("this shop is in a file"),
        }
    }

    /// Where its database is.
    pub(crate) fn url(&self) -> String {
        match &self.base {
            Base::Postgres(database) => database.url().to_owned(),
            Base::Sqlite(file) => format!("sqlite:{}", file.display()),
            Base::Embedded(dir) => format!("sqlite:{}", dir.join("orderflow.db").display()),
        }
    }

    /// The rows of a query of one column of text.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let query = query_scalar(AssertSqlSafe(sql));
        match &self.base {
            Base::Postgres(database) => {
                let mut connection = PgConnection::connect(database.url()).await.unwrap();
                query_scalar(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap()
            }
            _ => query.fetch_all(&mut SqliteConnection::connect(&self.url()).await.unwrap()).await.unwrap(),
        }
    }

    /// The same where the text is numbers, parted by `|`.
    async fn numbers(&self, sql: &str) -> Vec<Vec<i64>> {
        let split = |text: String| text.split('|').map(|number| number.parse().expect("a number")).collect();
        self.texts(sql).await.into_iter().map(split).collect()
    }

    /// What is left of every product.
    pub(crate) async fn stock(&self) -> HashMap<i64, i64> {
        self.numbers("SELECT id || '|' || stock FROM products").await.into_iter().map(|row| (row[0], row[1])).collect()
    }

    /// Holds what clients sent and were told against the tables. Gives how many orders there are of which no client knows.
    ///
    /// Nothing may be under way.
    pub(crate) async fn check(&self, sent: &[Sent]) -> usize {
        let (first, mailed) = (self.before.order, self.before.outbox);
        let orders = format!("SELECT id || '|' || customer_id || '|' || total_cents FROM orders WHERE id > {first}");
        let items = format!(
            "SELECT order_id || '|' || product_id || '|' || quantity || '|' || unit_price_cents FROM order_items \
             WHERE order_id > {first} ORDER BY order_id, line"
        );
        let outbox = format!("SELECT CAST(payload ->> 'order_id' AS text) FROM outbox WHERE id > {mailed}");
        let mut found = BTreeMap::new();
        for row in self.numbers(&orders).await {
            found.insert(row[0], Stored { customer: row[1], total: row[2], ..Stored::default() });
        }
        let mut wrong = Vec::new();
        let mut taken = HashMap::<i64, i64>::new();
        for row in self.numbers(&items).await {
            *taken.entry(row[1]).or_default() += row[2];
            match found.get_mut(&row[0]) {
                Some(order) => order.lines.push([row[1], row[2], row[3]]),
                None => wrong.push(format!("a line without its order {}", row[0])),
            }
        }
        for row in self.numbers(&outbox).await {
            match found.get_mut(&row[0]) {
                Some(order) => order.events += 1,
                None => wrong.push(format!("an outbox row of no order: {}", row[0])),
            }
        }
        for row in self.texts("SELECT order_id || '|' || key FROM idempotency_keys").await {
            let (id, key) = row.split_once('|').unwrap();
            match found.get_mut(&id.parse().unwrap()) {
                // It is kept under the client's name; those of these tests hold no slash.
                Some(order) => order.keys.push(key.rsplit('/').next().unwrap().to_owned()),
                None => wrong.push(format!("key {key} of no order")),
            }
        }
        wrong.extend(found.iter().filter_map(|(id, order)| order.fault().map(|why| format!("order {id} {why}"))));
        for (product, left) in self.stock().await {
            let (had, gone) = (self.before.stock[&product], taken.get(&product).copied().unwrap_or(0));
            if left < 0 || had - left != gone {
                wrong.push(format!("product {product}: {had} before, {gone} ordered, {left} left"));
            }
        }
        let unknown = compare(sent, &found, &mut wrong);
        let count = wrong.len();
        wrong.truncate(SHOWN);
        assert!(wrong.is_empty(), "{count} violations:\n{}", wrong.join("\n"));
        unknown
    }
}

/// An order as it is in the tables.
#[derive(Default)]
struct Stored {
    customer: i64,
    total: i64,
    /// Product, quantity, price.
    lines: Vec<[i64; 3]>,
    events: usize,
    keys: Vec<String>,
}

impl Stored {
    fn fault(&self) -> Option<String> {
        let sum: i64 = self.lines.iter().map(|[_, quantity, price]| quantity * price).sum();
        match (self.lines.len(), self.events, self.keys.len()) {
            (0, ..) => Some("has no lines".to_owned()),
            (_, 1, 1) if sum == self.total => None,
            (_, 1, 1) => Some(format!("comes to {sum} and says {}", self.total)),
            (_, events, keys) => Some(format!("has {events} outbox rows and {keys} keys")),
        }
    }
}

/// Every order was sent, none twice; every receipt is an order. Gives how many orders have no receipt.
fn compare(sent: &[Sent], found: &BTreeMap<i64, Stored>, wrong: &mut Vec<String>) -> usize {
    let mut by_key = HashMap::<&str, i64>::new();
    for (id, order) in found {
        for key in &order.keys {
            if let Some(other) = by_key.insert(key, *id) {
                wrong.push(format!("orders {id} and {other} have the key {key}"));
            }
        }
    }
    let mut unknown = 0;
    let mut told = HashSet::new();
    for Sent { key, customer, lines, receipt } in sent {
        let id = by_key.remove(key.as_str());
        match (receipt, id) {
            (None, None) => {}
            (Some(receipt), _) if id != Some(receipt.id) => {
                wrong.push(format!("key {key} has receipt {} and order {id:?}", receipt.id));
            }
            (_, Some(id)) => {
                let order = &found[&id];
                let same =
                    order.lines.iter().map(|[product, quantity, _]| [*product, *quantity]).eq(lines.iter().copied());
                if !same || order.customer != *customer {
                    wrong.push(format!("order {id} is not what was sent under {key}"));
                }
                match receipt {
                    Some(receipt) if receipt.total_cents != order.total || !told.insert(id) => {
                        wrong.push(format!("receipt {id} says {} and the order {}", receipt.total_cents, order.total));
                    }
                    Some(_) => {}
                    None => unknown += 1,
                }
            }
            (Some(_), None) => unreachable!("the guard above takes it"),
        }
    }
    wrong.extend(by_key.into_iter().map(|(key, id)| format!("order {id} under {key} was sent by nobody")));
    unknown
}
