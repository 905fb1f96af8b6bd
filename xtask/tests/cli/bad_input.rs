//! Whatever goes wrong gets a message that says what, where and what to do, and loses nothing.

use std::{fs, process::Stdio};

use catalogue::Progress;

use crate::course::{SLUG, TestCourse};

#[test]
fn an_unknown_exercise_is_answered_with_the_nearest() {
    let course = TestCourse::fresh();
    course.xtask(&["check", "alocation-buget"]).exits(2).says("Did you mean allocation-budget?");
    course.xtask(&["hint", "xyzzy"]).exits(2).says("there is no exercise named xyzzy").says("cargo xtask list");
    course.xtask(&["list", "--part", "9"]).exits(2).says("there is no part 9");
    course.xtask(&["chekc"]).exits(2).says("check");
    let by_path = format!("exercises/1-foundations/03-{SLUG}/");
    course.xtask(&["hint", &by_path]).exits(0).says("Hint 1 of 3");
}

#[test]
fn a_broken_exercise_toml_is_named_with_its_line() {
    let course = TestCourse::fresh();
    course.change("exercise.toml", "minutes = 40", "minuets = 40");
    let file = "exercises/1-foundations/03-allocation-budget/exercise.toml";
    let line =
        fs::read_to_string(course.path(file)).unwrap().lines().position(|line| line.starts_with("minuets")).unwrap()
            + 1;
    let place = format!("{file}:{line}: unknown field `minuets`");
    course.xtask(&["check", SLUG]).exits(3).says(&place);
    course.xtask(&["list"]).exits(3).says(&place);
    course.change("exercise.toml", "minuets = 40", "minutes = ");
    course.xtask(&["verify"]).exits(3).says(&format!("{file}:{line}:"));
}

#[test]
fn a_compiler_error_is_shown_at_the_place_that_the_learner_edits() {
    let course = TestCourse::fresh();
    course.write(&course.starter().replace("pub fn render", "pub fn rendered"));
    let done = course.xtask(&["check", SLUG]).exits(1);
    done.says("E0425").says("0 of 10 points").says("Mend the first error");
    course.write("pub fn render( {");
    course.xtask(&["check", SLUG]).exits(1).says("exercises/1-foundations/03-allocation-budget/src/lib.rs:1:");
    fs::remove_file(course.exercise("src/lib.rs")).unwrap();
    course.xtask(&["check", SLUG]).exits(1).says("Src/lib.rs is missing");
}

#[test]
fn a_damaged_progress_file_is_kept_aside_and_begun_anew() {
    let course = TestCourse::fresh();
    course.xtask(&["hint", SLUG]).exits(0).says("Hint 1 of 3");
    let path = course.path(".course/progress.json");
    let earlier = fs::read_to_string(&path).unwrap();
    fs::write(&path, &earlier[..earlier.len() / 2]).unwrap();
    course.xtask(&["list"]).exits(0).says("is damaged").says("check --all");
    let aside = fs::read_to_string(course.path(".course/progress.json.damaged")).unwrap();
    assert_eq!(aside, earlier[..earlier.len() / 2]);
    course.xtask(&["hint", SLUG]).exits(0).says("Hint 1 of 3");
    let progress: Progress = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(progress.exercises[SLUG].hints, 1);
}

#[test]
fn a_place_that_cannot_be_written_is_said() {
    let course = TestCourse::fresh();
    // A file in the directory's place cannot be written into by anybody, not even by root.
    fs::write(course.path(".course"), "in the way").unwrap();
    course.xtask(&["check", SLUG]).exits(2).says("progress cannot be saved").says("make it writable");
    course.xtask(&["list"]).exits(0).says(SLUG);
}

#[test]
fn watch_wants_a_terminal() {
    let course = TestCourse::fresh();
    course.xtask(&["watch"]).exits(2).says("cargo xtask check");
}

#[test]
fn outside_the_course_it_says_where_to_go() {
    let course = TestCourse::fresh();
    let elsewhere = tempfile::tempdir().unwrap();
    let output = course.command(&["list"]).current_dir(elsewhere.path()).output().unwrap();
    crate::course::Done::from(output).exits(2).says("not inside the course");
    let within = course.command(&["list"]).current_dir(course.exercise("src")).output().unwrap();
    crate::course::Done::from(within).exits(0).says(SLUG);
}

#[test]
fn two_checks_at_once_wait_for_each_other() {
    let course = TestCourse::fresh();
    let start = || course.command(&["check", SLUG]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let both = [start(), start()].map(|child| crate::course::Done::from(child.wait_with_output().unwrap()));
    let waited = both.iter().filter(|done| done.stderr.contains("waiting for another check")).count();
    assert_eq!(waited, 1, "{:?}", both.each_ref().map(|done| &done.stderr));
    for done in both {
        done.exits(1).says("3 of 10 points");
    }
    let progress: Progress = serde_json::from_slice(&fs::read(course.path(".course/progress.json")).unwrap()).unwrap();
    assert_eq!(progress.exercises[SLUG].attempts, 2);
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_leaves_nothing_running_and_keeps_the_progress() {
    use std::{
        io::Read,
        time::{Duration, Instant},
    };
    let course = TestCourse::fresh();
    course.xtask(&["hint", SLUG]).exits(0);
    let begin = "pub fn render(invoice: &Invoice) -> String {";
    course.write(&course.starter().replacen(begin, &format!("{begin}\n loop {{ std::hint::spin_loop() }}"), 1));
    let mut child = course.command(&["check", SLUG]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The page's state says when the checks have begun to run; then a subject is looping.
    let deadline = Instant::now() + Duration::from_mins(2);
    let subject = loop {
        assert!(Instant::now() < deadline, "the check never ran");
        if let Some(subject) = child_of(child.id()).filter(|(_, name)| name.contains("checks")) {
            break subject.0;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{stderr}");
    assert!(!std::path::Path::new(&format!("/proc/{subject}")).exists(), "the subject outlived the check");
    let progress: Progress = serde_json::from_slice(&fs::read(course.path(".course/progress.json")).unwrap()).unwrap();
    assert_eq!(progress.exercises[SLUG].hints, 1);
    assert!(!course.path(&format!(".course/reports/{SLUG}.json")).exists(), "no page shows a check that runs for ever");
}

/// A child of `parent`, with its program's name.
#[cfg(target_os = "linux")]
fn child_of(parent: u32) -> Option<(u32, String)> {
    let of = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // pid (name) state parent ...
        let (before, after) = stat.rsplit_once(')')?;
        let owner: u32 = after.split_whitespace().nth(1)?.parse().ok()?;
        (owner == parent).then(|| (pid, before.to_owned()))
    };
    let mut pids = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find_map(of)
}
