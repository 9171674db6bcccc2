//! Becoming a service: command results, privileges, signals, messages, master and worker.

pub mod daemon;
pub mod handover;
pub mod host;
pub mod limits;
pub mod master;
pub mod message;
pub mod notify;
mod privileges;
pub mod signal;
pub mod worker;
