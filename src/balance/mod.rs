//! Choosing a server: run-time server records, algorithms, queues.

// No number of sessions or servers, and no order of events, may make this panic.
#![cfg_attr(
    not(test),
    warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)
)]

pub mod key;
pub mod persist;
pub mod pick;
pub mod queue;
pub mod server;
