//! Outages: what the service does while something is away, slow or ending, and what is true of every order afterwards.
//!
//! Each test runs the program itself on a real database, under the load of clients that repeat an order with the same key
//! until they have an answer. What each fault cost is printed: `cargo test --test faults -- --nocapture`.

mod client;
mod crowd;
mod disk;
mod ending;
mod killed;
mod leaving;
mod load;
mod outage;
mod service;
mod shop;
mod slow;
mod waiting;
