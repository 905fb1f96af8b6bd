//! A headless Chromium under chromedriver, both of which end with the test, however that ends.
#![allow(dead_code, reason = "each test target uses a part of this")]

pub(crate) mod look;

use std::{
    env,
    io::{BufRead, BufReader, Lines, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use axum::http::Method;
use fantoccini::{Client, ClientBuilder, wd::WebDriverCompatibleCommand};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::{ParseError, Url};

use crate::sample::PATIENCE;

/// A browser with a fresh profile.
pub(crate) struct Chrome {
    pub(crate) client: Client,
    driver: Driver,
    _profile: TempDir,
}

/// The chromedriver process; takes its browser along when it goes.
struct Driver {
    process: Child,
    port: u16,
    session: Option<String>,
}

impl Driver {
    /// A running one and its output, which must stay open; none if it ended before it had a port.
    fn start() -> Option<(Self, Lines<BufReader<ChildStdout>>)> {
        let mut process =
            Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut driver = Self { process, port: 0, session: None };
        driver.port = lines.find_map(|line| {
            line.ok()?.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
        })?;
        Some((driver, lines))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Killed at once, chromedriver would leave its browser behind.
        if let (Some(session), Ok(mut stream)) = (&self.session, TcpStream::connect(("127.0.0.1", self.port))) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            let _ =
                write!(stream, "DELETE /session/{session} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
            let _ = stream.read(&mut [0; 256]);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A program of that name on `PATH`.
fn installed(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// Whether the tests can run here. Where they cannot, says so and what to install; on a build server that is a failure.
pub(crate) fn available() -> bool {
    let missing: Vec<_> = ["chromium", "chromedriver"].into_iter().filter(|program| !installed(program)).collect();
    if missing.is_empty() {
        return true;
    }
    let said = format!(
        "blocked: {} is not on PATH; install with `apt-get install chromium chromium-driver`",
        missing.join(" and ")
    );
    assert!(env::var_os("CI").is_none(), "{said}");
    eprintln!("{said}");
    false
}

impl Chrome {
    pub(crate) async fn start() -> Self {
        // It takes a free port for IPv4 and then the same one for IPv6, and ends if somebody has that.
        let (mut driver, _output) =
            (0..10).find_map(|_| Driver::start()).expect("chromedriver says which port it took, ten times");
        let profile = tempfile::tempdir().unwrap();
        let mut flags: Vec<String> = [
            "--headless",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
        ]
        .map(Into::into)
        .into();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        if is_root() {
            // Chromium refuses to run its sandbox as root.
            flags.push("--no-sandbox".into());
        }
        let capabilities = json!({
            "goog:chromeOptions": { "args": flags },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .expect("chromedriver starts a browser");
        driver.session = client.session_id().await.unwrap();
        Self { client, driver, _profile: profile }
    }

    /// Ends the browser while the runtime still runs, so that the client ends in order.
    pub(crate) async fn stop(mut self) {
        self.driver.session = None;
        self.client.close().await.unwrap();
    }

    pub(crate) async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// What a script returns.
    pub(crate) async fn js(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until a script returns true.
    pub(crate) async fn until(&self, script: &str) {
        let started = Instant::now();
        while self.js(script).await != json!(true) {
            assert!(
                started.elapsed() < PATIENCE,
                "never true: {script}\n{}",
                self.js("return document.body.innerText").await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Gives the page a window of that width; a real one cannot be as narrow as a telephone.
    pub(crate) async fn width(&self, width: u32) {
        let screen = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        self.vendor("goog/cdp/execute", json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": screen })).await;
    }

    /// As if the reader had asked the system for less motion.
    pub(crate) async fn less_motion(&self) {
        let wish = json!({ "features": [{ "name": "prefers-reduced-motion", "value": "reduce" }] });
        self.vendor("goog/cdp/execute", json!({ "cmd": "Emulation.setEmulatedMedia", "params": wish })).await;
    }

    /// As if the reader's browser ran no scripts; those of a test still run.
    pub(crate) async fn without_scripts(&self) {
        let disabled = json!({ "value": true });
        self.vendor("goog/cdp/execute", json!({ "cmd": "Emulation.setScriptExecutionDisabled", "params": disabled }))
            .await;
    }

    /// Everything on the browser's console since it was last asked: errors, warnings, failed requests.
    pub(crate) async fn console(&self) -> Vec<String> {
        let entries = self.vendor("se/log", json!({ "type": "browser" })).await;
        entries.as_array().unwrap().iter().map(ToString::to_string).collect()
    }

    async fn vendor(&self, path: &'static str, body: Value) -> Value {
        self.client.issue_cmd(Vendor { path, body }).await.unwrap()
    }
}

/// An endpoint of chromedriver that is not in the standard.
#[derive(Debug)]
struct Vendor {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

#[cfg(unix)]
fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(Path::new("/proc/self")).unwrap()) == 0
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}
