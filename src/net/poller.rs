//! The one place for epoll: the only file that names mio.
//!
//! A descriptor is registered once, edge-triggered, for both directions, and never changed: closing
//! it takes it out of the set, so the request path makes no `epoll_ctl` call. What an edge said is
//! translated to [`Readiness`]; what it is about is the caller's [`Handle`], 64 bits that pass
//! through the kernel unread.
//!
//! It must never look at a descriptor's content, retry, or loop: one [`Poller::wait`] is one
//! `epoll_wait`. Rejected: `mio::net` types, which would own our descriptors.

use std::io;
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::base::arena::Handle;
use crate::net::Readiness;

/// An epoll instance and room for what one wait returns.
#[derive(Debug)]
pub struct Poller {
    poll: Poll,
    events: Events,
}

impl Poller {
    /// A poller that returns up to `events_max` events a wait. To be made after the last fork: an
    /// epoll instance shared by two processes confuses both.
    ///
    /// # Errors
    /// When descriptors are out.
    pub fn new(events_max: usize) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(events_max),
        })
    }

    /// Registers a descriptor for edges of both directions. What is ready already is told by the
    /// next wait.
    ///
    /// # Errors
    /// When memory or watches are out, or `EEXIST`.
    pub fn add(&self, descriptor: i32, handle: Handle) -> io::Result<()> {
        self.register(descriptor, handle, Interest::READABLE | Interest::WRITABLE)
    }

    /// Registers a descriptor for edges of reading only: a listener, a signal source.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_readable(&self, descriptor: i32, handle: Handle) -> io::Result<()> {
        self.register(descriptor, handle, Interest::READABLE)
    }

    fn register(&self, descriptor: i32, handle: Handle, interest: Interest) -> io::Result<()> {
        // The engine's handles are 64 bits; so is a token on every target we build for.
        const { assert!(size_of::<usize>() == 8) };
        let token = Token(handle.0 as usize);
        self.poll
            .registry()
            .register(&mut SourceFd(&descriptor), token, interest)
    }

    /// Takes a descriptor out that stays open.
    ///
    /// # Errors
    /// When it was not in.
    pub fn remove(&self, descriptor: i32) -> io::Result<()> {
        self.poll.registry().deregister(&mut SourceFd(&descriptor))
    }

    /// Sleeps at most `timeout_ms` (`None`: until something happens; 0: not at all) and appends
    /// what became ready. Returns early and empty when a system signal interrupts it.
    pub fn wait(&mut self, timeout_ms: Option<u64>, ready: &mut Vec<(Handle, Readiness)>) {
        let timeout = timeout_ms.map(Duration::from_millis);
        if self.poll.poll(&mut self.events, timeout).is_err() {
            // `EINTR` is the only error of a valid poller; the caller's loop comes back.
            return;
        }
        ready.extend(
            self.events
                .iter()
                .map(|event| (Handle(event.token().0 as u64), said(event))),
        );
    }
}

/// The bits of an event. mio tells `EPOLLHUP` as both sides closed.
fn said(event: &Event) -> Readiness {
    let mut readiness = Readiness::default();
    if event.is_readable() {
        readiness.add(Readiness::READABLE);
    }
    if event.is_writable() {
        readiness.add(Readiness::WRITABLE);
    }
    if event.is_read_closed() {
        readiness.add(Readiness::READ_CLOSED);
    }
    if event.is_error() || event.is_write_closed() {
        readiness.add(Readiness::ERROR);
    }
    readiness
}
