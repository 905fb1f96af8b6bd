//! Telling Sentry of panics and of what is logged as an error: which message or place, in which trace, of which version. No
//! value goes with it that a client may have chosen, since errors quote what they were given.

use std::{
    any::Any,
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    panic::PanicHookInfo,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use prometheus_client::metrics::counter::Counter;
use sentry_core::{
    Client, ClientOptions, Envelope, Level, Transport, TransportFactory, TransportOptions,
    protocol::{self, Event, Exception},
    types::Dsn,
};
use tracing::field::{Field, Visit};
use tracing_subscriber::{Layer, layer};

use super::{
    Work,
    bounds::shortened,
    export::{Address, Exporter},
};
use crate::{config::Telemetry, metrics::Metrics};

/// How the service calls itself to Sentry.
const AGENT: &str = concat!("orderflow/", env!("CARGO_PKG_VERSION"));
const RELEASE: &str = concat!("orderflow@", env!("CARGO_PKG_VERSION"));
/// Fields of an event that go with it. Their values are words and numbers of this program's own.
const TAGS: [&str; 6] = ["method", "route", "status", "statement", "attempt", "kind"];
/// How often the same is told, and in which time.
const OFTEN: u32 = 10;
const WINDOW: Duration = Duration::from_mins(1);
/// How many messages are told apart.
const MESSAGES: usize = 256;
/// The most bytes of a text.
const TEXT: usize = 200;

/// The project that the configuration names, if it names one.
///
/// # Errors
/// If the address is none, which that of a checked configuration is not.
pub(super) fn address(config: &Telemetry) -> Result<Option<Address>> {
    let text = config.sentry_dsn.expose();
    if text.is_empty() {
        return Ok(None);
    }
    // The parser's error could quote it.
    let dsn: Dsn = text.parse().ok().context("telemetry.sentry_dsn")?;
    Ok(Some(Address { url: dsn.envelope_api_url().to_string(), authority: dsn.to_auth(Some(AGENT)).to_string() }))
}

/// Makes reports. Clones are the same.
#[derive(Clone)]
pub(super) struct Reporter(Arc<Inner>);

struct Inner {
    client: Client,
    told: Mutex<HashMap<Cow<'static, str>, Told>>,
    limited: Counter,
}

/// How often something was told.
struct Told {
    since: Instant,
    times: u32,
    /// How often it was not, after that.
    kept_back: u32,
}

/// Hands envelopes to the thread that sends them.
struct Post(Exporter);

impl Transport for Post {
    fn send_envelope(&self, envelope: Envelope) {
        let mut text = Vec::new();
        if envelope.to_writer(&mut text).is_ok() {
            self.0.report(text.into());
        }
    }
}

impl TransportFactory for Post {
    fn create_transport_with_options(&self, _: TransportOptions) -> Arc<dyn Transport> {
        Arc::new(Self(self.0.clone()))
    }
}

impl Reporter {
    /// One that reports by this exporter, if the configuration names a project.
    pub(super) fn new(config: &Telemetry, exporter: &Exporter, metrics: &Metrics) -> Option<Self> {
        let dsn: Dsn = config.sentry_dsn.expose().parse().ok()?;
        let mut options = ClientOptions::new().release(RELEASE).environment(config.environment.clone());
        options.dsn = Some(dsn);
        options.transport = Some(Arc::new(Post(exporter.clone())));
        let limited = metrics.telemetry_records.get_or_create_owned(&[("kind", "report"), ("outcome", "limited")]);
        Some(Self(Arc::new(Inner { client: Client::with_options(options), told: Mutex::default(), limited })))
    }

    /// From now on panics are reported, and then whatever happened before on one happens.
    pub(super) fn watch_panics(&self) {
        let (reporter, before) = (self.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            reporter.panicked(panic);
            before(panic);
        }));
    }

    fn panicked(&self, panic: &PanicHookInfo<'_>) {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let Some(kept_back) = self.admit(place.clone().into()) else { return };
        let exception = Exception {
            ty: "panic".to_owned(),
            value: Some(literal(panic.payload()).unwrap_or("a panic").to_owned()),
            ..Exception::default()
        };
        self.send(Event {
            level: Level::Fatal,
            culprit: Some(shortened(&place, TEXT).to_owned()),
            exception: vec![exception].into(),
            tags: repeats(kept_back),
            ..Event::default()
        });
    }

    /// How many of the kind were kept back since the last one that was told; `None` if this one is to be, too.
    fn admit(&self, what: Cow<'static, str>) -> Option<u32> {
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if told.len() >= MESSAGES && !told.contains_key(&what) {
            told.retain(|_, told| now.duration_since(told.since) < WINDOW);
        }
        // Those for which there is no room share what there is for one.
        let what = if told.len() < MESSAGES || told.contains_key(&what) { what } else { "".into() };
        let told = told.entry(what).or_insert(Told { since: now, times: 0, kept_back: 0 });
        if now.duration_since(told.since) >= WINDOW {
            (told.since, told.times) = (now, 0);
        }
        if told.times == OFTEN {
            told.kept_back += 1;
            self.0.limited.inc();
            return None;
        }
        told.times += 1;
        Some(std::mem::take(&mut told.kept_back))
    }

    fn send(&self, mut event: Event<'static>) {
        if let Some(trace) = Work::with(Work::trace) {
            let context = protocol::TraceContext {
                trace_id: trace.trace.to_bytes().into(),
                span_id: trace.span.to_bytes().into(),
                ..protocol::TraceContext::default()
            };
            event.contexts.insert("trace".to_owned(), context.into());
        }
        self.0.client.capture_event(event, None);
    }
}

/// A panic's text if it is a part of the program. One that was put together may quote anything.
fn literal(payload: &dyn Any) -> Option<&'static str> {
    payload.downcast_ref::<&'static str>().copied()
}

fn repeats(kept_back: u32) -> BTreeMap<String, String> {
    let tag = (kept_back > 0).then(|| ("kept_back".to_owned(), kept_back.to_string()));
    tag.into_iter().collect()
}

impl<S: tracing::Subscriber> Layer<S> for Reporter {
    fn on_event(&self, event: &tracing::Event<'_>, _: layer::Context<'_, S>) {
        let of = event.metadata();
        if *of.level() != tracing::Level::ERROR {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        let Some(kept_back) = self.admit(format!("{}: {}", of.target(), said.message).into()) else { return };
        let mut tags = repeats(kept_back);
        tags.extend(said.tags);
        self.send(Event {
            level: Level::Error,
            logger: Some(of.target().to_owned()),
            message: Some(said.message),
            tags,
            ..Event::default()
        });
    }
}

/// What an event says that may be told.
#[derive(Default)]
struct Said {
    message: String,
    tags: BTreeMap<String, String>,
}

impl Said {
    fn take(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            shortened(value, TEXT).clone_into(&mut self.message);
        } else if TAGS.contains(&field.name()) {
            self.tags.insert(field.name().to_owned(), shortened(value, TEXT).to_owned());
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" || TAGS.contains(&field.name()) {
            self.take(field, &format!("{value:?}"));
        }
    }
}
