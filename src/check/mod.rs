//! Health checks as pure state machines: what to send, what an answer means, when to look again.

// Nothing from outside may make this code panic.
#![cfg_attr(
    not(test),
    warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)
)]

pub mod agent;
pub mod answer;
pub mod conversation;
pub mod expect;
pub mod external;
pub mod probe;
pub mod protocol;
pub mod request;
pub mod sequence;
pub mod state;
