//! A client that is as careless as a test wants: it sends bytes, whole requests or not, and reads whole answers.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::waiting::PATIENCE;

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    /// The value of a header; its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Whether the server says that this was the connection's last answer.
    pub(crate) fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// Whether it is a problem document of this kind.
    pub(crate) fn is_problem(&self, word: &str) -> bool {
        self.header("content-type") == Some("application/problem+json")
            && self.json()["type"] == format!("/docs#{word}")
            && self.json()["status"] == self.status
    }

    /// Its body.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// An open connection.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(to: SocketAddr) -> io::Result<Self> {
        Ok(Self::on(TcpStream::connect(to).await?))
    }

    pub(crate) fn on(stream: TcpStream) -> Self {
        Self { stream, read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next answer. An error if the connection ends before it is whole.
    pub(crate) async fn answer(&mut self) -> io::Result<Answer> {
        let head = loop {
            if let Some(at) = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let text = String::from_utf8_lossy(&self.read[..head]).into_owned();
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        let mut answer = Answer { status, head: text, body: Vec::new() };
        let length: usize = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while self.read.len() < head + length {
            self.more().await?;
        }
        answer.body = self.read.drain(..head + length).skip(head).collect();
        Ok(answer)
    }

    /// Sends a request and reads its answer. [`io::ErrorKind::TimedOut`] where the service hangs.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        timeout(PATIENCE, async {
            self.send(request).await?;
            self.answer().await
        })
        .await?
    }

    /// Waits until the server has closed the connection, whatever it says before.
    pub(crate) async fn closed(&mut self) {
        let end = timeout(PATIENCE, async { while self.more().await.is_ok() {} });
        end.await.expect("the connection is still open");
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// The bytes of a request without a body.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n").into_bytes()
}

/// The bytes of an order under a key.
pub(crate) fn post(api_key: &str, key: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /api/orders HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {api_key}\r\nIdempotency-Key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
