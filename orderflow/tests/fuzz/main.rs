//! Requests that nobody wrote: made up from a grammar of good and bad parts, and by schemathesis from the description.

#[path = "../http/client.rs"]
#[expect(dead_code, reason = "the tests of the API use more of it")]
mod client;
mod described;
mod parts;
mod refused;
#[path = "../http/service.rs"]
#[expect(dead_code, reason = "the tests of the API use more of it")]
mod service;
