//! A client that sends what it is told to, byte for byte, since much of what a service must bear no proper client sends.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long an answer may take before a test says that there is none.
const PATIENCE: Duration = Duration::from_mins(1);

/// A request that is put together step by step.
#[derive(Clone)]
pub(crate) struct Request {
    address: SocketAddr,
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(address: SocketAddr, method: &str, target: &str) -> Self {
        let (method, target) = (method.to_owned(), target.to_owned());
        Self { address, method, target, headers: Vec::new(), body: None }
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("Authorization", format!("Bearer {key}"))
    }

    /// A body of any bytes, without a content type.
    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().to_owned());
        self
    }

    pub(crate) fn json(self, body: impl AsRef<[u8]>) -> Self {
        self.header("Content-Type", "application/json").body(body)
    }

    /// The request as it goes over the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.target, self.address).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        if let Some(body) = &self.body {
            bytes.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(self.body.iter().flatten());
        bytes
    }

    /// Sends it on a connection of its own.
    pub(crate) async fn send(&self) -> Answer {
        let mut connection = Connection::open(self.address).await;
        connection.write(&self.bytes()).await;
        let answer = connection.answer(self.method == "HEAD").await;
        answer.unwrap_or_else(|| panic!("{} {} was not answered", self.method, self.target))
    }
}

/// A connection to the service.
pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), read: Vec::new() }
    }

    /// Sends bytes. A service that has already answered may have stopped to listen, so that failing is no fault here.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _ = timeout(PATIENCE, self.stream.write_all(bytes)).await.expect("the service takes what is sent");
    }

    /// The next answer, or `None` where the connection ends first. That to a HEAD has a length and no body.
    pub(crate) async fn answer(&mut self, head: bool) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            self.more().await?;
        };
        let text = String::from_utf8(self.read[..end].to_vec()).expect("a head is ASCII");
        self.read.drain(..end + 4);
        let mut lines = text.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.1 ").expect("a status line").get(..3)?.parse().unwrap();
        let header =
            |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        let headers = lines.map(|line| header(line).expect("a header")).collect();
        let mut answer = Answer { status, headers, body: Vec::new() };
        let length = answer.header("content-length").map(|length| length.parse::<usize>().unwrap());
        if !head && status >= 200 && ![204, 304].contains(&status) {
            let length = length.expect("every answer with a body says how long it is");
            while self.read.len() < length {
                self.more().await?;
            }
            answer.body = self.read.drain(..length).collect();
        }
        Some(answer)
    }

    /// Waits until the service ends the connection. What it still sends is the test's concern no more.
    pub(crate) async fn ended(&mut self) {
        while self.more().await.is_some() {}
    }

    /// Whether the service has sent something that was not taken yet.
    pub(crate) async fn has_sent_within(&mut self, time: Duration) -> bool {
        !self.read.is_empty() || timeout(time, self.more()).await.is_ok()
    }

    async fn more(&mut self) -> Option<()> {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await.expect("an answer in time");
        read.ok().filter(|read| *read > 0).map(drop)
    }
}

impl Answer {
    /// The only header of this name.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| &**value);
        let value = values.next();
        assert_eq!(values.next(), None, "{name} is there twice");
        value
    }

    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts the status, and gives the body.
    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// Asserts that this is a problem document of one kind, consistent in itself, and gives it.
    #[track_caller]
    pub(crate) fn problem(&self, word: &str) -> Value {
        let document = self.any_problem();
        assert_eq!(document["type"], format!("/docs#{word}"), "{document}");
        document
    }

    /// Asserts that this is a problem document, and gives it.
    #[track_caller]
    pub(crate) fn any_problem(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"));
        let document = self.json();
        let word = document["type"].as_str().and_then(|kind| kind.strip_prefix("/docs#")).expect("a type");
        let kind =
            orderflow::http::Kind::ALL.iter().find(|kind| kind.word() == word).expect("a kind that is described");
        assert_eq!(document["title"], kind.title());
        assert_eq!(document["status"], self.status, "the status in the document is that of the answer");
        assert_eq!(kind.status().as_u16(), self.status);
        document
    }

    /// Asserts that this is a problem of one kind with one part of the request, and gives what was wrong with it.
    #[track_caller]
    pub(crate) fn fault(&self, word: &str, field: &str) -> String {
        let document = self.problem(word);
        assert_eq!(document["errors"].as_array().map(Vec::len), Some(1), "{document}");
        assert_eq!(document["errors"][0]["field"], field, "{document}");
        document["errors"][0]["message"].as_str().expect("a message").to_owned()
    }
}
