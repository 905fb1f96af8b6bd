//! As much of HTTP as it takes to ask these servers something.

use std::{
    fmt::Write as _,
    io::{Read, Write as _},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result};

/// The status and the body of an answer. `within` bounds each read and write.
pub(super) fn ask(port: u16, method: &str, path: &str, body: &str, within: Duration) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("the server takes no connection")?;
    stream.set_read_timeout(Some(within))?;
    stream.set_write_timeout(Some(within))?;
    // In version 1.0 the end of an answer is that of the connection.
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("the server did not answer")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the server's answer has no end of its head")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.context("the server's answer has no status")?, body.to_owned()))
}

/// A text as a value within a URL.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_gives_a_meaning_is_encoded() {
        assert_eq!(encoded("a{b=\"ü\"} + 1"), "a%7Bb%3D%22%C3%BC%22%7D%20%2B%201");
    }
}
