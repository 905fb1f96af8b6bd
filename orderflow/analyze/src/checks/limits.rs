//! What runs out one day: numbers of sequences, and the disk under a log that nobody fetches.

use sqlx::FromRow;

use crate::{
    analysis::{Finding, Severity},
    session::{Session, Trouble},
    show,
};

#[derive(FromRow)]
struct Sequence {
    name: String,
    /// The column that it numbers, where it belongs to one.
    column: Option<String>,
    kind: Option<String>,
    last: i64,
    most: i64,
}

/// Sequences that have used three quarters of their numbers, or of those that fit into their column.
pub(super) async fn sequences(session: &mut Session) -> Result<Vec<Finding>, Trouble> {
    let sequences: Vec<Sequence> = session
        .all(
            "WITH numbered AS (SELECT c.oid, s.last_value, s.increment_by, \
               a.attrelid, a.attname, a.atttypid, least(s.max_value, CASE a.atttypid WHEN 21 THEN 32767 \
                 WHEN 23 THEN 2147483647 ELSE s.max_value END) AS most \
               FROM pg_sequences s JOIN pg_namespace n ON n.nspname = s.schemaname \
               JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.sequencename AND c.relkind = 'S' \
               LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid \
                 AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i') \
               LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
               WHERE s.increment_by > 0 AND NOT s.cycle AND s.last_value > 0) \
             SELECT oid::regclass::text AS name, attrelid::regclass::text || '.' || quote_ident(attname) AS column, \
               atttypid::regtype::text AS kind, last_value AS last, most \
             FROM numbered WHERE last_value >= 0.75 * most ORDER BY last_value / most::float8 DESC LIMIT 20 \
             /* orderflow-analyze */",
        )
        .await?;
    Ok(sequences
        .iter()
        .map(|one| {
            let Sequence { name, column, kind, last, most } = one;
            let share = *last as f64 / *most as f64;
            let (into, advice) = match (column, kind) {
                (Some(column), Some(kind)) if kind != "bigint" => (
                    format!(" into {column}, which is {kind}"),
                    format!(
                        "Make {column} a bigint before {name} ends; on a large table, by a new column and a trigger."
                    ),
                ),
                _ => (String::new(), format!("ALTER SEQUENCE {name} AS bigint NO MAXVALUE; or give it a larger one.")),
            };
            Finding::new("sequences", if share >= 0.9 { Severity::Critical } else { Severity::Warning }, name)
                .evidence(format!(
                    "{} of {} numbers are used, {}{into}",
                    show::count(*last as f64),
                    show::count(*most as f64),
                    show::percent(share)
                ))
                .number("last", *last)
                .number("most", *most)
                .number("share", share)
                .advice(advice)
        })
        .collect())
}

#[derive(FromRow)]
struct Slot {
    name: String,
    kind: String,
    active: bool,
    status: Option<String>,
    held: Option<f64>,
}

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// Slots that keep a segment of the log (16 MiB) and that nobody reads, and any that keeps a gigabyte.
pub(super) async fn slots(session: &mut Session) -> Result<Vec<Finding>, Trouble> {
    let slots: Vec<Slot> = session
        .all(
            "SELECT slot_name::text AS name, slot_type AS kind, active, wal_status AS status, \
             pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, \
               restart_lsn)::float8 AS held FROM pg_replication_slots ORDER BY held DESC NULLS LAST /* orderflow-analyze */",
        )
        .await?;
    let held = |slot: &&Slot| {
        slot.status.as_deref() == Some("lost")
            || slot.held.is_some_and(|held| held >= GIB || (!slot.active && held >= 16.0 * 1024.0 * 1024.0))
    };
    Ok(slots
        .iter()
        .filter(held)
        .map(|slot| {
            let Slot { name, kind, active, .. } = slot;
            let held = slot.held.unwrap_or_default();
            let status = slot.status.as_deref().unwrap_or("unknown");
            let severity = if held >= GIB || status == "lost" { Severity::Critical } else { Severity::Warning };
            let advice = if *active {
                format!("Who reads the slot {name} is too slow, or stuck: look at its log, and at pg_stat_replication.")
            } else {
                format!(
                    "Bring back what reads the slot {name}, or SELECT pg_drop_replication_slot('{name}') if it is gone for \
                     good; max_slot_wal_keep_size bounds what a slot may keep."
                )
            };
            Finding::new("replication slots", severity, name)
                .evidence(format!(
                    "a {kind} slot that {} keeps {} of the log from being removed; its state is {status}",
                    if *active { "is read" } else { "nobody reads" },
                    show::bytes(held)
                ))
                .number("held_bytes", held)
                .number("active", *active)
                .number("status", status)
                .advice(advice)
        })
        .collect())
}
