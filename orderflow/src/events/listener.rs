//! One listener: first what it missed, from the database, then what is new, as it is handed out.

use std::{collections::VecDeque, time::Duration};

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        watch,
    },
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};

use super::{
    Batch, Cursor, Events,
    hub::{Handed, PAGE, Seat},
    sse,
};
use crate::resilience::Place;

/// The most missed events that are sent one by one.
const REPLAYED: usize = 1_000;
/// How often something is sent to a client that nothing happens for: proxies give up on the silent.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// How long it takes until the database is asked again that did not answer.
const AGAIN: Duration = Duration::from_millis(500);
/// The most events in one piece.
const TOGETHER: usize = 64;

/// As many listen as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("as many clients listen to events as may")]
pub struct Refused;

/// A client that listens. What it is to be sent comes piece by piece from [`next`](Self::next).
pub struct Listener {
    ending: watch::Receiver<bool>,
    life: Interval,
    progress: Progress,
}

struct Progress {
    state: State,
    /// What comes next is after this.
    last: Cursor,
    events: Events,
    receiver: broadcast::Receiver<Handed>,
    _seat: Seat,
    _place: Place,
}

enum State {
    /// Nothing was sent yet. What the client came with: nothing, or an identifier, which may not be one.
    New(Option<Option<Cursor>>),
    /// Its first words were sent, and it waits until the feed is read.
    Waiting(Option<Option<Cursor>>),
    /// It is sent what it missed. So many were, and whether its place is one that can be gone on from is known after the
    /// first.
    Behind { sent: usize, known: bool },
    /// It is sent what is new.
    Live,
    /// It did not keep up.
    Lagging,
    /// Nothing is sent any more.
    Ended,
}

/// Why a client must read the list of orders anew.
#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum Why {
    /// The identifier is none that was given out here.
    Unknown,
    /// What came after it may not be kept any more.
    TooOld,
    /// More was missed than is sent one by one.
    TooMany,
}

/// What is said with `reset`.
#[derive(Debug, Serialize)]
struct Reset {
    reason: Why,
}

impl Listener {
    pub(super) fn new(events: Events, place: Place, last_id: Option<&str>) -> Self {
        let (seat, receiver) = events.0.join();
        let ending = events.0.ending.subscribe();
        let mut life = interval_at(Instant::now() + SIGN_OF_LIFE, SIGN_OF_LIFE);
        life.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let state = State::New(last_id.map(|id| id.parse().ok()));
        let last = Cursor { transaction: 0, row: 0, at: 0 };
        Self { ending, life, progress: Progress { state, last, events, receiver, _seat: seat, _place: place } }
    }

    /// What is to be sent next; `None` after the end. Can be abandoned and called again.
    pub async fn next(&mut self) -> Option<Bytes> {
        let Self { ending, life, progress } = self;
        if matches!(progress.state, State::Ended) {
            return None;
        }
        tokio::select! {
            biased;
            _ = ending.wait_for(|ending| *ending) => Some(progress.end("draining", "this instance ends; come back")),
            piece = progress.piece() => {
                life.reset();
                Some(piece)
            }
            _ = life.tick() => Some(progress.sign_of_life()),
        }
    }
}

impl Progress {
    /// Waits for something to send.
    async fn piece(&mut self) -> Bytes {
        loop {
            let piece = match self.state {
                State::New(asked) => {
                    self.state = State::Waiting(asked);
                    sse::retry(spread(1_000))
                }
                State::Waiting(asked) => self.begin(asked).await,
                State::Behind { sent, known } => self.catch_up(sent, known).await,
                State::Live => self.follow().await,
                State::Lagging => self.end("lagged", "too far behind; come back with the last id"),
                State::Ended => std::future::pending().await,
            };
            if !piece.is_empty() {
                return piece;
            }
        }
    }

    async fn begin(&mut self, asked: Option<Option<Cursor>>) -> Bytes {
        let handed = self.events.0.reading().await;
        match asked {
            Some(Some(cursor)) => {
                self.last = cursor;
                self.state = State::Behind { sent: 0, known: false };
                Bytes::new()
            }
            Some(None) => self.reset(Why::Unknown, handed),
            None => {
                (self.last, self.state) = (handed, State::Live);
                sse::id(handed)
            }
        }
    }

    /// One look at the database. Everything new since this listener came is in its receiver as well, and left out there.
    async fn catch_up(&mut self, sent: usize, known: bool) -> Bytes {
        let inner = &self.events.0;
        let most = PAGE.min((REPLAYED - sent) as u32);
        let found = {
            let _turn = inner.catching_up.acquire().await;
            inner.feed.after(self.last, most).await
        };
        // The feed itself tells the log when the database is away.
        let Ok(Batch { events, more, now, .. }) = found else {
            tokio::time::sleep(AGAIN).await;
            return Bytes::new();
        };
        if !known && self.last.is_after(now) {
            return self.reset(Why::Unknown, now);
        }
        let kept = i64::try_from(inner.settings.retention.as_secs()).unwrap_or(i64::MAX);
        if !known && self.last.at < now.at.saturating_sub(kept) {
            return self.reset(Why::TooOld, now);
        }
        let mut pieces: VecDeque<_> = events.iter().map(sse::order).collect();
        self.count(events.len());
        let sent = sent + events.len();
        if more && sent < REPLAYED {
            self.last = events.last().map_or(now, |event| event.cursor);
            self.state = State::Behind { sent, known: true };
        } else if more {
            pieces.push_back(self.reset(Why::TooMany, now));
        } else {
            (self.last, self.state) = (now, State::Live);
            pieces.push_back(sse::id(now));
        }
        joined(pieces)
    }

    /// What was handed out and is new here.
    async fn follow(&mut self) -> Bytes {
        let mut pieces = VecDeque::new();
        let mut next = self.receiver.recv().await;
        loop {
            match next {
                Ok(handed) if handed.cursor.is_after(self.last) => {
                    self.last = handed.cursor;
                    pieces.push_back(handed.text);
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_) | RecvError::Closed) => {
                    self.state = State::Lagging;
                    break;
                }
            }
            if pieces.len() >= TOGETHER {
                break;
            }
            next = match self.receiver.try_recv() {
                Ok(handed) => Ok(handed),
                Err(broadcast::error::TryRecvError::Lagged(by)) => Err(RecvError::Lagged(by)),
                Err(_) => break,
            };
        }
        self.count(pieces.len());
        joined(pieces)
    }

    /// The client must read the list anew, and then goes on from here.
    fn reset(&mut self, reason: Why, now: Cursor) -> Bytes {
        (self.last, self.state) = (now, State::Live);
        sse::event("reset", now, &Reset { reason })
    }

    fn end(&mut self, reason: &'static str, words: &str) -> Bytes {
        self.state = State::Ended;
        self.dropped(reason);
        joined([sse::comment(words), sse::retry(spread(500))].into())
    }

    /// With a newer place to come back with, if all up to there was sent: a client that hears nothing for a day has still
    /// missed nothing.
    fn sign_of_life(&mut self) -> Bytes {
        let handed = self.events.0.handed();
        // In this order: what is up to there was in the receiver by then.
        let all_sent = matches!(self.state, State::Live) && self.receiver.is_empty();
        let id = handed.filter(|handed| all_sent && !self.last.is_after(*handed));
        self.last = id.unwrap_or(self.last);
        sse::still_here(id)
    }

    fn count(&self, events: usize) {
        self.events.0.metrics.events_sent.inc_by(events as u64);
    }

    fn dropped(&self, reason: &'static str) {
        self.events.0.metrics.event_streams_dropped.get_or_create(&[("reason", reason)]).inc();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // A client that takes nothing is not told that it lags: its connection ends when nothing could be written for long.
        let behind = self.receiver.len() > self.events.0.settings.buffer;
        if behind && matches!(self.state, State::Live | State::Behind { .. }) {
            self.dropped("lagged");
        }
    }
}

/// As long as this and up to twice as long again, so that those who lost the same instance do not come back at once.
fn spread(millis: u64) -> Duration {
    Duration::from_millis(fastrand::u64(millis..=3 * millis))
}

fn joined(mut pieces: VecDeque<Bytes>) -> Bytes {
    if pieces.len() < 2 {
        return pieces.pop_front().unwrap_or_default();
    }
    let mut all = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    pieces.iter().for_each(|piece| all.extend_from_slice(piece));
    all.freeze()
}
