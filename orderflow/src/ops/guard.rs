//! Who may look. The listener is meant for operators and for Prometheus, and a browser on the same machine is a way in for
//! pages of strangers: a page can point a name of its own at this address, or have its visitor's browser send requests here.

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, Uri,
        header::{
            ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
            X_FRAME_OPTIONS,
        },
        uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{
    config::Role,
    http::{App, Kind, Problem, caller},
};

const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The only address that something is sent to.
const TAKES_POST: &str = "/console/vitals";

/// The page that others may link to.
const PAGE: &str = "/console";

/// What the pages of this listener may load: what it has itself, and pictures that a page made.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Where a request to this listener comes from. One that has none comes from nowhere near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// Lets pass what may pass, and puts on every answer what browsers are to make of it.
pub(super) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = match admit(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(Refusal { problem, allow }) => {
            let mut response = problem.into_response();
            if let Some(methods) = allow {
                response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
            }
            response
        }
    };
    let headers = response.headers_mut();
    // A page may have a policy of its own, and an answer may be kept that never changes.
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Why a request does not pass, and which methods would.
struct Refusal {
    problem: Problem,
    allow: Option<&'static str>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, allow: None }
    }
}

fn admit(app: &App, request: &Request) -> Result<(), Refusal> {
    let (path, headers) = (request.uri().path(), request.headers());
    let probe = path == "/healthz" || path.starts_with("/healthz/");
    if !probe {
        let name = own_name(request.uri(), headers, &app.config.ops.hosts)?;
        if !(path == PAGE && is_followed_link(headers)) {
            same_origin(headers, &name)?;
        }
    }
    let method = request.method();
    let looks = matches!(*method, Method::GET | Method::HEAD);
    if !looks && (method != Method::POST || path != TAKES_POST) {
        let allow = Some(if path == TAKES_POST { "POST" } else { "GET, HEAD" });
        return Err(Refusal { problem: Problem::new(Kind::MethodNotAllowed), allow });
    }
    // Numbers are for Prometheus, which is rarely on the same machine. Whatever else there is shows more, or costs more.
    let near = || request.extensions().get::<Peer>().is_some_and(|Peer(peer)| peer.to_canonical().is_loopback());
    if !probe && path != "/metrics" && !near() {
        caller::key(headers, app, Role::Admin)?;
    }
    Ok(())
}

/// The name and port that a request asks for, if they are this listener's: a page reaches it under a name of the page's own
/// only through that name.
fn own_name(uri: &Uri, headers: &HeaderMap, hosts: &[String]) -> Result<Authority, Problem> {
    let wrong = |why: &str| Problem::new(Kind::Misdirected).field("Host", why);
    let mut values = headers.get_all(HOST).iter();
    let given = values.next().map(|value| Authority::try_from(value.as_bytes()));
    if values.next().is_some() {
        return Err(wrong("is given twice"));
    }
    let given = given.transpose().map_err(|_| wrong("is no name and no address"))?;
    // A target that is a whole address says it too, and both must be right.
    let asked = uri.authority().cloned().or_else(|| given.clone()).ok_or_else(|| wrong("must be there"))?;
    for name in given.iter().chain([&asked]) {
        if !is_own(name, hosts) {
            return Err(wrong("must be an address, localhost, or one of ops.hosts"));
        }
    }
    Ok(asked)
}

fn is_own(name: &Authority, hosts: &[String]) -> bool {
    let host = name.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    let known = |own: &str| bare.eq_ignore_ascii_case(own);
    !name.as_str().contains('@')
        && (bare.parse::<IpAddr>().is_ok() || known("localhost") || hosts.iter().any(|own| known(own)))
}

/// Whether somebody opened a page by a link, in a tab of its own: a dashboard may have one. Whoever links to a page sees nothing
/// of it.
fn is_followed_link(headers: &HeaderMap) -> bool {
    let is = |name: &HeaderName, value: &str| headers.get(name).is_some_and(|given| given == value);
    is(&SEC_FETCH_MODE, "navigate") && is(&SEC_FETCH_DEST, "document")
}

/// Refuses what a page of another origin has a browser send, which browsers say of each request in one way or the other.
fn same_origin(headers: &HeaderMap, name: &Authority) -> Result<(), Problem> {
    let foreign = |field: &str| Err(Problem::new(Kind::Foreign).field(field, "is another origin's"));
    let site = |value: &HeaderValue| matches!(value.as_bytes(), b"same-origin" | b"none");
    if !headers.get_all(SEC_FETCH_SITE).iter().all(site) {
        return foreign("Sec-Fetch-Site");
    }
    let own = |value: &HeaderValue| {
        let origin = value.to_str().unwrap_or_default();
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        rest.is_some_and(|rest| rest.eq_ignore_ascii_case(name.as_str()))
    };
    if headers.get_all(ORIGIN).iter().all(own) { Ok(()) } else { foreign("Origin") }
}
