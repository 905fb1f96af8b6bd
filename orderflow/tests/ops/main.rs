//! The operators' listener: who may look, what profiles show, and whether the numbers are true.

#[path = "../http/client.rs"]
#[expect(dead_code, reason = "the tests of the API use more of it")]
mod client;
mod decode;
mod guard;
mod heap;
mod numbers;
mod process;
mod profiles;
