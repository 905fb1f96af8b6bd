//! Mails as files in a directory, where there is no mail server.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use tokio::{sync::Semaphore, time::timeout};
use tracing::Instrument;

use super::{Mail, MailError, Mailer, Sender, SetupError, message::message};
use crate::{step, telemetry};

/// What a file is called that is being written: `.NAME.eml.RANDOM.part`.
const PART: &str = ".part";
/// A file that was being written and is this old was left by a process that died.
const ABANDONED: Duration = Duration::from_hours(1);

/// A directory that takes mails.
pub(super) struct Spool {
    directory: Arc<PathBuf>,
    timeout: Duration,
    sender: Sender,
    /// A disk that hangs keeps a thread. No more of them than this are ever kept.
    places: Arc<Semaphore>,
}

impl Spool {
    /// Makes the directory, for nobody else to read, and removes what processes left there that died while they wrote.
    pub(super) fn open(
        directory: PathBuf,
        timeout: Duration,
        sender: Sender,
        concurrency: u32,
    ) -> Result<Self, SetupError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        if let Err(error) = made.and_then(|()| sweep(&directory)) {
            return Err(SetupError::Spool(directory, error));
        }
        let places = Arc::new(Semaphore::new(concurrency as usize));
        Ok(Self { directory: Arc::new(directory), timeout, sender, places })
    }
}

#[async_trait]
impl Mailer for Spool {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let message = message(mail, &self.sender)?.formatted();
        let (directory, name) = (Arc::clone(&self.directory), file_name(&mail.message_id));
        let written = timeout(self.timeout, async {
            let place = Arc::clone(&self.places).acquire_owned().await;
            // Whoever stops waiting does not stop the thread: the file is written whole, or not at all.
            let task = telemetry::spawn_blocking(move || {
                let _place = place;
                let _writing = step!("write a file").entered();
                write(&directory, &name, &message)
            });
            task.await.map_err(io::Error::other)?
        });
        match written.instrument(step!("send a mail", mail.by = "spool")).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(MailError::Temporary(format!("the spool cannot be written to: {}", error.kind()))),
            Err(_) => Err(MailError::Temporary("the spool did not take it in time".to_owned())),
        }
    }
}

/// The file of a Message-ID: without its brackets, and without what a file name may not have.
fn file_name(message_id: &str) -> String {
    let id = message_id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(message_id);
    let mut name: String = id
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "-.@".contains(letter) { letter } else { '_' })
        .collect();
    // A leading dot would hide it.
    if name.starts_with('.') {
        name.insert(0, '_');
    }
    name + ".eml"
}

/// Puts the whole of it in place, durably: the content reaches the disk before the name does.
fn write(directory: &Path, name: &str, message: &[u8]) -> io::Result<()> {
    let part = directory.join(format!(".{name}.{:016x}{PART}", fastrand::u64(..)));
    let placed = write_part(&part, message).and_then(|()| fs::rename(&part, directory.join(name)));
    if placed.is_err() {
        // On a full disk this is what makes room again. If it fails too, the next start sweeps.
        let _ = fs::remove_file(&part);
    }
    placed?;
    File::open(directory)?.sync_all()
}

fn write_part(part: &Path, message: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part)?;
    file.write_all(message)?;
    file.sync_all()
}

/// Removes files that nobody is writing any more.
fn sweep(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_part = name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(PART));
        if is_part && abandoned(&entry) {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

fn abandoned(entry: &fs::DirEntry) -> bool {
    let changed = entry.metadata().and_then(|metadata| metadata.modified());
    let age = changed.map(|changed| SystemTime::now().duration_since(changed).unwrap_or_default());
    age.is_ok_and(|age| age > ABANDONED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_after_its_message_and_stays_in_its_directory() {
        for (id, name) in [
            ("<order-17.5@orderflow.example>", "order-17.5@orderflow.example.eml"),
            ("<../../etc/passwd@[127.0.0.1]>", "_.._.._etc_passwd@_127.0.0.1_.eml"),
            ("plain", "plain.eml"),
        ] {
            assert_eq!(file_name(id), name);
        }
    }

    #[test]
    fn what_was_left_half_written_is_swept_and_what_is_being_written_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, age: Duration| {
            let path = dir.path().join(name);
            File::create(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
            path
        };
        let old = file(".a.eml.0123.part", ABANDONED * 2);
        let kept = [file(".b.eml.4567.part", Duration::ZERO), file("c.eml", ABANDONED * 2), file(".d", ABANDONED * 2)];
        sweep(dir.path()).unwrap();
        assert!(!old.exists() && kept.iter().all(|path| path.exists()));
    }
}
