//! The stack from `up` to `down`, in a directory of its own: every part is there, one that dies comes back, and nothing is
//! left in the end.

#[path = "shared/client.rs"]
mod client;
#[path = "shared/program.rs"]
mod program;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use client::{PATIENCE, ask};
use orderflow_servers::{HaProxy, Nginx, RabbitMq, Redis, amtool, free_port, needs, promtool};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// A stack that is ended with this value.
struct Stack {
    dir: TempDir,
}

impl Stack {
    fn state(&self) -> PathBuf {
        self.dir.path().join("stack")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orderflow-stack"));
        command.args(arguments).arg("--state").arg(self.state()).current_dir(self.dir.path()).output().unwrap()
    }

    fn up(&self) -> Output {
        let program = program::orderflow().to_str().unwrap();
        self.run(&["up", "--port", "0", "--orders", "200", "--workers", "1", "--orderflow", program])
    }

    fn status(&self) -> Value {
        serde_json::from_slice(&self.run(&["status", "--format", "json"]).stdout).unwrap()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.run(&["down"]);
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn lives(pid: u64) -> bool {
    // One that has ended and that nobody has waited for lives no more.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let zombie = stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'));
    Pid::from_raw(i32::try_from(pid).unwrap()).is_some_and(|pid| test_kill_process(pid).is_ok()) && !zombie
}

fn part<'a>(state: &'a Value, name: &str) -> &'a Value {
    state["parts"].as_array().unwrap().iter().find(|part| part["name"] == name).unwrap()
}

fn port(url: &Value) -> u16 {
    url.as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap()
}

#[test]
fn a_stack_comes_up_heals_and_leaves_nothing() {
    let proxy =
        format!("frontend x\n    mode http\n    timeout client 1s\n    bind 127.0.0.1:{}\n", free_port().unwrap());
    let here = needs(Nginx::check("events {}\nhttp {\n}\n")).is_some()
        && needs(HaProxy::check(&proxy)).is_some()
        && orderflow_servers::postgres().is_some()
        && needs(Redis::own()).is_some()
        && needs(RabbitMq::own()).is_some()
        && needs(promtool()).is_some()
        && needs(amtool()).is_some();
    if !here {
        return;
    }
    let stack = Stack { dir: tempfile::tempdir().unwrap() };
    assert!(said(&stack.run(&["status"])).contains("not up"));

    let up = stack.up();
    assert!(up.status.success(), "{}", said(&up));
    let state = stack.status();
    let names: Vec<_> = state["parts"].as_array().unwrap().iter().map(|part| part["name"].as_str().unwrap()).collect();
    for name in [
        "postgres",
        "replica",
        "redis",
        "rabbitmq",
        "mail",
        "nginx",
        "haproxy",
        "instance-3",
        "worker-1",
        "scheduler",
        "prometheus",
        "alertmanager",
    ] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
        assert_eq!(part(&state, name)["health"], "healthy");
    }
    assert!(said(&stack.up()).contains("up already"));

    // Prometheus asks every process, and knows whom to tell.
    let access = &state["access"];
    until("all are asked", || {
        let asked = |path: &str| ask(port(&access["prometheus"]), &format!("GET {path}"), "", "").body;
        asked("/api/v1/targets").matches(r#""health":"up""#).count() == 5
            && asked("/api/v1/alertmanagers").contains("/api/v2/alerts")
    });

    // Statements are counted.
    let mut psql = Command::new("psql");
    psql.args([access["database"].as_str().unwrap(), "-Atc", "SELECT count(*) > 0 FROM pg_stat_statements"]);
    assert_eq!(said(&psql.output().unwrap()).trim(), "t");

    // An order by way of each proxy becomes a mail.
    let key = access["api_key"].as_str().unwrap();
    for (proxy, name) in [("nginx_internal", "one"), ("haproxy_internal", "two")] {
        let head =
            format!("Authorization: Bearer {key}\r\nIdempotency-Key: {name}\r\nContent-Type: application/json\r\n");
        let body = r#"{"customer_id":1,"items":[{"product_id":1,"quantity":1}]}"#;
        let answer = ask(port(&access[proxy]), "POST /api/orders", &head, body);
        assert_eq!(answer.status, 201, "{proxy}: {}", answer.body);
    }
    let mails = Path::new(access["mails"].as_str().unwrap());
    until("both mails are there", || {
        let names = fs::read_dir(mails).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| Path::new(name).extension().is_some_and(|end| end == "eml")).count() >= 2
    });

    // What dies comes back, as another process.
    for name in ["instance-2", "redis"] {
        let pid = part(&state, name)["pid"].as_i64().unwrap();
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
    }
    until("both are back", || {
        let now = stack.status();
        ["instance-2", "redis"].iter().all(|name| {
            let (before, now) = (part(&state, name), part(&now, name));
            now["health"] == "healthy" && now["restarts"] == 1 && now["pid"] != before["pid"]
        })
    });
    assert!(said(&stack.run(&["logs", "instance-2"])).contains("instance-2.log"));

    let state = stack.status();
    let pids = state["parts"].as_array().unwrap().iter().filter_map(|part| part["pid"].as_u64());
    let pids: Vec<_> = pids.chain(state["pid"].as_u64()).collect();
    assert!(pids.len() > 10 && pids.iter().all(|pid| lives(*pid)), "{state:#}");
    let logs = state["parts"].as_array().unwrap().iter().filter_map(|part| part["log"].as_str());
    let mut directories: Vec<_> = logs.map(|log| Path::new(log).parent().unwrap().to_owned()).collect();
    directories.push(Path::new(access["certificate"].as_str().unwrap()).parent().unwrap().to_owned());
    let down = stack.run(&["down"]);
    assert!(down.status.success(), "{}", said(&down));
    for pid in pids {
        until("the process has ended", || !lives(pid));
    }
    for directory in directories {
        assert!(!directory.exists(), "{} is left", directory.display());
    }
    assert!(!stack.state().exists());
    assert!(said(&stack.run(&["down"])).contains("not up"));
}

#[test]
fn a_stack_that_cannot_start_says_why_and_leaves_nothing() {
    let stack = Stack { dir: tempfile::tempdir().unwrap() };
    let up = stack.run(&["up", "--port", "0", "--orderflow", "/no/such/program"]);
    assert!(!up.status.success());
    assert!(said(&up).contains("/no/such/program"), "{}", said(&up));
    assert!(!stack.state().exists());
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(50));
    }
}
