//! What the checks and benches of the exercises are written with.
//!
//! An exercise's `checks.rs` says what correct means, as a list of named checks; its `bench.rs` says what fast means.
//! Points, gates and limits stand in `exercise.toml`, once, and reach both through [`checks!`] and [`bench!`].
//!
//! The same two binaries serve three readers: `cargo xtask check` runs them with `--graded` and reads findings from a
//! channel that a submission cannot forge ([`catalogue::channel`]); `cargo test` and `cargo bench` run them as any other
//! test and criterion bench; `cargo xtask profile` runs them with `--profile FILE`, or the bench with `--once`, and
//! `cargo xtask evidence` with `--figures`.

mod bench;
mod clock;
#[cfg(all(unix, feature = "profile"))]
mod flamegraph;
mod graded;
mod heap;
mod log;
mod paired;
mod report;
mod rounds;
mod side;
mod steps;
mod suite;
mod trial;

pub use bench::Bench;
pub use catalogue::evidence;
pub use clock::thread_time;
#[cfg(feature = "standalone")]
#[doc(hidden)]
pub use criterion;
#[doc(hidden)]
pub use dhat;
pub use fastrand::Rng;
pub use heap::{Heap, Meter, heap, heap_metered};
pub use paired::Estimate;
pub use report::Report;
pub use side::{Side, paired_ratio};
pub use steps::{Measured, Step, compare};
pub use suite::Checks;
pub use trial::{Expectation, Failed, Outcome, Trial};

/// The checks of the exercise whose `checks.rs` calls it. Also makes [`heap`] count, by installing dhat's allocator.
#[macro_export]
macro_rules! checks {
    () => {{
        #[global_allocator]
        static COUNTED: $crate::dhat::Alloc = $crate::dhat::Alloc;
        $crate::Checks::new(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/exercise.toml")))
    }};
}

/// The timed checks of the exercise whose `bench.rs` calls it. No allocator is installed: counting takes a lock at each
/// allocation and would be measured with the rest.
#[macro_export]
macro_rules! bench {
    () => {
        $crate::Bench::new(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/exercise.toml")))
    };
}
