//! The options of sockets that a configuration asks for beside what every connection has.
//!
//! Listeners get theirs before they listen, and what they accept inherits it. Connections to
//! servers get theirs between `socket` and `connect`, and one without wishes costs no call here. A
//! system that lacks an option serves without it, as under HAProxy.

// `std` has no door to these options.
#![allow(unsafe_code)]

use std::io;
use std::mem::size_of;
use std::net::SocketAddr;

use crate::base::addr::Endpoint;
use crate::base::outgoing::{Incoming, Keepalive, Outgoing};
use crate::net::sockaddr::SockAddr;

/// A close by reset: linger, for no time.
pub(super) const RESET: libc::linger = libc::linger {
    l_onoff: 1,
    l_linger: 0,
};

/// A close in good order.
const IN_ORDER: libc::linger = libc::linger {
    l_onoff: 0,
    l_linger: 0,
};

/// Sets an option; false when the system refuses.
pub(super) fn set<T>(descriptor: i32, level: i32, name: i32, value: &T) -> bool {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the pointer is valid for the length given.
    unsafe { libc::setsockopt(descriptor, level, name, (&raw const *value).cast(), length) == 0 }
}

/// An option that is a number.
pub(super) fn get(descriptor: i32, level: i32, name: i32) -> io::Result<i32> {
    let (mut value, mut length) = (0i32, size_of::<i32>() as libc::socklen_t);
    // SAFETY: both pointers are valid for the call, and `length` says how much room there is.
    let code = unsafe {
        libc::getsockopt(
            descriptor,
            level,
            name,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    if code < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(value)
    }
}

/// Only packets that arrive at, or leave by, an interface.
pub(super) fn bind_to_interface(descriptor: i32, interface: &str) -> io::Result<()> {
    let name = interface.as_ptr().cast();
    let length = interface.len() as libc::socklen_t;
    let (level, option) = (libc::SOL_SOCKET, libc::SO_BINDTODEVICE);
    // SAFETY: the pointer is valid for the length given.
    if unsafe { libc::setsockopt(descriptor, level, option, name, length) } < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Keeps silent connections alive.
fn set_keepalive(descriptor: i32, times: Keepalive) {
    set(descriptor, libc::SOL_SOCKET, libc::SO_KEEPALIVE, &1i32);
    for (name, value) in [
        (libc::TCP_KEEPCNT, times.count),
        (libc::TCP_KEEPIDLE, times.idle_s),
        (libc::TCP_KEEPINTVL, times.interval_s),
    ] {
        if let Some(value) = value {
            set(descriptor, libc::IPPROTO_TCP, name, &value.cast_signed());
        }
    }
}

/// Gives a TCP listener what its connections shall have. One that was taken over from another
/// process may have something of that process', so what is not asked for is taken back.
pub(super) fn set_incoming(descriptor: i32, of: &Incoming, backlog: u32) {
    let tcp = libc::IPPROTO_TCP;
    if let Some(size) = of.max_segment {
        let usual = || get(descriptor, tcp, libc::TCP_MAXSEG).unwrap_or_default();
        let size = if size < 0 { usual() + size } else { size };
        set(descriptor, tcp, libc::TCP_MAXSEG, &size);
    }
    set(descriptor, tcp, libc::TCP_USER_TIMEOUT, &of.user_timeout_ms);
    let waiting = i32::try_from(backlog).unwrap_or(i32::MAX);
    let waiting = if of.fast_open { waiting } else { 0 };
    if of.fast_open || get(descriptor, tcp, libc::TCP_FASTOPEN).is_ok_and(|now| now > 0) {
        set(descriptor, tcp, libc::TCP_FASTOPEN, &waiting);
    }
    let linger = if of.no_linger { &RESET } else { &IN_ORDER };
    set(descriptor, libc::SOL_SOCKET, libc::SO_LINGER, linger);
    match of.keepalive {
        Some(times) => set_keepalive(descriptor, times),
        None => {
            set(descriptor, libc::SOL_SOCKET, libc::SO_KEEPALIVE, &0i32);
        }
    }
    let at_once = i32::from(!of.delayed_ack);
    set(descriptor, tcp, libc::TCP_QUICKACK, &at_once);
}

/// Gives a TCP socket that will connect what a server asks for. `port` is the one of a range that
/// is its turn, 0 for none.
///
/// # Errors
/// When it cannot have its source address.
pub(super) fn set_outgoing(
    descriptor: i32,
    of: &Outgoing,
    port: u16,
    check: bool,
) -> io::Result<()> {
    let tcp = libc::IPPROTO_TCP;
    if let Some(times) = of.keepalive {
        set_keepalive(descriptor, times);
    }
    if let Some(interface) = &of.interface {
        // Without it the connection goes where the system sends it, as under HAProxy.
        drop(bind_to_interface(descriptor, interface));
    }
    if let Some(source) = of.source {
        // A check takes none of the range away.
        bind_source(descriptor, source, of.last_port.map(|_| port))?;
    }
    if of.user_timeout_ms > 0 {
        set(descriptor, tcp, libc::TCP_USER_TIMEOUT, &of.user_timeout_ms);
    }
    if of.no_linger {
        set(descriptor, libc::SOL_SOCKET, libc::SO_LINGER, &RESET);
    }
    if !check && of.delayed_ack {
        set(descriptor, tcp, libc::TCP_QUICKACK, &0i32);
    }
    if !check && of.fast_open {
        set(descriptor, tcp, libc::TCP_FASTOPEN_CONNECT, &1i32);
    }
    Ok(())
}

fn bind_source(descriptor: i32, source: SocketAddr, port: Option<u16>) -> io::Result<()> {
    let mut source = source;
    if let Some(port) = port {
        source.set_port(port);
    }
    if port.is_none_or(|port| port == 0) {
        // The port is chosen when the destination is known, so that many connections share one.
        let (level, name) = (libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT);
        set(descriptor, level, name, &1i32);
    }
    set(descriptor, libc::SOL_SOCKET, libc::SO_REUSEADDR, &1i32);
    let address = SockAddr::new(&Endpoint::Inet(source))?;
    // SAFETY: the pointer and the length are those of `address`.
    if unsafe { libc::bind(descriptor, address.as_ptr(), address.length()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
