//! What can go wrong in a store, told apart by what the caller should do about it.

use sqlx::{error::DatabaseError, sqlite::SqliteError};

use crate::domain::{CustomerId, ProductId};

/// Why a store gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The request cannot be done as it is. Repeating it will not help; nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Every connection stayed busy for as long as the configuration allows to wait.
    #[error("every database connection was busy")]
    Busy,
    /// The statement took longer than the configuration allows.
    #[error("a statement was cut off at its time limit")]
    TimedOut,
    /// The database cannot be reached, is starting or stopping, or dropped the connection. A write may or may not have been
    /// committed if the connection was lost while it committed; the idempotency key tells.
    #[error("the database cannot be reached")]
    Unavailable(#[source] sqlx::Error),
    /// There is no room to write to.
    #[error("the database has no room left")]
    Full(#[source] sqlx::Error),
    /// A fault of ours.
    #[error("the store failed")]
    Internal(#[source] sqlx::Error),
    /// A stored value that the domain does not allow: somebody else wrote it.
    #[error("the store holds an invalid {0}")]
    Corrupt(&'static str),
}

/// A rule that a request would break.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Another customer has this address.
    #[error("another customer has this e-mail address")]
    EmailTaken,
    /// The order is for a customer who does not exist.
    #[error("there is no customer {0}")]
    UnknownCustomer(CustomerId),
    /// A line is for a product that does not exist.
    #[error("there is no product {0}")]
    UnknownProduct(ProductId),
    /// There is less of a product than the order asks for.
    #[error("{left} of product {product} are left, {asked} were asked for")]
    OutOfStock {
        /// The product.
        product: ProductId,
        /// How many the order asks for.
        asked: i64,
        /// How many there were.
        left: i64,
    },
    /// The order's sum is beyond what an amount can be.
    #[error("the order's total is too large")]
    TotalTooLarge,
    /// The key belongs to another order.
    #[error("the idempotency key was used for another order")]
    KeyReused,
}

impl StoreError {
    /// Why there was no answer, with all of its causes and nothing personal: what a database says of a value quotes it.
    pub fn told(&self) -> String {
        let mut told = self.to_string();
        let mut inner = std::error::Error::source(self);
        while let Some(error) = inner {
            if let Some(sqlx::Error::Database(error)) = error.downcast_ref() {
                return told + ": " + &said(&**error);
            }
            told += &format!(": {error}");
            inner = error.source();
        }
        told
    }
}

/// What a database said: in its own words where they are about a schema, a connection or the server, and else by its code.
fn said(error: &dyn DatabaseError) -> String {
    let code = error.code().unwrap_or_default();
    let quotes = match error.try_downcast_ref::<SqliteError>() {
        // A trigger says what it likes.
        Some(_) => code == SQLITE_CONSTRAINT_TRIGGER,
        None => {
            !["08", "25", "28", "3D", "40", "42", "53", "54", "55", "57", "58"].iter().any(|of| code.starts_with(of))
        }
    };
    if !quotes {
        return format!("{} ({code})", error.message());
    }
    let part = |what: &str, name: Option<&str>| name.map(|name| format!(", {what} {name}")).unwrap_or_default();
    let (constraint, table) = (part("constraint", error.constraint()), part("table", error.table()));
    format!("the database refused a value, code {code}{constraint}{table}")
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let code = match &error {
            sqlx::Error::Database(database) => database.code().map(std::borrow::Cow::into_owned),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::WorkerCrashed => return Self::Unavailable(error),
            _ => None,
        };
        let Some(code) = code else { return Self::Internal(error) };
        // PostgreSQL has codes of five characters, SQLite numbers, whose low byte is the kind.
        match code.as_str() {
            "57014" => Self::TimedOut,
            "53300" | "55P03" => Self::Busy,
            "53100" => Self::Full(error),
            five if five.len() == 5 => match &five[..2] {
                "08" | "57" => Self::Unavailable(error),
                _ => Self::Internal(error),
            },
            number => match number.parse::<i32>().map(|number| (number & 0xff, number >> 8)) {
                Ok((SQLITE_BUSY | SQLITE_LOCKED, _)) => Self::Busy,
                Ok((SQLITE_INTERRUPT, _)) => Self::TimedOut,
                Ok((SQLITE_FULL, _)) => Self::Full(error),
                Ok((SQLITE_IOERR, what)) if NO_ROOM.contains(&what) => Self::Full(error),
                Ok((SQLITE_IOERR | SQLITE_CANTOPEN | SQLITE_READONLY, _)) => Self::Unavailable(error),
                _ => Self::Internal(error),
            },
        }
    }
}

// <https://www.sqlite.org/rescode.html>
const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;
const SQLITE_READONLY: i32 = 8;
const SQLITE_INTERRUPT: i32 = 9;
const SQLITE_IOERR: i32 = 10;
const SQLITE_FULL: i32 = 13;
const SQLITE_CANTOPEN: i32 = 14;
const SQLITE_CONSTRAINT_TRIGGER: &str = "1811";
/// What input or output failed when a disk is full: write, fsync, directory fsync, truncate, and growing or mapping the
/// index of the write-ahead log.
const NO_ROOM: [i32; 6] = [3, 4, 5, 6, 19, 21];
