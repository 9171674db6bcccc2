//! A network in memory for the targets that run the real engine: clients and servers that say
//! what an input tells them to, in the pieces it tells them to, under a clock that jumps.
//!
//! Nothing happens but what the input says: bytes of the two sides, where they are cut, how much
//! the far end takes at once, and how each side ends. Whatever is sent is kept.

use std::collections::VecDeque;

use oneloop::base::addr::{Address, Endpoint};
use oneloop::base::arena::Handle;
use oneloop::base::clock::Now;
use oneloop::engine::Subject;
use oneloop::net::{
    ConnectOptions, ListenerState, LogBatch, Net, Peer, Readiness, Signal, Socket, Stop,
};

use super::strict;

const ECONNRESET: i32 = 104;
const EPIPE: i32 = 32;

/// How a far end ends its side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// It does not.
    #[default]
    Never,
    /// In good order.
    Fin,
    /// By reset.
    Reset,
}

/// When a server says an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// A request has come whole.
    #[default]
    Asked,
    /// The head of a request has come.
    Early,
    /// At once.
    Unasked,
}

/// What one far end says, piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub pieces: VecDeque<Vec<u8>>,
    pub end: End,
    pub when: When,
    /// The door that a client knocks at.
    pub door: u32,
}

/// How the engine ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Open,
    Closed,
    Aborted,
}

/// One connection, seen from the far end.
#[derive(Debug)]
pub struct Sock {
    /// A client by its number, or a server connection.
    pub client: Option<usize>,
    /// What the engine sent.
    pub got: Vec<u8>,
    /// What the far end sent, as far as it did.
    pub said: Vec<u8>,
    /// The far end's own end, as far as it came to it.
    pub ended: End,
    pub state: State,
    /// The engine has ended its side.
    pub shut: bool,
    script: Script,
    inbound: VecDeque<u8>,
    handle: Option<Handle>,
    changed: u8,
    room: usize,
    blocked: bool,
    answers: usize,
}

/// The network.
#[derive(Debug, Default)]
pub struct Wire {
    pub socks: Vec<Sock>,
    pub logs: Vec<Vec<u8>>,
    /// Heads of requests in the order in which they came to the servers: socket and number there.
    pub asked: Vec<(usize, usize)>,
    /// Clients still to come, the next one first.
    pub clients: VecDeque<Script>,
    /// What the servers will say, one answer after the other.
    pub answers: VecDeque<Script>,
    /// How many bytes a far end takes before it must be waited for; 0 is no limit.
    pub window: usize,
    /// Clients go on before servers do.
    pub clients_first: bool,
    /// Nothing is left that could happen.
    pub idle: bool,
    now_ms: u64,
    knocking: Option<usize>,
    signals: VecDeque<Signal>,
}

/// The moment at which every run starts.
pub const START: Now = Now {
    ms: 1_000,
    wall_ms: 1_700_000_000_000,
    utc_offset_s: 0,
};

impl Wire {
    /// A network at rest.
    #[must_use]
    pub fn new() -> Self {
        Self {
            now_ms: START.ms,
            ..Self::default()
        }
    }

    /// Tells the engine to finish.
    pub fn stop(&mut self) {
        self.signals.push_back(Signal::SoftStop);
    }

    /// Whether every client has come and been let go.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let open = |sock: &Sock| sock.client.is_some() && sock.state == State::Open;
        self.clients.is_empty() && self.knocking.is_none() && !self.socks.iter().any(open)
    }

    fn open(&mut self, client: Option<usize>, script: Script) -> usize {
        self.socks.push(Sock {
            client,
            got: Vec::new(),
            said: Vec::new(),
            ended: End::Never,
            state: State::Open,
            shut: false,
            script,
            inbound: VecDeque::new(),
            handle: None,
            changed: 0,
            room: if self.window == 0 {
                usize::MAX
            } else {
                self.window
            },
            blocked: false,
            answers: 0,
        });
        self.socks.len() - 1
    }

    fn now(&self) -> Now {
        Now {
            ms: self.now_ms,
            wall_ms: START.wall_ms + self.now_ms,
            utc_offset_s: 0,
        }
    }

    fn harvest(&mut self, ready: &mut Vec<(Handle, Readiness)>) -> bool {
        for sock in &mut self.socks {
            let (Some(handle), State::Open) = (sock.handle, sock.state) else {
                continue;
            };
            if std::mem::take(&mut sock.changed) != 0 {
                let mut level = 0;
                level |= u8::from(!sock.inbound.is_empty() || sock.ended != End::Never);
                level |= 2 * u8::from(sock.room > 0 || sock.ended == End::Reset);
                level |= 4 * u8::from(sock.ended != End::Never);
                level |= 8 * u8::from(sock.ended == End::Reset);
                ready.push((handle, Readiness(level)));
            }
        }
        if let Some(client) = self.knocking {
            let door = self.socks[client].script.door;
            ready.push((Subject::Listener(door).handle(), Readiness::READABLE));
        }
        !ready.is_empty()
    }

    /// Lets the next thing happen; false when nothing is left.
    fn step(&mut self) -> bool {
        let mut moved = false;
        for sock in &mut self.socks {
            if sock.blocked && sock.state == State::Open {
                sock.blocked = false;
                sock.room = self.window;
                sock.changed |= 2;
                moved = true;
            }
        }
        if moved {
            return true;
        }
        let any = |wire: &mut Self, clients: bool| {
            (0..wire.socks.len()).any(|at| {
                wire.socks[at].state == State::Open
                    && wire.socks[at].client.is_some() == clients
                    && Some(at) != wire.knocking
                    && wire.speak(at)
            })
        };
        if any(self, self.clients_first) || any(self, !self.clients_first) {
            return true;
        }
        let busy = |sock: &Sock| sock.client.is_some() && sock.state == State::Open;
        if self.socks.iter().any(busy) {
            return false;
        }
        let Some(script) = self.clients.pop_front() else {
            return false;
        };
        let number = self
            .socks
            .iter()
            .filter(|sock| sock.client.is_some())
            .count();
        self.knocking = Some(self.open(Some(number), script));
        true
    }

    /// The next piece of one far end.
    fn speak(&mut self, at: usize) -> bool {
        self.take_turn(at);
        let sock = &mut self.socks[at];
        if sock.ended != End::Never {
            return false;
        }
        if let Some(piece) = sock.script.pieces.pop_front() {
            sock.said.extend_from_slice(&piece);
            sock.inbound.extend(piece);
        } else if sock.script.end != End::Never {
            sock.ended = sock.script.end;
            if sock.ended == End::Reset {
                sock.inbound.clear();
            }
        } else {
            return false;
        }
        sock.changed |= 1;
        true
    }

    /// A server that has been asked more often than it has answered takes the next answer.
    fn take_turn(&mut self, at: usize) {
        let sock = &self.socks[at];
        let silent = sock.script.pieces.is_empty() && sock.script.end == End::Never;
        if sock.client.is_some() || !silent {
            return;
        }
        let when = self.answers.front().map_or(When::Asked, |next| next.when);
        let due = match when {
            When::Unasked => sock.answers == 0 || requests(sock).0 > sock.answers,
            When::Early => requests(sock).0 > sock.answers,
            When::Asked => requests(sock).1 > sock.answers,
        };
        if !due {
            return;
        }
        let usual = || Script {
            pieces: [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()].into(),
            ..Script::default()
        };
        let script = self.answers.pop_front().unwrap_or_else(usual);
        let sock = &mut self.socks[at];
        sock.answers += 1;
        sock.script = script;
    }

    /// Remembers in which order heads of requests arrived.
    fn note(&mut self, at: usize) {
        let known = self.asked.iter().filter(|(sock, _)| *sock == at).count();
        let (heads, _) = requests(&self.socks[at]);
        self.asked.extend((known..heads).map(|number| (at, number)));
    }

    fn sock(&mut self, socket: &Socket) -> &mut Sock {
        let sock = &mut self.socks[socket.raw() as usize];
        assert_eq!(sock.state, State::Open, "used after its close");
        sock
    }
}

/// How many heads and how many whole requests lie in what a server got. What follows a request
/// that switched protocols, or still may, is not counted.
fn requests(sock: &Sock) -> (usize, usize) {
    let bytes = &sock.got;
    let (mut at, mut heads, mut whole) = (0, 0, 0);
    while let strict::Read::Message(message) = strict::request(&bytes[at..]) {
        heads += 1;
        if !message.whole {
            break;
        }
        whole += 1;
        at += message.len;
        let may_switch = message.method == b"CONNECT" || message.values("upgrade").next().is_some();
        if may_switch && super::forward::stays(bytes, &sock.said, whole) != Some(true) {
            break;
        }
    }
    (heads, whole)
}

impl Net for Wire {
    fn idle_percent(&self) -> u8 {
        100
    }

    fn wait(&mut self, until_ms: Option<u64>, ready: &mut Vec<(Handle, Readiness)>) -> Now {
        loop {
            let busy = until_ms.is_some_and(|until| until <= self.now_ms);
            if self.harvest(ready) || !self.signals.is_empty() || busy {
                return self.now();
            }
            if !self.step() {
                break;
            }
        }
        match until_ms {
            Some(until) => self.now_ms = until,
            None => self.idle = true,
        }
        self.now()
    }

    fn accept(&mut self, _listener: u32) -> Result<(Socket, Peer), Stop> {
        let at = self.knocking.take().ok_or(Stop::Blocked)?;
        let port = 1000 + self.socks[at].client.unwrap_or_default() as u16;
        let source = Address::V4([10, 0, 0, 1].into(), port);
        Ok((Socket::from_raw(at as i32), Peer { source }))
    }

    fn connect(&mut self, _to: &Endpoint, _how: ConnectOptions<'_>) -> Result<Socket, Stop> {
        let at = self.open(None, Script::default());
        Ok(Socket::from_raw(at as i32))
    }

    fn connect_result(&mut self, socket: &Socket) -> Result<(), Stop> {
        match self.sock(socket).ended {
            End::Reset => Err(Stop::Failed(ECONNRESET)),
            _ => Ok(()),
        }
    }

    fn watch(&mut self, socket: &Socket, handle: Handle) -> Result<(), Stop> {
        let sock = self.sock(socket);
        sock.handle = Some(handle);
        sock.changed = 2;
        Ok(())
    }

    fn local_address(&mut self, _socket: &Socket) -> Address {
        Address::V4([10, 0, 0, 2].into(), 80)
    }

    fn recv(&mut self, socket: &Socket, into: &mut [u8]) -> Result<usize, Stop> {
        let sock = self.sock(socket);
        if sock.inbound.is_empty() {
            return Err(match sock.ended {
                End::Never => Stop::Blocked,
                End::Fin => Stop::Closed,
                End::Reset => Stop::Failed(ECONNRESET),
            });
        }
        let n = sock.inbound.len().min(into.len());
        for (to, from) in into.iter_mut().zip(sock.inbound.drain(..n)) {
            *to = from;
        }
        Ok(n)
    }

    fn send(
        &mut self,
        socket: &Socket,
        head: &[u8],
        body: &[u8],
        _more: bool,
    ) -> Result<usize, Stop> {
        let at = socket.raw() as usize;
        let sock = self.sock(socket);
        assert!(!sock.shut, "sent after its end");
        if sock.ended == End::Reset {
            return Err(Stop::Failed(EPIPE));
        }
        let total = head.len() + body.len();
        let n = total.min(sock.room);
        sock.blocked |= n < total;
        sock.got.extend(head.iter().chain(body).take(n));
        if sock.room != usize::MAX {
            sock.room -= n;
        }
        if n == 0 {
            return Err(Stop::Blocked);
        }
        if sock.client.is_none() {
            self.note(at);
        }
        Ok(n)
    }

    fn shutdown_write(&mut self, socket: &Socket) {
        self.sock(socket).shut = true;
    }

    fn close(&mut self, socket: Socket) {
        self.sock(&socket).state = State::Closed;
        let _ = socket.into_raw();
    }

    fn abort(&mut self, socket: Socket) {
        self.sock(&socket).state = State::Aborted;
        let _ = socket.into_raw();
    }

    fn listener(&mut self, _listener: u32, _to: ListenerState) {}

    fn send_log(&mut self, _target: u32, batch: &LogBatch, from: usize) -> Result<usize, Stop> {
        let mut start = match from {
            0 => 0,
            from => batch.ends[from - 1] as usize,
        };
        for end in &batch.ends[from..] {
            self.logs.push(batch.bytes[start..*end as usize].to_vec());
            start = *end as usize;
        }
        Ok(batch.ends.len() - from)
    }

    fn signal(&mut self) -> Option<Signal> {
        self.signals.pop_front()
    }
}
