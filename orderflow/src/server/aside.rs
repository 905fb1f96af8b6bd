//! A process that serves no API: it works in the background, and operators can see how it does.

use std::{future::Future, io::Write, sync::Arc};

use anyhow::Result;
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;

use super::{
    BACKGROUND, MAX_OPS_CONNECTIONS, bind,
    listener::{self, Limits, Phase},
};
use crate::{
    auth::Keys,
    background::Background,
    config::Config,
    http::{App, Shared},
    metrics::Metrics,
    ops,
    store::{self, Backend},
};

/// What the work of such a process is made of.
pub struct Aside<'a> {
    /// The configuration.
    pub config: &'a Arc<Config>,
    /// The open database, whose schema is up to date.
    pub backend: &'a Backend,
    /// What the process counts.
    pub metrics: &'a Metrics,
    /// Where the work is to run.
    pub background: &'a mut Background,
}

/// Opens the operators' listener and the database, begins the work, and goes on with it until `shutdown` is ready.
///
/// # Errors
/// If the address is taken, the database cannot be opened, or the work cannot begin.
pub async fn work_aside(
    config: Config,
    name: &str,
    begin: impl AsyncFnOnce(Aside<'_>) -> Result<()>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<()> {
    let listener = bind("ops.listen", config.ops.listen)?;
    let address = listener.local_addr()?;
    let config = Arc::new(config);
    store::migrate(&config.database, &config.data_dir).await?;
    let backend = Backend::connect(&config.database, &config.data_dir).await?;
    let (metrics, mut background) = (Metrics::default(), Background::default());
    begin(Aside { config: &config, backend: &backend, metrics: &metrics, background: &mut background }).await?;

    let keys = Keys::from_config(&config.auth);
    let app = App::new(Arc::clone(&config), backend.store(), keys, Shared { metrics });
    let limits = Limits { connections: MAX_OPS_CONNECTIONS, head: config.http.idle_timeout };
    let (phase, phases) = watch::channel(Phase::Serving);
    let router = ops::router(app.clone());
    let served = listener::serve(listener, limits, phases, move |_| TowerToHyperService::new(router.clone()));
    let text =
        format!("OrderFlow  {name}\noperators  http://{address}/healthz\ndatabase   {}\n", config.database_shown());
    let _ = std::io::stdout().write_all(text.as_bytes());

    shutdown.await;
    tracing::info!("ending");
    app.health.drain();
    if !background.end(BACKGROUND).await {
        tracing::warn!(after = ?BACKGROUND, "some of the work did not end in time");
    }
    let _ = phase.send(Phase::Closing);
    if tokio::time::timeout(config.http.drain_timeout, served.ended()).await.is_err() {
        tracing::warn!(after = ?config.http.drain_timeout, "some requests did not end in time");
    }
    app.store.close().await;
    tracing::info!("ended");
    Ok(())
}
