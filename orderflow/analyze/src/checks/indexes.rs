//! Indexes that cost writes and give nothing.

use sqlx::FromRow;

use super::{counted_since, young};
use crate::{
    analysis::{Finding, Severity},
    session::{Session, Trouble},
    show,
};

#[derive(FromRow)]
struct Unused {
    index: String,
    on: String,
    size: i64,
    writes: i64,
}

/// Indexes that no statement has read, and that enforce nothing. Small ones cost little, and are left out.
pub(super) async fn unused(session: &mut Session) -> Result<Vec<Finding>, Trouble> {
    let unused: Vec<Unused> = session
        .all(
            "SELECT s.indexrelid::regclass::text AS index, s.relid::regclass::text AS on, \
             pg_relation_size(s.indexrelid) AS size, t.n_tup_ins + t.n_tup_upd + t.n_tup_del AS writes \
             FROM pg_stat_user_indexes s JOIN pg_index i USING (indexrelid) \
             JOIN pg_stat_user_tables t ON t.relid = s.relid JOIN pg_class c ON c.oid = s.indexrelid \
             WHERE s.idx_scan = 0 AND NOT i.indisunique AND NOT i.indisprimary AND NOT i.indisexclusion \
             AND NOT i.indisreplident AND i.indisvalid AND NOT c.relispartition AND c.relpages >= 0 \
             AND pg_relation_size(s.indexrelid) >= 1 << 20 \
             ORDER BY pg_relation_size(s.indexrelid) DESC LIMIT 50 /* orderflow-analyze */",
        )
        .await?;
    let since = counted_since(session);
    // What is needed once a week may not have been needed yet.
    let severity = if young(session) { Severity::Note } else { Severity::Warning };
    Ok(unused
        .iter()
        .map(|one| {
            let Unused { index, on, size, writes } = one;
            let first = if severity == Severity::Note { "Wait until a week is counted. Then: " } else { "" };
            Finding::new("unused indexes", severity, index)
                .evidence(format!(
                    "0 scans of {} {since}, while {on} took {} writes",
                    show::bytes(*size as f64),
                    show::count(*writes as f64)
                ))
                .number("bytes", *size)
                .number("scans", 0)
                .number("writes", *writes)
                .advice(format!(
                    "{first}DROP INDEX CONCURRENTLY {index}; unless a replica, which counts for itself, reads it."
                ))
        })
        .collect())
}

#[derive(FromRow)]
struct Duplicate {
    kept: String,
    index: String,
    on: String,
    constraint: Option<String>,
    size: i64,
    scans: i64,
}

/// Indexes of the same columns in the same order, with the same conditions, as another that stays for a better reason: a
/// constraint, being unique, or being read more.
pub(super) async fn duplicate(session: &mut Session) -> Result<Vec<Finding>, Trouble> {
    let duplicates: Vec<Duplicate> = session
        .all(
            "WITH alike AS (SELECT i.indexrelid, i.indrelid, k.conname, first_value(i.indexrelid) OVER w AS kept, \
               coalesce(s.idx_scan, 0) AS scans \
               FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
               JOIN pg_stat_user_indexes s ON s.indexrelid = i.indexrelid \
               LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x') \
               WHERE i.indisvalid AND NOT c.relispartition \
               WINDOW w AS (PARTITION BY i.indrelid, c.relam, i.indnkeyatts, i.indkey::text, i.indclass::text, \
                 i.indcollation::text, i.indoption::text, pg_get_expr(i.indexprs, i.indrelid), \
                 pg_get_expr(i.indpred, i.indrelid), i.indisexclusion \
                 ORDER BY i.indisprimary DESC, k.conname IS NOT NULL DESC, i.indisunique DESC, s.idx_scan DESC, \
                 i.indexrelid)) \
             SELECT kept::regclass::text AS kept, indexrelid::regclass::text AS index, indrelid::regclass::text AS on, \
               quote_ident(conname) AS constraint, pg_relation_size(indexrelid) AS size, scans \
             FROM alike WHERE indexrelid <> kept ORDER BY size DESC LIMIT 50 /* orderflow-analyze */",
        )
        .await?;
    Ok(duplicates
        .iter()
        .map(|one| {
            let Duplicate { kept, index, on, constraint, size, scans } = one;
            let drop = constraint.as_ref().map_or_else(
                || format!("DROP INDEX CONCURRENTLY {index};"),
                |constraint| format!("ALTER TABLE {on} DROP CONSTRAINT {constraint};"),
            );
            Finding::new("duplicate indexes", Severity::Warning, index)
                .evidence(format!(
                    "the same as {kept}, of {}: each write to {on} goes into both; it was scanned {} times, as the other \
                     could be",
                    show::bytes(*size as f64),
                    show::count(*scans as f64)
                ))
                .number("bytes", *size)
                .number("scans", *scans)
                .number("same_as", kept.as_str())
                .advice(format!("{drop} {kept} does all that it does."))
        })
        .collect())
}
