//! Tests of `os.rs`.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::FromRawFd as _;
use std::os::unix::net::UnixListener;

use super::*;
use crate::base::outgoing::{Incoming, Keepalive, Outgoing};
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
        control: None,
        programs: None,
        tubes: (1, 0),
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
        let socket = os.connect(&to, checked(check)).unwrap();
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
        let near = os.connect(at, checked(true)).unwrap();
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
        control: None,
        programs: None,
        tubes: (1, 0),
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
        tubes: (0, 0),
        control: None,
        programs: None,
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

/// How a check connects, or a request.
fn checked(check: bool) -> ConnectOptions<'static> {
    ConnectOptions {
        check,
        ..ConnectOptions::default()
    }
}

/// An option of a socket that is a number.
fn option(descriptor: i32, level: i32, name: i32) -> i32 {
    tune::get(descriptor, level, name).unwrap()
}

/// A listener that nobody else uses, and where it is.
fn origin() -> (TcpListener, Endpoint) {
    let origin = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = Endpoint::Inet(origin.local_addr().unwrap());
    (origin, at)
}

#[test]
fn what_a_server_asks_for_is_set() {
    let (mut os, _) = os(&[]);
    let (origin, to) = origin();
    let keepalive = Keepalive {
        idle_s: Some(11),
        interval_s: Some(4),
        count: Some(5),
    };
    let outgoing = Outgoing {
        source: Some("127.0.0.5:0".parse().unwrap()),
        user_timeout_ms: 5000,
        keepalive: Some(keepalive),
        no_linger: true,
        fast_open: true,
        ..Outgoing::default()
    };
    let how = ConnectOptions {
        outgoing: Some(&outgoing),
        ..ConnectOptions::default()
    };
    let socket = os.connect(&to, how).unwrap();
    let tcp = |name| option(socket.raw(), libc::IPPROTO_TCP, name);
    assert_eq!(tcp(libc::TCP_USER_TIMEOUT), 5000);
    assert_eq!(tcp(libc::TCP_KEEPIDLE), 11);
    assert_eq!(tcp(libc::TCP_KEEPINTVL), 4);
    assert_eq!(tcp(libc::TCP_KEEPCNT), 5);
    assert_eq!(tcp(libc::TCP_FASTOPEN_CONNECT), 1);
    let alive = option(socket.raw(), libc::SOL_SOCKET, libc::SO_KEEPALIVE);
    assert_eq!(alive, 1);
    // Fast open waits for the first bytes.
    os.send(&socket, b"x", b"", false).unwrap();
    let (mut other, from) = origin.accept().unwrap();
    assert_eq!(from.ip().to_string(), "127.0.0.5");
    other.read_exact(&mut [0; 1]).unwrap();
    os.close(socket);
    let end = other.read(&mut [0; 1]).unwrap_err();
    assert_eq!(end.raw_os_error(), Some(libc::ECONNRESET));
}

#[test]
fn a_source_that_is_not_here_is_told_apart() {
    let (mut os, _) = os(&[]);
    let (_origin, to) = origin();
    let outgoing = Outgoing {
        source: Some("203.0.113.7:0".parse().unwrap()),
        ..Outgoing::default()
    };
    let how = ConnectOptions {
        outgoing: Some(&outgoing),
        ..ConnectOptions::default()
    };
    let stop = Stop::NoSource(libc::EADDRNOTAVAIL);
    assert_eq!(os.connect(&to, how).unwrap_err(), stop);
}

#[test]
fn accepted_sockets_have_what_their_listener_has() {
    let keepalive = Keepalive {
        idle_s: Some(10),
        interval_s: None,
        count: Some(4),
    };
    let incoming = Incoming {
        max_segment: Some(1000),
        fast_open: true,
        user_timeout_ms: 3000,
        keepalive: Some(keepalive),
        no_linger: true,
        delayed_ack: true,
    };
    let all = ListenerSpec {
        incoming,
        ..ListenerSpec::new(loopback(), 16)
    };
    let plain = ListenerSpec::new(loopback(), 16);
    let bound = bind_all(&[all, plain]).unwrap();
    let of = |index: usize, level, name| option(bound[index].socket.as_raw_fd(), level, name);
    assert_eq!(of(0, libc::IPPROTO_TCP, libc::TCP_FASTOPEN), 16);
    assert_eq!(of(1, libc::IPPROTO_TCP, libc::TCP_FASTOPEN), 0);
    let expected = [(1, 3000, 10, 4, 1000), (0, 0, 7200, 9, 1000)];
    for (listener, expected) in bound.iter().zip(expected) {
        let Endpoint::Inet(at) = listener.endpoint else {
            panic!("{listener:?} is no inet socket");
        };
        let mut client = TcpStream::connect(at).unwrap();
        // SAFETY: the address is not asked for.
        let taken = unsafe {
            use std::ptr::null_mut;
            // The listener does not block, and the connection is there: it was just made.
            libc::accept4(
                listener.socket.as_raw_fd(),
                null_mut(),
                null_mut(),
                libc::SOCK_CLOEXEC,
            )
        };
        assert!(taken >= 0, "{}", io::Error::last_os_error());
        let tcp = |name| option(taken, libc::IPPROTO_TCP, name);
        let (alive, timeout, idle, count, most) = expected;
        let keeps = option(taken, libc::SOL_SOCKET, libc::SO_KEEPALIVE);
        assert_eq!(keeps, alive);
        assert_eq!(tcp(libc::TCP_USER_TIMEOUT), timeout);
        assert_eq!(tcp(libc::TCP_KEEPIDLE), idle);
        assert_eq!(tcp(libc::TCP_KEEPCNT), count);
        assert_eq!(tcp(libc::TCP_MAXSEG) <= most, alive == 1);
        close(taken);
        let end = client.read(&mut [0; 1]);
        let end = end.map_err(|error| error.raw_os_error());
        let reset = Err(Some(libc::ECONNRESET));
        assert_eq!(end, if alive == 1 { reset } else { Ok(0) });
    }
}

/// A machine that has just started knows servers whose states are older.
#[test]
fn ages_may_exceed_that_of_the_machine() {
    let year_us = 365 * 24 * 3600 * 1_000_000;
    assert!(clock_us() > 10 * year_us);
    let (first, second) = (clock_us(), clock_us());
    assert!(second >= first);
}
