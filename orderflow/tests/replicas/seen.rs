//! Which copy a statement was asked of is told in its trace, and where calls waited is counted.

use orderflow::{
    background::Background,
    domain::{Limit, Start, Window},
    store::{Backend, Position, Store, replicas::Replicated},
    telemetry::Telemetry,
};
use tempfile::TempDir;

use crate::{
    recorder,
    stage::{ORDERS, Stage, config, until},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_tells_a_replica_from_the_primary() {
    let Some(stage) = Stage::with(1).await else { return };
    stage.caught_up();
    let (dir, telemetry, mut background) = (TempDir::new().unwrap(), Telemetry::default(), Background::default());
    let url = stage.replicas[0].url(stage.database.name());
    let config = config(dir.path(), &[("database.url", stage.database.url()), ("replicas.urls", &url)]);
    let backend = Backend::connect(&config.database, dir.path()).await.unwrap();
    backend.count_in(&telemetry);
    let Backend::Postgres(primary) = &backend else { unreachable!() };
    let replicated =
        Replicated::start(primary.clone(), &config.database, &config.replicas, telemetry.clone(), &mut background);
    let replicated = replicated.unwrap();
    until("the replica is ready", async || replicated.replicas()[0].state == "ready").await;
    let behind = replicated.after(Position::PRIMARY).unwrap();

    let window = Window { start: Start::Page("1".parse().unwrap()), limit: "5".parse::<Limit>().unwrap() };
    for (request, store, pool) in
        [("a replica", &replicated as &dyn Store, "replica"), ("the primary", &*behind, "primary")]
    {
        let work = recorder::work(request, true);
        let orders = recorder::answer(&work, store.orders(None, window)).await.unwrap();
        assert_eq!(orders.rows[0].id.get(), ORDERS);
        let spans = recorder::spans(request).await;
        assert_eq!(recorder::tree(&spans), "GET /test\n  statement: orders\n  statement: items\n");
        let statements = spans.iter().filter(|span| span.name == "statement");
        assert!(statements.clone().all(|span| recorder::text(span, "db.pool").as_deref() == Some(pool)), "{spans:?}");
        let waits = format!("db_pool_wait_seconds_count{{pool=\"{pool}\"}} 1");
        assert!(telemetry.metrics.text().contains(&waits), "{waits}");
    }
    let pools: Vec<_> = replicated.pools().into_iter().map(|(name, usage)| (name, usage.max)).collect();
    assert_eq!(pools, [("primary", 8), ("replica", 8)]);
    assert!(background.end(std::time::Duration::from_mins(1)).await);
}
