#!/bin/sh
# A backup of OrderFlow's PostgreSQL database, taken while it is in use.
#
#   backup.sh DIRECTORY
#
# makes DIRECTORY/orderflow-TIME with `dump` (pg_dump's custom format), `counts` (the rows of each table in the same moment) and
# `SHA256SUMS`, and removes all but the newest KEEP backups there (14 unless KEEP says otherwise). A backup that has its name is
# whole: it is made under another one first.
#
# Which database, and as whom, say libpq's variables: PGHOST, PGPORT, PGUSER, PGDATABASE, and PGPASSWORD or PGPASSFILE. (Not an
# address on the command line, which everybody on the machine can see.)
set -eu
umask 077

fail() {
    echo "backup.sh: $*" >&2
    exit 1
}

[ $# -eq 1 ] || { echo "usage: backup.sh DIRECTORY, with the database in PGHOST, PGPORT, PGUSER, PGDATABASE" >&2; exit 2; }
directory=$1
keep=${KEEP:-14}
here=$(cd "$(dirname "$0")" && pwd)
case $keep in '' | *[!0-9]* | 0) fail "KEEP must be a number from 1, and is '$keep'" ;; esac
: "${PGDATABASE:?backup.sh: name the database in PGDATABASE}"
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
name=orderflow-$(date -u +%Y%m%dT%H%M%SZ)
[ ! -e "$directory/$name" ] || fail "$directory/$name is there already"
work=$(mktemp -d "$directory/.partial-XXXXXX")
session=

finish() {
    status=$?
    trap - EXIT
    [ -z "$session" ] || kill "$session" 2>/dev/null || true
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# One transaction holds still what is dumped and what is counted.
mkfifo "$work/session"
psql --no-psqlrc --quiet --no-align --tuples-only --field-separator ' ' --set ON_ERROR_STOP=1 \
    --file - <"$work/session" >/dev/null 2>"$work/complaint" &
session=$!
exec 3>"$work/session"
{
    # Into a file that is closed, and so complete, before the mark is made.
    printf '%s\n' "\\o '$work/said'"
    echo "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
    echo "SELECT 'snapshot', pg_export_snapshot();"
    cat "$here/counts.sql"
    printf '%s\n' '\o'
    printf '%s\n' "\\! : >'$work/counted'"
} >&3
waited=0
until [ -e "$work/counted" ]; do
    kill -0 "$session" 2>/dev/null || fail "the database cannot be read: $(cat "$work/complaint")"
    [ "$waited" -lt 3000 ] || fail "the tables were not counted within five minutes"
    sleep 0.1
    waited=$((waited + 1))
done
snapshot=$(sed -n 's/^snapshot //p' "$work/said")
mkdir "$work/backup"
sed -e '/^snapshot /d' "$work/said" >"$work/backup/counts"
[ -s "$work/backup/counts" ] || fail "$PGDATABASE has no tables"

pg_dump --format custom --compress 6 --no-owner --no-privileges --snapshot "$snapshot" --file "$work/backup/dump" ||
    fail "pg_dump failed"
exec 3>&-
wait "$session" || fail "the transaction that held the data still was lost: $(cat "$work/complaint")"
session=

# It can be read, and has every table that was counted.
pg_restore --list "$work/backup/dump" >"$work/list" || fail "the dump cannot be read"
while read -r table _; do
    grep -q " TABLE DATA public $table " "$work/list" || fail "the dump lacks the table $table"
done <"$work/backup/counts"
(cd "$work/backup" && sha256sum dump counts >SHA256SUMS)
sync
mv "$work/backup" "$directory/$name"
sync

# Names sort by time.
find "$directory" -mindepth 1 -maxdepth 1 -type d -name 'orderflow-[0-9]*T[0-9]*Z' | LC_ALL=C sort -r |
    tail -n "+$((keep + 1))" | while IFS= read -r old; do
    rm -rf "$old"
done
echo "$directory/$name"
