//! What the proxies do by the files of `orderflow/deploy`, seen from instances that the tests play themselves.

mod balance;
#[path = "../shared/client.rs"]
mod client;
mod edge;
#[path = "../shared/front.rs"]
mod front;
mod instance;
mod retries;
