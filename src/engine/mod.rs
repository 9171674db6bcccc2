//! The loop: owns every record and socket, and drives each session through its life.

pub mod accept;
pub mod checks;
pub mod cli;
pub mod context;
pub mod relay;
pub mod service;
pub mod session;
pub mod stats;
pub mod upstream;
