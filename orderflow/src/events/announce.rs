//! Telling other instances that there is something to read, and being told. It only makes events quicker: whoever hears
//! nothing finds them by looking every `events.poll`.

use std::time::Duration;

use super::Events;
use crate::{
    background::Stop,
    config::{Config, Secret},
    redis::{Event, Redis},
    resilience::Backoff,
    store::{Result, postgres::Line},
};

/// What it is said on, in PostgreSQL and, behind the prefix, in Redis.
const CHANNEL: &str = "orderflow_orders";
const REDIS_CHANNEL: &str = "orders";
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
    Postgres(Secret),
    /// By Redis.
    Redis(Redis),
}

impl Announcer {
    /// The one that the configuration leads to: Redis where there is one, which keeps such words away from the database.
    pub fn of(config: &Config, redis: Option<&Redis>) -> Self {
        if let Some(redis) = redis {
            return Self::Redis(redis.clone());
        }
        let direct = config.database.session_url();
        if direct.starts_with("postgres") { Self::Postgres(Secret::from(direct.to_owned())) } else { Self::Nobody }
    }
}

/// Announces what is placed here and wakes the events by what is heard, until it is time to stop.
pub async fn announce(events: Events, announcer: Announcer, mut stop: Stop) {
    // An instance does not wake itself by what it says to others.
    let name = format!("{:016x}", fastrand::u64(..));
    let talking = async {
        // Who neither listens nor places orders needs no connection.
        events.0.needed.notified().await;
        match announcer {
            Announcer::Nobody => {}
            Announcer::Postgres(url) => by_postgres(&events, &url, &name).await,
            Announcer::Redis(redis) => by_redis(&events, &redis, &name).await,
        }
    };
    tokio::select! {
        () = talking => {}
        () = stop.wait() => {}
    }
}

async fn by_postgres(events: &Events, url: &Secret, name: &str) {
    let mut failed = 0;
    loop {
        match Line::open(url.expose(), CHANNEL).await {
            Ok(mut line) => {
                failed = 0;
                // Whatever was said before was not heard here, and perhaps not said.
                events.wake();
                events.0.placed.notify_one();
                if let Err(error) = talk(events, &mut line, name).await {
                    tracing::info!(%error, "the connection that hears of events is lost; opening another");
                }
            }
            Err(error) if failed == 0 => tracing::warn!(%error, "events of other instances are not heard of"),
            Err(_) => {}
        }
        failed += 1;
        tokio::time::sleep(AGAIN.after(failed)).await;
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

async fn by_redis(events: &Events, redis: &Redis, name: &str) {
    let mut heard = redis.subscribe(&[REDIS_CHANNEL]);
    let hearing = async {
        loop {
            match heard.next().await {
                // Whatever was said before was not heard here, and perhaps not said.
                Event::Connected => {
                    events.wake();
                    events.0.placed.notify_one();
                }
                Event::Message { bytes, .. } if bytes != name.as_bytes() => events.wake(),
                Event::Message { .. } | Event::Lost => {}
            }
        }
    };
    let saying = async {
        let mut failed = 0;
        loop {
            events.0.placed.notified().await;
            // While Redis is away it is tried again: others would hear of this order only by looking.
            while redis.publish(REDIS_CHANNEL, name.as_bytes()).await.is_err() {
                failed += 1;
                tokio::time::sleep(AGAIN.after(failed)).await;
            }
            failed = 0;
            tokio::time::sleep(TOGETHER).await;
        }
    };
    tokio::join!(hearing, saying);
}
