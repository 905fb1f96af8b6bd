//! A headless Chromium under chromedriver, both of which end with the test, however that ends.

use std::{
    env,
    io::{BufRead, BufReader, Lines, Read, Write},
    net::TcpStream,
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use axum::http::Method;
use fantoccini::{Client, ClientBuilder, wd::WebDriverCompatibleCommand};
use hyper_util::client::legacy::connect::HttpConnector;
use orderflow_servers::{Missing, needs};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::{ParseError, Url};

/// How long a page may take until a test says that it never will.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Keys as `WebDriver` has them.
pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const RIGHT: &str = "\u{e014}";
pub(crate) const LEFT: &str = "\u{e012}";
pub(crate) const END: &str = "\u{e010}";

/// A browser with a fresh profile.
pub(crate) struct Chrome {
    client: Client,
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

/// Both programs are on `PATH`, or which one is missing.
fn installed() -> anyhow::Result<()> {
    for program in ["chromium", "chromedriver"] {
        let path = env::var_os("PATH").unwrap_or_default();
        if !env::split_paths(&path).any(|dir| dir.join(program).is_file()) {
            let how = "On Debian, apt-get install chromium chromium-driver.".to_owned();
            return Err(Missing { program: program.to_owned(), how }.into());
        }
    }
    Ok(())
}

impl Chrome {
    /// A browser, where there is one; else the test is blocked, which was said.
    #[track_caller]
    pub(crate) fn wanted() -> Option<impl Future<Output = Self>> {
        needs(installed()).map(|()| Self::start())
    }

    async fn start() -> Self {
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
            "--window-size=1280,900",
        ]
        .map(Into::into)
        .into();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        if std::fs::metadata(Path::new("/proc/self")).is_ok_and(|process| process.uid() == 0) {
            // Chromium refuses to run its sandbox as root.
            flags.push("--no-sandbox".into());
        }
        let capabilities = json!({
            "goog:chromeOptions": { "args": flags },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
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

    /// What a function of one of the page's modules gives; `script` has the module as `module`, and `given`.
    pub(crate) async fn module(&self, name: &str, given: &Value, script: &str) -> Value {
        let script = format!(
            "const [given, done] = arguments;
             import(new URL('console/{name}.js', location)).then((module) => {{ {script} }}).then(done, (error) => done(String(error)))"
        );
        self.client
            .execute_async(&script, vec![given.clone()])
            .await
            .unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until a script returns true.
    pub(crate) async fn until(&self, script: &str) {
        let started = Instant::now();
        while self.js(script).await != json!(true) {
            if started.elapsed() > PATIENCE {
                let shown = self.js("return document.body.innerText").await;
                panic!("never true: {script}\n{}\n{:?}", shown.as_str().unwrap_or_default(), self.console().await);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The text of what a selector finds first.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let text = self.js(&format!("return document.querySelector({selector:?})?.innerText ?? 'nothing'")).await;
        text.as_str().unwrap().to_owned()
    }

    /// Clicks as a person does.
    pub(crate) async fn click(&self, selector: &str) {
        self.client.find(fantoccini::Locator::Css(selector)).await.unwrap().click().await.unwrap();
    }

    /// Presses a key where the focus is.
    pub(crate) async fn press(&self, key: &str) {
        self.client.active_element().await.unwrap().send_keys(key).await.unwrap();
    }

    /// Gives the page a window of that width; a real one cannot be as narrow as a telephone.
    pub(crate) async fn width(&self, width: u32) {
        let screen = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        self.developer("Emulation.setDeviceMetricsOverride", screen).await;
    }

    /// As if the reader had told the system what they prefer.
    pub(crate) async fn prefer(&self, feature: &str, value: &str) {
        let wish = json!({ "features": [{ "name": feature, "value": value }] });
        self.developer("Emulation.setEmulatedMedia", wish).await;
    }

    async fn developer(&self, command: &str, params: Value) {
        self.vendor("goog/cdp/execute", json!({ "cmd": command, "params": params })).await;
    }

    /// Everything on the browser's console since it was last asked: errors, warnings, failed requests, and what a policy
    /// refused.
    pub(crate) async fn console(&self) -> Vec<String> {
        self.log("browser").await.iter().map(ToString::to_string).collect()
    }

    /// The addresses that were asked for since this was last asked.
    pub(crate) async fn asked(&self) -> Vec<String> {
        let address = |entry: &Value| {
            let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let sent = message["message"]["method"] == "Network.requestWillBeSent";
            sent.then(|| message["message"]["params"]["request"]["url"].as_str().map(ToOwned::to_owned))?
        };
        self.log("performance").await.iter().filter_map(address).collect()
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        self.vendor("se/log", json!({ "type": kind })).await.as_array().unwrap().clone()
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
