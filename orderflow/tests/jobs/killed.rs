//! A real worker process, killed at each step, and another that finishes what it had begun.

use std::{collections::HashSet, time::Duration};

use orderflow::domain::OrderId;
use orderflow_servers::{Behaviour, Sink};

use crate::{
    hold::{Hold, WAITING},
    on_both_stores,
    process::Process,
    stage::{LONG, Stage, until},
};

on_both_stores!(
    before_the_mail_server_has_answered,
    while_mails_are_accepted_and_their_answers_lost,
    between_the_mail_and_its_record,
    in_the_middle_of_it_all,
    two_processes_share_the_work,
);

/// Orders of a new customer, which nobody has relayed yet.
async fn orders(stage: &Stage, count: usize) -> Vec<OrderId> {
    let ada = stage.customer("ada").await;
    let mut orders = Vec::new();
    for _ in 0..count {
        orders.push(stage.order(ada).await);
    }
    orders
}

fn smtp(sink: &Sink) -> Vec<(&'static str, String)> {
    // Nobody takes anything over from the living, however busy the machine is: tests end the leases of the dead.
    vec![("mail.smtp_url", sink.url()), ("mail.timeout", "1m".to_owned()), ("queue.claim", "5m".to_owned())]
}

fn worker(stage: &Stage, settings: &[(&'static str, String)]) -> Process {
    let settings: Vec<_> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    tokio::task::block_in_place(|| Process::worker(stage, &settings))
}

/// Waits until everybody was told, and checks that each was told what is theirs.
async fn all_told(stage: &Stage, sink: &Sink, orders: &[OrderId]) {
    let count = i64::try_from(orders.len()).unwrap();
    until("every notification is sent", async || stage.count("notifications WHERE state = 'sent'").await == count)
        .await;
    for table in ["orders", "notifications", "outbox WHERE published_at IS NOT NULL"] {
        assert_eq!(stage.count(table).await, count, "{table}");
    }
    assert_eq!(stage.count("dead_letters").await, 0);
    let told: HashSet<_> = sink.mails().into_iter().map(|mail| bare(&mail.message_id)).collect();
    let customer = stage.ask("SELECT id FROM customers").await;
    let expected: HashSet<_> =
        orders.iter().map(|order| format!("order-{order}.{customer}@orderflow.example")).collect();
    assert_eq!(told, expected);
}

fn bare(message_id: &str) -> String {
    message_id.trim_matches(['<', '>']).to_owned()
}

async fn before_the_mail_server_has_answered(stage: Stage) {
    let sink = Sink::start().unwrap();
    sink.behave(Behaviour::Hang);
    let orders = orders(&stage, 3).await;
    let first = worker(&stage, &smtp(&sink));
    let begun = "notifications WHERE claim IS NOT NULL AND attempts = 1";
    until("all are begun", async || stage.count(begun).await == 3).await;
    first.kill();
    assert!(sink.mails().is_empty());
    stage.expire().await;
    sink.behave(Behaviour::Accept { after: Duration::ZERO });
    let second = worker(&stage, &smtp(&sink));
    all_told(&stage, &sink, &orders).await;
    assert_eq!(sink.mails().len(), 3, "nobody was told twice");
    until("it has counted", async || second.sent() == 3).await;
    assert!(second.ask("/metrics").contains("mail_repeats_possible_total 3"));
    assert!(second.end().success());
}

async fn while_mails_are_accepted_and_their_answers_lost(stage: Stage) {
    let sink = Sink::start().unwrap();
    sink.behave(Behaviour::AcceptThenDrop);
    let orders = orders(&stage, 2).await;
    let first = worker(&stage, &smtp(&sink));
    assert_eq!(sink.wait_for(2, LONG).len(), 2);
    first.kill();
    stage.expire().await;
    sink.behave(Behaviour::Accept { after: Duration::ZERO });
    let second = worker(&stage, &smtp(&sink));
    all_told(&stage, &sink, &orders).await;
    assert!(second.end().success());
}

async fn between_the_mail_and_its_record(stage: Stage) {
    let sink = Sink::start().unwrap();
    sink.behave(Behaviour::Hang);
    let orders = orders(&stage, 1).await;
    let first = worker(&stage, &smtp(&sink));
    until("it is begun", async || stage.count("notifications WHERE claim IS NOT NULL").await == 1).await;
    let hold = Hold::on(&stage, "SELECT FROM notifications FOR UPDATE").await;
    sink.behave(Behaviour::Accept { after: Duration::ZERO });
    assert_eq!(sink.wait_for(1, LONG).len(), 1);
    hold.waited_for(&stage).await;
    first.kill();
    hold.release_none(&stage).await;
    assert_eq!(stage.count("notifications WHERE state = 'queued' AND claim IS NOT NULL").await, 1);
    stage.expire().await;
    let second = worker(&stage, &smtp(&sink));
    all_told(&stage, &sink, &orders).await;
    // The one repeat that cannot be helped, and it was foreseen.
    assert_eq!(sink.mails().len(), 2);
    until("it has counted", async || second.sent() == 1).await;
    assert!(second.ask("/metrics").contains("mail_repeats_possible_total 1"));
    assert!(second.end().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_relays() {
    let Some(stage) = Stage::postgresql().await else { return };
    let sink = Sink::start().unwrap();
    let orders = orders(&stage, 3).await;
    let hold = Hold::on(&stage, "LOCK TABLE outbox").await;
    let first = worker(&stage, &smtp(&sink));
    let waits = format!("{WAITING} AND query LIKE '%INSERT INTO notifications%'");
    until("the relay waits", async || stage.count(&waits).await >= 1).await;
    first.kill();
    hold.release().await;
    // The statement of the dead may yet be done or not.
    let second = worker(&stage, &smtp(&sink));
    all_told(&stage, &sink, &orders).await;
    assert_eq!(sink.mails().len(), 3, "nobody was told twice");
    assert!(second.end().success());
}

async fn in_the_middle_of_it_all(stage: Stage) {
    let sink = Sink::start().unwrap();
    sink.behave(Behaviour::Accept { after: Duration::from_millis(20) });
    let orders = orders(&stage, 60).await;
    for turn in 1..=3 {
        let victim = worker(&stage, &smtp(&sink));
        sink.wait_for(10 * turn, LONG);
        victim.kill();
        stage.expire().await;
    }
    let last = worker(&stage, &smtp(&sink));
    all_told(&stage, &sink, &orders).await;
    // Each of the three may have had as many in hand as it has places, and as many to record.
    let repeats = sink.mails().len() - orders.len();
    println!("killed: three times in the middle of {} mails, {repeats} came twice", orders.len());
    assert!(repeats <= 3 * 8, "{repeats}");
    assert!(last.end().success());
}

async fn two_processes_share_the_work(stage: Stage) {
    let sink = Sink::start().unwrap();
    sink.behave(Behaviour::Accept { after: Duration::from_millis(50) });
    let (one, two) = (worker(&stage, &smtp(&sink)), worker(&stage, &smtp(&sink)));
    let orders = orders(&stage, 120).await;
    all_told(&stage, &sink, &orders).await;
    assert_eq!(sink.mails().len(), 120, "nobody was told twice");
    until("both have counted", async || one.sent() + two.sent() == 120).await;
    assert!(one.sent() > 0 && two.sent() > 0, "{} and {}", one.sent(), two.sent());
    assert!(one.end().success() && two.end().success());
}
