//! Health checks as pure state machines: what to send, what an answer means, when to look again.

pub mod probe;
pub mod state;
