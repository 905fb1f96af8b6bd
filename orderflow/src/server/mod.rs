//! The service from its first listener to its last connection: bind, open the store, serve, drain.

mod beside;
mod connection;
mod listener;

use std::{future::Future, io::Write, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use hyper::{Request, body::Incoming};
use hyper_util::service::TowerToHyperService;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
};
use tower::ServiceExt;

pub use beside::{Bench, work};

use crate::{
    auth::{self, Keys, NewKey},
    background::Background,
    config::{Config, InProcess},
    events::{self, Announcer},
    http::{
        self, App, Shared,
        edge::{Connection, Edge},
    },
    jobs,
    ops::{self, Peer},
    redis::Redis,
    scheduler,
    store::{
        self, Backend, SharedStore,
        replicas::Replicated,
        seed::{Plan, SeedError, seed},
    },
    telemetry::Telemetry,
};
use listener::{Limits, Phase, Served};

/// Connections to the operators' listener that are open at once.
const MAX_OPS_CONNECTIONS: usize = 64;
/// How many connections wait in the kernel's queue of a listener, if the system allows as many. Of those beyond, the kernel
/// drops the first packet, and the client tries again a second later. The usual 128 is less than a burst.
const QUEUE: u32 = 4096;
/// How long background tasks may take to end, after the last request has.
const BACKGROUND: Duration = Duration::from_secs(5);
/// How long mails that a worker has begun may take of that.
const FINISH: Duration = Duration::from_secs(3);
/// How often clients that were not seen for a while are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(30);

/// A service that answers.
pub struct Running {
    /// Where the public API is.
    pub public: SocketAddr,
    /// Where operators look.
    pub ops: SocketAddr,
    /// The key that was generated, if the service has made one of its own just now.
    pub new_key: Option<NewKey>,
    /// How many orders the embedded database was filled with, if it was empty.
    pub seeded: Option<u64>,
    app: App,
    phase: watch::Sender<Phase>,
    served: [Served; 2],
    housekeeping: tokio::task::JoinHandle<()>,
    background: Background,
}

/// Serves until `shutdown` is ready, then drains.
///
/// # Errors
/// If an address is taken or the store cannot be opened. Then nothing was changed.
pub async fn run(config: Config, telemetry: Telemetry, shutdown: impl Future<Output = ()> + Send) -> Result<()> {
    let running = start_seen(config, telemetry).await?;
    running.announce();
    shutdown.await;
    running.stop().await;
    Ok(())
}

/// Binds both listeners, opens the store and begins to serve.
///
/// # Errors
/// If an address is taken or the store cannot be opened. Then nothing was changed: the listeners come first, since a
/// service that nobody can reach has no business with the data.
pub async fn start(config: Config) -> Result<Running> {
    start_seen(config, Telemetry::default()).await
}

/// The same, counted and kept there.
///
/// # Errors
/// As [`start`] does.
pub async fn start_seen(config: Config, telemetry: Telemetry) -> Result<Running> {
    let public_listener = bind("http.listen", config.http.listen)?;
    let ops_listener = bind("ops.listen", config.ops.listen)?;
    let (public, operators) = (public_listener.local_addr()?, ops_listener.local_addr()?);
    let config = Arc::new(config);
    let (backend, seeded) = open(&config).await?;
    let (keys, new_key) = keys(&config)?;
    let redis = Redis::connect(&config.redis, telemetry.metrics.clone());
    let shared = Shared { telemetry, feed: backend.feed(), redis, ..Shared::default() };
    backend.count_in(&shared.telemetry);
    let announcer = Announcer::of(&config, shared.redis.as_ref());
    let mut background = Background::default();
    let store = with_replicas(&backend, &config, &shared, &mut background)?;
    let app = App::new(Arc::clone(&config), store, keys, shared);
    background.spawn(|stop| {
        let app = app.clone();
        async move { app.cache.follow(stop).await }
    });
    background.spawn(|stop| ops::watch_delay(app.metrics.clone(), stop));
    background.spawn(|stop| app.events.clone().run(stop));
    background.spawn(|stop| events::announce(app.events.clone(), announcer, stop));
    if in_process(&config) {
        let broker = jobs::start(&config, backend.jobs(), &app.metrics, &app.wake, FINISH, &mut background)?;
        app.health.show_broker(broker);
        scheduler::begin(&config, &backend, &app.metrics, &mut background)?;
    }

    let edge = Edge::new(http::router(app.clone()), app.clone());
    let (phase, phases) = watch::channel(Phase::Serving);
    let limits = Limits { connections: config.http.max_connections, head: config.http.idle_timeout };
    let public_served = {
        let edge = edge.clone();
        let open = app.metrics.active_connections.get_or_create_owned(&[("listener", "public")]);
        listener::serve(public_listener, limits, open, phases.clone(), move |peer, streaming| Connection {
            edge: edge.clone(),
            peer: peer.ip(),
            streaming,
        })
    };
    let ops_served = show_operators(ops_listener, &app, phases);
    let housekeeping = tokio::spawn(async move {
        let mut tick = tokio::time::interval(FORGET_EVERY);
        loop {
            tick.tick().await;
            edge.forget_idle_clients();
        }
    });
    Ok(Running {
        public,
        ops: operators,
        new_key,
        seeded,
        app,
        phase,
        served: [public_served, ops_served],
        housekeeping,
        background,
    })
}

impl Running {
    /// Tells the person who started the service where it is. Who has stopped listening misses it, and the service runs on.
    fn announce(&self) {
        let Self { public, ops, .. } = self;
        let mut text = format!("OrderFlow  http://{public}/api/products   API: http://{public}/docs\n");
        text += &format!("operators  http://{ops}/console\n");
        text += &format!("database   {}\n", self.app.config.database_shown());
        if let Some(orders) = self.seeded {
            text += &format!("           filled with {orders} orders to try things on\n");
        }
        if let Some(key) = &self.new_key {
            text += &format!("API key    {}   (for writing; shown only this once)\n", key.plain());
        }
        let _ = std::io::stdout().write_all(text.as_bytes());
    }

    /// Ends without losing a request that was accepted.
    ///
    /// First the probe for readiness fails and every answer closes its connection, while new connections are still taken: a
    /// balancer needs a moment to notice. Streams of events end at once, so that their clients go elsewhere. Then the listeners close, and what is under way has the configured time to end.
    pub async fn stop(self) {
        let config = &self.app.config.http;
        tracing::info!("draining");
        self.app.health.drain();
        self.app.events.end_streams();
        let [public, operators] = self.served;
        tokio::time::sleep(config.drain_notice).await;
        let _ = self.phase.send(Phase::Closing);
        let ended = async { tokio::join!(public.ended(), operators.ended()) };
        if tokio::time::timeout(config.drain_timeout, ended).await.is_err() {
            tracing::warn!(after = ?config.drain_timeout, "some requests did not end in time");
        }
        self.housekeeping.abort();
        if !self.background.end(BACKGROUND).await {
            tracing::warn!(after = ?BACKGROUND, "some background tasks did not end in time");
        }
        self.app.store.close().await;
        tracing::info!("ended");
    }
}

/// Serves the operators' routes.
fn show_operators(listener: TcpListener, app: &App, phases: watch::Receiver<Phase>) -> Served {
    let limits = Limits { connections: MAX_OPS_CONNECTIONS, head: app.config.http.idle_timeout };
    let router = ops::router(app.clone());
    let open = app.metrics.active_connections.get_or_create_owned(&[("listener", "ops")]);
    listener::serve(listener, limits, open, phases, move |peer, _| {
        let peer = Peer(peer.ip());
        TowerToHyperService::new(router.clone().map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            request
        }))
    })
}

fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // As Unix servers do: those who just left do not keep the port from the next one.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(QUEUE)
    };
    listen().with_context(|| {
        format!("cannot listen on {address}: end what is listening there, or choose another address by {setting}")
    })
}

/// The store that the configuration names, with the schema that this program needs. The embedded one is filled if it is
/// empty; then the number of orders comes with it.
async fn open(config: &Config) -> Result<(Backend, Option<u64>)> {
    let (database, data_dir) = (&config.database, config.data_dir.as_path());
    store::migrate(database, data_dir).await?;
    let mut seeded = None;
    if config.embedded() && database.seed_orders > 0 {
        let plan = Plan { orders: database.seed_orders };
        seeded = match seed(database, data_dir, plan, &mut |_| {}).await {
            Ok(seeded) => Some(seeded.orders),
            Err(SeedError::NotEmpty) => None,
            Err(error) => return Err(error.into()),
        };
    }
    Ok((Backend::connect(database, data_dir).await?, seeded))
}

/// The store of the service: the database, behind its replicas if it has some.
fn with_replicas(
    backend: &Backend,
    config: &Config,
    shared: &Shared,
    background: &mut Background,
) -> Result<SharedStore> {
    let (Backend::Postgres(primary), false) = (backend, config.replicas.urls.is_empty()) else {
        return Ok(backend.store());
    };
    let (primary, telemetry) = (Arc::clone(primary), shared.telemetry.clone());
    Ok(Arc::new(Replicated::start(primary, &config.database, &config.replicas, telemetry, background)?))
}

/// Whether this process also finds and sends notifications.
fn in_process(config: &Config) -> bool {
    match config.worker.in_process {
        InProcess::On => true,
        InProcess::Off => false,
        InProcess::Auto => config.embedded(),
    }
}

/// The configured keys; where there are none and the database is the embedded one, a key of its own.
fn keys(config: &Config) -> Result<(Keys, Option<NewKey>)> {
    let mut keys = Keys::from_config(&config.auth);
    if !keys.is_empty() {
        return Ok((keys, None));
    }
    if !config.embedded() {
        tracing::warn!("no API key is configured, so every write is refused; `orderflow key` makes one");
        return Ok((keys, None));
    }
    let development = auth::development_key(&config.data_dir)?;
    keys.accept(development.accepted);
    Ok((keys, development.new))
}
