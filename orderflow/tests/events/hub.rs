//! What hands events out, on a feed and a clock that the tests move.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use orderflow::{
    background::Background,
    config,
    domain::{Cents, CustomerId, OrderId, Timestamp},
    events::{Batch, Cursor, Event, Events, Feed, Listener, OrderPlaced},
    metrics::Metrics,
    store::{Result, StoreError},
};
use tokio::time::sleep;

const HOUR: Duration = Duration::from_hours(1);

/// A feed of numbered events that counts how often it is read, and fails where a test says so.
#[derive(Default)]
struct Numbers {
    last: Mutex<i64>,
    reads: AtomicUsize,
    fails: AtomicBool,
}

fn at(row: i64) -> Cursor {
    Cursor { transaction: 0, row, at: 1_000 }
}

#[async_trait::async_trait]
impl Feed for Numbers {
    async fn now(&self) -> Result<Cursor> {
        self.look()
    }

    async fn after(&self, cursor: Cursor, most: u32) -> Result<Batch> {
        let now = self.look()?;
        let events = (cursor.row + 1..=now.row).map(|row| Event {
            cursor: at(row),
            order: OrderPlaced {
                order_id: OrderId::try_from(row).unwrap(),
                customer_id: CustomerId::try_from(1).unwrap(),
                total_cents: Cents::default(),
                placed_at: Timestamp::from_micros(0).unwrap(),
            },
        });
        let mut events: Vec<_> = events.take(most as usize + 1).collect();
        let more = events.len() > most as usize;
        events.truncate(most as usize);
        Ok(Batch { events, more, pending: false, now })
    }
}

impl Numbers {
    fn look(&self) -> Result<Cursor> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) { Err(StoreError::Busy) } else { Ok(at(*self.last.lock().unwrap())) }
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    fn place(&self, events: i64) {
        *self.last.lock().unwrap() += events;
    }
}

struct Stage {
    numbers: Arc<Numbers>,
    events: Events,
    metrics: Metrics,
    background: Background,
}

fn stage(max_streams: usize, buffer: usize) -> Stage {
    let (numbers, metrics) = (Arc::<Numbers>::default(), Metrics::default());
    let settings = config::Events { max_streams, buffer, retention: HOUR, poll: Duration::from_secs(1) };
    let events = Events::new(settings, numbers.clone(), metrics.clone());
    let mut background = Background::default();
    background.spawn(|stop| events.clone().run(stop));
    Stage { numbers, events, metrics, background }
}

impl Stage {
    fn says(&self, line: &str) {
        let text = self.metrics.text();
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

/// The next piece as text.
async fn next(listener: &mut Listener) -> Option<String> {
    listener.next().await.map(|piece| String::from_utf8(piece.to_vec()).unwrap())
}

/// A listener that has been told where it is.
async fn listening(events: &Events) -> Listener {
    let mut listener = events.listen(None).unwrap();
    assert!(next(&mut listener).await.unwrap().starts_with("retry: "));
    assert!(next(&mut listener).await.unwrap().starts_with("id: "));
    listener
}

/// The numbers of the orders in a piece.
fn numbers(piece: &str) -> Vec<i64> {
    let data = piece.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str::<serde_json::Value>(data).unwrap()["order_id"].as_i64().unwrap()).collect()
}

/// Listens until this many events were heard.
async fn hear(listener: &mut Listener, count: usize) -> Vec<i64> {
    let mut heard = vec![];
    while heard.len() < count {
        heard.extend(numbers(&next(listener).await.expect("it goes on")));
    }
    heard
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_while_nobody_listens() {
    let stage = stage(10, 16);
    sleep(HOUR).await;
    for _ in 0..10 {
        stage.numbers.place(1);
        stage.events.placed();
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(stage.numbers.reads(), 0);
    let mut listener = listening(&stage.events).await;
    stage.numbers.place(2);
    assert_eq!(hear(&mut listener, 2).await, [11, 12]);
    sleep(HOUR).await;
    let reads = stage.numbers.reads();
    assert!((3_600..3_700).contains(&reads), "{reads} reads in an hour, one each second");
    drop(listener);
    sleep(Duration::from_secs(2)).await;
    let reads = stage.numbers.reads();
    sleep(HOUR).await;
    assert_eq!(stage.numbers.reads(), reads);
    assert!(stage.background.end(Duration::from_secs(1)).await);
}

#[tokio::test(start_paused = true)]
async fn many_events_at_once_are_read_in_pages_and_whoever_follows_hears_them_all() {
    let stage = stage(10, 16);
    let mut listener = listening(&stage.events).await;
    let reads = stage.numbers.reads();
    stage.numbers.place(1_000);
    assert_eq!(hear(&mut listener, 1_000).await, (1..=1_000).collect::<Vec<_>>());
    assert!(stage.numbers.reads() - reads >= 1_000 / 8, "half of the buffer at a time");
    stage.says("events_sent_total 1000");
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_follow_is_dropped_and_the_others_go_on() {
    let stage = stage(10, 16);
    let (mut slow, mut quick) = (listening(&stage.events).await, listening(&stage.events).await);
    let gone = listening(&stage.events).await;
    stage.numbers.place(500);
    assert_eq!(hear(&mut quick, 500).await, (1..=500).collect::<Vec<_>>());
    let farewell = next(&mut slow).await.unwrap();
    assert!(
        farewell.starts_with(": ") && farewell.contains("\nretry: ") && numbers(&farewell).is_empty(),
        "{farewell}"
    );
    assert_eq!(next(&mut slow).await, None);
    stage.says("event_streams_dropped_total{reason=\"lagged\"} 1");
    // One whose connection takes nothing is not even told: it is found out when that ends.
    drop(gone);
    stage.says("event_streams_dropped_total{reason=\"stalled\"} 1");
    stage.numbers.place(1);
    assert_eq!(hear(&mut quick, 1).await, [501]);
    drop(slow);
    stage.says("event_streams 1");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_listener_hears_signs_of_life_with_a_place_that_stays_young() {
    let stage = stage(10, 16);
    let mut listener = listening(&stage.events).await;
    for _ in 0..10 {
        let began = tokio::time::Instant::now();
        assert_eq!(next(&mut listener).await.unwrap(), ": still here\nid: 0.0.1000\n\n");
        assert!((14..=15).contains(&began.elapsed().as_secs()));
    }
    stage.numbers.place(1);
    assert_eq!(hear(&mut listener, 1).await, [1]);
    assert_eq!(next(&mut listener).await.unwrap(), ": still here\nid: 0.1.1000\n\n");
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_fails_is_asked_again_and_nothing_is_lost() {
    let stage = stage(10, 16);
    stage.numbers.fails.store(true, Ordering::SeqCst);
    let mut listener = stage.events.listen(None).unwrap();
    assert!(next(&mut listener).await.unwrap().starts_with("retry: "));
    for _ in 0..3 {
        assert_eq!(next(&mut listener).await.unwrap(), ": still here\n\n");
    }
    stage.numbers.fails.store(false, Ordering::SeqCst);
    assert_eq!(next(&mut listener).await.unwrap(), "id: 0.0.1000\n\n");
    stage.numbers.fails.store(true, Ordering::SeqCst);
    stage.numbers.place(3);
    let mut back = stage.events.listen(Some("0.0.1000")).unwrap();
    assert!(next(&mut back).await.unwrap().starts_with("retry: "));
    let reads = stage.numbers.reads();
    sleep(Duration::from_mins(1)).await;
    let asked = stage.numbers.reads() - reads;
    assert!((30..240).contains(&asked), "{asked} times in a minute");
    stage.numbers.fails.store(false, Ordering::SeqCst);
    assert_eq!(hear(&mut listener, 3).await, [1, 2, 3]);
    assert_eq!(hear(&mut back, 3).await, [1, 2, 3]);
    stage.numbers.place(1);
    assert_eq!((hear(&mut listener, 1).await, hear(&mut back, 1).await), (vec![4], vec![4]));
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_at_once_to_those_who_listen_and_to_those_who_come() {
    let stage = stage(10, 16);
    let mut live = listening(&stage.events).await;
    let mut new = stage.events.listen(Some("0.0.1000")).unwrap();
    stage.numbers.place(5);
    stage.events.end_streams();
    let mut late = stage.events.listen(None).unwrap();
    for listener in [&mut live, &mut new, &mut late] {
        let farewell = next(listener).await.unwrap();
        let retry = farewell.lines().find_map(|line| line.strip_prefix("retry: ")).unwrap();
        assert!((500..=1_500).contains(&retry.parse::<u64>().unwrap()));
        assert!(farewell.starts_with(": "));
        assert_eq!(next(listener).await, None);
    }
    stage.says("event_streams_dropped_total{reason=\"draining\"} 3");
}

#[tokio::test(start_paused = true)]
async fn a_place_is_taken_as_long_as_somebody_listens() {
    let stage = stage(2, 16);
    let first = stage.events.listen(None).unwrap();
    let second = listening(&stage.events).await;
    assert!(stage.events.listen(None).is_err());
    stage.says("bulkhead_refusals_total{group=\"streams\"} 1");
    drop(first);
    let third = stage.events.listen(None).unwrap();
    assert!(stage.events.listen(Some("0.0.0")).is_err());
    drop((second, third));
    stage.says("event_streams 0");
}
