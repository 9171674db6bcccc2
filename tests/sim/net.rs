//! The fake operating system: sockets, edges, a clock that jumps, and every unkindness by a seed.
//!
//! [`Fake`] is the other implementation of `Net`. Time stands still while the engine works and moves
//! only in `wait`, to the next thing that happens. Edges are as strict as epoll's with `EPOLLET`: one
//! when something changes, with the state at the time of the wait, and never again for the same change.
//!
//! Before it sleeps for good or for a while, the fake asks once whether anything was missed: it tells
//! every socket's state anew. Whatever the engine then manages to do, it should have done before: that
//! is a lost wakeup, and a failure. Using a closed socket, closing one twice, watching one twice and
//! receiving where nothing was announced are failures too.

use std::collections::{BTreeMap, VecDeque};

use oneloop::base::addr::{Address, Endpoint};
use oneloop::base::arena::Handle;
use oneloop::base::clock::Now;
use oneloop::net::{
    ConnectOptions, ListenerState, LogBatch, Net, Peer, Readiness, Signal, Socket, Stop,
};

use crate::model::Model;
use crate::rng::Rng;

pub const START_MS: u64 = 1_000_000;
const WALL_MS: u64 = 1_700_000_000_000;
pub const ECONNRESET: i32 = 104;
const EPIPE: i32 = 32;
const ECONNREFUSED: i32 = 111;
const EMFILE: i32 = 24;
const ECONNABORTED: i32 = 103;
const ENOSPC: i32 = 28;

/// Who is at the other end of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Far {
    Client(usize),
    Server(usize),
    Probe(usize),
}

/// Whose a socket is just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    Backlog,
    Engine,
    Closed,
}

/// One connection, seen from the engine's side.
pub struct Sock {
    pub far: Far,
    pub owner: Owner,
    handle: Option<Handle>,
    connected: bool,
    connect_error: i32,
    /// Sent by the far end, not yet received by the engine.
    inbound: VecDeque<u8>,
    /// How much of it can be received already.
    visible: usize,
    in_held: bool,
    fin: bool,
    reset: bool,
    /// Sent by the engine, not yet taken by the far end.
    outbound: VecDeque<u8>,
    window: usize,
    out_held: bool,
    blocked: bool,
    out_fin: bool,
    draining: bool,
    /// The far end reads no more for now.
    pub stalled: bool,
    /// It has closed; what the engine sends is answered by a reset.
    pub far_closed: bool,
    changed: u8,
    /// The engine has been told that it may receive, and has not been told otherwise since.
    told: bool,
    told_end: bool,
    /// The wait that told it last: its edge may be acted on after a receive.
    told_in: u64,
    last_at: u64,
    /// When the last bytes of the far end arrive.
    pub data_at: u64,
}

/// What happens at some moment.
pub enum Event {
    Arrive(usize, Vec<u8>),
    Fin(usize),
    Reset(usize),
    Release(usize),
    Room(usize),
    Connected(usize, i32),
    Drain(usize),
    Open(usize),
    ClientAct(usize),
    ServerAct(usize),
    Signal(Signal),
    ServerUp(usize, bool),
}

/// Which unkindnesses this run knows. All shares are per mille.
#[derive(Clone, Copy, Default, Debug)]
pub struct Faults {
    pub short_recv: u64,
    pub short_send: u64,
    pub false_ready: u64,
    pub only_changed: u64,
    pub stale: u64,
    pub emfile: u64,
    pub abandoned: u64,
    pub watch_fails: u64,
    pub refuse_at_once: u64,
    pub refuse_late: u64,
    pub connect_silent: u64,
    pub log_full: u64,
    pub log_fails: u64,
    pub server_reset: u64,
    pub client_reset: u64,
    pub small_windows: bool,
}

/// A planted fault of the fake itself, to prove that the sweep would notice one of the engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutation {
    None,
    /// Some edges never come.
    DropEdge,
    /// A byte changes on its way.
    CorruptByte,
    /// A byte is received twice.
    RepeatByte,
    /// Log messages vanish.
    LoseLog,
}

#[derive(Default)]
struct Door {
    closed: bool,
    paused: bool,
    waiting: VecDeque<usize>,
    edge: bool,
}

/// What is common to the fake and to the model behind it.
pub struct Core {
    pub now: u64,
    pub rng: Rng,
    pub faults: Faults,
    pub mutation: Mutation,
    pub socks: Vec<Sock>,
    events: BTreeMap<(u64, u64), Event>,
    sequence: u64,
    pub problems: Vec<String>,
    pub trace: bool,
    pub wasted: u64,
    waits: u64,
    progress: u64,
    doors: Vec<Door>,
    pub server_up: Vec<bool>,
    pub logs: Vec<Vec<u8>>,
}

impl Core {
    pub fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>8} {}", self.now - START_MS, what());
        }
    }

    pub fn problem(&mut self, what: String) {
        self.say(|| format!("PROBLEM {what}"));
        self.problems.push(what);
    }

    pub fn at(&mut self, delay: u64, event: Event) {
        let key = (self.now + delay, self.sequence);
        self.sequence += 1;
        self.events.insert(key, event);
    }

    /// Schedules what comes over a socket, never before what was sent earlier.
    fn in_order(&mut self, sock: usize, delay: u64, event: Event) {
        let at = (self.now + delay).max(self.socks[sock].last_at);
        self.socks[sock].last_at = at;
        if matches!(event, Event::Arrive(..)) {
            self.socks[sock].data_at = at;
        }
        self.at(at - self.now, event);
    }

    /// The far end sends bytes, cut at seeded places.
    pub fn transmit(&mut self, sock: usize, bytes: &[u8]) {
        let pieces = self.rng.pick(&[1, 1, 2, 3, 8]);
        let mut rest = bytes;
        for left in (0..pieces).rev() {
            let cut = if left == 0 {
                rest.len()
            } else {
                self.rng.below(rest.len() as u64 + 1) as usize
            };
            let (now, later) = rest.split_at(cut);
            rest = later;
            if !now.is_empty() {
                let delay = self.rng.pick(&[0, 0, 0, 1, 3]);
                self.in_order(sock, delay, Event::Arrive(sock, now.to_vec()));
            }
        }
        let share = match self.socks[sock].far {
            Far::Client(_) => self.faults.client_reset,
            _ => self.faults.server_reset,
        };
        if self.rng.permille(share) {
            self.far_reset(sock, 1);
        }
    }

    /// The far end ends its side; `whole` says that it also stops reading.
    pub fn far_fin(&mut self, sock: usize, delay: u64, whole: bool) {
        self.in_order(sock, delay, Event::Fin(sock));
        if whole {
            self.socks[sock].far_closed = true;
        }
    }

    pub fn far_reset(&mut self, sock: usize, delay: u64) {
        self.in_order(sock, delay, Event::Reset(sock));
    }

    fn open(&mut self, far: Far, owner: Owner, connected: bool) -> usize {
        let window = if self.faults.small_windows {
            self.rng.between(1, 600) as usize
        } else {
            self.rng.between(2_000, 70_000) as usize
        };
        self.socks.push(Sock {
            far,
            owner,
            handle: None,
            connected,
            connect_error: 0,
            inbound: VecDeque::new(),
            visible: 0,
            in_held: false,
            fin: false,
            reset: false,
            outbound: VecDeque::new(),
            window,
            out_held: false,
            blocked: false,
            out_fin: false,
            draining: false,
            stalled: false,
            far_closed: false,
            changed: 0,
            // A fresh connection may be tried at once.
            told: owner == Owner::Backlog,
            told_end: false,
            told_in: 0,
            last_at: 0,
            data_at: 0,
        });
        self.socks.len() - 1
    }

    /// Sockets that the engine has not closed.
    pub fn open_sockets(&self, of: impl Fn(Far) -> bool) -> usize {
        let mine = |s: &&Sock| s.owner == Owner::Engine && of(s.far);
        self.socks.iter().filter(mine).count()
    }

    fn change(&mut self, sock: usize, bits: Readiness) {
        self.socks[sock].changed |= bits.0;
    }

    /// The state that an edge would tell now.
    fn level(&self, sock: usize) -> u8 {
        let s = &self.socks[sock];
        let mut bits = Readiness::default();
        if !s.connected {
            return 0;
        }
        if s.reset || s.connect_error != 0 {
            return 15;
        }
        let ended = s.fin && s.visible == s.inbound.len() && !s.in_held;
        if s.visible > 0 || ended {
            bits.add(Readiness::READABLE);
        }
        if ended {
            bits.add(Readiness::READ_CLOSED);
        }
        let room = s.window.saturating_sub(s.outbound.len());
        if !s.out_held && room * 3 >= s.window {
            bits.add(Readiness::WRITABLE);
        }
        bits.0
    }

    /// The engine has learnt that nothing is there; an edge of this wait it may hear after that.
    fn untell(&mut self, sock: usize) {
        let s = &mut self.socks[sock];
        s.told = s.told_in == self.waits;
    }

    /// A door that listens and has somebody waiting.
    fn door_ready(&self, index: usize) -> bool {
        let door = &self.doors[index];
        !door.closed && !door.paused && !door.waiting.is_empty()
    }

    fn start_drain(&mut self, sock: usize) {
        let s = &self.socks[sock];
        if s.draining || s.stalled || (s.outbound.is_empty() && !s.out_fin) {
            return;
        }
        self.socks[sock].draining = true;
        let delay = self.rng.pick(&[0, 0, 1, 2]);
        self.at(delay, Event::Drain(sock));
    }
}

/// The whole fake: the system, and the clients and servers behind it.
pub struct Fake {
    pub core: Core,
    pub model: Model,
    endpoints: Vec<Endpoint>,
    signals: VecDeque<Signal>,
    stale: Vec<Handle>,
    nudge: Option<u64>,
    nudged_at: u64,
    pub stuck: bool,
}

impl Fake {
    pub fn new(seed: u64, mut model: Model, endpoints: Vec<Endpoint>, doors: usize) -> Self {
        let servers = endpoints.len();
        let mut core = Core {
            now: START_MS,
            rng: Rng::new(seed ^ 0xA5A5),
            faults: model.faults,
            mutation: Mutation::None,
            socks: Vec::new(),
            events: BTreeMap::new(),
            sequence: 0,
            problems: Vec::new(),
            trace: false,
            wasted: 0,
            waits: 1,
            progress: 0,
            doors: (0..doors).map(|_| Door::default()).collect(),
            server_up: vec![true; servers],
            logs: Vec::new(),
        };
        model.begin(&mut core);
        Self {
            core,
            model,
            endpoints,
            signals: VecDeque::new(),
            stale: Vec::new(),
            nudge: None,
            nudged_at: u64::MAX,
            stuck: false,
        }
    }

    pub fn now(&self) -> Now {
        Now {
            ms: self.core.now,
            wall_ms: WALL_MS + self.core.now,
            utc_offset_s: 0,
        }
    }

    fn happen(&mut self, event: Event) {
        let (core, model) = (&mut self.core, &mut self.model);
        match event {
            Event::Arrive(sock, mut bytes) => {
                if core.socks[sock].owner == Owner::Closed {
                    return far_sees_reset(core, model, sock);
                }
                if core.mutation == Mutation::CorruptByte && core.rng.permille(20) {
                    let at = core.rng.below(bytes.len() as u64) as usize;
                    bytes[at] ^= 1;
                }
                core.say(|| format!("#{sock} {} bytes arrive", bytes.len()));
                let s = &mut core.socks[sock];
                if s.reset {
                    return;
                }
                s.inbound.extend(bytes);
                if !s.in_held {
                    s.visible = s.inbound.len();
                    core.change(sock, Readiness::READABLE);
                }
            }
            Event::Release(sock) => {
                let s = &mut core.socks[sock];
                s.in_held = false;
                s.visible = s.inbound.len();
                core.change(sock, Readiness::READABLE);
            }
            Event::Fin(sock) => {
                core.say(|| format!("#{sock} far end has ended"));
                core.socks[sock].fin = true;
                core.change(sock, Readiness(5));
            }
            Event::Reset(sock) => {
                core.say(|| format!("#{sock} reset by the far end"));
                let keeps = core.rng.permille(500);
                let s = &mut core.socks[sock];
                s.reset = true;
                s.far_closed = true;
                s.connected = true;
                s.outbound.clear();
                if !keeps {
                    s.inbound.clear();
                    s.visible = 0;
                }
                core.change(sock, Readiness(15));
                model.on_gone(core, sock);
            }
            Event::Room(sock) => {
                core.socks[sock].out_held = false;
                if core.level(sock) & 2 != 0 {
                    core.change(sock, Readiness::WRITABLE);
                }
            }
            Event::Connected(sock, errno) => {
                if core.socks[sock].owner == Owner::Closed {
                    return;
                }
                core.say(|| format!("#{sock} connect ends: {errno}"));
                let s = &mut core.socks[sock];
                s.connected = true;
                s.connect_error = errno;
                core.change(sock, Readiness::WRITABLE);
                if errno == 0 {
                    model.on_connected(core, sock);
                }
            }
            Event::Drain(sock) => drain(core, model, sock),
            Event::Open(client) => {
                let door = model.door_of(client);
                if core.doors[door].closed {
                    return model.on_refused(core, client);
                }
                let sock = core.open(Far::Client(client), Owner::Backlog, true);
                core.say(|| format!("#{sock} is client {client} at door {door}"));
                core.doors[door].waiting.push_back(sock);
                core.doors[door].edge = true;
                model.on_open(core, client, sock);
            }
            Event::ClientAct(client) => model.client_acts(core, client),
            Event::ServerAct(sock) => model.server_acts(core, sock),
            Event::Signal(signal) => {
                core.say(|| format!("signal {signal:?}"));
                self.signals.push_back(signal);
            }
            Event::ServerUp(server, up) => core.server_up[server] = up,
        }
    }

    /// Lets everything that is under way come to its end, once the engine has gone.
    pub fn settle(&mut self) {
        while let Some((key, event)) = self.core.events.pop_first() {
            self.core.now = self.core.now.max(key.0);
            self.happen(event);
        }
    }

    /// Everything due; true when the engine has something to hear.
    fn catch_up(&mut self) -> bool {
        while let Some((&key, _)) = self.core.events.first_key_value() {
            if key.0 > self.core.now {
                break;
            }
            if let Some(event) = self.core.events.remove(&key) {
                self.happen(event);
            }
        }
        let core = &self.core;
        let edge = |s: &Sock| s.owner == Owner::Engine && s.handle.is_some() && s.changed != 0;
        let doors = (0..core.doors.len()).any(|d| core.doors[d].edge && core.door_ready(d));
        !self.signals.is_empty() || doors || core.socks.iter().any(edge)
    }

    fn harvest(&mut self, ready: &mut Vec<(Handle, Readiness)>) {
        let core = &mut self.core;
        for index in 0..core.doors.len() {
            if core.doors[index].edge && core.door_ready(index) {
                core.doors[index].edge = false;
                ready.push((door_handle(index), Readiness::READABLE));
            }
        }
        let most = core.rng.pick(&[1, 3, 512, 512]);
        for sock in 0..core.socks.len() {
            let s = &core.socks[sock];
            let (Some(handle), Owner::Engine) = (s.handle, s.owner) else {
                continue;
            };
            if s.changed == 0 || ready.len() >= most {
                continue;
            }
            let changed = std::mem::take(&mut core.socks[sock].changed);
            let level = core.level(sock);
            let mask = if core.rng.permille(core.faults.only_changed) {
                level & (changed | 12)
            } else {
                level
            };
            if core.mutation == Mutation::DropEdge && core.rng.permille(30) {
                continue;
            }
            if mask != 0 {
                tell(core, sock, mask);
                ready.push((handle, Readiness(mask)));
            }
        }
        for at in (1..ready.len()).rev() {
            let other = core.rng.below(at as u64 + 1) as usize;
            ready.swap(at, other);
        }
        if !self.stale.is_empty() && core.rng.permille(core.faults.stale) {
            let at = core.rng.below(self.stale.len() as u64) as usize;
            ready.push((self.stale[at], Readiness(15)));
        }
    }

    /// Tells every state anew, once for each rest.
    fn nudge(&mut self, ready: &mut Vec<(Handle, Readiness)>) -> bool {
        let core = &mut self.core;
        if self.nudged_at == core.progress {
            return false;
        }
        self.nudged_at = core.progress;
        self.nudge = Some(core.progress);
        core.say(|| "nudge".to_owned());
        for index in 0..core.doors.len() {
            if core.door_ready(index) {
                ready.push((door_handle(index), Readiness::READABLE));
            }
        }
        for sock in 0..core.socks.len() {
            let level = core.level(sock);
            let s = &core.socks[sock];
            if let (Some(handle), Owner::Engine, true) = (s.handle, s.owner, level != 0) {
                tell(core, sock, level);
                ready.push((handle, Readiness(level)));
            }
        }
        true
    }

    /// What the engine does next may have another cause than the last nudge.
    pub fn forget_nudge(&mut self) {
        self.nudge = None;
    }

    fn used(&mut self, socket: &Socket) -> Option<usize> {
        let sock = socket.raw() as usize;
        if self.core.socks.get(sock).map(|s| s.owner) == Some(Owner::Engine) {
            return Some(sock);
        }
        self.core.problem(format!("#{sock} used after its close"));
        None
    }

    fn end(&mut self, socket: Socket, by_reset: bool) {
        let Some(sock) = self.used(&socket) else {
            socket.into_raw();
            return;
        };
        let _ = socket.into_raw();
        let core = &mut self.core;
        core.progress += 1;
        let s = &mut core.socks[sock];
        s.owner = Owner::Closed;
        if let Some(handle) = s.handle.take() {
            self.stale.push(handle);
        }
        let unread = !s.inbound.is_empty() && !s.reset;
        core.say(|| format!("#{sock} closed, unread: {unread}"));
        if core.socks[sock].reset || !core.socks[sock].connected {
            return;
        }
        if by_reset || (unread && core.rng.permille(500)) {
            // What was on its way is lost with the reset.
            core.socks[sock].outbound.clear();
            far_sees_reset(core, &mut self.model, sock);
            return;
        }
        core.socks[sock].out_fin = true;
        core.start_drain(sock);
    }
}

fn door_handle(index: usize) -> Handle {
    oneloop::engine::Subject::Listener(index as u32).handle()
}

fn tell(core: &mut Core, sock: usize, mask: u8) {
    core.say(|| format!("#{sock} edge {mask:04b}"));
    let waits = core.waits;
    let s = &mut core.socks[sock];
    s.told_in = waits;
    s.told |= mask & 1 != 0;
    s.told_end |= mask & 12 != 0;
}

fn far_sees_reset(core: &mut Core, model: &mut Model, sock: usize) {
    let s = &mut core.socks[sock];
    if !s.reset {
        s.reset = true;
        s.far_closed = true;
        s.outbound.clear();
        core.say(|| format!("#{sock} far end sees a reset"));
        model.on_gone(core, sock);
    }
}

/// The far end reads.
fn drain(core: &mut Core, model: &mut Model, sock: usize) {
    core.socks[sock].draining = false;
    let s = &mut core.socks[sock];
    if s.stalled || s.reset {
        return;
    }
    if s.far_closed {
        // It reads no more: the engine learns it the hard way, if it sent anything.
        if !s.outbound.is_empty() {
            s.reset = true;
            s.outbound.clear();
            core.change(sock, Readiness(15));
        }
        return;
    }
    let most = if core.faults.small_windows {
        core.rng.between(1, 900)
    } else {
        core.rng.between(1, 50_000)
    };
    let s = &mut core.socks[sock];
    let n = s.outbound.len().min(most as usize);
    let bytes: Vec<u8> = s.outbound.drain(..n).collect();
    if n > 0 {
        core.say(|| format!("#{sock} far end reads {n}"));
        if core.socks[sock].blocked && core.level(sock) & 2 != 0 {
            core.socks[sock].blocked = false;
            core.change(sock, Readiness::WRITABLE);
        }
        model.on_bytes(core, sock, &bytes);
    }
    let s = &mut core.socks[sock];
    if s.outbound.is_empty() && s.out_fin {
        s.out_fin = false;
        core.say(|| format!("#{sock} far end sees the end"));
        let whole = core.socks[sock].owner == Owner::Closed;
        model.on_end(core, sock, whole);
    }
    core.start_drain(sock);
}

impl Net for Fake {
    fn wait(&mut self, until_ms: Option<u64>, ready: &mut Vec<(Handle, Readiness)>) -> Now {
        self.core.waits += 1;
        if let Some(before) = self.nudge.take()
            && self.core.progress != before
        {
            self.core
                .problem("lost wakeup: told anew, the engine went on".to_owned());
        }
        loop {
            if self.catch_up() || until_ms.is_some_and(|until| until <= self.core.now) {
                self.harvest(ready);
                return self.now();
            }
            if self.nudge(ready) {
                return self.now();
            }
            let next = self.core.events.keys().next().map(|key| key.0);
            match [until_ms, next].into_iter().flatten().min() {
                Some(at) => self.core.now = at.max(self.core.now),
                None => {
                    self.stuck = true;
                    return self.now();
                }
            }
        }
    }

    fn accept(&mut self, listener: u32) -> Result<(Socket, Peer), Stop> {
        let core = &mut self.core;
        let faults = core.faults;
        let door = &mut core.doors[listener as usize];
        if door.closed || door.paused {
            core.problem(format!("accept on door {listener}, which rests"));
            return Err(Stop::Blocked);
        }
        let Some(&sock) = door.waiting.front() else {
            return Err(Stop::Blocked);
        };
        if core.rng.permille(faults.emfile) {
            core.say(|| format!("door {listener}: EMFILE"));
            return Err(Stop::Failed(EMFILE));
        }
        core.doors[listener as usize].waiting.pop_front();
        core.progress += 1;
        if core.rng.permille(faults.abandoned) {
            core.socks[sock].owner = Owner::Closed;
            far_sees_reset(core, &mut self.model, sock);
            return Err(Stop::Failed(ECONNABORTED));
        }
        core.say(|| format!("#{sock} accepted"));
        core.socks[sock].owner = Owner::Engine;
        let source = Address::V4([10, 9, 0, 1].into(), 1024 + (sock % 60_000) as u16);
        Ok((Socket::from_raw(sock as i32), Peer { source }))
    }

    fn connect(&mut self, to: &Endpoint, how: ConnectOptions) -> Result<Socket, Stop> {
        let Some(server) = self.endpoints.iter().position(|known| known == to) else {
            self.core
                .problem(format!("connect to {to}, which nobody configured"));
            return Err(Stop::Failed(ECONNREFUSED));
        };
        let core = &mut self.core;
        let faults = core.faults;
        core.progress += 1;
        if core.rng.permille(faults.refuse_at_once) {
            core.say(|| format!("connect to server {server}: refused at once"));
            return Err(Stop::Failed(ECONNREFUSED));
        }
        let far = match how.check {
            true => Far::Probe(server),
            false => Far::Server(server),
        };
        let sock = core.open(far, Owner::Engine, false);
        core.say(|| format!("#{sock} connects to server {server}, {far:?}"));
        let delay = core.rng.pick(&[0, 0, 1, 5]);
        if !core.server_up[server] || core.rng.permille(faults.refuse_late) {
            core.at(delay, Event::Connected(sock, ECONNREFUSED));
        } else if !core.rng.permille(faults.connect_silent) {
            core.at(delay, Event::Connected(sock, 0));
        }
        Ok(Socket::from_raw(sock as i32))
    }

    fn connect_result(&mut self, socket: &Socket) -> Result<(), Stop> {
        let Some(sock) = self.used(socket) else {
            return Err(Stop::Failed(9));
        };
        self.core.progress += 1;
        let s = &self.core.socks[sock];
        match (s.connected, s.connect_error) {
            (false, _) => Err(Stop::Blocked),
            (true, 0) if s.reset => Err(Stop::Failed(ECONNRESET)),
            (true, 0) => Ok(()),
            (true, errno) => Err(Stop::Failed(errno)),
        }
    }

    fn watch(&mut self, socket: &Socket, handle: Handle) -> Result<(), Stop> {
        let Some(sock) = self.used(socket) else {
            return Err(Stop::Failed(9));
        };
        let core = &mut self.core;
        if core.rng.permille(core.faults.watch_fails) {
            return Err(Stop::Failed(ENOSPC));
        }
        if core.socks[sock].handle.is_some() {
            core.problem(format!("#{sock} watched twice"));
        }
        core.socks[sock].handle = Some(handle);
        let level = core.level(sock);
        core.change(sock, Readiness(level));
        Ok(())
    }

    fn local_address(&mut self, socket: &Socket) -> Address {
        self.used(socket);
        Address::V4([10, 9, 0, 2].into(), 80)
    }

    fn recv(&mut self, socket: &Socket, into: &mut [u8]) -> Result<usize, Stop> {
        let Some(sock) = self.used(socket) else {
            return Err(Stop::Failed(9));
        };
        let core = &mut self.core;
        if into.is_empty() {
            core.problem(format!("#{sock} receive into nothing"));
        }
        let s = &core.socks[sock];
        if !s.told && !s.told_end {
            core.problem(format!("#{sock} receive without readiness"));
        }
        let faults = core.faults;
        let s = &core.socks[sock];
        let (visible, ended) = (s.visible, s.fin && !s.in_held);
        if visible == 0 {
            if s.reset {
                core.progress += 1;
                return Err(Stop::Failed(ECONNRESET));
            }
            if ended {
                core.progress += 1;
                return Err(Stop::Closed);
            }
            core.wasted += 1;
            core.untell(sock);
            core.say(|| format!("#{sock} recv: blocked"));
            return Err(Stop::Blocked);
        }
        if core.rng.permille(faults.false_ready) && !s.reset {
            core.untell(sock);
            hold_in(core, sock);
            return Err(Stop::Blocked);
        }
        let mut n = visible.min(into.len());
        if n > 1 && core.rng.permille(faults.short_recv) && !s.reset {
            n = core.rng.between(1, n as u64 - 1) as usize;
            hold_in(core, sock);
        }
        let s = &mut core.socks[sock];
        for (to, from) in into.iter_mut().zip(s.inbound.drain(..n)) {
            *to = from;
        }
        if core.mutation == Mutation::RepeatByte && core.rng.permille(30) {
            core.socks[sock].inbound.push_front(into[n - 1]);
            core.socks[sock].visible += usize::from(!core.socks[sock].in_held);
        }
        let s = &mut core.socks[sock];
        s.visible = s.visible.saturating_sub(n);
        if n < into.len() && !s.told_end {
            core.untell(sock);
        }
        core.progress += 1;
        core.say(|| format!("#{sock} recv {n} of {visible}: {}", shown(&into[..n])));
        Ok(n)
    }

    fn send(
        &mut self,
        socket: &Socket,
        head: &[u8],
        body: &[u8],
        _more: bool,
    ) -> Result<usize, Stop> {
        let Some(sock) = self.used(socket) else {
            return Err(Stop::Failed(9));
        };
        let core = &mut self.core;
        let faults = core.faults;
        let total = head.len() + body.len();
        if total == 0 {
            core.problem(format!("#{sock} send of nothing"));
            return Ok(0);
        }
        let s = &mut core.socks[sock];
        if s.reset {
            core.progress += 1;
            return Err(Stop::Failed(EPIPE));
        }
        if s.out_fin {
            core.problem(format!("#{sock} send after its shutdown"));
            return Err(Stop::Failed(EPIPE));
        }
        let room = match s.connected && !s.out_held {
            true => s.window.saturating_sub(s.outbound.len()),
            false => 0,
        };
        let mut n = total.min(room);
        if n > 0 && core.rng.permille(faults.short_send) {
            n = core.rng.below(n as u64 + 1) as usize;
            if n < total {
                core.socks[sock].out_held = true;
                let delay = core.rng.pick(&[0, 1, 2]);
                core.at(delay, Event::Room(sock));
            }
        }
        let s = &mut core.socks[sock];
        s.outbound.extend(head.iter().chain(body).take(n));
        s.blocked |= n < total;
        core.say(|| {
            format!(
                "#{sock} send {n} of {total}: {} {}",
                shown(head),
                shown(body)
            )
        });
        core.start_drain(sock);
        if n == 0 {
            return Err(Stop::Blocked);
        }
        core.progress += 1;
        Ok(n)
    }

    fn shutdown_write(&mut self, socket: &Socket) {
        let Some(sock) = self.used(socket) else {
            return;
        };
        self.core.say(|| format!("#{sock} shutdown"));
        self.core.socks[sock].out_fin = true;
        self.core.start_drain(sock);
    }

    fn close(&mut self, socket: Socket) {
        self.end(socket, false);
    }

    fn abort(&mut self, socket: Socket) {
        self.end(socket, true);
    }

    fn listener(&mut self, listener: u32, to: ListenerState) {
        let core = &mut self.core;
        core.say(|| format!("door {listener}: {to:?}"));
        let door = &mut core.doors[listener as usize];
        match to {
            ListenerState::Resumed => {
                door.paused = false;
                door.edge = true;
            }
            ListenerState::Paused => door.paused = true,
            ListenerState::Refusing | ListenerState::Closed => {
                door.closed = to == ListenerState::Closed;
                door.paused = true;
                for sock in std::mem::take(&mut door.waiting) {
                    core.socks[sock].owner = Owner::Closed;
                    far_sees_reset(core, &mut self.model, sock);
                }
            }
        }
    }

    fn send_log(&mut self, _target: u32, batch: &LogBatch, from: usize) -> Result<usize, Stop> {
        let core = &mut self.core;
        let mut start = match from {
            0 => 0,
            from => batch.ends[from - 1] as usize,
        };
        // What is offered first is what the engine has to say, whether it then leaves or not.
        if from == 0 {
            for end in &batch.ends {
                let line = batch.bytes[start..*end as usize].to_vec();
                start = *end as usize;
                core.say(|| format!("log {}", line.escape_ascii()));
                if core.mutation != Mutation::LoseLog || !core.rng.permille(30) {
                    core.logs.push(line);
                }
            }
        }
        if core.rng.permille(core.faults.log_full) {
            return Err(Stop::Blocked);
        }
        if core.rng.permille(core.faults.log_fails) {
            return Err(Stop::Failed(ECONNREFUSED));
        }
        let most = (batch.ends.len() - from) as u64;
        Ok(core.rng.between(1, most.max(1)) as usize)
    }

    fn signal(&mut self) -> Option<Signal> {
        self.signals.pop_front()
    }
}

/// What is there becomes receivable a little later, with its own edge.
fn hold_in(core: &mut Core, sock: usize) {
    core.socks[sock].in_held = true;
    core.socks[sock].visible = 0;
    let delay = core.rng.pick(&[0, 0, 1]);
    core.at(delay, Event::Release(sock));
}

/// The start of some bytes, for the trace.
fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(80)].escape_ascii().to_string()
}
