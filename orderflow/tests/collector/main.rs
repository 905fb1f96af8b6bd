//! The collector's pipeline in deploy/observability, in the real collector: what failed goes on, and of the rest a part.
//! `cargo xtask test collector` runs this, and builds the program where Go is present.

#[path = "../telemetry/process.rs"]
#[expect(dead_code, reason = "the telemetry suite uses the rest of it")]
mod process;

use std::{
    collections::BTreeSet,
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use orderflow_servers::Collector;
use process::{LONG, Service, until};

/// Requests that are answered well. A tenth of their traces goes on, give or take: that none does, or half of them, would be
/// seen once in a million million runs.
const GOOD: usize = 300;
const BAD: usize = 5;

/// Where things are in this run. The rest is as it is deployed.
fn places(ports: [u16; 3], beyond: &str) -> String {
    let [grpc, http, health] = ports.map(|port| format!("127.0.0.1:{port}"));
    format!(
        "receivers:\n  otlp:\n    protocols:\n      grpc:\n        endpoint: {grpc}\n      http:\n        endpoint: {http}\n\
         processors:\n  tail_sampling:\n    decision_wait: 1s\n\
         exporters:\n  otlp:\n    endpoint: {beyond}\n    compression: none\n\
         extensions:\n  health_check:\n    endpoint: {health}\n\
         service:\n  telemetry:\n    metrics:\n      level: none\n"
    )
}

/// Killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program() -> PathBuf {
    let program =
        std::env::var_os("OTELCOL").expect("OTELCOL names the collector; `cargo xtask test collector` sets it");
    PathBuf::from(program)
}

fn deployed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/observability/collector.yaml")
}

#[test]
fn the_deployed_configuration_is_valid() {
    let done = Command::new(program()).args(["validate", "--config"]).arg(deployed()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn what_failed_goes_on_and_of_the_rest_a_part() {
    let beyond = Collector::start().unwrap();
    let ports = [(); 3].map(|()| orderflow_servers::free_port().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().join("places.yaml");
    fs::write(&here, places(ports, beyond.url().trim_start_matches("http://"))).unwrap();
    let log = fs::File::create(dir.path().join("log")).unwrap();
    let mut command = Command::new(program());
    command.arg("--config").arg(deployed()).arg("--config").arg(&here);
    let _running = Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
    let said = || fs::read_to_string(dir.path().join("log")).unwrap();
    until("the collector listens", || {
        assert!(!said().contains("Error:"), "{}", said());
        TcpStream::connect(("127.0.0.1", ports[0])).is_ok()
    });

    let endpoint = format!("http://127.0.0.1:{}", ports[0]);
    let service = Service::start(&[("telemetry.otlp_endpoint", &endpoint), ("telemetry.slow_request", "1h")], &[]);
    let trace = |path: &str, status| {
        let answer = service.get(path);
        assert_eq!(answer.status, status, "{}", answer.body);
        answer.trace().0
    };
    let good: BTreeSet<_> = (0..GOOD).map(|_| trace("/api/products/1", 200)).collect();
    service.lose_products();
    let bad: BTreeSet<_> = (0..BAD).map(|number| trace(&format!("/api/products/{}", number + 2), 500)).collect();
    assert!(service.end().success());
    let of = |traces: &BTreeSet<String>, all: &orderflow_servers::Collected| {
        let roots = all.spans.iter().filter(|span| span.kind == "server");
        roots.filter(|span| traces.contains(&span.trace_id)).count()
    };
    // The last of them is judged when it has been quiet for a second.
    let all = beyond.wait_for(|all| of(&bad, all) == BAD && of(&good, all) > 0, LONG);
    assert_eq!(of(&bad, &all), BAD, "{}", said());
    let kept = of(&good, &all);
    assert!((1..GOOD / 2).contains(&kept), "{kept} of {GOOD} good ones went on: {}", said());
}
