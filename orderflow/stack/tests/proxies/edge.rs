//! What clients see of the proxies, and what instances see of clients.

use std::{
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use crate::{
    client::{Answer, Client, PATIENCE, ask},
    front::Front,
    instance::{Instance, Manner},
};

const WIDE: [u32; 3] = [10_000, 10_000, 1_000];

/// One instance behind both proxies.
fn one() -> Option<(Instance, Front)> {
    let instance = Instance::start();
    let front = Front::of(&[instance.port], WIDE)?;
    Some((instance, front))
}

#[test]
fn nobody_can_claim_to_be_somebody_else() {
    let Some((instance, front)) = one() else { return };
    for (name, [_, _, port]) in front.ports() {
        let forged = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nForwarded: for=6.6.6.6\r\n\
                      X-Real-IP: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n";
        assert_eq!(ask(port, "GET /", forged, "").status, 200);
        let seen = instance.seen().pop().unwrap();
        assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"], "{name}");
        assert_eq!(seen.all("x-forwarded-proto"), ["http"], "{name}");
        assert!(seen.all("forwarded").is_empty() && seen.all("x-real-ip").is_empty(), "{name}: {seen:?}");
    }
}

#[test]
fn identifiers_of_requests_go_on_if_they_can_stand_in_a_log() {
    let Some((instance, front)) = one() else { return };
    for (name, [_, _, port]) in front.ports() {
        let passed = |header: &str| {
            ask(port, "GET /", header, "");
            let ids = instance.seen().pop().unwrap();
            let ids = ids.all("x-request-id");
            assert_eq!(ids.len(), 1, "{name}");
            ids[0].to_owned()
        };
        assert_eq!(passed("X-Request-Id: order-17/a\r\n"), "order-17/a", "{name}");
        for bad in ["", "X-Request-Id: a b\"c\r\n", &format!("X-Request-Id: {}\r\n", "x".repeat(65))] {
            let id = passed(bad);
            assert!((16..=64).contains(&id.len()) && !id.contains(['"', ' ']), "{name}: {id}");
        }
    }
}

#[test]
fn what_is_too_large_and_what_is_not_public_ends_at_the_proxy() {
    let Some((instance, front)) = one() else { return };
    for (name, [_, _, port]) in front.ports() {
        let before = instance.seen().len();
        let body = "x".repeat(65_537);
        let mut client = Client::to(port).unwrap();
        // The proxy may answer before it has read all of it.
        let _ = client.send("POST /api/orders", "Content-Type: application/json\r\n", &body);
        let answer = client.answer().unwrap();
        problem(name, &answer, 413, "body-too-large");
        for path in ["/healthz", "/metrics", "/console", "/debug/profile"] {
            assert_eq!(ask(port, &format!("GET {path}"), "", "").status, 404, "{name}: {path}");
        }
        assert_eq!(instance.seen().len(), before, "{name}: none of it reached an instance");
        let largest = ask(port, "POST /api/orders", "", &body[1..]);
        assert_eq!(largest.status, 200, "{name}: {}", largest.body);
    }
}

#[test]
fn a_client_that_asks_too_often_is_told_so() {
    let instance = Instance::start();
    let Some(front) = Front::of(&[instance.port], [20, 40, 1_000]) else { return };
    for (name, [_, _, port]) in front.ports() {
        let began = Instant::now();
        let refused = AtomicBool::new(false);
        // From several sides, so that the rate is above the limit on a busy machine too.
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut client = Client::to(port).unwrap();
                    while !refused.load(Ordering::SeqCst) && began.elapsed() < PATIENCE {
                        let answer = client.ask("GET /", "", "").unwrap();
                        if answer.status != 200 {
                            problem(name, &answer, 429, "rate-limited");
                            assert_eq!(answer.all("retry-after"), ["1"], "{name}");
                            refused.store(true, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert!(refused.load(Ordering::SeqCst), "{name} lets everything through");
    }
}

#[test]
fn a_client_with_too_many_connections_is_told_so() {
    let instance = Instance::start();
    let Some(front) = Front::of(&[instance.port], [10_000, 10_000, 4]) else { return };
    for (name, [_, _, port]) in front.ports() {
        instance.be(Manner::Holds);
        let before = instance.seen().len();
        let mut held: Vec<_> = (0..4).map(|_| Client::to(port).unwrap()).collect();
        for client in &mut held {
            client.send("GET /", "", "").unwrap();
        }
        instance.wait_for(before + 4);
        problem(name, &ask(port, "GET /", "", ""), 429, "rate-limited");
        instance.be(Manner::Answers);
        for client in &mut held {
            assert_eq!(client.answer().unwrap().status, 200, "{name}");
        }
    }
}

#[test]
fn events_go_out_as_they_come() {
    let Some((instance, front)) = one() else { return };
    for (name, [_, _, port]) in front.ports() {
        instance.be(Manner::Streams);
        let mut client = Client::to(port).unwrap();
        client.send("GET /api/orders/stream", "", "").unwrap();
        assert_eq!(client.head().unwrap().status, 200, "{name}");
        let mut until = |word: &str| while !client.line().unwrap().contains(word) {};
        until("data: first");
        // Only now is there a second one: the first was not waiting for it.
        instance.be(Manner::Answers);
        until("data: second");
    }
}

#[test]
fn an_outage_of_all_instances_is_a_problem_like_the_services_own() {
    let nobody = orderflow_servers::free_port().unwrap();
    let Some(front) = Front::of(&[nobody], WIDE) else { return };
    for (name, [_, _, port]) in front.ports() {
        problem(name, &ask(port, "GET /api/products", "", ""), 503, "unavailable");
    }
}

#[test]
fn tls_is_new_enough_and_plain_http_leads_to_it() {
    let Some((_instance, front)) = one() else { return };
    for (name, [http, https, _]) in front.ports() {
        let answer = ask(http, "POST /api/orders?a=b", "", "");
        assert_eq!(answer.status, 308, "{name}");
        assert_eq!(answer.all("location"), [format!("https://localhost:{https}/api/orders?a=b")], "{name}");

        let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        for version in ["-tls1_2", "-tls1_3"] {
            let said = s_client(&front, https, &[version], request);
            assert!(said.contains("HTTP/1.1 200"), "{name} {version}: {said}");
            assert!(
                said.contains("Verify return code: 0"),
                "{name}: the certificate is the one that was given: {said}"
            );
            let hsts = said.lines().filter(|line| line.to_lowercase().starts_with("strict-transport-security:"));
            assert_eq!(hsts.count(), 1, "{name}: {said}");
            assert!(!said.to_lowercase().contains("\nserver: nginx/"), "{name} says its version");
        }
        // What openssl itself would not offer, it is made to.
        let old = s_client(&front, https, &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], request);
        assert!(!old.contains("HTTP/1.1"), "{name} takes TLS 1.1: {old}");
    }
}

#[test]
fn the_access_log_says_what_happened_and_to_nobody() {
    let Some((_instance, front)) = one() else { return };
    let name = "name=somebody@example.org";
    for (_, [_, _, port]) in front.ports() {
        ask(port, &format!("GET /api/products?{name}"), "User-Agent: somebody\r\nX-Request-Id: logged-1\r\n", "");
    }
    let began = Instant::now();
    let log = || {
        let nginx = front.nginx.as_ref().map(|nginx| std::fs::read_to_string(nginx.dir().join("access.log")).unwrap());
        nginx.into_iter().chain(front.haproxy.as_ref().map(orderflow_servers::HaProxy::log)).collect::<Vec<_>>()
    };
    while log().iter().any(|log| !log.contains("logged-1")) {
        assert!(began.elapsed() < PATIENCE, "the request is not logged: {:?}", log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for log in log() {
        let line = log.lines().find(|line| line.contains("logged-1")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&line[line.find('{').unwrap()..]).expect("a line is JSON");
        assert_eq!((&json["path"], &json["status"]), (&"/api/products".into(), &200.into()), "{line}");
        assert!(!line.contains("somebody"), "{line}");
        assert_eq!(
            line.matches("127.0.0.1").count(),
            json["upstream"].to_string().matches("127.0.0.1").count(),
            "{line}"
        );
    }
}

#[track_caller]
fn problem(name: &str, answer: &Answer, status: u16, word: &str) {
    assert_eq!(answer.status, status, "{name}: {}", answer.body);
    assert_eq!(answer.all("content-type"), ["application/problem+json"], "{name}");
    let document: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(document["type"], format!("/docs#{word}"), "{name}");
    assert_eq!(document["status"], status, "{name}");
}

/// What `openssl s_client` prints, the answer included.
fn s_client(front: &Front, port: u16, options: &[&str], request: &str) -> String {
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-ign_eof", "-CAfile"]);
    openssl.arg(front.certificate.path()).args(options);
    let mut child =
        openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("openssl is there");
    // One that could not agree on TLS ends without reading.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), request.as_bytes());
    String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned()
}
