//! Orders in PostgreSQL.

mod connect;
pub mod feed;
mod jobs;
mod listen;
mod migrate;
mod position;
mod read;
mod rows;
mod schedule;
pub mod write;

use async_trait::async_trait;
use sqlx::PgConnection;

pub use connect::PostgresStore;
pub(super) use connect::options;
pub use jobs::JOB_STATEMENTS;
pub use listen::Line;
pub(super) use migrate::migrate;
pub(super) use position::{POSITION, log_end};
pub use read::STATEMENTS;
pub use schedule::SCHEDULE;
pub(super) use schedule::Schedule;

use super::{Placed, PoolUse, Result, Rows, Store, pool};
use crate::{
    domain::{
        Category, Customer, CustomerDraft, CustomerId, Fingerprint, IdempotencyKey, Order, OrderDraft, OrderId,
        OrderStatus, Product, ProductId, Stats, Window,
    },
    telemetry::Work,
};

type Lease = pool::Lease<PgConnection>;
type Pool = pool::Pool<PgConnection>;

#[async_trait]
impl Store for PostgresStore {
    fn kind(&self) -> &'static str {
        "postgresql"
    }

    async fn products(&self, category: Option<&Category>, window: Window) -> Result<Rows<Product>> {
        self.read(|lease| read::products(lease, category, window)).await
    }

    async fn products_by_id(&self, ids: &[ProductId]) -> Result<Vec<Product>> {
        let ids: Vec<i64> = ids.iter().map(|id| id.get()).collect();
        self.read(|lease| read::products_by_id(lease, &ids)).await
    }

    async fn orders(&self, status: Option<OrderStatus>, window: Window) -> Result<Rows<Order>> {
        self.read(|lease| read::orders(lease, status, window)).await
    }

    async fn orders_by_id(&self, ids: &[OrderId]) -> Result<Vec<Order>> {
        let ids: Vec<i64> = ids.iter().map(|id| id.get()).collect();
        self.read(|lease| read::orders_by_id(lease, &ids)).await
    }

    async fn customers(&self, window: Window) -> Result<Rows<Customer>> {
        self.read(|lease| read::customers(lease, window)).await
    }

    async fn customers_by_id(&self, ids: &[CustomerId]) -> Result<Vec<Customer>> {
        let ids: Vec<i64> = ids.iter().map(|id| id.get()).collect();
        self.read(|lease| read::customers_by_id(lease, &ids)).await
    }

    async fn create_customer(&self, draft: &CustomerDraft) -> Result<Customer> {
        let draft = draft.clone();
        self.write(move |lease| write::create_customer(lease, draft)).await
    }

    async fn replace_customer(&self, id: CustomerId, draft: &CustomerDraft) -> Result<Option<Customer>> {
        let draft = draft.clone();
        self.write(move |lease| write::replace_customer(lease, id, draft)).await
    }

    async fn delete_customer(&self, id: CustomerId) -> Result<bool> {
        self.write(move |lease| write::delete_customer(lease, id)).await
    }

    async fn place_order(&self, draft: &OrderDraft, key: Option<(&IdempotencyKey, Fingerprint)>) -> Result<Placed> {
        let (draft, key) = (draft.clone(), key.map(|(key, fingerprint)| (key.clone(), fingerprint)));
        let trace = Work::with(Work::trace);
        self.write(move |lease| write::place_order(lease, draft, key, trace)).await
    }

    async fn stats(&self) -> Result<Stats> {
        self.read(read::stats).await
    }

    async fn ping(&self) -> Result<()> {
        self.read(read::ping).await
    }

    fn pool(&self) -> PoolUse {
        self.pool.usage()
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
