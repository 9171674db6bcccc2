//! From drafts to the immutable `Config`: names become ids, defaults are filled in, and what can only
//! be judged with the whole file at hand is checked, in HAProxy's order and words.
//!
//! When the lines themselves had errors, only references are checked here (missing backends, servers
//! of one name): a warning about a section whose line was refused would be noise. HAProxy checks
//! nothing then; naming a missing backend in the same pass saves a round.
//! Host names of servers are resolved last, and only when nothing is wrong, because it may take long.
//!
//! Nothing here reads a word of a line: handlers have done that.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use super::diag::{Lead, Severity};
use super::draft::{
    GlobalDraft, ListenerDraft, LogChoice, LogLine, ProxyDraft, ServerDraft, SwitchDraft,
};
use super::lines::endpoint;
use super::model::{
    Check, Config, Global, Listener, LogTarget, Mode, Proxy, ProxyId, Server, ServerId, Switch,
    SwitchTarget,
};
use super::proxy::said_at;
use super::sections::{LoadOptions, Loaded, Parser};
use super::units::{Host, Port};
use crate::base::addr::Endpoint;
use crate::rules::condition::{Acl, Condition};
use crate::rules::format::{Format, HTTP_CLF_LOG, HTTP_LOG, Purpose, TCP_LOG};

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
const MAX_ACCEPT: u16 = 4;
/// `tune.http.logurilen`.
const LOG_LINE_MAX: u32 = 1024;
/// `log-tag`.
const LOG_TAG: &str = "haproxy";

const TIMEOUTS_HINT: &str = "\n   | While not properly invalid, you will certainly encounter various problems\n   | with such a configuration. To fix this, please ensure that all following\n   | timeouts are set to a non-zero value: 'client', 'connect', 'server'.";

/// What resolving found for one proxy.
#[derive(Default)]
struct Resolved {
    default_backend: Option<ProxyId>,
    switches: Vec<Switch>,
    log_format: Option<Format>,
}

/// Checks the drafts and builds the configuration.
pub(super) fn finish(mut parser: Parser<'_>, options: &LoadOptions) -> Loaded {
    let clean = parser.found.alerts() == 0;
    let mut resolved = Vec::new();
    for at in 0..parser.proxies.len() {
        resolved.push(parser.check_proxy(at, clean));
    }
    if clean {
        parser.check_ports();
        parser.check_addresses();
    }
    let mut servers = Vec::new();
    if parser.found.alerts() == 0 {
        servers = parser.resolve_servers();
    }
    let failed = parser.found.close();
    let strict = options.zero_warning || parser.global.zero_warning;
    if !failed && strict && parser.found.warnings() > 0 {
        let message = "Some warnings were found and 'zero-warning' is set. Aborting.";
        parser.found.alert_bare(message);
    }
    let good = parser.found.alerts() == 0;
    let config = good.then(|| build(&mut parser, options, resolved, servers));
    Loaded {
        config,
        diagnostics: parser.found,
    }
}

impl Parser<'_> {
    /// The checks of one proxy, in HAProxy's order.
    fn check_proxy(&mut self, at: usize, clean: bool) -> Resolved {
        let mut resolved = Resolved::default();
        let Some(proxy) = self.proxies.get(at) else {
            return resolved;
        };
        if proxy.settings.disabled {
            return resolved;
        }
        if clean {
            self.warn_of_missing_bind(at);
        }
        resolved.default_backend = self.find_default_backend(at);
        resolved.switches = self.find_switches(at);
        if clean {
            resolved.log_format = self.log_format_of(at);
        }
        if clean {
            self.warn_of_timeouts(at);
        }
        self.check_server_names(at);
        if clean {
            self.warn_of_mode(at);
            self.warn_of_unused_log(at);
        }
        resolved
    }

    /// A warning about a proxy as a whole, shown with its section line.
    fn warn(&mut self, at: usize, message: String) {
        let place = self.proxies.get(at).map(|proxy| proxy.at.clone());
        self.found
            .push(Severity::Warning, Lead::Bare, place, message);
    }

    fn warn_of_missing_bind(&mut self, at: usize) {
        let Some(proxy) = self.proxies.get(at) else {
            return;
        };
        let (kind, name) = (proxy.kind(), proxy.name.clone());
        let tcp = proxy.settings.mode == Mode::Tcp;
        let front = proxy.is_frontend();
        let unbound = front && proxy.bind_lines == 0;
        if front && tcp && proxy.settings.monitor_uri.is_some() {
            let message =
                format!("monitor-uri will be ignored for {kind} '{name}' (needs 'mode http').");
            self.warn(at, message);
        }
        if unbound {
            let message = format!(
                "{kind} '{name}' has no 'bind' directive. Please declare it as a backend if this was intended."
            );
            self.warn(at, message);
        }
    }

    /// The backend of a name that the frontend `at` may use.
    fn find_backend(
        &mut self,
        at: usize,
        name: &[u8],
        place: &super::diag::Place,
        keyword: &str,
    ) -> Option<ProxyId> {
        let proxy = self.proxies.get(at)?;
        let text = String::from_utf8_lossy(name).into_owned();
        let ids = self.names.proxies.get(name);
        let target = ids.and_then(|ids| ids.backend);
        let found = target.and_then(|id| Some((id, self.proxies.get(id as usize)?)));
        let mut near = Vec::new();
        let message = match found {
            None => {
                let backends = self.proxies.iter().filter(|one| one.is_backend());
                near = backends.map(|one| one.name.clone()).collect();
                format!(
                    "Proxy '{}': unable to find required {keyword}: '{text}'.",
                    proxy.name
                )
            }
            Some((id, _)) if id as usize == at => {
                format!(
                    "Proxy '{}': loop detected for {keyword}: '{text}'.",
                    proxy.name
                )
            }
            // HAProxy turns such a session into HTTP; oneloop decides when it accepts.
            Some((_, backend))
                if proxy.settings.mode == Mode::Tcp && backend.settings.mode == Mode::Http =>
            {
                format!(
                    "tcp {} '{}' ({}:{}) uses http {} '{}' ({}:{}): going over from TCP to HTTP is not implemented by oneloop.",
                    proxy.kind(),
                    proxy.name,
                    proxy.place.file,
                    proxy.place.line,
                    backend.kind(),
                    backend.name,
                    backend.place.file,
                    backend.place.line
                )
            }
            Some((_, backend)) if backend.settings.mode != proxy.settings.mode => {
                let mode = |one: &ProxyDraft| match one.settings.mode {
                    Mode::Tcp => "tcp",
                    Mode::Http => "http",
                };
                let how = if keyword == "use_backend" {
                    "in a 'use_backend' rule"
                } else {
                    "as its default backend"
                };
                format!(
                    "{} {} '{}' ({}:{}) tries to use incompatible {} {} '{}' ({}:{}) {how} (see 'mode').",
                    mode(proxy),
                    proxy.kind(),
                    proxy.name,
                    proxy.place.file,
                    proxy.place.line,
                    mode(backend),
                    backend.kind(),
                    backend.name,
                    backend.place.file,
                    backend.place.line
                )
            }
            Some((id, _)) => return Some(ProxyId(id)),
        };
        let place = Some(place.clone());
        let one = self.found.push(Severity::Alert, Lead::Bare, place, message);
        one.suggest(&text, near.iter().map(String::as_str));
        None
    }

    fn find_default_backend(&mut self, at: usize) -> Option<ProxyId> {
        let proxy = self.proxies.get(at)?;
        let own = proxy.is_backend().then(|| id_of(at));
        if !proxy.is_frontend() {
            return None;
        }
        match proxy.settings.default_backend.clone() {
            Some((name, place)) => {
                self.find_backend(at, name.as_bytes(), &place, "default_backend")
            }
            None => own,
        }
    }

    fn find_switches(&mut self, at: usize) -> Vec<Switch> {
        let Some(proxy) = self.proxies.get_mut(at) else {
            return Vec::new();
        };
        let drafts = std::mem::take(&mut proxy.switches);
        drafts
            .into_iter()
            .filter_map(|draft| self.find_switch(at, draft))
            .collect()
    }

    fn find_switch(&mut self, at: usize, draft: SwitchDraft) -> Option<Switch> {
        let place = self.model_place(&draft.at);
        let is_name =
            !draft.target.contains(&b'%') || self.names.proxies.contains_key(&draft.target);
        let target = if is_name {
            let id = self.find_backend(at, &draft.target, &draft.at, "use_backend")?;
            SwitchTarget::Backend(id)
        } else {
            match self.compile_format(at, &draft.target, Purpose::Request) {
                Ok(format) if format.constant().is_some() => {
                    let name = format.constant().unwrap_or_default().to_vec();
                    let id = self.find_backend(at, &name, &draft.at, "use_backend")?;
                    SwitchTarget::Backend(id)
                }
                Ok(format) => SwitchTarget::Dynamic(format),
                Err(problem) => {
                    let message = format!(
                        "failed to parse use_backend rule '{}' : {}",
                        String::from_utf8_lossy(&draft.target),
                        problem.message
                    );
                    self.found
                        .alert(draft.at, message)
                        .lead(Lead::ParsingCapital);
                    return None;
                }
            }
        };
        Some(Switch {
            target,
            condition: draft.condition,
            place,
        })
    }

    /// The log line of a frontend: what was chosen, or what its mode allows of it.
    fn log_format_of(&mut self, at: usize) -> Option<Format> {
        let proxy = self.proxies.get(at)?;
        if !proxy.is_frontend() {
            return None;
        }
        let (kind, name) = (proxy.kind(), proxy.name.clone());
        let tcp = proxy.settings.mode == Mode::Tcp;
        let choice = proxy.settings.log_choice.clone();
        let text = match &choice {
            LogChoice::Custom(text, _) => text.clone(),
            LogChoice::Http(place) | LogChoice::Clf(place) if tcp => {
                let said = choice.said_by().unwrap_or("option httplog");
                let said = said.trim_end_matches(" clf");
                let message = format!(
                    "'{said}' not usable with {kind} '{name}' (needs 'mode http'). Falling back to 'option tcplog'."
                );
                self.found.warning(place.clone(), message);
                TCP_LOG.as_bytes().to_vec()
            }
            LogChoice::Http(_) => HTTP_LOG.as_bytes().to_vec(),
            LogChoice::Clf(_) => HTTP_CLF_LOG.as_bytes().to_vec(),
            LogChoice::Tcp => TCP_LOG.as_bytes().to_vec(),
            LogChoice::Default => {
                let mode = if tcp { "TCP" } else { "HTTP" };
                format!("Connect from %ci:%cp to %fi:%fp (%f/{mode})").into_bytes()
            }
        };
        match self.compile_format(at, &text, Purpose::Log) {
            Ok(format) => Some(format),
            Err(problem) => {
                let message = format!("failed to parse log-format : {}", problem.message);
                let place = said_at(&choice).cloned();
                self.found
                    .push(Severity::Alert, Lead::ParsingCapital, place, message);
                None
            }
        }
    }

    fn check_server_names(&mut self, at: usize) {
        let Some(proxy) = self.proxies.get(at) else {
            return;
        };
        let mut first: HashMap<&str, u32> = HashMap::new();
        for server in &proxy.servers {
            let line = *first.entry(&server.name).or_insert(server.at.line);
            if line == server.at.line {
                continue;
            }
            let message = format!(
                "{} '{}', another server named '{}' was already defined at line {line}, please use distinct names.",
                proxy.kind(),
                proxy.name,
                server.name
            );
            self.found.alert(server.at.clone(), message);
        }
    }

    fn warn_of_timeouts(&mut self, at: usize) {
        let Some(proxy) = self.proxies.get(at) else {
            return;
        };
        let timeouts = &proxy.settings.timeouts;
        let unset = |timeout: Option<u32>| timeout.unwrap_or(0) == 0;
        let front = proxy.is_frontend() && unset(timeouts.client);
        let tunnel_serves = proxy.settings.mode == Mode::Tcp && !unset(timeouts.tunnel);
        let back = !proxy.servers.is_empty()
            && (unset(timeouts.connect) || (unset(timeouts.server) && !tunnel_serves));
        if front || back {
            let message = format!(
                "missing timeouts for {} '{}'.{TIMEOUTS_HINT}",
                proxy.kind(),
                proxy.name
            );
            self.warn(at, message);
        }
    }

    /// What needs `mode http` says nothing in TCP mode; it is dropped, with a warning.
    fn warn_of_mode(&mut self, at: usize) {
        let Some(proxy) = self.proxies.get_mut(at) else {
            return;
        };
        if proxy.settings.mode != Mode::Tcp {
            return;
        }
        proxy.settings.monitor_uri = None;
        let request = !std::mem::take(&mut proxy.request).is_empty();
        let response = !std::mem::take(&mut proxy.response).is_empty();
        let forward_for = proxy.settings.forward_for.take().is_some();
        let (kind, name) = (proxy.kind(), proxy.name.clone());
        for (said, what) in [(request, "http-request"), (response, "http-response")] {
            if said {
                let message = format!(
                    "'{what}' rules ignored for {kind} '{name}' as they require HTTP mode."
                );
                self.warn(at, message);
            }
        }
        if forward_for {
            let message = format!(
                "'option forwardfor' ignored for {kind} '{name}' as it requires HTTP mode."
            );
            self.warn(at, message);
        }
    }

    fn warn_of_unused_log(&mut self, at: usize) {
        let Some(proxy) = self.proxies.get(at) else {
            return;
        };
        let said = proxy.settings.log_choice.said_by().is_some();
        if proxy.is_frontend()
            && said
            && !proxy.listeners.is_empty()
            && self.targets(proxy).is_empty()
        {
            let message = format!(
                "log format ignored for {} '{}' since it has no log address.",
                proxy.kind(),
                proxy.name
            );
            self.warn(at, message);
        }
    }

    /// The log targets of a proxy, `log global` replaced.
    fn targets(&self, proxy: &ProxyDraft) -> Vec<LogTarget> {
        let mut targets = Vec::new();
        for log in &proxy.settings.logs {
            match log {
                LogLine::Global => targets.extend(self.global.logs.iter().cloned()),
                LogLine::Target(target) => targets.push(target.clone()),
            }
        }
        targets
    }

    /// A checked server needs a port to check.
    fn check_ports(&mut self) {
        for proxy in &self.proxies {
            for server in &proxy.servers {
                if server.settings.check && check_port(server).is_none() && !proxy.settings.disabled
                {
                    let message = format!(
                        "config: {} '{}': server '{}' has neither service port nor check port.",
                        proxy.kind(),
                        proxy.name,
                        server.name
                    );
                    let place = Some(server.at.clone());
                    self.found.push(Severity::Alert, Lead::Bare, place, message);
                }
            }
        }
    }

    /// One address bound twice is rarely meant: the kernel would share the connections out.
    fn check_addresses(&mut self) {
        let mut first: HashMap<(&Endpoint, Option<&str>), &ListenerDraft> = HashMap::new();
        for proxy in self.proxies.iter().filter(|proxy| !proxy.settings.disabled) {
            for draft in &proxy.listeners {
                let listener = &draft.listener;
                if listener.inherited.is_some() {
                    continue;
                }
                let key = (&listener.endpoint, listener.interface.as_deref());
                let other = *first.entry(key).or_insert(draft);
                if std::ptr::eq(other, draft) {
                    continue;
                }
                let message = format!(
                    "'bind' : address '{}' is already bound at {}:{} ('bind {}').",
                    listener.endpoint,
                    other.listener.place.file,
                    other.listener.place.line,
                    other.spelled
                );
                self.found.warning(draft.at.clone(), message);
            }
        }
    }

    /// The servers of all proxies, in order, their names resolved.
    fn resolve_servers(&mut self) -> Vec<Vec<Server>> {
        let mut all = Vec::new();
        let mut failed = false;
        let mut next = 0;
        for (at, proxy) in self.proxies.iter().enumerate() {
            let taken: Vec<u32> = proxy.servers.iter().filter_map(|one| one.number).collect();
            let mut free = FreeNumbers::new(1, &taken);
            let mut servers = Vec::new();
            for draft in &proxy.servers {
                let (id, number) = (ServerId(next), draft.number.unwrap_or_else(|| free.take()));
                next += 1;
                match self.resolve_server(at, draft, id, number) {
                    Some(server) => servers.push(server),
                    None => {
                        failed = true;
                        let name = match &draft.address.host {
                            Host::Name(name) => name.as_str(),
                            _ => "",
                        };
                        let message = format!(
                            "'server {}/{}' : could not resolve address '{name}'.",
                            proxy.name, draft.name
                        );
                        self.found
                            .alert(draft.address_at.clone(), message)
                            .lead(Lead::Place);
                    }
                }
            }
            all.push(servers);
        }
        if failed {
            self.found
                .alert_bare("Failed to initialize server(s) addr.");
        }
        all
    }

    fn resolve_server(
        &self,
        at: usize,
        draft: &ServerDraft,
        id: ServerId,
        number: u32,
    ) -> Option<Server> {
        let settings = &draft.settings;
        let is_inet = !matches!(draft.address.host, Host::Unix(_) | Host::Abstract(_));
        let (port, port_offset) = match draft.address.port {
            _ if !is_inet => (0, None),
            Port::Offset(by) => (0, Some(by)),
            Port::None | Port::One(0) => (0, Some(0)),
            Port::One(port) | Port::Range(port, _) => (port, None),
        };
        let disabled = self
            .proxies
            .get(at)
            .is_some_and(|proxy| proxy.settings.disabled);
        let endpoint = match super::lines::endpoint(&draft.address, Some(port), self.host) {
            Ok(endpoint) => endpoint,
            // A proxy that never runs need not find its servers.
            Err(_) if disabled => {
                Endpoint::Inet(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))
            }
            Err(_) => return None,
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
        });
        Some(Server {
            id,
            proxy: id_of(at),
            number,
            name: draft.name.clone(),
            place: self.model_place(&draft.at),
            endpoint,
            port_offset,
            hostname,
            weight: settings.weight,
            backup: settings.backup,
            disabled: settings.disabled,
            maxconn: settings.maxconn,
            maxqueue: settings.maxqueue,
            check,
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

/// The port a check connects to; `Some(0)` where there are no ports.
fn check_port(server: &ServerDraft) -> Option<u16> {
    let own = server.settings.check_address.as_ref().map(|(spec, _)| spec);
    let checked = own.unwrap_or(&server.address);
    if matches!(checked.host, Host::Unix(_) | Host::Abstract(_)) {
        return Some(0);
    }
    let of = |port: Port| match port {
        Port::One(port) if port > 0 => Some(port),
        _ => None,
    };
    let settings = &server.settings;
    let own_port = settings
        .check_port
        .or_else(|| own.and_then(|spec| of(spec.port)));
    own_port.or_else(|| of(server.address.port))
}

/// Numbers that nobody asked for, in order.
struct FreeNumbers<'a> {
    next: u32,
    taken: &'a [u32],
}

impl<'a> FreeNumbers<'a> {
    fn new(next: u32, taken: &'a [u32]) -> Self {
        Self { next, taken }
    }

    fn take(&mut self) -> u32 {
        while self.taken.contains(&self.next) {
            self.next += 1;
        }
        self.next += 1;
        self.next - 1
    }
}

fn id_of(at: usize) -> ProxyId {
    ProxyId(u32::try_from(at).unwrap_or(u32::MAX))
}

/// The configuration of drafts that have no errors.
fn build(
    parser: &mut Parser<'_>,
    options: &LoadOptions,
    resolved: Vec<Resolved>,
    servers_of: Vec<Vec<Server>>,
) -> Config {
    let drafts = std::mem::take(&mut parser.proxies);
    let taken: Vec<u32> = drafts.iter().filter_map(|draft| draft.number).collect();
    // The frontend of the stats sockets, when there is one, is number 1.
    let first = 1 + u32::from(!parser.global.stats_sockets.is_empty());
    let mut free = FreeNumbers::new(first, &taken);
    let mut config = Config {
        global: build_global(std::mem::take(&mut parser.global), parser, options),
        proxies: Vec::new(),
        servers: Vec::new(),
        listeners: Vec::new(),
        acls: std::mem::take(&mut parser.acls),
    };
    let all = drafts.into_iter().zip(resolved).zip(servers_of);
    for (at, ((draft, resolved), servers)) in all.enumerate() {
        let number = draft.number.unwrap_or_else(|| free.take());
        let start = index(config.listeners.len());
        config.listeners.extend(build_listeners(&draft.listeners));
        let listeners = start..index(config.listeners.len());
        let start = index(config.servers.len());
        config.servers.extend(servers);
        let servers = start..index(config.servers.len());
        let proxy = build_proxy(at, number, draft, resolved, &config.global, &config.acls);
        config.proxies.push(Proxy {
            listeners,
            servers,
            ..proxy
        });
    }
    config
}

fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn build_listeners(drafts: &[ListenerDraft]) -> Vec<Listener> {
    let taken: Vec<u32> = drafts.iter().filter_map(|one| one.number).collect();
    let mut free = FreeNumbers::new(1, &taken);
    let numbered = drafts.iter().map(|draft| Listener {
        number: draft.number.unwrap_or_else(|| free.take()),
        ..draft.listener.clone()
    });
    numbered.collect()
}

fn build_proxy(
    at: usize,
    number: u32,
    draft: ProxyDraft,
    resolved: Resolved,
    global: &Global,
    acls: &[Acl],
) -> Proxy {
    let (is_frontend, is_backend) = (draft.is_frontend(), draft.is_backend());
    let settings = draft.settings;
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
    let by_log = log_format.as_ref().is_some_and(Format::needs_destination);
    let by_switch = resolved.switches.iter().any(|switch| {
        let by_target = match &switch.target {
            SwitchTarget::Dynamic(format) => format.needs_destination(),
            SwitchTarget::Backend(_) => false,
        };
        by_target || of(&switch.condition)
    });
    let by_rule = draft
        .request
        .iter()
        .any(|rule| rule.needs_destination(acls))
        || draft
            .response
            .iter()
            .any(|rule| rule.needs_destination(acls));
    Proxy {
        id: id_of(at),
        number,
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
        backlog: settings.backlog,
        timeouts: settings.timeouts,
        logs,
        log_tag: settings.log_tag,
        log_format,
        log_options: settings.log_options,
        forward_for: settings.forward_for,
        http_connection: settings.http_connection,
        reuse: settings.reuse,
        abort_on_close: settings.abort_on_close,
        retries: settings.retries,
        redispatch: settings.redispatch,
        algorithm: settings.algorithm,
        all_backups: settings.all_backups,
        monitor_uri: settings.monitor_uri,
        error_files: settings.error_files,
        http_request: draft.request,
        http_response: draft.response,
        switches: resolved.switches,
        default_backend: resolved.default_backend,
        needs_destination: by_log || by_switch || by_rule,
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
        user: said.user,
        group: said.group,
        daemon: said.daemon || options.daemon,
        pid_file: options.pid_file.clone().or(said.pid_file),
        maxconn: options.maxconn.or(said.maxconn),
        descriptors_max: said.descriptors_max,
        hard_stop_after: said.hard_stop_after,
        spread_checks: said.spread_checks,
        stats_sockets: said.stats_sockets,
        stats_timeout: said.stats_timeout.unwrap_or(STATS_TIMEOUT),
        stats_maxconn: said.stats_maxconn.unwrap_or(STATS_MAXCONN),
        buffer_size,
        // As HAProxy: never more than half of the buffer.
        max_rewrite: said.max_rewrite.unwrap_or(MAX_REWRITE).min(buffer_size / 2),
        max_headers: said.max_headers.unwrap_or(MAX_HEADERS),
        max_accept: said.max_accept.unwrap_or(MAX_ACCEPT),
        log_line_max: said.log_line_max.unwrap_or(LOG_LINE_MAX),
        node: said.node,
        description: said.description,
        environment: variables
            .map(|(name, value)| (text(name), text(value)))
            .collect(),
        zero_warning: said.zero_warning || options.zero_warning,
        quiet: said.quiet || options.quiet,
        strict_limits: !said.limits_are_loose,
    }
}
