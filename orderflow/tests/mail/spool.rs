//! The spool directory: each mail once, whole, or not at all.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use orderflow::mail::{Mail, MailError, SetupError};
use orderflow_servers::{Missing, needs};
use tempfile::TempDir;

use crate::stage::{configured, mail};

/// What is in a directory.
fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_mail_is_a_file_and_the_same_mail_again_is_the_same_file() {
    let dir = TempDir::new().unwrap();
    let mailer = configured(dir.path(), &[]).unwrap();
    mailer.send(&mail(1)).await.unwrap();
    mailer.send(&mail(2)).await.unwrap();
    mailer.send(&Mail { text: "Dear Ada,\n\nanother.\n".to_owned(), ..mail(1) }).await.unwrap();
    let spool = dir.path().join("spool");
    assert_eq!(files(&spool), ["order-1.7@orderflow.example.eml", "order-2.7@orderflow.example.eml"]);
    let file = spool.join("order-1.7@orderflow.example.eml");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("Message-ID: <order-1.7@orderflow.example>\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\nDear Ada,\r\n\r\nanother.\r\n"), "{text}");
    // What is in it is nobody else's business.
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&spool), mode(&file)), (0o700, 0o600));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_and_the_same_ones_at_once_leave_each_file_whole() {
    let dir = TempDir::new().unwrap();
    let directory = dir.path().join("of").join("mails");
    let mailer = configured(dir.path(), &[("mail.spool", directory.to_str().unwrap())]).unwrap();
    let sends: Vec<_> = (0..200)
        .map(|number| {
            let mailer = Arc::clone(&mailer);
            tokio::spawn(async move { mailer.send(&mail(number % 50)).await })
        })
        .collect();
    for send in sends {
        send.await.unwrap().unwrap();
    }
    let names = files(&directory);
    assert_eq!(names.len(), 50, "{names:?}");
    for name in names {
        let text = fs::read_to_string(directory.join(&name)).unwrap();
        let id = name.strip_suffix(".eml").unwrap();
        assert!(text.contains(&format!("Message-ID: <{id}>\r\n")) && text.ends_with("Thank you.\r\n"), "{text}");
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_is_told_at_the_start() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let path = dir.path().join("file").join("spool");
    let Err(SetupError::Spool(told, _)) = configured(dir.path(), &[("mail.spool", path.to_str().unwrap())]) else {
        panic!("a file is no directory")
    };
    assert_eq!(told, path);
}

#[tokio::test]
async fn a_directory_that_went_away_is_waited_for() {
    let dir = TempDir::new().unwrap();
    let mailer = configured(dir.path(), &[]).unwrap();
    fs::remove_dir(dir.path().join("spool")).unwrap();
    let Err(MailError::Temporary(why)) = mailer.send(&mail(1)).await else { panic!("it is not temporary") };
    assert_eq!(why, "the spool cannot be written to: entity not found");
    fs::create_dir(dir.path().join("spool")).unwrap();
    mailer.send(&mail(1)).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_leaves_no_half_mail_and_takes_mails_again_when_there_is_room() {
    let dir = TempDir::new().unwrap();
    let Some(disk) = needs(Disk::small(dir.path())) else { return };
    let mailer = configured(dir.path(), &[("mail.spool", disk.path().to_str().unwrap())]).unwrap();
    let long = |number| Mail { text: "A line of a mail.\n".repeat(400), ..mail(number) };
    let mut sent = Vec::new();
    let why = loop {
        match mailer.send(&long(sent.len())).await {
            Ok(()) => sent.push(format!("order-{}.7@orderflow.example.eml", sent.len())),
            Err(error) => break error,
        }
        assert!(sent.len() < 100, "it never became full");
    };
    assert_eq!(why, MailError::Temporary("the spool cannot be written to: no storage space".to_owned()));
    assert!(!sent.is_empty());
    let next = sent.len();
    sent.sort_unstable();
    assert_eq!(files(disk.path()), sent, "nothing half-written is left");
    for name in &sent {
        assert!(fs::read_to_string(disk.path().join(name)).unwrap().ends_with("A line of a mail.\r\n"), "{name}");
    }
    fs::remove_file(disk.path().join(&sent[0])).unwrap();
    mailer.send(&long(next)).await.unwrap();
}

/// A small file system in memory, in a namespace of its own: it is seen through the process that is in there, and ends with
/// it.
struct Disk {
    process: Child,
    path: PathBuf,
}

impl Disk {
    fn small(dir: &Path) -> anyhow::Result<Self> {
        let at = dir.join("disk");
        fs::create_dir(&at)?;
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args([
            "sh",
            "-c",
            "mount -t tmpfs -o size=64k,nr_inodes=64 tmpfs \"$1\" && echo mounted && exec cat",
            "sh",
        ]);
        command.arg(&at).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let missing = |how: String| Missing { program: "unshare (a mount of the test's own)".to_owned(), how };
        let mut process = command.spawn().map_err(|error| missing(error.to_string()))?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line)?;
        if line != "mounted\n" {
            let said = process.wait_with_output()?.stderr;
            let said = String::from_utf8_lossy(&said).trim().to_owned();
            return Err(missing(format!("It needs a system that lets this user mount a tmpfs: {said}")).into());
        }
        let path = PathBuf::from(format!("/proc/{}/root{}", process.id(), at.display()));
        Ok(Self { process, path })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
