//! Which store a URL means, and what can go wrong before there is one.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{SharedStore, StoreError, postgres, sqlite};
use crate::{config::Database, events::SharedFeed, jobs::SharedJobs, scheduler::SharedSchedule, telemetry::Telemetry};

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL names neither kind of store.
    #[error("the database URL must begin with sqlite: or postgres://")]
    Scheme,
    /// The URL has the right beginning but makes no sense after it.
    #[error("the database URL cannot be read")]
    Url(#[source] sqlx::Error),
    /// Each connection to such a database would have one of its own.
    #[error(
        "an in-memory SQLite database cannot be shared by connections; name a file, as in sqlite:/var/lib/orderflow.db"
    )]
    InMemory,
    /// The directory of the database file is not there, or cannot be made.
    #[error("the directory {} of the database cannot be used; create it, or let database.url name another", .0.display())]
    Directory(PathBuf, #[source] std::io::Error),
    /// There is no opening the database.
    #[error("the database cannot be opened")]
    Unreachable(#[source] StoreError),
}

/// What a URL means.
pub(super) enum Kind {
    Sqlite(PathBuf),
    Postgres,
}

/// Reads the beginning of the URL and, for SQLite, sees to the file's directory. The data directory is made if it is
/// missing; another one must be there, so that a slip in its name is told and not followed.
pub(super) fn kind(database: &Database, data_dir: &Path) -> Result<Kind, ConnectError> {
    let url = database.url.expose();
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Kind::Postgres);
    }
    let file = if url.is_empty() { data_dir.join("orderflow.db") } else { sqlite::file(url)? };
    let directory = match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let found = if directory == data_dir { std::fs::create_dir_all(directory) } else { Ok(()) };
    found
        .and_then(|()| std::fs::read_dir(directory).map(drop))
        .map_err(|error| ConnectError::Directory(directory.to_owned(), error))?;
    Ok(Kind::Sqlite(file))
}

/// An open database.
#[derive(Clone)]
pub enum Backend {
    /// A file.
    Sqlite(Arc<sqlite::SqliteStore>),
    /// A server.
    Postgres(Arc<postgres::PostgresStore>),
}

impl Backend {
    /// Opens the database that the configuration names. Its schema is left as it is: see [`migrate`](super::migrate()).
    ///
    /// # Errors
    ///
    /// See [`ConnectError`]. None shows the URL, which holds a password.
    pub async fn connect(database: &Database, data_dir: &Path) -> Result<Self, ConnectError> {
        Ok(match kind(database, data_dir)? {
            Kind::Sqlite(file) => Self::Sqlite(Arc::new(sqlite::SqliteStore::open(&file, database).await?)),
            Kind::Postgres => Self::Postgres(Arc::new(postgres::PostgresStore::connect(database).await?)),
        })
    }

    /// Counts there from now on.
    pub fn count_in(&self, telemetry: &Telemetry) {
        match self {
            Self::Sqlite(store) => store.count_in(telemetry),
            Self::Postgres(store) => store.count_in(telemetry),
        }
    }

    /// What happens to orders, in the order in which it can be read.
    pub fn feed(&self) -> SharedFeed {
        match self {
            Self::Sqlite(store) => store.clone(),
            Self::Postgres(store) => store.clone(),
        }
    }

    /// Orders, products and customers in it.
    pub fn store(&self) -> SharedStore {
        match self {
            Self::Sqlite(store) => store.clone(),
            Self::Postgres(store) => store.clone(),
        }
    }

    /// What the scheduler does in it. `database` and `data_dir` are those that it was opened with.
    ///
    /// # Errors
    ///
    /// When `database.direct_url` cannot be read.
    pub fn schedule(&self, database: &Database, data_dir: &Path) -> Result<SharedSchedule, ConnectError> {
        Ok(match (self, kind(database, data_dir)?) {
            (Self::Sqlite(store), Kind::Sqlite(file)) => Arc::new(sqlite::Schedule::new(store.clone(), &file)),
            (Self::Postgres(store), Kind::Postgres) => Arc::new(postgres::Schedule::new(store.clone(), database)?),
            _ => return Err(ConnectError::Scheme),
        })
    }

    /// Notifications in it.
    pub fn jobs(&self) -> SharedJobs {
        match self {
            Self::Sqlite(store) => store.clone(),
            Self::Postgres(store) => store.clone(),
        }
    }
}

/// The store that the configuration names, without replicas.
///
/// # Errors
///
/// See [`ConnectError`].
pub async fn connect(database: &Database, data_dir: &Path) -> Result<SharedStore, ConnectError> {
    Ok(Backend::connect(database, data_dir).await?.store())
}
