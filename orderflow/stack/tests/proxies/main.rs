//! What the proxies do by the files of `orderflow/deploy`, seen from instances that the tests play
//! themselves, and from real ones that come and go.

mod balance;
#[path = "../shared/client.rs"]
mod client;
mod edge;
mod fleet;
#[path = "../shared/front.rs"]
mod front;
mod instance;
#[path = "../shared/program.rs"]
mod program;
mod retries;
