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

use std::collections::VecDeque;

use oneloop::base::addr::{Address, Endpoint};
use oneloop::base::arena::Handle;
use oneloop::base::clock::Now;
use oneloop::net::{
    ConnectOptions, Invocation, ListenerState, LogBatch, Net, Order, Peer, Process, Readiness,
    Signal, Socket, Stop, Tube,
};

use super::model::Model;
use super::probes::AGENT_PORT;
use super::scenario::TCP_DOOR;
use super::state::{
    Core, EADDRNOTAVAIL, EBADF, ECONNABORTED, ECONNREFUSED, ECONNRESET, EINVAL, EMFILE,
    ENETUNREACH, ENFILE, ENOBUFS, ENOMEM, ENOSPC, EPIPE, ETIMEDOUT, Event, Far, Mutation, Owner,
    Sock, WALL_MS,
};

/// The whole fake: the system, and the clients and servers behind it.
pub(crate) struct Fake {
    pub(crate) core: Core,
    pub(crate) model: Model,
    endpoints: Vec<Endpoint>,
    signals: VecDeque<Signal>,
    orders: VecDeque<Order>,
    stale: Vec<Handle>,
    nudge: Option<u64>,
    nudged_at: u64,
    pub(crate) stuck: bool,
    /// The engine has been told to leave at once.
    pub(crate) killed: Option<i32>,
}

/// Errors with the names by which a sweep counts them.
type Named = (i32, &'static str);

const ACCEPT_ERRORS: [Named; 4] = [
    (EMFILE, "accept: EMFILE"),
    (ENFILE, "accept: ENFILE"),
    (ENOBUFS, "accept: ENOBUFS"),
    (ENOMEM, "accept: ENOMEM"),
];

const CONNECT_ERRORS: [Named; 5] = [
    (ECONNREFUSED, "connect: ECONNREFUSED at once"),
    (EADDRNOTAVAIL, "connect: EADDRNOTAVAIL at once"),
    (ENETUNREACH, "connect: ENETUNREACH at once"),
    (EMFILE, "connect: EMFILE at once"),
    (ENOBUFS, "connect: ENOBUFS at once"),
];

const LATE_ERRORS: [Named; 4] = [
    (ECONNREFUSED, "connect: ECONNREFUSED later"),
    (ETIMEDOUT, "connect: ETIMEDOUT later"),
    (ENETUNREACH, "connect: ENETUNREACH later"),
    (ECONNRESET, "connect: ECONNRESET later"),
];

const WATCH_ERRORS: [Named; 2] = [(ENOSPC, "watch: ENOSPC"), (ENOMEM, "watch: ENOMEM")];

impl Fake {
    pub(crate) fn new(seed: u64, model: Model, endpoints: Vec<Endpoint>, doors: usize) -> Self {
        let servers = endpoints.len();
        let mut core = Core::new(seed, model.faults, servers, doors);
        model.begin(&mut core);
        Self {
            core,
            model,
            endpoints,
            signals: VecDeque::new(),
            orders: VecDeque::new(),
            stale: Vec::new(),
            nudge: None,
            nudged_at: u64::MAX,
            stuck: false,
            killed: None,
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            ms: self.core.now,
            // The wall clock jumps an hour forth and a day back; nothing may depend on it.
            wall_ms: match self.core.waits / 16 % 3 {
                0 => WALL_MS + self.core.now,
                1 => WALL_MS + self.core.now + 3_600_000,
                _ => WALL_MS + self.core.now - 86_400_000,
            },
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
            Event::IdleReset(sock) => {
                if core.socks[sock].received == core.socks[sock].transmitted {
                    self.happen(Event::Reset(sock));
                }
            }
            Event::Reset(sock) => {
                if core.socks[sock].reset || core.socks[sock].owner == Owner::Closed {
                    return;
                }
                core.say(|| format!("#{sock} reset by the far end"));
                model.note_reset(core, sock);
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
                    let share = core.faults.server_reset / 2;
                    if matches!(core.socks[sock].far, Far::Server(_)) && core.rng.permille(share) {
                        let delay = core.rng.pick(&[0, 1, 9]);
                        core.far_reset(sock, delay);
                    }
                }
            }
            Event::Drain(sock) => drain(core, model, sock),
            Event::Unstall(sock) => {
                core.socks[sock].stalled = false;
                core.start_drain(sock);
            }
            Event::Open(client) => {
                let door = model.door_of(client);
                if core.doors[door].closed || core.doors[door].refusing {
                    return model.on_refused(core, client);
                }
                let sock = core.open(Far::Client(client), Owner::Backlog, true);
                if model.clients[client].script.runtime {
                    // Byte by byte the statistics would take longer than all seeds beside.
                    let window = &mut core.socks[sock].window;
                    *window = (*window).max(64);
                }
                core.say(|| format!("#{sock} is client {client} at door {door}"));
                core.doors[door].waiting.push_back(sock);
                core.doors[door].edge = true;
                model.on_open(core, client, sock);
            }
            Event::ClientAct(client) => model.client_acts(core, client),
            Event::Body(client) => model.client_sends_body(core, client),
            Event::Introduce(client) => model.client_introduces(core, client),
            Event::ServerAct(sock) => model.server_acts(core, sock),
            Event::Signal(signal) => {
                core.say(|| format!("signal {signal:?}"));
                let busy = model.is_busy();
                match signal {
                    Signal::SoftStop if busy => core.reach("signal: soft stop in the middle"),
                    Signal::Stop(_) if busy => core.reach("signal: stop in the middle"),
                    Signal::Pause if busy => core.reach("signal: pause in the middle"),
                    Signal::Resume if busy => core.reach("signal: resume in the middle"),
                    Signal::DumpStates => core.reach("signal: states"),
                    _ => {}
                }
                // Some that shall finish are workers whose master tells them so.
                if signal == Signal::SoftStop && core.now % 4 == 3 {
                    core.say(|| "orders: hand over, drain".to_owned());
                    core.reach("order: hand over and drain");
                    self.orders.extend([Order::HandOver, Order::Drain]);
                } else {
                    self.signals.push_back(signal);
                }
            }
            Event::ServerUp(server, up) => core.server_up[server] = up,
            Event::Exit(sock, code) => core.exit_program(sock, code),
            Event::Jump(longer) => {
                core.say(|| format!("asleep for {longer} ms"));
                core.reach("clock: jumps");
                core.now += longer;
                core.slept += longer;
            }
        }
    }

    /// Lets everything that is under way come to its end, once the engine has gone.
    pub(crate) fn settle(&mut self) {
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
        let told = !self.signals.is_empty() || !self.orders.is_empty();
        told || doors || core.socks.iter().any(edge)
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
            core.reach("edge: of a socket that is gone");
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
    pub(crate) fn forget_nudge(&mut self) {
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

    /// Takes up to `most` bytes off a socket, as a receive or a splice does. A short receive tells
    /// that nothing is left; a short splice does not.
    fn take(
        &mut self,
        socket: &Socket,
        most: usize,
        short_tells: bool,
    ) -> Result<VecDeque<u8>, Stop> {
        let Some(sock) = self.used(socket) else {
            return Err(Stop::Failed(EBADF));
        };
        // Runtime connections are read to the last; only the request path counts its calls.
        let exact = match self.core.socks[sock].far {
            Far::Client(index) => !self.model.clients[index].script.runtime,
            Far::Server(_) => true,
            Far::Probe(_) | Far::Agent(_) | Far::Program(_) => false,
        };
        let core = &mut self.core;
        let s = &core.socks[sock];
        // Of a socket that is not watched nothing is ever told: it may be looked at.
        let watched = s.handle.is_some();
        if exact && watched && !s.told && !s.told_end {
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
            core.reach("receive: nothing behind an edge");
            core.untell(sock);
            hold_in(core, sock);
            return Err(Stop::Blocked);
        }
        if core.rng.permille(faults.no_memory) {
            core.reach("receive: ENOMEM");
            core.progress += 1;
            core.say(|| format!("#{sock} recv: no memory"));
            return Err(Stop::Failed(ENOMEM));
        }
        let s = &core.socks[sock];
        let mut n = visible.min(most);
        if n > 1 && core.rng.permille(faults.short_recv) && !s.reset {
            core.reach("receive: a part");
            n = core.rng.between(1, n as u64 - 1) as usize;
            hold_in(core, sock);
        }
        let s = &mut core.socks[sock];
        s.received += n as u64;
        let bytes: VecDeque<u8> = s.inbound.drain(..n).collect();
        if core.mutation == Mutation::RepeatByte && core.rng.permille(30) {
            core.socks[sock].inbound.push_front(bytes[n - 1]);
            core.socks[sock].visible += usize::from(!core.socks[sock].in_held);
        }
        let s = &mut core.socks[sock];
        s.visible = s.visible.saturating_sub(n);
        if short_tells && n < most && !s.told_end {
            core.untell(sock);
        }
        core.progress += 1;
        core.say(|| {
            let start: Vec<u8> = bytes.iter().copied().take(80).collect();
            format!("#{sock} recv {n} of {visible}: {}", shown(&start))
        });
        Ok(bytes)
    }

    /// How many of `total` bytes a socket takes just now.
    fn room(&mut self, socket: &Socket, total: usize) -> Result<usize, Stop> {
        let Some(sock) = self.used(socket) else {
            return Err(Stop::Failed(EBADF));
        };
        let core = &mut self.core;
        let faults = core.faults;
        if total == 0 {
            core.problem(format!("#{sock} send of nothing"));
        }
        let s = &core.socks[sock];
        if s.reset {
            core.progress += 1;
            return Err(Stop::Failed(EPIPE));
        }
        if s.out_fin {
            core.problem(format!("#{sock} send after its shutdown"));
            return Err(Stop::Failed(EPIPE));
        }
        if core.rng.permille(faults.no_memory) {
            core.reach("send: ENOBUFS");
            core.progress += 1;
            core.say(|| format!("#{sock} send: no memory"));
            return Err(Stop::Failed(ENOBUFS));
        }
        let s = &core.socks[sock];
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
        core.socks[sock].blocked |= n < total;
        Ok(n)
    }

    /// Puts bytes on their way to the far end.
    fn put(&mut self, sock: usize, bytes: impl Iterator<Item = u8>) -> Result<usize, Stop> {
        let core = &mut self.core;
        let before = core.socks[sock].outbound.len();
        core.socks[sock].outbound.extend(bytes);
        let n = core.socks[sock].outbound.len() - before;
        core.start_drain(sock);
        if n == 0 {
            return Err(Stop::Blocked);
        }
        core.progress += 1;
        Ok(n)
    }

    fn let_go(&mut self, socket: Socket, by_reset: bool) {
        let Some(sock) = self.used(&socket) else {
            let _ = socket.into_raw();
            return;
        };
        let _ = socket.into_raw();
        let core = &mut self.core;
        // Nobody is told of the end of a program that could not be watched.
        let far = core.socks[sock].far;
        let unseen = matches!(far, Far::Program(_)) && core.socks[sock].handle.is_none();
        core.progress += u64::from(!unseen);
        if core.forget_program(sock) {
            core.socks[sock].owner = Owner::Closed;
            return self.stale.extend(core.socks[sock].handle.take());
        }
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

/// Whose agent answers at an address.
fn agent_at(to: &Endpoint) -> Option<usize> {
    let Endpoint::Inet(address) = to else {
        return None;
    };
    let number = address.port().checked_sub(AGENT_PORT)?;
    (number < 100).then(|| usize::from(number))
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
            model.note_dead(core, sock);
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
        if core.rng.permille(core.faults.slow) && !core.socks[sock].stalled {
            core.socks[sock].stalled = true;
            core.reach("reading: paused");
            let pause = core.rng.between(10, 300);
            core.at(pause, Event::Unstall(sock));
        }
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
    fn idle_percent(&self) -> u8 {
        100
    }

    fn wait(&mut self, until_ms: Option<u64>, ready: &mut Vec<(Handle, Readiness)>) -> Now {
        self.core.waits += 1;
        self.core.look_for_orphans();
        self.stuck = false;
        if until_ms.is_none_or(|until| until > self.core.now) {
            self.core.look_for_held_back();
        }
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
            let (errno, name) = ACCEPT_ERRORS[core.waits as usize % ACCEPT_ERRORS.len()];
            core.reach(name);
            core.say(|| format!("door {listener}: {errno}"));
            return Err(Stop::Failed(errno));
        }
        core.doors[listener as usize].waiting.pop_front();
        core.progress += 1;
        if core.rng.permille(faults.abandoned) {
            core.reach("accept: ECONNABORTED");
            core.socks[sock].owner = Owner::Closed;
            far_sees_reset(core, &mut self.model, sock);
            return Err(Stop::Failed(ECONNABORTED));
        }
        core.say(|| format!("#{sock} accepted"));
        core.sessions += u64::from(listener as usize == TCP_DOOR);
        core.socks[sock].owner = Owner::Engine;
        let source = Address::V4([10, 9, 0, 1].into(), 1024 + (sock % 60_000) as u16);
        Ok((Socket::from_raw(sock as i32), Peer { source }))
    }

    fn connect(&mut self, to: &Endpoint, how: ConnectOptions<'_>) -> Result<Socket, Stop> {
        let agent = agent_at(to);
        let server = self.endpoints.iter().position(|known| known == to);
        let Some(server) = agent.or(server) else {
            self.core
                .problem(format!("connect to {to}, which nobody configured"));
            return Err(Stop::Failed(ECONNREFUSED));
        };
        let core = &mut self.core;
        let faults = core.faults;
        core.progress += 1;
        if core.rng.permille(faults.refuse_at_once) {
            let (errno, name) = CONNECT_ERRORS[core.progress as usize % CONNECT_ERRORS.len()];
            core.reach(name);
            core.say(|| format!("connect to server {server}: {errno} at once"));
            return Err(Stop::Failed(errno));
        }
        let far = match how.check {
            _ if agent.is_some() => Far::Agent(server),
            true => Far::Probe(server),
            false => Far::Server(server),
        };
        if how.source_port > 0 {
            core.reach("source: a port");
            let taken = |s: &Sock| s.owner == Owner::Engine && s.source_port == how.source_port;
            if core.socks.iter().any(taken) {
                core.problem(format!("port {} has two connections", how.source_port));
            }
            if core.rng.permille(100) {
                core.reach("source: a port that others use");
                return Err(Stop::Failed(EADDRNOTAVAIL));
            }
        }
        match core
            .held
            .is_let_in(server)
            .filter(|_| far == Far::Server(server))
        {
            Some(true) => core.reach("held back: let in by its check"),
            Some(false) => core.problem(format!("server {server} was to be checked first")),
            None => {}
        }
        let sock = core.open(far, Owner::Engine, false);
        core.socks[sock].source_port = how.source_port;
        core.say(|| format!("#{sock} connects to server {server}, {far:?}"));
        let delay = core.rng.pick(&[0, 0, 1, 5]);
        if !core.server_up[server] || core.rng.permille(faults.refuse_late) {
            let (errno, name) = LATE_ERRORS[sock % LATE_ERRORS.len()];
            core.reach(name);
            core.at(delay, Event::Connected(sock, errno));
        } else if core.rng.permille(faults.connect_silent) {
            core.reach("connect: no answer");
        } else {
            core.at(delay, Event::Connected(sock, 0));
        }
        Ok(Socket::from_raw(sock as i32))
    }

    fn connect_result(&mut self, socket: &Socket) -> Result<(), Stop> {
        let Some(sock) = self.used(socket) else {
            return Err(Stop::Failed(EBADF));
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
            return Err(Stop::Failed(EBADF));
        };
        let core = &mut self.core;
        if core.rng.permille(core.faults.watch_fails) {
            let (errno, name) = WATCH_ERRORS[sock % WATCH_ERRORS.len()];
            core.reach(name);
            return Err(Stop::Failed(errno));
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
        if into.is_empty() {
            let sock = socket.raw();
            self.core.problem(format!("#{sock} receive into nothing"));
        }
        let bytes = self.take(socket, into.len(), true)?;
        for (to, from) in into.iter_mut().zip(&bytes) {
            *to = *from;
        }
        Ok(bytes.len())
    }

    fn send(
        &mut self,
        socket: &Socket,
        head: &[u8],
        body: &[u8],
        more: bool,
    ) -> Result<usize, Stop> {
        let sock = socket.raw();
        let total = head.len() + body.len();
        let n = self.room(socket, total)?;
        let core = &mut self.core;
        core.say(|| {
            format!(
                "#{sock} send {n} of {total}: {} {}",
                shown(head),
                shown(body)
            )
        });
        core.socks[sock as usize].more_follows = more && n == total;
        if more {
            core.reach("send: more follows");
        }
        if n < total {
            core.reach(if n > 0 {
                "send: a part"
            } else {
                "send: no room"
            });
        }
        self.put(sock as usize, head.iter().chain(body).take(n).copied())
    }

    fn lend_tube(&mut self) -> Option<Tube> {
        self.core.lend_tube().map(Tube)
    }

    fn return_tube(&mut self, tube: Tube, held: usize) {
        self.core.return_tube(tube.0, held);
    }

    fn fill_tube(&mut self, from: &Socket, tube: &Tube, bytes_max: usize) -> Result<usize, Stop> {
        if !self.core.may_fill(tube.0, from.raw() as usize) {
            return Err(Stop::Failed(EINVAL));
        }
        // A pipe may be shorter than what is asked for.
        let most = bytes_max.min(self.core.rng.pick(&[4_096, 65_536, 1 << 20]));
        let bytes = self.take(from, most, false).inspect_err(|stop| {
            if *stop == Stop::Blocked {
                self.core.reach("tube: nothing to fill it");
            }
        })?;
        let n = bytes.len();
        if n < bytes_max {
            self.core.reach("tube: filled in part");
        }
        self.core.fill(tube.0, bytes);
        Ok(n)
    }

    fn empty_tube(&mut self, tube: &Tube, to: &Socket, held: usize) -> Result<usize, Stop> {
        let sock = to.raw();
        if !self.core.may_empty(tube.0, sock as usize, held) {
            return Err(Stop::Failed(EINVAL));
        }
        let room = self.room(to, held);
        let core = &mut self.core;
        let n = match room {
            Ok(n) => n,
            Err(stop) => {
                core.reach("tube: reset while it held bytes");
                return Err(stop);
            }
        };
        core.say(|| format!("#{sock} gets {n} of {held} from tube {}", tube.0));
        if n < held {
            core.reach(match n {
                0 => "tube: no room to empty it",
                _ => "tube: emptied in part",
            });
        }
        let bytes = core.empty(tube.0, n);
        self.put(sock as usize, bytes.into_iter())
    }

    fn tubes(&self) -> (u32, u32) {
        (self.core.tubes.count() as u32, 0)
    }

    fn shutdown_write(&mut self, socket: &Socket) {
        let Some(sock) = self.used(socket) else {
            return;
        };
        self.core.say(|| format!("#{sock} shutdown"));
        self.core.socks[sock].out_fin = true;
        self.core.socks[sock].more_follows = false;
        self.core.start_drain(sock);
    }

    fn close(&mut self, socket: Socket) {
        self.let_go(socket, false);
    }

    fn abort(&mut self, socket: Socket) {
        self.let_go(socket, true);
    }

    fn run(&mut self, what: &Invocation<'_>) -> Result<Process, Stop> {
        let sock = self.core.run_program(what, &self.endpoints)?;
        Ok(Process {
            socket: Socket::from_raw(sock as i32),
            pid: sock as u32,
        })
    }

    fn outcome(&mut self, process: &Process) -> Result<u32, Stop> {
        let sock = self.used(&process.socket).ok_or(Stop::Failed(EBADF))?;
        self.core.program_outcome(sock)
    }

    fn end(&mut self, process: &Process, now: bool) {
        if let Some(sock) = self.used(&process.socket) {
            self.core.end_program(sock, now);
        }
    }

    fn listener(&mut self, listener: u32, to: ListenerState) {
        let core = &mut self.core;
        core.say(|| format!("door {listener}: {to:?}"));
        let door = &mut core.doors[listener as usize];
        if door.closed {
            return;
        }
        match to {
            ListenerState::Resumed => {
                door.paused = false;
                door.refusing = false;
                door.edge = true;
            }
            ListenerState::Paused => door.paused = true,
            ListenerState::Refusing | ListenerState::Closed => {
                door.closed = to == ListenerState::Closed;
                door.refusing = true;
                door.paused = true;
                for sock in std::mem::take(&mut door.waiting) {
                    core.socks[sock].owner = Owner::Closed;
                    if let Far::Client(client) = core.socks[sock].far {
                        self.model.clients[client].turned_away = true;
                    }
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
            core.reach("log: full");
            return Err(Stop::Blocked);
        }
        if core.rng.permille(core.faults.log_fails) {
            core.reach("log: refused");
            return Err(Stop::Failed(ECONNREFUSED));
        }
        let most = (batch.ends.len() - from) as u64;
        Ok(core.rng.between(1, most.max(1)) as usize)
    }

    fn signal(&mut self) -> Option<Signal> {
        let signal = self.signals.pop_front();
        if let Some(Signal::Stop(number)) = signal {
            self.killed = Some(number);
        }
        signal
    }

    fn order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    fn hand_over(&mut self, document: &[u8]) {
        if document.is_empty() {
            let nothing = "an empty document is handed over".to_owned();
            self.core.problems.push(nothing);
        }
    }

    fn hand_over_rest(&mut self, document: &[u8], _: bool) {
        self.hand_over(document);
        self.core.reach("order: the rest is told");
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
