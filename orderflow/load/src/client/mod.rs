//! An HTTP/1.1 client of one connection: write a request, read its answer, keep the connection while the server does.
//!
//! It speaks no TLS, follows no redirect and pipelines nothing. Of an answer it keeps the status and, when a scenario
//! captures an id, the Location header or a body of up to [`MAX_KEPT_BODY`] bytes. Everything an answer may be is bounded.

mod body;
mod connection;
pub(crate) mod deadline;
mod head;
mod request;

use std::{borrow::Cow, time::Instant};

pub(crate) use connection::{Connection, Totals};
pub(crate) use request::Prepared;
use serde::{Deserialize, Serialize};

/// The most bytes of header fields, and of trailers, that an answer may have.
pub const MAX_HEAD: usize = 64 << 10;
/// The most header fields that an answer may have.
pub const MAX_FIELDS: usize = 100;
/// The longest body that is read, in bytes.
pub const MAX_BODY: u64 = 64 << 20;
/// The longest body that an id can be captured from, in bytes.
pub const MAX_KEPT_BODY: usize = 1 << 20;

/// Why a request has no expected answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorKind {
    /// No connection could be opened.
    Connect,
    /// No whole answer within the time allowed.
    Timeout,
    /// The server ended the connection before the answer was whole.
    Reset,
    /// An answer of a status that the scenario does not expect.
    Status,
    /// An answer that is no HTTP/1.1, or lacks what the scenario captures.
    Protocol,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Connect, Self::Timeout, Self::Reset, Self::Status, Self::Protocol];

    /// The word that every report uses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Status => "status",
            Self::Protocol => "protocol",
        }
    }

    /// Its place in [`Self::ALL`].
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// An error and, for whoever has to find out, what happened.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) why: Cow<'static, str>,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, why: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, why: why.into() }
    }

    pub(crate) fn protocol(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Protocol, why)
    }
}

/// What is kept of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Keep {
    #[default]
    Nothing,
    Body,
    Location,
}

/// What an answer's framing depends on besides the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// A HEAD request: the answer has no body whatever its header says.
    pub(crate) head: bool,
    /// The request may be sent twice (RFC 9110, 9.2.2).
    pub(crate) idempotent: bool,
    pub(crate) keep: Keep,
}

/// A whole answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// When its last byte was read.
    pub(crate) at: Instant,
}
