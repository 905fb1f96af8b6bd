//! Sends notifications: relays the outbox, takes up what is due, sends it, records what became of it.
//!
//! A few notifications are claimed ahead, so that none waits for a claim. When a mail was sent, the next one is begun while the
//! outcome is still being recorded; what limits this is the [`Recorder`]. A worker that ends in any other way than
//! in order leaves what it had begun to the end of its lease, and another takes it over.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinSet};

use super::{
    SharedJobs, Traces, Wake, broker::Offer, dispatch::Dispatch, recorder::Recorder, relay::relay, upkeep::upkeep,
};
use crate::{
    background::Stop,
    config::Config,
    mail::{Mailer, Sender},
    metrics::Metrics,
    resilience::{Backoff, Breaker},
};

/// Distances between attempts to ask a database that does not answer.
pub(super) const OUTAGE: Backoff = Backoff { base: Duration::from_millis(50), most: Duration::from_secs(1) };
/// How long recording may take when everything else has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a worker works.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How many notifications are sent at once.
    pub concurrency: u32,
    /// How often one is tried.
    pub max_attempts: u32,
    /// When it is tried again.
    pub backoff: Backoff,
    /// How long a claim holds.
    pub lease: Duration,
    /// How often the database is asked for work when nobody says that there is some.
    pub poll: Duration,
    /// How long sending one may take.
    pub send: Duration,
    /// How long outbox rows are kept that were relayed.
    pub retention: Duration,
    /// How long what was begun may take to end when it is time to stop.
    pub finish: Duration,
}

impl Settings {
    /// As configured; what was begun has so long to end.
    pub fn new(config: &Config, finish: Duration) -> Self {
        let Config { queue, worker, mail, events, .. } = config;
        Self {
            concurrency: worker.concurrency,
            max_attempts: worker.max_attempts,
            backoff: Backoff { base: worker.retry_base, most: worker.retry_max },
            lease: queue.claim,
            poll: queue.poll,
            // Whoever waited for an answer for longer than its claim holds would see another send it too.
            send: mail.timeout.min(queue.claim.mul_f32(0.75)),
            retention: events.retention,
            finish,
        }
    }
}

/// Where a worker's work comes from.
pub enum Source {
    /// The table: whoever has a place free claims the longest due notifications.
    Table,
    /// A broker, which names notifications one by one: whoever has a place free takes up the next. Each receipt is dropped
    /// when the outcome is recorded. What is left when it is time to stop goes back to the broker.
    Broker(mpsc::Receiver<Offer>),
}

/// A worker. [`Worker::run`] lets it work.
pub struct Worker {
    pub(super) jobs: SharedJobs,
    pub(super) mailer: Arc<dyn Mailer>,
    pub(super) sender: Sender,
    pub(super) metrics: Metrics,
    pub(super) traces: Traces,
    pub(super) wake: Wake,
    pub(super) settings: Settings,
    pub(super) breaker: Breaker,
}

impl Worker {
    /// One that sends what is in `jobs` by `mailer`, from `sender`.
    pub fn new(
        jobs: SharedJobs,
        mailer: Arc<dyn Mailer>,
        sender: Sender,
        metrics: Metrics,
        wake: Wake,
        settings: Settings,
    ) -> Self {
        let breaker = Breaker::new("mail", metrics.clone());
        Self { jobs, mailer, sender, metrics, traces: Traces::default(), wake, settings, breaker }
    }

    /// The same, which begins traces as these say.
    pub fn traced(self, traces: Traces) -> Self {
        Self { traces, ..self }
    }

    /// Works until told to stop. Then it takes up nothing new, ends and records what it has begun as far as the time allows,
    /// and gives back what it could not begin.
    pub async fn run(self, source: Source, stop: Stop) {
        let Self { jobs, metrics, traces, settings, .. } = &self;
        // Dropped with this future, they end too.
        let mut beside = JoinSet::new();
        let relay =
            relay(Arc::clone(jobs), metrics.clone(), traces.clone(), self.wake.clone(), settings.poll, stop.clone());
        beside.spawn(relay);
        beside.spawn(upkeep(Arc::clone(jobs), metrics.clone(), settings.retention, stop.clone()));
        let places = settings.concurrency as usize;
        let (recorder, mut recording) = Recorder::start(Arc::clone(jobs), metrics.clone(), places);
        Dispatch::new(Arc::new(self), recorder).run(source, stop).await;
        if tokio::time::timeout(LAST_WORDS, recording.join_next()).await.is_err() {
            tracing::warn!("some outcomes could not be recorded; their notifications are sent again");
        }
        while beside.join_next().await.is_some() {}
    }
}
