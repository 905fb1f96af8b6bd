//! Takes messages from the broker, and gives the notifications that they name to the worker.

use futures_util::StreamExt;
use lapin::{
    Consumer,
    message::Delivery,
    options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions},
    types::FieldTable,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::{
    Broker,
    session::{Role, Session, Sessions, Trouble, answer},
};
use crate::{
    background::Stop,
    jobs::{Claim, Claimed, NotificationId, SharedJobs},
    resilience::Backoff,
};

/// Distances between attempts to ask the table.
const BACKOFF: Backoff =
    Backoff { base: std::time::Duration::from_millis(50), most: std::time::Duration::from_secs(2) };
/// What this process calls its consumer.
const TAG: &str = "worker";

/// A notification that the worker has, and the message that brought it.
#[derive(Debug)]
pub struct Work {
    /// The notification.
    pub claimed: Claimed,
    /// To be dropped when the outcome is recorded.
    pub receipt: Receipt,
}

/// Stands for a message that is not acknowledged yet. It is when this is dropped. That is right even if no outcome was
/// recorded: the table brings the notification back when its claim is over.
#[derive(Debug)]
pub struct Receipt(#[expect(dead_code, reason = "dropped with the receipt, it says so")] oneshot::Sender<()>);

type Slot = mpsc::OwnedPermit<Work>;

/// What a message needs to become work.
#[derive(Clone)]
struct Desk {
    broker: Broker,
    store: SharedJobs,
    stop: Stop,
}

impl Broker {
    /// Gives work to `worker` until told to stop, and then waits for the receipts of what it gave. The broker gives so many
    /// messages at once as `worker` has room for.
    pub async fn consume(self, store: SharedJobs, worker: mpsc::Sender<Work>, mut stop: Stop) {
        let room = u16::try_from(worker.max_capacity()).unwrap_or(u16::MAX);
        let desk = Desk { broker: self.clone(), store, stop: stop.clone() };
        // They outlive the connection: a worker that has begun is not disturbed by the broker's going away.
        let mut under_way = JoinSet::new();
        let mut sessions = Sessions::new(&self, Role::Consumer);
        while let Some(session) = sessions.next(&mut stop).await {
            let mut until = stop.clone();
            let ended = tokio::select! {
                ended = desk.serve(&session, room, &worker, &mut under_way) => ended,
                () = until.wait() => {
                    let cancel = session.channel.basic_cancel(TAG.into(), BasicCancelOptions::default());
                    let _ = answer("end a consumer", cancel).await;
                    drop(worker);
                    while under_way.join_next().await.is_some() {}
                    session.close().await;
                    return;
                }
            };
            sessions.lost(&ended);
        }
        drop(worker);
        while under_way.join_next().await.is_some() {}
    }
}

impl Desk {
    /// Takes messages until the session fails.
    async fn serve(
        &self,
        session: &Session,
        room: u16,
        worker: &mpsc::Sender<Work>,
        under_way: &mut JoinSet<()>,
    ) -> Trouble {
        let mut messages = match self.begin(session, room).await {
            Ok(messages) => messages,
            Err(trouble) => return trouble,
        };
        self.broker.set_connected(Role::Consumer, true);
        loop {
            // Room first: what is claimed must not wait for the worker while the claim runs out.
            let Ok(slot) = worker.clone().reserve_owned().await else { return Trouble::Closed };
            while under_way.try_join_next().is_some() {}
            match messages.next().await {
                Some(Ok(delivery)) => drop(under_way.spawn(self.clone().deal(delivery, slot))),
                Some(Err(error)) => return error.into(),
                None => return session.check().err().unwrap_or(Trouble::Deleted),
            }
        }
    }

    async fn begin(&self, session: &Session, room: u16) -> Result<Consumer, Trouble> {
        let Session { channel, .. } = session;
        answer("limit its messages", channel.basic_qos(room, BasicQosOptions::default())).await?;
        let queue = self.broker.0.config.name.as_str();
        let consume =
            channel.basic_consume(queue.into(), TAG.into(), BasicConsumeOptions::default(), FieldTable::default());
        answer("begin to give messages", consume).await
    }

    /// One message, from its delivery to its acknowledgement.
    async fn deal(mut self, delivery: Delivery, slot: Slot) {
        let Some(id) = notification(&delivery.data) else {
            self.broker.0.metrics.broker_rejected.inc();
            tracing::warn!(bytes = delivery.data.len(), "a message names no notification and is thrown away");
            let _ = delivery.reject(BasicRejectOptions { requeue: false }).await;
            return;
        };
        let Some(claim) = self.claim(id).await else { return };
        if let Claim::Taken(claimed) = claim {
            let (receipt, returned) = oneshot::channel();
            slot.send(Work { claimed: *claimed, receipt: Receipt(receipt) });
            // Always an error, since nothing is ever sent: the receipt was dropped.
            let _ = returned.await;
        }
        // Where the connection has broken since, the message comes again, and there is nothing left to do for it.
        let _ = delivery.ack(BasicAckOptions::default()).await;
    }

    /// Asks the table until it answers; `None` when it is time to stop. Meanwhile the message stays with this process, since
    /// it would find the same table elsewhere.
    async fn claim(&mut self, id: NotificationId) -> Option<Claim> {
        let mut failed = 0;
        loop {
            match self.store.claim_one(id, self.broker.0.config.claim).await {
                Ok(claim) => return Some(claim),
                Err(error) => {
                    failed += 1;
                    tracing::warn!(%error, failed, "a notification cannot be taken up; it is tried again");
                    if self.stop.sleep(BACKOFF.after(failed)).await {
                        return None;
                    }
                }
            }
        }
    }
}

/// The notification that a message names.
fn notification(body: &[u8]) -> Option<NotificationId> {
    std::str::from_utf8(body).ok()?.parse().ok().map(NotificationId)
}
