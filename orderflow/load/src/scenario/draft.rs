//! A scenario as it is written: the shape of the TOML files, and the same from Rust.
//!
//! ```
//! use orderflow_load::{Draft, RequestDraft, ValueDraft};
//!
//! let scenario = Draft::closed("products", 64)
//!     .warmup(1.0)
//!     .seconds(4.0)
//!     .value("product", ValueDraft::Uniform { from: 1, to: 1000.into() })
//!     .request(RequestDraft::get("/api/products/{product}"))
//!     .check()?;
//! assert_eq!(scenario.routes(), ["GET /api/products/{product}"]);
//! # Ok::<(), orderflow_load::ScenarioError>(())
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{schedule::Arrivals, threshold::Thresholds};

/// Who decides when the next request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Model {
    /// The clock: arrivals are due by a schedule, whatever the server does.
    Open,
    /// The server: each user waits for the answer before it goes on.
    Closed,
}

/// A scenario before it is checked. Every field is one of the file's keys; see the crate's README for an example.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// What the scenario is called, in reports too.
    pub name: String,
    /// What it is for, in a sentence.
    #[serde(default)]
    pub description: String,
    /// Open or closed loop.
    pub model: Model,
    /// Decides Poisson arrivals, the mix, think times and every drawn id.
    #[serde(default = "one")]
    pub seed: u64,
    /// Open loop: how arrivals are spread. Even unless told otherwise.
    pub arrivals: Option<Arrivals>,
    /// Open loop: the most connections, and so the most requests at once. 1 to 10,000; default 64.
    pub connections: Option<u32>,
    /// Open loop: the most arrivals that wait for a connection; more are dropped. 1 to 1,000,000; default 10,000.
    pub backlog: Option<u32>,
    /// Closed loop: how many users, each with a connection. 1 to 10,000.
    pub users: Option<u32>,
    /// Closed loop: how long a user waits between an answer and its next request.
    pub think: Option<Think>,
    /// Seconds from the start that are in the time series but in no other figure.
    #[serde(default)]
    pub warmup_seconds: f64,
    /// How long, and in the open loop at what rate.
    #[serde(default, rename = "stage")]
    pub stages: Vec<StageDraft>,
    /// Sizes that values refer to by name and that `--set NAME=N` replaces.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    /// What fills placeholders. `unique` and `email` are always there.
    #[serde(default)]
    pub values: BTreeMap<String, ValueDraft>,
    /// Single requests of the mix.
    #[serde(default, rename = "request")]
    pub requests: Vec<RequestDraft>,
    /// Sequences of the mix.
    #[serde(default, rename = "journey")]
    pub journeys: Vec<JourneyDraft>,
    /// What the run must keep.
    #[serde(default)]
    pub thresholds: Thresholds,
    /// Where it was read from, for messages.
    #[serde(skip)]
    pub file: String,
}

fn one() -> u64 {
    1
}

/// A pause between an answer and the next request, in milliseconds; at most an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Think {
    /// Always the same.
    #[serde(rename = "fixed_ms")]
    Fixed(u32),
    /// Exponential with this mean, cut at ten times the mean.
    #[serde(rename = "exponential_ms")]
    Exponential(u32),
}

/// One stage: `seconds` with either `rate`, or `from` and `to`, or in the closed loop neither.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageDraft {
    /// How long it lasts.
    pub seconds: f64,
    /// Arrivals a second throughout.
    pub rate: Option<f64>,
    /// Arrivals a second at its start, for a ramp.
    pub from: Option<f64>,
    /// Arrivals a second at its end, for a ramp.
    pub to: Option<f64>,
}

/// How a placeholder is filled.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum ValueDraft {
    /// A whole number from `from` to `to`, each as likely.
    Uniform {
        /// The least, 1 unless told otherwise.
        #[serde(default = "one")]
        from: u64,
        /// The greatest.
        to: Size,
    },
    /// A whole number from 1 to `to`, k in proportion to 1 / k^exponent.
    Zipf {
        /// The greatest, at most 1,000,000.
        to: Size,
        /// Above 0, at most 5. At 1, the favourite of 1,000 is drawn 13 % of the time.
        exponent: f64,
    },
    /// One of these, each as likely.
    Choice(Vec<String>),
    /// A text that no other request of any run has.
    Unique,
    /// An e-mail address that no other request of any run has.
    Email,
}

/// A number, or the name of one of the scenario's counts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Size {
    /// Itself.
    Number(u64),
    /// The count of that name.
    Count(String),
}

impl From<u64> for Size {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

/// One request, of the mix or as a step of a journey.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestDraft {
    /// Its row in the report; requests of one name share a row. Default: method and path template.
    pub name: Option<String>,
    /// Its share of the mix against the other weights, 1 to 1,000,000, default 1. Not in a step.
    pub weight: Option<u32>,
    /// GET, HEAD, POST, PUT, PATCH or DELETE; default GET.
    pub method: Option<String>,
    /// Path and query, with placeholders.
    pub path: String,
    /// Further header fields, with placeholders in their values.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// A JSON body, with placeholders.
    pub body: Option<String>,
    /// Whether to send `Authorization: Bearer` with the run's key.
    #[serde(default)]
    pub auth: bool,
    /// Statuses that count as answered; any of 2xx when empty.
    #[serde(default)]
    pub expect: Vec<u16>,
    /// Keeps an id of the answer for later steps of the journey.
    pub capture: Option<CaptureDraft>,
}

/// What a step keeps of its answer. It must be a number or a text of at most 128 of `A-Z a-z 0-9 . _ ~ -`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureDraft {
    /// The placeholder that later steps use.
    pub name: String,
    /// A JSON pointer into the body, such as `/id`.
    pub json: Option<String>,
    /// Whether to take the last segment of the Location header instead.
    #[serde(default)]
    pub location: bool,
}

/// Steps that run in order on one connection. A step that is not answered as expected ends the journey.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JourneyDraft {
    /// What it is called in messages.
    pub name: String,
    /// Its share of the mix, as with a request.
    pub weight: Option<u32>,
    /// The steps, 1 to 50.
    #[serde(default, rename = "step")]
    pub steps: Vec<RequestDraft>,
}

impl Draft {
    fn empty(name: &str, model: Model) -> Self {
        Self {
            name: name.into(),
            description: String::new(),
            model,
            seed: 1,
            arrivals: None,
            connections: None,
            backlog: None,
            users: None,
            think: None,
            warmup_seconds: 0.0,
            stages: Vec::new(),
            counts: BTreeMap::new(),
            values: BTreeMap::new(),
            requests: Vec::new(),
            journeys: Vec::new(),
            thresholds: Thresholds::default(),
            file: name.into(),
        }
    }

    /// An open loop over at most `connections` connections, still without stages and requests.
    pub fn open(name: &str, connections: u32) -> Self {
        Self { connections: Some(connections), ..Self::empty(name, Model::Open) }
    }

    /// A closed loop of `users`, still without stages and requests.
    pub fn closed(name: &str, users: u32) -> Self {
        Self { users: Some(users), ..Self::empty(name, Model::Closed) }
    }

    /// Adds a stage of `seconds` at `rate` arrivals a second.
    pub fn rate(mut self, seconds: f64, rate: f64) -> Self {
        self.stages.push(StageDraft { seconds, rate: Some(rate), ..StageDraft::default() });
        self
    }

    /// Adds a stage that goes from one rate to another.
    pub fn ramp(mut self, seconds: f64, from: f64, to: f64) -> Self {
        self.stages.push(StageDraft { seconds, from: Some(from), to: Some(to), ..StageDraft::default() });
        self
    }

    /// Adds a closed-loop stage: how long it lasts, warm-up included.
    pub fn seconds(mut self, seconds: f64) -> Self {
        self.stages.push(StageDraft { seconds, ..StageDraft::default() });
        self
    }

    /// Leaves the first `seconds` of the run out of the figures.
    pub fn warmup(mut self, seconds: f64) -> Self {
        self.warmup_seconds = seconds;
        self
    }

    /// Defines what fills `{name}`.
    pub fn value(mut self, name: &str, value: ValueDraft) -> Self {
        self.values.insert(name.into(), value);
        self
    }

    /// Adds a request to the mix.
    pub fn request(mut self, request: RequestDraft) -> Self {
        self.requests.push(request);
        self
    }

    /// Adds a journey to the mix.
    pub fn journey(mut self, name: &str, weight: u32, steps: Vec<RequestDraft>) -> Self {
        self.journeys.push(JourneyDraft { name: name.into(), weight: Some(weight), steps });
        self
    }
}

impl RequestDraft {
    fn new(method: &str, path: &str) -> Self {
        Self { method: Some(method.into()), path: path.into(), ..Self::default() }
    }

    /// A GET of this path template.
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// A POST of this JSON body template.
    pub fn post(path: &str, body: &str) -> Self {
        Self { body: Some(body.into()), ..Self::new("POST", path) }
    }

    /// A PUT of this JSON body template.
    pub fn put(path: &str, body: &str) -> Self {
        Self { body: Some(body.into()), ..Self::new("PUT", path) }
    }

    /// A DELETE of this path template.
    pub fn delete(path: &str) -> Self {
        Self::new("DELETE", path)
    }

    /// Names its row in the report.
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets its share of the mix.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = Some(weight);
        self
    }

    /// Adds a header field; `{unique}` in the value makes an idempotency key.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// Sends the run's key with it.
    pub fn auth(mut self) -> Self {
        self.auth = true;
        self
    }

    /// Expects this status; may be given more than once.
    pub fn expect(mut self, status: u16) -> Self {
        self.expect.push(status);
        self
    }

    /// Keeps what this JSON pointer finds in the answer as `{name}` for later steps.
    pub fn capture(mut self, name: &str, pointer: &str) -> Self {
        self.capture = Some(CaptureDraft { name: name.into(), json: Some(pointer.into()), location: false });
        self
    }
}
