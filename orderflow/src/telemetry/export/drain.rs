//! Sending what waits, a batch after the other, for as long as it takes and no longer: every attempt has its time, a batch has
//! a few attempts, and what fails makes the next one wait.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::queue::Queue;

/// How often a batch is tried, each time as often as the exporter itself does.
const ATTEMPTS: u32 = 3;
/// How long the first pause after a failure is. Each further one is twice as long, give or take a half.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause, give or take a half.
const LONGEST: Duration = Duration::from_secs(10);

/// When whatever is still unsent is given up, once that is known.
pub(super) type End = watch::Receiver<Option<Instant>>;

/// Sends batches of a kind.
pub(super) trait Carrier<T> {
    /// What they are, in logs.
    const WHAT: &'static str;

    /// Sends a batch. If it fails, says why.
    async fn carry(&self, batch: Vec<T>) -> Result<(), String>;
}

/// Sends what comes into a queue until that ends. False if something was left then that could not be sent.
pub(super) async fn drain<T: Clone, C: Carrier<T>>(queue: &Queue<T>, carrier: C, within: Duration, end: End) -> bool {
    let counts = &queue.counts;
    let mut failures = 0;
    while let Some(batch) = queue.batch().await {
        let size = batch.len() as u64;
        for attempt in 1..=ATTEMPTS {
            let last = attempt == ATTEMPTS || end.borrow().is_some();
            let began = Instant::now();
            let sent = tokio::select! {
                sent = timeout(within, carrier.carry(batch.clone())) => {
                    sent.unwrap_or_else(|_| Err(format!("no answer within {within:?}")))
                }
                () = over(end.clone()) => Err("no answer before the end".to_owned()),
            };
            counts.took.observe(began.elapsed().as_secs_f64());
            let Err(why) = sent else {
                counts.exported.inc_by(size);
                if failures > 0 {
                    tracing::info!(what = C::WHAT, failures, "telemetry is sent again");
                }
                failures = 0;
                break;
            };
            failures += 1;
            if failures == 1 {
                tracing::warn!(
                    what = C::WHAT,
                    why,
                    "telemetry could not be sent; it is tried again, and dropped if that fails"
                );
            }
            if last {
                counts.failed.inc_by(size);
            }
            if last && end.borrow().is_some() {
                counts.failed.inc_by(queue.clear() as u64);
                queue.settled();
                return false;
            }
            tokio::select! {
                () = sleep(pause(failures)) => {}
                () = begun(end.clone()) => {}
            }
            if last {
                break;
            }
        }
        queue.settled();
    }
    true
}

/// Is ready when the end has begun.
async fn begun(mut end: End) {
    // Without anybody who could say so, it has.
    let _ = end.wait_for(Option::is_some).await;
}

/// Is ready when the end is over.
async fn over(mut end: End) {
    let until = end.wait_for(Option::is_some).await.map_or(None, |end| *end);
    if let Some(until) = until {
        sleep_until(until).await;
    }
}

fn pause(failures: u32) -> Duration {
    let pause = PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST);
    pause.mul_f64(0.5 + fastrand::f64())
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, future::pending};

    use super::{super::queue::Counts, *};
    use crate::metrics::Metrics;

    /// What a carrier does with the batches that come, the last for all that follow.
    #[derive(Clone, Copy)]
    enum Does {
        Take,
        Fail,
        Hang,
    }

    struct Script<'a> {
        does: RefCell<Vec<Does>>,
        taken: &'a RefCell<Vec<u32>>,
    }

    impl Carrier<u32> for Script<'_> {
        const WHAT: &'static str = "numbers";

        async fn carry(&self, batch: Vec<u32>) -> Result<(), String> {
            let does = {
                let mut does = self.does.borrow_mut();
                if does.len() > 1 { does.remove(0) } else { does[0] }
            };
            match does {
                Does::Take => {
                    self.taken.borrow_mut().extend(batch);
                    Ok(())
                }
                Does::Fail => Err("no".to_owned()),
                Does::Hang => pending().await,
            }
        }
    }

    const WITHIN: Duration = Duration::from_secs(5);

    struct Outcome {
        all_sent: bool,
        taken: Vec<u32>,
        exported: u64,
        failed: u64,
        took: Duration,
    }

    /// Drains a queue of ten, which ends after so long and then has so long.
    async fn drained(does: &[Does], ends_after: Duration, with: Duration) -> Outcome {
        let queue = Queue::new(600, Counts::of(&Metrics::default(), "span"));
        (0..10).for_each(|number| queue.push(number));
        let (end, ending) = watch::channel(None);
        let taken = RefCell::default();
        let script = Script { does: RefCell::new(does.to_vec()), taken: &taken };
        let began = Instant::now();
        let told = async {
            sleep(ends_after).await;
            let _ = end.send(Some(Instant::now() + with));
            queue.end();
        };
        let (all_sent, ()) = tokio::join!(drain(&queue, script, WITHIN, ending), told);
        let took = began.elapsed();
        let Counts { exported, failed, .. } = &queue.counts;
        let (exported, failed) = (exported.get(), failed.get());
        Outcome { all_sent, taken: taken.into_inner(), exported, failed, took }
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_is_tried_again_and_sent_once() {
        let hour = Duration::from_hours(1);
        let outcome = drained(&[Does::Fail, Does::Hang, Does::Take], hour, WITHIN).await;
        assert!(outcome.all_sent && outcome.taken == (0..10).collect::<Vec<_>>());
        assert_eq!((outcome.exported, outcome.failed), (10, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_always_fails_is_given_up() {
        for does in [Does::Fail, Does::Hang] {
            let outcome = drained(&[does], Duration::from_hours(1), WITHIN).await;
            assert!(outcome.all_sent, "nothing is left at the end");
            assert_eq!((outcome.exported, outcome.failed), (0, 10));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_as_long_as_it_has_and_no_longer() {
        let with = Duration::from_secs(3);
        let hanging = drained(&[Does::Hang], Duration::ZERO, with).await;
        assert_eq!((hanging.all_sent, hanging.failed, hanging.took), (false, 10, with));
        let failing = drained(&[Does::Fail], Duration::ZERO, with).await;
        assert_eq!((failing.all_sent, failing.failed, failing.took), (false, 10, Duration::ZERO));
        // An attempt that was under way is cut short too, and one more is made after a pause that is.
        let under_way = drained(&[Does::Hang], Duration::from_secs(3), Duration::from_secs(1)).await;
        assert_eq!((under_way.all_sent, under_way.took), (false, Duration::from_secs(4)));
        let paused = drained(&[Does::Fail, Does::Take], Duration::from_millis(1_001), with).await;
        assert_eq!((paused.all_sent, paused.exported), (true, 10));
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        for failures in 1..100 {
            assert!((PAUSE / 2..=LONGEST.mul_f64(1.5)).contains(&pause(failures)));
        }
    }
}
