//! One loads for all, whoever asks where; and nobody waits for somebody who is gone.

use std::sync::Arc;

use orderflow_servers::{Redis, needs};

use crate::{
    node::{Node, Source},
    waiting::until,
};

async fn crowd(url: &str, settings: &[(&str, &str)]) -> usize {
    let source = Arc::new(Source::gated());
    let mut nodes = vec![];
    for _ in 0..3 {
        nodes.push(Arc::new(Node::start(url, settings).await));
    }
    let ask = |caller: usize| {
        let (node, source) = (Arc::clone(&nodes[caller % 3]), Arc::clone(&source));
        tokio::spawn(async move { node.get(&source, 1).await })
    };
    let asked: Vec<_> = (0..1_000).map(ask).collect();
    source.loading(if url.is_empty() { 3 } else { 1 }).await;
    if !url.is_empty() {
        until("the others have looked", async || nodes.iter().all(|node| node.count("lookup", "ok") > 0)).await;
    }
    source.let_end(1_000);
    for answer in asked {
        assert_eq!(answer.await.unwrap(), Some(0));
    }
    source.loads()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_at_three_instances_cost_one_load_and_three_without_redis() {
    let Some(redis) = needs(Redis::shared()) else { return };
    assert_eq!(crowd(&redis.url(), &[("redis.prefix", "thousand")]).await, 1);
    assert_eq!(crowd("", &[]).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_loads_and_finds_nothing_or_goes_away_lets_others_load() {
    let Some(redis) = needs(Redis::shared()) else { return };
    let settings = [("redis.prefix", "released"), ("cache.redis_entries", "1")];
    let (one, other) =
        (Arc::new(Node::start(&redis.url(), &settings).await), Node::start(&redis.url(), &settings).await);
    let source = Arc::new(Source::gated());
    let released = async |times| {
        until("it was released", async || one.count("release", "ok") == times).await;
        assert_eq!(redis.command(&["EXISTS", "released:cache:0"]).unwrap(), "0");
    };
    source.let_end(1);
    assert_eq!(one.get(&source, 99).await, None);
    released(1).await;
    // A caller who goes away while it loads.
    let asked = tokio::spawn({
        let (one, source) = (Arc::clone(&one), Arc::clone(&source));
        async move { one.get(&source, 5).await }
    });
    source.loading(2).await;
    assert_eq!(redis.command(&["EXISTS", "released:cache:0"]).unwrap(), "1");
    asked.abort();
    assert!(asked.await.unwrap_err().is_cancelled());
    released(2).await;
    source.let_end(1);
    assert_eq!(other.get(&source, 5).await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_ever_for_somebody_elses_load() {
    let Some(redis) = needs(Redis::shared()) else { return };
    let settings = [("redis.prefix", "waits")];
    let (one, other) = (Node::start(&redis.url(), &settings).await, Node::start(&redis.url(), &settings).await);
    let source = Source::gated();
    // The first load ends only when the second has begun.
    let both = async {
        source.loading(2).await;
        source.let_end(2);
    };
    let (first, second, ()) = tokio::join!(one.get(&source, 1), other.get(&source, 1), both);
    assert_eq!((first, second), (Some(0), Some(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_a_change_has_overtaken_is_kept_nowhere() {
    let Some(redis) = needs(Redis::shared()) else { return };
    let settings = [("redis.prefix", "overtaken"), ("cache.redis_entries", "1")];
    let (one, other) = (Node::start(&redis.url(), &settings).await, Node::start(&redis.url(), &settings).await);
    let source = Source::gated();
    let change = async {
        source.loading(1).await;
        assert_eq!(other.change(&source, 1).await, 1);
        source.let_end(1);
    };
    let (overtaken, ()) = tokio::join!(one.get(&source, 1), change);
    assert_eq!(overtaken, Some(0), "it was true when it was asked for");
    until("it was refused", async || one.count("store", "ok") == 1).await;
    assert_eq!(redis.command(&["EXISTS", "overtaken:cache:0"]).unwrap(), "0");
    source.let_end(10);
    assert_eq!(other.get(&source, 1).await, Some(1));
    until("the first is told", async || one.get(&source, 1).await == Some(1)).await;
    assert!(source.loads() <= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_share_a_slot_are_told_apart_and_large_ones_take_none() {
    let Some(redis) = needs(Redis::shared()) else { return };
    let settings = [("redis.prefix", "slot"), ("cache.redis_entries", "1")];
    let (one, other) = (Node::start(&redis.url(), &settings).await, Node::start(&redis.url(), &settings).await);
    let mut source = Source::new();
    for product in 1..=10 {
        for _ in 0..product {
            one.change(&source, product).await;
        }
        assert_eq!(one.get(&source, product).await, Some(product as u64));
        until("it is stored", async || one.count("store", "ok") == product as u64).await;
    }
    for product in (1..=10).rev() {
        assert_eq!(other.get(&source, product).await, Some(product as u64));
    }
    // What is still on its way would take the slot below.
    until("it has stored what it loaded", async || other.count("store", "ok") == 9).await;
    source.padding = 100_000;
    let (stored, released) = (one.count("store", "ok"), one.count("release", "ok"));
    assert_eq!(one.get(&source, 50).await, Some(0));
    until("the slot is free", async || one.count("release", "ok") > released).await;
    assert_eq!(redis.command(&["EXISTS", "slot:cache:0"]).unwrap(), "0");
    assert_eq!(one.count("store", "ok"), stored);
    assert_eq!(one.get(&source, 50).await, Some(0));
    assert_eq!(source.loads(), 10 + 9 + 1, "memory has the large one, Redis had the latest of the others");
}
