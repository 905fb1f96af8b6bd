//! A server's keeper: a small shell process of its own that starts the server, and that stops it and removes its directory
//! when this process ends, however it ends. Destructors alone would not do: statics have none, and SIGKILL runs none.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::{bounded, freeze, user::User};

/// What a keeper does at once takes milliseconds; this is for a machine that is busy beyond reason.
const SOON: Duration = Duration::from_secs(20);
/// The keeper gives a server six seconds to end, and then kills it.
const FINISH: Duration = Duration::from_secs(30);
/// How much of a server's log an error shows, in lines.
const TAIL: usize = 15;

pub(crate) struct Keeper {
    child: Child,
    requests: Option<ChildStdin>,
    answers: Receiver<String>,
    sent: u64,
    dir: PathBuf,
    server: Option<Pid>,
    frozen: Vec<Pid>,
}

impl Keeper {
    /// A keeper with a fresh directory and no server yet. `end` is the signal that ends its server at once.
    pub(crate) fn new(user: Option<&User>, end: &str) -> Result<Self> {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", include_str!("keeper.sh"), "keeper", end])
            .arg(std::env::temp_dir())
            .args(["/tmp", "/var/tmp"]);
        // Standard error is not passed on: whoever reads this process's output to its end would wait for the server too.
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).current_dir("/");
        // A group of its own, which Ctrl-C in a terminal does not reach.
        shell.process_group(0).env("LC_ALL", "C").env("TZ", "UTC");
        bounded::without_postgres_variables(&mut shell);
        if let Some(user) = user {
            // The standard library then drops the supplementary groups too.
            shell.uid(user.uid).gid(user.gid);
        }
        let mut child = shell.spawn().context("/bin/sh cannot be run as the servers' user")?;
        let (sender, answers) = mpsc::channel();
        let stdout = child.stdout.take().context("standard output is a pipe")?;
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let requests = child.stdin.take();
        let mut keeper =
            Self { child, requests, answers, sent: 0, dir: PathBuf::new(), server: None, frozen: Vec::new() };
        let (made, dir) = keeper.answer(SOON)?;
        ensure!(
            made,
            "a directory for a server could be made neither in {} nor in /tmp",
            std::env::temp_dir().display()
        );
        keeper.dir = PathBuf::from(dir);
        Ok(keeper)
    }

    /// The server's own directory; what it and its helpers print is in `log` there.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a file into the directory, readable by the server's user only, without showing it to the process list.
    pub(crate) fn write(&mut self, name: &str, content: &str) -> Result<()> {
        // A request is one line, so a text of several is put together by the shell.
        let (before, last) = content.rsplit_once('\n').map_or((None, content), |(before, last)| (Some(before), last));
        let lines: Vec<_> =
            before.into_iter().flat_map(|before| before.split('\n')).map(quoted).collect::<Result<_>>()?;
        let lines: String = lines.iter().map(|line| format!("printf '%s\\n' {line}; ")).collect();
        let line = format!("{{ {lines}printf %s {}; }} >\"$dir/\"{}", quoted(last)?, quoted(name)?);
        let (written, _) = self.request(&line, SOON)?;
        ensure!(written, "{} cannot be written", self.dir.join(name).display());
        Ok(())
    }

    /// Runs a program to its end, as the server's user.
    pub(crate) fn run(&mut self, program: &Path, arguments: &[String], within: Duration) -> Result<()> {
        let line = format!("{} </dev/null >>\"$dir/log\" 2>&1", command_line(program, arguments)?);
        let (succeeded, _) = self
            .request(&line, within)
            .with_context(|| format!("{} did not end; its output ends:\n{}", program.display(), self.log_tail()))?;
        ensure!(succeeded, "{} failed; its output ends:\n{}", program.display(), self.log_tail());
        Ok(())
    }

    /// Starts the server; whether it is ready is for the caller to find out.
    pub(crate) fn launch(&mut self, program: &Path, arguments: &[String]) -> Result<()> {
        ensure!(!self.alive()?, "the server is running already");
        let command = command_line(program, arguments)?;
        let (_, pid) =
            self.request(&format!("{command} </dev/null >>\"$dir/log\" 2>&1 & server=$! answer=$!"), SOON)?;
        self.server = Some(pid.parse().ok().and_then(Pid::from_raw).context("the keeper gave no process id")?);
        Ok(())
    }

    pub(crate) fn server(&self) -> Option<Pid> {
        self.server
    }

    pub(crate) fn frozen(&self) -> bool {
        !self.frozen.is_empty()
    }

    /// Whether the server still runs. Takes 20 ms, so that a loop around it needs no sleep of its own.
    pub(crate) fn alive(&mut self) -> Result<bool> {
        if self.server.is_none() {
            return Ok(false);
        }
        // The shell takes note of a child that has ended while it waits for the next one.
        let (alive, _) = self.request("sleep 0.02; kill -0 $server", SOON)?;
        if !alive {
            self.request("server=", SOON)?;
            self.server = None;
        }
        Ok(alive)
    }

    /// Asks the server to end by a signal, and waits until it has.
    pub(crate) fn end(&mut self, signal: Signal, within: Duration) -> Result<()> {
        self.thaw()?;
        let Some(server) = self.server else { return Ok(()) };
        kill_process(server, signal).with_context(|| format!("signal {signal:?} to the server"))?;
        let deadline = Instant::now() + within;
        while self.alive()? {
            ensure!(
                Instant::now() < deadline,
                "the server did not end within {within:?}; its log ends:\n{}",
                self.log_tail()
            );
        }
        Ok(())
    }

    /// Ends the server and all its children by SIGKILL, and waits until they have ended.
    pub(crate) fn kill(&mut self) -> Result<()> {
        if self.server.is_none() {
            return Ok(());
        }
        // Those that do not run make no more children, which would outlive the others.
        self.freeze()?;
        freeze::kill(&std::mem::take(&mut self.frozen))?;
        self.note_frozen()?;
        let deadline = Instant::now() + SOON;
        while self.alive()? {
            ensure!(Instant::now() < deadline, "the server was killed and has not ended within {SOON:?}");
        }
        Ok(())
    }

    /// Stops the server and all its children from running, without ending them: a hang.
    pub(crate) fn freeze(&mut self) -> Result<()> {
        let server = self.server.context("a server that does not run cannot be paused")?;
        // Noted first, so that the keeper can wake and end it even when this process dies half-way.
        loop {
            let new: Vec<_> =
                freeze::family(server)?.into_iter().filter(|process| !self.frozen.contains(process)).collect();
            if new.is_empty() {
                return Ok(());
            }
            self.frozen.extend(&new);
            self.note_frozen()?;
            freeze::stop(&new)?;
        }
    }

    /// Lets a frozen server go on; nothing where it is not frozen.
    pub(crate) fn thaw(&mut self) -> Result<()> {
        for process in std::mem::take(&mut self.frozen) {
            // One that was killed meanwhile needs no waking.
            let _ = kill_process(process, Signal::CONT);
        }
        self.note_frozen()
    }

    fn note_frozen(&mut self) -> Result<()> {
        let ids: Vec<_> = self.frozen.iter().map(|process| process.as_raw_nonzero().to_string()).collect();
        self.request(&format!("frozen='{}'", ids.join(" ")), SOON).map(drop)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read(self.dir.join("log"))
            .map_or_else(|error| format!("(no log: {error})"), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(crate) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    /// Has the shell run a line: whether it succeeded, and what it left in `$answer`.
    fn request(&mut self, line: &str, within: Duration) -> Result<(bool, String)> {
        let requests = self.requests.as_mut().context("the keeper is being ended")?;
        writeln!(requests, "{line}").context("the server's keeper has ended")?;
        self.sent += 1;
        self.answer(within)
    }

    fn answer(&mut self, within: Duration) -> Result<(bool, String)> {
        let deadline = Instant::now() + within;
        loop {
            let line = match self.answers.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => line,
                Err(mpsc::RecvTimeoutError::Timeout) => bail!("the server's keeper did not answer within {within:?}"),
                Err(mpsc::RecvTimeoutError::Disconnected) => bail!("the server's keeper has ended"),
            };
            let mut parts = line.splitn(3, ' ');
            // The answer to an earlier request that came too late is not this one's.
            if parts.next().and_then(|number| number.parse().ok()) == Some(self.sent) {
                return Ok((parts.next() == Some("0"), parts.next().unwrap_or_default().to_owned()));
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.requests = None;
        let deadline = Instant::now() + FINISH;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                _ => return,
            }
        }
        // It hangs in something that it was told to run: end all of its group, and do its work.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
        if !self.dir.as_os_str().is_empty() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

fn command_line(program: &Path, arguments: &[String]) -> Result<String> {
    let program = program.to_str().with_context(|| format!("{} is not UTF-8", program.display()))?;
    let words: Vec<_> =
        std::iter::once(program).chain(arguments.iter().map(String::as_str)).map(quoted).collect::<Result<_>>()?;
    Ok(words.join(" "))
}

/// A word that the shell takes as it is.
fn quoted(word: &str) -> Result<String> {
    ensure!(!word.contains(['\n', '\0']), "{word:?} cannot be given to a server: it holds a line break or a zero byte");
    Ok(format!("'{}'", word.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_shell_as_they_are() {
        for word in ["", "a b", "it's", "$(reboot) `x` \\ \"q\" *", "ü"] {
            let echoed =
                Command::new("/bin/sh").args(["-c", &format!("printf %s {}", quoted(word).unwrap())]).output().unwrap();
            assert_eq!(String::from_utf8(echoed.stdout).unwrap(), word);
        }
        assert!(quoted("two\nlines").is_err());
    }

    #[test]
    fn a_file_has_the_lines_that_it_is_given() {
        let mut keeper = Keeper::new(None, "TERM").unwrap();
        for text in ["", "it's one", "two\n% lines\\n", "\n\nand one more\n"] {
            keeper.write("text", text).unwrap();
            assert_eq!(std::fs::read_to_string(keeper.dir().join("text")).unwrap(), text);
        }
    }

    #[test]
    fn what_fails_says_so_with_its_output_and_leaves_nothing() {
        let mut keeper = Keeper::new(None, "TERM").unwrap();
        let dir = keeper.dir().to_owned();
        let error = keeper.run(Path::new("/bin/ls"), &["/no/such/place".into()], SOON).unwrap_err();
        assert!(format!("{error:#}").contains("/no/such/place"), "{error:#}");
        drop(keeper);
        assert!(!dir.exists());
    }

    #[test]
    fn a_late_answer_is_not_taken_for_the_next_one() {
        let mut keeper = Keeper::new(None, "TERM").unwrap();
        let error = keeper.request("sleep 0.5; answer=late", Duration::from_millis(1)).unwrap_err();
        assert!(error.to_string().contains("did not answer"), "{error}");
        assert_eq!(keeper.request("answer=mine", SOON).unwrap(), (true, "mine".into()));
    }

    #[test]
    fn a_server_that_ignores_its_signal_is_killed() {
        let mut keeper = Keeper::new(None, "TERM").unwrap();
        let ready = keeper.dir().join("ready");
        let script = format!("trap '' TERM; : > '{}'; while :; do sleep 1; done", ready.display());
        keeper.launch(Path::new("/bin/sh"), &["-c".into(), script]).unwrap();
        // Before it has said that it ignores the signal, the signal ends it.
        let late = Instant::now() + SOON;
        while !ready.exists() {
            assert!(Instant::now() < late, "the server has not started");
            std::thread::sleep(Duration::from_millis(5));
        }
        let error = keeper.end(Signal::TERM, Duration::from_millis(100)).unwrap_err();
        assert!(error.to_string().contains("did not end within"), "{error}");
        let server = keeper.server().unwrap();
        drop(keeper);
        assert!(rustix::process::test_kill_process(server).is_err(), "process {server:?} is still there");
    }
}
