//! Dashboards: what each panel says of itself, and what it asks.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    files,
    promql::{quantiles, said},
};

/// One question of a panel.
#[derive(Debug)]
pub(crate) struct Target {
    /// The dashboard and the panel, for messages.
    pub(crate) place: String,
    title: String,
    unit: String,
    pub(crate) expression: String,
    legend: String,
    exemplars: bool,
}

fn dashboards() -> Vec<(String, Value)> {
    let read = |name: String| (name.clone(), serde_json::from_str(&files::read(&name)).unwrap());
    files::names("grafana/dashboards").into_iter().map(read).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row")
}

/// Every question of every panel.
pub(crate) fn targets() -> Vec<Target> {
    let mut targets = Vec::new();
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            for target in panel["targets"].as_array().unwrap() {
                targets.push(Target {
                    place: format!("{name}, {}", panel["title"]),
                    title: text(&panel["title"]),
                    unit: text(&panel["fieldConfig"]["defaults"]["unit"]),
                    expression: text(&target["expr"]),
                    legend: text(&target["legendFormat"]),
                    exemplars: target["exemplar"] == true,
                });
            }
        }
    }
    assert!(targets.len() > 40, "only {} questions were found", targets.len());
    targets
}

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit() {
    let mut uids = BTreeSet::new();
    for (name, dashboard) in dashboards() {
        assert!(uids.insert(text(&dashboard["uid"])), "{name}: another dashboard has this uid");
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        let variables: Vec<_> = variables.iter().map(|variable| text(&variable["name"])).collect();
        assert_eq!(variables, ["instance", "route"], "{name}");
        let (mut ids, mut titles, mut taken) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}: {} has another's id", panel["title"]);
            assert!(titles.insert(text(&panel["title"])), "{name}: two panels are called {}", panel["title"]);
            let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            for x in place("x")..place("x") + place("w") {
                for y in place("y")..place("y") + place("h") {
                    assert!(x < 24 && taken.insert((x, y)), "{name}: {} covers another panel", panel["title"]);
                }
            }
        }
        for panel in panels(&dashboard) {
            let description = text(&panel["description"]);
            assert!(description.len() > 5 && description.ends_with('.'), "{name}: {}", panel["title"]);
            assert!(!text(&panel["fieldConfig"]["defaults"]["unit"]).is_empty(), "{name}: {}", panel["title"]);
            let sources = panel["targets"].as_array().unwrap().iter().chain([panel]);
            for source in sources.map(|part| &part["datasource"]["uid"]) {
                assert_eq!(source, "orderflow-prometheus", "{name}: {}", panel["title"]);
            }
        }
    }
}

#[test]
fn a_title_names_the_quantiles_that_are_asked_for() {
    let targets = targets();
    for target in &targets {
        let place = &target.place;
        assert_eq!(said(&target.legend), quantiles(&target.expression), "{place}: the legend");
        let panel = targets.iter().filter(|other| other.place == *place);
        let asked: BTreeSet<_> = panel.flat_map(|other| quantiles(&other.expression)).collect();
        assert_eq!(said(&target.title), asked, "{place}");
    }
    assert!(targets.iter().filter(|target| !quantiles(&target.expression).is_empty()).count() > 10);
}

#[test]
fn a_unit_is_that_of_what_is_asked_for() {
    for Target { place, title, unit, expression, exemplars, .. } in targets() {
        assert!(quantiles(&expression).is_empty() || unit == "s", "{place}: a quantile of times is one");
        assert_eq!(unit == "bytes", expression.contains("_bytes{"), "{place}");
        let share = title.starts_with("Share of") || title.ends_with("of three days");
        assert_eq!(unit == "percentunit", share, "{place}");
        let rate = expression.starts_with("sum") && expression.contains("(rate(") && !expression.contains(" / ");
        // Seconds a second are a number.
        let rate = rate && !expression.contains("_seconds_total");
        assert_eq!(matches!(unit.as_str(), "ops" | "reqps"), rate, "{place}: so many a second is what a rate is");
        assert!(!exemplars || expression.contains("_bucket{"), "{place}: only buckets have exemplars");
        let fleet = expression.contains("orderflow:") || expression.contains("job=\"orderflow\"");
        assert!(fleet || expression.contains("$instance"), "{place} does not mind which instance is chosen");
    }
}
