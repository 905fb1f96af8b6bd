//! Actors that crash at a chosen call, and who writes down what really happened.
//!
//! A crashed actor's future is dropped; whatever of it still runs is kept from doing anything more. A call that had reached
//! the database or the mail server is carried out all the same, as it would be.

use std::{
    collections::HashMap,
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use orderflow::{
    domain::Timestamp,
    jobs::{Backlog, Claim, Claimed, DeadLetter, Due, JobStore, NotificationId, Settled, SharedJobs},
    mail::{Mail, MailError, Mailer},
    store::{Result, StoreError},
    telemetry::TraceContext,
};
use tokio::sync::Notify;

/// Where an actor can crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Call {
    Place,
    Relay,
    Claim,
    Send,
    Settle,
}

/// Before its effect or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum When {
    Before,
    After,
}

/// A crash: at which call, counted from 1. Of those that find nothing to do, only the ones before count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crash {
    pub(crate) call: Call,
    pub(crate) when: When,
    pub(crate) nth: u32,
}

/// One life of an actor, from its start with empty memory to its crash.
pub(crate) struct Life {
    pub(crate) number: usize,
    crash: Option<Crash>,
    calls: AtomicU32,
    over: AtomicBool,
    died: Notify,
    pub(crate) history: Arc<History>,
}

impl Life {
    pub(crate) fn new(history: &Arc<History>, crash: Option<Crash>) -> Arc<Self> {
        let number = history.lives.fetch_add(1, Ordering::SeqCst) as usize;
        let (calls, over, died) = (AtomicU32::new(0), AtomicBool::new(false), Notify::new());
        Arc::new(Self { number, crash, calls, over, died, history: Arc::clone(history) })
    }

    /// Ready when it has crashed.
    pub(crate) async fn died(&self) {
        self.died.notified().await;
    }

    pub(crate) async fn before(&self, call: Call) {
        self.pass(call, When::Before, true).await;
    }

    pub(crate) async fn after(&self, call: Call, effect: bool) {
        self.pass(call, When::After, effect).await;
    }

    async fn pass(&self, call: Call, when: When, counts: bool) {
        let here = self.crash.is_some_and(|crash| (crash.call, crash.when) == (call, when));
        if here && counts && self.calls.fetch_add(1, Ordering::SeqCst) + 1 == self.crash.map_or(0, |crash| crash.nth) {
            self.over.store(true, Ordering::SeqCst);
            let mut crashes = self.history.crashes.lock().unwrap();
            crashes.push((self.number, call, when));
            drop(crashes);
            self.died.notify_one();
        }
        if self.over.load(Ordering::SeqCst) {
            pending::<()>().await;
        }
    }
}

/// One claim of a notification, as the database made it.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) claim: i64,
    pub(crate) attempt: u32,
    pub(crate) maybe_sent: bool,
    pub(crate) life: usize,
    /// When it was asked for, and when the answer was there.
    pub(crate) asked: Timestamp,
    pub(crate) answered: Timestamp,
}

/// What really happened.
#[derive(Default)]
pub(crate) struct History {
    lives: AtomicU32,
    pub(crate) crashes: Mutex<Vec<(usize, Call, When)>>,
    pub(crate) claims: Mutex<HashMap<NotificationId, Vec<Held>>>,
    /// Claims whose outcome was recorded.
    pub(crate) settled: Mutex<Vec<(NotificationId, i64)>>,
    /// Message-IDs of accepted mails, and in which life.
    pub(crate) accepted: Mutex<Vec<(String, usize)>>,
}

/// A job store whose caller crashes.
pub(crate) struct CrashingJobs {
    pub(crate) inner: SharedJobs,
    pub(crate) life: Arc<Life>,
}

/// Carries a call out to its end, whether or not somebody waits for it.
async fn carry_out<T: Send + 'static>(call: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(call).await.unwrap_or(Err(StoreError::Busy))
}

#[async_trait]
impl JobStore for CrashingJobs {
    async fn relay(&self, most: u32) -> Result<Vec<Option<TraceContext>>> {
        self.life.before(Call::Relay).await;
        let inner = Arc::clone(&self.inner);
        let relayed = carry_out(async move { inner.relay(most).await }).await;
        self.life.after(Call::Relay, matches!(&relayed, Ok(rows) if !rows.is_empty())).await;
        relayed
    }

    async fn claim(&self, most: u32, lease: Duration) -> Result<Vec<Claimed>> {
        self.life.before(Call::Claim).await;
        let (inner, life) = (Arc::clone(&self.inner), Arc::clone(&self.life));
        let claimed = carry_out(async move {
            let asked = Timestamp::now();
            let claimed = inner.claim(most, lease).await?;
            let answered = Timestamp::now();
            let mut claims = life.history.claims.lock().unwrap();
            for Claimed { id, claim, attempt, maybe_sent, .. } in &claimed {
                let (claim, attempt, maybe_sent, life) = (*claim, *attempt, *maybe_sent, life.number);
                claims.entry(*id).or_default().push(Held { claim, attempt, maybe_sent, life, asked, answered });
            }
            Ok(claimed.clone())
        })
        .await;
        self.life.after(Call::Claim, matches!(&claimed, Ok(claimed) if !claimed.is_empty())).await;
        claimed
    }

    async fn settle(&self, settled: &[Settled]) -> Result<Vec<NotificationId>> {
        self.life.before(Call::Settle).await;
        let (inner, life, settled) = (Arc::clone(&self.inner), Arc::clone(&self.life), settled.to_vec());
        let done = carry_out(async move {
            let done = inner.settle(&settled).await?;
            let recorded = settled.iter().filter(|one| done.contains(&one.id)).map(|one| (one.id, one.claim));
            life.history.settled.lock().unwrap().extend(recorded);
            Ok(done)
        })
        .await;
        self.life.after(Call::Settle, true).await;
        done
    }

    async fn claim_one(&self, id: NotificationId, lease: Duration) -> Result<Claim> {
        self.inner.claim_one(id, lease).await
    }

    async fn unpublished(&self, most: u32, republish: Duration) -> Result<Vec<Due>> {
        self.inner.unpublished(most, republish).await
    }

    async fn published(&self, ids: &[NotificationId]) -> Result<()> {
        self.inner.published(ids).await
    }

    async fn unconfirmed(&self, ids: &[NotificationId]) -> Result<()> {
        self.inner.unconfirmed(ids).await
    }

    async fn backlog(&self) -> Result<Backlog> {
        self.inner.backlog().await
    }

    async fn dead_letters(&self, after: Option<NotificationId>, most: u32) -> Result<Vec<DeadLetter>> {
        self.inner.dead_letters(after, most).await
    }

    async fn retry_dead(&self, ids: Option<&[NotificationId]>) -> Result<u64> {
        self.inner.retry_dead(ids).await
    }

    async fn drop_dead(&self, ids: Option<&[NotificationId]>) -> Result<u64> {
        self.inner.drop_dead(ids).await
    }

    async fn forget_published(&self, older: Duration, most: u32) -> Result<u64> {
        self.inner.forget_published(older, most).await
    }
}

/// A mail server that accepts most mails, and whose client crashes.
pub(crate) struct CrashingMailer {
    pub(crate) life: Arc<Life>,
    /// How many of a hundred mails it refuses for now.
    pub(crate) refuses: u32,
    pub(crate) random: Mutex<fastrand::Rng>,
}

#[async_trait]
impl Mailer for CrashingMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        self.life.before(Call::Send).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        // A client that is dropped here has said nothing yet.
        self.life.pass(Call::Send, When::Before, false).await;
        if self.random.lock().unwrap().u32(..100) < self.refuses {
            return Err(MailError::Temporary("come again".to_owned()));
        }
        self.life.history.accepted.lock().unwrap().push((mail.message_id.clone(), self.life.number));
        self.life.after(Call::Send, true).await;
        Ok(())
    }
}
