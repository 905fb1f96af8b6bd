-- What is told to customers.

CREATE TABLE notifications (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    customer_id  INTEGER NOT NULL CONSTRAINT notifications_customer REFERENCES customers,
    -- What it is about, once a customer: order:17, birthday:2026, reminder:17.
    occasion     TEXT NOT NULL,
    kind         TEXT NOT NULL CONSTRAINT notifications_kind CHECK (kind IN ('order', 'birthday', 'reminder')),
    payload      TEXT NOT NULL CONSTRAINT notifications_payload CHECK (json_valid(payload)),
    state        TEXT NOT NULL DEFAULT 'queued'
                 CONSTRAINT notifications_state CHECK (state IN ('queued', 'sent', 'dead', 'dropped')),
    -- How often a worker has begun to send it, whatever became of that.
    attempts     INTEGER NOT NULL DEFAULT 0,
    -- When it is due, or due again: while a worker has it, the moment at which another may take it over.
    due_at       INTEGER NOT NULL,
    -- Which worker has it; null when none does. A worker whose number is not here any more records nothing.
    claim        INTEGER,
    -- When it was last given to the broker, and not taken up since.
    published_at INTEGER,
    created_at   INTEGER NOT NULL,
    sent_at      INTEGER,
    CONSTRAINT notifications_once UNIQUE (customer_id, occasion)
) STRICT;

CREATE INDEX notifications_due ON notifications (due_at, id) WHERE state = 'queued';

CREATE TABLE dead_letters (
    notification_id INTEGER PRIMARY KEY CONSTRAINT dead_letters_notification REFERENCES notifications,
    error           TEXT NOT NULL,
    attempts        INTEGER NOT NULL,
    died_at         INTEGER NOT NULL
) STRICT;

-- How far the scheduler is: the last day that it finished, the last order that it looked at.
CREATE TABLE scheduler_progress (
    name       TEXT PRIMARY KEY,
    value      INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- For the birthdays of a day: 02-29 is 29 February.
CREATE INDEX customers_birthday ON customers (substr(birthday, 6), id) WHERE deleted_at IS NULL;
