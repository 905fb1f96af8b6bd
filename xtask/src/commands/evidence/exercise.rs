//! The figures of one exercise's chapter: what its page asks for with `{{#evidence SLUG-...}}`, and nothing else.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};
use catalogue::{
    Exercise, Report,
    evidence::{Axis, Figure, Series},
    number,
};
use serde::de::DeserializeOwned;

use crate::{
    commands::{
        bench::{self, Site},
        cache,
        evidence::widest,
    },
    compose::Purpose,
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
    // Taken first: what is changed while this measures may not be in the figures.
    let sources = super::sources::digests(course, &super::sources::of_exercise(exercise))?;
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
            Some("cache-starter") => cache_lines(course, exercise, &starters, "the starter")?,
            Some("cache-solution") => cache_lines(course, exercise, &solutions, "the solution")?,
            Some("heap-starter") => heap(course, exercise, &starters, "the starter")?,
            Some("criterion") => (
                format!("What criterion prints for {slug}"),
                criterion(&bench::criterion_text(course, exercise, &solutions)?),
            ),
            Some("heap-solution") => heap(course, exercise, &solutions, "the solution")?,
            Some(of) if let Some(check) = of.strip_prefix("alive-starter-") => {
                alive(course, exercise, &starters, "the starter", check)?
            }
            Some(of) if let Some(check) = of.strip_prefix("alive-solution-") => {
                alive(course, exercise, &solutions, "the solution", check)?
            }
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
        "These are made: {slug}-verdicts, {slug}-criterion, {slug}-flamegraph-starter or -solution, {slug}-heap-starter or -solution, \
         {slug}-cache-starter or -solution, {slug}-alive-starter-CHECK or -solution-CHECK, what bench.rs and checks.rs \
         define with `.figure(..)` and `.compared(..)`, and as {slug}-flamegraph-NAME what bench.rs has as `.example(..)`."
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

/// A figure by name, with its title.
type Named = (String, String, Figure);

/// What `bench.rs` and `checks.rs` draw: of the reference solution, and of others beside it where answers are compared.
fn figures(course: &Course, exercise: &Exercise, solutions: &Submission) -> Result<Vec<Named>> {
    let binaries = bench::build(course, exercise, solutions, Purpose::Grade)?;
    let mut figures: Vec<Named> = drawn(exercise, &binaries.bench)?;
    for (name, title, wrong, figure) in drawn::<Compared>(exercise, &binaries.checks)? {
        let figure = if wrong.is_empty() { figure } else { compared(course, exercise, &name, &wrong, figure)? };
        figures.push((name, title, figure));
    }
    Ok(figures)
}

/// A figure by name, with its title and the wrong answers whose lines it wants beside the solution's.
type Compared = (String, String, Vec<String>, Figure);

fn drawn<T: DeserializeOwned>(exercise: &Exercise, program: &Path) -> Result<Vec<T>> {
    let output = Command::new(program).arg("--figures").output()?;
    serde_json::from_slice(&output.stdout).with_context(|| format!("the figures of {}", exercise.slug))
}

/// The lines of the starter, of some wrong answers and of the solution in one figure, each named after its answer.
fn compared(course: &Course, exercise: &Exercise, figure: &str, wrong: &[String], solution: Figure) -> Result<Figure> {
    let wrong = wrong.iter().map(|name| Submission::answer(&course.catalogue, exercise, "wrong", name));
    let others = std::iter::once(Submission::starters(&course.catalogue)).chain(wrong);
    let mut lines = Vec::new();
    for submission in others {
        let figures: Vec<Compared> =
            drawn(exercise, &bench::build(course, exercise, &submission, Purpose::Grade)?.checks)?;
        let own = figures.into_iter().find_map(|(name, .., own)| (name == figure).then_some(own));
        lines.extend(named(own.context("every answer draws the same figures")?, &answer(&submission.name))?.2);
    }
    let (x, y, series) = named(solution, "solution")?;
    lines.extend(series);
    Ok(Figure::Lines { x, y, series: lines })
}

/// The axes and lines of a figure, with this name on each line.
fn named(figure: Figure, name: &str) -> Result<(Axis, Axis, Vec<Series>)> {
    let Figure::Lines { x, y, series } = figure else { bail!("only lines can be compared") };
    Ok((x, y, series.into_iter().map(|line| Series { label: name.to_owned(), ..line }).collect()))
}

/// What tables and legends call an answer: `starter`, `wrong: half fix`.
fn answer(submission: &str) -> String {
    let one = submission.strip_suffix('s').filter(|_| !submission.contains('/')).unwrap_or(submission);
    one.replace("wrong/", "wrong: ").replace('-', " ")
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
    let mut cells = vec![answer(&last.submission)];
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
    let dir = course.root().join(super::DIRECTORY);
    fs::create_dir_all(&dir)?;
    let picture = dir.join(&file);
    bench::draw(course, exercise, submission, &picture, example)?;
    let title = format!("Where {whose} spends its time");
    let widest = widest::boxes(&fs::read_to_string(&picture).with_context(|| picture.display().to_string())?);
    let shares: Vec<_> = widest.iter().map(|(name, share)| format!("{name} {share:.0} %")).collect();
    let alt = format!(
        "Flamegraph of {whose}: each box is a function, as wide as its share of the samples. The widest: {}.",
        shares.join(", ")
    );
    Ok((title, Figure::Svg { file, alt }))
}

fn heap(course: &Course, exercise: &Exercise, submission: &Submission, whose: &str) -> Result<(String, Figure)> {
    let sites = bench::heap_sites(course, exercise, submission, None, &course.target.join("evidence-heap.json"))?;
    let row = |site: &Site| vec![site.name.clone(), number(site.allocations as f64), number(site.bytes as f64)];
    let columns = ["function and line", "allocations", "bytes"].map(String::from).to_vec();
    let title = format!("What {whose} of {} allocates", exercise.slug);
    Ok((title, Figure::Table { columns, rows: sites.iter().map(row).collect() }))
}

/// What `check` leaves alive, by the line that asked for it, most first.
fn alive(
    course: &Course,
    exercise: &Exercise,
    submission: &Submission,
    whose: &str,
    check: &str,
) -> Result<(String, Figure)> {
    let file = course.target.join("evidence-heap.json");
    let mut sites = bench::heap_sites(course, exercise, submission, Some(check), &file)?;
    sites.sort_by_key(|site| std::cmp::Reverse((site.at_peak, site.at_end)));
    let row = |site: &Site| {
        let bytes = [site.bytes, site.at_peak, site.at_end].map(|bytes| number(bytes as f64));
        std::iter::once(site.name.clone()).chain(bytes).collect()
    };
    let columns =
        ["function and line", "bytes in all", "alive at the peak", "alive at the end"].map(String::from).to_vec();
    let title = format!("What {whose} of {} holds in {check}", exercise.slug);
    Ok((title, Figure::Table { columns, rows: sites.iter().map(row).collect() }))
}

fn cache_lines(course: &Course, exercise: &Exercise, submission: &Submission, whose: &str) -> Result<(String, Figure)> {
    let title = format!("Cache lines that {whose} of {} fetches, counted by cachegrind", exercise.slug);
    Ok((title, cache::table(course, exercise, submission)?))
}

/// The estimates in criterion's report: a name, then `time:` and the ends of an interval around the estimate.
fn criterion(text: &str) -> Figure {
    let mut rows = Vec::new();
    let mut previous = "";
    for line in text.lines() {
        if let Some((name, times)) = line.split_once("time:") {
            // A name that is too long for its column has a line of its own.
            let name = if name.trim().is_empty() { previous } else { name };
            let times: Vec<&str> = times.trim().trim_matches(['[', ']']).split_whitespace().collect();
            let times = times.chunks(2).map(|time| time.join(" "));
            rows.push(std::iter::once(name.trim().to_owned()).chain(times).collect());
        }
        previous = line;
    }
    let columns = ["bench", "low", "estimate", "high"].map(String::from).to_vec();
    Figure::Table { columns, rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_criterion_becomes_a_table() {
        let text = "Benchmarking a/b\n\
                    a/b                     time:   [1.2040 ns 1.2056 ns 1.2076 ns]\n\
                    Found 4 outliers among 100 measurements (4.00%)\n\n\
                    a/a name that is too long\n                        time:   [12.1 µs 12.5 µs 13.0 µs]\n";
        let Figure::Table { columns, rows } = criterion(text) else { panic!("it is no table") };
        assert_eq!(columns.len(), 4);
        assert_eq!(rows[0], ["a/b", "1.2040 ns", "1.2056 ns", "1.2076 ns"]);
        assert_eq!(rows[1], ["a/a name that is too long", "12.1 µs", "12.5 µs", "13.0 µs"]);
        assert_eq!(rows.len(), 2);
    }
}
