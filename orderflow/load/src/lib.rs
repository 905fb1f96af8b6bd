//! Load for HTTP services, without coordinated omission.
//!
//! A [`Draft`] says what is to be sent and when; checked, it is a [`Scenario`]. [`run`] sends it to a [`Target`] and
//! returns an [`Outcome`], which prints itself as a table ([`table::text`]), as JSON (it is `Serialize`) and as a page
//! ([`report::html`]). In the open loop latency counts from the time at which a request was due, not from when the server
//! let it be sent; `engine/dispatch.rs` is where that happens.
//!
//! ```no_run
//! use orderflow_load::{Draft, Options, RequestDraft, Target, ValueDraft, run};
//!
//! let orders = Draft::open("orders", 64)
//!     .warmup(1.0)
//!     .rate(11.0, 500.0)
//!     .value("product", ValueDraft::Uniform { from: 1, to: 1000.into() })
//!     .request(
//!         RequestDraft::post("/api/orders", r#"{"customer_id":1,"items":[{"product_id":{product},"quantity":1}]}"#)
//!             .header("Idempotency-Key", "{unique}")
//!             .auth()
//!             .expect(201),
//!     )
//!     .check()?;
//! let target = Target::new("http://127.0.0.1:8080", false)?.with_key("dev-key")?;
//! let outcome = run(&orders, &target, &Options::default(), &mut |_| {})?;
//! println!("{:.0} a second, p99 {:.1} ms", outcome.ok_per_second, outcome.latency.p99_ms);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
mod engine;
pub mod outcome;
mod record;
pub mod report;
mod scenario;
mod schedule;
pub mod table;
mod target;
mod template;
mod threshold;
mod values;

pub use client::{ErrorKind, MAX_BODY, MAX_FIELDS, MAX_HEAD, MAX_KEPT_BODY};
pub use engine::{MAX_THREADS, Options, Snapshot, run};
pub use outcome::Outcome;
pub use scenario::{
    BUILT_IN, CaptureDraft, Draft, JourneyDraft, Model, RequestDraft, Scenario, ScenarioError, Size, StageDraft, Think,
    ValueDraft, built_in,
};
pub use schedule::{Arrivals, Due, Schedule, Stage};
pub use target::Target;
pub use threshold::{Judged, Thresholds};
pub use values::MAX_ZIPF;
