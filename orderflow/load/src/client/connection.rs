//! One kept-alive connection: an exchange at a time, and a new connection when the server has closed the old one.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Instant,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{Answer, ErrorKind, Failure, Keep, MAX_HEAD, MAX_KEPT_BODY, Shape, body::Body, head};

/// What is read at once.
const BUFFER: usize = 16 << 10;

/// What connections count by themselves.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    /// Connections opened.
    pub(crate) connects: u64,
    /// Requests sent a second time because a kept-alive connection turned out to be closed.
    pub(crate) retries: u64,
    /// Bytes of answers.
    pub(crate) bytes: u64,
}

/// A connection to the target, open or not.
#[derive(Debug)]
pub(crate) struct Connection {
    address: SocketAddr,
    /// `None` also while an exchange goes on, so that one that is given up leaves no half-read connection behind.
    stream: Option<TcpStream>,
    input: Vec<u8>,
    filled: usize,
    /// Of the last answer, what the request's shape says to keep.
    pub(crate) kept: Vec<u8>,
    /// What happened on it since someone last took these figures.
    pub(crate) totals: Totals,
}

impl Connection {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, input: vec![0; BUFFER], filled: 0, kept: Vec::new(), totals: Totals::default() }
    }

    /// Opens the connection ahead of the first exchange.
    pub(crate) async fn open(&mut self) -> Result<(), Failure> {
        self.stream = Some(self.connect().await?);
        Ok(())
    }

    async fn connect(&mut self) -> Result<TcpStream, Failure> {
        let connect = |error: io::Error| Failure::new(ErrorKind::Connect, error.to_string());
        let stream = TcpStream::connect(self.address).await.map_err(connect)?;
        stream.set_nodelay(true).map_err(connect)?;
        self.totals.connects += 1;
        Ok(stream)
    }

    /// Sends `request` and reads the whole answer.
    ///
    /// A server may close a connection that it has kept alive at any time, also while a request is on its way. If not one
    /// byte of an answer has come and the request may be repeated, it is sent once more, on a new connection.
    pub(crate) async fn exchange(&mut self, request: &[u8], shape: Shape) -> Result<Answer, Failure> {
        if let Some(stream) = self.stream.take().filter(is_quiet) {
            match self.attempt(stream, request, shape).await {
                Err(failure) if failure.kind == ErrorKind::Reset && self.filled == 0 && shape.idempotent => {
                    self.totals.retries += 1;
                }
                other => return other,
            }
        }
        let stream = self.connect().await?;
        self.attempt(stream, request, shape).await
    }

    async fn attempt(&mut self, mut stream: TcpStream, request: &[u8], shape: Shape) -> Result<Answer, Failure> {
        self.filled = 0;
        self.kept.clear();
        write(&mut stream, request).await?;
        let (status, framing, mut close, head_length) = self.read_head(&mut stream, shape).await?;
        let mut body = Body::new(framing);
        let Self { input, filled, kept, totals, .. } = self;
        let keep = shape.keep == Keep::Body;
        let mut too_long = false;
        let mut from = head_length;
        loop {
            let taken = body.take(&input[from..*filled], |data| {
                if keep && kept.len() + data.len() <= MAX_KEPT_BODY {
                    kept.extend_from_slice(data);
                } else {
                    too_long |= keep;
                }
            })?;
            if body.done() {
                if from + taken < *filled {
                    return Err(Failure::protocol("more bytes than the answer has by its own account"));
                }
                break;
            }
            from = 0;
            *filled = read(&mut stream, input).await?;
            totals.bytes += *filled as u64;
            if *filled == 0 {
                if !body.ends_with_connection() {
                    // A retry needs an answer of which nothing has come, and here its head has.
                    *filled = head_length;
                    return Err(Failure::new(ErrorKind::Reset, "the connection ended in the middle of the body"));
                }
                close = true;
                break;
            }
        }
        let at = Instant::now();
        if too_long {
            return Err(Failure::protocol(format!("a body of over {MAX_KEPT_BODY} bytes to capture from")));
        }
        if !close {
            self.stream = Some(stream);
        }
        Ok(Answer { status, at })
    }

    /// Reads until a final head is whole; says where in the buffer it ends.
    async fn read_head(
        &mut self,
        stream: &mut TcpStream,
        shape: Shape,
    ) -> Result<(u16, head::Framing, bool, usize), Failure> {
        let (mut searched, mut dropped) = (0, 0);
        loop {
            while let Some(end) = head::end(&self.input[..self.filled], searched) {
                let head = head::parse(&self.input[..end], shape)?;
                if head.status >= 200 {
                    if shape.keep == Keep::Location {
                        self.kept.extend_from_slice(head.location.unwrap_or_default());
                    }
                    return Ok((head.status, head.framing, head.close, end));
                }
                if head.status == 101 {
                    return Err(Failure::protocol("the server switched to another protocol unasked"));
                }
                // An interim answer: the one that counts follows.
                dropped += end;
                self.input.copy_within(end..self.filled, 0);
                self.filled -= end;
                searched = 0;
            }
            searched = self.filled;
            if dropped + self.filled >= MAX_HEAD {
                return Err(Failure::protocol(format!("header fields of over {MAX_HEAD} bytes")));
            }
            if self.filled == self.input.len() {
                self.input.resize((self.filled * 2).min(MAX_HEAD), 0);
            }
            let n = read(stream, &mut self.input[self.filled..]).await?;
            self.totals.bytes += n as u64;
            self.filled += n;
            if n == 0 {
                let when =
                    if self.filled + dropped == 0 { "before the answer began" } else { "in the middle of the head" };
                self.filled += dropped;
                return Err(Failure::new(ErrorKind::Reset, format!("the connection ended {when}")));
            }
        }
    }
}

/// Whether a kept-alive connection is still open and has nothing to say. What a server says between answers is at best a
/// farewell. Asks the readiness that the runtime knows already, so that it costs no system call as a rule.
fn is_quiet(stream: &TcpStream) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    match stream.poll_read_ready(&mut context) {
        Poll::Pending => true,
        Poll::Ready(_) => matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock),
    }
}

async fn write(stream: &mut TcpStream, mut bytes: &[u8]) -> Result<(), Failure> {
    while !bytes.is_empty() {
        let n = poll_fn(|context| Pin::new(&mut *stream).poll_write(context, bytes))
            .await
            .map_err(|error| reset(&error))?;
        bytes = &bytes[n..];
    }
    Ok(())
}

/// By way of `poll_read`, which knows that a read of less than the buffer has emptied the socket and saves the next one.
async fn read(stream: &mut TcpStream, into: &mut [u8]) -> Result<usize, Failure> {
    let mut into = ReadBuf::new(into);
    poll_fn(|context| Pin::new(&mut *stream).poll_read(context, &mut into)).await.map_err(|error| reset(&error))?;
    Ok(into.filled().len())
}

fn reset(error: &io::Error) -> Failure {
    Failure::new(ErrorKind::Reset, error.to_string())
}
