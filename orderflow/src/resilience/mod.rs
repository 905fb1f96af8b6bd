//! How a call to somebody else is bounded: a circuit breaker, a budget for retries, and places for those that may be under
//! way.

mod breaker;
mod bulkhead;
mod retry;

pub use breaker::{Breaker, Open, Permit, State};
pub use bulkhead::{Bulkhead, Place};
pub use retry::{Backoff, Budget};
