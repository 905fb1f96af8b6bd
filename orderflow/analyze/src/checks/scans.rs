//! Large tables that are read from end to end, again and again.

use sqlx::FromRow;

use super::{counted_since, statements::Statements};
use crate::{
    analysis::{Finding, Severity},
    session::{Session, Trouble},
    show,
};

#[derive(FromRow)]
struct Scanned {
    on: String,
    name: String,
    scans: i64,
    rows: i64,
    live: i64,
    index_scans: i64,
    size: i64,
}

/// Tables of 10,000 rows and more that were scanned at least 20 times, over 5,000 rows each time. Scans that find what they
/// want early read fewer; those of several processes count once for each.
pub(super) async fn missing_indexes(
    session: &mut Session,
    known: Option<&Statements>,
) -> Result<Vec<Finding>, Trouble> {
    let scanned: Vec<Scanned> = session
        .all(
            "SELECT relid::regclass::text AS on, relname::text AS name, seq_scan AS scans, seq_tup_read AS rows, \
             n_live_tup AS live, coalesce(idx_scan, 0) AS index_scans, pg_relation_size(relid) AS size \
             FROM pg_stat_user_tables WHERE seq_scan >= 20 AND n_live_tup >= 10000 AND seq_tup_read / seq_scan >= 5000 \
             ORDER BY seq_tup_read DESC LIMIT 20 /* orderflow-analyze */",
        )
        .await?;
    let since = counted_since(session);
    Ok(scanned
        .iter()
        .map(|one| {
            let Scanned { on, name, scans, rows, live, index_scans, size } = one;
            let each = *rows as f64 / (*scans).max(1) as f64;
            let advice = match known.and_then(|known| known.reader_of(name)) {
                Some(reader) => format!(
                    "Of the statements that name {on}, this has read the most pages: `{}`. EXPLAIN it, and CREATE INDEX \
                     CONCURRENTLY on {on} for its WHERE or ORDER BY, unless it is meant to read all.",
                    reader.text
                ),
                None => format!(
                    "Find the statements on {on} whose plan says Seq Scan, and CREATE INDEX CONCURRENTLY on {on} for their \
                     WHERE or ORDER BY, unless they are meant to read all."
                ),
            };
            Finding::new("missing indexes", Severity::Warning, on)
                .evidence(format!(
                    "{} sequential scans of {} rows each {since}, and {} by an index; the table has {} rows in {}",
                    show::count(*scans as f64),
                    show::count(each),
                    show::count(*index_scans as f64),
                    show::count(*live as f64),
                    show::bytes(*size as f64)
                ))
                .number("sequential_scans", *scans)
                .number("rows_per_scan", each)
                .number("index_scans", *index_scans)
                .number("rows", *live)
                .number("bytes", *size)
                .advice(advice)
        })
        .collect())
}
