//! A real Prometheus asks a real OrderFlow, and every panel and every rule finds what it asks for.

use std::{
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

use crate::{
    dashboards, files,
    fleet::{Fleet, until, until_none},
    moved,
    promql::selectors,
    series, story,
};

#[test]
fn every_number_that_is_asked_for_is_there_and_moves() {
    let Some(fleet) = Fleet::start(story::birthdays) else { return };
    fleet.until_shown("count(up{job=~\"orderflow.*\"} == 1) == 3", || ());
    story::good_day(&fleet);
    story::bad_day(&fleet);
    story::good_day(&fleet);
    exemplars_name_traces(&fleet);
    rules_are_evaluated(&fleet);
    panels_are_filled(&fleet);
    moved::every_family_has_moved(&fleet);
    series::strangers_make_none(&fleet);
}

/// What Grafana would put in the place of its variables. The time is that of the whole story.
fn filled_in(expression: &str) -> String {
    let expression = expression.replace("$__rate_interval", "15m").replace("$instance", ".*").replace("$route", ".*");
    assert!(!expression.contains('$'), "{expression} has another variable");
    expression
}

fn panels_are_filled(fleet: &Fleet) {
    let targets = dashboards::targets();
    until_none("panels show nothing", || {
        let asked = targets.iter().map(|target| (&target.place, filled_in(&target.expression)));
        let empty = asked.filter(|(_, expression)| !fleet.shows(expression));
        empty.map(|(place, expression)| format!("{place}: {expression}")).collect()
    });
}

/// Where the words of labels are written down.
fn source(directory: &Path, into: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source(&path, into);
        } else {
            into.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

fn rules_are_evaluated(fleet: &Fleet) {
    let mut words = String::new();
    source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut words);
    let rules = || -> Vec<Value> {
        let answer: Value = serde_json::from_str(&fleet.prometheus.get("/api/v1/rules").unwrap()).unwrap();
        let groups = answer["data"]["groups"].as_array().unwrap().clone();
        groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
    };
    until("all rules were evaluated", || rules().iter().all(|rule| rule["health"] != "unknown"));
    let rules = rules();
    assert!(rules.len() > 40, "only {} rules were found", rules.len());
    for rule in rules {
        let (name, query) = (rule["name"].as_str().unwrap(), rule["query"].as_str().unwrap());
        assert_eq!(rule["health"], "ok", "{name}: {rule}");
        if rule["type"] == "recording" {
            until(&format!("{name} is a number"), || fleet.shows(name));
            continue;
        }
        for selector in selectors(query) {
            let range = format!("count(last_over_time({selector}[15m]))");
            if !fleet.shows(&range) {
                series_exist_for_another_word(fleet, name, &selector, &words);
            }
        }
    }
    let states = files::read("rules/alerts.yml").matches("- alert: ").count();
    assert!(states > 20);
}

/// A series that only a fault makes: the family has these labels, and the words are ones that the service can say.
fn series_exist_for_another_word(fleet: &Fleet, alert: &str, selector: &str, words: &str) {
    let (family, matchers) = selector.split_once('{').unwrap_or_else(|| panic!("{alert}: nothing is {selector}"));
    let matchers: Vec<_> = matchers.trim_end_matches('}').split("\",").map(|one| one.trim_end_matches('"')).collect();
    let labels: Vec<_> = matchers.iter().map(|one| one.split(['=', '!']).next().unwrap()).collect();
    for (label, matcher) in labels.iter().zip(&matchers) {
        let values = matcher.split_once('"').unwrap().1.split('|');
        for value in values.filter(|_| !["job", "instance", "route"].contains(label)) {
            assert!(words.contains(&format!("\"{value}\"")), "{alert}: nobody says {label}=\"{value}\"");
        }
    }
    let any: Vec<_> = labels.iter().map(|label| format!("{label}!=\"\"")).collect();
    let any = format!("{family}{{{}}}", any.join(","));
    let known = moved::elsewhere(family) || fleet.shows(&format!("count(last_over_time({any}[15m]))"));
    assert!(known, "{alert}: there is neither {selector} nor {any}");
}

fn exemplars_name_traces(fleet: &Fleet) {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let begin = now() - 3600;
    for family in ["http_request_duration_seconds_bucket", "db_query_duration_seconds_bucket"] {
        let answer: Value =
            serde_json::from_str(&fleet.prometheus.exemplars(family, begin, now() + 60).unwrap()).unwrap();
        assert_eq!(answer["status"], "success", "{family}: {answer}");
        let series = answer["data"].as_array().unwrap();
        let exemplars: Vec<_> = series.iter().flat_map(|series| series["exemplars"].as_array().unwrap()).collect();
        assert!(!exemplars.is_empty(), "{family} has no exemplars");
        for exemplar in exemplars {
            let trace = exemplar["labels"]["trace_id"].as_str().unwrap_or_default();
            assert!(trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit()), "{exemplar}");
        }
    }
}
