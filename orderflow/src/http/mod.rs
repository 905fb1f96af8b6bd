//! The public API: a router a resource, and what they share.

pub(crate) mod caller;
mod customers;
mod docs;
pub mod edge;
pub(crate) mod extract;
mod limits;
mod orders;
mod position;
mod problem;
mod products;
mod representation;
pub mod route;
mod seen;
mod stats;
pub mod stream;
pub(crate) mod weigh;

use std::sync::Arc;

use axum::Router;
use utoipa::{
    OpenApi,
    openapi::{
        OpenApi as Description,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

pub(crate) use extract::Query;
pub use problem::{FieldError, Kind, Problem};
pub use representation::{Caching, Representation};

use crate::{
    auth::Keys,
    cache::Cache,
    coalesce::Coalescer,
    config::Config,
    domain::{Cursor, Customer, CustomerId, Order, OrderId, Product, ProductId},
    events::{Events, SharedFeed, Silence},
    jobs::Wake,
    metrics::Metrics,
    ops::Health,
    redis::Redis,
    store::{Position, Rows, SharedStore},
    telemetry::{Recent, Spans, Telemetry},
};

/// What every handler works with.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of an [`App`].
pub struct Parts {
    /// The configuration.
    pub config: Arc<Config>,
    /// Where orders are kept.
    pub store: SharedStore,
    /// What is kept of answers.
    pub cache: Cache,
    /// Who may write.
    pub keys: Keys,
    /// Whether the service can do its work.
    pub health: Health,
    /// What the process counts.
    pub metrics: Metrics,
    /// What the process keeps of traces and statements.
    pub recent: Recent,
    /// Where the spans of requests go.
    pub spans: Spans,
    /// What is told about orders as they happen.
    pub events: Events,
    /// Who is told that an order was placed.
    pub wake: Wake,
    /// Whether it matters which copy of the database is read.
    replicated: bool,
    /// What it shares with other instances, where it does.
    pub redis: Option<Redis>,
    products: Coalescer<ProductId, Product>,
    orders: Coalescer<OrderId, Order>,
    customers: Coalescer<CustomerId, Customer>,
}

/// What an application shares with others: other instances, and the rest of its process. The default is one that is alone.
pub struct Shared {
    /// What the process counts and keeps.
    pub telemetry: Telemetry,
    /// Where events are read.
    pub feed: SharedFeed,
    /// Who works in the same process.
    pub wake: Wake,
    /// A Redis server.
    pub redis: Option<Redis>,
}

impl Default for Shared {
    fn default() -> Self {
        Self { telemetry: Telemetry::default(), feed: Arc::new(Silence), wake: Wake::default(), redis: None }
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// An application on this store.
    pub fn new(config: Arc<Config>, store: SharedStore, keys: Keys, shared: Shared) -> Self {
        let together = config.database.coalesce_reads;
        let spans = shared.telemetry.spans();
        let Telemetry { metrics, recent, .. } = shared.telemetry;
        let replicated = store.after(Position::START).is_some();
        let at = |store: &SharedStore, position| store.after(position).unwrap_or_else(|| Arc::clone(store));
        let (products, orders, customers) = (Arc::clone(&store), Arc::clone(&store), Arc::clone(&store));
        Self(Arc::new(Parts {
            cache: Cache::new(&config.cache, shared.redis.clone(), &metrics),
            keys,
            health: Health::new(Arc::clone(&store), shared.redis.clone()),
            events: Events::new(config.events.clone(), shared.feed, metrics.clone()),
            recent,
            spans,
            wake: shared.wake,
            redis: shared.redis,
            replicated,
            products: Coalescer::new(
                "products",
                &metrics,
                together,
                |product: &Product| product.id,
                move |ids: Vec<ProductId>, position| {
                    let store = at(&products, position);
                    async move { store.products_by_id(&ids).await }
                },
            ),
            orders: Coalescer::new(
                "orders",
                &metrics,
                together,
                |order: &Order| order.id,
                move |ids: Vec<OrderId>, position| {
                    let store = at(&orders, position);
                    async move { store.orders_by_id(&ids).await }
                },
            ),
            customers: Coalescer::new(
                "customers",
                &metrics,
                together,
                |customer: &Customer| customer.id,
                move |ids: Vec<CustomerId>, position| {
                    let store = at(&customers, position);
                    async move { store.customers_by_id(&ids).await }
                },
            ),
            store,
            metrics,
            config,
        }))
    }
}

/// Part of a list, as it is sent.
#[derive(serde::Serialize, utoipa::ToSchema)]
struct Page<T> {
    /// The rows, at most `limit` of them.
    items: Vec<T>,
    /// What to ask for with `cursor` to get the rows after these; null after the last.
    #[schema(max_length = 12)]
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    fn of(rows: Rows<T>, id: impl Fn(&T) -> i64) -> Self {
        let last = rows.rows.last().filter(|_| rows.more);
        Self { next_cursor: last.map(|row| Cursor::after(id(row)).encode()), items: rows.rows }
    }
}

/// The description of the API, as code gives it.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "OrderFlow",
        description = "Products, customers and orders. Amounts are whole cents, moments are UTC, identifiers are 64-bit. \
            Whatever fails is answered by a problem document (RFC 9457).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(problem::Document<'static>)),
    tags(
        (name = "products", description = "What can be ordered."),
        (name = "orders", description = "What was ordered."),
        (name = "customers", description = "Who orders."),
        (name = "service", description = "The service itself."),
    ),
)]
struct Described;

fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Described::openapi())
        .merge(products::routes())
        .merge(orders::routes())
        .merge(stream::routes())
        .merge(customers::routes())
        .merge(stats::routes())
        .merge(crate::ops::routes())
        .merge(docs::routes())
}

/// The description of the public API.
pub fn openapi() -> Description {
    let mut description = routes().into_openapi();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API key.")).build();
    description.components.get_or_insert_default().add_security_scheme("api_key", SecurityScheme::Http(bearer));
    description.extensions = Some(problem::described_kinds());
    description
}

/// The public API on this application.
pub fn router(app: App) -> Router {
    let (router, _) = routes().split_for_parts();
    router.method_not_allowed_fallback(method_not_allowed).fallback(not_found).with_state(app)
}

async fn not_found() -> Problem {
    Problem::new(Kind::NotFound).detail("No route has this path. The routes are listed at /docs.")
}

async fn method_not_allowed() -> Problem {
    Problem::new(Kind::MethodNotAllowed)
}
