//! What the order of service is told: what a session is chosen by, and what servers have to do.
//!
//! Whoever changes a server's count of sessions, its weight or its limit ends here, so that the
//! group of its backend never knows less than the records. A server that came back warms up
//! (`slowstart`): once a second, or twenty times in all if that is rarer, its share grows, and at
//! the end it is told to be up.

use super::accept::Client;
use super::context::{Looking, Sight, facts};
use super::service::Service;
use super::session::open;
use super::{Engine, Subject};
use crate::balance::key::Hashing;
pub use crate::balance::pick::PARTS;
use crate::balance::pick::Place;
use crate::balance::server::{Cause, Change, News, Op, Server};
use crate::base::arena::Key;
use crate::base::buffer::Buffer;
use crate::base::wheel::{TimerId, Wheel};
use crate::config::model::{Algorithm, Config, Server as Described, ServerId};
use crate::http::chunked::Chunked;
use crate::http::head::Name;
use crate::net::Net;

/// The warming of one server that has `slowstart`.
#[derive(Clone, Copy, Debug)]
pub struct Warming {
    timer: TimerId,
    /// When its share grows next; `None` while it is not warming.
    due_ms: Option<u64>,
}

impl Warming {
    /// The timer of a server, if it ever warms up.
    pub(crate) fn new(server: &Described, wheel: &mut Wheel) -> Option<Self> {
        (server.slow_start_ms > 0).then(|| Self {
            timer: wheel.add(Subject::Warming(server.id).handle()),
            due_ms: None,
        })
    }

    /// Its timer, and when its next step is due (ms).
    pub(crate) const fn promise(&self) -> (TimerId, Option<u64>) {
        (self.timer, self.due_ms)
    }
}

/// The warmings of all servers, by server id.
pub(crate) fn warmings(config: &Config, wheel: &mut Wheel) -> Vec<Option<Warming>> {
    let servers = config.servers.iter();
    servers.map(|server| Warming::new(server, wheel)).collect()
}

/// What a server is to its group.
pub(crate) fn place(
    described: &Described,
    server: &Server,
    algorithm: Algorithm,
    now_ms: u64,
) -> Place {
    Place {
        weight: parts(server, algorithm, now_ms),
        backup: server.backup,
        number: described.number,
        limit_moves: server.minconn > 0 || server.slow_start_ms > 0,
    }
}

/// The effective weight in parts: less than all of them while a server warms up under an algorithm
/// whose weights may change.
#[must_use]
pub fn parts(server: &Server, algorithm: Algorithm, now_ms: u64) -> u16 {
    server
        .effective_weight()
        .saturating_mul(warmth(server, algorithm, now_ms))
}

/// How many sixteenths of its weight a server has under an algorithm.
#[must_use]
pub fn warmth(server: &Server, algorithm: Algorithm, now_ms: u64) -> u16 {
    match algorithm.is_dynamic() {
        true => server.warmth(now_ms),
        false => PARTS,
    }
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// Notes what a session's server is chosen by, for as long as the session lasts. `buffer`
    /// begins with the head in `bench`, if there is one.
    pub(crate) fn find_hash(&mut self, key: Key<Client>, hashing: &Hashing, sight: Sight<'_>) {
        open!(self, key => client, session);
        let mut facts = facts!(self, session, client.requests);
        facts.inspected = sight.inspected();
        let bench = &mut self.bench;
        let bytes = sight.buffer().map(Buffer::readable);
        let looking = Looking {
            facts: &facts,
            request: sight.request(&bench.head, &bench.edits, &bench.seen),
            response: None,
        };
        let body = bytes.and_then(|bytes| bytes.get(bench.head.len as usize..));
        let mut body = body.unwrap_or_default();
        if hashing.reads_body() && bench.head.has(Name::TransferEncoding) {
            // Only what is in the chunks is looked at; they are understood when they are sent.
            let copy = &mut bench.prefix;
            copy.clear();
            copy.extend_from_slice(body);
            let data = Chunked::default().decode(copy).map(|found| found.data);
            body = data.map_or(&[], |data| data.of(copy));
        }
        let number = hashing.number(&looking, &mut bench.scratch.buffers, body);
        session.hash = number;
    }

    /// A server's count of sessions has changed, or how many it takes.
    #[inline]
    pub(crate) fn tell_load(&mut self, server: ServerId) {
        let described = self.roster.server(server);
        let group = &mut self.proxies[described.proxy.0 as usize].group;
        if group.minds_load() && !described.dispatch {
            let record = &self.servers[server.0 as usize];
            let load = record.served.saturating_add(record.queued);
            group.set_load(self.roster.place(server), load);
        }
    }

    /// A server that has come up begins to warm up, if it is to.
    pub(crate) fn follow_warming(&mut self, server: ServerId) {
        let now = self.now.ms;
        let Some(Some(warming)) = self.warmings.get_mut(server.0 as usize) else {
            return;
        };
        let record = &self.servers[server.0 as usize];
        if record.op != Op::Starting {
            warming.due_ms = None;
            self.wheel.disarm(warming.timer);
            return;
        }
        let due = now.saturating_add(record.warming_step_ms());
        if warming.due_ms.is_none() {
            warming.due_ms = Some(due);
            self.wheel.promise(warming.timer, due);
        }
    }

    /// The wheel's promise for a server that warms up.
    pub(crate) fn on_warming_timer(&mut self, server: ServerId) {
        let now = self.now.ms;
        let Some(Some(warming)) = self.warmings.get_mut(server.0 as usize) else {
            return;
        };
        let Some(due) = warming.due_ms else { return };
        if due > now {
            self.wheel.promise(warming.timer, due);
            return;
        }
        warming.due_ms = None;
        let record = &mut self.servers[server.0 as usize];
        if record.op != Op::Starting {
            return;
        }
        if record.warm_up(now) {
            self.tell_change(server, Change::notice(News::Up), Cause::Untold);
        } else {
            self.refresh_weight(server);
            self.follow_warming(server);
        }
    }
}
