//! How the health of a server is found out.

use crate::balance::server::Observed;
use crate::base::addr::Endpoint;
use crate::base::proxy_header::Form;

/// The health check of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Where the check connects to (`addr`, `port`, else the server's own).
    pub endpoint: Endpoint,
    /// `inter`, ms; 2000 by default.
    pub inter: u32,
    /// `fastinter`, ms; `inter` when absent.
    pub fastinter: Option<u32>,
    /// `downinter`, ms; `inter` when absent.
    pub downinter: Option<u32>,
    /// `rise`; 2 by default.
    pub rise: u32,
    /// `fall`; 3 by default.
    pub fall: u32,
    /// `addr` was given.
    pub own_address: bool,
    /// `port` was given.
    pub own_port: Option<u16>,
    /// How it introduces itself.
    pub proxy_header: Form,
}

/// The agent of a server: who is asked what it is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Where it is asked.
    pub endpoint: Endpoint,
    /// `agent-port`, or the check's `port`.
    pub port: u16,
    /// `agent-addr` was given.
    pub own_address: bool,
    /// `agent-inter`, ms; 2000 by default.
    pub inter: u32,
    /// `agent-send`.
    pub send: Vec<u8>,
}

/// What is made of a server's traffic (`observe`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observe {
    /// What counts.
    pub what: Observed,
    /// `error-limit`: errors in a row that something is done about.
    pub limit: u32,
    /// `on-error`: what is done.
    pub on_error: OnError,
}

/// `on-error`. All of them look again soon, where `fastinter` is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// `fastinter`: no more than that.
    Hurry,
    /// `fail-check`: as if a check had failed.
    FailCheck,
    /// `sudden-death`: the same, and the next failure is the last.
    SuddenDeath,
    /// `mark-down`: it is down.
    MarkDown,
}
