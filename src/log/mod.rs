//! What a finished request looks like to the log, and how a log message is framed.

// Nothing from outside may make this code panic.
#![cfg_attr(
    not(test),
    warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)
)]

pub mod record;
pub mod syslog;
pub mod termination;
