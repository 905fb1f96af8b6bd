//! What operators see of a process, on a listener of their own: probes, numbers, profiles.

mod asked;
mod classic;
pub mod console;
mod guard;
mod heap;
mod probes;
mod process;
mod profile;
mod protobuf;
mod runtime;
mod scrape;
mod stacks;
mod symbols;

use axum::{Extension, Router, http::HeaderMap, middleware::from_fn_with_state, routing::get};

pub use guard::Peer;
pub(crate) use probes::routes;
pub use probes::{BrokerCheck, Check, Health, Lesser, ReplicaCheck, Report, Status};
pub use runtime::watch_delay;

use crate::{
    http::{App, Kind, Problem},
    telemetry,
};
use scrape::Scrape;

/// The operators' routes on this application.
pub fn router(app: App) -> Router {
    let scrape = Scrape::new(app.clone());
    routes()
        .split_for_parts()
        .0
        .route("/metrics", get(move |headers: HeaderMap| scrape.clone().answer(headers)))
        .merge(console::routes())
        .merge(telemetry::routes())
        .route("/debug/profile", get(asked::profile).layer(Extension(profile::CPU)))
        .route("/debug/heap", get(asked::profile).layer(Extension(heap::HEAP)))
        .method_not_allowed_fallback(async || Problem::new(Kind::MethodNotAllowed))
        .fallback(async || Problem::new(Kind::NotFound).detail("The operators' listener has no such route."))
        .layer(from_fn_with_state(app.clone(), guard::guard))
        .with_state(app)
}
