//! The console: a page for whoever has no Grafana. It is part of the binary, asks no other host for anything, and reads what
//! everybody may read who may use this listener.

mod vitals;

use std::sync::LazyLock;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::Response,
    routing::{get, post},
};
use bytes::Bytes;
use serde::Serialize;

use crate::http::{App, Caching, Representation};

/// Where each file is, beside the page at `/console` itself.
const FILES: [(&str, &str); 18] = [
    ("/console", include_str!("page.html")),
    ("/console/page.css", include_str!("page.css")),
    ("/console/page.js", include_str!("page.js")),
    ("/console/chart.js", include_str!("chart.js")),
    ("/console/dom.js", include_str!("dom.js")),
    ("/console/facts.js", include_str!("facts.js")),
    ("/console/format.js", include_str!("format.js")),
    ("/console/history.js", include_str!("history.js")),
    ("/console/inside.js", include_str!("inside.js")),
    ("/console/openmetrics.js", include_str!("openmetrics.js")),
    ("/console/profile.js", include_str!("profile.js")),
    ("/console/routes.js", include_str!("routes.js")),
    ("/console/signals.js", include_str!("signals.js")),
    ("/console/source.js", include_str!("source.js")),
    ("/console/tabs.js", include_str!("tabs.js")),
    ("/console/traces.js", include_str!("traces.js")),
    ("/console/vitals.js", include_str!("vitals.js")),
    ("/console/waterfall.js", include_str!("waterfall.js")),
];

/// The bounds of this service, against which the page measures what it sees.
#[derive(Serialize)]
struct Limits<'a> {
    service: &'a str,
    environment: &'a str,
    metrics: bool,
    traces: bool,
    max_in_flight: usize,
    max_connections: usize,
    slow_request_ms: u128,
    slow_statement_ms: u128,
    max_profile_seconds: u64,
}

async fn limits(State(app): State<App>) -> Response {
    let config = &app.config;
    let limits = Limits {
        service: &config.telemetry.service_name,
        environment: &config.telemetry.environment,
        metrics: config.telemetry.metrics,
        traces: config.telemetry.traces,
        max_in_flight: config.http.max_in_flight,
        max_connections: config.http.max_connections,
        slow_request_ms: config.telemetry.slow_request.as_millis(),
        slow_statement_ms: config.database.slow_statement.as_millis(),
        max_profile_seconds: config.ops.max_profile.as_secs(),
    };
    Representation::json(&limits).answer(&HeaderMap::new(), Caching::Never)
}

/// The page and its files, which need nothing of the service.
pub fn files<S: Clone + Send + Sync + 'static>() -> Router<S> {
    static ANSWERS: LazyLock<[Representation; FILES.len()]> =
        LazyLock::new(|| FILES.map(|(_, text)| Representation::of(Bytes::from_static(text.as_bytes()))));
    FILES.iter().enumerate().fold(Router::new(), |router, (at, (path, _))| {
        router.route(
            path,
            get(async move |headers: HeaderMap| file(path, ANSWERS[at].answer(&headers, Caching::Revalidate))),
        )
    })
}

/// The paths of the page and its files, and what each is.
pub fn listed() -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES.iter().map(|(path, _)| (*path, kind(path)))
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.') {
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        _ => "text/html; charset=utf-8",
    }
}

fn file(path: &str, mut answer: Response) -> Response {
    if answer.status() != StatusCode::NOT_MODIFIED {
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind(path)));
    }
    answer
}

pub(super) fn routes() -> Router<App> {
    files().route("/console/limits", get(limits)).route("/console/vitals", post(vitals::take))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_works_behind_a_prefix_and_under_its_own_policy() {
        let (_, page) = FILES[0];
        for attribute in ["href=\"", "src=\""] {
            for address in page.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(!address.starts_with('/') && !address.contains("//"), "{address}");
            }
        }
        for inline in ["<script>", "<style", " style=", " onclick=", " onload="] {
            assert!(!page.contains(inline), "{inline}");
        }
        for (path, text) in &FILES[1..] {
            let text = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("http://") && !text.contains("https://"), "{path}");
            assert!(!text.contains("url(") && !text.contains("@import") && !text.contains("innerHTML"), "{path}");
        }
    }

    #[test]
    fn what_is_imported_is_there() {
        for (path, text) in FILES {
            for name in text.split("from \"./").skip(1).filter_map(|rest| rest.split('"').next()) {
                let wanted = format!("/console/{name}");
                assert!(FILES.iter().any(|(path, _)| *path == wanted), "{path} imports {name}");
            }
        }
    }
}
