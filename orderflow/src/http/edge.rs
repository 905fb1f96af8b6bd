//! What every request passes before and after a handler, in one place and in this order: an identifier and a place in a
//! trace, the client's rate, the number of requests under way, in all and of its group, the time limit, and the headers of
//! the answer.
//!
//! These are one service rather than a stack of layers, because each layer costs a boxed future and a clone of the stack, and
//! because the order, which matters, can be read here.

use std::{
    convert::Infallible,
    net::IpAddr,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{
        HeaderName, HeaderValue,
        header::{CONNECTION, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS},
    },
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use hyper::body::Body as _;
use tower::Service;

use super::{
    App,
    limits::{ClientRate, Group, InFlight},
    problem::{Cause, Kind, Problem},
    route::Route,
    seen::Eye,
    stream::{self, Streaming},
};
use crate::telemetry::TraceContext;

/// Says which trace a request belongs to, and what it is in it, as the draft of Trace Context, level 2, has it.
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest identifier that is taken over from a client, in bytes.
const MAX_REQUEST_ID: usize = 64;

/// The public API behind its limits. Cloning it shares them.
#[derive(Clone)]
pub struct Edge(Arc<Inner>);

struct Inner {
    router: Router,
    app: App,
    rate: ClientRate,
    in_flight: InFlight,
    lists: InFlight,
    writes: InFlight,
    ids: RequestIds,
    eye: Eye,
}

impl Edge {
    /// Puts the limits of an application's configuration before its routes.
    pub fn new(router: Router, app: App) -> Self {
        let rate = ClientRate::new(&app.config.http, app.redis.clone());
        let http = &app.config.http;
        let in_flight = InFlight::new(http.max_in_flight);
        let (lists, writes) = (InFlight::new(http.max_lists_in_flight), InFlight::new(http.max_writes_in_flight));
        let eye = Eye::new(&app.config.telemetry, &app.metrics, &app.spans);
        Self(Arc::new(Inner { router, app, rate, in_flight, lists, writes, ids: RequestIds::new(), eye }))
    }

    /// Answers a request from this address. Never fails and never panics.
    pub async fn answer(&self, request: Request, peer: IpAddr) -> Response {
        let route = Route::of(request.method(), request.uri().path());
        let id = self.0.ids.of(&request);
        let seen = self.0.eye.begin(route, request.headers(), id.to_str().ok());
        let work = seen.work();
        let trace = work.trace();
        let mut response = work.scope(self.logged(request, peer, route)).await;
        seen.answered(response.status().as_u16());
        let headers = response.headers_mut();
        // Once, instead of a larger table every few headers.
        headers.reserve(7);
        headers.insert(X_REQUEST_ID, id);
        headers.insert(TRACERESPONSE, header(trace));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        // Pages set their own; JSON needs nothing at all.
        headers
            .entry(CONTENT_SECURITY_POLICY)
            .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
        if self.0.app.health.is_draining() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// The answer, and a line in the log where one is due. Only the latter knows why.
    async fn logged(&self, request: Request, peer: IpAddr, route: Route) -> Response {
        let mut response = self.limited(request, peer).await;
        if let Some(Cause(cause)) = response.extensions_mut().remove() {
            let (method, route, status) = (route.method(), route.path(), response.status().as_u16());
            if status == 500 {
                tracing::error!(method, route, status, cause, "a request failed");
            } else {
                tracing::warn!(method, route, status, cause, "a request was not answered");
            }
        }
        response
    }

    // ANCHOR: limited
    async fn limited(&self, request: Request, peer: IpAddr) -> Response {
        let inner = &*self.0;
        // A probe that is refused under load takes a working instance away when it is needed most.
        let path = request.uri().path();
        if path == "/healthz" || path.starts_with("/healthz/") {
            return self.handled(request).await;
        }
        if let Err(seconds) = inner.rate.admit(peer, request.headers()).await {
            return Problem::new(Kind::RateLimited).retry_after(seconds).into_response();
        }
        let Some(_slot) = inner.in_flight.enter() else { return self.refused("all") };
        // Lists are slow before anything else is. They and writes have shares of the whole, so that single reads go on.
        let _share = match Group::of(request.method(), path) {
            Group::List => match inner.lists.enter() {
                None => return self.refused("lists"),
                share => share,
            },
            Group::Write => match inner.writes.enter() {
                None => return self.refused("writes"),
                share => share,
            },
            Group::Other => None,
        };
        self.handled(request).await
    }
    // ANCHOR_END: limited

    fn refused(&self, group: &'static str) -> Response {
        self.0.app.metrics.bulkhead_refusals.get_or_create(&[("group", group)]).inc();
        Problem::new(Kind::Overloaded).retry_after(1).into_response()
    }

    /// The handler's answer, or a problem where it panics or takes too long.
    async fn handled(&self, mut request: Request) -> Response {
        let arriving = (!request.body().is_end_stream()).then(Arriving::default);
        if let Some(arriving) = &arriving {
            request.extensions_mut().insert(arriving.clone());
        }
        let answer = AssertUnwindSafe(self.0.router.clone().call(request)).catch_unwind();
        match tokio::time::timeout(self.0.app.config.http.request_timeout, answer).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(_)) => {
                let mut response = Problem::new(Kind::Internal).into_response();
                response.extensions_mut().insert(Cause("a handler panicked".to_owned()));
                response
            }
            Err(_) if arriving.is_some_and(|arriving| arriving.is_still()) => {
                Problem::new(Kind::RequestTimeout).into_response()
            }
            Err(_) => {
                Problem::new(Kind::Unavailable).detail("The answer took too long.").retry_after(1).into_response()
            }
        }
    }

    /// Forgets clients that were not seen for a while. Called now and then.
    pub fn forget_idle_clients(&self) {
        self.0.rate.forget_idle();
    }
}

fn header(trace: TraceContext) -> HeaderValue {
    HeaderValue::from_bytes(&trace.text()).expect("digits and dashes are a header's")
}

/// Whether a request's body is still on its way: tells a client that is slow from a service that is.
#[derive(Debug, Clone, Default)]
pub(super) struct Arriving(Arc<AtomicBool>);

impl Arriving {
    /// Says that all of it is here.
    pub(super) fn arrived(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_still(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }
}

/// Makes identifiers: a random start for this process, and a count.
struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    fn new() -> Self {
        Self { process: fastrand::u64(..), next: AtomicU64::new(0) }
    }

    /// The client's own, if it is one that can stand in a log line; else a new one of 24 hexadecimal digits.
    fn of(&self, request: &Request) -> HeaderValue {
        if let Some(id) = request.headers().get(X_REQUEST_ID)
            && (1..=MAX_REQUEST_ID).contains(&id.len())
            && id.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte))
        {
            return id.clone();
        }
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let mut digits = [0; 24];
        for (at, digit) in digits.iter_mut().enumerate() {
            let number = if at < 16 { self.process >> (60 - 4 * at) } else { count >> (92 - 4 * at) };
            *digit = b"0123456789abcdef"[(number & 15) as usize];
        }
        HeaderValue::from_bytes(&digits).expect("hexadecimal digits are a header's")
    }
}

/// An [`Edge`] for one connection, as hyper wants it.
#[derive(Clone)]
pub struct Connection {
    /// What is served.
    pub edge: Edge,
    /// Who is at the other end.
    pub peer: IpAddr,
    /// Whether it is in the middle of a stream.
    pub streaming: Streaming,
}

impl hyper::service::Service<hyper::Request<hyper::body::Incoming>> for Connection {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, mut request: hyper::Request<hyper::body::Incoming>) -> Self::Future {
        let Self { edge, peer, streaming } = self.clone();
        if request.uri().path() == stream::PATH {
            request.extensions_mut().insert(streaming);
        }
        Box::pin(async move { Ok(edge.answer(request.map(Body::new), peer).await) })
    }
}
