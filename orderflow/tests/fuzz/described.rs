//! schemathesis makes up requests from the description of the API, good ones and bad ones and sequences of them, and holds
//! the answers to what is described.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, Result};
use orderflow::auth::hex;
use orderflow_servers::{Missing, needs};
use sha2::{Digest, Sha256};

use crate::service::{OFFICE, Service};

/// What is installed: schemathesis and all that it needs.
const REQUIREMENTS: &str = include_str!("requirements.txt");
const SETTINGS: &str = include_str!("schemathesis.toml");
/// Cases of each kind for each operation: about half a minute in all.
const EXAMPLES: &str = "30";

/// The directory of Python modules, which is kept between runs.
fn schemathesis() -> Result<PathBuf> {
    let missing = |program: &str, how: String| Missing { program: program.to_owned(), how };
    let python = Command::new("python3").arg("--version").output();
    let python = python.map_err(|_| missing("python3", "Install Python, 3.10 or newer, with pip.".to_owned()))?;
    // What is installed for one Python may not run on another.
    let hash = hex(&Sha256::new().chain_update(REQUIREMENTS).chain_update(python.stdout).finalize()[..6]);
    let modules = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("schemathesis-{hash}"));
    if modules.is_dir() {
        return Ok(modules);
    }
    let draft = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let list = draft.path().join("requirements.txt");
    fs::write(&list, REQUIREMENTS)?;
    let into = draft.path().join("modules");
    let pip =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--only-binary", ":all:"];
    let mut installing = Command::new("python3");
    let installed = installing.args(pip).arg("--target").arg(&into).arg("--requirement").arg(&list).output()?;
    if !installed.status.success() {
        let said = String::from_utf8_lossy(&installed.stderr);
        let why = format!(
            "`python3 -m pip install` could not install it: {}",
            said.trim().lines().last().unwrap_or_default()
        );
        return Err(missing("schemathesis", why).into());
    }
    // In one step, so that a run that is interrupted leaves nothing half done; another run may have been first.
    fs::rename(&into, &modules).or_else(|error| if modules.is_dir() { Ok(()) } else { Err(error) })?;
    Ok(modules)
}

fn run(modules: &Path, dir: &Path, description: &str) -> Result<Output> {
    fs::write(dir.join("schemathesis.toml"), SETTINGS)?;
    let mut command = Command::new("python3");
    command.args(["-m", "schemathesis.cli", "run", description, "--checks", "all"]);
    command.args(["--seed", "1", "--max-examples", EXAMPLES, "--continue-on-failure", "--request-timeout", "60"]);
    command.args(["--header", &format!("Authorization: Bearer {OFFICE}")]);
    command.env("PYTHONPATH", modules).env("PYTHONDONTWRITEBYTECODE", "1").env("NO_COLOR", "1").current_dir(dir);
    command.output().context("python3 cannot be started")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_as_the_description_says() {
    let Some(modules) = needs(schemathesis()) else { return };
    let service = Service::sqlite().await;
    let description = format!("http://{}/api/openapi.json", service.public);
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().to_owned();
    let output = tokio::task::spawn_blocking(move || run(&modules, &at, &description)).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // Every operation was tried but the stream, or nothing was shown.
    let paths = orderflow::http::openapi().paths.paths;
    let methods = paths.values().flat_map(|item| [&item.get, &item.post, &item.put, &item.delete]);
    let all = methods.flatten().count();
    let tried = all - 1;
    assert!(said.contains(&format!("Selected: {tried}/{all}")) && said.contains(&format!("Tested: {tried}")), "{said}");
    service.get("/healthz/ready").await.ok(200);
}
