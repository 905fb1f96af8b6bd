//! One attempt to send a notification, and what became of it.

use std::{panic::AssertUnwindSafe, time::Instant};

use futures_util::FutureExt;

use super::{Claimed, Outcome, worker::Worker};
use crate::{
    mail::{MailError, render},
    resilience::Permit,
    step,
};

/// The longest reason that is kept, in characters.
const REASON: usize = 500;

impl Worker {
    /// Sends it, unless there is nobody to tell or it was tried often enough. `permit` is the breaker's, if it was asked
    /// already.
    pub(super) async fn attempt(&self, claimed: &Claimed, permit: Option<Permit>) -> Outcome {
        if claimed.customer.is_none() {
            return Outcome::Dropped;
        }
        if claimed.attempt > self.settings.max_attempts {
            return Outcome::Dead(format!(
                "it was tried {} times, and whoever tried it last ended before it could say what became of it",
                claimed.attempt - 1
            ));
        }
        let mail = match step!("render a mail").in_scope(|| render(claimed, &self.sender)) {
            Ok(mail) => mail,
            Err(error) => return self.failed(claimed, error),
        };
        // It opened between the claim and now.
        let Some(permit) = permit.or_else(|| self.breaker.enter().ok()) else { return Outcome::Returned };
        let began = Instant::now();
        // A mailer that panics over one mail must not take the others along.
        let sending = AssertUnwindSafe(self.mailer.send(&mail)).catch_unwind();
        let sent = match tokio::time::timeout(self.settings.send, sending).await {
            Ok(Ok(sent)) => sent,
            Ok(Err(_)) => Err(MailError::Temporary("the mailer failed over this mail: a fault of ours".to_owned())),
            Err(_) => Err(MailError::Temporary(format!("no answer within {:?}", self.settings.send))),
        };
        self.metrics
            .jobs_duration
            .get_or_create(&[("kind", claimed.kind.as_str())])
            .observe(began.elapsed().as_secs_f64());
        match sent {
            Ok(()) => {
                permit.succeeded();
                Outcome::Sent
            }
            Err(error) => {
                // Who refuses a mail for good is well.
                match error {
                    MailError::Permanent(_) => permit.succeeded(),
                    MailError::Temporary(_) => permit.failed(),
                }
                self.failed(claimed, error)
            }
        }
    }

    fn failed(&self, claimed: &Claimed, error: MailError) -> Outcome {
        let (id, attempt) = (claimed.id.0, claimed.attempt);
        let (last, reason) = match error {
            MailError::Permanent(reason) => (true, reason),
            MailError::Temporary(reason) => (attempt >= self.settings.max_attempts, reason),
        };
        // The words may be another server's. What PostgreSQL cannot keep would keep the outcome from being recorded.
        let reason: String = reason.chars().filter(|letter| !letter.is_control()).take(REASON).collect();
        if last {
            tracing::warn!(notification = id, attempt, reason, "a notification is given up");
            return Outcome::Dead(reason);
        }
        let wait = self.settings.backoff.after(attempt);
        tracing::info!(notification = id, attempt, reason, ?wait, "a notification was not sent; it is tried again");
        Outcome::Retry(wait)
    }
}
