//! The files as the programs that read them see them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use orderflow_servers::{amtool, needs, promtool};
use tempfile::TempDir;

/// A file of `orderflow/deploy/observability`, or a directory.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/observability").join(name)
}

pub(crate) fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The names of the files in a directory, in alphabetical order.
pub(crate) fn names(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(path(directory)).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let mut names: Vec<_> = files.map(|file| format!("{directory}/{}", file.file_name().to_str().unwrap())).collect();
    names.sort();
    names
}

/// Runs a tool, which must succeed: what it printed. `None` where there is no such tool.
#[track_caller]
fn run(tool: Result<PathBuf>, arguments: &[&str], directory: &Path) -> Option<String> {
    let output = Command::new(needs(tool)?).args(arguments).current_dir(directory).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {said}");
    Some(said)
}

#[test]
fn prometheus_takes_its_files() {
    for targets in ["production", "development"] {
        let place = TempDir::new().unwrap();
        fs::create_dir(place.path().join("rules")).unwrap();
        let rules = names("rules");
        assert!(!rules.is_empty());
        for name in rules.iter().map(String::as_str).chain(["prometheus.yml", "alertmanagers.yml"]) {
            fs::copy(path(name), place.path().join(name)).unwrap();
        }
        fs::copy(path(&format!("targets/{targets}.yml")), place.path().join("targets.yml")).unwrap();
        let check = ["check", "config", "--lint=all", "--lint-fatal", "prometheus.yml"];
        let Some(said) = run(promtool(), &check, place.path()) else { return };
        assert!(!said.contains("WARNING") && said.matches("SUCCESS").count() > rules.len(), "{said}");
    }
}

#[test]
fn alerts_come_when_they_should_and_only_then() {
    for name in names("rules/tests") {
        run(promtool(), &["test", "rules", path(&name).to_str().unwrap()], &path("rules"));
    }
}

#[test]
fn alertmanager_takes_its_file_and_sends_each_alert_where_it_belongs() {
    let file = path("alertmanager.yml");
    let file = file.to_str().unwrap();
    if run(amtool(), &["check-config", file], &path(".")).is_none() {
        return;
    }
    for (labels, receiver) in [
        (&["severity=page", "slo=availability", "window=1h", "alertname=ApiErrors1h"][..], "pager"),
        (&["severity=page", "alertname=ApiDown"], "pager"),
        (&["severity=ticket", "slo=latency", "window=3d", "alertname=ApiSlow3d"], "ticket"),
        (&["severity=ticket", "alertname=DeadLetters"], "ticket"),
        (&["alertname=SomethingNew"], "ticket"),
    ] {
        let config = format!("--config.file={file}");
        let expected = format!("--verify.receivers={receiver}");
        let arguments = [&["config", "routes", "test", &config, &expected], labels].concat();
        run(amtool(), &arguments, &path("."));
    }
}

#[test]
fn what_one_file_names_is_in_another() {
    let collector = read("collector.yaml");
    for part in ["memory_limiter", "tail_sampling", "batch", "otlp", "debug", "health_check"] {
        assert!(collector.contains(&format!("\n  {part}:")), "{part} is used and not declared");
    }
    let order = collector.find("processors: [memory_limiter, tail_sampling, batch]");
    assert!(order.is_some(), "what limits memory comes first, and batches are made of what is kept");
    let grafana = read("grafana/provisioning/datasources/orderflow.yml");
    assert!(grafana.contains("name: trace_id") && grafana.contains("datasourceUid: orderflow-traces"));
    assert!(grafana.contains("uid: orderflow-prometheus") && grafana.contains("uid: orderflow-traces"));
}
