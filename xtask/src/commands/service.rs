//! OrderFlow as a command measures it: on free ports of this machine, with data of its own, gone afterwards.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{
    interrupt::{self, Group},
    stop::Stop,
};

/// How long the service may take until it serves. A large database may have to be filled first.
const START: Duration = Duration::from_mins(2);
/// For one question to its operators' listener.
const ASK: Duration = Duration::from_secs(10);
const MOST: u64 = 16 << 20;

/// OrderFlow, with the rate limit where a load from one address does not meet it.
pub(super) struct Service {
    _group: Group,
    /// `http://127.0.0.1:PORT`.
    pub(super) url: String,
    /// Where operators ask.
    pub(super) operators: SocketAddr,
    /// A key that allows everything.
    pub(super) key: String,
}

impl Service {
    /// Starts it in an empty directory, on the embedded database or on the one at `database`.
    pub(super) fn start(program: &Path, data: &Path, database: Option<&str>, log: Stdio) -> Result<Self> {
        let key = accept_key(program, data)?;
        let mut command = command(program, data, database);
        let settings =
            ["http.listen=127.0.0.1:0", "ops.listen=127.0.0.1:0", "http.rate_limit=1000000", "http.rate_burst=1000000"];
        for setting in settings {
            command.args(["--set", setting]);
        }
        command.arg("serve").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut group = Group::spawn(&mut command).with_context(|| format!("cannot start {}", program.display()))?;
        let lines = lines(group.child.stdout.take().context("the output is a pipe")?);
        let (mut url, mut operators) = (None, None);
        while url.is_none() || operators.is_none() {
            let Ok(line) = lines.recv_timeout(START) else {
                interrupt::check()?;
                return Err(Stop::broken("OrderFlow did not start", "Its own message says why.").into());
            };
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("OrderFlow"), Some(at)) => url = at.strip_suffix("/api/products").map(String::from),
                (Some("operators"), Some(at)) => operators = address(at),
                _ => {}
            }
        }
        let url = url.context("the loop ends with it")?;
        Ok(Self { _group: group, url, operators: operators.context("the loop ends with it")?, key })
    }

    /// What `/metrics` says.
    pub(super) fn metrics(&self) -> Result<String> {
        let at = self.operators;
        let mut stream = TcpStream::connect_timeout(&at, ASK).with_context(|| format!("nothing answers at {at}"))?;
        stream.set_read_timeout(Some(ASK))?;
        stream.set_write_timeout(Some(ASK))?;
        // In the older version an answer is not cut into pieces.
        stream.write_all(format!("GET /metrics HTTP/1.0\r\nHost: {at}\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.take(MOST).read_to_string(&mut answer).with_context(|| format!("{at}/metrics does not end"))?;
        let status = answer.split_whitespace().nth(1).unwrap_or_default();
        ensure!(status == "200", "{at}/metrics answered with status {status}");
        Ok(answer)
    }
}

/// A command of OrderFlow's that sees neither the caller's settings nor a file in the caller's directory.
pub(super) fn command(program: &Path, data: &Path, database: Option<&str>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ORDERFLOW_") {
            command.env_remove(name);
        }
    }
    if let Some(url) = database {
        command.env("ORDERFLOW_DATABASE__URL", url);
    }
    command.current_dir(data);
    command
}

/// Makes a directory, empty whatever was in it.
pub(super) fn emptied(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", directory.display()));
        }
        _ => {}
    }
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))
}

/// Makes a key, and has the service accept it: the first line is the key, the others are what belongs into its file.
fn accept_key(program: &Path, data: &Path) -> Result<String> {
    let mut make = command(program, data, None);
    let made = make.args(["key", "--name", "load", "--role", "admin"]).stdin(Stdio::null()).output();
    let made = made.with_context(|| format!("cannot start {}", program.display()))?;
    let text = String::from_utf8_lossy(&made.stdout);
    let Some((key, accepted)) = text.split_once('\n').filter(|_| made.status.success()) else {
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        return Err(Stop::broken("OrderFlow made no API key", said.trim()).into());
    };
    fs::write(data.join("orderflow.toml"), accepted)?;
    Ok(key.trim().to_owned())
}

/// What a program prints, a line at a time, read to its end so that it never waits for a reader.
pub(super) fn lines(output: ChildStdout) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Nobody may want it any more.
            let _ = sender.send(line);
        }
    });
    receiver
}

fn address(url: &str) -> Option<SocketAddr> {
    url.strip_prefix("http://")?.split('/').next()?.parse().ok()
}
