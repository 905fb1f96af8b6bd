//! What the course is made of, as types: the exercises ([`Exercise`], read from `exercise.toml`), the verdict on one
//! ([`Report`]), and the channel on which a graded process reports ([`channel`]).
//!
//! Everything that lists, grades, prints or renders an exercise reads it from here.

pub mod channel;
mod course;
pub mod evidence;
mod exercise;
mod problem;
mod report;
#[cfg(feature = "schema")]
pub mod schema;
mod state;

pub use course::{Catalogue, nearest};
pub use exercise::{CheckSpec, Exercise, Gate, Kind, Limits, Need, Spec, number};
pub use problem::Problem;
pub use report::{CheckReport, Finding, Report, Run, Status};
pub use state::{Live, Progress, STATE_DIR, Standing, write_atomically};
