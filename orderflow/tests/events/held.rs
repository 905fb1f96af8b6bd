//! A transaction that is not ended: what it wrote comes in its place, whenever that is.

use orderflow_servers::{Postgres, Settings, needs};
use sqlx::{Connection, PgConnection};

use crate::{
    client::Client,
    stage::{Stage, until},
};

const INSERT: &str = "INSERT INTO outbox (kind, payload) VALUES ('order.placed', \
                      '{\"order_id\": 777777, \"customer_id\": 1, \"total_cents\": 5}')";

/// How often events were looked for, as the server counts it.
fn looks(stage: &Stage) -> i64 {
    let scans = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'outbox_xid_id'";
    stage.postgres.as_ref().unwrap().psql(scans).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn later_events_wait_for_it_and_its_own_is_not_lost() {
    // A server of its own: the transaction holds up events in every database of a server.
    let Some(server) = needs(Postgres::own(&Settings::default())) else { return };
    let stage = Stage::on(&server, &[]).await;
    let url = stage.postgres.as_ref().unwrap().url().to_owned();
    let mut client = Client::open(stage.public(), None).await;
    let start = client.ready().await;
    for keep in [true, false] {
        let mut session = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql("BEGIN").execute(&mut session).await.unwrap();
        sqlx::raw_sql(INSERT).execute(&mut session).await.unwrap();
        let later = [stage.order().await, stage.order().await];
        // Whoever did not wait would have told of them by now: it was looked for them several times.
        let before = looks(&stage);
        until("it was looked", async || looks(&stage) >= before + 3).await;
        let mut beside = Client::open(stage.public(), Some(&start)).await;
        sqlx::raw_sql(if keep { "COMMIT" } else { "ROLLBACK" }).execute(&mut session).await.unwrap();
        session.close().await.unwrap();
        if keep {
            assert_eq!(client.order().await, 777_777, "the first that began is the first that is told");
        }
        assert_eq!([client.order().await, client.order().await], later);
        let all = if keep { 3 } else { 5 };
        let mut heard = vec![];
        for _ in 0..all {
            heard.push(beside.order().await);
        }
        assert_eq!((heard[0], &heard[all - 2..]), (777_777, &later[..]));
    }
}
