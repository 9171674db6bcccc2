//! Choosing a server: run-time server records, algorithms, queues.

// No number of sessions or servers, and no order of events, may make this panic.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod pick;
pub mod queue;
pub mod server;
