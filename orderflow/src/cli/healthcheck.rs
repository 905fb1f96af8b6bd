//! `orderflow healthcheck`: one HTTP request without a client library, for containers that have no curl.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use orderflow::config::Config;

/// How long the whole of it may take. Docker gives a check 30 s unless told otherwise, Kubernetes 1 s.
const PATIENCE: Duration = Duration::from_secs(3);
/// What is read of an answer.
const MOST: u64 = 64 << 10;

/// Asks `url`, or the operators' listener of the configuration.
pub(super) fn run(url: Option<&str>, config: impl FnOnce() -> Result<Config>) -> Result<ExitCode> {
    let url = match url {
        Some(url) => url.to_owned(),
        None => format!("http://{}/healthz/ready", reachable(config()?.ops.listen)?),
    };
    let (status, body) = get(&url).with_context(|| format!("{url} gives no answer"))?;
    ensure!((200..300).contains(&status), "{url} answers {status}\n{}", body.trim_end());
    super::print(&format!("{url} answers {status}\n"))
}

/// Where a listener that may be bound to every address can be reached from here.
fn reachable(listen: SocketAddr) -> Result<SocketAddr> {
    ensure!(listen.port() != 0, "ops.listen has port 0, so that only the service knows its port; name it with --url");
    let ip = match listen {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other.ip(),
    };
    Ok(SocketAddr::new(ip, listen.port()))
}

/// The status and the body of the answer to a GET.
fn get(url: &str) -> Result<(u16, String)> {
    let rest = url.strip_prefix("http://").context("only http:// can be asked")?;
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let clean = !host.is_empty() && !url.contains(|c: char| c.is_whitespace() || c.is_control());
    ensure!(clean, "the URL must be like http://127.0.0.1:9464/healthz/ready");
    let with_port = if host.ends_with(']') || !host.contains(':') { format!("{host}:80") } else { host.to_owned() };

    let end = Instant::now() + PATIENCE;
    let addresses = with_port.to_socket_addrs().with_context(|| format!("{host} is no host"))?;
    let mut stream = connect(addresses, end)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: orderflow\r\nConnection: close\r\n\r\n")?;
    let answer = read(stream, end)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("what answers does not speak HTTP")?;
    let mut words = head.split(' ');
    let version = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    match words.next().and_then(|word| word.get(..3)).and_then(|status| status.parse().ok()) {
        Some(status) if version => Ok((status, body.to_owned())),
        _ => bail!("what answers does not speak HTTP"),
    }
}

fn connect(addresses: impl Iterator<Item = SocketAddr>, end: Instant) -> Result<TcpStream> {
    let mut last = None;
    for address in addresses {
        match TcpStream::connect_timeout(&address, left(end)?) {
            Ok(stream) => {
                stream.set_write_timeout(Some(left(end)?))?;
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| anyhow::anyhow!("the host has no address"), Into::into))
}

/// Everything until the peer closes, within the time that is left: also from one that sends a byte now and then.
fn read(mut stream: TcpStream, end: Instant) -> Result<String> {
    let mut answer = Vec::new();
    let mut some = [0; 4096];
    while (answer.len() as u64) < MOST {
        stream.set_read_timeout(Some(left(end)?))?;
        match stream.read(&mut some) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&some[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) if Instant::now() >= end => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn left(end: Instant) -> Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    ensure!(!left.is_zero(), "not within {} s", PATIENCE.as_secs());
    Ok(left)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A peer that answers one connection with these bytes, and then holds it open.
    fn peer(answer: &'static [u8], hold: bool) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // All of the request: a socket that is closed with something unread resets the connection.
            let (mut request, mut some) = (Vec::new(), [0; 1024]);
            while !request.ends_with(b"\r\n\r\n") {
                let count = stream.read(&mut some).unwrap();
                assert!(count > 0, "the request ends with an empty line");
                request.extend_from_slice(&some[..count]);
            }
            let _ = stream.write_all(answer);
            while hold && stream.read(&mut some).is_ok_and(|count| count > 0) {}
        });
        format!("http://{address}/healthz/ready")
    }

    #[test]
    fn the_status_and_the_body_are_read() {
        let answer = get(&peer(b"HTTP/1.1 503 Service Unavailable\r\nx: y\r\n\r\nnot yet", false)).unwrap();
        assert_eq!(answer, (503, "not yet".to_owned()));
    }

    #[test]
    fn what_is_no_http_or_no_answer_is_an_error() {
        for (url, expected) in [
            (peer(b"SSH-2.0-OpenSSH\r\n\r\n", false), "does not speak HTTP"),
            (peer(b"", false), "does not speak HTTP"),
            (peer(b"HTTP/1.1 200 OK\r\n", true), "not within 3 s"),
            ("https://127.0.0.1/".to_owned(), "only http://"),
            ("http:///x".to_owned(), "must be like"),
            ("http://127.0.0.1:1/a b".to_owned(), "must be like"),
        ] {
            let error = format!("{:#}", get(&url).unwrap_err());
            assert!(error.contains(expected), "{url}: {error}");
        }
    }

    #[test]
    fn a_listener_on_every_address_is_asked_on_this_machine() {
        for (listen, asked) in [("0.0.0.0:9464", "127.0.0.1:9464"), ("[::]:1", "[::1]:1"), ("10.1.2.3:4", "10.1.2.3:4")]
        {
            assert_eq!(reachable(listen.parse().unwrap()).unwrap().to_string(), asked);
        }
        assert!(reachable("127.0.0.1:0".parse().unwrap()).is_err());
    }
}
