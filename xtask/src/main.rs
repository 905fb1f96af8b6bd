//! `cargo xtask`: the course's command line. Light, so that its first build is short; the heavy work is done by the
//! programs that it builds and runs: the exercises' checks and benches, and the book.

mod commands;
mod compile;
mod compose;
mod course;
mod formats;
mod grade;
mod interrupt;
mod show;
mod state;
mod stop;
mod subject;
mod submission;
mod term;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand, builder::PossibleValuesParser};

use crate::{
    commands::{
        bench, budget, cache, check, db, doctor, evidence, grade as grading, learner, list, load, new, stack, start,
        test, trial, verify, watch,
    },
    course::Course,
    stop::{Exit, Stop},
    term::Paint,
};

/// The course's command line. Without a command: where you are, and what is next.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve the book, with your verdicts in it, and OrderFlow, at one address
    Start {
        /// Port to serve on; without it, 8000 or the next free one
        #[arg(long)]
        port: Option<u16>,
        /// Open a browser
        #[arg(long)]
        open: bool,
        /// Leave OrderFlow out, whose first build takes some minutes
        #[arg(long)]
        book_only: bool,
    },
    /// Exercises, points, and how far you are
    List {
        /// Only this part
        #[arg(long)]
        part: Option<u32>,
    },
    /// The verdict on your working copy
    Check(check::Arguments),
    /// The verdict in this terminal, on every save
    Watch {
        /// Exercise; without one, the first that is not finished
        slug: Option<String>,
    },
    /// The next of three hints
    Hint {
        /// Exercise, as `cargo xtask list` names it
        slug: String,
    },
    /// The reference solution and why it works, once you have passed
    Solution {
        /// Exercise, as `cargo xtask list` names it
        slug: String,
        /// Open it before you have passed
        #[arg(long)]
        give_up: bool,
    },
    /// Put the starter back; your version is kept aside
    Reset {
        /// Exercise, as `cargo xtask list` names it
        slug: String,
    },
    /// Criterion's full report, the starter beside your code
    Bench {
        /// Exercise, as `cargo xtask list` names it
        slug: String,
        /// Passed on to criterion
        #[arg(last = true)]
        rest: Vec<String>,
    },
    /// A flamegraph of your code and, where allocations count, a table of them; or the cache misses
    Profile {
        /// Exercise, as `cargo xtask list` names it
        // The places are said, since completions change an argument, which moves it behind the others.
        #[arg(index = 1)]
        slug: String,
        /// Whose allocations the table is about; without it, those of the first check that measures any
        #[arg(index = 2)]
        check: Option<String>,
        /// Do not open the flamegraph
        #[arg(long)]
        no_open: bool,
        /// Count the cache lines that your functions fetch, instead; by valgrind
        #[arg(long)]
        cache: bool,
    },
    /// Your answers as one archive, to hand in
    Pack {
        /// Where to write it
        #[arg(long, short, default_value = "submission.tar.gz")]
        output: PathBuf,
    },
    /// Load on OrderFlow by a scenario, or OrderFlow beside its bare peer
    Load(load::Arguments),
    /// OrderFlow under load, held to budgets.toml and to how fast it was here before
    Budget(budget::Arguments),
    /// What a PostgreSQL database suffers from
    Db {
        #[command(subcommand)]
        command: db::Verb,
    },
    /// All of OrderFlow on this machine: databases, broker, instances, workers, proxies
    Stack(stack::Arguments),
    /// The verdict on other trees and archives: a class, the solutions
    Grade(grading::Arguments),
    /// Hold the course to its promises: starters fail, solutions pass, wrong answers are refused (for authors)
    Verify {
        /// Exercise; without one, all of them
        slug: Option<String>,
        /// Only this part
        #[arg(long, conflicts_with = "slug")]
        part: Option<u32>,
        /// Grade everything this often
        #[arg(long, default_value_t = 1)]
        repeat: u32,
    },
    /// A new exercise, ready to fill (for authors)
    New {
        /// Part, by number or by directory: 1, or 2-scaling
        part: String,
        /// What to call it: lower-case letters, digits and hyphens
        slug: String,
    },
    /// Grade solutions and starters again and again on a busy machine (for authors)
    Trial {
        /// Exercises; without one, all of them
        slugs: Vec<String>,
        /// Verdicts on each submission
        #[arg(long, default_value_t = 50)]
        times: u32,
        /// Leave the machine idle
        #[arg(long)]
        idle: bool,
    },
    /// Measure what the book shows: every number, plot and flamegraph of it (for authors)
    ///
    /// On a machine that does nothing else: load and scale need OrderFlow's servers too. Without a name all of it is made,
    /// in this order, which takes hours: `trial` alone gives some hundreds of verdicts on each exercise.
    Evidence {
        /// An exercise, load, scale, runner, or trial; without it, all of them
        name: Option<String>,
        /// Measure nothing; say what is older than the code that it measured, and end with status 1 if anything is
        #[arg(long)]
        check: bool,
    },
    /// The book as static pages (for authors)
    Book {
        #[command(subcommand)]
        command: BookVerb,
    },
    /// Write the JSON Schemas of exercise.toml and of the report (for authors)
    Schema,
    /// What this machine lacks, and how to get it
    Doctor,
    /// Everything that continuous integration checks
    Test {
        /// Only these steps: fmt, clippy, tests, docs, verify, book, k6, collector
        steps: Vec<String>,
    },
    /// Completions for your shell, on standard output; they go with a function named xtask
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Keeps a core busy until its input closes; for `trial`
    #[command(hide = true)]
    Burn,
}

#[derive(Debug, Subcommand)]
enum BookVerb {
    /// Write it
    Build {
        /// Where to; without it, book/dist
        #[arg(long)]
        dest: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    interrupt::install();
    let outcome = run(Cli::parse());
    let error = match outcome {
        Ok(exit) => return exit.into(),
        Err(error) => error,
    };
    let paint = Paint::stderr();
    let Some(stop) = error.downcast_ref::<Stop>() else {
        eprintln!("{} {error:#}", paint.red("error:"));
        return Exit::Broken.into();
    };
    eprintln!("{} {}", paint.red("error:"), stop.what);
    for line in stop.next.lines() {
        eprintln!("       {line}");
    }
    stop.exit.into()
}

fn run(cli: Cli) -> Result<Exit> {
    if matches!(cli.command, Some(Verb::Burn)) {
        return Ok(trial::burn());
    }
    let course = Course::open()?;
    let Some(verb) = cli.command else { return list::overview(&course) };
    match verb {
        Verb::Start { port, open, book_only } => start::start(&course, port, open, book_only),
        Verb::List { part } => list::list(&course, part),
        Verb::Check(arguments) => check::run(&course, &arguments),
        Verb::Watch { slug } => watch::run(&course, slug.as_deref()),
        Verb::Hint { slug } => learner::hint(&course, &slug),
        Verb::Solution { slug, give_up } => learner::solution(&course, &slug, give_up),
        Verb::Reset { slug } => learner::reset(&course, &slug),
        Verb::Bench { slug, rest } => bench::bench(&course, &slug, &rest),
        Verb::Profile { slug, cache: true, .. } => cache::run(&course, &slug),
        Verb::Profile { slug, check, no_open, .. } => bench::profile(&course, &slug, check.as_deref(), !no_open),
        Verb::Pack { output } => learner::pack(&course, &output),
        Verb::Load(arguments) => load::run(&course, &arguments),
        Verb::Budget(arguments) => budget::run(&course, &arguments),
        Verb::Db { command } => db::run(&course, &command),
        Verb::Stack(arguments) => stack::run(&course, &arguments),
        Verb::Grade(arguments) => grading::run(&course, &arguments),
        Verb::Verify { slug, part, repeat } => verify::run(&course, slug.as_deref(), part, repeat),
        Verb::New { part, slug } => new::run(&course, &part, &slug),
        Verb::Trial { slugs, times, idle } => trial::run(&course, &slugs, times, idle),
        Verb::Evidence { name, check } => evidence::run(&course, name.as_deref(), check),
        Verb::Book { command: BookVerb::Build { dest } } => start::build_book(&course, dest),
        Verb::Schema => new::schema(&course),
        Verb::Doctor => doctor::run(&course),
        Verb::Test { steps } => test::run(&course, &steps),
        Verb::Completions { shell } => {
            print!("{}", completions(&course, shell));
            Ok(Exit::Pass)
        }
        Verb::Burn => Ok(Exit::Pass),
    }
}

/// A completion script for `xtask`, with the exercises there are now, and where the shell allows it a function of that
/// name: shells complete the first word of a line, and `cargo xtask` is two. It has no hyphen because clap's script for
/// bash would not find its own subcommands then.
fn completions(course: &Course, shell: clap_complete::Shell) -> String {
    use clap_complete::Shell;
    // Clap keeps names for as long as the program runs, which is not long any more.
    let slugs: Vec<&'static str> = course.catalogue.slugs().map(|slug| &*slug.to_owned().leak()).collect();
    let mut command = Cli::command().name("xtask").bin_name("xtask");
    for verb in ["check", "watch", "hint", "solution", "reset", "profile", "verify"] {
        command = command.mut_subcommand(verb, |verb| {
            verb.mut_arg("slug", |slug| slug.value_parser(PossibleValuesParser::new(slugs.clone())))
        });
    }
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "xtask", &mut script);
    let function = match shell {
        Shell::Bash | Shell::Zsh => "\nxtask() { cargo xtask \"$@\"; }\n",
        Shell::Fish => "\nfunction xtask; cargo xtask $argv; end\n",
        Shell::PowerShell => "\nfunction xtask { cargo xtask @args }\n",
        _ => "",
    };
    String::from_utf8_lossy(&script).into_owned() + function
}
