//! Reading a course: what is accepted, and how everything else is refused.

use std::{fs, path::Path};

use catalogue::{Catalogue, Gate, Kind, Spec, nearest};

const GOOD: &str = r#"
title = "A title"
lesson = "A lesson."
chapter = "one/good.md"
minutes = 5
hints = ["a", "b", "c"]

[[checks]]
name = "right"
title = "It is right"
kind = "correctness"
points = 1

[[checks]]
name = "small"
title = "It is small"
kind = "allocations"
points = 2
lesson = true
gate = { at_most = 3, unit = "allocations" }
"#;

/// A course with one exercise whose exercise.toml is `text`.
fn course(text: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    add(root.path(), "exercises/1-one/01-good", text);
    root
}

fn add(root: &Path, dir: &str, text: &str) {
    let write = |path: &Path, text: &str| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    for file in ["checks.rs", "bench.rs", "baseline.rs", "Cargo.toml"] {
        write(&root.join(dir).join(file), "");
    }
    write(&root.join(dir).join("exercise.toml"), text);
    write(&root.join("book/src/one/good.md"), "# Good\n");
}

fn problems(text: &str) -> Vec<String> {
    Catalogue::read(course(text).path()).problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_sound_course_has_no_problems() {
    let root = course(GOOD);
    add(root.path(), "exercises/1-one/10-tenth", GOOD);
    add(root.path(), "exercises/1-one/9-ninth", GOOD);
    fs::create_dir_all(root.path().join("exercises/harness/src")).unwrap();
    let course = Catalogue::read(root.path());
    assert_eq!(course.problems, []);
    assert_eq!(course.slugs().collect::<Vec<_>>(), ["good", "ninth", "tenth"], "by number, not by letter");
    let good = course.find("good").unwrap();
    assert_eq!((good.part, good.number, good.spec.max_points()), (1, 1, 3));
    assert_eq!(good.spec.editable, ["src/lib.rs"]);
    assert!(good.spec.checks[0].guards() && !good.spec.checks[1].guards());
}

#[test]
fn every_fault_of_an_exercise_toml_is_named_with_its_place() {
    let file = "exercises/1-one/01-good/exercise.toml";
    for (from, to, expected) in [
        ("minutes = 5", "minuets = 5", format!("{file}:5: unknown field `minuets`")),
        ("points = 2", "points = -2", format!("{file}:18: ")),
        ("kind = \"correctness\"", "kind = \"correct\"", format!("{file}:11: unknown variant `correct`")),
        ("title = \"A title\"", "title = ", format!("{file}:2: ")),
        ("minutes = 5", "minutes = 0", format!("{file}: `minutes` is 0")),
        (r#"["a", "b", "c"]"#, r#"["a"]"#, format!("{file}: `hints` has 1 entries")),
        ("\"small\"", "\"right\"", format!("{file}: check `right` is listed twice")),
        ("\"small\"", "\"Small_One\"", format!("{file}: check `Small_One`: a name is")),
        ("lesson = true", "", format!("{file}: no check has `lesson = true`")),
        ("gate = { at_most = 3, unit = \"allocations\" }", "", format!("{file}: check `small` measures a figure")),
        ("at_most = 3", "at_most = 3, at_least = 1", format!("{file}: check `small`: a gate has either")),
        ("at_most = 3", "at_most = nan", format!("{file}: check `small`: a gate has either")),
        ("kind = \"allocations\"", "kind = \"answer\"", format!("{file}: check `small` measures no figure")),
        (
            "chapter = \"one/good.md\"",
            "chapter = \"one/bad.md\"",
            format!("{file}: book/src/one/bad.md does not exist"),
        ),
        ("minutes = 5", "minutes = 5\nlimits = { seconds = 301 }", format!("{file}: `limits`: seconds 1 to 300")),
        ("minutes = 5", "minutes = 5\neditable = [\"src/x.toml\"]", format!("{file}: `editable` lacks src/lib.rs")),
        (
            "minutes = 5",
            "minutes = 5\neditable = [\"src/lib.rs\", \"src/../Cargo.toml\"]",
            format!("{file}: `editable`: src/../Cargo.toml is not a plain path"),
        ),
        (
            "minutes = 5",
            "minutes = 5\neditable = [\"src/lib.rs\", \"src/answers.toml\"]",
            format!("{file}: exercises/1-one/01-good/starter/answers.toml does not exist"),
        ),
    ] {
        let found = problems(&GOOD.replace(from, to));
        assert!(found.iter().any(|problem| problem.starts_with(&expected)), "{to}: {expected} is not in {found:#?}");
    }
    assert_eq!(problems(&GOOD.replace("minutes = 5", "minutes = 5\nlimits = { seconds = 300 }")), [""; 0]);
}

#[test]
fn a_broken_exercise_does_not_hide_the_others() {
    let root = course(GOOD);
    add(root.path(), "exercises/1-one/02-broken", "title = ");
    let twin = root.path().join("exercises/2-two/01-good");
    fs::create_dir_all(&twin).unwrap();
    fs::write(twin.join("exercise.toml"), GOOD).unwrap();
    let course = Catalogue::read(root.path());
    assert_eq!(course.slugs().collect::<Vec<_>>(), ["good", "good"]);
    let problems: Vec<_> = course.problems.iter().map(ToString::to_string).collect();
    for expected in
        ["02-broken/exercise.toml:1:", "2-two/01-good: the slug good is also that of", "checks.rs does not exist"]
    {
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:#?}");
    }
    assert!(Catalogue::read(&root.path().join("nowhere")).problems[0].what.contains("no part"));
}

#[test]
fn the_nearest_name_is_proposed_only_when_it_is_near() {
    let slugs = ["allocation-budget", "percentiles", "flamegraph-hunt"];
    for (wanted, expected) in [
        ("alocation-buget", Some("allocation-budget")),
        ("percentile", Some("percentiles")),
        ("flame", Some("flamegraph-hunt")),
        ("xyzzy", None),
        ("", None),
    ] {
        assert_eq!(nearest(wanted, slugs), expected, "{wanted}");
    }
}

#[test]
fn a_gate_admits_its_bound_and_knows_its_distance() {
    let at_least = Gate { at_least: Some(5.0), at_most: None, unit: "x".into() };
    let at_most = Gate { at_least: None, at_most: Some(20.0), unit: "allocations".into() };
    assert!(at_least.admits(5.0) && !at_least.admits(4.999) && at_most.admits(20.0) && !at_most.admits(20.001));
    assert!(!at_least.admits(f64::NAN) && !at_most.admits(f64::NAN));
    assert_eq!((at_least.clearance(10.0), at_most.clearance(10.0)), (2.0, 2.0));
    assert!(at_most.clearance(0.0).is_finite() && at_most.clearance(0.0) > 1e5);
    assert_eq!((at_least.to_string(), at_most.to_string()), ("at least 5 x".into(), "at most 20 allocations".into()));
}

#[test]
fn timed_kinds_are_those_of_the_bench() {
    let untimed = [Kind::Correctness, Kind::Answer, Kind::Allocations];
    let timed = [Kind::Speed, Kind::Growth, Kind::Measurements, Kind::Accuracy];
    assert!(timed.iter().all(|kind| kind.timed()) && !untimed.iter().any(|kind| kind.timed()));
}

#[test]
fn the_courses_own_exercises_are_sound() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let course = Catalogue::read(root);
    assert_eq!(course.problems, []);
    let spec = fs::read_to_string(root.join(&course.exercises[0].dir).join("exercise.toml")).unwrap();
    assert!(Spec::parse(&spec, Path::new("exercise.toml")).is_ok());
}
