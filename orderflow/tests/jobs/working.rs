//! Workers in the test's own process, with a mailer that does as it is told.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use orderflow::{
    background::Background,
    config::{Config, Loaded, Sources},
    jobs::{Settings, SharedJobs, Source, Wake, Worker},
    mail::{Mail, MailError, Mailer, Sender},
    metrics::Metrics,
    resilience::Backoff,
};

use crate::stage::LONG;

/// What the mailer does with one mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Accept,
    Temporary,
    Permanent,
    Hang,
    Panic,
}

/// Does what its script says, mail by mail, and accepts what comes after.
#[derive(Default)]
pub(crate) struct Script {
    acts: Mutex<VecDeque<Act>>,
    /// Every mail that it was asked to send, and what it did.
    pub(crate) asked: Mutex<Vec<(Mail, Act)>>,
    /// How long accepting takes.
    pub(crate) takes: Duration,
    at_once: AtomicUsize,
    pub(crate) most_at_once: AtomicUsize,
}

impl Script {
    pub(crate) fn of(acts: &[Act]) -> Arc<Self> {
        Arc::new(Self { acts: Mutex::new(acts.iter().copied().collect()), ..Self::default() })
    }

    pub(crate) fn slow(takes: Duration) -> Arc<Self> {
        Arc::new(Self { takes, ..Self::default() })
    }

    /// Lets it accept everything from now on.
    pub(crate) fn mend(&self) {
        self.acts.lock().unwrap().clear();
    }

    /// The Message-IDs of the mails that it has accepted.
    pub(crate) fn accepted(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(_, act)| *act == Act::Accept).map(|(mail, _)| mail.message_id.clone()).collect()
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait]
impl Mailer for Script {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let act = self.acts.lock().unwrap().pop_front().unwrap_or(Act::Accept);
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        self.asked.lock().unwrap().push((mail.clone(), act));
        match act {
            Act::Accept => Ok(()),
            Act::Temporary => Err(MailError::Temporary("come again".to_owned())),
            Act::Permanent => Err(MailError::Permanent("no\0 such\r\nmailbox".to_owned())),
            Act::Hang => std::future::pending().await,
            Act::Panic => panic!("a mailer that panics, as the test has it"),
        }
    }
}

/// The configuration without any given.
pub(crate) fn config() -> Config {
    Loaded::load(&Sources::default()).unwrap().config
}

/// Settings with short times.
pub(crate) fn settings() -> Settings {
    Settings {
        concurrency: 4,
        max_attempts: 3,
        backoff: Backoff { base: Duration::from_millis(10), most: Duration::from_millis(50) },
        lease: LONG,
        poll: Duration::from_millis(20),
        send: Duration::from_secs(30),
        retention: LONG,
        finish: Duration::from_secs(30),
    }
}

/// A worker at work.
pub(crate) struct Working {
    background: Background,
    pub(crate) metrics: Metrics,
    pub(crate) wake: Wake,
}

impl Working {
    pub(crate) fn start(jobs: &SharedJobs, mailer: Arc<dyn Mailer>, settings: Settings) -> Self {
        let (mut background, metrics, wake) = (Background::default(), Metrics::default(), Wake::default());
        let sender = Sender::new(&config().mail).unwrap();
        let worker = Worker::new(Arc::clone(jobs), mailer, sender, metrics.clone(), wake.clone(), settings);
        background.spawn(|stop| worker.run(Source::Table, stop));
        Self { background, metrics, wake }
    }

    /// How many notifications ended so.
    pub(crate) fn processed(&self, outcome: &'static str) -> u64 {
        self.metrics.jobs_processed.get_or_create(&[("outcome", outcome)]).get()
    }

    /// Tells it to stop and waits for that.
    pub(crate) async fn end(self) {
        assert!(self.background.end(LONG).await, "the worker did not end");
    }
}
