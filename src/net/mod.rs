//! The one door to the operating system.
//!
//! Everything of the loop that is not pure goes through [`Net`]: sockets, listeners, log sends,
//! signals and time. Production fills it with [`os::Os`]; the simulator (`tests/sim`) with a
//! seeded fake under a virtual clock. The engine is generic over it, so both run the same code.
//! This file is the only vocabulary that the engine shares with the door; it must not name mio or
//! libc.
//!
//! Readiness is edge-triggered: an edge is told once, and the engine remembers it in its record
//! until a call answers [`Stop::Blocked`].

pub mod channel;
pub mod control;
pub mod listen;
pub mod logs;
pub mod os;
pub mod poller;
pub mod program;
mod sockaddr;
mod splice;
mod tune;

use crate::base::addr::{Address, Endpoint};
use crate::base::arena::Handle;
use crate::base::clock::Now;
use crate::base::outgoing::Outgoing;

/// An open connection: a file descriptor in production, an index in the simulator.
///
/// Not `Copy`: only [`Net::close`] and [`Net::abort`] end it (they call [`Socket::into_raw`]), and
/// in debug builds dropping one any other way panics, because it would leak a descriptor.
#[derive(Debug, PartialEq, Eq)]
pub struct Socket(i32);

impl Socket {
    /// Wraps what an implementation of [`Net`] opened.
    #[must_use]
    pub fn from_raw(raw: i32) -> Self {
        Self(raw)
    }

    /// The descriptor or index, for the implementation of [`Net`].
    #[must_use]
    pub fn raw(&self) -> i32 {
        self.0
    }

    /// Gives the descriptor up: whoever calls this closes it.
    #[must_use]
    pub fn into_raw(self) -> i32 {
        let raw = self.0;
        std::mem::forget(self);
        raw
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if cfg!(debug_assertions) && !std::thread::panicking() {
            panic!("socket {} dropped without Net::close", self.0);
        }
    }
}

/// A kernel pipe that carries bytes from one socket to another (`splice(2)`), by its number.
///
/// Not `Copy`: only [`Net::return_tube`] ends it.
#[derive(Debug, PartialEq, Eq)]
pub struct Tube(pub u32);

/// A program that was started ([`Net::run`]). What [`Net::watch`] tells of its socket is that it
/// has ended; [`Net::close`] lets go of it, once [`Net::outcome`] has told how.
#[derive(Debug, PartialEq, Eq)]
pub struct Process {
    /// What tells of its end: a `pidfd`, or an index in the simulator.
    pub socket: Socket,
    /// Its number.
    pub pid: u32,
}

/// What is run, and what it is told.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// The program's path, or a name without a slash.
    pub command: &'a [u8],
    /// The directories in which a name is looked for, parted by colons.
    pub path: &'a [u8],
    /// Its arguments.
    pub arguments: &'a [Vec<u8>],
    /// All of its environment.
    pub environment: &'a [(&'static str, Vec<u8>)],
}

/// Why a call did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The socket is not ready (`EAGAIN`, `EINPROGRESS`): an edge will tell.
    Blocked,
    /// The peer ended its side in good order (a receive of 0 bytes).
    Closed,
    /// The operating system's error number.
    Failed(i32),
    /// A connection cannot come from where it should (`source`): the error number, 0 for none.
    NoSource(i32),
}

impl Stop {
    /// Whether this process, or the system, has no descriptor left.
    #[must_use]
    pub fn is_out_of_descriptors(self) -> bool {
        matches!(self, Self::Failed(EMFILE | ENFILE))
    }

    /// Whether there could be no further process, whatever it was to run.
    #[must_use]
    pub fn is_out_of_processes(self) -> bool {
        self.is_out_of_descriptors() || matches!(self, Self::Failed(EAGAIN | ENOMEM | ENOSYS))
    }
}

/// What an edge said, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness(pub u8);

impl Readiness {
    /// Bytes, a new connection, or the end can be read.
    pub const READABLE: Self = Self(1);
    /// Bytes can be written, or a connect has ended one way or the other.
    pub const WRITABLE: Self = Self(2);
    /// The peer has ended its writing side (`EPOLLRDHUP`), perhaps after bytes still unread.
    pub const READ_CLOSED: Self = Self(4);
    /// Both sides are gone, or an error is pending (`EPOLLHUP`, `EPOLLERR`).
    pub const ERROR: Self = Self(8);

    /// Whether any bit of `other` is set.
    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Sets the bits of `other`.
    pub fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Clears the bits of `other`.
    pub fn clear(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    /// A letter for each of the four, large where it is so: readable, writable, hung up, error.
    #[must_use]
    pub fn letters(self) -> String {
        let each = [
            (Self::READABLE, 'r'),
            (Self::WRITABLE, 'w'),
            (Self::READ_CLOSED, 'h'),
            (Self::ERROR, 'e'),
        ];
        let letter = |(what, letter): (Self, char)| match self.has(what) {
            true => letter.to_ascii_uppercase(),
            false => letter,
        };
        each.into_iter().map(letter).collect()
    }
}

/// Who connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The client's address.
    pub source: Address,
}

/// How to connect to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectOptions<'a> {
    /// The connection is a health check's: linger is off, so that its close is a reset.
    pub check: bool,
    /// The server of a check speaks first: it must not be kept waiting for the end of the
    /// handshake.
    pub server_speaks: bool,
    /// What the server's lines ask for beside.
    pub outgoing: Option<&'a Outgoing>,
    /// The port on this side, of a range of `source`; 0 for none.
    pub source_port: u16,
}

/// The state that a listener shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerState {
    /// Edges are delivered (again): a listener that was paused tells at once if somebody waits.
    Resumed,
    /// No edges: connections wait in the kernel's backlog.
    Paused,
    /// New connections are refused, and the socket stays bound (`SIGTTOU`, `disable frontend`). A
    /// unix socket cannot refuse: it is paused.
    Refusing,
    /// Gone for good: new connections are refused.
    Closed,
}

/// A signal that the process got, by meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `SIGUSR1`: finish what runs, then leave.
    SoftStop,
    /// `SIGTERM`, `SIGINT`: leave now; the number decides the exit code.
    Stop(i32),
    /// `SIGHUP`: print the servers' states.
    DumpStates,
    /// `SIGTTOU`: pause all frontends.
    Pause,
    /// `SIGTTIN`: resume all frontends.
    Resume,
    /// `SIGQUIT`: print the pools.
    DumpPools,
}

/// What a worker is told by its master, or asked by the worker that follows it.
#[derive(Debug, PartialEq, Eq)]
pub enum Order {
    /// A new worker asks for what is known: [`Net::hand_over`] answers.
    HandOver,
    /// A new worker serves: finish what runs, then leave.
    Drain,
    /// Counts of a worker that leaves, to be added.
    TakeRest(Vec<u8>),
    /// A runtime connection from the master, with its level: 0 user, 1 operator, 2 admin.
    Command(Socket, u8),
    /// The master is gone.
    Orphaned,
}

/// Finished log messages for one target, in order; kept and reused by the engine.
#[derive(Debug, Default)]
pub struct LogBatch {
    /// All messages, one after the other.
    pub bytes: Vec<u8>,
    /// Where each message ends in `bytes`.
    pub ends: Vec<u32>,
}

/// The error number of a call that a door does not have.
const ENOSYS: i32 = 38;
/// The error numbers of a system that has no room for a process, or no memory.
const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
/// The error numbers of a process, and of a system, that has no descriptor left.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

/// The only door to the operating system. `tests/sim` has the other implementation.
///
/// A listener is named by its position: first the configuration's listeners, then its stats
/// sockets. A log target is named by its position in the list the engine was given at start.
pub trait Net {
    /// Sleeps at most until `until_ms` (monotonic; `None` means until something happens; a moment
    /// already past means "only look"), appends to `ready`, and reads the clock: the only place
    /// time comes from. A signal ends the sleep.
    fn wait(&mut self, until_ms: Option<u64>, ready: &mut Vec<(Handle, Readiness)>) -> Now;

    /// The share of the last full second that was spent asleep, percent (`Idle_pct`).
    fn idle_percent(&self) -> u8;

    /// Takes one connection off a listener, non-blocking, with `TCP_NODELAY` where it applies.
    ///
    /// # Errors
    /// [`Stop::Blocked`] when nobody waits; `Failed(EMFILE...)` when descriptors are out.
    fn accept(&mut self, listener: u32) -> Result<(Socket, Peer), Stop>;

    /// Starts a connection. It is usable once an edge says writable and
    /// [`connect_result`](Self::connect_result) is good; bytes may be sent before (they wait or
    /// answer `Blocked`).
    ///
    /// # Errors
    /// `Failed` when the system refuses at once (`ECONNREFUSED` on unix sockets, `ENETUNREACH`...);
    /// `NoSource` when it cannot come from where it should.
    fn connect(&mut self, to: &Endpoint, how: ConnectOptions<'_>) -> Result<Socket, Stop>;

    /// How a connect ended.
    ///
    /// # Errors
    /// `Blocked` while it has not; `Failed` with its reason.
    fn connect_result(&mut self, socket: &Socket) -> Result<(), Stop>;

    /// Registers a socket, once, for all edges, delivered with `handle`.
    ///
    /// # Errors
    /// `Failed` when the system cannot watch more.
    fn watch(&mut self, socket: &Socket, handle: Handle) -> Result<(), Stop>;

    /// The address that the socket has on this side (the destination of a client's connection).
    fn local_address(&mut self, socket: &Socket) -> Address;

    /// Receives into `into`, which must not be empty.
    ///
    /// # Errors
    /// `Closed` at the peer's end, `Blocked`, or `Failed`.
    fn recv(&mut self, socket: &Socket, into: &mut [u8]) -> Result<usize, Stop>;

    /// Sends `head` and then `body` in one call; either may be empty, not both. `more` says that
    /// bytes or the end follow at once, and may leave in one segment with these (`MSG_MORE`).
    ///
    /// # Errors
    /// `Blocked` or `Failed`.
    fn send(
        &mut self,
        socket: &Socket,
        head: &[u8],
        body: &[u8],
        more: bool,
    ) -> Result<usize, Stop>;

    /// Lends an empty tube; none when there are too many or the system gives none, and bytes are
    /// copied then. A door without pipes has none, and needs nothing of what follows.
    fn lend_tube(&mut self) -> Option<Tube> {
        None
    }

    /// Takes a tube back, with so many bytes in it, which are lost.
    fn return_tube(&mut self, tube: Tube, held: usize) {
        let _ = (tube, held);
    }

    /// Moves up to `bytes_max` bytes from a socket into an empty tube.
    ///
    /// # Errors
    /// As [`recv`](Self::recv). `Blocked` alone says that the socket is drained.
    fn fill_tube(&mut self, from: &Socket, tube: &Tube, bytes_max: usize) -> Result<usize, Stop> {
        let _ = (from, tube, bytes_max);
        Err(Stop::Failed(ENOSYS))
    }

    /// Moves the `held` bytes of a tube to a socket.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    fn empty_tube(&mut self, tube: &Tube, to: &Socket, held: usize) -> Result<usize, Stop> {
        let _ = (tube, to, held);
        Err(Stop::Failed(ENOSYS))
    }

    /// Tubes lent, and kept for use (`PipesUsed`, `PipesFree`).
    fn tubes(&self) -> (u32, u32) {
        (0, 0)
    }

    /// Tells the peer that nothing more will be sent.
    fn shutdown_write(&mut self, socket: &Socket);

    /// Closes in good order.
    fn close(&mut self, socket: Socket);

    /// Closes by reset, as checks do.
    fn abort(&mut self, socket: Socket);

    /// Starts a program, which has the standard streams and no other descriptor. A door without
    /// processes has none, and needs nothing of what follows.
    ///
    /// # Errors
    /// `Failed` with the reason.
    fn run(&mut self, what: &Invocation<'_>) -> Result<Process, Stop> {
        let _ = what;
        Err(Stop::Failed(ENOSYS))
    }

    /// How a program ended: its code, or -1, without its sign, if a signal ended it. It is gone
    /// from the table of processes with that.
    ///
    /// # Errors
    /// `Blocked` while it runs; `Failed` if somebody else was told.
    fn outcome(&mut self, process: &Process) -> Result<u32, Stop> {
        let _ = process;
        Err(Stop::Failed(ENOSYS))
    }

    /// Asks a program to end (`SIGTERM`), or ends it (`now`: `SIGKILL`).
    fn end(&mut self, process: &Process, now: bool) {
        let _ = (process, now);
    }

    /// Changes what a listener does.
    fn listener(&mut self, listener: u32, to: ListenerState);

    /// Sends the messages of a batch from message `from` on, never blocking; returns how many left.
    ///
    /// # Errors
    /// `Blocked` when the target is full; `Failed` with the reason of the first failure.
    fn send_log(&mut self, target: u32, batch: &LogBatch, from: usize) -> Result<usize, Stop>;

    /// The next signal, if any.
    fn signal(&mut self) -> Option<Signal>;

    /// Sends the listeners along a runtime connection (`_getsocks`), for a process that follows
    /// this one.
    ///
    /// # Errors
    /// `Blocked` or `Failed`.
    fn expose_listeners(&mut self, to: &Socket) -> Result<(), Stop> {
        let _ = to;
        Err(Stop::Failed(ENOSYS))
    }

    /// The next order, if the process is a worker and has one.
    fn order(&mut self) -> Option<Order> {
        None
    }

    /// Answers [`Order::HandOver`].
    fn hand_over(&mut self, document: &[u8]) {
        let _ = document;
    }

    /// Tells the master what was counted since, for the worker that is in charge. `last` says that
    /// the process ends, and the call may wait then.
    fn hand_over_rest(&mut self, document: &[u8], last: bool) {
        let _ = (document, last);
    }
}
