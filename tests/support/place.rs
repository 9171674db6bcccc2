//! Where tests may listen, and how they wait: what every program that starts a proxy needs.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How long a test waits for something that must happen: generous, because the machine is shared.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Whether the tests run as root, which is what `chroot`, `user` and `group` need.
pub(crate) fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

/// Asks `look` again and again until it has an answer.
pub(crate) fn until<R>(what: &str, mut look: impl FnMut() -> Option<R>) -> R {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        // Paces the polling of things that cannot wake us (the kernel's tables, a child's end).
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// A loopback address that nothing else on the machine uses: from the process id and a counter.
pub(crate) fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let pid = std::process::id();
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    let block = 1 + (pid % 125) as u8 * 2 + (count / 250) as u8 % 2;
    Ipv4Addr::new(127, block, (pid / 125 % 250) as u8, 1 + (count % 250) as u8)
}

/// An address and a port that were free a moment ago, for a listener of the proxy.
pub(crate) fn free_endpoint() -> SocketAddr {
    TcpListener::bind((own_address(), 0))
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Whether somebody listens on `addr`, from the kernel's table.
pub(crate) fn is_listening(addr: SocketAddr) -> bool {
    let SocketAddr::V4(v4) = addr else {
        panic!("only IPv4 endpoints are given out")
    };
    let ip = u32::from_le_bytes(v4.ip().octets());
    let row = format!(" {ip:08X}:{:04X} 00000000:0000 0A ", v4.port());
    std::fs::read_to_string("/proc/net/tcp")
        .unwrap()
        .contains(&row)
}
