//! Choosing a server: run-time server records, algorithms, queues.

pub mod pick;
pub mod queue;
pub mod server;
