//! The head of an answer: its status, and how the body is framed (RFC 9112, 6.3). What two readers could take in two
//! ways is refused.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Response, Status};

use super::{Failure, MAX_BODY, MAX_FIELDS, Shape};

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// A parsed head.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    /// Whether the server closes after this answer.
    pub(crate) close: bool,
    pub(crate) location: Option<&'a [u8]>,
}

/// Where the head ends in `input`, of which nothing before `from` needs to be looked at again.
pub(crate) fn end(input: &[u8], from: usize) -> Option<usize> {
    let mut at = from.saturating_sub(3);
    while let Some(line_end) = input[at..].iter().position(|byte| *byte == b'\n') {
        at += line_end + 1;
        match input[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
    None
}

/// Parses a whole head.
pub(crate) fn parse(input: &[u8], shape: Shape) -> Result<Head<'_>, Failure> {
    let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_FIELDS];
    let mut response = Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, input, &mut fields);
    match parsed {
        Ok(Status::Complete(_)) => {}
        Ok(Status::Partial) => return Err(Failure::protocol("the head of the answer ends in the middle of a line")),
        Err(error) => return Err(Failure::protocol(format!("the head of the answer is no HTTP/1.1: {error}"))),
    }
    let status = response.code.unwrap_or(0);
    if !(100..=599).contains(&status) {
        return Err(Failure::protocol(format!("status {status} is none")));
    }
    let (mut length, mut chunked, mut coded, mut location) = (None, false, false, None);
    let mut close = response.version == Some(0);
    for field in response.headers.iter() {
        // Only these lengths matter, so most fields cost one comparison.
        match field.name.len() {
            14 if field.name.eq_ignore_ascii_case("content-length") => {
                let value = number(field.value)?;
                if length.is_some_and(|before| before != value) {
                    return Err(Failure::protocol("two Content-Length fields that differ"));
                }
                length = Some(value);
            }
            17 if field.name.eq_ignore_ascii_case("transfer-encoding") => {
                coded = true;
                chunked = field.value.eq_ignore_ascii_case(b"chunked");
            }
            10 if field.name.eq_ignore_ascii_case("connection") => {
                for option in field.value.split(|byte| *byte == b',') {
                    let option = option.trim_ascii();
                    close |= option.eq_ignore_ascii_case(b"close");
                    close &= !option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            8 if field.name.eq_ignore_ascii_case("location") => location = Some(field.value),
            _ => {}
        }
    }
    if coded && (!chunked || length.is_some()) {
        return Err(Failure::protocol("a Transfer-Encoding other than chunked alone, or with a Content-Length"));
    }
    let framing = match (status, chunked, length) {
        (100..200 | 204 | 304, ..) => Framing::Length(0),
        _ if shape.head => Framing::Length(0),
        (_, true, _) => Framing::Chunked,
        (_, _, Some(length)) if length > MAX_BODY => {
            return Err(Failure::protocol(format!("a body of {length} bytes; at most {MAX_BODY} are read")));
        }
        (_, _, Some(length)) => Framing::Length(length),
        _ => Framing::UntilClose,
    };
    Ok(Head { status, framing, close: close || framing == Framing::UntilClose, location })
}

/// A length in decimal digits and nothing else: `+5` and `0x5` are refused.
fn number(value: &[u8]) -> Result<u64, Failure> {
    let digits = value.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(value).ok()).flatten();
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| Failure::protocol(format!("Content-Length is {:?}", String::from_utf8_lossy(value))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Keep;

    const GET: Shape = Shape { head: false, idempotent: true, keep: Keep::Nothing };

    fn framing(head: &str) -> Result<Framing, String> {
        parse(head.as_bytes(), GET).map(|head| head.framing).map_err(|failure| failure.why.into_owned())
    }

    #[test]
    fn the_end_is_found_wherever_reading_resumes() {
        let input = b"HTTP/1.1 200 OK\r\na: b\r\n\r\nbody";
        for from in 0..=25 {
            assert_eq!(end(input, from), Some(25), "from {from}");
        }
        assert_eq!(end(&input[..24], 0), None);
        assert_eq!(end(b"HTTP/1.1 200 OK\na: b\n\nx", 0), Some(22));
    }

    #[test]
    fn framing_follows_the_rules() {
        assert_eq!(framing("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), Ok(Framing::Length(5)));
        assert_eq!(framing("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n"), Ok(Framing::Chunked));
        assert_eq!(framing("HTTP/1.1 200 OK\r\n\r\n"), Ok(Framing::UntilClose));
        for status in [100, 204, 304] {
            let head = format!("HTTP/1.1 {status} x\r\nContent-Length: 5\r\n\r\n");
            assert_eq!(framing(&head), Ok(Framing::Length(0)));
        }
        let of_head = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Shape { head: true, ..GET }).unwrap();
        assert_eq!(of_head.framing, Framing::Length(0));
        let largest = format!("HTTP/1.1 200 OK\r\nContent-Length: {MAX_BODY}\r\n\r\n");
        assert_eq!(framing(&largest), Ok(Framing::Length(MAX_BODY)));
    }

    #[test]
    fn what_is_ambiguous_or_too_much_is_refused() {
        let too_long = format!("Content-Length: {}", MAX_BODY + 1);
        for fields in [
            "Content-Length: 5\r\nContent-Length: 6",
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Content-Length: -1",
            "Content-Length: +5",
            "Content-Length:",
            "Content-Length: 99999999999999999999",
            &too_long,
        ] {
            assert!(framing(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n")).is_err(), "{fields}");
        }
        assert!(framing("HTTP/1.1 999 Much\r\n\r\n").is_err());
        assert!(framing("SSH-2.0-x\r\n\r\n").is_err());
        let fields = |n| (0..n).fold(String::new(), |all, n| all + &format!("a{n}: b\r\n"));
        assert!(framing(&format!("HTTP/1.1 200 OK\r\n{}\r\n", fields(MAX_FIELDS))).is_ok());
        assert!(framing(&format!("HTTP/1.1 200 OK\r\n{}\r\n", fields(MAX_FIELDS + 1))).is_err());
    }

    #[test]
    fn who_closes_is_told() {
        let close = |head: &str| parse(head.as_bytes(), GET).unwrap().close;
        assert!(!close("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert!(close("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n"));
        assert!(close("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert!(!close("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: x, keep-alive\r\n\r\n"));
        assert!(close("HTTP/1.1 200 OK\r\n\r\n"));
    }
}
