//! `orderflow serve`, and what every process that runs until it is told to end has: a runtime, the signals that end it, and as
//! many open files as the system allows.

use std::{pin::Pin, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

use orderflow::{
    config::Config,
    server,
    store::{ConnectError, MigrateError},
    telemetry::Telemetry,
};

use super::Started;

/// How long what was not sent to a collector yet has at the end.
const FLUSH: Duration = Duration::from_secs(5);

/// Is ready when it is time to end.
pub(super) type Shutdown = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves until a signal says to end, then drains.
pub(super) fn serve(started: Started) -> Result<ExitCode> {
    until_told(started, server::run)
}

/// Runs what ends by itself when it is told to, which the first signal does. A second one does not wait for that.
pub(super) fn until_told<F>(started: Started, run: impl FnOnce(Config, Telemetry, Shutdown) -> F) -> Result<ExitCode>
where
    F: Future<Output = Result<()>>,
{
    let Started { config, telemetry } = started;
    raise_open_files();
    let runtime = runtime()?;
    let database = super::database::named(&config.database_shown());
    let mut flush = FLUSH;
    let ended = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let (shut_down, shutdown) = oneshot::channel::<()>();
        let running = run(
            config,
            telemetry.clone(),
            Box::pin(async {
                // An error means that nobody can say so any more, which is as good as having said it.
                let _ = shutdown.await;
            }),
        );
        let impatience = async {
            signals.next().await;
            let _ = shut_down.send(());
            signals.next().await;
        };
        tokio::select! {
            ended = running => ended.map(|()| ExitCode::SUCCESS),
            () = impatience => {
                tracing::warn!("a second signal: ending without waiting for what is under way");
                flush = Duration::ZERO;
                Ok(ExitCode::FAILURE)
            }
        }
    });
    // Whatever still blocks a thread must not hold up the end.
    runtime.shutdown_background();
    telemetry.end(flush);
    let of_database =
        |error: &anyhow::Error| error.chain().any(|cause| cause.is::<ConnectError>() || cause.is::<MigrateError>());
    ended.map_err(|error| if of_database(&error) { error.context(database) } else { error })
}

/// Runs a command that ends by itself, and sends what it said.
pub(super) fn once<F>(started: Started, command: impl FnOnce(Config, Telemetry) -> F) -> Result<ExitCode>
where
    F: Future<Output = Result<ExitCode>>,
{
    let Started { config, telemetry } = started;
    let ended = runtime()?.block_on(command(config, telemetry.clone()));
    telemetry.end(FLUSH);
    ended
}

fn runtime() -> Result<Runtime> {
    Builder::new_multi_thread().enable_all().build().context("cannot start the threads of the service")
}

/// The signals that ask the service to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A connection is an open file, and the usual soft limit of 1,024 is meant for programs that use `select`.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}
