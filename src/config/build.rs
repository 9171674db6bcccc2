//! Drafts that have no errors become the immutable `Config`: positions become ids, what nobody said
//! becomes the default, names of servers become addresses.
//!
//! Ids follow the order of the files; numbers (`id`) that nobody asked for are the next free
//! ones, as HAProxy gives them, because `show stat` prints them. `resolve` has checked everything
//! before, except that names resolve: that is told here.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};

use super::diag::Lead;
use super::draft::{
    DispatchDraft, GlobalDraft, ListenerDraft, LogLine, ProxyDraft, ServerDraft, ServerSettings,
};
use super::lines::endpoint;
use super::model::{
    Agent, Check, Config, Content, ErrorLine, Global, Listener, Proxy, Server, ServerId,
    ServerTarget, Statistics, SwitchTarget, Timeouts,
};
use super::persist::{needs_destination, persistence};
use super::resolve::{Resolved, check_port, id_of};
use super::sections::{LoadOptions, Parser};
use super::server::of_check;
use super::units::{Family, Host, Port, Spec};
use crate::base::addr::Endpoint;
use crate::base::outgoing::{Incoming, Outgoing};
use crate::rules::condition::Condition;
use crate::rules::format::Format;
use crate::rules::plan::{Planner, Rules};

/// `stats timeout`, ms.
const STATS_TIMEOUT: u32 = 10_000;
/// `stats maxconn`.
const STATS_MAXCONN: u32 = 10;
/// `tune.bufsize`.
pub(super) const BUFFER_SIZE: u32 = 16_384;
/// `tune.maxrewrite`.
const MAX_REWRITE: u32 = 1024;
/// `tune.http.maxhdr`.
const MAX_HEADERS: u16 = 101;
/// `tune.maxaccept`.
const MAX_ACCEPT: u32 = 4;
/// `tune.http.logurilen`.
const LOG_LINE_MAX: u32 = 1024;
/// `log-tag`.
const LOG_TAG: &str = "haproxy";

impl Parser<'_> {
    /// The servers of all proxies, in order, their names resolved, and behind them the addresses of
    /// `dispatch` lines.
    ///
    /// `ignore`: one that does not resolve is disabled instead of refused.
    #[expect(clippy::arithmetic_side_effects, reason = "counts what fits in memory")]
    pub(super) fn resolve_servers(&mut self, ignore: bool) -> Vec<Vec<Server>> {
        let mut all = Vec::new();
        let mut failed = false;
        let mut next = 0;
        for (at, proxy) in self.proxies.iter().enumerate() {
            let taken = proxy.servers.iter().filter_map(|one| one.number);
            let mut free = FreeNumbers::new(1, taken);
            let mut servers = Vec::new();
            for draft in &proxy.servers {
                let (id, number) = (ServerId(next), free.take(draft.number));
                next += 1;
                match self.resolve_server(at, draft, id, number) {
                    (server, true) => servers.push(server),
                    (server, false) => {
                        let name = match &draft.address.host {
                            Host::Name(name) => name.as_str(),
                            _ => "",
                        };
                        let message = format!(
                            "'server {}/{}' : could not resolve address '{name}'",
                            proxy.name, draft.name
                        );
                        let place = draft.address_at.clone();
                        let one = if ignore {
                            self.found.warning(place, message + ", disabling server.")
                        } else {
                            failed = true;
                            self.found.alert(place, message + ".")
                        };
                        one.lead(Lead::Place);
                        servers.push(Server {
                            disabled: true,
                            ..server
                        });
                    }
                }
            }
            all.push(servers);
        }
        let mut addresses = Vec::new();
        for (at, proxy) in self.proxies.iter().enumerate() {
            let dispatch = proxy.dispatches().filter(|_| proxy.is_backend());
            if let Some(dispatch) = dispatch.filter(|_| !proxy.settings.disabled) {
                addresses.push(self.dispatch_server(at, dispatch, ServerId(next)));
                next += 1;
            }
        }
        all.push(addresses);
        if failed {
            self.found
                .alert_bare("Failed to initialize server(s) addr.")
                .abort();
        }
        all
    }

    /// The address of a `dispatch` line as a server.
    fn dispatch_server(&self, at: usize, dispatch: &DispatchDraft, id: ServerId) -> Server {
        let nowhere = Spec {
            datagram: false,
            family: Family::Any,
            host: Host::Any,
            port: Port::None,
        };
        let draft = ServerDraft {
            name: String::new(),
            at: dispatch.at.clone(),
            address_at: dispatch.at.clone(),
            address: nowhere,
            number: None,
            settings: ServerSettings::default(),
        };
        let (server, _) = self.resolve_server(at, &draft, id, 0);
        Server {
            dispatch: true,
            endpoint: dispatch.endpoint.clone(),
            port_offset: None,
            cookie: None,
            ..server
        }
    }

    /// A server, and whether its address is known.
    fn resolve_server(
        &self,
        at: usize,
        draft: &ServerDraft,
        id: ServerId,
        number: u32,
    ) -> (Server, bool) {
        let settings = &draft.settings;
        let is_inet = !matches!(draft.address.host, Host::Unix(_) | Host::Abstract(_));
        let (port, port_offset) = match draft.address.port {
            _ if !is_inet => (0, None),
            Port::Offset(by) => (0, Some(by)),
            Port::None | Port::One(0) => (0, Some(0)),
            Port::One(port) | Port::Range(port, _) => (port, None),
        };
        let proxy = self.proxies.get(at);
        let disabled = proxy.is_some_and(|proxy| proxy.settings.disabled);
        // A proxy that never runs need not find its servers.
        let nowhere = || Endpoint::Inet(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port));
        let (endpoint, known) = match endpoint(&draft.address, Some(port), self.host) {
            Ok(endpoint) => (endpoint, true),
            Err(_) => (nowhere(), disabled),
        };
        let hostname = match &draft.address.host {
            Host::Name(name) => Some(name.clone()),
            _ => None,
        };
        let check = settings.check.then(|| Check {
            endpoint: self.check_endpoint(draft, &endpoint),
            inter: settings.inter,
            fastinter: settings.fastinter,
            downinter: settings.downinter,
            rise: settings.rise,
            fall: settings.fall,
            own_address: settings.check_address.is_some(),
            own_port: settings.check_port,
            proxy_header: of_check(settings),
        });
        let made = || {
            proxy?
                .settings
                .persistence
                .dynamic()
                .of(&endpoint, port_offset)
        };
        let cookie = settings.cookie.clone().or_else(made);
        let agent = self.agent(draft, &endpoint);
        let server = Server {
            id,
            proxy: id_of(at),
            number,
            forced_number: draft.number.is_some(),
            name: draft.name.clone(),
            place: self.model_place(&draft.at),
            dispatch: false,
            endpoint,
            port_offset,
            hostname,
            weight: settings.weight,
            backup: settings.backup,
            disabled: settings.disabled,
            // Not below `maxconn`, it is `maxconn`: nothing is left to move between.
            minconn: match settings.minconn < settings.maxconn {
                true => settings.minconn,
                false => 0,
            },
            maxconn: settings.maxconn.max(settings.minconn),
            maxqueue: settings.maxqueue,
            own_cookie: settings.cookie.is_some(),
            cookie,
            slow_start_ms: settings.slow_start_ms,
            pool: settings.pool,
            proxy_header: settings.proxy_header,
            check,
            agent,
            observe: settings.health.observe(),
            shut_when_down: settings.health.shut_when_down,
            shut_backups_when_up: settings.health.shut_backups_when_up,
            track: None,
            held_back: settings.first_check,
            recalled: None,
            added_with: None,
            outgoing: self.outgoing_of(at, settings),
        };
        (server, known)
    }

    /// What a server's line and its backend say of the connections to it.
    fn outgoing_of(&self, at: usize, settings: &ServerSettings) -> Option<Box<Outgoing>> {
        let backend = self.proxies.get(at)?.settings.sockets.outgoing();
        settings.outgoing.clone().over(&backend)
    }

    /// The agent of a server, if it has one.
    fn agent(&self, draft: &ServerDraft, server: &Endpoint) -> Option<Agent> {
        let health = &draft.settings.health;
        if !health.agent {
            return None;
        }
        // What an agent was not given is the check's.
        let port = health.agent_port.or(draft.settings.check_port);
        let port = port.unwrap_or_default();
        let own = health.agent_address.as_ref();
        let own_address = own.is_some();
        let own = own.or(draft.settings.check_address.as_ref());
        let own = own.and_then(|(spec, _)| endpoint(spec, Some(port), self.host).ok());
        Some(Agent {
            endpoint: own.unwrap_or_else(|| server.clone()).with_port(port),
            port,
            own_address,
            inter: health.agent_inter,
            send: health.agent_send.clone(),
        })
    }

    /// Where a server's check connects to.
    fn check_endpoint(&self, draft: &ServerDraft, server: &Endpoint) -> Endpoint {
        let port = check_port(draft).unwrap_or(0);
        let own = draft.settings.check_address.as_ref();
        let own = own.and_then(|(spec, _)| endpoint(spec, Some(port), self.host).ok());
        match (own, server) {
            (Some(own), _) => own,
            (None, Endpoint::Inet(address)) => Endpoint::Inet(SocketAddr::new(address.ip(), port)),
            (None, other) => other.clone(),
        }
    }
}

/// Numbers that nobody asked for, in order.
struct FreeNumbers {
    next: u32,
    taken: HashSet<u32>,
}

impl FreeNumbers {
    fn new(next: u32, taken: impl Iterator<Item = u32>) -> Self {
        let taken = taken.collect();
        Self { next, taken }
    }

    /// The number of the next one. One that was asked for passes a number over all the same.
    fn take(&mut self, asked: Option<u32>) -> u32 {
        if asked.is_none() {
            while self.taken.contains(&self.next) {
                self.next = self.next.saturating_add(1);
            }
        }
        let number = asked.unwrap_or(self.next);
        self.next = self.next.saturating_add(1);
        number
    }
}

/// The configuration of drafts that have no errors.
#[expect(clippy::arithmetic_side_effects, reason = "counts what fits in memory")]
pub(super) fn build(
    parser: &mut Parser<'_>,
    options: &LoadOptions,
    resolved: Vec<Resolved>,
    servers_of: Vec<Vec<Server>>,
) -> Config {
    let drafts = std::mem::take(&mut parser.proxies);
    let mut servers_of = servers_of;
    let addresses = servers_of.pop().unwrap_or_default();
    let taken = drafts.iter().filter_map(|draft| draft.number);
    // The frontend of the stats sockets, when there is one, is number 1.
    let first = 1 + u32::from(!parser.global.stats_sockets.is_empty());
    let mut free = FreeNumbers::new(first, taken);
    let mut config = Config {
        global: build_global(std::mem::take(&mut parser.global), parser, options),
        proxies: Vec::new(),
        servers: Vec::new(),
        listeners: Vec::new(),
        acls: Vec::new(),
        lists: parser.rule_files.take_lists(),
        groups: Vec::new(),
        named_servers: parser
            .names
            .spoken_of
            .take()
            .into_iter()
            .map(ServerId)
            .collect(),
    };
    let acls = std::mem::take(&mut parser.acls);
    let mut planner = Planner::new(&acls);
    let all = drafts.into_iter().zip(resolved).zip(servers_of);
    for (at, ((draft, resolved), servers)) in all.enumerate() {
        let number = free.take(draft.number);
        let start = index(config.listeners.len());
        let incoming = draft.settings.sockets.incoming(draft.settings.mode);
        config
            .listeners
            .extend(build_listeners(&draft.listeners, incoming));
        let listeners = start..index(config.listeners.len());
        let start = index(config.servers.len());
        config.servers.extend(servers);
        let servers = start..index(config.servers.len());
        let proxy = build_proxy(at, number, draft, resolved, &config.global, &mut planner);
        config.proxies.push(Proxy {
            listeners,
            servers,
            ..proxy
        });
    }
    for address in &addresses {
        if let Some(proxy) = config.proxies.get_mut(address.proxy.0 as usize) {
            proxy.dispatch = Some(address.id);
        }
    }
    config.servers.extend(addresses);
    config.groups = planner.finish();
    config.acls = acls;
    config
}

fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn build_listeners(drafts: &[ListenerDraft], frontend: Incoming) -> Vec<Listener> {
    let taken = drafts.iter().filter_map(|one| one.number);
    let mut free = FreeNumbers::new(1, taken);
    let numbered = drafts.iter().map(|draft| Listener {
        number: free.take(draft.number),
        incoming: Incoming {
            max_segment: draft.listener.incoming.max_segment,
            fast_open: draft.listener.incoming.fast_open,
            user_timeout_ms: draft.listener.incoming.user_timeout_ms,
            ..frontend
        },
        ..draft.listener.clone()
    });
    numbered.collect()
}

fn build_proxy(
    at: usize,
    number: u32,
    mut draft: ProxyDraft,
    resolved: Resolved,
    global: &Global,
    planner: &mut Planner<'_>,
) -> Proxy {
    let acls = planner.acls();
    let (is_frontend, is_backend) = (draft.is_frontend(), draft.is_backend());
    let persist_rules = std::mem::take(&mut draft.persist_rules);
    let choices = resolved.server_choices;
    let persists_by_destination = needs_destination(&persist_rules, &choices, |condition| {
        condition.needs_destination(acls)
    });
    let asked = persist_rules.iter().map(|rule| &rule.condition);
    let mut asked = asked
        .chain(choices.iter().map(|choice| &choice.condition))
        .chain(
            resolved
                .switches
                .iter()
                .filter_map(|switch| switch.condition.as_ref()),
        );
    // What makes a name, or a number to choose by, may read whatever there is.
    let reads_request = asked.any(|condition| condition.reads_request(acls))
        || resolved.balance.hashing.is_some()
        || choices
            .iter()
            .any(|choice| matches!(choice.target, ServerTarget::Dynamic(_)))
        || resolved
            .switches
            .iter()
            .any(|switch| matches!(switch.target, SwitchTarget::Dynamic(_)));
    let content = Content::new(
        std::mem::take(&mut draft.content),
        draft.settings.inspect_delay,
        acls,
        reads_request,
    );
    let persistence = persistence(
        &mut draft,
        Rules::new(persist_rules, planner),
        Rules::new(choices, planner),
    );
    let settings = draft.settings;
    let http_request = draft.request;
    let mut logs = Vec::new();
    for log in settings.logs {
        match log {
            LogLine::Global => logs.extend(global.logs.iter().cloned()),
            LogLine::Target(target) => logs.push(target),
        }
    }
    let log_format = resolved.log_format.filter(|_| !logs.is_empty());
    let of = |condition: &Option<Condition>| {
        let condition = condition.as_ref();
        condition.is_some_and(|condition| condition.needs_destination(acls))
    };
    let by_error = match &resolved.error_line {
        ErrorLine::Format(format) => format.needs_destination(),
        ErrorLine::None | ErrorLine::Plain => false,
    };
    let by_id = resolved.unique_id.as_ref();
    let by_id = by_id.is_some_and(|unique_id| unique_id.format.needs_destination());
    let by_log = by_error || by_id || log_format.as_ref().is_some_and(Format::needs_destination);
    let by_switch = resolved.switches.iter().any(|switch| {
        let by_target = match &switch.target {
            SwitchTarget::Dynamic(format) => format.needs_destination(),
            SwitchTarget::Backend(_) => false,
        };
        by_target || of(&switch.condition)
    });
    let stats = resolved.stats.map(|stats| {
        Box::new(Statistics {
            rules: draft.stats_rules,
            admins: draft.stats_admins,
            ..stats
        })
    });
    let by_stats = stats.as_ref().is_some_and(|stats| {
        let rules = stats.rules.iter();
        rules.clone().any(|rule| of(&rule.condition))
            || stats
                .admins
                .iter()
                .any(|condition| condition.needs_destination(acls))
    });
    let hashing = resolved.balance.hashing.as_ref();
    let by_hash = hashing.is_some_and(|hashing| hashing.needs_destination());
    let mut requests = http_request.iter().chain(&draft.redirects);
    let by_rule = requests.any(|rule| rule.needs_destination(acls))
        || content
            .rules
            .iter()
            .any(|rule| rule.needs_destination(acls))
        || draft
            .response
            .iter()
            .any(|rule| rule.needs_destination(acls));
    Proxy {
        id: id_of(at),
        number,
        forced_number: draft.number.is_some(),
        name: draft.name,
        place: draft.place,
        is_frontend,
        is_backend,
        disabled: settings.disabled,
        mode: settings.mode,
        description: draft.description,
        listeners: 0..0,
        servers: 0..0,
        maxconn: settings.maxconn.filter(|_| is_frontend),
        full_conn: settings.full_conn,
        session_rate: (settings.session_rate > 0 && is_frontend).then_some(settings.session_rate),
        backlog: settings.backlog,
        timeouts: without_zeros(settings.timeouts),
        logs,
        log_tag: settings.log_tag,
        log_format,
        log_options: settings.log_options,
        error_line: resolved.error_line,
        unique_id: resolved.unique_id,
        forward_for: settings.forward_for,
        http_connection: settings.http_connection,
        reuse: settings.reuse,
        abort_on_close: settings.abort_on_close,
        independent_streams: settings.independent_streams,
        continuous_stats: settings.continuous_stats,
        http: settings.http,
        accept_invalid: settings.accept_invalid,
        splicing: settings.splicing,
        retries: settings.retries,
        retry_on: settings.retry_on,
        redispatch: settings.redispatch,
        persistence,
        capture: draft.capture,
        algorithm: resolved.balance.algorithm,
        hashing: resolved.balance.hashing,
        hash_factor: resolved.balance.factor,
        all_backups: settings.all_backups,
        dispatch: None,
        script: settings.checks.build(settings.script, settings.program),
        monitor_uri: settings.monitor_uri,
        error_files: settings.error_files,
        stats,
        connection_rules: draft.connection,
        content,
        http_request: Rules::new(http_request, planner),
        redirects: Rules::new(draft.redirects, planner),
        http_response: Rules::new(draft.response, planner),
        switches: Rules::new(resolved.switches, planner),
        default_backend: resolved.default_backend,
        needs_destination: by_log
            || by_switch
            || by_rule
            || by_stats
            || by_hash
            || persists_by_destination,
        outgoing: settings.sockets.outgoing(),
        socket_stats: settings.sockets.socket_stats,
    }
}

/// A timeout of 0 is one that was not set (and takes back what `defaults` said).
fn without_zeros(said: Timeouts) -> Timeouts {
    let set = |time: Option<u32>| time.filter(|time| *time > 0);
    Timeouts {
        client: set(said.client),
        client_fin: set(said.client_fin),
        connect: set(said.connect),
        server: set(said.server),
        server_fin: set(said.server_fin),
        http_request: set(said.http_request),
        http_keep_alive: set(said.http_keep_alive),
        queue: set(said.queue),
        check: set(said.check),
        tunnel: set(said.tunnel),
    }
}

fn build_global(said: GlobalDraft, parser: &Parser<'_>, options: &LoadOptions) -> Global {
    let buffer_size = said.buffer_size.unwrap_or(BUFFER_SIZE);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let variables = parser.variables.iter();
    Global {
        logs: said.logs,
        log_tag: said.log_tag.unwrap_or_else(|| LOG_TAG.to_owned()),
        log_hostname: said.log_hostname,
        chroot: said.chroot,
        limit_asked: said.limit_asked,
        user: said.user,
        group: said.group,
        daemon: said.daemon || options.daemon,
        pid_file: options.pid_file.clone().or(said.pid_file),
        maxconn: options.maxconn.or(said.maxconn),
        descriptors_max: said.descriptors_max,
        hard_stop_after: said.hard_stop_after.filter(|time| *time > 0),
        spread_checks: said.spread_checks,
        stats_sockets: said.stats_sockets,
        stats_timeout: said.stats_timeout.unwrap_or(STATS_TIMEOUT),
        stats_maxconn: said.stats_maxconn.unwrap_or(STATS_MAXCONN),
        buffer_size,
        // As HAProxy: never more than half of the buffer.
        max_rewrite: said.max_rewrite.unwrap_or(MAX_REWRITE).min(buffer_size / 2),
        max_headers: said.max_headers.unwrap_or(MAX_HEADERS),
        max_accept: said.max_accept.unwrap_or(MAX_ACCEPT),
        max_pipes: said.max_pipes,
        pipe_size: said.pipe_size.unwrap_or_default(),
        no_splice: said.no_splice || options.no_splice,
        log_line_max: said.log_line_max.unwrap_or(LOG_LINE_MAX),
        node: said.node,
        description: said.description,
        environment: variables
            .map(|(name, value)| (text(name), text(value)))
            .collect(),
        zero_warning: said.zero_warning || options.zero_warning,
        dumpable: said.dumpable,
        master_worker: said.master_worker,
        failure_is_survived: said.failure_is_survived,
        reloads_max: said.reloads_max,
        quiet: said.quiet || options.quiet,
        strict_limits: !said.limits_are_loose,
        forks: said.forks,
        gains_privileges: said.gains_privileges,
    }
}
