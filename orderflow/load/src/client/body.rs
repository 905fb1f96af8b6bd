//! The body of an answer, read piece by piece until its framing says that it is whole.

use super::{Failure, MAX_BODY, MAX_HEAD, head::Framing};

/// The most bytes of one line that gives a chunk's size, extensions included.
const MAX_SIZE_LINE: usize = 1024;

/// What is still to come.
#[derive(Debug)]
pub(crate) struct Body {
    state: State,
    read: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many bytes with nothing around them.
    Plain(u64),
    UntilClose,
    /// In the line with a chunk's size: the size so far, its digits, and the bytes of the line.
    Size {
        size: u64,
        digits: u8,
        seen: usize,
        extension: bool,
    },
    Data(u64),
    /// After a chunk, where CR LF must follow; whether CR has.
    DataEnd {
        cr: bool,
    },
    /// In the trailers: whether the line has anything in it, and the bytes of all lines.
    Trailer {
        blank: bool,
        seen: usize,
    },
    Done,
}

const SIZE: State = State::Size { size: 0, digits: 0, seen: 0, extension: false };

impl Body {
    pub(crate) fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Plain(length),
            Framing::Chunked => SIZE,
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, read: 0 }
    }

    /// Whether the last byte has been taken.
    pub(crate) fn done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the end of the connection ends this body too, rather than cutting it short.
    pub(crate) fn ends_with_connection(&self) -> bool {
        self.state == State::UntilClose
    }

    /// Takes what belongs to the body from the front of `input` and hands its data, without chunk sizes, to `data`.
    /// Returns how many bytes were taken: fewer than there are only if the body is whole.
    pub(crate) fn take(&mut self, input: &[u8], mut data: impl FnMut(&[u8])) -> Result<usize, Failure> {
        let mut at = 0;
        while at < input.len() && self.state != State::Done {
            match &mut self.state {
                State::Plain(left) | State::Data(left) => {
                    let n = (input.len() - at).min(usize::try_from(*left).unwrap_or(usize::MAX));
                    data(&input[at..at + n]);
                    at += n;
                    *left -= n as u64;
                    if *left == 0 {
                        self.state = if matches!(self.state, State::Plain(_)) {
                            State::Done
                        } else {
                            State::DataEnd { cr: false }
                        };
                    }
                }
                State::UntilClose => {
                    self.read += (input.len() - at) as u64;
                    self.bounded()?;
                    data(&input[at..]);
                    at = input.len();
                }
                _ => {
                    self.control(input[at])?;
                    at += 1;
                }
            }
        }
        Ok(at)
    }

    /// One byte of what is around the chunks.
    fn control(&mut self, byte: u8) -> Result<(), Failure> {
        match &mut self.state {
            State::Size { size, digits, seen, extension } => {
                *seen += 1;
                if *seen > MAX_SIZE_LINE {
                    return Err(Failure::protocol(format!("a chunk size line of over {MAX_SIZE_LINE} bytes")));
                }
                let digit = (byte as char).to_digit(16).filter(|_| !*extension);
                match (byte, digit) {
                    (_, Some(digit)) => {
                        *digits += 1;
                        if *digits > 16 {
                            return Err(Failure::protocol("a chunk size of over 16 digits"));
                        }
                        *size = *size << 4 | u64::from(digit);
                    }
                    (b'\n', _) if *digits > 0 => {
                        let size = *size;
                        self.read = self.read.saturating_add(size);
                        self.bounded()?;
                        self.state =
                            if size == 0 { State::Trailer { blank: true, seen: 0 } } else { State::Data(size) };
                    }
                    (b'\r' | b';' | b' ' | b'\t', _) if *digits > 0 => *extension = true,
                    _ if *extension => {}
                    _ => return Err(Failure::protocol("a chunk size that is no hexadecimal number")),
                }
            }
            State::DataEnd { cr } => match byte {
                b'\r' if !*cr => *cr = true,
                b'\n' => self.state = SIZE,
                _ => return Err(Failure::protocol("a chunk longer than its size")),
            },
            State::Trailer { blank, seen } => {
                *seen += 1;
                if *seen > MAX_HEAD {
                    return Err(Failure::protocol(format!("trailers of over {MAX_HEAD} bytes")));
                }
                match byte {
                    b'\n' if *blank => self.state = State::Done,
                    b'\n' => *blank = true,
                    b'\r' => {}
                    _ => *blank = false,
                }
            }
            State::Plain(_) | State::UntilClose | State::Data(_) | State::Done => {}
        }
        Ok(())
    }

    fn bounded(&self) -> Result<(), Failure> {
        if self.read > MAX_BODY {
            return Err(Failure::protocol(format!("a body of over {MAX_BODY} bytes")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds `input` in pieces cut at `cuts`: the data, and what is left over.
    fn read(framing: Framing, input: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, Option<usize>), String> {
        let (mut body, mut data, mut taken) = (Body::new(framing), Vec::new(), 0);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (input.len() + 1)).chain([input.len()]).collect();
        cuts.sort_unstable();
        for end in cuts {
            taken += body
                .take(&input[taken.min(end)..end], |piece| data.extend_from_slice(piece))
                .map_err(|failure| failure.why.into_owned())?;
        }
        Ok((data, body.done().then_some(input.len() - taken)))
    }

    #[test]
    fn chunks_are_joined_and_what_follows_is_left() {
        let input = b"5\r\nhello\r\n6;x=1\r\n world\r\n0\r\nTrailer: a\r\n\r\nnext";
        assert_eq!(read(Framing::Chunked, input, &[]), Ok((b"hello world".to_vec(), Some(4))));
        assert_eq!(read(Framing::Length(3), b"abcdef", &[]), Ok((b"abc".to_vec(), Some(3))));
        assert_eq!(read(Framing::Length(0), b"x", &[]), Ok((vec![], Some(1))));
        assert_eq!(read(Framing::Length(9), b"abc", &[]), Ok((b"abc".to_vec(), None)));
    }

    #[test]
    fn broken_chunks_are_refused() {
        let long_line = format!("1;{}\r\n", "x".repeat(MAX_SIZE_LINE));
        let trailers = format!("0\r\n{}", "a: b\r\n".repeat(MAX_HEAD / 6 + 1));
        let large = format!("{:x}\r\n", MAX_BODY + 1);
        for input in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "0x5\r\nhello\r\n",
            "2\r\nhello\r\n",
            "ffffffffffffffff1\r\n",
            "ffffffffffffffff\r\n",
            &long_line,
            &trailers,
            &large,
        ] {
            assert!(read(Framing::Chunked, input.as_bytes(), &[]).is_err(), "{input:.20}");
        }
        assert!(read(Framing::Chunked, format!("{MAX_BODY:x}\r\n").as_bytes(), &[]).is_ok());
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_reads_are_cut(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            cuts in prop::collection::vec(any::<usize>(), 0..12),
        ) {
            let mut input = Vec::new();
            for chunk in &chunks {
                input.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
                input.extend_from_slice(chunk);
                input.extend_from_slice(b"\r\n");
            }
            input.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(read(Framing::Chunked, &input, &cuts), Ok((chunks.concat(), Some(0))));
        }

        #[test]
        fn garbage_never_panics(input in prop::collection::vec(any::<u8>(), 0..200), cuts in prop::collection::vec(any::<usize>(), 0..5)) {
            let _ = read(Framing::Chunked, &input, &cuts);
        }
    }
}
