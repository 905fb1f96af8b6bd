//! The console in a real browser: on a real service under a little load, and on a stand-in that says what a test wants.

mod chrome;
mod numbers;
mod outage;
mod panels;
mod reach;
mod shop;
mod stand_in;
