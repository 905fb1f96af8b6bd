//! nginx and HAProxy with configurations of a test's own.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use orderflow_servers::{HaProxy, Missing, Nginx, free_port, needs};

const GENEROUS: Duration = Duration::from_mins(1);

/// What a server at this port answers; empty where the connection fails.
fn get(port: u16) -> String {
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
        stream.set_read_timeout(Some(GENEROUS)).unwrap();
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
        let _ = stream.read_to_string(&mut answer);
    }
    answer
}

fn comes(port: u16, answer: &str) {
    let deadline = Instant::now() + GENEROUS;
    while !get(port).contains(answer) {
        assert!(Instant::now() < deadline, "{answer} does not come");
        thread::sleep(Duration::from_millis(10));
    }
}

fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// A server that answers each request by the same word, until this process ends.
fn upstream(word: &'static str) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                match stream.read(&mut byte) {
                    Ok(1) => request.push(byte[0]),
                    _ => break,
                }
            }
            let _ =
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{word}", word.len());
        }
    });
    port
}

fn nginx(port: u16, upstream: u16) -> String {
    format!(
        "worker_processes 2;\nevents {{ worker_connections 64; }}\nhttp {{\n  server {{\n    listen 127.0.0.1:{port};\n    \
         location / {{ proxy_pass http://127.0.0.1:{upstream}; }}\n    root {{dir}};\n  }}\n}}\n"
    )
}

fn haproxy(port: u16, upstream: u16) -> String {
    format!(
        "global\n  maxconn 64\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
         listen shop\n  bind 127.0.0.1:{port}\n  server one 127.0.0.1:{upstream}"
    )
}

/// The same story for both, which differ in type only.
macro_rules! story {
    ($name:ident, $proxy:ty, $config:ident) => {
        #[test]
        fn $name() {
            let port = free_port().unwrap();
            let Some(proxy) = needs(<$proxy>::start(&$config(port, upstream("one")))) else { return };
            assert!(get(port).ends_with("one"));

            let first = proxy.pid();
            proxy.reload().unwrap();
            comes(port, "one");
            proxy.reconfigure(&$config(port, upstream("two"))).unwrap();
            comes(port, "two");
            assert_eq!(proxy.pid(), first, "a reload keeps the first process");

            let error = proxy.reconfigure("nonsense {}\n").unwrap_err().to_string();
            assert!(error.contains("nonsense"), "{error}");
            comes(port, "two");

            proxy.pause().unwrap();
            assert!(proxy.reload().unwrap_err().to_string().contains("paused"));
            let mut waiting = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            waiting.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
            waiting.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            let silence = waiting.read(&mut [0]).unwrap_err().kind();
            assert!(matches!(silence, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silence}");
            proxy.resume().unwrap();
            waiting.set_read_timeout(Some(GENEROUS)).unwrap();
            assert_eq!(waiting.read(&mut [0]).unwrap(), 1);

            proxy.kill().unwrap();
            assert!(!listens(port));
            assert!(proxy.reload().unwrap_err().to_string().contains("stopped"));
            proxy.start_again().unwrap();
            assert!(get(port).ends_with("two"));
            proxy.stop().unwrap();
            assert!(!listens(port));
            proxy.start_again().unwrap();
            proxy.restart().unwrap();
            assert!(get(port).ends_with("two"), "{}", proxy.log());

            let dir = proxy.dir();
            let other = proxy.clone();
            drop(proxy);
            assert!(listens(port));
            drop(other);
            assert!(!dir.exists() && !listens(port));
        }
    };
}

story!(nginx_takes_its_faults_and_its_configurations, Nginx, nginx);
story!(haproxy_takes_its_faults_and_its_configurations, HaProxy, haproxy);

/// The words of a check that failed; `None` where it could not be made.
fn complaint(checked: Result<()>) -> Option<String> {
    match checked {
        Err(error) if error.is::<Missing>() => needs::<()>(Err(error)).map(|()| String::new()),
        checked => Some(checked.unwrap_err().to_string()),
    }
}

#[test]
fn a_configuration_is_checked_without_a_server() {
    if let Some(said) = complaint(Nginx::check("events {}\nhttp {\n  servr {}\n}\n")) {
        assert!(said.contains("unknown directive \"servr\""), "{said}");
        Nginx::check(&nginx(free_port().unwrap(), 1)).unwrap();
    }
    if let Some(said) = complaint(HaProxy::check("defaults\n  mode htpp\n")) {
        assert!(said.contains("htpp"), "{said}");
        HaProxy::check(&haproxy(free_port().unwrap(), 1)).unwrap();
    }
}

#[test]
fn a_port_that_somebody_has_is_an_error_at_the_start() {
    let thief = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = thief.local_addr().unwrap().port();
    for started in [Nginx::start(&nginx(port, 1)).map(drop), HaProxy::start(&haproxy(port, 1)).map(drop)] {
        if let Some(said) = complaint(started) {
            assert!(said.contains("ended while it started"), "{said}");
        }
    }
}

#[test]
fn what_nginx_logs_is_in_its_directory() {
    let port = free_port().unwrap();
    let Some(nginx) = needs(Nginx::start(&nginx(port, free_port().unwrap()))) else { return };
    assert!(get(port).starts_with("HTTP/1.1 502 "));
    let access = std::fs::read_to_string(nginx.dir().join("access_log")).unwrap();
    assert!(access.contains("\"GET / HTTP/1.1\" 502 "), "{access}");
    assert!(nginx.log().contains("connect() failed"), "{}", nginx.log());
}
