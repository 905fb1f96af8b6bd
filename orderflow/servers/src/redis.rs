//! Redis: a server in memory, asked by a few lines of its own protocol, so that no client has to be trusted or installed.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use crate::{
    keeper::Keeper,
    process::{self, Launch, Process},
    programs,
    user::User,
};

/// For each read and write of a command; one that blocks for longer is not for this client.
const ANSWER: Duration = Duration::from_secs(20);
/// For each of those that find out whether it has started: what answers later than this may be somebody else on its port.
const READY: Duration = Duration::from_secs(1);

/// A running Redis server. Clones are handles to the same one; the last handle ends it.
///
/// It listens on 127.0.0.1 only, for those who have its random password. Unless [`Redis::with`] says otherwise it writes
/// nothing to disk: a restart empties it.
#[derive(Clone)]
pub struct Redis {
    server: Arc<Server>,
}

struct Server {
    password: String,
    process: Process,
}

impl Redis {
    /// A server of the caller's own.
    ///
    /// # Errors
    /// [`Missing`](crate::Missing) where redis-server is not installed; else what keeps it from starting, with the end of
    /// its log.
    pub fn own() -> Result<Self> {
        Self::with(&[])
    }

    /// A server of the caller's own with lines of redis.conf, for instance `[("maxmemory", "2mb")]`, or
    /// `[("appendonly", "yes")]` for one that keeps its data over a restart. Where the server is found and how one logs in
    /// (`bind`, `port`, `requirepass`, `dir`) is not for settings: those are overridden.
    ///
    /// # Errors
    /// Those of [`Redis::own`], which a setting that the server refuses is one of.
    pub fn with(settings: &[(&str, &str)]) -> Result<Self> {
        Ok(Self { server: Arc::new(Server::new(settings)?) })
    }

    /// The server that all callers in this process share; it runs until the process ends. Tests keep apart by the prefix of
    /// their keys.
    ///
    /// # Errors
    /// Those of [`Redis::own`]; a second call gives the first one's error and does not try again.
    pub fn shared() -> Result<Self> {
        static SHARED: OnceLock<Result<Redis>> = OnceLock::new();
        process::once(&SHARED, || {
            let Server { password, process } = Server::new(&[])?;
            Ok(Self { server: Arc::new(Server { password, process: process.shared("Redis::own") }) })
        })
    }

    /// The port of 127.0.0.1 that it listens on, the same after a restart.
    pub fn port(&self) -> u16 {
        self.server.process.port()
    }

    /// Its address: `redis://:password@127.0.0.1:port/0`.
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}/0", self.server.password, self.port())
    }

    /// The server's own directory, which holds `log` and what the server writes.
    pub fn dir(&self) -> PathBuf {
        self.server.process.dir()
    }

    /// The server's process id; `None` while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.server.process.pid()
    }

    /// Runs a command on a connection of its own and gives its answer: an array one element a line, `(nil)` for nothing.
    ///
    /// # Errors
    /// When the server refuses the command, with its words; when it is stopped or paused; and after 20 seconds of silence.
    pub fn command(&self, words: &[&str]) -> Result<String> {
        self.server.process.answers()?;
        ask(self.port(), &self.server.password, words, ANSWER)
    }

    /// Ends the server in an orderly way; [`Redis::start`] brings it back. A paused server is resumed first. Nothing where
    /// it is stopped already.
    ///
    /// # Errors
    /// When the server is shared, or does not end within two minutes.
    pub fn stop(&self) -> Result<()> {
        self.server.process.stop(Signal::TERM)
    }

    /// Starts a stopped server again on the same port, with what it wrote to disk, which is nothing unless its settings
    /// said so.
    ///
    /// # Errors
    /// When it runs already, or does not start; then with the end of its log.
    pub fn start(&self) -> Result<()> {
        self.server.process.start()
    }

    /// [`Redis::stop`] and [`Redis::start`].
    ///
    /// # Errors
    /// Those of the two.
    pub fn restart(&self) -> Result<()> {
        self.stop()?;
        self.start()
    }

    /// Ends the server by SIGKILL. Nothing where it is stopped already.
    ///
    /// # Errors
    /// When the server is shared.
    pub fn kill(&self) -> Result<()> {
        self.server.process.kill()
    }

    /// Keeps the server from running: connections stay open and are even made, and nothing answers.
    ///
    /// # Errors
    /// When the server is shared or does not run.
    pub fn pause(&self) -> Result<()> {
        self.server.process.pause()
    }

    /// Lets a paused server go on. Nothing where it is not paused.
    ///
    /// # Errors
    /// When the server is shared.
    pub fn resume(&self) -> Result<()> {
        self.server.process.resume()
    }
}

impl Server {
    fn new(settings: &[(&str, &str)]) -> Result<Self> {
        let program = programs::server("redis-server", "redis-server")?;
        let user = User::instead_of_root(&["redis", "nobody"])?;
        let mut keeper = Keeper::new(user.as_ref(), "TERM")?;
        let password = process::secret()?;
        let launch = Launch::on_free_port(&mut keeper, |keeper, port| {
            keeper.write("redis.conf", &configuration(settings, keeper.dir(), port, &password))?;
            let arguments = vec![keeper.dir().join("redis.conf").display().to_string()];
            let password = password.clone();
            let ready = move |_: &Keeper| ask(port, &password, &["PING"], READY).is_ok_and(|answer| answer == "PONG");
            Ok(Launch { program: program.clone(), arguments, ports: vec![port], ready: Box::new(ready) })
        })?;
        Ok(Self { password, process: Process::new(keeper, launch) })
    }
}

/// Of two lines with one name the later one counts.
fn configuration(settings: &[(&str, &str)], dir: &Path, port: u16, password: &str) -> String {
    let mut lines = "save \"\"\nappendonly no\n".to_owned();
    for (name, value) in settings {
        lines += &format!("{name} {value}\n");
    }
    lines += &format!("bind 127.0.0.1\nport {port}\nrequirepass {password}\n");
    lines + &format!("dir \"{}\"\ndaemonize no\nlogfile \"\"\n", dir.display())
}

fn ask(port: u16, password: &str, words: &[&str], within: Duration) -> Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("the server takes no connection")?;
    stream.set_read_timeout(Some(within))?;
    stream.set_write_timeout(Some(within))?;
    stream.write_all(&[request(&["AUTH", password]), request(words)].concat())?;
    let mut answers = BufReader::new(stream);
    answer(&mut answers)?;
    Ok(answer(&mut answers)?.join("\n"))
}

/// An array of bulk strings.
fn request(words: &[&str]) -> Vec<u8> {
    let words = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    std::iter::once(format!("*{}\r\n", words.len())).chain(words).collect::<String>().into_bytes()
}

/// The strings in an answer, those of arrays within arrays too.
fn answer(from: &mut impl BufRead) -> Result<Vec<String>> {
    let mut line = String::new();
    from.read_line(&mut line).context("the server did not answer")?;
    let Some(line) = line.strip_suffix("\r\n") else { bail!("the server closed the connection before it answered") };
    ensure!(line.is_char_boundary(1), "the server's answer cannot be read: {line}");
    let (kind, rest) = line.split_at(1);
    match kind {
        "+" | ":" => Ok(vec![rest.to_owned()]),
        "-" => bail!("the server refused: {rest}"),
        "$" | "*" if rest == "-1" => Ok(vec!["(nil)".to_owned()]),
        "$" => {
            let mut bytes = vec![0; rest.parse::<usize>()? + 2];
            from.read_exact(&mut bytes)?;
            bytes.truncate(bytes.len() - 2);
            Ok(vec![String::from_utf8_lossy(&bytes).into_owned()])
        }
        "*" => {
            let mut strings = Vec::new();
            for _ in 0..rest.parse::<usize>()? {
                strings.extend(answer(from)?);
            }
            Ok(strings)
        }
        _ => bail!("the server's answer cannot be read: {line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_to_its_end() {
        let read = |mut bytes: &[u8]| answer(&mut bytes).map(|strings| strings.join(","));
        assert_eq!(read(b"+OK\r\n").unwrap(), "OK");
        assert_eq!(read(b"$6\r\na\r\nb c\r\n").unwrap(), "a\r\nb c");
        assert_eq!(read(b"*3\r\n:12\r\n*2\r\n$0\r\n\r\n$-1\r\n*-1\r\n").unwrap(), "12,,(nil),(nil)");
        assert_eq!(read(b"-ERR no\r\n").unwrap_err().to_string(), "the server refused: ERR no");
        for cut in [&b""[..], b"+OK", b"$6\r\na", b"*2\r\n+OK\r\n", b"\r\n", "ü\r\n".as_bytes()] {
            assert!(read(cut).is_err(), "{cut:?}");
        }
    }
}
