//! OrderFlow beside the book: built and started while the book is served already, and ended with it.

use std::{
    collections::VecDeque,
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use serde::Serialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
};

/// The ports that it has unless they are taken: for its API, and for operators.
const PORTS: [u16; 2] = [8080, 9464];
/// How long it may take to say where it is. It fills its database first.
const TO_START: Duration = Duration::from_mins(2);
/// How long it may take to end once it was asked to.
const TO_END: Duration = Duration::from_secs(2);
/// How many of the last lines on its standard error are told as the reason why it ended.
const LAST_LINES: usize = 6;

/// How it stands with OrderFlow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// Cargo builds it.
    Building,
    /// It runs, and has not said yet where it is.
    Starting,
    /// It answers.
    Ready {
        /// Where.
        address: SocketAddr,
    },
    /// It could not be built, could not be started, or has ended.
    Failed {
        /// What happened, and below that what it said last.
        why: String,
    },
}

/// Where the course is and where cargo puts what it builds.
#[derive(Debug, Clone)]
pub struct Place {
    /// The directory that holds `orderflow/`; its data goes to `.course/orderflow/` below it.
    pub root: PathBuf,
    /// Cargo's target directory.
    pub target: PathBuf,
}

/// Builds OrderFlow and runs it until `stop` says so; the state follows. The task ends when it runs no longer.
pub(crate) fn spawn(place: Place, stop: watch::Receiver<bool>) -> (watch::Receiver<State>, JoinHandle<()>) {
    let (state, followed) = watch::channel(State::Building);
    let task = tokio::spawn(async move {
        if let Err(why) = supervise(&place, &state, stop).await {
            eprintln!("OrderFlow: {}", why.lines().next().unwrap_or_default());
            state.send_replace(State::Failed { why });
        }
    });
    (followed, task)
}

/// An error says why OrderFlow does not run, below that what it said last; there is none when it was stopped.
async fn supervise(place: &Place, state: &watch::Sender<State>, mut stop: watch::Receiver<bool>) -> Result<(), String> {
    let mut cargo = build(place).spawn().map_err(|error| format!("cargo cannot be started: {error}"))?;
    let built = tokio::select! {
        built = cargo.wait() => built.map_err(|error| error.to_string())?,
        () = stopped(&mut stop) => return end(cargo).await,
    };
    if !built.success() {
        return Err(
            "it does not build. Cargo's errors in the terminal say why; then run `cargo xtask start` again.".into()
        );
    }
    state.send_replace(State::Starting);
    let mut service = program(place).spawn().map_err(|error| format!("its program cannot be started: {error}"))?;
    if let Some(out) = service.stdout.take() {
        tokio::spawn(follow_output(out, state.clone()));
    }
    let errors = service.stderr.take().map(|err| tokio::spawn(follow_errors(err)));
    let ended = tokio::select! {
        ended = service.wait() => ended.map_err(|error| error.to_string())?,
        () = overdue(state.subscribe()) => {
            let _ = service.kill().await;
            return Err(format!("it did not say where it is within {} seconds, and was ended.", TO_START.as_secs()));
        }
        () = stopped(&mut stop) => return end(service).await,
    };
    let last = match errors {
        Some(errors) => errors.await.unwrap_or_default(),
        None => String::new(),
    };
    Err(format!("it has ended ({ended}); `cargo xtask start` starts it again.\n{last}").trim_end().to_owned())
}

/// Done when OrderFlow has not said in time where it is; never, if it has.
async fn overdue(mut state: watch::Receiver<State>) {
    let said = state.wait_for(|state| *state != State::Starting);
    if tokio::time::timeout(TO_START, said).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

/// Below the learner's own work in priority where the system has a word for that: a verdict should not wait for it.
fn build(place: &Place) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = if cfg!(unix) {
        let mut nice = Command::new("nice");
        nice.args(["-n", "10"]).arg(cargo);
        nice
    } else {
        Command::new(cargo)
    };
    command.args(["build", "--profile", "course", "--package", "orderflow", "--target-dir"]).arg(&place.target);
    command.current_dir(&place.root).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    command
}

fn program(place: &Place) -> Command {
    let program = place.target.join("course").join("orderflow").with_extension(std::env::consts::EXE_EXTENSION);
    let [api, operators] = PORTS.map(free);
    let mut command = Command::new(program);
    command.arg("serve").current_dir(&place.root);
    let data = PathBuf::from(catalogue::STATE_DIR).join("orderflow");
    for setting in [
        format!("data_dir={}", data.display()),
        format!("http.listen={}:{api}", Ipv4Addr::LOCALHOST),
        format!("ops.listen={}:{operators}", Ipv4Addr::LOCALHOST),
        // Its standard error is ours by way of a pipe, which it would take for a log collector.
        "log.format=pretty".to_owned(),
    ] {
        command.args(["--set", &setting]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// The port if it is free, or else 0, which makes the system choose one.
fn free(port: u16) -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_or(0, |_| port)
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone has nothing to say any more: the server has ended.
    let _ = stop.wait_for(|stopping| *stopping).await;
}

/// Asks a child to end, and what it has started too where that can be told from others; then makes it.
async fn end(mut child: Child) -> Result<(), String> {
    ask_to_end(&child);
    if tokio::time::timeout(TO_END, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
    Ok(())
}

#[cfg(unix)]
fn ask_to_end(child: &Child) {
    use rustix::process::{Pid, Signal, getpgrp, getpid, kill_process, kill_process_group};
    // Whoever starts this server makes it the leader of a group. All that is in it was started by us, and we are ending too.
    if getpgrp() == getpid() {
        let _ = kill_process_group(getpid(), Signal::TERM);
    } else if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
        let _ = kill_process(pid, Signal::TERM);
    }
}

#[cfg(not(unix))]
fn ask_to_end(_: &Child) {}

/// Passes on what OrderFlow says, a key that it made among it, and learns from it where it is.
async fn follow_output(out: impl AsyncRead + Unpin, state: watch::Sender<State>) {
    let mut lines = BufReader::new(out).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // Whoever started us may not be reading any more.
        let _ = writeln!(std::io::stdout(), "{line}");
        if let Some(address) = announced(&line) {
            state.send_if_modified(|state| {
                let first = *state == State::Starting;
                if first {
                    *state = State::Ready { address };
                }
                first
            });
        }
    }
}

/// The address in `OrderFlow  http://127.0.0.1:8080/api/products ...`; only one of this machine counts.
fn announced(line: &str) -> Option<SocketAddr> {
    let rest = line.strip_prefix("OrderFlow")?.trim_start().strip_prefix("http://")?;
    let address: SocketAddr = rest.split(['/', ' ']).next()?.parse().ok()?;
    address.ip().is_loopback().then_some(address)
}

/// Passes on the log, and gives its last lines when it ends.
async fn follow_errors(err: impl AsyncRead + Unpin) -> String {
    let mut lines = BufReader::new(err).lines();
    let mut last = VecDeque::new();
    while let Ok(Some(line)) = lines.next_line().await {
        let _ = writeln!(std::io::stderr(), "{line}");
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
    last.make_contiguous().join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_names_an_address_of_this_machine() {
        let said = "OrderFlow  http://127.0.0.1:8080/api/products   API: http://127.0.0.1:8080/docs";
        assert_eq!(announced(said), Some("127.0.0.1:8080".parse().unwrap()));
        for other in ["OrderFlow  http://10.0.0.1:8080/", "operators  http://127.0.0.1:9464/healthz", "OrderFlow", ""] {
            assert_eq!(announced(other), None, "{other}");
        }
    }

    #[test]
    fn a_port_that_is_taken_is_left_to_the_system() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_eq!(free(port), 0);
    }
}
