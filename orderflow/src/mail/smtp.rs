//! Mails by SMTP, over connections that are kept.
//!
//! Each step of a mail is taken by itself, since what an answer means depends on what it answers: "never" to the receiver is
//! about this mail, "never" to the password is about the configuration and will pass. A connection is only kept after a mail
//! that it has finished with: one that was abandoned between two answers would give the next mail the wrong ones.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use lettre::{
    Address,
    transport::smtp::{
        Error,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, TlsParameters},
        commands,
        extension::ClientId,
    },
};
use tokio::{sync::Semaphore, time::timeout};
use tracing::Instrument;
use url::{Host, Url};

use super::{Mail, MailError, Mailer, Sender, SetupError, message::message};
use crate::{config, step};

/// A connection that was idle for longer is asked for a sign of life before it is used.
const TRUSTED: Duration = Duration::from_secs(1);
/// Servers end connections that bring them too many mails; this is fewer than any of them minds.
const MAILS_PER_CONNECTION: u32 = 100;
/// The server wants a login before it takes anything.
const LOGIN_NEEDED: &str = "530";

/// A mail server.
pub(super) struct Smtp {
    server: Server,
    sender: Sender,
    timeout: Duration,
    places: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

struct Server {
    host: String,
    port: u16,
    hello: ClientId,
    tls: TlsParameters,
    from_the_start: bool,
    credentials: Option<Credentials>,
    /// Whether the password may go over a connection without TLS: to this machine itself.
    local: bool,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
    mails: u32,
}

/// What is under way when something fails.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Connecting,
    Login,
    Sender,
    Receiver,
    Message,
}

impl Smtp {
    /// Connects to nobody yet.
    pub(super) fn new(mail: &config::Mail, sender: Sender, concurrency: u32) -> Result<Self, SetupError> {
        let server = Server::new(mail.smtp_url.expose(), sender.host())?;
        let places = Semaphore::new(concurrency as usize);
        Ok(Self { server, sender, timeout: mail.timeout, places, idle: Mutex::default() })
    }

    async fn deliver(&self, from: Address, to: Address, content: &str) -> Result<(), MailError> {
        // At most as many connections as places: each is in use by whoever has one, or idle. It is never closed.
        let _place = self.places.acquire().await;
        let Idle { mut connection, mails, .. } = if let Some(kept) = self.kept().await {
            kept
        } else {
            let connecting = self.server.connect().instrument(step!("connect to the mail server"));
            Idle { connection: connecting.await?, since: Instant::now(), mails: 0 }
        };
        let mail = commands::Mail::new(Some(from), vec![]);
        connection.command(mail).await.map_err(|error| failed(Step::Sender, &error))?;
        connection.command(commands::Rcpt::new(to, vec![])).await.map_err(|error| failed(Step::Receiver, &error))?;
        let go = connection.command(commands::Data).await.map_err(|error| failed(Step::Message, &error))?;
        if !go.has_code(354) {
            return Err(MailError::Temporary(format!("the mail server did not ask for the mail ({})", go.code())));
        }
        // Not by `message`, which writes the end by itself: the system would hold that small piece back until the server has
        // acknowledged the rest, which servers put off for 40 ms.
        connection.command(content).await.map_err(|error| failed(Step::Message, &error))?;
        if mails + 1 < MAILS_PER_CONNECTION {
            self.idle().push(Idle { connection, since: Instant::now(), mails: mails + 1 });
        }
        Ok(())
    }

    /// The connection that was used last, if it still answers.
    async fn kept(&self) -> Option<Idle> {
        let mut kept = self.idle().pop()?;
        if kept.since.elapsed() < TRUSTED || kept.connection.test_connected().await {
            return Some(kept);
        }
        self.idle().clear();
        None
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message as it is sent: a line that begins with a dot has one more, and a lone dot ends it (RFC 5321, 4.5.2).
fn content(message: &str) -> String {
    let mut content = String::with_capacity(message.len() + 16);
    for line in message.split_inclusive("\r\n") {
        if line.starts_with('.') {
            content.push('.');
        }
        content.push_str(line);
    }
    if !content.ends_with("\r\n") {
        content.push_str("\r\n");
    }
    content.push_str(".\r\n");
    content
}

#[async_trait]
impl Mailer for Smtp {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let message = message(mail, &self.sender)?;
        let (from, to) = (self.sender.mailbox.email.clone(), message.envelope().to().first().cloned());
        let to = to.ok_or_else(|| MailError::Permanent("it has no receiver".to_owned()))?;
        let content = content(&String::from_utf8_lossy(&message.formatted()));
        // A connection that is abandoned here is closed: it is nobody's but this future's.
        let sending = step!("send a mail", otel.kind = "client", mail.by = "smtp");
        let sent = timeout(self.timeout, self.deliver(from, to, &content)).instrument(sending).await;
        sent.unwrap_or_else(|_| {
            // The others are as likely to be silent, and would take as long to show it.
            self.idle().clear();
            Err(MailError::Temporary("the mail server did not answer in time".to_owned()))
        })
    }
}

impl Server {
    fn new(url: &str, hello: &str) -> Result<Self, SetupError> {
        let wrong = |what: &str| SetupError::Server(what.to_owned());
        let url: Url = url.parse().map_err(|_| wrong("it is no address"))?;
        let host = url.host_str().ok_or_else(|| wrong("it names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let from_the_start = url.scheme() == "smtps";
        let port = url.port().unwrap_or(if from_the_start { 465 } else { 25 });
        let local = match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            // Of a scheme that is not the web's, an address is kept as it is written.
            Some(Host::Domain(name)) => {
                name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
            }
            None => false,
        };
        let credentials = url.password().map(|password| Credentials::new(decoded(url.username()), decoded(password)));
        let tls = TlsParameters::new(host.clone()).map_err(|_| wrong("its host cannot have a certificate"))?;
        let hello = ClientId::Domain(hello.to_owned());
        Ok(Self { host, port, hello, tls, from_the_start, credentials, local })
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, MailError> {
        let tls = self.from_the_start.then(|| self.tls.clone());
        // The caller's limit of time holds for this too.
        let connecting =
            AsyncSmtpConnection::connect_tokio1((self.host.as_str(), self.port), None, &self.hello, tls, None);
        let mut connection = connecting.await.map_err(|error| failed(Step::Connecting, &error))?;
        if connection.can_starttls() {
            let upgraded = connection.starttls(self.tls.clone(), &self.hello).await;
            upgraded.map_err(|error| failed(Step::Connecting, &error))?;
        }
        if let Some(credentials) = &self.credentials {
            if !connection.is_encrypted() && !self.local {
                let why = "the mail server offers no TLS, and the password does not go over an open line";
                return Err(MailError::Temporary(why.to_owned()));
            }
            let login = connection.auth(&[Mechanism::Plain, Mechanism::Login], credentials).await;
            login.map_err(|error| failed(Step::Login, &error))?;
        }
        Ok(connection)
    }
}

/// Part of an address without its percent signs. It is no form, in which `+` is a space and `&` an end.
fn decoded(part: &str) -> String {
    let part = part.replace('+', "%2B").replace('&', "%26");
    form_urlencoded::parse(part.as_bytes()).next().map(|(text, _)| text.into_owned()).unwrap_or_default()
}

/// What a failure means. Neither what the server says nor what the network says is repeated: it may hold the address.
fn failed(step: Step, error: &Error) -> MailError {
    let Some(code) = error.status() else { return unreachable(error) };
    let code = code.to_string();
    let what = match step {
        Step::Connecting => "takes no mail",
        Step::Login => "refuses the login",
        Step::Sender => "refuses mail.from",
        Step::Receiver => "refuses the receiver",
        Step::Message => "refuses the mail",
    };
    let text = format!("the mail server {what} ({code})");
    let of_this_mail = matches!(step, Step::Receiver | Step::Message) && code != LOGIN_NEEDED;
    if of_this_mail && error.is_permanent() { MailError::Permanent(text) } else { MailError::Temporary(text) }
}

/// There was no answer that could be understood.
fn unreachable(error: &Error) -> MailError {
    let mut cause = std::error::Error::source(error);
    let mut kind = None;
    while let Some(next) = cause {
        kind = kind.or_else(|| next.downcast_ref::<std::io::Error>().map(std::io::Error::kind));
        cause = next.source();
    }
    let what = match kind {
        Some(kind) => kind.to_string(),
        None if error.is_tls() => "TLS failed".to_owned(),
        None if error.is_client() => "it lacks what is needed of it".to_owned(),
        None => "it closed the connection, or does not speak SMTP".to_owned(),
    };
    MailError::Temporary(format!("the mail server cannot be talked to: {what}"))
}
