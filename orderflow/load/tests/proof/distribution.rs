//! What the generator says of a server's times against what the server knows of them.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use orderflow_load::{Draft, Options, RequestDraft};

use crate::server::{Server, answer};

/// Milliseconds for every thousandth of the requests: a body around 100, a tenth around 200, a hundredth around 400, and
/// two of a thousand at 800. Neighbours in time are not neighbours in the table, 377 having no divisor in common with 1000.
fn milliseconds(number: u64) -> u64 {
    match number * 377 % 1000 {
        at @ 0..900 => 80 + at / 22,
        at @ 900..985 => 180 + (at - 900) / 2,
        at @ 985..998 => 380 + (at - 985) * 3,
        _ => 800,
    }
}

#[test]
fn service_times_are_the_servers_own_within_5_percent() {
    let truth = Arc::<Mutex<Vec<Duration>>>::default();
    let told = truth.clone();
    let server = Server::start(move |request, stream| {
        let start = Instant::now();
        thread::sleep(Duration::from_millis(milliseconds(request.number)));
        let then = answer(stream, 200, "{}");
        told.lock().unwrap().push(start.elapsed());
        then
    });
    let draft = Draft::open("distribution", 128).rate(8.0, 250.0).request(RequestDraft::get("/"));
    let outcome = server.load(&draft, &Options::default());
    let mut truth = truth.lock().unwrap().clone();
    truth.sort_unstable();
    assert_eq!((outcome.counts.ok, truth.len()), (2000, 2000));
    let service = outcome.service.unwrap();
    for (share, measured) in [(0.5, service.p50_ms), (0.99, service.p99_ms), (0.999, service.p99_9_ms)] {
        let known = truth[(share * truth.len() as f64).ceil() as usize - 1].as_secs_f64() * 1000.0;
        let error = (measured - known).abs() / known;
        assert!(error < 0.05, "at {share}: the server took {known:.1} ms, the generator says {measured:.1} ms");
    }
}
