//! Notifications by way of a real RabbitMQ: whatever happens to it, to a connection or to a worker, each goes out, once.

mod confirms;
mod messages;
mod outages;
mod stage;
mod table;
