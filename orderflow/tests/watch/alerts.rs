//! Alerts: what each tells whoever is woken, and that one silences another where it should.

use std::collections::BTreeSet;

use orderflow_servers::{Alertmanager, needs};
use serde_json::{Value, json};

use crate::{files, fleet::until};

/// The name of each alert, and its lines.
fn alerts() -> Vec<(String, String)> {
    let text = files::read("rules/alerts.yml");
    let parts = text.split("- alert: ").skip(1);
    let alert = |part: &str| (part.lines().next().unwrap().trim().to_owned(), part.to_owned());
    let alerts: Vec<_> = parts.map(alert).collect();
    assert!(alerts.len() > 20, "only {} alerts were found", alerts.len());
    alerts
}

/// The value of a line `key: value` of an alert.
fn value<'a>(alert: &'a str, key: &str) -> &'a str {
    let line = alert.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("{key} is missing in {alert}"))
}

/// The place that a heading can be linked to by.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_alert_says_what_it_means_and_what_to_do_first() {
    let book = files::read("README.md");
    let anchors: BTreeSet<_> = book.lines().filter_map(|line| line.strip_prefix("### ")).map(anchor).collect();
    let mut used = BTreeSet::new();
    for (name, alert) in alerts() {
        for key in ["summary", "meaning", "first_step"] {
            assert!(value(&alert, key).len() > 15, "{name} says nothing as {key}");
        }
        assert!(
            ["severity: page", "severity: ticket"].iter().any(|severity| value(&alert, "labels").contains(severity))
        );
        let runbook = value(&alert, "runbook").strip_prefix("orderflow/deploy/observability/README.md#").expect(&name);
        assert!(anchors.contains(runbook), "{name}: README.md has no {runbook}");
        used.insert(runbook.to_owned());
    }
    assert_eq!(anchors, used, "every section is that of an alert");
}

#[test]
fn every_alert_is_tested_and_has_the_labels_that_it_speaks_of() {
    let tests: String = files::names("rules/tests").iter().map(|name| files::read(name)).collect();
    for (name, alert) in alerts() {
        let fires = format!("- labels: 'ALERTS{{alertname=\"{name}\",alertstate=\"firing\",");
        let labels = tests.split(&fires).nth(1).unwrap_or_else(|| panic!("no test has {name} fire"));
        let labels = labels.split('}').next().unwrap();
        for label in alert.split("$labels.").skip(1) {
            let label: String = label.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            assert!(labels.contains(&format!("{label}=\"")), "{name} speaks of {label}, which it does not have");
        }
        let quiet = format!("ALERTS{{alertname=\"{name}\",alertstate=\"firing\"}}\n        exp_samples: []");
        let all_quiet = "ALERTS{alertstate=\"firing\"}\n        exp_samples: []";
        assert!(tests.contains(&quiet) || tests.contains(all_quiet), "no test has {name} not fire");
    }
}

#[test]
fn what_has_a_cause_that_is_told_is_not_told_too() {
    // An alert is judged when its group is first told of, and again when there is news of the group.
    let mut config = files::read("alertmanager.yml");
    for (slow, fast) in [("group_wait: 30s", "group_wait: 1s"), ("group_wait: 10s", "group_wait: 1s"), ("5m", "1s")] {
        assert!(config.contains(slow), "{slow}");
        config = config.replace(slow, fast);
    }
    let Some(manager) = needs(Alertmanager::start(&config)) else { return };
    let alert = |labels: Value| json!({ "labels": labels });
    let told = json!([
        alert(json!({ "alertname": "ApiErrors1h", "severity": "page", "slo": "availability", "window": "1h" })),
        alert(json!({ "alertname": "ApiErrors3d", "severity": "ticket", "slo": "availability", "window": "3d" })),
        alert(json!({ "alertname": "ApiSlow1d", "severity": "ticket", "slo": "latency", "window": "1d" })),
        alert(json!({ "alertname": "InstanceDown", "severity": "ticket", "job": "orderflow", "instance": "a" })),
        alert(json!({ "alertname": "PoolWaits", "severity": "ticket", "job": "orderflow", "instance": "a" })),
        alert(json!({ "alertname": "PoolTimeouts", "severity": "ticket", "job": "orderflow", "instance": "b" })),
    ]);
    manager.tell(&told.to_string()).unwrap();
    let silenced = |state: &str| -> BTreeSet<String> {
        let alerts: Value = serde_json::from_str(&manager.get("/api/v2/alerts").unwrap()).unwrap();
        let so = alerts.as_array().unwrap().iter().filter(|alert| alert["status"]["state"] == state);
        so.map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned()).collect()
    };
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    until("two are silenced", || silenced("suppressed") == set(&["ApiErrors3d", "PoolWaits"]));
    until("the others are told", || {
        silenced("active") == set(&["ApiErrors1h", "ApiSlow1d", "InstanceDown", "PoolTimeouts"])
    });
    manager.tell(&json!([alert(json!({ "alertname": "ApiDown", "severity": "page" }))]).to_string()).unwrap();
    until("nobody is told of errors where nobody answers", || {
        silenced("active") == set(&["ApiDown", "InstanceDown", "PoolTimeouts"])
    });
}
