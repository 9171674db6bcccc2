//! What the runtime socket changes, carried out between two commands.
//!
//! A command's words are judged in `admin`, which hands over a [`Command`]; here it is done, and
//! nothing is refused any more. A server's own states (maintenance, weight, health) are in
//! [`checks`](super::checks), because checks change them too.

use std::sync::Arc;

use super::accept::Client;
use super::balance::{Warming, place};
use super::checks::{Probe, ProbeId};
use super::idle::IdleList;
use super::service::{Command, RateLimit, Service};
use super::session::{Flow, Phase, open};
use super::stats::Counters;
use super::upstream::{self, Upstream};
use super::{Engine, Subject};
use crate::balance::queue::Queue;
use crate::balance::server::AgentWord;
use crate::base::arena::Key;
use crate::config::model::{Proxy, ProxyId, Server, ServerId};
use crate::http::exchange::ResponseState;
use crate::log::syslog::Level;
use crate::log::termination::{Cause, Stage, Termination};
use crate::net::{ListenerState, Net};

/// The target of NOTICE lines, which are at level info.
const NOTICE: &str = "oneloop::notice";

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// Carries out what a command asked for.
    pub fn apply(&mut self, command: Command) {
        match command {
            Command::Server(server, wish) => self.wish(server, wish),
            Command::Redescribe(server) => self.redescribe(*server),
            Command::DynamicCookies(proxy, dynamic) => self.change_dynamic(proxy, dynamic),
            Command::AddServer(server, rests) => self.add_server(*server, rests),
            Command::DeleteServer(server) => self.delete_server(server),
            Command::PauseFrontend(proxy) => self.pause_frontend(proxy),
            Command::ResumeFrontend(proxy) => self.resume_frontend(proxy),
            Command::ShutFrontend(proxy) => self.shut_frontend(proxy),
            Command::FrontendMaxconn(proxy, limit) => {
                self.proxies[proxy.0 as usize].maxconn = limit;
                self.resume_accepting();
            }
            Command::GlobalMaxconn(limit) => {
                self.limits.maxconn = limit;
                self.resume_accepting();
            }
            Command::RateLimit(what, limit) => {
                match what {
                    RateLimit::Connections => self.rate_limits.connections = limit,
                    RateLimit::Sessions => self.rate_limits.sessions = limit,
                    RateLimit::TlsSessions => self.rate_limits.tls_sessions = limit,
                    RateLimit::Compression => self.rate_limits.compression = limit,
                }
                self.resume_accepting();
            }
            Command::List(list, change) => self.lists.change(list, change),
            Command::ShutSession(client) => self.shut_session(client, Cause::Killed),
            Command::ShutSessions(server) => self.shut_sessions(server, Cause::Killed),
            Command::ClearCounters { all } => self.clear_counters(all),
        }
    }

    /// A server is something else from now on. Whoever is connected to it stays; what lies idle
    /// leads to where it was, and goes when its address has changed.
    fn redescribe(&mut self, server: Server) {
        let id = server.id;
        let before = Arc::clone(self.roster.server(id));
        let moved = before.endpoint != server.endpoint || before.port_offset != server.port_offset;
        self.roster.change(id, |present| *present = server);
        if moved {
            self.renew_cookie(id);
            self.close_unused_of(id);
        }
    }

    /// Closes every connection to a server that no session uses, those that clients keep for
    /// themselves included.
    fn close_unused_of(&mut self, server: ServerId) {
        let unused = |(key, record): (Key<Upstream>, &Upstream)| {
            (record.server == server && record.user.is_none()).then_some(key)
        };
        let unused: Vec<Key<Upstream>> = self.upstreams.iter().filter_map(unused).collect();
        for key in unused {
            self.close_idle(key);
        }
    }

    /// `add server`. Its check, if it has one, is off until `enable health`.
    fn add_server(&mut self, server: Server, rests: bool) {
        let (id, index, proxy) = (server.id, server.id.0 as usize, server.proxy);
        let mut record = upstream::record(&server, self.now);
        record.checked = false;
        if rests {
            record = record.in_maintenance();
        }
        record.agent = AgentWord::None;
        let mut probe = Probe::new(&server, &mut self.wheel, self.now.ms);
        let mut agent = Probe::of_agent(&server, &mut self.wheel, self.now.ms);
        if let Some(probe) = &mut probe {
            probe.state.set_enabled(false);
            if rests {
                probe.state.force(false);
            }
        }
        self.source_ports.add(&server);
        if let Some(agent) = &mut agent {
            agent.state.set_enabled(false);
            agent.state.force(false);
        }
        let algorithm = self.config.proxy(proxy).algorithm;
        let member = place(&server, &record, algorithm, self.now.ms);
        let warming = Warming::new(&server, &mut self.wheel);
        if index < self.servers.len() {
            let timer = self.idle[index].timer();
            self.servers[index] = record;
            self.server_stats[index] = Counters::default();
            self.idle[index] = IdleList::new(&server, timer);
            self.probes[index] = probe;
            self.warmings[index] = warming;
            self.agents[index] = agent;
        } else {
            let timer = self.wheel.add(Subject::Purge(id).handle());
            self.servers.push(record);
            self.queues.push(Queue::new());
            self.server_stats.push(Counters::default());
            self.idle.push(IdleList::new(&server, timer));
            self.probes.push(probe);
            self.warmings.push(warming);
            self.agents.push(agent);
        }
        let backend = &self.config.proxy(proxy).name;
        let text = format!(
            "'server {backend}/{}' : New server registered.",
            server.name
        );
        ::log::info!(target: NOTICE, "CLI : {text}");
        self.roster.add(server);
        self.index_servers(proxy);
        self.proxies[proxy.0 as usize].group.add(member);
        if !rests {
            self.review_backend(id);
            self.note_changed(proxy);
        }
    }

    /// `del server`. Nothing may hold its id: see [`super::service::View::is_free`].
    pub(super) fn delete_server(&mut self, server: ServerId) {
        let proxy = self.roster.server(server).proxy;
        let record = &mut self.proxies[proxy.0 as usize];
        record.group.remove(self.roster.place(server));
        for id in ProbeId::both(server) {
            self.end_probe(id);
        }
        let index = server.0 as usize;
        let probes = [self.probes[index].take(), self.agents[index].take()];
        for probe in probes.into_iter().flatten() {
            self.wheel.remove(probe.promise().0);
        }
        if let Some(warming) = self.warmings[server.0 as usize].take() {
            self.wheel.remove(warming.promise().0);
        }
        self.freed.retain(|freed| freed.server != server);
        self.errors.forget_server(server);
        self.roster.remove(server);
        self.index_servers(proxy);
        ::log::info!(target: NOTICE, "CLI : Server deleted.");
    }

    /// `shutdown frontend`: its addresses are given up, and whoever is connected is served on.
    pub(super) fn shut_frontend(&mut self, proxy: ProxyId) {
        for index in self.config.proxy(proxy).listeners.clone() {
            self.listeners[index as usize].paused = true;
            self.net.listener(index, ListenerState::Closed);
        }
        self.tell_stopped(self.config.proxy(proxy));
    }

    /// Notes and tells that a proxy has stopped, once.
    pub(crate) fn tell_stopped(&mut self, proxy: &Proxy) {
        let stats = &mut self.proxy_stats[proxy.id.0 as usize];
        if std::mem::replace(&mut stats.stopped, true) {
            return;
        }
        let text = format!(
            "Proxy {} stopped (cumulated conns: FE: {}, BE: {}).",
            proxy.name, stats.front.conn_tot, stats.back.stot
        );
        ::log::warn!("{text}");
        self.journal
            .message(self.config, proxy, Level::Warning, &text, self.now);
    }

    /// `shutdown sessions server`, and the end of a server's sessions for another cause.
    pub(super) fn shut_sessions(&mut self, server: ServerId, cause: Cause) {
        let its = |(key, client): (Key<Client>, &Client)| {
            let session = self.sessions.get(client.session?)?;
            (session.server == Some(server) && session.holds_slot).then_some(key)
        };
        let its: Vec<Key<Client>> = self.clients.iter().filter_map(its).collect();
        for key in its {
            self.shut_session(key, cause);
        }
    }

    /// `shutdown session`: it ends here. Who has had nothing of an answer yet is told so.
    pub(super) fn shut_session(&mut self, key: Key<Client>, cause: Cause) {
        open!(self, key => client, session);
        let unanswered = session.txn.http
            && matches!(
                client.phase,
                Phase::Queued | Phase::Connect | Phase::Exchange
            )
            && session.exchange.response() == ResponseState::Idle
            && session.response.is_flushed();
        if !unanswered {
            let stage = if session.txn.http {
                Stage::Data
            } else {
                Stage::None
            };
            return self.close(key, Termination::new(cause, stage));
        }
        session.exchange.on_server_lost();
        self.leave_queue(key);
        self.drop_upstream(key);
        let why = Termination::new(cause, Stage::Headers);
        match self.answer_status(key, 502, why) {
            Flow::Close(why) => self.close(key, why),
            _ => self.drive(key),
        }
    }

    /// `clear counters`: the maxima, or with `all` everything but what is there now.
    fn clear_counters(&mut self, all: bool) {
        let clear = |counters: &mut Counters| {
            if all {
                counters.forget();
            }
            counters.forget_maxima();
        };
        for stats in &mut self.proxy_stats {
            clear(&mut stats.front);
            clear(&mut stats.back);
        }
        self.server_stats.iter_mut().for_each(clear);
        self.listener_stats.clear(clear);
        self.process.connection_rate.max = 0;
        self.process.session_rate.max = 0;
        self.process.cleared = (self.process.turns, self.process.connections_total);
        if all {
            for server in &mut self.servers {
                server.downs = 0;
                server.alarms = 0;
            }
            for probe in self.probes.iter_mut().flatten() {
                probe.failures = 0;
            }
            if let Some(handed) = &mut self.handed {
                handed.clear();
            }
        }
    }
}
