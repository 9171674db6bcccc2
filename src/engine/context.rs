//! What rules and log lines may read of a session, and the memory that one step works in.
//!
//! [`Facts`] is a session without its messages; [`Looking`] adds the heads that are at hand. Both
//! borrow from the engine for the length of one call. [`Bench`] is the engine-wide memory of a
//! step: nothing in it is needed after a wait.

use super::introduction::Introductions;
use super::relay::JOINED_MAX;
use super::roster::Roster;
use super::service::Limits;
use super::stats::{Counters, ProxyStats};
use crate::balance::server::Server;
use crate::base::addr::Address;
use crate::base::buffer::Buffer;
use crate::base::clock::Now;
use crate::config::model::{Config, ProxyId, ServerId};
use crate::http::head::{self, Head, Limits as HeadLimits, Parsed, Progress};
use crate::http::rewrite::{Edits, Message};
use crate::log::record::{NO_ID, Target, Txn};
use crate::rules::fetch::Scratch;
use crate::rules::format::{Field, Value};
use crate::rules::lists::Lists;
use crate::rules::{Context, Inspected};

/// The memory of one step, reserved once.
#[derive(Debug)]
pub struct Bench {
    /// The head just parsed.
    pub head: Head,
    /// What the rules change in it.
    pub edits: Edits,
    /// What evaluation remembers.
    pub scratch: Scratch,
    /// What is sent before a body: a head, where it is rendered, or the first line of a chunk.
    pub prefix: Vec<u8>,
    /// Head and body of an answer that a rule makes.
    pub answer: (Vec<u8>, Vec<u8>),
    /// Short texts (an address, a name).
    pub text: Vec<u8>,
    /// The bounds of a head that comes.
    pub limits: HeadLimits,
    /// Bytes that a head may have that leaves.
    pub head_max: usize,
    /// The request that the first bytes of a TCP session are, for rules that ask for one.
    pub seen: Seen,
}

/// A copy of what a TCP session begins with, where that is a request whose head is on the bench.
#[derive(Debug, Default)]
pub struct Seen(Vec<u8>);

/// What is at hand of what a client has sent.
#[derive(Clone, Copy)]
pub(crate) enum Sight<'b> {
    /// It begins with the head on the bench.
    Request(&'b Buffer),
    /// The first bytes of a TCP session, as the bench has seen them.
    Bytes(&'b [u8]),
}

impl<'b> Sight<'b> {
    /// The request, if it is one.
    pub(crate) fn request<'a>(
        self,
        head: &'a Head,
        edits: &'a Edits,
        seen: &'a Seen,
    ) -> Option<Message<'a>>
    where
        'b: 'a,
    {
        match self {
            Self::Request(buffer) => Some(Message::new(buffer.readable(), head, edits)),
            Self::Bytes(_) => (!seen.0.is_empty()).then(|| Message::new(&seen.0, head, edits)),
        }
    }

    /// The buffer that begins with a request.
    pub(crate) fn buffer(self) -> Option<&'b Buffer> {
        match self {
            Self::Request(buffer) => Some(buffer),
            Self::Bytes(_) => None,
        }
    }

    /// What rules find of it that nothing more is waited for.
    pub(crate) fn inspected(self) -> Option<Inspected<'b>> {
        match self {
            Self::Request(_) => None,
            Self::Bytes(bytes) => Some(Inspected {
                bytes: Some(bytes),
                most: usize::MAX,
                is_final: true,
                may_be_http: false,
            }),
        }
    }
}

impl Bench {
    /// Memory for the sizes of a configuration.
    pub fn new(config: &Config) -> Self {
        let global = &config.global;
        let size = (global.buffer_size + global.max_rewrite.max(1024)) as usize;
        Self {
            head: Head::new(usize::from(global.max_headers)),
            edits: Edits::new(usize::from(global.max_headers), size),
            scratch: Scratch::default(),
            prefix: Vec::with_capacity(size + JOINED_MAX),
            answer: (Vec::with_capacity(1024), Vec::with_capacity(1024)),
            text: Vec::with_capacity(256),
            limits: HeadLimits {
                bytes_max: global.buffer_size.saturating_sub(global.max_rewrite),
                lenient: false,
            },
            head_max: size,
            seen: Seen::default(),
        }
    }

    /// Reads the first bytes of a TCP session as a request where that is `wanted`; tells whether
    /// they may still become one.
    pub(crate) fn look_for_request(&mut self, bytes: &[u8], lenient: bool, wanted: bool) -> bool {
        let seen = &mut self.seen.0;
        seen.clear();
        if !wanted {
            return false;
        }
        seen.extend_from_slice(bytes);
        self.edits.clear();
        let limits = HeadLimits {
            lenient,
            ..self.limits
        };
        let parsed = head::request(seen, &mut Progress::default(), &mut self.head, &limits);
        if parsed != Parsed::Complete {
            seen.clear();
        }
        parsed == Parsed::Partial
    }
}

/// A session without its messages.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    pub(crate) config: &'a Config,
    pub(crate) roster: &'a Roster,
    pub(crate) txn: &'a Txn,
    pub(crate) requests: u32,
    pub(crate) now: Now,
    pub(crate) limits: &'a Limits,
    pub(crate) proxy_stats: &'a [ProxyStats],
    pub(crate) servers: &'a [Server],
    pub(crate) server_stats: &'a [Counters],
    pub(crate) letters: ([u8; 4], usize),
    pub(crate) lists: &'a Lists,
    pub(crate) introductions: &'a Introductions,
    /// What has come of a session that is inspected.
    pub(crate) inspected: Option<Inspected<'a>>,
}

/// Borrows the [`Facts`] of a session from the engine's fields, so that others stay free.
macro_rules! facts {
    ($engine:ident, $session:expr, $requests:expr) => {
        $crate::engine::context::Facts {
            config: $engine.config,
            roster: &$engine.roster,
            txn: &$session.txn,
            requests: $requests,
            now: $engine.now,
            limits: &$engine.limits,
            proxy_stats: &$engine.proxy_stats,
            servers: &$engine.servers,
            server_stats: &$engine.server_stats,
            letters: $crate::engine::journal::letters(&$session.txn),
            lists: &$engine.lists,
            introductions: &$engine.introductions,
            inspected: None,
        }
    };
}
pub(crate) use facts;

impl<'a> Facts<'a> {
    fn frontend(&self) -> &'a crate::config::model::Proxy {
        self.config.proxy(ProxyId(self.txn.frontend))
    }

    fn backend(&self) -> &'a crate::config::model::Proxy {
        let id = if self.txn.backend == NO_ID {
            self.txn.frontend
        } else {
            self.txn.backend
        };
        self.config.proxy(ProxyId(id))
    }

    fn server(&self) -> Option<&'a crate::config::model::Server> {
        match self.txn.target {
            Target::Server(id) => Some(&**self.roster.server(ServerId(id))),
            _ => None,
        }
    }

    /// The server, or the address of `dispatch`.
    fn destination_server(&self) -> Option<&'a crate::config::model::Server> {
        match self.txn.target {
            Target::Dispatch(id) => Some(&**self.roster.server(ServerId(id))),
            _ => self.server(),
        }
    }

    fn front_of(&self, id: u32) -> Option<&'a Counters> {
        self.proxy_stats.get(id as usize).map(|stats| &stats.front)
    }

    fn back_of(&self, id: u32) -> Option<&'a Counters> {
        self.proxy_stats.get(id as usize).map(|stats| &stats.back)
    }

    fn servers_of(&self, id: u32) -> impl Iterator<Item = &'a Server> {
        let (members, servers) = (self.roster.members(ProxyId(id)), self.servers);
        members.iter().filter_map(|id| servers.get(id.0 as usize))
    }

    /// Who waits for a backend or for one of its servers.
    fn queued(&self, id: u32) -> Option<u32> {
        let own = self.proxy_stats.get(id as usize)?.queued;
        let servers = self.servers_of(id).map(|server| server.queued);
        Some(servers.fold(own, u32::saturating_add))
    }

    fn usable(&self, id: u32) -> i64 {
        let usable = || self.servers_of(id).filter(|s| s.usable());
        let active = usable().filter(|s| !s.backup).count();
        let backup = usable().filter(|s| s.backup).count();
        (if active > 0 { active } else { backup }) as i64
    }

    fn slots(&self, id: u32) -> i64 {
        let mut slots = 0;
        for server in self.servers_of(id).filter(|s| s.usable()) {
            if server.maxconn == 0 || server.maxqueue == 0 {
                return -1;
            }
            slots += i64::from(server.maxconn) - i64::from(server.served);
            slots += i64::from(server.maxqueue) - i64::from(server.queued);
        }
        slots
    }
}

fn known(value: Option<u32>) -> Value<'static> {
    value.map_or(Value::Missing, |n| Value::Int(i64::from(n)))
}

fn text(bytes: &[u8]) -> Value<'_> {
    if bytes.is_empty() {
        Value::Missing
    } else {
        Value::Bytes(bytes)
    }
}

fn flagged(n: i64, partial: bool) -> Value<'static> {
    if partial {
        Value::Partial(n)
    } else {
        Value::Int(n)
    }
}

impl Context for Facts<'_> {
    fn request(&self) -> Option<Message<'_>> {
        None
    }

    fn response(&self) -> Option<Message<'_>> {
        None
    }

    fn source(&self) -> Address {
        self.txn.source
    }

    fn destination(&self) -> Address {
        self.txn.rare().destination
    }

    fn now(&self) -> Now {
        self.now
    }

    fn changed(&self) -> Option<&Lists> {
        self.lists.changed()
    }

    fn inspected(&self) -> Option<Inspected<'_>> {
        self.inspected
    }

    fn field(&self, field: Field) -> Value<'_> {
        let txn = self.txn;
        let offset = self.now.utc_offset_s;
        match field {
            Field::Client => Value::Address(txn.source),
            Field::Frontend => Value::Address(txn.rare().destination),
            Field::ConnectionSource => {
                let introduction = self.introductions.of_session(txn);
                Value::Address(introduction.map_or(txn.source, |known| known.source()))
            }
            Field::ConnectionDestination => {
                let introduction = self.introductions.of_session(txn);
                let destination = txn.rare().destination;
                Value::Address(introduction.map_or(destination, |known| known.local()))
            }
            Field::IsIntroduced => {
                let introduction = self.introductions.of_session(txn);
                Value::Int(i64::from(
                    introduction.is_some_and(|known| known.is_whole()),
                ))
            }
            Field::Authority => {
                let introduction = self.introductions.of_session(txn);
                text(introduction.map_or(&[], |known| known.authority()))
            }
            Field::ConnectionId => {
                let introduction = self.introductions.of_session(txn);
                text(introduction.map_or(&[], |known| known.unique_id()))
            }
            Field::ConnectionError => Value::Int(i64::from(txn.connection_error)),
            Field::BackendSource => Value::Address(txn.rare().backend_source),
            Field::Server => Value::Address(
                self.destination_server()
                    .map_or(Address::None, |server| server.endpoint.address()),
            ),
            Field::FrontendName => Value::Bytes(self.frontend().name.as_bytes()),
            Field::BackendName => Value::Bytes(self.backend().name.as_bytes()),
            Field::ServerName => Value::Bytes(match txn.target {
                Target::None | Target::Dispatch(_) => b"<NOSRV>",
                Target::Stats => b"<STATS>",
                Target::Prometheus => b"<PROMEX>",
                Target::Server(id) => self.roster.server(ServerId(id)).name.as_bytes(),
            }),
            Field::FrontendTransport => Value::Bytes(if txn.encrypted { b"~" } else { b"" }),
            Field::Hostname => Value::Bytes(self.limits.node.as_bytes()),
            Field::RequestLine => text(&txn.request_line),
            Field::Status => Value::Int(match (txn.status, txn.connection_error) {
                (0, 0) => -1,
                (status, _) => i64::from(status),
            }),
            Field::BytesRead => flagged(txn.bytes_read as i64, txn.early),
            Field::BytesUploaded => Value::Int(txn.bytes_uploaded as i64),
            Field::RequestCookie => text(&txn.rare().request_cookie_text),
            Field::ResponseCookie => text(&txn.rare().response_cookie_text),
            Field::UniqueId => text(&txn.rare().unique_id),
            Field::AcceptDate => Value::Date {
                wall_ms: txn.accept_date_ms,
                utc_offset_s: offset,
            },
            Field::RequestDate => Value::Date {
                wall_ms: txn.request_date_ms,
                utc_offset_s: offset,
            },
            Field::TimeHandshake => Value::Int(txn.timer_handshake()),
            Field::TimeIdle => Value::Int(txn.timer_idle()),
            Field::TimeRequest => Value::Int(txn.timer_request()),
            Field::TimeQuery => Value::Int(txn.timer_total_request()),
            Field::TimeQueue => Value::Int(txn.timer_queue()),
            Field::TimeConnect => Value::Int(txn.timer_connect()),
            Field::TimeResponse => Value::Int(txn.timer_response()),
            Field::TimeData => Value::Int(txn.timer_data()),
            Field::TimeActive => flagged(txn.timer_active(), txn.early),
            Field::TimeTotal => flagged(txn.timer_total(), txn.early),
            Field::TimeUser => flagged(txn.timer_user(), txn.early),
            Field::Termination => {
                Value::Bytes(self.letters.0.get(..self.letters.1).unwrap_or_default())
            }
            Field::ActiveConnections => Value::Int(i64::from(txn.counters.actconn)),
            Field::FrontendConnections => Value::Int(i64::from(txn.counters.feconn)),
            Field::BackendConnections => Value::Int(i64::from(txn.counters.beconn)),
            Field::ServerConnections => Value::Int(i64::from(txn.counters.srv_conn)),
            Field::PriorityClass => Value::Int(txn.priority.class.into()),
            Field::PriorityOffset => Value::Int(txn.priority.offset_ms.into()),
            Field::Retries => flagged(i64::from(txn.retries), txn.redispatched),
            Field::ServerQueue => Value::Int(i64::from(txn.counters.srv_queue)),
            Field::BackendQueue => Value::Int(i64::from(txn.counters.backend_queue)),
            Field::LogCounter => Value::Int(txn.log_count as i64),
            Field::RequestCounter => Value::Int(txn.request_count as i64),
            Field::Pid => Value::Int(i64::from(self.limits.pid)),
            Field::RequestCaptures => Value::Int(txn.rare().request_captures.len() as i64),
            Field::RequestCapture(slot) => txn
                .rare()
                .request_captures
                .get(usize::from(slot))
                .map_or(Value::Missing, Value::Bytes),
            Field::ResponseCaptures => Value::Int(txn.rare().response_captures.len() as i64),
            Field::ResponseCapture(slot) => txn
                .rare()
                .response_captures
                .get(usize::from(slot))
                .map_or(Value::Missing, Value::Bytes),
            Field::ResponseVersion => match txn.response_minor {
                Some(0) => Value::Bytes(b"HTTP/1.0"),
                Some(_) => Value::Bytes(b"HTTP/1.1"),
                None => Value::Missing,
            },
            Field::FrontendId => Value::Int(i64::from(self.frontend().number)),
            Field::BackendId => Value::Int(i64::from(self.backend().number)),
            Field::ServerId => known(self.server().map(|server| server.number)),
            Field::DefaultBackend => match self.frontend().default_backend {
                Some(id) => Value::Bytes(self.config.proxy(id).name.as_bytes()),
                None => Value::Missing,
            },
            Field::ListenerId => known(
                self.config
                    .listeners
                    .get(txn.listener as usize)
                    .map(|l| l.number),
            ),
            Field::ListenerName => self
                .config
                .listeners
                .get(txn.listener as usize)
                .and_then(|l| l.name.as_ref())
                .map_or(Value::Missing, |name| Value::Bytes(name.as_bytes())),
            Field::FirstRequest => Value::Int(i64::from(self.requests <= 1)),
            Field::ConnectionsOfFrontend(id) => known(self.front_of(id).map(|c| c.scur)),
            Field::ConnectionsOfBackend(id) => known(self.back_of(id).map(|c| c.scur)),
            Field::UsableServers(id) => Value::Int(self.usable(id)),
            Field::ConnectionSlots(id) => Value::Int(self.slots(id)),
            Field::Queue(id) => known(self.queued(id)),
            Field::BackendRate(id) => known(self.back_of(id).map(|c| c.rate.read(self.now.ms))),
            Field::FrontendRate(id) => known(self.front_of(id).map(|c| c.rate.read(self.now.ms))),
            Field::RequestRate(id) => {
                known(self.front_of(id).map(|c| c.req_rate.read(self.now.ms)))
            }
            Field::ServerIsUp(id) => {
                known(self.servers.get(id as usize).map(|s| u32::from(s.usable())))
            }
            Field::ConnectionsOfServer(id) => {
                known(self.server_stats.get(id as usize).map(|c| c.scur))
            }
            Field::QueueOfServer(id) => known(self.servers.get(id as usize).map(|s| s.queued)),
            Field::WeightOfServer(id) => known(
                self.servers
                    .get(id as usize)
                    .map(|s| u32::from(s.effective_weight())),
            ),
        }
    }
}

/// A session with the heads that are at hand.
pub struct Looking<'a> {
    pub(crate) facts: &'a Facts<'a>,
    pub(crate) request: Option<Message<'a>>,
    pub(crate) response: Option<Message<'a>>,
}

impl Context for Looking<'_> {
    fn request(&self) -> Option<Message<'_>> {
        self.request
    }

    fn response(&self) -> Option<Message<'_>> {
        self.response
    }

    fn source(&self) -> Address {
        self.facts.source()
    }

    fn destination(&self) -> Address {
        self.facts.destination()
    }

    fn field(&self, field: Field) -> Value<'_> {
        self.facts.field(field)
    }

    fn now(&self) -> Now {
        self.facts.now
    }

    fn changed(&self) -> Option<&Lists> {
        self.facts.changed()
    }

    fn inspected(&self) -> Option<Inspected<'_>> {
        self.facts.inspected
    }
}
