//! Telling other instances that there is something to read, and being told. It only makes events quicker: whoever hears
//! nothing finds them by looking every `events.poll`.

use std::time::Duration;

use crate::{
    background::Stop,
    config::{Config, Pooler},
    resilience::Backoff,
    store::{Result, postgres::Line},
};

use super::Events;

/// What it is said on.
const CHANNEL: &str = "orderflow_orders";
/// The least time between two announcements: however many orders there are, they are announced together.
const TOGETHER: Duration = Duration::from_millis(10);
/// How often a connection on which nothing is heard is asked whether it lives.
const CHECK: Duration = Duration::from_secs(30);
/// How long it takes until a lost connection is opened again.
const AGAIN: Backoff = Backoff { base: Duration::from_millis(50), most: Duration::from_secs(5) };

/// By what instances tell each other.
#[derive(Debug, Clone)]
pub enum Announcer {
    /// By nothing: there is one instance, or they look every `events.poll`.
    Nobody,
    /// By the database, at this address.
    Postgres(crate::config::Secret),
}

impl Announcer {
    /// The one that the configuration leads to.
    pub fn of(config: &Config) -> Self {
        let database = &config.database;
        let direct = if database.direct_url.expose().is_empty() { &database.url } else { &database.direct_url };
        let pooled = database.pooler == Pooler::Transaction && database.direct_url.expose().is_empty();
        // A pooler would lend the connection that listens to somebody else.
        if pooled || !direct.expose().starts_with("postgres") { Self::Nobody } else { Self::Postgres(direct.clone()) }
    }
}

/// Announces what is placed here and wakes the events by what is heard, until it is time to stop.
pub async fn announce(events: Events, announcer: Announcer, mut stop: Stop) {
    let Announcer::Postgres(url) = announcer else { return };
    // An instance does not wake itself by what it says to others.
    let name = format!("{:016x}", fastrand::u64(..));
    let talking = async {
        // Who neither listens nor places orders needs no connection.
        events.0.needed.notified().await;
        let mut failed = 0;
        loop {
            match Line::open(url.expose(), CHANNEL).await {
                Ok(mut line) => {
                    failed = 0;
                    // Whatever was said before was not heard here, and perhaps not said.
                    events.wake();
                    events.0.placed.notify_one();
                    let lost = talk(&events, &mut line, &name).await;
                    tracing::info!(error = ?lost.err(), "the connection that hears of events is lost; opening another");
                }
                Err(error) if failed == 0 => tracing::warn!(%error, "events of other instances are not heard of"),
                Err(_) => {}
            }
            failed += 1;
            tokio::time::sleep(AGAIN.after(failed)).await;
        }
    };
    tokio::select! {
        () = talking => {}
        () = stop.wait() => {}
    }
}

/// Listens and announces until the connection is lost.
async fn talk(events: &Events, line: &mut Line, name: &str) -> Result<()> {
    loop {
        tokio::select! {
            heard = line.hear() => {
                if heard? != name {
                    events.wake();
                }
            }
            () = events.0.placed.notified() => {
                line.say(name).await?;
                tokio::time::sleep(TOGETHER).await;
            }
            () = tokio::time::sleep(CHECK) => line.check().await?,
        }
    }
}
