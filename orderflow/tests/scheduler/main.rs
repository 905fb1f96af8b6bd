//! The scheduler on both databases: whose birthday it is and which orders are reminded of, by a clock that the test sets; and
//! what becomes of it when several run, when one dies, and when a database cuts it off.

mod birthdays;
#[path = "../both/stores.rs"]
mod both;
mod killed;
mod leaders;
mod plans;
mod process;
mod reminders;
mod stage;

pub(crate) use both::on_both_stores;
