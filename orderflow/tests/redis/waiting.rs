//! Waiting until something is so.

use std::time::{Duration, Instant};

/// How long anything may take before a test says that it does not come.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Asks again and again until it is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
