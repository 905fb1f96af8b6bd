//! Connections and requests of a collector. Both protocols come in on the same port; a request over HTTP is put into the frame
//! of gRPC, so that one reader understands both.

use std::{convert::Infallible, future::pending, net, sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{HeaderMap, Request, Response, StatusCode, body::Incoming, header::CONTENT_TYPE, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use opentelemetry_proto::tonic::collector::{
    logs::v1::{
        ExportLogsServiceRequest, ExportLogsServiceResponse,
        logs_service_server::{LogsService, LogsServiceServer},
    },
    trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use rustix::net::sockopt::set_socket_linger;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
};
use tonic::{Status, async_trait, body::Body};
use tower::ServiceExt;

use super::{Collects, Shared};

/// The largest request, in bytes.
const REQUEST: usize = 64 << 20;
/// What comes before a message in gRPC: whether it is compressed, and its length.
const FRAME: usize = 5;
const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// Takes connections until it is stopped.
pub(super) async fn serve(listener: net::TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let listener = TcpListener::from_std(listener).expect("the listener does not block");
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(connected(stream, Arc::clone(&shared)));
            }
            // Without file descriptors, say. It will have some again.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Serves a connection until its client leaves or it is reset.
async fn connected(stream: TcpStream, shared: Arc<Shared>) {
    let Ok(stream) = stream.into_std() else { return };
    // By this handle the connection can still be told how to end when it belongs to the server.
    let (Ok(handle), Ok(stream)) = (stream.try_clone(), TcpStream::from_std(stream)) else { return };
    let reset = Arc::new(Notify::new());
    let service = service_fn(|request| answer(request, Arc::clone(&shared), Arc::clone(&reset)));
    let server = auto::Builder::new(TokioExecutor::new());
    tokio::select! {
        // A client that goes away is its own affair.
        _ = server.serve_connection(TokioIo::new(stream), service) => {}
        () = reset.notified() => {
            let _ = set_socket_linger(&handle, Some(Duration::ZERO));
        }
    }
}

/// Answers a request as the collector behaves when it has come.
async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    reset: Arc<Notify>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, REQUEST).collect().await else {
        return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, Bytes::new()));
    };
    let body = body.to_bytes();
    shared.keep(|kept| kept.requests += 1);
    let grpc = head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let mut how = shared.how.subscribe();
    let how = how.wait_for(|how| *how != Collects::Never).await.map_or(Collects::Resets, |how| *how);
    let refused = match how {
        Collects::Counts => return Ok(forgotten(grpc)),
        Collects::After(after) => {
            tokio::time::sleep(after).await;
            None
        }
        Collects::Never | Collects::Resets => {
            reset.notify_one();
            pending().await
        }
        Collects::Unavailable => Some((Status::unavailable("not now"), StatusCode::SERVICE_UNAVAILABLE)),
        Collects::Refuses => Some((Status::invalid_argument("not that"), StatusCode::BAD_REQUEST)),
    };
    Ok(match (refused, grpc, head.uri.path()) {
        (Some((status, _)), true, _) => status.into_http(),
        (Some((_, status)), false, _) => plain(status, Bytes::new()),
        (None, true, TRACES | LOGS) => taken(head.uri.path(), body, head.headers, shared).await,
        (None, false, "/v1/traces") => unframed(taken(TRACES, framed(&body), HeaderMap::new(), shared).await).await,
        (None, false, "/v1/logs") => unframed(taken(LOGS, framed(&body), HeaderMap::new(), shared).await).await,
        (None, true, _) => Status::unimplemented("only traces and logs").into_http(),
        (None, false, _) => plain(StatusCode::NOT_FOUND, Bytes::new()),
    })
}

/// Gives a message in its frame to whoever understands it.
async fn taken(method: &str, body: Bytes, mut headers: HeaderMap, shared: Arc<Shared>) -> Response<Body> {
    headers.insert(CONTENT_TYPE, "application/grpc".parse().expect("it is a header's value"));
    let mut request = Request::post(method).body(Full::new(body)).expect("the path is one");
    *request.headers_mut() = headers;
    let keeper = Keeper(shared);
    let answered = match method {
        TRACES => TraceServiceServer::new(keeper).max_decoding_message_size(REQUEST).oneshot(request).await,
        _ => LogsServiceServer::new(keeper).max_decoding_message_size(REQUEST).oneshot(request).await,
    };
    match answered {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Says that something was taken.
fn forgotten(grpc: bool) -> Response<Body> {
    if !grpc {
        return plain(StatusCode::OK, Bytes::new());
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", 0.into());
    let body = Full::new(framed(&Bytes::new())).with_trailers(std::future::ready(Some(Ok(trailers))));
    let response = Response::builder().header(CONTENT_TYPE, "application/grpc");
    response.body(Body::new(body)).expect("the header is sound")
}

fn framed(message: &Bytes) -> Bytes {
    let mut frame = BytesMut::with_capacity(FRAME + message.len());
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    frame.freeze()
}

/// The answer of gRPC as HTTP has it.
async fn unframed(response: Response<Body>) -> Response<Body> {
    let refused = response.headers().contains_key("grpc-status");
    match response.into_body().collect().await {
        Ok(body) if !refused => {
            let body = body.to_bytes();
            plain(StatusCode::OK, body.slice(FRAME.min(body.len())..))
        }
        _ => plain(StatusCode::BAD_REQUEST, Bytes::new()),
    }
}

fn plain(status: StatusCode, body: Bytes) -> Response<Body> {
    let response = Response::builder().status(status).header(CONTENT_TYPE, "application/x-protobuf");
    response.body(Body::new(Full::new(body))).expect("status and header are sound")
}

/// Keeps what comes.
struct Keeper(Arc<Shared>);

#[async_trait]
impl TraceService for Keeper {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        self.0.keep(|kept| kept.add_spans(request.into_inner()));
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[async_trait]
impl LogsService for Keeper {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, Status> {
        self.0.keep(|kept| kept.add_logs(request.into_inner()));
        Ok(tonic::Response::new(ExportLogsServiceResponse::default()))
    }
}
