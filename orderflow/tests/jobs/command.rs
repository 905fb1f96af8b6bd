//! `orderflow worker` and `orderflow dead-letters` as somebody runs them.

use std::process::Output;

use orderflow::jobs::Outcome;
use tokio::task::block_in_place;

use crate::{
    on_both_stores,
    process::{Process, program},
    stage::{LONG, Stage, until},
};

on_both_stores!(
    a_worker_writes_mails_to_the_spool_directory,
    dead_letters_are_shown_and_tried_again_or_dropped,
    a_service_tells_its_own_orders,
);

fn run(stage: &Stage, arguments: &[&str]) -> Output {
    block_in_place(|| program(stage, arguments, &[]).output().unwrap())
}

/// What it says when all is well.
#[track_caller]
fn says(stage: &Stage, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = run(stage, arguments);
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

async fn a_worker_writes_mails_to_the_spool_directory(stage: Stage) {
    stage.notifications(3).await;
    let command = program(&stage, &["worker", "--concurrency", "2"], &[("mail.spool", "mails")]);
    let worker = block_in_place(|| Process::start(command));
    assert_eq!(worker.said, "worker     sends 2 notifications at once");
    until("all are sent", async || worker.sent() == 3).await;
    assert!(worker.ask("/healthz/ready").starts_with("HTTP/1.1 200"));
    assert!(block_in_place(|| worker.end()).success());
    assert_eq!(std::fs::read_dir(stage.dir.path().join("mails")).unwrap().count(), 3);
}

async fn dead_letters_are_shown_and_tried_again_or_dropped(stage: Stage) {
    assert_eq!(says(&stage, &["dead-letters", "list"]), "there are no dead letters\n");
    assert_eq!(says(&stage, &["dead-letters", "list", "--format", "json"]), "");
    stage.notifications(3).await;
    for claimed in stage.jobs.claim(3, LONG).await.unwrap() {
        assert!(stage.settle(&claimed, Outcome::Dead("no such mailbox".to_owned())).await);
    }
    let table = says(&stage, &["dead-letters", "list"]);
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 4);
    let columns: Vec<_> = lines[0].split_whitespace().collect();
    assert_eq!(columns, ["ID", "CUSTOMER", "OCCASION", "ATTEMPTS", "GIVEN", "UP", "WHY"]);
    assert!(lines[1].contains("order:") && lines[1].ends_with("no such mailbox"), "{table}");

    let json = says(&stage, &["dead-letters", "list", "--format", "json"]);
    let letters: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(letters.len(), 3);
    assert_eq!((&letters[0]["attempts"], &letters[0]["error"]), (&1.into(), &"no such mailbox".into()));
    let id = letters[0]["id"].to_string();

    assert_eq!(says(&stage, &["dead-letters", "retry", &id]), "1 notification will be tried again\n");
    assert_eq!(says(&stage, &["dead-letters", "retry", &id]), "no dead letter was found\n");
    let two = [letters[1]["id"].to_string(), letters[1]["id"].to_string(), "4000000000".to_owned()];
    let said = says(&stage, &["dead-letters", "drop", &two[0], &two[1], &two[2]]);
    assert_eq!(said, "1 notification will not be tried any more\n1 of those named are no dead letters\n");
    assert_eq!(says(&stage, &["dead-letters", "drop", "--all"]), "1 notification will not be tried any more\n");
    assert_eq!(stage.count("notifications WHERE state = 'dropped'").await, 2);
    assert_eq!(stage.claim().await.attempt, 1);

    for wrong in
        [&["dead-letters", "retry"][..], &["dead-letters", "drop", "1", "--all"], &["worker", "--concurrency", "0"]]
    {
        assert_eq!(run(&stage, wrong).status.code(), Some(2), "{wrong:?}");
    }
}

async fn a_service_tells_its_own_orders(stage: Stage) {
    let ada = stage.customer("ada").await;
    stage.order(ada).await;
    let settings = [("worker.in_process", "on"), ("mail.spool", "mails")];
    let service = block_in_place(|| Process::start(program(&stage, &["serve"], &settings)));
    until("it is sent", async || service.sent() == 1).await;
    assert!(block_in_place(|| service.end()).success());
    assert_eq!(stage.count("notifications WHERE state = 'sent'").await, 1);
    // Unless somebody says so, a service on a database of its own choice leaves it to others.
    stage.order(ada).await;
    let service = block_in_place(|| Process::start(program(&stage, &["serve"], &[])));
    assert!(service.ask("/healthz/ready").starts_with("HTTP/1.1 200"));
    assert!(block_in_place(|| service.end()).success());
    assert_eq!(stage.count("notifications").await, 1);
}
