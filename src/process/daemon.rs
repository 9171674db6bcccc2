//! Becoming a service: from a checked configuration to a door that the engine can use.
//!
//! The order is the point of this file: log sockets, listeners, fork, poller and signals, pid file,
//! limits, chroot, groups, gid, uid, and only then the word to the waiting parent.

use crate::base::arena::Handle;
use crate::config::model::{Config, LogAddress};
use crate::net::os::Os;

/// What the command line and the engine add to the configuration.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// Leave the terminal: `-D` or `daemon`, unless `-d` or `-db`.
    pub daemon: bool,
    /// `-m`, MB; 0 means no limit.
    pub memory_mb: u32,
    /// The log targets, in the order by which the engine names them.
    pub logs: &'a [LogAddress],
    /// The handle of each listener's edges.
    pub listener_handle: fn(u32) -> Handle,
}

/// What the process may use: what `show info` prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Client connections at most.
    pub maxconn: u32,
    /// Descriptors needed for that.
    pub maxsock: u32,
    /// The soft limit of descriptors (`Ulimit-n`).
    pub descriptors: u32,
}

/// Why the start ended, as ALERT lines without their prefix, and the exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// One line a fault.
    pub alerts: Vec<String>,
    /// The exit code.
    pub status: i32,
}

/// A process that is all that it will be, but has not told its parent yet.
#[derive(Debug)]
pub struct Started {
    /// The door for the engine.
    pub net: Os,
    /// What it may use.
    pub resources: Resources,
    /// WARNING lines to print before [`ready`](Ready::ready).
    pub warnings: Vec<String>,
    /// To be used right before the loop.
    pub ready: Ready,
}

/// The waiting parent, if there is one.
#[derive(Debug)]
pub struct Ready(Option<std::fs::File>);

impl Ready {
    /// The service serves: leaves the terminal in daemon mode and lets the parent return 0.
    pub fn ready(self) {
        todo!()
    }
}

/// What a configuration needs and may have, before anything is opened. The engine's records are
/// sized by `maxconn`.
///
/// # Errors
/// When the limit of descriptors is too low and cannot be raised (under `strict-limits`).
pub fn resources(config: &Config) -> Result<(Resources, Vec<String>), Failure> {
    let _ = config;
    todo!()
}

/// Becomes a service. In daemon mode the parent does not return from here: it waits, and exits with 0
/// once [`Ready::ready`] is called, or with the child's exit code.
///
/// # Errors
/// The first step that failed, as HAProxy says it.
pub fn start(config: &Config, options: &Options<'_>) -> Result<Started, Failure> {
    let _ = (config, options);
    todo!()
}
