//! The program: what it returns, writes and refuses.

use std::{
    path::Path,
    process::{Command, Output},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use orderflow_load::Outcome;

use crate::server::{Server, answer};

const KEY: &str = "key-that-nobody-may-see";

fn program(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orderflow-load"));
    command.args(arguments).env_remove("ORDERFLOW_API_KEY").output().unwrap()
}

fn scenario(directory: &Path, thresholds: &str) -> String {
    let file = directory.join("mine.toml");
    let text = format!(
        "name = \"mine <b>&\"\nmodel = \"open\"\nconnections = 4\n[[stage]]\nseconds = 1\nrate = 50\n[thresholds]\n{thresholds}\n\
         [[request]]\nmethod = \"POST\"\npath = \"/api/orders\"\nauth = true\nbody = '{{\"a\":1}}'\nexpect = [201]\n"
    );
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn thresholds_decide_the_exit_status() {
    let server = Server::start(|_, stream| answer(stream, 201, "{}"));
    let directory = tempfile::tempdir().unwrap();
    let target = format!("http://{}", server.address);
    let json = directory.path().join("out.json");
    for (thresholds, status) in [
        ("p50_ms = 60000\nerror_rate = 0\nmin_rate = 5", 0),
        ("p50_ms = 0.0001", 1),
        ("min_rate = 100000", 1),
        ("p50_ms = 60000\nmax_ms = 0.0001", 1),
    ] {
        let file = scenario(directory.path(), thresholds);
        let out = program(&["run", &file, "--target", &target, "--key", KEY, "--json", json.to_str().unwrap()]);
        assert_eq!(out.status.code(), Some(status), "{thresholds}: {} {}", text(&out.stdout), text(&out.stderr));
        let outcome: Outcome = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        assert_eq!(outcome.passed(), status == 0);
        assert_eq!((outcome.counts.arrivals, outcome.counts.ok), (50, 50));
        assert_eq!(text(&out.stdout).contains("FAIL"), status == 1);
        assert_eq!(text(&out.stderr).lines().count(), 1, "one line where nobody watches: {}", text(&out.stderr));
    }
}

#[test]
fn what_cannot_be_run_is_2_with_what_to_do() {
    let server = Server::start(|_, stream| answer(stream, 201, "{}"));
    let directory = tempfile::tempdir().unwrap();
    let file = scenario(directory.path(), "p50_ms = 1");
    let wrong = directory.path().join("wrong.toml");
    std::fs::write(&wrong, "name = \"x\"\nmodel = \"open\"\ncolour = 1\n").unwrap();
    let target = format!("http://{}", server.address);
    let gone = format!("http://{}", Server::start(|_, stream| answer(stream, 200, "")).address);
    for (arguments, part) in [
        (&["run", "nothing"][..], "built in are smoke, load"),
        (&["run", wrong.to_str().unwrap()], "line 3: unknown field `colour`"),
        (&["run", &file, "--target", &target], "ORDERFLOW_API_KEY"),
        (&["run", &file, "--target", "http://192.0.2.1"], "--allow-remote"),
        (&["run", &file, "--key", KEY, "--target", &gone], "nothing answers at"),
        (&["run", &file, "--target", &target, "--key", KEY, "--rate", "0"], "more than 0"),
        (&["run", &file, "--target", &target, "--key", KEY, "--threads", "65"], "1 to 64"),
        (&["run", &file, "--target", &target, "--key", KEY, "--timeout", "61"], "1 ms to 60 s"),
        (&["run", "smoke", "--set", "penguins=3"], "it has customers, orders, products"),
        (&["run", "smoke", "--products", "0"], "the range 1 to 0 is empty"),
        (&["run", "crud", "--rate", "5"], "closed loop has no rate"),
        (&["run", "smoke", "--connections", "10001"], "1 to 10000"),
        (&["run", &file, "--key", KEY, "--report", "/no/such/directory/x.html"], "cannot be written"),
        (&["run", "smoke", "--colour"], "--colour"),
        (&["show", "nothing"], "there are smoke"),
        (&[], "Usage"),
    ] {
        let out = program(arguments);
        let errors = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(part), "{arguments:?}: {errors}");
        assert!(!errors.contains(KEY), "{arguments:?}: {errors}");
    }
}

#[test]
fn the_key_is_sent_and_is_in_no_report() {
    let seen = Arc::<Mutex<String>>::default();
    let told = seen.clone();
    let server = Server::start(move |request, stream| {
        told.lock().unwrap().clone_from(&request.fields);
        answer(stream, 201, "{}")
    });
    let directory = tempfile::tempdir().unwrap();
    let (json, html) = (directory.path().join("out.json"), directory.path().join("out.html"));
    let file = scenario(directory.path(), "");
    let target = format!("http://{}", server.address);
    let mut command = Command::new(env!("CARGO_BIN_EXE_orderflow-load"));
    command
        .args(["run", &file, "--target", &target, "--format", "json", "--json"])
        .arg(&json)
        .arg("--report")
        .arg(&html);
    let out = command.env("ORDERFLOW_API_KEY", KEY).output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(seen.lock().unwrap().contains(&format!("Authorization: Bearer {KEY}\r\n")));
    let page = std::fs::read_to_string(&html).unwrap();
    for written in [text(&out.stdout), text(&out.stderr), std::fs::read_to_string(&json).unwrap(), page.clone()] {
        assert!(!written.contains(KEY));
    }
    assert_eq!(text(&out.stdout), std::fs::read_to_string(&json).unwrap());
    holds_what_it_must(&page);
}

/// The page needs nothing from anywhere, can be read by whoever does not see, and does not trust names.
fn holds_what_it_must(page: &str) {
    for outside in ["src=", "href=", "url(", "@import", "<script", "<link", "<iframe"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("<svg").count(), 3);
    for plot in page.split("<svg").skip(1) {
        assert!(plot.contains("role=\"img\" aria-labelledby=") && plot.contains("<title ") && plot.contains("<desc "));
        assert!(plot.contains("<path d=\"M") || plot.contains("<circle"), "a plot without a line");
    }
    for part in [
        "prefers-color-scheme: dark",
        "width=device-width",
        "generator lateness",
        "open loop",
        "POST /api/orders",
        "answers 50",
    ] {
        assert!(page.to_lowercase().contains(&part.to_lowercase()), "{part}");
    }
    assert!(page.contains("mine &lt;b&gt;&amp;") && !page.contains("mine <b>"));
}

#[test]
fn scenarios_can_be_listed_shown_and_checked() {
    let list = text(&program(&["list"]).stdout);
    assert_eq!(list.lines().count(), 6, "{list}");
    let shown = program(&["show", "smoke"]);
    assert_eq!(text(&shown.stdout), include_str!("../../scenarios/smoke.toml"));
    let checked = program(&["check", "crud"]);
    assert!(checked.status.success() && text(&checked.stdout).contains("50 users"), "{}", text(&checked.stdout));
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it_with_a_report() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("long.toml");
    let text = "name = \"long\"\nmodel = \"open\"\n[[stage]]\nseconds = 600\nrate = 100\n[[request]]\npath = \"/\"\n";
    std::fs::write(&file, text).unwrap();
    let seen = Arc::new(AtomicU64::new(0));
    let told = seen.clone();
    let server = Server::start(move |_, stream| {
        told.fetch_add(1, Ordering::Relaxed);
        answer(stream, 200, "{}")
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_orderflow-load"));
    command.arg("run").arg(&file).args(["--format", "json", "--target", &format!("http://{}", server.address)]);
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while seen.load(Ordering::Relaxed) < 20 {
        assert!(start.elapsed() < Duration::from_mins(1), "no request came");
        std::thread::sleep(Duration::from_millis(10));
    }
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let out = child.wait_with_output().unwrap();
    let outcome: Outcome = serde_json::from_slice(&out.stdout).unwrap();
    assert!(outcome.interrupted && outcome.counts.ok > 0 && start.elapsed() < Duration::from_mins(2));
    assert_eq!(out.status.code(), Some(0));
}
