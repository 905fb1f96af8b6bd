//! Posting to a collector or to Sentry over HTTP/1.1, in the clear or over TLS with the roots that browsers trust.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};

/// The longest answer that is read, in bytes.
const ANSWER: usize = 64 << 10;
/// How long a connection is kept for the next batch.
const IDLE: Duration = Duration::from_secs(30);

/// A client whose connections live in the runtime that first uses it. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Client {
    inner: Arc<legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>>,
    within: Duration,
}

impl Client {
    /// One that waits so long for an answer.
    pub(super) fn new(within: Duration) -> Self {
        let connector = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Self { inner: Arc::new(inner), within }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = async {
            let (head, body) = self.inner.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(head, body))
        };
        tokio::time::timeout(self.within, answer).await?
    }
}
