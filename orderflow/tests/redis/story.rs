//! A long story of reads, writes and faults, made up by chance: nobody is ever given what is older than a change that it
//! knows of, and when all is well again everybody knows everything.

use orderflow_servers::{Link, Redis, needs};

use crate::{
    node::{A_MOMENT, Node, Source},
    waiting::until,
};

const PRODUCTS: i64 = 6;
const STEPS: usize = 400;

async fn story(seed: u64) {
    let Some(redis) = needs(Redis::own()) else { return };
    let mut chance = fastrand::Rng::with_seed(seed);
    let links = [Link::to(redis.port()).unwrap(), Link::to(redis.port()).unwrap()];
    // Few slots, so that answers drive each other out.
    let settings = [("redis.timeout", "100ms"), ("cache.redis_entries", "4"), ("cache.ttl", "200ms")];
    let nodes = [
        Node::start(&links[0].url(&redis.url()), &settings).await,
        Node::start(&links[1].url(&redis.url()), &settings).await,
    ];
    let source = Source::new();
    // The latest change of each product that each node has made itself.
    let mut known = [[0; PRODUCTS as usize + 1]; 2];
    for step in 0..STEPS {
        let (who, product) = (chance.usize(..2), chance.i64(1..=PRODUCTS));
        match chance.u32(..100) {
            0..60 => {
                let read = nodes[who].get(&source, product).await.unwrap();
                let known = known[who][product as usize];
                assert!(read >= known, "seed {seed}, step {step}: {read} of {product}, although {known} was known");
            }
            60..85 => known[who][product as usize] = nodes[who].change(&source, product).await,
            85..89 => links[who].cut(),
            89..92 => links[who].refuse(chance.bool()),
            92..94 => links[who].hang(chance.bool()),
            94..96 => drop(redis.command(&["FLUSHALL"]).unwrap()),
            96 => redis.restart().unwrap(),
            _ => tokio::time::sleep(A_MOMENT).await,
        }
    }
    for link in &links {
        link.refuse(false);
        link.hang(false);
    }
    for product in 1..=PRODUCTS {
        let latest = nodes[0].change(&source, product).await;
        for node in &nodes {
            until("everybody knows everything", async || node.get(&source, product).await == Some(latest)).await;
        }
    }
    // What was kept in the meantime is true as well.
    let fresh = Node::start(&redis.url(), &settings).await;
    for product in 1..=PRODUCTS {
        let value = nodes[0].get(&source, product).await;
        assert_eq!(fresh.get(&source, product).await, value, "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_given_what_is_older_than_what_it_knows() {
    for seed in 1..=3 {
        story(seed).await;
    }
}
