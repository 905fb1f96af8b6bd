//! What a process does beside answering: tasks that are told to stop, and waited for, within a bound.

use std::{future::Future, time::Duration};

use tokio::{sync::watch, task::JoinSet};

/// The tasks of a process. Dropped, it ends them at once.
#[derive(Debug)]
pub struct Background {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

/// Tells a task when to stop.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Default for Background {
    fn default() -> Self {
        Self { tasks: JoinSet::new(), stop: watch::Sender::new(false) }
    }
}

impl Background {
    /// Starts a task. It ends by itself soon after it was told to stop.
    pub fn spawn<F>(&mut self, task: impl FnOnce(Stop) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(task(self.stopping()));
    }

    /// What tells others when the tasks are to stop.
    pub fn stopping(&self) -> Stop {
        Stop(self.stop.subscribe())
    }

    /// Tells every task to stop and waits until they have, or ends them when the time is over. False if it was.
    pub async fn end(mut self, within: Duration) -> bool {
        self.stop.send_replace(true);
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "a background task failed");
                }
            }
        };
        tokio::time::timeout(within, ended).await.is_ok()
    }
}

impl Stop {
    /// Waits until it is time to stop. Can be abandoned and called again.
    pub async fn wait(&mut self) {
        // If whoever would say so is gone, it is time too.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Waits for so long: true if it is time to stop.
    pub async fn sleep(&mut self, duration: Duration) -> bool {
        tokio::time::timeout(duration, self.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tasks_are_told_and_waited_for() {
        let (sender, mut ended) = tokio::sync::mpsc::channel(2);
        let mut background = Background::default();
        background.spawn(|mut stop| async move {
            stop.wait().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            sender.send("in order").await.unwrap();
        });
        assert!(background.end(Duration::from_secs(2)).await);
        assert_eq!(ended.recv().await, Some("in order"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_stop_is_ended() {
        let mut background = Background::default();
        background.spawn(|_| std::future::pending());
        assert!(!background.end(Duration::from_secs(2)).await);
    }
}
