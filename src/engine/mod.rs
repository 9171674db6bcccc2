//! The loop: owns every record and socket, and drives each session through its life.
//!
//! One turn is: wait, act on edges, act on timers, end of turn (run list, freed slots, log lines).
//! Every event of a session, whichever side it came from, ends in `drive(client)`; see
//! [`session`]. Client and upstream records lie in different arenas, so that a step holds both at
//! once and the borrow checker proves that it may.
//!
//! Invariants, checked by [`Engine::check_invariants`] in every simulated turn:
//! a client in use by an upstream uses that upstream; buffers lent are buffers held; slots taken on
//! servers are sessions that hold one; every record that waits has a timer no later than its
//! deadline; a session that could go on is on the run list.

pub mod accept;
pub mod answer;
pub mod applet;
pub mod balance;
pub mod ceiling;
pub mod change;
pub mod checks;
pub mod cli;
pub mod context;
pub mod deadline;
mod document;
pub mod errors;
pub mod exchange;
mod gather;
pub mod handover;
pub mod health;
pub mod idle;
mod inspect;
pub mod introduction;
mod invariants;
pub mod journal;
mod knowledge;
mod listeners;
pub mod orders;
pub mod persist;
mod ports;
pub mod probing;
mod programs;
mod queue;
pub mod relay;
pub mod request;
pub mod retry;
pub mod roster;
pub mod service;
pub mod session;
pub mod stats;
pub mod upstream;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::balance::persist::Directory;
use crate::balance::pick::Group;
use crate::balance::queue::{Queue, Waiters};
use crate::balance::server::Server;
use crate::base::arena::{Arena, Handle, Key};
use crate::base::buffer::Pool;
use crate::base::clock::Now;
use crate::base::wheel::{TimerId, Wheel};
use crate::check::conversation::Desk;
use crate::config::model::{Config, DynamicCookies, Global, ProxyId, ServerId};
use crate::engine::accept::{Client, ListenerRecord};
use crate::engine::balance::Warming;
use crate::engine::checks::{Probe, ProbeId};
use crate::engine::cli::Cli;
use crate::engine::context::Bench;
use crate::engine::journal::Journal;
use crate::engine::programs::Leaving;
use crate::engine::roster::Roster;
use crate::engine::service::{Limits, Service, View};
use crate::engine::session::Sessions;
use crate::engine::stats::{Counters, ProcessStats, ProxyStats};
use crate::engine::upstream::Upstream;
use crate::http::reply::Builtins;
use crate::log::syslog::Level;
use crate::log::termination::{Cause, Stage, Termination};
use crate::net::{ListenerState, Net, Readiness, Signal};
use crate::rules::lists::Lists;
use crate::rules::variables::Variables;

/// Steps of one session before others have their turn.
pub const STEPS_PER_TURN_MAX: usize = 16;

/// Edges that one wait tells, if there are so many.
const EDGES_A_WAIT: usize = 512;

/// How long sessions that were killed may take to leave, ms.
const RESISTANCE_MS: u64 = 1_000;

/// What an opaque handle means. The kind is the high four bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A listener, by position: the configuration's, then the stats sockets.
    Listener(u32),
    /// A client connection.
    Client(Key<Client>),
    /// A server connection.
    Upstream(Key<Upstream>),
    /// The socket of a running probe of a server; the generation tells attempts apart.
    Probe(ProbeId, u32),
    /// The timer of a server's checks.
    ProbeTimer(ProbeId),
    /// A runtime connection.
    Cli(Key<Cli>),
    /// The timer of a server's idle connections.
    Purge(ServerId),
    /// The next step of a server's warming.
    Warming(ServerId),
    /// The timer of `hard-stop-after`.
    HardStop,
    /// The timer that lets a listener accept again after the system refused.
    AcceptAgain,
    /// The timer of a worker that leaves: what it counted since is told.
    TellRest,
}

impl Subject {
    /// Packs it.
    #[must_use]
    pub fn handle(self) -> Handle {
        match self {
            Self::Listener(index) => Handle::new(1, 0, index),
            Self::Client(key) => key.handle(2),
            Self::Upstream(key) => key.handle(3),
            Self::Probe(id, attempt) => {
                let kind = if id.agent { 9 } else { 4 };
                Handle::new(kind, attempt, id.server.0)
            }
            Self::ProbeTimer(id) => {
                let kind = if id.agent { 10 } else { 5 };
                Handle::new(kind, 0, id.server.0)
            }
            Self::Cli(key) => key.handle(6),
            Self::HardStop => Handle::new(7, 0, 0),
            Self::AcceptAgain => Handle::new(7, 0, 1),
            Self::TellRest => Handle::new(7, 0, 2),
            Self::Purge(server) => Handle::new(8, 0, server.0),
            Self::Warming(server) => Handle::new(11, 0, server.0),
        }
    }

    /// Unpacks what [`Subject::handle`] packed.
    #[must_use]
    pub fn of(handle: Handle) -> Option<Self> {
        Some(match handle.kind() {
            1 => Self::Listener(handle.index()),
            2 => Self::Client(Key::from_handle(handle)),
            3 => Self::Upstream(Key::from_handle(handle)),
            kind @ (4 | 9) => {
                let id = ProbeId::of(ServerId(handle.index()), kind == 9);
                Self::Probe(id, handle.generation())
            }
            kind @ (5 | 10) => Self::ProbeTimer(ProbeId::of(ServerId(handle.index()), kind == 10)),
            6 => Self::Cli(Key::from_handle(handle)),
            7 => match handle.index() {
                0 => Self::HardStop,
                1 => Self::AcceptAgain,
                2 => Self::TellRest,
                _ => return None,
            },
            8 => Self::Purge(ServerId(handle.index())),
            11 => Self::Warming(ServerId(handle.index())),
            _ => return None,
        })
    }
}

/// Borrows the [`View`] of the engine's fields, so that others stay free.
macro_rules! view {
    ($engine:ident) => {
        $crate::engine::service::View {
            config: $engine.config,
            roster: &$engine.roster,
            servers: &$engine.servers,
            probes: &$engine.probes,
            agents: &$engine.agents,
            server_stats: &$engine.server_stats,
            idle_lists: &$engine.idle,
            errors: &$engine.errors,
            proxies: &$engine.proxies,
            proxy_stats: &$engine.proxy_stats,
            listener_connections: &$engine.listener_connections,
            listener_stats: &$engine.listener_stats,
            clients: &$engine.clients,
            sessions: &$engine.sessions,
            upstreams: &$engine.upstreams,
            clis: &$engine.clis,
            rate_limits: &$engine.rate_limits,
            variables: &$engine.variables,
            lists: &$engine.lists,
            pool: (
                $engine.pool.buffer_size(),
                $engine.pool.lent(),
                $engine.pool.free(),
            ),
            tubes: $crate::net::Net::tubes(&$engine.net),
            process: &$engine.process,
            limits: &$engine.limits,
            now: $engine.now,
            idle_percent: $crate::net::Net::idle_percent(&$engine.net),
            run_queue: $engine.run_list.len() as u32,
            stopping: $engine.stopping,
        }
    };
}
pub(crate) use view;

/// How the process shall end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything was finished after a soft stop.
    Done,
    /// By this signal, at once.
    Signal(i32),
    /// The master is gone, and nobody would end this process.
    Orphaned,
}

/// The run-time half of a proxy.
#[derive(Debug)]
pub struct ProxyRecord {
    /// Its servers' order of service.
    pub group: Group,
    /// Sessions that wait for a slot on any server.
    pub queue: Queue,
    /// `fullconn` worked out.
    pub full_conn: u32,
    /// `maxconn` worked out.
    pub maxconn: u32,
    /// Requests logged so far (`%lc`).
    pub log_count: u64,
    /// Its servers by their cookies.
    pub cookies: Directory,
    /// Its servers by their names, where a rule makes such a name.
    pub names: Directory,
    /// How servers without a cookie of their own get one.
    pub dynamic: DynamicCookies,
}

/// The engine. `N` is the door to the system, `S` the runtime socket's commands.
pub struct Engine<'c, N: Net, S: Service> {
    pub(crate) config: &'c Config,
    pub(crate) net: N,
    pub(crate) service: S,
    pub(crate) limits: Limits,
    pub(crate) now: Now,
    pub(crate) clients: Arena<Client>,
    pub(crate) sessions: Sessions,
    pub(crate) introductions: introduction::Introductions,
    pub(crate) upstreams: Arena<Upstream>,
    pub(crate) clis: Arena<Cli>,
    /// Answers of services under way.
    pub(crate) servings: Arena<applet::Serving<S::Page>>,
    pub(crate) listeners: Vec<ListenerRecord>,
    pub(crate) listener_connections: Vec<u32>,
    /// `option socket-stats`.
    pub(crate) listener_stats: listeners::ListenerStats,
    /// A listener has a `nice` of its own.
    is_nice: bool,
    pub(crate) proxies: Vec<ProxyRecord>,
    pub(crate) proxy_stats: Vec<ProxyStats>,
    /// What the servers are.
    pub(crate) roster: Roster,
    pub(crate) servers: Vec<Server>,
    pub(crate) server_stats: Vec<Counters>,
    pub(crate) idle: Vec<idle::IdleList>,
    pub(crate) source_ports: ports::SourcePorts,
    /// Messages that could not be read.
    pub(crate) errors: errors::Errors,
    /// The constant answers; shared, so that one may be sent while the engine changes.
    pub(crate) builtins: Arc<Builtins>,
    /// The checks of the servers.
    pub(crate) probes: Vec<Option<Probe>>,
    /// By server id; none where a server has no `slowstart`.
    pub(crate) warmings: Vec<Option<Warming>>,
    /// The questions to their agents.
    pub(crate) agents: Vec<Option<Probe>>,
    /// Programs of checks that are to end.
    pub(crate) leaving: Vec<Leaving>,
    /// Sessions that end with this turn, because their server went or another one came.
    pub(crate) unwanted: Vec<health::Unwanted>,
    /// Storage of checks that no check uses just now.
    pub(crate) desks: Vec<Desk>,
    pub(crate) process: ProcessStats,
    pub(crate) rate_limits: accept::RateLimits,
    /// Variables of the process, which checks set.
    pub(crate) variables: Variables,
    /// Lists of patterns and maps, changed or not.
    pub(crate) lists: Lists,
    pub(crate) journal: Journal,
    pub(crate) bench: Bench,
    pub(crate) pool: Pool,
    pub(crate) wheel: Wheel,
    pub(crate) run_list: Vec<Subject>,
    running: Vec<Subject>,
    ready: Vec<(Handle, Readiness)>,
    fired: Vec<Handle>,
    pub(crate) waiters: Waiters,
    /// Who waits for which server.
    pub(crate) queues: Vec<Queue>,
    pub(crate) freed: VecDeque<queue::Freed>,
    pub(crate) accept_paused: bool,
    hard_stop_timer: TimerId,
    /// `hard-stop-after` is over.
    is_hard_stopped: bool,
    pub(crate) accept_timer: TimerId,
    rest_timer: TimerId,
    pub(crate) stopping: bool,
    /// It stops in favour of a successor: clients are told, and none is cut.
    pub(crate) draining: bool,
    /// What the successor has been told.
    pub(crate) handed: Option<Box<handover::Told>>,
    /// The turn at whose end a soft stop lets idle clients go.
    idle_leave_turn: Option<u64>,
    trimmed_ms: u64,
    exit: Option<Exit>,
}

/// The size of a buffer: what is received at most, room for what rules add, and a reserve.
fn buffer_size(global: &Global) -> usize {
    (global.buffer_size + global.max_rewrite.max(1024)) as usize + 64
}

impl<'c, N: Net, S: Service> Engine<'c, N, S> {
    /// An engine for a configuration whose listeners and log targets `net` already holds. `now` is
    /// the time of the start.
    pub fn new(config: &'c Config, net: N, service: S, limits: Limits, now: Now) -> Self {
        let mut wheel = Wheel::new(now.ms);
        let hard_stop_timer = wheel.add(Subject::HardStop.handle());
        let accept_timer = wheel.add(Subject::AcceptAgain.handle());
        let rest_timer = wheel.add(Subject::TellRest.handle());
        let maxconn = limits.maxconn as usize;
        let buffer = buffer_size(&config.global);
        let buffers_max = maxconn
            .saturating_mul(ceiling::BUFFERS_PER_CONNECTION)
            .saturating_add(ceiling::BUFFERS_BESIDE);
        let (probes, agents) = checks::probes(config, &mut wheel, now.ms);
        let servers: Vec<Server> = config
            .servers
            .iter()
            .map(|s| upstream::record(s, now))
            .collect();
        let proxies = config
            .proxies
            .iter()
            .map(|proxy| upstream::proxy_record(config, proxy, &servers, &limits, now))
            .collect();
        Self {
            config,
            net,
            service,
            now,
            clients: Arena::new(maxconn),
            sessions: Sessions::default(),
            introductions: introduction::Introductions::default(),
            upstreams: Arena::new(maxconn.saturating_mul(2)),
            clis: Arena::new(config.global.stats_maxconn as usize),
            servings: Arena::new(maxconn),
            listeners: accept::records(config, &limits),
            listener_connections: vec![0; config.listeners.len()],
            listener_stats: listeners::ListenerStats::new(config),
            is_nice: listeners::any_is_nice(config),
            proxies,
            proxy_stats: config
                .proxies
                .iter()
                .map(|proxy| upstream::proxy_stats(config, proxy, &servers, now))
                .collect(),
            server_stats: vec![Counters::default(); servers.len()],
            idle: idle::lists(config, &mut wheel),
            source_ports: ports::SourcePorts::new(&config.servers),
            errors: errors::Errors::new(config.proxies.len()),
            builtins: Arc::new(Builtins::new()),
            probes,
            agents,
            leaving: Vec::new(),
            unwanted: Vec::new(),
            warmings: balance::warmings(config, &mut wheel),
            desks: Vec::new(),
            roster: Roster::new(config),
            servers,
            process: ProcessStats::default(),
            rate_limits: accept::RateLimits::default(),
            variables: Variables::default(),
            lists: Lists::new(config.lists.clone()),
            journal: Journal::new(config, &limits),
            bench: Bench::new(config),
            pool: Pool::new(buffer, buffers_max),
            wheel,
            run_list: Vec::new(),
            running: Vec::new(),
            ready: Vec::with_capacity(512),
            fired: Vec::new(),
            waiters: Waiters::new(maxconn),
            queues: config.servers.iter().map(|_| Queue::new()).collect(),
            freed: VecDeque::new(),
            accept_paused: false,
            hard_stop_timer,
            is_hard_stopped: false,
            accept_timer,
            rest_timer,
            stopping: false,
            draining: false,
            handed: None,
            idle_leave_turn: None,
            trimmed_ms: now.ms,
            exit: None,
            limits,
        }
    }

    /// Fills each buffer with this byte before it is used (`-dM`).
    pub fn fill_buffers(&mut self, byte: u8) {
        self.pool.fill_with(byte);
    }

    /// One turn of the loop; `None` while the process lives.
    pub fn turn(&mut self) -> Option<Exit> {
        let idle = self.run_list.is_empty() && self.freed.is_empty();
        let rests = idle && self.unwanted.is_empty();
        let until = if rests && self.idle_leave_turn.is_none() {
            self.wheel.next()
        } else {
            Some(0)
        };
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        self.now = self.net.wait(until, &mut ready);
        self.process.turns += 1;
        self.lists.refresh(&self.config.acls, &self.config.groups);
        while let Some(signal) = self.net.signal() {
            self.on_signal(signal);
        }
        while let Some(order) = self.net.order() {
            self.on_order(order);
        }
        if self.is_nice {
            ready.sort_unstable_by_key(|(handle, _)| self.niceness(*handle));
        }
        for (handle, readiness) in &ready {
            self.on_ready(*handle, *readiness);
        }
        self.ready = ready;
        self.wheel.advance(self.now.ms, &mut self.fired);
        if !self.fired.is_empty() {
            let mut fired = std::mem::take(&mut self.fired);
            for handle in fired.drain(..) {
                self.on_timer(handle);
            }
            self.fired = fired;
        }
        self.end_of_turn();
        if self.exit.is_none() && self.stopping && self.clients.is_empty() {
            self.exit = Some(Exit::Done);
        }
        if self.exit == Some(Exit::Done) {
            self.close_all();
        }
        self.exit
    }

    /// The time of this turn.
    pub fn now(&self) -> Now {
        self.now
    }

    /// What the runtime socket may read.
    pub fn view(&self) -> View<'_> {
        view!(self)
    }

    fn on_ready(&mut self, handle: Handle, readiness: Readiness) {
        match Subject::of(handle) {
            Some(Subject::Client(key)) => {
                if let Some(client) = self.clients.get_mut(key) {
                    client.ready.add(readiness);
                    self.drive(key);
                }
            }
            Some(Subject::Upstream(key)) => self.on_upstream_ready(key, readiness),
            Some(listener @ Subject::Listener(_)) => {
                // One batch a turn: after a full one the next is listed already.
                if !self.run_list.contains(&listener) {
                    self.run_list.push(listener);
                }
            }
            Some(Subject::Probe(server, attempt)) => {
                self.on_probe_ready(server, attempt, readiness);
            }
            Some(Subject::Cli(key)) => self.on_cli_ready(key, readiness),
            Some(Subject::ProbeTimer(_))
            | Some(Subject::Purge(_))
            | Some(Subject::Warming(_))
            | Some(Subject::HardStop)
            | Some(Subject::AcceptAgain)
            | Some(Subject::TellRest)
            | None => {}
        }
    }

    fn on_timer(&mut self, handle: Handle) {
        match Subject::of(handle) {
            Some(Subject::Client(key)) => self.on_client_timer(key),
            Some(Subject::ProbeTimer(server)) => self.on_probe_timer(server),
            Some(Subject::Cli(key)) => self.on_cli_timer(key),
            Some(Subject::Purge(server)) => self.purge_idle(server),
            Some(Subject::Warming(server)) => self.on_warming_timer(server),
            Some(Subject::HardStop) => self.hard_stop(),
            Some(Subject::AcceptAgain) => self.resume_accepting(),
            Some(Subject::TellRest) => self.tell_rest(),
            Some(Subject::Upstream(_))
            | Some(Subject::Listener(_))
            | Some(Subject::Probe(..))
            | None => {}
        }
    }

    /// What is done once a turn, after all events: sessions that had more to do, queued sessions
    /// for which a slot came free, log lines in one go.
    fn end_of_turn(&mut self) {
        if !self.run_list.is_empty() {
            self.run_listed();
        }
        if !self.unwanted.is_empty() {
            self.let_unwanted_go();
        }
        self.serve_queues();
        self.let_idle_go();
        self.journal.flush(&mut self.net, &mut self.process);
        if self.now.ms.saturating_sub(self.trimmed_ms) >= 1_000 {
            self.trimmed_ms = self.now.ms;
            self.pool.trim();
        }
    }

    /// Sessions and listeners that had more to do go on.
    fn run_listed(&mut self) {
        std::mem::swap(&mut self.run_list, &mut self.running);
        let mut running = std::mem::take(&mut self.running);
        if self.is_nice {
            running.sort_unstable_by_key(|subject| self.niceness(subject.handle()));
        }
        for subject in running.drain(..) {
            match subject {
                Subject::Client(key) => {
                    if let Some(client) = self.clients.get_mut(key) {
                        client.on_run_list = false;
                        self.drive(key);
                    }
                }
                Subject::Listener(index) => self.accept(index),
                Subject::Cli(key) => self.on_cli_ready(key, Readiness::default()),
                _ => {}
            }
        }
        self.running = running;
    }

    /// Puts a session on the run list, once.
    pub(crate) fn run_again(&mut self, key: Key<Client>) {
        if let Some(client) = self.clients.get_mut(key)
            && !client.on_run_list
        {
            client.on_run_list = true;
            self.run_list.push(Subject::Client(key));
        }
    }

    fn on_signal(&mut self, signal: Signal) {
        match signal {
            Signal::SoftStop => self.soft_stop(),
            Signal::Stop(number) => self.exit = Some(Exit::Signal(number)),
            Signal::DumpStates => self.dump_states(),
            Signal::Pause => self.for_each_frontend(Self::pause_frontend),
            Signal::Resume => self.for_each_frontend(Self::resume_frontend),
            Signal::DumpPools => {
                ::log::warn!(
                    "Buffers: {} lent, {} free, {} bytes each; clients: {}; server connections: {}",
                    self.pool.lent(),
                    self.pool.free(),
                    self.pool.buffer_size(),
                    self.clients.len(),
                    self.upstreams.len(),
                );
            }
        }
    }

    fn for_each_frontend(&mut self, act: impl Fn(&mut Self, ProxyId)) {
        for proxy in &self.config.proxies {
            if proxy.is_frontend && !proxy.disabled {
                act(self, proxy.id);
            }
        }
    }

    /// `SIGUSR1`: listeners close, idle clients are let go, what runs is finished.
    fn soft_stop(&mut self) {
        if self.stopping && !self.draining {
            return;
        }
        if !self.stopping {
            // Who the kernel has let in already is served: its queue is reset with the listener.
            for index in 0..self.listeners.len() as u32 {
                self.accept(index);
                while self
                    .run_list
                    .pop_if(|next| *next == Subject::Listener(index))
                    .is_some()
                {
                    self.accept(index);
                }
            }
            self.begin_stop();
        }
        self.draining = false;
        // By then every edge that is due has been told.
        let sockets = self.clients.len() + self.upstreams.len();
        let waits = 1 + sockets / EDGES_A_WAIT;
        self.idle_leave_turn = Some(self.process.turns + waits as u64);
        for index in 0..self.servers.len() {
            self.close_idle_of(ServerId(index as u32));
        }
    }

    /// The soft stop of a process that has a successor: it takes no more connections, which is
    /// left to who shares its listeners, and cuts nobody. Every answer from now on announces
    /// `Connection: close`; clients between two requests get it on their next one, or leave in
    /// their own time. The process ends with the last of them, and `hard-stop-after` holds.
    pub fn drain(&mut self) {
        if self.stopping {
            return;
        }
        self.draining = true;
        self.begin_stop();
        for index in 0..self.servers.len() {
            self.close_idle_of(ServerId(index as u32));
        }
    }

    /// What every soft stop begins with.
    fn begin_stop(&mut self) {
        self.stopping = true;
        for index in 0..self.listeners.len() {
            self.net.listener(index as u32, ListenerState::Closed);
        }
        for proxy in &self.config.proxies {
            self.tell_stopped(proxy);
        }
        self.stop_checks();
        if let Some(after) = self.config.global.hard_stop_after {
            self.wheel
                .promise(self.hard_stop_timer, self.now.ms + u64::from(after));
        }
    }

    /// The second half of a soft stop, a turn or more later: a request that had come with the
    /// signal has been told of by then, and is served.
    fn let_idle_go(&mut self) {
        if self
            .idle_leave_turn
            .is_none_or(|turn| self.process.turns < turn)
        {
            return;
        }
        self.idle_leave_turn = None;
        let idle: Vec<Key<Client>> = self
            .clients
            .iter()
            .filter(|(_, client)| client.is_idle() && client.requests > 0)
            // One that was answered and goes on sending is read until its own end.
            .filter(|(_, client)| client.phase != session::Phase::Linger)
            .filter(|(_, client)| !self.config.proxy(client.frontend).http.close_on_answer)
            .map(|(key, _)| key)
            .collect();
        for key in idle {
            self.remove_client(key);
        }
    }

    /// `hard-stop-after` is over: every session is killed, as by `shutdown session`, so that who
    /// waits for an answer is told and every log line says why. Who does not leave within a second
    /// is cut off.
    fn hard_stop(&mut self) {
        if std::mem::replace(&mut self.is_hard_stopped, true) {
            ::log::warn!("Some tasks resisted to hard-stop, exiting now.");
            // A signal of the same turn says how it ends.
            self.exit.get_or_insert(Exit::Done);
            return;
        }
        ::log::warn!("soft-stop running for too long, performing a hard-stop.");
        let config = self.config;
        for proxy in config.proxies.iter().filter(|proxy| proxy.is_frontend) {
            let left = self.proxy_stats[proxy.id.0 as usize].front.scur;
            if left > 0 {
                let text = format!(
                    "Proxy {} hard-stopped ({left} remaining conns will be closed).",
                    proxy.name
                );
                ::log::warn!("{text}");
                self.journal
                    .message(config, proxy, Level::Warning, &text, self.now);
            }
        }
        let clients: Vec<Key<Client>> = self.clients.keys().collect();
        for key in clients {
            match self.clients.get(key) {
                Some(client) if client.session.is_some() => {
                    self.shut_session(key, Cause::Killed);
                }
                Some(_) => self.close(key, Termination::new(Cause::Killed, Stage::Data)),
                None => {}
            }
        }
        self.wheel
            .promise(self.hard_stop_timer, self.now.ms + RESISTANCE_MS);
    }

    /// Closes whatever is open, as the system does when a signal ends the process.
    pub fn end_at_once(&mut self) {
        self.stopping = true;
        self.close_all();
    }

    /// The end: whatever is still open is closed, and what is still unsaid is logged.
    fn close_all(&mut self) {
        self.draining = false;
        let clients: Vec<Key<Client>> = self.clients.keys().collect();
        for key in clients {
            self.close(key, Termination::new(Cause::Killed, Stage::Data));
        }
        let idle: Vec<Key<Upstream>> = self.upstreams.keys().collect();
        for key in idle {
            self.close_idle(key);
        }
        let runtime: Vec<Key<Cli>> = self.clis.keys().collect();
        for key in runtime {
            self.close_cli(key);
        }
        self.stop_checks();
        self.end_programs();
        self.journal.flush(&mut self.net, &mut self.process);
    }

    /// `SIGHUP`: every server's state on stderr and in the proxies' logs.
    fn dump_states(&mut self) {
        ::log::warn!("SIGHUP received, dumping servers states.");
        for proxy in &self.config.proxies {
            let text = format!(
                "SIGHUP received, dumping servers states for proxy {}.",
                proxy.name
            );
            self.journal
                .message(self.config, proxy, Level::Notice, &text, self.now);
            let stats = self.proxy_stats[proxy.id.0 as usize];
            let (mut active, mut backup) = (0, 0);
            for server in self.roster.of(proxy) {
                let index = server.id.0 as usize;
                let record = &self.servers[index];
                if record.usable() {
                    if server.backup {
                        backup += 1
                    } else {
                        active += 1
                    }
                }
                let counters = &self.server_stats[index];
                let text = format!(
                    "SIGHUP: Server {}/{} is {}. Conn: {} act, {} pend, {} tot.",
                    proxy.name,
                    server.name,
                    if record.alive() { "UP" } else { "DOWN" },
                    counters.scur,
                    record.queued,
                    counters.stot,
                );
                ::log::warn!("{text}");
                self.journal
                    .message(self.config, proxy, Level::Notice, &text, self.now);
            }
            let queued = self.records_of(proxy.id).map(|server| server.queued);
            let queued = queued.fold(stats.queued, u32::saturating_add);
            let connections = format!(
                "Conn: act(FE+BE): {}+{}, {} pend ({} unass), tot(FE+BE): {}+{}.",
                stats.front.scur,
                stats.back.scur,
                queued,
                stats.queued,
                stats.front.conn_tot,
                stats.back.stot,
            );
            let text = if !proxy.is_backend || self.roster.members(proxy.id).is_empty() {
                format!("SIGHUP: Proxy {} has no servers. {connections}", proxy.name)
            } else if active + backup == 0 {
                format!("SIGHUP: Proxy {} is DOWN. {connections}", proxy.name)
            } else {
                format!(
                    "SIGHUP: Proxy {} has {active} active servers and {backup} backup servers available. {connections}",
                    proxy.name
                )
            };
            ::log::warn!("{text}");
            self.journal
                .message(self.config, proxy, Level::Notice, &text, self.now);
        }
    }
}
