//! Connections that never block, thousands of them on one thread.
//!
//! A [`Line`] is a socket with what is still to be sent and what came; [`turn`] waits for many of
//! them with one `poll(2)` and moves what can be moved. What the bytes mean is for the abuses to
//! know. `poll` takes time in proportion to the lines it is asked about, which is nothing beside
//! what they do, and idle ones need not be asked about at all.

// Sockets with a chosen source address, resets and `poll` have no safe door in `std`.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::mem::zeroed;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

/// Bytes read at once.
const PIECE: usize = 65_536;

/// How a line ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// The other side closed in good order.
    Closed,
    /// An error of the system: a reset, mostly.
    Failed(ErrorKind),
}

/// One connection.
pub(crate) struct Line {
    stream: TcpStream,
    out: VecDeque<Arc<[u8]>>,
    sent: usize,
    /// What came and nobody has taken.
    pub(crate) into: Vec<u8>,
    /// Whether [`turn`] reads; else [`Line::read`] does, at its own pace.
    pub(crate) reads: bool,
    /// How it ended, once it has.
    pub(crate) end: Option<End>,
}

/// What a connection is made with.
#[derive(Clone, Copy, Default)]
pub(crate) struct Wanted {
    /// The source address, where it matters.
    pub(crate) from: Option<Ipv4Addr>,
    /// Bytes of the receive buffer, where the system's own is too large.
    pub(crate) receives: Option<i32>,
}

impl Line {
    /// Begins to connect. An error here is the client's own: no port, no descriptor.
    pub(crate) fn connect(to: SocketAddr, wanted: Wanted) -> io::Result<Self> {
        let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: no pointer is passed.
        let socket = checked(unsafe { libc::socket(libc::AF_INET, kind, 0) })?;
        // SAFETY: just opened, and owned by nobody else.
        let stream = unsafe { TcpStream::from_raw_fd(socket) };
        if let Some(bytes) = wanted.receives {
            set(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &bytes)?;
        }
        if let Some(from) = wanted.from {
            // The port is chosen at connect, when it is known for which destination.
            set(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, &1)?;
            let (address, length) = plain(from, 0);
            // SAFETY: the pointer is valid for the length given.
            checked(unsafe { libc::bind(socket, (&raw const address).cast(), length) })?;
        }
        let SocketAddr::V4(to) = to else {
            panic!("only IPv4 endpoints are given out")
        };
        let (address, length) = plain(*to.ip(), to.port());
        // SAFETY: the pointer is valid for the length given.
        match checked(unsafe { libc::connect(socket, (&raw const address).cast(), length) }) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
            _ => Ok(Self::of(stream)),
        }
    }

    /// A connection that was accepted, or begun.
    pub(crate) fn of(stream: TcpStream) -> Self {
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            out: VecDeque::new(),
            sent: 0,
            into: Vec::new(),
            reads: true,
            end: None,
        }
    }

    /// Sends, now as far as it goes and in [`turn`] what is left.
    pub(crate) fn send(&mut self, bytes: impl Into<Arc<[u8]>>) {
        self.out.push_back(bytes.into());
        self.flush();
    }

    /// Whether all of it is with the system.
    pub(crate) fn is_flushed(&self) -> bool {
        self.out.is_empty()
    }

    /// Says that nothing more will be sent; what came already may be an end, which is as good.
    pub(crate) fn half_close(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// Ends the connection by a reset.
    pub(crate) fn reset(self) {
        let now = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        set(
            self.stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            &now,
        )
        .unwrap();
    }

    /// Reads at most so many bytes; gives how many came.
    pub(crate) fn read(&mut self, most: usize) -> usize {
        let mut piece = [0; PIECE];
        let most = most.min(PIECE);
        match self.stream.read(&mut piece[..most]) {
            Ok(0) => self.end = Some(End::Closed),
            Ok(came) => {
                self.into.extend_from_slice(&piece[..came]);
                return came;
            }
            Err(error) => self.note(&error),
        }
        0
    }

    /// Reads all that is there.
    pub(crate) fn read_all(&mut self) {
        while self.end.is_none() && self.read(PIECE) > 0 {}
    }

    fn flush(&mut self) {
        while let Some(first) = self.out.front() {
            match self.stream.write(&first[self.sent..]) {
                Ok(went) => self.sent += went,
                Err(error) => return self.note(&error),
            }
            if self.sent == first.len() {
                self.sent = 0;
                self.out.pop_front();
            }
        }
    }

    fn note(&mut self, error: &io::Error) {
        if !matches!(
            error.kind(),
            ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::NotConnected
        ) {
            self.end = Some(End::Failed(error.kind()));
        }
    }
}

/// Waits until something can be moved on one of the lines, or a descriptor beside them can be read,
/// and moves it. Gives the lines that something happened to, and whether a descriptor did.
pub(crate) fn turn(
    lines: &mut [Line],
    beside: &[RawFd],
    most: Duration,
) -> (Vec<usize>, Vec<RawFd>) {
    let mut asked = Vec::with_capacity(lines.len() + beside.len());
    let mut whose = Vec::with_capacity(lines.len());
    let entry = |fd, events| libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    for (at, line) in lines.iter().enumerate() {
        let wants_in = if line.reads { libc::POLLIN } else { 0 };
        let wants_out = if line.out.is_empty() {
            0
        } else {
            libc::POLLOUT
        };
        if line.end.is_none() && wants_in | wants_out != 0 {
            asked.push(entry(line.stream.as_raw_fd(), wants_in | wants_out));
            whose.push(at);
        }
    }
    asked.extend(beside.iter().map(|fd| entry(*fd, libc::POLLIN)));
    let millis = i32::try_from(most.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    // SAFETY: the pointer is valid for the length given.
    unsafe { libc::poll(asked.as_mut_ptr(), asked.len() as libc::nfds_t, millis) };
    let mut touched = Vec::new();
    for (asked, at) in asked.iter().zip(&whose).filter(|(a, _)| a.revents != 0) {
        let line = &mut lines[*at];
        if asked.revents & libc::POLLOUT != 0 {
            line.flush();
        }
        if line.end.is_none() && line.reads && asked.revents & !libc::POLLOUT != 0 {
            line.read_all();
        } else if asked.revents & (libc::POLLERR | libc::POLLHUP) != 0 {
            let error = line.stream.take_error().unwrap();
            let kind = error.map_or(ErrorKind::ConnectionReset, |e| e.kind());
            line.end = line.end.or(Some(End::Failed(kind)));
        }
        touched.push(*at);
    }
    let beside = asked[whose.len()..].iter().filter(|a| a.revents != 0);
    (touched, beside.map(|a| a.fd).collect())
}

/// An answer that has come whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Its length, head and body.
    pub(crate) length: usize,
    /// Whether the connection ends with it.
    pub(crate) closes: bool,
}

/// The first answer in what came, if it is whole. All answers here say their length.
pub(crate) fn answer(into: &[u8]) -> Option<Answer> {
    let head = into.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&into[..head]).to_ascii_lowercase();
    let value = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    let body: usize = value("content-length:").map_or(0, |digits| digits.parse().unwrap());
    (into.len() >= head + body).then(|| Answer {
        status: text.split(' ').nth(1).unwrap().parse().unwrap(),
        length: head + body,
        closes: value("connection:") == Some("close"),
    })
}

/// Raises the soft limit of descriptors to the hard one, and gives it.
pub(crate) fn raise_descriptors() -> u64 {
    // SAFETY: an all-zero `rlimit` is a valid value of that plain C struct.
    let mut limit: libc::rlimit = unsafe { zeroed() };
    // SAFETY: the pointers are valid for the calls.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
    }
    limit.rlim_max
}

/// Limits the descriptors of a program that is about to be started.
pub(crate) fn limit_descriptors(command: &mut std::process::Command, most: u64) {
    use std::os::unix::process::CommandExt;
    let limit = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    let set = move || {
        // SAFETY: the pointer is valid for the call.
        checked(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }).map(drop)
    };
    // SAFETY: one system call, which is all that may be done between fork and exec.
    unsafe { command.pre_exec(set) };
}

/// Sends a signal to a process that this program started.
pub(crate) fn signal(pid: u32, number: i32) {
    // SAFETY: no pointer is passed.
    checked(unsafe { libc::kill(pid as libc::pid_t, number) }).unwrap();
}

fn plain(ip: Ipv4Addr, port: u16) -> (libc::sockaddr_in, libc::socklen_t) {
    // SAFETY: an all-zero `sockaddr_in` is a valid value of that plain C struct.
    let mut address: libc::sockaddr_in = unsafe { zeroed() };
    address.sin_family = libc::AF_INET as libc::sa_family_t;
    address.sin_port = port.to_be();
    address.sin_addr.s_addr = u32::from_ne_bytes(ip.octets());
    (address, size_of::<libc::sockaddr_in>() as libc::socklen_t)
}

fn set<T>(socket: RawFd, level: i32, name: i32, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    let value: *const T = value;
    // SAFETY: the pointer is valid for the length given.
    checked(unsafe { libc::setsockopt(socket, level, name, value.cast(), length) }).map(drop)
}

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
