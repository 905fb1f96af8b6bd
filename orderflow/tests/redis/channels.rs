//! Who listens hears what is sent, learns when it may have missed something, and hears again.

use orderflow::{
    metrics::Metrics,
    redis::{Event, Redis as Client},
};
use orderflow_servers::{Link, Redis, needs};

use crate::{shop::config, waiting::PATIENCE};

fn client(url: &str) -> Client {
    let settings = [("redis.url", url), ("redis.prefix", "channels")];
    Client::connect(&config(&std::env::temp_dir(), &settings).redis, Metrics::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_learns_what_is_sent_and_when_it_may_have_missed_something() {
    let Some(redis) = needs(Redis::shared()) else { return };
    let link = Link::to(redis.port()).unwrap();
    let (speaker, listener) = (client(&redis.url()), client(&link.url(&redis.url())));
    crate::waiting::until("the speaker is connected", async || speaker.ping().await.is_ok()).await;
    let mut heard = listener.subscribe(&["one", "two"]);
    let mut next = async || tokio::time::timeout(PATIENCE, heard.next()).await.unwrap();
    let message =
        |channel: &str, bytes: &'static [u8]| Event::Message { channel: channel.to_owned(), bytes: bytes.into() };
    assert_eq!(next().await, Event::Connected);
    for hangs in [false, true] {
        speaker.publish("two", b"\0 any bytes \xff").await.unwrap();
        speaker.publish("three", b"for others").await.unwrap();
        speaker.publish("one", b"").await.unwrap();
        assert_eq!(next().await, message("two", b"\0 any bytes \xff"));
        assert_eq!(next().await, message("one", b""));
        // A connection that hangs is noticed as one that breaks is.
        if hangs {
            link.hang(true);
        } else {
            link.cut();
        }
        assert_eq!(next().await, Event::Lost);
        link.hang(false);
        assert_eq!(next().await, Event::Connected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_listen_in_time_is_told_that_it_has_missed_something() {
    let Some(redis) = needs(Redis::shared()) else { return };
    let (speaker, listener) = (client(&redis.url()), client(&redis.url()));
    crate::waiting::until("the speaker is connected", async || speaker.ping().await.is_ok()).await;
    let mut heard = listener.subscribe(&["much"]);
    let mut next = async || tokio::time::timeout(PATIENCE, heard.next()).await.unwrap();
    assert_eq!(next().await, Event::Connected);
    for _ in 0..5_000 {
        speaker.publish("much", b"more").await.unwrap();
    }
    let mut messages = 0;
    while next().await != Event::Lost {
        messages += 1;
    }
    assert!((1..5_000).contains(&messages), "{messages}");
    assert_eq!(next().await, Event::Connected);
}
