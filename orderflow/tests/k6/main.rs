//! The k6 scripts beside the generator: the same scenarios, and the same figures. `cargo xtask test k6` runs this; `K6` names
//! the program.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::AtomicBool,
    time::Duration,
};

use orderflow_load::{BUILT_IN, Draft, Model, Options, Outcome, Target, run};
use orderflow_servers::Link;
use serde_json::Value;
use tempfile::TempDir;

/// What a network adds each way, so that it and not the machine's other work makes most of a latency.
const EACH_WAY: Duration = Duration::from_millis(100);
/// How far k6's percentiles may be from the generator's: a part of them, and some milliseconds for what the two take
/// themselves.
const PART: f64 = 0.15;
const MILLISECONDS: f64 = 20.0;

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("load/k6")
}

fn k6(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("K6").unwrap_or_else(|| "k6".into()));
    command.args(arguments).current_dir(scripts()).stdin(Stdio::null());
    for name in ["TARGET", "RATE", "SCALE", "DURATION", "K6_OUT", "ORDERFLOW_API_KEY"] {
        command.env_remove(name);
    }
    command.env("K6_NO_USAGE_REPORT", "true");
    command
}

#[track_caller]
fn said(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("k6 cannot be started, see K6: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// OrderFlow with an embedded database of its own.
struct Service {
    child: Child,
    port: u16,
    key: String,
    _data: TempDir,
}

impl Service {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_orderflow"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ORDERFLOW_")) {
            command.env_remove(name);
        }
        for setting in ["http.listen=127.0.0.1:0", "ops.listen=127.0.0.1:0", "http.rate_limit=0", "log.filter=warn"] {
            command.args(["--set", setting]);
        }
        command.arg("serve").current_dir(data.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut service = Self { child, port: 0, key: String::new(), _data: data };
        for line in lines {
            if let Some(at) = line.strip_prefix("OrderFlow  http://127.0.0.1:") {
                service.port = at.split('/').next().unwrap().parse().unwrap();
            }
            if let Some(key) = line.split_whitespace().find(|word| word.starts_with("of_")) {
                service.key = key.to_owned();
                break;
            }
        }
        assert!(service.port != 0 && !service.key.is_empty(), "OrderFlow did not start");
        service
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a script has k6 do.
fn inspected(name: &str) -> Value {
    let script = format!("{name}.js");
    serde_json::from_slice(&said(k6(&["inspect", &script]).args(["-e", "ORDERFLOW_API_KEY=unused"]))).unwrap()
}

/// How often each request was made, by its name, as k6 wrote it line by line.
fn requests(file: &Path) -> BTreeMap<String, u32> {
    let mut requests = BTreeMap::new();
    for line in std::fs::read_to_string(file).unwrap().lines() {
        let point: Value = serde_json::from_str(line).unwrap();
        if point["metric"] == "http_reqs" && point["type"] == "Point" {
            *requests.entry(point["data"]["tags"]["name"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    requests
}

#[test]
fn each_scenario_has_a_script_with_its_schedule_and_its_thresholds() {
    for (name, text) in BUILT_IN {
        let draft = Draft::parse(text, name).unwrap();
        let options = inspected(name);
        let executor = &options["scenarios"][name];
        if draft.model == Model::Closed {
            assert_eq!(executor["executor"], "constant-vus", "{name}");
            assert_eq!(executor["vus"].as_u64(), draft.users.map(u64::from), "{name}");
            let seconds: f64 = draft.stages.iter().map(|stage| stage.seconds).sum();
            assert_eq!(span(&executor["duration"]), seconds, "{name}");
        } else {
            assert_eq!(executor["executor"], "ramping-arrival-rate", "{name}");
            assert_eq!(executor["timeUnit"], "1m0s", "{name}");
            assert_eq!(executor["maxVUs"].as_u64(), draft.connections.map(u64::from), "{name}");
            let stages = executor["stages"].as_array().unwrap();
            let found = stages.chunks(2).map(|pair| {
                assert_eq!(span(&pair[0]["duration"]), 0.0, "{name}: a jump to where the stage begins");
                let rate = |stage: &Value| stage["target"].as_f64().unwrap() / 60.0;
                (span(&pair[1]["duration"]), rate(&pair[0]), rate(&pair[1]))
            });
            let wanted = draft.stages.iter().map(|stage| {
                let constant = stage.rate.unwrap_or_default();
                (stage.seconds, stage.from.unwrap_or(constant), stage.to.unwrap_or(constant))
            });
            assert_eq!(found.collect::<Vec<_>>(), wanted.collect::<Vec<_>>(), "{name}");
        }
        let held = |metric: &str| {
            let list = options["thresholds"][metric].as_array().cloned().unwrap_or_default();
            list.iter().map(|one| one.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let limits = draft.thresholds;
        let percentiles = [("p(95)", limits.p95_ms), ("p(99)", limits.p99_ms)];
        let wanted: Vec<_> =
            percentiles.iter().filter_map(|(name, limit)| Some(format!("{name}<={}", (*limit)?))).collect();
        assert_eq!(held("latency"), wanted, "{name}");
        let wanted: Vec<_> = limits.error_rate.iter().map(|limit| format!("rate<={limit}")).collect();
        assert_eq!(held("errors"), wanted, "{name}");
        let measured: f64 = draft.stages.iter().map(|stage| stage.seconds).sum::<f64>() - draft.warmup_seconds;
        let rates = limits.min_rate.iter().map(|rate| format!("count>={}", rate * measured));
        assert_eq!(held("answers"), [String::from("count>=1")].into_iter().chain(rates).collect::<Vec<_>>(), "{name}");
    }
    let scripts = std::fs::read_dir(scripts()).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
    let own = scripts.filter(|name| name.ends_with(".js") && !["scenario.js", "toml.js"].contains(&name.as_str()));
    assert_eq!(own.count(), BUILT_IN.len());
}

/// Seconds of a duration as Go writes it: `1m5s`, `250ms`.
fn span(text: &Value) -> f64 {
    let (mut seconds, mut number, mut unit) = (0.0, String::new(), String::new());
    let end = |number: &mut String, unit: &mut String| {
        let factor = match unit.as_str() {
            "" => 0.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            other => panic!("{other} is no unit"),
        };
        let value = if number.is_empty() { 0.0 } else { number.parse::<f64>().unwrap() * factor };
        (number.clear(), unit.clear());
        value
    };
    for letter in text.as_str().unwrap().chars() {
        if letter.is_ascii_digit() || letter == '.' {
            if !unit.is_empty() {
                seconds += end(&mut number, &mut unit);
            }
            number.push(letter);
        } else {
            unit.push(letter);
        }
    }
    seconds + end(&mut number, &mut unit)
}

#[test]
fn the_mix_is_that_of_the_scenario() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let target = format!("http://127.0.0.1:{}", service.port);
    for (name, rate, duration) in [("load", "100", "7"), ("crud", "", "3")] {
        let points = dir.path().join(format!("{name}.json"));
        let script = format!("{name}.js");
        let mut command = k6(&["run", "--quiet", "--no-thresholds", "--no-summary", &script, "--out"]);
        command.arg(format!("json={}", points.display())).env("TARGET", &target).env("ORDERFLOW_API_KEY", &service.key);
        said(command.env("RATE", rate).env("DURATION", duration));
        let made = requests(&points);
        let all: u32 = made.values().sum();
        assert!(all > 100, "{made:?}");
        let draft = Draft::load(name).unwrap();
        let steps = draft.requests.iter().chain(draft.journeys.iter().flat_map(|journey| &journey.steps));
        let mut weights: BTreeMap<String, u32> = BTreeMap::new();
        for step in steps {
            let method = step.method.as_deref().unwrap_or("GET");
            let name = step.name.clone().unwrap_or_else(|| format!("{method} {}", step.path));
            *weights.entry(name).or_default() += step.weight.unwrap_or(1);
        }
        let sum: u32 = weights.values().sum();
        assert_eq!(made.keys().collect::<Vec<_>>(), weights.keys().collect::<Vec<_>>(), "{name}");
        for (request, weight) in weights {
            let (share, count) = (f64::from(weight) / f64::from(sum), f64::from(made[&request]));
            let expected = share * f64::from(all);
            // Five standard deviations of a binomial count, and the journeys that were cut off at the end.
            let far = 5.0 * (expected * (1.0 - share)).sqrt() + if name == "crud" { 50.0 } else { 0.0 };
            assert!((count - expected).abs() < far, "{request}: {count} of {all}, {expected:.0} expected");
        }
    }
}

#[test]
fn k6_measures_what_the_generator_measures() {
    let service = Service::start();
    let link = Link::to(service.port).unwrap();
    link.delay(EACH_WAY);
    let target = format!("http://127.0.0.1:{}", link.port());
    let dir = tempfile::tempdir().unwrap();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // In turn, so that what the machine does meanwhile meets both.
    for round in 0..3 {
        let outcome = generated(&target, &service.key);
        assert_eq!(outcome.counts.ok, outcome.counts.arrivals, "{:?}", outcome.generator.examples);
        let latency = outcome.service.clone().unwrap();
        ours.push([latency.p50_ms, latency.p90_ms, latency.p95_ms]);
        let summary = dir.path().join(format!("{round}.json"));
        let mut command = k6(&["run", "--quiet", "smoke.js", "--summary-export"]);
        command.arg(&summary).env("TARGET", &target).env("ORDERFLOW_API_KEY", &service.key).env("DURATION", "5");
        said(command.arg("--no-thresholds"));
        let summary: Value = serde_json::from_slice(&std::fs::read(&summary).unwrap()).unwrap();
        let metrics = &summary["metrics"];
        assert_eq!(metrics["errors"]["value"].as_f64(), Some(0.0), "{metrics:#}");
        let answers = metrics["answers"]["count"].as_f64().unwrap();
        assert!((answers - outcome.counts.ok as f64).abs() <= 2.0, "{answers} answers, and {}", outcome.counts.ok);
        theirs.push(["med", "p(90)", "p(95)"].map(|name| metrics["latency"][name].as_f64().unwrap()));
    }
    for (at, name) in ["p50", "p90", "p95"].iter().enumerate() {
        // What else the machine does only ever adds.
        let least = |runs: &[[f64; 3]]| runs.iter().map(|run| run[at]).fold(f64::INFINITY, f64::min);
        let (ours, theirs) = (least(&ours), least(&theirs));
        println!("{name}: {ours:.1} ms by the generator, {theirs:.1} ms by k6");
        assert!(ours >= 2.0 * EACH_WAY.as_secs_f64() * 1e3, "{name}: {ours} ms is less than the network takes");
        assert!((ours - theirs).abs() <= PART * ours + MILLISECONDS, "{name}: {ours} ms, and {theirs} ms by k6");
    }
}

fn generated(target: &str, key: &str) -> Outcome {
    let mut draft = Draft::load("smoke").unwrap();
    draft.lasting(5.0);
    let target = Target::new(target, false).unwrap().with_key(key).unwrap();
    let options = Options { threads: 1, timeout: Duration::from_secs(10), stop: AtomicBool::default().into() };
    run(&draft.check().unwrap(), &target, &options, &mut |_| {}).unwrap()
}
