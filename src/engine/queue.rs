//! Waiting for a server: who is put into which queue, and who is let out when a slot comes free.
//!
//! Who must have a certain server waits in that server's queue, everybody else in the backend's. A
//! slot that comes free goes to whoever has waited longer at the head of one of the two, priorities
//! apart (configuration.txt 4.2 "http-request set-priority-class"): the queues are merged in order,
//! so that nobody is passed over for waiting elsewhere. A queue of a server may be limited
//! (`maxqueue`).

use super::accept::Client;
use super::service::Service;
use super::session::{Flow, Phase, open};
use super::upstream::Assigned;
use super::{Engine, Subject};
use crate::balance::server::Load;
use crate::base::arena::Key;
use crate::config::model::{Proxy, ProxyId, Redispatch, ServerId};
use crate::log::record::Target;
use crate::log::termination::Termination;
use crate::net::Net;

/// A server with room for those who wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freed {
    pub(crate) server: ServerId,
    /// The sessions of its backend when the slot came free.
    sessions: u32,
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// The session waits: for this server, or for any of its backend.
    pub(crate) fn enter_queue(
        &mut self,
        key: Key<Client>,
        backend: ProxyId,
        at: Option<ServerId>,
    ) -> Assigned {
        let now = self.now.ms;
        open!(self, key => _client, session, else Assigned::None);
        let priority = session.txn.priority;
        let at_ms = (now as i64).saturating_add(priority.offset_ms.into());
        let queue = match at {
            Some(server) => &mut self.queues[server.0 as usize],
            None => &mut self.proxies[backend.0 as usize].queue,
        };
        let handle = Subject::Client(key).handle();
        session.ticket = self.waiters.push(queue, handle, priority.class, at_ms);
        session.waits_at = at;
        session.waiting_since_ms = now;
        session.txn.target = at.map_or(Target::None, |server| Target::Server(server.0));
        let waits = session.ticket.is_some();
        self.count_queue(backend, at);
        match waits {
            true => Assigned::Queued,
            false => Assigned::None,
        }
    }

    /// The counters of a queue follow its length.
    fn count_queue(&mut self, backend: ProxyId, at: Option<ServerId>) {
        let Some(server) = at else {
            let length = self.proxies[backend.0 as usize].queue.len();
            let stats = &mut self.proxy_stats[backend.0 as usize];
            stats.queued = length;
            stats.back.qmax = stats.back.qmax.max(length);
            return;
        };
        let length = self.queues[server.0 as usize].len();
        self.servers[server.0 as usize].queued = length;
        let stats = &mut self.server_stats[server.0 as usize];
        stats.qmax = stats.qmax.max(length);
        self.tell_load(server);
    }

    /// Takes a waiting session out of its queue.
    pub(crate) fn leave_queue(&mut self, key: Key<Client>) {
        open!(self, key => _client, session);
        let (Some(ticket), Some(backend)) = (session.ticket.take(), session.backend) else {
            return;
        };
        let at = session.waits_at.take();
        let counters = &mut session.txn.counters;
        let (queue, position) = match at {
            Some(server) => (&mut self.queues[server.0 as usize], &mut counters.srv_queue),
            None => (
                &mut self.proxies[backend.0 as usize].queue,
                &mut counters.backend_queue,
            ),
        };
        if let Some(left) = self.waiters.remove(queue, ticket) {
            *position = left.position;
        }
        self.count_queue(backend, at);
    }

    /// The wait in the queue has ended without a server.
    pub(crate) fn mark_dequeued(&mut self, key: Key<Client>) {
        let now = self.now.ms;
        open!(self, key => _client, session);
        session.txn.marks.dequeued = now as i64;
    }

    /// A slot of this server may have come free.
    pub(crate) fn note_freed(&mut self, server: ServerId) {
        let described = self.roster.server(server);
        let backend = described.proxy.0 as usize;
        let nobody =
            self.proxies[backend].queue.is_empty() && self.queues[server.0 as usize].is_empty();
        if nobody || described.dispatch {
            return;
        }
        // Whoever leaves still counts: that is the load under which the slot came free.
        let sessions = self.proxy_stats[backend].back.scur;
        match self.freed.iter_mut().find(|freed| freed.server == server) {
            Some(freed) => freed.sessions = sessions,
            None => self.freed.push_back(Freed { server, sessions }),
        }
    }

    /// Any server of this backend may have room for those who wait.
    pub(crate) fn note_changed(&mut self, backend: ProxyId) {
        for place in 0..self.roster.members(backend).len() {
            self.note_freed(self.roster.members(backend)[place]);
        }
    }

    /// Gives freed slots to those who wait, in order. As in HAProxy the server that has room takes
    /// them, whoever's turn it would be for a new session.
    pub(crate) fn serve_queues(&mut self) {
        while let Some(Freed { server, sessions }) = self.freed.pop_front() {
            let backend = self.roster.server(server).proxy;
            loop {
                let load = Load {
                    sessions,
                    full_conn: self.proxies[backend.0 as usize].full_conn,
                };
                if self.servers[server.0 as usize].is_full(load)
                    || !self.serve_next(server, backend)
                {
                    break;
                }
            }
        }
    }

    /// Gives a slot of a server to whoever is next; false when nobody is.
    fn serve_next(&mut self, server: ServerId, backend: ProxyId) -> bool {
        let record = &mut self.proxies[backend.0 as usize];
        let own = &mut self.queues[server.0 as usize];
        // Who must have it gets it, whatever has become of it: HAProxy's way.
        let first_own = self.waiters.next_turn(own);
        let first_any = match record.group.serves(self.roster.place(server)) {
            true => self.waiters.next_turn(&record.queue),
            false => None,
        };
        let at = match (first_own, first_any) {
            (None, None) => return false,
            (Some(own), Some(any)) if any < own => None,
            (Some(_), _) => Some(server),
            (None, Some(_)) => None,
        };
        let queue = match at {
            Some(_) => own,
            None => &mut record.queue,
        };
        let Some(left) = self.waiters.pop(queue) else {
            return false;
        };
        self.count_queue(backend, at);
        let Some(Subject::Client(key)) = Subject::of(left.handle) else {
            return true;
        };
        open!(self, key => client, session, else true);
        session.ticket = None;
        session.waits_at = None;
        match at {
            Some(_) => session.txn.counters.srv_queue = left.position,
            None => session.txn.counters.backend_queue = left.position,
        }
        client.phase = Phase::Connect;
        self.give_slot(key, server);
        self.drive(key);
        true
    }

    /// Takes a slot on a server that was chosen, or a place in its queue.
    pub(crate) fn claim(&mut self, key: Key<Client>, server: ServerId) -> Assigned {
        let backend = self.roster.server(server).proxy;
        let load = Load {
            sessions: self.proxy_stats[backend.0 as usize].back.scur,
            full_conn: self.proxies[backend.0 as usize].full_conn,
        };
        let record = &self.servers[server.0 as usize];
        // Whoever waits already has the older right to a slot.
        if record.queued == 0 && !record.is_full(load) {
            self.give_slot(key, server);
            return Assigned::Server;
        }
        if record.maxqueue > 0 && record.queued >= record.maxqueue {
            open!(self, key => _client, session, else Assigned::None);
            session.txn.target = Target::Server(server.0);
            return Assigned::Full(server);
        }
        self.enter_queue(key, backend, Some(server))
    }

    /// No more may wait for the server that the session must have (`maxqueue`).
    pub(crate) fn queue_full(&mut self, key: Key<Client>, server: ServerId) -> Flow {
        let backend = self.roster.server(server).proxy;
        self.server_stats[server.0 as usize].econ += 1;
        self.proxy_stats[backend.0 as usize].back.econ += 1;
        self.turn_away(key, Termination::SERVER_IN_QUEUE)
    }

    /// `timeout queue` has run out.
    pub(crate) fn queued_too_long(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => _client, session, else Flow::Gone);
        if let Some(server) = session.waits_at {
            self.server_stats[server.0 as usize].econ += 1;
        }
        if let Some(backend) = session.backend {
            self.proxy_stats[backend.0 as usize].back.econ += 1;
        }
        self.leave_queue(key);
        self.mark_dequeued(key);
        self.turn_away(key, Termination::SERVER_TIMEOUT_IN_QUEUE)
    }

    fn turn_away(&mut self, key: Key<Client>, why: Termination) -> Flow {
        open!(self, key => _client, session, else Flow::Gone);
        match session.txn.http {
            true => self.answer_status(key, 503, why),
            false => Flow::Close(why),
        }
    }

    /// Those who wait for a server that takes nobody any more go where they may, if they may
    /// (`option redispatch`); says how many. The others wait on, until it is back or has room.
    pub(crate) fn requeue(&mut self, server: ServerId, proxy: &Proxy) -> u32 {
        let stays = proxy.redispatch == Redispatch::Off || proxy.persistence.tries_down;
        if stays || self.queues[server.0 as usize].is_empty() {
            return 0;
        }
        let waits = |client: &Client| {
            let session = client.session.and_then(|id| self.sessions.get(id));
            session.is_some_and(|session| session.waits_at == Some(server) && !session.bond.forced)
        };
        let keys = self.clients.iter().filter(|(_, client)| waits(client));
        let keys: Vec<_> = keys.map(|(key, _)| key).collect();
        for key in &keys {
            self.leave_queue(*key);
            self.unbind(*key);
            let Some(client) = self.clients.get_mut(*key) else {
                continue;
            };
            client.phase = Phase::Connect;
            if let Some(session) = client.session.and_then(|id| self.sessions.get_mut(id)) {
                session.left = Some(server);
                session.txn.target = Target::None;
                session.retry_at_ms = 0;
            }
            self.run_again(*key);
        }
        keys.len() as u32
    }
}
