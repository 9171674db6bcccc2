//! What a configuration said, before it is known what it means.
//!
//! Handlers fill these records line by line; `resolve` turns them into the immutable `Config`
//! once every name is known. `Settings` is what a `defaults` section may hand on to the
//! sections after it, so it is `Clone` and holds no ids. Rules are kept as lines in
//! `Defaults`, because a compiled rule belongs to one proxy (its ACLs are that proxy's).
//!
//! Nothing here reports or decides. Rejected: filling `Config` directly, which would need
//! holes for names that are declared later in the file.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::balance::BalanceDraft;
use super::checks::ChecksDraft;
use super::diag;
use super::keywords::Section;
use super::lexer::Line;
use super::model::{
    AcceptInvalid, Capture, DynamicCookies, ForwardFor, HttpConnection, HttpOptions, IdlePool,
    LogOptions, LogTarget, Mode, PersistRule, Place, Redispatch, RetryOn, Reuse, Splicing,
    StatisticsRule, StatsSocket, Timeouts,
};
use super::server::HealthSettings;
use super::sockets::{ProxySockets, UnixBind};
use super::units::Spec;
use crate::base::addr::Endpoint;
use crate::base::outgoing::Outgoing;
use crate::base::proxy_header::Form;
use crate::check::protocol::Protocol;
use crate::http::cookie;
use crate::http::reply::Reply;
use crate::rules::action::{RequestRule, ResponseRule};
use crate::rules::condition::{AclId, Condition};
use crate::rules::connection::ConnectionRule;
use crate::rules::content::ContentRule;

/// One `log` line of a proxy.
#[derive(Clone, Debug)]
pub(super) enum LogLine {
    /// `log global`.
    Global,
    /// A target of its own.
    Target(LogTarget),
}

/// `load-server-state-from-file`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum StateSource {
    /// `none`, or nothing was said.
    #[default]
    None,
    /// The file of `global`.
    Global,
    /// A file of the backend's own.
    Local,
}

/// What checks are to say: the last `option` of that kind decides.
#[derive(Clone, Debug, Default)]
pub(super) enum ScriptDraft {
    /// Nothing was said: they connect.
    #[default]
    Connection,
    /// `option tcp-check`.
    Tcp,
    /// `option httpchk`.
    Http,
    /// `option redis-check` and its kin.
    Protocol(Protocol),
    /// `option external-check`.
    Program,
}

/// `external-check command` and `external-check path`.
#[derive(Clone, Debug, Default)]
pub(super) struct ProgramDraft {
    pub(super) command: Option<Box<[u8]>>,
    pub(super) path: Option<Box<[u8]>>,
}

/// Which line a finished session writes.
#[derive(Clone, Debug, Default)]
pub(super) enum LogChoice {
    /// Nothing was said.
    #[default]
    Default,
    /// `option httplog`.
    Http(diag::Place),
    /// `option httplog clf`.
    Clf(diag::Place),
    /// `option tcplog`.
    Tcp,
    /// `log-format`.
    Custom(Vec<u8>, diag::Place),
}

impl LogChoice {
    /// The words that asked for it, as the override warnings name them.
    pub(super) fn said_by(&self) -> Option<&'static str> {
        match self {
            Self::Default => None,
            Self::Http(_) => Some("option httplog"),
            Self::Clf(_) => Some("option httplog clf"),
            Self::Tcp => Some("option tcplog"),
            Self::Custom(..) => Some("log-format"),
        }
    }
}

/// What a `defaults` section may set for the sections after it.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) mode: Mode,
    pub(super) disabled: bool,
    pub(super) maxconn: Option<u32>,
    pub(super) full_conn: Option<u32>,
    /// `rate-limit sessions`; 0 for none.
    pub(super) session_rate: u32,
    pub(super) backlog: Option<u32>,
    pub(super) timeouts: Timeouts,
    pub(super) logs: Vec<LogLine>,
    pub(super) log_tag: Option<String>,
    pub(super) log_choice: LogChoice,
    pub(super) unique_id_format: Option<(Vec<u8>, diag::Place)>,
    pub(super) unique_id_header: Option<Vec<u8>>,
    pub(super) error_format: Option<(Vec<u8>, diag::Place)>,
    pub(super) log_options: LogOptions,
    pub(super) forward_for: Option<ForwardFor>,
    pub(super) http_connection: HttpConnection,
    /// `tcp-request inspect-delay`, ms.
    pub(super) inspect_delay: Option<u32>,
    pub(super) reuse: Reuse,
    pub(super) abort_on_close: bool,
    pub(super) independent_streams: bool,
    pub(super) continuous_stats: bool,
    pub(super) http: HttpOptions,
    pub(super) accept_invalid: AcceptInvalid,
    pub(super) splicing: Splicing,
    pub(super) retries: u32,
    pub(super) retry_on: RetryOn,
    pub(super) redispatch: Redispatch,
    pub(super) balance: BalanceDraft,
    pub(super) all_backups: bool,
    pub(super) script: ScriptDraft,
    pub(super) checks: ChecksDraft,
    pub(super) program: ProgramDraft,
    pub(super) monitor_uri: Option<String>,
    pub(super) stats: Option<StatsDraft>,
    pub(super) error_files: Vec<(u16, Arc<Reply>)>,
    pub(super) default_backend: Option<(String, diag::Place)>,
    pub(super) server: ServerSettings,
    pub(super) state_source: StateSource,
    pub(super) sockets: ProxySockets,
    pub(super) persistence: PersistenceDraft,
}

impl Settings {
    /// What holds when nothing was said (configuration.txt 4.2).
    pub(super) fn built_in(maxconn: Option<u32>) -> Self {
        Self {
            mode: Mode::Tcp,
            disabled: false,
            maxconn,
            full_conn: None,
            session_rate: 0,
            backlog: None,
            timeouts: Timeouts::default(),
            logs: Vec::new(),
            log_tag: None,
            log_choice: LogChoice::Default,
            unique_id_format: None,
            unique_id_header: None,
            error_format: None,
            log_options: LogOptions::default(),
            forward_for: None,
            http_connection: HttpConnection::default(),
            inspect_delay: None,
            reuse: Reuse::default(),
            abort_on_close: false,
            independent_streams: false,
            continuous_stats: false,
            http: HttpOptions::default(),
            accept_invalid: AcceptInvalid::default(),
            splicing: Splicing::default(),
            retries: 3,
            retry_on: RetryOn::default(),
            redispatch: Redispatch::Off,
            balance: BalanceDraft::default(),
            all_backups: false,
            script: ScriptDraft::default(),
            checks: ChecksDraft::default(),
            program: ProgramDraft::default(),
            monitor_uri: None,
            stats: None,
            error_files: Vec::new(),
            default_backend: None,
            server: ServerSettings::default(),
            state_source: StateSource::default(),
            sockets: ProxySockets::default(),
            persistence: PersistenceDraft::default(),
        }
    }
}

/// What binds clients to servers, as far as `defaults` may say it.
#[derive(Clone, Debug, Default)]
pub(super) struct PersistenceDraft {
    pub(super) cookie: Option<Box<CookieDraft>>,
    /// `dynamic-cookie-key`.
    pub(super) key: Option<String>,
    pub(super) tries_down: bool,
}

impl PersistenceDraft {
    /// How servers without a cookie of their own get one.
    pub(super) fn dynamic(&self) -> DynamicCookies {
        DynamicCookies {
            on: self.cookie.as_ref().is_some_and(|cookie| cookie.dynamic),
            key: self.key.clone(),
        }
    }

    /// The key, where it is used.
    pub(super) fn dynamic_key(&self) -> Option<&str> {
        self.key.as_deref().filter(|_| self.dynamic().on)
    }
}

/// One `cookie` line.
#[derive(Clone, Debug, Default)]
pub(super) struct CookieDraft {
    pub(super) settings: cookie::Settings,
    pub(super) http_only: bool,
    pub(super) secure: bool,
    pub(super) dynamic: bool,
    pub(super) domains: Vec<String>,
    pub(super) attributes: Vec<String>,
}

/// The `stats` lines that a `defaults` section may have, too.
#[derive(Clone, Debug, Default)]
pub(super) struct StatsDraft {
    pub(super) uri: Option<String>,
    pub(super) refresh: Option<u32>,
    pub(super) realm: Option<String>,
    /// Each as `user:password`.
    pub(super) users: Vec<String>,
    pub(super) scope: Vec<String>,
    pub(super) hides_version: bool,
    pub(super) shows_legends: bool,
    pub(super) shows_modules: bool,
    /// `show-node`, and the name if it has one of its own.
    pub(super) node: Option<Option<String>>,
    pub(super) description: Option<String>,
}

/// What `default-server` may set for the servers after it (configuration.txt 5.2).
#[derive(Clone, Debug)]
pub(super) struct ServerSettings {
    pub(super) weight: u16,
    pub(super) backup: bool,
    pub(super) disabled: bool,
    pub(super) minconn: u32,
    pub(super) maxconn: u32,
    pub(super) maxqueue: u32,
    pub(super) cookie: Option<String>,
    pub(super) slow_start_ms: u32,
    pub(super) pool: IdlePool,
    pub(super) check: bool,
    pub(super) inter: u32,
    pub(super) fastinter: Option<u32>,
    pub(super) downinter: Option<u32>,
    pub(super) rise: u32,
    pub(super) fall: u32,
    pub(super) check_port: Option<u16>,
    pub(super) check_address: Option<(Spec, diag::Place)>,
    pub(super) outgoing: Outgoing,
    pub(super) proxy_header: Form,
    pub(super) check_proxy_header: bool,
    /// `first-check-before-traffic`
    pub(super) first_check: bool,
    pub(super) health: HealthSettings,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            weight: 1,
            backup: false,
            disabled: false,
            minconn: 0,
            maxconn: 0,
            maxqueue: 0,
            cookie: None,
            slow_start_ms: 0,
            pool: IdlePool::default(),
            check: false,
            inter: 2000,
            fastinter: None,
            downinter: None,
            rise: 2,
            fall: 3,
            check_port: None,
            check_address: None,
            outgoing: Outgoing::default(),
            proxy_header: Form::default(),
            check_proxy_header: false,
            first_check: false,
            health: HealthSettings::default(),
        }
    }
}

/// One `server` line.
#[derive(Clone, Debug)]
pub(super) struct ServerDraft {
    pub(super) name: String,
    pub(super) at: diag::Place,
    pub(super) address_at: diag::Place,
    pub(super) address: Spec,
    pub(super) number: Option<u32>,
    pub(super) settings: ServerSettings,
}

/// One address of a `bind` line.
#[derive(Clone, Debug)]
pub(super) struct ListenerDraft {
    pub(super) spelled: String,
    pub(super) at: diag::Place,
    pub(super) listener: super::model::Listener,
    pub(super) number: Option<u32>,
}

/// One `use_backend` or `use-server` line.
#[derive(Debug)]
pub(super) struct ChoiceDraft {
    pub(super) target: Vec<u8>,
    pub(super) at: diag::Place,
    pub(super) condition: Option<Condition>,
}

/// The `dispatch` line.
#[derive(Clone, Debug)]
pub(super) struct DispatchDraft {
    pub(super) endpoint: Endpoint,
    pub(super) at: diag::Place,
}

/// ACLs by name, as declared so far; several lines of one name mean any of them.
pub(super) type AclNames = BTreeMap<Vec<u8>, Vec<AclId>>;

/// Whether the last rule of a kind ends every message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Finals {
    pub(super) request: bool,
    pub(super) response: bool,
}

/// A `defaults` section.
#[derive(Debug)]
pub(super) struct Defaults {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) settings: Settings,
    pub(super) acls: AclNames,
    /// Its `acl`, `http-request` and `http-response` lines, compiled anew for each proxy.
    pub(super) rules: Vec<Line>,
    /// `tcp-request connection` is among them, which no backend has.
    pub(super) has_connection_rules: bool,
    /// The first kind of proxy that inherited them: ACLs cannot serve both kinds.
    pub(super) rules_serve: Option<Section>,
    /// Which of its rules end every message.
    pub(super) finals: Finals,
}

/// A `frontend`, `backend` or `listen` section.
#[derive(Debug)]
pub(super) struct ProxyDraft {
    pub(super) section: Section,
    pub(super) name: String,
    pub(super) at: diag::Place,
    pub(super) place: Place,
    pub(super) number: Option<u32>,
    pub(super) description: Option<String>,
    pub(super) settings: Settings,
    /// `server-state-file-name`, unless it is the proxy's own.
    pub(super) state_file: Option<String>,
    /// The timeouts that its `defaults` handed on: only a second line of its own is a mistake.
    pub(super) timeouts_inherited: Timeouts,
    /// Likewise.
    pub(super) session_rate_inherited: u32,
    pub(super) listeners: Vec<ListenerDraft>,
    pub(super) servers: Vec<ServerDraft>,
    /// Which listener and which server has an `id`, the first of those that share it.
    pub(super) listener_ids: HashMap<u32, usize>,
    pub(super) server_ids: HashMap<u32, usize>,
    pub(super) acls: AclNames,
    pub(super) connection: Vec<ConnectionRule>,
    pub(super) content: Vec<ContentRule>,
    pub(super) request: Vec<RequestRule>,
    /// Which of its rules end every message: what follows never runs.
    pub(super) finals: Finals,
    /// `redirect` rules run after all `http-request` rules.
    pub(super) redirects: Vec<RequestRule>,
    pub(super) response: Vec<ResponseRule>,
    /// `force-persist` and `ignore-persist`.
    pub(super) persist_rules: Vec<PersistRule>,
    pub(super) capture: Option<Capture>,
    pub(super) server_choices: Vec<ChoiceDraft>,
    pub(super) dispatch: Option<DispatchDraft>,
    pub(super) switches: Vec<ChoiceDraft>,
    /// The `default_backend` line of a backend: warned of and not used, but it has to be right.
    pub(super) unused_default: Option<(String, diag::Place)>,
    /// The targets of its `use_backend` lines, likewise.
    pub(super) unused_switches: Vec<(String, diag::Place)>,
    /// A `stats` line of its own has been read: what its `defaults` said of it is forgotten.
    pub(super) has_own_stats: bool,
    pub(super) stats_rules: Vec<StatisticsRule>,
    pub(super) stats_admins: Vec<Condition>,
    /// Rules whose condition asks for bytes that HAProxy does not look at in HTTP mode.
    pub(super) layer_six: LayerSix,
    /// The line of a missing `bind` is only reported when no `bind` line was refused.
    pub(super) bind_lines: usize,
}

/// The lines of rules that look at bytes below HTTP, in HAProxy's order of judging.
#[derive(Debug, Default)]
pub(super) struct LayerSix {
    pub(super) switches: Vec<diag::Place>,
    pub(super) server_choices: Vec<diag::Place>,
    pub(super) content: Vec<diag::Place>,
    pub(super) request: Vec<diag::Place>,
    pub(super) response: Vec<diag::Place>,
}

impl ProxyDraft {
    /// It may accept connections.
    pub(super) fn is_frontend(&self) -> bool {
        matches!(self.section, Section::Frontend | Section::Listen)
    }

    /// Where its sessions go that nothing binds to a server: no `balance` line says another way.
    pub(super) fn dispatches(&self) -> Option<&DispatchDraft> {
        let balances = self.settings.balance.is_said();
        self.dispatch.as_ref().filter(|_| !balances)
    }

    /// It may have servers.
    pub(super) fn is_backend(&self) -> bool {
        matches!(self.section, Section::Backend | Section::Listen)
    }

    /// What messages call it.
    pub(super) fn kind(&self) -> &'static str {
        match self.section {
            Section::Frontend => "frontend",
            Section::Backend => "backend",
            _ => "proxy",
        }
    }
}

/// The `global` sections.
#[derive(Debug, Default)]
pub(super) struct GlobalDraft {
    pub(super) logs: Vec<LogTarget>,
    pub(super) log_tag: Option<String>,
    pub(super) log_hostname: Option<String>,
    pub(super) chroot: Option<(String, Place)>,
    pub(super) user: Option<(u32, String, Place)>,
    pub(super) group: Option<(u32, String, Place)>,
    pub(super) daemon: bool,
    pub(super) pid_file: Option<String>,
    pub(super) state_base: Option<String>,
    pub(super) state_file: Option<String>,
    pub(super) maxconn: Option<u32>,
    pub(super) descriptors_max: Option<u32>,
    pub(super) limit_asked: Option<(String, Place)>,
    pub(super) hard_stop_after: Option<u32>,
    pub(super) spread_checks: u8,
    pub(super) stats_sockets: Vec<StatsSocket>,
    pub(super) stats_timeout: Option<u32>,
    pub(super) stats_maxconn: Option<u32>,
    pub(super) buffer_size: Option<u32>,
    pub(super) max_rewrite: Option<u32>,
    pub(super) max_headers: Option<u16>,
    pub(super) max_accept: Option<u32>,
    pub(super) max_pipes: Option<u32>,
    pub(super) pipe_size: Option<u32>,
    pub(super) no_splice: bool,
    pub(super) log_line_max: Option<u32>,
    /// `tune.http.cookielen`.
    pub(super) cookie_length: Option<u32>,
    pub(super) node: Option<String>,
    pub(super) description: Option<String>,
    pub(super) zero_warning: bool,
    pub(super) dumpable: bool,
    pub(super) master_worker: bool,
    pub(super) failure_is_survived: bool,
    pub(super) reloads_max: Option<u32>,
    pub(super) quiet: bool,
    pub(super) limits_are_loose: bool,
    pub(super) ca_base: bool,
    pub(super) crt_base: bool,
    /// A keyword asked for more than one thread: said once for all of them.
    pub(super) threads_warned: bool,
    pub(super) unix_bind: UnixBind,
    /// `external-check`.
    pub(super) programs_checked: bool,
    /// `insecure-fork-wanted`.
    pub(super) forks: bool,
    /// `insecure-setuid-wanted`.
    pub(super) gains_privileges: bool,
}
