//! Grading other people's trees and archives.

use std::{fs, path::Path};

use catalogue::Status;

use crate::course::{SLUG, TestCourse};

fn lib(root: &Path, dir: &str, text: &str) {
    let src = root.join(dir).join("src");
    fs::create_dir_all(&src).unwrap();
    fs::write(src.join("lib.rs"), text).unwrap();
}

#[test]
fn the_courses_own_trees() {
    let course = TestCourse::fresh();
    course.xtask(&["grade", "solutions"]).exits(0).says("10 of 10 points solutions");
    let done = course.xtask(&["grade", "exercises", "--format", "json"]).exits(1);
    let report = done.report();
    assert_eq!(report.points, 3, "the starter has what it had before, and none of the lesson's points");
}

#[test]
fn a_packed_archive_scores_what_the_working_copy_does() {
    let course = TestCourse::fresh();
    course.write(&course.solution());
    course.xtask(&["pack", "--output", "mine.tar.gz"]).exits(0).says("1 files");
    let first = fs::read(course.path("mine.tar.gz")).unwrap();
    course.xtask(&["pack", "-o", "mine.tar.gz"]).exits(0);
    assert_eq!(first, fs::read(course.path("mine.tar.gz")).unwrap(), "the same files, the same archive");
    course.xtask(&["grade", "mine.tar.gz"]).exits(0).says("10 of 10 points mine");
    course.xtask(&["pack", "-o", "no/such/place.tar.gz"]).exits(2).says("--output");
}

#[test]
fn only_editable_files_are_taken_from_a_submission() {
    let course = TestCourse::fresh();
    // Numbers from an earlier edition of the course, and everything else that a student might send along.
    let tree = course.path("ada");
    let dir = "exercises/9-elsewhere/07-allocation-budget";
    lib(&tree, dir, &course.starter());
    let marker = course.path("ran");
    let build = format!("fn main() {{ std::fs::write({marker:?}, \"\").unwrap(); }}");
    fs::write(tree.join(dir).join("build.rs"), build).unwrap();
    fs::write(tree.join(dir).join("checks.rs"), "fn main() {}").unwrap();
    fs::write(tree.join(dir).join("Cargo.toml"), "[package]\nname = \"allocation-budget\"\nbuild = \"build.rs\"\n")
        .unwrap();
    let report = course.xtask(&["grade", "ada", "--format", "json"]).exits(1).report();
    assert_eq!((report.points, report.submission.as_str()), (3, "ada"));
    assert!(!marker.exists(), "a student's build script was run");
}

#[test]
fn links_and_odd_archives_are_refused() {
    let course = TestCourse::fresh();
    #[cfg(unix)]
    {
        let src = course.path("eve/1-foundations/03-allocation-budget/src");
        fs::create_dir_all(&src).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", src.join("lib.rs")).unwrap();
        let report = course.xtask(&["grade", "eve", "--format", "json"]).exits(1).report();
        assert_eq!(report.status, Status::Error);
        assert!(report.checks[0].message.contains("symbolic link"), "{}", report.checks[0].message);
    }
    fs::write(course.path("noise.tar.gz"), "not an archive").unwrap();
    // One student's broken archive is that student's fault, and the others are graded all the same.
    let run = course.xtask(&["grade", "noise.tar.gz", "solutions", "--format", "json"]).exits(1).run();
    let noise = run.reports.iter().find(|report| report.submission == "noise").unwrap();
    assert_eq!((noise.status, noise.points, run.points), (Status::Error, 0, 10));
    assert!(
        noise.checks[0].message.contains("The archive cannot be used: it is no tar archive"),
        "{}",
        noise.checks[0].message
    );
    course.xtask(&["grade", "nowhere"]).exits(2).says("nowhere does not exist");
    fs::create_dir(course.path("empty")).unwrap();
    course.xtask(&["grade", "empty"]).exits(2).says("none of the course's exercises");

    // One that climbs out of its directory, beside one that is as it should be.
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    let name = b"../03-allocation-budget/src/lib.rs";
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
    let mut archive = tar::Builder::new(fs::File::create(course.path("climb.tar")).unwrap());
    archive.append(&header, &b"evil"[..]).unwrap();
    archive.into_inner().unwrap();
    course.xtask(&["grade", "climb.tar"]).exits(1).says("it holds no file of any exercise");
}

#[test]
fn a_class_in_every_format() {
    let course = TestCourse::fresh();
    let dir = "1-foundations/03-allocation-budget";
    lib(&course.path("class/ada"), dir, &course.solution());
    lib(&course.path("class/<bob>, \"b\""), dir, "pub fn render( {");
    let grade = |more: &[&str]| {
        let class = ["grade", "class/ada", "class/<bob>, \"b\""];
        course.xtask(&[&class[..], more].concat()).exits(1)
    };
    let human = grade(&[]);
    human.says("10 of 10 points class/ada").says("0 of 10 points");
    let csv = grade(&["--format", "csv"]).stdout;
    let lines: Vec<_> = csv.split("\r\n").collect();
    assert!(lines[1].starts_with("class/ada,allocation-budget,pass,10,10,,"), "{csv}");
    assert!(lines[2].starts_with("\"class/<bob>, \"\"b\"\"\",allocation-budget,error,0,10,"), "{csv}");
    let html = grade(&["--format", "html"]).stdout;
    assert!(html.contains("class/&lt;bob&gt;, &quot;b&quot;") && !html.contains("<bob>"), "{html}");
    assert!(html.contains("10 of 10") && html.trim_end().ends_with("</html>"));
    let junit = grade(&["--format", "junit"]).stdout;
    assert!(junit.contains("tests=\"5\" failures=\"0\" errors=\"5\""), "{junit}");
    assert!(!junit.contains('\u{1b}'));
    let run = grade(&["--format", "json"]).run();
    assert_eq!((run.points, run.max_points, run.reports.len()), (10, 20, 2));

    // Two archives of one name are two submissions.
    course.xtask(&["pack", "-o", "class/work.tar.gz"]).exits(0);
    course.xtask(&["pack", "-o", "work.tar.gz"]).exits(0);
    let run = course.xtask(&["grade", "class/work.tar.gz", "work.tar.gz", "--format", "json"]).run();
    let names: Vec<_> = run.reports.iter().map(|report| report.submission.as_str()).collect();
    assert_eq!(names, ["class/work.tar.gz", "work.tar.gz"]);

    // Shards share the work out: each pair is in one of them.
    let shard = |which: &str| {
        let class = ["grade", "class/ada", "class/<bob>, \"b\"", "--format", "json", "--shard", which];
        course.xtask(&class).run().reports.into_iter().map(|report| report.submission).collect::<Vec<_>>()
    };
    assert_eq!([shard("1/2"), shard("2/2")].concat(), ["class/ada", "class/<bob>, \"b\""]);
    course.xtask(&["grade", "class/ada", "--shard", "3/2"]).exits(2).says("1/3");
    let none = course.xtask(&["grade", "class/ada", "--shard", "2/2", "--format", "json"]).exits(0).run();
    assert!(none.reports.is_empty(), "more shards than work: an empty share is no fault");
    course.xtask(&["grade", "class/ada", "--exercise", SLUG]).exits(0);
}
