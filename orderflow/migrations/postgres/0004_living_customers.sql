-- no-transaction
-- For the list of customers and for counting them: however many were deleted, they are not skipped one by one.
CREATE INDEX CONCURRENTLY IF NOT EXISTS customers_living_id ON customers (id) WHERE deleted_at IS NULL;
