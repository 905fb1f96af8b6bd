//! The figures of one exercise's chapter: what its page asks for with `{{#evidence SLUG-...}}`, and nothing else.

use std::{fs, process::Command};

use anyhow::{Context, Result};
use catalogue::{Exercise, Report, evidence::Figure, number};

use crate::{
    commands::bench::{self, Site},
    compile::{self, Built},
    compose::{self, Purpose},
    course::Course,
    grade::{self, Options},
    state,
    stop::Stop,
    submission::Submission,
};

/// Verdicts that a figure is the median of.
const TIMES: usize = 5;

pub(super) fn measure(course: &Course, exercise: &Exercise) -> Result<()> {
    let _alone = state::one_at_a_time(course)?;
    let slug = &exercise.slug;
    let starters = Submission::starters(&course.catalogue);
    let solutions = Submission::solutions(&course.catalogue);
    let figures = figures(course, exercise, &solutions)?;
    for name in wanted(course, exercise)? {
        let (title, figure) = match name.strip_prefix(&format!("{slug}-")) {
            Some("verdicts") => ("What each answer scores".to_owned(), verdicts(course, exercise)?),
            Some("flamegraph-starter") => {
                flamegraph(course, exercise, &starters, &format!("the starter of {slug}"), &name, None)?
            }
            Some("flamegraph-solution") => {
                flamegraph(course, exercise, &solutions, &format!("the solution of {slug}"), &name, None)?
            }
            Some(other) if other.starts_with("flamegraph-") => {
                let example = other.trim_start_matches("flamegraph-");
                let whose = format!("the {}", example.replace('-', " "));
                flamegraph(course, exercise, &solutions, &whose, &name, Some(example))?
            }
            Some("heap-starter") => heap(course, exercise, &starters, "the starter")?,
            Some("heap-solution") => heap(course, exercise, &solutions, "the solution")?,
            _ => {
                let drawn = figures.iter().find(|(drawn, ..)| *drawn == name);
                let (_, title, figure) = drawn.ok_or_else(|| unknown(exercise, &name))?;
                (title.clone(), figure.clone())
            }
        };
        super::write(course, &name, &title, slug, figure)?;
    }
    Ok(())
}

fn unknown(exercise: &Exercise, name: &str) -> Stop {
    let slug = &exercise.slug;
    let what = format!("nothing makes the evidence {name}, which book/src/{} shows", exercise.spec.chapter);
    let next = format!(
        "These are made: {slug}-verdicts, {slug}-flamegraph-starter or -solution, {slug}-heap-starter or -solution, and \
         what bench.rs defines with `.figure(..)`, or as {slug}-flamegraph-NAME with `.example(..)`."
    );
    Stop::broken(what, next)
}

/// The names of this exercise's evidence in its chapter, each once.
fn wanted(course: &Course, exercise: &Exercise) -> Result<Vec<String>> {
    let page = course.root().join("book/src").join(&exercise.spec.chapter);
    let text = fs::read_to_string(&page).with_context(|| page.display().to_string())?;
    let mut names: Vec<String> = Vec::new();
    for directive in text.split("{{#evidence ").skip(1) {
        let name = directive.split("}}").next().unwrap_or_default().trim();
        if name.starts_with(&format!("{}-", exercise.slug)) && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// What `bench.rs` draws of the reference solution: name, title, figure.
fn figures(course: &Course, exercise: &Exercise, solutions: &Submission) -> Result<Vec<(String, String, Figure)>> {
    let binaries = built(course, exercise, solutions)?;
    let output = Command::new(&binaries.bench).arg("--figures").output()?;
    serde_json::from_slice(&output.stdout).with_context(|| format!("the figures of {}", exercise.slug))
}

fn built(course: &Course, exercise: &Exercise, submission: &Submission) -> Result<compile::Binaries> {
    let files = submission.files(exercise).map_err(|fault| Stop::broken(fault, "Restore it from the repository."))?;
    let composed = compose::compose(course, exercise, &files, &submission.variant, Purpose::Grade)?;
    match compile::build(course, exercise, &composed, false)? {
        Built::Yes(binaries) => Ok(binaries),
        Built::No(errors) => Err(Stop::broken(format!("{} does not compile", submission.name), errors).into()),
    }
}

/// Each measuring check's figure, for the starter, the solution and every wrong answer.
fn verdicts(course: &Course, exercise: &Exercise) -> Result<Figure> {
    let mut submissions = vec![Submission::starters(&course.catalogue), Submission::solutions(&course.catalogue)];
    let wrong = course.root().join(exercise.solution_dir()).join("wrong");
    let mut names: Vec<_> =
        fs::read_dir(wrong)?.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    submissions.extend(names.iter().map(|name| Submission::answer(&course.catalogue, exercise, "wrong", name)));
    let columns = std::iter::once("answer".to_owned())
        .chain(exercise.spec.checks.iter().map(|check| match &check.gate {
            Some(gate) => format!("{} ({gate})", check.name),
            None => check.name.clone(),
        }))
        .chain(["points".to_owned()]);
    let rows = submissions.iter().map(|submission| {
        let grade = |_| grade::grade(course, exercise, submission, Options::default(), &mut |_| {});
        let reports = (0..TIMES).map(grade).collect::<Result<Vec<_>>>()?;
        Ok(row(exercise, &reports))
    });
    Ok(Figure::Table { columns: columns.collect(), rows: rows.collect::<Result<_>>()? })
}

fn row(exercise: &Exercise, reports: &[Report]) -> Vec<String> {
    let last = &reports[reports.len() - 1];
    let name = last.submission.strip_suffix('s').filter(|_| !last.submission.contains('/')).unwrap_or(&last.submission);
    let mut cells = vec![name.replace("wrong/", "wrong: ").replace('-', " ")];
    for spec in &exercise.spec.checks {
        let mut figures: Vec<f64> = reports.iter().filter_map(|report| report.check(&spec.name)?.measured).collect();
        figures.sort_by(f64::total_cmp);
        let status = last.check(&spec.name).map_or("", |check| check.status.word());
        cells.push(match figures.get(figures.len() / 2) {
            Some(figure) => format!("{}, {status}", number(*figure)),
            None => status.into(),
        });
    }
    cells.push(format!("{} of {}", last.points, last.max_points));
    cells
}

fn flamegraph(
    course: &Course,
    exercise: &Exercise,
    submission: &Submission,
    whose: &str,
    name: &str,
    example: Option<&str>,
) -> Result<(String, Figure)> {
    let file = format!("{name}.svg");
    let dir = course.root().join("book/evidence");
    fs::create_dir_all(&dir)?;
    bench::draw(course, exercise, submission, &dir.join(&file), example)?;
    let title = format!("Where {whose} spends its time");
    let alt = format!("Flamegraph of {whose}: each box is a function, as wide as its share of the samples.");
    Ok((title, Figure::Svg { file, alt }))
}

fn heap(course: &Course, exercise: &Exercise, submission: &Submission, whose: &str) -> Result<(String, Figure)> {
    let sites = bench::heap_sites(course, exercise, submission, &course.target.join("evidence-heap.json"))?;
    let row = |site: &Site| vec![site.name.clone(), number(site.allocations as f64), number(site.bytes as f64)];
    let columns = ["function and line", "allocations", "bytes"].map(String::from).to_vec();
    let title = format!("What {whose} of {} allocates", exercise.slug);
    Ok((title, Figure::Table { columns, rows: sites.iter().map(row).collect() }))
}
