//! However a process ends that holds a server: the server is gone, and so is its directory.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpStream},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use orderflow_servers::postgres;
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};

/// A process that holds a server.
struct Holder {
    process: Child,
    port: u16,
    dir: PathBuf,
    server: Pid,
}

fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_orderflow-servers"));
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    program
}

impl Holder {
    fn new() -> Option<Self> {
        // Whether there is PostgreSQL here at all.
        postgres()?;
        let mut process = program().spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let (url, dir) = (lines.next().unwrap(), PathBuf::from(lines.next().unwrap()));
        let port = url.rsplit_once(':').unwrap().1.split_once('/').unwrap().0.parse().unwrap();
        let lock = fs::read_to_string(dir.join("data/postmaster.pid")).unwrap();
        let server = Pid::from_raw(lock.lines().next().unwrap().parse().unwrap()).unwrap();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        Some(Self { process, port, dir, server })
    }

    fn leaves_nothing(mut self) {
        self.process.wait().unwrap();
        until(&format!("{} is gone", self.dir.display()), || !self.dir.exists());
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err(), "the server still listens");
        assert!(test_kill_process(self.server).is_err(), "the server's process is still there");
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn its_end() {
    let Some(mut holder) = Holder::new() else { return };
    drop(holder.process.stdin.take());
    holder.leaves_nothing();
}

#[test]
fn sigkill() {
    let Some(mut holder) = Holder::new() else { return };
    holder.process.kill().unwrap();
    holder.leaves_nothing();
}

/// A terminal sends SIGINT to all of the foreground's process group.
#[test]
fn ctrl_c() {
    let Some(holder) = Holder::new() else { return };
    kill_process_group(Pid::from_child(&holder.process), Signal::INT).unwrap();
    holder.leaves_nothing();
}

#[test]
fn sigkill_while_the_server_hangs() {
    let Some(mut holder) = Holder::new() else { return };
    kill_process(holder.server, Signal::STOP).unwrap();
    holder.process.kill().unwrap();
    holder.leaves_nothing();
}

#[test]
fn sigkill_while_the_data_directory_is_made() {
    let Some(_) = postgres() else { return };
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let entries = || fs::read_dir(place.path()).unwrap().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    let mut process = program().env("TMPDIR", place.path()).spawn().unwrap();
    until("initdb works", || entries().iter().any(|dir| dir.join("data/base").exists()));
    process.kill().unwrap();
    process.wait().unwrap();
    until("the directory is gone", || entries().is_empty());
}

/// Root's temporary directory may be one that the server's user cannot enter.
#[test]
fn its_end_with_a_private_temporary_directory() {
    let Some(_) = postgres() else { return };
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let output = program().env("TMPDIR", place.path()).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let dir = PathBuf::from(String::from_utf8(output.stdout).unwrap().lines().nth(1).unwrap());
    assert!(dir.is_absolute() && !dir.exists(), "{}", dir.display());
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}
