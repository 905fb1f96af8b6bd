//! No arrival is lost: each is answered, failed, dropped or unfinished, with any number of threads.

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use orderflow_load::{Draft, Options, Outcome, RequestDraft, ValueDraft};

use crate::server::{Server, answer};

fn adds_up(outcome: &Outcome) {
    let counts = &outcome.counts;
    let ends = counts.ok + counts.errors_in_all() + counts.dropped + counts.unfinished;
    assert_eq!(counts.arrivals, ends, "{counts:?}");
}

#[test]
fn what_finds_the_backlog_full_is_dropped_and_said() {
    // One connection at 5 answers a second, 100 arrivals a second: one is served, three wait, the rest is dropped.
    let server = Server::start(|_, stream| {
        thread::sleep(Duration::from_millis(200));
        answer(stream, 200, "{}")
    });
    let mut draft = Draft::open("full", 1).rate(1.0, 100.0).request(RequestDraft::get("/"));
    draft.backlog = Some(3);
    let outcome = server.load(&draft, &Options::default());
    adds_up(&outcome);
    let counts = &outcome.counts;
    assert_eq!(counts.arrivals, 100);
    assert!(counts.dropped >= 85 && counts.ok >= 4, "{counts:?}");
    assert_eq!(counts.unfinished, 0, "what waits at the end is still served");
    assert_eq!(outcome.error_rate, Some(counts.dropped as f64 / 100.0));
    assert!(outcome.warnings.iter().any(|warning| warning.contains("dropped")));
}

#[test]
fn threads_share_one_schedule_and_one_set_of_requests() {
    let lines = || {
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let told = seen.clone();
        let server = Server::start(move |request, stream| {
            told.lock().unwrap().push(request.line.clone());
            answer(stream, 200, "{}")
        });
        (server, seen)
    };
    let draft = Draft::open("threads", 6)
        .ramp(1.0, 100.0, 300.0)
        .value("id", ValueDraft::Uniform { from: 1, to: 1_000_000.into() })
        .request(RequestDraft::get("/a/{id}").weight(3))
        .request(RequestDraft::get("/b/{id}"));
    let mut all = Vec::new();
    for threads in [1, 3] {
        let (server, seen) = lines();
        let outcome = server.load(&draft, &Options { threads, ..Options::default() });
        adds_up(&outcome);
        assert_eq!((outcome.counts.ok, outcome.threads), (200, threads));
        let series: u64 = outcome.series.points.iter().map(|point| point.due).sum();
        assert_eq!(series, 200);
        let mut lines = seen.lock().unwrap().clone();
        lines.sort();
        all.push(lines);
    }
    assert_eq!(all[0], all[1], "the same seed asks for the same things with any number of threads");
}

#[test]
fn warm_up_is_in_the_series_only() {
    let server = Server::start(|_, stream| answer(stream, 200, "{}"));
    let draft = Draft::open("warm", 4).rate(2.0, 50.0).warmup(1.0).request(RequestDraft::get("/"));
    let outcome = server.load(&draft, &Options::default());
    assert_eq!((outcome.counts.arrivals, outcome.latency.count), (50, 50));
    assert_eq!(outcome.series.points.iter().map(|point| point.ok).sum::<u64>(), 100);
    assert!((outcome.offered_per_second.unwrap() - 50.0).abs() < 1e-6);
}

#[test]
fn an_interruption_ends_it_and_keeps_what_was_measured() {
    let server = Server::start(|_, stream| answer(stream, 200, "{}"));
    for draft in [
        Draft::open("long", 4).rate(600.0, 50.0).request(RequestDraft::get("/")),
        Draft::closed("long", 4).seconds(600.0).request(RequestDraft::get("/")),
    ] {
        let options = Options::default();
        let stop = options.stop.clone();
        let start = Instant::now();
        let target = orderflow_load::Target::new(&server.address.to_string(), false).unwrap();
        let outcome = orderflow_load::run(&draft.check().unwrap(), &target, &options, &mut |now| {
            if now.ok >= 10 {
                stop.store(true, Ordering::Relaxed);
            }
        });
        let outcome = outcome.unwrap();
        assert!(start.elapsed() < Duration::from_mins(1));
        assert!(outcome.interrupted && outcome.counts.ok >= 10 && outcome.seconds < 60.0, "{outcome:?}");
        assert!(outcome.warnings[0].starts_with("Interrupted"));
    }
}
