//! Example data: a shop of a given size, the same for the same size on every machine and in both stores.

mod plan;
mod postgres;
mod rows;
mod sqlite;

use std::path::Path;

pub use plan::Plan;

use super::connect::{ConnectError, Kind, kind};
use crate::config::Database;

/// How far a seed has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many steps are done. An order is two: itself, and its lines.
    pub done: u64,
    /// How many there are.
    pub of: u64,
}

/// What a seed wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeded {
    /// Products, numbered from 1.
    pub products: u64,
    /// Customers, numbered from 1.
    pub customers: u64,
    /// Orders, numbered from 1 in the sequence in which they were placed.
    pub orders: u64,
    /// Their lines.
    pub items: u64,
}

/// Why there is no example data. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// There is no reaching the database.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Somebody's data is there.
    #[error("the database is not empty; example data goes into an empty one only")]
    NotEmpty,
    /// The tables are not there.
    #[error("the database has no tables yet; run `orderflow migrate` first")]
    NotMigrated,
    /// The database refused.
    #[error("the example data could not be written, and none of it was")]
    Failed(#[source] sqlx::Error),
}

impl From<sqlx::Error> for SeedError {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error)
    }
}

/// Fills an empty, migrated database in one transaction, in memory that does not grow with the plan. `progress` is told
/// now and then how far it is.
///
/// # Errors
///
/// See [`SeedError`].
pub async fn seed(
    database: &Database,
    data_dir: &Path,
    plan: Plan,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Seeded, SeedError> {
    match kind(database, data_dir)? {
        Kind::Sqlite(file) => sqlite::seed(&file, plan, progress).await,
        Kind::Postgres => postgres::seed(database.session_url(), plan, progress).await,
    }
}
