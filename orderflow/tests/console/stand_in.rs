//! A stand-in for a service: the console's own files, and answers of a test's choice.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use orderflow::ops::console;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// What it says, and what it saw. Of questions, those for the page's own files do not count.
#[derive(Debug)]
pub(crate) struct Says {
    pub(crate) metrics: String,
    pub(crate) health: Value,
    pub(crate) traces: Value,
    pub(crate) profile: (StatusCode, String),
    /// Answers nobody for now.
    pub(crate) hangs: bool,
    pub(crate) asked: usize,
    asked_at_once: usize,
    pub(crate) most_at_once: usize,
    pub(crate) vitals: Vec<String>,
}

impl Default for Says {
    fn default() -> Self {
        Self {
            metrics: String::new(),
            health: json!({
                "ready": true, "draining": false, "version": "1.2.3", "uptime_seconds": 93_784,
                "database": { "ok": true, "kind": "sqlite", "critical": true, "latency_ms": 0.25,
                    "connections_open": 4, "connections_idle": 3, "connections_max": 16 },
            }),
            traces: json!({ "traces": [], "kept": {} }),
            profile: (
                StatusCode::OK,
                r#"<svg xmlns="http://www.w3.org/2000/svg" width="1200" height="60"/>"#.to_owned(),
            ),
            hangs: false,
            asked: 0,
            asked_at_once: 0,
            most_at_once: 0,
            vitals: Vec::new(),
        }
    }
}

type Said = Arc<Mutex<Says>>;

/// It listens until it is dropped.
pub(crate) struct StandIn {
    address: SocketAddr,
    said: Said,
    serving: JoinHandle<()>,
}

impl StandIn {
    pub(crate) async fn start(metrics: &str) -> Self {
        let said = Said::default();
        metrics.clone_into(&mut said.lock().unwrap().metrics);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router(Arc::clone(&said));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, said, serving }
    }

    /// Changes what it says.
    pub(crate) fn says<T>(&self, change: impl FnOnce(&mut Says) -> T) -> T {
        change(&mut self.said.lock().unwrap())
    }

    pub(crate) fn url(&self, fragment: &str) -> String {
        format!("http://{}/console{fragment}", self.address)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn router(said: Said) -> Router {
    let limits = json!({
        "service": "stand-in", "environment": "test", "metrics": true, "traces": true, "max_in_flight": 100,
        "max_connections": 1000, "slow_request_ms": 1000, "slow_statement_ms": 500, "max_profile_seconds": 20,
    });
    let answers = Router::new()
        .route("/metrics", get(async |State(said): State<Said>| said.lock().unwrap().metrics.clone()))
        .route("/healthz", get(async |State(said): State<Said>| said.lock().unwrap().health.to_string()))
        .route("/debug/traces", get(async |State(said): State<Said>| said.lock().unwrap().traces.to_string()))
        .route("/debug/statements", get(async || json!({ "slow": [] }).to_string()))
        .route("/debug/profile", get(profile))
        .route("/console/limits", get(async move || limits.to_string()))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&said), count))
        .route(
            "/console/vitals",
            post(async |State(said): State<Said>, body: String| {
                said.lock().unwrap().vitals.push(body);
                StatusCode::NO_CONTENT
            }),
        );
    answers.merge(console::files()).with_state(said)
}

async fn profile(State(said): State<Said>) -> Response {
    let (status, body) = said.lock().unwrap().profile.clone();
    let kind = if status.is_success() { "image/svg+xml" } else { "application/problem+json" };
    (status, [(CONTENT_TYPE, kind)], body).into_response()
}

/// Falls also when the browser gives up, which ends the handler.
struct Underway(Said);

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.lock().unwrap().asked_at_once -= 1;
    }
}

async fn count(State(said): State<Said>, request: Request, next: Next) -> Response {
    let _underway = {
        let mut says = said.lock().unwrap();
        says.asked += 1;
        says.asked_at_once += 1;
        says.most_at_once = says.most_at_once.max(says.asked_at_once);
        Underway(Arc::clone(&said))
    };
    while said.lock().unwrap().hangs {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    next.run(request).await
}
