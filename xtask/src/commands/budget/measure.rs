//! Measuring: OrderFlow is started on each store, and loaded by each scenario, as often as budgets.toml says.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::{
    judge::Spread,
    limits::{Figure, Shape},
};
use crate::{
    commands::service::{self, Service},
    interrupt::{self, Group},
    stop::Stop,
};

/// What a run of the generator may take beyond its schedule: its own bound on late answers, and a busy machine.
const LATE: Duration = Duration::from_mins(1);
/// For a program that does one thing and ends.
const ONCE: Duration = Duration::from_mins(2);
const POSTGRES: Duration = Duration::from_mins(1);
/// As many as the embedded store is filled with.
const ORDERS: &str = "10000";
/// What a server's program says when it is not installed.
const MISSING: &str = "was found neither in PATH nor in its usual places";

/// The programs that take part.
pub(super) struct Programs {
    pub(super) orderflow: PathBuf,
    pub(super) load: PathBuf,
    pub(super) servers: PathBuf,
    pub(super) analyze: PathBuf,
}

/// Where the orders are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    Embedded,
    Postgres,
}

impl Store {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Embedded => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// What the generator writes of a run, as far as it is judged.
#[derive(Debug, Deserialize)]
struct Outcome {
    planned_seconds: f64,
    interrupted: bool,
    ok_per_second: f64,
    error_rate: Option<f64>,
    latency: Latency,
    warnings: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Latency {
    count: u64,
    p95_ms: f64,
    p99_ms: f64,
}

/// A scenario as its file has it, for saying what was made of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Original {
    pub(super) seconds: f64,
    pub(super) peak_rate: Option<f64>,
}

/// What several runs of a scenario came to.
pub(super) struct Measured {
    pub(super) original: Original,
    /// Seconds that a run was planned for, warm-up included.
    pub(super) seconds: f64,
    /// Of a store that does not count a figure, it is not in here; `None` is a figure of which there was nothing.
    pub(super) figures: BTreeMap<Figure, Option<Spread>>,
    /// What the generator says a reader should know, and in how many runs.
    pub(super) warnings: Vec<String>,
}

/// A store with OrderFlow on it.
pub(super) struct Bench<'a> {
    programs: &'a Programs,
    directory: &'a Path,
    service: Service,
    /// PostgreSQL's address, where it is one.
    database: Option<String>,
    // Ends after the service.
    _server: Option<Server>,
}

impl<'a> Bench<'a> {
    /// Starts OrderFlow on a store of its own, in this directory; `None` where the store is not installed.
    pub(super) fn start(programs: &'a Programs, store: Store, directory: &'a Path) -> Result<Option<Self>> {
        let data = directory.join("data");
        service::emptied(&data)?;
        let server = match store {
            Store::Embedded => None,
            Store::Postgres => match Server::start(&programs.servers, directory)? {
                Some(server) => Some(server),
                None => return Ok(None),
            },
        };
        let database = server.as_ref().map(|server| server.url.clone());
        let log = directory.join(format!("{}.log", store.name()));
        let file = File::create(&log).with_context(|| format!("{} cannot be written", log.display()))?;
        if database.is_some() {
            for arguments in [&["migrate"][..], &["seed", "--orders", ORDERS]] {
                let mut fill = service::command(&programs.orderflow, &data, database.as_deref());
                let ended = bounded(fill.args(arguments).stdout(Stdio::null()).stderr(file.try_clone()?), ONCE)?;
                ensure!(ended == Some(0), "orderflow {} failed; its log is {}", arguments[0], log.display());
            }
        }
        let service = match Service::start(&programs.orderflow, &data, database.as_deref(), file.into()) {
            Ok(service) => service,
            Err(error) => {
                interrupt::check()?;
                let what = format!("nothing can be measured on {}: {error:#}", store.name());
                return Err(Stop::usage(what, format!("Its log is {}.", log.display())).into());
            }
        };
        Ok(Some(Self { programs, directory, service, database, _server: server }))
    }

    /// Runs a scenario as often as its shape says.
    pub(super) fn measure(&self, scenario: &str, shape: Shape, each: &mut dyn FnMut(u32)) -> Result<Measured> {
        let original = original(&self.programs.load, scenario)?;
        let (mut values, mut seconds) = (BTreeMap::<Figure, Vec<f64>>::new(), 0.0);
        let mut warnings: Vec<(String, u32)> = Vec::new();
        for run in 1..=shape.runs {
            each(run);
            let before = self.counters()?;
            let outcome = self.load(scenario, shape)?;
            let after = self.counters()?;
            ensure!(!outcome.interrupted, "a run of {scenario} was ended early");
            seconds = outcome.planned_seconds;
            let answered = (outcome.latency.count > 0).then_some(&outcome.latency);
            let figures = [
                (Figure::P95Ms, answered.map(|latency| latency.p95_ms)),
                (Figure::P99Ms, answered.map(|latency| latency.p99_ms)),
                (Figure::ErrorRate, outcome.error_rate),
                (Figure::Throughput, Some(outcome.ok_per_second)),
                (Figure::CacheHits, after.cache.share_since(before.cache)),
                (Figure::DatabaseCache, after.pages.zip(before.pages).and_then(|(now, then)| now.share_since(then))),
            ];
            for (figure, value) in figures {
                values.entry(figure).or_default().extend(value);
            }
            for warning in outcome.warnings {
                // What it is about; the numbers after it are other ones in each run.
                let about = |text: &str| text.split(':').next().map(str::to_owned);
                match warnings.iter_mut().find(|(known, _)| about(known) == about(&warning)) {
                    Some((_, runs)) => *runs += 1,
                    None => warnings.push((warning, 1)),
                }
            }
        }
        if self.database.is_none() {
            values.remove(&Figure::DatabaseCache);
        }
        // A figure that some run did not give is not one of all runs.
        let whole = |values: Vec<f64>| (values.len() == shape.runs as usize).then(|| Spread::of(values)).flatten();
        let figures = values.into_iter().map(|(figure, values)| (figure, whole(values))).collect();
        let warnings =
            warnings.into_iter().map(|(text, runs)| format!("in {runs} of {} runs: {text}", shape.runs)).collect();
        Ok(Measured { original, seconds, figures, warnings })
    }

    fn load(&self, scenario: &str, shape: Shape) -> Result<Outcome> {
        let json = self.directory.join(format!("{scenario}.json"));
        let mut generator = Command::new(&self.programs.load);
        generator.args(["run", scenario, "--quiet", "--target", &self.service.url]).arg("--json").arg(&json);
        generator.args(["--duration", &shape.seconds.to_string()]).env("ORDERFLOW_API_KEY", &self.service.key);
        if let Some(rate) = shape.peak_rate {
            generator.args(["--rate", &rate.to_string()]);
        }
        let limit = Duration::from_secs_f64(shape.seconds) + LATE;
        // 1 says that the scenario's own thresholds were missed, which are not those of the budget.
        match bounded(generator.stdout(Stdio::null()), limit)? {
            Some(0 | 1) => {}
            Some(_) => bail!("the load generator could not run {scenario}; its own message is above"),
            None => bail!("the load generator was killed, or did not end within {} s", limit.as_secs()),
        }
        let text = std::fs::read(&json).with_context(|| format!("{} cannot be read", json.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no outcome of a run", json.display()))
    }

    fn counters(&self) -> Result<Counters> {
        let metrics = self.service.metrics()?;
        let cache = Share { of: sum(&metrics, "cache_hits_total"), rest: sum(&metrics, "cache_misses_total") };
        let pages = self.database.as_deref().map(|url| self.pages(url)).transpose()?;
        Ok(Counters { cache, pages })
    }

    /// Pages that PostgreSQL had in its memory, and those that it had not, of tables and indexes.
    fn pages(&self, url: &str) -> Result<Share> {
        let mut analyze = Command::new(&self.programs.analyze);
        analyze.args(["--format", "json", "--top", "1"]);
        // Not as an argument, which everybody on the machine can read.
        analyze.env("ORDERFLOW_DATABASE__URL", url).env_remove("ORDERFLOW_DATABASE__DIRECT_URL");
        let said = output(analyze.current_dir(self.directory.join("data")), ONCE)?;
        let analysis: serde_json::Value = serde_json::from_slice(&said).context("the analysis of the database")?;
        let sum = |which| {
            let kinds = ["tables", "indexes"].map(|kind| analysis["cache"][kind][which].as_f64());
            kinds.into_iter().sum::<Option<f64>>().context("the analysis has no figures of the cache")
        };
        Ok(Share { of: sum("hit")?, rest: sum("read")? })
    }
}

struct Counters {
    cache: Share,
    pages: Option<Share>,
}

/// Two counters, of which the first should be most.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Share {
    of: f64,
    rest: f64,
}

impl Share {
    /// `None` where nothing was counted since.
    fn share_since(self, before: Self) -> Option<f64> {
        let (of, rest) = (self.of - before.of, self.rest - before.rest);
        (of >= 0.0 && rest >= 0.0 && of + rest > 0.0).then(|| of / (of + rest))
    }
}

/// The sum of a counter over its labels; 0 where nothing was counted yet.
fn sum(metrics: &str, name: &str) -> f64 {
    let values = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        // Label values are a few words of the program's own, without braces.
        let value = if rest.starts_with('{') { rest.split_once('}')?.1 } else { rest };
        value.strip_prefix(' ')?.split(' ').next()?.parse::<f64>().ok()
    });
    values.sum()
}

/// What the generator's own file says of a scenario.
fn original(load: &Path, scenario: &str) -> Result<Original> {
    let text = output(Command::new(load).args(["show", scenario]), ONCE)?;
    let file: toml::Table = toml::from_str(&String::from_utf8_lossy(&text)).context("the scenario")?;
    let stages = file.get("stage").and_then(toml::Value::as_array).context("a scenario has stages")?;
    let number = |stage: &toml::Value, key: &str| {
        let value = stage.get(key)?;
        value.as_float().or_else(|| value.as_integer().map(|number| number as f64))
    };
    let rates = stages.iter().flat_map(|stage| ["rate", "from", "to"].map(|key| number(stage, key)));
    Ok(Original {
        seconds: stages.iter().filter_map(|stage| number(stage, "seconds")).sum(),
        peak_rate: rates.flatten().max_by(f64::total_cmp),
    })
}

/// A PostgreSQL server that ends with this.
struct Server {
    url: String,
    group: Group,
    input: Option<ChildStdin>,
}

impl Server {
    /// As for measurements in production: each commit is on the disk. `None` where PostgreSQL is not installed.
    fn start(program: &Path, directory: &Path) -> Result<Option<Self>> {
        let log = directory.join("servers.log");
        let mut command = Command::new(program);
        command.arg("--durable").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        let mut group = Group::spawn(&mut command).with_context(|| format!("cannot start {}", program.display()))?;
        let input = group.child.stdin.take();
        let lines = service::lines(group.child.stdout.take().context("the output is a pipe")?);
        if let Ok(url) = lines.recv_timeout(POSTGRES) {
            return Ok(Some(Self { url, group, input }));
        }
        interrupt::check()?;
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        if said.contains(MISSING) {
            return Ok(None);
        }
        Err(Stop::usage("PostgreSQL does not start", said.trim()).into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input is its word to end, and it takes the database with it. Killed, it leaves that to its keeper.
        self.input.take();
        let deadline = Instant::now() + Duration::from_secs(20);
        while matches!(self.group.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Runs a program to its end, its status; `None` where it was killed or did not end in time.
fn bounded(command: &mut Command, limit: Duration) -> Result<Option<i32>> {
    let mut group = Group::spawn(command.stdin(Stdio::null()))
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        interrupt::check()?;
        if let Some(status) = group.child.try_wait()? {
            return Ok(status.code());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(None)
}

/// What a program prints that ends in time and is not unhappy.
fn output(command: &mut Command, limit: Duration) -> Result<Vec<u8>> {
    let name = command.get_program().display().to_string();
    let mut group = Group::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))
        .with_context(|| format!("cannot start {name}"))?;
    let mut stdout = group.child.stdout.take().context("the output is a pipe")?;
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut said = Vec::new();
        let _ = sender.send(stdout.read_to_end(&mut said).map(|_| said));
    });
    let said = receiver.recv_timeout(limit);
    interrupt::check()?;
    let said = said.with_context(|| format!("{name} does not end"))??;
    let status = group.child.wait()?;
    ensure!(matches!(status.code(), Some(0 | 1)), "{name} ended with {status}; its own message is above");
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_summed_over_their_labels_and_nothing_else_is() {
        let metrics = "# HELP cache_hits Answers.\n# TYPE cache_hits counter\n\
                       cache_hits_total{level=\"memory\"} 40 # {trace_id=\"4bf9\"} 1.0\ncache_hits_total{level=\"redis\"} 2\n\
                       cache_misses_total 7\ncache_hits_total_other 9\n# EOF\n";
        assert_eq!(sum(metrics, "cache_hits_total"), 42.0);
        assert_eq!(sum(metrics, "cache_misses_total"), 7.0);
        assert_eq!(sum(metrics, "absent_total"), 0.0);
    }

    #[test]
    fn a_share_is_of_what_was_counted_since() {
        let share = |of, rest| Share { of, rest };
        assert_eq!(share(100.0, 20.0).share_since(share(10.0, 10.0)), Some(0.9));
        assert_eq!(share(10.0, 10.0).share_since(share(10.0, 10.0)), None);
        assert_eq!(share(0.0, 1.0).share_since(share(10.0, 0.0)), None, "counters of another process");
    }
}
