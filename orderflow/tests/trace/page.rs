//! The book's page about what is seen from outside names everything that is.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The texts of all files of the program.
fn sources() -> Vec<String> {
    fn below(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("tests.rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    // Their own tests say what nobody else does.
    let own = |text: String| text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
    found.iter().map(|path| own(fs::read_to_string(path).unwrap())).collect()
}

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../book/src/service/seen.md")).unwrap()
}

/// The literals between the parenthesis at the beginning and the one that ends it.
fn literals(call: &str) -> Vec<String> {
    let (mut found, mut depth, mut literal, mut letters) = (Vec::new(), 0, None::<String>, call.chars());
    while let Some(letter) = letters.next() {
        match (letter, &mut literal) {
            ('"', Some(text)) => {
                found.push(std::mem::take(text));
                literal = None;
            }
            ('\\', Some(text)) => text.extend(letters.next()),
            (letter, Some(text)) => text.push(letter),
            ('"', None) => literal = Some(String::new()),
            ('(', None) => depth += 1,
            (')', None) if depth == 1 => break,
            (')', None) => depth -= 1,
            _ => {}
        }
    }
    found
}

/// The literals of each call of a macro.
fn calls(name: &str) -> Vec<Vec<String>> {
    let texts = sources();
    let each = texts.iter().flat_map(|text| text.match_indices(name).map(|(at, _)| &text[at + name.len() - 1..]));
    each.map(literals).collect()
}

#[track_caller]
fn all_are_named(what: &str, names: &BTreeSet<String>, least: usize, shown: impl Fn(&str) -> String) {
    assert!(names.len() >= least, "only {} of {what} were found in the sources", names.len());
    let page = page();
    let missing: Vec<_> = names.iter().filter(|name| !page.contains(&shown(name))).collect();
    assert!(missing.is_empty(), "{what} that the page does not explain: {missing:#?}");
}

#[test]
fn every_message() {
    let levels = ["error", "warn", "info", "debug", "trace"];
    let calls = levels.iter().flat_map(|level| calls(&format!("tracing::{level}!(")));
    let messages: BTreeSet<_> = calls.map(|literals| literals.last().expect("a message").clone()).collect();
    all_are_named("messages", &messages, 50, |message| format!("| {message} |"));
}

#[test]
fn every_span() {
    let steps = calls("step!(").into_iter().filter_map(|literals| literals.first().cloned());
    // Of a job or a message: its target is no literal of its own kind.
    let spans = calls("info_span!(")
        .into_iter()
        .filter_map(|literals| literals.into_iter().find(|literal| literal.contains(' ') && !literal.contains('{')));
    let own = calls("traces.own(").into_iter().filter_map(|literals| literals.first().cloned());
    let names: BTreeSet<_> = steps.chain(spans).chain(own).collect();
    all_are_named("spans", &names, 15, |name| format!("`{name}`"));
}

#[test]
fn every_family() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/metrics.rs")).unwrap();
    let (_, table) = text.split_once("\nmetrics! {").unwrap();
    let (table, _) = table.split_once("\n}").unwrap();
    let family = |line: &str| {
        let (name, kind) = line.strip_prefix("    ")?.split_once(": ")?;
        let plain = !name.is_empty() && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
        plain.then(|| {
            let counter = kind.contains("Counter>") || kind.starts_with("Counter ");
            let ending = if counter {
                "_total"
            } else if kind.contains("Unit::Seconds") {
                "_seconds"
            } else {
                ""
            };
            format!("{name}{ending}")
        })
    };
    let names: BTreeSet<_> = table.lines().filter_map(family).collect();
    all_are_named("families", &names, 40, |name| format!("`{name}`"));
}
