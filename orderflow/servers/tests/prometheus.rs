//! Prometheus and Alertmanager on files of a test's own.

use std::process::Command;

use orderflow_servers::{Alertmanager, Prometheus, amtool, needs, promtool};

const CONFIG: &str = "global: {scrape_interval: 1h}\nrule_files: [rules/*.yml]\n";
const RULES: &str =
    "groups:\n  - name: one\n    interval: 100ms\n    rules:\n      - record: answer\n        expr: vector(";

fn rules(answer: u32) -> String {
    format!("{RULES}{answer})\n")
}

fn answers(prometheus: &Prometheus, expected: &str) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    loop {
        let said = prometheus.query("answer + on() group_left vector(0)").unwrap();
        if said.contains(&format!(",\"{expected}\"]")) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{expected} does not come: {said}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn prometheus_reads_its_files_and_keeps_what_it_has_seen() {
    let files = [("prometheus.yml", CONFIG), ("rules/one.yml", &rules(42))];
    let Some(prometheus) = needs(Prometheus::start(&files)) else { return };
    answers(&prometheus, "42");
    assert!(prometheus.query("answer{").unwrap().contains("parse error"));
    prometheus.reload(&[("rules/one.yml", &rules(43))]).unwrap();
    answers(&prometheus, "43");
    let refused = prometheus.reload(&[("rules/one.yml", "groups: 7")]).unwrap_err().to_string();
    assert!(refused.contains("refused"), "{refused}");
    answers(&prometheus, "43");

    let port = prometheus.port();
    prometheus.reload(&[("rules/one.yml", &rules(44))]).unwrap();
    prometheus.stop().unwrap();
    assert!(prometheus.get("/").unwrap_err().to_string().contains("stopped") && prometheus.pid().is_none());
    prometheus.start_again().unwrap();
    assert_eq!(prometheus.port(), port);
    answers(&prometheus, "44");
    assert!(prometheus.query("count_over_time(answer[1h]) > 1").unwrap().contains("value"), "it has forgotten");

    let dir = prometheus.dir();
    drop(prometheus);
    assert!(!dir.exists());
}

#[test]
fn alertmanager_takes_alerts() {
    let Some(manager) = needs(Alertmanager::start("route: {receiver: one}\nreceivers: [{name: one}]\n")) else {
        return;
    };
    manager.tell(r#"[{"labels":{"alertname":"Late"}}]"#).unwrap();
    assert!(manager.get("/api/v2/alerts").unwrap().contains(r#""alertname":"Late""#));
    assert!(manager.tell("{}").unwrap_err().to_string().contains("refused"));
    manager.stop().unwrap();
    manager.start_again().unwrap();
    let dir = manager.dir();
    drop(manager);
    assert!(!dir.exists());
}

#[test]
fn the_tools_are_programs() {
    for tool in [promtool(), amtool()].map(needs).into_iter().flatten() {
        assert!(Command::new(&tool).arg("--version").output().unwrap().status.success(), "{}", tool.display());
    }
}
