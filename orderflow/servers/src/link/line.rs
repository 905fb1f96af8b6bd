//! One direction of a connection: what comes in goes out in order, each piece when it is due.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// How much a line holds before its sender has to wait.
const HELD: usize = 1 << 20;

pub(super) struct Line {
    pieces: VecDeque<(Instant, Piece)>,
    held: usize,
    /// The sender may send more.
    open: bool,
    /// The receiver took less than was due.
    blocked: bool,
    /// The receiver knows that no more will come.
    ended: bool,
    /// The last bytes that came in, since a pattern may begin in them.
    before: Vec<u8>,
}

enum Piece {
    /// Bytes, and how many of them the receiver has.
    Bytes(Vec<u8>, usize),
    /// The sender has closed its end in an orderly way.
    End,
    /// The connection breaks here.
    Break,
}

/// The connection is broken.
pub(super) struct Broken;

impl Line {
    pub(super) fn new() -> Self {
        Self { pieces: VecDeque::new(), held: 0, open: true, blocked: false, ended: false, before: Vec::new() }
    }

    /// Whether it is worth while to look for bytes from the sender.
    pub(super) fn takes(&self) -> bool {
        self.open && self.held < HELD
    }

    /// Whether it is worth while to look for room at the receiver.
    pub(super) fn blocked(&self) -> bool {
        self.blocked
    }

    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// When [`Line::give`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.pieces.front().filter(|_| !self.blocked).map(|(due, _)| *due)
    }

    pub(super) fn unblock(&mut self) {
        self.blocked = false;
    }

    /// Takes what the sender has sent, up to the buffer's size. Where it holds the pattern the connection will break
    /// instead, and the pattern is used up.
    pub(super) fn take(
        &mut self,
        mut from: &TcpStream,
        buffer: &mut [u8],
        delay: Duration,
        pattern: &mut Option<Vec<u8>>,
    ) {
        let piece = match from.read(buffer) {
            Ok(0) => Piece::End,
            Ok(count) if self.completes(&buffer[..count], pattern) => Piece::Break,
            Ok(count) => Piece::Bytes(buffer[..count].to_owned(), 0),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
            Err(_) => Piece::Break,
        };
        match &piece {
            Piece::Bytes(bytes, _) => self.held += bytes.len(),
            Piece::End | Piece::Break => self.open = false,
        }
        self.pieces.push_back((Instant::now() + delay, piece));
    }

    fn completes(&mut self, bytes: &[u8], pattern: &mut Option<Vec<u8>>) -> bool {
        let Some(wanted) = pattern else {
            self.before.clear();
            return false;
        };
        self.before.extend(bytes);
        let found = wanted.is_empty() || self.before.windows(wanted.len()).any(|window| window == wanted);
        let rest = self.before.len().saturating_sub(wanted.len().saturating_sub(1));
        self.before.drain(..rest);
        if found {
            *pattern = None;
        }
        found
    }

    /// Gives the receiver what is due, as much as it takes.
    pub(super) fn give(&mut self, mut to: &TcpStream, now: Instant) -> Result<(), Broken> {
        while let Some((due, piece)) = self.pieces.front_mut()
            && !self.blocked
            && *due <= now
        {
            match piece {
                Piece::Bytes(bytes, given) => match to.write(&bytes[*given..]) {
                    Ok(count) => {
                        *given += count;
                        self.held -= count;
                        if *given < bytes.len() {
                            continue;
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.blocked = true;
                        return Ok(());
                    }
                    Err(_) => return Err(Broken),
                },
                Piece::End => {
                    to.shutdown(std::net::Shutdown::Write).map_err(|_| Broken)?;
                    self.ended = true;
                }
                Piece::Break => return Err(Broken),
            }
            self.pieces.pop_front();
        }
        Ok(())
    }
}
