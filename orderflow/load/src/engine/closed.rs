//! The closed loop of one thread: each user sends its next request when the last is answered and it has thought.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use super::{
    user::{Begin, Common, User},
    worker::{LOOK, finish},
};
use crate::scenario::Think;

/// Runs this thread's `users` out of `total` until `end`.
pub(crate) async fn run(
    common: &Rc<Common>,
    index: u32,
    total: u32,
    start: Instant,
    end: Instant,
    users: Vec<User>,
    think: Option<Think>,
) {
    let threads = common.shared.threads;
    let mut tasks = Vec::new();
    for (nth, mut user) in (0_u32..).zip(users) {
        let common = common.clone();
        let mut number = u64::from(index + nth * threads);
        // Users who think do not all come in the same instant.
        let spread = match think {
            Some(Think::Fixed(ms) | Think::Exponential(ms)) => Duration::from_millis(ms.into()),
            None => Duration::ZERO,
        };
        let first = start + spread.mul_f64(number as f64 / f64::from(total));
        tasks.push(tokio::task::spawn_local(async move {
            tokio::time::sleep_until(first.min(end).into()).await;
            while Instant::now() < end && !common.shared.stopped() {
                user.visit(&common, number, Begin::Sent(end, think)).await;
                number += u64::from(total);
            }
        }));
    }
    while Instant::now() < end && !common.shared.stopped() {
        tokio::time::sleep(LOOK.min(end.saturating_duration_since(Instant::now()))).await;
    }
    finish(&common.shared, tasks).await;
}
