//! The lesson of coordinated omission: a server freezes for a second while the world goes on.

use std::{
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use orderflow_load::{Draft, Options, Outcome, RequestDraft};

use crate::server::{Server, answer};

const STALL_FROM: Duration = Duration::from_secs(2);
const STALL: Duration = Duration::from_secs(1);
const SECONDS: f64 = 5.0;

/// Answers after `delay`, or at the end of the stall if that is when the answer would be due.
fn stalling(delay: Duration) -> Server {
    let first = OnceLock::new();
    Server::start(move |_, stream| {
        let stall = *first.get_or_init(Instant::now) + STALL_FROM;
        thread::sleep(delay);
        let now = Instant::now();
        if (stall..stall + STALL).contains(&now) {
            thread::sleep(stall + STALL - now);
        }
        answer(stream, 200, "{}")
    })
}

/// Next to nothing of the wait may be missing. A machine that is busy with other things makes it longer, so above there is
/// room; a wait that is counted twice has none.
#[track_caller]
fn close(what: &str, measured_ms: f64, expected_ms: f64) {
    let within = 0.95 * expected_ms..1.5 * expected_ms;
    assert!(within.contains(&measured_ms), "{what} is {measured_ms:.1} ms; the stall makes it {expected_ms:.1} ms");
}

fn open(connections: u32, delay: Duration) -> Outcome {
    let draft = Draft::open("stall", connections).rate(SECONDS, 200.0).request(RequestDraft::get("/"));
    let outcome = stalling(delay).load(&draft, &Options::default());
    assert_eq!((outcome.counts.arrivals, outcome.counts.ok), (1000, 1000));
    outcome
}

/// With a connection for everybody. Of 5 s, arrivals of one second wait for the end of the stall: those due from 0.1 s
/// before it to 0.1 s before its end, who take between 1.1 s and 0.1 s, evenly. The other 80 % take 0.1 s. So share q above
/// 0.8 takes 0.1 + (q - 0.8) / 0.2 seconds.
#[test]
fn everybody_who_waits_is_counted() {
    let outcome = open(300, Duration::from_millis(100));
    close("p50", outcome.latency.p50_ms, 100.0);
    close("p99", outcome.latency.p99_ms, 1050.0);
    close("p99.9", outcome.latency.p99_9_ms, 1095.0);
}

/// With eight connections only eight requests are sent into the stall. The 192 others wait to be sent, and that wait is
/// theirs all the same: share q above 0.8 takes (q - 0.8) / 0.2 seconds. From the send, 99 % saw nothing.
#[test]
fn waiting_for_a_connection_is_waiting() {
    let outcome = open(8, Duration::ZERO);
    close("p90", outcome.latency.p90_ms, 500.0);
    close("p99", outcome.latency.p99_ms, 950.0);
    close("p99.9", outcome.latency.p99_9_ms, 995.0);
    let service = outcome.service.unwrap();
    assert!(service.p99_ms < 95.0, "from the send the p99 is {} ms", service.p99_ms);
    close("the longest from the send", service.max_ms, 1000.0);
}

/// The same server, asked by eight users in a closed loop: eight requests of thousands see the stall, and the p99 is as if
/// nothing had been.
#[test]
fn a_closed_loop_misses_it() {
    let draft = Draft::closed("stall", 8).seconds(SECONDS).request(RequestDraft::get("/"));
    let outcome = stalling(Duration::ZERO).load(&draft, &Options::default());
    assert!(outcome.counts.ok > 1000, "{} answers are too few to compare", outcome.counts.ok);
    close("the longest", outcome.latency.max_ms, 1000.0);
    assert!(outcome.latency.p99_ms < 95.0, "the p99 is {} ms", outcome.latency.p99_ms);
    assert!(outcome.model_in_words.contains("closed loop"));
    assert_eq!(outcome.service, None);
}
