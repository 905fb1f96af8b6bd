//! As much of the language of Prometheus as it takes to know which series an expression is about.

use std::collections::BTreeSet;

/// Words that could be names of series by their form.
const WORDS: [&str; 9] = ["and", "or", "unless", "bool", "on", "by", "ignoring", "group_left", "group_right"];

/// The series that an expression selects, with what it says of their labels, and without a range.
pub(crate) fn selectors(expression: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = expression;
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_') {
        // A number's exponent and a duration are no names.
        let inside = rest[..at].chars().next_back().is_some_and(|c| c.is_ascii_digit() || c == '.');
        let end = rest[at..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
        let (name, after) = rest[at..].split_at(end.unwrap_or(rest.len() - at));
        rest = after;
        let next = after.trim_start().chars().next();
        // `sum by (…) (…)` is one more function.
        if inside || after.trim_start().starts_with("by ") {
            continue;
        }
        if WORDS.contains(&name) || next == Some('(') {
            // Labels in parentheses follow those words; the arguments of a function may select.
            let labels = WORDS.contains(&name) && !matches!(name, "and" | "or" | "unless") && next == Some('(');
            if labels {
                rest = after.split_once(')').expect("labels end").1;
            }
            continue;
        }
        if next == Some('{') && after.starts_with('{') {
            let (matchers, after) = braces(after);
            found.insert(format!("{name}{matchers}"));
            rest = after;
        } else {
            found.insert(name.to_owned());
        }
        // What follows in brackets is a time.
        if rest.starts_with('[') {
            rest = rest.split_once(']').expect("a range ends").1;
        }
    }
    found
}

/// What is in braces, and what is behind them. A value in quotes may have braces.
fn braces(text: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'}' if !quoted => return text.split_at(at + 1),
            _ => {}
        }
    }
    panic!("{text} has no end");
}

/// The quantiles that an expression asks for, as a title names them: `p99`.
pub(crate) fn quantiles(expression: &str) -> BTreeSet<String> {
    let calls = expression.match_indices("histogram_quantile(").map(|(at, call)| &expression[at + call.len()..]);
    calls.map(|rest| rest.split(',').next().unwrap().trim().parse::<f64>().unwrap()).map(named).collect()
}

fn named(quantile: f64) -> String {
    format!("p{}", (quantile * 1000.0).round() / 10.0)
}

/// The quantiles that a title or a legend names.
pub(crate) fn said(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
    let number = |word: &&str| word.strip_prefix('p').is_some_and(|rest| rest.parse::<f64>().is_ok());
    words.filter(number).map(str::to_owned).collect()
}

#[test]
fn selectors_are_found_wherever_they_are() {
    let of = |text| selectors(text).into_iter().collect::<Vec<_>>();
    assert_eq!(
        of("sum by (a_b, le) (rate(x_total{job=~\"a.*\",route=\"/{id}\"}[5m])) > 0.5"),
        ["x_total{job=~\"a.*\",route=\"/{id}\"}"]
    );
    assert_eq!(of("a:b:c1h > 14.4 * 0.001 and a:b:c5m >= 1e3"), ["a:b:c1h", "a:b:c5m"]);
    assert_eq!(of("absent(up{job=\"x\"} == 1) or on() 0 * sum(up)"), ["up", "up{job=\"x\"}"]);
    assert_eq!(of("deriv(max(queued{a=\"b\"})[15m:1m]) unless time() - start_time"), ["queued{a=\"b\"}", "start_time"]);
}

#[test]
fn quantiles_are_told_as_people_do() {
    assert_eq!(quantiles("histogram_quantile(0.5, x) + histogram_quantile(0.999, y)"), said("p50 and p99.9 of a pool"));
    assert!(said("a page of phones").is_empty());
}
