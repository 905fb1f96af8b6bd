//! What instances share in Redis, and what is left when it is slow, full, emptied or gone: real servers, real instances.

#[path = "../http/client.rs"]
#[expect(dead_code, reason = "it is made for more than these tests")]
mod client;
#[path = "../both/recorder.rs"]
#[expect(dead_code, reason = "it is made for more than these tests")]
mod recorder;

mod channels;
mod leases;
mod node;
mod outages;
mod rates;
mod seen;
mod shop;
mod story;
mod together;
mod waiting;
