//! Signals as a source of events of the loop, and what each means.
//!
//! The signals that the loop handles are blocked and read from a `signalfd(2)`, so that no handler
//! ever runs between two instructions and a signal wakes `Net::wait` like any other readiness.
//! Reading is `net::os`'s; the table of meanings is here, once.
//!
//! Before [`install`] every signal keeps its default, so that a start that hangs can be
//! interrupted. Rejected: a handler writing to a pipe, which needs a global and gains nothing on
//! Linux.

// Signal masks, dispositions and `signalfd` have no safe door in `std`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::process::exit;

use crate::net::Signal;
use crate::net::os::SignalSource;

/// What each handled signal means (management.txt 4, "Stopping and restarting HAProxy").
const MEANINGS: [(i32, Signal); 7] = [
    (libc::SIGUSR1, Signal::SoftStop),
    (libc::SIGTERM, Signal::Stop(libc::SIGTERM)),
    (libc::SIGINT, Signal::Stop(libc::SIGINT)),
    (libc::SIGHUP, Signal::DumpStates),
    (libc::SIGTTOU, Signal::Pause),
    (libc::SIGTTIN, Signal::Resume),
    (libc::SIGQUIT, Signal::DumpPools),
];

/// What lets another process finish (`-sf`).
pub const FINISH: i32 = libc::SIGUSR1;
/// What ends another process (`-st`).
pub const TERMINATE: i32 = libc::SIGTERM;

/// Signals that must not end the process: a write to a closed pipe is an error like any other, and
/// `SIGUSR2` means something to a master process only.
const IGNORED: [i32; 2] = [libc::SIGPIPE, libc::SIGUSR2];

/// Takes the handled signals over: from now on they come out of the returned source. To be called
/// once, after the last fork.
///
/// # Errors
/// When descriptors are out.
pub fn install() -> io::Result<SignalSource> {
    ignore();
    // SAFETY: `set` is written by `sigemptyset` before anything reads it; all pointers are valid.
    let descriptor = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for (number, _) in MEANINGS {
            libc::sigaddset(&raw mut set, number);
        }
        let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
        let descriptor = libc::signalfd(-1, &raw const set, flags);
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        // SAFETY: just opened, and owned by nobody else.
        OwnedFd::from_raw_fd(descriptor)
    };
    Ok(SignalSource {
        descriptor,
        meaning,
    })
}

/// Ignores what must never end the process; also right before anything is started.
pub fn ignore() {
    for number in IGNORED {
        // SAFETY: `SIG_IGN` runs none of our code.
        unsafe { libc::signal(number, libc::SIG_IGN) };
    }
}

/// The meaning of a signal's number.
#[must_use]
pub fn meaning(number: i32) -> Option<Signal> {
    MEANINGS
        .iter()
        .find(|(known, _)| *known == number)
        .map(|(_, signal)| *signal)
}

/// Ends the process as HAProxy ends on `SIGTERM` and `SIGINT`: killed by the signal itself, which a
/// shell and systemd see as 143 and 130.
pub fn end_by(number: i32) -> ! {
    // SAFETY: the default disposition runs none of our code, and `set` is initialised before it is
    // used.
    unsafe {
        libc::signal(number, libc::SIG_DFL);
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, number);
        libc::raise(number);
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
    }
    // Not reached for a signal whose default is to end the process.
    exit(128 + number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_handled_signal_has_one_meaning() {
        for (number, signal) in MEANINGS {
            assert_eq!(meaning(number), Some(signal));
            assert!(!IGNORED.contains(&number));
        }
        assert_eq!(meaning(libc::SIGUSR2), None);
        assert_eq!(meaning(libc::SIGTERM), Some(Signal::Stop(15)));
    }
}
