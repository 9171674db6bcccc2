//! What the engine knows of the runtime socket and of the services that answer requests: who asks,
//! what may be read, what may be changed.
//!
//! The engine carries bytes between a connection and a [`Service`]; `main` fills it with `admin`. A
//! command reads through [`View`] and renders its answer; it changes nothing itself but returns a
//! [`Command`], which the engine applies between two commands. An answer to a request is rendered
//! in pieces, each from a view of its own, as the client takes them.

pub use crate::balance::server::{Admin, Mode, Op, Tracked, write_status};
pub use crate::rules::applet::Applet;
pub use crate::rules::lists::{Found, List, ListChange, Lists, NewEntry, Source, Which};

use std::borrow::Cow;
use std::fmt;

use crate::balance::server::Server;
use crate::base::arena::{Arena, Key};
use crate::base::clock::Now;
use crate::config::model::{
    AccessLevel, Config, DynamicCookies, Proxy, ProxyId, Server as Described, ServerId,
};
use crate::engine::ProxyRecord;
use crate::engine::accept::{Client, RateLimits};
use crate::engine::checks::{Probe, Wish};
use crate::engine::cli::Cli;
use crate::engine::errors::Errors;
use crate::engine::idle::IdleList;
pub use crate::engine::listeners::{ListenerStats, ListenerStatus};
use crate::engine::roster::Roster;
use crate::engine::session::Sessions;
use crate::engine::stats::{Counters, ProcessStats, ProxyStats};
use crate::engine::upstream::Upstream;
use crate::log::record::Target;
use crate::rules::variables::Variables;

/// The size of a piece of an answer, bytes: a row more may be in it.
pub const PIECE: usize = 16_384;

/// The state of one runtime connection that commands see and change.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What it may do.
    pub level: AccessLevel,
    /// `prompt` has been said: the connection stays and `> ` is printed.
    pub interactive: bool,
    /// What came behind the `<<` of the command that is run.
    pub payload: Vec<u8>,
    /// `experimental-mode on`.
    pub experimental: bool,
    /// `expert-mode on`.
    pub expert: bool,
    /// `set severity-output`: how each message is marked.
    pub severity_output: SeverityOutput,
    /// Position of the stats socket among `Config::global.stats_sockets`.
    pub socket: usize,
    /// `set timeout cli`, ms.
    pub timeout_ms: u32,
}

impl Caller {
    /// One that may do everything, and is not there to read the answer.
    pub(super) fn admin() -> Self {
        Self {
            level: AccessLevel::Admin,
            interactive: false,
            payload: Vec::new(),
            experimental: false,
            expert: false,
            severity_output: SeverityOutput::None,
            socket: 0,
            timeout_ms: 0,
        }
    }
}

/// `set severity-output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeverityOutput {
    /// No mark.
    #[default]
    None,
    /// `[6]: `.
    Number,
    /// `[info]: `.
    String,
}

/// What a command may read.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The configuration, as it was read.
    pub config: &'a Config,
    /// What the servers are now.
    pub roster: &'a Roster,
    /// Run-time records, by server id.
    pub servers: &'a [Server],
    /// Health checks, by server id; `None` where a server has none.
    pub probes: &'a [Option<Probe>],
    /// The questions to agents, by server id.
    pub agents: &'a [Option<Probe>],
    /// Counters, by server id.
    pub server_stats: &'a [Counters],
    /// Messages that could not be read.
    pub errors: &'a Errors,
    /// Idle connections that any session may take, by server id.
    pub idle_lists: &'a [IdleList],
    /// The run-time halves of the proxies, by proxy id.
    pub proxies: &'a [ProxyRecord],
    /// Counters, by proxy id.
    pub proxy_stats: &'a [ProxyStats],
    /// Connections now, by listener.
    pub listener_connections: &'a [u32],
    /// Counters, by listener.
    pub listener_stats: &'a ListenerStats,
    /// Client connections.
    pub(crate) clients: &'a Arena<Client>,
    /// What is under way on them.
    pub(crate) sessions: &'a Sessions,
    /// Server connections.
    pub(crate) upstreams: &'a Arena<Upstream>,
    /// Runtime connections.
    pub(crate) clis: &'a Arena<Cli>,
    /// The limits of `set rate-limit`.
    pub rate_limits: &'a RateLimits,
    /// Variables of the whole process.
    pub variables: &'a Variables,
    /// Lists of patterns and maps as they are now.
    pub lists: &'a Lists,
    /// The buffer pool: size of one, lent, kept free.
    pub pool: (usize, usize, usize),
    /// Pipes lent and kept.
    pub tubes: (u32, u32),
    /// The process's counters.
    pub process: &'a ProcessStats,
    /// What was decided at start.
    pub limits: &'a Limits,
    /// The turn's date.
    pub now: Now,
    /// The share of the last second that the loop slept, percent.
    pub idle_percent: u8,
    /// Sessions that go on at the end of this turn.
    pub run_queue: u32,
    /// A soft stop is under way.
    pub stopping: bool,
}

impl<'a> View<'a> {
    /// Runtime connections now.
    #[must_use]
    pub fn runtime_connections(&self) -> u32 {
        u32::try_from(self.clis.len()).unwrap_or(u32::MAX)
    }

    /// Whether a server is in maintenance.
    #[must_use]
    pub fn rests(&self, server: ServerId) -> bool {
        let record = self.servers.get(server.0 as usize);
        record.is_some_and(|record| record.admin.any(Admin::MAINT))
    }

    /// Whether nothing holds a server's id: no session, no connection, idle or not.
    #[must_use]
    pub fn is_free(&self, server: ServerId) -> bool {
        let holds = |client: &Client| {
            let session = client.session.and_then(|id| self.sessions.get(id));
            session.is_some_and(|session| {
                session.server == Some(server) || session.txn.target == Target::Server(server.0)
            })
        };
        !self.clients.iter().any(|(_, client)| holds(client))
            && !self
                .upstreams
                .iter()
                .any(|(_, record)| record.server == server)
    }

    /// The run-time records of a proxy's servers, in order.
    pub fn records_of(&self, proxy: &Proxy) -> impl Iterator<Item = &'a Server> {
        let (members, servers) = (self.roster.members(proxy.id), self.servers);
        members.iter().filter_map(|id| servers.get(id.0 as usize))
    }
}

/// What the process is and may use, decided at start.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// The process's id.
    pub pid: u32,
    /// Monotonic ms and wall-clock ms of the start.
    pub started: (u64, u64),
    /// Client connections at most.
    pub maxconn: u32,
    /// Client connections at most by the file or by the descriptor limit, before any change.
    pub hard_maxconn: u32,
    /// Pipes for splicing at most; 0 when nothing is spliced.
    pub max_pipes: u32,
    /// Descriptors needed for `maxconn`.
    pub maxsock: u32,
    /// The soft limit of descriptors.
    pub descriptors: u32,
    /// `-m`, MB; 0 means none.
    pub memory_mb: u32,
    /// The host's name, or `node`.
    pub node: String,
    /// What the process said on stderr while it started.
    pub startup_logs: String,
}

/// A change that a command asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// What is wished of a server.
    Server(ServerId, Wish),
    /// `set server B/S addr|check-addr|check-port`: what it is from now on.
    Redescribe(Box<Described>),
    /// `set dynamic-cookie-key`, `enable|disable dynamic-cookie`: how a backend's are made.
    DynamicCookies(ProxyId, DynamicCookies),
    /// `add server`: a server with the id that the roster gives next, and whether it begins in
    /// maintenance.
    AddServer(Box<Described>, bool),
    /// `del server`.
    DeleteServer(ServerId),
    /// `disable frontend`: new connections are refused.
    PauseFrontend(ProxyId),
    /// `enable frontend`.
    ResumeFrontend(ProxyId),
    /// `shutdown frontend`: it stops for good.
    ShutFrontend(ProxyId),
    /// `set maxconn frontend`.
    FrontendMaxconn(ProxyId, u32),
    /// `set maxconn global`.
    GlobalMaxconn(u32),
    /// `set rate-limit`; 0 for none.
    RateLimit(RateLimit, u32),
    /// What changes a map, by its place among the files.
    List(usize, ListChange),
    /// `shutdown session`.
    ShutSession(Key<Client>),
    /// `shutdown sessions server`.
    ShutSessions(ServerId),
    /// `clear counters`: the maxima, or everything.
    ClearCounters {
        /// `all` was said.
        all: bool,
    },
}

/// What `set rate-limit` limits in the whole process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimit {
    /// Connections in a second.
    Connections,
    /// Sessions in a second.
    Sessions,
    /// TLS sessions in a second. There are none to limit.
    TlsSessions,
    /// Bytes into compression in a second. There are none to limit.
    Compression,
}

/// What becomes of a command.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is answered.
    Done,
    /// It is answered, and this is to be applied before the next command.
    Apply(Command),
    /// `quit`: end the connection after what was written.
    Quit,
}

/// A request that a service answers.
#[derive(Clone, Copy, Debug)]
pub struct Inquiry<'a> {
    /// Who answers.
    pub applet: Applet,
    /// The proxy whose lines led here.
    pub proxy: ProxyId,
    /// The request's target, rules' changes included.
    pub target: &'a [u8],
    /// The body of a POST.
    pub body: Posted<'a>,
    /// The client may change things (`stats admin`).
    pub admin: bool,
}

/// The body of a request that a service answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted<'a> {
    /// The request is no POST.
    Not,
    /// All of it.
    Whole(&'a [u8]),
    /// It is longer than a buffer.
    TooLong,
}

/// How a service answers a request.
#[derive(Debug)]
pub struct Opened<P> {
    /// The status.
    pub status: u16,
    /// The fields of the head, in order. How the body ends is the engine's to say.
    pub fields: Vec<(&'static str, Cow<'static, str>)>,
    /// What renders the body; `None` when there is none.
    pub page: Option<P>,
    /// What is to be changed before the client hears of it.
    pub commands: Vec<Command>,
}

impl<P> Opened<P> {
    /// An answer without content.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            fields: vec![("content-length", Cow::Borrowed("0"))],
            page: None,
            commands: Vec::new(),
        }
    }

    /// No answer of the service's own: the built-in one for this status.
    #[must_use]
    pub fn refused(status: u16) -> Self {
        Self {
            status,
            fields: Vec::new(),
            page: None,
            commands: Vec::new(),
        }
    }

    /// True for [`Opened::refused`].
    pub(crate) fn is_refused(&self) -> bool {
        self.fields.is_empty() && self.page.is_none()
    }

    /// The same answer as a kind of another service's.
    pub fn map<Q>(self, wrap: impl FnOnce(P) -> Q) -> Opened<Q> {
        Opened {
            status: self.status,
            fields: self.fields,
            page: self.page.map(wrap),
            commands: self.commands,
        }
    }
}

/// The commands of the runtime socket, and the answers to requests.
pub trait Service {
    /// An answer under way: what is to be rendered and how far that is.
    type Page: fmt::Debug;

    /// Runs one command (without its newline), appending the answer to `out`, the empty line that
    /// ends it included. Never fails: what cannot be done is said in `out`.
    fn run(
        &mut self,
        command: &[u8],
        caller: &mut Caller,
        view: &View<'_>,
        out: &mut Vec<u8>,
    ) -> Outcome;

    /// Decides the answer to a request.
    fn open(&mut self, asked: &Inquiry<'_>, view: &View<'_>) -> Opened<Self::Page>;

    /// Appends the next piece of an answer, of about [`PIECE`] bytes; true while more is to come.
    /// Between two pieces the engine has moved on: what is gone by then is left out.
    fn fill(&mut self, page: &mut Self::Page, view: &View<'_>, out: &mut Vec<u8>) -> bool;
}
