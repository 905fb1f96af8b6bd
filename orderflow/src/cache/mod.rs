//! Answers that are kept: loaded once however many ask, dropped when what they were made from changes, bounded in bytes.
//!
//! They are kept in memory, and where there is a Redis server also there, for all instances. While it is away, an instance
//! gives what it has in memory until that entry's time is over, and loads the rest: then it may give what another instance
//! has changed meanwhile, and never what it has changed itself. An instance that ends between a change and telling of it
//! leaves the old answer to the others, for at most the time that Redis and then memory keep it.

mod shared;
mod stable;
mod tags;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use moka::Expiry;
use prometheus_client::metrics::counter::Counter;
use tracing::{Instrument, Span, field::Empty};

pub use tags::{Tag, Tags};

use crate::{
    background::Stop,
    config,
    domain::{Category, ProductId, Window},
    http::Representation,
    metrics::Metrics,
    redis::Redis,
    step,
    store::StoreError,
    telemetry::Work,
};
use shared::{Found, Shared};

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

impl Key {
    /// What it is called in Redis. Each version of the service has names of its own, since its answers may look different.
    fn shared(&self) -> String {
        format!("{} {self:?}", env!("CARGO_PKG_VERSION"))
    }
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
    /// The second level, where there is one.
    shared: Option<Arc<Shared>>,
    counts: Counts,
}

/// Looked up once: a family takes a lock for each look.
struct Counts {
    memory: Counter,
    redis: Counter,
    misses: Counter,
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
    /// A cache whose first level is empty. The second is used once [`Cache::follow`] runs.
    pub fn new(settings: &config::Cache, redis: Option<Redis>, metrics: &Metrics) -> Self {
        let entries = settings.enabled.then(|| {
            moka::future::Cache::builder()
                .max_capacity(settings.max_bytes)
                .weigher(weight)
                .expire_after(ByEntry)
                .build()
        });
        let hits = |level| metrics.cache_hits.get_or_create_owned(&[("level", level)]);
        Self {
            entries,
            tags: Tags::default(),
            ttl: settings.ttl,
            stats_ttl: settings.stats_ttl,
            shared: redis.filter(|_| settings.enabled).map(|redis| Arc::new(Shared::new(redis, settings))),
            counts: Counts { memory: hits("memory"), redis: hits("redis"), misses: metrics.cache_misses.clone() },
        }
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
            self.counts.memory.inc();
            let _ = Work::with(Work::found_in_memory);
            return entry.lookup;
        }
        let span = step!("cache", cache.hit = Empty, cache.level = Empty);
        self.look(entries, &key, load, &span).instrument(span.clone()).await
    }

    /// The answer where memory has none, with a span that is told where it was found.
    async fn look<F>(
        &self,
        entries: &moka::future::Cache<Key, Entry>,
        key: &Key,
        load: impl Fn() -> F + Send + Sync,
        span: &Span,
    ) -> Lookup
    where
        F: Future<Output = Result<Option<Loaded>, Arc<StoreError>>> + Send,
    {
        let asked = self.tags.now();
        loop {
            // Whether it was this caller who filled the entry, which counts how.
            let filled = AtomicBool::new(false);
            let fill = async {
                filled.store(true, Ordering::Relaxed);
                self.fill(key, &load, span).await
            };
            let entry =
                entries.entry(key.clone()).or_insert_with_if(fill, |entry| !self.holds(entry)).await.into_value();
            // Somebody else's load may have read before a change that this caller knows of. The next one begins after it.
            if entry.loaded >= asked || !self.tags.changed_since(entry.loaded, &entry.places) {
                if !filled.into_inner() {
                    let answered = matches!(entry.lookup, Ok(Some(_)));
                    span.record("cache.hit", answered).record("cache.level", "memory");
                    let count = if answered { &self.counts.memory } else { &self.counts.misses };
                    count.inc();
                }
                return entry.lookup;
            }
        }
    }

    async fn fill<F>(&self, key: &Key, load: impl Fn() -> F, span: &Span) -> Entry
    where
        F: Future<Output = Result<Option<Loaded>, Arc<StoreError>>>,
    {
        let ttl = if *key == Key::Stats { self.stats_ttl } else { self.ttl };
        let mut ticket = None;
        if let Some(shared) = &self.shared {
            let name = key.shared();
            match shared.lookup(&name, &self.tags).await {
                Found::Hit(hit) => {
                    self.counts.redis.inc();
                    span.record("cache.hit", true).record("cache.level", "redis");
                    let lookup = Ok(Some(Arc::new(Representation::of(hit.body))));
                    // What is kept for a while there and then here would be kept for longer than anybody said.
                    let ttl = jittered(ttl).min(hit.left);
                    return Entry { lookup, loaded: hit.asked, places: hit.places, ttl };
                }
                Found::Load(right) => ticket = Some((right, name)),
                Found::Nothing => {}
            }
        }
        self.counts.misses.inc();
        span.record("cache.hit", false);
        let loaded = self.tags.now();
        let (lookup, places) = match load().await {
            Ok(Some(Loaded { representation, tags })) => {
                let places: Arc<[u32]> = tags.into_iter().map(Tag::place).collect();
                if let (Some((ticket, name)), Some(shared)) = (ticket, &self.shared) {
                    let ttl = if *key == Key::Stats { self.stats_ttl } else { shared.ttl() };
                    ticket.store(&name, representation.body(), &places, jittered(ttl));
                }
                (Ok(Some(Arc::new(representation))), places)
            }
            Ok(None) => (Ok(None), Arc::default()),
            Err(error) => (Err(error), Arc::default()),
        };
        let ttl = if matches!(lookup, Ok(Some(_))) { jittered(ttl) } else { Duration::ZERO };
        Entry { lookup, loaded, places, ttl }
    }

    /// Says that what these tags name has changed, so that no answer made from it is given again: not here, once this
    /// returns or is abandoned, and not by other instances, once they are told. If Redis cannot tell them in time, they are
    /// told as soon as it can.
    // ANCHOR: invalidate
    pub async fn invalidate(&self, tags: impl IntoIterator<Item = Tag>) {
        let places: Vec<_> = tags.into_iter().map(Tag::place).collect();
        // Last, so that nobody brings back from Redis what was true before it was told.
        let changed = Changed { tags: &self.tags, places: &places };
        if let Some(shared) = &self.shared {
            shared.invalidate(&places).await;
        }
        drop(changed);
    }
    // ANCHOR_END: invalidate

    /// Keeps the second level usable, and hears what other instances have changed, until it is time to stop.
    pub async fn follow(&self, mut stop: Stop) {
        let Some(shared) = &self.shared else { return };
        tokio::select! {
            () = stop.wait() => {}
            () = shared.stay_joined() => {}
            () = shared.listen(&self.tags) => {}
        }
    }

    /// Counts what is kept in memory, which otherwise is done now and then when something is looked up.
    pub async fn take_stock(&self) {
        if let Some(entries) = &self.entries {
            entries.run_pending_tasks().await;
        }
    }

    /// How many answers are kept in memory, and how many bytes they take, as they were counted last.
    pub fn size(&self) -> (u64, u64) {
        self.entries.as_ref().map_or((0, 0), |entries| (entries.entry_count(), entries.weighted_size()))
    }

    fn holds(&self, entry: &Entry) -> bool {
        matches!(entry.lookup, Ok(Some(_))) && !self.tags.changed_since(entry.loaded, &entry.places)
    }
}

/// Marks a change in memory when it is dropped, however that comes.
struct Changed<'a> {
    tags: &'a Tags,
    places: &'a [u32],
}

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        self.tags.change(self.places.iter().copied());
    }
}

/// A tenth more or less, so that entries that were loaded together do not end together.
fn jittered(ttl: Duration) -> Duration {
    ttl.mul_f64(0.9 + 0.2 * fastrand::f64())
}
