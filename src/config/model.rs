//! The immutable configuration: plain data, ids instead of names.
//!
//! weights) lives in the engine, indexed by the same ids. A proxy may be a frontend, a backend or
//! both (`listen`), as in HAProxy; ids follow the order of declaration, so that `show stat` and
//! `show servers state` print in the order of the file.
//!
//! Times are in milliseconds, sizes in bytes. `Option<u32>` for a time means "not set", which
//! HAProxy treats as "no limit" (or falls back to another timeout, as each field says).

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

pub use self::content::Content;
pub use self::health::{Agent, Check, Observe, OnError};
pub use self::persist::{
    Capture, Cookie, CookieMode, DynamicCookies, PersistRule, Persistence, ServerChoice,
    ServerTarget, twins,
};
pub use self::retry::{Failure, Redispatch, RetryOn};
pub use self::statistics::{Access, Statistics, StatisticsRule};
use crate::balance::key::Hashing;
pub use crate::balance::pick::Algorithm;
use crate::balance::server::{Admin, AgentWord, Initial, Observed, Op};
use crate::base::addr::{Address, Endpoint};
use crate::base::outgoing::{Incoming, Outgoing};
use crate::base::proxy_header::Form;
use crate::check::conversation::Script;
use crate::check::probe::Status;
use crate::check::state::Verdict;
use crate::http::reply::Reply;
use crate::log::syslog::Framing;
use crate::rules::action::{RequestRule, ResponseRule};
use crate::rules::condition::{Acl, Condition};
use crate::rules::connection::ConnectionRule;
use crate::rules::format::Format;
use crate::rules::lists::List;
use crate::rules::plan::{Conditional, Group, Rules};

mod content;
mod health;
mod persist;
mod retry;
mod statistics;

/// Index into [`Config::proxies`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProxyId(pub u32);

/// Index into [`Config::servers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(pub u32);

/// Where something stands in the configuration, as messages print it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name as given on the command line.
    pub file: Arc<str>,
    /// The line, counted from 1.
    pub line: u32,
}

/// All that a file said and what it means.
#[derive(Debug)]
pub struct Config {
    /// Process-wide settings.
    pub global: Global,
    /// Every `frontend`, `backend` and `listen`, in the order of the files.
    pub proxies: Vec<Proxy>,
    /// Every server of every proxy; those of one proxy are adjacent. Behind them the addresses of
    /// `dispatch` lines.
    pub servers: Vec<Server>,
    /// Every listening address, in order; those of one proxy are adjacent.
    pub listeners: Vec<Listener>,
    /// Every ACL, named or anonymous; conditions hold indexes into this table.
    pub acls: Vec<Acl>,
    /// The lists of patterns that ACLs compare with, and the maps that rules look up in.
    pub lists: Vec<List>,
    /// The groups of rules that are found by what ACLs compare with (`rules::plan`).
    pub groups: Vec<Rc<Group>>,
    /// Servers that rules speak of (`srv_is_up(b/s)`).
    pub named_servers: Vec<ServerId>,
}

/// The `global` section (configuration.txt 3).
#[derive(Debug)]
pub struct Global {
    /// `log` lines, in order; proxies refer to them with `log global`.
    pub logs: Vec<LogTarget>,
    /// `log-tag`, `haproxy` by default.
    pub log_tag: String,
    /// `log-send-hostname`: the name to send, when asked for.
    pub log_hostname: Option<String>,
    /// `chroot`, with the line that asked for it.
    pub chroot: Option<(String, Place)>,
    /// The `maxconn` or `ulimit-n` line that asks for descriptors, as written.
    pub limit_asked: Option<(String, Place)>,
    /// `user` or `uid`: the numeric id, the name as written, and the line.
    pub user: Option<(u32, String, Place)>,
    /// `group` or `gid`.
    pub group: Option<(u32, String, Place)>,
    /// `daemon` (or `-D`).
    pub daemon: bool,
    /// `pidfile` (or `-p`).
    pub pid_file: Option<String>,
    /// `maxconn` as said by the file or `-n`; worked out from the descriptor limit when absent.
    pub maxconn: Option<u32>,
    /// `ulimit-n`.
    pub descriptors_max: Option<u32>,
    /// `hard-stop-after`, ms.
    pub hard_stop_after: Option<u32>,
    /// `spread-checks`, percent, 0 to 50.
    pub spread_checks: u8,
    /// `stats socket` lines.
    pub stats_sockets: Vec<StatsSocket>,
    /// `stats timeout`, ms; 10 s by default.
    pub stats_timeout: u32,
    /// `stats maxconn`; 10 by default.
    pub stats_maxconn: u32,
    /// `tune.bufsize`; 16384 by default.
    pub buffer_size: u32,
    /// `tune.maxrewrite`; 1024 by default.
    pub max_rewrite: u32,
    /// `tune.http.maxhdr`; 101 by default.
    pub max_headers: u16,
    /// `tune.maxaccept`; 4 by default.
    pub max_accept: u32,
    /// `maxpipes`; a quarter of `maxconn` by default.
    pub max_pipes: Option<u32>,
    /// `tune.pipesize`, bytes; 0 when it is not said.
    pub pipe_size: u32,
    /// `nosplice` (or `-dS`).
    pub no_splice: bool,
    /// `tune.http.logurilen`; 1024 by default.
    pub log_line_max: u32,
    /// `node`.
    pub node: Option<String>,
    /// `description`.
    pub description: Option<String>,
    /// `setenv` and its kin have acted on the environment while parsing; the final values that
    /// `show env` prints, in order.
    pub environment: Vec<(String, String)>,
    /// `zero-warning` (or `-dW`).
    pub zero_warning: bool,
    /// `set-dumpable`: a crash leaves a core.
    pub dumpable: bool,
    /// `master-worker`: a master starts and follows the process that serves.
    pub master_worker: bool,
    /// `master-worker no-exit-on-failure`: the master outlives a worker that failed.
    pub failure_is_survived: bool,
    /// `mworker-max-reloads`: reloads that a worker may outlive.
    pub reloads_max: Option<u32>,
    /// `quiet` (or `-q`).
    pub quiet: bool,
    /// `no strict-limits` clears it.
    pub strict_limits: bool,
    /// `insecure-fork-wanted`: processes may be made while the service runs.
    pub forks: bool,
    /// `insecure-setuid-wanted`: programs that are run may gain privileges.
    pub gains_privileges: bool,
}

/// `stats socket PATH ...` (configuration.txt 3.1 "stats socket").
#[derive(Clone, Debug)]
pub struct StatsSocket {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// `mode`, octal as given; the process's umask decides when absent.
    pub mode: Option<u32>,
    /// `user`/`uid` of the socket's file.
    pub uid: Option<u32>,
    /// `group`/`gid` of the socket's file.
    pub gid: Option<u32>,
    /// `level`, operator by default.
    pub level: AccessLevel,
    /// `expose-fd listeners`.
    pub expose_listeners: bool,
    /// `defer-accept`.
    pub defer_accept: bool,
    /// Its line.
    pub place: Place,
}

/// What a runtime connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccessLevel {
    /// Read-only, non-sensitive.
    User,
    /// Read all and clear non-critical counters: the default.
    Operator,
    /// Everything.
    Admin,
}

/// One `log` line.
#[derive(Clone, Debug)]
pub struct LogTarget {
    /// Where messages go.
    pub to: LogAddress,
    /// Format, facility, levels and length.
    pub framing: Framing,
    /// Its line.
    pub place: Place,
}

/// The address of a [`LogTarget`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogAddress {
    /// A unix datagram socket or a UDP address.
    Datagram(Endpoint),
    /// `stdout`.
    Stdout,
    /// `stderr`.
    Stderr,
    /// `fd@N`.
    Fd(i32),
}

/// `mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `mode tcp`.
    Tcp,
    /// `mode http`.
    Http,
}

/// The timeouts of a proxy, ms (configuration.txt 4.2 "timeout ...").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// `timeout client`.
    pub client: Option<u32>,
    /// `timeout client-fin`; `client` when absent.
    pub client_fin: Option<u32>,
    /// `timeout connect`.
    pub connect: Option<u32>,
    /// `timeout server`.
    pub server: Option<u32>,
    /// `timeout server-fin`; `server` when absent.
    pub server_fin: Option<u32>,
    /// `timeout http-request`; `client` bounds the wait when absent.
    pub http_request: Option<u32>,
    /// `timeout http-keep-alive`; `http_request`, then `client`, when absent.
    pub http_keep_alive: Option<u32>,
    /// `timeout queue`; `connect` when absent.
    pub queue: Option<u32>,
    /// `timeout check`; `connect`, then the check's interval, when absent.
    pub check: Option<u32>,
    /// `timeout tunnel`; `client` and `server` when absent.
    pub tunnel: Option<u32>,
}

/// How the HTTP connections of a proxy are kept (`option httpclose` and its kin).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpConnection {
    /// `option http-keep-alive`, the default.
    #[default]
    KeepAlive,
    /// `option http-server-close`.
    ServerClose,
    /// `option httpclose`.
    Close,
}

/// `http-reuse`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reuse {
    /// A server connection serves one client connection only.
    Never,
    /// First requests go only over connections proven by an earlier reuse: the default.
    #[default]
    Safe,
    /// As safe, but first requests take any connection that was reused at least once.
    Aggressive,
    /// Any idle connection serves any request.
    Always,
}

/// `option forwardfor [except NET] [header NAME] [if-none]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardFor {
    /// The field's name, `X-Forwarded-For` by default.
    pub header: String,
    /// A source network for which nothing is added.
    pub except: Option<Network>,
    /// Only when the request has no such field.
    pub if_none: bool,
}

/// An address and a prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The network's address.
    pub address: std::net::IpAddr,
    /// Leading bits that count.
    pub prefix: u8,
}

/// Log-related options of a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// `option dontlognull`.
    pub dont_log_null: bool,
    /// `option dontlog-normal`.
    pub dont_log_normal: bool,
    /// `option logasap`.
    pub log_asap: bool,
    /// `option log-health-checks`.
    pub health_checks: bool,
    /// `option log-separate-errors`.
    pub separate_errors: bool,
}

/// The names of requests (configuration.txt 4.2 "unique-id-format").
#[derive(Debug)]
pub struct UniqueId {
    /// What the name is made of.
    pub format: Format,
    /// `unique-id-header`: the field that tells the server of it.
    pub header: Option<Box<[u8]>>,
}

/// The line of a connection that was refused (configuration.txt 8.2.5).
#[derive(Debug, Default)]
pub enum ErrorLine {
    /// None: the proxy has no format for its log.
    #[default]
    None,
    /// HAProxy's own.
    Plain,
    /// `error-log-format`.
    Format(Format),
}

/// `use_backend TARGET [if|unless CONDITION]`.
#[derive(Debug)]
pub struct Switch {
    /// Where to.
    pub target: SwitchTarget,
    /// When; always if absent.
    pub condition: Option<Condition>,
    /// Its line.
    pub place: Place,
}

impl Conditional for Switch {
    fn condition(&self) -> Option<&Condition> {
        self.condition.as_ref()
    }
}

/// The target of a [`Switch`].
#[derive(Debug)]
pub enum SwitchTarget {
    /// A name known at load.
    Backend(ProxyId),
    /// A name made per request; an unknown one goes on to `default_backend`.
    Dynamic(Format),
}

/// A `frontend`, `backend` or `listen` section after inheritance.
#[derive(Debug)]
pub struct Proxy {
    /// Its own id.
    pub id: ProxyId,
    /// The number that the CSV calls `iid` (`id N`, else given by position from 2 on).
    pub number: u32,
    /// It was asked for.
    pub forced_number: bool,
    /// Its name.
    pub name: String,
    /// Its section line.
    pub place: Place,
    /// It may accept: `frontend` or `listen`.
    pub is_frontend: bool,
    /// It may have servers: `backend` or `listen`.
    pub is_backend: bool,
    /// `disabled`.
    pub disabled: bool,
    /// `mode`.
    pub mode: Mode,
    /// `description`.
    pub description: Option<String>,
    /// Its listeners in [`Config::listeners`].
    pub listeners: Range<u32>,
    /// Its servers in [`Config::servers`].
    pub servers: Range<u32>,
    /// `maxconn` of a frontend; the global value when absent.
    pub maxconn: Option<u32>,
    /// `rate-limit sessions` of a frontend: so many a second at most.
    pub session_rate: Option<u32>,
    /// `fullconn` of a backend: a tenth of the sum of the frontends' maxconn when absent.
    pub full_conn: Option<u32>,
    /// `backlog`.
    pub backlog: Option<u32>,
    /// Its timeouts.
    pub timeouts: Timeouts,
    /// Log targets, `log global` already replaced by the global ones.
    pub logs: Vec<LogTarget>,
    /// `log-tag`.
    pub log_tag: Option<String>,
    /// The line that a finished session writes, when there is a target to write it to.
    pub log_format: Option<Format>,
    /// The log options.
    pub log_options: LogOptions,
    /// `unique-id-format`: how each request, or TCP session, is named.
    pub unique_id: Option<Box<UniqueId>>,
    /// The line of a connection that was refused before it became a session.
    pub error_line: ErrorLine,
    /// `option forwardfor`.
    pub forward_for: Option<ForwardFor>,
    /// `option httpclose` and its kin.
    pub http_connection: HttpConnection,
    /// `http-reuse`.
    pub reuse: Reuse,
    /// `option abortonclose`.
    pub abort_on_close: bool,
    /// `option independent-streams`: what is sent to a side does not show that it is there.
    pub independent_streams: bool,
    /// `option contstats`: bytes are counted as they pass, and not at the end of their session.
    pub continuous_stats: bool,
    /// Options of HTTP that are on or off.
    pub http: HttpOptions,
    /// `option accept-invalid-http-request` and `-response`.
    pub accept_invalid: AcceptInvalid,
    /// `option splice-auto`, `splice-request`, `splice-response`.
    pub splicing: Splicing,
    /// `retries`; 3 by default.
    pub retries: u32,
    /// `retry-on`: after which failures a request is tried again; in TCP mode after a connection
    /// that could not be made.
    pub retry_on: RetryOn,
    /// `option redispatch`.
    pub redispatch: Redispatch,
    /// What binds clients to servers.
    pub persistence: Persistence,
    /// `capture cookie`.
    pub capture: Option<Capture>,
    /// `balance`.
    pub algorithm: Algorithm,
    /// What a server is chosen by under `balance source`, `uri`, `url_param`, `hdr` and `hash`.
    pub hashing: Option<Box<Hashing>>,
    /// `hash-balance-factor`, percent of the average load; 0 for no bound.
    pub hash_factor: u32,
    /// `option allbackups`.
    pub all_backups: bool,
    /// `dispatch`: where sessions go that are bound to no server, instead of being balanced. It is
    /// no server of this backend to anybody who asks.
    pub dispatch: Option<ServerId>,
    /// What the checks of its servers say and expect.
    pub script: Script,
    /// `monitor-uri`.
    pub monitor_uri: Option<String>,
    /// `stats ...`: requests for the statistics are answered here.
    pub stats: Option<Box<Statistics>>,
    /// `errorfile`s, by status.
    pub error_files: Vec<(u16, Arc<Reply>)>,
    /// `tcp-request connection` rules in order.
    pub connection_rules: Vec<ConnectionRule>,
    /// `tcp-request content` rules.
    pub content: Content,
    /// `http-request` rules in order.
    pub http_request: Rules<RequestRule>,
    /// `redirect` rules, which run after those and after the look for the statistics.
    pub redirects: Rules<RequestRule>,
    /// `http-response` rules in order.
    pub http_response: Rules<ResponseRule>,
    /// `use_backend` rules in order.
    pub switches: Rules<Switch>,
    /// `default_backend`; a `listen` is its own when absent.
    pub default_backend: Option<ProxyId>,
    /// Something of this proxy (rule or log format) reads the client connection's destination
    /// address, so that it is worth a system call where the listener does not tell it.
    pub needs_destination: bool,
    /// What its lines say of the connections to its servers: `source`, `option srvtcpka`...
    pub outgoing: Outgoing,
    /// `option socket-stats`: each listener counts for itself.
    pub socket_stats: bool,
}

/// Options of HTTP (configuration.txt 4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpOptions {
    /// `option checkcache`: an answer whose cookies caches could keep is held back.
    pub check_cache: bool,
    /// `option http-ignore-probes`: who leaves without a byte was never there.
    pub ignore_probes: bool,
    /// `option idle-close-on-response`: a soft stop leaves idle clients alone until their next
    /// answer.
    pub close_on_answer: bool,
    /// `option http-use-proxy-header`: a request to a proxy is asked for a proxy's credentials.
    pub proxy_header: bool,
    /// `option http-pretend-keepalive`: servers are not told that their connection will close.
    pub pretend_keep_alive: bool,
    /// `option http-buffer-request`: the body is waited for before the request goes on.
    pub buffer_request: bool,
    /// `option http-no-delay`: what has come is sent on at once. It always is.
    pub no_delay: bool,
    /// `option prefer-last-server`: a client goes where a connection of its own leads.
    pub prefer_last: bool,
}

/// Whose messages are read leniently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceptInvalid {
    /// Those of clients.
    pub request: bool,
    /// Those of servers.
    pub response: bool,
}

/// In which direction bytes may pass from socket to socket inside the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Splicing {
    /// `option splice-auto`: both, where it is worth it.
    pub auto: bool,
    /// `option splice-request`: from the client, whenever possible.
    pub request: bool,
    /// `option splice-response`: from the server, whenever possible.
    pub response: bool,
    /// `no option splice-auto`: never, unless another line asks for it.
    pub refused: bool,
}

impl Splicing {
    /// What frontend and backend say together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            auto: self.auto || other.auto,
            request: self.request || other.request,
            response: self.response || other.response,
            refused: self.refused || other.refused,
        }
    }

    /// Whether any option is on. Where none is, large bodies are spliced all the same, as far as
    /// there are descriptors to spare.
    #[must_use]
    pub fn asked(self) -> bool {
        self.auto || self.request || self.response
    }
}

/// One address of one `bind` line.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Whose it is.
    pub proxy: ProxyId,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// `fd@N`: an inherited descriptor instead of an address.
    pub inherited: Option<i32>,
    /// `name`.
    pub name: Option<String>,
    /// `id`, else by position from 1 on.
    pub number: u32,
    /// `maxconn` of the line.
    pub maxconn: Option<u32>,
    /// `backlog` of the line.
    pub backlog: Option<u32>,
    /// `mode` of a unix socket's file.
    pub mode: Option<u32>,
    /// `user`/`uid` of a unix socket's file.
    pub uid: Option<u32>,
    /// `group`/`gid` of a unix socket's file.
    pub gid: Option<u32>,
    /// `interface NAME`.
    pub interface: Option<String>,
    /// `v6only` (true) or `v4v6` (false).
    pub v6_only: Option<bool>,
    /// `accept-proxy`: each connection begins with a header of the PROXY protocol.
    pub accept_proxy: bool,
    /// `defer-accept`: a TCP connection is taken when its first bytes are there.
    pub defer_accept: bool,
    /// What its connections have: of the line, and of the frontend.
    pub incoming: Incoming,
    /// `nice`, -1024 to 1024: who comes later within a turn of the loop.
    pub nice: i16,
    /// Its line.
    pub place: Place,
}

/// One `server` line, `default-server` already applied (configuration.txt 5.2).
#[derive(Clone, Debug)]
pub struct Server {
    /// Its own id.
    pub id: ServerId,
    /// Whose it is.
    pub proxy: ProxyId,
    /// The number that the CSV calls `sid` (`id N`, else by position from 1 on).
    pub number: u32,
    /// It was asked for.
    pub forced_number: bool,
    /// Its name.
    pub name: String,
    /// Its line.
    pub place: Place,
    /// It is the address of a `dispatch` line.
    pub dispatch: bool,
    /// Where it is.
    pub endpoint: Endpoint,
    /// The port is the client's destination port plus this, when the address had `+N`, `-N` or
    /// none.
    pub port_offset: Option<i32>,
    /// The host name, when the address was one.
    pub hostname: Option<String>,
    /// `weight`, 0 to 256; 1 by default.
    pub weight: u16,
    /// `backup`.
    pub backup: bool,
    /// `disabled`.
    pub disabled: bool,
    /// `minconn` where it is less than `maxconn`, else 0: the limit does not move.
    pub minconn: u32,
    /// `maxconn`, or `minconn` if that is more; 0 means no limit.
    pub maxconn: u32,
    /// `maxqueue`; 0 means no limit.
    pub maxqueue: u32,
    /// The value that names it in its backend's cookie.
    pub cookie: Option<String>,
    /// It was given by the `cookie` of the line, and not made.
    pub own_cookie: bool,
    /// `slowstart`, ms; 0 for none.
    pub slow_start_ms: u32,
    /// `pool-max-conn` and its kin.
    pub pool: IdlePool,
    /// `send-proxy` and its kin: how clients are introduced to it.
    pub proxy_header: Form,
    /// `check` and what belongs to it.
    pub check: Option<Check>,
    /// `agent-check` and what belongs to it.
    pub agent: Option<Agent>,
    /// `observe` and what belongs to it.
    pub observe: Option<Observe>,
    /// `on-marked-down shutdown-sessions`.
    pub shut_when_down: bool,
    /// `on-marked-up shutdown-backup-sessions`.
    pub shut_backups_when_up: bool,
    /// `track`: the server whose state this one has.
    pub track: Option<ServerId>,
    /// It begins as if down (`first-check-before-traffic`, its own or that of whom it tracks).
    pub held_back: bool,
    /// What a state file said of it.
    pub recalled: Option<Recalled>,
    /// The address and the options of the `add server` that brought it, as a command has them.
    pub added_with: Option<Box<str>>,
    /// `source`, `tcp-ut` and their like, of its line and its backend, if there are any.
    pub outgoing: Option<Box<Outgoing>>,
}

impl Server {
    /// Whether its address or its port is the one that the client has connected to.
    #[must_use]
    pub fn follows_client(&self) -> bool {
        self.port_offset.is_some() || self.is_anywhere()
    }

    /// `*` or 0.0.0.0: the address that the client has connected to.
    fn is_anywhere(&self) -> bool {
        matches!(&self.endpoint, Endpoint::Inet(address) if address.ip().is_unspecified())
    }

    /// Where it is for a client that has connected to `destination`. Ports are added modulo 65536,
    /// and a client without an address (a unix socket) leaves both as they are.
    #[must_use]
    pub fn endpoint_for(&self, destination: Address) -> Endpoint {
        let Endpoint::Inet(own) = &self.endpoint else {
            return self.endpoint.clone();
        };
        let mut there = *own;
        if let (true, Some(ip)) = (self.is_anywhere(), destination.ip()) {
            there.set_ip(ip);
        }
        if let Some(offset) = self.port_offset {
            let port = i32::from(destination.port()).saturating_add(offset);
            there.set_port(port as u16);
        }
        Endpoint::Inet(there)
    }

    /// What its run-time record starts from.
    #[must_use]
    pub fn initial(&self) -> Initial {
        let check = self.check.as_ref();
        Initial {
            weight: self.weight,
            backup: self.backup,
            disabled: self.disabled,
            minconn: self.minconn,
            maxconn: self.maxconn,
            maxqueue: self.maxqueue,
            slow_start_ms: self.slow_start_ms,
            checked: check.is_some(),
            observed: self
                .observe
                .map_or(Observed::Nothing, |observe| observe.what),
            agent: match self.agent {
                Some(_) => AgentWord::Up,
                None => AgentWord::None,
            },
            rise: check.map_or(2, |check| check.rise),
            fall: check.map_or(3, |check| check.fall),
        }
    }
}

/// What a server was when its state was written to a file (`server-state-file`), as far as this
/// configuration lets it be that again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recalled {
    /// What the administrator wants.
    pub admin: Admin,
    /// What checks found.
    pub op: Op,
    /// The check's counter.
    pub health: u32,
    /// The weight.
    pub weight: u16,
    /// How often it went down by being recalled: once, or not.
    pub downs: u64,
    /// Since `op` last changed, seconds.
    pub since_change_s: u64,
    /// Its check.
    pub check: RecalledCheck,
}

/// The check of a [`Recalled`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecalledCheck {
    /// False after `disable health`.
    pub enabled: bool,
    /// What the last one said.
    pub status: Status,
    /// What that meant.
    pub verdict: Option<Verdict>,
    /// Where it was moved to at run time.
    pub port: Option<u16>,
    /// The same, the address.
    pub address: Option<std::net::IpAddr>,
}

/// What becomes of a server's connections that nobody uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdlePool {
    /// `pool-max-conn`: so many are kept at most; absent for -1, no limit.
    pub most: Option<u32>,
    /// `pool-low-conn`: so many are kept beyond what was ever in use at once; 0 by default.
    pub spare: u32,
    /// `pool-purge-delay`, ms; 0 keeps none, 5000 by default.
    pub purge_delay: u32,
}

impl Default for IdlePool {
    fn default() -> Self {
        Self {
            most: None,
            spare: 0,
            purge_delay: 5_000,
        }
    }
}

impl Network {
    /// Whether an address lies in the network; one of the other family never does.
    #[must_use]
    pub fn contains(&self, ip: std::net::IpAddr) -> bool {
        use std::net::IpAddr::{V4, V6};
        let prefix = u32::from(self.prefix);
        match (self.address, ip) {
            (V4(net), V4(ip)) => {
                let mask = u32::MAX
                    .checked_shl(32u32.saturating_sub(prefix))
                    .unwrap_or(0);
                (u32::from(net) ^ u32::from(ip)) & mask == 0
            }
            (V6(net), V6(ip)) => {
                let mask = u128::MAX
                    .checked_shl(128u32.saturating_sub(prefix))
                    .unwrap_or(0);
                (u128::from(net) ^ u128::from(ip)) & mask == 0
            }
            _ => false,
        }
    }
}

impl Config {
    /// The proxy of an id of this configuration.
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        reason = "an id and a range are given by the configuration that they are asked of"
    )]
    pub fn proxy(&self, id: ProxyId) -> &Proxy {
        &self.proxies[id.0 as usize]
    }

    /// The server of an id of this configuration.
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        reason = "an id and a range are given by the configuration that they are asked of"
    )]
    pub fn server(&self, id: ServerId) -> &Server {
        &self.servers[id.0 as usize]
    }

    /// Whether checks run programs (`option external-check`).
    #[must_use]
    pub fn runs_programs(&self) -> bool {
        let runs = |proxy: &Proxy| {
            let asked = matches!(proxy.script, Script::Program(_));
            asked && proxy.is_backend && !proxy.disabled
        };
        self.proxies.iter().any(runs)
    }

    /// Whether a rule speaks of a server.
    #[must_use]
    pub fn names_server(&self, id: ServerId) -> bool {
        self.named_servers.contains(&id)
    }

    /// The servers of a proxy, in order, as they were declared.
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        reason = "an id and a range are given by the configuration that they are asked of"
    )]
    pub fn servers_of(&self, proxy: &Proxy) -> &[Server] {
        &self.servers[proxy.servers.start as usize..proxy.servers.end as usize]
    }

    /// The listeners of a proxy, in order.
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        reason = "an id and a range are given by the configuration that they are asked of"
    )]
    pub fn listeners_of(&self, proxy: &Proxy) -> &[Listener] {
        &self.listeners[proxy.listeners.start as usize..proxy.listeners.end as usize]
    }
}

impl Proxy {
    /// Whether a rule of its own, or its statistics, may answer a request that comes to it.
    #[must_use]
    #[inline]
    pub fn may_answer_itself(&self) -> bool {
        !self.http_request.is_empty() || self.stats.is_some() || !self.redirects.is_empty()
    }

    /// What HAProxy calls it in messages: `frontend`, `backend` or `proxy` (for `listen`).
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match (self.is_frontend, self.is_backend) {
            (true, false) => "frontend",
            (false, true) => "backend",
            _ => "proxy",
        }
    }

    /// The algorithm, as `show stat` has it.
    #[must_use]
    pub fn algorithm_name(&self) -> &'static str {
        if self.dispatch.is_some() {
            return "none";
        }
        match (self.algorithm, &self.hashing) {
            (_, Some(hashing)) => hashing.key.name(),
            (Algorithm::RoundRobin, _) => "roundrobin",
            (Algorithm::StaticRr, _) => "static-rr",
            (Algorithm::LeastConn, _) => "leastconn",
            (Algorithm::First, _) => "first",
            // HAProxy has no name for `random`.
            _ => "unknown",
        }
    }

    /// The answer for an error status: the `errorfile`, if there is one.
    #[must_use]
    pub fn error_file(&self, status: u16) -> Option<&Arc<Reply>> {
        self.error_files
            .iter()
            .find(|(known, _)| *known == status)
            .map(|(_, reply)| reply)
    }
}
