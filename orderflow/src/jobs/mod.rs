//! Notifications: from an order's outbox row, or from the scheduler, to a mail that was sent.
//!
//! The table `notifications` is the truth: one row a customer and occasion, whatever crashes. A queue, be it that table or a
//! broker, only says which rows are due, and may say so twice.

pub mod broker;
mod dispatch;
mod recorder;
mod relay;
mod sending;
mod start;
pub(crate) mod traced;
mod upkeep;
mod wake;
mod worker;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

pub use start::{StartError, start};
pub use traced::Traces;
pub use wake::Wake;
pub use worker::{Settings, Source, Worker};

use crate::{
    domain::{CustomerId, Timestamp},
    store::Result,
    telemetry::TraceContext,
};

/// A notification's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NotificationId(pub i64);

/// What a notification is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An order was placed.
    Order,
    /// It is the customer's birthday.
    Birthday,
    /// An order is still not paid.
    Reminder,
}

/// A notification that a worker has, until its claim ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// Which.
    pub id: NotificationId,
    /// The claim's number: whoever settles it must still have it.
    pub claim: i64,
    /// Whom it is for.
    pub customer_id: CustomerId,
    /// Name and address; `None` if the customer was deleted meanwhile, and then there is nobody to tell.
    pub customer: Option<(String, String)>,
    /// What it is about, once a customer: `order:17`, `birthday:2026`, `reminder:17`.
    pub occasion: String,
    /// Which template.
    pub kind: Kind,
    /// What the template is filled with.
    pub payload: serde_json::Value,
    /// How often a worker has begun to send it, this time included.
    pub attempt: u32,
    /// Whether whoever had it last recorded nothing, so that it may have been sent.
    pub maybe_sent: bool,
    /// The trace that it is a part of: that of its order, if that is known.
    pub trace: Option<TraceContext>,
}

/// A notification that a broker should be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub id: NotificationId,
    /// The trace that it is a part of.
    pub trace: Option<TraceContext>,
}

/// What became of a claimed notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was sent.
    Sent,
    /// It is due again after so long, by the database's clock.
    Retry(Duration),
    /// It is not tried any more, for this reason, and becomes a dead letter.
    Dead(String),
    /// Nobody is to be told: the customer is gone.
    Dropped,
    /// Nobody has begun to send it: it is due again at once, and the attempt does not count.
    Returned,
}

/// A claimed notification and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Which.
    pub id: NotificationId,
    /// The claim's number.
    pub claim: i64,
    /// What became of it.
    pub outcome: Outcome,
}

/// What taking up one notification gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// It is the caller's.
    Taken(Box<Claimed>),
    /// It was sent, is dead, or is not there: nothing is left to do.
    Done,
    /// Another has it, or it is not due yet.
    Later,
}

/// A notification that is not tried any more.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// Which.
    pub id: NotificationId,
    /// Whom it was for.
    pub customer_id: CustomerId,
    /// What it was about.
    pub occasion: String,
    /// Why it was given up.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up.
    pub died_at: Timestamp,
}

/// How much there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Notifications that wait to be sent, those that a worker has included.
    pub queued: u64,
    /// Dead letters.
    pub dead: u64,
}

/// How long whoever gives notifications to a broker has them to himself. If he dies meanwhile, they are another's afterwards.
pub const OFFERED: Duration = Duration::from_secs(10);

/// Where notifications are kept. Every call is one transaction: a process that dies in the middle has done all of it or
/// nothing.
#[async_trait]
pub trait JobStore: Send + Sync + 'static {
    /// Makes notifications of the oldest outbox rows that are not published yet, at most so many, and marks these. Several
    /// processes may do so at once and share the rows. Gives the trace of each row that it took, where that is known.
    async fn relay(&self, most: u32) -> Result<Vec<Option<TraceContext>>>;

    /// Takes up to so many due notifications for so long, the longest due first. Two workers never get the same one.
    async fn claim(&self, most: u32, lease: Duration) -> Result<Vec<Claimed>>;

    /// Takes one notification that a broker named, if it is due. That somebody just changes it is no reason not to.
    async fn claim_one(&self, id: NotificationId, lease: Duration) -> Result<Claim>;

    /// Records what became of notifications, all of them together. One whose claim has gone to another is left alone. Gives
    /// those that were recorded.
    async fn settle(&self, settled: &[Settled]) -> Result<Vec<NotificationId>>;

    /// Due notifications that a broker should be given: those that it was not given yet, or not for so long. The longest
    /// due first. Nobody else is given the same ones for [`OFFERED`], or until it is noted what became of them.
    async fn unpublished(&self, most: u32, republish: Duration) -> Result<Vec<Due>>;

    /// Notes that the broker has these now. Those that were taken up meanwhile are left alone. The note ends when one is
    /// taken up.
    async fn published(&self, ids: &[NotificationId]) -> Result<()>;

    /// Notes that the broker may not have these after all: they are to be given to it at once.
    async fn unconfirmed(&self, ids: &[NotificationId]) -> Result<()>;

    /// How much there is to do.
    async fn backlog(&self) -> Result<Backlog>;

    /// Dead letters after this one, oldest first.
    async fn dead_letters(&self, after: Option<NotificationId>, most: u32) -> Result<Vec<DeadLetter>>;

    /// Lets dead letters be tried again from the beginning; all of them if none is named. Gives how many there were.
    async fn retry_dead(&self, ids: Option<&[NotificationId]>) -> Result<u64>;

    /// Gives dead letters up for good; all of them if none is named. Gives how many there were.
    async fn drop_dead(&self, ids: Option<&[NotificationId]>) -> Result<u64>;

    /// Deletes those of the so many oldest outbox rows that were published longer ago than this. Gives how many.
    async fn forget_published(&self, older: Duration, most: u32) -> Result<u64>;
}

/// A job store that several tasks share.
pub type SharedJobs = Arc<dyn JobStore>;

impl Kind {
    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Birthday => "birthday",
            Self::Reminder => "reminder",
        }
    }

    /// From how it is stored.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Order, Self::Birthday, Self::Reminder].into_iter().find(|kind| kind.as_str() == word)
    }
}

impl Outcome {
    /// What a notification's state is then, as it is stored.
    pub(crate) fn state(&self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Retry(_) | Self::Returned => "queued",
            Self::Dead(_) => "dead",
            Self::Dropped => "dropped",
        }
    }

    /// What it is called in metrics and traces.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Retry(_) => "retried",
            Self::Dead(_) => "dead",
            Self::Dropped => "dropped",
            Self::Returned => "returned",
        }
    }

    /// How long until it is due again.
    pub(crate) fn wait(&self) -> Duration {
        if let Self::Retry(wait) = self { *wait } else { Duration::ZERO }
    }

    /// Why it is not tried any more.
    pub(crate) fn error(&self) -> Option<&str> {
        if let Self::Dead(error) = self { Some(error) } else { None }
    }

    /// Whether the attempt does not count.
    pub(crate) fn unused(&self) -> bool {
        *self == Self::Returned
    }
}

/// A number for a claim: no other claim of the same notification will have it.
pub(crate) fn fencing() -> i64 {
    fastrand::i64(1..)
}
