//! Statements, each with the name under which it is counted, timed, logged and traced. Its text is shown nowhere.
//!
//! What runs on a connection of its own has no name and is not counted: migrations and example data, watching replicas, the
//! scheduler's lock, and hearing of events.

use sqlx::{Database, Encode, Type, query::Query};

/// Every name. A statement with another does not compile.
pub const NAMES: [&str; 60] = [
    // Reads.
    "products",
    "products after",
    "products in",
    "products in after",
    "products by id",
    "customers",
    "customers after",
    "customers by id",
    "orders",
    "orders after",
    "orders in",
    "orders in after",
    "orders by id",
    "items",
    "stats",
    "ping",
    "position",
    "last event",
    "events after",
    // Writes.
    "create customer",
    "replace customer",
    "delete customer",
    "place order",
    "order by key",
    // The steps of a write to a file.
    "begin",
    "commit",
    "rollback",
    "changes",
    "buyer",
    "shelf",
    "insert order",
    "insert items",
    "take from stock",
    "insert key",
    "insert event",
    // Workers.
    "relay",
    "notify",
    "mark relayed",
    "claim",
    "claim one",
    "claimed",
    "take",
    "waits",
    "settle",
    "bury",
    "unpublished",
    "published",
    "backlog",
    "dead letters",
    "dig up",
    "retry dead",
    "drop dead",
    "forget",
    // The scheduler.
    "progress",
    "record progress",
    "celebrating",
    "birthdays",
    "last order before",
    "pending",
    "reminders",
];

/// A statement.
#[derive(Clone, Copy)]
pub(super) struct Statement {
    /// Its place among the names, and so among its counters.
    pub(super) place: usize,
    /// What the database is told.
    pub(super) sql: &'static str,
}

impl Statement {
    /// A statement. To be called for a constant, so that a name that is not in the list is a mistake that the compiler finds.
    pub(super) const fn new(name: &str, sql: &'static str) -> Self {
        let mut place = 0;
        while !alike(NAMES[place], name) {
            place += 1;
        }
        Self { place, sql }
    }

    /// What it is called.
    pub(super) const fn name(self) -> &'static str {
        NAMES[self.place]
    }

    /// Its name and its text, for whoever wants to know how it is executed.
    pub(super) const fn named(self) -> (&'static str, &'static str) {
        (self.name(), self.sql)
    }
}

const fn alike(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// A statement with its parameters.
#[must_use]
pub(super) struct Asked<DB: Database> {
    pub(super) statement: Statement,
    pub(super) query: Query<'static, DB, DB::Arguments>,
}

/// A statement, to which its parameters are to be [bound](Asked::bind).
pub(super) fn query<DB: Database>(statement: Statement) -> Asked<DB> {
    Asked { statement, query: sqlx::query(statement.sql) }
}

impl<DB: Database> Asked<DB> {
    /// Adds the next parameter.
    pub(super) fn bind<'t, T: Encode<'t, DB> + Type<DB>>(self, value: T) -> Self {
        Self { query: self.query.bind(value), ..self }
    }
}
