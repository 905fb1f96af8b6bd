-- no-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS products_category_id ON products (category, id);
