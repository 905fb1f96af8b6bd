//! Who may look. Requests are given to the router with a peer that a test makes up.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
};
use http_body_util::BodyExt;
use orderflow::{
    auth::Keys,
    config::{Config, Flag, Sources},
    http::{App, Shared},
    ops::{self, Peer},
    store,
};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::{
    client::Answer,
    process::{OFFICE, SHOP, keys},
};

/// The operators' routes of a service without a listener.
struct Routes {
    router: Router,
    _dir: TempDir,
}

const HERE: &str = "127.0.0.1";
const ELSEWHERE: &str = "192.0.2.7";

impl Routes {
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let keys = keys();
        let settings = [
            ("data_dir", dir.path().to_str().unwrap()),
            ("ops.hosts", "ops.example.com, Other.Example.com"),
            ("auth.keys", &keys),
        ];
        let flags = settings.iter().map(|(key, value)| Flag::set(*key, *value)).collect();
        let config = Arc::new(Config::load(&Sources { flags, ..Sources::default() }).unwrap());
        store::migrate(&config.database, dir.path()).await.unwrap();
        let store = store::connect(&config.database, dir.path()).await.unwrap();
        let app = App::new(Arc::clone(&config), store, Keys::from_config(&config.auth), Shared::default());
        Self { router: ops::router(app), _dir: dir }
    }

    /// Sends a request from a peer, or from nowhere.
    async fn send(&self, peer: Option<&str>, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(peer) = peer {
            request = request.extension(Peer(peer.parse::<IpAddr>().unwrap()));
        }
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        answer(response).await
    }

    async fn get(&self, peer: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Some(peer), "GET", target, headers).await
    }
}

async fn answer(response: Response<Body>) -> Answer {
    let (parts, body) = response.into_parts();
    let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let headers = headers.collect();
    Answer { status: parts.status.as_u16(), headers, body: body.collect().await.unwrap().to_bytes().to_vec() }
}

/// A route that is guarded and costs nothing to ask: it has no such parameter.
const GUARDED: &str = "/debug/profile?nothing=1";

/// Where a request came that passed the guard.
fn passed(answer: &Answer) {
    answer.fault("bad-request", "nothing");
}

#[tokio::test]
async fn it_is_asked_under_names_of_its_own() {
    let routes = Routes::new().await;
    for host in [
        "127.0.0.1",
        "127.0.0.1:9464",
        "192.0.2.7:80",
        "[::1]",
        "[::1]:9464",
        "localhost",
        "LocalHost:9464",
        "localhost.:1",
        "ops.example.com",
        "OPS.example.com:443",
        "other.example.com",
    ] {
        routes.get(ELSEWHERE, "/metrics", &[("host", host)]).await.ok_text();
        passed(&routes.get(HERE, GUARDED, &[("host", host)]).await);
    }
    // A page that had its own name lead to this address says that name.
    for host in [
        "evil.example",
        "evil.example:9464",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.ops.example.com",
        "127.1",
        "0x7f000001",
        "localhost@evil.example",
        "evil.example@localhost",
        "",
        "[::1",
    ] {
        for target in ["/metrics", GUARDED, "/nowhere"] {
            routes.get(HERE, target, &[("host", host)]).await.fault("misdirected", "Host");
        }
        routes.get(HERE, "/healthz/live", &[("host", host)]).await.ok(200);
    }
    routes.get(HERE, "/metrics", &[]).await.fault("misdirected", "Host");
    routes.get(HERE, "/metrics", &[("host", "localhost"), ("host", "evil.example")]).await.fault("misdirected", "Host");
    let whole = "http://evil.example/metrics";
    routes.get(HERE, whole, &[("host", "localhost")]).await.fault("misdirected", "Host");
    let hidden = "http://localhost/metrics";
    routes.get(HERE, hidden, &[("host", "evil.example")]).await.fault("misdirected", "Host");
    routes.get(HERE, hidden, &[("host", "localhost")]).await.ok_text();
}

#[tokio::test]
async fn pages_of_others_are_refused_whatever_they_ask() {
    let routes = Routes::new().await;
    let from = async |target: &str, name: &str, value: &str| {
        routes.get(HERE, target, &[("host", "localhost:9464"), (name, value)]).await
    };
    for site in ["cross-site", "same-site", "nonsense", ""] {
        from("/metrics", "sec-fetch-site", site).await.fault("foreign-origin", "Sec-Fetch-Site");
        from(GUARDED, "sec-fetch-site", site).await.fault("foreign-origin", "Sec-Fetch-Site");
        from("/healthz", "sec-fetch-site", site).await.ok(200);
    }
    for origin in
        ["http://evil.example", "http://localhost", "http://localhost:8080", "null", "", "localhost:9464", "file://"]
    {
        from("/metrics", "origin", origin).await.fault("foreign-origin", "Origin");
        from(GUARDED, "origin", origin).await.fault("foreign-origin", "Origin");
    }
    for site in ["same-origin", "none"] {
        passed(&from(GUARDED, "sec-fetch-site", site).await);
    }
    for origin in ["http://localhost:9464", "https://LOCALHOST:9464"] {
        passed(&from(GUARDED, "origin", origin).await);
    }
}

#[tokio::test]
async fn a_link_leads_to_the_page_and_to_nothing_else_nor_into_a_frame() {
    let routes = Routes::new().await;
    let by_link = async |target: &str, into: &str| {
        let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", into)];
        routes.get(HERE, target, &[&[("host", "localhost:9464")][..], &link].concat()).await
    };
    assert_eq!(by_link("/console", "document").await.status, 200);
    by_link("/console", "iframe").await.fault("foreign-origin", "Sec-Fetch-Site");
    by_link("/metrics", "document").await.fault("foreign-origin", "Sec-Fetch-Site");
    by_link(GUARDED, "document").await.fault("foreign-origin", "Sec-Fetch-Site");
}

#[tokio::test]
async fn who_is_not_near_needs_the_key_of_an_admin() {
    let routes = Routes::new().await;
    let host = ("host", "localhost");
    for near in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
        passed(&routes.get(near, GUARDED, &[host]).await);
    }
    for far in ["192.0.2.7", "10.0.0.1", "169.254.0.1", "::", "fe80::1", "::ffff:192.0.2.7"] {
        let refused = routes.get(far, GUARDED, &[host]).await;
        refused.fault("unauthorized", "Authorization");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"orderflow\""));
        for target in ["/debug/heap", "/debug/traces", "/debug/statements", "/console", "/console/page.js", "/nowhere"]
        {
            routes.get(far, target, &[host]).await.fault("unauthorized", "Authorization");
        }
        routes.get(far, "/metrics", &[host]).await.ok_text();
        routes.get(far, "/healthz", &[host]).await.ok(200);
    }
    let with = async |value: &str| routes.get(ELSEWHERE, GUARDED, &[host, ("authorization", value)]).await;
    passed(&with(&format!("Bearer {OFFICE}")).await);
    with(&format!("Bearer {SHOP}")).await.problem("forbidden");
    for wrong in ["Bearer of_nobody", "Bearer ", "Basic b2Y6b2Y=", OFFICE] {
        with(wrong).await.fault("unauthorized", "Authorization");
    }
    // Who comes from nowhere is not near.
    routes.send(None, "GET", GUARDED, &[host]).await.fault("unauthorized", "Authorization");
    // A key does not make a page of a stranger welcome.
    let key = format!("Bearer {OFFICE}");
    let page = [host, ("origin", "http://evil.example"), ("authorization", key.as_str())];
    routes.get(HERE, GUARDED, &page).await.fault("foreign-origin", "Origin");
}

#[tokio::test]
async fn paths_that_look_like_others_are_guarded_too() {
    let routes = Routes::new().await;
    let host = ("host", "localhost");
    for path in [
        "//debug/profile",
        "/debug//profile",
        "/%64ebug/profile",
        "/debug/%70rofile",
        "/healthz/../debug/profile",
        "/healthz%2f..%2fdebug/profile",
        "/metrics/../debug/heap",
        "/Debug/profile",
        "/healthzx",
    ] {
        let far = routes.get(ELSEWHERE, path, &[host]).await;
        assert!(matches!(far.status, 401 | 404), "{path}: {far:?}");
        routes.get(HERE, path, &[host]).await.problem("not-found");
    }
}

#[tokio::test]
async fn it_is_for_looking_and_every_answer_says_what_browsers_are_to_make_of_it() {
    let routes = Routes::new().await;
    let host = ("host", "localhost");
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"] {
        for target in ["/metrics", GUARDED, "/healthz", "/console", "/nowhere"] {
            let refused = routes.send(Some(HERE), method, target, &[host]).await;
            refused.problem("method-not-allowed");
            assert_eq!(refused.header("allow"), Some("GET, HEAD"));
        }
    }
    for target in ["/metrics", "/healthz", "/debug/profile"] {
        let head = routes.send(Some(HERE), "HEAD", target, &[host]).await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{target}");
    }
    for (peer, target, host) in [
        (HERE, "/metrics", "localhost"),
        (HERE, "/healthz", "localhost"),
        (HERE, GUARDED, "localhost"),
        (HERE, "/nowhere", "localhost"),
        (HERE, "/metrics", "evil.example"),
        (ELSEWHERE, "/debug/heap", "localhost"),
    ] {
        let answer = routes.get(peer, target, &[("host", host)]).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{target} {host}");
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
}

impl Answer {
    #[track_caller]
    fn ok_text(&self) {
        assert!(self.status == 200 && self.text().ends_with("# EOF\n"), "{self:?}");
    }
}
