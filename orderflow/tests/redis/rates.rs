//! A client's requests are counted by all instances together.

use std::time::Instant;

use orderflow_servers::{Redis, needs};

use crate::{
    shop::{Instance, Shop},
    waiting::until,
};

const SETTINGS: [(&str, &str); 3] =
    [("http.rate_limit", "1"), ("http.rate_burst", "30"), ("http.rate_limit_shared", "true")];

/// How many of so many requests are answered, and not refused.
async fn admitted(instances: &[Instance], requests: usize) -> u64 {
    let mut admitted = 0;
    for number in 0..requests {
        let answer = instances[number % instances.len()].get("/api/products/1").await;
        if answer.status == 429 {
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=30).contains(&wait), "{wait}");
        } else {
            answer.ok(200);
            admitted += 1;
        }
    }
    admitted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_admit_together_what_one_may() {
    let Some(redis) = needs(Redis::own()) else { return };
    let shop = Shop::open(&[&redis.url(); 2], &SETTINGS).await;
    let began = Instant::now();
    let admitted = admitted(shop.instances(), 60).await;
    // One more for each second that has passed.
    let most = 30 + began.elapsed().as_secs() + 1;
    assert!((30..=most).contains(&admitted), "{admitted}, at most {most}");
    let keys = redis.command(&["KEYS", "orderflow:rate:*"]).unwrap();
    let left: i64 = redis.command(&["PTTL", &keys]).unwrap().parse().unwrap();
    assert!((1..=30_000).contains(&left), "{keys}: {left}");
    // Where clients are is not written down.
    assert!(!keys.contains("127"), "{keys}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_away_each_counts_by_itself() {
    let Some(redis) = needs(Redis::own()) else { return };
    let shop = Shop::open(&[&redis.url(); 2], &SETTINGS).await;
    admitted(shop.instances(), 40).await;
    redis.stop().unwrap();
    for instance in shop.instances() {
        let began = Instant::now();
        let admitted = admitted(std::slice::from_ref(instance), 40).await;
        let most = 30 + began.elapsed().as_secs() + 1;
        assert!((30..=most).contains(&admitted), "{admitted}, at most {most}");
    }
    redis.start().unwrap();
    for instance in shop.instances() {
        let counted = instance.count("redis_operations_total", &["rate", "\"ok\""]).await;
        until("they count together again", async || {
            instance.get("/api/products/1").await;
            instance.count("redis_operations_total", &["rate", "\"ok\""]).await > counted
        })
        .await;
    }
}
