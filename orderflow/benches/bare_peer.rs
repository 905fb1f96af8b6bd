//! The peer that `cargo xtask load compare` measures OrderFlow against: axum and the one thing that a route is about, without
//! limits, headers, identifiers, caches or anything else that a service needs.
//!
//! `bare_peer memory` answers `GET /api/products/{id}` from a map of ready bodies. `bare_peer DATABASE_URL` answers it by one
//! sqlx query, and `GET /api/orders?limit=N` the N+1 way: a statement for the orders, and two more for each of them.

use std::{collections::HashMap, env, error::Error, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use sqlx::{
    ConnectOptions, PgPool, Row, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

type Answer = Result<Response, Failed>;

struct Failed;

impl<E: Error> From<E> for Failed {
    fn from(error: E) -> Self {
        eprintln!("bare_peer: {error}");
        Self
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

#[derive(Serialize)]
struct Product {
    id: i64,
    name: String,
    category: String,
    price_cents: i64,
    stock: i64,
    updated_at: String,
}

fn json(value: &impl Serialize) -> Answer {
    Ok(([(CONTENT_TYPE, "application/json")], serde_json::to_vec(value)?).into_response())
}

async fn from_memory(State(bodies): State<Arc<HashMap<i64, Bytes>>>, Path(id): Path<i64>) -> Response {
    match bodies.get(&id) {
        Some(body) => ([(CONTENT_TYPE, "application/json")], body.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

const PRODUCT: &str = "SELECT id, name, category, price_cents, stock, updated_at FROM products WHERE id = $1";

async fn from_postgres(State(pool): State<PgPool>, Path(id): Path<i64>) -> Answer {
    let Some(row) = sqlx::query(PRODUCT).bind(id).fetch_optional(&pool).await? else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    let updated_at = row.try_get::<OffsetDateTime, _>(5)?.format(&Rfc3339)?;
    json(&Product {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        category: row.try_get(2)?,
        price_cents: row.try_get(3)?,
        stock: row.try_get(4)?,
        updated_at,
    })
}

async fn from_sqlite(State(pool): State<SqlitePool>, Path(id): Path<i64>) -> Answer {
    let Some(row) = sqlx::query(PRODUCT).bind(id).fetch_optional(&pool).await? else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    let micros: i64 = row.try_get(5)?;
    let updated_at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)?.format(&Rfc3339)?;
    json(&Product {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        category: row.try_get(2)?,
        price_cents: row.try_get(3)?,
        stock: row.try_get(4)?,
        updated_at,
    })
}

/// The way that an object mapper without a plan does it.
async fn n_plus_one(State(pool): State<PgPool>, request: Request) -> Answer {
    let limit = request.uri().query().and_then(|query| query.strip_prefix("limit=")).and_then(|n| n.parse().ok());
    let orders =
        sqlx::query("SELECT id, customer_id, status, total_cents, placed_at FROM orders ORDER BY id DESC LIMIT $1")
            .bind(limit.unwrap_or(20_i64))
            .fetch_all(&pool)
            .await?;
    let mut page = Vec::new();
    for order in orders {
        let (id, customer_id): (i64, i64) = (order.try_get(0)?, order.try_get(1)?);
        let customer =
            sqlx::query("SELECT name FROM customers WHERE id = $1").bind(customer_id).fetch_one(&pool).await?;
        let lines = sqlx::query(
            "SELECT i.product_id, p.name, i.quantity, i.unit_price_cents FROM order_items i
             JOIN products p ON p.id = i.product_id WHERE i.order_id = $1 ORDER BY i.line",
        )
        .bind(id)
        .fetch_all(&pool)
        .await?;
        let mut items = Vec::new();
        for line in lines {
            items.push(serde_json::json!({
                "product_id": line.try_get::<i64, _>(0)?,
                "product_name": line.try_get::<String, _>(1)?,
                "quantity": line.try_get::<i64, _>(2)?,
                "unit_price_cents": line.try_get::<i64, _>(3)?,
            }));
        }
        page.push(serde_json::json!({
            "id": id,
            "status": order.try_get::<String, _>(2)?,
            "placed_at": order.try_get::<OffsetDateTime, _>(4)?.format(&Rfc3339)?,
            "total_cents": order.try_get::<i64, _>(3)?,
            "customer": { "id": customer_id, "name": customer.try_get::<Option<String>, _>(0)? },
            "items": items,
        }));
    }
    json(&serde_json::json!({ "items": page }))
}

/// A thousand products like the service's.
fn bodies() -> Result<HashMap<i64, Bytes>, serde_json::Error> {
    let body = |id| {
        let (name, category) = (format!("Product number {id}"), "kitchen".to_owned());
        let updated_at = "2026-01-01T00:00:00Z".to_owned();
        let product = Product { id, name, category, price_cents: 1_999, stock: 100_000, updated_at };
        Ok((id, Bytes::from(serde_json::to_vec(&product)?)))
    };
    (1..=1_000).map(body).collect()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let source = env::args().nth(1).ok_or("usage: bare_peer memory|DATABASE_URL [CONNECTIONS]")?;
    let connections = env::args().nth(2).map_or(Ok(16), |text| text.parse())?;
    let product = "/api/products/{id}";
    let router = if source == "memory" {
        Router::new().route(product, get(from_memory)).with_state(Arc::new(bodies()?))
    } else if source.starts_with("sqlite:") {
        let options = source.parse::<SqliteConnectOptions>()?.disable_statement_logging();
        let pool = SqlitePoolOptions::new().max_connections(connections).test_before_acquire(false);
        Router::new().route(product, get(from_sqlite)).with_state(pool.connect_with(options).await?)
    } else {
        let options = source.parse::<PgConnectOptions>()?.disable_statement_logging();
        // Without the round trip that sqlx makes by default each time before a connection is used: a peer is not made slow.
        let pool = PgPoolOptions::new().max_connections(connections).test_before_acquire(false);
        let pool = pool.connect_with(options).await?;
        Router::new().route(product, get(from_postgres)).route("/api/orders", get(n_plus_one)).with_state(pool)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}
