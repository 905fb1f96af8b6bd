//! Gives due notifications to the broker, and marks those that it has confirmed.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel, Confirmation,
    message::BasicReturnMessage,
    options::BasicPublishOptions,
    types::{AMQPValue, FieldTable},
};
use tokio::{sync::Notify, time::Instant};
use tracing::Instrument;

use super::{
    Broker, TRACEPARENT,
    session::{Role, Session, Sessions, Trouble},
};
use crate::{
    background::Stop,
    jobs::{Due, NotificationId, SharedJobs, traced},
    store,
};

/// The most messages that are under way at once.
const BATCH: u32 = 500;
/// How many messages may wait at the broker before it is given no more. The others wait in the table, so that a queue that
/// nobody empties does not grow with each round of `queue.republish`.
const FULL: u32 = 5_000;
/// How long the broker may take to confirm a batch. The time for which it said that it takes nothing does not count.
const CONFIRM: Duration = Duration::from_secs(5);
/// How long a batch that is under way may take to end when it is time to stop.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked at whether the broker takes messages again.
const LOOK: Duration = Duration::from_millis(100);

/// What became of messages.
#[derive(Debug, Default)]
struct Batch {
    /// The broker answers for these.
    confirmed: Vec<NotificationId>,
    /// How many it does not, of those that it spoke about.
    refused: usize,
    /// Why the others are not known.
    trouble: Option<Trouble>,
}

impl Broker {
    /// Publishes what is due until told to stop: at once when `wake` says that there is something, and else at each
    /// `queue.poll`.
    pub async fn publish(self, store: SharedJobs, wake: Arc<Notify>, mut stop: Stop) {
        let mut sessions = Sessions::new(&self, Role::Publisher);
        while let Some(session) = sessions.next(&mut stop).await {
            let mut late = stop.clone();
            let ended = tokio::select! {
                ended = self.publish_by(&session, &store, &wake, &mut stop) => ended,
                () = async { late.wait().await; tokio::time::sleep(GRACE).await } => Ok(()),
            };
            let Err(trouble) = ended else { return session.close().await };
            sessions.lost(&trouble);
        }
    }

    /// Publishes until the session fails or it is time to stop. What is under way when this is abandoned stays unmarked and
    /// is published again.
    async fn publish_by(
        &self,
        session: &Session,
        store: &SharedJobs,
        wake: &Notify,
        stop: &mut Stop,
    ) -> Result<(), Trouble> {
        self.set_connected(Role::Publisher, true);
        loop {
            if let Next::Wait = self.round(session, store).await? {
                // Not in step with other processes, so that they seldom look at once.
                let about = self.poll().mul_f64(0.75 + fastrand::f64() / 2.0);
                tokio::select! {
                    () = stop.wait() => return Ok(()),
                    () = wake.notified() => {}
                    () = tokio::time::sleep(about) => {}
                }
            }
        }
    }

    /// Publishes some of what is due.
    async fn round(&self, session: &Session, store: &SharedJobs) -> Result<Next, Trouble> {
        session.check()?;
        if session.is_blocked() {
            return Ok(Next::Wait);
        }
        let Ok(permit) = self.0.breaker.enter() else { return Ok(Next::Wait) };
        let round = self.round_admitted(session, store).await;
        match round {
            Ok(_) => permit.succeeded(),
            Err(_) => permit.failed(),
        }
        round
    }

    async fn round_admitted(&self, session: &Session, store: &SharedJobs) -> Result<Next, Trouble> {
        let room = FULL.saturating_sub(session.declare(self).await?.message_count()).min(BATCH);
        if room == 0 {
            return Ok(Next::Wait);
        }
        let due = match store.unpublished(room, self.0.config.republish).await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "what is due cannot be read; it is tried again");
                return Ok(Next::Wait);
            }
        };
        if due.is_empty() {
            return Ok(Next::Wait);
        }
        let batch = self.send(session, &due).await;
        self.count(due.len(), &batch);
        let all = batch.confirmed.len() == due.len();
        if let Err(error) = note(store, &due, &batch.confirmed).await {
            tracing::warn!(%error, "what was published cannot be marked; it is published again");
        }
        match batch.trouble {
            Some(trouble) => Err(trouble),
            None if all && due.len() == room as usize => Ok(Next::More),
            None => Ok(Next::Wait),
        }
    }

    /// Publishes these, all at once, and waits until the broker has said what became of each.
    async fn send(&self, session: &Session, due: &[Due]) -> Batch {
        let queue = self.0.config.name.as_str();
        // The library numbers a message when its future is first polled, together with handing it to the connection; all are
        // polled by this task, so that the numbers are in the order of the messages.
        let mut under_way: FuturesUnordered<_> =
            due.iter().map(|due| message(&session.channel, queue, *due).map(|said| (due.id, said))).collect();
        let (mut batch, mut returned) = (Batch::default(), HashSet::new());
        let mut patience = Patience::new();
        while batch.trouble.is_none() && !under_way.is_empty() {
            tokio::select! {
                biased;
                Some((id, said)) = under_way.next() => batch.note(id, said, &mut returned),
                trouble = patience.over(session) => batch.trouble = Some(trouble),
            }
        }
        // Those that were answered meanwhile.
        while let Some(Some((id, said))) = under_way.next().now_or_never() {
            batch.note(id, said, &mut returned);
        }
        let known = batch.confirmed.len();
        batch.confirmed.retain(|id| !returned.contains(id));
        batch.refused += known - batch.confirmed.len();
        batch
    }

    fn count(&self, all: usize, batch: &Batch) {
        let unknown = all - batch.confirmed.len() - batch.refused;
        for (outcome, count) in [("confirmed", batch.confirmed.len()), ("refused", batch.refused), ("unknown", unknown)]
        {
            if count > 0 {
                self.0.metrics.broker_published.get_or_create(&[("outcome", outcome)]).inc_by(count as u64);
            }
        }
    }
}

/// Marks what was confirmed, and takes the mark from what was not.
async fn note(store: &SharedJobs, due: &[Due], confirmed: &[NotificationId]) -> store::Result<()> {
    let known: HashSet<_> = confirmed.iter().collect();
    let others: Vec<_> = due.iter().map(|due| due.id).filter(|id| !known.contains(id)).collect();
    if !others.is_empty() {
        store.unconfirmed(&others).await?;
    }
    if !confirmed.is_empty() {
        store.published(confirmed).await?;
    }
    Ok(())
}

/// What the publisher does after a round.
enum Next {
    More,
    Wait,
}

impl Batch {
    fn note(&mut self, id: NotificationId, said: lapin::Result<Confirmation>, returned: &mut HashSet<NotificationId>) {
        match said {
            Ok(confirmation) => {
                if confirmation.is_ack() {
                    self.confirmed.push(id);
                } else {
                    self.refused += 1;
                }
                // A message that came back hangs on whichever confirmation came next, so that only its own name counts.
                returned.extend(confirmation.take_message().and_then(|message| name(&message)));
            }
            Err(error) => self.trouble = self.trouble.take().or(Some(error.into())),
        }
    }
}

/// Publishes one message, and waits for what the broker says of it. Who takes it goes on where it stands in its trace.
async fn message(channel: &Channel, queue: &str, due: Due) -> lapin::Result<Confirmation> {
    let Some(trace) = due.trace else { return publish(channel, queue, due.id, BasicProperties::default()).await };
    let (work, span) = traced::publishing(trace);
    let mut headers = FieldTable::default();
    headers.insert(TRACEPARENT.into(), AMQPValue::LongString(work.trace().to_string().into()));
    let properties = BasicProperties::default().with_headers(headers);
    work.scope(publish(channel, queue, due.id, properties).instrument(span)).await
}

async fn publish(
    channel: &Channel,
    queue: &str,
    id: NotificationId,
    properties: BasicProperties,
) -> lapin::Result<Confirmation> {
    let name = id.0.to_string();
    let properties = properties
        .with_delivery_mode(2) // Persistent.
        .with_content_type("text/plain".into())
        .with_message_id(name.as_str().into());
    // One that no queue takes comes back instead of being dropped.
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    channel.basic_publish("".into(), queue.into(), options, name.as_bytes(), properties).await?.await
}

fn name(message: &BasicReturnMessage) -> Option<NotificationId> {
    message.properties.message_id().as_ref()?.as_str().parse().ok().map(NotificationId)
}

/// How long confirmations are waited for.
struct Patience {
    left: Duration,
    looked: Instant,
}

impl Patience {
    fn new() -> Self {
        Self { left: CONFIRM, looked: Instant::now() }
    }

    /// Waits until the session has failed, or the time is over that the broker has while it takes messages. Can be abandoned
    /// and called again.
    async fn over(&mut self, session: &Session) -> Trouble {
        loop {
            tokio::time::sleep(LOOK).await;
            let passed = std::mem::replace(&mut self.looked, Instant::now()).elapsed();
            if let Err(trouble) = session.check() {
                return trouble;
            }
            if !session.is_blocked() {
                self.left = self.left.saturating_sub(passed);
            }
            if self.left.is_zero() {
                return Trouble::Unconfirmed;
            }
        }
    }
}
