//! Several schedulers on one database: one works, and another goes on when it ends.

use std::time::Duration;

use orderflow::{background::Background, config::Database, metrics::Metrics};
use orderflow_servers::{Missing, PgBouncer, needs};

use crate::{
    on_both_stores,
    stage::{Stage, until},
};

/// Longer than any of this takes.
const LONG: Duration = Duration::from_mins(10);

on_both_stores!(one_of_two_works_and_the_other_goes_on_when_it_ends, two_looks_at_once_find_each_birthday_once);

/// A scheduler that runs, and whether it is the one that works.
struct Member {
    background: Background,
    metrics: Metrics,
}

impl Member {
    fn start(stage: &Stage) -> Self {
        let (mut background, metrics) = (Background::default(), Metrics::default());
        let scheduler = stage.scheduler(&[], &metrics);
        background.spawn(|stop| async move { scheduler.run(stop).await });
        Self { background, metrics }
    }

    fn leads(&self) -> bool {
        self.metrics.scheduler_leader.get() == 1
    }
}

async fn one_of_two_works_and_the_other_goes_on_when_it_ends(stage: Stage) {
    stage.born(&["1990-05-10", "1990-05-11"]).await;
    stage.clock("2026-05-10T12:00:00Z");
    let (a, b) = (Member::start(&stage), Member::start(&stage));
    until("the first birthday is found", async || stage.told().await == ["1 birthday:2026"]).await;
    assert!(a.leads() != b.leads(), "one of them works");
    let (works, stands_by) = if a.leads() { (a, b) } else { (b, a) };
    assert!(works.background.end(LONG).await);
    assert_eq!(works.metrics.scheduler_leader.get(), 0);
    stage.clock("2026-05-11T12:00:00Z");
    until("the other goes on", async || stage.told().await == ["1 birthday:2026", "2 birthday:2026"]).await;
    assert!(stands_by.leads());
    assert!(stands_by.background.end(LONG).await);
}

async fn two_looks_at_once_find_each_birthday_once(stage: Stage) {
    stage.many_born(6_000, "1990-05-10").await;
    stage.clock("2026-05-10T12:00:00Z");
    let look = || {
        let scheduler = stage.scheduler(&[], &Metrics::default());
        tokio::spawn(async move { scheduler.once().await.unwrap() })
    };
    let (a, b) = (look(), look());
    let (a, b) = (a.await.unwrap(), b.await.unwrap());
    assert_eq!(a.birthdays + b.birthdays, 6_000);
    assert_eq!(stage.ask("SELECT count(DISTINCT customer_id) FROM notifications").await, 6_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_connection_is_cut_notices_and_another_takes_over() {
    let Some(stage) = Stage::postgresql().await else { return };
    let schedule = stage.schedule(&[]);
    let mut lead = schedule.lead(LONG).await.unwrap().unwrap();
    assert!(lead.held().await);
    assert!(schedule.lead(LONG).await.unwrap().is_none());
    let postgres = stage.postgres.as_ref().unwrap();
    assert!(postgres.server().terminate_backends(postgres.name()).unwrap() >= 1);
    let mut next = schedule.lead(LONG).await.unwrap().unwrap();
    assert!(!lead.held().await);
    assert!(next.held().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_goes_on_after_its_connections_were_cut() {
    let Some(stage) = Stage::postgresql().await else { return };
    stage.born(&["1990-05-10", "1990-05-11"]).await;
    stage.clock("2026-05-10T12:00:00Z");
    let member = Member::start(&stage);
    until("the first birthday is found", async || stage.told().await == ["1 birthday:2026"]).await;
    let postgres = stage.postgres.as_ref().unwrap();
    assert!(postgres.server().terminate_backends(postgres.name()).unwrap() >= 2);
    until("it has noticed", async || !member.leads()).await;
    stage.clock("2026-05-11T12:00:00Z");
    until("it goes on", async || stage.told().await == ["1 birthday:2026", "2 birthday:2026"]).await;
    assert!(member.background.end(LONG).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hangs_loses_the_lead() {
    let Some(stage) = Stage::postgresql().await else { return };
    let known = stage.ask("SELECT count(*) FROM pg_settings WHERE name = 'idle_session_timeout'").await == 1;
    let missing =
        Missing { program: "PostgreSQL 14".to_owned(), how: "Older ones let a silent session be.".to_owned() };
    let Some(()) = needs(if known { Ok(()) } else { Err(missing.into()) }) else { return };
    let schedule = stage.schedule(&[]);
    // It never asks, as a process does that is stopped.
    let mut hangs = schedule.lead(Duration::from_millis(200)).await.unwrap().unwrap();
    let mut next = None;
    until("another leads", async || {
        next = schedule.lead(LONG).await.unwrap();
        next.is_some()
    })
    .await;
    assert!(!hangs.held().await);
    assert!(next.unwrap().held().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_the_lock_is_held_as_well() {
    let Some(stage) = Stage::postgresql().await else { return };
    let postgres = stage.postgres.as_ref().unwrap();
    let Some(pooler) = needs(PgBouncer::own(postgres.server())) else { return };
    let url = pooler.url(postgres.name());
    let pooled = stage.config(&[("database.url", &url), ("database.pooler", "transaction")]).database;
    let direct = Database { direct_url: stage.url().to_owned().into(), ..pooled.clone() };
    let [pooled, direct] = [pooled, direct].map(|database| stage.backend.schedule(&database, stage.path()).unwrap());
    for (schedule, other) in [(&pooled, &direct), (&direct, &pooled), (&pooled, &pooled)] {
        let mut lead = schedule.lead(LONG).await.unwrap().unwrap();
        assert!(lead.held().await);
        assert!(other.lead(LONG).await.unwrap().is_none());
        drop(lead);
        let mut next = None;
        until("the lock is given back", async || {
            next = other.lead(LONG).await.unwrap();
            next.is_some()
        })
        .await;
        drop(next);
        until("it is given back again", async || schedule.lead(LONG).await.unwrap().is_some()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_file_that_was_removed_keeps_nobody_in() {
    let stage = Stage::sqlite().await;
    let schedule = stage.schedule(&[]);
    let mut lead = schedule.lead(LONG).await.unwrap().unwrap();
    assert!(lead.held().await && schedule.lead(LONG).await.unwrap().is_none());
    std::fs::remove_file(stage.path().join("orders.db.scheduler")).unwrap();
    assert!(!lead.held().await);
    let mut next = schedule.lead(LONG).await.unwrap().unwrap();
    assert!(!lead.held().await && next.held().await);
}
