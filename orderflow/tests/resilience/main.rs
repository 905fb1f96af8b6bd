//! How calls to others are bounded: the circuit breaker, the distances between retries, and what pays for them.

mod breaker;
mod retry;
