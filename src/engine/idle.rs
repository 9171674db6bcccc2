//! Server connections between two requests: kept for reuse, taken again, closed when they are too
//! many or too old.
//!
//! Which of them may be taken is `http-reuse`'s to say (configuration.txt 4.2). The last one left
//! is the first one taken: its memory is warm, and its server the least likely to have closed it.
//! A connection on which anything came while nobody used it is never taken: those bytes are
//! nobody's.

use super::Engine;
use super::accept::Client;
use super::service::Service;
use super::session::open;
use super::upstream::Upstream;
use crate::base::arena::Key;
use crate::config::model::{Reuse, ServerId};
use crate::net::{Net, Readiness};

/// The idle connections of a server.
#[derive(Debug, Default)]
pub struct IdleList {
    /// Those that have served more than one client connection.
    proven: Vec<Key<Upstream>>,
    /// The others.
    fresh: Vec<Key<Upstream>>,
}

impl IdleList {
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

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// Takes an idle connection of the session's server, as `http-reuse` allows.
    pub(crate) fn take_idle(&mut self, key: Key<Client>) -> bool {
        let config = self.config;
        open!(self, key => client, session, else false);
        let (Some(server), Some(backend)) = (session.server, session.backend) else {
            return false;
        };
        let list = &mut self.idle[server.0 as usize];
        let first = client.requests <= 1;
        let found = loop {
            let found = match config.proxy(backend).reuse {
                Reuse::Never => client.kept.take(),
                Reuse::Safe | Reuse::Aggressive if first => list.proven.pop(),
                Reuse::Safe | Reuse::Aggressive | Reuse::Always => {
                    list.proven.pop().or_else(|| list.fresh.pop())
                }
            };
            let Some(found) = found else { return false };
            match self.upstreams.get(found) {
                Some(record) if record.server == server && record.user.is_none() => break found,
                Some(record) if record.user.is_none() => {
                    // A kept connection to another server: this session will not come back to it.
                    let old = record.server;
                    self.idle_counts[old.0 as usize] -= 1;
                    if let Some(record) = self.upstreams.remove(found) {
                        self.net.close(record.socket);
                    }
                }
                _ => {}
            }
        };
        self.idle_counts[server.0 as usize] -= 1;
        if let Some(record) = self.upstreams.get_mut(found) {
            record.user = Some(key);
            record.uses += 1;
        }
        session.upstream = Some(found);
        session.on_reused = true;
        session.txn.marks.connected = self.now.ms as i64;
        self.server_stats[server.0 as usize].reuse += 1;
        self.proxy_stats[backend.0 as usize].back.reuse += 1;
        true
    }

    /// Leaves the session's server connection to whoever comes next.
    pub(crate) fn park_upstream(&mut self, key: Key<Client>) {
        let config = self.config;
        open!(self, key => client, session);
        let Some(found) = session.upstream.take() else {
            return;
        };
        let Some(record) = self.upstreams.get_mut(found) else {
            return;
        };
        let told = Readiness::READABLE.0 | Readiness::READ_CLOSED.0 | Readiness::ERROR.0;
        let server = record.server;
        if record.ready.has(Readiness(told))
            || self.stopping
            || !self.servers[server.0 as usize].alive()
            // More than were ever in use at once are of no use to anybody, and cost the server.
            || self.idle_counts[server.0 as usize] >= self.server_stats[server.0 as usize].smax
        {
            if let Some(record) = self.upstreams.remove(found) {
                self.net.close(record.socket);
            }
            return;
        }
        record.user = None;
        record.idle_since_ms = self.now.ms;
        self.idle_counts[server.0 as usize] += 1;
        let backend = session.backend.unwrap_or(client.frontend);
        if config.proxy(backend).reuse == Reuse::Never {
            client.kept = Some(found);
            return;
        }
        let list = &mut self.idle[server.0 as usize];
        if record.uses > 1 {
            list.proven.push(found);
        } else {
            list.fresh.push(found);
        }
        self.promise_purge();
    }

    /// Closes a connection that nobody uses.
    pub(crate) fn close_idle(&mut self, key: Key<Upstream>) {
        let Some(record) = self.upstreams.remove(key) else {
            return;
        };
        debug_assert!(record.user.is_none());
        let server = record.server.0 as usize;
        self.idle[server].remove(key);
        self.idle_counts[server] -= 1;
        self.net.close(record.socket);
    }

    /// Closes the connection that a client without reuse has kept for itself.
    pub(crate) fn close_kept(&mut self, kept: Option<Key<Upstream>>) {
        if let Some(key) = kept
            && self.upstreams.contains(key)
        {
            self.close_idle(key);
        }
    }

    /// Closes half of each server's connections that nobody has wanted since the last look
    /// (configuration.txt 5.2 "pool-purge-delay").
    pub(crate) fn purge_idle(&mut self) {
        let before = self.now.ms.saturating_sub(super::PURGE_INTERVAL_MS);
        let mut any = false;
        for server in 0..self.idle.len() {
            let list = &self.idle[server];
            let stale: Vec<Key<Upstream>> = list
                .fresh
                .iter()
                .chain(&list.proven)
                .copied()
                .filter(|key| {
                    self.upstreams
                        .get(*key)
                        .is_some_and(|u| u.idle_since_ms <= before)
                })
                .collect();
            for key in stale.iter().take(stale.len().div_ceil(2)) {
                self.close_idle(*key);
            }
            any |= self.idle_counts[server] > 0;
        }
        if any {
            self.promise_purge();
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
        let list = std::mem::take(&mut self.idle[server.0 as usize]);
        for key in list.fresh.into_iter().chain(list.proven) {
            self.close_idle(key);
        }
    }
}
