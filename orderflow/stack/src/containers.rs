//! The stack in containers, by `orderflow/deploy/compose.yaml`, where an engine runs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::state::Place;

/// Where the stack's directory says that it is in containers.
const MARK: &str = "containers";

/// Whether there is an engine that answers and knows Compose.
pub(crate) fn available() -> bool {
    let answers = |arguments: &[&str]| {
        let mut docker = Command::new("docker");
        docker.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        docker.status().is_ok_and(|status| status.success())
    };
    answers(&["compose", "version"]) && answers(&["info"])
}

/// Whether the stack was started in containers.
pub(crate) fn up_already(place: &Place) -> bool {
    place.join(MARK).exists()
}

/// Builds the image and starts everything; waits until it is healthy.
pub(crate) fn up(place: &Place) -> Result<ExitCode> {
    ensure!(available(), "no container engine answers to `docker compose version` and `docker info`");
    fs::create_dir_all(place.path())?;
    fs::write(place.join(MARK), "")?;
    let code = compose(&["up", "--build", "--detach", "--wait"])?;
    println!("The API is at http://127.0.0.1:8080; its key is of_development.");
    Ok(code)
}

/// What Compose says of each.
pub(crate) fn status(json: bool) -> Result<ExitCode> {
    compose(if json { &["ps", "--format", "json"] } else { &["ps"] })
}

/// Ends everything, and removes its data.
pub(crate) fn down(place: &Place) -> Result<ExitCode> {
    let code = compose(&["down", "--volumes"])?;
    if code == ExitCode::SUCCESS {
        place.clear()?;
    }
    Ok(code)
}

/// What was printed last.
pub(crate) fn logs(part: Option<&str>, lines: usize) -> Result<ExitCode> {
    let lines = lines.to_string();
    let mut arguments = vec!["logs", "--tail", &lines];
    arguments.extend(part);
    compose(&arguments)
}

fn compose(arguments: &[&str]) -> Result<ExitCode> {
    let mut docker = Command::new("docker");
    docker.args(["compose", "--file"]).arg(file()).args(arguments);
    let status = docker.status().context("docker cannot be run")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The file as it lies in the tree that this program was built from.
fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/compose.yaml")
}
