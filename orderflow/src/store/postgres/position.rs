//! How far the log of a server has come.

use sqlx::{Row, postgres::PgRow};

use super::{Lease, rows::fetch};
use crate::store::{
    Position, Result,
    decode::valid,
    statement::{Statement, query},
};

/// Where the next record of the log will begin, and in what portions the log has headers. As one statement for the monitor
/// too, which sends it as plain text.
pub(in crate::store) const POSITION: Statement = Statement::new(
    "position",
    "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint, \
     current_setting('wal_block_size')::bigint, \
     pg_size_bytes(current_setting('wal_segment_size'))",
);

pub(super) async fn position(mut lease: Lease) -> Result<Position> {
    let rows = fetch(&mut lease, query(POSITION)).await?;
    log_end(rows.first().ok_or(sqlx::Error::RowNotFound)?)
}

/// The position that a row of [`POSITION`] tells: where the last record ends. The next one begins after the header of its
/// page, which a replica that has replayed everything has not come to yet.
pub(in crate::store) fn log_end(row: &PgRow) -> Result<Position> {
    let number = |column| valid::<u64, i64>(row.try_get(column)?, "log position");
    Ok(Position::new(end_of_record(number(0)?, number(1)?, number(2)?)))
}

/// The header of a page of the log, and that of a segment's first page, in bytes.
const HEADERS: (u64, u64) = (24, 40);

fn end_of_record(next: u64, page: u64, segment: u64) -> u64 {
    let header = match (next.checked_rem(segment), next.checked_rem(page)) {
        (Some(offset), _) if offset == HEADERS.1 => offset,
        (_, Some(offset)) if offset == HEADERS.0 => offset,
        _ => 0,
    };
    next - header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_nothing_follows_yet_is_not_waited_for() {
        let (page, segment) = (8 << 10, 16 << 20);
        for (next, end) in [(segment + 40, segment), (page + 24, page), (page + 40, page + 40), (page, page), (7, 7)] {
            assert_eq!(end_of_record(next, page, segment), end, "{next}");
        }
        // With larger pages the same place may lie within a record.
        assert_eq!(end_of_record(page + 24, 2 * page, segment), page + 24);
    }
}
