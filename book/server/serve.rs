//! The book's server: pages from memory, the learner's state as JSON and as events. For this machine only.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{any, get},
};
use futures_util::{Stream, stream};
use tokio::{
    net::TcpListener,
    sync::{broadcast, watch as latest},
};

use crate::{
    host, live,
    orderflow::{self, Place},
    proxy::{self, Proxy},
    site::{self, Site},
    watch,
};

/// Where the book is served unless that port is taken.
pub const PORT: u16 = 8000;
/// How many ports after [`PORT`] are tried.
const MORE_PORTS: u16 = 20;
/// How long open requests may take to end once the server was told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// What happened, for the open pages.
#[derive(Debug, Clone, Copy)]
enum News {
    Status,
    Reload,
    BuildError,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    port: u16,
    site: Mutex<Arc<Site>>,
    build_error: Mutex<Option<String>>,
    news: broadcast::Sender<News>,
    stopping: latest::Receiver<bool>,
    /// None where only the book is served.
    orderflow: Option<latest::Receiver<orderflow::State>>,
    proxy: Proxy,
}

impl Shared {
    fn site(&self) -> Arc<Site> {
        Arc::clone(&self.site.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn build_error(&self) -> Option<String> {
        self.build_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn orderflow(&self) -> Option<orderflow::State> {
        self.orderflow.as_ref().map(|state| state.borrow().clone())
    }

    /// The learner's state as JSON, on one line.
    fn status(&self) -> String {
        let mut status = live::read(&self.root, &self.site().build, self.build_error());
        status.orderflow = self.orderflow();
        serde_json::to_string(&status).expect("the status is plain data")
    }

    fn event(&self, news: News) -> Event {
        match news {
            News::Status => Event::default().event("status").data(self.status()),
            News::Reload => Event::default().event("reload").data(self.site().build.clone()),
            News::BuildError => Event::default().event("build-error").data(self.build_error().unwrap_or_default()),
        }
    }

    fn rebuild(&self) {
        let rendered = site::render(&self.root).map(Site::live);
        let error = rendered.as_ref().err().map(|error| format!("{error:#}"));
        let had_error = self.build_error().is_some();
        (*self.build_error.lock().unwrap_or_else(PoisonError::into_inner)).clone_from(&error);
        let news = match (rendered, error) {
            (Ok(site), _) if site.build == self.site().build && !had_error => News::Status,
            (Ok(site), _) => {
                *self.site.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(site);
                News::Reload
            }
            (Err(_), error) => {
                eprintln!("{}\nThe pages stay as they were before this edit.", error.unwrap_or_default());
                News::BuildError
            }
        };
        self.tell(news);
    }

    fn tell(&self, news: News) {
        // Nobody listening is no error.
        let _ = self.news.send(news);
    }
}

/// A socket for the book on this machine: at `port`, or without one at the first free port from [`PORT`].
///
/// # Errors
/// When the port is taken, or all of them are; says what to do.
pub async fn bind(port: Option<u16>) -> Result<TcpListener> {
    if let Some(port) = port {
        return match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => Ok(listener),
            Err(error) => bail!(
                "the book cannot be served at port {port}: {error}; end the program that uses it, name another port \
                 with --port, or leave --port out to have a free one chosen"
            ),
        };
    }
    first_free(PORT..=PORT + MORE_PORTS).await
}

async fn first_free(ports: RangeInclusive<u16>) -> Result<TcpListener> {
    let (first, last) = (*ports.start(), *ports.end());
    for port in ports {
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            return Ok(listener);
        }
    }
    bail!("no port from {first} to {last} is free; end a program that uses one of them, or name another with --port")
}

/// Serves `site`, rendered from the course under `root`, until `stop` is done. With a place for it, builds and runs
/// OrderFlow beside it.
///
/// # Errors
/// When the socket fails.
pub async fn serve(
    root: &Path,
    site: Site,
    listener: TcpListener,
    orderflow: Option<Place>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let SocketAddr::V4(address) = listener.local_addr()? else { bail!("the book is served over IPv4") };
    let (stopper, stopping) = latest::channel(false);
    let (orderflow, running) = orderflow.map(|place| orderflow::spawn(place, stopping.clone())).unzip();
    let shared = Arc::new(Shared {
        root: root.into(),
        port: address.port(),
        site: Mutex::new(Arc::new(site.live())),
        build_error: Mutex::new(None),
        news: broadcast::channel(16).0,
        stopping: stopping.clone(),
        orderflow,
        proxy: Proxy::new(),
    });
    watch_orderflow(&shared);
    watch_state(&shared);
    watch_sources(&shared);
    let app = Router::new()
        .route("/api/status", get(status))
        .route("/api/events", get(events))
        .fallback(page)
        .layer(middleware::from_fn(harden))
        .route(&format!("{}/{{*path}}", proxy::PREFIX), any(call_orderflow))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard))
        .with_state(shared);
    let mut told = stopping.clone();
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        stop.await;
        // Event streams never end by themselves; this ends them.
        let _ = stopper.send(true);
    });
    let overdue = async {
        let _ = told.wait_for(|stopping| *stopping).await;
        tokio::time::sleep(GRACE).await;
    };
    let ended = tokio::select! {
        ended = server => ended.context("the book's server failed"),
        () = overdue => Ok(()),
    };
    if let Some(running) = running {
        // It was told to end when we were, and has a limit of its own.
        let _ = running.await;
    }
    ended
}

fn watch_orderflow(shared: &Arc<Shared>) {
    let Some(mut state) = shared.orderflow.clone() else { return };
    let shared = Arc::downgrade(shared);
    tokio::spawn(async move {
        while state.changed().await.is_ok() {
            let Some(shared) = shared.upgrade() else { return };
            shared.tell(News::Status);
        }
    });
}

fn watch_state(shared: &Arc<Shared>) {
    let root = shared.root.clone();
    // Not all of the state's directory: a database in it changes many times a second.
    let dirs = vec![root.join(catalogue::STATE_DIR).join("reports")];
    follow(shared, dirs, move |_| live::fingerprint(&root), |shared| shared.tell(News::Status));
}

fn watch_sources(shared: &Arc<Shared>) {
    let root = shared.root.clone();
    let book: Vec<PathBuf> = ["src", "theme", "evidence", "book.toml"].map(|part| root.join("book").join(part)).into();
    let exercises = root.join("exercises");
    let dirs = [&book[..], &[exercises.clone(), root.join("solutions")]].concat();
    let look = move |shared: &Shared| {
        let mut found = watch::files(&book, &|_| true);
        found.extend(watch::files(std::slice::from_ref(&exercises), &|path| path.ends_with("exercise.toml")));
        let includes: Vec<PathBuf> = shared.site().includes.iter().cloned().collect();
        found.extend(watch::files(&includes, &|_| true));
        found
    };
    follow(shared, dirs, look, Shared::rebuild);
}

/// Watches for as long as the server is there.
fn follow(
    shared: &Arc<Shared>,
    dirs: Vec<PathBuf>,
    look: impl Fn(&Shared) -> live::Fingerprint + Send + 'static,
    act: impl Fn(&Shared) + Send + 'static,
) {
    let [looking, acting, living]: [Weak<Shared>; 3] = std::array::from_fn(|_| Arc::downgrade(shared));
    watch::spawn(
        dirs,
        move || looking.upgrade().map_or_else(Vec::new, |shared| look(&shared)),
        move || match acting.upgrade() {
            Some(shared) => {
                act(&shared);
                watch::Next::Continue
            }
            None => watch::Next::Stop,
        },
        move || if living.strong_count() > 0 { watch::Next::Continue } else { watch::Next::Stop },
    );
}

/// Lets only requests for this machine through.
async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if !host::is_ours(host, shared.port) {
        return (StatusCode::FORBIDDEN, "The book answers to 127.0.0.1 and localhost only.\n").into_response();
    }
    next.run(request).await
}

/// Puts on every answer of the book what keeps a page from loading anything else.
async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // mdBook's pages carry scripts and styles inline.
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'self'"),
    );
    response
}

async fn status(State(shared): State<Arc<Shared>>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], shared.status()).into_response()
}

async fn call_orderflow(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    match shared.orderflow() {
        Some(state) => shared.proxy.answer(&state, request).await,
        None => (StatusCode::NOT_FOUND, "OrderFlow runs beside the book where `cargo xtask start` serves it.\n")
            .into_response(),
    }
}

async fn events(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    Sse::new(stream_of(shared)).keep_alive(KeepAlive::default())
}

/// The state at once, then whatever happens, until the server stops.
fn stream_of(shared: Arc<Shared>) -> impl Stream<Item = Result<Event, Infallible>> {
    // Subscribed before the first state is read, so that nothing in between is lost.
    let news = shared.news.subscribe();
    let stopping = shared.stopping.clone();
    stream::unfold((shared, news, stopping, true), |(shared, mut news, mut stopping, first)| async move {
        let event = if first {
            shared.event(News::Status)
        } else {
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stopping| *stopping) => return None,
                happened = news.recv() => match happened {
                    Ok(happened) => shared.event(happened),
                    // What a slow reader missed is all in the current state.
                    Err(broadcast::error::RecvError::Lagged(_)) => shared.event(News::Status),
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
            }
        };
        Some((Ok(event), (shared, news, stopping, false)))
    })
}

/// A file of the rendered book, by its exact address: anything else is not found, whatever the path tries.
async fn page(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    let site = shared.site();
    let path = request.uri().path().trim_start_matches('/');
    let name = if path.is_empty() || path.ends_with('/') { format!("{path}index.html") } else { path.to_owned() };
    // Browsers ask for this one by name when what is open is a picture, which cannot say where its icon is.
    let icon = |file: &&String| file.starts_with("favicon") && content_type(file) == "image/png";
    let name = if name == "favicon.ico" { site.files.keys().find(icon).cloned().unwrap_or(name) } else { name };
    let (status, name, content) = match site.files.get(&name) {
        Some(content) => (StatusCode::OK, name, content.clone()),
        None => (StatusCode::NOT_FOUND, "404.html".into(), site.files.get("404.html").cloned().unwrap_or_default()),
    };
    (status, [(header::CONTENT_TYPE, content_type(&name))], Body::from(content)).into_response()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "txt" | "toml" | "rs" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_passed_over_and_none_left_is_said() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let said = first_free(port..=port).await.unwrap_err().to_string();
        assert!(said.contains(&format!("from {port} to {port}")) && said.contains("--port"), "{said}");
        let next = first_free(port..=port.saturating_add(50)).await.unwrap();
        assert_ne!(next.local_addr().unwrap().port(), port);
    }
}
