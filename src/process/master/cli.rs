//! The master's runtime socket (`-S`): lines in, answers out, and commands passed on to workers.
//!
//! A command for a worker (`@1 show info`) goes to it over a socket of its own, which the worker
//! serves as a runtime connection; its answer is passed on as it comes, never more of it than fits
//! a buffer. What concerns the master itself is answered by [`super::Master`].
//!
//! A connection stays until its client ends its side or says `quit`, as HAProxy's does. It must
//! never wait, and never keep a line that has no end.

// `std` has no door to half a unix stream that does not wait.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use crate::base::addr::Endpoint;
use crate::config::host::Host;
use crate::net::channel::socket_pair;
use crate::net::listen::ListenerSpec;

/// The longest input that is kept while its line is not whole, bytes.
const INPUT_MAX: usize = 16_384;
/// Bytes of answers that wait before more is taken from a worker.
const OUTPUT_MAX: usize = 64 * 1024;
/// Connections that may wait in the kernel.
const BACKLOG: u32 = 10;

/// What a connection may do, as HAProxy's levels.
pub(super) const USER: u8 = 0;
pub(super) const OPERATOR: u8 = 1;
pub(super) const ADMIN: u8 = 2;

/// What `-S` says.
#[derive(Clone, Debug)]
pub(super) struct SocketWords {
    /// How it listens.
    pub(super) spec: ListenerSpec,
    /// What its connections may do.
    pub(super) level: u8,
}

impl SocketWords {
    /// Reads `ADDRESS[,option[,value]]...`.
    pub(super) fn read(text: &str, host: &dyn Host) -> Result<Self, String> {
        let shown = text.replace(',', " ");
        let mut words = text.split(',');
        let address = words.next().unwrap_or_default();
        let endpoint =
            endpoint(address).ok_or_else(|| format!("'{shown}' : invalid address: '{address}'"))?;
        let mut read = Self {
            spec: ListenerSpec::new(endpoint, BACKLOG),
            level: ADMIN,
        };
        while let Some(name) = words.next() {
            let mut value = || {
                let missing = || format!("'{shown}' : '{name}' : missing value");
                words
                    .next()
                    .filter(|value| !value.is_empty())
                    .ok_or_else(missing)
            };
            let number = |value: &str| {
                let bad = || format!("'{shown}' : '{name}' : invalid value '{value}'");
                value.parse().map_err(|_| bad())
            };
            let unknown = |what: &str, value: &str| {
                format!("'{shown}' : '{name}' : {what} '{value}' is unknown.")
            };
            match name {
                "level" => {
                    let value = value()?;
                    read.level = match value {
                        "user" => USER,
                        "operator" => OPERATOR,
                        "admin" => ADMIN,
                        _ => {
                            let text = "'level' only supports 'user', 'operator', and 'admin'";
                            return Err(format!("'{shown}' : {text} (got '{value}')"));
                        }
                    };
                }
                "mode" => {
                    let value = value()?;
                    let mode = u32::from_str_radix(value, 8).ok();
                    let bad = || format!("'{shown}' : 'mode' : missing or invalid mode '{value}'");
                    read.spec.mode = Some(mode.filter(|mode| *mode <= 0o7777).ok_or_else(bad)?);
                }
                "uid" => read.spec.uid = Some(number(value()?)?),
                "gid" => read.spec.gid = Some(number(value()?)?),
                "user" => {
                    let value = value()?;
                    let id = host.user_id(value).ok_or_else(|| unknown("user", value))?;
                    read.spec.uid = Some(id);
                }
                "group" => {
                    let value = value()?;
                    let id = host
                        .group_id(value)
                        .ok_or_else(|| unknown("group", value))?;
                    read.spec.gid = Some(id);
                }
                "backlog" => read.spec.backlog = number(value()?)?,
                _ => return Err(format!("'{shown}' : unknown keyword '{name}'.")),
            }
        }
        Ok(read)
    }
}

/// A path, a name, or an address and a port.
fn endpoint(text: &str) -> Option<Endpoint> {
    if let Some(path) = text.strip_prefix("unix@").or_else(|| {
        let is_path = text.starts_with('/') || text.starts_with('.');
        is_path.then_some(text)
    }) {
        return Some(Endpoint::Unix(path.as_bytes().into()));
    }
    if let Some(name) = text.strip_prefix("abns@") {
        return Some(Endpoint::Abstract(name.as_bytes().into()));
    }
    let text = text
        .strip_prefix("ipv4@")
        .or_else(|| text.strip_prefix("ipv6@"))
        .unwrap_or(text);
    let (host, port) = text.rsplit_once(':')?;
    let address = match host {
        "" | "*" => format!("0.0.0.0:{port}"),
        host if host.contains(':') && !host.starts_with('[') => format!("[{host}]:{port}"),
        _ => text.to_owned(),
    };
    address.parse().ok().map(Endpoint::Inet)
}

/// To whom a command goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The master itself.
    Master,
    /// The worker that serves, by its number among those: there is one.
    Current,
    /// Any worker, by its process.
    Pid(u32),
}

impl Target {
    /// What stands behind the `@` of a prefix.
    pub(super) fn of(prefix: &str) -> Option<Self> {
        match prefix {
            "" | "0" | "master" => Some(Self::Master),
            "1" => Some(Self::Current),
            _ => prefix.strip_prefix('!')?.parse().ok().map(Self::Pid),
        }
    }
}

/// What a session asks of the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// A command for whom it names, whole.
    Command(Vec<u8>),
    /// Nothing now.
    Nothing,
    /// It is over.
    Over,
}

/// A connection to the master's socket.
#[derive(Debug)]
pub(super) struct Session {
    client: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    commands: VecDeque<Vec<u8>>,
    /// Lines of a command that brings a payload, until its empty line.
    payload: Option<Vec<u8>>,
    /// A worker's answer under way.
    worker: Option<UnixStream>,
    /// The client has ended its side.
    ended: bool,
    /// The client is gone: what it asked for is done, and its answers are dropped.
    gone: bool,
    /// Nothing more is read; what is unsent is sent.
    pub(super) quit: bool,
    /// It has asked for a reload that has not begun.
    pub(super) wants: bool,
    /// It waits for the result of the reload under way.
    pub(super) waits: bool,
    /// `prompt` was said.
    pub(super) interactive: bool,
    /// What it may do.
    pub(super) level: u8,
    /// To whom commands without a prefix go.
    pub(super) target: Target,
}

impl Session {
    /// A connection that was accepted.
    pub(super) fn new(client: OwnedFd, level: u8) -> Self {
        let client = UnixStream::from(client);
        // It cannot fail on an open socket.
        drop(client.set_nonblocking(true));
        Self {
            client,
            input: Vec::new(),
            output: Vec::new(),
            commands: VecDeque::new(),
            payload: None,
            worker: None,
            ended: false,
            gone: false,
            quit: false,
            wants: false,
            waits: false,
            interactive: false,
            level,
            target: Target::Master,
        }
    }

    /// One that waits for the result of a reload, kept from the program before.
    pub(super) fn waiting(client: OwnedFd) -> Self {
        Self {
            waits: true,
            ..Self::new(client, USER)
        }
    }

    /// The descriptors to poll, and for what: the client's, and a worker's if one is answering.
    pub(super) fn interest(&self) -> (libc::pollfd, Option<libc::pollfd>) {
        let mut events = 0;
        if !self.ended && !self.quit && self.input.len() <= INPUT_MAX {
            events |= libc::POLLIN;
        }
        if !self.output.is_empty() {
            events |= libc::POLLOUT;
        }
        // One that is gone would be told of without end.
        let number = if self.gone {
            -1
        } else {
            self.client.as_raw_fd()
        };
        let client = pollfd(number, events);
        let room = self.output.len() < OUTPUT_MAX;
        let worker = self.worker.as_ref().filter(|_| room);
        (
            client,
            worker.map(|worker| pollfd(worker.as_raw_fd(), libc::POLLIN)),
        )
    }

    /// The client's descriptor, to be kept over a change of the program.
    pub(super) fn descriptor(&self) -> i32 {
        self.client.as_raw_fd()
    }

    /// The client hung up.
    pub(super) fn hang_up(&mut self) {
        self.gone = true;
    }

    /// Adds to what the client is answered.
    pub(super) fn answer(&mut self, text: &str) {
        self.output.extend_from_slice(text.as_bytes());
    }

    /// Passes a command on to a worker; the other end is to be sent to it.
    pub(super) fn begin(&mut self, command: &[u8]) -> io::Result<OwnedFd> {
        let (here, there) = socket_pair(libc::SOCK_STREAM)?;
        let mut here = UnixStream::from(here);
        here.set_nonblocking(true)?;
        here.write_all(command)?;
        here.write_all(b"\n")?;
        here.shutdown(Shutdown::Write)?;
        self.worker = Some(here);
        Ok(there)
    }

    /// The worker of [`Session::begin`] could not be reached.
    pub(super) fn give_up(&mut self) {
        self.worker = None;
    }

    /// Moves bytes as far as they go, and tells what is to be done next.
    pub(super) fn advance(&mut self) -> Ask {
        self.read_client();
        self.read_worker();
        if self.flush().is_err() {
            return Ask::Over;
        }
        let busy =
            self.worker.is_some() || self.wants || self.waits || self.output.len() >= OUTPUT_MAX;
        if busy {
            return Ask::Nothing;
        }
        if self.quit {
            return if self.output.is_empty() {
                Ask::Over
            } else {
                Ask::Nothing
            };
        }
        if let Some(command) = self.next_command() {
            return Ask::Command(command);
        }
        let too_long = self.input.len() > INPUT_MAX;
        if too_long || (self.ended && self.output.is_empty()) {
            return Ask::Over;
        }
        Ask::Nothing
    }

    fn next_command(&mut self) -> Option<Vec<u8>> {
        while self.commands.is_empty() {
            let end = self.input.iter().position(|byte| *byte == b'\n')?;
            let line: Vec<u8> = self.input.drain(..=end).collect();
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            self.take_line(line.strip_suffix(b"\r").unwrap_or(line));
        }
        self.commands.pop_front()
    }

    fn take_line(&mut self, line: &[u8]) {
        if let Some(mut whole) = self.payload.take() {
            whole.push(b'\n');
            whole.extend_from_slice(line);
            if line.is_empty() || whole.len() > INPUT_MAX {
                self.commands.push_back(whole);
            } else {
                self.payload = Some(whole);
            }
        } else if line.trim_ascii_end().ends_with(b" <<") {
            self.payload = Some(line.to_vec());
        } else {
            self.commands.extend(split(line));
        }
    }

    fn read_client(&mut self) {
        let mut bytes = [0; 4096];
        while !self.ended && self.input.len() <= INPUT_MAX {
            match self.client.read(&mut bytes) {
                Ok(0) => self.ended = true,
                Ok(got) => self.input.extend_from_slice(&bytes[..got]),
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.ended = true,
            }
        }
    }

    fn read_worker(&mut self) {
        let mut bytes = [0; 4096];
        while let Some(worker) = &mut self.worker {
            if self.output.len() >= OUTPUT_MAX {
                return;
            }
            match worker.read(&mut bytes) {
                Ok(got) if got > 0 => self.output.extend_from_slice(&bytes[..got]),
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => self.worker = None,
            }
            if self.worker.is_none() && self.interactive {
                // The prompt is the master's to add, since it knows whose it is.
                self.commands.push_front(PROMPT.to_vec());
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gone {
            self.output.clear();
        }
        while !self.output.is_empty() {
            match self.client.write(&self.output) {
                Ok(sent) => drop(self.output.drain(..sent)),
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }
}

/// What stands among the commands for a prompt that is due; no client can send it.
pub(super) const PROMPT: &[u8] = b"\n";

fn pollfd(fd: i32, events: libc::c_short) -> libc::pollfd {
    libc::pollfd {
        fd,
        events,
        revents: 0,
    }
}

/// The commands of a line, parted by `;` (a backslash before it makes it part of a command, which
/// the worker reads likewise).
fn split(line: &[u8]) -> Vec<Vec<u8>> {
    let mut commands = vec![Vec::new()];
    let mut escaped = false;
    for byte in line {
        if *byte == b';' && !escaped {
            commands.push(Vec::new());
        } else if let Some(last) = commands.last_mut() {
            last.push(*byte);
        }
        escaped = *byte == b'\\' && !escaped;
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::host::Fake;

    #[test]
    fn the_words_of_the_socket() {
        let host = Fake::default();
        let read = |text: &str| SocketWords::read(text, &host);
        let words = read("/run/m.sock,level,operator,mode,660,uid,5,gid,6").unwrap();
        assert_eq!(words.level, OPERATOR);
        let spec = words.spec;
        assert_eq!(
            spec.endpoint,
            Endpoint::Unix(b"/run/m.sock".as_slice().into())
        );
        let of = (spec.mode, spec.uid, spec.gid);
        assert_eq!(of, (Some(0o660), Some(5), Some(6)));
        let inet = |text: &str| read(text).unwrap().spec.endpoint.to_string();
        assert_eq!(inet("127.0.0.1:1234"), "127.0.0.1:1234");
        assert_eq!(inet("*:1234"), "0.0.0.0:1234");
        assert_eq!(inet("ipv6@::1:1234"), "[::1]:1234");
        for (text, why) in [
            ("/x,foo", "'/x foo' : unknown keyword 'foo'."),
            ("/x,mode", "'/x mode' : 'mode' : missing value"),
            (
                "/x,mode,9",
                "'/x mode 9' : 'mode' : missing or invalid mode '9'",
            ),
            ("/x,uid,a", "'/x uid a' : 'uid' : invalid value 'a'"),
            (
                "/x,user,nobodyatall",
                "'/x user nobodyatall' : 'user' : user 'nobodyatall' is unknown.",
            ),
            ("name", "'name' : invalid address: 'name'"),
            (
                "/x,level,root",
                "'/x level root' : 'level' only supports 'user', 'operator', and 'admin' (got 'root')",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), why);
        }
    }

    #[test]
    fn prefixes() {
        for (prefix, target) in [
            ("", Some(Target::Master)),
            ("master", Some(Target::Master)),
            ("0", Some(Target::Master)),
            ("1", Some(Target::Current)),
            ("!77", Some(Target::Pid(77))),
            ("2", None),
            ("!x", None),
            ("foo", None),
        ] {
            assert_eq!(Target::of(prefix), target, "{prefix}");
        }
    }

    #[test]
    fn commands_are_parted_by_semicolons() {
        let parts = |line: &[u8]| split(line).len();
        assert_eq!(parts(b"show proc"), 1);
        assert_eq!(parts(b"@1 show info; show proc"), 2);
        assert_eq!(parts(br"@1 set x a\;b"), 1);
    }

    fn session() -> (UnixStream, Session) {
        let (client, ours) = UnixStream::pair().unwrap();
        (client, Session::new(ours.into(), ADMIN))
    }

    #[test]
    fn a_payload_goes_with_its_command() {
        let (mut client, mut session) = session();
        client
            .write_all(b"@1 add map #0 <<\na b\nc d\n\nshow proc\n")
            .unwrap();
        let whole = b"@1 add map #0 <<\na b\nc d\n".to_vec();
        assert_eq!(session.advance(), Ask::Command(whole));
        assert_eq!(session.advance(), Ask::Command(b"show proc".to_vec()));
        assert_eq!(session.advance(), Ask::Nothing);
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(session.advance(), Ask::Over);
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let (mut client, mut session) = session();
        client.write_all(&[b'x'; 2 * INPUT_MAX]).unwrap();
        assert_eq!(session.advance(), Ask::Over);
    }

    #[test]
    fn an_answer_is_passed_on_and_a_slow_client_holds_the_worker_up() {
        let (client, mut session) = session();
        let there = session.begin(b"show info").unwrap();
        let mut worker = UnixStream::from(there);
        let mut command = String::new();
        worker.read_to_string(&mut command).unwrap();
        assert_eq!(command, "show info\n");
        worker.set_nonblocking(true).unwrap();
        // Nobody reads: the session takes a bounded part of it, and then the worker must wait.
        let mut written = 0;
        loop {
            match worker.write(&[b'x'; 4096]) {
                Ok(some) => written += some,
                Err(_) => {
                    session.advance();
                    if session.interest().1.is_none() {
                        break;
                    }
                }
            }
        }
        assert!(session.output.len() < 2 * OUTPUT_MAX);
        drop(worker);
        let mut client = client;
        let mut got = 0;
        let mut bytes = [0; 65536];
        client.set_nonblocking(true).unwrap();
        while got < written {
            session.advance();
            got += client.read(&mut bytes).unwrap();
        }
        assert_eq!(got, written);
        session.advance();
        assert!(session.worker.is_none());
    }
}
