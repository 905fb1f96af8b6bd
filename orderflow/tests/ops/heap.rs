//! Profiles of memory.

use crate::{
    decode,
    process::{Process, until},
};

const VARIABLE: &str = "_RJEM_MALLOC_CONF";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_has_the_names_of_those_who_allocated_it() {
    // Finer than usual, so that a small service has something to show.
    let process = Process::start(&[(VARIABLE, "prof:true,prof_active:false,lg_prof_sample:10")], &[]);
    let load = process.load();
    let answer = process.look("/debug/heap?seconds=2&format=pprof").await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let profile = decode::profile(&answer.body);
    assert_eq!(profile.measures, [("inuse_space".to_owned(), "bytes".to_owned())]);
    assert_eq!((profile.period.0.as_str(), profile.every), ("space", 1 << 10));
    assert!(profile.samples.iter().all(|sample| sample.values[0] > 0 && !sample.functions.is_empty()));
    let ours = |name: &String| name.contains("orderflow::");
    assert!(profile.samples.iter().any(|sample| sample.functions.iter().any(ours)), "{:?}", profile.samples);
    let innermost = |sample: &decode::Sample| sample.functions[0].starts_with("_rjem_");
    assert!(!profile.samples.iter().any(innermost), "the allocator's own functions say nothing");
    assert!(profile.comments[0].contains("allocated in 2."), "{:?}", profile.comments);

    let picture = process.look("/debug/heap?seconds=1").await;
    assert!(picture.text().contains("is still held") && picture.text().contains("orderflow::"));
    load.end().await;
    assert_eq!(process.number("profiles_total{kind=\"heap\",outcome=\"done\"}").await, Some(2.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_noted_from_the_beginning_is_shown_at_once() {
    let process = Process::start(&[(VARIABLE, "prof:true,prof_active:true,lg_prof_sample:12")], &[]);
    let profile = decode::profile(&process.look("/debug/heap?seconds=60&format=pprof").await.body);
    assert!(profile.comments[0].contains("since the process began"), "{:?}", profile.comments);
    assert!(profile.duration < 60_000_000_000, "nobody waited");
    assert!(!profile.samples.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allocator_that_does_not_note_is_told_how_to() {
    let process = Process::start(&[(VARIABLE, "prof:false")], &[]);
    let detail = process.look("/debug/heap").await.problem("no-profile")["detail"].to_string();
    assert!(detail.contains("_RJEM_MALLOC_CONF=prof:true"), "{detail}");
    process.look("/debug/heap?hz=9").await.fault("bad-request", "hz");
    let refused = async || process.number("profiles_total{kind=\"heap\",outcome=\"refused\"}").await == Some(2.0);
    until("both are counted", refused).await;
}
