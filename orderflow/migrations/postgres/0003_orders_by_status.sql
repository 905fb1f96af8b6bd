-- no-transaction
-- For the list of one status. The statistics read the table instead: it is hardly wider than an index that holds what
-- they need, and can be read by several workers.
CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_status_id ON orders (status, id DESC);
