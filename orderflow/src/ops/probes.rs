//! Probes: whether the process lives, whether it can do its work, and how each thing that it depends on is doing. None of
//! them writes, and none is refused under load.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    http::{App, Caching, Representation},
    jobs::broker::Broker,
    redis::Redis,
    store::{PoolUse, ReplicaState, SharedStore},
};

/// How long a dependency may take to answer a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// How old an answer of a dependency may be that a probe is told.
const FRESH: Duration = Duration::from_millis(100);

/// Whether the service can do its work.
pub struct Health {
    store: SharedStore,
    redis: Option<Redis>,
    broker: OnceLock<Broker>,
    draining: AtomicBool,
    started: Instant,
    database: Mutex<Option<Asked>>,
    redis_asked: Mutex<Option<Asked>>,
}

/// What a dependency said to a probe.
#[derive(Clone, Copy)]
struct Asked {
    at: Instant,
    ok: bool,
    latency_ms: f64,
}

/// How a dependency is doing that the service can do without.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Lesser {
    /// Whether it answered.
    pub ok: bool,
    /// Whether the service can do nothing without it: it can.
    pub critical: bool,
    /// How long it took to answer, in milliseconds.
    pub latency_ms: f64,
}

/// How the broker is doing. It is not asked: its connections know, and notice a broker that is frozen within seconds.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BrokerCheck {
    /// Whether messages can be given to it and come from it.
    pub ok: bool,
    /// Whether the service can do nothing without it: it can, and notifications wait.
    pub critical: bool,
}

/// How one dependency is doing.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Check {
    /// Whether it answered.
    pub ok: bool,
    /// What it is.
    pub kind: &'static str,
    /// Whether the service can do nothing without it.
    pub critical: bool,
    /// How long it took to answer, in milliseconds.
    pub latency_ms: f64,
    /// Connections to it that are open.
    pub connections_open: u32,
    /// Those of them that wait for work.
    pub connections_idle: u32,
    /// The most that may be open.
    pub connections_max: u32,
}

/// How a replica of the database is doing.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ReplicaCheck {
    /// Whether reads go to it.
    pub ok: bool,
    /// `ready`, or why reads go elsewhere: `failed`, `lagging`, `promoted`, or `none` where it was not looked at yet.
    #[schema(value_type = String)]
    pub state: &'static str,
    /// Whether the service can do nothing without it: it can.
    pub critical: bool,
    /// How far it is behind, in milliseconds; null if that is not known.
    pub lag_ms: Option<f64>,
    /// How long it took to answer when it was last looked at, in milliseconds.
    pub latency_ms: f64,
    /// Connections to it that are open for reads.
    pub connections_open: u32,
    /// Those of them that wait for work.
    pub connections_idle: u32,
    /// The most that may be open.
    pub connections_max: u32,
}

impl From<ReplicaState> for ReplicaCheck {
    fn from(ReplicaState { state, lag, latency, pool }: ReplicaState) -> Self {
        Self {
            ok: state == ReplicaState::READY,
            state,
            critical: false,
            lag_ms: lag.map(milliseconds),
            latency_ms: milliseconds(latency),
            connections_open: pool.open,
            connections_idle: pool.idle,
            connections_max: pool.max,
        }
    }
}

/// To the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// How the service is doing.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Report {
    /// Whether it can do its work.
    pub ready: bool,
    /// Whether it is shutting down.
    pub draining: bool,
    /// The version that runs.
    pub version: &'static str,
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// The database.
    pub database: Check,
    /// Its replicas, in the sequence of `replicas.urls`; not there where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub replicas: Vec<ReplicaCheck>,
    /// The Redis server, where one is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub redis: Option<Lesser>,
    /// The broker, where one is configured and this process sends notifications.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub broker: Option<BrokerCheck>,
}

/// An answer to the two short probes.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Status {
    /// `ok`, or what is wrong.
    #[schema(value_type = String)]
    pub status: &'static str,
}

impl Health {
    /// Of a service on this store and this Redis server, that starts now.
    pub fn new(store: SharedStore, redis: Option<Redis>) -> Self {
        Self {
            store,
            redis,
            broker: OnceLock::new(),
            draining: AtomicBool::new(false),
            started: Instant::now(),
            database: Mutex::default(),
            redis_asked: Mutex::default(),
        }
    }

    /// From now on this broker is shown too, if there is one. A process has one for as long as it runs.
    pub fn show_broker(&self, broker: Option<Broker>) {
        if let Some(broker) = broker {
            let _ = self.broker.set(broker);
        }
    }

    /// From now on the service is not ready, so that nobody sends it anything new.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether a shutdown has begun.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Asks everything that the service depends on.
    pub async fn report(&self) -> Report {
        let redis = async {
            let redis = self.redis.as_ref()?;
            let Asked { ok, latency_ms, .. } = asked(&self.redis_asked, async || redis.ping().await.is_ok()).await;
            Some(Lesser { ok, critical: false, latency_ms })
        };
        let database = asked(&self.database, async || self.store.ping().await.is_ok());
        let (Asked { ok, latency_ms, .. }, redis) = tokio::join!(database, redis);
        let PoolUse { open, idle, max } = self.store.pool();
        let database = Check {
            ok,
            kind: self.store.kind(),
            critical: true,
            latency_ms,
            connections_open: open,
            connections_idle: idle,
            connections_max: max,
        };
        let draining = self.is_draining();
        Report {
            ready: database.ok && !draining,
            draining,
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: self.started.elapsed().as_secs(),
            database,
            replicas: self.store.replicas().into_iter().map(ReplicaCheck::from).collect(),
            redis,
            broker: self.broker.get().map(|broker| BrokerCheck { ok: broker.is_connected(), critical: false }),
        }
    }
}

/// What a dependency says, and how long that took. Probes are not refused, so that however many there are must not become
/// its load: those that come together share an answer.
async fn asked(last: &Mutex<Option<Asked>>, ask: impl AsyncFnOnce() -> bool) -> Asked {
    let mut last = last.lock().await;
    if let Some(asked) = *last
        && asked.at.elapsed() < FRESH
    {
        return asked;
    }
    let began = Instant::now();
    let ok = matches!(tokio::time::timeout(PROBE_TIMEOUT, ask()).await, Ok(true));
    let latency_ms = (began.elapsed().as_secs_f64() * 1e6).round() / 1e3;
    *last.insert(Asked { at: Instant::now(), ok, latency_ms })
}

fn answer(ok: bool, body: &impl Serialize) -> Response {
    let mut response = Representation::json(body).answer(&HeaderMap::new(), Caching::Never);
    *response.status_mut() = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    response
}

/// How the service and everything that it depends on is doing.
#[utoipa::path(
    get, path = "/healthz", operation_id = "check_health", tag = "service",
    responses(
        (status = 200, description = "The service can do its work.", body = Report),
        (status = 503, description = "It cannot, or it is shutting down.", body = Report),
    ),
)]
async fn full(State(app): State<App>) -> Response {
    let report = app.health.report().await;
    answer(report.ready, &report)
}

/// Whether requests should be sent here: everything critical answers and no shutdown has begun.
#[utoipa::path(
    get, path = "/healthz/ready", operation_id = "check_ready", tag = "service",
    responses(
        (status = 200, description = "Send requests.", body = Status),
        (status = 503, description = "Send none for now.", body = Status),
    ),
)]
async fn ready(State(app): State<App>) -> Response {
    let report = app.health.report().await;
    let status = match (report.draining, report.database.ok) {
        (true, _) => "shutting down",
        (false, false) => "the database does not answer",
        (false, true) => "ok",
    };
    answer(report.ready, &Status { status })
}

/// Whether the process is alive. Never fails for something that a restart would not mend.
#[utoipa::path(
    get, path = "/healthz/live", operation_id = "check_live", tag = "service",
    responses((status = 200, description = "It is.", body = Status)),
)]
async fn live() -> Response {
    answer(true, &Status { status: "ok" })
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(full)).routes(routes!(ready)).routes(routes!(live))
}
