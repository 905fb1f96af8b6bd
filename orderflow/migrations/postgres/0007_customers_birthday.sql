-- no-transaction
-- For the birthdays of a day: month and day as one number, 229 for 29 February.
CREATE INDEX CONCURRENTLY IF NOT EXISTS customers_birthday ON customers
    ((extract(month FROM birthday)::integer * 100 + extract(day FROM birthday)::integer), id) WHERE deleted_at IS NULL;
