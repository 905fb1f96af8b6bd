//! Whether a part answers.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// How long a part may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How a part is asked how it is.
#[derive(Debug, Clone, Copy)]
pub enum Probe {
    /// It takes connections at this port of 127.0.0.1.
    Connects(u16),
    /// It answers GET of this path at this port by 200.
    Answers(u16, &'static str),
}

impl Probe {
    /// Asks.
    ///
    /// # Errors
    /// What was wrong, in a few words for people.
    pub fn ask(self) -> Result<(), String> {
        match self {
            Self::Connects(port) => connect(port).map(drop),
            Self::Answers(port, path) => match status(port, path) {
                Some(200) => Ok(()),
                Some(status) => Err(format!("answers {status} to {path}")),
                None => Err(format!("gives no answer at port {port}")),
            },
        }
    }
}

fn connect(port: u16) -> Result<TcpStream, String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| format!("port {port}: {error}"))
}

/// The status of the answer to a GET.
fn status(port: u16, path: &str) -> Option<u16> {
    let mut stream = connect(port).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n").ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    std::str::from_utf8(&head).ok()?.strip_prefix("HTTP/1.1 ")?.parse().ok()
}
