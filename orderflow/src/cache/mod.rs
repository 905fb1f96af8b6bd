//! Answers that are kept in memory: loaded once however many ask, dropped when what they were made from changes, bounded in
//! bytes.

mod tags;

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use moka::Expiry;

pub use tags::{Tag, Tags};

use crate::{
    config,
    domain::{Category, ProductId, Window},
    http::Representation,
    store::StoreError,
};

/// What an answer is kept under.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// One product.
    Product(ProductId),
    /// A page of products.
    Products(Option<Category>, Window),
    /// The totals.
    Stats,
}

/// A loaded answer.
pub struct Loaded {
    /// What is sent.
    pub representation: Representation,
    /// What it was made from.
    pub tags: Vec<Tag>,
}

/// What a lookup gives: the answer, `None` if there is no such thing, or why it could not be loaded.
pub type Lookup = Result<Option<Arc<Representation>>, Arc<StoreError>>;

#[derive(Clone)]
struct Entry {
    /// Only answers are kept; what is missing or failed is told to those who waited for it, and then forgotten.
    lookup: Lookup,
    loaded: tags::Moment,
    places: Arc<[u32]>,
    ttl: Duration,
}

/// A cache of answers.
pub struct Cache {
    /// `None` where the configuration says that nothing is kept.
    entries: Option<moka::future::Cache<Key, Entry>>,
    tags: Tags,
    ttl: Duration,
    stats_ttl: Duration,
}

struct ByEntry;

impl Expiry<Key, Entry> for ByEntry {
    fn expire_after_create(&self, _: &Key, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.ttl)
    }

    fn expire_after_update(&self, _: &Key, entry: &Entry, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(entry.ttl)
    }
}

/// What an entry takes beside its answer: its key, its places and moka's own records, as measured.
const ENTRY_BYTES: usize = 400;

fn weight(_: &Key, entry: &Entry) -> u32 {
    let answer = entry.lookup.as_ref().ok().and_then(Option::as_ref).map_or(0, |answer| answer.weight());
    (ENTRY_BYTES + entry.places.len() * size_of::<u32>() + answer).try_into().unwrap_or(u32::MAX)
}

impl Cache {
    /// An empty cache.
    pub fn new(settings: &config::Cache) -> Self {
        let entries = settings.enabled.then(|| {
            moka::future::Cache::builder()
                .max_capacity(settings.max_bytes)
                .weigher(weight)
                .expire_after(ByEntry)
                .build()
        });
        Self { entries, tags: Tags::default(), ttl: settings.ttl, stats_ttl: settings.stats_ttl }
    }

    /// The answer under this key, loaded if it is not there or no longer true. However many ask at once, one of them loads;
    /// if it is cancelled, another takes over. What is given was true when it was asked for, or later.
    ///
    /// # Errors
    /// What loading failed with. It is not kept: the next caller tries again.
    pub async fn get<F>(&self, key: Key, load: impl Fn() -> F + Send + Sync) -> Lookup
    where
        F: Future<Output = Result<Option<Loaded>, Arc<StoreError>>> + Send,
    {
        let Some(entries) = &self.entries else {
            return load().await.map(|loaded| loaded.map(|loaded| Arc::new(loaded.representation)));
        };
        if let Some(entry) = entries.get(&key).await
            && self.holds(&entry)
        {
            return entry.lookup;
        }
        let asked = self.tags.now();
        loop {
            let fill = self.fill(&key, &load);
            let entry =
                entries.entry(key.clone()).or_insert_with_if(fill, |entry| !self.holds(entry)).await.into_value();
            // Somebody else's load may have read before a change that this caller knows of. The next one begins after it.
            if entry.loaded >= asked || !self.tags.changed_since(entry.loaded, &entry.places) {
                return entry.lookup;
            }
        }
    }

    async fn fill<F>(&self, key: &Key, load: impl Fn() -> F) -> Entry
    where
        F: Future<Output = Result<Option<Loaded>, Arc<StoreError>>>,
    {
        let ttl = jittered(if *key == Key::Stats { self.stats_ttl } else { self.ttl });
        let loaded = self.tags.now();
        let (lookup, places) = match load().await {
            Ok(Some(Loaded { representation, tags })) => {
                (Ok(Some(Arc::new(representation))), tags.into_iter().map(|tag| self.tags.place(tag)).collect())
            }
            Ok(None) => (Ok(None), Arc::default()),
            Err(error) => (Err(error), Arc::default()),
        };
        let ttl = if matches!(lookup, Ok(Some(_))) { ttl } else { Duration::ZERO };
        Entry { lookup, loaded, places, ttl }
    }

    /// Says that what this tag names has changed, so that no answer made from it is given again.
    pub fn invalidate(&self, tag: Tag) {
        self.tags.change(tag);
    }

    fn holds(&self, entry: &Entry) -> bool {
        matches!(entry.lookup, Ok(Some(_))) && !self.tags.changed_since(entry.loaded, &entry.places)
    }
}

/// A tenth more or less, so that entries that were loaded together do not end together.
fn jittered(ttl: Duration) -> Duration {
    ttl.mul_f64(0.9 + 0.2 * fastrand::f64())
}
