//! What it costs to be seen: metrics, logs and traces, a flamegraph, and somebody who looks at the console.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use orderflow_servers::Collects;

use crate::{
    cases::Setting,
    finding::{Bound, Finding},
    measure::{Run, Spread, alternate, load},
    process::Program,
};

const OFF: [(&str, &str); 3] = [("telemetry.metrics", "false"), ("telemetry.traces", "false"), ("log.filter", "off")];
/// How long a flamegraph is drawn, and how long somebody looks at the console.
const LOOK: Duration = Duration::from_secs(10);
/// How long a browser takes to open a page at most.
const OPEN: Duration = Duration::from_secs(5);
/// How long an answer of the operators' listener may take beside what it is asked for.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn seen(setting: &Setting) -> Result<Vec<Finding>> {
    let what =
        "GET a cached product, metrics, logs and traces at 1 % sent to a collector, against all off; 64 connections";
    let runs = against_off(setting, "0.01")?;
    Ok(vec![Finding::throughput(what, &runs, Bound::AtLeast(0.92)), Finding::p99(what, &runs, Bound::AtMost(1.1))])
}

pub(crate) fn traced(setting: &Setting) -> Result<Vec<Finding>> {
    let what = "the same, every request traced";
    Ok(vec![Finding::throughput(what, &against_off(setting, "1")?, Bound::AtLeast(0.75))])
}

fn against_off(setting: &Setting, ratio: &str) -> Result<Vec<(Run, Run)>> {
    let [shown, hidden] = [tempfile::tempdir()?, tempfile::tempdir()?];
    let collector = orderflow_servers::Collector::start()?;
    // It shares the processors with what is measured, and reading spans costs as much as making them.
    collector.behave(Collects::Counts);
    let endpoint = collector.url();
    let on = [("telemetry.traces_ratio", ratio), ("log.filter", "info"), ("telemetry.otlp_endpoint", &endpoint)];
    let on = setting.programs.serve(shown.path(), &on)?;
    let off = setting.programs.serve(hidden.path(), &OFF)?;
    let runs = setting.against(&on, &off, &setting.product(64))?;
    ensure!(collector.collected().requests > 0, "the collector was sent nothing, so that nothing was compared");
    Ok(runs)
}

pub(crate) fn profiled(setting: &Setting) -> Result<Vec<Finding>> {
    let directory = tempfile::tempdir()?;
    let (served, ops) = with_ops(setting, directory.path())?;
    let draft = setting.product(64).seconds(1.0 + LOOK.as_secs_f64());
    let profile = || {
        thread::scope(|scope| {
            let path = format!("/debug/profile?seconds={}&format=svg", LOOK.as_secs() + 1);
            let drawing = scope.spawn(move || get(ops, &path));
            let run = load(&draft, &served.url, None)?;
            let drawn = drawing.join().expect("asking does not panic")?;
            ensure!(drawn.contains("<svg"), "there was no flamegraph: {}", drawn.lines().next().unwrap_or_default());
            Ok(run)
        })
    };
    let runs = alternate(setting.rounds, profile, || load(&draft, &served.url, None))?;
    let what = "GET a cached product while a flamegraph of 10 s is drawn, against the same without; 64 connections";
    Ok(vec![Finding::throughput(what, &runs, Bound::AtLeast(0.95))])
}

pub(crate) fn console(setting: &Setting) -> Result<Vec<Finding>> {
    let directory = tempfile::tempdir()?;
    let (served, ops) = with_ops(setting, directory.path())?;
    let unknown = "this system does not tell how much a process computes";
    let used = || -> Result<f64> {
        let before = served.cpu_seconds().context(unknown)?;
        thread::sleep(LOOK);
        Ok((served.cpu_seconds().context(unknown)? - before) / LOOK.as_secs_f64() * 100.0)
    };
    let mut more = Vec::new();
    for _ in 0..setting.rounds {
        let alone = used()?;
        let browser = Browser::at(&format!("http://127.0.0.1:{ops}/console"), directory.path())?;
        thread::sleep(OPEN);
        more.push(used()? - alone);
        drop(browser);
    }
    let what = "what the service computes more while a browser shows its console, of one processor";
    Ok(vec![Finding::amount(what, "%", Spread::of(more), Bound::AtMost(1.0))])
}

fn with_ops(setting: &Setting, directory: &std::path::Path) -> Result<(Program, u16)> {
    let port = orderflow_servers::free_port()?;
    let listen = format!("127.0.0.1:{port}");
    Ok((setting.programs.serve(directory, &[("ops.listen", &listen)])?, port))
}

/// The answer to a GET of the operators' listener.
fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(LOOK + PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A browser that shows a page until this is dropped.
struct Browser(Child);

impl Browser {
    fn at(url: &str, directory: &std::path::Path) -> Result<Self> {
        let mut command = Command::new("chromium");
        command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", url]);
        command.arg(format!("--user-data-dir={}", directory.join("browser").display()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn().context("this comparison needs chromium; cargo xtask doctor says how to get it")?))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
