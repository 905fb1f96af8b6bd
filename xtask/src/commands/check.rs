//! `check`: the verdict on the working copy.

use anyhow::Result;
use catalogue::{CheckReport, Exercise, Finding, Live, Report, Run, Status};
use indicatif::ProgressBar;

use crate::{
    compose,
    course::Course,
    formats::{self, Format},
    grade::{self, Options, Step},
    interrupt, show, state,
    stop::Exit,
    submission::Submission,
    term::{Paint, spinner, width},
};

/// What `check` was asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Exercise; without one, the first that is not finished.
    slug: Option<String>,
    /// Every exercise.
    #[arg(long, conflicts_with = "slug")]
    all: bool,
    /// How to print the verdict.
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Run again what has passed and has not changed.
    #[arg(long)]
    force: bool,
    /// Repeat the random inputs of an earlier verdict.
    #[arg(long)]
    seed: Option<u64>,
}

pub(crate) fn run(course: &Course, arguments: &Arguments) -> Result<Exit> {
    let exercises: Vec<&Exercise> = match &arguments.slug {
        Some(slug) => vec![course.exercise(slug)?],
        None if arguments.all => course.exercises()?.iter().collect(),
        None => vec![next(course)?],
    };
    let human = arguments.format == Format::Human;
    let (paint, width) = (Paint::stdout(), width());
    let _alone = state::one_at_a_time(course)?;
    let mut reports = Vec::new();
    for exercise in exercises {
        interrupt::check()?;
        let kept = if arguments.force { None } else { unchanged(course, exercise) };
        let fresh = kept.is_none();
        let mut options = Options { colour: human && paint.on(), ..Options::default() };
        options.seed = arguments.seed.unwrap_or(options.seed);
        let report = kept.map_or_else(|| judge(course, exercise, options, &spinner()), Ok)?;
        if human && fresh {
            print!("{}", show::report(&report, exercise, paint, width));
            let advice = if untouched(course, exercise) && !report.passed() {
                format!("This is the starter, unchanged. Edit {}/{}", exercise.dir.display(), exercise.spec.editable[0])
            } else {
                show::advice(&report)
            };
            println!("{}\n", paint.dim(&advice));
        } else if human {
            let points = format!("{} of {} points", report.points, report.max_points);
            println!("{}  {}, and nothing has changed since.", paint.bold(&report.slug), paint.green(&points));
            println!("{}\n", paint.dim("To run it all the same: --force"));
        }
        reports.push(report);
    }
    let run = Run::new(reports);
    print!("{}", formats::render(&run, arguments.format)?);
    if human && run.reports.len() > 1 {
        println!("{} of {} points in all", run.points, run.max_points);
    }
    Ok(Exit::passed(run.reports.iter().all(Report::passed)))
}

/// The first exercise that is not finished, or the last one.
pub(crate) fn next(course: &Course) -> Result<&Exercise> {
    let progress = state::read(course);
    let open = |exercise: &&Exercise| progress.exercises.get(&exercise.slug).is_none_or(|s| s.passed.is_none());
    let exercises = course.exercises()?;
    Ok(exercises.iter().find(open).unwrap_or(&exercises[exercises.len() - 1]))
}

/// Whether the learner has yet to change anything.
fn untouched(course: &Course, exercise: &Exercise) -> bool {
    let files = |submission: Submission| submission.files(exercise);
    files(Submission::working_copy(&course.catalogue)) == files(Submission::starters(&course.catalogue))
}

/// The report of the latest pass, when nothing that it depended on has changed.
fn unchanged(course: &Course, exercise: &Exercise) -> Option<Report> {
    let progress = state::read(course);
    let passed = progress.exercises.get(&exercise.slug)?.passed.as_ref()?;
    let files = Submission::working_copy(&course.catalogue).files(exercise).ok()?;
    if compose::sources(course, exercise, &files).ok()? != *passed {
        return None;
    }
    Live::read(course.root(), &exercise.slug).map(|live| live.report).filter(|r| r.passed() && r.sources == *passed)
}

/// Grades the working copy, publishes each finding as it comes, and records the verdict. `bar` says how far it is.
pub(crate) fn judge(course: &Course, exercise: &Exercise, options: Options, bar: &ProgressBar) -> Result<Report> {
    let submission = Submission::working_copy(&course.catalogue);
    let pending = Finding::new(Status::Skipped, "");
    let mut live = Report::uniform(exercise, &submission.name, &pending);
    state::publish(course, true, &live)?;
    let graded = grade::grade(course, exercise, &submission, options, &mut |step| {
        match step {
            Step::Building => bar.set_message(format!("building {}", exercise.slug)),
            Step::Checking => bar.set_message(format!("checking {}", exercise.slug)),
            Step::Found(name, finding) => {
                bar.set_message(format!("checking {}: {name} {}", exercise.slug, finding.status.word()));
                let Some(spec) = exercise.spec.check(name) else { return };
                if let Some(slot) = live.checks.iter_mut().find(|check| check.name == name) {
                    *slot = CheckReport::new(spec, finding.clone());
                }
                live.points = live.checks.iter().map(|check| check.points).sum();
            }
        }
        // The page is a courtesy here; the verdict itself is saved below, where a failure is reported.
        let _ = state::publish(course, true, &live);
    });
    bar.finish_and_clear();
    match graded {
        Ok(report) => {
            state::record(course, &report)?;
            Ok(report)
        }
        Err(error) => {
            // Whoever looks at the page should not see a check that runs for ever.
            let _ = std::fs::remove_file(Live::path(course.root(), &exercise.slug));
            Err(error)
        }
    }
}
