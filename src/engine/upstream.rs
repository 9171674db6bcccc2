//! Towards servers: choosing one, and connecting.
//!
//! An [`Upstream`] outlives the session that opened it: between two requests `user` is empty, and
//! it is for [`idle`](super::idle) to keep. What becomes of an attempt that failed is in
//! [`retry`](super::retry).

use std::sync::Arc;

use super::accept::Client;
use super::balance::place;
use super::health::Finding;
use super::introduction::destination;
use super::persist::{by_cookie, by_name};
use super::ports::is_out_of_ports;
use super::relay::{End, Sent, deliver};
use super::service::{Limits, Service};
use super::session::{Flow, Phase, open};
use super::stats::ProxyStats;
use super::{Engine, ProxyRecord, Subject};
use crate::balance::pick::{Group, Picked};
use crate::balance::queue::Queue;
use crate::balance::server::{Load, Op, Server};
use crate::base::addr::Endpoint;
use crate::base::arena::Key;
use crate::base::buffer::Buffer;
use crate::base::clock::Now;
use crate::base::proxy_header::Form;
use crate::config::model::{Config, Proxy, ProxyId, Redispatch, ServerId};
use crate::log::record::Target;
use crate::log::termination::Termination;
use crate::net::{Net, Readiness, Socket, Stop};

/// One server connection.
#[derive(Debug)]
pub struct Upstream {
    pub(crate) socket: Socket,
    pub(crate) ready: Readiness,
    pub(crate) server: ServerId,
    /// The client whose session uses it; none while it is idle.
    pub(crate) user: Option<Key<Client>>,
    /// Requests it has carried.
    pub(crate) uses: u32,
    /// When it fell idle, monotonic ms.
    pub(crate) idle_since_ms: u64,
    pub(crate) connected: bool,
    /// The port of a range of `source` that it has; 0 for none.
    pub(crate) source_port: u16,
    /// How its server is told of the client; such a connection serves no other.
    pub(crate) introduces: Form,
    /// Its server knows it by its client, and it serves no other.
    pub(crate) private: bool,
}

impl Upstream {
    /// Its socket, as the relay takes it.
    pub(crate) fn end(&mut self) -> End<'_> {
        End {
            socket: &self.socket,
            ready: &mut self.ready,
        }
    }
}

/// The run-time record of a configured server.
pub(crate) fn record(server: &crate::config::model::Server, now: Now) -> Server {
    let mut record = Server::new(&server.initial(), now.ms);
    if server.held_back && !server.disabled {
        // Its check will let it in, as one that was down.
        record.op = Op::Stopped;
        record.health.value = record.health.rise.saturating_sub(1);
    }
    if let Some(recalled) = &server.recalled {
        record.admin = recalled.admin;
        record.op = recalled.op;
        record.health.value = recalled.health;
        record.weight = recalled.weight;
        record.downs = recalled.downs;
        let since_ms = recalled.since_change_s.saturating_mul(1000);
        record.last_change_ms = now.ms.saturating_sub(since_ms);
        record.checked &= recalled.check.enabled;
    }
    record
}

/// The run-time record of a proxy.
pub(crate) fn proxy_record(
    config: &Config,
    proxy: &Proxy,
    servers: &[Server],
    limits: &Limits,
    now: Now,
) -> ProxyRecord {
    let own = &servers[proxy.servers.start as usize..proxy.servers.end as usize];
    let described = config.servers_of(proxy).iter().zip(own);
    let place = |(described, server)| place(described, server, proxy.algorithm, now.ms);
    let places: Vec<_> = described.map(place).collect();
    // Two processes that balance by chance should not choose alike.
    let seed = now.wall_ms ^ (u64::from(proxy.id.0) << 48);
    let fronts: u32 = config
        .proxies
        .iter()
        .filter(|front| leads_to(front, proxy.id))
        .map(|front| front.maxconn.unwrap_or(limits.maxconn))
        .fold(0, u32::saturating_add);
    let described = || config.servers_of(proxy).iter();
    ProxyRecord {
        group: Group::new(proxy.algorithm, &places, proxy.all_backups)
            .bounded(proxy.hash_factor)
            .seeded(seed),
        queue: Queue::new(),
        full_conn: proxy
            .full_conn
            .unwrap_or_else(|| fronts.div_ceil(10).max(1)),
        maxconn: proxy.maxconn.unwrap_or(limits.maxconn),
        log_count: 0,
        cookies: by_cookie(described()),
        names: by_name(proxy, described()),
        dynamic: proxy.persistence.dynamic.clone(),
    }
}

/// The counters of a proxy. One whose servers were found out of use in a state file went down with
/// the start.
pub(crate) fn proxy_stats(
    config: &Config,
    proxy: &Proxy,
    servers: &[Server],
    now: Now,
) -> ProxyStats {
    let own = &servers[proxy.servers.start as usize..proxy.servers.end as usize];
    let mut described = config.servers_of(proxy).iter();
    let recalled = described.any(|server| server.recalled.is_some());
    let is_down = recalled && !own.iter().any(Server::usable);
    ProxyStats {
        last_change_ms: now.ms,
        is_down,
        times_down: is_down.into(),
        ..ProxyStats::default()
    }
}

/// True when a frontend's requests may come to this backend by a name known at load.
fn leads_to(front: &Proxy, backend: ProxyId) -> bool {
    use crate::config::model::SwitchTarget;
    let names_it =
        |target: &SwitchTarget| matches!(target, SwitchTarget::Backend(id) if *id == backend);
    let by_default = front.default_backend.unwrap_or(front.id) == backend;
    front.is_frontend
        && !front.disabled
        && (by_default || front.switches.iter().any(|switch| names_it(&switch.target)))
}

/// What looking for a server came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assigned {
    /// One was chosen, and the session holds a slot on it.
    Server,
    /// All are full: the session waits.
    Queued,
    /// This one is full, and so is its queue; it holds for no other.
    Full(ServerId),
    /// None is usable.
    None,
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// Finds a server for the request whose head lies in `bench.prefix`, with `body` behind it, and
    /// sends both at once when a connection is at hand; else they wait in the pipe.
    pub(crate) fn dispatch(&mut self, key: Key<Client>, body: Option<Buffer>) -> Flow {
        let Some(body) = body.or_else(|| self.pool.lend()) else {
            return Flow::Close(Termination::RESOURCE_IN_CONNECT);
        };
        let assigned = self.assign(key);
        match assigned {
            Assigned::None => {
                self.pool.give_back(body);
                return self.answer_status(key, 503, Termination::SERVER_IN_CONNECT);
            }
            Assigned::Full(server) => {
                self.pool.give_back(body);
                return self.queue_full(key, server);
            }
            Assigned::Server if self.take_idle(key) => return self.send_head(key, body),
            Assigned::Server | Assigned::Queued => {}
        }
        open!(self, key => client, session, else Flow::Gone);
        if !session.request.queue(&self.bench.prefix, &mut self.pool) {
            self.pool.give_back(body);
            return Flow::Close(Termination::RESOURCE_IN_CONNECT);
        }
        session.request.replay.add(&self.bench.prefix);
        session.request.replay.add(body.readable());
        session.request.push(body, &mut self.pool);
        if assigned == Assigned::Queued {
            client.phase = Phase::Queued;
            return Flow::Wait;
        }
        client.phase = Phase::Connect;
        Flow::Again
    }

    /// Sends a rendered head, and what came of the body, over the connection just taken.
    fn send_head(&mut self, key: Key<Client>, body: Buffer) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        let Some(upstream) = session.upstream.and_then(|key| self.upstreams.get_mut(key)) else {
            self.pool.give_back(body);
            return Flow::Close(Termination::SERVER_IN_CONNECT);
        };
        client.phase = Phase::Exchange;
        client.active_ms = self.now.ms;
        session.heard_ms = (self.now.ms, self.now.ms);
        let sent = deliver(
            &mut self.net,
            &mut self.pool,
            &mut upstream.end(),
            &mut session.request,
            &mut self.bench.prefix,
            body,
        );
        match sent {
            Sent::All | Sent::Part => {}
            Sent::Failed(errno) => return self.never_sent(key, errno),
            Sent::NoBuffer => return Flow::Close(Termination::RESOURCE_IN_CONNECT),
        }
        // An answer cannot be here yet: unless there is a body to send, wait for the server's edge.
        if session.request.is_finished() && !upstream.ready.has(Readiness::READABLE) {
            return Flow::Wait;
        }
        Flow::Again
    }

    /// Gives a server to a session that has none. `Some` is what comes of it where there is none to
    /// go on to just now: it waits, or is told why.
    pub(crate) fn find_server(&mut self, key: Key<Client>) -> Option<Flow> {
        match self.assign(key) {
            Assigned::Server => None,
            Assigned::Queued => {
                if let Some(client) = self.clients.get_mut(key) {
                    client.phase = Phase::Queued;
                }
                Some(Flow::Wait)
            }
            Assigned::Full(server) => Some(self.queue_full(key, server)),
            Assigned::None => Some(self.no_server(key)),
        }
    }

    /// Chooses a server and takes a slot on it, or a place in the queue. The one that was left is
    /// taken again only if there is no other.
    fn assign(&mut self, key: Key<Client>) -> Assigned {
        let config = self.config;
        open!(self, key => client, session, else Assigned::None);
        let Some(backend) = session.backend.map(|id| config.proxy(id)) else {
            return Assigned::None;
        };
        if session.direct.is_some() || backend.dispatch.is_some() || client.kept.is_some() {
            return self.assign_bound(key, backend);
        }
        let (hash, left) = (session.hash, session.left);
        self.balance(key, backend.id, hash, left)
    }

    /// The same for a session that is bound to a server or may come back to one, or whose backend
    /// has one address only.
    fn assign_bound(&mut self, key: Key<Client>, backend: &Proxy) -> Assigned {
        open!(self, key => _client, session, else Assigned::None);
        if let Some(server) = session.direct {
            let claimed = self.claim(key, server);
            open!(self, key => _client, session, else Assigned::None);
            let goes_on = backend.redispatch != Redispatch::Off && !session.bond.forced;
            if !matches!(claimed, Assigned::Full(_)) || !goes_on {
                return claimed;
            }
            session.left = Some(server);
            self.unbind(key);
        }
        if let Some(address) = backend.dispatch {
            self.give_slot(key, address);
            return Assigned::Server;
        }
        if let Some(server) = self.last_server(key, backend) {
            return self.claim(key, server);
        }
        open!(self, key => _client, session, else Assigned::None);
        debug_assert!(session.direct.is_none(), "nothing binds it");
        let (hash, left) = (session.hash, session.left);
        self.balance(key, backend.id, hash, left)
    }

    /// The same for a session that may have any server, but `left` only if there is no other.
    fn balance(
        &mut self,
        key: Key<Client>,
        backend: ProxyId,
        hash: Option<u32>,
        left: Option<ServerId>,
    ) -> Assigned {
        let record = &mut self.proxies[backend.0 as usize];
        let members = self.roster.members(backend);
        let avoid = left.map(|server| self.roster.place(server));
        let back = &mut self.proxy_stats[backend.0 as usize].back;
        let load = Load {
            sessions: back.scur,
            full_conn: record.full_conn,
        };
        // Whoever waits already has the older right to a slot.
        let nobody_waits = record.queue.is_empty() || record.group.is_empty();
        let picked = match nobody_waits || hash.is_some() {
            true => record.group.pick(hash, avoid, |place| {
                let server = members.get(place as usize);
                server.is_none_or(|id| {
                    let server = &self.servers[id.0 as usize];
                    server.queued > 0 || server.is_full(load)
                })
            }),
            false => Picked::AllFull,
        };
        let place = match picked {
            Picked::Server(place) => place,
            Picked::AllFull => return self.enter_queue(key, backend, None),
            Picked::None => {
                back.econ += 1;
                return Assigned::None;
            }
        };
        let Some(server) = members.get(place as usize).copied() else {
            return Assigned::None;
        };
        back.lbtot += 1;
        self.server_stats[server.0 as usize].lbtot += 1;
        // A key may lead to one that is full; of the others it has been asked.
        if hash.is_some() {
            return self.claim(key, server);
        }
        self.give_slot(key, server);
        Assigned::Server
    }

    /// The server that a connection of the client's own leads to, where it is to be asked again
    /// rather than any other: `option prefer-last-server`, or it wants to know who the client is
    /// (configuration.txt 4.2). Not where balancing is by what requests have in them.
    fn last_server(&self, key: Key<Client>, backend: &Proxy) -> Option<ServerId> {
        let client = self.clients.get(key)?;
        let session = self.sessions.get(client.session?)?;
        let own = self.upstreams.get(client.kept?)?;
        let is_to = client.returns || backend.http.prefer_last;
        let may = is_to && backend.hashing.is_none() && session.left.is_none();
        let server = self.roster.server(own.server);
        let serves = || self.servers[own.server.0 as usize].usable();
        (may && server.proxy == backend.id && serves()).then_some(own.server)
    }

    /// The session holds a slot on this server from now on.
    pub(crate) fn give_slot(&mut self, key: Key<Client>, server: ServerId) {
        let now = self.now.ms;
        open!(self, key => _client, session);
        debug_assert!(!session.holds_slot, "two slots for one session");
        session.server = Some(server);
        session.holds_slot = true;
        session.txn.target = match self.roster.server(server).dispatch {
            true => Target::Dispatch(server.0),
            false => Target::Server(server.0),
        };
        if session.txn.marks.dequeued < 0 {
            session.txn.marks.dequeued = now as i64;
        }
        self.servers[server.0 as usize].served += 1;
        let stats = &mut self.server_stats[server.0 as usize];
        stats.enter(now);
        stats.lastsess = Some(now);
        if let Some(backend) = session.backend {
            let back = &mut self.proxy_stats[backend.0 as usize].back;
            back.lastsess = Some(now);
        }
        match session.left.take() {
            Some(old) if old == server => self.count_retry(server),
            Some(old) => {
                session.txn.redispatched = true;
                let backend = self.roster.server(old).proxy;
                self.server_stats[old.0 as usize].wredis += 1;
                self.proxy_stats[backend.0 as usize].back.wredis += 1;
            }
            None => {}
        }
        self.tell_load(server);
    }

    /// A server is tried once more.
    pub(crate) fn count_retry(&mut self, server: ServerId) {
        let backend = self.roster.server(server).proxy;
        self.server_stats[server.0 as usize].wretr += 1;
        self.proxy_stats[backend.0 as usize].back.wretr += 1;
    }

    /// Gives the session's slot back; somebody may be waiting for it.
    pub(crate) fn free_slot(&mut self, key: Key<Client>) {
        open!(self, key => _client, session);
        let held = std::mem::take(&mut session.holds_slot);
        if let Some(server) = session.server.filter(|_| held) {
            self.take_slot_back(server);
        }
    }

    /// A session of this server holds its slot no more.
    pub(super) fn take_slot_back(&mut self, server: ServerId) {
        let record = &mut self.servers[server.0 as usize];
        debug_assert!(record.served > 0, "a slot given back twice");
        record.served = record.served.saturating_sub(1);
        self.server_stats[server.0 as usize].leave();
        self.tell_load(server);
        self.note_freed(server);
    }

    /// Connects: an idle connection, or a new one, or again after a pause.
    pub(crate) fn reach_server(&mut self, key: Key<Client>) -> Flow {
        let now = self.now.ms;
        open!(self, key => _client, session, else Flow::Gone);
        if let Some(upstream) = session.upstream {
            return self.check_connect(key, upstream);
        }
        if session.retry_at_ms > now {
            return Flow::Wait;
        }
        session.retry_at_ms = 0;
        if session.server.is_none() {
            if let Some(flow) = self.find_server(key) {
                return flow;
            }
        } else if session.txn.http && self.take_idle(key) {
            open!(self, key => client, session, else Flow::Gone);
            client.phase = Phase::Exchange;
            // The wait in the queue is over: the server's time begins.
            client.active_ms = self.now.ms;
            session.heard_ms = (self.now.ms, self.now.ms);
            return Flow::Again;
        }
        self.open_upstream(key)
    }

    pub(crate) fn no_server(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => _client, session, else Flow::Gone);
        if session.txn.http {
            return self.answer_status(key, 503, Termination::SERVER_IN_CONNECT);
        }
        Flow::Close(Termination::SERVER_IN_CONNECT)
    }

    pub(crate) fn open_upstream(&mut self, key: Key<Client>) -> Flow {
        if self.upstreams.is_full() {
            self.close_oldest_idle();
        }
        open!(self, key => client, session, else Flow::Gone);
        let Some(server) = session.server else {
            return self.no_server(key);
        };
        let described = Arc::clone(self.roster.server(server));
        session.waiting_since_ms = self.now.ms;
        client.active_ms = self.now.ms;
        let endpoint = if described.follows_client() {
            let mut to = session.txn.rare().destination;
            if to.is_none() {
                to = destination(&mut self.net, &self.introductions, client);
                session.txn.rare_mut().destination = to;
            }
            Some(described.endpoint_for(to))
        } else {
            None
        };
        let endpoint = endpoint.as_ref().unwrap_or(&described.endpoint);
        self.server_stats[server.0 as usize].connect += 1;
        self.proxy_stats[described.proxy.0 as usize].back.connect += 1;
        let (socket, source_port) = match self.connect(&described, endpoint) {
            Ok(made) => made,
            Err(Stop::Failed(errno)) if !is_out_of_ports(errno) => {
                return self.connect_failed(key, Some(errno));
            }
            Err(stop) => return self.source_failed(key, stop),
        };
        let record = Upstream {
            socket,
            ready: Readiness::default(),
            server,
            user: Some(key),
            uses: 0,
            idle_since_ms: 0,
            connected: false,
            source_port,
            introduces: described.proxy_header,
            private: false,
        };
        let upstream = match self.upstreams.insert(record) {
            Ok(upstream) => upstream,
            Err(record) => {
                self.source_ports.close(&mut self.net, record);
                return self.connect_failed(key, Some(0));
            }
        };
        open!(self, key => _client, session, else Flow::Gone);
        session.upstream = Some(upstream);
        session.on_reused = false;
        let watched = match self.upstreams.get(upstream) {
            Some(record) => self
                .net
                .watch(&record.socket, Subject::Upstream(upstream).handle()),
            None => Err(Stop::Closed),
        };
        if watched.is_err() {
            self.drop_upstream(key);
            return self.connect_failed(key, Some(0));
        }
        if described.endpoint.is_local()
            && let Some(record) = self.upstreams.get_mut(upstream)
        {
            // Where no network lies between, the connection is made by now: look at once.
            record.ready.add(Readiness::WRITABLE);
            return Flow::Again;
        }
        Flow::Wait
    }

    /// Begins to connect. Where descriptors have run out, an idle connection gives its own.
    fn connect(
        &mut self,
        server: &crate::config::model::Server,
        endpoint: &Endpoint,
    ) -> Result<(Socket, u16), Stop> {
        match self.connect_from(server, endpoint) {
            Err(stop) if stop.is_out_of_descriptors() && self.close_oldest_idle() => {
                self.connect_from(server, endpoint)
            }
            result => result,
        }
    }

    /// The connection cannot come from where it should (`source`): told as an emergency, and tried
    /// again at once, as HAProxy does.
    fn source_failed(&mut self, key: Key<Client>, stop: Stop) -> Flow {
        use crate::log::syslog::Level;
        open!(self, key => _client, session, else Flow::Gone);
        if let Some(backend) = session.backend {
            let backend = self.config.proxy(backend);
            let name = &backend.name;
            let (level, text, more) = if matches!(stop, Stop::NoSource(_)) {
                let text = "Cannot bind to source address before connect() for backend";
                (Level::Emerg, format!("{text} {name}."), " Aborting.")
            } else {
                let text = format!("Connect() failed for backend {name}: no free ports.");
                (Level::Err, text, "")
            };
            ::log::error!("{text}{more}");
            self.journal
                .message(self.config, backend, level, &text, self.now);
        }
        let flow = self.connect_failed(key, Some(0));
        open!(self, key => _client, session, else flow);
        if session.retry_at_ms > 0 {
            session.retry_at_ms = 0;
            return Flow::Again;
        }
        flow
    }

    /// Whether a connect has ended, and how.
    fn check_connect(&mut self, key: Key<Client>, upstream: Key<Upstream>) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        let Some(record) = self.upstreams.get_mut(upstream) else {
            session.upstream = None;
            return Flow::Again;
        };
        let told = Readiness(Readiness::WRITABLE.0 | Readiness::ERROR.0);
        if !record.connected {
            if !record.ready.has(told) {
                return Flow::Wait;
            }
            match self.net.connect_result(&record.socket) {
                Ok(()) => {}
                Err(Stop::Blocked) => {
                    record.ready.clear(told);
                    return Flow::Wait;
                }
                Err(Stop::Failed(errno) | Stop::NoSource(errno)) => {
                    return self.connect_failed(key, Some(errno));
                }
                Err(Stop::Closed) => return self.connect_failed(key, Some(0)),
            }
            record.connected = true;
            record.ready.add(Readiness::WRITABLE);
        }
        record.uses += 1;
        client.active_ms = self.now.ms;
        session.heard_ms = (self.now.ms, self.now.ms);
        let http = session.txn.http;
        client.phase = if http { Phase::Exchange } else { Phase::Tunnel };
        session.txn.marks.connected = self.now.ms as i64;
        let server = record.server;
        let early = self.config.proxy(client.frontend).log_options.log_asap;
        if self.config.proxy(client.frontend).needs_destination {
            session.txn.rare_mut().backend_source = self.net.local_address(&record.socket);
        }
        let header = record.introduces;
        self.observe(server, Finding::Connected);
        if !http && early {
            self.log_early(key);
        }
        if !header.is_none() {
            self.introduce(key, header);
        }
        Flow::Again
    }

    /// The run-time records of a proxy's servers, in order.
    pub(crate) fn records_of(&self, proxy: ProxyId) -> impl Iterator<Item = &Server> {
        let members = self.roster.members(proxy).iter();
        members.map(|id| &self.servers[id.0 as usize])
    }

    /// Closes the session's server connection, if it has one.
    pub(crate) fn drop_upstream(&mut self, key: Key<Client>) {
        open!(self, key => _client, session);
        if let Some(upstream) = session.upstream.take() {
            self.close_upstream(upstream);
        }
    }

    /// Closes a server connection that no session has any more.
    pub(super) fn close_upstream(&mut self, upstream: Key<Upstream>) {
        if let Some(record) = self.upstreams.remove(upstream) {
            self.source_ports.close(&mut self.net, record);
        }
    }

    /// An edge on a server connection: its session goes on, or an idle one has ended.
    pub(crate) fn on_upstream_ready(&mut self, key: Key<Upstream>, readiness: Readiness) {
        let Some(record) = self.upstreams.get_mut(key) else {
            return;
        };
        record.ready.add(readiness);
        if let Some(user) = record.user {
            return self.drive(user);
        }
        let told = Readiness::READABLE.0 | Readiness::READ_CLOSED.0 | Readiness::ERROR.0;
        if record.ready.has(Readiness(told)) {
            self.close_idle(key);
        }
    }
}
