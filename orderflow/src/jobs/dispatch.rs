//! Who gets a place: claims as places become free, and begins what was claimed at once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
    time::{sleep_until, timeout},
};

use super::{
    Claimed, Outcome, Settled,
    broker::{Receipt, Work},
    recorder::Recorder,
    worker::{OUTAGE, Source, Worker},
};
use crate::{
    background::Stop,
    resilience::{Permit, State},
    store::Result,
};

/// How many claims are under way at once. One alone would make each place wait for the claim of the one before it; the more
/// there are, the fewer notifications each statement takes.
const CLAIMS: usize = 4;
/// How often it is looked whether the mail server may be tried again.
const LOOK: Duration = Duration::from_millis(50);

pub(super) struct Dispatch {
    worker: Arc<Worker>,
    recorder: Recorder,
    places: Arc<Semaphore>,
    begun: JoinSet<()>,
    claims: JoinSet<Answer>,
    /// Permits of a half-open breaker that found nothing to send yet.
    probes: Vec<Permit>,
}

/// What a claim gave.
struct Answer {
    asked: u32,
    claimed: Result<Vec<Claimed>>,
    places: OwnedSemaphorePermit,
    probe: Option<Permit>,
}

/// Why nothing is claimed for now, and until when.
struct Pause {
    until: Instant,
    /// Whether it ends when something is due.
    idle: bool,
}

impl Dispatch {
    pub(super) fn new(worker: Arc<Worker>, recorder: Recorder) -> Self {
        let places = Arc::new(Semaphore::new(worker.settings.concurrency as usize));
        Self { worker, recorder, places, begun: JoinSet::new(), claims: JoinSet::new(), probes: Vec::new() }
    }

    /// Takes up work until told to stop, and ends what was begun.
    pub(super) async fn run(mut self, source: Source, mut stop: Stop) {
        match source {
            Source::Table => self.from_table(&mut stop).await,
            Source::Broker(work) => self.from_broker(work, &mut stop).await,
        }
        let finish = self.worker.settings.finish;
        let ended = timeout(finish, async { while self.begun.join_next().await.is_some() {} });
        if ended.await.is_err() {
            let count = self.begun.len();
            tracing::warn!(count, after = ?finish, "mails that were begun did not end in time; they may be sent again");
        }
    }

    async fn from_table(&mut self, stop: &mut Stop) {
        let mut pause: Option<Pause> = None;
        let mut failed = 0;
        loop {
            while self.begun.try_join_next().is_some() {}
            tokio::select! {
                biased;
                () = stop.wait() => break,
                Some(Ok(answer)) = self.claims.join_next(), if !self.claims.is_empty() => {
                    pause = self.begin_all(answer, &mut failed);
                }
                () = over(&self.worker, pause.as_ref()), if pause.is_some() => pause = None,
                Ok(place) = Arc::clone(&self.places).acquire_owned(), if pause.is_none() && self.claims.len() < CLAIMS => {
                    if !self.claim(place) {
                        pause = Some(Pause { until: Instant::now() + LOOK, idle: false });
                    }
                }
            }
        }
        // A claim that was sent may have been made: what it gives is given back, and not left to the end of its lease.
        while let Some(answer) = self.claims.join_next().await {
            for claimed in answer.into_iter().flat_map(|answer| answer.claimed.into_iter().flatten()) {
                self.give_back(&claimed, None).await;
            }
        }
    }

    /// Claims for every place that is free, this one included. False if the mail server is left alone for now.
    fn claim(&mut self, mut places: OwnedSemaphorePermit) -> bool {
        let probe = match self.admit() {
            Admitted::Freely => {
                let free = u32::try_from(self.places.available_permits()).unwrap_or(u32::MAX);
                if let Ok(more) = Arc::clone(&self.places).try_acquire_many_owned(free) {
                    places.merge(more);
                }
                None
            }
            Admitted::ToProbe(permit) => Some(permit),
            Admitted::Not => return false,
        };
        let asked = u32::try_from(places.num_permits()).unwrap_or(u32::MAX);
        let (jobs, lease) = (Arc::clone(&self.worker.jobs), self.worker.settings.lease);
        self.claims.spawn(async move {
            let claimed = jobs.claim(asked, lease).await;
            Answer { asked, claimed, places, probe }
        });
        true
    }

    /// Begins what was claimed. Says whether to pause before the next claim.
    fn begin_all(&mut self, answer: Answer, failed: &mut u32) -> Option<Pause> {
        let Answer { asked, claimed, mut places, mut probe } = answer;
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => {
                self.probes.extend(probe);
                *failed += 1;
                if failed.is_power_of_two() {
                    tracing::warn!(%error, failed, "nothing can be taken up; it is tried again");
                }
                return Some(Pause { until: Instant::now() + OUTAGE.after(*failed), idle: false });
            }
        };
        *failed = 0;
        let all = claimed.len() == asked as usize;
        for claimed in claimed {
            // There are never more of them than places.
            let Some(place) = places.split(1) else { break };
            self.begin(claimed, place, probe.take(), None);
        }
        self.probes.extend(probe);
        (!all).then(|| Pause { until: Instant::now() + self.worker.settings.poll, idle: true })
    }

    async fn from_broker(&mut self, mut work: mpsc::Receiver<Work>, stop: &mut Stop) {
        loop {
            while self.begun.try_join_next().is_some() {}
            let next = async {
                let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
                let probe = loop {
                    match self.admit() {
                        Admitted::Freely => break None,
                        Admitted::ToProbe(permit) => break Some(permit),
                        Admitted::Not => tokio::time::sleep(LOOK).await,
                    }
                };
                Some((work.recv().await?, place, probe))
            };
            let next = tokio::select! {
                biased;
                () = stop.wait() => None,
                next = next => next,
            };
            let Some((Work { claimed, receipt }, place, probe)) = next else { break };
            self.begin(claimed, place, probe, Some(receipt));
        }
    }

    fn begin(
        &mut self,
        claimed: Claimed,
        place: OwnedSemaphorePermit,
        probe: Option<Permit>,
        receipt: Option<Receipt>,
    ) {
        if claimed.maybe_sent {
            self.worker.metrics.mail_repeats_possible.inc();
        }
        let (worker, recorder) = (Arc::clone(&self.worker), self.recorder.clone());
        self.begun.spawn(async move {
            let outcome = worker.attempt(&claimed, probe).await;
            recorder.record(Settled { id: claimed.id, claim: claimed.claim, outcome }, receipt).await;
            drop(place);
        });
    }

    async fn give_back(&self, claimed: &Claimed, receipt: Option<Receipt>) {
        let settled = Settled { id: claimed.id, claim: claimed.claim, outcome: Outcome::Returned };
        self.recorder.record(settled, receipt).await;
    }

    /// Asks the breaker before something is claimed, so that no attempt is used up while the mail server is away.
    fn admit(&mut self) -> Admitted {
        if self.worker.breaker.state() == State::Closed {
            // Permits of an earlier state mean nothing any more.
            self.probes.clear();
            return Admitted::Freely;
        }
        match self.probes.pop().or_else(|| self.worker.breaker.enter().ok()) {
            Some(permit) => Admitted::ToProbe(permit),
            None => Admitted::Not,
        }
    }
}

/// What the breaker says.
enum Admitted {
    Freely,
    ToProbe(Permit),
    Not,
}

/// Waits until a pause is over.
async fn over(worker: &Worker, pause: Option<&Pause>) {
    let Some(pause) = pause else { return };
    tokio::select! {
        () = sleep_until(pause.until.into()) => {}
        () = worker.wake.until_due(), if pause.idle => {}
    }
}
