//! What operators see of a process, on a listener of their own: probes, numbers, profiles.

mod probes;
mod scrape;

use axum::{Router, routing::get};

pub(crate) use probes::routes;
pub use probes::{BrokerCheck, Check, Health, Lesser, ReplicaCheck, Report, Status};

use crate::{http::App, telemetry};

/// The operators' routes on this application.
pub fn router(app: App) -> Router {
    let routes = routes().split_for_parts().0.route("/metrics", get(scrape::metrics));
    routes.merge(telemetry::routes()).with_state(app)
}
