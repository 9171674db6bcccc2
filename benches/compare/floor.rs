//! The yardsticks: an origin that costs next to nothing, and two relays that parse nothing.
//!
//! They run as processes of their own; the harness starts itself again with the role as its first
//! word. A relay is the least that a proxy on epoll can do: one server connection for a client
//! connection, two receives and two sends a request, nothing timed, parsed or logged. Where bodies
//! are long the second relay moves them with `splice(2)`. Whatever is added here makes
//! every ratio flatter than it is, so nothing is added: no option, no counter, no message.
//!
//! All sockets are edge-triggered for both directions. A receive that fills less than its buffer
//! has taken all there is, and the next edge is waited for; no second receive is tried. An end
//! that a relay was told with the last bytes is therefore seen only when the other side ends too,
//! which `wrk` does as soon as it has its answer.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::ptr::null_mut;

use libc::{EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP, epoll_event};

use crate::system::{blocked, listen, no_delay};

/// What the roles are called on the command line of the harness; no option looks like this.
pub(crate) const ROLES: [&str; 3] = ["role:origin", "role:relay", "role:splice"];

const BOTH: c_int = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
/// The other end says nothing more.
const END: c_int = EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR;
const EVENTS: usize = 256;
const RELAY_BUFFER: usize = 16 * 1024;
const ORIGIN_BUFFER: usize = 64 * 1024;
/// As long as an unprivileged pipe may be made.
const PIPE: usize = 1024 * 1024;
/// The longest body that can be asked for.
const BODY_MAX: usize = 64 * 1024 * 1024;
/// The body of every path but `/k/N`.
const BODY: usize = 48;

/// Plays a role for ever; returns only with what went wrong.
pub(crate) fn play(role: &str, ports: &[String]) -> String {
    let ports: Result<Vec<u16>, _> = ports.iter().map(|port| port.parse()).collect();
    let result = match (role, ports.as_deref()) {
        ("role:origin", Ok(ports @ [_, ..])) => origin(ports),
        ("role:relay", Ok([port, server])) => relay(*port, *server),
        ("role:splice", Ok([port, server])) => splice_relay(*port, *server),
        _ => return format!("usage: {role} PORT..."),
    };
    match result {
        Ok(()) => format!("{role} has ended"),
        Err(error) => format!("{role}: {error}"),
    }
}

struct Epoll(c_int);

impl Epoll {
    fn new() -> io::Result<Self> {
        // SAFETY: takes a number only.
        let poll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if poll < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(poll))
    }

    fn watch(&self, socket: c_int, events: c_int) {
        let mut event = epoll_event {
            events: events as u32,
            u64: socket as u64,
        };
        // SAFETY: `event` lives for the call; a socket that is none is an error of the call.
        unsafe { libc::epoll_ctl(self.0, libc::EPOLL_CTL_ADD, socket, &raw mut event) };
    }

    fn wait<'a>(&self, events: &'a mut [epoll_event]) -> &'a [epoll_event] {
        // SAFETY: the pointer and the length are those of one slice.
        let count =
            unsafe { libc::epoll_wait(self.0, events.as_mut_ptr(), events.len() as c_int, -1) };
        &events[..count.max(0) as usize]
    }
}

/// Tells for ever which socket is ready for what; ends with the first error.
fn happen(poll: &Epoll, mut handle: impl FnMut(c_int, c_int) -> io::Result<()>) -> io::Result<()> {
    let mut events = vec![epoll_event { events: 0, u64: 0 }; EVENTS];
    loop {
        for event in poll.wait(&mut events) {
            handle(event.u64 as c_int, event.events as c_int)?;
        }
    }
}

fn receive(socket: c_int, into: &mut [u8]) -> isize {
    // SAFETY: the pointer and the length are those of one slice.
    unsafe { libc::recv(socket, into.as_mut_ptr().cast(), into.len(), 0) }
}

fn send(socket: c_int, bytes: &[u8]) -> isize {
    let flags = libc::MSG_NOSIGNAL;
    // SAFETY: the pointer and the length are those of one slice.
    unsafe { libc::send(socket, bytes.as_ptr().cast(), bytes.len(), flags) }
}

fn close(file: c_int) {
    // SAFETY: takes a number only; each is closed where its record goes.
    unsafe { libc::close(file) };
}

/// The next connection that waits, if there is one.
fn accept(listener: c_int) -> Option<c_int> {
    // SAFETY: no address is asked for, so no memory is written.
    let socket = unsafe { libc::accept4(listener, null_mut(), null_mut(), libc::SOCK_NONBLOCK) };
    (socket >= 0).then(|| {
        no_delay(socket);
        socket
    })
}

/// A connection on its way to a port of this machine.
fn connect(port: u16) -> c_int {
    // SAFETY: takes numbers only.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0) };
    let address = crate::system::loopback(port);
    // SAFETY: `address` is a whole `sockaddr_in` and lives for the call.
    unsafe {
        libc::connect(
            socket,
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        );
    }
    no_delay(socket);
    socket
}

/// Gives each client that waits a server connection of its own, has both recorded, and watches them.
fn take_all(
    poll: &Epoll,
    listener: c_int,
    server: u16,
    mut record: impl FnMut(c_int, c_int) -> io::Result<()>,
) -> io::Result<()> {
    while let Some(client) = accept(listener) {
        let server = connect(server);
        record(client, server)?;
        poll.watch(client, BOTH);
        poll.watch(server, BOTH);
    }
    Ok(())
}

/// Puts a record at the place that the number of its socket has.
fn put<T>(records: &mut Vec<Option<T>>, socket: c_int, record: T) {
    let at = socket as usize;
    if records.len() <= at {
        records.resize_with(at + 1, || None);
    }
    records[at] = Some(record);
}

/// An answer in one piece, ready to be sent as often as it is asked for.
struct Answer {
    length: usize,
    closes: bool,
    bytes: Vec<u8>,
}

/// A connection of the origin.
#[derive(Default)]
struct Asker {
    /// The head that has not come whole yet.
    partial: Vec<u8>,
    /// The answer on its way, and how much of it has left.
    answer: Option<usize>,
    sent: usize,
    /// The end was told, and stands behind what there is to receive.
    ended: bool,
}

/// Answers each whole request head; `/k/N` with a body of N bytes. Request bodies are not read.
fn origin(ports: &[u16]) -> io::Result<()> {
    let poll = Epoll::new()?;
    let mut listeners = Vec::new();
    for port in ports {
        let listener = listen(*port)?;
        poll.watch(listener, EPOLLIN);
        listeners.push(listener);
    }
    let mut answers = Vec::new();
    let mut askers: Vec<Option<Asker>> = Vec::new();
    let mut scratch = vec![0; ORIGIN_BUFFER];
    happen(&poll, |socket, events| {
        if listeners.contains(&socket) {
            while let Some(socket) = accept(socket) {
                put(&mut askers, socket, Asker::default());
                poll.watch(socket, BOTH);
            }
        } else if let Some(asker) = &mut askers[socket as usize] {
            asker.ended |= events & END != 0;
            if !serve(socket, asker, &mut answers, &mut scratch) {
                askers[socket as usize] = None;
                close(socket);
            }
        }
        Ok(())
    })
}

/// Goes on with a connection as far as it goes now; false when it is over.
fn serve(socket: c_int, asker: &mut Asker, answers: &mut Vec<Answer>, scratch: &mut [u8]) -> bool {
    let mut may_have_more = true;
    loop {
        if let Some(number) = asker.answer {
            let answer = &answers[number];
            while asker.sent < answer.bytes.len() {
                match send(socket, &answer.bytes[asker.sent..]) {
                    n if n > 0 => asker.sent += n as usize,
                    _ => return blocked(),
                }
            }
            asker.answer = None;
            if answer.closes {
                return false;
            }
        }
        if let Some(length) = head_length(&asker.partial) {
            asker.answer = Some(choose(answers, &asker.partial[..length]));
            asker.sent = 0;
            asker.partial.drain(..length);
            continue;
        }
        if !may_have_more {
            return true;
        }
        let got = match receive(socket, scratch) {
            0 => return false,
            n if n < 0 => return blocked(),
            n => &scratch[..n as usize],
        };
        may_have_more = got.len() == ORIGIN_BUFFER || asker.ended;
        // Nearly always one whole head and nothing else: then nothing is copied.
        if asker.partial.is_empty() && head_length(got) == Some(got.len()) {
            asker.answer = Some(choose(answers, got));
            asker.sent = 0;
        } else {
            asker.partial.extend_from_slice(got);
        }
    }
}

/// The length of the head that these bytes begin with, if it is whole.
fn head_length(bytes: &[u8]) -> Option<usize> {
    const BLANK: &[u8] = b"\r\n\r\n";
    let found = bytes.windows(BLANK.len()).position(|part| part == BLANK);
    found.map(|at| at + BLANK.len())
}

/// The answer to a head; made when it is asked for the first time.
fn choose(answers: &mut Vec<Answer>, head: &[u8]) -> usize {
    let path = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let length = path
        .windows(3)
        .position(|part| part == b"/k/")
        .and_then(|at| std::str::from_utf8(&path[at + 3..]).ok()?.parse().ok())
        .filter(|length| *length <= BODY_MAX)
        .unwrap_or(BODY);
    let closes = head
        .split(|byte| *byte == b'\n')
        .any(|line| line.trim_ascii().eq_ignore_ascii_case(b"connection: close"));
    let ready = |answer: &Answer| answer.length == length && answer.closes == closes;
    answers.iter().position(ready).unwrap_or_else(|| {
        let connection = if closes { "Connection: close\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Sat, 28 Nov 2026 12:00:00 GMT\r\n\
             Content-Type: text/plain\r\nContent-Length: {length}\r\n{connection}\r\n"
        );
        let mut bytes = head.into_bytes();
        bytes.resize(bytes.len() + length, b'o');
        answers.push(Answer {
            length,
            closes,
            bytes,
        });
        answers.len() - 1
    })
}

/// One of the two sockets of a relayed connection.
struct Side {
    other: c_int,
    /// What the kernel did not take for this side; nothing is received for it meanwhile.
    waiting: Vec<u8>,
}

fn relay(port: u16, server: u16) -> io::Result<()> {
    let poll = Epoll::new()?;
    let listener = listen(port)?;
    poll.watch(listener, EPOLLIN);
    let mut sides: Vec<Option<Side>> = Vec::new();
    let mut scratch = vec![0; RELAY_BUFFER];
    happen(&poll, |socket, events| {
        if socket == listener {
            return take_all(&poll, listener, server, |client, server| {
                for (one, other) in [(client, server), (server, client)] {
                    let side = Side {
                        other,
                        waiting: Vec::new(),
                    };
                    put(&mut sides, one, side);
                }
                Ok(())
            });
        }
        let Some(other) = sides[socket as usize].as_ref().map(|side| side.other) else {
            return Ok(());
        };
        let mut goes_on = true;
        if events & EPOLLOUT != 0 {
            goes_on = drain(&mut sides, socket, other, &mut scratch);
        }
        if goes_on && events & !EPOLLOUT != 0 {
            goes_on = pump(&mut sides, socket, other, &mut scratch);
        }
        if !goes_on {
            for end in [socket, other] {
                sides[end as usize] = None;
                close(end);
            }
        }
        Ok(())
    })
}

/// A side that both sockets of a connection have, as long as the connection lives.
fn side(sides: &mut [Option<Side>], socket: c_int) -> &mut Side {
    sides[socket as usize]
        .as_mut()
        .expect("both sides of a connection go together")
}

/// Moves what one side says to the other; false when the connection is over.
fn pump(sides: &mut [Option<Side>], from: c_int, to: c_int, scratch: &mut [u8]) -> bool {
    loop {
        let target = side(sides, to);
        if !target.waiting.is_empty() {
            return true;
        }
        let got = match receive(from, scratch) {
            0 => return false,
            n if n < 0 => return blocked(),
            n => &scratch[..n as usize],
        };
        let sent = match send(to, got) {
            n if n >= 0 => n as usize,
            _ if blocked() => 0,
            _ => return false,
        };
        if sent < got.len() {
            target.waiting.extend_from_slice(&got[sent..]);
            return true;
        }
        if got.len() < RELAY_BUFFER {
            return true;
        }
    }
}

/// Sends what waits for a side that takes bytes again; false when the connection is over.
fn drain(sides: &mut [Option<Side>], to: c_int, from: c_int, scratch: &mut [u8]) -> bool {
    let target = side(sides, to);
    if target.waiting.is_empty() {
        return true;
    }
    let sent = match send(to, &target.waiting) {
        n if n >= 0 => n as usize,
        _ => return blocked(),
    };
    target.waiting.drain(..sent);
    if !target.waiting.is_empty() {
        return true;
    }
    pump(sides, from, to, scratch)
}

/// One of the two sockets of a connection whose answers go through a pipe.
#[derive(Clone, Copy)]
struct End {
    other: c_int,
    /// The pipe's two ends and how much is in it, on the server's side.
    pipe: Option<[c_int; 2]>,
    filled: usize,
}

fn splice_relay(port: u16, server: u16) -> io::Result<()> {
    let poll = Epoll::new()?;
    let listener = listen(port)?;
    poll.watch(listener, EPOLLIN);
    let mut ends: Vec<Option<End>> = Vec::new();
    let mut scratch = vec![0; RELAY_BUFFER];
    happen(&poll, |socket, events| {
        if socket == listener {
            return take_all(&poll, listener, server, |client, server| {
                let both = [(client, server, None), (server, client, Some(pipe()?))];
                for (socket, other, pipe) in both {
                    let end = End {
                        other,
                        pipe,
                        filled: 0,
                    };
                    put(&mut ends, socket, end);
                }
                Ok(())
            });
        }
        let Some(end) = ends[socket as usize] else {
            return Ok(());
        };
        let asks = events & !EPOLLOUT != 0;
        let (client, server, goes_on) = match end.pipe {
            Some(_) => (end.other, socket, true),
            None if asks => (socket, end.other, copy(socket, end.other, &mut scratch)),
            None => (socket, end.other, true),
        };
        let answers = ends[server as usize].as_mut();
        let answers = answers.expect("both ends of a connection go together");
        let pipe = answers.pipe.expect("the server's side has the pipe");
        if !(goes_on && flow(server, pipe, &mut answers.filled, client)) {
            for file in [client, server, pipe[0], pipe[1]] {
                close(file);
            }
            ends[client as usize] = None;
            ends[server as usize] = None;
        }
        Ok(())
    })
}

fn pipe() -> io::Result<[c_int; 2]> {
    let mut pipe = [0; 2];
    // SAFETY: `pipe` is the two numbers that the call fills.
    if unsafe { libc::pipe2(pipe.as_mut_ptr(), libc::O_NONBLOCK) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: takes numbers only; a pipe that may not grow is a shorter one.
    unsafe { libc::fcntl(pipe[0], libc::F_SETPIPE_SZ, PIPE as c_int) };
    Ok(pipe)
}

/// Moves requests, which are short; false when the connection is over.
fn copy(from: c_int, to: c_int, scratch: &mut [u8]) -> bool {
    loop {
        let got = match receive(from, scratch) {
            0 => return false,
            n if n < 0 => return blocked(),
            n => &scratch[..n as usize],
        };
        // A request that its server does not take at once is none of those measured.
        if send(to, got) != got.len() as isize {
            return false;
        }
        if got.len() < RELAY_BUFFER {
            return true;
        }
    }
}

/// Moves answers through the pipe as far as they go now; false when the connection is over.
fn flow(server: c_int, pipe: [c_int; 2], filled: &mut usize, client: c_int) -> bool {
    loop {
        if *filled == 0 {
            match splice(server, pipe[1], PIPE) {
                0 => return false,
                n if n < 0 => return blocked(),
                n => *filled = n as usize,
            }
        }
        match splice(pipe[0], client, *filled) {
            n if n > 0 => *filled -= n as usize,
            _ => return blocked(),
        }
    }
}

fn splice(from: c_int, to: c_int, length: usize) -> isize {
    let flags = libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MOVE;
    // SAFETY: no offsets are given, so no memory is read or written.
    unsafe { libc::splice(from, null_mut(), to, null_mut(), length, flags) }
}
