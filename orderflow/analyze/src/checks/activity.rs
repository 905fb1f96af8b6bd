//! What connections are at: who waits for whom, and whose transactions stay open.

use sqlx::{AssertSqlSafe, FromRow};

use super::statements::Statements;
use crate::{
    analysis::{Finding, Severity},
    session::{Session, Trouble},
    show, statement,
};

/// A lock that is waited for this long is not one in passing.
const WAIT: f64 = 1.0;
/// From here on a transaction, or a wait, is an incident.
const HOUR: f64 = 3_600.0;
const MINUTE: f64 = 60.0;

#[derive(FromRow)]
struct Connection {
    pid: i32,
    application: String,
    user: String,
    /// How long its transaction has been open, or how long it has been idle in it.
    seconds: f64,
    /// Rows that were deleted this many transactions ago are kept for it.
    horizon: Option<i64>,
    query_id: Option<i64>,
    /// With its literals; only its first word is shown.
    query: Option<String>,
}

impl Connection {
    fn who(&self) -> String {
        let Self { pid, application, user, .. } = self;
        if application.is_empty() {
            format!("pid {pid} of {user}")
        } else {
            format!("pid {pid} ({application}) of {user}")
        }
    }

    fn at(&self, known: Option<&Statements>) -> String {
        at(self.query_id, self.query.as_deref(), known)
    }
}

/// What a connection is at: its text where it is known without literals, and else the word that says what it does.
fn at(id: Option<i64>, query: Option<&str>, known: Option<&Statements>) -> String {
    if let Some(text) = known.and_then(|known| known.text(id)) {
        return format!("`{text}`");
    }
    query.and_then(statement::keyword).map_or_else(
        || "a statement that cannot be shown".to_owned(),
        |word| format!("{} {word}", if word.starts_with(['I', 'U']) { "an" } else { "a" }),
    )
}

/// The number of what a connection is at, which version 13 does not have.
fn query_id(session: &Session) -> &'static str {
    if session.server.version_number >= 140_000 { "query_id" } else { "NULL::bigint AS query_id" }
}

async fn connections(session: &mut Session, since: &str, which: &str) -> Result<Vec<Connection>, Trouble> {
    let id = query_id(session);
    let sql = format!(
        "SELECT pid, coalesce(application_name, '') AS application, coalesce(usename::text, '?') AS \"user\", \
         extract(epoch FROM clock_timestamp() - {since})::float8 AS seconds, \
         greatest(age(backend_xmin), age(backend_xid))::int8 AS horizon, {id}, query \
         FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
         AND backend_type = 'client backend' AND {which} AND {since} IS NOT NULL ORDER BY {since} /* orderflow-analyze */"
    );
    session.all(AssertSqlSafe(sql)).await
}

/// Transactions that work for long.
pub(super) async fn long(
    session: &mut Session,
    known: Option<&Statements>,
    older_than: f64,
) -> Result<Vec<Finding>, Trouble> {
    let open = connections(session, "xact_start", "state = 'active'").await?;
    let long = open.iter().filter(|open| open.seconds >= older_than);
    Ok(long
        .map(|open| {
            let at = open.at(known);
            let severity = if open.seconds >= HOUR { Severity::Critical } else { Severity::Warning };
            let evidence = format!(
                "its transaction has been open for {}, at {at} now{}",
                show::duration(open.seconds),
                kept(open.horizon)
            );
            Finding::new("long transactions", severity, open.who())
                .evidence(evidence)
                .number("pid", open.pid)
                .number("seconds", open.seconds)
                .number("horizon_transactions", open.horizon)
                .advice(format!(
                    "Let it end if it is a report; else SELECT pg_terminate_backend({}), and give {at} a \
                     statement_timeout.",
                    open.pid
                ))
        })
        .collect())
}

/// Transactions that were begun and then left alone.
pub(super) async fn idle(
    session: &mut Session,
    known: Option<&Statements>,
    older_than: f64,
) -> Result<Vec<Finding>, Trouble> {
    let open = connections(session, "state_change", "state LIKE 'idle in transaction%'").await?;
    let idle = open.iter().filter(|open| open.seconds >= older_than);
    Ok(idle
        .map(|open| {
            let severity = if open.seconds >= HOUR { Severity::Critical } else { Severity::Warning };
            let evidence = format!(
                "idle in its transaction for {} after {}{}; its locks stay",
                show::duration(open.seconds),
                open.at(known),
                kept(open.horizon)
            );
            Finding::new("idle in transaction", severity, open.who())
                .evidence(evidence)
                .number("pid", open.pid)
                .number("seconds", open.seconds)
                .number("horizon_transactions", open.horizon)
                .advice(format!(
                    "SELECT pg_terminate_backend({}); then find where {} leaves its transaction open, and set \
                     idle_in_transaction_session_timeout for it.",
                    open.pid, open.user
                ))
        })
        .collect())
}

fn kept(horizon: Option<i64>) -> String {
    match horizon {
        Some(transactions) if transactions > 1 => {
            format!("; rows that others deleted in the last {} transactions stay", show::count(transactions as f64))
        }
        _ => String::new(),
    }
}

#[derive(FromRow)]
struct Holder {
    /// Who has the lock and waits for nobody.
    blocker: i32,
    blocker_application: String,
    blocker_user: String,
    blocker_state: String,
    blocker_query_id: Option<i64>,
    blocker_query: Option<String>,
    waiting: i64,
    longest: f64,
    relation: Option<String>,
    waiter_query_id: Option<i64>,
    waiter_query: Option<String>,
}

/// Who holds locks that others wait for.
pub(super) async fn locks(session: &mut Session, known: Option<&Statements>) -> Result<Vec<Finding>, Trouble> {
    let id = query_id(session);
    // Of those who wait one behind the other, the first has the lock. A lock on a row has no table of its own, but who
    // waits for it holds one on the row's place in its table.
    let sql = format!(
        "WITH RECURSIVE open AS MATERIALIZED (SELECT pid, application_name, usename, state, query, {id}, \
           extract(epoch FROM clock_timestamp() - coalesce(query_start, state_change))::float8 AS seconds, \
           CASE WHEN wait_event_type = 'Lock' THEN pg_blocking_pids(pid) ELSE '{{}}' END AS behind \
           FROM pg_stat_activity WHERE datname = current_database()), \
         chain AS (SELECT pid AS waiter, unnest(behind) AS blocker, 1 AS depth FROM open \
           UNION SELECT c.waiter, unnest(o.behind), c.depth + 1 FROM chain c JOIN open o ON o.pid = c.blocker \
           WHERE c.depth < 50), \
         held AS (SELECT DISTINCT c.waiter, c.blocker FROM chain c LEFT JOIN open o ON o.pid = c.blocker \
           WHERE coalesce(cardinality(o.behind), 0) = 0), \
         worst AS (SELECT DISTINCT ON (h.blocker) h.blocker, h.waiter, w.seconds, w.query, w.query_id, \
           count(*) OVER (PARTITION BY h.blocker) AS waiting FROM held h JOIN open w ON w.pid = h.waiter \
           ORDER BY h.blocker, w.seconds DESC) \
         SELECT w.blocker, coalesce(b.application_name, '') AS blocker_application, \
           coalesce(b.usename::text, '?') AS blocker_user, coalesce(b.state, 'prepared transaction') AS blocker_state, \
           b.query_id AS blocker_query_id, b.query AS blocker_query, w.waiting, w.seconds AS longest, \
           (SELECT l.relation::regclass::text FROM pg_locks l WHERE l.pid = w.waiter AND l.relation IS NOT NULL \
            AND (NOT l.granted OR l.locktype = 'tuple') ORDER BY l.granted LIMIT 1) AS relation, \
           w.query_id AS waiter_query_id, w.query AS waiter_query \
         FROM worst w LEFT JOIN open b ON b.pid = w.blocker WHERE w.seconds >= {WAIT} ORDER BY w.seconds DESC LIMIT 20 \
         /* orderflow-analyze */"
    );
    let waiting: Vec<Holder> = session.all(AssertSqlSafe(sql)).await?;
    Ok(waiting.iter().map(|one| found(one, known)).collect())
}

fn found(one: &Holder, known: Option<&Statements>) -> Finding {
    let what = one.relation.as_ref().map_or_else(|| "a row".to_owned(), |relation| format!("a lock on {relation}"));
    let severity = if one.longest >= MINUTE { Severity::Critical } else { Severity::Warning };
    let waiter = at(one.waiter_query_id, one.waiter_query.as_deref(), known);
    let blocker = at(one.blocker_query_id, one.blocker_query.as_deref(), known);
    let (pid, state) = (one.blocker, &one.blocker_state);
    let application =
        if one.blocker_application.is_empty() { String::new() } else { format!(" ({})", one.blocker_application) };
    let others = if one.waiting == 1 { "one waits".to_owned() } else { format!("{} wait", one.waiting) };
    let evidence = format!(
        "{others} for {what}, for {} so far, to go on with {waiter}; the one who has it is {state}, at {blocker}",
        show::duration(one.longest)
    );
    let finding = Finding::new("lock waits", severity, format!("pid {pid}{application} of {}", one.blocker_user))
        .evidence(evidence)
        .number("pid", pid)
        .number("waiting", one.waiting)
        .number("longest_seconds", one.longest)
        .number("relation", one.relation.clone());
    if pid == 0 {
        return finding
            .advice("A prepared transaction has the lock: see pg_prepared_xacts, and end it by ROLLBACK PREPARED.");
    }
    finding.advice(format!(
        "If it does not end by itself, SELECT pg_terminate_backend({pid}) lets them go on with {waiter}. Then have that \
         transaction end sooner, or what waits give up by lock_timeout."
    ))
}
