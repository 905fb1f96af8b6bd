//! Ctrl-C and termination: whatever runs on our behalf ends with us.

use std::{
    process::Child,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Result;

use crate::stop::Stop;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Leaders of the process groups that are running now.
static GROUPS: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Installs the handler. From then on an interrupt ends the running groups, and [`check`] says so.
pub(crate) fn install() {
    // A second handler is the only way in which this fails, and there is none.
    let _ = ctrlc::set_handler(raise);
    strays::adopt();
}

/// Does what Ctrl-C does; for the key as such, where the terminal sends no signal for it.
pub(crate) fn raise() {
    INTERRUPTED.store(true, Ordering::SeqCst);
    for leader in groups().iter() {
        kill_group(*leader);
    }
}

/// An error once the user has asked to stop.
pub(crate) fn check() -> Result<()> {
    if INTERRUPTED.load(Ordering::SeqCst) { Err(Stop::interrupted().into()) } else { Ok(()) }
}

fn groups() -> std::sync::MutexGuard<'static, Vec<u32>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child that leads a process group of its own. The whole group dies with this value.
pub(crate) struct Group {
    pub(crate) child: Child,
}

impl Group {
    /// Starts `command` as the leader of a new process group.
    pub(crate) fn spawn(command: &mut std::process::Command) -> std::io::Result<Self> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let child = command.spawn()?;
        groups().push(child.id());
        Ok(Self { child })
    }

    /// Ends the group at once.
    pub(crate) fn kill(&mut self) {
        kill_group(self.child.id());
        let _ = self.child.kill();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The leader has not been waited for at this point, or only just: its number still names this group.
        self.kill();
        let _ = self.child.wait();
        groups().retain(|leader| *leader != self.child.id());
    }
}

#[cfg(unix)]
fn kill_group(leader: u32) {
    use rustix::process::{Pid, Signal, kill_process_group};
    if let Some(group) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        // Nothing left to kill is what we want.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

#[cfg(not(unix))]
fn kill_group(_: u32) {}

/// Processes that a submission has started and moved out of its process group, which safe Rust allows.
#[cfg(target_os = "linux")]
pub(crate) mod strays {
    use std::{collections::HashSet, fs};

    use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid};

    /// Makes this process the parent of whatever its descendants leave behind.
    pub(crate) fn adopt() {
        // Where the kernel is too old for it, such a process is left to init, as any orphan is.
        let _ = set_child_subreaper(Some(getpid()));
    }

    /// The children of this process, those that it has inherited among them.
    pub(crate) fn children() -> HashSet<u32> {
        let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
    }

    /// Ends every child that was not there `before`. Their own children are inherited in turn, so it looks again; a
    /// program that starts others faster than they can be ended must not keep it at that for ever.
    pub(crate) fn end(before: &HashSet<u32>) {
        for _ in 0..1_000 {
            let new: Vec<_> = children().difference(before).copied().collect();
            if new.is_empty() {
                return;
            }
            for pid in new.into_iter().filter_map(|pid| Pid::from_raw(pid.cast_signed())) {
                let _ = kill_process(pid, Signal::KILL);
                let _ = waitpid(Some(pid), WaitOptions::empty());
            }
        }
    }
}

/// Elsewhere a process that leaves its group is beyond reach.
#[cfg(not(target_os = "linux"))]
pub(crate) mod strays {
    use std::collections::HashSet;

    pub(crate) fn adopt() {}

    pub(crate) fn children() -> HashSet<u32> {
        HashSet::new()
    }

    pub(crate) fn end(_: &HashSet<u32>) {}
}
