//! The course's book: renders `book/src` with the catalogue's exercise cards and the measured evidence, and serves it
//! on this machine with the learner's own verdicts in it.

mod anchor;
pub mod card;
pub mod course;
mod dedent;
pub mod directive;
pub mod figure;
mod host;
pub mod html;
pub mod live;
pub mod orderflow;
mod plot;
pub mod prose;
mod proxy;
mod scale;
pub mod serve;
pub mod site;
mod watch;
pub mod widget;
