//! The parsers at the edge of the domain: they never panic, accept exactly what their rule says, and what they accept is
//! written as it was read.

mod dates;
mod numbers;
mod orders;
mod pages;
mod texts;
