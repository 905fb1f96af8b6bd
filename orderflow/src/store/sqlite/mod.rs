//! Orders in a SQLite file: what the service uses when nothing is installed.
//!
//! One connection writes and any number reads beside it, from the write-ahead log. An order that was accepted is on the
//! disk: each commit waits for it (`synchronous = FULL`), since a log that is only synced now and then may lose the last
//! orders when the power fails.

mod connect;
mod feed;
mod jobs;
mod migrate;
mod read;
mod rows;
mod schedule;
mod write;

use async_trait::async_trait;
use sqlx::SqliteConnection;

pub use connect::SqliteStore;
pub(super) use connect::{file, options};
pub use jobs::JOB_STATEMENTS;
pub(super) use migrate::migrate;
pub use read::STATEMENTS;
pub use schedule::SCHEDULE;
pub(super) use schedule::Schedule;

use super::{Placed, PoolUse, READERS, Result, Rows, Store, WRITER, pool};
use crate::{
    domain::{
        Category, Customer, CustomerDraft, CustomerId, Fingerprint, IdempotencyKey, Order, OrderDraft, OrderId,
        OrderStatus, Product, ProductId, Stats, Window,
    },
    telemetry::Work,
};

type Lease = pool::Lease<SqliteConnection>;
type Pool = pool::Pool<SqliteConnection>;

#[async_trait]
impl Store for SqliteStore {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    async fn products(&self, category: Option<&Category>, window: Window) -> Result<Rows<Product>> {
        read::products(self.readers.acquire().await?, category, window).await
    }

    async fn products_by_id(&self, ids: &[ProductId]) -> Result<Vec<Product>> {
        read::products_by_id(self.readers.acquire().await?, ids.iter().map(|id| id.get())).await
    }

    async fn orders(&self, status: Option<OrderStatus>, window: Window) -> Result<Rows<Order>> {
        read::orders(self.readers.acquire().await?, status, window).await
    }

    async fn orders_by_id(&self, ids: &[OrderId]) -> Result<Vec<Order>> {
        read::orders_by_id(self.readers.acquire().await?, ids.iter().map(|id| id.get())).await
    }

    async fn customers(&self, window: Window) -> Result<Rows<Customer>> {
        read::customers(self.readers.acquire().await?, window).await
    }

    async fn customers_by_id(&self, ids: &[CustomerId]) -> Result<Vec<Customer>> {
        read::customers_by_id(self.readers.acquire().await?, ids.iter().map(|id| id.get())).await
    }

    async fn create_customer(&self, draft: &CustomerDraft) -> Result<Customer> {
        self.write(write::CreateCustomer(draft.clone())).await
    }

    async fn replace_customer(&self, id: CustomerId, draft: &CustomerDraft) -> Result<Option<Customer>> {
        self.write(write::ReplaceCustomer(id, draft.clone())).await
    }

    async fn delete_customer(&self, id: CustomerId) -> Result<bool> {
        self.write(write::DeleteCustomer(id)).await
    }

    async fn place_order(&self, draft: &OrderDraft, key: Option<(&IdempotencyKey, Fingerprint)>) -> Result<Placed> {
        let key = key.map(|(key, fingerprint)| (key.clone(), fingerprint));
        self.write(write::PlaceOrder(draft.clone(), key, Work::with(Work::trace))).await
    }

    async fn stats(&self) -> Result<Stats> {
        read::stats(self.readers.acquire().await?).await
    }

    async fn ping(&self) -> Result<()> {
        read::ping(self.readers.acquire().await?).await
    }

    fn pool(&self) -> PoolUse {
        self.readers.usage()
    }

    fn pools(&self) -> Vec<(&'static str, PoolUse)> {
        vec![(READERS, self.readers.usage()), (WRITER, self.writer.usage())]
    }

    async fn close(&self) {
        self.readers.close().await;
        // Last, since the last connection to close brings the log into the file and removes it.
        self.writer.close().await;
    }
}
