//! OrderFlow: an order API, built as a service that is run in production should be.
//!
//! A request comes in through [`server`], passes the limits of [`http::edge`], and is answered by a router of [`http`]. What
//! it says is parsed into the types of [`domain`]; what it asks for comes from the [`cache`], or through [`coalesce`] from a
//! [`store`]. What happens to orders is told by [`events`]. Everything that can be set is in [`config`].

pub mod auth;
pub mod background;
pub mod cache;
pub mod coalesce;
pub mod config;
pub mod domain;
pub mod events;
pub mod http;
pub mod jobs;
pub mod log;
pub mod mail;
pub mod metrics;
pub mod ops;
pub mod redis;
pub mod resilience;
pub mod scheduler;
pub mod server;
pub mod store;
pub mod telemetry;
