//! Profiles of processor time.

use std::time::SystemTime;

use crate::{
    client::{Connection, Request},
    decode,
    process::{OFFICE, Process, until},
};

/// Whether a process ignores a signal, and whether it catches it.
fn disposition(process: &Process, signal: u32) -> (bool, bool) {
    let status = std::fs::read_to_string(process.proc("status")).unwrap();
    let mask = |name: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap() >> (signal - 1) & 1 == 1
    };
    (mask("SigIgn:"), mask("SigCgt:"))
}

const SIGPROF: u32 = 27;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_service_is_seen_at_its_work_and_loses_nothing() {
    let process = Process::start(&[], &[]);
    let load = process.load();
    let before = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let answer = process.look("/debug/profile?seconds=3&hz=250&format=pprof").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"orderflow-cpu.pb.gz\""));
    let profile = decode::profile(&answer.body);
    assert_eq!(profile.measures, [("samples".to_owned(), "count".to_owned())]);
    assert_eq!((profile.period.0.as_str(), profile.every), ("cpu", 4_000_000));
    assert!(profile.duration >= 3_000_000_000 && profile.started >= before);
    let samples: i64 = profile.samples.iter().map(|sample| sample.values[0]).sum();
    assert!(samples >= 20, "in three seconds of work there are some samples: {samples}");
    let is_work = |name: &String| name.contains("orderflow::http::") || name.contains("orderflow::store::");
    let at_work = profile.samples.iter().filter(|sample| sample.functions.iter().any(is_work)).count();
    assert!(at_work > 0, "{:?}", profile.samples.iter().take(5).collect::<Vec<_>>());
    for sample in &profile.samples {
        let handler = |name: &String| name.contains("pprof::") || name.contains("trace_unsynchronized");
        assert!(!sample.functions.iter().any(handler), "a sample begins where the service was: {sample:?}");
        assert_eq!(sample.labels[0].0, "thread", "{sample:?}");
    }

    let picture = process.look("/debug/profile?seconds=2&format=svg").await;
    assert_eq!((picture.status, picture.header("content-type")), (200, Some("image/svg+xml")));
    assert!(picture.header("content-security-policy").unwrap().contains("sandbox allow-scripts"));
    let text = picture.text();
    assert!(text.contains("<svg") && text.contains("Processor time: ") && text.contains("orderflow::"), "{text}");

    // Signals interrupt calls of the system all the time, and no request notices.
    assert!(load.end().await > 0);
    assert_eq!(disposition(&process, SIGPROF), (true, false), "nothing is left of the signal");
    assert_eq!(process.number("profiles_total{kind=\"cpu\",outcome=\"done\"}").await, Some(2.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_service_is_not_made_to_look_busy() {
    let process = Process::start(&[], &[]);
    let picture = process.look("/debug/profile?seconds=1&hz=1").await;
    assert_eq!(picture.status, 200);
    assert!(picture.text().starts_with("<svg") && picture.text().contains("No samples in 1."), "{}", picture.text());
    let profile = decode::profile(&process.look("/debug/profile?seconds=1&hz=1&format=pprof").await.body);
    assert!(profile.samples.is_empty(), "{profile:?}");
    assert!(profile.comments[0].starts_with("No samples in 1."), "{profile:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_is_taken_at_a_time_and_ends_when_its_client_goes() {
    let process = Process::start(&[], &[("ops.max_profile", "2m")]);
    let mut first = Connection::open(process.ops).await;
    first.write(&Request::new(process.ops, "GET", "/debug/profile?seconds=120").bytes()).await;
    until("the first has begun", async || disposition(&process, SIGPROF).1).await;
    let refused = process.look("/debug/profile?seconds=1").await;
    refused.problem("profile-taken");
    let left: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=121).contains(&left), "{left}");
    drop(first);
    until("the next is taken", async || process.look("/debug/profile?seconds=1").await.status == 200).await;
    let outcome = async |outcome: &str| {
        process.number(&format!("profiles_total{{kind=\"cpu\",outcome=\"{outcome}\"}}")).await.unwrap_or(0.0)
    };
    assert_eq!(outcome("abandoned").await, 1.0);
    assert!(outcome("busy").await >= 1.0 && outcome("done").await == 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_process_does_not_wait_for_a_profile() {
    let process = Process::start(&[], &[("ops.max_profile", "10m"), ("http.drain_timeout", "10m")]);
    let mut client = Connection::open(process.ops).await;
    let target = "/debug/profile?seconds=600&hz=1&format=pprof";
    client.write(&Request::new(process.ops, "GET", target).bytes()).await;
    until("the profile is being taken", async || disposition(&process, SIGPROF).1).await;
    process.terminate();
    let answer = client.answer(false).await.expect("what there is of the profile");
    assert_eq!(answer.status, 200);
    assert!(decode::profile(&answer.body).duration < 600_000_000_000);
    assert!(process.ended().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_wrongly_is_refused_and_said() {
    let process = Process::start(&[], &[("ops.max_profile", "5s")]);
    for (query, field) in [
        ("seconds=6", "seconds"),
        ("seconds=0", "seconds"),
        ("seconds=-1", "seconds"),
        ("seconds=1.5", "seconds"),
        ("seconds=+1", "seconds"),
        ("seconds=99999999999999999999", "seconds"),
        ("seconds=1&seconds=1", "seconds"),
        ("hz=0", "hz"),
        ("hz=1000", "hz"),
        ("format=png", "format"),
        ("depth=3", "depth"),
    ] {
        process.look(&format!("/debug/profile?{query}")).await.fault("bad-request", field);
    }
    assert_eq!(process.number("profiles_total{kind=\"cpu\",outcome=\"refused\"}").await, Some(11.0));
    // Who asks for the head only gets it, and no profile is taken for that.
    let head = Request::new(process.ops, "HEAD", "/debug/profile?seconds=5").key(OFFICE).send().await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("image/svg+xml")));
    assert_eq!(disposition(&process, SIGPROF), (false, false), "no profile was ever taken");
}
