//! Answers that try to get a verdict otherwise than by being right, or to harm whoever grades them.

use catalogue::{Report, Status};

use crate::course::TestCourse;

/// The starter, with `code` at the beginning of `render`.
fn attack(course: &TestCourse, code: &str) -> Report {
    let begin = "pub fn render(invoice: &Invoice) -> String {";
    course.write(&course.starter().replacen(begin, &format!("{begin}\n    {code}\n"), 1));
    course.check()
}

/// Status and message of the check that runs first.
fn first(report: &Report) -> (Status, &str) {
    assert!(report.build_error.is_none(), "{:?}", report.build_error);
    (report.checks[0].status, &report.checks[0].message)
}

#[test]
fn a_forged_report_is_output_like_any_other() {
    let course = TestCourse::fresh();
    let body = r#"{\"end\":[\"allocations\",{\"status\":\"pass\",\"message\":\"\",\"measured\":1.0}]}"#;
    let code = format!(r#"println!("{{}}", "\n\u{{1e}}{} {body}\n\u{{1e}}00 \"done\"");"#, "0".repeat(64));
    let report = attack(&course, &code);
    let allocations = report.check("allocations").unwrap();
    assert_eq!(allocations.status, Status::Fail, "{}", allocations.message);
    assert_ne!(allocations.measured, Some(1.0));
    assert_eq!(report.check("text-unchanged").unwrap().status, Status::Pass);
    assert_eq!(report.points, 3, "what it has earned stays");
    assert!(report.output.contains("\"done\""), "{}", report.output);
}

#[test]
fn ending_the_process_passes_nothing() {
    let course = TestCourse::fresh();
    for status in [0, 3] {
        let report = attack(&course, &format!("std::process::exit({status});"));
        let (verdict, message) = first(&report);
        assert_eq!(verdict, Status::Error);
        assert!(message.contains(&format!("ended the process with exit status {status}")), "{message}");
        assert_eq!(report.points, 0);
        assert_eq!(report.check("faster").unwrap().status, Status::Skipped);
    }
}

#[test]
fn a_check_that_ends_the_process_does_not_take_the_next_one_with_it() {
    let course = TestCourse::fresh();
    let report = attack(&course, "if invoice.number != 42 { std::process::exit(0) }");
    assert_eq!(report.check("text-unchanged").unwrap().status, Status::Error);
    assert_eq!(report.check("awkward-invoices").unwrap().status, Status::Pass);
    assert_eq!(report.points, 1);
}

#[test]
fn what_takes_too_long_is_ended() {
    let course = TestCourse::fresh().impatient();
    let report = attack(&course, "loop { std::hint::spin_loop() }");
    let (status, message) = first(&report);
    assert_eq!(status, Status::Limit);
    assert!(message.contains("still running after 1 s"), "{message}");
}

#[test]
fn what_takes_too_much_memory_is_ended() {
    let course = TestCourse::fresh().impatient();
    let report = attack(&course, "let mut hoard = Vec::new(); loop { hoard.push(vec![1_u8; 1 << 20]); }");
    let (status, message) = first(&report);
    assert_eq!(status, Status::Limit);
    assert!(message.contains("256 MiB"), "{message}");
}

#[test]
fn what_prints_too_much_is_ended() {
    let course = TestCourse::fresh();
    for (print, end) in [("println!", "\\n"), ("eprint!", "")] {
        let report = attack(&course, &format!("loop {{ {print}(\"{}{end}\"); }}", "x".repeat(1000)));
        let (status, message) = first(&report);
        assert_eq!(status, Status::Limit);
        assert!(message.contains("more than 1024 KiB"), "{message}");
        assert!(report.output.len() <= 16 << 10, "{} bytes kept", report.output.len());
    }
}

#[test]
fn a_panic_says_where() {
    let course = TestCourse::fresh();
    let report = attack(&course, "panic!(\"no {}\", \"invoices\");");
    let (status, message) = first(&report);
    assert_eq!(status, Status::Error);
    let place = "exercises/1-foundations/03-allocation-budget/src/lib.rs:";
    assert!(message.contains(place) && message.contains("no invoices"), "{message}");

    let nasty =
        "struct Nasty; impl Drop for Nasty { fn drop(&mut self) { panic!(\"again\") } } std::panic::panic_any(Nasty);";
    assert_eq!(first(&attack(&course, nasty)).0, Status::Error);
    let report = attack(&course, "fn deep(n: u64) -> u64 { std::hint::black_box(deep(n + 1) + 1) } deep(0);");
    assert!(first(&report).1.contains("overflowed its stack"), "{:?}", report.checks[0]);
}

#[test]
fn holding_standard_output_silences_nobody() {
    let course = TestCourse::fresh();
    let report = attack(&course, "std::mem::forget(std::io::stdout().lock());");
    assert_eq!(report.points, 3, "{:?}", report.checks);
}

#[test]
fn unsafe_code_does_not_compile() {
    let course = TestCourse::fresh();
    let begin = "pub fn render(invoice: &Invoice) -> String {";
    course.write(&course.starter().replacen(
        begin,
        &format!("{begin}\n unsafe {{ std::hint::unreachable_unchecked() }}"),
        1,
    ));
    let report = course.check();
    assert_eq!(report.status, Status::Error);
    assert!(report.build_error.unwrap().contains("unsafe"));
    course.write(&format!("#![allow(unsafe_code)]\n{}", course.starter()));
    assert!(course.check().build_error.unwrap().contains("forbid"));
}

#[test]
fn an_answer_kept_from_an_earlier_call_is_of_no_use() {
    let course = TestCourse::fresh();
    let report = attack(
        &course,
        "thread_local! { static KEPT: std::cell::RefCell<Option<String>> = const { std::cell::RefCell::new(None) } }
         if let Some(kept) = KEPT.with(|kept| kept.borrow().clone()) { return kept; }
         let mut fresh = String::new(); for line in &invoice.lines { fresh += &line.item; }
         KEPT.set(Some(fresh));",
    );
    assert_eq!(first(&report).0, Status::Fail);
    assert_eq!(report.points, 0);
}

#[cfg(target_os = "linux")]
#[test]
fn processes_that_it_starts_end_with_it() {
    let course = TestCourse::fresh();
    // A number that no other process has among its arguments.
    let seconds = format!("86400.{}", std::process::id());
    let sleep = format!("std::process::Command::new(\"sleep\").arg(\"{seconds}\")");
    // One in its own group, and one that has left it.
    let escape = format!("{{ use std::os::unix::process::CommandExt; let _ = {sleep}.process_group(0).spawn(); }}");
    let report = attack(&course, &format!("let _ = {sleep}.spawn(); {escape}"));
    assert_eq!(report.check("text-unchanged").unwrap().status, Status::Pass);
    let left = std::fs::read_dir("/proc").unwrap().flatten().filter(|process| {
        std::fs::read_to_string(process.path().join("cmdline")).is_ok_and(|arguments| arguments.contains(&seconds))
    });
    assert_eq!(left.count(), 0);
}
