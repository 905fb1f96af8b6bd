-- no-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS outbox_xid_id ON outbox (xid, id);
