//! Servers that do what they should not: every request is counted as what it was, and nothing hangs.

use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use orderflow_load::{Draft, ErrorKind, Options, Outcome, RequestDraft, Target, run};

use crate::server::{Server, Then, answer};

fn options() -> Options {
    Options { timeout: Duration::from_millis(500), ..Options::default() }
}

fn draft() -> Draft {
    Draft::open("hostile", 20).rate(0.5, 40.0).request(RequestDraft::get("/").header("Accept", "*/*"))
}

fn against(handler: impl Fn(&mut TcpStream) -> Then + Send + Sync + 'static) -> Outcome {
    let start = Instant::now();
    let outcome = Server::start(move |_, stream| handler(stream)).load(&draft(), &options());
    assert!(start.elapsed() < Duration::from_secs(20), "it took {:?}", start.elapsed());
    assert_eq!(outcome.counts.arrivals, 20);
    outcome
}

fn all_fail(outcome: &Outcome, kind: ErrorKind, what: &str) {
    assert_eq!(outcome.counts.error(kind), 20, "{what}: {:?} {:?}", outcome.counts, outcome.generator.examples);
    assert_eq!(outcome.error_rate, Some(1.0));
    assert!(!outcome.passed(), "{what}: a run without an answer must not pass");
}

#[test]
fn answers_that_are_no_http_are_protocol_errors() {
    let too_long = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy";
    for bytes in [
        "\r\n\r\n\0\u{1}\u{2}garbage\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        too_long,
    ] {
        let outcome = against(move |stream| match stream.write_all(bytes.as_bytes()) {
            Ok(()) => Then::Keep,
            Err(_) => Then::Close,
        });
        all_fail(&outcome, ErrorKind::Protocol, bytes);
    }
}

#[test]
fn endless_heads_and_interim_answers_are_cut_off() {
    for (start, again) in [
        ("HTTP/1.1 200 OK\r\n", "Header: of no use to anybody at all\r\n"),
        ("HTTP/1.1 200 OK\r\nOne: ", "line without an end "),
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "Trailer: and more\r\n"),
    ] {
        let outcome = against(move |stream| {
            let mut open = stream.write_all(start.as_bytes()).is_ok();
            let many = again.repeat(100);
            while open {
                open = stream.write_all(many.as_bytes()).is_ok();
            }
            Then::Close
        });
        all_fail(&outcome, ErrorKind::Protocol, again);
    }
}

#[test]
fn connections_that_end_early_are_resets() {
    for bytes in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
    ] {
        let outcome = against(move |stream| {
            let _ = stream.write_all(bytes.as_bytes());
            Then::Close
        });
        all_fail(&outcome, ErrorKind::Reset, bytes);
    }
}

#[test]
fn silence_is_a_time_out_at_the_time_it_took() {
    let outcome = against(|_| Then::Keep);
    all_fail(&outcome, ErrorKind::Timeout, "silence");
    assert_eq!(outcome.latency.count, 20);
    assert!(outcome.latency.p50_ms >= 500.0, "{}", outcome.latency.p50_ms);
}

#[test]
fn refusals_and_unexpected_statuses_have_kinds_of_their_own() {
    let outcome = against(|stream| answer(stream, 503, "{}"));
    all_fail(&outcome, ErrorKind::Status, "503");
    assert_eq!(outcome.routes[0].statuses.get(&503), Some(&20));
    assert_eq!(outcome.latency.count, 0, "a refusal in no time must not look fast");

    let gone = Server::start(|_, stream| answer(stream, 200, "{}")).address;
    let target = Target::new(&gone.to_string(), false).unwrap();
    let outcome = run(&draft().check().unwrap(), &target, &options(), &mut |_| {}).unwrap();
    all_fail(&outcome, ErrorKind::Connect, "nobody listens");
}

#[test]
fn every_framing_of_a_good_answer_is_understood() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\nA: b\r\n\r\n";
    for (bytes, then) in [
        (interim, "keep"),
        (chunked, "keep"),
        ("HTTP/1.1 204 No Content\r\n\r\n", "keep"),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", "close"),
        ("HTTP/1.0 200 OK\r\n\r\nuntil the end", "close"),
    ] {
        let outcome = against(move |stream| {
            // In two pieces, so that no boundary is where a read ends.
            let (first, second) = bytes.as_bytes().split_at(bytes.len() / 2);
            stream.write_all(first).unwrap();
            std::thread::sleep(Duration::from_millis(2));
            stream.write_all(second).unwrap();
            if then == "keep" { Then::Keep } else { Then::Close }
        });
        assert_eq!(outcome.counts.ok, 20, "{bytes}: {:?}", outcome.generator.examples);
        assert_eq!(outcome.counts.connects, 20, "{bytes}");
    }
}

#[test]
fn a_connection_that_the_server_closes_between_requests_costs_no_error() {
    let server = Server::start(|_, stream| {
        answer(stream, 200, "{}");
        Then::Close
    });
    let outcome = server.load(&draft().rate(0.5, 40.0), &options());
    assert_eq!(outcome.counts.ok, 40, "{:?}", outcome.generator.examples);
    assert_eq!(outcome.counts.connects, 40);
}
