//! What operators see of a process, on a listener of their own: probes, numbers, profiles.

pub mod console;
mod probes;
mod scrape;

use axum::{Router, routing::get};

pub(crate) use probes::routes;
pub use probes::{BrokerCheck, Check, Health, Lesser, ReplicaCheck, Report, Status};

use crate::http::App;

/// The operators' routes on this application.
pub fn router(app: App) -> Router {
    routes().split_for_parts().0.route("/metrics", get(scrape::metrics)).merge(console::routes()).with_state(app)
}
