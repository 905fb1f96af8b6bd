//! A process that works instead of answering: it has the database, tasks, and the operators' listener.

use std::{future::Future, io::Write, net::SocketAddr, sync::Arc};

use anyhow::Result;
use tokio::sync::watch;

use super::{bind, listener::Phase, show_operators};
use crate::{
    auth::Keys,
    background::Background,
    config::Config,
    http::{App, Shared},
    jobs::Wake,
    metrics::Metrics,
    ops::{self, Health},
    store::{self, Backend},
    telemetry::Telemetry,
};

/// What tasks work with.
pub struct Bench<'a> {
    /// The configuration.
    pub config: &'a Arc<Config>,
    /// The database.
    pub backend: &'a Backend,
    /// What the process counts.
    pub metrics: &'a Metrics,
    /// Who works in this process.
    pub wake: &'a Wake,
    /// What the probes tell.
    pub health: &'a Health,
    /// Where tasks are started.
    pub background: &'a mut Background,
}

/// Opens the database, starts tasks, and shows how they are doing on the operators' listener until `shutdown` is ready. Then
/// the tasks are told to stop and have `http.drain_timeout` to end. `start` gives what the person who started the process is
/// told, in a line.
///
/// # Errors
/// If the address is taken, the database cannot be opened, or the tasks do not start.
pub async fn work(
    config: Config,
    telemetry: Telemetry,
    start: impl FnOnce(Bench<'_>) -> Result<String>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<()> {
    let listener = bind("ops.listen", config.ops.listen)?;
    let address = listener.local_addr()?;
    let config = Arc::new(config);
    store::migrate(&config.database, &config.data_dir).await?;
    let backend = Backend::connect(&config.database, &config.data_dir).await?;
    backend.count_in(&telemetry);
    let metrics = telemetry.metrics.clone();
    let shared = Shared { telemetry, ..Shared::default() };
    let wake = shared.wake.clone();
    let app = App::new(Arc::clone(&config), backend.store(), Keys::from_config(&config.auth), shared);
    let mut background = Background::default();
    let bench = Bench {
        config: &config,
        backend: &backend,
        metrics: &metrics,
        wake: &wake,
        health: &app.health,
        background: &mut background,
    };
    let told = start(bench)?;
    background.spawn(|stop| ops::watch_delay(metrics, stop));
    let (phase, phases) = watch::channel(Phase::Serving);
    let served = show_operators(listener, &app, phases);
    announce(&told, address, &config);
    shutdown.await;
    tracing::info!("ending");
    app.health.drain();
    if !background.end(config.http.drain_timeout).await {
        tracing::warn!(after = ?config.http.drain_timeout, "some tasks did not end in time");
    }
    // Whoever looks at the probes and the numbers can do so until now.
    let _ = phase.send(Phase::Closing);
    let _ = tokio::time::timeout(config.http.drain_timeout, served.ended()).await;
    app.store.close().await;
    tracing::info!("ended");
    Ok(())
}

/// Who has stopped listening misses it, and the process runs on.
fn announce(told: &str, ops: SocketAddr, config: &Config) {
    let database = config.database_shown();
    let text = format!("{told}\noperators  http://{ops}/console\ndatabase   {database}\n");
    let _ = std::io::stdout().write_all(text.as_bytes());
}
