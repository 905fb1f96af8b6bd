-- Everything that orders need. Moments are microseconds since 1970-01-01T00:00:00Z, days are written YYYY-MM-DD.

CREATE TABLE customers (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Null once the customer was deleted, as are the address and the birthday.
    name       TEXT,
    email      TEXT,
    birthday   TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    CONSTRAINT customers_living CHECK (deleted_at IS NOT NULL OR (name IS NOT NULL AND email IS NOT NULL)),
    CONSTRAINT customers_forgotten CHECK (deleted_at IS NULL OR (name IS NULL AND email IS NULL AND birthday IS NULL))
) STRICT;

CREATE UNIQUE INDEX customers_email_key ON customers (lower(email)) WHERE deleted_at IS NULL;

CREATE TABLE products (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL,
    category    TEXT NOT NULL,
    price_cents INTEGER NOT NULL CONSTRAINT products_price CHECK (price_cents BETWEEN 0 AND 1000000000000),
    stock       INTEGER NOT NULL CONSTRAINT products_stock CHECK (stock >= 0),
    updated_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX products_category_id ON products (category, id);

CREATE TABLE orders (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    customer_id INTEGER NOT NULL CONSTRAINT orders_customer REFERENCES customers,
    status      TEXT NOT NULL CONSTRAINT orders_status
                CHECK (status IN ('pending', 'paid', 'shipped', 'delivered', 'cancelled')),
    total_cents INTEGER NOT NULL CONSTRAINT orders_total CHECK (total_cents BETWEEN 0 AND 1000000000000),
    placed_at   INTEGER NOT NULL
) STRICT;

-- For the list of one status, and, with the totals in it, for the statistics without a look at the table.
CREATE INDEX orders_status_id ON orders (status, id, total_cents);

CREATE TABLE order_items (
    order_id         INTEGER NOT NULL CONSTRAINT order_items_order REFERENCES orders,
    -- The place of the line in the order as it was sent, from 1.
    line             INTEGER NOT NULL,
    product_id       INTEGER NOT NULL CONSTRAINT order_items_product REFERENCES products,
    quantity         INTEGER NOT NULL CONSTRAINT order_items_quantity CHECK (quantity BETWEEN 1 AND 1000),
    unit_price_cents INTEGER NOT NULL CONSTRAINT order_items_price CHECK (unit_price_cents BETWEEN 0 AND 1000000000000),
    PRIMARY KEY (order_id, line)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency_keys (
    key         TEXT PRIMARY KEY,
    fingerprint BLOB NOT NULL CONSTRAINT idempotency_keys_fingerprint CHECK (length(fingerprint) = 32),
    order_id    INTEGER NOT NULL CONSTRAINT idempotency_keys_order REFERENCES orders,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT NOT NULL,
    payload      TEXT NOT NULL CONSTRAINT outbox_payload CHECK (json_valid(payload)),
    created_at   INTEGER NOT NULL,
    published_at INTEGER
) STRICT;

CREATE INDEX outbox_unpublished ON outbox (id) WHERE published_at IS NULL;
