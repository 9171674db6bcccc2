//! oneloop: a load balancer that reads `haproxy.cfg` and serves it from one thread and one epoll
//! loop.

pub mod admin;
pub mod balance;
pub mod base;
pub mod check;
pub mod cli;
pub mod config;
pub mod engine;
pub mod http;
pub mod log;
pub mod net;
pub mod process;
pub mod rules;
