//! Reads from copies of a PostgreSQL database, never behind what their reader has written.
//!
//! A read says which position of the primary's log it must see. It goes to the least busy replica that is known to have
//! replayed so much and is not too far behind in time; where there is none, to the primary. What a replica does not answer,
//! the primary is asked within the same call. Writes go to the primary alone.
//!
//! While the primary is away, reads that a replica may answer go on. Nobody can tell then how far behind it is, so that the
//! lag that was last known stands.

mod floor;
mod lag;
mod monitor;
mod state;

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::timeout;

use super::{
    ConnectError, Placed, PoolUse, Position, REPLICA, ReplicaState, Result, Rows, SharedStore, Store, StoreError,
    postgres::{PostgresStore, options},
};
use crate::{
    background::{Background, Stop},
    config::{self, Database, Secret},
    domain::{
        Category, Customer, CustomerDraft, CustomerId, Fingerprint, IdempotencyKey, Order, OrderDraft, OrderId,
        OrderStatus, Product, ProductId, Stats, Window,
    },
    metrics::Metrics,
    telemetry::Telemetry,
};
use floor::{Floor, Needs};
use lag::Ring;
use state::{Fallback, Replica};

/// A primary and its replicas as one store. Clones of what it holds are the same; a view has a position of its own.
pub struct Replicated {
    shared: Arc<Shared>,
    /// How new what is read here must be at least.
    position: Position,
}

struct Shared {
    primary: Arc<PostgresStore>,
    replicas: Vec<Replica>,
    floor: Floor,
    ring: Mutex<Ring>,
    max_lag: Duration,
    timeout: Duration,
    /// Where the search for a replica begins, so that those that are alike take turns.
    turn: AtomicUsize,
    metrics: Metrics,
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl Replicated {
    /// Puts replicas before a primary, and has them watched in the background. None needs to be there yet.
    ///
    /// # Errors
    /// If an address cannot be read.
    pub fn start(
        primary: Arc<PostgresStore>,
        database: &Database,
        settings: &config::Replicas,
        telemetry: Telemetry,
        background: &mut Background,
    ) -> Result<Self, ConnectError> {
        let limits =
            Database { acquire_timeout: settings.timeout, statement_timeout: settings.timeout, ..database.clone() };
        let replica = |url: &Secret| {
            let options = options(url.expose())?;
            let name = format!("{}:{}", options.get_host(), options.get_port());
            let store = PostgresStore::at(url, REPLICA, &limits)?;
            store.count_in(&telemetry);
            Ok(Replica::new(name, store))
        };
        let shared = Arc::new(Shared {
            primary,
            replicas: settings.urls.iter().map(replica).collect::<Result<_, ConnectError>>()?,
            floor: Floor::default(),
            ring: Mutex::new(Ring::new(settings.max_lag)),
            max_lag: settings.max_lag,
            timeout: settings.timeout,
            turn: AtomicUsize::new(0),
            metrics: telemetry.metrics,
        });
        // No pooler takes this parameter of the driver's.
        let watched = |url: &str| options(url).map(|options| options.extra_float_digits(None));
        let options = watched(database.session_url())?;
        background.spawn(|stop| until_stop(monitor::primary(Arc::clone(&shared), options), stop));
        for (index, url) in settings.urls.iter().enumerate() {
            let options = watched(url.expose())?;
            background.spawn(|stop| until_stop(monitor::replica(Arc::clone(&shared), index, options), stop));
        }
        Ok(Self { shared, position: Position::START })
    }

    /// A read that answers one client, who has a position.
    fn own(&self) -> Needs {
        Needs { position: self.position, primary_first: false }
    }

    /// A read whose answer may be kept for others.
    fn kept(&self) -> Needs {
        self.shared.floor.needs(self.position)
    }

    /// Counts a write when it has ended, unless it was refused and so has changed nothing. One that failed may have been done.
    fn wrote<T>(&self, result: Result<T>) -> Result<T> {
        if !matches!(result, Err(StoreError::Refused(_))) {
            self.shared.floor.wrote();
        }
        result
    }
}

impl Shared {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read<'a, T>(&'a self, needs: Needs, ask: impl Fn(&'a PostgresStore) -> Answer<'a, T> + Sync) -> Result<T> {
        if !needs.primary_first {
            return match self.by_replica(needs.position, &ask).await {
                Ok(answer) => Ok(answer),
                Err(why) => self.by_primary(why, &ask).await,
            };
        }
        match self.by_primary(Fallback::Behind, &ask).await {
            // Better what is a little old than nothing: the position that is not known yet may never be.
            Err(error) if is_outage(&error) => self.by_replica(needs.position, &ask).await.map_err(|_| error),
            answer => answer,
        }
    }

    async fn by_primary<'a, T>(
        &'a self,
        why: Fallback,
        ask: &impl Fn(&'a PostgresStore) -> Answer<'a, T>,
    ) -> Result<T> {
        self.metrics.replica_fallbacks.get_or_create(&[("reason", why.word())]).inc();
        self.metrics.replica_reads.get_or_create(&[("source", "primary")]).inc();
        ask(&self.primary).await
    }

    async fn by_replica<'a, T>(
        &'a self,
        position: Position,
        ask: &impl Fn(&'a PostgresStore) -> Answer<'a, T>,
    ) -> Result<T, Fallback> {
        let replica = self.choose(position)?;
        let _use = replica.enter();
        match timeout(self.timeout, ask(&replica.store)).await {
            Ok(Ok(answer)) => {
                self.metrics.replica_reads.get_or_create(&[("source", "replica")]).inc();
                return Ok(answer);
            }
            // Other errors are of this read alone: it stood in the way of what was replayed, or a migration is still to come.
            Ok(Err(error)) if !is_outage(&error) => {
                tracing::debug!(replica = replica.name, %error, "a replica did not answer a read");
            }
            Ok(Err(_)) | Err(_) => replica.fail(),
        }
        Err(Fallback::Failed)
    }

    /// The least busy replica that can answer.
    fn choose(&self, position: Position) -> Result<&Replica, Fallback> {
        let (count, start) = (self.replicas.len(), self.turn.fetch_add(1, Ordering::Relaxed));
        let (mut best, mut why) = (None::<&Replica>, Fallback::None);
        for offset in 0..count {
            let replica = &self.replicas[start.wrapping_add(offset) % count];
            match replica.fit_for(position) {
                Ok(()) if best.is_none_or(|best| replica.busy() < best.busy()) => best = Some(replica),
                Ok(()) => {}
                Err(reason) => why = why.max(reason),
            }
        }
        best.ok_or(why)
    }
}

/// Does something without an end until it is time to stop.
async fn until_stop(task: impl Future<Output = ()>, mut stop: Stop) {
    tokio::select! {
        () = task => {}
        () = stop.wait() => {}
    }
}

/// Whether somebody else may have the answer.
fn is_outage(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_) | StoreError::TimedOut | StoreError::Busy)
}

#[async_trait]
impl Store for Replicated {
    fn kind(&self) -> &'static str {
        self.shared.primary.kind()
    }

    async fn products(&self, category: Option<&Category>, window: Window) -> Result<Rows<Product>> {
        self.shared.read(self.kept(), |store| store.products(category, window)).await
    }

    async fn products_by_id(&self, ids: &[ProductId]) -> Result<Vec<Product>> {
        self.shared.read(self.kept(), |store| store.products_by_id(ids)).await
    }

    async fn orders(&self, status: Option<OrderStatus>, window: Window) -> Result<Rows<Order>> {
        self.shared.read(self.own(), |store| store.orders(status, window)).await
    }

    async fn orders_by_id(&self, ids: &[OrderId]) -> Result<Vec<Order>> {
        self.shared.read(self.own(), |store| store.orders_by_id(ids)).await
    }

    async fn customers(&self, window: Window) -> Result<Rows<Customer>> {
        self.shared.read(self.own(), |store| store.customers(window)).await
    }

    async fn customers_by_id(&self, ids: &[CustomerId]) -> Result<Vec<Customer>> {
        self.shared.read(self.own(), |store| store.customers_by_id(ids)).await
    }

    async fn create_customer(&self, draft: &CustomerDraft) -> Result<Customer> {
        self.wrote(self.shared.primary.create_customer(draft).await)
    }

    async fn replace_customer(&self, id: CustomerId, draft: &CustomerDraft) -> Result<Option<Customer>> {
        self.wrote(self.shared.primary.replace_customer(id, draft).await)
    }

    async fn delete_customer(&self, id: CustomerId) -> Result<bool> {
        self.wrote(self.shared.primary.delete_customer(id).await)
    }

    async fn place_order(&self, draft: &OrderDraft, key: Option<(&IdempotencyKey, Fingerprint)>) -> Result<Placed> {
        self.wrote(self.shared.primary.place_order(draft, key).await)
    }

    async fn stats(&self) -> Result<Stats> {
        self.shared.read(self.kept(), |store| store.stats()).await
    }

    /// Asks the primary: without it there are no writes.
    async fn ping(&self) -> Result<()> {
        self.shared.primary.ping().await
    }

    fn pool(&self) -> PoolUse {
        self.shared.primary.pool()
    }

    fn pools(&self) -> Vec<(&'static str, PoolUse)> {
        let replicas = self.shared.replicas.iter().map(|replica| replica.store.pool());
        let all = replicas.reduce(|all, one| PoolUse {
            open: all.open + one.open,
            idle: all.idle + one.idle,
            max: all.max + one.max,
        });
        let mut pools = self.shared.primary.pools();
        pools.extend(all.map(|all| (REPLICA, all)));
        pools
    }

    fn after(&self, position: Position) -> Option<SharedStore> {
        self.shared.floor.claim(position, self.shared.ring().latest());
        Some(Arc::new(Self { shared: Arc::clone(&self.shared), position: self.position.max(position) }))
    }

    async fn position(&self) -> Option<Position> {
        let written = self.shared.floor.written();
        let Ok(Ok(position)) = timeout(self.shared.timeout, self.shared.primary.log_position()).await else {
            return Some(Position::PRIMARY);
        };
        self.shared.floor.cover(written, position);
        Some(position)
    }

    fn learn(&self, position: Position) {
        match position {
            Position::PRIMARY => self.shared.floor.wrote(),
            position => self.shared.floor.raise(position),
        }
    }

    fn replicas(&self) -> Vec<ReplicaState> {
        let state = |replica: &Replica| {
            let seen = replica.seen();
            ReplicaState {
                state: seen.unfit.map_or(ReplicaState::READY, Fallback::word),
                lag: seen.lag,
                latency: seen.latency,
                pool: replica.store.pool(),
            }
        };
        self.shared.replicas.iter().map(state).collect()
    }

    async fn close(&self) {
        self.shared.primary.close().await;
        for replica in &self.shared.replicas {
            replica.store.close().await;
        }
    }
}
