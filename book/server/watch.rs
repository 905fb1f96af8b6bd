//! Calls back when files change. What decides is a comparison of the files' lengths and times, made once a second and
//! as soon as the file system says that something happened: events that are lost, or never sent as on some mounts,
//! cost a second and nothing else.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::live::Fingerprint;

/// How long a change may go unnoticed where events do not arrive.
const POLL: Duration = Duration::from_secs(1);
/// How long it takes an editor to be done with a save.
const SETTLE: Duration = Duration::from_millis(60);

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Continue,
    Stop,
}

/// Watches on a thread of its own. `dirs` are worth events and may not exist yet; `look` says how the files are now;
/// `changed` is called when that differs from the time before, and says whether to go on; so does `alive` when nothing
/// changes.
pub(crate) fn spawn(
    dirs: Vec<PathBuf>,
    mut look: impl FnMut() -> Fingerprint + Send + 'static,
    mut changed: impl FnMut() -> Next + Send + 'static,
    alive: impl Fn() -> Next + Send + 'static,
) {
    let before = look();
    thread::spawn(move || {
        let mut before = before;
        let mut events = Events::new(dirs);
        while alive() == Next::Continue {
            events.wait();
            let now = look();
            if now != before {
                before = now;
                if changed() == Next::Stop {
                    return;
                }
            }
        }
    });
}

/// Wakes up early when the file system says that something happened below one of the directories.
struct Events {
    /// `None` when the system has no events to give, for example because its watches are used up.
    watcher: Option<RecommendedWatcher>,
    happened: Receiver<()>,
    /// Each directory with the identity that it had when it was last subscribed to.
    dirs: Vec<(PathBuf, Option<Identity>)>,
}

impl Events {
    fn new(dirs: Vec<PathBuf>) -> Self {
        let (tell, happened) = mpsc::channel();
        let watcher = notify::recommended_watcher(move |_| {
            // The receiver is gone only when nobody waits any more.
            let _ = tell.send(());
        });
        let dirs = dirs.into_iter().map(|dir| (dir, None)).collect();
        Self { watcher: watcher.ok(), happened, dirs }
    }

    fn wait(&mut self) {
        self.subscribe();
        // A directory that is missing has no events; it should not take a whole second to notice the first file in it.
        let missing = self.dirs.iter().any(|(_, subscribed)| subscribed.is_none());
        match self.happened.recv_timeout(if missing { POLL / 4 } else { POLL }) {
            Ok(()) => {
                thread::sleep(SETTLE);
                while self.happened.try_recv().is_ok() {}
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => thread::sleep(POLL),
        }
    }

    /// Subscribes to directories that appeared, or were replaced by another of the same name.
    fn subscribe(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        for (dir, subscribed) in &mut self.dirs {
            let now = identity(dir);
            if now == *subscribed {
                continue;
            }
            if subscribed.is_some() {
                // It may be gone from the watcher's books already.
                let _ = watcher.unwatch(dir);
            }
            *subscribed = now.filter(|_| watcher.watch(dir, RecursiveMode::Recursive).is_ok());
        }
    }
}

/// What tells a directory from another that takes its name.
type Identity = (u64, Option<std::time::SystemTime>);

fn identity(dir: &Path) -> Option<Identity> {
    let meta = fs::metadata(dir).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&meta);
    #[cfg(not(unix))]
    let inode = 0;
    Some((inode, meta.created().ok()))
}

/// The fingerprint of every file that is one of `paths` or below one of them, and that `wanted` accepts.
pub(crate) fn files(paths: &[PathBuf], wanted: &dyn Fn(&Path) -> bool) -> Fingerprint {
    let mut found = Vec::new();
    for path in paths {
        gather(path, wanted, &mut found);
    }
    found.sort();
    found
}

fn gather(path: &Path, wanted: &dyn Fn(&Path) -> bool, found: &mut Fingerprint) {
    let Ok(meta) = fs::metadata(path) else { return };
    if meta.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            // Editors keep their own files beside the one that is edited, and build directories hold thousands.
            let name = entry.file_name();
            if !name.to_string_lossy().starts_with('.') && name != "target" {
                gather(&entry.path(), wanted, found);
            }
        }
    } else if wanted(path) {
        found.push((path.into(), meta.len(), meta.modified().ok()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use super::*;

    #[test]
    fn notices_files_in_a_directory_that_did_not_exist_and_then_came_back() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("later/reports");
        let (tell, told) = mpsc::channel();
        let alive = Arc::new(AtomicBool::new(true));
        let (looked_at, still) = (dir.clone(), Arc::clone(&alive));
        spawn(
            vec![dir.clone()],
            move || files(std::slice::from_ref(&looked_at), &|_| true),
            move || if tell.send(()).is_ok() { Next::Continue } else { Next::Stop },
            move || if still.load(Ordering::Relaxed) { Next::Continue } else { Next::Stop },
        );
        let noticed = || told.recv_timeout(Duration::from_secs(20)).expect("the change is noticed");
        for content in ["one", "other"] {
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("a.json"), content).unwrap();
            noticed();
            fs::remove_dir_all(&dir).unwrap();
            noticed();
        }
        alive.store(false, Ordering::Relaxed);
    }
}
