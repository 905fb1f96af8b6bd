//! Which requests are kept for `/debug/traces`, and how many of them.

use std::time::{Duration, Instant};

use orderflow::telemetry::Search;

use crate::{
    seen::trace,
    watched::{Stage, Trouble},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_or_was_slow_is_kept_without_a_trace_too() {
    let settings = [
        ("telemetry.traces_ratio", "0"),
        ("telemetry.traces_per_route", "0"),
        ("telemetry.slow_request", "1h"),
        ("database.coalesce_reads", "false"),
    ];
    let stage = Stage::with(&settings).await;
    stage.get("/api/products/1").await.ok(200);
    stage.get("/nowhere").await.problem("not-found");
    stage.store.next(Trouble::Panics);
    let failed = stage.get("/api/products/2").await;
    let found = stage.recent().traces(&Search { limit: 10, ..Search::default() });
    let [found] = &found[..] else { panic!("one of the three failed: {found:?}") };
    assert_eq!(found.id, trace(&failed).trace);
    assert_eq!((found.trace.status(), found.trace.route()), (Some(500), Some("/api/products/{id}")));

    let slow = Stage::with(&[&settings[..2], &[("telemetry.slow_request", "1ms")]].concat()).await;
    slow.store.hold();
    let request = slow.start_get("/api/products/1");
    slow.store.holds(1).await;
    tokio::time::sleep(Duration::from_millis(2)).await;
    slow.store.release();
    assert_eq!(request.await.unwrap().status, 200);
    let kept = slow.recent().traces(&Search { limit: 10, ..Search::default() });
    assert!(kept.iter().any(|found| found.trace.status() == Some(200)), "{kept:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_brings_no_more_traces_of_a_route_than_are_kept() {
    let settings = [("telemetry.traces_ratio", "1"), ("telemetry.traces_kept", "3"), ("telemetry.slow_request", "1h")];
    // Seconds are counted from when the service was made. What takes longer than one shows nothing, and is done again.
    for _ in 0..20 {
        let began = Instant::now();
        let stage = Stage::with(&settings).await;
        let mut came = Vec::new();
        for id in 1..=6 {
            came.push(trace(&stage.get(&format!("/api/products/{id}")).await).trace);
        }
        let other = trace(&stage.get("/api/stats").await).trace;
        let found = stage.recent().traces(&Search { limit: 10, ..Search::default() });
        if began.elapsed() > Duration::from_secs(1) {
            continue;
        }
        // Three have room: the last of them is another route's, and before it the second's fourth was not let in.
        let kept: Vec<_> = found.iter().map(|found| found.id).collect();
        assert_eq!(kept, [other, came[2], came[1]]);
        return;
    }
    panic!("seven requests never fitted into a second");
}
