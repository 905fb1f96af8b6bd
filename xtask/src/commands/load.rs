//! `load`: OrderFlow under a scenario's load, and beside its bare peer. Builds the programs that do it, optimised, and starts
//! the service that is loaded.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Result;
use catalogue::STATE_DIR;
use clap::Args;

use crate::{
    commands::{
        service::{Service, emptied},
        start::foreground,
    },
    compile::cargo,
    course::Course,
    stop::{Exit, Stop},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A scenario (smoke, load, stress, spike, soak, crud, or a file), `compare`, or `list`
    what: String,
    /// Passed on to the load generator, or to the comparison; `-- --help` says what they take
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(course: &Course, arguments: &Arguments) -> Result<Exit> {
    let wants_service = !arguments.rest.iter().any(|word| {
        let option = word.split('=').next();
        matches!(option, Some("--target" | "--help" | "-h"))
    });
    match arguments.what.as_str() {
        "compare" => Ok(Exit::passed(foreground(&mut compare(course, &arguments.rest)?)?)),
        "list" => {
            let programs = build(course, &["orderflow-load"])?;
            Ok(Exit::passed(foreground(Command::new(&programs[0]).arg("list"))?))
        }
        scenario if wants_service => on_a_fresh_service(course, scenario, &arguments.rest),
        scenario => {
            let programs = build(course, &["orderflow-load"])?;
            let mut generator = Command::new(&programs[0]);
            Ok(Exit::passed(foreground(generator.args(["run", scenario]).args(&arguments.rest))?))
        }
    }
}

/// The comparison with the bare peer, built and ready to run.
pub(crate) fn compare(course: &Course, rest: &[String]) -> Result<Command> {
    let programs = build(course, &["orderflow-compare", "orderflow", "bare_peer", "trivial_server"])?;
    let mut command = Command::new(&programs[0]);
    for (option, program) in ["--orderflow", "--bare-peer", "--trivial-server"].iter().zip(&programs[1..]) {
        command.arg(option).arg(program);
    }
    command.args(rest);
    Ok(command)
}

/// Starts OrderFlow on an embedded database of its own and loads it. The reports stay in `.course/load/`.
fn on_a_fresh_service(course: &Course, scenario: &str, rest: &[String]) -> Result<Exit> {
    let programs = build(course, &["orderflow", "orderflow-load"])?;
    let directory = course.root().join(STATE_DIR).join("load");
    let data = directory.join("data");
    emptied(&data)?;
    let service = Service::start(&programs[0], &data, None, Stdio::inherit())?;
    let name = Path::new(scenario).file_stem().map_or_else(|| scenario.into(), |stem| stem.to_string_lossy());
    let (page, json) = (directory.join(format!("{name}.html")), directory.join(format!("{name}.json")));
    let mut generator = Command::new(&programs[1]);
    generator.args(["run", scenario, "--target", &service.url]).env("ORDERFLOW_API_KEY", &service.key);
    generator.arg("--report").arg(&page).arg("--json").arg(&json).args(rest);
    let passed = foreground(&mut generator)?;
    drop(service);
    if page.is_file() {
        println!("report: {}", page.strip_prefix(course.root()).unwrap_or(&page).display());
    }
    Ok(Exit::passed(passed))
}

/// The packages of all that is run optimised. Cargo chooses the features of what they depend on for all packages that it is
/// given at once: given these every time, it builds each dependency once, whichever command comes first.
const OPTIMISED: [&str; 6] =
    ["orderflow", "orderflow-load", "orderflow-compare", "orderflow-analyze", "orderflow-servers", "orderflow-stack"];

/// Builds programs of [`OPTIMISED`] as they are measured, and gives their paths.
pub(super) fn build(course: &Course, programs: &[&str]) -> Result<Vec<PathBuf>> {
    let mut build = cargo();
    build.args(["build", "--release"]).arg("--target-dir").arg(&course.target).current_dir(course.root());
    build.args(OPTIMISED.iter().flat_map(|package| ["--package", package]));
    build.args(programs.iter().flat_map(|program| ["--bin", program]));
    if !foreground(&mut build)? {
        return Err(Stop::broken("the programs do not build", "Cargo's errors above say why.").into());
    }
    let release = course.target.join("release");
    let path = |name: &&str| release.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    Ok(programs.iter().map(path).collect())
}
