//! A client that keeps the position of its last write, or throws it away.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::stage::KEY;

/// How long an answer may take before a test says that there is none.
const PATIENCE: Duration = Duration::from_mins(1);

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    body: String,
}

impl Answer {
    /// The value of a header; its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.split_once(": ").filter(|(found, _)| *found == name))
            .map(|(_, value)| value)
    }

    /// The position that it carries.
    pub(crate) fn position(&self) -> &str {
        self.header("x-orderflow-position").unwrap_or_else(|| panic!("no position in {self:?}"))
    }

    /// The cookie that it sets, as a client sends it back.
    pub(crate) fn cookie(&self) -> &str {
        let cookie = self.header("set-cookie").unwrap_or_else(|| panic!("no cookie in {self:?}"));
        cookie.split(';').next().unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Asserts the status, and gives the body.
    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    pub(crate) fn text(&self) -> &str {
        &self.body
    }
}

/// Sends one request on a connection of its own.
pub(crate) async fn send(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n");
    if method != "GET" {
        request += &format!("Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\n");
        request += &format!("Content-Length: {}\r\n", body.len());
    }
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("\r\n{body}");
    let answer = timeout(PATIENCE, async {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    });
    let answer = answer.await.unwrap_or_else(|_| panic!("no answer to {method} {path}"));
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}
