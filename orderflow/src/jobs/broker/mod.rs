//! Due notifications by way of a RabbitMQ queue, where one is configured, instead of being claimed from the table.
//!
//! The table stays the truth. A message says no more than "this notification is due": it may come twice, late or never, and
//! whoever gets one asks the table by [`JobStore::claim_one`]. So nothing is sent twice for a message that came twice, and
//! nothing is lost with a message, a queue or a broker, because of these rules:
//!
//! * A notification is marked as published only after the broker has confirmed its message. What was not confirmed, came
//!   back, or was under way when a connection broke, is given to the broker again. (Before, the publisher has it to himself
//!   for a moment, by a mark that is soon too old, so that several processes seldom publish the same.)
//! * A mark that is older than `queue.republish` counts no more: whatever is due and did not come out by then is given to the
//!   broker again, wherever its message has gone.
//! * Taking a notification up clears the mark, and one that is claimed or not due yet gets none. A retry is thus given to the
//!   broker when it is due, and so is what a worker took and never finished, once its claim is over.
//! * A message is acknowledged when the outcome is recorded. If the worker dies before, it comes to another, who finds that
//!   the notification is still claimed and acknowledges it. That is safe, and so it is for one that is due later: it has no
//!   mark, and is due again at a moment that the table knows. Should it be due, taken, and due again before its confirmation
//!   is recorded, it has a mark for a message that is gone; then it comes back `queue.republish` later.
//! * The broker is given no more than some thousand messages at once; the others wait in the table. Else a queue that nobody
//!   empties would grow with each round of `queue.republish`.
//!
//! While the broker is away, orders are accepted and notifications made as ever. They wait in the table: workers do not go
//! around the broker, however long it is away, since the queue is there to decide who does how much. They go out when it is
//! back.
//!
//! A process has two connections, so that a broker that takes no more messages for lack of memory still takes
//! acknowledgements, which is what frees its memory.

mod consumer;
mod publisher;
mod session;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lapin::uri::AMQPUri;

use crate::{config::Queue, metrics::Metrics, resilience::Breaker};

pub use consumer::{Offer, Receipt};
use session::Role;

#[cfg(doc)]
use super::JobStore;

/// How long each side may be silent before the other asks for a sign of life, in seconds. One that is silent for twice as
/// long is taken for dead.
const HEARTBEAT: u16 = 3;
/// The largest frame, in bytes. A message here is a number and a few headers, and buffers for 32 frames are kept.
const FRAME: u32 = 16 * 1024;

/// The header of a message that says where it stands in a trace, as W3C Trace Context has it.
const TRACEPARENT: &str = "traceparent";

/// The broker that a process works with. Clones are the same.
#[derive(Clone)]
pub struct Broker(Arc<Inner>);

struct Inner {
    uri: AMQPUri,
    config: Queue,
    metrics: Metrics,
    breaker: Breaker,
    connected: [AtomicBool; 2],
}

/// The address of the broker cannot be used. It is not shown, since it holds a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("queue.broker is no address of a RabbitMQ server: write amqp://USER:PASSWORD@HOST:PORT/VHOST")]
pub struct NoAddress;

impl Broker {
    /// The configured one, if there is. Connects to nothing yet.
    ///
    /// # Errors
    /// If its address cannot be used.
    pub fn new(config: &Queue, metrics: &Metrics) -> Result<Option<Self>, NoAddress> {
        let address = config.broker.expose();
        if address.is_empty() {
            return Ok(None);
        }
        let mut uri: AMQPUri = address.parse().map_err(|_| NoAddress)?;
        // The parser gives up on an IPv6 address and takes localhost.
        let url: url::Url = address.parse().map_err(|_| NoAddress)?;
        let host = url.host_str().ok_or(NoAddress)?;
        host.trim_matches(['[', ']']).clone_into(&mut uri.authority.host);
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        uri.query.frame_max.get_or_insert(FRAME);
        Ok(Some(Self(Arc::new(Inner {
            uri,
            config: config.clone(),
            breaker: Breaker::new("broker", metrics.clone()),
            metrics: metrics.clone(),
            connected: Default::default(),
        }))))
    }

    /// Whether messages can be given to it and come from it. That it is frozen is noticed after twice the heartbeat.
    pub fn is_connected(&self) -> bool {
        self.0.connected.iter().all(|connected| connected.load(Ordering::Relaxed))
    }

    fn set_connected(&self, role: Role, connected: bool) {
        self.0.connected[role as usize].store(connected, Ordering::Relaxed);
    }

    /// How often something is looked at when nobody says that it has changed.
    fn poll(&self) -> Duration {
        self.0.config.poll
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(address: &str) -> Result<Option<Broker>, NoAddress> {
        let config = crate::config::Config::load(&crate::config::Sources::default()).unwrap().queue;
        Broker::new(&Queue { broker: address.to_owned().into(), ..config }, &Metrics::default())
    }

    #[test]
    fn an_address_gives_host_port_and_host_name_space() {
        for (address, host, port, vhost) in [
            ("amqp://user:word@127.0.0.1:5673/%2f", "127.0.0.1", 5673, "/"),
            ("amqp://user:word@broker.example", "broker.example", 5672, "/"),
            ("amqp://user:word@[::1]:5673/orders", "::1", 5673, "orders"),
        ] {
            let uri = broker(address).unwrap().unwrap().0.uri.clone();
            assert_eq!((uri.authority.host.as_str(), uri.authority.port, uri.vhost.as_str()), (host, port, vhost));
        }
        assert!(broker("").unwrap().is_none());
        assert_eq!(broker("amqp://user@host?heartbeat=soon").err(), Some(NoAddress));
    }
}
