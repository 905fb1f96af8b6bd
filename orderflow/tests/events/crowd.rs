//! Many who place orders at two instances, and many who listen, are cut off, and come back to either.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use tokio::{task::JoinSet, time::timeout};

use crate::{
    client::{Client, PATIENCE},
    stage::{Stage, order},
};

const PLACERS: usize = 20;
const EACH: usize = 15;
const LISTENERS: usize = 8;

/// Listens at either instance, goes away at random, and comes back with what it was given, until it heard of this many.
async fn listen(instances: [SocketAddr; 2], enough: usize, ready: tokio::sync::oneshot::Sender<()>) -> Vec<i64> {
    let at = || instances[fastrand::usize(..2)];
    let mut client = Client::open(at(), None).await;
    let mut last = client.ready().await;
    let _ = ready.send(());
    let mut heard = vec![];
    while heard.len() < enough {
        let until = Duration::from_millis(fastrand::u64(0..150));
        let listening = async {
            while heard.len() < enough {
                let Some(block) = client.block().await else { break };
                assert_ne!(block.event.as_deref(), Some("reset"));
                if let Some(data) = block.data {
                    heard.push(data["order_id"].as_i64().unwrap());
                }
            }
        };
        let _ = timeout(until, listening).await;
        last = client.last_id.take().unwrap_or(last);
        drop(client);
        client = Client::open(at(), Some(&last)).await;
    }
    heard
}

async fn everybody_hears_of_every_order_once_and_in_one_order(mut stage: Stage) {
    stage.instance().await;
    let instances = [stage.instances[0].public, stage.instances[1].public];
    let mut listeners = JoinSet::new();
    for _ in 0..LISTENERS {
        let (sender, ready) = tokio::sync::oneshot::channel();
        listeners.spawn(listen(instances, PLACERS * EACH, sender));
        ready.await.unwrap();
    }
    let mut placers = JoinSet::new();
    for _ in 0..PLACERS {
        placers.spawn(async move {
            let mut placed = vec![];
            for _ in 0..EACH {
                placed.push(order(instances[fastrand::usize(..2)]).await);
                tokio::time::sleep(Duration::from_millis(fastrand::u64(0..20))).await;
            }
            placed
        });
    }
    let placed: BTreeSet<_> = placers.join_all().await.into_iter().flatten().collect();
    assert_eq!(placed.len(), PLACERS * EACH);
    let heard = timeout(PATIENCE * 2, listeners.join_all()).await.expect("everybody hears of everything");
    for each in &heard {
        assert_eq!(each, &heard[0], "one order for all");
    }
    assert_eq!(heard[0].iter().copied().collect::<BTreeSet<_>>(), placed, "every order, and nothing else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_on_one_postgresql() {
    let Some(stage) = Stage::postgresql().await else { return };
    everybody_hears_of_every_order_once_and_in_one_order(stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_that_hear_nothing_of_each_other() {
    // On one file, where nothing but looking now and then tells one of the other.
    let stage = Stage::sqlite_with(&[("events.poll", "50ms")]).await;
    everybody_hears_of_every_order_once_and_in_one_order(stage).await;
}
