//! Becoming a service: command results, privileges, signals, messages.

pub mod daemon;
pub mod host;
pub mod limits;
pub mod message;
mod privileges;
pub mod signal;
