//! Server connections between two requests: kept for reuse, taken again, closed when they are too
//! many or too old.
//!
//! Which of them may be taken is `http-reuse`'s to say (configuration.txt 4.2). The last one left
//! is the first one taken: its memory is warm, and its server the least likely to have closed it.
//! A connection on which anything came while nobody used it is never taken: those bytes are
//! nobody's.
//!
//! How many a server keeps and how soon they go is its own to say (`pool-max-conn`,
//! `pool-low-conn`, `pool-purge-delay`). Each has a timer, which runs while connections lie here:
//! taking the last one leaves it running, because taking is on the request path and stopping it
//! costs more than a wake-up that finds nothing. What a client keeps for itself (`http-reuse
//! never`) is in no pool, so none of this is about it.

use super::accept::Client;
use super::roster::Roster;
use super::service::Service;
use super::session::open;
use super::upstream::Upstream;
use super::{Engine, Subject};
use crate::balance::server::Admin;
use crate::base::arena::Key;
use crate::base::wheel::{TimerId, Wheel};
use crate::config::model::{Config, ProxyId, Reuse, Server, ServerId};
use crate::net::{Net, Readiness};

/// The idle connections of a server.
#[derive(Debug)]
pub struct IdleList {
    /// Those that have served more than one request.
    proven: Vec<Key<Upstream>>,
    /// The others. The one that was used last is at the end, here as there.
    fresh: Vec<Key<Upstream>>,
    /// Each is for one client (`send-proxy`, `dispatch`): none of them lies here.
    private: bool,
    /// So many are kept at most.
    most: u32,
    /// So many are kept beyond what was ever in use at once.
    spare: u32,
    /// How long one is kept at least, ms.
    purge_delay: u32,
    /// Fires when the next ones may be old enough to go.
    timer: TimerId,
}

/// The lists of all servers, empty.
pub(crate) fn lists(config: &Config, wheel: &mut Wheel) -> Vec<IdleList> {
    let list = |server: &Server| {
        let timer = wheel.add(Subject::Purge(server.id).handle());
        IdleList::new(server, timer)
    };
    config.servers.iter().map(list).collect()
}

impl IdleList {
    /// An empty list.
    pub(crate) fn new(server: &Server, timer: TimerId) -> Self {
        Self {
            proven: Vec::new(),
            fresh: Vec::new(),
            private: !server.proxy_header.is_none() || server.dispatch,
            most: match server.pool.purge_delay {
                0 => 0,
                _ => server.pool.most.unwrap_or(u32::MAX),
            },
            spare: server.pool.spare,
            purge_delay: server.pool.purge_delay,
            timer,
        }
    }

    /// How many lie here.
    pub(crate) fn len(&self) -> usize {
        self.proven.len() + self.fresh.len()
    }

    /// How many of them have served one request only.
    #[must_use]
    pub fn fresh(&self) -> u32 {
        u32::try_from(self.fresh.len()).unwrap_or(u32::MAX)
    }

    /// How many of them have served more than one request.
    #[must_use]
    pub fn proven(&self) -> u32 {
        u32::try_from(self.proven.len()).unwrap_or(u32::MAX)
    }

    /// The timer of the next look.
    pub(crate) fn timer(&self) -> TimerId {
        self.timer
    }

    /// Whether one more may be kept, when so many were ever in use at once.
    fn has_room(&self, used_max: u32) -> bool {
        // More than that are of no use to anybody, and cost the server.
        let most = used_max.saturating_add(self.spare).min(self.most);
        self.len() < most as usize
    }

    /// The oldest of either kind.
    fn oldest(&self) -> impl Iterator<Item = Key<Upstream>> {
        let firsts = [self.proven.first(), self.fresh.first()];
        firsts.into_iter().flatten().copied()
    }

    /// Whether a connection lies here.
    pub(crate) fn contains(&self, key: Key<Upstream>) -> bool {
        self.proven.contains(&key) || self.fresh.contains(&key)
    }

    /// Whether none lies here.
    pub(crate) fn is_empty(&self) -> bool {
        self.proven.is_empty() && self.fresh.is_empty()
    }

    /// Whether its server's connections are kept by their clients.
    pub(crate) fn is_private(&self) -> bool {
        self.private
    }

    /// Shows each connection that lies here.
    pub(crate) fn each(&self, see: impl FnMut(Key<Upstream>)) {
        self.proven.iter().chain(&self.fresh).copied().for_each(see);
    }

    fn remove(&mut self, key: Key<Upstream>) -> bool {
        for list in [&mut self.proven, &mut self.fresh] {
            // The one that closes is mostly among the oldest.
            if let Some(at) = list.iter().position(|known| *known == key) {
                list.remove(at);
                return true;
            }
        }
        false
    }
}

/// How connections of a server are used again. One that is elsewhere for each client serves nobody
/// else.
#[inline]
fn reuse_of(config: &Config, roster: &Roster, backend: ProxyId, server: ServerId) -> Reuse {
    if roster.server(server).follows_client() {
        return Reuse::Never;
    }
    config.proxy(backend).reuse
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// Takes an idle connection of the session's server, as `http-reuse` allows.
    pub(crate) fn take_idle(&mut self, key: Key<Client>) -> bool {
        let config = self.config;
        open!(self, key => client, session, else false);
        let (Some(server), Some(backend)) = (session.server, session.backend) else {
            return false;
        };
        let reuse = reuse_of(config, &self.roster, backend, server);
        let list = &mut self.idle[server.0 as usize];
        let first = client.requests <= 1;
        let leads_there = |key: &mut Key<Upstream>| {
            let record = self.upstreams.get(*key);
            record.is_some_and(|record| record.server == server)
        };
        let mut own = client.kept.take_if(leads_there);
        let found = loop {
            let found = match reuse {
                _ if own.is_some() => own.take(),
                _ if list.private => client.kept.take(),
                Reuse::Never => client.kept.take(),
                Reuse::Safe | Reuse::Aggressive if first => list.proven.pop(),
                Reuse::Safe | Reuse::Aggressive | Reuse::Always => {
                    list.proven.pop().or_else(|| list.fresh.pop())
                }
            };
            let Some(found) = found else { return false };
            match self.upstreams.get_mut(found) {
                Some(record) if record.server == server && record.user.is_none() => {
                    record.user = Some(key);
                    record.uses += 1;
                    if config.proxy(client.frontend).needs_destination {
                        let local = self.net.local_address(&record.socket);
                        session.txn.rare_mut().backend_source = local;
                    }
                    break found;
                }
                Some(record) if record.user.is_none() => {
                    // A kept connection to another server: this session will not come back to it.
                    if let Some(record) = self.upstreams.remove(found) {
                        self.source_ports.close(&mut self.net, record);
                    }
                }
                _ => {}
            }
        };
        session.upstream = Some(found);
        session.on_reused = true;
        session.txn.marks.connected = self.now.ms as i64;
        self.server_stats[server.0 as usize].reuse += 1;
        self.proxy_stats[backend.0 as usize].back.reuse += 1;
        true
    }

    /// Leaves a server connection that a client's session of this backend had to whoever comes
    /// next.
    pub(crate) fn park(&mut self, key: Key<Client>, found: Key<Upstream>, backend: ProxyId) {
        let Some(record) = self.upstreams.get_mut(found) else {
            return;
        };
        let told = Readiness::READABLE.0 | Readiness::READ_CLOSED.0 | Readiness::ERROR.0;
        let server = record.server;
        let reuse = reuse_of(self.config, &self.roster, backend, server);
        let list = &mut self.idle[server.0 as usize];
        let private = reuse == Reuse::Never || list.private || record.private;
        if record.ready.has(Readiness(told))
            || self.stopping
            || self.servers[server.0 as usize].admin.any(Admin::MAINT)
            || (!private && !list.has_room(self.server_stats[server.0 as usize].used_max))
        {
            return self.close_upstream(found);
        }
        record.user = None;
        record.idle_since_ms = self.now.ms;
        if private {
            let client = self.clients.get_mut(key);
            let before = client.and_then(|client| client.kept.replace(found));
            return self.close_kept(before);
        }
        if record.uses > 1 {
            list.proven.push(found);
        } else {
            list.fresh.push(found);
        }
        let due = self.now.ms + u64::from(list.purge_delay);
        self.wheel.promise(list.timer, due);
    }

    /// Closes a connection that nobody uses.
    pub(crate) fn close_idle(&mut self, key: Key<Upstream>) {
        let Some(record) = self.upstreams.remove(key) else {
            return;
        };
        debug_assert!(record.user.is_none());
        let server = record.server.0 as usize;
        let list = &mut self.idle[server];
        if list.remove(key) && list.is_empty() {
            self.wheel.disarm(list.timer);
        }
        self.source_ports.close(&mut self.net, record);
    }

    /// Closes the connection that a client without reuse has kept for itself.
    pub(crate) fn close_kept(&mut self, kept: Option<Key<Upstream>>) {
        if let Some(key) = kept
            && self.upstreams.contains(key)
        {
            self.close_idle(key);
        }
    }

    /// Closes half of a server's connections that nobody has wanted for its delay
    /// (configuration.txt 5.2 "pool-purge-delay"), the oldest first.
    pub(crate) fn purge_idle(&mut self, server: ServerId) {
        let index = server.0 as usize;
        let list = &mut self.idle[index];
        let before = self.now.ms.saturating_sub(u64::from(list.purge_delay));
        let upstreams = &mut self.upstreams;
        let stale = |keys: &[Key<Upstream>]| {
            keys.partition_point(|key| {
                let record = upstreams.get(*key);
                record.is_some_and(|record| record.idle_since_ms <= before)
            })
        };
        let (fresh, proven) = (stale(&list.fresh), stale(&list.proven));
        let go = (fresh + proven).div_ceil(2);
        let fresh = fresh.min(go);
        for key in list
            .fresh
            .drain(..fresh)
            .chain(list.proven.drain(..go - fresh))
        {
            if let Some(record) = upstreams.remove(key) {
                self.source_ports.close(&mut self.net, record);
            }
        }
        if !list.is_empty() {
            let due = self.now.ms + u64::from(list.purge_delay);
            self.wheel.promise(list.timer, due);
        }
    }

    /// Makes room for a new connection: the one that has been idle for longest goes. Tells whether
    /// there was one.
    pub(crate) fn close_oldest_idle(&mut self) -> bool {
        let first = self.idle.iter().flat_map(IdleList::oldest);
        let aged = first.filter_map(|key| Some((self.upstreams.get(key)?.idle_since_ms, key)));
        let oldest = aged.min_by_key(|(since, _)| *since);
        if let Some((_, key)) = oldest {
            self.close_idle(key);
        }
        oldest.is_some()
    }

    /// Closes every idle connection of a server that went down.
    pub(crate) fn close_idle_of(&mut self, server: ServerId) {
        let list = &mut self.idle[server.0 as usize];
        self.wheel.disarm(list.timer);
        for key in list.fresh.drain(..).chain(list.proven.drain(..)) {
            if let Some(record) = self.upstreams.remove(key) {
                self.source_ports.close(&mut self.net, record);
            }
        }
    }
}
