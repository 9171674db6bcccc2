//! The one door to the operating system.

pub mod listen;
pub mod os;
pub mod poller;
pub mod splice;
