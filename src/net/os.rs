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
use std::os::fd::{AsRawFd as _, OwnedFd};

use crate::base::addr::{Address, Endpoint};
use crate::base::arena::Handle;
use crate::base::clock::Now;
use crate::net::listen::BoundListener;
use crate::net::logs::LogTarget;
use crate::net::poller::Poller;
use crate::net::sockaddr::{self, SockAddr};
use crate::net::{
    ConnectOptions, ListenerState, LogBatch, Net, Peer, Readiness, Signal, Socket, Stop,
};

/// Events that one wait returns at most; more come with the next.
const EVENTS_MAX: usize = 512;
/// Signals read by one call.
const SIGNALS_MAX: usize = 8;
/// The handle of the signal source: never given to the engine, and never the engine's, whose kinds
/// are below 15.
const SIGNAL_HANDLE: Handle = Handle(u64::MAX);

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
        let mut listeners = Vec::with_capacity(parts.listeners.len());
        for (index, bound) in parts.listeners.into_iter().enumerate() {
            let handle = (parts.listener_handle)(index as u32);
            let backlog = bound.as_ref().map_or(0, |bound| bound.backlog);
            let socket = bound.map(|bound| bound.socket);
            if let Some(socket) = &socket {
                poller.add_readable(socket.as_raw_fd(), handle)?;
            }
            let watched = socket.is_some();
            listeners.push(Listener {
                socket,
                handle,
                backlog,
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
        })
    }

    /// The present date, without waiting: for what happens before the loop begins.
    pub fn now(&mut self) -> Now {
        let wall_ms = clock_ms(libc::CLOCK_REALTIME);
        Now {
            ms: clock_ms(libc::CLOCK_MONOTONIC),
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

impl Net for Os {
    fn wait(&mut self, until_ms: Option<u64>, ready: &mut Vec<(Handle, Readiness)>) -> Now {
        // The clock is cut to whole milliseconds, so the difference is rounded up: a sleep never
        // ends before its moment, and the loop never spins through a last fraction.
        let asleep_us = clock_us();
        let timeout_ms = until_ms.map(|until| until.saturating_sub(asleep_us / 1000));
        let first = ready.len();
        self.poller.wait(timeout_ms, ready);
        self.sleep.add(asleep_us, clock_us());
        if let Some(at) = ready[first..]
            .iter()
            .position(|(handle, _)| *handle == SIGNAL_HANDLE)
        {
            ready.swap_remove(first + at);
            self.read_signals();
        }
        self.now()
    }

    fn idle_percent(&self) -> u8 {
        self.sleep.percent
    }

    fn accept(&mut self, listener: u32) -> Result<(Socket, Peer), Stop> {
        let known = self
            .listeners
            .get(listener as usize)
            .and_then(|known| known.socket.as_ref());
        let descriptor = known.ok_or(Stop::Failed(libc::EBADF))?.as_raw_fd();
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        let mut from = SockAddr::empty();
        loop {
            // SAFETY: both pointers are into `from`, and the length says how much room there is.
            let socket =
                unsafe { libc::accept4(descriptor, from.as_mut_ptr(), from.length_mut(), flags) };
            if socket >= 0 {
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

    fn connect(&mut self, to: &Endpoint, how: ConnectOptions) -> Result<Socket, Stop> {
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
        if how.check {
            // Without the quick acknowledgement the reset is the third and last packet.
            set_option(descriptor, libc::IPPROTO_TCP, libc::TCP_QUICKACK, &0i32);
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
}

/// A close by reset: linger, for no time.
const RESET: libc::linger = libc::linger {
    l_onoff: 1,
    l_linger: 0,
};

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

/// The monotonic clock, in microseconds.
fn clock_us() -> u64 {
    clock_us_of(libc::CLOCK_MONOTONIC)
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
fn stop_listening(descriptor: i32) -> bool {
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
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the pointer is valid for the length given.
    unsafe { libc::setsockopt(descriptor, level, name, (&raw const *value).cast(), length) };
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
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::FromRawFd as _;
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::net::listen::{ListenerSpec, bind_all};

    const PATIENCE_MS: u64 = 10_000;

    fn handle(index: u32) -> Handle {
        Handle::new(1, 0, index)
    }

    /// A door with these listeners, and where they listen.
    fn os(endpoints: &[Endpoint]) -> (Os, Vec<Endpoint>) {
        let specs: Vec<_> = endpoints
            .iter()
            .map(|endpoint| ListenerSpec::new(endpoint.clone(), 16))
            .collect();
        let bound = bind_all(&specs).unwrap();
        let at = bound
            .iter()
            .map(|listener| listener.endpoint.clone())
            .collect();
        let listeners = bound.into_iter().map(Some).collect();
        let parts = Parts {
            listeners,
            listener_handle: handle,
            logs: Vec::new(),
            signals: None,
        };
        (Os::new(parts).unwrap(), at)
    }

    fn loopback() -> Endpoint {
        Endpoint::Inet("127.0.0.1:0".parse().unwrap())
    }

    fn client(at: &Endpoint) -> TcpStream {
        let Endpoint::Inet(at) = at else { panic!() };
        TcpStream::connect(at).unwrap()
    }

    /// Waits until an edge of `of` says `what`.
    fn edge(os: &mut Os, of: Handle, what: Readiness) {
        let mut ready = Vec::new();
        let end = os.now().ms + PATIENCE_MS;
        loop {
            let now = os.wait(Some(end), &mut ready);
            if ready
                .drain(..)
                .any(|(handle, said)| handle == of && said.has(what))
            {
                return;
            }
            assert!(now.ms < end, "no edge");
        }
    }

    /// What can be read without waiting.
    fn silent(os: &mut Os) -> bool {
        let mut ready = Vec::new();
        os.wait(Some(0), &mut ready);
        ready.is_empty()
    }

    /// A socket of the door and its other end.
    fn pair(os: &mut Os, at: &Endpoint) -> (Socket, TcpStream) {
        let other = client(at);
        edge(os, handle(0), Readiness::READABLE);
        let (socket, peer) = os.accept(0).unwrap();
        assert_eq!(peer.source, other.local_addr().unwrap().into());
        (socket, other)
    }

    #[test]
    fn accepts_reads_and_writes() {
        let (mut os, at) = os(&[loopback()]);
        assert_eq!(os.accept(0), Err(Stop::Blocked));
        let (socket, mut other) = pair(&mut os, &at[0]);
        assert_eq!(os.local_address(&socket), other.peer_addr().unwrap().into());
        let key = handle(77);
        os.watch(&socket, key).unwrap();
        let mut into = [0; 4];
        assert_eq!(os.recv(&socket, &mut into), Err(Stop::Blocked));
        other.write_all(b"abcdef").unwrap();
        edge(&mut os, key, Readiness::READABLE);
        assert_eq!((os.recv(&socket, &mut into), &into), (Ok(4), b"abcd"));
        assert_eq!(
            (os.recv(&socket, &mut into), &into[..2]),
            (Ok(2), &b"ef"[..])
        );
        assert_eq!(os.recv(&socket, &mut into), Err(Stop::Blocked));
        assert_eq!(os.send(&socket, b"head ", b"body", true), Ok(9));
        assert_eq!(os.send(&socket, b"", b" more", false), Ok(5));
        let mut text = [0; 14];
        other.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"head body more");
        other.shutdown(std::net::Shutdown::Write).unwrap();
        edge(&mut os, key, Readiness::READ_CLOSED);
        assert_eq!(os.recv(&socket, &mut into), Err(Stop::Closed));
        assert_eq!(os.send(&socket, b"bye", b"", false), Ok(3));
        os.shutdown_write(&socket);
        let mut rest = Vec::new();
        other.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"bye");
        os.close(socket);
    }

    #[test]
    fn accepted_sockets_are_as_the_loop_needs_them() {
        let (mut os, at) = os(&[loopback()]);
        let (socket, _other) = pair(&mut os, &at[0]);
        let (mut on, mut length) = (0i32, 4);
        // SAFETY: both pointers are valid for the call.
        unsafe {
            let (level, name) = (libc::IPPROTO_TCP, libc::TCP_NODELAY);
            libc::getsockopt(
                socket.raw(),
                level,
                name,
                (&raw mut on).cast(),
                &raw mut length,
            );
            assert_eq!(on, 1, "no delay comes from the listener");
            let flags = libc::fcntl(socket.raw(), libc::F_GETFL);
            assert_ne!(flags & libc::O_NONBLOCK, 0);
            assert_eq!(libc::fcntl(socket.raw(), libc::F_GETFD), libc::FD_CLOEXEC);
        }
        os.close(socket);
    }

    #[test]
    fn a_full_socket_blocks_and_tells_when_it_drains() {
        let (mut os, at) = os(&[loopback()]);
        let (socket, mut other) = pair(&mut os, &at[0]);
        let key = handle(5);
        os.watch(&socket, key).unwrap();
        edge(&mut os, key, Readiness::WRITABLE);
        let piece = vec![b'x'; 1 << 16];
        let mut sent = 0;
        loop {
            match os.send(&socket, &piece, &piece, false) {
                Ok(some) => sent += some,
                Err(stop) => {
                    assert_eq!(stop, Stop::Blocked);
                    break;
                }
            }
        }
        let mut got = vec![0; sent];
        other.read_exact(&mut got).unwrap();
        edge(&mut os, key, Readiness::WRITABLE);
        os.close(socket);
    }

    #[test]
    fn an_abort_is_a_reset() {
        let (mut os, at) = os(&[loopback()]);
        let (socket, mut other) = pair(&mut os, &at[0]);
        os.abort(socket);
        let error = other.read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
    }

    #[test]
    fn a_reset_is_an_edge_and_a_reason() {
        let (mut os, at) = os(&[loopback()]);
        let (socket, other) = pair(&mut os, &at[0]);
        let key = handle(6);
        os.watch(&socket, key).unwrap();
        set_option(other.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, &RESET);
        drop(other);
        edge(&mut os, key, Readiness::ERROR);
        assert_eq!(
            os.recv(&socket, &mut [0; 1]),
            Err(Stop::Failed(libc::ECONNRESET))
        );
        assert_eq!(
            os.send(&socket, b"x", b"", false),
            Err(Stop::Failed(libc::EPIPE))
        );
        os.close(socket);
    }

    #[test]
    fn connects_and_tells_how_it_ended() {
        let (mut os, _) = os(&[]);
        let origin = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = Endpoint::Inet(origin.local_addr().unwrap());
        for check in [false, true] {
            let socket = os.connect(&to, ConnectOptions { check }).unwrap();
            let key = handle(9);
            os.watch(&socket, key).unwrap();
            edge(&mut os, key, Readiness::WRITABLE);
            assert_eq!(os.connect_result(&socket), Ok(()));
            let (mut other, _) = origin.accept().unwrap();
            os.close(socket);
            let end = other
                .read(&mut [0; 1])
                .map_err(|error| error.raw_os_error());
            let expected = if check {
                Err(Some(libc::ECONNRESET))
            } else {
                Ok(0)
            };
            assert_eq!(end, expected, "a check's close is a reset");
        }
    }

    #[test]
    fn a_refused_connect_tells_its_reason() {
        let (mut os, _) = os(&[]);
        let origin = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = Endpoint::Inet(origin.local_addr().unwrap());
        drop(origin);
        let socket = match os.connect(&to, ConnectOptions::default()) {
            Ok(socket) => socket,
            Err(stop) => return assert_eq!(stop, Stop::Failed(libc::ECONNREFUSED)),
        };
        let key = handle(3);
        os.watch(&socket, key).unwrap();
        edge(&mut os, key, Readiness::ERROR);
        assert_eq!(
            os.connect_result(&socket),
            Err(Stop::Failed(libc::ECONNREFUSED))
        );
        assert_eq!(
            os.connect_result(&socket),
            Err(Stop::Failed(libc::ENOTCONN))
        );
        os.close(socket);
    }

    #[test]
    fn a_connect_under_way_is_not_a_result() {
        let (mut os, _) = os(&[]);
        // A backlog of none that is full: the kernel drops the next handshake's packets.
        let origin = TcpListener::bind("127.0.0.1:0").unwrap();
        // SAFETY: no pointer is passed.
        unsafe { libc::listen(origin.as_raw_fd(), 0) };
        let to = Endpoint::Inet(origin.local_addr().unwrap());
        let mut waiting = Vec::new();
        let under_way = (0..16).any(|_| {
            let socket = os.connect(&to, ConnectOptions::default()).unwrap();
            let result = os.connect_result(&socket);
            waiting.push(socket);
            result == Err(Stop::Blocked)
        });
        assert!(under_way);
        waiting.into_iter().for_each(|socket| os.abort(socket));
    }

    #[test]
    fn unix_and_abstract_sockets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let path = Endpoint::Unix(path.to_str().unwrap().as_bytes().into());
        let name = format!("oneloop-os-{}", std::process::id());
        let name = Endpoint::Abstract(name.as_bytes().into());
        let (mut os, at) = os(&[path, name]);
        for (listener, at) in at.iter().enumerate() {
            let near = os.connect(at, ConnectOptions { check: true }).unwrap();
            assert_eq!(os.connect_result(&near), Ok(()));
            edge(&mut os, handle(listener as u32), Readiness::READABLE);
            let (far, peer) = os.accept(listener as u32).unwrap();
            assert_eq!(peer.source, Address::Unix);
            assert_eq!(os.local_address(&far), Address::Unix);
            assert_eq!(os.send(&near, b"hello", b"", false), Ok(5));
            assert_eq!(os.recv(&far, &mut [0; 16]), Ok(5));
            os.abort(near);
            assert_eq!(os.recv(&far, &mut [0; 16]), Err(Stop::Closed));
            os.close(far);
        }
        let missing = Endpoint::Unix(
            folder
                .path()
                .join("none")
                .to_str()
                .unwrap()
                .as_bytes()
                .into(),
        );
        let stop = os.connect(&missing, ConnectOptions::default()).unwrap_err();
        assert_eq!(stop, Stop::Failed(libc::ENOENT));
    }

    #[test]
    fn a_full_unix_backlog_is_a_failure_at_once() {
        let (mut os, _) = os(&[]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let origin = UnixListener::bind(&path).unwrap();
        // SAFETY: no pointer is passed.
        unsafe { libc::listen(origin.as_raw_fd(), 0) };
        let to = Endpoint::Unix(path.to_str().unwrap().as_bytes().into());
        let mut open = Vec::new();
        let stop = loop {
            match os.connect(&to, ConnectOptions::default()) {
                Ok(socket) => open.push(socket),
                Err(stop) => break stop,
            }
            assert!(open.len() < 16);
        };
        assert_eq!(stop, Stop::Failed(libc::EAGAIN));
        open.into_iter().for_each(|socket| os.close(socket));
    }

    #[test]
    fn a_paused_listener_is_silent_and_resumes_with_an_edge() {
        let (mut os, at) = os(&[loopback()]);
        os.listener(0, ListenerState::Paused);
        os.listener(0, ListenerState::Paused);
        let _first = client(&at[0]);
        assert!(silent(&mut os));
        os.listener(0, ListenerState::Resumed);
        edge(&mut os, handle(0), Readiness::READABLE);
        assert!(silent(&mut os), "an edge comes once");
        // Resumed once more, it tells once more.
        os.listener(0, ListenerState::Resumed);
        edge(&mut os, handle(0), Readiness::READABLE);
        let (socket, _) = os.accept(0).unwrap();
        os.close(socket);
        os.listener(0, ListenerState::Closed);
        os.listener(0, ListenerState::Resumed);
        assert_eq!(os.accept(0), Err(Stop::Failed(libc::EBADF)));
        let Endpoint::Inet(at) = &at[0] else { panic!() };
        assert!(TcpStream::connect(at).is_err(), "closed for good");
    }

    #[test]
    fn a_refusing_listener_listens_again() {
        let (mut os, at) = os(&[loopback()]);
        let Endpoint::Inet(address) = at[0] else {
            panic!()
        };
        for _ in 0..2 {
            os.listener(0, ListenerState::Refusing);
            let refused = TcpStream::connect(address).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            os.listener(0, ListenerState::Resumed);
            let (socket, _other) = pair(&mut os, &at[0]);
            os.close(socket);
        }
    }

    #[test]
    fn a_listener_left_out_keeps_its_number() {
        let bound = bind_all(&[ListenerSpec::new(loopback(), 1)]).unwrap();
        let listeners = std::iter::once(None)
            .chain(bound.into_iter().map(Some))
            .collect();
        let parts = Parts {
            listeners,
            listener_handle: handle,
            logs: Vec::new(),
            signals: None,
        };
        let mut os = Os::new(parts).unwrap();
        os.listener(0, ListenerState::Resumed);
        assert_eq!(os.accept(0), Err(Stop::Failed(libc::EBADF)));
        assert_eq!(os.accept(1), Err(Stop::Blocked));
    }

    #[test]
    fn a_sleep_never_ends_early() {
        let (mut os, _) = os(&[]);
        for ms in [0, 1, 2, 7] {
            let until = os.now().ms + ms;
            let mut ready = Vec::new();
            assert!(os.wait(Some(until), &mut ready).ms >= until);
            assert!(ready.is_empty());
        }
        let past = os.now().ms.saturating_sub(100);
        os.wait(Some(past), &mut Vec::new());
    }

    #[test]
    fn signals_wake_the_loop_and_are_told_in_meaning() {
        let mut ends = [0; 2];
        // SAFETY: the array has room for the two descriptors; they are owned by nobody else.
        let (read, mut write) = unsafe {
            libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC);
            (
                OwnedFd::from_raw_fd(ends[0]),
                std::fs::File::from_raw_fd(ends[1]),
            )
        };
        // A pipe of records stands for the signalfd, whose mask would be this test process's.
        fn meaning(number: i32) -> Option<Signal> {
            (number != 12).then_some(Signal::Stop(number))
        }
        let parts = Parts {
            listeners: Vec::new(),
            listener_handle: handle,
            logs: Vec::new(),
            signals: Some(SignalSource {
                descriptor: read,
                meaning,
            }),
        };
        let mut os = Os::new(parts).unwrap();
        for number in [15u32, 12, 2] {
            let mut record = [0; size_of::<libc::signalfd_siginfo>()];
            record[..4].copy_from_slice(&number.to_ne_bytes());
            write.write_all(&record).unwrap();
        }
        let mut ready = Vec::new();
        os.wait(None, &mut ready);
        assert!(ready.is_empty(), "the engine never sees the source itself");
        assert_eq!(os.signal(), Some(Signal::Stop(15)));
        assert_eq!(os.signal(), Some(Signal::Stop(2)));
        assert_eq!(os.signal(), None);
    }
}
