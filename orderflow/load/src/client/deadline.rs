//! A time limit for each request that costs no timer operation a request.
//!
//! The timer of a connection is armed once and left alone. When it fires it is usually early, because the request it was
//! armed for has long been answered; then it is armed anew for the current one. A connection so has one timer event a
//! limit, not one a request.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::time::{Sleep, sleep};

use super::{ErrorKind, Failure};

#[derive(Debug)]
pub(crate) struct Deadline {
    limit: Duration,
    at: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Deadline {
    /// A limit of `limit` for each request. Must be made within a runtime.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, at: Instant::now() + limit, timer: Box::pin(sleep(limit)) }
    }

    /// Runs `work`, which begins at `start`, and gives up when its time is over.
    pub(crate) async fn hold<T>(
        &mut self,
        start: Instant,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.at = start + self.limit;
        let mut work = pin!(work);
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Pending if self.over(context) => {
                Poll::Ready(Err(Failure::new(ErrorKind::Timeout, format!("no whole answer within {:?}", self.limit))))
            }
            other => other,
        })
        .await
    }

    fn over(&mut self, context: &mut Context<'_>) -> bool {
        while self.timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= self.at {
                return true;
            }
            self.timer.as_mut().reset(self.at.into());
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_the_whole_limit() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut deadline = Deadline::new(Duration::from_millis(80));
            // The second begins half way through the first limit, so the timer fires early for it.
            sleep(Duration::from_millis(40)).await;
            for _ in 0..2 {
                let start = Instant::now();
                let over = deadline.hold(start, std::future::pending::<Result<(), Failure>>()).await.unwrap_err();
                assert_eq!(over.kind, ErrorKind::Timeout);
                assert!(start.elapsed() >= Duration::from_millis(80));
                assert!(deadline.hold(Instant::now(), async { Ok(5) }).await.is_ok_and(|it| it == 5));
            }
        });
    }
}
