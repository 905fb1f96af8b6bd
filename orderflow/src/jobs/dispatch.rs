//! Who gets a place: claims as places become free, a few more than are sent at once, so that whoever has sent a mail finds the
//! next one claimed already.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
    time::{sleep_until, timeout},
};
use tracing::Instrument;

use super::{
    Claimed, Outcome, Settled,
    broker::{Offer, Receipt},
    recorder::Recorder,
    traced,
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
/// How many of those that are sent at once are worth one more that is claimed meanwhile.
const AHEAD: u32 = 4;
/// The part of its lease after which a notification that still waits to be sent is given back instead.
const STALE: u32 = 8;
/// How often it is looked whether the mail server may be tried again.
const LOOK: Duration = Duration::from_millis(50);

pub(super) struct Dispatch {
    worker: Arc<Worker>,
    recorder: Recorder,
    /// For what is claimed.
    places: Arc<Semaphore>,
    /// For what is sent.
    sending: Arc<Semaphore>,
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
    /// Of the broker's message, if there was one.
    receipt: Option<Receipt>,
}

/// Why nothing is claimed for now, and until when.
struct Pause {
    until: Instant,
    /// Whether it ends when something is due.
    idle: bool,
}

impl Dispatch {
    pub(super) fn new(worker: Arc<Worker>, recorder: Recorder) -> Self {
        let at_once = worker.settings.concurrency;
        let places = Arc::new(Semaphore::new((at_once + at_once.div_ceil(AHEAD)) as usize));
        let sending = Arc::new(Semaphore::new(at_once as usize));
        Self { worker, recorder, places, sending, begun: JoinSet::new(), claims: JoinSet::new(), probes: Vec::new() }
    }

    /// Takes up work until told to stop, and ends what was begun.
    pub(super) async fn run(mut self, source: Source, mut stop: Stop) {
        match source {
            Source::Table => self.serve_table(&mut stop).await,
            Source::Broker(offers) => self.serve_broker(offers, &mut stop).await,
        }
        let finish = self.worker.settings.finish;
        let ended = timeout(finish, async {
            self.give_all_back().await;
            while self.begun.join_next().await.is_some() {}
        });
        if ended.await.is_err() {
            let count = self.begun.len();
            tracing::warn!(count, after = ?finish, "mails that were begun did not end in time; they may be sent again");
        }
    }

    async fn serve_table(&mut self, stop: &mut Stop) {
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
    }

    /// A claim that is under way is not broken off: the database may have made it. What it gives is given back, and not left
    /// to the end of its lease.
    async fn give_all_back(&mut self) {
        while let Some(answer) = self.claims.join_next().await {
            let Ok(Answer { claimed: Ok(claimed), mut receipt, .. }) = answer else { continue };
            for claimed in claimed {
                self.give_back(&claimed, receipt.take()).await;
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
            Answer { asked, claimed, places, probe, receipt: None }
        });
        true
    }

    /// Begins what was claimed. Says whether to pause before the next claim.
    fn begin_all(&mut self, answer: Answer, failed: &mut u32) -> Option<Pause> {
        let Answer { asked, claimed, mut places, mut probe, mut receipt } = answer;
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
            self.begin(claimed, place, probe.take(), receipt.take());
        }
        self.probes.extend(probe);
        (!all).then(|| Pause { until: Instant::now() + self.worker.settings.poll, idle: true })
    }

    async fn serve_broker(&mut self, mut offers: mpsc::Receiver<Offer>, stop: &mut Stop) {
        // A place, with the breaker's permit if it asks for one: nothing is claimed before, so that no claim runs out while
        // it waits, and no attempt is used up.
        let mut ready = None;
        let mut pause: Option<Pause> = None;
        let mut failed = 0;
        loop {
            while self.begun.try_join_next().is_some() {}
            tokio::select! {
                biased;
                () = stop.wait() => break,
                Some(Ok(answer)) = self.claims.join_next(), if !self.claims.is_empty() => {
                    self.begin_all(answer, &mut failed);
                }
                () = over(&self.worker, pause.as_ref()), if pause.is_some() => pause = None,
                Ok(place) = Arc::clone(&self.places).acquire_owned(), if ready.is_none() && pause.is_none() => {
                    match self.admit() {
                        Admitted::Freely => ready = Some((place, None)),
                        Admitted::ToProbe(permit) => ready = Some((place, Some(permit))),
                        Admitted::Not => pause = Some(Pause { until: Instant::now() + LOOK, idle: false }),
                    }
                }
                offer = offers.recv(), if ready.is_some() => {
                    let Some((offer, (places, probe))) = offer.zip(ready.take()) else { break };
                    self.claims.spawn(async move {
                        let (claimed, receipt) = offer.take().await.unzip();
                        Answer { asked: 1, claimed: Ok(claimed.into_iter().collect()), places, probe, receipt }
                    });
                }
            }
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
        let system = if receipt.is_some() { "rabbitmq" } else { "table" };
        let (work, span) = self.worker.traces.sending(&claimed, system);
        let (worker, recorder, sending) = (Arc::clone(&self.worker), self.recorder.clone(), Arc::clone(&self.sending));
        let sent = async move {
            // What has waited for so long is behind mails that are slow; another worker may be quicker.
            let sender = timeout(worker.settings.lease / STALE, sending.acquire_owned()).await;
            let outcome = match &sender {
                Ok(_) => worker.attempt(&claimed, probe).await,
                Err(_) => Outcome::Returned,
            };
            drop(sender);
            traced::ended(&outcome);
            recorder.record(Settled { id: claimed.id, claim: claimed.claim, outcome }, receipt).await;
            drop(place);
        };
        self.begun.spawn(work.scope(sent.instrument(span)));
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
