#!/bin/sh
# A streaming replica: copies the primary the first time, and follows it from then on.
set -eu
umask 077
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # What an earlier attempt left half done is no copy.
    find "$PGDATA" -mindepth 1 -delete
    # The slot keeps what the replica still needs while it is away. One that exists already is used again.
    PGPASSWORD=$REPLICATION_PASSWORD psql -qAt -v ON_ERROR_STOP=1 \
        -d "host=$PRIMARY_HOST port=${PRIMARY_PORT:-5432} user=replication dbname=postgres replication=true" \
        -c 'CREATE_REPLICATION_SLOT replica PHYSICAL' >/dev/null 2>&1 || true
    pg_basebackup --pgdata "$PGDATA" --wal-method stream --write-recovery-conf --checkpoint fast --slot replica --no-password \
        --dbname "host=$PRIMARY_HOST port=${PRIMARY_PORT:-5432} user=replication password=$REPLICATION_PASSWORD"
fi
exec "$@"
