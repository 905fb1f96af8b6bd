//! `/api/orders/stream`: events about orders as they happen.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{
        HeaderMap, HeaderName, HeaderValue,
        header::{CACHE_CONTROL, CONTENT_TYPE},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use futures_util::stream::unfold;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App,
    extract::Query,
    problem::{Kind, ListFailures, Problem},
};
use crate::{domain::Invalid, events::OrderPlaced};

/// Where it is.
pub(super) const PATH: &str = "/api/orders/stream";

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells nginx to pass events on as they come.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Whether a connection is in the middle of a stream. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Streaming(Arc<AtomicBool>);

impl Streaming {
    /// Whether it is.
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn begin(self) -> Begun {
        self.0.store(true, Ordering::Relaxed);
        Begun(self)
    }
}

/// A stream on a connection, for as long as this lives.
struct Begun(Streaming);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}

/// Any text: one that is no event's identifier is answered within the stream.
struct AnyText(String);

impl std::str::FromStr for AnyText {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self(text.to_owned()))
    }
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(stream))
}

/// Orders as they are placed, as server-sent events that do not end by themselves.
///
/// Each is an event `order.placed` with an `id`. A client that comes back with the last `id` that it was given, as browsers
/// do by themselves, is first sent what it missed: every event once, in one order that is the same for all.
///
/// An event `reset` says that this is not possible, by its `reason`: `unknown`, the identifier is none of this service's;
/// `too_old`, what came after it is not kept any more (`events.retention`); `too_many`, more than 1,000 events were missed, of
/// which the first 1,000 were sent. Then the list of orders is to be read anew, and events go on from there.
///
/// Whoever does not keep up, and everybody when this instance shuts down, is sent a comment and the end, and comes back.
#[utoipa::path(
    get, path = "/api/orders/stream", operation_id = "stream_orders", tag = "orders",
    params(
        ("Last-Event-ID" = Option<String>, Header, description = "The last `id` that the client was given."),
        ("last_event_id" = Option<String>, Query, description = "The same, for whoever cannot set the header."),
    ),
    responses(
        (status = 200, description = "The stream. What is described is the `data` of an `order.placed`.",
         content((OrderPlaced = "text/event-stream"))),
        ListFailures,
    ),
)]
async fn stream(
    State(app): State<App>,
    streaming: Option<Extension<Streaming>>,
    headers: HeaderMap,
    parts: Parts,
) -> Result<Response, Problem> {
    let mut query = Query::of(&parts, &["last_event_id"]);
    let asked = query.get::<AnyText>("last_event_id").map(|AnyText(id)| id);
    query.done()?;
    // What is not even text is no identifier either, and neither is more than one.
    let header = headers.get(LAST_EVENT_ID).map(|id| id.to_str().unwrap_or("?").to_owned());
    let last_id = header.or(asked).filter(|id| !id.is_empty());
    let listener = app.events.listen(last_id.as_deref()).map_err(|_| {
        Problem::new(Kind::Overloaded).detail("As many clients listen to events as may.").retry_after(1)
    })?;
    let begun = streaming.map(|Extension(streaming)| streaming.begin());
    let pieces = unfold((listener, begun), |(mut listener, begun)| async {
        let piece = listener.next().await?;
        Some((Ok::<_, Infallible>(piece), (listener, begun)))
    });
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (X_ACCEL_BUFFERING, HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}
