//! What leaves the process, and what of it is kept: spans, log records and reports, with every fault that a collector may have.

mod kept;
mod outages;
mod process;
mod reports;
mod sent;
