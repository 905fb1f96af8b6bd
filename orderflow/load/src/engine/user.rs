//! What happens on one connection: an arrival becomes a request or a journey, and each is recorded.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::{Duration, Instant},
};

use super::Shared;
use crate::{
    client::{Connection, ErrorKind, Failure, Prepared, Totals, deadline::Deadline},
    record::{Ended, Recorder},
    scenario::Think,
    values::Draw,
};

/// How long a user waits after a refused connection.
const REFUSED: Duration = Duration::from_millis(10);

/// What the connections of one thread have in common.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) shared: Arc<Shared>,
    /// The requests of each entry of the mix.
    pub(crate) mix: Vec<Vec<Prepared>>,
    pub(crate) recorder: RefCell<Recorder>,
    pub(crate) totals: Cell<Totals>,
}

impl Common {
    fn add(&self, Totals { connects, retries, bytes }: Totals) {
        let all = self.totals.get();
        self.totals.set(Totals {
            connects: all.connects + connects,
            retries: all.retries + retries,
            bytes: all.bytes + bytes,
        });
    }
}

/// One connection and what its requests are made in.
#[derive(Debug)]
pub(crate) struct User {
    connection: Connection,
    deadline: Deadline,
    captured: Vec<Vec<u8>>,
    scratch: Vec<u8>,
    out: Vec<u8>,
}

/// When a request counts as begun.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Begin {
    /// Open loop: at its due time. Whether a connection was free then.
    Due(Instant, bool),
    /// Closed loop: when it is sent. Users stop at the given time and think in between.
    Sent(Instant, Option<Think>),
}

impl User {
    pub(crate) fn new(connection: Connection, limit: Duration) -> Self {
        Self {
            connection,
            deadline: Deadline::new(limit),
            captured: Vec::new(),
            scratch: Vec::new(),
            out: Vec::with_capacity(512),
        }
    }

    /// Sends what arrival `number` asks for, step by step until one fails. Returns when the last answer was there.
    pub(crate) async fn visit(&mut self, common: &Common, number: u64, begin: Begin) -> Instant {
        let shared = &*common.shared;
        let mut draw = Draw::new(shared.scenario.seed, shared.run, number);
        let steps = &common.mix[shared.scenario.mix.choose(&mut draw.rng)];
        self.captured.clear();
        // A later step of an open journey is due as soon as the one before it is answered, and not before.
        let mut due = None;
        for step in steps {
            step.write(&shared.scenario.values, &self.captured, &mut draw, &mut self.scratch, &mut self.out);
            let sent = Instant::now();
            let (intended, direct) = match (begin, due) {
                (Begin::Due(due, direct), None) => (due, direct.then_some(due)),
                (Begin::Due(..), Some(due)) => (due, None),
                (Begin::Sent(end, _), _) if sent >= end || shared.stopped() => return sent,
                (Begin::Sent(..), _) => (sent, None),
            };
            let measured = common.recorder.borrow().measures(intended);
            common.recorder.borrow_mut().sent(step.route, sent, measured, direct);
            let exchange = self.connection.exchange(&self.out, step.shape);
            let answer = self.deadline.hold(sent, exchange).await;
            common.add(std::mem::take(&mut self.connection.totals));
            let at = answer.as_ref().map_or_else(|_| Instant::now(), |answer| answer.at);
            let status = answer.as_ref().ok().map(|answer| answer.status);
            let kept = answer.and_then(|answer| {
                if !step.expects(answer.status) {
                    return Err(Failure::new(ErrorKind::Status, format!("status {} is not expected", answer.status)));
                }
                step.capture(&self.connection.kept)
            });
            let failure = kept.as_ref().err();
            common.recorder.borrow_mut().ended(&Ended {
                route: step.route,
                intended,
                sent,
                at,
                status,
                failure,
                measured,
            });
            match kept {
                Err(failure) => {
                    if failure.kind == ErrorKind::Connect {
                        refused(begin).await;
                    }
                    break;
                }
                Ok(id) => self.captured.extend(id),
            }
            due = Some(at);
            if let Begin::Sent(end, Some(think)) = begin {
                pause(think, &mut draw, end).await;
            }
        }
        due.unwrap_or_else(Instant::now)
    }
}

/// A refusal takes no time at all, and must not keep this thread from everything else. A user who is refused tries again
/// after 10 ms; an open loop goes by its schedule.
async fn refused(begin: Begin) {
    match begin {
        Begin::Due(..) => tokio::task::yield_now().await,
        Begin::Sent(end, _) => tokio::time::sleep_until((Instant::now() + REFUSED).min(end).into()).await,
    }
}

/// Thinks, but not past the end of the run.
async fn pause(think: Think, draw: &mut Draw, end: Instant) {
    let mean = match think {
        Think::Fixed(ms) | Think::Exponential(ms) => Duration::from_millis(ms.into()),
    };
    let time = match think {
        Think::Fixed(_) => mean,
        Think::Exponential(_) => mean.mul_f64((-(1.0 - draw.rng.f64()).ln()).min(10.0)),
    };
    if !time.is_zero() {
        tokio::time::sleep_until((Instant::now() + time).min(end).into()).await;
    }
}
