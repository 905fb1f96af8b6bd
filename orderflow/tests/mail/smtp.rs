//! A mail server with its faults.

use std::{collections::HashSet, sync::Arc, time::Duration};

use orderflow::mail::{MailError, Mailer};
use orderflow_servers::{Behaviour, Sink};

use crate::stage::{mail, smtp};

const ACCEPT: Behaviour = Behaviour::Accept { after: Duration::ZERO };

/// Why a mail was not sent, which is never for good and tells nobody's name or address.
async fn temporary(mailer: &dyn Mailer, number: usize) -> String {
    let Err(MailError::Temporary(why)) = mailer.send(&mail(number)).await else { panic!("it is not temporary") };
    assert!(!why.contains("ada") && !why.contains("Ada"), "{why}");
    why
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_says_is_sorted_and_the_next_mail_goes_through() {
    let sink = Sink::start().unwrap();
    let mailer = smtp(&sink.url(), &[]);
    sink.behave(Behaviour::Temporary);
    assert_eq!(temporary(&*mailer, 1).await, "the mail server refuses the mail (451)");
    sink.behave(Behaviour::Permanent);
    let refused = mailer.send(&mail(2)).await.unwrap_err();
    assert_eq!(refused, MailError::Permanent("the mail server refuses the mail (550)".to_owned()));
    sink.behave(Behaviour::RefuseConnections);
    assert_eq!(temporary(&*mailer, 3).await, "the mail server takes no mail (421)");
    sink.behave(ACCEPT);
    mailer.send(&mail(4)).await.unwrap();
    let ids: Vec<_> = sink.mails().into_iter().map(|mail| mail.message_id).collect();
    assert_eq!(ids, ["order-4.7@orderflow.example"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_waited_for_by_others() {
    let sink = Sink::start().unwrap();
    let mailer = smtp(&sink.url(), &[]);
    mailer.send(&mail(1)).await.unwrap();
    sink.stop();
    // The connection that was kept, and then a new one.
    temporary(&*mailer, 2).await;
    assert_eq!(temporary(&*mailer, 2).await, "the mail server cannot be talked to: connection refused");
    sink.start_again().unwrap();
    mailer.send(&mail(2)).await.unwrap();
    assert_eq!(sink.mails().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_was_accepted_without_an_answer_comes_again_under_the_same_id() {
    let sink = Sink::start().unwrap();
    let mailer = smtp(&sink.url(), &[]);
    sink.behave(Behaviour::AcceptThenDrop);
    temporary(&*mailer, 1).await;
    sink.behave(ACCEPT);
    mailer.send(&mail(1)).await.unwrap();
    let ids: Vec<_> = sink.mails().into_iter().map(|mail| mail.message_id).collect();
    assert_eq!(ids, ["order-1.7@orderflow.example", "order-1.7@orderflow.example"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_late_answer_to_a_mail_is_never_taken_for_that_to_the_next() {
    let sink = Sink::start().unwrap();
    // One connection at a time. The first mail goes through, so that the second finds a connection that was kept.
    let mailer = smtp(&sink.url(), &[("worker.concurrency", "1"), ("mail.timeout", "1s")]);
    for round in 0..3 {
        sink.behave(ACCEPT);
        until(&*mailer, 10 * round, Ok(())).await;
        sink.behave(Behaviour::Hang);
        assert_eq!(temporary(&*mailer, 10 * round + 1).await, "the mail server did not answer in time");
        // Now the server has an answer to the mail that nobody waits for.
        sink.behave(Behaviour::Permanent);
        let refused = MailError::Permanent("the mail server refuses the mail (550)".to_owned());
        until(&*mailer, 10 * round + 2, Err(refused)).await;
    }
    let ids: HashSet<_> = sink.mails().into_iter().map(|mail| mail.message_id).collect();
    assert_eq!(ids, (0..3).map(|round| format!("order-{}.7@orderflow.example", 10 * round)).collect());
}

/// Sends a mail until this comes of it: on a busy machine the time may run out before.
async fn until(mailer: &dyn Mailer, number: usize, expected: Result<(), MailError>) {
    for _ in 0..60 {
        if mailer.send(&mail(number)).await == expected {
            return;
        }
    }
    panic!("60 times it was not {expected:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_mails_at_once_share_connections_and_none_is_lost() {
    let sink = Sink::start().unwrap();
    let mailer = smtp(&sink.url(), &[("worker.concurrency", "8")]);
    let sends: Vec<_> = (0..200)
        .map(|number| {
            let mailer = Arc::clone(&mailer);
            tokio::spawn(async move { mailer.send(&mail(number)).await })
        })
        .collect();
    for send in sends {
        send.await.unwrap().unwrap();
    }
    let mails = sink.mails();
    let of: HashSet<_> = mails.iter().map(|mail| (mail.message_id.clone(), mail.to.clone())).collect();
    let expected = (0..200).map(|number| {
        let to = format!("\"Ada Lovelace\" <ada{number}@example.com>");
        (format!("order-{number}.7@orderflow.example"), to)
    });
    assert_eq!(mails.len(), 200);
    assert_eq!(of, expected.collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_who_goes_away_takes_its_connection_along() {
    let sink = Sink::start().unwrap();
    let mailer = smtp(&sink.url(), &[("worker.concurrency", "1")]);
    mailer.send(&mail(1)).await.unwrap();
    for wait in [0, 1, 5, 20] {
        sink.behave(Behaviour::Hang);
        let abandoned = {
            let mailer = Arc::clone(&mailer);
            tokio::spawn(async move { mailer.send(&mail(2)).await })
        };
        // Wherever it is by then.
        tokio::time::sleep(Duration::from_millis(wait)).await;
        abandoned.abort();
        assert!(abandoned.await.unwrap_err().is_cancelled());
        sink.behave(ACCEPT);
        mailer.send(&mail(3)).await.unwrap();
    }
    let arrived = sink.mails().iter().filter(|mail| mail.message_id.starts_with("order-3.")).count();
    assert_eq!(arrived, 4);
}
