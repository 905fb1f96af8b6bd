//! A client that keeps its connection, and one that listens to a stream.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Instant,
};

use crate::fleet::PATIENCE;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// One connection, made anew when the server has closed it.
pub(crate) struct Client {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    BufReader::new(stream)
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, "", "")
    }

    /// One request; `headers` are lines that end with `\r\n`.
    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let address = self.address;
        let mut connection = self.connection.take().unwrap_or_else(|| connect(address));
        let length = body.len();
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        connection.get_mut().write_all(request.as_bytes()).unwrap();
        let head = head(&mut connection);
        let status = head.split(' ').nth(1).unwrap_or_else(|| panic!("{method} {path}: {head:?}")).parse().unwrap();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let mut body = Vec::new();
        match header("content-length") {
            Some(_) if method == "HEAD" => {}
            Some(length) => {
                body.resize(length.parse().unwrap(), 0);
                connection.read_exact(&mut body).unwrap();
            }
            None if header("transfer-encoding").is_some() => chunks(&mut connection, &mut body),
            None => {}
        }
        if header("connection") != Some("close") {
            self.connection = Some(connection);
        }
        Answer { status, body: String::from_utf8_lossy(&body).into_owned() }
    }
}

/// An answer up to its empty line, its names in lower case as the service writes them.
fn head(connection: &mut BufReader<TcpStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && connection.read_line(&mut head).unwrap() > 0 {}
    head
}

fn chunks(connection: &mut BufReader<TcpStream>, body: &mut Vec<u8>) {
    loop {
        let mut size = String::new();
        connection.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let begin = body.len();
        body.resize(begin + size + 2, 0);
        connection.read_exact(&mut body[begin..]).unwrap();
        body.truncate(begin + size);
        if size == 0 {
            return;
        }
    }
}

/// A stream of events that is open.
pub(crate) struct Stream(BufReader<TcpStream>);

impl Stream {
    /// Opens the stream of orders.
    pub(crate) fn open(address: SocketAddr) -> Self {
        let mut connection = connect(address);
        let request =
            format!("GET /api/orders/stream HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\r\n");
        connection.get_mut().write_all(request.as_bytes()).unwrap();
        let head = head(&mut connection);
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        Self(connection)
    }

    /// Waits for a line that begins so. The service sends a sign of life every 15 s, so that a read always ends.
    pub(crate) fn wait_for(&mut self, start: &str) {
        let mut line = String::new();
        let deadline = Instant::now() + PATIENCE;
        while !line.starts_with(start) {
            assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {start}");
            line.clear();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream has ended");
        }
    }
}
