//! What a store shows of its statements and connections: counted by name, timed, and told of when they are slow.

use std::{collections::BTreeMap, time::Duration};

use orderflow::{
    background::Background,
    config::{Database, Replicas},
    domain::{CustomerDraft, OrderStatus, Timestamp},
    jobs::{Claim, Outcome, Settled},
    scheduler::{MonthDay, Progress},
    store::{Backend, NAMES, Refused, SharedStore, Store, StoreError, replicas::Replicated},
    telemetry::Telemetry,
};
use sqlx::Connection;
use time::macros::date;

use crate::{
    limits::lock_products,
    on_both_stores, recorder,
    stage::{QUIET, Stage, after, customer, order, page, product, until},
};

/// The statements that only a store in a file has.
const OF_A_FILE: [&str; 19] = [
    "begin",
    "commit",
    "rollback",
    "changes",
    "buyer",
    "shelf",
    "insert order",
    "insert items",
    "take from stock",
    "insert key",
    "insert event",
    "notify",
    "mark relayed",
    "claimed",
    "take",
    "bury",
    "dig up",
    "celebrating",
    "pending",
];
/// The statements that only a store on a server has.
const OF_A_SERVER: [&str; 2] = ["place order", "position"];

/// A store that counts.
pub(crate) struct Counting {
    pub(crate) backend: Backend,
    pub(crate) store: SharedStore,
    pub(crate) telemetry: Telemetry,
}

impl Counting {
    /// On the database of this stage, with other settings.
    pub(crate) async fn on(stage: &Stage, set: impl FnOnce(&mut Database)) -> Self {
        recorder::record();
        let mut database = stage.database.clone();
        set(&mut database);
        let backend = Backend::connect(&database, stage.path()).await.unwrap();
        let telemetry = Telemetry::default();
        backend.count_in(&telemetry);
        Self { store: backend.store(), backend, telemetry }
    }

    /// The value of a series, 0 if it is not there.
    fn value(&self, series: &str) -> f64 {
        let text = self.telemetry.metrics.text();
        let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.split(' ').next());
        found.map_or(0.0, |value| value.parse().unwrap())
    }

    /// How many statements ended, by name and outcome.
    fn counted(&self) -> BTreeMap<(String, String), u64> {
        let text = self.telemetry.metrics.text();
        let counted = text.lines().filter_map(|line| {
            let (labels, count) = line.strip_prefix("db_queries_total{statement=\"")?.split_once("\"} ")?;
            let (name, outcome) = labels.split_once("\",outcome=\"")?;
            Some(((name.to_owned(), outcome.to_owned()), count.parse().unwrap()))
        });
        counted.filter(|(_, count)| *count > 0).collect()
    }

    fn count(&self, name: &str, outcome: &str) -> u64 {
        self.counted().get(&(name.to_owned(), outcome.to_owned())).copied().unwrap_or_default()
    }

    /// Everything that can be asked of a store, so that each of its statements runs.
    async fn story(&self, stage: &Stage) {
        let store = &self.store;
        let born = CustomerDraft { birthday: Some(date!(1990 - 05 - 10).try_into().unwrap()), ..customer("grace") };
        let grace = store.create_customer(&born).await.unwrap().id;
        let taken = store.create_customer(&born).await;
        assert!(matches!(taken, Err(StoreError::Refused(Refused::EmailTaken))), "{taken:?}");
        store.replace_customer(grace, &born).await.unwrap().unwrap();
        let alan = store.create_customer(&customer("alan")).await.unwrap().id;
        assert!(store.delete_customer(alan).await.unwrap());

        let draft = order(grace, &[(1, 1), (2, 3)]);
        let key = "once".parse().unwrap();
        let once = Some((&key, orderflow::domain::Fingerprint::of(&draft)));
        let placed = store.place_order(&draft, once).await.unwrap().receipt.id;
        assert!(store.place_order(&draft, once).await.unwrap().replayed);
        store.place_order(&draft, None).await.unwrap();

        let kitchen = "kitchen".parse().unwrap();
        for window in [page(1, 20), after(2, 20)] {
            store.products(None, window).await.unwrap();
            store.products(Some(&kitchen), window).await.unwrap();
            store.customers(window).await.unwrap();
            store.orders(None, window).await.unwrap();
            store.orders(Some(OrderStatus::Pending), window).await.unwrap();
        }
        assert_eq!(store.products_by_id(&[product(1), product(2)]).await.unwrap().len(), 2);
        assert_eq!(store.customers_by_id(&[grace]).await.unwrap().len(), 1);
        assert_eq!(store.orders_by_id(&[placed]).await.unwrap().len(), 1);
        store.stats().await.unwrap();
        store.ping().await.unwrap();
        let feed = self.backend.feed();
        let now = feed.now().await.unwrap();
        feed.after(now, 10).await.unwrap();
        self.notifications().await;

        let schedule = self.backend.schedule(&stage.database, stage.path()).unwrap();
        schedule.record(Progress::Reminders, 0).await.unwrap();
        assert_eq!(schedule.progress(Progress::Reminders).await.unwrap(), Some(0));
        let day = MonthDay { month: 5, day: 10 };
        assert_eq!(schedule.birthdays(day, 2026, 0, 10).await.unwrap().enqueued, 1);
        schedule.last_order_before(Timestamp::now()).await.unwrap();
        let long_ago = Timestamp::from_micros(0).unwrap();
        assert_eq!(schedule.reminders(0, long_ago, Timestamp::now(), 10).await.unwrap().enqueued, 2);
    }

    async fn notifications(&self) {
        let (jobs, minute) = (self.backend.jobs(), Duration::from_mins(1));
        assert_eq!(jobs.relay(10).await.unwrap().len(), 2);
        let waiting: Vec<_> = jobs.unpublished(10, minute).await.unwrap().into_iter().map(|due| due.id).collect();
        assert_eq!(waiting.len(), 2);
        jobs.published(&waiting).await.unwrap();
        jobs.unconfirmed(&waiting).await.unwrap();
        for undo in 0..2 {
            let claimed = jobs.claim(1, minute).await.unwrap().pop().unwrap();
            assert!(matches!(jobs.claim_one(claimed.id, minute).await.unwrap(), Claim::Later));
            let outcome = Outcome::Dead("as the test wants it".to_owned());
            let settled = Settled { id: claimed.id, claim: claimed.claim, outcome };
            assert_eq!(jobs.settle(&[settled]).await.unwrap(), [claimed.id]);
            assert_eq!(jobs.dead_letters(None, 10).await.unwrap().len(), 1);
            let ended = if undo == 0 { jobs.retry_dead(None).await } else { jobs.drop_dead(None).await };
            assert_eq!(ended.unwrap(), 1);
        }
        jobs.backlog().await.unwrap();
        assert_eq!(jobs.forget_published(Duration::ZERO, 10).await.unwrap(), 2);
    }
}

/// Nothing else may run meanwhile, since the driver counts for the whole process.
async fn every_statement_is_counted_by_its_name(stage: Stage) {
    stage.products(1..=3, "kitchen", 250, 100).await;
    let counting = Counting::on(&stage, |_| {}).await;
    let before = recorder::statements();
    counting.story(&stage).await;
    let ours = || counting.counted().values().sum::<u64>();
    let drivers = || (recorder::statements() - before) as u64;
    until("the driver has counted as many", async || ours() == drivers()).await;

    if let Backend::Postgres(primary) = &counting.backend {
        let settings = Replicas { urls: Vec::new(), max_lag: Duration::from_secs(5), timeout: Duration::from_secs(20) };
        let mut background = Background::default();
        let telemetry = counting.telemetry.clone();
        let replicated =
            Replicated::start(primary.clone(), &stage.database, &settings, telemetry, &mut background).unwrap();
        replicated.position().await.unwrap();
        assert!(background.end(Duration::from_mins(1)).await);
    }
    let of_others = |name: &str| match counting.backend {
        Backend::Sqlite(_) => OF_A_SERVER.contains(&name),
        Backend::Postgres(_) => OF_A_FILE.contains(&name),
    };
    let mut failed = 0;
    for name in NAMES {
        assert_eq!(counting.count(name, "ok") > 0, !of_others(name), "{name}");
        let ended: u64 =
            ["ok", "error", "timeout", "abandoned"].map(|outcome| counting.count(name, outcome)).iter().sum();
        let timed = counting.value(&format!("db_query_duration_seconds_count{{statement=\"{name}\"}}"));
        assert_eq!(timed as u64, ended, "{name}");
        failed += ended - counting.count(name, "ok");
    }
    assert_eq!((counting.count("create customer", "error"), failed), (1, 1), "an address that is taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_counts_every_statement() {
    let _alone = QUIET.clone().write_owned().await;
    every_statement_is_counted_by_its_name(Stage::sqlite_alone().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_counts_every_statement() {
    let _alone = QUIET.clone().write_owned().await;
    let Some(stage) = Stage::postgresql_alone().await else { return };
    every_statement_is_counted_by_its_name(stage).await;
}

async fn a_wait_for_a_connection_is_seen(stage: Stage) {
    let counting = Counting::on(&stage, |database| {
        database.max_connections = 1;
        database.acquire_timeout = Duration::from_secs(1);
    })
    .await;
    let pool = if stage.postgres.is_some() { "primary" } else { "writer" };
    let names: Vec<_> = counting.store.pools().into_iter().map(|(name, usage)| (name, usage.max)).collect();
    let timeouts = || counting.value(&format!("db_pool_timeouts_total{{pool=\"{pool}\"}}"));
    let (waits, waited) = (
        || counting.value(&format!("db_pool_wait_seconds_count{{pool=\"{pool}\"}}")),
        || counting.value(&format!("db_pool_wait_seconds_sum{{pool=\"{pool}\"}}")),
    );
    if stage.postgres.is_some() {
        assert_eq!(names, [("primary", 1)]);
        let lock = lock_products(&stage).await;
        let store = counting.store.clone();
        let holding = tokio::spawn(async move { store.products(None, page(1, 1)).await });
        until("the connection is in use", async || counting.store.pool().open == 1 && counting.store.pool().idle == 0)
            .await;
        let refused = counting.store.customers(page(1, 1)).await;
        assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
        assert_eq!((timeouts(), waits()), (1.0, 2.0));
        lock.close().await.unwrap();
        holding.await.unwrap().unwrap();
        assert_eq!(counting.count("customers", "timeout"), 0, "it was never asked");
    } else {
        assert_eq!(names, [("readers", 1), ("writer", 1)]);
        let mut other = stage.file().await;
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
        // One waits for the file, and of the two that wait for the connection meanwhile one at least waits too long.
        let drafts = ["ada", "bob", "eve"].map(customer);
        let writes = drafts.iter().map(|draft| counting.store.create_customer(draft));
        for refused in futures_util::future::join_all(writes).await {
            assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
        }
        assert!(timeouts() >= 1.0);
        assert_eq!(waits() as u64, 3);
        assert_eq!(counting.count("begin", "timeout") + timeouts() as u64, 3);
        sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    }
    assert!(waited() > 0.0);
}

async fn a_slow_statement_is_told_of_once_with_its_trace(stage: Stage) {
    let slow = Duration::from_millis(20);
    let counting = Counting::on(&stage, |database| database.slow_statement = slow).await;
    stage.products(1..=1, "kitchen", 250, 100).await;
    let ada = stage.customer("ada").await;
    let work = recorder::work("slow", false);
    let place = || {
        let (store, work) = (counting.store.clone(), work.clone());
        tokio::spawn(work.scope(async move { store.place_order(&order(ada, &[(1, 1)]), None).await }))
    };
    let held = || until("the statement is under way", async || work.statements() == 1);
    let (name, placing) = if stage.postgres.is_some() {
        let lock = lock_products(&stage).await;
        let placing = place();
        held().await;
        tokio::time::sleep(slow).await;
        lock.close().await.unwrap();
        ("place order", placing)
    } else {
        let mut other = stage.file().await;
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
        let placing = place();
        held().await;
        tokio::time::sleep(slow).await;
        sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
        ("begin", placing)
    };
    placing.await.unwrap().unwrap();
    let trace = work.trace();
    let told = recorder::warnings(trace.trace);
    let told: Vec<_> = told.iter().filter(|text| text.contains(&format!("statement=\"{name}\""))).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("a statement was slow") && told[0].contains("took_ms="), "{told:?}");
    let kept = counting.telemetry.recent.slow_statements();
    let kept: Vec<_> = kept.iter().filter(|kept| kept.name == name).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(kept[0].context == Some(trace) && kept[0].took >= slow, "{kept:?}");
    assert_eq!(counting.value(&format!("db_slow_statements_total{{statement=\"{name}\"}}")) as u64, 1);
}

on_both_stores!(a_wait_for_a_connection_is_seen, a_slow_statement_is_told_of_once_with_its_trace);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_is_cut_off_or_given_up_is_counted_as_such() {
    let Some(stage) = Stage::postgresql().await else { return };
    let hasty = Counting::on(&stage, |database| database.statement_timeout = Duration::from_secs(1)).await;
    let counting = Counting::on(&stage, |_| {}).await;
    let lock = lock_products(&stage).await;
    let cut_off = hasty.store.products(None, page(1, 1)).await;
    assert!(matches!(cut_off, Err(StoreError::TimedOut)), "{cut_off:?}");
    assert_eq!(hasty.count("products", "timeout"), 1);

    let (work, store) = (recorder::work("given up", false), counting.store.clone());
    let scope = work.clone().scope(async move { store.stats().await });
    let leaving = tokio::spawn(scope);
    until("the statement is under way", async || work.statements() == 1).await;
    leaving.abort();
    until("it is counted", async || counting.count("stats", "abandoned") == 1).await;
    lock.close().await.unwrap();
}
