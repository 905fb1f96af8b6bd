//! PostgreSQL away: stopped, crashed, hanging, and cutting off its connections again and again.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use orderflow_servers::{Postgres, Settings, Stop, needs};
use sqlx::{Connection as _, Executor, PgConnection, query_scalar};

use crate::{
    client::get,
    load::{Load, Sent},
    service::Service,
    shop::Shop,
    waiting::{PATIENCE, until},
};

/// Connections of the service's pool, as the services of these tests are set.
pub(crate) const POOL: u32 = 4;
/// What an answer may take while the database is away: 8 s, the service's own limit of a request, and the machine's part.
const ANSWERED: Duration = Duration::from_secs(20);
/// The goal for being ready again. A machine that is busy beyond reason has more time, and the figure is printed.
const READY: Duration = Duration::from_secs(5);
/// Products that nobody orders, so that nothing drops them from the cache.
const QUIET: std::ops::RangeInclusive<i64> = 41..=48;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_and_started_again_costs_no_order() {
    outage("stopped", |server| server.stop(Stop::Fast).unwrap(), |server| server.start().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_and_recovers_costs_no_order() {
    outage("crashed", |server| server.stop(Stop::Immediate).unwrap(), |server| server.start().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_and_goes_on_costs_no_order() {
    outage("paused", |server| server.pause().unwrap(), |server| server.resume().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_off_again_and_again_leave_the_pool_whole() {
    let Some(server) = orderflow_servers::postgres() else { return };
    let shop = Shop::postgres(&server).await;
    let service = Service::start(&shop, &[]);
    let load = Load::start("cut", &shop, &service, 4, 4);
    load.more(20).await;
    let mut ended = 0;
    for _ in 0..20 {
        ended += cut_off(&shop).await;
        load.more(5).await;
    }
    let tally = load.tally.clone();
    let sent = load.finish().await;
    all_connections_work(&shop, &service).await;
    assert_eq!(shop.check(&sent).await, 0);
    let refused = tally.refused.load(Ordering::Relaxed);
    let (orders, slowest) = (sent.len(), tally.slowest());
    println!("cut off: {ended} backends in 20 rounds, {orders} orders, {refused} refusals, slowest answer {slowest:?}");
    assert!(ended >= 20, "only {ended} connections were there to be cut off");
}

/// Ends the service's connections, without waiting for it to have none: it opens others at once. Gives how many.
async fn cut_off(shop: &Shop) -> i64 {
    let mut connection = PgConnection::connect(shop.url().as_str()).await.unwrap();
    let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                 WHERE application_name = 'orderflow' AND datname = current_database()";
    query_scalar(ended).fetch_one(&mut connection).await.unwrap()
}

async fn outage(name: &str, begin: impl FnOnce(&Postgres), end: impl FnOnce(&Postgres)) {
    let Some(server) = needs(Postgres::own(&Settings::default())) else { return };
    let shop = Shop::postgres(&server).await;
    let service = Service::start(&shop, &[("cache.ttl", "5m")]);
    let load = Load::start(name, &shop, &service, 4, 2);
    load.more(30).await;
    for product in QUIET {
        let path = format!("/api/products/{product}");
        until("a product is in the cache", async || service.get(&path).await.status == 200).await;
    }
    tokio::task::block_in_place(|| begin(&server));
    let away = Instant::now();
    let slowest = while_away(&shop, &service).await;
    // Longer than any time limit on a statement, with what the service adds to it.
    tokio::time::sleep(Duration::from_secs(4).saturating_sub(away.elapsed())).await;
    let away = away.elapsed();
    tokio::task::block_in_place(|| end(&server));
    let ready = service.ready().await;
    let first = load.more(1).await;
    load.more(30).await;
    let tally = load.tally.clone();
    let sent = load.finish().await;
    all_connections_work(&shop, &service).await;
    assert_eq!(shop.check(&sent).await, 0, "every client has its answer");
    let (refused, broken) = (tally.refused.load(Ordering::Relaxed), tally.broken.load(Ordering::Relaxed));
    let goal = if ready <= READY { "within" } else { "MISSED" };
    println!(
        "{name}: away {away:?}; meanwhile answers within {slowest:?}; ready after {ready:?} (goal {READY:?} {goal}), first \
         order {first:?} later; {} orders, {refused} refusals, slowest answer {:?}",
        sent.len(),
        tally.slowest()
    );
    assert_eq!(broken, 0, "the service itself was there all the time");
    assert!(tally.slowest() < ANSWERED, "{:?}", tally.slowest());
}

/// What the service says while its database is away. Gives the longest that an answer took.
async fn while_away(shop: &Shop, service: &Service) -> Duration {
    let mut slowest = Duration::ZERO;
    let mut order = Sent::random("away".to_owned(), &mut fastrand::Rng::with_seed(1));
    order.customer = 1_000_000;
    let asked = [
        (get("/healthz/live"), 200),
        (get("/healthz/ready"), 503),
        (get("/api/products/49"), 503),
        (get("/api/orders?limit=1"), 503),
        // Refused in any case: for a customer who does not exist. So nothing is written should the database be back.
        (order.request(shop.key()), 503),
    ];
    for (request, status) in asked {
        let (answer, took) = service.ask(&request).await;
        let asked = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
        assert_eq!(answer.status, status, "{asked}: {answer:?}");
        if asked.contains("/api/") {
            assert!(answer.is_problem("unavailable"), "{asked}: {answer:?}");
            assert!(answer.header("retry-after").is_some(), "{asked}: {answer:?}");
        }
        slowest = slowest.max(took);
    }
    let mut kept = 0;
    for product in QUIET {
        kept += usize::from(service.get(&format!("/api/products/{product}")).await.status == 200);
    }
    // By chance a product may share its place in the cache's table of changes with one that was ordered.
    assert!(kept + 2 >= QUIET.count(), "only {kept} cached products were answered");
    assert!(slowest < ANSWERED, "{slowest:?}");
    slowest
}

/// Proves that each connection of the pool can be had and works: as many requests wait for one lock in the database at once.
pub(crate) async fn all_connections_work(shop: &Shop, service: &Service) {
    service.quiet().await;
    let mut lock = Lock::take(shop).await;
    let asks: Vec<_> = (0..POOL).map(|_| ask_for_orders(service)).collect();
    lock.wait_for(POOL).await;
    lock.release().await;
    for ask in asks {
        assert_eq!(ask.await.unwrap(), 200);
    }
    for _ in 0..2 * POOL {
        assert_eq!(service.get("/api/orders?limit=1").await.status, 200);
    }
}

/// A client who reads orders until it is not told to try again: its status.
pub(crate) fn ask_for_orders(service: &Service) -> tokio::task::JoinHandle<u16> {
    let to = service.public;
    tokio::spawn(async move {
        let mut connection = crate::client::Connection::open(to).await.unwrap();
        loop {
            // On a busy machine the statement's time may be over before all are there.
            match connection.ask(&get("/api/orders?limit=1")).await.unwrap() {
                answer if answer.is_problem("unavailable") => {}
                answer => return answer.status,
            }
        }
    })
}

/// A lock on all orders: whoever reads them waits.
pub(crate) struct Lock {
    holder: PgConnection,
    watcher: PgConnection,
}

impl Lock {
    pub(crate) async fn take(shop: &Shop) -> Self {
        let url = shop.database().url();
        let mut holder = PgConnection::connect(url).await.unwrap();
        holder.execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await.unwrap();
        Self { holder, watcher: PgConnection::connect(url).await.unwrap() }
    }

    /// Waits until so many of the service's connections wait for the lock.
    pub(crate) async fn wait_for(&mut self, many: u32) {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'orderflow' \
                       AND datname = current_database() AND wait_event_type = 'Lock'";
        let began = Instant::now();
        while query_scalar::<_, i64>(waiting).fetch_one(&mut self.watcher).await.unwrap() < i64::from(many) {
            assert!(began.elapsed() < PATIENCE, "fewer than {many} connections of the pool can be had");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lets them go on.
    pub(crate) async fn release(mut self) {
        self.holder.execute("ROLLBACK").await.unwrap();
    }
}
