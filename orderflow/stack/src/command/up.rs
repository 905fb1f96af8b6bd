//! `up`: starts the supervisor, and waits until everything is healthy.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::Read,
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::{down, status};
use crate::{
    containers,
    state::{Health, Place, State},
    supervise::Shape,
};

/// How often the state is read.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    shape: Shape,
    /// How many seconds everything may take to become healthy
    #[arg(long, value_name = "SECONDS", default_value_t = 180)]
    wait: u64,
    /// Use containers (orderflow/deploy/compose.yaml), although the programs are installed
    #[arg(long)]
    containers: bool,
}

pub(super) fn run(place: &Place, options: &Options) -> Result<ExitCode> {
    let Some(lock) = place.try_lock()? else {
        println!("The stack is up already; `cargo xtask stack down` ends it.\n");
        return status::run(place, false);
    };
    if containers::up_already(place) {
        println!("The stack is up already, in containers; `cargo xtask stack down` ends it.");
        return Ok(ExitCode::SUCCESS);
    }
    place.clear()?;
    drop(lock);
    if options.containers {
        return containers::up(place);
    }
    fs::create_dir_all(place.path())?;
    let mut supervisor = supervisor(place, &options.shape)?;
    match wait(place, &mut supervisor, Duration::from_secs(options.wait)) {
        Ok(state) => {
            print!("\n{}", welcome(&state));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            let missing = place.read()?.map(|state| state.missing).unwrap_or_default();
            down::end(place)?;
            if missing.is_empty() {
                return Err(error);
            }
            if containers::available() {
                println!("Not all programs are installed, so containers are used.");
                return containers::up(place);
            }
            eprintln!("error: this machine lacks what the stack needs, and no container engine answers:");
            for line in missing {
                eprintln!("       {line}");
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Starts the supervisor in the background.
fn supervisor(place: &Place, shape: &Shape) -> Result<Child> {
    let log = File::create(place.join("supervisor.log"))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("supervise").arg("--state").arg(place.path());
    let program = std::path::absolute(&shape.orderflow)?;
    command.arg("--orderflow").arg(program).arg("--port").arg(shape.port.to_string());
    command.arg("--instances").arg(shape.instances.to_string()).arg("--workers").arg(shape.workers.to_string());
    command.arg("--orders").arg(shape.orders.to_string());
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().context("the supervisor cannot be started")
}

/// Waits until everything is healthy, with a line for each part.
fn wait(place: &Place, supervisor: &mut Child, within: Duration) -> Result<State> {
    let began = Instant::now();
    let mut told = HashSet::new();
    loop {
        let ended = supervisor.try_wait()?;
        // While it starts, the file may not be there yet.
        let state = place.read()?.filter(|state| state.pid == supervisor.id());
        for part in state.iter().flat_map(|state| &state.parts) {
            if part.health == Health::Healthy && told.insert(part.name.clone()) {
                println!("{:>6.1} s  {:<11} {}", began.elapsed().as_secs_f64(), part.name, part.address);
            }
        }
        if let Some(status) = ended {
            let problem = state.map(|state| state.problem).filter(|problem| !problem.is_empty());
            bail!("the stack did not start: {}", problem.unwrap_or_else(|| said(place, status)));
        }
        if let Some(state) = state {
            if state.healthy() {
                return Ok(state);
            }
            if began.elapsed() > within {
                let sick: Vec<_> = state.parts.iter().filter(|part| part.health != Health::Healthy).collect();
                let sick: Vec<_> =
                    sick.iter().map(|part| format!("{}: {}{}", part.name, part.detail, tail(part))).collect();
                bail!(
                    "not everything was healthy within {} s, and so all of it was ended\n{}",
                    within.as_secs(),
                    sick.join("\n")
                );
            }
        } else if began.elapsed() > within {
            bail!("the supervisor has said nothing within {} s", within.as_secs());
        }
        thread::sleep(LOOK);
    }
}

/// What a part has printed last, which is gone with its directory.
fn tail(part: &crate::state::Part) -> String {
    let text = part.log.as_ref().and_then(|log| fs::read_to_string(log).ok()).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].iter().flat_map(|line| ["\n    ", line]).collect()
}

/// What a supervisor printed that ended before it could say anything else.
fn said(place: &Place, status: std::process::ExitStatus) -> String {
    let mut text = String::new();
    let _ = File::open(place.join("supervisor.log")).and_then(|mut log| log.read_to_string(&mut text));
    format!("the supervisor ended ({status}). {}", text.trim())
}

/// Where everything is, and what to try.
fn welcome(state: &State) -> String {
    let State { access, version, .. } = state;
    let certificate = access.certificate.display();
    let first = state.parts.iter().find(|part| part.name == "instance-1").and_then(|part| part.pid).unwrap_or_default();
    let prometheus = match access.prometheus.as_str() {
        "" => String::new(),
        url => format!("Prometheus {url}\n"),
    };
    let order = r#"{"customer_id":1,"items":[{"product_id":1,"quantity":1}]}"#;
    format!(
        "{version} is up.\n\n\
         nginx      {nginx}   (without TLS: {nginx_internal})\n\
         HAProxy    {haproxy}   (without TLS: {haproxy_internal})\n\
         database   {database}\n\
         mails      {mails}\n\
         {prometheus}\
         API key    {key}\n\n\
         Try:\n  \
         curl --cacert {certificate} '{nginx}/api/products?limit=3'\n  \
         curl --cacert {certificate} -H 'Authorization: Bearer {key}' -H 'Idempotency-Key: first' --json '{order}' {nginx}/api/orders\n  \
         kill -9 {first}; cargo xtask stack status\n\n\
         `cargo xtask stack down` ends everything and leaves nothing.\n",
        nginx = access.nginx,
        nginx_internal = access.nginx_internal,
        haproxy = access.haproxy,
        haproxy_internal = access.haproxy_internal,
        database = access.database,
        mails = access.mails.display(),
        key = access.api_key,
    )
}
