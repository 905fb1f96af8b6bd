//! A worker as the configuration has it, with the broker between where there is one.

use std::time::Duration;

use tokio::sync::mpsc;

use super::{
    SharedJobs, Traces, Wake,
    broker::{Broker, NoAddress},
    worker::{Settings, Source, Worker},
};
use crate::{
    background::Background,
    config::Config,
    mail::{self, Sender, SetupError},
    metrics::Metrics,
};

/// Why there is no worker.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no way to send mail.
    #[error(transparent)]
    Mail(#[from] SetupError),
    /// The broker's address cannot be used.
    #[error(transparent)]
    Broker(#[from] NoAddress),
}

/// Starts a worker, and gives the broker that it works with, if there is one. What it has begun when it is time to stop has so
/// long to end.
///
/// # Errors
/// If mail cannot be sent by what is configured, or the broker's address cannot be used. Neither is asked yet.
pub fn start(
    config: &Config,
    jobs: SharedJobs,
    metrics: &Metrics,
    wake: &Wake,
    finish: Duration,
    background: &mut Background,
) -> Result<Option<Broker>, StartError> {
    let (mailer, sender) = (mail::mailer(config)?, Sender::new(&config.mail)?);
    let settings = Settings::new(config, finish);
    let worker = Worker::new(jobs.clone(), mailer, sender, metrics.clone(), wake.clone(), settings);
    let worker = worker.traced(Traces::new(&config.telemetry, metrics));
    let broker = Broker::new(&config.queue, metrics)?;
    let source = match broker.clone() {
        None => Source::Table,
        Some(broker) => {
            let (places, work) = mpsc::channel(settings.concurrency as usize);
            background.spawn(|stop| broker.clone().publish(jobs.clone(), wake.for_due(), stop));
            background.spawn(|stop| broker.consume(jobs, places, stop));
            Source::Broker(work)
        }
    };
    background.spawn(|stop| worker.run(source, stop));
    Ok(broker)
}
