//! Events: every order once and in one order, whatever becomes of connections, instances, and what wakes them.

#[path = "../both/stores.rs"]
mod both;
mod client;
mod crowd;
mod edge;
mod held;
mod hub;
mod resume;
mod stage;
mod wake;

pub(crate) use both::on_both_stores;
