//! The door to Linux: [`Net`] over system calls.
//!
//! One method is one system call wherever that is possible, because the number of calls decides
//! the speed: an accepted socket is non-blocking by `accept4` and has `TCP_NODELAY` from its
//! listener, a watched socket leaves the poller by being closed, the clock costs no call (vDSO).
//! Nothing here allocates after the start, keeps bytes, or knows what a connection is for.
//!
//! An interrupted call (`EINTR`) is made again, except the wait. No call may block: sockets are
//! non-blocking, logs ask first (`net::logs`).
//!
//! Rejected: `io_uring` (the loop's shape would be its shape), and asking the poller for one
//! direction at a time (an `epoll_ctl` a request).

// The whole file is system calls that `std` wraps in types which own or block.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use crate::base::addr::{Address, Endpoint};
use crate::base::arena::Handle;
use crate::base::clock::Now;
use crate::net::channel;
use crate::net::control::Control;
use crate::net::listen::BoundListener;
use crate::net::logs::LogTarget;
use crate::net::poller::Poller;
use crate::net::program::{self, ProgramLimits};
use crate::net::sockaddr::{self, SockAddr};
use crate::net::splice::{Tubes, move_bytes};
use crate::net::tune::{self, RESET};
use crate::net::{
    ConnectOptions, Invocation, ListenerState, LogBatch, Net, Order, Peer, Process, Readiness,
    Signal, Socket, Stop, Tube,
};

/// Events that one wait returns at most; more come with the next.
const EVENTS_MAX: usize = 512;
/// Signals read by one call.
const SIGNALS_MAX: usize = 8;
/// The handle of the signal source: never given to the engine, and never the engine's, whose kinds
/// are below 15.
const SIGNAL_HANDLE: Handle = Handle(u64::MAX);
/// The handle of the channel to the master, and that of a new worker's.
const MASTER_HANDLE: Handle = Handle(u64::MAX - 1);
const SUCCESSOR_HANDLE: Handle = Handle(u64::MAX - 2);

/// Where signals come from: a `signalfd(2)` and what each number means.
#[derive(Debug)]
pub struct SignalSource {
    /// The descriptor, non-blocking.
    pub descriptor: OwnedFd,
    /// The meaning of a number; `None` is ignored.
    pub meaning: fn(i32) -> Option<Signal>,
}

/// What the door is given at start.
#[derive(Debug)]
pub struct Parts {
    /// The listeners, in the order by which the engine names them; `None` for one that shall not
    /// listen (its proxy is disabled) and yet has its number.
    pub listeners: Vec<Option<BoundListener>>,
    /// The handle with which edges of a listener are told, by its position.
    pub listener_handle: fn(u32) -> Handle,
    /// The log targets, in the order by which the engine names them.
    pub logs: Vec<LogTarget>,
    /// Signals, if the process handles any.
    pub signals: Option<SignalSource>,
    /// Pipes for splicing at most, and their size in bytes (0: not said).
    pub tubes: (u32, u32),
    /// The channel to the master, if the process is a worker.
    pub control: Option<Control>,
    /// What programs may have, if some are to be run.
    pub programs: Option<ProgramLimits>,
}

/// The operating system.
#[derive(Debug)]
pub struct Os {
    poller: Poller,
    listeners: Vec<Listener>,
    logs: Vec<LogTarget>,
    signals: Option<SignalSource>,
    /// Signals that came and were not asked for yet.
    pending: VecDeque<Signal>,
    zone: Zone,
    sleep: Sleep,
    tubes: Tubes,
    control: Option<Control>,
    programs: Option<ProgramLimits>,
}

/// How much of each second is spent asleep, in microseconds.
#[derive(Debug)]
struct Sleep {
    since_us: u64,
    asleep_us: u64,
    percent: u8,
}

impl Default for Sleep {
    fn default() -> Self {
        Self {
            since_us: clock_us(),
            asleep_us: 0,
            percent: 100,
        }
    }
}

impl Sleep {
    const WINDOW_US: u64 = 1_000_000;

    /// A sleep has ended. What began in an earlier window counts to its end.
    fn add(&mut self, from_us: u64, to_us: u64) {
        self.asleep_us += to_us.saturating_sub(from_us);
        let whole = to_us.saturating_sub(self.since_us);
        if whole >= Self::WINDOW_US {
            self.percent = u8::try_from(self.asleep_us * 100 / whole)
                .unwrap_or(100)
                .min(100);
            self.since_us = to_us;
            self.asleep_us = 0;
        }
    }
}

#[derive(Debug)]
struct Listener {
    /// `None` once closed.
    socket: Option<OwnedFd>,
    handle: Handle,
    backlog: u32,
    /// [`BoundListener::segment_less`].
    segment_less: i32,
    watched: bool,
    /// It does not listen, though it is bound.
    refusing: bool,
}

impl Os {
    /// Opens the poller and watches the signals and every listener. To be called after the last
    /// fork.
    ///
    /// # Errors
    /// When descriptors or watches are out.
    pub fn new(parts: Parts) -> io::Result<Self> {
        let poller = Poller::new(EVENTS_MAX)?;
        if let Some(signals) = &parts.signals {
            poller.add_readable(signals.descriptor.as_raw_fd(), SIGNAL_HANDLE)?;
        }
        if let Some(master) = parts.control.as_ref().and_then(Control::master) {
            poller.add_readable(master, MASTER_HANDLE)?;
        }
        let mut listeners = Vec::with_capacity(parts.listeners.len());
        for (index, bound) in parts.listeners.into_iter().enumerate() {
            let handle = (parts.listener_handle)(index as u32);
            let backlog = bound.as_ref().map_or(0, |bound| bound.backlog);
            let segment_less = bound.as_ref().map_or(0, |bound| bound.segment_less);
            let socket = bound.map(|bound| bound.socket);
            if let Some(socket) = &socket {
                poller.add_readable(socket.as_raw_fd(), handle)?;
            }
            let watched = socket.is_some();
            listeners.push(Listener {
                socket,
                handle,
                backlog,
                segment_less,
                watched,
                refusing: false,
            });
        }
        Ok(Self {
            poller,
            listeners,
            logs: parts.logs,
            signals: parts.signals,
            pending: VecDeque::with_capacity(SIGNALS_MAX),
            zone: Zone::default(),
            sleep: Sleep::default(),
            tubes: Tubes::new(parts.tubes.0, parts.tubes.1),
            control: parts.control,
            programs: parts.programs,
        })
    }

    /// The present date, without waiting: for what happens before the loop begins.
    pub fn now(&mut self) -> Now {
        self.date(clock_us() / 1000)
    }

    /// The date that belongs to this moment of the monotonic clock.
    fn date(&mut self, ms: u64) -> Now {
        let wall_ms = clock_ms(libc::CLOCK_REALTIME);
        Now {
            ms,
            wall_ms,
            utc_offset_s: self.zone.offset(wall_ms),
        }
    }

    /// Looks anew at the log targets that the process shares with others: becoming a daemon puts
    /// `/dev/null` under `stdout` and `stderr`.
    pub fn look_again_at_logs(&mut self) {
        self.logs.iter_mut().for_each(LogTarget::look_again);
    }

    /// Reads all signals that came. The source is edge-triggered like everything else.
    fn read_signals(&mut self) {
        let Some(source) = &self.signals else { return };
        loop {
            // SAFETY: all-zero records are valid values of that plain C struct.
            let mut records: [libc::signalfd_siginfo; SIGNALS_MAX] = unsafe { zeroed() };
            let room = size_of::<[libc::signalfd_siginfo; SIGNALS_MAX]>();
            // SAFETY: the buffer is valid for `room` bytes, and any bytes are a valid record.
            let got = unsafe {
                libc::read(
                    source.descriptor.as_raw_fd(),
                    records.as_mut_ptr().cast(),
                    room,
                )
            };
            let Ok(got) = usize::try_from(got) else {
                return;
            };
            let count = got / size_of::<libc::signalfd_siginfo>();
            for record in &records[..count] {
                self.pending
                    .extend((source.meaning)(record.ssi_signo as i32));
            }
            if count < SIGNALS_MAX {
                return;
            }
        }
    }
}

impl Os {
    fn read_master(&mut self) {
        if let Some(control) = &mut self.control
            && let Some(successor) = control.read_master()
        {
            // It may have asked already: being added tells so. Without a watch it binds for itself.
            drop(self.poller.add_readable(successor, SUCCESSOR_HANDLE));
        }
    }

    fn open_listeners(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let listeners = self.listeners.iter();
        listeners.filter_map(|one| one.socket.as_ref().map(|socket| socket.as_fd()))
    }

    fn read_successor(&mut self) {
        let listeners = self.listeners.iter();
        let listeners = listeners.filter_map(|one| one.socket.as_ref());
        let listeners: Vec<BorrowedFd<'_>> = listeners.map(|socket| socket.as_fd()).collect();
        if let Some(control) = &mut self.control {
            control.read_successor(&listeners);
        }
    }
}

impl Net for Os {
    fn wait(&mut self, until_ms: Option<u64>, ready: &mut Vec<(Handle, Readiness)>) -> Now {
        // The clock is cut to whole milliseconds, so the difference is rounded up: a sleep never
        // ends before its moment, and the loop never spins through a last fraction.
        let asleep_us = clock_us();
        let timeout_ms = until_ms.map(|until| until.saturating_sub(asleep_us / 1000));
        let first = ready.len();
        self.poller.wait(timeout_ms, ready);
        let awake_us = clock_us();
        self.sleep.add(asleep_us, awake_us);
        while let Some(at) = ready[first..]
            .iter()
            .position(|(handle, _)| *handle >= SUCCESSOR_HANDLE)
        {
            match ready.swap_remove(first + at).0 {
                SIGNAL_HANDLE => self.read_signals(),
                MASTER_HANDLE => self.read_master(),
                _ => self.read_successor(),
            }
        }
        self.date(awake_us / 1000)
    }

    fn idle_percent(&self) -> u8 {
        self.sleep.percent
    }

    fn accept(&mut self, listener: u32) -> Result<(Socket, Peer), Stop> {
        let known = self.listeners.get(listener as usize);
        let segment_less = known.map_or(0, |known| known.segment_less);
        let socket = known.and_then(|known| known.socket.as_ref());
        let descriptor = socket.ok_or(Stop::Failed(libc::EBADF))?.as_raw_fd();
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        let mut from = SockAddr::empty();
        loop {
            // SAFETY: both pointers are into `from`, and the length says how much room there is.
            let socket =
                unsafe { libc::accept4(descriptor, from.as_mut_ptr(), from.length_mut(), flags) };
            if socket >= 0 {
                if segment_less > 0 && from.family() != libc::AF_UNIX {
                    tune::shrink_segments(socket, segment_less);
                }
                return Ok((
                    Socket::from_raw(socket),
                    Peer {
                        source: from.address(),
                    },
                ));
            }
            match errno() {
                // Gone again before we came, or a network error of that connection only (accept(2),
                // "Error handling"): the next one waits behind it.
                libc::EINTR | libc::ECONNABORTED | libc::EPROTO => {}
                number => return Err(stop(number)),
            }
        }
    }

    fn connect(&mut self, to: &Endpoint, how: ConnectOptions<'_>) -> Result<Socket, Stop> {
        let address =
            SockAddr::new(to).map_err(|why| stop(why.raw_os_error().unwrap_or(libc::EINVAL)))?;
        let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: no pointer is passed.
        let descriptor = unsafe { libc::socket(address.family(), kind, 0) };
        if descriptor < 0 {
            return Err(Stop::Failed(errno()));
        }
        if address.family() != libc::AF_UNIX {
            set_option(descriptor, libc::IPPROTO_TCP, libc::TCP_NODELAY, &1i32);
        }
        if let Some(outgoing) = how.outgoing
            && address.family() != libc::AF_UNIX
            && let Err(error) = tune::set_outgoing(descriptor, outgoing, how.source_port, how.check)
        {
            close(descriptor);
            return Err(Stop::NoSource(error.raw_os_error().unwrap_or(0)));
        }
        if how.check {
            // Without the quick acknowledgement the reset is the third and last packet.
            if !how.server_speaks {
                set_option(descriptor, libc::IPPROTO_TCP, libc::TCP_QUICKACK, &0i32);
            }
            set_option(descriptor, libc::SOL_SOCKET, libc::SO_LINGER, &RESET);
        }
        // SAFETY: the pointer and the length are those of `address`.
        let code = unsafe { libc::connect(descriptor, address.as_ptr(), address.length()) };
        // An interrupted connect goes on by itself, as one in progress does.
        if code < 0 && !matches!(errno(), libc::EINPROGRESS | libc::EINTR) {
            let number = errno();
            close(descriptor);
            // A full backlog of a unix socket says `EAGAIN`, and no edge would ever tell more.
            return Err(Stop::Failed(number));
        }
        Ok(Socket::from_raw(descriptor))
    }

    fn connect_result(&mut self, socket: &Socket) -> Result<(), Stop> {
        let mut asked = libc::pollfd {
            fd: socket.raw(),
            events: libc::POLLOUT,
            revents: 0,
        };
        // SAFETY: one valid `pollfd`, and no waiting.
        let code = unsafe { libc::poll(&raw mut asked, 1, 0) };
        if code == 0 {
            return Err(Stop::Blocked);
        }
        if code > 0 && asked.revents & (libc::POLLERR | libc::POLLHUP) == 0 {
            return Ok(());
        }
        match socket_error(socket.raw()) {
            0 if has_peer(socket.raw()) => Ok(()),
            0 => Err(Stop::Failed(libc::ENOTCONN)),
            number => Err(Stop::Failed(number)),
        }
    }

    fn watch(&mut self, socket: &Socket, handle: Handle) -> Result<(), Stop> {
        debug_assert_ne!(handle, SIGNAL_HANDLE);
        let added = self.poller.add(socket.raw(), handle);
        added.map_err(|why| Stop::Failed(why.raw_os_error().unwrap_or(libc::EIO)))
    }

    fn local_address(&mut self, socket: &Socket) -> Address {
        sockaddr::local(socket.raw()).map_or(Address::None, |local| local.address())
    }

    fn recv(&mut self, socket: &Socket, into: &mut [u8]) -> Result<usize, Stop> {
        debug_assert!(!into.is_empty());
        loop {
            // SAFETY: the pointer is valid for the length given.
            let got = unsafe { libc::recv(socket.raw(), into.as_mut_ptr().cast(), into.len(), 0) };
            match usize::try_from(got) {
                Ok(0) => return Err(Stop::Closed),
                Ok(got) => return Ok(got),
                Err(_) => match errno() {
                    libc::EINTR => {}
                    number => return Err(stop(number)),
                },
            }
        }
    }

    fn send(
        &mut self,
        socket: &Socket,
        head: &[u8],
        body: &[u8],
        more: bool,
    ) -> Result<usize, Stop> {
        debug_assert!(!head.is_empty() || !body.is_empty());
        let flags = libc::MSG_NOSIGNAL | if more { libc::MSG_MORE } else { 0 };
        loop {
            let sent = match (head, body) {
                // SAFETY: the pointer is valid for the length given.
                ([], only) | (only, []) => unsafe {
                    libc::send(socket.raw(), only.as_ptr().cast(), only.len(), flags)
                },
                both => send_both(socket.raw(), both.0, both.1, flags),
            };
            match usize::try_from(sent) {
                Ok(sent) => return Ok(sent),
                Err(_) => match errno() {
                    libc::EINTR => {}
                    number => return Err(stop(number)),
                },
            }
        }
    }

    fn lend_tube(&mut self) -> Option<Tube> {
        self.tubes.lend()
    }

    fn return_tube(&mut self, tube: Tube, held: usize) {
        self.tubes.give_back(tube, held);
    }

    fn fill_tube(&mut self, from: &Socket, tube: &Tube, bytes_max: usize) -> Result<usize, Stop> {
        let (_, writer) = self.tubes.ends(tube).ok_or(Stop::Failed(libc::EBADF))?;
        move_bytes(from.raw(), writer, bytes_max)
    }

    fn empty_tube(&mut self, tube: &Tube, to: &Socket, held: usize) -> Result<usize, Stop> {
        let (reader, _) = self.tubes.ends(tube).ok_or(Stop::Failed(libc::EBADF))?;
        move_bytes(reader, to.raw(), held)
    }

    fn tubes(&self) -> (u32, u32) {
        self.tubes.counts()
    }

    fn shutdown_write(&mut self, socket: &Socket) {
        // SAFETY: no pointer is passed. It fails only when the connection is gone already.
        unsafe { libc::shutdown(socket.raw(), libc::SHUT_WR) };
    }

    fn close(&mut self, socket: Socket) {
        close(socket.into_raw());
    }

    fn abort(&mut self, socket: Socket) {
        set_option(socket.raw(), libc::SOL_SOCKET, libc::SO_LINGER, &RESET);
        close(socket.into_raw());
    }

    fn run(&mut self, what: &Invocation<'_>) -> Result<Process, Stop> {
        program::start(what, self.programs)
    }

    fn outcome(&mut self, process: &Process) -> Result<u32, Stop> {
        program::outcome(process)
    }

    fn end(&mut self, process: &Process, now: bool) {
        program::end(process, now);
    }

    fn listener(&mut self, listener: u32, to: ListenerState) {
        let Some(known) = self.listeners.get_mut(listener as usize) else {
            return;
        };
        let Some(descriptor) = known.socket.as_ref().map(|socket| socket.as_raw_fd()) else {
            return;
        };
        if known.watched {
            // Fails only when it is not watched.
            drop(self.poller.remove(descriptor));
            known.watched = false;
        }
        match to {
            // Registering anew tells at once if somebody waits.
            ListenerState::Resumed => {
                if std::mem::replace(&mut known.refusing, false) {
                    // It fails only if another socket listens there alone, and ours stays silent.
                    // SAFETY: no pointer is passed.
                    unsafe { libc::listen(descriptor, known.backlog.cast_signed()) };
                }
                known.watched = self.poller.add_readable(descriptor, known.handle).is_ok();
            }
            ListenerState::Paused => {}
            ListenerState::Refusing => known.refusing = stop_listening(descriptor),
            ListenerState::Closed => known.socket = None,
        }
    }

    fn send_log(&mut self, target: u32, batch: &LogBatch, from: usize) -> Result<usize, Stop> {
        let known = self.logs.get_mut(target as usize);
        known.ok_or(Stop::Failed(libc::EBADF))?.send(batch, from)
    }

    fn signal(&mut self) -> Option<Signal> {
        self.pending.pop_front()
    }

    fn expose_listeners(&mut self, to: &Socket) -> Result<(), Stop> {
        let listeners: Vec<BorrowedFd<'_>> = self.open_listeners().collect();
        let failed = |why: io::Error| stop(why.raw_os_error().unwrap_or(libc::EIO));
        channel::expose(to.raw(), &listeners).map_err(failed)
    }

    fn order(&mut self) -> Option<Order> {
        self.control.as_mut().and_then(Control::order)
    }

    fn hand_over(&mut self, document: &[u8]) {
        if let Some(control) = &self.control {
            control.hand_over(document);
        }
    }

    fn hand_over_rest(&mut self, document: &[u8], last: bool) {
        if let Some(control) = &mut self.control {
            control.hand_over_rest(document, last);
        }
    }
}

/// Local time less UTC, asked once a minute: no zone changes at another moment.
#[derive(Debug, Default)]
struct Zone {
    /// The minute since 1970 for which `offset_s` is known; 0 is never asked for.
    minute: u64,
    offset_s: i32,
}

impl Zone {
    fn offset(&mut self, wall_ms: u64) -> i32 {
        let minute = wall_ms / 60_000;
        if minute != self.minute {
            self.minute = minute;
            self.offset_s = utc_offset_s((wall_ms / 1000) as i64);
        }
        self.offset_s
    }
}

/// Local time less UTC in seconds, at `seconds` since 1970. The first call reads the zone's file,
/// so it is to be made before a chroot.
pub fn utc_offset_s(seconds: i64) -> i32 {
    // SAFETY: an all-zero `tm` is a valid value, and both pointers are valid for the call.
    let mut civil: libc::tm = unsafe { zeroed() };
    // SAFETY: as above; `localtime_r` may touch the C library's zone tables, and nothing else in
    // this single-threaded process does.
    let known = unsafe { libc::localtime_r(&raw const seconds, &raw mut civil) };
    if known.is_null() {
        0
    } else {
        civil.tm_gmtoff as i32
    }
}

/// A clock in milliseconds, cut.
fn clock_ms(clock: libc::clockid_t) -> u64 {
    clock_us_of(clock) / 1000
}

/// What the clock of this file shows when the machine starts, in microseconds: a hundred years.
/// What is older than the machine (a server's last change, read from a file of states) then has a
/// time, which a clock that begins with the machine has not.
const ORIGIN_US: u64 = 100 * 365 * 24 * 3600 * 1_000_000;

/// The monotonic clock, in microseconds.
fn clock_us() -> u64 {
    ORIGIN_US + clock_us_of(libc::CLOCK_MONOTONIC)
}

fn clock_us_of(clock: libc::clockid_t) -> u64 {
    let mut at = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is valid for the call; both clocks exist on every Linux.
    unsafe { libc::clock_gettime(clock, &raw mut at) };
    at.tv_sec as u64 * 1_000_000 + at.tv_nsec as u64 / 1000
}

/// Makes a listener refuse and stay bound; false for a socket that cannot (unix). Connecting it to
/// no address is what undoes `listen` on Linux, as HAProxy does it.
pub(super) fn stop_listening(descriptor: i32) -> bool {
    let Ok(local) = sockaddr::local(descriptor) else {
        return false;
    };
    if local.family() == libc::AF_UNIX {
        return false;
    }
    let nowhere = SockAddr::empty();
    // SAFETY: pointers and lengths are those of `nowhere`, whose family 0 is `AF_UNSPEC`, and of
    // `local`.
    unsafe {
        let stopped = libc::connect(descriptor, nowhere.as_ptr(), nowhere.length()) == 0;
        // A port that the kernel chose is given up by that; one that was asked for is kept, and
        // then this fails.
        libc::bind(descriptor, local.as_ptr(), local.length());
        stopped
    }
}

/// Both slices in one `sendmsg`.
fn send_both(descriptor: i32, head: &[u8], body: &[u8], flags: i32) -> isize {
    // The kernel reads through these pointers and writes nothing.
    let mut pieces = [head, body].map(|piece| libc::iovec {
        iov_base: piece.as_ptr().cast_mut().cast(),
        iov_len: piece.len(),
    });
    // SAFETY: an all-zero `msghdr` is a valid value of that plain C struct.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = pieces.as_mut_ptr();
    message.msg_iovlen = pieces.len() as _;
    // SAFETY: the message and what it points to outlive the call.
    unsafe { libc::sendmsg(descriptor, &raw const message, flags) }
}

/// Sets an option; none that we set can fail in a way that matters.
fn set_option<T>(descriptor: i32, level: i32, name: i32, value: &T) {
    tune::set(descriptor, level, name, value);
}

/// The pending error of a socket, which reading clears; 0 for none.
fn socket_error(descriptor: i32) -> i32 {
    let (mut number, mut length) = (0i32, size_of::<i32>() as libc::socklen_t);
    // SAFETY: both pointers are valid for the call and `length` says how much room there is.
    let code = unsafe {
        libc::getsockopt(
            descriptor,
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            (&raw mut number).cast(),
            &raw mut length,
        )
    };
    if code < 0 { errno() } else { number }
}

/// Whether the socket is (still) connected.
fn has_peer(descriptor: i32) -> bool {
    let mut peer = SockAddr::empty();
    // SAFETY: both pointers are into `peer`, and the length says how much room there is.
    unsafe { libc::getpeername(descriptor, peer.as_mut_ptr(), peer.length_mut()) == 0 }
}

/// Closes a descriptor that nobody uses any more.
fn close(descriptor: i32) {
    // SAFETY: the caller gave its only owner up. On Linux the descriptor is gone whatever it says.
    unsafe { libc::close(descriptor) };
}

fn errno() -> i32 {
    io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EIO)
}

fn stop(number: i32) -> Stop {
    if number == libc::EAGAIN {
        Stop::Blocked
    } else {
        Stop::Failed(number)
    }
}

#[cfg(test)]
#[path = "os_tests.rs"]
mod tests;
