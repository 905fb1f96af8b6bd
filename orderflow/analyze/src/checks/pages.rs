//! How often the server finds a page in its memory.

use sqlx::FromRow;

use super::counted_since;
use crate::{
    analysis::{Cache, Finding, Pages, Severity},
    session::{Session, Trouble},
    show,
};

/// Pages that must have been asked for before a ratio says something: 80 MiB.
const ENOUGH: i64 = 10_000;
const TARGET: f64 = 0.95;
const BAD: f64 = 0.80;

/// What is counted, its pages in all, and those of a table that were not in memory.
type Kind = (&'static str, Pages, fn(&Counted) -> i64);

#[derive(FromRow)]
struct Counted {
    on: String,
    heap_hit: i64,
    heap_read: i64,
    index_hit: i64,
    index_read: i64,
}

/// The figures, and what is to be said of them.
pub(super) async fn cache(session: &mut Session) -> Result<(Cache, Vec<Finding>), Trouble> {
    let counted: Vec<Counted> = session
        .all(
            "SELECT relid::regclass::text AS on, coalesce(heap_blks_hit, 0) AS heap_hit, \
             coalesce(heap_blks_read, 0) AS heap_read, coalesce(idx_blks_hit, 0) AS index_hit, \
             coalesce(idx_blks_read, 0) AS index_read FROM pg_statio_user_tables /* orderflow-analyze */",
        )
        .await?;
    let sum = |figure: fn(&Counted) -> i64| counted.iter().map(figure).sum();
    let cache = Cache {
        tables: Pages::new(sum(|one| one.heap_hit), sum(|one| one.heap_read)),
        indexes: Pages::new(sum(|one| one.index_hit), sum(|one| one.index_read)),
    };
    let since = counted_since(session);
    let mut findings = Vec::new();
    let kinds: [Kind; 2] =
        [("tables", cache.tables, |one| one.heap_read), ("indexes", cache.indexes, |one| one.index_read)];
    for (kind, pages, read) in kinds {
        let Some(ratio) = pages.ratio.filter(|ratio| *ratio < TARGET && pages.hit + pages.read >= ENOUGH) else {
            continue;
        };
        let worst = counted.iter().max_by_key(|one| read(one));
        let worst = worst.map_or_else(String::new, |one| {
            format!("{}, with {} of the pages that were not there", one.on, show::percent(share(read(one), pages.read)))
        });
        findings.push(
            Finding::new("cache", if ratio < BAD { Severity::Critical } else { Severity::Warning }, kind)
                .evidence(format!(
                    "{} of {} pages of {kind} were in shared_buffers {since}; the target is {}",
                    show::percent(ratio),
                    show::count((pages.hit + pages.read) as f64),
                    show::percent(TARGET)
                ))
                .number("ratio", ratio)
                .number("hit", pages.hit)
                .number("read", pages.read)
                .advice(format!(
                    "Begin with {worst}: have its statements read less, by an index or a LIMIT. If what is read is all \
                     needed, raise shared_buffers."
                )),
        );
    }
    Ok((cache, findings))
}

fn share(part: i64, all: i64) -> f64 {
    part as f64 / all.max(1) as f64
}
