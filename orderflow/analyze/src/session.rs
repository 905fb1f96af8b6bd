//! One connection that can only read, for which every statement has a limit, and what may keep it from reading.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use sqlx::{
    Connection, FromRow, PgConnection, SqlSafeStr,
    postgres::{PgDatabaseError, PgRow},
};
use tokio::time::timeout;

use crate::source::Source;

const CONNECT: Duration = Duration::from_secs(10);
/// The server ends a statement after ten seconds; this is for one that does not answer at all.
const ANSWER: Duration = Duration::from_secs(15);
/// What the session is held to. Nothing of the database's own is found by an unqualified name.
const HELD_TO: [(&str, &str); 6] = [
    ("default_transaction_read_only", "on"),
    ("statement_timeout", "10s"),
    ("lock_timeout", "2s"),
    ("idle_in_transaction_session_timeout", "30s"),
    ("search_path", "pg_catalog"),
    ("DateStyle", "ISO"),
];
const POOLER: &str = "Give the address of PostgreSQL itself, as in database.direct_url.";
/// Versions from here on have the columns that are asked for.
const OLDEST: i32 = 130_000;

/// Why a check could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("permission was denied: {0}")]
    Denied(String),
    #[error("it did not end within ten seconds")]
    TooLong,
    #[error("a lock was in its way for two seconds")]
    Locked,
    #[error("the server refused: {0}")]
    Refused(String),
    /// No other check can be made either.
    #[error(
        "the connection was lost: {0}\nWhat was found until then is not shown, since it would look like all there is."
    )]
    Lost(String),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        let Some(refused) = error.as_database_error() else { return Self::Lost(error.to_string()) };
        let said = refused.message().to_owned();
        match refused.code().as_deref() {
            Some("42501") => Self::Denied(said),
            Some("57014") => Self::TooLong,
            Some("55P03") => Self::Locked,
            Some(code) if code.starts_with("57P") || code.starts_with("08") => Self::Lost(said),
            _ => Self::Refused(said),
        }
    }
}

/// What the server says of itself.
#[derive(Debug, FromRow)]
pub(crate) struct Server {
    pub(crate) database: String,
    pub(crate) version: String,
    pub(crate) version_number: i32,
    pub(crate) user: String,
    /// Whether the user sees what others do.
    pub(crate) sees_all: bool,
    /// Whether the session is held to what it was asked to be held to. A pooler may leave that out.
    pub(crate) held: bool,
    /// Seconds since this database's statistics were reset; `None` if they never were.
    pub(crate) reset: Option<f64>,
    /// Seconds since the server was started.
    pub(crate) up: f64,
}

pub(crate) struct Session {
    connection: PgConnection,
    pub(crate) server: Server,
    pub(crate) shown: String,
}

impl Session {
    pub(crate) async fn open(source: &Source) -> Result<Self> {
        let shown = source.shown();
        let options = source.options.clone().application_name("orderflow-analyze").options(HELD_TO);
        let connection = match timeout(CONNECT, PgConnection::connect_with(&options)).await {
            Ok(connected) => connected.map_err(|error| refused(&error, source))?,
            Err(_) => return Err(anyhow!("{shown} has not answered within {} s", CONNECT.as_secs())),
        };
        let mut session = Self { connection, server: Server::unknown(), shown };
        let server = session.all(
            "SELECT current_database()::text AS database, current_setting('server_version') AS version, \
             current_setting('server_version_num')::int4 AS version_number, current_user::text AS \"user\", \
             pg_has_role(current_user, 'pg_read_all_stats', 'MEMBER') AS sees_all, \
             current_setting('default_transaction_read_only') = 'on' \
               AND current_setting('search_path') = 'pg_catalog' AS held, \
             (SELECT extract(epoch FROM now() - stats_reset)::float8 FROM pg_stat_database \
              WHERE datname = current_database()) AS reset, \
             extract(epoch FROM now() - pg_postmaster_start_time())::float8 AS up /* orderflow-analyze */",
        );
        let said = server.await.with_context(|| format!("{} does not say what it is", session.shown))?;
        session.server = said.into_iter().next().context("a row")?;
        if !session.server.held {
            return Err(anyhow!(
                "{} does not take the settings that keep this from writing: it is a pooler\n{POOLER}",
                session.shown
            ));
        }
        if session.server.version_number < OLDEST {
            return Err(anyhow!(
                "{} is PostgreSQL {}; this needs version 13 or newer",
                session.shown,
                session.server.version
            ));
        }
        Ok(session)
    }

    /// All rows of a statement. Each bears the comment by which the analysis leaves itself out.
    pub(crate) async fn all<T>(&mut self, sql: impl SqlSafeStr) -> Result<Vec<T>, Trouble>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let rows = sqlx::query_as(sql).persistent(false).fetch_all(&mut self.connection);
        match timeout(ANSWER, rows).await {
            Ok(rows) => Ok(rows?),
            Err(_) => Err(Trouble::Lost(format!("no answer for {} s", ANSWER.as_secs()))),
        }
    }

    pub(crate) async fn close(self) {
        // A server that does not take its leave has been left all the same.
        let _ = timeout(Duration::from_secs(1), self.connection.close()).await;
    }
}

impl Server {
    fn unknown() -> Self {
        let (database, version, user) = Default::default();
        Self { database, version, version_number: 0, user, sees_all: false, held: false, reset: None, up: 0.0 }
    }
}

/// What happened, and what to do about it.
fn refused(error: &sqlx::Error, source: &Source) -> anyhow::Error {
    let (shown, place) = (source.shown(), &source.place);
    let user = source.options.get_username();
    let Some(refused) = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>()) else {
        return match error {
            sqlx::Error::Io(why) => anyhow!(
                "nothing answers at {shown}: {why}\nThe address is from {place}. Is the server running, and does it \
                 listen there?"
            ),
            sqlx::Error::Tls(why) => anyhow!("{shown} and this program do not agree on TLS: {why}\nSee sslmode."),
            other => anyhow!("{shown} cannot be talked to: {other}"),
        };
    };
    let said = refused.message();
    let next = match refused.code() {
        "28P01" | "28000" => format!("The user is {user} and the address from {place}: is the password right?"),
        "3D000" => format!("The address is from {place}; `psql -l` lists the databases there are."),
        "42501" => format!("Let {user} in: GRANT CONNECT ON DATABASE … TO {user}."),
        "53300" => "All connections are taken: ask again with a superuser, for whom some are kept.".to_owned(),
        "57P03" => "It is starting or ending: ask again in a moment.".to_owned(),
        _ if said.contains("startup parameter") => {
            format!("This is a pooler. {POOLER}")
        }
        code => format!("The server's code for it is {code}."),
    };
    anyhow!("{shown} refuses the connection: {said}\n{next}")
}
