//! Where orders are kept. One trait, two implementations, one conformance suite (`tests/store`) that holds both to it.

mod connect;
mod decode;
mod error;
mod meter;
mod migrate;
mod placing;
mod pool;
mod position;
pub mod postgres;
pub mod replicas;
pub mod seed;
pub mod sqlite;
mod statement;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

pub use connect::{Backend, ConnectError, connect};
pub use error::{Refused, StoreError};
pub use migrate::{MigrateError, migrate, migrate_within};
pub use position::{NoPosition, Position};
pub use statement::NAMES;

use crate::domain::{
    Category, Customer, CustomerDraft, CustomerId, Fingerprint, IdempotencyKey, Order, OrderDraft, OrderId,
    OrderStatus, Product, ProductId, Receipt, Stats, Window,
};

/// What the pool of connections to a server is called.
const PRIMARY: &str = "primary";
/// What the pools of connections to replicas are called.
const REPLICA: &str = "replica";
/// What the pools of a file are called.
const READERS: &str = "readers";
const WRITER: &str = "writer";

/// What a store answers.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows<T> {
    /// At most as many as the window allows.
    pub rows: Vec<T>,
    /// Whether at least one more follows them.
    pub more: bool,
}

/// An accepted order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// What its sender is told.
    pub receipt: Receipt,
    /// Whether an earlier request with the same key had placed it, so that this one changed nothing.
    pub replayed: bool,
}

/// How much of a connection pool is in use at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    /// Connections that are open.
    pub open: u32,
    /// Those of them that wait for work.
    pub idle: u32,
    /// The most that may be open.
    pub max: u32,
}

/// How a replica is, as it was when it was last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaState {
    /// `ready`, or why reads go elsewhere.
    pub state: &'static str,
    /// How far it is behind, if that is known.
    pub lag: Option<Duration>,
    /// How long it took to answer.
    pub latency: Duration,
    /// How busy the connections to it are.
    pub pool: PoolUse,
}

impl ReplicaState {
    /// The state of one that answers reads.
    pub const READY: &str = "ready";
}

/// Products, customers and orders, kept durably.
///
/// Every call is bounded in time by the configuration and can be abandoned at any await: a reader leaves its connection
/// usable, a writer has either committed or changed nothing. A list or detail answer takes at most two statements.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// `sqlite` or `postgresql`.
    fn kind(&self) -> &'static str;

    /// Products in the order of their identifiers, of one category if given.
    async fn products(&self, category: Option<&Category>, window: Window) -> Result<Rows<Product>>;

    /// The products with these identifiers, in any order; unknown ones are left out. One statement, however many they are.
    async fn products_by_id(&self, ids: &[ProductId]) -> Result<Vec<Product>>;

    /// Orders with their customers and lines, latest first, of one status if given.
    async fn orders(&self, status: Option<OrderStatus>, window: Window) -> Result<Rows<Order>>;

    /// The orders with these identifiers, in any order; unknown ones are left out.
    async fn orders_by_id(&self, ids: &[OrderId]) -> Result<Vec<Order>>;

    /// Customers in the order of their identifiers, without deleted ones.
    async fn customers(&self, window: Window) -> Result<Rows<Customer>>;

    /// The customers with these identifiers, in any order; unknown and deleted ones are left out.
    async fn customers_by_id(&self, ids: &[CustomerId]) -> Result<Vec<Customer>>;

    /// Adds a customer. Refused if the address is taken.
    async fn create_customer(&self, draft: &CustomerDraft) -> Result<Customer>;

    /// Replaces a customer. `None` if there is no such customer; refused if the address is another's.
    async fn replace_customer(&self, id: CustomerId, draft: &CustomerDraft) -> Result<Option<Customer>>;

    /// Forgets a customer's name, address and birthday; their orders stay. False if there is no such customer.
    async fn delete_customer(&self, id: CustomerId) -> Result<bool>;

    /// Accepts an order: takes its lines from stock, writes it, and writes its outbox row, all of it or nothing.
    ///
    /// With a key, the first order under it is the only one: the same order again gives the same receipt, another is
    /// refused. A refused order does not use its key up.
    async fn place_order(&self, draft: &OrderDraft, key: Option<(&IdempotencyKey, Fingerprint)>) -> Result<Placed>;

    /// Totals over everything.
    async fn stats(&self) -> Result<Stats>;

    /// Whether the store answers; reads, never writes.
    async fn ping(&self) -> Result<()>;

    /// How busy the connections are that reads use.
    fn pool(&self) -> PoolUse;

    /// How busy each pool of connections is, by its name. Each name is there once: the pools of all replicas are one.
    fn pools(&self) -> Vec<(&'static str, PoolUse)> {
        vec![(PRIMARY, self.pool())]
    }

    /// The same store for reads that must see everything before this position. `None` where there is only one copy, which has
    /// it all; that is so either for every position or for none.
    fn after(&self, position: Position) -> Option<SharedStore> {
        let _ = position;
        None
    }

    /// Where the primary is now: after a write, what its client must see from now on. If the primary does not say so in time,
    /// it is [`Position::PRIMARY`]. `None` where there is only one copy.
    async fn position(&self) -> Option<Position> {
        None
    }

    /// Another instance has written something that may be cached here, before this position, or [`Position::PRIMARY`] if that
    /// is not known: from now on, nothing that is read for a cache is older.
    fn learn(&self, position: Position) {
        let _ = position;
    }

    /// How the replicas are, in the sequence of the configuration.
    fn replicas(&self) -> Vec<ReplicaState> {
        Vec::new()
    }

    /// Waits for what is under way and closes every connection. Later calls fail.
    async fn close(&self);
}

/// A store that several tasks share.
pub type SharedStore = Arc<dyn Store>;
