//! The runtime socket: one table of commands, each a view of the engine or a change to it.

pub mod command;
pub mod info;
pub mod servers;
pub mod stat;
