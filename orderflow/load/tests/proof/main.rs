//! The generator against servers whose behaviour is known, and the program itself.

mod accounting;
mod command;
mod distribution;
mod hostile;
mod scenarios;
mod server;
mod stall;
