//! A server's processes, and how they are kept from running. PostgreSQL makes each backend a process group of its own, so
//! one signal to one group would leave most of it at work.

use std::{
    collections::HashMap,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// Longer than a machine that is busy beyond reason needs to deliver a signal.
const DELIVERED: Duration = Duration::from_secs(20);

struct Process {
    id: i32,
    parent: i32,
    /// The letter that `ps` and `/proc` show: T is stopped, Z has ended.
    state: char,
}

/// A process and all that descend from it.
pub(crate) fn family(root: Pid) -> Result<Vec<Pid>> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for process in processes()? {
        children.entry(process.parent).or_default().push(process.id);
    }
    let mut family = vec![root.as_raw_nonzero().get()];
    let mut next = 0;
    while next < family.len() {
        family.extend(children.remove(&family[next]).unwrap_or_default());
        next += 1;
    }
    Ok(family.into_iter().filter_map(Pid::from_raw).collect())
}

/// Keeps processes from running, and returns when none of them does: one that is creating a child finishes that first, so
/// look for children again. One that has ended meanwhile is as good as stopped.
pub(crate) fn stop(targets: &[Pid]) -> Result<()> {
    signal(targets, Signal::STOP, "TtZX")
}

/// Ends processes, and returns when all have ended.
pub(crate) fn kill(targets: &[Pid]) -> Result<()> {
    signal(targets, Signal::KILL, "ZX")
}

/// Sends a signal and waits until each process is gone or in one of the `reached` states.
fn signal(targets: &[Pid], signal: Signal, reached: &str) -> Result<()> {
    for target in targets {
        match kill_process(*target, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error).context("a server's process cannot be sent a signal"),
        }
    }
    let deadline = Instant::now() + DELIVERED;
    let runs = |process: &Process| {
        Pid::from_raw(process.id).is_some_and(|id| targets.contains(&id)) && !reached.contains(process.state)
    };
    while processes()?.iter().any(runs) {
        ensure!(Instant::now() < deadline, "a server's processes heeded no {signal:?} within {DELIVERED:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn processes() -> Result<Vec<Process>> {
    if cfg!(target_os = "linux") {
        let entries = std::fs::read_dir("/proc").context("/proc cannot be read")?;
        let stat = |entry: std::fs::DirEntry| parsed(&std::fs::read_to_string(entry.path().join("stat")).ok()?);
        return Ok(entries.flatten().filter_map(stat).collect());
    }
    let listing = Command::new("ps").args(["-A", "-o", "pid=,ppid=,state="]).output().context("ps cannot be run")?;
    let process = |line: &str| {
        let mut words = line.split_whitespace();
        let [id, parent] = [words.next()?.parse().ok()?, words.next()?.parse().ok()?];
        Some(Process { id, parent, state: words.next()?.chars().next()? })
    };
    Ok(String::from_utf8_lossy(&listing.stdout).lines().filter_map(process).collect())
}

/// A `/proc/*/stat`: the id, the name in parentheses, which may hold any character, the state, and the parent.
fn parsed(stat: &str) -> Option<Process> {
    let (before, after) = stat.rsplit_once(')')?;
    let mut words = after.split_whitespace();
    Some(Process {
        id: before.split_whitespace().next()?.parse().ok()?,
        state: words.next()?.chars().next()?,
        parent: words.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_read_whatever_their_names() {
        let read = |stat| parsed(stat).map(|process| (process.id, process.parent, process.state));
        assert_eq!(read("12 (postgres) S 7 12 12 0"), Some((12, 7, 'S')));
        assert_eq!(read("12 (a) R 1) (b) T 8 12 12 0"), Some((12, 8, 'T')));
        assert_eq!(read("12 (cut"), None);
    }

    #[test]
    fn a_family_has_its_grandchildren() {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "sleep 30 & echo $!; wait"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
        let grandchild = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        let family = family(rustix::process::getpid());
        kill_process(grandchild, Signal::KILL).unwrap();
        child.wait().unwrap();
        let family = family.unwrap();
        assert!(family.contains(&Pid::from_child(&child)) && family.contains(&grandchild), "{family:?}");
    }
}
