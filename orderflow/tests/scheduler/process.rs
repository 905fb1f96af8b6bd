//! The program itself: as a process of its own, within the service, and for one look.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::Duration,
};

use orderflow::domain::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    on_both_stores,
    stage::{Stage, until},
};

/// The program with these arguments, in a directory of its own.
pub(crate) fn program(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orderflow"));
    command.env_clear().current_dir(dir).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// One on the database of a stage, where it is about noon, so that no test meets midnight.
pub(crate) fn on_stage(stage: &Stage, arguments: &[&str]) -> Command {
    let hours = 12 - i32::from(Timestamp::now().get().hour());
    let offset = format!("scheduler.utc_offset={}{:02}:00", if hours < 0 { '-' } else { '+' }, hours.abs());
    let mut command = program(stage.path(), arguments);
    for setting in [offset.as_str(), "database.statement_timeout=60s", "database.acquire_timeout=30s"] {
        command.args(["--set", setting]);
    }
    command.args(["--database-url", stage.url(), "--ops-listen", "127.0.0.1:0"]);
    command
}

/// A birthday that is today for [`on_stage`].
pub(crate) fn today() -> String {
    let now = Timestamp::now().get();
    let noon = now + time::Duration::hours(12 - i64::from(now.hour()));
    noon.date().replace_year(1992).unwrap().to_string()
}

/// What a program said that ended well.
#[track_caller]
pub(crate) fn said(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A program that runs until it is told to end.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::inherit()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// Where operators look.
    fn operators(&mut self) -> SocketAddr {
        for line in (&mut self.stdout).lines() {
            let line = line.unwrap();
            if let Some((_, url)) = line.split_once("operators  http://") {
                return url.split('/').next().unwrap().parse().unwrap();
            }
        }
        panic!("it ended: {}", self.child.wait().unwrap());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The answer to a GET.
fn get(address: SocketAddr, path: &str) -> String {
    let patience = Duration::from_mins(1);
    let mut stream = TcpStream::connect_timeout(&address, patience).unwrap();
    stream.set_read_timeout(Some(patience)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

on_both_stores!(a_process_of_its_own_works_and_can_be_seen_to, one_look_says_what_it_found);

async fn a_process_of_its_own_works_and_can_be_seen_to(stage: Stage) {
    stage.many_born(3, &today()).await;
    let mut running = Running::start(&mut on_stage(&stage, &["scheduler"]));
    let operators = running.operators();
    until("the birthdays are found", async || stage.told().await.len() == 3).await;
    assert!(get(operators, "/healthz/ready").starts_with("HTTP/1.1 200 "));
    until("they are counted", async || {
        let metrics = get(operators, "/metrics");
        metrics.contains("\nscheduler_leader 1\n") && metrics.contains("jobs_enqueued_total{kind=\"birthday\"} 3\n")
    })
    .await;
    kill_process(Pid::from_child(&running.child), Signal::TERM).unwrap();
    let mut rest = String::new();
    running.stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

async fn one_look_says_what_it_found(stage: Stage) {
    stage.many_born(3, &today()).await;
    let look = |arguments: &[&str]| said(&on_stage(&stage, arguments).output().unwrap());
    assert_eq!(look(&["scheduler", "--once"]), "3 birthdays and 0 reminders were found\n");
    assert_eq!(look(&["scheduler", "--once"]), "0 birthdays and 0 reminders were found\n");
    stage.sql("UPDATE customers SET birthday = '2000-02-29'").await;
    let on = |date| look(&["scheduler", "--once", "--date", date]);
    assert_eq!(on("2003-02-28"), "3 birthdays and 0 reminders were found\n");
    assert_eq!(on("2004-02-28"), "0 birthdays and 0 reminders were found\n");
    assert_eq!(on("2004-02-29"), "3 birthdays and 0 reminders were found\n");
}

#[test]
fn a_date_is_a_day_and_for_one_look_only() {
    let dir = TempDir::new().unwrap();
    for (arguments, expected) in [
        (&["scheduler", "--date", "2026-01-01"][..], "--once"),
        (&["scheduler", "--once", "--date", "2026-02-29"], "must be a day of the calendar"),
    ] {
        let output = program(dir.path(), arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && stderr.contains(expected), "{stderr}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_service_looks_by_itself_unless_it_is_told_not_to() {
    for (settings, leads) in [(&[][..], true), (&["--set", "worker.in_process=off"], false)] {
        let dir = TempDir::new().unwrap();
        let any =
            ["serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--set", "database.seed_orders=20"];
        let mut running = Running::start(program(dir.path(), &any).args(settings));
        let operators = running.operators();
        let shows = |leads: u8| get(operators, "/metrics").contains(&format!("\nscheduler_leader {leads}\n"));
        until("it says so", async || shows(u8::from(leads))).await;
        assert_eq!(dir.path().join(".orderflow/orderflow.db.scheduler").exists(), leads);
    }
}
