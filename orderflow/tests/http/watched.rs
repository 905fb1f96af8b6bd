//! A real store that counts what is asked of it, and fails, panics or waits where a test says so; and the API on top of it,
//! without a network between.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, body::Body, http};
use http_body_util::BodyExt;
use orderflow::{
    auth::Keys,
    domain::{
        Category, Customer, CustomerDraft, CustomerId, Fingerprint, IdempotencyKey, Order, OrderDraft, OrderId,
        OrderStatus, Product, ProductId, Stats, Window,
    },
    http::{App, Shared, edge::Edge, router},
    metrics::Metrics,
    store::{
        self, Placed, PoolUse, Result, Rows, SharedStore, Store, StoreError,
        seed::{Plan, seed},
    },
    telemetry::{Recent, Telemetry},
};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::{client::Answer, service};

/// What befalls the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Fails,
    Panics,
}

/// Which calls go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    All,
    Only(&'static str),
    None,
}

/// A store under observation.
pub(crate) struct Watched {
    store: SharedStore,
    calls: Mutex<HashMap<&'static str, usize>>,
    /// Calls that have their answer and wait to be let go.
    held: AtomicUsize,
    open: watch::Sender<Open>,
    next: Mutex<Option<Trouble>>,
}

impl Watched {
    /// How often this was called.
    pub(crate) fn calls(&self, name: &str) -> usize {
        self.calls.lock().unwrap().get(name).copied().unwrap_or_default()
    }

    /// From now on calls read what they read, and then wait.
    pub(crate) fn hold(&self) {
        self.open.send_replace(Open::None);
    }

    /// Lets everything go on.
    pub(crate) fn release(&self) {
        self.open.send_replace(Open::All);
    }

    /// Lets calls of this name go on.
    pub(crate) fn release_only(&self, name: &'static str) {
        self.open.send_replace(Open::Only(name));
    }

    /// Waits until so many calls wait.
    pub(crate) async fn holds(&self, calls: usize) {
        until("calls wait", || self.held.load(Ordering::SeqCst) == calls).await;
    }

    /// What befalls the next call.
    pub(crate) fn next(&self, trouble: Trouble) {
        *self.next.lock().unwrap() = Some(trouble);
    }

    async fn watch<T>(&self, name: &'static str, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        *self.calls.lock().unwrap().entry(name).or_default() += 1;
        let trouble = self.next.lock().unwrap().take();
        match trouble {
            Some(Trouble::Fails) => return Err(StoreError::Busy),
            Some(Trouble::Panics) => panic!("as the test wants it"),
            None => {}
        }
        let answer = call.await;
        self.held.fetch_add(1, Ordering::SeqCst);
        let _ = self.open.subscribe().wait_for(|open| *open == Open::All || *open == Open::Only(name)).await;
        self.held.fetch_sub(1, Ordering::SeqCst);
        answer
    }
}

#[async_trait::async_trait]
impl Store for Watched {
    fn kind(&self) -> &'static str {
        self.store.kind()
    }

    async fn products(&self, category: Option<&Category>, window: Window) -> Result<Rows<Product>> {
        self.watch("products", self.store.products(category, window)).await
    }

    async fn products_by_id(&self, ids: &[ProductId]) -> Result<Vec<Product>> {
        self.watch("products_by_id", self.store.products_by_id(ids)).await
    }

    async fn orders(&self, status: Option<OrderStatus>, window: Window) -> Result<Rows<Order>> {
        self.watch("orders", self.store.orders(status, window)).await
    }

    async fn orders_by_id(&self, ids: &[OrderId]) -> Result<Vec<Order>> {
        self.watch("orders_by_id", self.store.orders_by_id(ids)).await
    }

    async fn customers(&self, window: Window) -> Result<Rows<Customer>> {
        self.watch("customers", self.store.customers(window)).await
    }

    async fn customers_by_id(&self, ids: &[CustomerId]) -> Result<Vec<Customer>> {
        self.watch("customers_by_id", self.store.customers_by_id(ids)).await
    }

    async fn create_customer(&self, draft: &CustomerDraft) -> Result<Customer> {
        self.watch("create_customer", self.store.create_customer(draft)).await
    }

    async fn replace_customer(&self, id: CustomerId, draft: &CustomerDraft) -> Result<Option<Customer>> {
        self.watch("replace_customer", self.store.replace_customer(id, draft)).await
    }

    async fn delete_customer(&self, id: CustomerId) -> Result<bool> {
        self.watch("delete_customer", self.store.delete_customer(id)).await
    }

    async fn place_order(&self, draft: &OrderDraft, key: Option<(&IdempotencyKey, Fingerprint)>) -> Result<Placed> {
        self.watch("place_order", self.store.place_order(draft, key)).await
    }

    async fn stats(&self) -> Result<Stats> {
        self.watch("stats", self.store.stats()).await
    }

    async fn ping(&self) -> Result<()> {
        self.watch("ping", self.store.ping()).await
    }

    fn pool(&self) -> PoolUse {
        self.store.pool()
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

/// The API on a watched store. Clones share it.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) store: Arc<Watched>,
    pub(crate) metrics: Metrics,
    app: App,
    edge: Edge,
    _dir: Arc<TempDir>,
}

impl Stage {
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let url = format!("sqlite:{}", dir.path().join("shop.db").display());
        let config = Arc::new(service::config(dir.path(), &url, settings));
        store::migrate(&config.database, dir.path()).await.unwrap();
        seed(&config.database, dir.path(), Plan { orders: service::ORDERS as u64 }, &mut |_| {}).await.unwrap();
        let inner = store::connect(&config.database, dir.path()).await.unwrap();
        let watched = Arc::new(Watched {
            store: inner,
            calls: Mutex::default(),
            held: AtomicUsize::new(0),
            open: watch::channel(Open::All).0,
            next: Mutex::default(),
        });
        let keys = Keys::from_config(&config.auth);
        let mut telemetry = Telemetry::default();
        telemetry.recent = Recent::new(config.telemetry.traces_kept, config.telemetry.slow_request);
        let shared = Shared { telemetry, ..Shared::default() };
        let app = App::new(config, Arc::clone(&watched) as SharedStore, keys, shared);
        Self {
            store: watched,
            metrics: app.metrics.clone(),
            edge: Edge::new(router(app.clone()), app.clone()),
            app,
            _dir: Arc::new(dir),
        }
    }

    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// What is kept of traces.
    pub(crate) fn recent(&self) -> &Recent {
        &self.app.recent
    }

    /// The routes, without what is before them.
    pub(crate) fn router(&self) -> Router {
        router(self.app.clone())
    }

    pub(crate) async fn answer(&self, request: http::Request<Body>) -> Answer {
        let response = self.edge.answer(request, IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
        let (parts, body) = response.into_parts();
        let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            (name.as_str().to_owned(), value.to_str().unwrap().to_owned())
        };
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status.as_u16(), headers: parts.headers.iter().map(header).collect(), body }
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.answer(http::Request::get(target).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn order(&self, lines: &[(i64, i64)]) -> Answer {
        let request = http::Request::post("/api/orders")
            .header("authorization", format!("Bearer {}", service::SHOP))
            .header("content-type", "application/json");
        self.answer(request.body(Body::from(service::order(1, lines))).unwrap()).await
    }

    /// A request that goes on by itself.
    pub(crate) fn start_get(&self, target: impl Into<String>) -> tokio::task::JoinHandle<Answer> {
        let (stage, target) = (self.clone(), target.into());
        tokio::spawn(async move { stage.get(&target).await })
    }
}

/// Waits until `is_so` says yes.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed().as_secs() < 60, "waited a minute until {what}");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}
