//! Replicas and poolers before PostgreSQL: who answers which read, that no client reads behind its own writes, and that no
//! request fails for a replica that does.

mod caches;
mod client;
mod outages;
mod pooler;
mod primary;
mod random;
mod reads;
mod stage;
