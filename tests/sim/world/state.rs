//! The simulated system's state: sockets, what is scheduled, and who has been told what.
//!
//! What the engine calls is in `net`; this is what both that and the scripted ends work on. Time is a
//! number here, and whatever happens later stands in one ordered list, so that a seed decides all.

use std::collections::{BTreeMap, VecDeque};

use oneloop::base::arena::Handle;
use oneloop::net::{Readiness, Signal};

use super::held::Held;
use super::programs::Programs;
use super::reached::Reached;
use super::rng::Rng;
use super::tubes::Tubes;

pub(crate) const START_MS: u64 = 1_000_000;
pub(crate) const WALL_MS: u64 = 1_700_000_000_000;
pub(crate) const ECONNRESET: i32 = 104;
pub(crate) const EPIPE: i32 = 32;
pub(crate) const ECONNREFUSED: i32 = 111;
pub(crate) const ENFILE: i32 = 23;
pub(crate) const EMFILE: i32 = 24;
pub(crate) const EADDRNOTAVAIL: i32 = 99;
pub(crate) const ENETUNREACH: i32 = 101;
pub(crate) const ETIMEDOUT: i32 = 110;
pub(crate) const ECONNABORTED: i32 = 103;
pub(crate) const ENOSPC: i32 = 28;
pub(crate) const EBADF: i32 = 9;
pub(crate) const EINVAL: i32 = 22;
pub(crate) const ENOMEM: i32 = 12;
pub(crate) const ENOBUFS: i32 = 105;

/// Who is at the other end of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Far {
    Client(usize),
    Server(usize),
    Probe(usize),
    Program(usize),
    /// The agent of a server.
    Agent(usize),
}

/// Whose a socket is just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Backlog,
    Engine,
    Closed,
}

/// One connection, seen from the engine's side.
pub(crate) struct Sock {
    pub(crate) far: Far,
    pub(crate) owner: Owner,
    pub(crate) handle: Option<Handle>,
    pub(crate) connected: bool,
    pub(crate) connect_error: i32,
    /// The port on the engine's side that it asked for; 0 for none.
    pub(crate) source_port: u16,
    /// Sent by the far end, not yet received by the engine.
    pub(crate) inbound: VecDeque<u8>,
    /// How much of it can be received already.
    pub(crate) visible: usize,
    pub(crate) in_held: bool,
    pub(crate) fin: bool,
    pub(crate) reset: bool,
    /// Sent by the engine, not yet taken by the far end.
    pub(crate) outbound: VecDeque<u8>,
    pub(crate) window: usize,
    pub(crate) out_held: bool,
    pub(crate) blocked: bool,
    pub(crate) out_fin: bool,
    /// The engine has said that what it sent last need not leave before what follows.
    pub(crate) more_follows: bool,
    pub(crate) draining: bool,
    /// The far end reads no more for now.
    pub(crate) stalled: bool,
    /// It has closed; what the engine sends is answered by a reset.
    pub(crate) far_closed: bool,
    pub(crate) changed: u8,
    /// The engine has been told that it may receive, and has not been told otherwise since.
    pub(crate) told: bool,
    pub(crate) told_end: bool,
    /// The wait that told it last: its edge may be acted on after a receive.
    pub(crate) told_in: u64,
    last_at: u64,
    /// When the last bytes of the far end arrive.
    pub(crate) data_at: u64,
    /// Bytes that the far end has sent, and those that the engine has received.
    pub(crate) transmitted: u64,
    pub(crate) received: u64,
}

/// What happens at some moment.
pub(crate) enum Event {
    Arrive(usize, Vec<u8>),
    Fin(usize),
    Reset(usize),
    /// The same, if everything that was sent has been received.
    IdleReset(usize),
    Release(usize),
    Room(usize),
    Connected(usize, i32),
    Drain(usize),
    Unstall(usize),
    Open(usize),
    ClientAct(usize),
    ServerAct(usize),
    Signal(Signal),
    ServerUp(usize, bool),
    /// The client has waited long enough for a 100.
    Body(usize),
    /// The rest of a client's header comes.
    Introduce(usize),
    /// The machine was suspended for so long, ms.
    Jump(u64),
    /// A program ends, with this code.
    Exit(usize, u32),
}

/// Which unkindnesses this run knows. All shares are per mille.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Faults {
    pub(crate) short_recv: u64,
    pub(crate) short_send: u64,
    pub(crate) false_ready: u64,
    pub(crate) only_changed: u64,
    pub(crate) stale: u64,
    pub(crate) emfile: u64,
    pub(crate) abandoned: u64,
    pub(crate) watch_fails: u64,
    pub(crate) refuse_at_once: u64,
    pub(crate) refuse_late: u64,
    pub(crate) connect_silent: u64,
    pub(crate) log_full: u64,
    pub(crate) log_fails: u64,
    pub(crate) server_reset: u64,
    pub(crate) client_reset: u64,
    /// A reader pauses, for less than any timeout.
    pub(crate) slow: u64,
    pub(crate) small_windows: bool,
    /// The system has no memory for a send or a receive.
    pub(crate) no_memory: u64,
    /// No tube is to be had.
    pub(crate) no_tube: u64,
    /// So many tubes at most.
    pub(crate) tubes_max: u64,
}

/// A planted fault of the fake itself, to prove that the sweep would notice one of the engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mutation {
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
pub(crate) struct Door {
    pub(crate) closed: bool,
    /// Whoever comes is refused, until it is opened again.
    pub(crate) refusing: bool,
    pub(crate) paused: bool,
    pub(crate) waiting: VecDeque<usize>,
    pub(crate) edge: bool,
}

/// What is common to the fake and to the model behind it.
pub(crate) struct Core {
    pub(crate) now: u64,
    pub(crate) rng: Rng,
    pub(crate) faults: Faults,
    pub(crate) mutation: Mutation,
    pub(crate) socks: Vec<Sock>,
    pub(crate) events: BTreeMap<(u64, u64), Event>,
    sequence: u64,
    pub(crate) problems: Vec<String>,
    pub(crate) trace: bool,
    pub(crate) wasted: u64,
    pub(crate) waits: u64,
    pub(crate) progress: u64,
    pub(crate) doors: Vec<Door>,
    pub(crate) server_up: Vec<bool>,
    pub(crate) logs: Vec<Vec<u8>>,
    pub(crate) tubes: Tubes,
    pub(crate) programs: Programs,
    pub(crate) held: Held,
    /// What this run has come across.
    pub(crate) reached: Reached,
    /// How long the machine has slept in all, ms.
    pub(crate) slept: u64,
    /// TCP sessions that the engine took, and will log.
    pub(crate) sessions: u64,
}

impl Core {
    pub(crate) fn new(seed: u64, faults: Faults, servers: usize, doors: usize) -> Self {
        Self {
            now: START_MS,
            rng: Rng::new(seed ^ 0xA5A5),
            faults,
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
            tubes: Tubes::default(),
            programs: Programs::default(),
            held: Held::default(),
            reached: Reached::default(),
            slept: 0,
            sessions: 0,
        }
    }

    pub(crate) fn reach(&mut self, what: &'static str) {
        self.reached.add(what);
    }

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>8} {}", self.now - START_MS, what());
        }
    }

    pub(crate) fn problem(&mut self, what: String) {
        self.say(|| format!("PROBLEM {what}"));
        self.problems.push(what);
    }

    pub(crate) fn at(&mut self, delay: u64, event: Event) {
        let key = (self.now + delay, self.sequence);
        self.sequence += 1;
        self.events.insert(key, event);
    }

    /// Schedules what comes over a socket, never before what was sent earlier.
    pub(crate) fn in_order(&mut self, sock: usize, delay: u64, event: Event) {
        let at = (self.now + delay).max(self.socks[sock].last_at);
        self.socks[sock].last_at = at;
        if matches!(event, Event::Arrive(..)) {
            self.socks[sock].data_at = at;
        }
        self.at(at - self.now, event);
    }

    /// The far end sends bytes, cut at seeded places.
    pub(crate) fn transmit(&mut self, sock: usize, bytes: &[u8]) {
        self.socks[sock].transmitted += bytes.len() as u64;
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
            let delay = self.rng.pick(&[0, 1, 1, 4]);
            let at_once = self.rng.permille(300);
            self.far_reset(sock, delay);
            if at_once {
                // Before what was just sent has come whole.
                self.at(0, Event::Reset(sock));
            }
        }
    }

    /// The far end ends its side; `whole` says that it also stops reading.
    pub(crate) fn far_fin(&mut self, sock: usize, delay: u64, whole: bool) {
        self.in_order(sock, delay, Event::Fin(sock));
        if whole {
            self.socks[sock].far_closed = true;
        }
    }

    pub(crate) fn far_reset(&mut self, sock: usize, delay: u64) {
        self.in_order(sock, delay, Event::Reset(sock));
    }

    pub(crate) fn open(&mut self, far: Far, owner: Owner, connected: bool) -> usize {
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
            source_port: 0,
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
            more_follows: false,
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
            transmitted: 0,
            received: 0,
        });
        self.socks.len() - 1
    }

    /// Sockets that the engine has not closed.
    pub(crate) fn open_sockets(&self, of: impl Fn(Far) -> bool) -> usize {
        let mine = |s: &&Sock| s.owner == Owner::Engine && of(s.far);
        self.socks.iter().filter(mine).count()
    }

    pub(crate) fn change(&mut self, sock: usize, bits: Readiness) {
        self.socks[sock].changed |= bits.0;
    }

    /// The state that an edge would tell now.
    pub(crate) fn level(&self, sock: usize) -> u8 {
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
    pub(crate) fn untell(&mut self, sock: usize) {
        let s = &mut self.socks[sock];
        s.told = s.told_in == self.waits;
    }

    /// A door that listens and has somebody waiting.
    pub(crate) fn door_ready(&self, index: usize) -> bool {
        let door = &self.doors[index];
        !door.closed && !door.paused && !door.waiting.is_empty()
    }

    pub(crate) fn start_drain(&mut self, sock: usize) {
        let s = &self.socks[sock];
        if s.draining || s.stalled || (s.outbound.is_empty() && !s.out_fin) {
            return;
        }
        self.socks[sock].draining = true;
        let delay = self.rng.pick(&[0, 0, 1, 2]);
        self.at(delay, Event::Drain(sock));
    }

    /// The engine sleeps: what it said would be followed at once has been.
    pub(crate) fn look_for_held_back(&mut self) {
        let held = |sock: &Sock| sock.more_follows && sock.owner != Owner::Closed;
        if let Some(sock) = self.socks.iter().position(held) {
            self.problem(format!(
                "#{sock} is held back for more, and nothing follows"
            ));
        }
    }
}
