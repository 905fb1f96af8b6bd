//! Caches of several instances without the instances: what they load from is a value a product, and the test's.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use orderflow::{
    background::Background,
    cache::{Cache, Key, Loaded, Tag},
    domain::ProductId,
    http::Representation,
    metrics::Metrics,
    redis::Redis,
    store::StoreError,
};
use tokio::sync::Semaphore;

use crate::{shop::config, waiting::until};

/// What all caches load from.
pub(crate) struct Source {
    values: Vec<AtomicU64>,
    loads: AtomicUsize,
    /// A load has read, and ends when it is given one of these.
    gate: Option<Semaphore>,
    /// How many bytes an answer has beside its value.
    pub(crate) padding: usize,
}

impl Source {
    pub(crate) fn new() -> Self {
        let values = std::iter::repeat_with(AtomicU64::default).take(100).collect();
        Self { values, loads: AtomicUsize::new(0), gate: None, padding: 0 }
    }

    pub(crate) fn gated() -> Self {
        Self { gate: Some(Semaphore::new(0)), ..Self::new() }
    }

    pub(crate) fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    /// Lets so many loads end.
    pub(crate) fn let_end(&self, loads: usize) {
        self.gate.as_ref().unwrap().add_permits(loads);
    }

    /// Waits until so many loads were begun.
    pub(crate) async fn loading(&self, loads: usize) {
        until("loads were begun", async || self.loads() >= loads).await;
    }

    async fn load(&self, product: ProductId) -> Result<Option<Loaded>, Arc<StoreError>> {
        let value = self.values[product.get() as usize].load(Ordering::SeqCst);
        self.loads.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        let body = (value, "x".repeat(self.padding));
        // There is no product 99.
        let found = product.get() != 99;
        Ok(found.then(|| Loaded { representation: Representation::json(&body), tags: vec![Tag::Product(product)] }))
    }
}

/// The cache of one instance.
pub(crate) struct Node {
    cache: Arc<Cache>,
    metrics: Metrics,
    _background: Background,
}

fn id(product: i64) -> ProductId {
    product.try_into().unwrap()
}

impl Node {
    /// A cache on this server, or on none where the address is empty.
    pub(crate) async fn start(url: &str, settings: &[(&str, &str)]) -> Self {
        let settings: Vec<_> = settings.iter().copied().chain([("redis.url", url)]).collect();
        let config = config(&std::env::temp_dir(), &settings);
        let metrics = Metrics::default();
        let redis = Redis::connect(&config.redis, metrics.clone());
        let cache = Arc::new(Cache::new(&config.cache, redis, &metrics));
        let mut background = Background::default();
        background.spawn(|stop| {
            let cache = Arc::clone(&cache);
            async move { cache.follow(stop).await }
        });
        let node = Self { cache, metrics, _background: background };
        if !url.is_empty() {
            until("the cache uses Redis", async || node.count("join", "ok") > 0 && node.count("subscribe", "ok") > 0)
                .await;
        }
        node
    }

    /// How often an operation ended so.
    pub(crate) fn count(&self, operation: &'static str, outcome: &'static str) -> u64 {
        self.metrics.redis_operations.get_or_create(&[("operation", operation), ("outcome", outcome)]).get()
    }

    /// The value of a product, as far as this cache knows.
    pub(crate) async fn get(&self, source: &Source, product: i64) -> Option<u64> {
        let found = self.cache.get(Key::Product(id(product)), || source.load(id(product))).await.unwrap()?;
        let (value, _): (u64, String) = serde_json::from_slice(found.body()).unwrap();
        Some(value)
    }

    /// Changes a product, and tells. Gives its value, which is one more.
    pub(crate) async fn change(&self, source: &Source, product: i64) -> u64 {
        let value = source.values[product as usize].fetch_add(1, Ordering::SeqCst) + 1;
        self.cache.invalidate([Tag::Product(id(product))]).await;
        value
    }
}

/// Short enough to be waited for.
pub(crate) const A_MOMENT: Duration = Duration::from_millis(20);
