//! What must hold between two turns, whatever happened in them.
//!
//! The records point at each other, and counters repeat what the records say.
//! [`Engine::check_invariants`] walks all of it and names the first disagreement. It is for tests:
//! the simulator calls it after every turn, so that a fault is caught in the turn that makes it and
//! not when its consequence shows. It must never change anything, and production never calls it,
//! because it looks at every record.
//!
//! Rejected: `debug_assert!` at each place of change. Those know one record at a time; what goes
//! wrong here goes wrong between two.

use std::collections::HashMap;

use super::deadline::earliest;
use super::relay::Pipe;
use super::service::Service;
use super::{Engine, Subject};
use crate::balance::server::{Load, Server};
use crate::base::arena::Key;
use crate::config::model::{Reuse, ServerId};
use crate::engine::accept::{Client, ListenerKind};
use crate::engine::queue::Freed;
use crate::engine::session::{Phase, Session};
use crate::engine::upstream::Upstream;
use crate::net::{Net, Readiness};

/// Fails with a formatted text unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(format!($($text)+));
        }
    };
}

/// Fails unless two numbers that say the same thing are equal.
fn same(what: &str, left: usize, right: usize) -> Result<(), String> {
    ensure!(left == right, "{what}: {left} and {right}");
    Ok(())
}

/// The buffers that a pipe holds.
fn held(pipe: &Pipe) -> usize {
    let output = pipe.output.iter().flatten().count();
    output + usize::from(pipe.input.is_some())
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// Holds the engine's records against each other; call it between two turns.
    ///
    /// # Errors
    /// The first disagreement, in words.
    pub fn check_invariants(&self) -> Result<(), String> {
        self.check_sessions()?;
        self.check_upstreams()?;
        self.check_counters()?;
        self.check_timers()?;
        self.check_run_list()?;
        self.check_listeners()?;
        self.check_queues()
    }

    /// What is left of records and loans; all zero once the last client has gone.
    ///
    /// # Errors
    /// What is still there, in words.
    pub fn check_drained(&self) -> Result<(), String> {
        same("clients left", self.clients.len(), 0)?;
        same("sessions left", self.sessions.len(), 0)?;
        same("introductions left", self.introductions.len(), 0)?;
        same("buffers left", self.pool.lent(), 0)?;
        same("tubes left", self.net.tubes().0 as usize, 0)?;
        same("waiters left", self.waiters.len(), 0)?;
        let used = self.upstreams.iter().filter(|(_, u)| u.user.is_some());
        same("server connections in use", used.count(), 0)?;
        let served: u32 = self.servers.iter().map(|server| server.served).sum();
        same("slots left", served as usize, 0)?;
        same("answers of services left", self.servings.len(), 0)
    }

    /// The door, so that a test can ask its own what it saw.
    pub fn net_mut(&mut self) -> &mut N {
        &mut self.net
    }

    /// Every client and session in words, for the report of a failure.
    pub fn describe(&self) -> String {
        let each = self.each_client();
        let words = each.map(|(key, client, session)| format!("{key:?} {client:?} {session:?}"));
        words.collect::<Vec<_>>().join("\n")
    }

    /// Requests that wait for their body: before their frontend's rules, or their backend's.
    pub fn gathering(&self) -> (usize, usize) {
        let each = self.each_client();
        let waiting = each.filter(|(_, client, _)| client.phase == Phase::Gather);
        let sessions = waiting.filter_map(|(_, _, session)| session);
        let (late, early): (Vec<_>, Vec<_>) = sessions.partition(|one| one.backend.is_some());
        (early.len(), late.len())
    }

    /// Each client with its session, if it has one.
    fn each_client(&self) -> impl Iterator<Item = (Key<Client>, &Client, Option<&Session>)> {
        self.clients.iter().map(|(key, client)| {
            let session = client.session.and_then(|id| self.sessions.get(id));
            (key, client, session)
        })
    }

    /// One session a client at most, and every buffer and tube that is out lies in a session.
    fn check_sessions(&self) -> Result<(), String> {
        let mut buffers = 0;
        let mut tubes = 0;
        let mut sessions = 0;
        let mut servings = 0;
        let mut introductions = 0;
        let mut seen = Vec::new();
        for (key, client, session) in self.each_client() {
            if let Some(id) = client.session {
                ensure!(session.is_some(), "{key:?} has no session {id:?}");
                ensure!(!seen.contains(&id), "{id:?} belongs to two clients");
                seen.push(id);
            }
            if let Some(introduction) = self.introductions.of(client) {
                introductions += 1;
                buffers += usize::from(introduction.holds_buffer());
            }
            let Some(session) = session else { continue };
            sessions += 1;
            buffers += held(&session.request) + held(&session.response);
            for pipe in [&session.request, &session.response] {
                let gap = pipe.output[0].is_none() && pipe.output[1].is_some();
                ensure!(!gap, "{key:?}: a second block without a first");
                tubes += usize::from(pipe.tube.is_some());
            }
            if let Some(serving) = session.serving {
                servings += 1;
                let known = self.servings.contains(Key::from_handle(serving));
                let phase = client.phase;
                let answers = matches!(phase, Phase::Body | Phase::Answer);
                ensure!(known && answers, "{key:?} is served in {phase:?}: {known}");
            }
            let both = session.upstream.is_some() && session.ticket.is_some();
            ensure!(
                !both,
                "{key:?} waits in a queue and has a server connection"
            );
        }
        let under_way = self.servings.len();
        same(
            "answers of services and their sessions",
            under_way,
            servings,
        )?;
        same("sessions and their clients", self.sessions.len(), sessions)?;
        let known = self.introductions.len();
        same("introductions and their clients", known, introductions)?;
        let lent = self.net.tubes().0 as usize;
        same("tubes lent and tubes held", lent, tubes)?;
        same("buffers lent and buffers held", self.pool.lent(), buffers)
    }

    /// Keys on both sides agree, and each unused connection lies in one list.
    fn check_upstreams(&self) -> Result<(), String> {
        let mut places: HashMap<Key<Upstream>, u32> = HashMap::new();
        let mut place = |key| *places.entry(key).or_default() += 1;
        for (key, client, session) in self.each_client() {
            // A kept connection may have ended: its key is looked up when it is wanted.
            if let Some(upstream) = client.kept.filter(|key| self.upstreams.contains(*key)) {
                place(upstream);
            }
            let Some(upstream) = session.and_then(|session| session.upstream) else {
                continue;
            };
            place(upstream);
            let user = self.upstreams.get(upstream).map(|record| record.user);
            let known = user == Some(Some(key));
            ensure!(
                known,
                "{key:?} uses {upstream:?}, which is used by {user:?}"
            );
            let of = self.upstreams.get(upstream).map(|record| record.server);
            let slot = session.and_then(|session| session.server.filter(|_| session.holds_slot));
            ensure!(
                of == slot,
                "{key:?} uses {of:?} and holds a slot of {slot:?}"
            );
        }
        self.idle.iter().for_each(|list| list.each(&mut place));
        for (key, record) in self.upstreams.iter() {
            let count = places.remove(&key).unwrap_or_default();
            ensure!(count == 1, "{key:?} lies in {count} places");
            if record.user.is_some() {
                continue;
            }
            let told = Readiness::READABLE.0 | Readiness::READ_CLOSED.0 | Readiness::ERROR.0;
            let ended = record.ready.has(Readiness(told));
            ensure!(!ended, "{key:?} is kept for reuse and has ended");
            let backend = self.roster.server(record.server).proxy;
            let reuse = self.config.proxy(backend).reuse;
            let listed = self.idle[record.server.0 as usize].contains(key);
            let own = self.idle[record.server.0 as usize].is_private();
            let kept = own || record.private || reuse == Reuse::Never;
            ensure!(listed != kept, "{key:?} lies in the wrong list");
        }
        if let Some(key) = places.keys().next() {
            return Err(format!("{key:?} is listed and gone"));
        }
        Ok(())
    }

    /// Counters that repeat what the records say.
    fn check_counters(&self) -> Result<(), String> {
        let mut slots = vec![0_u32; self.servers.len()];
        let mut fronts = vec![0_u32; self.proxies.len()];
        let mut backs = vec![0_u32; self.proxies.len()];
        let mut waiting = vec![0_u32; self.proxies.len()];
        let mut waiting_at = vec![0_u32; self.servers.len()];
        let mut listeners = vec![0_u32; self.listener_connections.len()];
        for (key, client, session) in self.each_client() {
            fronts[client.frontend.0 as usize] += 1;
            listeners[client.listener as usize] += 1;
            let Some(session) = session else { continue };
            if session.holds_slot {
                ensure!(session.server.is_some(), "{key:?} holds a slot nowhere");
                let serves = matches!(
                    client.phase,
                    Phase::Connect | Phase::Exchange | Phase::Tunnel | Phase::Finish
                );
                ensure!(serves, "{key:?} holds a slot in {:?}", client.phase);
            }
            if let Some(server) = session.server.filter(|_| session.holds_slot) {
                slots[server.0 as usize] += 1;
            }
            if let Some(backend) = session.backend {
                backs[backend.0 as usize] += 1;
                match session.waits_at {
                    Some(server) => waiting_at[server.0 as usize] += 1,
                    None => waiting[backend.0 as usize] += u32::from(session.ticket.is_some()),
                }
            }
        }
        for (index, server) in self.servers.iter().enumerate() {
            let held = slots[index] as usize;
            same("slots taken and held", server.served as usize, held)?;
            let id = ServerId(index as u32);
            let proxy = self.roster.server(id).proxy.0 as usize;
            if self.roster.is_live(id)
                && let Some(load) = self.proxies[proxy].group.load(self.roster.place(id))
            {
                let has = server.served + server.queued;
                same("load told and there", load as usize, has as usize)?;
            }
            let queue = self.queues[index].len() as usize;
            same(
                "queued at a server and counted",
                server.queued as usize,
                queue,
            )?;
            same(
                "queued at a server and waiting",
                waiting_at[index] as usize,
                queue,
            )?;
            let scur = self.server_stats[index].scur;
            same("server sessions and slots", scur as usize, held)?;
        }
        for (index, stats) in self.proxy_stats.iter().enumerate() {
            let front = fronts[index] as usize;
            same("frontend sessions", stats.front.scur as usize, front)?;
            let back = backs[index] as usize;
            same("backend sessions", stats.back.scur as usize, back)?;
            let queue = self.proxies[index].queue.len() as usize;
            same("queued and counted", stats.queued as usize, queue)?;
            same("queued and waiting", waiting[index] as usize, queue)?;
        }
        ensure!(
            listeners == self.listener_connections,
            "connections by listener"
        );
        let connections = self.process.connections as usize;
        same("connections", connections, self.clients.len())
    }

    /// Every record that waits has a promise no later than its deadline.
    fn check_timers(&self) -> Result<(), String> {
        for (key, client, session) in self.each_client() {
            if client.on_run_list {
                continue;
            }
            let armed = self.wheel.armed_at(client.timer);
            if let Some((due, limit)) = earliest(self.config, client, session) {
                ensure!(
                    armed.is_some_and(|at| at <= due),
                    "{key:?} in {:?} is due at {due} by {limit:?}, promised {armed:?}",
                    client.phase
                );
            }
        }
        for (key, cli) in self.clis.iter() {
            let (timer, due) = cli.promise();
            let armed = self.wheel.armed_at(timer);
            ensure!(armed.is_some_and(|at| at <= due), "{key:?} has no promise");
        }
        let probes = self.probes.iter().chain(&self.agents);
        for (index, probe) in probes.enumerate() {
            let Some(probe) = probe else { continue };
            let (timer, due) = probe.promise();
            let lives = (probe.state.runs() || probe.is_running()) && !self.stopping;
            let armed = self.wheel.armed_at(timer);
            ensure!(
                !lives || armed.is_some_and(|at| at <= due),
                "check {index} is due at {due}, promised {armed:?}"
            );
        }
        for (server, list) in self.idle.iter().enumerate() {
            let purge = self.wheel.armed_at(list.timer()).is_some();
            ensure!(
                list.is_empty() || purge,
                "idle connections of server {server} and nobody to close them"
            );
            let most = self.roster.server(ServerId(server as u32)).pool.most;
            ensure!(
                most.is_none_or(|most| list.len() <= most as usize),
                "server {server} has {} idle connections, {most:?} allowed",
                list.len()
            );
        }
        let probes = self.probes.iter().chain(&self.agents).flatten().count();
        let records = self.clients.len() + self.clis.len() + probes;
        // The hard stop, the listeners that accept again, the rest that is told.
        let warmings = self.warmings.iter().flatten().count();
        let timers = records + warmings + self.servers.len() + 3;
        same("timers and records", self.wheel.len(), timers)
    }

    /// Who is marked is listed, once, and who is listed is marked.
    fn check_run_list(&self) -> Result<(), String> {
        let mut listed = Vec::new();
        for subject in &self.run_list {
            if let Subject::Client(key) = *subject {
                ensure!(!listed.contains(&key), "{key:?} is on the run list twice");
                listed.push(key);
            }
        }
        for (key, client) in self.clients.iter() {
            let marked = client.on_run_list;
            ensure!(marked == listed.contains(&key), "{key:?} marked: {marked}");
        }
        Ok(())
    }

    /// A listener that rests has somebody who will wake it.
    fn check_listeners(&self) -> Result<(), String> {
        for (index, record) in self.listeners.iter().enumerate() {
            if !record.paused || self.stopping {
                continue;
            }
            let full = match record.kind {
                // `disable frontend`: it rests until a command wakes it.
                ListenerKind::Proxy(proxy)
                    if self.proxy_stats[proxy.0 as usize].paused
                        || self.proxy_stats[proxy.0 as usize].stopped =>
                {
                    continue;
                }
                ListenerKind::Proxy(proxy) => {
                    let stats = &self.proxy_stats[proxy.0 as usize];
                    self.is_process_full()
                        || self.listener_connections[index] >= record.maxconn
                        || stats.front.scur >= self.proxies[proxy.0 as usize].maxconn
                }
                ListenerKind::Stats(_) => self.clis.is_full(),
            };
            let timer = self.wheel.armed_at(self.accept_timer).is_some();
            ensure!(full || timer, "listener {index} rests for ever");
            ensure!(
                self.accept_paused,
                "listener {index} rests and nobody knows"
            );
        }
        Ok(())
    }

    /// Nobody waits for a slot while one is free.
    fn check_queues(&self) -> Result<(), String> {
        for (index, server) in self.servers.iter().enumerate() {
            let noted = |freed: &Freed| freed.server.0 as usize == index;
            if server.queued == 0 || self.freed.iter().any(noted) {
                continue;
            }
            let full = server.is_full(Load::NONE);
            ensure!(
                full,
                "{} wait for server {index}, which is free",
                server.queued
            );
        }
        for proxy in &self.config.proxies {
            let record = &self.proxies[proxy.id.0 as usize];
            let noted = |freed: &Freed| self.roster.members(proxy.id).contains(&freed.server);
            if record.queue.is_empty() || self.freed.iter().any(noted) {
                continue;
            }
            let serves = |s: &&Server| {
                s.usable() && s.effective_weight() > 0 && (!s.backup || record.group.active() == 0)
            };
            // A limit that moves with the load is looked at when a slot comes free.
            let own = self.records_of(proxy.id);
            let free = own.filter(serves).find(|s| !s.is_full(Load::NONE));
            let waits = record.queue.len();
            let name = &proxy.name;
            // Only the first backup serves unless all of them do.
            let certain = free.is_some_and(|server| !server.backup);
            ensure!(!certain, "{waits} wait in {name} while a server is free");
        }
        Ok(())
    }
}
