//! All of OrderFlow on one machine: PostgreSQL with a replica, Redis, RabbitMQ, a mail server, instances, workers, a
//! scheduler, and the proxies of `orderflow/deploy` in front. A supervisor in the background holds every part, starts again
//! what dies, and ends everything when it is told. Unix only.

pub mod certificate;
pub mod command;
mod containers;
pub mod files;
pub mod kept;
pub mod probe;
pub mod state;
mod supervise;
