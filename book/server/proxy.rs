//! `/orderflow/...`: hands requests on to OrderFlow, so that a page of the book calls its API at the book's own address.

use std::{net::SocketAddr, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode, Uri,
        header::{
            CACHE_CONTROL, CONNECTION, EXPECT, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, RETRY_AFTER, TE, TRAILER,
            TRANSFER_ENCODING, UPGRADE,
        },
    },
    response::{IntoResponse, Response},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::orderflow::State;

/// Where it is in the book.
pub(crate) const PREFIX: &str = "/orderflow";
/// The largest body of a request. OrderFlow's own limit is far below, and its refusal is worth seeing.
const MAX_BODY: usize = 1 << 20;
/// How long the head of an answer may take. OrderFlow itself gives up earlier.
const PATIENCE: Duration = Duration::from_secs(30);
/// What speaks of one connection and not of the request. (RFC 9110, 7.6.1)
const OF_A_CONNECTION: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Connections to OrderFlow.
#[derive(Debug, Clone)]
pub(crate) struct Proxy(Client<HttpConnector, Body>);

impl Proxy {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// OrderFlow's answer, its headers as they are; or why there is none, in a sentence.
    pub(crate) async fn answer(&self, state: &State, request: Request) -> Response {
        match state {
            State::Ready { address } => {
                self.forward(*address, request).await.unwrap_or_else(|(status, why)| refusal(status, why))
            }
            State::Building => {
                refusal(StatusCode::SERVICE_UNAVAILABLE, "OrderFlow is being built; try again in a while.")
            }
            State::Starting => {
                refusal(StatusCode::SERVICE_UNAVAILABLE, "OrderFlow is starting; try again in a moment.")
            }
            State::Failed { why } => refusal(StatusCode::BAD_GATEWAY, format!("OrderFlow does not run: {why}")),
        }
    }

    async fn forward(&self, address: SocketAddr, request: Request) -> Result<Response, (StatusCode, String)> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
        let path = path.strip_prefix(PREFIX).unwrap_or(path);
        parts.uri = Uri::builder()
            .scheme("http")
            .authority(address.to_string())
            .path_and_query(path)
            .build()
            .map_err(|error| (StatusCode::BAD_REQUEST, format!("This is no address: {error}.")))?;
        keep_to_the_request(&mut parts.headers);
        // The first is the book's own, the second is between the client and the book.
        parts.headers.remove(HOST);
        parts.headers.remove(EXPECT);
        let body = to_bytes(body, MAX_BODY)
            .await
            .map_err(|_| (StatusCode::PAYLOAD_TOO_LARGE, format!("The book hands on at most {MAX_BODY} bytes.")))?;
        let sent = self.0.request(Request::from_parts(parts, Body::from(body)));
        match tokio::time::timeout(PATIENCE, sent).await {
            Ok(Ok(mut response)) => {
                keep_to_the_request(response.headers_mut());
                Ok(response.map(Body::new))
            }
            Ok(Err(error)) => Err((StatusCode::BAD_GATEWAY, format!("OrderFlow did not answer: {error}."))),
            Err(_) => {
                Err((StatusCode::GATEWAY_TIMEOUT, format!("OrderFlow did not answer in {} s.", PATIENCE.as_secs())))
            }
        }
    }
}

/// Removes the headers of the connection, and those that it declares to be.
fn keep_to_the_request(headers: &mut HeaderMap) {
    let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<HeaderName> =
        named.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect();
    for name in OF_A_CONNECTION.iter().chain(&named) {
        headers.remove(name);
    }
}

fn refusal(status: StatusCode, why: impl Into<String>) -> Response {
    let mut response = (status, why.into() + "\n").into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
    }
    response
}
