//! One module a command, or a few that belong together.

pub(crate) mod bench;
pub(crate) mod budget;
pub(crate) mod cache;
pub(crate) mod check;
pub(crate) mod db;
pub(crate) mod doctor;
pub(crate) mod evidence;
pub(crate) mod grade;
pub(crate) mod learner;
pub(crate) mod list;
pub(crate) mod load;
pub(crate) mod new;
pub(crate) mod service;
pub(crate) mod stack;
pub(crate) mod start;
mod suites;
pub(crate) mod test;
mod tools;
pub(crate) mod trial;
pub(crate) mod verify;
pub(crate) mod watch;
