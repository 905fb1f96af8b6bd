//! `evidence --check`: what is older than the code that it measured, without any history.

use std::fs;

use catalogue::evidence::{Evidence, Figure};

use crate::course::{SLUG, TestCourse};

const SOLUTION: &str = "solutions/1-foundations/03-allocation-budget";

/// A course whose chapter shows one table, of few answers, so that measuring it is quick.
fn small() -> TestCourse {
    let course = TestCourse::fresh();
    for wrong in ["format-the-amounts", "pad-by-bytes"] {
        fs::remove_dir_all(course.path(&format!("{SOLUTION}/wrong/{wrong}"))).unwrap();
    }
    let chapter = course.path("book/src/foundations/allocation-budget.md");
    fs::write(chapter, "# A budget\n\n{{#evidence allocation-budget-verdicts}}\n").unwrap();
    course
}

#[test]
fn evidence_is_fresh_until_what_it_measured_changes() {
    let course = small();
    course.xtask(&["evidence", "--check"]).exits(2).says("nothing to check").says("`cargo xtask evidence` measures it");
    course.xtask(&["evidence", SLUG]).exits(0).says("book/evidence/allocation-budget-verdicts.json");
    course.xtask(&["evidence", "--check"]).exits(0).says("evidence: 1 fresh, 0 old, 0 unknown");

    // What no figure shows: an answer in the making, prose, another hint, and line ends as some systems have them.
    course.write("not even Rust");
    fs::write(course.path(&format!("{SOLUTION}/why.md")), "Because.\n").unwrap();
    course.change("exercise.toml", "minutes = ", "minutes = 1");
    fs::write(course.exercise("baseline.rs"), course.starter().replace('\n', "\r\n")).unwrap();
    course.xtask(&["evidence", "--check"]).exits(0);
    course.xtask(&["evidence", SLUG, "--check"]).exits(0).says("1 fresh");

    fs::write(course.exercise("baseline.rs"), course.starter() + "\n// slower\n").unwrap();
    let done = course.xtask(&["evidence", "--check"]).exits(1);
    let done = done.says("old allocation-budget-verdicts measured");
    let done = done.says("changed: something in exercises/1-foundations/03-allocation-budget");
    let done = done.says("cargo xtask evidence allocation-budget").says("0 fresh, 1 old, 0 unknown");
    assert!(!done.stdout.contains("solutions/"), "they are as they were: {}", done.stdout);
}

#[test]
fn a_gate_and_a_wrong_answer_are_measured_too() {
    let course = small();
    course.xtask(&["evidence", SLUG]).exits(0);
    course.change("exercise.toml", "at_most = 20,", "at_most = 21,");
    course.xtask(&["evidence", "--check"]).exits(1).says("something in exercises/1-foundations/03-allocation-budget");
    course.change("exercise.toml", "at_most = 21,", "at_most = 20,");
    course.xtask(&["evidence", "--check"]).exits(0);
    fs::remove_dir_all(course.path(&format!("{SOLUTION}/wrong/huge-buffer"))).unwrap();
    course.xtask(&["evidence", "--check"]).exits(1).says(&format!("something in {SOLUTION}"));
}

#[test]
fn evidence_that_cannot_be_told_to_be_fresh_is_unknown() {
    let course = small();
    let evidence = Evidence {
        title: "Long ago".into(),
        command: "cargo xtask evidence runner".into(),
        machine: "a machine".into(),
        date: "2020-02-29".into(),
        commit: "0123456789".into(),
        sources: [].into(),
        figure: Figure::Table { columns: vec![], rows: vec![] },
    };
    fs::create_dir_all(course.path("book/evidence")).unwrap();
    for name in ["runner", "allocation-budget-flamegraph-starter", "somebody-else"] {
        let path = course.path(&format!("book/evidence/{name}.json"));
        fs::write(path, serde_json::to_string(&evidence).unwrap()).unwrap();
    }
    let done = course.xtask(&["evidence", "--check"]).exits(1);
    let done = done.says("unknown runner measured 2020-02-29 at 0123456789 it does not say what it measured");
    let done = done.says("cargo xtask evidence runner").says("0 fresh, 0 old, 3 unknown");
    // The chapter shows another figure than this one, and nothing has the name of the third.
    let done = done.says("delete book/evidence/allocation-budget-flamegraph-starter.json");
    done.says("delete book/evidence/somebody-else.json");
    course.xtask(&["evidence", "runner", "--check"]).exits(1).says("0 fresh, 0 old, 1 unknown");
    course.xtask(&["evidence", "allocation-budgets", "--check"]).exits(2).says("Did you mean allocation-budget?");
}

#[test]
fn git_names_what_has_changed_where_it_can() {
    let course = small();
    let git = |arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.args(["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "core.autocrlf=false"]);
        let output = command.args(arguments).current_dir(course.path("")).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "As it is"]);
    course.xtask(&["evidence", SLUG]).exits(0);
    fs::write(course.exercise("baseline.rs"), course.starter() + "\n// slower\n").unwrap();
    fs::write(course.exercise("more.rs"), "// new\n").unwrap();
    course.write("// an answer");
    let done = course.xtask(&["evidence", "--check"]).exits(1);
    let changed: Vec<_> = done.stdout.lines().filter_map(|line| line.trim().strip_prefix("changed: ")).collect();
    let expected =
        ["baseline.rs", "more.rs"].map(|file| format!("exercises/1-foundations/03-allocation-budget/{file}"));
    assert_eq!(changed, expected);
}
