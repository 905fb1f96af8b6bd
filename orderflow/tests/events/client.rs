//! A client of server-sent events, over a plain connection.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// How long anything may take before a test says that it does not come.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// One block of a stream, as far as it has these fields.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Block {
    pub(crate) event: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) data: Option<Value>,
    pub(crate) retry: Option<u64>,
    pub(crate) comment: Option<String>,
}

/// An answer to a request for a stream.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) status: u16,
    pub(crate) head: String,
    read: Vec<u8>,
    text: String,
    ended: bool,
    /// The last identifier that it was given.
    pub(crate) last_id: Option<String>,
}

/// Sends a request and reads the head of the answer.
pub(crate) async fn ask(to: SocketAddr, request: &str, buffer: Option<u32>) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(bytes) = buffer {
        socket.set_recv_buffer_size(bytes).unwrap();
    }
    let mut stream = timeout(PATIENCE, socket.connect(to)).await.unwrap().unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    let end = loop {
        if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        let more = timeout(PATIENCE, stream.read_buf(&mut read)).await.expect("a head in time").unwrap();
        assert!(more > 0, "the connection ended within a head");
    };
    let head = String::from_utf8(read[..end].to_vec()).unwrap().to_ascii_lowercase();
    read.drain(..end + 4);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Client { stream, status, head, read, text: String::new(), ended: false, last_id: None }
}

impl Client {
    /// Opens a stream, from where a client was, and sees that it is one.
    pub(crate) async fn open(to: SocketAddr, last_id: Option<&str>) -> Self {
        let client = Self::answer(to, last_id).await;
        assert_eq!(client.status, 200, "{}", client.head);
        assert!(client.head.contains("content-type: text/event-stream"), "{}", client.head);
        client
    }

    /// The answer to whoever wants a stream, be it one or not.
    pub(crate) async fn answer(to: SocketAddr, last_id: Option<&str>) -> Self {
        let header = last_id.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        let request = format!("GET /api/orders/stream HTTP/1.1\r\nHost: shop\r\n{header}\r\n");
        Self { last_id: last_id.map(str::to_owned), ..ask(to, &request, None).await }
    }

    /// The next block, or `None` at the end.
    pub(crate) async fn block(&mut self) -> Option<Block> {
        loop {
            if let Some(at) = self.text.find("\n\n") {
                let block = parse(&self.text[..at]);
                self.text.drain(..at + 2);
                self.last_id = block.id.clone().or(self.last_id.take());
                return Some(block);
            }
            if !self.more().await {
                assert_eq!(self.text, "", "the end is within a block");
                return None;
            }
        }
    }

    /// The next event, past blocks that are none; `None` at the end.
    pub(crate) async fn event(&mut self) -> Option<Block> {
        loop {
            let block = self.block().await?;
            if block.event.is_some() {
                return Some(block);
            }
        }
    }

    /// The order that the next event is about.
    pub(crate) async fn order(&mut self) -> i64 {
        let event = timeout(PATIENCE, self.event()).await.expect("an event in time").expect("an event");
        assert_eq!(event.event.as_deref(), Some("order.placed"), "{event:?}");
        event.data.unwrap()["order_id"].as_i64().unwrap()
    }

    /// Waits until there is something to come back with.
    pub(crate) async fn ready(&mut self) -> String {
        loop {
            let block = timeout(PATIENCE, self.block()).await.expect("an identifier in time").expect("an identifier");
            assert_eq!(block.event, None);
            if let Some(id) = block.id {
                return id;
            }
        }
    }

    /// Waits for the end of the answer: the blocks before it.
    pub(crate) async fn rest(&mut self) -> Vec<Block> {
        let mut blocks = vec![];
        let all = async {
            while let Some(block) = self.block().await {
                blocks.push(block);
            }
        };
        timeout(PATIENCE, all).await.expect("the stream ends");
        blocks
    }

    /// Everything up to the end of the connection, of an answer that is no stream.
    pub(crate) async fn text(&mut self) -> String {
        let _ = self.stream.read_to_end(&mut self.read).await;
        String::from_utf8(std::mem::take(&mut self.read)).unwrap()
    }

    /// Takes one chunk apart; false at the end.
    async fn more(&mut self) -> bool {
        if self.ended {
            return false;
        }
        let size = loop {
            if let Some(at) = self.read.windows(2).position(|two| two == b"\r\n") {
                let size = usize::from_str_radix(std::str::from_utf8(&self.read[..at]).unwrap(), 16).unwrap();
                if self.read.len() >= at + 2 + size + 2 {
                    self.read.drain(..at + 2);
                    break size;
                }
            }
            let read = self.stream.read_buf(&mut self.read).await;
            if !matches!(read, Ok(1..)) {
                self.ended = true;
                return false;
            }
        };
        let chunk: Vec<_> = self.read.drain(..size + 2).take(size).collect();
        self.text += std::str::from_utf8(&chunk).unwrap();
        self.ended = size == 0;
        !self.ended
    }
}

fn parse(text: &str) -> Block {
    let mut block = Block::default();
    for line in text.lines() {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?} is no line of a stream"));
        match name {
            "event" => block.event = Some(value.to_owned()),
            "id" => block.id = Some(value.to_owned()),
            "data" => block.data = Some(serde_json::from_str(value).unwrap()),
            "retry" => block.retry = Some(value.parse().unwrap()),
            "" => block.comment = Some(value.to_owned()),
            _ => panic!("{line:?} is no line of a stream"),
        }
    }
    block
}
