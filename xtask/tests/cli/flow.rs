//! A learner's way through an exercise, from the starter to the solution.

use std::fs;

use catalogue::{Live, Progress, Status};

use crate::course::{SLUG, TestCourse};

#[test]
fn from_the_starter_to_a_pass() {
    let course = TestCourse::fresh();
    course.xtask(&[]).exits(0).says("0 of 1 exercises passed").says(SLUG);
    course.xtask(&["list"]).exits(0).says("not started").says("0/10 points");
    let begun = course.xtask(&["check"]).exits(1).says("3 of 10 points").says("the gate is at most 20");
    begun.says("This is the starter, unchanged. Edit exercises/1-foundations/03-allocation-budget/src/lib.rs");
    course.write(&(course.starter() + "// tried\n"));
    course.xtask(&["check"]).exits(1).says("Stuck? cargo xtask hint");
    course.xtask(&["list"]).exits(0).says("fail").says("3/10 points");
    course.xtask(&["solution", SLUG]).exits(1).says("has not passed yet").says("--give-up");

    course.write(&course.solution());
    course.xtask(&["check", SLUG]).exits(0).says("10 of 10 points").says("cargo xtask solution");
    course.xtask(&["check", SLUG]).exits(0).says("nothing has changed since");
    course.xtask(&["list"]).exits(0).says("passed").says("10/10 points");
    course.xtask(&[]).exits(0).says("1 of 1 exercises passed");
    course.xtask(&["solution", SLUG]).exits(0).says("Why it works").says("src/lib.rs");

    // Any change to what was graded makes the pass old; so does a change to the checks.
    course.write(&(course.solution() + "\n// one more line\n"));
    let again = course.xtask(&["check", SLUG]).exits(0);
    assert!(!again.stdout.contains("nothing has changed"), "{}", again.stdout);
    course.change("checks.rs", "What correct means", "What right means");
    let again = course.xtask(&["check", SLUG]).exits(0);
    assert!(!again.stdout.contains("nothing has changed"), "{}", again.stdout);

    // What is passed stays passed while the learner goes on trying things.
    course.write(&course.starter());
    course.xtask(&["check", SLUG]).exits(1);
    let progress: Progress = serde_json::from_slice(&fs::read(course.path(".course/progress.json")).unwrap()).unwrap();
    assert!(progress.exercises[SLUG].passed.is_some());
    assert_eq!(progress.exercises[SLUG].best_points, 10);
}

#[test]
fn the_report_keeps_to_its_schema_and_repeats_by_its_seed() {
    let course = TestCourse::fresh();
    let done = course.xtask(&["check", SLUG, "--format", "json"]).exits(1);
    let schema =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../exercises/schema/report.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let errors = |text: &str| -> Vec<String> {
        schema.iter_errors(&serde_json::from_str(text).unwrap()).map(|error| error.to_string()).collect()
    };
    assert_eq!(errors(&done.stdout), Vec::<String>::new());
    assert_ne!(errors(&done.stdout.replace("\"fail\"", "\"failed\"")), Vec::<String>::new(), "the schema can refuse");

    let report = done.report();
    let again = course.xtask(&["check", SLUG, "--format", "json", "--seed", &report.seed]).report();
    let exact = |report: &catalogue::Report| report.check("allocations").and_then(|check| check.measured);
    assert_eq!(exact(&again), exact(&report));
    assert_eq!(again.seed, report.seed);
    let other = course.check();
    assert_ne!(other.seed, report.seed, "inputs are new each time");

    // The page reads the same report.
    let live = Live::read(&course.path(""), SLUG).unwrap();
    assert!(!live.running);
    assert_eq!(live.report, other);
}

#[test]
fn hints_go_from_one_to_three_and_around() {
    let course = TestCourse::fresh();
    for expected in ["Hint 1 of 3", "Hint 2 of 3", "Hint 3 of 3", "Hint 1 of 3"] {
        course.xtask(&["hint", SLUG]).exits(0).says(expected);
    }
}

#[test]
fn reset_brings_the_starter_back_and_keeps_what_was_there() {
    let course = TestCourse::fresh();
    course.xtask(&["reset", SLUG]).exits(0).says("the starter already");
    course.write("// mine\n");
    let done = course.xtask(&["reset", SLUG]).exits(0).says("as it was at the start");
    assert_eq!(fs::read_to_string(course.exercise("src/lib.rs")).unwrap(), course.starter());
    let kept = done.stdout.split("kept in ").nth(1).unwrap().trim().trim_end_matches('.');
    assert_eq!(fs::read_to_string(course.path(kept).join("src/lib.rs")).unwrap(), "// mine\n");
}

#[test]
fn giving_up_opens_the_solution() {
    let course = TestCourse::fresh();
    course.xtask(&["solution", SLUG, "--give-up"]).exits(0).says("Why it works");
    course.xtask(&["solution", SLUG]).exits(0);
    assert_eq!(course.check().status, Status::Fail, "which passes nothing");
}

#[test]
fn colours_only_on_a_terminal() {
    let course = TestCourse::fresh();
    course.write("pub fn broken( {");
    let done = course.xtask(&["check", SLUG]).exits(1);
    assert!(!done.stdout.contains('\u{1b}') && !done.stderr.contains('\u{1b}'), "{}", done.stdout);
}

#[test]
fn a_build_that_was_cut_off_is_not_taken_for_an_earlier_one() {
    let course = TestCourse::fresh();
    course.xtask(&["check", SLUG]).exits(1).says("3 of 10 points");
    // The programs of another answer are in place, and nothing has said so: as when cargo was killed after its last step.
    course.write(&course.solution());
    let mut cut_off = course.command(&["check", SLUG, "--format", "json"]);
    cut_off.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut cut_off = cut_off.spawn().unwrap();
    // Whenever the end comes, in the build or after it, what is checked next is what is in the file then.
    for wait in [0, 200, 400, 800, 1_600] {
        std::thread::sleep(std::time::Duration::from_millis(wait));
        if cut_off.try_wait().unwrap().is_some() {
            break;
        }
    }
    let _ = cut_off.kill();
    cut_off.wait().unwrap();
    course.write(&course.starter());
    course.xtask(&["check", SLUG]).exits(1).says("3 of 10 points");
}

#[test]
fn completions_know_the_exercises() {
    let course = TestCourse::fresh();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = course.xtask(&["completions", shell]).exits(0).stdout;
        // Where clap's script completes values of arguments at all, it has the slugs.
        let has_slugs = script.contains(SLUG) || !["bash", "zsh"].contains(&shell);
        assert!(script.contains("solution") && has_slugs, "{shell}");
    }
    // The script as bash reads it: its function is called for the words that are there so far.
    let script = course.xtask(&["completions", "bash"]).stdout;
    let ask = "COMP_WORDS=(xtask check alloc); COMP_CWORD=2; _xtask xtask alloc check; echo ${COMPREPLY[@]}";
    let bash = std::process::Command::new("bash").arg("-c").arg(format!("{script}\n{ask}")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&bash.stdout).trim(), SLUG, "{}", String::from_utf8_lossy(&bash.stderr));
}

#[test]
fn a_missing_server_blocks_and_never_passes() {
    let course = TestCourse::fresh();
    course.write(&course.solution());
    course.change("exercise.toml", "minutes = ", "needs = [\"rabbitmq\"]\nminutes = ");
    // Nothing at all is on this path.
    let output = course.command(&["check", SLUG]).env("PATH", "").output().unwrap();
    let done = crate::course::Done::from(output).exits(1).says("rabbitmq-server is not on this machine");
    done.says("0 of 10 points").says("cargo xtask doctor");
    course.xtask(&["list"]).exits(0).says("blocked");
}

#[test]
fn doctor_says_what_is_there_and_what_is_not() {
    let course = TestCourse::fresh();
    course.xtask(&["doctor"]).exits(0).says("found rustc 1.").says("found C linker");
    let output = course.command(&["doctor"]).env("PATH", "").output().unwrap();
    let done = crate::course::Done::from(output).exits(1);
    done.says("missing C linker, for linking every Rust program").says("apt-get install gcc libc6-dev");
}
