#!/bin/sh
# A backup of backup.sh, restored into a database of its own.
#
#   restore.sh BACKUP DATABASE
#
# makes DATABASE, which must not exist, from the directory BACKUP, and holds it to the counts that the backup has. When anything
# fails, the new database is removed again. Nothing that exists is touched: the service is switched over by its settings.
#
# Which server, and as whom, say libpq's variables: PGHOST, PGPORT, PGUSER, and PGPASSWORD or PGPASSFILE. The role must be allowed
# to make databases.
set -eu
umask 077

fail() {
    echo "restore.sh: $*" >&2
    exit 1
}

[ $# -eq 2 ] || { echo "usage: restore.sh BACKUP DATABASE, with the server in PGHOST, PGPORT, PGUSER" >&2; exit 2; }
backup=$1
database=$2
here=$(cd "$(dirname "$0")" && pwd)
unset PGDATABASE
case $database in '' | -* | *[!A-Za-z0-9_-]*) fail "a database is named by letters, digits, _ and -, and not '$database'" ;; esac
for file in dump counts SHA256SUMS; do
    [ -f "$backup/$file" ] || fail "$backup has no $file, and so is no backup"
done
(cd "$backup" && sha256sum --check --status SHA256SUMS) || fail "$backup was changed or damaged: its checksums do not hold"

work=$(mktemp -d)
made=
finish() {
    status=$?
    trap - EXIT
    if [ -n "$made" ] && ! dropdb --maintenance-db postgres "$database"; then
        echo "restore.sh: $database is incomplete and could not be removed; remove it by hand" >&2
    fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

sql() {
    psql --no-psqlrc --quiet --no-align --tuples-only --field-separator ' ' --set ON_ERROR_STOP=1 --dbname "$database" --file "$1"
}

# Fails by itself where the database exists.
createdb --maintenance-db postgres --template template0 --encoding UTF8 "$database" ||
    fail "$database was not made; nothing was changed"
made=yes
pg_restore --exit-on-error --no-owner --no-privileges --jobs 2 --dbname "$database" "$backup/dump" || fail "pg_restore failed"
sql "$here/counts.sql" >"$work/counts"
diff "$backup/counts" "$work/counts" >&2 || fail "the rows differ: < is the backup, > is what was restored"

# Transaction numbers mean nothing in another server, where they might lie in the future: readers of events would wait for them.
# Null says that a row is older than every transaction.
cat >"$work/finish.sql" <<'SQL'
SELECT 'UPDATE outbox SET xid = NULL WHERE xid IS NOT NULL' FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = 'outbox' AND column_name = 'xid'
\gexec
ANALYZE;
SQL
sql "$work/finish.sql" || fail "the restored rows could not be finished"
made=
echo "$database is restored: $(awk '{ rows += $2 } END { print rows " rows in " NR " tables" }' "$work/counts")"
