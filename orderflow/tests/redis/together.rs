//! What instances do for each other while all is well.

use std::collections::HashSet;

use orderflow_servers::{Redis, needs};

use crate::{shop::Shop, waiting::until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_at_one_instance_is_seen_at_the_others() {
    let Some(redis) = needs(Redis::shared()) else { return };
    let shop = Shop::open(&[&redis.url(); 2], &[("redis.prefix", "write")]).await;
    let [one, other] = shop.instances() else { unreachable!() };
    let before = one.stock(7).await;
    assert_eq!(other.stock(7).await, before);
    let page = "/api/products?limit=10";
    assert_eq!(other.get(page).await.ok(200)["items"][6]["stock"], before);
    for sold in 1..=5 {
        one.order(7).await;
        assert_eq!(one.stock(7).await, before - sold, "who has ordered reads it");
        until("the other instance says so", async || other.stock(7).await == before - sold).await;
        assert_eq!(other.get(page).await.ok(200)["items"][6]["stock"], before - sold);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_has_loaded_another_need_not_load_and_it_is_the_same_to_clients() {
    let Some(redis) = needs(Redis::shared()) else { return };
    let shop = Shop::open(&[&redis.url(); 2], &[("redis.prefix", "loaded")]).await;
    let [one, other] = shop.instances() else { unreachable!() };
    for target in ["/api/products/3", "/api/products?limit=100", "/api/stats"] {
        let first = one.get(target).await;
        // Whoever looks while it is being stored waits for it.
        let second = other.get(target).await;
        assert_eq!((first.ok(200), first.header("etag")), (second.ok(200), second.header("etag")));
        assert_eq!(other.get(target).await.header("etag"), first.header("etag"));
    }
    let counts = async |name, words: &[&str]| [one.count(name, words).await, other.count(name, words).await];
    assert_eq!(counts("cache_misses_total", &[]).await, [3, 0]);
    assert_eq!(counts("cache_hits_total", &["level=\"redis\""]).await, [0, 3]);
    assert_eq!(counts("cache_hits_total", &["level=\"memory\""]).await, [0, 3]);
    // A hit in memory asks nobody.
    let looks = other.count("redis_operations_total", &["lookup"]).await;
    other.get("/api/products/3").await.ok(200);
    assert_eq!(other.count("redis_operations_total", &["lookup"]).await, looks);
    assert!(other.count("redis_operation_duration_seconds_count", &["lookup"]).await >= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_at_three_instances_costs_one_load() {
    let Some(redis) = needs(Redis::shared()) else { return };
    let shop = Shop::open(&[&redis.url(); 3], &[("redis.prefix", "crowd")]).await;
    for target in ["/api/products/11", "/api/products?page=2"] {
        let before = misses(&shop).await;
        let asked = (0..300).map(|caller| shop.instances()[caller % 3].get(target));
        let answers = futures_util::future::join_all(asked).await;
        for answer in &answers {
            answer.ok(200);
            assert_eq!(answer.body, answers[0].body);
        }
        assert_eq!(misses(&shop).await - before, 1, "{target}");
    }
}

async fn misses(shop: &Shop) -> u64 {
    let mut all = 0;
    for instance in shop.instances() {
        all += instance.count("cache_misses_total", &[]).await;
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_bounded_in_number_and_in_time() {
    let Some(redis) = needs(Redis::own()) else { return };
    let settings = [("cache.redis_entries", "20"), ("http.rate_limit", "1000"), ("http.rate_limit_shared", "true")];
    let shop = Shop::open(&[&redis.url()], &settings).await;
    let instance = &shop.instances()[0];
    for limit in 1..=100 {
        instance.get(&format!("/api/products?limit={limit}")).await.ok(200);
    }
    instance.get("/api/stats").await.ok(200);
    instance.order(1).await;
    until("all is stored", async || instance.count("redis_operations_total", &["store", "ok"]).await >= 101).await;
    let keys: HashSet<_> = redis.command(&["KEYS", "*"]).unwrap().lines().map(str::to_owned).collect();
    let slots = keys.iter().filter(|key| key.starts_with("orderflow:cache:") && !key.ends_with("changes")).count();
    assert!((10..=20).contains(&slots), "{keys:?}");
    let others = keys.len() - slots;
    assert!((1..=2).contains(&others), "the changes, and the client's rate for a moment: {keys:?}");
    for key in keys {
        let left: i64 = redis.command(&["PTTL", &key]).unwrap().parse().unwrap();
        // -2: it is gone already.
        assert!(left > 0 || left == -2, "{key}: {left}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_probe_tells_how_redis_is_only_where_there_is_one() {
    let Some(redis) = needs(Redis::own()) else { return };
    let shop = Shop::open(&[&redis.url()], &[]).await;
    let report = shop.instances()[0].health().await;
    assert_eq!((&report["redis"]["ok"], &report["redis"]["critical"]), (&true.into(), &false.into()), "{report}");
    redis.stop().unwrap();
    until("the probe says that it is away", async || shop.instances()[0].health().await["redis"]["ok"] == false).await;
    let report = shop.instances()[0].health().await;
    assert_eq!(report["ready"], true);
    assert_eq!(shop.alone().await.health().await.get("redis"), None);
}
