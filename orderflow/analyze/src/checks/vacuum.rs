//! Space that rows no longer use: dead ones that vacuum has not come to, and room that it has freed and nothing fills.

use sqlx::FromRow;

use crate::{
    analysis::{Finding, Severity},
    session::{Session, Trouble},
    show,
};

#[derive(FromRow)]
struct Table {
    on: String,
    live: i64,
    dead: i64,
    automatic: bool,
    vacuumed: Option<f64>,
}

/// Tables with at least 10,000 dead rows, a fifth of all.
pub(super) async fn dead_rows(session: &mut Session) -> Result<Vec<Finding>, Trouble> {
    let tables: Vec<Table> = session
        .all(
            "SELECT s.relid::regclass::text AS on, s.n_live_tup AS live, s.n_dead_tup AS dead, \
             current_setting('autovacuum')::bool AND NOT EXISTS (SELECT FROM unnest(c.reloptions) AS option \
               WHERE option IN ('autovacuum_enabled=false', 'autovacuum_enabled=off', 'autovacuum_enabled=0')) AS automatic, \
             extract(epoch FROM clock_timestamp() - greatest(s.last_vacuum, s.last_autovacuum))::float8 AS vacuumed \
             FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid \
             WHERE s.n_dead_tup >= 10000 AND s.n_dead_tup >= 0.2 * (s.n_live_tup + s.n_dead_tup) \
             ORDER BY s.n_dead_tup DESC LIMIT 20 /* orderflow-analyze */",
        )
        .await?;
    Ok(tables
        .iter()
        .map(|one| {
            let Table { on, live, dead, automatic, vacuumed } = one;
            let share = *dead as f64 / (live + dead).max(1) as f64;
            let last = vacuumed.map_or_else(
                || "it was never vacuumed".to_owned(),
                |ago| format!("it was last vacuumed {} ago", show::duration(ago)),
            );
            let advice = if *automatic {
                format!(
                    "VACUUM (ANALYZE) {on}; if they come back, ALTER TABLE {on} SET (autovacuum_vacuum_scale_factor = 0.05). \
                     Where a long transaction keeps them, end that first."
                )
            } else {
                format!(
                    "Autovacuum is off for it: ALTER TABLE {on} RESET (autovacuum_enabled), or autovacuum = on for the \
                     server; then VACUUM (ANALYZE) {on};"
                )
            };
            Finding::new("dead rows", if share >= 0.5 { Severity::Critical } else { Severity::Warning }, on)
                .evidence(format!(
                    "{} dead rows beside {} live ones, {}; {last}, and autovacuum is {}",
                    show::count(*dead as f64),
                    show::count(*live as f64),
                    show::percent(share),
                    if *automatic { "on" } else { "off" }
                ))
                .number("dead", *dead)
                .number("live", *live)
                .number("share", share)
                .number("vacuumed_seconds_ago", *vacuumed)
                .number("autovacuum", *automatic)
                .advice(advice)
        })
        .collect())
}

#[derive(FromRow)]
struct Bloated {
    on: String,
    size: f64,
    needed: f64,
}

/// Tables of which at least 10 MiB and half are room that nothing fills. An estimate, from what ANALYZE says of the width of
/// columns: a row is its header (23 bytes and the bits of its NULLs, to a multiple of 8), its columns, and a pointer of 4.
pub(super) async fn bloat(session: &mut Session) -> Result<Vec<Finding>, Trouble> {
    let tables: Vec<Bloated> = session
        .all(
            "WITH width AS (SELECT schemaname, tablename, count(*) AS columns, \
               sum((1 - null_frac) * avg_width) AS bytes FROM pg_stats WHERE NOT inherited GROUP BY 1, 2), \
             sized AS (SELECT c.oid, pg_relation_size(c.oid)::float8 AS size, c.reltuples::float8 AS tuples, w.bytes, \
               coalesce((SELECT split_part(option, '=', 2)::float8 FROM unnest(c.reloptions) AS option \
                 WHERE option LIKE 'fillfactor=%'), 100) / 100 AS filled, \
               (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns, \
               w.columns AS known \
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               JOIN width w ON w.schemaname = n.nspname AND w.tablename = c.relname \
               WHERE c.relkind IN ('r', 'm') AND c.reltuples > 0 \
               AND n.nspname NOT IN ('pg_catalog', 'information_schema')), \
             estimate AS (SELECT oid, size, ceil(tuples * (4 + 8 * ceil((23 + ceil(columns / 8.0)) / 8) + \
               8 * ceil(bytes / 8)) / (8168 * filled)) * 8192 AS needed FROM sized WHERE columns = known) \
             SELECT oid::regclass::text AS on, size, needed::float8 AS needed FROM estimate \
             WHERE size - needed >= 10 << 20 AND needed < size / 2 ORDER BY size - needed DESC LIMIT 20 \
             /* orderflow-analyze */",
        )
        .await?;
    Ok(tables
        .iter()
        .map(|one| {
            let Bloated { on, size, needed } = one;
            let share = 1.0 - needed / size;
            Finding::new("bloat", Severity::Warning, on)
                .evidence(format!(
                    "of {} some {} are empty, {}, as estimated from the width of its rows",
                    show::bytes(*size),
                    show::bytes(size - needed),
                    show::percent(share)
                ))
                .number("bytes", *size)
                .number("needed_bytes", *needed)
                .number("share", share)
                .advice(format!(
                    "New rows will fill it; if {on} stays small, pg_repack gives the room back, or in a quiet hour VACUUM \
                     FULL {on}, which keeps everybody out."
                ))
        })
        .collect())
}
