//! Where tests may listen, and how they wait: what every program that starts a proxy needs.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd};
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
    SocketAddr::V4(reserve(own_address()).1)
}

/// A port of `ip` that is kept from others as long as the descriptor lives. The proxy may listen on
/// it at any time: the socket does not listen itself, and says that its address may be used again.
/// So it does no harm that a child, forked by another thread, has a copy until its `exec`.
#[allow(
    unsafe_code,
    reason = "std has no socket that is bound and does not listen"
)]
pub(crate) fn reserve(ip: Ipv4Addr) -> (OwnedFd, SocketAddrV4) {
    // SAFETY: no pointer is passed.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    assert!(socket >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: just opened, and owned by nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let one: libc::c_int = 1;
    let mut address = libc::sockaddr_in {
        sin_family: libc::AF_INET as _,
        sin_port: 0,
        sin_addr: libc::in_addr {
            s_addr: u32::from(ip).to_be(),
        },
        sin_zero: [0; 8],
    };
    let mut size = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the pointers are valid for the sizes given, for the time of each call.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_REUSEADDR,
            (&raw const one).cast(),
            size_of_val(&one) as libc::socklen_t,
        ) == 0
            && libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size) == 0
            && libc::getsockname(socket.as_raw_fd(), (&raw mut address).cast(), &raw mut size) == 0
    };
    assert!(done, "{}", std::io::Error::last_os_error());
    let endpoint = SocketAddrV4::new(ip, u16::from_be(address.sin_port));
    (socket, endpoint)
}

/// Ends a socket for everybody who holds it. Closing alone does not: a child that another thread
/// forks holds a copy until its `exec`, and so long a listener accepts and a log socket receives.
/// Whoever waits in `accept` is woken with an error.
#[allow(unsafe_code, reason = "std ends no listener and no datagram socket")]
pub(crate) fn end(socket: &impl AsRawFd) {
    // SAFETY: no pointer is passed. A socket that its peer has ended before is no failure.
    unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_RDWR) };
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
