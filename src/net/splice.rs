//! Kernel pipes between two sockets: bytes pass from one to the other without a copy
//! (`splice(2)`).
//!
//! A [`Tube`] is lent to one direction of one session for as long as bytes are in it. Empty ones
//! are kept for the next borrower, since making a pipe costs two descriptors and a call. Their
//! number is bounded (`maxpipes`), and an unprivileged user may not have many; whoever gets none
//! copies.
//! It must never lend a tube that still holds somebody's bytes.

// The whole file is system calls that `std` does not have.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use crate::net::{Stop, Tube};

/// The size of a pipe when `tune.pipesize` does not say it, bytes: the most that an unprivileged
/// user may have by default. With the system's 64 KiB a body of 1 MiB costs a half more (measured).
const SIZE: u32 = 1 << 20;

/// Empty tubes that are kept open at most.
const KEPT_MAX: usize = 64;

/// Lends tubes.
#[derive(Debug)]
pub(super) struct Tubes {
    /// Empty, the last one used last.
    kept: Vec<(OwnedFd, OwnedFd)>,
    /// Those that are lent, by the number of the tube.
    lent: Vec<Option<(OwnedFd, OwnedFd)>>,
    /// Numbers that no tube has.
    free: Vec<u32>,
    in_use: u32,
    most: u32,
    /// `tune.pipesize`, bytes; 0 when it is not said.
    size: u32,
}

impl Tubes {
    /// At most `most` tubes of `size` bytes.
    pub(super) fn new(most: u32, size: u32) -> Self {
        Self {
            kept: Vec::new(),
            lent: Vec::new(),
            free: Vec::new(),
            in_use: 0,
            most,
            size,
        }
    }

    /// Lent and kept.
    pub(super) fn counts(&self) -> (u32, u32) {
        (
            self.in_use,
            u32::try_from(self.kept.len()).unwrap_or(u32::MAX),
        )
    }

    /// An empty tube, unless there are too many or the system gives none.
    pub(super) fn lend(&mut self) -> Option<Tube> {
        if self.in_use >= self.most {
            return None;
        }
        let ends = self.kept.pop().or_else(|| open(self.size).ok())?;
        let number = self.free.pop().unwrap_or_else(|| {
            self.lent.push(None);
            u32::try_from(self.lent.len().saturating_sub(1)).unwrap_or(u32::MAX)
        });
        *self.lent.get_mut(number as usize)? = Some(ends);
        self.in_use = self.in_use.saturating_add(1);
        Some(Tube(number))
    }

    /// Takes a tube back; one with bytes in it is closed, and they are gone.
    pub(super) fn give_back(&mut self, tube: Tube, held: usize) {
        let Some(ends) = self.lent.get_mut(tube.0 as usize).and_then(Option::take) else {
            return;
        };
        self.free.push(tube.0);
        self.in_use = self.in_use.saturating_sub(1);
        if held == 0 && self.kept.len() < KEPT_MAX {
            self.kept.push(ends);
        }
    }

    /// The reading and the writing end.
    pub(super) fn ends(&self, tube: &Tube) -> Option<(i32, i32)> {
        let (reader, writer) = self.lent.get(tube.0 as usize)?.as_ref()?;
        Some((reader.as_raw_fd(), writer.as_raw_fd()))
    }
}

fn open(size: u32) -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: room for two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let [reader, writer] = ends;
    // A longer pipe means fewer calls. The system may refuse (an unprivileged user's limit): its
    // own size serves, too.
    let size = if size > 0 { size } else { SIZE };
    // SAFETY: numbers only.
    unsafe { libc::fcntl(writer, libc::F_SETPIPE_SZ, size) };
    // SAFETY: both were opened above and belong to nobody else.
    Ok(unsafe { (OwnedFd::from_raw_fd(reader), OwnedFd::from_raw_fd(writer)) })
}

/// Moves up to `bytes_max` bytes between a pipe and a socket, whichever is which.
///
/// # Errors
/// [`Stop::Closed`] at the end of the sender, [`Stop::Blocked`], or [`Stop::Failed`].
pub(super) fn move_bytes(from: i32, to: i32, bytes_max: usize) -> Result<usize, Stop> {
    // Not SPLICE_F_MORE: what it saves in segments it costs in waiting (measured: 15 % a 64 KiB
    // body).
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    let none = std::ptr::null_mut();
    loop {
        // SAFETY: no offsets are passed, which pipes and sockets do not have.
        let moved = unsafe { libc::splice(from, none, to, none, bytes_max, flags) };
        return match usize::try_from(moved) {
            Ok(0) => Err(Stop::Closed),
            Ok(moved) => Ok(moved),
            Err(_) => match io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR) => continue,
                Some(libc::EAGAIN) => Err(Stop::Blocked),
                number => Err(Stop::Failed(number.unwrap_or(libc::EIO))),
            },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_empty_is_lent_again() {
        let mut tubes = Tubes::new(2, 0);
        let (one, two) = (tubes.lend().unwrap(), tubes.lend().unwrap());
        assert!(tubes.lend().is_none(), "two at most");
        assert_eq!(tubes.counts(), (2, 0));
        let ends = tubes.ends(&one);
        tubes.give_back(one, 0);
        assert_eq!(tubes.counts(), (1, 1));
        let again = tubes.lend().unwrap();
        assert_eq!(tubes.ends(&again), ends);
        tubes.give_back(again, 7);
        assert_eq!(tubes.counts(), (1, 0), "nobody gets another's bytes");
        tubes.give_back(two, 0);
        assert_eq!(tubes.counts(), (0, 1));
    }

    #[test]
    fn without_pipes_there_is_nothing_to_lend() {
        assert!(Tubes::new(0, 0).lend().is_none());
    }
}
