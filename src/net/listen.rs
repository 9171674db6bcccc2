//! Binding listeners and log sockets, before privileges are dropped.
//!
//! Takes plain descriptions, because `net` knows no configuration, and gives descriptors that
//! `os::Os` takes over. All descriptions are tried, so that a start reports every address that is
//! taken and not only the first; whoever calls decides that one failure ends the start.
//!
//! A unix socket is bound under a temporary name, gets its owner and mode, and is renamed over what
//! stood there, so that no moment exists in which a client finds no socket or one with the wrong
//! mode. Its file stays behind at the end, as HAProxy's does: a new process may own it by then.
//!
//! Nothing here is on the request path.

// Sockets with options before `bind` have no safe door in `std`.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fmt;
use std::io;
use std::mem::size_of;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use crate::base::addr::Endpoint;
use crate::net::sockaddr::{self, SockAddr};

/// What shall listen, and how.
#[derive(Clone, Debug)]
pub struct ListenerSpec {
    /// Where.
    pub endpoint: Endpoint,
    /// `fd@N`: this inherited descriptor instead of a new socket.
    pub inherited: Option<i32>,
    /// Connections that may wait in the kernel.
    pub backlog: u32,
    /// `mode`: permissions of a unix socket's file.
    pub mode: Option<u32>,
    /// `uid`: owner of a unix socket's file.
    pub uid: Option<u32>,
    /// `gid`: group of a unix socket's file.
    pub gid: Option<u32>,
    /// `v6only` (true), `v4v6` (false); HAProxy leaves the system's default (both) when absent.
    pub v6_only: Option<bool>,
    /// `interface`: only packets that arrive there.
    pub interface: Option<String>,
}

/// A descriptor that listens, non-blocking and closed on exec.
#[derive(Debug)]
pub struct BoundListener {
    /// The socket.
    pub socket: OwnedFd,
    /// Where it listens in fact: the port is the kernel's choice when it was 0.
    pub endpoint: Endpoint,
}

/// Why a listener could not be made.
#[derive(Debug)]
pub struct BindFailure {
    /// Position in the list that was given.
    pub index: usize,
    /// What was tried, in HAProxy's words, such as `cannot bind socket`.
    pub what: &'static str,
    /// The system's reason, if it was the system.
    pub reason: Option<io::Error>,
    /// The address, as the message shows it: `[127.0.0.1:80]`, `[/run/x.sock]`.
    pub place: String,
}

/// Binds and listens on all, or tells every failure.
///
/// # Errors
/// One entry for each listener that could not be made; nothing is left behind then.
pub fn bind_all(specs: &[ListenerSpec]) -> Result<Vec<BoundListener>, Vec<BindFailure>> {
    todo!()
}
