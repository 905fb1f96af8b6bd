//! Replicas and poolers before PostgreSQL: who answers which read, that no client reads behind its own writes, and that no
//! request fails for a replica that does.

#[path = "../both/recorder.rs"]
#[expect(dead_code, reason = "it is made for more than these tests")]
mod recorder;

mod caches;
mod client;
mod outages;
mod pooler;
mod primary;
mod random;
mod reads;
mod seen;
mod stage;
