//! The few calls of the system that the master makes.

// Signals, `poll` and the clock have no safe door in `std`.
#![allow(unsafe_code)]

use std::io;
use std::mem::zeroed;
use std::os::fd::{FromRawFd as _, OwnedFd};

/// Signals that a master handles.
const SIGNALS: [i32; 9] = [
    libc::SIGCHLD,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGHUP,
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

/// The system's word for a signal.
pub(super) fn signal_name(signal: i32) -> String {
    // SAFETY: the text is the C library's, and lives until the next call.
    let text = unsafe { std::ffi::CStr::from_ptr(libc::strsignal(signal)) };
    text.to_string_lossy().into_owned()
}

pub(super) fn kill(pid: u32, signal: i32) {
    // SAFETY: numbers only. It fails for a process that is gone.
    unsafe { libc::kill(pid.cast_signed(), signal) };
}

pub(super) fn readable(fd: i32) -> libc::pollfd {
    libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    }
}

/// Waits for any of these, or until a moment of the monotonic clock.
pub(super) fn wait(asked: &mut [libc::pollfd], until_ms: Option<u64>) {
    let timeout = until_ms.map_or(-1, |until| {
        i32::try_from(until.saturating_sub(now_ms())).unwrap_or(i32::MAX)
    });
    // SAFETY: the pointer is valid for the number of entries.
    unsafe { libc::poll(asked.as_mut_ptr(), asked.len() as libc::nfds_t, timeout) };
}

pub(super) fn now_us() -> u64 {
    let mut at = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is valid for the call; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut at) };
    at.tv_sec.cast_unsigned() * 1_000_000 + at.tv_nsec.cast_unsigned() / 1000
}

pub(super) fn now_ms() -> u64 {
    now_us() / 1000
}

fn signal_set() -> libc::sigset_t {
    // SAFETY: the set is initialised before it is used.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigemptyset(&raw mut set);
        for number in SIGNALS {
            libc::sigaddset(&raw mut set, number);
        }
        set
    }
}

/// From here on signals wait, also over a change of the program.
pub(super) fn block_signals() {
    let set = signal_set();
    // SAFETY: the pointers are valid; `SIG_DFL` and `SIG_IGN` run none of our code.
    unsafe {
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        // Whoever started us may have ignored it, and then no end would be told of.
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
}

pub(super) fn open_signals() -> io::Result<OwnedFd> {
    let set = signal_set();
    let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
    // SAFETY: the pointer is valid for the call.
    let descriptor = unsafe { libc::signalfd(-1, &raw const set, flags) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
