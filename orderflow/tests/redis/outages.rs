//! Redis is slow, hangs, is full, is emptied, stops and comes back: answers go on, and none is older than it may be.

use std::time::{Duration, Instant};

use orderflow_servers::{Link, Redis, needs};

use crate::{shop::Shop, waiting::until};

/// A short limit for one operation, where exceeding it is the point.
const HASTY: (&str, &str) = ("redis.timeout", "50ms");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_misses_nothing() {
    let Some(redis) = needs(Redis::shared()) else { return };
    let link = Link::to(redis.port()).unwrap();
    let shop = Shop::open(&[&redis.url(), &link.url(&redis.url())], &[("redis.prefix", "lost")]).await;
    let [one, other] = shop.instances() else { unreachable!() };
    let before = one.stock(7).await;
    for round in 1..=3 {
        assert_eq!(other.stock(7).await, before - (round - 1));
        link.refuse(true);
        one.order(7).await;
        link.refuse(false);
        until("the other instance has caught up", async || other.stock(7).await == before - round).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_could_not_be_told_is_told_later() {
    let Some(redis) = needs(Redis::shared()) else { return };
    let link = Link::to(redis.port()).unwrap();
    let shop = Shop::open(&[&redis.url(), &link.url(&redis.url())], &[("redis.prefix", "told-later")]).await;
    let [one, other] = shop.instances() else { unreachable!() };
    let before = one.stock(7).await;
    assert_eq!(other.stock(7).await, before);
    link.refuse(true);
    other.order(7).await;
    assert_eq!(other.stock(7).await, before - 1);
    link.refuse(false);
    until("the first instance is told", async || one.stock(7).await == before - 1).await;
    assert_eq!(other.stock(7).await, before - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_whose_reply_is_lost_is_sent_again() {
    let Some(redis) = needs(Redis::shared()) else { return };
    let link = Link::to(redis.port()).unwrap();
    let shop = Shop::open(&[&link.url(&redis.url()), &redis.url()], &[("redis.prefix", "reply")]).await;
    let [one, other] = shop.instances() else { unreachable!() };
    let before = one.stock(7).await;
    assert_eq!(other.stock(7).await, before);
    link.cut_before_reply(b":1\r\n");
    one.order(7).await;
    assert_eq!(one.stock(7).await, before - 1);
    until("the other instance is told", async || other.stock(7).await == before - 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_stopped_all_goes_on_and_afterwards_nothing_is_old() {
    let Some(redis) = needs(Redis::own()) else { return };
    let mut shop = Shop::open(&[&redis.url(); 2], &[]).await;
    let [one, other] = shop.instances() else { unreachable!() };
    let before = one.stock(7).await;
    assert_eq!(other.stock(7).await, before);
    redis.stop().unwrap();
    one.order(7).await;
    assert_eq!(one.stock(7).await, before - 1, "its own writes are seen by each");
    for product in 1..=50 {
        one.stock(product).await;
        other.stock(product).await;
    }
    redis.start().unwrap();
    for instance in shop.instances() {
        until("nobody gives the old answer", async || instance.stock(7).await == before - 1).await;
    }
    let fresh = shop.another(&redis.url(), &[]).await;
    assert_eq!(fresh.stock(7).await, before - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_with_what_it_had_saved_is_not_believed() {
    let Some(redis) = needs(Redis::with(&[("dbfilename", "kept.rdb")])) else { return };
    let mut shop = Shop::open(&[&redis.url()], &[]).await;
    let one = &shop.instances()[0];
    let before = one.stock(7).await;
    until("it is stored", async || one.count("redis_operations_total", &["store", "ok"]).await == 1).await;
    redis.command(&["SAVE"]).unwrap();
    // This change reaches Redis, and is lost with its memory.
    one.order(7).await;
    redis.kill().unwrap();
    redis.start().unwrap();
    assert_ne!(redis.command(&["DBSIZE"]).unwrap(), "0", "the old answer is back");
    let fresh = shop.another(&redis.url(), &[]).await;
    assert_eq!(fresh.stock(7).await, before - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_emptied_or_forgets_what_has_changed_leaves_nothing_old() {
    let Some(redis) = needs(Redis::own()) else { return };
    let mut shop = Shop::open(&[&redis.url(); 2], &[]).await;
    let before = shop.instances()[0].stock(7).await;
    let mut sold = 0;
    let ways = [&["FLUSHALL"][..], &["DEL", "orderflow:cache:changes"], &["SCRIPT", "FLUSH"]];
    for (forget, product) in ways.into_iter().zip(8..) {
        let [one, other, ..] = shop.instances() else { unreachable!() };
        for _ in 0..3 {
            assert_eq!(other.stock(7).await, before - sold);
            redis.command(forget).unwrap();
            one.order(7).await;
            sold += 1;
            until("the other instance is told", async || other.stock(7).await == before - sold).await;
        }
        // The answer that is kept is older than this change, and the change is forgotten.
        let stored = one.count("redis_operations_total", &["store", "\"ok\""]).await;
        one.stock(product).await;
        until("it is stored", async || one.count("redis_operations_total", &["store", "\"ok\""]).await > stored).await;
        one.order(product).await;
        redis.command(forget).unwrap();
        let left = one.stock(product).await;
        let fresh = shop.another(&redis.url(), &[]).await;
        assert_eq!((fresh.stock(7).await, fresh.stock(product).await), (before - sold, left));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_keeps_nothing_new_and_nothing_old() {
    let Some(redis) = needs(Redis::with(&[("maxmemory-policy", "noeviction")])) else { return };
    let mut shop = Shop::open(&[&redis.url(); 2], &[]).await;
    let [one, other] = shop.instances() else { unreachable!() };
    let before = one.stock(7).await;
    assert_eq!(other.stock(7).await, before);
    // Less than the server takes by itself.
    redis.command(&["CONFIG", "SET", "maxmemory", "100kb"]).unwrap();
    assert!(redis.command(&["SET", "a", "b"]).unwrap_err().to_string().contains("OOM"));
    for product in 20..=40 {
        one.stock(product).await;
    }
    one.order(7).await;
    assert_eq!(one.stock(7).await, before - 1);
    until("the other instance is told", async || other.stock(7).await == before - 1).await;
    let fresh = shop.another(&redis.url(), &[]).await;
    assert_eq!(fresh.stock(7).await, before - 1);
    assert_eq!(fresh.count("circuit_state", &["redis"]).await, 0, "who refuses in time is not left alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_or_is_slow_costs_a_few_timeouts_a_second() {
    let Some(redis) = needs(Redis::shared()) else { return };
    for slow in [false, true] {
        let link = Link::to(redis.port()).unwrap();
        let prefix = format!("hangs-{slow}");
        let mut shop = Shop::open(&[&link.url(&redis.url())], &[HASTY, ("redis.prefix", &prefix)]).await;
        let one = &shop.instances()[0];
        let before = one.stock(7).await;
        let timeouts = one.count("redis_operations_total", &["timeout"]).await;
        if slow {
            link.delay(Duration::from_millis(200));
        } else {
            link.hang(true);
        }
        let began = Instant::now();
        for limit in 1..=100 {
            one.get(&format!("/api/products?limit={limit}")).await.ok(200);
        }
        one.order(7).await;
        assert_eq!(one.stock(7).await, before - 1);
        let timeouts = one.count("redis_operations_total", &["timeout"]).await - timeouts;
        // At most the breaker's window before it opens; then its probes, and one that joins, each second.
        let allowed = 20 + 8 * (began.elapsed().as_secs() + 1);
        assert!((1..=allowed).contains(&timeouts), "{timeouts} timeouts, {allowed} allowed");
        link.delay(Duration::ZERO);
        link.hang(false);
        // Who is not hasty sees what is kept there.
        let fresh = shop.another(&redis.url(), &[("redis.prefix", &prefix)]).await;
        until("Redis holds nothing old", async || fresh.stock(7).await == before - 1).await;
    }
}
