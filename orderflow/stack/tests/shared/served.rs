//! OrderFlow as a process on a database.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use crate::program;

/// A running service, ended when dropped.
pub(crate) struct Served {
    process: Child,
    /// Where its API is, on 127.0.0.1.
    pub(crate) port: u16,
    _place: tempfile::TempDir,
}

impl Served {
    /// Starts it and waits until it says where it is.
    pub(crate) fn start(database: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut command = Command::new(program::orderflow());
        command.env_clear().env("ORDERFLOW_DATABASE__URL", database).current_dir(place.path());
        command.args(["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--set", "http.drain_notice=0s"]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split('/').next()?.parse().ok());
        Self { process, port: port.unwrap_or_else(|| panic!("it did not start: {line}")), _place: place }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
