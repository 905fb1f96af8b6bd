//! From a draft to a scenario: every problem is found, not only the first.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Capture, Draft, JourneyDraft, Mix, Model, Pace, RequestDraft, Scenario, ScenarioError, Size, Step, Think,
    ValueDraft,
};
use crate::{
    schedule::{Arrivals, Schedule, Stage},
    template::{Source, Template, is_name},
    values::{Draw, MAX_ZIPF, Value, Zipf},
};

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
/// Header fields that the client writes itself.
const RESERVED: [&str; 5] = ["host", "content-length", "transfer-encoding", "connection", "expect"];
const MAX_CONNECTIONS: u32 = 10_000;
const MAX_BACKLOG: u32 = 1_000_000;
const MAX_RATE: f64 = 1e6;
const MAX_SECONDS: f64 = 86_400.0;
const MAX_STAGES: usize = 100;
const MAX_ENTRIES: usize = 100;
const MAX_STEPS: usize = 50;
const MAX_WEIGHT: u32 = 1_000_000;
const MAX_THINK_MS: u32 = 3_600_000;
const MAX_BODY: usize = 1 << 20;
const MAX_PATH: usize = 8 << 10;

/// Collects problems, each under its key.
struct Check<'a> {
    draft: &'a Draft,
    problems: Vec<String>,
    names: BTreeMap<&'a str, usize>,
    values: Vec<Value>,
    routes: Vec<String>,
}

impl Draft {
    /// Checks everything, and resolves names.
    ///
    /// # Errors
    /// Every problem there is, one line each.
    pub fn check(&self) -> Result<Scenario, ScenarioError> {
        let mut check =
            Check { draft: self, problems: Vec::new(), names: BTreeMap::new(), values: Vec::new(), routes: Vec::new() };
        if self.name.is_empty() || self.name.len() > 100 || self.name.chars().any(char::is_control) {
            check.problem("name", "give it 1 to 100 printable characters");
        }
        check.values();
        let pace = check.pace();
        let mix = check.mix();
        check.thresholds();
        if !check.problems.is_empty() {
            return Err(ScenarioError { file: self.file.clone(), problems: check.problems });
        }
        Ok(Scenario {
            name: self.name.clone(),
            description: self.description.clone(),
            seed: self.seed,
            warmup: Duration::from_secs_f64(self.warmup_seconds),
            pace,
            values: check.values,
            routes: check.routes,
            mix,
            thresholds: self.thresholds,
        })
    }
}

impl<'a> Check<'a> {
    fn problem(&mut self, key: &str, what: &str) {
        self.problems.push(format!("{key}: {what}"));
    }

    /// Defines the placeholders.
    fn values(&mut self) {
        let draft = self.draft;
        let built_in = [("unique", Value::Unique), ("email", Value::Email)];
        let own = draft.values.iter().filter_map(|(name, value)| {
            let key = format!("values.{name}");
            if !is_name(name) {
                self.problem(&key, "a name is lower-case letters, digits and _, and begins with a letter");
            }
            self.value(&key, value).map(|value| (name.as_str(), value))
        });
        let own: Vec<_> = own.collect();
        for (name, value) in built_in.into_iter().chain(own) {
            self.names.insert(name, self.values.len());
            self.values.push(value);
        }
    }

    fn value(&mut self, key: &str, value: &ValueDraft) -> Option<Value> {
        match value {
            ValueDraft::Uniform { from, to } => {
                let to = self.size(key, to)?;
                if *from > to {
                    self.problem(key, &format!("the range {from} to {to} is empty; `from` must not be above `to`"));
                    return None;
                }
                Some(Value::Uniform(*from..=to))
            }
            ValueDraft::Zipf { to, exponent } => {
                let to = self.size(key, to)?;
                if !(1..=MAX_ZIPF).contains(&to) {
                    self.problem(key, &format!("`to` is {to}; a zipf value takes 1 to {MAX_ZIPF}"));
                    return None;
                }
                if !(*exponent > 0.0 && *exponent <= 5.0) {
                    self.problem(key, &format!("`exponent` is {exponent}; give it more than 0 and at most 5"));
                    return None;
                }
                Some(Value::Zipf(Zipf::new(to, *exponent)))
            }
            ValueDraft::Choice(among) => {
                if among.is_empty() || among.iter().any(|text| !plain(text)) {
                    self.problem(key, "list one or more texts of 1 to 128 of the characters A-Z a-z 0-9 . _ ~ -");
                    return None;
                }
                Some(Value::Choice(among.clone().into()))
            }
            ValueDraft::Unique => Some(Value::Unique),
            ValueDraft::Email => Some(Value::Email),
        }
    }

    fn size(&mut self, key: &str, size: &Size) -> Option<u64> {
        match size {
            Size::Number(number) => Some(*number),
            Size::Count(name) => {
                let count = self.draft.counts.get(name).copied();
                if count.is_none() {
                    self.problem(key, &format!("there is no count `{name}`; define it under [counts]"));
                }
                count
            }
        }
    }

    fn pace(&mut self) -> Pace {
        let draft = self.draft;
        let stages: Vec<Stage> = draft.stages.iter().enumerate().map(|(at, _)| self.stage(at)).collect();
        let seconds: f64 = stages.iter().map(|stage| stage.seconds).sum();
        if stages.is_empty() || stages.len() > MAX_STAGES {
            self.problem("stage", &format!("there are {}; give it 1 to {MAX_STAGES}", stages.len()));
        } else if !(seconds > 0.0 && seconds <= MAX_SECONDS) {
            self.problem("stage", &format!("they last {seconds} s; make it more than 0 and at most {MAX_SECONDS}"));
        } else if !(draft.warmup_seconds >= 0.0 && draft.warmup_seconds < seconds) {
            let what =
                format!("is {}; it must be at least 0 and less than the {seconds} s in all", draft.warmup_seconds);
            self.problem("warmup_seconds", &what);
        }
        let mut only_in = |key: &str, given: bool, model: Model, wanted: Model, instead: &str| {
            if given && model != wanted {
                self.problems.push(format!("{key}: {instead}"));
            }
        };
        let open = "belongs to the open loop; remove it or set model = \"open\"";
        let closed = "belongs to the closed loop; remove it or set model = \"closed\"";
        only_in("arrivals", draft.arrivals.is_some(), draft.model, Model::Open, open);
        only_in("connections", draft.connections.is_some(), draft.model, Model::Open, open);
        only_in("backlog", draft.backlog.is_some(), draft.model, Model::Open, open);
        only_in("users", draft.users.is_some(), draft.model, Model::Closed, closed);
        only_in("think", draft.think.is_some(), draft.model, Model::Closed, closed);
        match draft.model {
            Model::Open => {
                let connections = draft.connections.unwrap_or(64);
                let backlog = draft.backlog.unwrap_or(10_000);
                self.within("connections", connections, MAX_CONNECTIONS);
                self.within("backlog", backlog, MAX_BACKLOG);
                let arrivals = draft.arrivals.unwrap_or(Arrivals::Even);
                let schedule = Schedule::new(stages, arrivals, draft.seed);
                if self.problems.is_empty() && schedule.expected() <= 0.0 {
                    self.problem("stage", "no arrival is due; give a stage a rate above 0");
                }
                Pace::Open { schedule, connections, backlog }
            }
            Model::Closed => {
                self.within("users", draft.users.unwrap_or(0), MAX_CONNECTIONS);
                if let Some(Think::Fixed(ms) | Think::Exponential(ms)) = draft.think
                    && ms > MAX_THINK_MS
                {
                    self.problem("think", &format!("{ms} ms is over {MAX_THINK_MS}, which is the most it may be"));
                }
                let seconds = if seconds > 0.0 && seconds <= MAX_SECONDS { seconds } else { 0.0 };
                let users = draft.users.unwrap_or(0);
                Pace::Closed { users, duration: Duration::from_secs_f64(seconds), think: draft.think }
            }
        }
    }

    fn within(&mut self, key: &str, number: u32, most: u32) {
        if !(1..=most).contains(&number) {
            self.problem(key, &format!("is {number}; give it 1 to {most}"));
        }
    }

    fn stage(&mut self, at: usize) -> Stage {
        let stage = self.draft.stages[at];
        let key = format!("stage[{at}]");
        if !(stage.seconds > 0.0 && stage.seconds <= MAX_SECONDS) {
            self.problem(&key, &format!("lasts {} s; make it more than 0 and at most {MAX_SECONDS}", stage.seconds));
        }
        let (from, to) = match (self.draft.model, stage.rate, stage.from, stage.to) {
            (Model::Closed, None, None, None) => (0.0, 0.0),
            (Model::Closed, ..) => {
                self.problem(&key, "a closed loop has no rate; keep `seconds` only, or set model = \"open\"");
                (0.0, 0.0)
            }
            (Model::Open, Some(rate), None, None) => (rate, rate),
            (Model::Open, None, Some(from), Some(to)) => (from, to),
            (Model::Open, ..) => {
                self.problem(&key, "give it either `rate`, or both `from` and `to`");
                (0.0, 0.0)
            }
        };
        for rate in [from, to] {
            if !(0.0..=MAX_RATE).contains(&rate) {
                self.problem(&key, &format!("a rate of {rate} a second is outside 0 to {MAX_RATE}"));
            }
        }
        Stage { seconds: stage.seconds, from, to }
    }

    fn mix(&mut self) -> Mix {
        let draft = self.draft;
        let entries = draft.requests.len() + draft.journeys.len();
        if entries == 0 || entries > MAX_ENTRIES {
            let what = format!("the mix has {entries} entries; give it 1 to {MAX_ENTRIES} [[request]] or [[journey]]");
            self.problem("request", &what);
        }
        let mut sum = 0;
        let mut mix = Vec::new();
        for (at, request) in draft.requests.iter().enumerate() {
            let key = format!("request[{at}]");
            sum += self.weight(&key, request.weight);
            if request.capture.is_some() {
                self.problem(
                    &format!("{key}.capture"),
                    "only later steps of a journey could use it; make this a journey",
                );
            }
            mix.extend(self.step(&key, request, &[]).map(|step| (sum, vec![step])));
        }
        for (at, journey) in draft.journeys.iter().enumerate() {
            let key = format!("journey[{at}]");
            sum += self.weight(&key, journey.weight);
            mix.push((sum, self.journey(&key, journey)));
        }
        Mix { entries: mix }
    }

    fn weight(&mut self, key: &str, weight: Option<u32>) -> u64 {
        let weight = weight.unwrap_or(1);
        if !(1..=MAX_WEIGHT).contains(&weight) {
            let what = format!("is {weight}; give it 1 to {MAX_WEIGHT}, or remove the entry");
            self.problem(&format!("{key}.weight"), &what);
        }
        weight.into()
    }

    fn journey(&mut self, key: &str, journey: &'a JourneyDraft) -> Vec<Step> {
        if journey.steps.is_empty() || journey.steps.len() > MAX_STEPS {
            let what = format!("\"{}\" has {} steps; give it 1 to {MAX_STEPS}", journey.name, journey.steps.len());
            self.problem(&format!("{key}.step"), &what);
        }
        let mut captured: Vec<&str> = Vec::new();
        let mut steps = Vec::new();
        for (at, step) in journey.steps.iter().enumerate() {
            let key = format!("{key}.step[{at}]");
            if step.weight.is_some() {
                self.problem(&format!("{key}.weight"), "every step of a journey is run; give the journey the weight");
            }
            steps.extend(self.step(&key, step, &captured));
            if let Some(capture) = &step.capture {
                if !is_name(&capture.name)
                    || self.names.contains_key(capture.name.as_str())
                    || captured.contains(&capture.name.as_str())
                {
                    let what = format!("`{}` is taken or no name; choose another", capture.name);
                    self.problem(&format!("{key}.capture.name"), &what);
                }
                captured.push(&capture.name);
            }
        }
        steps
    }

    fn step(&mut self, key: &str, request: &RequestDraft, captured: &[&str]) -> Option<Step> {
        let before = self.problems.len();
        let wanted = request.method.as_deref().unwrap_or("GET");
        let method = METHODS.into_iter().find(|method| *method == wanted);
        if method.is_none() {
            self.problem(&format!("{key}.method"), &format!("is `{wanted}`; known are {}", METHODS.join(", ")));
        }
        let path = &request.path;
        if !path.starts_with('/') || path.len() > MAX_PATH || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            let what = format!("begin it with / and keep to visible ASCII without spaces, at most {MAX_PATH} bytes");
            self.problem(&format!("{key}.path"), &what);
        }
        for status in &request.expect {
            if !(200..=599).contains(status) {
                self.problem(&format!("{key}.expect"), &format!("{status} is no final status; give it 200 to 599"));
            }
        }
        let headers = request.headers.iter().map(|(name, value)| {
            let key = format!("{key}.headers.{name}");
            self.header(&key, name, value);
            (name.clone(), self.template(&key, value, captured))
        });
        let headers: Vec<_> = headers.collect();
        let path = self.template(&format!("{key}.path"), path, captured);
        let body = request.body.as_ref().map(|body| self.body(&format!("{key}.body"), body, captured));
        let capture = request.capture.as_ref().and_then(|capture| match (&capture.json, capture.location) {
            (Some(pointer), false) if pointer.starts_with('/') => Some(Capture::Json(pointer.clone())),
            (None, true) => Some(Capture::Location),
            _ => {
                self.problem(&format!("{key}.capture"), "give it either json = \"/pointer\" or location = true");
                None
            }
        });
        if self.problems.len() > before {
            return None;
        }
        let method = method?;
        let name = request.name.clone().unwrap_or_else(|| format!("{method} {}", request.path));
        let route = self.routes.iter().position(|known| *known == name).unwrap_or_else(|| {
            self.routes.push(name);
            self.routes.len() - 1
        });
        Some(Step { route, method, path, headers, body, auth: request.auth, expect: request.expect.clone(), capture })
    }

    fn header(&mut self, key: &str, name: &str, value: &str) {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) || !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            self.problem(key, "a header is a token and visible ASCII");
        }
        if name.eq_ignore_ascii_case("authorization") {
            self.problem(key, "a secret does not belong in a file; write auth = true and give the key when it is run");
        } else if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
            self.problem(key, "the client writes this header itself; remove it");
        }
    }

    fn body(&mut self, key: &str, body: &str, captured: &[&str]) -> Template {
        let template = self.template(key, body, captured);
        if body.len() > MAX_BODY {
            self.problem(key, &format!("is over {MAX_BODY} bytes, which is the most a body may be"));
        } else if self.problems.is_empty() {
            // Filled in once, with 1 for what only a run captures, it must be JSON.
            let mut text = Vec::new();
            template.write(&self.values, &vec![b"1".to_vec(); captured.len()], &mut Draw::new(1, 1, 1), &mut text);
            if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&text) {
                let text = String::from_utf8_lossy(&text).into_owned();
                self.problem(key, &format!("filled in it is no JSON ({error}): {text}"));
            }
        }
        template
    }

    fn template(&mut self, key: &str, text: &str, captured: &[&str]) -> Template {
        let resolve = |name: &str| {
            let step = captured.iter().position(|known| *known == name).map(Source::Captured);
            step.or_else(|| self.names.get(name).map(|at| Source::Value(*at)))
        };
        Template::new(text, resolve).unwrap_or_else(|name| {
            let mut known: Vec<_> = self.names.keys().copied().chain(captured.iter().copied()).collect();
            known.sort_unstable();
            let known = known.join(", ");
            self.problem(key, &format!("nothing fills {{{name}}}; define values.{name}, or use one of {known}"));
            Template::default()
        })
    }

    fn thresholds(&mut self) {
        for (name, limit) in self.draft.thresholds.set() {
            if !(limit >= 0.0 && limit.is_finite()) {
                self.problem(&format!("thresholds.{name}"), &format!("is {limit}; give it 0 or more"));
            } else if name == "error_rate" && limit > 1.0 {
                self.problem("thresholds.error_rate", &format!("is {limit}; it is a share, 0 to 1"));
            }
        }
    }
}

/// Whether `text` stands for itself in a path, a header and a JSON string, and is short enough for all of them.
pub(crate) fn plain(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
}
