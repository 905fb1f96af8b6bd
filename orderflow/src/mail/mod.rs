//! Mail: what is sent, and what can become of it.

use async_trait::async_trait;

/// A mail, rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// `<occasion.customer@host>`: the same for every attempt, so that whoever receives a mail twice can tell.
    pub message_id: String,
    /// The receiver's name.
    pub name: String,
    /// The receiver's address.
    pub address: String,
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
}

/// Why a mail was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// Trying again will not help: the receiver's server refuses it for good, or it cannot be written as a mail.
    #[error("{0}")]
    Permanent(String),
    /// Later it may go through.
    #[error("{0}")]
    Temporary(String),
}

/// Takes mails to wherever they go.
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// Sends one, within the configured time. When it returns well, whoever is next has the mail durably.
    ///
    /// # Errors
    /// See [`MailError`]. Neither holds an address or a name.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}
