//! `/api/stats`.

use axum::{extract::State, http::HeaderMap, response::Response};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App, Caching,
    position::{At, Sent},
    problem::{Kind, ListFailures, Problem},
    representation::Representation,
};
use crate::{
    cache::{Key, Loaded},
    domain::Stats,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(totals))
}

/// Totals over everything, at most some seconds old.
#[utoipa::path(
    get, path = "/api/stats", operation_id = "read_stats", tag = "service",
    params(Sent),
    responses(
        (status = 200, description = "The totals.", body = Stats),
        (status = 304, description = "The client's copy is still true."),
        ListFailures,
    ),
)]
async fn totals(State(app): State<App>, at: At, headers: HeaderMap) -> Result<Response, Problem> {
    // Every order changes the totals, so no write invalidates them: they are counted anew when their time is over.
    let load = || async {
        let stats = app.store_at(at).stats().await?;
        Ok(Some(Loaded { representation: Representation::json(&stats), tags: Vec::new() }))
    };
    let found = app.cache.get(Key::Stats, load).await?;
    let answer = found.ok_or_else(|| Problem::new(Kind::NotFound))?;
    Ok(answer.answer(&headers, Caching::Brief))
}
