//! `budget`, with programs in the places of OrderFlow and the generator that say what a test wants measured.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::course::{Done, TestCourse};

const BUDGETS: &str = "[scenario.load]\nruns = 2\nseconds = 2\npeak_rate = 1200\n\
    [budget.p95_ms]\ntarget = 300\nfail = 500\n[budget.error_rate]\ntarget = 0.01\nfail = 0.05\n\
    [budget.throughput]\ntarget = 1000\nwarn = 500\n[budget.cache_hits]\ntarget = 0.85\nwarn = 0.7\n\
    [budget.database_cache]\ntarget = 0.95\n\
    [history]\nwarn = 1.25\nfail = 1.6\nruns = 10\nenough = 3\n";

/// A course with a budget, and the programs that take part.
struct Stage {
    course: TestCourse,
    programs: TempDir,
    operators: Operators,
}

impl Stage {
    fn new() -> Self {
        let stage =
            Self { course: TestCourse::fresh(), programs: tempfile::tempdir().unwrap(), operators: Operators::start() };
        fs::write(stage.course.path("budgets.toml"), BUDGETS).unwrap();
        let port = stage.operators.port;
        stage.program(
            "orderflow",
            &format!(
                "for word; do :; done\ncase $word in\n\
                 admin) printf 'of_secret\\n[auth]\\n' ;;\n\
                 serve) grep -q auth orderflow.toml || exit 9\n\
                   echo $$ >> \"$here/pids\"\n\
                   echo 'OrderFlow  http://127.0.0.1:9/api/products   API: none'\n\
                   echo 'operators  http://127.0.0.1:{port}/healthz'\n\
                   exec sleep 600 ;;\n\
                 esac"
            ),
        );
        stage.program(
            "orderflow-load",
            "if [ $1 = show ]; then printf '[[stage]]\\nseconds = 10\\nfrom = 100\\nto = 1000\\n[[stage]]\\nseconds = 60\\nrate = 1000\\n'; exit; fi\n\
             [ \"$ORDERFLOW_API_KEY\" = of_secret ] || exit 2\n\
             echo \"$@\" >> \"$here/asked\"\nwhile [ $1 != --json ]; do shift; done\ncat \"$here/outcome.json\" > \"$2\"",
        );
        stage.program(
            "orderflow-analyze",
            "n=$(cat \"$here/pages\" 2>/dev/null || echo 0); n=$((n + 1000)); echo $n > \"$here/pages\"\n\
             echo \"{\\\"cache\\\":{\\\"tables\\\":{\\\"hit\\\":$n,\\\"read\\\":$((n / 100))},\\\"indexes\\\":{\\\"hit\\\":0,\\\"read\\\":0}}}\"",
        );
        stage.without_postgres();
        stage.measures(10.0, 1_200.0);
        stage
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.programs.path().join(name);
        // Renamed into place: a program that is being written cannot be started.
        let beside = path.with_extension("new");
        fs::write(&beside, format!("#!/bin/sh\nhere='{}'\n{script}\n", self.programs.path().display())).unwrap();
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(beside, path).unwrap();
    }

    fn without_postgres(&self) {
        self.program(
            "orderflow-servers",
            "echo 'Error: postgres was found neither in PATH nor in its usual places.' >&2; exit 1",
        );
    }

    fn with_postgres(&self) {
        self.program("orderflow-servers", "echo 'postgres://somewhere/orders'; cat; echo ended > \"$here/postgres\"");
    }

    /// What each run comes to.
    fn measures(&self, p95: f64, throughput: f64) {
        let outcome = json!({
            "planned_seconds": 2.0, "interrupted": false, "ok_per_second": throughput, "error_rate": 0.001,
            "latency": {"count": 2_000, "p95_ms": p95, "p99_ms": p95 * 2.0}, "warnings": ["the generator was busy | x"],
        });
        fs::write(self.programs.path().join("outcome.json"), outcome.to_string()).unwrap();
    }

    fn budget(&self, arguments: &[&str]) -> Done {
        let programs = self.programs.path().to_str().unwrap();
        let mut command = self.course.command(&["budget", "--programs", programs]);
        command.args(arguments).env_remove("GITHUB_STEP_SUMMARY").output().unwrap().into()
    }

    fn json(&self, arguments: &[&str], code: i32) -> Value {
        serde_json::from_str(&self.budget(&[&["--format", "json"], arguments].concat()).exits(code).stdout).unwrap()
    }

    fn history(&self) -> PathBuf {
        self.course.path(".course/budget/history.jsonl")
    }

    /// Nothing that was started runs on.
    #[track_caller]
    fn all_ended(&self) {
        let pids = fs::read_to_string(self.programs.path().join("pids")).unwrap();
        for pid in pids.lines() {
            assert!(!Path::new("/proc").join(pid).exists(), "OrderFlow is still running, as {pid}");
        }
    }
}

/// OrderFlow's operators' listener: each time it is asked, 90 more hits and 10 more misses.
struct Operators {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Operators {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, stop) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(false)));
        let (stopped, asked) = (stop.clone(), AtomicU64::new(0));
        let thread = thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                let mut head = [0; 1024];
                let _ = stream.read(&mut head);
                let times = asked.fetch_add(1, Ordering::Relaxed);
                let body = format!(
                    "cache_hits_total{{level=\"memory\"}} {}\ncache_misses_total {}\n# EOF\n",
                    times * 90,
                    times * 10
                );
                let _ = write!(stream, "HTTP/1.0 200 OK\r\n\r\n{body}");
            }
        });
        Self { port, stop, thread: Some(thread) }
    }
}

impl Drop for Operators {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = std::net::TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.thread.take().unwrap().join();
    }
}

fn figure<'a>(report: &'a Value, row: usize, name: &str) -> &'a Value {
    let figures = report["rows"][row]["figures"].as_array().unwrap();
    figures.iter().find(|one| one["figure"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

#[test]
fn within_budget_it_says_so_and_how_it_was_measured() {
    let stage = Stage::new();
    let summary = stage.course.path("summary.md");
    let done = stage.budget(&["--summary", summary.to_str().unwrap()]).exits(0);
    let done =
        done.says("load on SQLite").says("median of 2 runs of 2 s at up to 1,200/s; the scenario itself has 70 s");
    let done =
        done.says("ok p95 10 ms").says("ok cache hits 90.0 %").says("target at least 85.0 %, warns below 70.0 %");
    let done = done.says("no earlier measurement on this machine").says("PostgreSQL is not installed here");
    assert!(!done.stdout.contains("database cache"), "SQLite does not count its pages: {}", done.stdout);
    done.says("in 2 of 2 runs: the generator was busy").says("within budget");
    let summary = fs::read_to_string(summary).unwrap();
    assert!(summary.starts_with("## OrderFlow's budget: within budget\n"), "{summary}");
    assert!(
        summary.contains("| ok | p95 | 10 ms (10 ms to 10 ms) | target at most 300 ms, fails above 500 ms |  |"),
        "{summary}"
    );
    assert!(summary.contains("busy \\| x"), "{summary}");
    let asked = fs::read_to_string(stage.programs.path().join("asked")).unwrap();
    assert_eq!(asked.lines().count(), 2);
    for part in ["run load ", "--target http://127.0.0.1:9 ", "--duration 2", "--rate 1200"] {
        assert!(asked.contains(part), "{asked}");
    }
    assert!(!asked.contains("of_secret"), "the key is no argument, which everybody could read");
    stage.all_ended();
}

#[test]
fn on_github_the_summary_is_added_to_the_page_of_the_run() {
    let stage = Stage::new();
    let page = stage.course.path("page.md");
    fs::write(&page, "before\n").unwrap();
    let mut command = stage.course.command(&["budget", "--no-history", "--programs"]);
    let done: Done = command.arg(stage.programs.path()).env("GITHUB_STEP_SUMMARY", &page).output().unwrap().into();
    done.exits(0);
    assert!(fs::read_to_string(page).unwrap().starts_with("before\n## OrderFlow's budget"));
    assert!(!stage.history().exists());
}

#[test]
fn a_budget_that_is_not_kept_is_status_1_and_a_warning_is_not() {
    let stage = Stage::new();
    stage.measures(10.0, 400.0);
    stage.budget(&[]).exits(0).says("warning throughput 400/s").says("within budget, with warnings");
    stage.measures(400.0, 1_200.0);
    stage.budget(&["--no-history"]).exits(0).says("off target p95 400 ms").says("within budget; a target was missed");
    stage.measures(501.0, 1_200.0);
    let report = stage.json(&["--no-history"], 1);
    assert_eq!((&report["verdict"], &figure(&report, 0, "p95_ms")["verdict"]), (&"failed".into(), &"failed".into()));
    stage.budget(&["--no-history"]).exits(1).says("FAILED p95 501 ms").says("over budget");
}

#[test]
fn what_became_slower_here_fails_within_its_budget() {
    let stage = Stage::new();
    for earlier in 0..3 {
        assert_eq!(stage.json(&[], 0)["rows"][0]["earlier"], earlier);
    }
    stage.measures(30.0, 1_200.0);
    let alone = stage.json(&["--no-history"], 0);
    assert!(figure(&alone, 0, "p95_ms")["before"].is_null());
    let report = stage.json(&[], 1);
    let p95 = figure(&report, 0, "p95_ms");
    assert_eq!((&p95["before"]["worse"], &p95["before"]["runs"]), (&3.0.into(), &3.into()));
    assert_eq!(figure(&report, 0, "throughput")["verdict"], "ok");
    assert_eq!(fs::read_to_string(stage.history()).unwrap().lines().count(), 4, "it is kept, too");
    // Another machine's are none of ours.
    let elsewhere = fs::read_to_string(stage.history()).unwrap().replace("\"machine\":\"", "\"machine\":\"another ");
    fs::write(stage.history(), elsewhere + "cut off {\n").unwrap();
    stage.budget(&[]).exits(0).says("no earlier measurement").says("1 lines of the history could not be read");
}

#[test]
fn where_postgresql_is_installed_it_is_a_row_of_its_own() {
    let stage = Stage::new();
    stage.with_postgres();
    let report = stage.json(&[], 0);
    assert_eq!((&report["rows"][0]["store"], &report["rows"][1]["store"]), (&"SQLite".into(), &"PostgreSQL".into()));
    let share = figure(&report, 1, "database_cache")["value"]["median"].as_f64().unwrap();
    assert!((share - 1000.0 / 1010.0).abs() < 1e-9, "{share}");
    assert!(stage.programs.path().join("postgres").exists(), "it was told to end, and had the time to");
    stage.all_ended();
}

#[test]
fn what_cannot_be_measured_is_status_2_with_what_to_do() {
    let stage = Stage::new();
    stage.budget(&["--scenario", "laod"]).exits(2).says("no scenario laod").says("Did you mean load?");
    stage.program("orderflow-load", "exit 2");
    stage.budget(&[]).exits(2).says("orderflow-load ended with exit status: 2");
    stage.all_ended();
    stage.program("orderflow", "for word; do :; done; [ $word = admin ] && printf 'of_secret\\n\\n' || exit 1");
    stage.budget(&[]).exits(2).says("OrderFlow did not start").says("SQLite.log");
    fs::remove_file(stage.programs.path().join("orderflow-analyze")).unwrap();
    stage.budget(&[]).exits(2).says("there is no program").says("orderflow-analyze");
    fs::write(stage.course.path("budgets.toml"), BUDGETS.replace("fail = 500", "fail = 5")).unwrap();
    stage.budget(&[]).exits(2).says("budget.p95_ms.fail is 5, which is below its target of 300");
    fs::remove_file(stage.course.path("budgets.toml")).unwrap();
    stage.budget(&[]).exits(2).says("budgets.toml cannot be read").says("Restore it");
    assert!(!stage.history().exists(), "nothing was measured");
}

#[test]
fn an_interrupt_ends_all_that_was_started() {
    let stage = Stage::new();
    stage.program(
        "orderflow-load",
        "[ $1 = show ] && { printf '[[stage]]\\nseconds = 1\\nrate = 1\\n'; exit; }; exec sleep 600",
    );
    let mut command = stage.course.command(&["budget", "--programs"]);
    let mut child = command.arg(stage.programs.path()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while !stage.programs.path().join("pids").exists() {
        assert!(Instant::now() < deadline, "OrderFlow was never started");
        thread::sleep(Duration::from_millis(20));
    }
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    stage.all_ended();
}
