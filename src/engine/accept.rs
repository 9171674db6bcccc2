//! From a listener to a client record: limits, batches, the first read.
//!
//! A client record is small and lives as long as its connection; what a request needs beside it (a
//! [`session`](super::session)) is taken when its first byte comes and given back when it is over,
//! so that an idle connection costs this record and a timer node, and no buffer.
//!
//! Where a limit is reached (the process's, a frontend's, a `bind` line's), the listener is paused:
//! connections wait in the kernel's backlog as HAProxy lets them. When the system itself refuses
//! (`EMFILE` and its kin) and no idle server connection can be given up, all listeners are paused
//! for a moment, so that the loop does not spin.

use super::introduction::IntroductionId;
use super::relay::{End, receive};
use super::service::{Limits, Service};
use super::session::{Phase, SessionId};
use super::stats::{Counters, Rate};
use super::upstream::Upstream;
use super::{Engine, Subject};
use crate::base::addr::Address;
use crate::base::arena::Key;
use crate::base::wheel::TimerId;
use crate::config::model::{Config, Mode, ProxyId};
use crate::log::termination::Termination;
use crate::net::{ListenerState, Net, Peer, Readiness, Socket, Stop};
use crate::rules::connection::Admission;

/// Buffers of unread bytes that are read off a connection before it is closed.
const DRAINS_MAX: usize = 4;

/// How long accepting rests after the system refused a connection, ms.
const ACCEPT_REST_MS: u64 = 100;

/// How soon a rate that was reached is looked at again, ms.
const RATE_REST_MS: u64 = 10;

/// One client connection.
#[derive(Debug)]
pub struct Client {
    pub(crate) socket: Socket,
    pub(crate) source: Address,
    /// When it was accepted, or its last request ended: monotonic and wall, ms.
    pub(crate) since_ms: u64,
    pub(crate) since_wall_ms: u64,
    /// When bytes last moved, on either side of the session, monotonic ms.
    pub(crate) active_ms: u64,
    pub(crate) timer: TimerId,
    pub(crate) listener: u32,
    pub(crate) frontend: ProxyId,
    /// The request under way.
    pub(crate) session: Option<SessionId>,
    pub(crate) requests: u32,
    /// Its own server connection between two requests, where it may be of use to nobody else.
    pub(crate) kept: Option<Key<Upstream>>,
    /// It goes back where that one leads: it has been asked there who it is.
    pub(crate) returns: bool,
    /// The header of the PROXY protocol that it began with, or is to begin with.
    pub(crate) introduction: Option<IntroductionId>,
    pub(crate) ready: Readiness,
    pub(crate) phase: Phase,
    pub(crate) on_run_list: bool,
    /// Its edges are told. A connection that may be over in a moment is not watched yet.
    pub(crate) watched: bool,
    /// What it was being sent broke off, and a close would look like its end: it is reset.
    pub(crate) broken: bool,
}

impl Client {
    /// Between two requests, or before the first byte of the first.
    pub(crate) fn is_idle(&self) -> bool {
        self.session.is_none()
    }

    /// Its socket, as the relay takes it.
    pub(crate) fn end(&mut self) -> End<'_> {
        End {
            socket: &self.socket,
            ready: &mut self.ready,
        }
    }
}

/// What `set rate-limit` has set for the whole process; 0 for no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateLimits {
    /// Connections in a second.
    pub connections: u32,
    /// Sessions in a second.
    pub sessions: u32,
    /// TLS sessions in a second: never reached.
    pub tls_sessions: u32,
    /// kB into compression in a second: never reached.
    pub compression: u32,
}

/// The run-time half of a listener.
#[derive(Clone, Copy, Debug)]
pub struct ListenerRecord {
    /// The proxy's listener, or a stats socket by position.
    pub(crate) kind: ListenerKind,
    /// Connections at most.
    pub(crate) maxconn: u32,
    /// It takes no connections just now.
    pub(crate) paused: bool,
}

/// What a listener serves.
#[derive(Clone, Copy, Debug)]
pub enum ListenerKind {
    /// A frontend.
    Proxy(ProxyId),
    /// A stats socket, by position.
    Stats(usize),
}

/// The records of all listeners, in the order in which the door names them.
pub(crate) fn records(config: &Config, limits: &Limits) -> Vec<ListenerRecord> {
    let proxies = config.listeners.iter().map(|listener| ListenerRecord {
        kind: ListenerKind::Proxy(listener.proxy),
        maxconn: listener.maxconn.unwrap_or(limits.maxconn),
        paused: false,
    });
    let stats = (0..config.global.stats_sockets.len()).map(|index| ListenerRecord {
        kind: ListenerKind::Stats(index),
        maxconn: config.global.stats_maxconn,
        paused: false,
    });
    proxies.chain(stats).collect()
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// Takes a batch of connections off a listener.
    pub(crate) fn accept(&mut self, index: u32) {
        let Some(record) = self.listeners.get(index as usize).copied() else {
            return;
        };
        // Its edge may lie behind the signal that ended it.
        if record.paused || self.stopping {
            return;
        }
        for _ in 0..self.config.global.max_accept.max(1) {
            if self.pause_at_limit(index, record) {
                return;
            }
            match self.net.accept(index) {
                Ok((socket, peer)) => match record.kind {
                    ListenerKind::Proxy(frontend) => {
                        self.accepted(index, frontend, socket, peer);
                    }
                    ListenerKind::Stats(position) => {
                        self.accepted_cli(position, socket, peer.source);
                    }
                },
                Err(Stop::Blocked) => return,
                // The client left before it was taken: the next one may be fine.
                Err(Stop::Failed(errno)) if is_peers_fault(errno) => {}
                // A client is worth more than a server connection that nobody uses.
                Err(stop) if stop.is_out_of_descriptors() && self.close_oldest_idle() => {}
                Err(_) => {
                    self.process.accept_failures += 1;
                    self.rest_accepting();
                    return;
                }
            }
        }
        // The batch is full and edges come once: look again after the others.
        self.run_list.push(Subject::Listener(index));
    }

    /// Pauses a listener whose limit is reached; tells whether it is.
    fn pause_at_limit(&mut self, index: u32, record: ListenerRecord) -> bool {
        let full = match record.kind {
            ListenerKind::Proxy(frontend) => {
                let proxy = frontend.0 as usize;
                self.rests_for_rate(frontend)
                    || self.is_process_full()
                    || self.listener_connections[index as usize] >= record.maxconn
                    || self.proxy_stats[proxy].front.scur >= self.proxies[proxy].maxconn
            }
            ListenerKind::Stats(_) => self.clis.is_full(),
        };
        if full {
            self.pause_listener(index);
        }
        full
    }

    /// As many clients as the process may have.
    pub(crate) fn is_process_full(&self) -> bool {
        self.clients.is_full() || self.clients.len() >= self.limits.maxconn as usize
    }

    /// How long nobody is to be taken because of `set rate-limit`, ms; 0 where that is reached by
    /// neither rate.
    fn rest_for_rate(&self) -> u64 {
        let now = self.now.ms;
        let (limits, process) = (&self.rate_limits, &self.process);
        let reached = |limit: u32, rate: &Rate| limit > 0 && rate.read(now) >= limit;
        if reached(limits.connections, &process.connection_rate)
            || reached(limits.sessions, &process.session_rate)
        {
            RATE_REST_MS
        } else {
            0
        }
    }

    /// Whether a frontend is to take nobody because of a rate, of the process or its own
    /// (`rate-limit`); then it is looked at again when that may have fallen.
    fn rests_for_rate(&mut self, frontend: ProxyId) -> bool {
        let limit = self.config.proxy(frontend).session_rate;
        let rate = &self.proxy_stats[frontend.0 as usize].front.rate;
        let own_ms = limit.map_or(0, |limit| rate.wait(self.now.ms, limit));
        let rest_ms = own_ms.max(self.rest_for_rate());
        if rest_ms > 0 {
            self.wheel.promise(self.accept_timer, self.now.ms + rest_ms);
        }
        rest_ms > 0
    }

    fn pause_listener(&mut self, index: u32) {
        let record = &mut self.listeners[index as usize];
        if !record.paused {
            record.paused = true;
            self.accept_paused = true;
            self.net.listener(index, ListenerState::Paused);
        }
    }

    /// The system is out of descriptors or memory: rest all listeners for a moment.
    fn rest_accepting(&mut self) {
        for index in 0..self.listeners.len() {
            self.pause_listener(index as u32);
        }
        self.wheel
            .promise(self.accept_timer, self.now.ms + ACCEPT_REST_MS);
    }

    /// Lets paused listeners go on where their limits allow; called when a connection ends.
    pub(crate) fn resume_accepting(&mut self) {
        if !self.accept_paused || self.stopping {
            return;
        }
        self.accept_paused = false;
        for index in 0..self.listeners.len() {
            let record = self.listeners[index];
            if !record.paused {
                continue;
            }
            let held = match record.kind {
                ListenerKind::Proxy(frontend) => {
                    let proxy = frontend.0 as usize;
                    self.proxy_stats[proxy].paused
                        || self.proxy_stats[proxy].stopped
                        || self.rests_for_rate(frontend)
                        || self.is_process_full()
                        || self.listener_connections[index] >= record.maxconn
                        || self.proxy_stats[proxy].front.scur >= self.proxies[proxy].maxconn
                }
                ListenerKind::Stats(_) => self.clis.is_full(),
            };
            if held {
                self.accept_paused = true;
            } else {
                self.listeners[index].paused = false;
                self.net.listener(index as u32, ListenerState::Resumed);
            }
        }
    }

    /// `disable frontend`, `SIGTTOU`: new connections are refused (TCP), or wait (unix sockets).
    pub(crate) fn pause_frontend(&mut self, proxy: ProxyId) {
        let stats = &mut self.proxy_stats[proxy.0 as usize];
        if stats.stopped || std::mem::replace(&mut stats.paused, true) {
            return;
        }
        for index in self.config.proxy(proxy).listeners.clone() {
            self.listeners[index as usize].paused = true;
            self.net.listener(index, ListenerState::Refusing);
        }
        self.announce_frontend(proxy, "Paused");
    }

    /// `enable frontend`, `SIGTTIN`.
    pub(crate) fn resume_frontend(&mut self, proxy: ProxyId) {
        let stats = &mut self.proxy_stats[proxy.0 as usize];
        if stats.stopped || !std::mem::replace(&mut stats.paused, false) {
            return;
        }
        if !self.stopping {
            // Also where a limit is reached: who comes then waits, and is not refused.
            for index in self.config.proxy(proxy).listeners.clone() {
                self.listeners[index as usize].paused = false;
                self.net.listener(index, ListenerState::Resumed);
            }
        }
        self.announce_frontend(proxy, "Resumed");
    }

    fn announce_frontend(&mut self, proxy: ProxyId, what: &str) {
        let proxy = self.config.proxy(proxy);
        let text = format!("{what} {} {}.", proxy.kind(), proxy.name);
        ::log::warn!("{text}");
        let level = crate::log::syslog::Level::Warning;
        self.journal
            .message(self.config, proxy, level, &text, self.now);
    }

    /// A connection was taken: make its record, and read at once (most clients send their first
    /// request right behind their connect). It is watched once it waits ([`Engine::rest`]).
    fn accepted(&mut self, listener: u32, frontend: ProxyId, socket: Socket, peer: Peer) {
        let now = self.now;
        let wheel = &mut self.wheel;
        let mut waiting = Some(socket);
        let key = self.clients.insert_with_key(|key| Client {
            socket: waiting.take().unwrap_or_else(|| Socket::from_raw(-1)),
            source: peer.source,
            since_ms: now.ms,
            since_wall_ms: now.wall_ms,
            active_ms: now.ms,
            timer: wheel.add(Subject::Client(key).handle()),
            listener,
            frontend,
            session: None,
            requests: 0,
            kept: None,
            returns: false,
            introduction: None,
            ready: Readiness(Readiness::READABLE.0 | Readiness::WRITABLE.0),
            phase: Phase::Request,
            on_run_list: false,
            watched: false,
            broken: false,
        });
        let Some(key) = key else {
            if let Some(socket) = waiting {
                self.net.close(socket);
            }
            return;
        };
        self.listener_connections[listener as usize] += 1;
        self.listener_stats.count(listener, |own| own.enter(now.ms));
        let stats = &mut self.proxy_stats[frontend.0 as usize].front;
        stats.connect();
        stats.conn_tot += 1;
        stats.conn_rate.add(now.ms, 1);
        self.process.connections += 1;
        self.process.connections_total += 1;
        self.process.connection_rate.add(now.ms, 1);
        let config = self.config;
        let mut introduced = config.listeners[listener as usize].accept_proxy;
        if !config.proxy(frontend).connection_rules.is_empty() {
            match self.admit(key) {
                Admission::Accepted { introduced: asked } => introduced |= asked,
                Admission::Rejected => return self.reject(key),
            }
        }
        self.process.session_rate.add(now.ms, 1);
        if introduced {
            self.expect_introduction(key);
        } else if !self.begin_client(key) {
            return self.close(key, Termination::RESOURCE_IN_CONNECT);
        }
        self.drive(key);
    }

    /// A client is let in: from now on it is a session of its frontend. False where there is no
    /// room for one.
    pub(crate) fn begin_client(&mut self, key: Key<Client>) -> bool {
        let Some(client) = self.clients.get(key) else {
            return false;
        };
        let proxy = self.config.proxy(client.frontend);
        self.proxy_stats[proxy.id.0 as usize]
            .front
            .begin(self.now.ms);
        if proxy.log_format.is_none() {
            self.log_connect(key);
        }
        proxy.mode != Mode::Tcp || self.begin_tcp(key)
    }

    /// Ends a client's record: its socket, its timer, its place in the counts.
    pub(crate) fn remove_client(&mut self, key: Key<Client>) {
        let Some(mut client) = self.clients.remove(key) else {
            return;
        };
        debug_assert!(
            client.session.is_none(),
            "a client ended before its session"
        );
        self.wheel.remove(client.timer);
        self.close_kept(client.kept);
        if let Some(introduction) = client.introduction.take() {
            self.introductions.release(introduction, &mut self.pool);
        }
        if client.broken {
            self.net.abort(client.socket);
        } else {
            self.read_off(&mut client);
            if self.config.listeners[client.listener as usize]
                .incoming
                .no_linger
            {
                // The close is a reset: the end of what was sent comes before it.
                self.net.shutdown_write(&client.socket);
            }
            self.net.close(client.socket);
        }
        self.listener_connections[client.listener as usize] -= 1;
        self.listener_stats.count(client.listener, Counters::leave);
        self.proxy_stats[client.frontend.0 as usize].front.leave();
        self.process.connections -= 1;
        if self.accept_paused {
            self.resume_accepting();
        }
    }

    /// Reads off what the client has sent in vain, so that the close is not a reset that takes the
    /// answer with it. A client that goes on sending is not waited for.
    fn read_off(&mut self, client: &mut Client) {
        if !client.ready.has(Readiness::READABLE) {
            return;
        }
        let Some(mut buffer) = self.pool.lend() else {
            return;
        };
        for _ in 0..DRAINS_MAX {
            buffer.clear();
            let mut from = End {
                socket: &client.socket,
                ready: &mut client.ready,
            };
            if receive(&mut self.net, &mut from, &mut buffer).is_err()
                || !client.ready.has(Readiness::READABLE)
            {
                break;
            }
        }
        self.pool.give_back(buffer);
    }
}

/// Errors of `accept(2)` that belong to the connection, not to us (the manual page's list for
/// Linux).
fn is_peers_fault(errno: i32) -> bool {
    // ECONNABORTED, EPROTO, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH,
    // ENETDOWN, EPERM, EINTR.
    matches!(
        errno,
        103 | 71 | 92 | 112 | 64 | 113 | 95 | 101 | 100 | 1 | 4
    )
}
