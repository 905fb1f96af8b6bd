//! `/api/products`.

use axum::{
    extract::State,
    http::{HeaderMap, request::Parts},
    response::Response,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App, Caching, Page,
    extract::{Id, Query},
    position::{At, Sent},
    problem::{Kind, ListFailures, Problem, ReadFailures},
    representation::Representation,
};
use crate::{
    cache::{Key, Loaded, Tag},
    domain::{Category, Product, ProductId},
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(detail))
}

/// Lists products in the order of their identifiers.
#[utoipa::path(
    get, path = "/api/products", operation_id = "list_products", tag = "products",
    params(
        Sent,
        ("page" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "Which page; the first is 1."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Rows a page; 20 unless given."),
        ("cursor" = Option<String>, Query, description = "A next_cursor, instead of a page."),
        ("category" = Option<Category>, Query, description = "Only products of this category."),
    ),
    responses(
        (status = 200, description = "Part of the list.", body = Page<Product>),
        (status = 304, description = "The client's copy is still true."),
        ListFailures,
    ),
)]
async fn list(State(app): State<App>, at: At, parts: Parts) -> Result<Response, Problem> {
    let mut query = Query::of(&parts, &["page", "limit", "cursor", "category"]);
    let window = query.window();
    let category = query.get::<Category>("category");
    query.done()?;
    let load = || {
        let category = category.clone();
        let store = app.store_at(at);
        async move {
            let rows = store.products(category.as_ref(), window).await?;
            let tags = rows.rows.iter().map(|product| Tag::Product(product.id)).collect();
            let page = Page::of(rows, |product| product.id.get());
            Ok(Some(Loaded { representation: Representation::json(&page), tags }))
        }
    };
    let found = app.cache.get(Key::Products(category.clone(), window), load).await?;
    let answer = found.ok_or_else(|| Problem::new(Kind::NotFound))?;
    Ok(answer.answer(&parts.headers, Caching::Public))
}

/// One product.
#[utoipa::path(
    get, path = "/api/products/{id}", operation_id = "read_product", tag = "products",
    params(("id" = ProductId, Path, description = "Which product."), Sent),
    responses(
        (status = 200, description = "The product.", body = Product),
        (status = 304, description = "The client's copy is still true."),
        ReadFailures,
    ),
)]
// ANCHOR: detail
async fn detail(
    State(app): State<App>,
    At(at): At,
    Id(id): Id<ProductId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let load = || async {
        let product = app.products.get(id, at).await?;
        Ok(product
            .map(|product| Loaded { representation: Representation::json(&product), tags: vec![Tag::Product(id)] }))
    };
    let found = app.cache.get(Key::Product(id), load).await?;
    let answer =
        found.ok_or_else(|| Problem::new(Kind::NotFound).detail("There is no product with this identifier."))?;
    Ok(answer.answer(&headers, Caching::Public))
}
// ANCHOR_END: detail
