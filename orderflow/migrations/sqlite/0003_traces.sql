-- The trace that an order was placed in, so that the mail about it is a part of the same one: a W3C traceparent.
ALTER TABLE outbox ADD COLUMN trace TEXT;
ALTER TABLE notifications ADD COLUMN trace TEXT;
