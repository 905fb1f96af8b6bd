//! What is seen of the service from outside: which request a task works for, and the traces and logs that say so.

mod bounds;
mod context;
mod export;
pub mod log;
mod recent;
mod request;
mod sampler;
mod sentry;
mod serve;
pub mod span;
mod start;
mod work;

pub use context::TraceContext;
pub use export::Spans;
pub use recent::{Counts, Found, KeptAs, Recent, Root, Search, SlowStatement, Step, Trace};
pub use request::{Answered, step};
pub use sampler::{PerSecond, Sampler, Why};
pub use serve::routes;
pub use start::Telemetry;
pub use work::{TraceLabel, Work, exemplar, sampled, spawn, spawn_blocking};

/// The target of every span that is part of a trace. Nothing else is sent to a collector as a span.
pub const TARGET: &str = "orderflow::trace";

/// A step of the request or job that the current task works for, as a span. Nothing, and next to free, where that is not
/// traced.
///
/// `step!("render a mail", kind = "order")`: a name of ours, then fields as `tracing` takes them, none of them personal.
#[macro_export]
macro_rules! step {
    ($name:literal $(, $($fields:tt)*)?) => {
        if $crate::telemetry::sampled() {
            $crate::telemetry::step(|| ::tracing::info_span!(target: "orderflow::trace", $name, $($($fields)*)?))
        } else {
            ::tracing::Span::none()
        }
    };
}
