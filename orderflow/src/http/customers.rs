//! `/api/customers`.

use axum::{
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{CACHE_CONTROL, LOCATION},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App, Caching, Page,
    caller::{Admin, Writer},
    extract::{Id, Json, Query},
    position::{At, Sent},
    problem::{CreateFailures, DeleteFailures, Kind, ListFailures, Problem, ReadFailures, ReplaceFailures},
    representation::Representation,
};
use crate::domain::{Customer, CustomerDraft, CustomerId};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(detail, replace, delete))
}

fn missing() -> Problem {
    Problem::new(Kind::NotFound).detail("There is no customer with this identifier.")
}

/// Lists customers in the order of their identifiers.
#[utoipa::path(
    get, path = "/api/customers", operation_id = "list_customers", tag = "customers",
    params(
        Sent,
        ("page" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "Which page; the first is 1."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Rows a page; 20 unless given."),
        ("cursor" = Option<String>, Query, description = "A next_cursor, instead of a page."),
    ),
    responses(
        (status = 200, description = "Part of the list.", body = Page<Customer>),
        ListFailures,
    ),
)]
async fn list(State(app): State<App>, at: At, parts: Parts) -> Result<Response, Problem> {
    let mut query = Query::of(&parts, &["page", "limit", "cursor"]);
    let window = query.window();
    query.done()?;
    let rows = app.store_at(at).customers(window).await?;
    let page = Page::of(rows, |customer| customer.id.get());
    Ok(Representation::json(&page).answer(&parts.headers, Caching::Never))
}

/// One customer.
#[utoipa::path(
    get, path = "/api/customers/{id}", operation_id = "read_customer", tag = "customers",
    params(("id" = CustomerId, Path, description = "Which customer."), Sent),
    responses(
        (status = 200, description = "The customer.", body = Customer),
        ReadFailures,
    ),
)]
async fn detail(
    State(app): State<App>,
    At(at): At,
    Id(id): Id<CustomerId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let customer = app.customers.get(id, at).await?.ok_or_else(missing)?;
    Ok(Representation::json(&customer).answer(&headers, Caching::Never))
}

/// Adds a customer.
#[utoipa::path(
    post, path = "/api/customers", operation_id = "create_customer", tag = "customers", security(("api_key" = [])),
    request_body = CustomerDraft,
    responses(
        (status = 201, description = "The customer was added.", body = Customer,
         headers(
            ("Location" = String, description = "Where the customer is."),
            ("X-OrderFlow-Position" = Option<String>, description = "Where the write is, if there are replicas; also a cookie."),
         )),
        CreateFailures,
    ),
)]
async fn create(
    State(app): State<App>,
    _: Writer,
    headers: HeaderMap,
    Json(draft): Json<CustomerDraft>,
) -> Result<Response, Problem> {
    let customer = app.store.create_customer(&draft).await?;
    let mut response = Representation::json(&customer).answer(&headers, Caching::Never);
    *response.status_mut() = StatusCode::CREATED;
    let location = format!("/api/customers/{}", customer.id);
    response.headers_mut().insert(LOCATION, location.try_into().expect("digits and slashes are a header's"));
    app.carry(app.store.position().await, &mut response);
    Ok(response)
}

/// Replaces what is known of a customer.
#[utoipa::path(
    put, path = "/api/customers/{id}", operation_id = "replace_customer", tag = "customers", security(("api_key" = [])),
    params(("id" = CustomerId, Path, description = "Which customer.")),
    request_body = CustomerDraft,
    responses(
        (status = 200, description = "The customer as it is now.", body = Customer, headers(
            ("X-OrderFlow-Position" = Option<String>, description = "Where the write is, if there are replicas; also a cookie."),
        )),
        ReplaceFailures,
    ),
)]
async fn replace(
    State(app): State<App>,
    _: Writer,
    Id(id): Id<CustomerId>,
    headers: HeaderMap,
    Json(draft): Json<CustomerDraft>,
) -> Result<Response, Problem> {
    let customer = app.store.replace_customer(id, &draft).await?.ok_or_else(missing)?;
    let mut response = Representation::json(&customer).answer(&headers, Caching::Never);
    app.carry(app.store.position().await, &mut response);
    Ok(response)
}

/// Forgets a customer's name, address and birthday. Their orders stay.
#[utoipa::path(
    delete, path = "/api/customers/{id}", operation_id = "delete_customer", tag = "customers", security(("api_key" = [])),
    params(("id" = CustomerId, Path, description = "Which customer.")),
    responses(
        (status = 204, description = "The customer is forgotten.", headers(
            ("X-OrderFlow-Position" = Option<String>, description = "Where the write is, if there are replicas; also a cookie."),
        )),
        DeleteFailures,
    ),
)]
async fn delete(State(app): State<App>, _: Admin, Id(id): Id<CustomerId>) -> Result<Response, Problem> {
    if !app.store.delete_customer(id).await? {
        return Err(missing());
    }
    let mut response = (StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response();
    app.carry(app.store.position().await, &mut response);
    Ok(response)
}
