//! What is seen of an order from outside, from its request to its mail, in whichever processes: one trace, and nothing personal.

mod order;
mod page;
mod private;
mod shop;
