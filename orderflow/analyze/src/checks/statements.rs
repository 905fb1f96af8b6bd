//! What `pg_stat_statements` has counted: which statements take the time.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, FromRow};

use crate::{
    analysis::{Finding, NotChecked, Severity, Statement},
    session::{Session, Trouble},
    show, statement,
};

const CHECK: &str = "slow statements";
/// A statement is slow whose calls take this long on average; OrderFlow logs those that do.
const SLOW_MS: f64 = 500.0;
/// The most statements that are read, those with the most time first.
const MOST: i64 = 2_000;
/// Pages of 8 KiB.
const MIB: f64 = 128.0;

/// Every statement that may be shown, those with the most time first.
pub(super) struct Statements {
    list: Vec<Statement>,
    by_id: BTreeMap<i64, String>,
}

#[derive(FromRow)]
struct Row {
    id: i64,
    text: String,
    calls: i64,
    total: f64,
    rows: i64,
    hit: i64,
    read: i64,
    temporary: i64,
    all: f64,
}

impl Statements {
    /// Reads them; the inner error says why nobody counts them, and what to do about it.
    pub(super) async fn read(session: &mut Session) -> Result<Result<Self, NotChecked>, Trouble> {
        let extension: Vec<(String, String)> = session
            .all(
                "SELECT quote_ident(n.nspname), e.extversion FROM pg_extension e \
                 JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements' \
                 /* orderflow-analyze */",
            )
            .await?;
        let Some((schema, version)) = extension.into_iter().next() else {
            return Ok(Err(missing(&format!(
                "the extension pg_stat_statements is not in the database {}",
                session.server.database
            ))));
        };
        // Utility statements are left out by their first word, and all of them by the one comment.
        let sql = format!(
            "SELECT coalesce(queryid, 0) AS id, query AS text, calls, total_exec_time AS total, rows, \
             shared_blks_hit AS hit, shared_blks_read AS read, temp_blks_written AS temporary, \
             sum(total_exec_time) OVER () AS all \
             FROM {schema}.pg_stat_statements \
             WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND query NOT LIKE '%orderflow-analyze%' \
             ORDER BY total_exec_time DESC LIMIT {MOST} /* orderflow-analyze */"
        );
        let rows: Vec<Row> = match session.all(AssertSqlSafe(sql)).await {
            Ok(rows) => rows,
            Err(lost @ Trouble::Lost(_)) => return Err(lost),
            Err(Trouble::Refused(said)) if said.contains("shared_preload_libraries") => {
                return Ok(Err(missing("the server was started without the library pg_stat_statements")));
            }
            Err(Trouble::Refused(said)) if said.contains("total_exec_time") => {
                let why = format!("the extension is of version {version}, which has other columns");
                let remedy = "ALTER EXTENSION pg_stat_statements UPDATE;".to_owned();
                return Ok(Err(NotChecked { check: CHECK, why, remedy }));
            }
            Err(trouble) => {
                let user = &session.server.user;
                let remedy = format!("GRANT pg_monitor TO {user}, and USAGE on the schema {schema}.");
                return Ok(Err(NotChecked { check: CHECK, why: trouble.to_string(), remedy }));
            }
        };
        let list: Vec<_> = rows.iter().filter_map(Row::shown).collect();
        let by_id = list.iter().filter_map(|shown| Some((shown.id.parse().ok()?, shown.text.clone()))).collect();
        Ok(Ok(Self { list, by_id }))
    }

    /// Those with the most time.
    pub(super) fn top(&self, count: usize) -> Vec<Statement> {
        self.list.iter().take(count).cloned().collect()
    }

    /// The text of what a connection is at, by PostgreSQL's number for it.
    pub(super) fn text(&self, id: Option<i64>) -> Option<&str> {
        self.by_id.get(&id?).map(String::as_str)
    }

    /// The statement that has read the most pages of all that name the table.
    pub(super) fn reader_of(&self, table: &str) -> Option<&Statement> {
        let readers =
            self.list.iter().filter(|one| !one.text.starts_with("INSERT") && statement::names(&one.text, table));
        readers.max_by_key(|one| one.blocks_hit + one.blocks_read)
    }

    /// Those whose calls take long.
    pub(super) fn slow(&self, session: &Session) -> Vec<Finding> {
        let slow = self.list.iter().filter(|one| one.mean_ms >= SLOW_MS);
        slow.map(|one| {
            let (rows, pages) = (per_call(one.rows, one), per_call(one.blocks_hit + one.blocks_read, one));
            let evidence = format!(
                "{} on average, {} in {} {}, {} of the time of all statements; {} rows and {} a call",
                show::duration(one.mean_ms / 1e3),
                show::duration(one.total_ms / 1e3),
                show::count(one.calls as f64),
                if one.calls == 1 { "call" } else { "calls" },
                show::percent(one.share),
                show::count(rows),
                show::pages(pages),
            );
            Finding::new(CHECK, Severity::Warning, &one.text)
                .evidence(evidence)
                .number("mean_ms", one.mean_ms)
                .number("total_ms", one.total_ms)
                .number("calls", one.calls)
                .number("rows_per_call", rows)
                .number("pages_per_call", pages)
                .number("share", one.share)
                .advice(advice(one, rows, pages, &session.server.database))
        })
        .collect()
    }
}

impl Row {
    fn shown(&self) -> Option<Statement> {
        Some(Statement {
            id: self.id.to_string(),
            text: statement::masked(&self.text)?,
            calls: self.calls,
            total_ms: self.total,
            mean_ms: if self.calls > 0 { self.total / self.calls as f64 } else { 0.0 },
            rows: self.rows,
            share: if self.all > 0.0 { self.total / self.all } else { 0.0 },
            blocks_hit: self.hit,
            blocks_read: self.read,
            blocks_temporary: self.temporary,
        })
    }
}

fn per_call(figure: i64, one: &Statement) -> f64 {
    figure as f64 / one.calls.max(1) as f64
}

/// The one thing that is most likely to help.
fn advice(one: &Statement, rows: f64, pages: f64, database: &str) -> String {
    let temporary = per_call(one.blocks_temporary, one);
    let beginning: String = one.text.chars().take(60).collect();
    if temporary >= MIB {
        format!(
            "`{beginning}` writes {} of temporary files a call: sort or join fewer rows, or raise work_mem for it.",
            show::pages(temporary)
        )
    } else if rows >= 10_000.0 {
        format!("`{beginning}` gives {} rows a call: page it by key, with a LIMIT.", show::count(rows))
    } else if pages >= 8.0 * MIB && pages >= 10.0 * rows {
        format!(
            "`{beginning}` looks at {} for {} rows: EXPLAIN (ANALYZE, BUFFERS) it in {database}; an index that fits its \
             WHERE or ORDER BY is likely missing.",
            show::pages(pages),
            show::count(rows)
        )
    } else if one.blocks_read > one.blocks_hit {
        format!(
            "`{beginning}` finds most of its pages outside shared_buffers: have it read fewer, or give more memory."
        )
    } else {
        format!(
            "`{beginning}` reads little and takes long: EXPLAIN (ANALYZE, BUFFERS) it in {database}, and see whether it \
             waits for locks or for a function."
        )
    }
}

/// What to do so that statements are counted.
fn missing(why: &str) -> NotChecked {
    let remedy = "Add pg_stat_statements to shared_preload_libraries in postgresql.conf, restart the server, and run \
                  CREATE EXTENSION pg_stat_statements; in this database.";
    NotChecked { check: CHECK, why: why.to_owned(), remedy: remedy.to_owned() }
}
