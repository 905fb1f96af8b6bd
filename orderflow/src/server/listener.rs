//! One listener and its connections: how many there may be, and how they are brought to an end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinHandle,
};

use super::connection::Patient;
use crate::http::stream::Streaming;

/// The largest head of a request, in bytes: its line and its headers together. Longer ones are answered with 431.
pub(super) const MAX_HEAD_BYTES: usize = 32 * 1024;
/// How long accepting pauses when the process has no file descriptor left for another connection.
const PAUSE: Duration = Duration::from_millis(50);
/// How long connections are read from after closing began: what was sent before is answered. The answer says that it is the
/// connection's last, so that only those that sent nothing are left then.
const LAST_CALL: Duration = Duration::from_millis(250);

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    Closing,
}

/// What a listener's connections may take.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// How many are open at once; others wait in the kernel's queue.
    pub connections: usize,
    /// How long one may be idle, or take to send a request's head, or take nothing of an answer.
    pub head: Duration,
}

/// A listener that serves.
pub(super) struct Served {
    accepting: JoinHandle<()>,
    open: watch::Receiver<usize>,
}

impl Served {
    /// Waits until the listener is closed and so is every connection.
    pub(super) async fn ended(mut self) {
        let _ = (&mut self.accepting).await;
        // An error means that whoever counts is gone, and so is every connection.
        let _ = self.open.wait_for(|open| *open == 0).await;
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One open connection, counted for as long as this lives.
struct Place {
    open: watch::Sender<usize>,
    shown: Gauge,
    _slot: OwnedSemaphorePermit,
}

impl Place {
    fn take(slot: OwnedSemaphorePermit, open: watch::Sender<usize>, shown: Gauge) -> Self {
        open.send_modify(|open| *open += 1);
        shown.inc();
        Self { open, shown, _slot: slot }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shown.dec();
        self.open.send_modify(|open| *open -= 1);
    }
}

/// Accepts connections until the phase says to close, and shows how many are open. `service` makes what answers one peer, and
/// says when it is in the middle of a stream.
pub(super) fn serve<S>(
    listener: TcpListener,
    limits: Limits,
    shown: Gauge,
    phase: watch::Receiver<Phase>,
    service: impl Fn(SocketAddr, Streaming) -> S + Send + Sync + 'static,
) -> Served
where
    S: hyper::service::Service<hyper::Request<Incoming>, Response = axum::response::Response> + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let slots = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
    let (count, open) = watch::channel(0);
    let accepting = tokio::spawn(async move {
        let mut closing = phase.clone();
        let take = |stream, peer: SocketAddr, slot| {
            let place = Place::take(slot, count.clone(), shown.clone());
            let streaming = Streaming::default();
            let service = service(peer, streaming.clone());
            tokio::spawn(connection(stream, limits, phase.clone(), service, streaming, place));
        };
        loop {
            let slot = tokio::select! {
                slot = Arc::clone(&slots).acquire_owned() => slot.expect("never closed"),
                () = until_closing(&mut closing) => break,
            };
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => take(stream, peer, slot),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
                () = until_closing(&mut closing) => break,
            }
        }
        // Who is in the kernel's queue has been told that the connection stands. The kernel is asked itself: tokio may not
        // have heard of them yet, and lets a task do only so much at once.
        let Ok(queue) = listener.into_std() else { return };
        while let Ok((stream, peer)) = queue.accept() {
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { break };
            if let Ok(stream) = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)) {
                take(stream, peer, slot);
            }
        }
    });
    Served { accepting, open }
}

/// Ends when closing begins, or when whoever would say so is gone.
async fn until_closing(phase: &mut watch::Receiver<Phase>) {
    let _ = phase.wait_for(|phase| *phase == Phase::Closing).await;
}

async fn connection<S>(
    stream: TcpStream,
    limits: Limits,
    mut phase: watch::Receiver<Phase>,
    service: S,
    streaming: Streaming,
    _place: Place,
) where
    S: hyper::service::Service<hyper::Request<Incoming>, Response = axum::response::Response>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let _ = stream.set_nodelay(true);
    let mut builder = http1::Builder::new();
    // One buffer, copied together: for answers as small as these that is quicker than gathering two.
    builder.writev(false);
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(MAX_HEAD_BYTES);
    let mut connection =
        std::pin::pin!(builder.serve_connection(TokioIo::new(Patient::new(stream, limits.head)), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = until_closing(&mut phase) => {
            // hyper closes a connection at once on which it has read nothing yet, whatever has arrived there.
            if let Ok(ended) = tokio::time::timeout(LAST_CALL, connection.as_mut()).await {
                ended
            } else if streaming.is_on() {
                // Streams were told to end before closing began. Whoever takes nothing would hold up everybody's end.
                return;
            } else {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}
