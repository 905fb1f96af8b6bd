//! `/api/orders`.

use std::panic::resume_unwind;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::LOCATION, request::Parts},
    response::Response,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App, Caching, Page,
    caller::Writer,
    extract::{Id, Json, Query, header},
    position::{At, Sent},
    problem::{Kind, ListFailures, PlaceFailures, Problem, ReadFailures},
    representation::Representation,
};
use crate::{
    cache::Tag,
    domain::{Fingerprint, IdempotencyKey, Order, OrderDraft, OrderId, OrderStatus, Receipt},
    store::StoreError,
    telemetry,
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, place)).routes(routes!(detail))
}

/// Lists orders with their customers and lines, latest first.
#[utoipa::path(
    get, path = "/api/orders", operation_id = "list_orders", tag = "orders",
    params(
        Sent,
        ("page" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "Which page; the first is 1."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Rows a page; 20 unless given."),
        ("cursor" = Option<String>, Query, description = "A next_cursor, instead of a page."),
        ("status" = Option<OrderStatus>, Query, description = "Only orders that stand so."),
    ),
    responses(
        (status = 200, description = "Part of the list.", body = Page<Order>),
        (status = 304, description = "The client's copy is still true."),
        ListFailures,
    ),
)]
async fn list(State(app): State<App>, at: At, parts: Parts) -> Result<Response, Problem> {
    let mut query = Query::of(&parts, &["page", "limit", "cursor", "status"]);
    let window = query.window();
    let status = query.get::<OrderStatus>("status");
    query.done()?;
    let rows = app.store_at(at).orders(status, window).await?;
    let page = Page::of(rows, |order| order.id.get());
    Ok(Representation::json(&page).answer(&parts.headers, Caching::Revalidate))
}

/// One order with its customer and lines.
#[utoipa::path(
    get, path = "/api/orders/{id}", operation_id = "read_order", tag = "orders",
    params(("id" = OrderId, Path, description = "Which order."), Sent),
    responses(
        (status = 200, description = "The order.", body = Order),
        (status = 304, description = "The client's copy is still true."),
        ReadFailures,
    ),
)]
async fn detail(
    State(app): State<App>,
    At(at): At,
    Id(id): Id<OrderId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let order = app.orders.get(id, at).await?;
    let order = order.ok_or_else(|| Problem::new(Kind::NotFound).detail("There is no order with this identifier."))?;
    Ok(Representation::json(&order).answer(&headers, Caching::Revalidate))
}

/// Places an order: all of its lines or none.
///
/// With an `Idempotency-Key` a repeated request is answered as the first was, and places nothing.
#[utoipa::path(
    post, path = "/api/orders", operation_id = "place_order", tag = "orders", security(("api_key" = [])),
    params(
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
         description = "Made up by the client for this order, and repeated with every retry of it."),
    ),
    request_body = OrderDraft,
    responses(
        (status = 201, description = "The order was placed, now or by an earlier request with the same key.", body = Receipt,
         headers(
            ("Location" = String, description = "Where the order is."),
            ("X-OrderFlow-Position" = Option<String>, description = "Where the write is, if there are replicas; also a cookie."),
            ("Idempotent-Replayed" = Option<String>, description = "`true` if an earlier request had placed it."),
         )),
        PlaceFailures,
    ),
)]
async fn place(
    State(app): State<App>,
    writer: Writer,
    headers: HeaderMap,
    Json(draft): Json<OrderDraft>,
) -> Result<Response, Problem> {
    let key = header::<IdempotencyKey>(&headers, &IDEMPOTENCY_KEY, "Idempotency-Key")?;
    // Keys belong to who made them up: two clients with the same one do not meet.
    let key = key.map(|key| key.of_client(&writer.name));
    // A task of its own: a client that goes away must not leave an order whose products are still cached as they were.
    let placing = telemetry::spawn(async move {
        let placed = app.store.place_order(&draft, key.as_ref().map(|key| (key, Fingerprint::of(&draft)))).await;
        // Before anything is read for the cache again, so that it is read from a copy that has the order.
        let position = if placed.is_ok() { app.store.position().await } else { None };
        // Unless the order was refused it may stand, even if nobody was told so or an earlier request had placed it.
        if !matches!(placed, Err(StoreError::Refused(_))) {
            app.events.placed();
            app.wake.placed();
            app.cache.invalidate(draft.items.iter().map(|item| Tag::Product(item.product_id))).await;
        }
        placed.map(|placed| (placed, position, app))
    });
    let (placed, position, app) = placing.await.unwrap_or_else(|panicked| resume_unwind(panicked.into_panic()))?;
    let mut response = Representation::json(&placed.receipt).answer(&headers, Caching::Never);
    *response.status_mut() = StatusCode::CREATED;
    let location = format!("/api/orders/{}", placed.receipt.id);
    response.headers_mut().insert(LOCATION, location.try_into().expect("digits and slashes are a header's"));
    if placed.replayed {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    app.carry(position, &mut response);
    Ok(response)
}
