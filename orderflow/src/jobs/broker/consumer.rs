//! Takes messages from the broker, and gives the notifications that they name to the worker.

use std::{fmt, time::Duration};

use futures_util::StreamExt;
use lapin::{
    BasicProperties, Consumer,
    message::Delivery,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions,
    },
    types::{AMQPValue, FieldTable},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

use super::{
    Broker, TRACEPARENT,
    session::{Role, Session, Sessions, Trouble, answer},
};
use crate::{
    background::Stop,
    jobs::{Claim, Claimed, NotificationId, SharedJobs, traced},
    resilience::Backoff,
    telemetry::TraceContext,
};

/// Distances between attempts to ask the table.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(50), most: Duration::from_secs(2) };
/// How long no message may come until the broker is asked whether there are some.
const QUIET: Duration = Duration::from_secs(2);
/// What this process calls its consumer.
const TAG: &str = "worker";

/// A message that names a notification, for a worker that has a place free. Dropped untaken, it goes back to the broker.
#[derive(Debug)]
pub struct Offer {
    desk: Desk,
    id: NotificationId,
    /// Where the message says that it stands in a trace.
    trace: Option<TraceContext>,
    receipt: Option<Receipt>,
}

/// Stands for a message that is not acknowledged yet. It is when this is dropped, which is to be when the outcome is
/// recorded. It is right even if none was: the table brings the notification back when its claim is over.
#[derive(Debug)]
pub struct Receipt(oneshot::Sender<Back>);

/// A message goes back to the broker.
#[derive(Debug)]
struct Back;

/// What the table is asked with.
#[derive(Clone)]
struct Desk {
    store: SharedJobs,
    lease: Duration,
    stop: Stop,
}

impl Broker {
    /// Offers notifications to `worker` until told to stop, and then waits for the receipts. The broker gives so many
    /// messages at once as `worker` has room for.
    pub async fn consume(self, store: SharedJobs, worker: mpsc::Sender<Offer>, mut stop: Stop) {
        let desk = Desk { store, lease: self.0.config.claim, stop: stop.clone() };
        // They outlive the connection: a worker that has begun is not disturbed by the broker's going away.
        let mut under_way = JoinSet::new();
        let mut sessions = Sessions::new(&self, Role::Consumer);
        let mut last = None;
        while let Some(session) = sessions.next(&mut stop).await {
            let ended = tokio::select! {
                ended = self.serve(&session, &desk, &worker, &mut under_way) => Some(ended),
                () = stop.wait() => None,
            };
            let Some(trouble) = ended else {
                last = Some(session);
                break;
            };
            sessions.lost(&trouble);
        }
        if let Some(session) = &last {
            let _ =
                answer("end a consumer", session.channel.basic_cancel(TAG.into(), BasicCancelOptions::default())).await;
        }
        drop(worker);
        while under_way.join_next().await.is_some() {}
        if let Some(session) = last {
            session.close().await;
        }
    }

    /// Takes messages until the session fails.
    async fn serve(
        &self,
        session: &Session,
        desk: &Desk,
        worker: &mpsc::Sender<Offer>,
        under_way: &mut JoinSet<()>,
    ) -> Trouble {
        let mut messages = match self.begin(session, worker.max_capacity()).await {
            Ok(messages) => messages,
            Err(trouble) => return trouble,
        };
        self.set_connected(Role::Consumer, true);
        loop {
            while under_way.try_join_next().is_some() {}
            let delivery = match timeout(QUIET, messages.next()).await {
                Ok(Some(Ok(delivery))) => delivery,
                Ok(Some(Err(error))) => return error.into(),
                Ok(None) => return session.check().err().unwrap_or(Trouble::Deleted),
                Err(_) => match self.overlooked(session, under_way.len() < worker.max_capacity()).await {
                    Some(trouble) => return trouble,
                    None => continue,
                },
            };
            let Some(id) = notification(&delivery.data) else {
                self.0.metrics.broker_rejected.inc();
                tracing::warn!(bytes = delivery.data.len(), "a message names no notification and is thrown away");
                let _ = delivery.reject(BasicRejectOptions { requeue: false }).await;
                continue;
            };
            let trace = trace(&delivery.properties);
            let (receipt, returned) = oneshot::channel();
            under_way.spawn(acknowledge(delivery, returned));
            let offer = Offer { desk: desk.clone(), id, trace, receipt: Some(Receipt(receipt)) };
            if worker.send(offer).await.is_err() {
                // The worker has ended, and so will this, when it is told.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Why nothing comes, if there is something. Who begins to take messages just while the queue is deleted is told nothing,
    /// and waits for those of a queue that is not the one with this name any more.
    async fn overlooked(&self, session: &Session, has_room: bool) -> Option<Trouble> {
        match session.declare(self).await {
            Ok(queue) if queue.consumer_count() == 0 || has_room && queue.message_count() > 0 => Some(Trouble::Deleted),
            Ok(_) => None,
            Err(trouble) => Some(trouble),
        }
    }

    async fn begin(&self, session: &Session, room: usize) -> Result<Consumer, Trouble> {
        let Session { channel, .. } = session;
        let room = u16::try_from(room).unwrap_or(u16::MAX);
        answer("limit its messages", channel.basic_qos(room, BasicQosOptions::default())).await?;
        let queue = self.0.config.name.as_str();
        let consume =
            channel.basic_consume(queue.into(), TAG.into(), BasicConsumeOptions::default(), FieldTable::default());
        answer("begin to give messages", consume).await
    }
}

impl Offer {
    /// Takes the notification up, when the table can be asked. `None` if there is nothing left to do for it, another has it,
    /// or it is time to stop.
    pub async fn take(mut self) -> Option<(Claimed, Receipt)> {
        let claim = match self.trace {
            Some(trace) => traced::taking_up(trace, self.claim()).await?,
            None => self.claim().await?,
        };
        let receipt = self.receipt.take()?;
        match claim {
            Claim::Taken(claimed) => Some((Claimed { trace: self.trace.or(claimed.trace), ..*claimed }, receipt)),
            Claim::Done | Claim::Later => None,
        }
    }

    /// Asks the table until it answers; `None` when it is time to stop. Meanwhile the message stays here, since it would
    /// find the same table elsewhere.
    async fn claim(&mut self) -> Option<Claim> {
        let Desk { store, lease, stop } = &mut self.desk;
        let mut failed = 0;
        loop {
            match store.claim_one(self.id, *lease).await {
                Ok(claim) => return Some(claim),
                Err(error) => {
                    failed += 1;
                    tracing::warn!(%error, failed, "a notification cannot be taken up; it is tried again");
                    if stop.sleep(BACKOFF.after(failed)).await {
                        return None;
                    }
                }
            }
        }
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        if let Some(Receipt(receipt)) = self.receipt.take() {
            let _ = receipt.send(Back);
        }
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("lease", &self.lease).finish_non_exhaustive()
    }
}

/// Waits for the receipt of a message, and tells the broker. Where the connection has broken since, the message comes again,
/// and there is nothing left to do for it. The library says so at once of a connection that has ended, and nothing, ever, of
/// one that is just ending: hence the bound.
async fn acknowledge(delivery: Delivery, receipt: oneshot::Receiver<Back>) {
    let back = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
    let _ = match receipt.await {
        Ok(Back) => answer("take a message back", delivery.nack(back)).await,
        Err(_) => answer("note that a message is done with", delivery.ack(BasicAckOptions::default())).await,
    };
}

/// The notification that a message names.
fn notification(body: &[u8]) -> Option<NotificationId> {
    std::str::from_utf8(body).ok()?.parse().ok().map(NotificationId)
}

/// Where a message stands in a trace. One that says nothing, or nothing that can be understood, is as good as any other.
fn trace(properties: &BasicProperties) -> Option<TraceContext> {
    let Some(AMQPValue::LongString(text)) = properties.headers().as_ref()?.inner().get(TRACEPARENT) else {
        return None;
    };
    std::str::from_utf8(text.as_bytes()).ok()?.parse().ok()
}
