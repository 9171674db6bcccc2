//! Becoming a service: command results, privileges, signals, messages.

pub mod daemon;
pub mod host;
pub mod message;
pub mod signal;
