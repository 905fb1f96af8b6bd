//! The checks. What hurts now comes first: where locks are the trouble, what comes later may not get to look.

mod activity;
mod indexes;
mod limits;
mod pages;
mod scans;
mod statements;
mod vacuum;

use crate::{
    analysis::{Analysis, Cache, Finding, NotChecked, Severity},
    session::{Session, Trouble},
    show,
};
use statements::Statements;

/// Statistics younger than this say little.
const FRESH: f64 = 600.0;
/// What is done once a week shows in statistics that are at least this old.
const WEEK: f64 = 7.0 * 86_400.0;

/// Looks at everything. A check that cannot be made is told of and keeps no other from being made.
pub(crate) async fn all(session: &mut Session, top: usize, older_than: f64) -> Result<Analysis, Trouble> {
    let mut analysis = Analysis {
        database: session.shown.clone(),
        server: format!("PostgreSQL {}", session.server.version),
        statistics_reset_seconds: session.server.reset,
        server_up_seconds: session.server.up,
        ..Analysis::default()
    };
    let statements = match Statements::read(session).await? {
        Ok(statements) => Some(statements),
        Err(missing) => {
            analysis.not_checked.push(missing);
            None
        }
    };
    let known = statements.as_ref();
    analysis.keep("lock waits", activity::locks(session, known).await)?;
    analysis.keep("idle in transaction", activity::idle(session, known, older_than).await)?;
    analysis.keep("long transactions", activity::long(session, known, older_than).await)?;
    analysis.keep("replication slots", limits::slots(session).await)?;
    analysis.keep("sequences", limits::sequences(session).await)?;
    if let Some(statements) = known {
        analysis.keep("slow statements", Ok(statements.slow(session)))?;
        analysis.statements = Some(statements.top(top));
    }
    analysis.keep("missing indexes", scans::missing_indexes(session, known).await)?;
    analysis.keep("unused indexes", indexes::unused(session).await)?;
    analysis.keep("duplicate indexes", indexes::duplicate(session).await)?;
    let (cache, findings) = match pages::cache(session).await {
        Ok((cache, findings)) => (cache, Ok(findings)),
        Err(trouble) => (Cache::default(), Err(trouble)),
    };
    analysis.cache = cache;
    analysis.keep("cache", findings)?;
    analysis.keep("dead rows", vacuum::dead_rows(session).await)?;
    analysis.keep("bloat", vacuum::bloat(session).await)?;
    analysis.end(session);
    Ok(analysis)
}

impl Analysis {
    /// Keeps what a check found, or says that it was not made. A connection that is lost ends everything.
    fn keep(&mut self, check: &'static str, found: Result<Vec<Finding>, Trouble>) -> Result<(), Trouble> {
        let remedy = match found {
            Ok(findings) => {
                self.checked.push(check);
                self.findings.extend(findings);
                return Ok(());
            }
            Err(lost @ Trouble::Lost(_)) => return Err(lost),
            Err(trouble) => {
                let remedy = match trouble {
                    Trouble::Denied(_) => "Ask as a member of pg_monitor.",
                    Trouble::Locked => "Ask again when what holds the lock has ended; the lock waits tell of it.",
                    _ => "Ask again when the server has less to do.",
                };
                (trouble.to_string(), remedy.to_owned())
            }
        };
        self.not_checked.push(NotChecked { check, why: remedy.0, remedy: remedy.1 });
        Ok(())
    }

    /// What a reader must know before believing the rest.
    fn end(&mut self, session: &Session) {
        let server = &session.server;
        if !server.sees_all {
            let user = &server.user;
            self.not_checked.push(NotChecked {
                check: "what other users do",
                why: format!("{user} sees neither their statements nor what their connections are at"),
                remedy: format!("GRANT pg_monitor TO {user}, or ask as another user."),
            });
        }
        if let Some(reset) = server.reset.filter(|reset| *reset < FRESH) {
            let since = show::duration(reset);
            self.findings.push(
                Finding::new("statistics", Severity::Note, &server.database)
                    .evidence(format!("the statistics were reset {since} ago"))
                    .number("seconds", reset)
                    .advice(format!("Ask again after a day: what is counted covers {since} only.")),
            );
        }
        self.findings.sort_by_key(|finding| finding.severity);
        self.healthy = !self.troubled() && self.not_checked.is_empty();
    }
}

/// Whether the statistics of this database may lack what is done once a week.
fn young(session: &Session) -> bool {
    session.server.reset.unwrap_or(session.server.up) < WEEK
}

/// Since when is counted, for a sentence. Statistics that were never reset are lost in a crash at the latest.
fn counted_since(session: &Session) -> String {
    match session.server.reset {
        Some(reset) => format!("since the statistics were reset {} ago", show::duration(reset)),
        None => format!("since the server was started {} ago, or longer", show::duration(session.server.up)),
    }
}
