//! The open loop of one thread: one task gives out arrivals when they are due, the others serve them.

use std::{io, rc::Rc, time::Instant};

use super::{
    dispatch::Dispatcher,
    pacer::Pacer,
    user::{Begin, Common, User},
    worker::finish,
};
use crate::schedule::Schedule;

/// Runs this thread's part of `schedule`: every arrival whose number leaves `index` when divided by the threads.
/// Fails only if the pacer's thread cannot be started.
pub(crate) async fn run(
    common: &Rc<Common>,
    index: u32,
    start: Instant,
    users: Vec<User>,
    schedule: &Schedule,
    backlog: u32,
) -> io::Result<()> {
    let threads = common.shared.threads as usize;
    let mine = (0_u64..).zip(schedule.iter()).skip(index as usize).step_by(threads);
    let bound = (backlog as usize).div_ceil(threads);
    let dispatcher = Rc::new(Dispatcher::new(start, mine, users.len(), bound));
    let mut tasks = Vec::new();
    for (slot, mut user) in users.into_iter().enumerate() {
        let (common, dispatcher) = (common.clone(), dispatcher.clone());
        tasks.push(tokio::task::spawn_local(async move {
            while let Some(arrival) = dispatcher.next(slot).await {
                let at = user.visit(&common, arrival.number, Begin::Due(arrival.due, arrival.direct)).await;
                // Whoever has just looked at the clock may as well see what has become due.
                dispatcher.release(at, &mut *common.recorder.borrow_mut());
            }
        }));
    }
    let rings = schedule.iter().skip(index as usize).step_by(threads);
    let pacer = Pacer::new(start, rings)?;
    // Before the start nothing is due, but then every connection is waiting.
    while !common.shared.stopped() {
        let now = Instant::now();
        if dispatcher.release(now, &mut *common.recorder.borrow_mut()).is_none() {
            break;
        }
        pacer.ring().await;
    }
    dispatcher.close();
    finish(&common.shared, tasks).await;
    for arrival in dispatcher.abandon() {
        common.recorder.borrow_mut().abandon(arrival);
    }
    Ok(())
}
