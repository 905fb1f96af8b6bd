//! Prometheus and Alertmanager, which watch the stack by the files of `orderflow/deploy/observability` where they are
//! installed. A stack without them is whole: it is only not watched.

use std::{fmt::Write, sync::Arc};

use anyhow::Result;
use orderflow_servers::{Alertmanager, Missing, Prometheus};

use super::{board::Board, watch::Watch};
use crate::{probe::Probe, state::Health};

const ALERTMANAGER: &str = include_str!("../../../deploy/observability/alertmanager.yml");
const PROMETHEUS: [(&str, &str); 3] = [
    ("prometheus.yml", include_str!("../../../deploy/observability/prometheus.yml")),
    ("rules/recording.yml", include_str!("../../../deploy/observability/rules/recording.yml")),
    ("rules/alerts.yml", include_str!("../../../deploy/observability/rules/alerts.yml")),
];
/// Whether either is well.
const HEALTHY: &str = "/-/healthy";

/// A process that is asked: its job, its name, and the port of its operators' listener.
pub(super) type Target = (&'static str, String, u16);

/// Starts what is installed, and watches it.
pub(super) fn start(board: &Arc<Board>, targets: &[Target]) -> Result<Vec<Watch>> {
    let mut watched = Vec::new();
    let alertmanager = installed(Alertmanager::start(ALERTMANAGER))?;
    let told = alertmanager
        .as_ref()
        .map_or_else(|| "[]\n".to_owned(), |manager| format!("- targets: [127.0.0.1:{}]\n", manager.port()));
    let asked = asked(targets);
    let more = [("alertmanagers.yml", told.as_str()), ("targets.yml", asked.as_str())];
    let prometheus = installed(Prometheus::start(&[&PROMETHEUS[..], &more].concat()))?;
    /// Tells of a server, and watches it.
    macro_rules! watched {
        ($name:literal, $server:ident) => {
            if let Some(server) = $server {
                let (port, other) = (server.port(), server.clone());
                board.part($name, format!("http://127.0.0.1:{port}"), Some(server.dir().join("log")));
                board.update($name, |part| part.health = Health::Healthy);
                let again = move || server.start_again();
                watched.push(Watch::server(board, $name, Probe::Answers(port, HEALTHY), move || other.pid(), again));
            }
        };
    }
    if let Some(prometheus) = &prometheus {
        let port = prometheus.port();
        board.access(|access| access.prometheus = format!("http://127.0.0.1:{port}"));
    }
    watched!("alertmanager", alertmanager);
    watched!("prometheus", prometheus);
    Ok(watched)
}

/// Nothing where the program is not installed.
fn installed<T>(server: Result<T>) -> Result<Option<T>> {
    match server {
        Err(error) if error.is::<Missing>() => Ok(None),
        server => server.map(Some),
    }
}

/// The text of `targets.yml`.
fn asked(targets: &[Target]) -> String {
    let mut text = String::new();
    for (job, name, port) in targets {
        let _ = writeln!(text, "- labels: {{job: {job}, process: {name}}}\n  targets: [127.0.0.1:{port}]");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_is_a_target_of_its_job() {
        let text = asked(&[("orderflow", "instance-1".to_owned(), 1), ("orderflow-worker", "worker-1".to_owned(), 2)]);
        let first = "- labels: {job: orderflow, process: instance-1}\n  targets: [127.0.0.1:1]\n";
        assert!(text.starts_with(first) && text.lines().count() == 4, "{text}");
    }
}
