//! How one instance hears of what another did, long before it would have looked by itself.

use crate::{
    client::Client,
    stage::{Stage, order, until},
};

/// An instance looks by itself only after the test is over.
const NEVER: (&str, &str) = ("events.poll", "1h");

/// Connections that hear what instances say.
fn lines(stage: &Stage, what: &str) -> usize {
    let sql = format!(
        "SELECT count({what}) FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name = 'orderflow events'"
    );
    stage.postgres.as_ref().unwrap().psql(&sql).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_heard_of_at_every_instance_of_a_postgresql() {
    let Some(mut stage) = Stage::postgresql_with(&[NEVER]).await else { return };
    stage.instance().await;
    assert_eq!(lines(&stage, "*"), 0, "who has nothing to hear or say needs no connection");
    let [near, far] = [0, 1].map(|at| stage.instances[at].public);
    let mut clients = [Client::open(near, None).await, Client::open(far, None).await];
    for client in &mut clients {
        client.ready().await;
    }
    for at in [near, far, far, near] {
        let id = order(at).await;
        for client in &mut clients {
            assert_eq!(client.order().await, id);
        }
    }
    assert_eq!(lines(&stage, "*"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_ended_is_opened_again_and_nothing_stays_unheard() {
    let Some(mut stage) = Stage::postgresql_with(&[NEVER]).await else { return };
    stage.instance().await;
    let [near, far] = [0, 1].map(|at| stage.instances[at].public);
    let mut client = Client::open(far, None).await;
    client.ready().await;
    for _ in 0..3 {
        let id = order(near).await;
        assert_eq!(client.order().await, id);
        until("both listen", async || lines(&stage, "*") == 2).await;
        assert_eq!(lines(&stage, "pg_terminate_backend(pid)"), 2);
        // Said while nobody hears, by somebody who cannot speak.
        let id = order(near).await;
        assert_eq!(client.order().await, id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_word_events_are_found_by_looking() {
    // Behind a pooler nobody can listen, and nothing is said of a way past it.
    let settings = [("events.poll", "50ms"), ("database.pooler", "transaction")];
    let Some(mut stage) = Stage::postgresql_with(&settings).await else { return };
    stage.instance().await;
    let far = stage.instances[1].public;
    let mut client = Client::open(far, None).await;
    client.ready().await;
    for _ in 0..3 {
        let id = stage.order().await;
        assert_eq!(client.order().await, id);
    }
    assert_eq!(lines(&stage, "*"), 0);
}
