//! `verify` and `new`: the course is held to its promises, so that every kind of broken promise is found.

use std::fs;

use crate::course::{SLUG, TestCourse};

const SOLUTION: &str = "solutions/1-foundations/03-allocation-budget";

#[test]
fn a_sound_exercise_holds() {
    let course = TestCourse::fresh();
    let done = course.xtask(&["verify", SLUG]).exits(0).says("holds allocation-budget");
    done.says("peak-memory, right answers 1.").says("peak-memory, wrong answers 0.");
    // All answers are built in one place. The next time each is graded by its own programs, which were kept.
    let again = course.xtask(&["verify", SLUG]).exits(0).says("holds allocation-budget");
    again.says("peak-memory, wrong answers 0.");
}

#[test]
fn a_gate_that_the_solution_or_the_starter_comes_near_is_refused() {
    let course = TestCourse::fresh();
    course.change("exercise.toml", "at_most = 20,", "at_most = 2,");
    let done = course.xtask(&["verify", SLUG]).exits(1);
    done.says("solution: allocations is too near its gate: 2.000 against at most 2 allocations");
    course.change("exercise.toml", "at_most = 2,", "at_most = 20000,");
    course.xtask(&["verify", SLUG]).exits(1).says("starter: allocations is too near its gate");
    course.change("exercise.toml", "at_most = 20000,", "at_most = 50000,");
    course.xtask(&["verify", SLUG]).exits(1).says("starter: allocations is pass, not fail");
}

#[test]
fn a_wrong_answer_is_refused_by_the_check_that_it_names_and_by_no_other() {
    let course = TestCourse::fresh();
    let wrong = course.path(&format!("{SOLUTION}/wrong/huge-buffer"));
    let toml = fs::read_to_string(wrong.join("wrong.toml")).unwrap();
    fs::write(wrong.join("wrong.toml"), toml.replace("peak-memory", "allocations")).unwrap();
    course
        .xtask(&["verify", SLUG])
        .exits(1)
        .says("wrong/huge-buffer: peak-memory is fail, and only allocations should");
    fs::write(wrong.join("wrong.toml"), toml.replace("says = \"", "says = \"never said ")).unwrap();
    course.xtask(&["verify", SLUG]).exits(1).says("peak-memory does not say `never said");
    // An answer that is right after all.
    fs::write(wrong.join("wrong.toml"), &toml).unwrap();
    fs::write(wrong.join("src/lib.rs"), course.solution()).unwrap();
    course.xtask(&["verify", SLUG]).exits(1).says("wrong/huge-buffer: peak-memory is pass");
}

#[test]
fn a_right_answer_that_is_refused_is_named() {
    let course = TestCourse::fresh();
    let right = course.path(&format!("{SOLUTION}/right"));
    let name = fs::read_dir(&right).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
    fs::write(right.join(&name).join("src/lib.rs"), course.starter()).unwrap();
    course.xtask(&["verify", SLUG]).exits(1).says(&format!("right/{name}: allocations is fail"));
    fs::remove_dir_all(right.join(&name)).unwrap();
    course.xtask(&["verify", SLUG]).exits(1).says("right answers: there are 2, and an exercise has 3 at least");
}

#[test]
fn what_is_inconclusive_is_asked_again_but_for_where_verdicts_are_counted() {
    let course = TestCourse::fresh();
    let asked = course.path("asked");
    let begin = "fn text_unchanged(t: &mut Trial) -> Outcome {";
    let first = format!(
        "{begin}\n    if std::fs::File::create_new({asked:?}).is_ok() {{\n        \
         return Err(harness::Failed::inconclusive(\"not yet\"));\n    }}\n"
    );
    course.change("checks.rs", begin, &first);
    course.xtask(&["verify", SLUG]).exits(0).says("inconclusive verdicts, asked for again: 1");
    fs::remove_file(&asked).unwrap();
    course.xtask(&["verify", SLUG, "--repeat", "2"]).exits(1).says("starter: text-unchanged is inconclusive, not pass");
    course.change("checks.rs", ".is_ok()", ".is_err()");
    course.xtask(&["verify", SLUG]).exits(1).says("starter: text-unchanged is inconclusive, not pass");
}

#[test]
fn what_is_missing_is_named() {
    let course = TestCourse::fresh();
    fs::remove_file(course.path(&format!("{SOLUTION}/why.md"))).unwrap();
    fs::remove_dir_all(course.path(&format!("{SOLUTION}/wrong/huge-buffer"))).unwrap();
    fs::remove_dir_all(course.path(&format!("{SOLUTION}/wrong/pad-by-bytes"))).unwrap();
    let chapter = course.path("book/src/foundations/allocation-budget.md");
    fs::write(chapter, "# Nothing about it\n").unwrap();
    let done = course.xtask(&["verify", SLUG]).exits(1);
    let done = done.says("why.md is missing").says("wrong answers: there are 1, and an exercise has 2 at least");
    done.says("does not show the exercise: it lacks {{#exercise allocation-budget}}");
}

#[test]
fn a_new_exercise_holds_from_the_first_minute() {
    let course = TestCourse::fresh();
    course.xtask(&["new", "1", "Bad_Name"]).exits(2).says("no slug");
    course.xtask(&["new", "1", SLUG]).exits(2).says("already");
    course.xtask(&["new", "7", "somewhere"]).exits(2).says("there is no part 7").says("1-foundations");
    course.xtask(&["new", "1", "sum-squares"]).exits(0).says("exercises/1-foundations/04-sum-squares");
    course.xtask(&["verify", "sum-squares"]).exits(0).says("holds sum-squares");
    course.xtask(&["list"]).exits(0).says("sum-squares");
    course.xtask(&["new", "2-scaling", "first-one"]).exits(0).says("exercises/2-scaling/01-first-one");
    let summary = fs::read_to_string(course.path("book/src/SUMMARY.md")).unwrap();
    assert!(
        summary.contains("(foundations/sum-squares.md)") && summary.contains("(scaling/first-one.md)"),
        "{summary}"
    );
}
