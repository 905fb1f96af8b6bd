//! One connection: the dialogue of RFC 5321 from the server's side.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use super::{Behaviour, Mail, Shared};

/// What a client may take for its next line.
const IDLE: Duration = Duration::from_mins(5);
/// A command, and a line of a message, in bytes. RFC 5321 asks for 512 and 1,000.
const LINE: u64 = 8 << 10;
/// A message, in bytes; the server says so.
const MESSAGE: usize = 10 << 20;

struct Session<'a> {
    shared: &'a Shared,
    run: u64,
    reader: BufReader<&'a TcpStream>,
    /// The reverse path has been named.
    sender: bool,
    recipients: usize,
}

/// Speaks with a client until it leaves, the server is stopped, or the behaviour ends the connection.
pub(super) fn serve(shared: &Shared, run: u64, stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    let mut session = Session { shared, run, reader: BufReader::new(stream), sender: false, recipients: 0 };
    if !session.ready()? {
        return Ok(());
    }
    session.say("220 localhost a sink")?;
    let mut line = Vec::new();
    while session.line(&mut line)? && session.ready()? && session.obey(&line)? {
        line.clear();
    }
    Ok(())
}

impl Session<'_> {
    /// Waits while the server hangs; whether the dialogue goes on.
    fn ready(&mut self) -> io::Result<bool> {
        match self.shared.behaviour(self.run) {
            None => Ok(false),
            Some(Behaviour::RefuseConnections) => self.say("421 not available").map(|()| false),
            Some(_) => Ok(true),
        }
    }

    fn say(&mut self, answer: &str) -> io::Result<()> {
        self.reader.get_mut().write_all(format!("{answer}\r\n").as_bytes())
    }

    /// Appends a line with its end; whether there was a whole one.
    fn line(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        let start = line.len();
        self.reader.by_ref().take(LINE).read_until(b'\n', line)?;
        Ok(line.len() > start && line.ends_with(b"\n"))
    }

    /// Carries out a command; whether the connection stays.
    fn obey(&mut self, line: &[u8]) -> io::Result<bool> {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end();
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let answer = match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                self.reset();
                &format!("250-localhost\r\n250-8BITMIME\r\n250 SIZE {MESSAGE}")
            }
            "HELO" => {
                self.reset();
                "250 localhost"
            }
            "MAIL" if self.sender => "503 the sender has been named",
            "MAIL" if declared_size(rest) > MESSAGE => "552 too large",
            "MAIL" if names(rest, "FROM:") => {
                self.sender = true;
                "250 ok"
            }
            "RCPT" if !self.sender => "503 the sender comes first",
            "RCPT" if names(rest, "TO:") => {
                self.recipients += 1;
                "250 ok"
            }
            "MAIL" | "RCPT" => "501 an address in angle brackets is missing",
            "DATA" if self.recipients == 0 => "503 a recipient comes first",
            "DATA" => {
                self.say("354 end with a dot on a line of its own")?;
                return self.message();
            }
            "RSET" => {
                self.reset();
                "250 ok"
            }
            "NOOP" => "250 ok",
            "QUIT" => {
                self.say("221 bye")?;
                return Ok(false);
            }
            _ => "502 not known here",
        };
        self.say(answer)?;
        Ok(true)
    }

    fn reset(&mut self) {
        (self.sender, self.recipients) = (false, 0);
    }

    /// Takes a message and says what becomes of it; whether the connection stays.
    fn message(&mut self) -> io::Result<bool> {
        self.reset();
        let mut data = Vec::new();
        let mut too_large = false;
        loop {
            let start = data.len();
            if !self.line(&mut data)? {
                return Ok(false);
            }
            // Only CRLF ends a line: whoever takes a bare LF for one can be sent two mails in one.
            let fresh = start == 0 || data[..start].ends_with(b"\r\n");
            if fresh && data[start..] == *b".\r\n" {
                data.truncate(start);
                break;
            }
            if fresh && data[start] == b'.' {
                data.remove(start);
            }
            if data.len() > MESSAGE {
                too_large = true;
                // The line's end, so that the next one is known to be fresh.
                data.drain(..data.len() - 2);
            }
        }
        if too_large {
            self.say("552 too large")?;
            return Ok(true);
        }
        let Some(how) = self.shared.behaviour(self.run) else { return Ok(false) };
        let answer = match how {
            Behaviour::Accept { after } => {
                if !self.shared.accept(self.run, Mail::parsed(&data), after) {
                    return Ok(false);
                }
                "250 kept"
            }
            Behaviour::AcceptThenDrop => {
                self.shared.accept(self.run, Mail::parsed(&data), Duration::ZERO);
                return Ok(false);
            }
            // As servers do, it quotes whom it refuses.
            Behaviour::Temporary => return self.say(&format!("451 {} later", Mail::parsed(&data).to)).map(|()| true),
            Behaviour::Permanent => return self.say(&format!("550 no {} here", Mail::parsed(&data).to)).map(|()| true),
            Behaviour::RefuseConnections => {
                self.say("421 not available")?;
                return Ok(false);
            }
            // What `behaviour` gives is not that.
            Behaviour::Hang => return Ok(false),
        };
        self.say(answer)?;
        Ok(true)
    }
}

/// Whether an argument is `FROM:<…>` or `TO:<…>`, parameters allowed.
fn names(argument: &str, what: &str) -> bool {
    let (word, rest) = argument.split_at_checked(what.len()).unwrap_or_default();
    word.eq_ignore_ascii_case(what) && rest.trim_start().starts_with('<') && rest.contains('>')
}

/// The parameter SIZE of MAIL; 0 where there is none.
fn declared_size(argument: &str) -> usize {
    let size =
        argument.split(' ').find_map(|word| word.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("SIZE")));
    size.and_then(|(_, bytes)| bytes.parse().ok()).unwrap_or(0)
}
