//! What the service manager is told (`sd_notify(3)`), and how often it wants to hear that all is
//! well.
//!
//! A datagram of `NAME=VALUE` lines to the socket that `NOTIFY_SOCKET` names. Nothing waits for an
//! answer, and a manager that is gone is not missed. Rejected: libsystemd, for one `sendto`.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The service manager, if there is one.
#[derive(Debug)]
pub struct Notify {
    manager: Option<(UnixDatagram, SocketAddr)>,
    watchdog_us: Option<u64>,
}

impl Notify {
    /// The manager that the environment names; none unless it is `wanted` (`-Ws`).
    #[must_use]
    pub fn new(wanted: bool) -> Self {
        let variable = |name| std::env::var(name).ok();
        let path = variable("NOTIFY_SOCKET").filter(|_| wanted);
        let manager = path.and_then(|path| {
            let address = match path.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name),
                None => SocketAddr::from_pathname(&path),
            };
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_nonblocking(true).ok()?;
            Some((socket, address.ok()?))
        });
        let pid = std::process::id().to_string();
        let ours = variable("WATCHDOG_PID").is_none_or(|whose| whose == pid);
        let period = variable("WATCHDOG_USEC").and_then(|text| text.parse().ok());
        Self {
            watchdog_us: period.filter(|us| *us > 0 && ours && manager.is_some()),
            manager,
        }
    }

    /// How often the manager wants a sign of life, ms: half of what it grants.
    #[must_use]
    pub fn period_ms(&self) -> Option<u64> {
        self.watchdog_us.map(|us| (us / 2000).max(1))
    }

    /// The service serves.
    pub fn ready(&self, status: &str) {
        let pid = std::process::id();
        self.send(&format!("READY=1\nMAINPID={pid}\nSTATUS={status}\n"));
    }

    /// A reload begins at this moment of the monotonic clock.
    pub fn reloading(&self, now_us: u64) {
        self.send(&format!(
            "RELOADING=1\nMONOTONIC_USEC={now_us}\nSTATUS=Reloading Configuration.\n"
        ));
    }

    /// The service ends.
    pub fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=Stopping.\n");
    }

    /// All is well.
    pub fn alive(&self) {
        self.send("WATCHDOG=1\n");
    }

    fn send(&self, text: &str) {
        if let Some((socket, address)) = &self.manager {
            // Full or gone: it will see for itself.
            let sent: io::Result<usize> = socket.send_to_addr(text.as_bytes(), address);
            drop(sent);
        }
    }
}
