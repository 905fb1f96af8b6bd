//! From a placed order to a mail that was sent: the store of notifications on both databases, and the workers on it.

#[path = "../both/stores.rs"]
mod both;
mod command;
mod conformance;
mod crashing;
mod hold;
mod killed;
mod plans;
mod process;
mod races;
mod schedules;
mod stage;
mod worker;
mod working;

pub(crate) use both::on_both_stores;
