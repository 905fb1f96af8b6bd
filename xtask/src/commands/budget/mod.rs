//! `budget`: OrderFlow under load, held to budgets.toml and to how it did on this machine before.

mod history;
mod judge;
mod limits;
mod measure;
mod show;

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use catalogue::{STATE_DIR, nearest};
use clap::{Args, ValueEnum};

use self::{
    history::{History, Place, Record},
    judge::Verdict,
    limits::{Limits, Shape},
    measure::{Bench, Programs, Store},
    show::{Report, Row},
};
use super::{evidence, load::build};
use crate::{
    course::Course,
    state,
    stop::{Exit, Stop},
    term::Paint,
};

/// Where continuous integration on GitHub shows what is written to it.
const SUMMARY: &str = "GITHUB_STEP_SUMMARY";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only these of the scenarios in budgets.toml, with commas between them
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    scenario: Vec<String>,
    /// For people, or for programs
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Neither compare with earlier measurements nor keep this one
    #[arg(long)]
    no_history: bool,
    /// Also write a summary in Markdown; without it, to where `GITHUB_STEP_SUMMARY` says if that is set
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Take orderflow, orderflow-load, orderflow-servers and orderflow-analyze from here instead of building them
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Human,
    Json,
}

/// Whatever keeps it from measuring is status 2: 1 is for a budget that is not kept.
pub(crate) fn run(course: &Course, arguments: &Arguments) -> Result<Exit> {
    measure_and_judge(course, arguments).map_err(|error| match error.downcast::<Stop>() {
        Ok(stop) if stop.exit == Exit::Interrupted => stop.into(),
        Ok(stop) => Stop { exit: Exit::Usage, ..stop }.into(),
        Err(error) => {
            let mut chain = error.chain();
            let what = chain.next().map(ToString::to_string).unwrap_or_default();
            Stop::usage(what, chain.map(ToString::to_string).collect::<Vec<_>>().join("\n")).into()
        }
    })
}

fn measure_and_judge(course: &Course, arguments: &Arguments) -> Result<Exit> {
    let limits = Limits::read(course.root())?;
    let wanted = wanted(&limits, &arguments.scenario)?;
    let programs = programs(course, arguments.programs.as_deref())?;
    // Whatever else measures on this machine would be in the figures.
    let _alone = state::one_at_a_time(course)?;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let machine = format!("{}, {}", evidence::hardware(), std::env::consts::OS);
    let place = Place { at: seconds, commit: evidence::commit(course), machine };
    let mut history = if arguments.no_history { None } else { Some(History::read(course.root())?) };
    let mut report = Report { place, verdict: Verdict::Ok, rows: Vec::new(), notes: Vec::new() };
    let damaged = history.as_ref().map_or(0, |history| history.damaged);
    if damaged > 0 {
        report.notes.push(format!("{damaged} lines of the history could not be read, and are left out"));
    }
    let directory = course.root().join(STATE_DIR).join("budget");
    fs::create_dir_all(&directory).with_context(|| format!("{} cannot be made", directory.display()))?;
    let mut records = Vec::new();
    for store in [Store::Embedded, Store::Postgres] {
        let Some(bench) = Bench::start(&programs, store, &directory)? else {
            report.notes.push(format!("{} is not installed here, so nothing was measured on it", store.name()));
            continue;
        };
        for (scenario, shape) in &wanted {
            let (row, record) = one(&bench, &report.place, store, (scenario, *shape), &limits, history.as_ref())?;
            report.rows.push(row);
            records.push(record);
        }
    }
    report.verdict =
        report.rows.iter().flat_map(|row| &row.figures).map(|one| one.verdict).max().unwrap_or(Verdict::Ok);
    if let Some(history) = &mut history {
        history.add(records)?;
    }
    match arguments.format {
        Format::Human => print!("{}", show::text(&report, Paint::stdout())),
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    summarise(arguments.summary.as_deref(), &report)?;
    Ok(Exit::passed(report.verdict < Verdict::Failed))
}

/// Measures and judges one scenario on one store.
fn one(
    bench: &Bench<'_>,
    place: &Place,
    store: Store,
    (scenario, shape): (&str, Shape),
    limits: &Limits,
    history: Option<&History>,
) -> Result<(Row, Record)> {
    let name = store.name();
    let measured = bench.measure(scenario, shape, &mut |run| {
        eprintln!("{scenario} on {name}: run {run} of {}, {} s", shape.runs, shape.seconds);
    })?;
    let mut record = Record::new(place, name, scenario, shape);
    record.figures = measured.figures.iter().filter_map(|(figure, value)| Some((*figure, (*value)?))).collect();
    let earlier = history.map_or_else(Vec::new, |history| history.like(&record, limits.history.runs));
    let row = Row {
        scenario: scenario.to_owned(),
        store: name,
        shape,
        original: measured.original,
        seconds: measured.seconds,
        earlier: earlier.len(),
        figures: judge::judge(limits, scenario, &measured.figures, &earlier),
        warnings: measured.warnings,
    };
    Ok((row, record))
}

/// The scenarios that were asked for, quiet ones first: those of the file in the order of their rates.
fn wanted<'a>(limits: &'a Limits, names: &[String]) -> Result<Vec<(&'a str, Shape)>> {
    let known = || limits.scenario.keys().map(String::as_str);
    for name in names {
        if !limits.scenario.contains_key(name) {
            let next = match nearest(name, known()) {
                Some(near) => format!("Did you mean {near}?"),
                None => format!("It has {}.", known().collect::<Vec<_>>().join(", ")),
            };
            return Err(Stop::usage(format!("budgets.toml has no scenario {name}"), next).into());
        }
    }
    let asked = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let mut wanted: Vec<_> = limits.scenario.iter().map(|(name, shape)| (name.as_str(), *shape)).collect();
    wanted.retain(|(name, _)| asked(name));
    wanted.sort_by(|(_, a), (_, b)| {
        let rate = |shape: &Shape| shape.peak_rate.unwrap_or(0.0);
        rate(a).total_cmp(&rate(b))
    });
    Ok(wanted)
}

fn programs(course: &Course, from: Option<&Path>) -> Result<Programs> {
    const NAMES: [&str; 4] = ["orderflow", "orderflow-load", "orderflow-servers", "orderflow-analyze"];
    let paths = match from {
        None => build(course, &NAMES)?,
        Some(directory) => {
            // They are started in directories of their own, where a relative path means something else.
            let path = |name: &&str| {
                let path = directory.join(name).with_extension(std::env::consts::EXE_EXTENSION);
                path.canonicalize().map_err(|error| {
                    let next = "Build it, or leave --programs out.";
                    Stop::usage(format!("there is no program {}: {error}", path.display()), next)
                })
            };
            NAMES.iter().map(path).collect::<Result<_, _>>()?
        }
    };
    let [orderflow, load, servers, analyze] = <[PathBuf; 4]>::try_from(paths).ok().context("four programs")?;
    Ok(Programs { orderflow, load, servers, analyze })
}

/// Writes the summary to the file that is named, or adds it to the one that continuous integration shows.
fn summarise(named: Option<&Path>, report: &Report) -> Result<()> {
    let text = show::markdown(report);
    let shown = std::env::var_os(SUMMARY).filter(|path| !path.is_empty()).map(PathBuf::from);
    let (path, options) = match (named, shown) {
        (Some(path), _) => (path.to_owned(), OpenOptions::new().create(true).write(true).truncate(true).clone()),
        (None, Some(path)) => (path, OpenOptions::new().create(true).append(true).clone()),
        (None, None) => return Ok(()),
    };
    let mut file = options.open(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))
}
