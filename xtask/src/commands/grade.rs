//! `grade`: the verdict on other people's trees and archives, for a whole class if need be.

use std::path::PathBuf;

use anyhow::Result;
use catalogue::{Exercise, Report, Run};

use crate::{
    course::Course,
    formats::{self, Format},
    grade::{self, Options},
    interrupt, show, state,
    stop::Exit,
    submission::Submission,
    term::{Paint, bar, width},
};

/// What `grade` was asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Directories that mirror exercises/, clones of the course, or archives made by `pack`.
    #[arg(required = true)]
    trees: Vec<PathBuf>,
    /// Grade only this exercise.
    #[arg(long)]
    exercise: Option<String>,
    /// Grade only every N-th pair of submission and exercise, beginning with the K-th, to share the work out.
    #[arg(long, value_name = "K/N", value_parser = shard)]
    shard: Option<(usize, usize)>,
    /// Repeat the random inputs of an earlier verdict; without it, everybody in one run gets the same new ones.
    #[arg(long)]
    seed: Option<u64>,
    /// How to print the verdicts.
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
}

fn shard(text: &str) -> Result<(usize, usize), String> {
    let parsed = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    match parsed {
        Some((k, n)) if (1..=n).contains(&k) => Ok((k, n)),
        _ => Err("write it as 1/3, 2/3, 3/3".into()),
    }
}

pub(crate) fn run(course: &Course, arguments: &Arguments) -> Result<Exit> {
    let only = arguments.exercise.as_ref().map(|slug| course.exercise(slug)).transpose()?;
    let mut submissions =
        arguments.trees.iter().map(|tree| Submission::open(tree, &course.catalogue)).collect::<Result<Vec<_>>>()?;
    tell_apart(&mut submissions, &arguments.trees);
    let exercises = course.exercises()?.iter().filter(|exercise| only.is_none_or(|only| only.slug == exercise.slug));
    // An exercise at a time: the course's own part of its build is then warm for everybody's.
    let all: Vec<(&Submission, &Exercise)> =
        exercises.flat_map(|exercise| submissions.iter().map(move |submission| (submission, exercise))).collect();
    let mine: Vec<_> = match arguments.shard {
        Some((k, n)) => all.into_iter().skip(k - 1).step_by(n).collect(),
        None => all,
    };
    let _alone = state::one_at_a_time(course)?;
    let progress = bar(mine.len());
    let mut reports = Vec::new();
    let drawn = Options::default();
    let options = Options { seed: arguments.seed.unwrap_or(drawn.seed), ..drawn };
    for (submission, exercise) in mine {
        interrupt::check()?;
        progress.set_message(format!("{} {}", submission.name, exercise.slug));
        reports.push(grade::grade(course, exercise, submission, options, &mut |_| {})?);
        progress.inc(1);
    }
    progress.finish_and_clear();
    if reports.is_empty() {
        eprintln!("Nothing falls to this shard: there are fewer submissions and exercises than shards.");
    }
    let run = Run::new(reports);
    if arguments.format == Format::Human {
        print_human(course, &run);
    }
    print!("{}", formats::render(&run, arguments.format)?);
    Ok(Exit::passed(run.reports.iter().all(Report::passed)))
}

/// Archives from two directories may have the same name; they are two submissions all the same.
fn tell_apart(submissions: &mut [Submission], paths: &[PathBuf]) {
    let names: Vec<_> = submissions.iter().map(|submission| submission.name.clone()).collect();
    for (submission, path) in submissions.iter_mut().zip(paths) {
        if names.iter().filter(|name| **name == submission.name).count() > 1 {
            submission.name = path.display().to_string();
        }
    }
}

fn print_human(course: &Course, run: &Run) {
    let (paint, width) = (Paint::stdout(), width());
    let mut names: Vec<_> = run.reports.iter().map(|report| &report.submission).collect();
    names.sort();
    names.dedup();
    for report in &run.reports {
        let Some(exercise) = course.catalogue.find(&report.slug) else { continue };
        if names.len() == 1 {
            println!("{}", show::report(report, exercise, paint, width));
        } else {
            let word = paint.status(report.status, &format!("{:>12}", report.status.word()));
            println!("{word}  {:>3}/{:<3} {:<24} {}", report.points, report.max_points, report.slug, report.submission);
        }
    }
    println!();
    for name in names {
        let of = || run.reports.iter().filter(|report| report.submission == *name);
        let (points, most) = (of().map(|r| r.points).sum::<u32>(), of().map(|r| r.max_points).sum::<u32>());
        println!("{points} of {most} points  {name}");
    }
}
