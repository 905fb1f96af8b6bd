//! What is asked for with a profile, and the answer to it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use axum::{
    Extension,
    extract::{Request, State},
    http::{
        HeaderValue, Method,
        header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};

use super::stacks::Stacks;
use crate::{
    domain::Invalid,
    http::{App, Kind, Problem, extract::Query},
    telemetry,
};

/// How long a profile takes unless somebody says otherwise.
const USUAL: Duration = Duration::from_secs(10);
/// How often a profile looks whether the process is ending.
const LOOK: Duration = Duration::from_millis(250);
/// How many samples are taken in a second of processor time unless somebody says otherwise: not 100, which others also do
/// things at.
const USUAL_RATE: u32 = 99;
/// The most of them.
const MOST_RATE: u32 = 999;

/// The most samples that a busy process may come to. Until the end each of them takes some 4 KiB of memory or of a temporary
/// file.
const MOST_SAMPLES: u64 = 120_000;

/// What a flamegraph may do in a browser: be searched and zoomed by the script that it brings along, as a page of no origin.
const PICTURE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    frame-ancestors 'none'; sandbox allow-scripts";

/// A kind of profile.
#[derive(Clone, Copy)]
pub(super) struct Profiler {
    /// What it is called in the numbers and in names of files.
    pub(super) name: &'static str,
    /// Its parameters.
    pub(super) parameters: &'static [&'static str],
    /// Whether it is possible at all.
    pub(super) possible: fn() -> Result<(), Impossible>,
    /// Takes one, on a thread that may block.
    pub(super) take: fn(&Asked, &Waiting) -> Result<Stacks, Impossible>,
}

/// Why there is no profile: what is in the way, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Impossible(pub(super) String);

/// What a client wants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) time: Duration,
    /// Samples in a second of processor time.
    pub(super) rate: u32,
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Svg,
    Pprof,
}

impl std::str::FromStr for Format {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "svg" => Ok(Self::Svg),
            "pprof" => Ok(Self::Pprof),
            _ => Err(Invalid("must be svg or pprof".to_owned())),
        }
    }
}

/// A number from 1 on, as a parameter.
struct Whole(u32);

impl std::str::FromStr for Whole {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits && number > 0 => Ok(Self(number)),
            _ => Err(Invalid("must be a whole number from 1 on".to_owned())),
        }
    }
}

impl Asked {
    fn of(mut query: Query, longest: Duration) -> Result<Self, Problem> {
        let (seconds, rate, format) = (query.get("seconds"), query.get("hz"), query.get("format"));
        query.done()?;
        let time = seconds.map_or(USUAL.min(longest), |Whole(seconds)| Duration::from_secs(seconds.into()));
        let wrong = |field: &str, why: String| Err(Problem::new(Kind::BadRequest).field(field, why));
        if time > longest {
            return wrong("seconds", format!("must be at most {}, as ops.max_profile says", longest.as_secs()));
        }
        let processors = thread::available_parallelism().map_or(1, usize::from) as u64;
        let most = (MOST_SAMPLES / (time.as_secs().max(1) * processors)).clamp(1, MOST_RATE.into()) as u32;
        let rate = rate.map_or(USUAL_RATE.min(most), |Whole(rate)| rate);
        if rate > most {
            return wrong("hz", format!("must be at most {most} for a profile of {} s here", time.as_secs()));
        }
        Ok(Self { time, rate, format: format.unwrap_or(Format::Svg) })
    }
}

/// The profile that this process takes, if it takes one: both kinds are the process's, not a service's.
static TAKEN: Mutex<Option<Instant>> = Mutex::new(None);

fn taken() -> MutexGuard<'static, Option<Instant>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to take a profile, until it is dropped.
struct Turn;

impl Turn {
    /// Takes the turn, or says when the other's is expected to end.
    fn take(time: Duration) -> Result<Self, Instant> {
        let mut taken = taken();
        if let Some(until) = *taken {
            return Err(until);
        }
        *taken = Some(Instant::now() + time);
        Ok(Self)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *taken() = None;
    }
}

/// What a profile waits with: until its time is over, its client has gone, or the process ends.
pub(super) struct Waiting {
    app: App,
    client: mpsc::Receiver<()>,
}

impl Waiting {
    /// Waits. False if nobody wants the profile any more.
    pub(super) fn wait(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.client.recv_timeout(left.min(LOOK)) {
                Err(mpsc::RecvTimeoutError::Timeout) if left > LOOK && !self.app.health.is_draining() => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return false,
                _ => return true,
            }
        }
    }

    /// Whether somebody still wants it.
    pub(super) fn is_wanted(&self) -> bool {
        !matches!(self.client.try_recv(), Err(mpsc::TryRecvError::Disconnected))
    }
}

/// Counts what comes of a request, however it ends.
struct Outcome {
    app: App,
    kind: &'static str,
    came: &'static str,
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.app.metrics.profiles.get_or_create(&[("kind", self.kind), ("outcome", self.came)]).inc();
    }
}

/// Takes a profile and answers with it. The thread that takes it sees at once when this future is dropped.
pub(super) async fn profile(
    State(app): State<App>,
    Extension(profiler): Extension<Profiler>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let mut counted = Outcome { app: app.clone(), kind: profiler.name, came: "refused" };
    let asked = Asked::of(Query::of(&parts, profiler.parameters), app.config.ops.max_profile)?;
    (profiler.possible)().map_err(|Impossible(why)| Problem::new(Kind::NoProfile).detail(why))?;
    if parts.method == Method::HEAD {
        counted.came = "done";
        return Ok(answer(profiler, asked.format, Vec::new()));
    }
    let turn = Turn::take(asked.time).map_err(|until| {
        counted.came = "busy";
        let left = until.saturating_duration_since(Instant::now()).as_secs() + 1;
        Problem::new(Kind::ProfileTaken).detail("A process takes one profile at a time.").retry_after(left)
    })?;
    counted.came = "abandoned";
    let (client, gone) = mpsc::channel();
    let waiting = Waiting { app: app.clone(), client: gone };
    let taking = telemetry::spawn_blocking(move || {
        // Another may begin once this has ended, not once its client has gone.
        let _turn = turn;
        let stacks = (profiler.take)(&asked, &waiting)?;
        if !waiting.is_wanted() {
            return Ok(Vec::new());
        }
        match asked.format {
            Format::Svg => stacks.svg().map_err(|error| Impossible(format!("It could not be drawn: {error}."))),
            Format::Pprof => Ok(stacks.pprof()),
        }
    });
    let taken = taking.await;
    drop(client);
    counted.came = "failed";
    let body = match taken {
        Ok(Ok(body)) => body,
        Ok(Err(Impossible(why))) => {
            tracing::warn!(kind = profiler.name, %why, "a profile could not be taken");
            return Err(Problem::new(Kind::NoProfile).detail(why));
        }
        Err(error) => {
            tracing::error!(kind = profiler.name, %error, "taking a profile broke off");
            return Err(Problem::new(Kind::Internal));
        }
    };
    counted.came = "done";
    Ok(answer(profiler, asked.format, body))
}

fn answer(Profiler { name, .. }: Profiler, format: Format, body: Vec<u8>) -> Response {
    match format {
        Format::Svg => {
            let headers = [
                (CONTENT_TYPE, HeaderValue::from_static("image/svg+xml")),
                (CONTENT_SECURITY_POLICY, HeaderValue::from_static(PICTURE_POLICY)),
            ];
            (headers, body).into_response()
        }
        Format::Pprof => {
            let file = format!("attachment; filename=\"orderflow-{name}.pb.gz\"");
            let headers = [
                (CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
                (CONTENT_DISPOSITION, HeaderValue::try_from(file).expect("the name is ASCII")),
            ];
            (headers, body).into_response()
        }
    }
}
