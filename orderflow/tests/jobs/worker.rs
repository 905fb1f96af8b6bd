//! A worker and a mailer that accepts, refuses, hangs or panics.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use orderflow::{
    jobs::{Outcome, Settings},
    mail::{Mail, MailError, Mailer},
};

use crate::{
    on_both_stores,
    stage::{LONG, Stage, until},
    working::{
        Act::{Accept, Hang, Panic, Permanent, Temporary},
        Script, Working, settings,
    },
};

on_both_stores!(
    a_placed_order_is_told_its_customer,
    who_waits_is_woken,
    a_refusal_for_now_is_tried_again,
    a_refusal_for_good_is_a_dead_letter,
    who_always_fails_becomes_a_dead_letter,
    a_mailer_that_hangs_or_panics_holds_up_nobody,
    what_was_tried_too_often_is_not_sent_again,
    a_deleted_customer_is_told_nothing,
    no_more_are_sent_at_once_than_there_are_places,
    who_is_told_to_stop_ends_what_was_begun_and_takes_nothing_new,
    what_does_not_end_in_time_is_left_to_its_lease,
    a_mailer_that_fails_is_left_alone_without_using_up_attempts,
    two_workers_share_the_work,
);

async fn a_placed_order_is_told_its_customer(stage: Stage) {
    let script = Script::of(&[]);
    let working = Working::start(&stage.jobs, script.clone(), settings());
    let ada = stage.customer("ada").await;
    let order = stage.order(ada).await;
    until("the mail is recorded", async || working.processed("sent") == 1).await;
    let (mail, _) = script.asked.lock().unwrap()[0].clone();
    assert_eq!(mail.message_id, format!("<order-{order}.{ada}@orderflow.example>"));
    assert_eq!(mail.address, "ada@example.com");
    assert_eq!(stage.count("notifications WHERE state = 'sent' AND attempts = 1").await, 1);
    assert_eq!(working.metrics.outbox_relayed.get(), 1);
    until("the backlog is counted", async || working.metrics.jobs_queued.get() == 0).await;
    let text = working.metrics.text();
    assert!(text.contains("jobs_duration_seconds_count{kind=\"order\"} 1"), "{text}");
    working.end().await;
}

async fn who_waits_is_woken(stage: Stage) {
    let script = Script::of(&[]);
    // Without being told it would look again after an hour.
    let hour = Duration::from_hours(1);
    let working = Working::start(&stage.jobs, script.clone(), Settings { poll: hour, ..settings() });
    let ada = stage.customer("ada").await;
    for count in 1..=3 {
        stage.order(ada).await;
        working.wake.placed();
        until("the mail is sent", async || script.accepted().len() == count).await;
    }
    working.end().await;
}

async fn a_refusal_for_now_is_tried_again(stage: Stage) {
    stage.notifications(1).await;
    let script = Script::of(&[Temporary, Temporary]);
    let working = Working::start(&stage.jobs, script.clone(), settings());
    until("the mail is recorded", async || working.processed("sent") == 1).await;
    assert_eq!(script.asked(), 3);
    assert_eq!(working.processed("retried"), 2);
    let ids: HashSet<_> = script.asked.lock().unwrap().iter().map(|(mail, _)| mail.message_id.clone()).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(working.metrics.mail_repeats_possible.get(), 0);
    working.end().await;
}

async fn a_refusal_for_good_is_a_dead_letter(stage: Stage) {
    stage.notifications(1).await;
    let script = Script::of(&[Permanent]);
    let working = Working::start(&stage.jobs, script.clone(), settings());
    until("it is given up", async || working.processed("dead") == 1).await;
    until("it is counted", async || working.metrics.jobs_dead.get() == 1).await;
    let letters = stage.jobs.dead_letters(None, 10).await.unwrap();
    // What no database keeps, and no line shows, is left out.
    assert_eq!((letters[0].error.as_str(), letters[0].attempts), ("no suchmailbox", 1));
    assert_eq!(stage.jobs.retry_dead(None).await.unwrap(), 1);
    until("it is sent after all", async || working.processed("sent") == 1).await;
    working.end().await;
}

async fn who_always_fails_becomes_a_dead_letter(stage: Stage) {
    stage.notifications(1).await;
    let script = Script::of(&[Temporary; 3]);
    let working = Working::start(&stage.jobs, script.clone(), settings());
    until("it is given up", async || working.processed("dead") == 1).await;
    assert_eq!((script.asked(), working.processed("retried")), (3, 2));
    let letters = stage.jobs.dead_letters(None, 10).await.unwrap();
    assert_eq!((letters[0].error.as_str(), letters[0].attempts), ("come again", 3));
    working.end().await;
}

async fn a_mailer_that_hangs_or_panics_holds_up_nobody(stage: Stage) {
    stage.notifications(8).await;
    let script = Script::of(&[Hang, Panic, Accept, Accept]);
    let settings = Settings { send: Duration::from_millis(500), concurrency: 2, ..settings() };
    let working = Working::start(&stage.jobs, script.clone(), settings);
    until("all are sent", async || working.processed("sent") == 8).await;
    assert_eq!((script.asked(), working.processed("retried")), (10, 2));
    assert_eq!(script.accepted().into_iter().collect::<HashSet<_>>().len(), 8);
    working.end().await;
}

async fn what_was_tried_too_often_is_not_sent_again(stage: Stage) {
    // Whoever took it up died of it three times, and recorded nothing.
    stage.notifications(1).await;
    for _ in 0..3 {
        stage.claim().await;
        stage.expire().await;
    }
    let script = Script::of(&[]);
    let working = Working::start(&stage.jobs, script.clone(), settings());
    until("it is given up", async || working.processed("dead") == 1).await;
    assert_eq!(script.asked(), 0);
    assert_eq!(working.metrics.mail_repeats_possible.get(), 1);
    let letters = stage.jobs.dead_letters(None, 10).await.unwrap();
    assert!(letters[0].error.contains("tried 3 times"), "{}", letters[0].error);
    working.end().await;
}

async fn a_deleted_customer_is_told_nothing(stage: Stage) {
    let ada = stage.customer("ada").await;
    stage.order(ada).await;
    stage.store.delete_customer(ada).await.unwrap();
    let script = Script::of(&[]);
    let working = Working::start(&stage.jobs, script.clone(), settings());
    until("it is dropped", async || working.processed("dropped") == 1).await;
    assert_eq!(script.asked(), 0);
    assert_eq!(stage.count("notifications WHERE state = 'dropped'").await, 1);
    working.end().await;
}

async fn no_more_are_sent_at_once_than_there_are_places(stage: Stage) {
    stage.notifications(60).await;
    let script = Script::slow(Duration::from_millis(10));
    let working = Working::start(&stage.jobs, script.clone(), settings());
    until("all are sent", async || working.processed("sent") == 60).await;
    let most = script.most_at_once.load(Ordering::SeqCst);
    assert_eq!(most, settings().concurrency as usize, "all places are used, and no more");
    assert_eq!(script.asked(), 60);
    working.end().await;
}

async fn who_is_told_to_stop_ends_what_was_begun_and_takes_nothing_new(stage: Stage) {
    stage.notifications(200).await;
    let script = Script::slow(Duration::from_millis(50));
    let working = Working::start(&stage.jobs, script.clone(), settings());
    until("it is in the middle", async || script.asked() >= 8).await;
    working.end().await;
    let sent = script.accepted().len();
    assert!(sent < 200, "it did not stop");
    assert_eq!(stage.count("notifications WHERE state = 'sent'").await, i64::try_from(sent).unwrap());
    assert_eq!(stage.count("notifications WHERE state = 'queued' AND claim IS NOT NULL").await, 0);
    // What it gave back counts as untried, and is there for the next one.
    assert_eq!(stage.count("notifications WHERE state = 'queued' AND attempts > 0").await, 0);
}

async fn what_does_not_end_in_time_is_left_to_its_lease(stage: Stage) {
    stage.notifications(1).await;
    let script = Script::of(&[Hang]);
    let settings = Settings { finish: Duration::from_millis(100), ..settings() };
    let working = Working::start(&stage.jobs, script.clone(), settings);
    until("the mailer hangs", async || script.asked() == 1).await;
    working.end().await;
    assert_eq!(stage.count("notifications WHERE state = 'queued' AND claim IS NOT NULL AND attempts = 1").await, 1);
    stage.expire().await;
    let next = Working::start(&stage.jobs, script.clone(), settings);
    until("the next one sends it", async || next.processed("sent") == 1).await;
    assert_eq!(next.metrics.mail_repeats_possible.get(), 1);
    next.end().await;
}

async fn a_mailer_that_fails_is_left_alone_without_using_up_attempts(stage: Stage) {
    stage.notifications(30).await;
    let script = Script::of(&[Temporary; 1000]);
    let working = Working::start(&stage.jobs, script.clone(), Settings { max_attempts: 100, ..settings() });
    let open = [("name", "mail")];
    until("it is left alone", async || working.metrics.circuit_state.get_or_create(&open).get() == 2).await;
    // Now and then one is begun, to see whether the mailer is well again. In between, each attempt that counts is one that the
    // mailer saw.
    let between = "SELECT CASE WHEN count(claim) = 0 THEN sum(attempts) ELSE -1 END FROM notifications";
    until("attempts are those that the mailer saw", async || {
        let asked = script.asked();
        stage.ask(between).await == i64::try_from(asked).unwrap() && script.asked() == asked
    })
    .await;
    script.mend();
    until("all are sent", async || working.processed("sent") == 30).await;
    assert_eq!(stage.count("dead_letters").await, 0);
    working.end().await;
}

async fn two_workers_share_the_work(stage: Stage) {
    stage.notifications(100).await;
    let at_work = Arc::new(AtomicUsize::new(0));
    let mailers = [(); 2].map(|()| Arc::new(Together { at_work: at_work.clone(), ..Together::default() }));
    let [one, two] = mailers.clone().map(|mailer| Working::start(&stage.jobs, mailer, settings()));
    until("all are sent", async || one.processed("sent") + two.processed("sent") == 100).await;
    assert!(one.processed("sent") > 0 && two.processed("sent") > 0);
    let accepted: Vec<_> = mailers.iter().flat_map(|mailer| mailer.accepted.lock().unwrap().clone()).collect();
    assert_eq!(accepted.len(), 100);
    assert_eq!(accepted.into_iter().collect::<HashSet<_>>().len(), 100);
    one.end().await;
    two.end().await;
}

/// Sends nothing before both workers have begun.
#[derive(Default)]
struct Together {
    at_work: Arc<AtomicUsize>,
    begun: AtomicBool,
    accepted: Mutex<Vec<String>>,
}

#[async_trait]
impl Mailer for Together {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        if !self.begun.swap(true, Ordering::SeqCst) {
            self.at_work.fetch_add(1, Ordering::SeqCst);
        }
        until("both are at work", async || self.at_work.load(Ordering::SeqCst) == 2).await;
        self.accepted.lock().unwrap().push(mail.message_id.clone());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_ran_out_is_recorded_by_who_took_it_over() {
    let stage = Stage::sqlite().await;
    stage.notifications(1).await;
    let slow = stage.claim().await;
    stage.expire().await;
    let script = Script::of(&[]);
    let working = Working::start(&stage.jobs, script.clone(), settings());
    until("it is taken over", async || working.processed("sent") == 1).await;
    assert!(!stage.settle(&slow, Outcome::Retry(LONG)).await);
    assert_eq!(stage.count("notifications WHERE state = 'sent'").await, 1);
    working.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_database_is_survived() {
    use orderflow_servers::{Postgres, Settings as Server, Stop};
    let Some(server) = orderflow_servers::needs(Postgres::own(&Server::default())) else { return };
    let stage = Stage::on(&server).await;
    stage.notifications(100).await;
    let script = Script::slow(Duration::from_millis(10));
    let working = Working::start(&stage.jobs, script.clone(), settings());
    until("it is in the middle", async || script.asked() >= 8).await;
    server.stop(Stop::Immediate).unwrap();
    let before = script.asked();
    server.start().unwrap();
    // Those whose claims were sent when the server ended may be nobody's for a while.
    until("it goes on", async || script.asked() > before.max(40)).await;
    until("all that is left is lost claims", async || {
        stage.count("notifications WHERE state = 'queued' AND claim IS NULL").await == 0
    })
    .await;
    stage.expire().await;
    until("all are sent", async || stage.count("notifications WHERE state = 'sent'").await == 100).await;
    assert_eq!(script.accepted().into_iter().collect::<HashSet<_>>().len(), 100);
    working.end().await;
}
