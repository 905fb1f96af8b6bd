//! A setting that nothing reads is a defect.

use std::{fs, path::Path};

use orderflow::config::SETTINGS;

/// Settings that the configuration gives by a method, which must be called instead.
const BY_METHOD: [(&str, &str); 1] = [("database.direct_url", ".session_url()")];

/// Every line of code outside `config`, without comments.
fn code(dir: &Path, into: &mut String) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path != Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config") {
                code(&path, into);
            }
        } else {
            let text = fs::read_to_string(&path).unwrap();
            into.extend(text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| [line, "\n"]));
        }
    }
}

/// How often a field of this name is read: `.name`, and then no letter, digit, underscore or parenthesis.
fn reads(code: &str, name: &str) -> usize {
    let field = format!(".{name}");
    let end = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || "_(".contains(c));
    code.match_indices(&field).filter(|(at, _)| end(&code[at + field.len()..])).count()
}

#[test]
fn every_setting_is_read_by_the_service() {
    let mut all = String::new();
    code(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    let name = |key: &'static str| key.rsplit('.').next().unwrap();
    let unused: Vec<_> = SETTINGS
        .iter()
        .map(|setting| setting.key)
        .filter(|key| {
            if let Some((_, method)) = BY_METHOD.iter().find(|(of, _)| of == key) {
                return !all.contains(method);
            }
            // A name that two sections have must be read twice.
            let namesakes = SETTINGS.iter().filter(|other| name(other.key) == name(key)).count();
            reads(&all, name(key)) < namesakes
        })
        .collect();
    assert_eq!(unused, [""; 0], "nothing outside src/config reads these settings");
}

#[test]
fn a_read_is_told_from_a_longer_name_and_a_call() {
    assert_eq!(reads("a.ttl b.ttl, c.ttl_max d.ttl() e.stats_ttl", "ttl"), 2);
}
