//! The form of server-sent events (`text/event-stream`): blocks of lines, ended by an empty one.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::{Cursor, Event};

/// An event with its identifier. Clients hear of it by its name.
pub(super) fn event(name: &str, id: Cursor, data: &impl Serialize) -> Bytes {
    // JSON as it is written here has no line breaks.
    let data = serde_json::to_string(data).expect("events are JSON");
    format!("event: {name}\nid: {id}\ndata: {data}\n\n").into()
}

/// An event about an order.
pub(super) fn order(event: &Event) -> Bytes {
    self::event("order.placed", event.cursor, &event.order)
}

/// Says what to come back with, without an event.
pub(super) fn id(id: Cursor) -> Bytes {
    format!("id: {id}\n\n").into()
}

/// How long to wait before coming back, once the connection is lost.
pub(super) fn retry(after: Duration) -> Bytes {
    format!("retry: {}\n\n", after.as_millis()).into()
}

/// A sign of life, with what to come back with where that is known.
pub(super) fn still_here(id: Option<Cursor>) -> Bytes {
    match id {
        Some(id) => format!(": still here\nid: {id}\n\n").into(),
        None => comment("still here"),
    }
}

/// What clients do not hear of. One line.
pub(super) fn comment(text: &str) -> Bytes {
    format!(": {text}\n\n").into()
}
