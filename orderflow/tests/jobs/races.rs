//! Many at once: each order becomes one notification, and each notification is one worker's.

use std::{collections::HashSet, sync::Arc};

use futures_util::future::join_all;
use orderflow::{
    jobs::{Claim, Outcome, Settled},
    store::Backend,
};

use crate::{
    hold::Hold,
    on_both_stores,
    stage::{LONG, Stage},
};

on_both_stores!(
    twenty_relays_make_each_notification_once,
    workers_never_share_a_notification,
    one_that_all_ask_for_goes_to_one,
    one_that_comes_while_its_confirmation_is_recorded_is_taken,
    settling_in_opposite_order_does_not_deadlock,
);

async fn twenty_relays_make_each_notification_once(stage: Stage) {
    let ada = stage.customer("ada").await;
    for _ in 0..100 {
        stage.order(ada).await;
    }
    let relayed = join_all((0..20).map(|_| async {
        let mut relayed = 0;
        // Who finds everything locked by others has nothing to do, whatever is left.
        while let count @ 1.. = stage.jobs.relay(7).await.unwrap().len() {
            relayed += count;
        }
        relayed
    }))
    .await;
    assert_eq!(relayed.iter().sum::<usize>(), 100);
    assert_eq!(stage.count("notifications").await, 100);
    assert_eq!(stage.ask("SELECT count(DISTINCT occasion) FROM notifications").await, 100);
    assert_eq!(stage.count("outbox WHERE published_at IS NULL").await, 0);
}

async fn workers_never_share_a_notification(stage: Stage) {
    stage.notifications(200).await;
    // Two processes, with connections of their own.
    let other = Backend::connect(&stage.database, stage.dir.path()).await.unwrap();
    let stores = [Arc::clone(&stage.jobs), other.jobs()];
    let taken = join_all((0..10).map(|worker| {
        let jobs = &stores[worker % 2];
        async move {
            let mut taken = Vec::new();
            loop {
                let claimed = jobs.claim(3, LONG).await.unwrap();
                if claimed.is_empty() {
                    break taken;
                }
                taken.extend(claimed.iter().map(|claimed| (claimed.id, claimed.claim)));
            }
        }
    }))
    .await;
    // All that are left when everybody found nothing are none: a row is only locked by who takes it.
    let all: Vec<_> = taken.concat();
    assert_eq!(all.len(), 200);
    assert_eq!(all.iter().map(|(id, _)| id).collect::<HashSet<_>>().len(), 200);
    let settled: Vec<_> = all.into_iter().map(|(id, claim)| Settled { id, claim, outcome: Outcome::Sent }).collect();
    assert_eq!(stage.jobs.settle(&settled).await.unwrap().len(), 200);
    other.store().close().await;
}

async fn one_that_all_ask_for_goes_to_one(stage: Stage) {
    stage.notifications(1).await;
    let id = stage.jobs.unpublished(1, LONG).await.unwrap()[0].id;
    let claims = join_all((0..20).map(|_| stage.jobs.claim_one(id, LONG))).await;
    let taken = claims.iter().filter(|claim| matches!(claim, Ok(Claim::Taken(_)))).count();
    let later = claims.iter().filter(|claim| matches!(claim, Ok(Claim::Later))).count();
    assert_eq!((taken, later), (1, 19));
}

async fn one_that_comes_while_its_confirmation_is_recorded_is_taken(stage: Stage) {
    stage.notifications(1).await;
    let id = stage.jobs.unpublished(1, LONG).await.unwrap()[0].id;
    let recorded =
        Hold::on(&stage, &format!("UPDATE notifications SET published_at = now() WHERE id = {}", id.0)).await;
    let jobs = Arc::clone(&stage.jobs);
    let claim = tokio::spawn(async move { jobs.claim_one(id, LONG).await.unwrap() });
    recorded.waited_for(&stage).await;
    recorded.commit().await;
    let Claim::Taken(claimed) = claim.await.unwrap() else { panic!("it is due") };
    assert_eq!((claimed.id, claimed.attempt), (id, 1));
    assert_eq!(stage.count("notifications WHERE published_at IS NOT NULL").await, 0, "no message is left of it");
}

async fn settling_in_opposite_order_does_not_deadlock(stage: Stage) {
    stage.notifications(50).await;
    let claimed = stage.jobs.claim(50, LONG).await.unwrap();
    let settled: Vec<_> = (claimed.iter())
        .map(|claimed| Settled { id: claimed.id, claim: claimed.claim, outcome: Outcome::Sent })
        .collect();
    let reversed: Vec<_> = settled.iter().rev().cloned().collect();
    let recorded = join_all((0..20).map(|turn| {
        let jobs = Arc::clone(&stage.jobs);
        let settled = if turn % 2 == 0 { settled.clone() } else { reversed.clone() };
        tokio::spawn(async move { jobs.settle(&settled).await.unwrap().len() })
    }))
    .await;
    assert_eq!(recorded.into_iter().map(Result::unwrap).sum::<usize>(), 50);
}
