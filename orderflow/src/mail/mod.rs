//! Mail: what is sent, where it goes, and what can become of it.
//!
//! # What is guaranteed
//! Each notification has one Message-ID, made of its customer and its occasion, whoever sends it and however often.
//!
//! In the spool directory a mail is there exactly once: its file is named after the Message-ID, appears whole or not at all,
//! and is on the disk when [`Mailer::send`] returns. Who writes it again, after a crash say, replaces it.
//!
//! By SMTP a mail arrives at least once. Between the moment at which a server accepts it and the moment at which that is
//! recorded in the database, the answer can be lost, the time can run out, and the process can die; nobody can tell then, and
//! the mail is sent again. The second copy has the same Message-ID, by which the receiver's side can drop it.

mod message;
mod render;
mod smtp;
mod spool;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use lettre::message::Mailbox;

pub use render::render;

use crate::config::{self, Config};

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

/// Why there is no way to send mail.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The sender's address is none that a mail can have.
    #[error("mail.from is no address that every mail server takes: it must be ASCII, such as orders@example.com")]
    From,
    /// The server's address makes no sense. It is not shown, since it holds a password.
    #[error("mail.smtp_url cannot be used: {0}")]
    Server(String),
    /// The spool directory cannot be made or written to.
    #[error("mails cannot be written to {}; create it, or let mail.spool name another directory", .0.display())]
    Spool(PathBuf, #[source] std::io::Error),
}

/// Whom mails are from, read once.
#[derive(Debug, Clone)]
pub struct Sender {
    mailbox: Mailbox,
}

impl Sender {
    /// The configured one.
    ///
    /// # Errors
    /// [`SetupError::From`].
    pub fn new(mail: &config::Mail) -> Result<Self, SetupError> {
        let mailbox: Mailbox = mail.from.parse().map_err(|_| SetupError::From)?;
        if mailbox.email.to_string().is_ascii() { Ok(Self { mailbox }) } else { Err(SetupError::From) }
    }

    /// Where Message-IDs belong.
    fn host(&self) -> &str {
        self.mailbox.email.domain()
    }

    /// What a mail is signed with.
    fn signature(&self) -> &str {
        self.mailbox.name.as_deref().unwrap_or_else(|| self.host())
    }
}

/// The way that the configuration names: its mail server, or else the spool directory. As many mails are sent at once as the
/// worker may send.
///
/// # Errors
/// See [`SetupError`]. A mail server is not asked yet.
pub fn mailer(config: &Config) -> Result<Arc<dyn Mailer>, SetupError> {
    let Config { mail, worker, .. } = config;
    let sender = Sender::new(mail)?;
    if !mail.smtp_url.expose().is_empty() {
        return Ok(Arc::new(smtp::Smtp::new(mail, sender, worker.concurrency)?));
    }
    let directory = if mail.spool.as_os_str().is_empty() { config.data_dir.join("spool") } else { mail.spool.clone() };
    Ok(Arc::new(spool::Spool::open(directory, mail.timeout, sender, worker.concurrency)?))
}
