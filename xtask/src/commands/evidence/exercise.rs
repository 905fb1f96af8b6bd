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
/// Functions that the text beside a flamegraph names.
const MOST_NAMED: usize = 8;

pub(super) fn measure(course: &Course, exercise: &Exercise) -> Result<()> {
    let _alone = state::one_at_a_time(course)?;
    let slug = &exercise.slug;
    let starters = Submission::starters(&course.catalogue);
    let solutions = Submission::solutions(&course.catalogue);
    // Taken first: what is changed while this measures may not be in the figures.
    let sources = super::sources::digests(course, &super::sources::of_exercise(exercise))?;
    let figures = figures(course, exercise, &solutions)?;
    for name in wanted(course, exercise)? {
        let (title, figure) = match name.strip_prefix(&format!("{slug}-")) {
            Some("verdicts") => ("What each answer scores".to_owned(), verdicts(course, exercise)?),
            Some("flamegraph-starter") => flamegraph(course, exercise, &starters, "the starter", &name)?,
            Some("flamegraph-solution") => flamegraph(course, exercise, &solutions, "the solution", &name)?,
            Some("heap-starter") => heap(course, exercise, &starters, "the starter")?,
            Some("heap-solution") => heap(course, exercise, &solutions, "the solution")?,
            _ => {
                let drawn = figures.iter().find(|(drawn, ..)| *drawn == name);
                let (_, title, figure) = drawn.ok_or_else(|| unknown(exercise, &name))?;
                (title.clone(), figure.clone())
            }
        };
        super::write(course, &name, &title, slug, sources.clone(), figure)?;
    }
    Ok(())
}

fn unknown(exercise: &Exercise, name: &str) -> Stop {
    let slug = &exercise.slug;
    let what = format!("nothing makes the evidence {name}, which book/src/{} shows", exercise.spec.chapter);
    let next = format!(
        "These are made: {slug}-verdicts, {slug}-flamegraph-starter or -solution, {slug}-heap-starter or -solution, and \
         what bench.rs defines with `.figure(..)`."
    );
    Stop::broken(what, next)
}

/// The names of this exercise's evidence in its chapter, each once.
pub(super) fn wanted(course: &Course, exercise: &Exercise) -> Result<Vec<String>> {
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
) -> Result<(String, Figure)> {
    let file = format!("{name}.svg");
    let dir = course.root().join(super::DIRECTORY);
    fs::create_dir_all(&dir)?;
    let picture = dir.join(&file);
    bench::draw(course, exercise, submission, &picture)?;
    let title = format!("Where {whose} of {} spends its time", exercise.slug);
    let widest = widest(&fs::read_to_string(&picture).with_context(|| picture.display().to_string())?);
    let shares: Vec<_> = widest.iter().map(|(name, share)| format!("{name} {share:.0} %")).collect();
    let alt = format!(
        "Flamegraph of {whose}: each box is a function, as wide as its share of the samples. The widest: {}.",
        shares.join(", ")
    );
    Ok((title, Figure::Svg { file, alt }))
}

/// The functions with the widest boxes of a flamegraph and their shares in percent, for whoever cannot see it. Each box has a
/// title of its own, such as `row (224 samples, 39.79%)`.
fn widest(svg: &str) -> Vec<(String, f64)> {
    let mut found: Vec<(String, f64)> = Vec::new();
    for title in svg.split("<title>").skip(1).filter_map(|rest| rest.split("</title>").next()) {
        let Some((name, counts)) = title.rsplit_once(" (") else { continue };
        let share = counts.rsplit_once(", ").and_then(|(_, share)| share.trim_end_matches("%)").parse::<f64>().ok());
        let Some(share) = share.filter(|_| name != "all" && !name.contains("closure")) else { continue };
        let name = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")]
            .iter()
            .fold(name.to_owned(), |name, (from, to)| name.replace(from, to));
        match found.iter_mut().find(|(known, _)| *known == name) {
            Some((_, widest)) => *widest = widest.max(share),
            None => found.push((name, share)),
        }
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found.truncate(MOST_NAMED);
    found
}

fn heap(course: &Course, exercise: &Exercise, submission: &Submission, whose: &str) -> Result<(String, Figure)> {
    let sites = bench::heap_sites(course, exercise, submission, &course.target.join("evidence-heap.json"))?;
    let row = |site: &Site| vec![site.name.clone(), number(site.allocations as f64), number(site.bytes as f64)];
    let columns = ["function and line", "allocations", "bytes"].map(String::from).to_vec();
    let title = format!("What {whose} of {} allocates", exercise.slug);
    Ok((title, Figure::Table { columns, rows: sites.iter().map(row).collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_boxes_of_a_flamegraph_are_named_once() {
        let boxes = [
            "all (400 samples, 100%)",
            "(closure#2) (400 samples, 100.00%)",
            "free (20 samples, 5.00%)",
            "row (300 samples, 75.00%)",
            "free (40 samples, 10.00%)",
            "&amp;str as Display (8 samples, 2.00%)",
        ];
        let svg: String = boxes.iter().map(|name| format!("<g><title>{name}</title></g>")).collect();
        let expected = [("row", 75.0), ("free", 10.0), ("&str as Display", 2.0)];
        assert_eq!(widest(&svg), expected.map(|(name, share)| (name.to_owned(), share)));
    }
}
