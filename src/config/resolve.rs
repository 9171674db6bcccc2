//! From drafts to the immutable `Config`: what can only be judged with the whole file at hand is
//! checked, in HAProxy's order and words; names of proxies become ids; then `build` makes the rest.
//!
//! When the lines themselves had errors, only references are checked here (missing backends,
//! servers of one name): a warning about a section whose line was refused would be noise. HAProxy
//! checks nothing then; naming a missing backend in the same pass saves a round.
//! Host names of servers are resolved last, and only when nothing is wrong: it may take long.
//!
//! Nothing here reads a word of a line: handlers have done that.

use std::collections::HashMap;

use super::balance::Balance;
use super::build::build;
use super::checks::Kind;
use super::diag::{Lead, Severity};
use super::draft::{ChoiceDraft, ListenerDraft, LogChoice, LogLine, ProxyDraft, ServerDraft};
use super::model::{
    ErrorLine, LogTarget, Mode, ProxyId, ServerChoice, Statistics, Switch, SwitchTarget, UniqueId,
};
use super::proxy::said_at;
use super::sections::{LoadOptions, Loaded, Parser};
use super::state::{self, Wanted};
use super::units::{Host, Port};
use crate::base::addr::Endpoint;
use crate::rules::format::{Format, HTTP_CLF_LOG, HTTP_LOG, Purpose, TCP_LOG};

const TIMEOUTS_HINT: &str = "\n   | While not properly invalid, you will certainly encounter various problems\n   | with such a configuration. To fix this, please ensure that all following\n   | timeouts are set to a non-zero value: 'client', 'connect', 'server'.";

/// What resolving found for one proxy.
#[derive(Default)]
pub(super) struct Resolved {
    pub(super) default_backend: Option<ProxyId>,
    pub(super) switches: Vec<Switch>,
    pub(super) log_format: Option<Format>,
    pub(super) error_line: ErrorLine,
    pub(super) server_choices: Vec<ServerChoice>,
    pub(super) balance: Balance,
    pub(super) unique_id: Option<Box<UniqueId>>,
    /// The statistics page, without its rules.
    pub(super) stats: Option<Statistics>,
}

/// Checks the drafts and builds the configuration.
pub(super) fn finish(mut parser: Parser<'_>, options: &LoadOptions) -> Loaded {
    let clean = parser.found.alerts() == 0;
    parser.lines_are_good = clean;
    let mut resolved = Vec::new();
    for at in 0..parser.proxies.len() {
        resolved.push(parser.check_proxy(at, clean));
    }
    if clean {
        parser.check_ports();
        parser.check_addresses();
    }
    let tracks = match clean {
        true => parser.resolve_tracks(),
        false => HashMap::new(),
    };
    let mut servers = Vec::new();
    if parser.found.alerts() == 0 {
        servers = parser.resolve_servers(options.ignore_resolution);
    }
    let failed = parser.found.close();
    let strict = options.zero_warning || parser.global.zero_warning;
    let quiet = parser.global.quiet;
    let wanted = Wanted {
        base: parser.global.state_base.take(),
        file: parser.global.state_file.take(),
        proxies: (parser.proxies.iter_mut())
            .map(|proxy| (proxy.settings.state_source, proxy.state_file.take()))
            .collect(),
    };
    let mut config = (!failed).then(|| build(&mut parser, options, resolved, servers));
    if let Some(config) = &mut config {
        let held: Vec<bool> = config.servers.iter().map(|one| one.held_back).collect();
        for server in &mut config.servers {
            server.track = tracks.get(&server.id).copied();
            // What begins down takes those along that follow it.
            let mut last = server.id;
            while let Some(next) = tracks.get(&last) {
                last = *next;
            }
            server.held_back = held.get(last.0 as usize).is_some_and(|held| *held);
        }
        state::load(config, &wanted, parser.host, &mut parser.found);
    }
    if !failed && strict && parser.found.warnings() > 0 {
        let message = "Some warnings were found and 'zero-warning' is set. Aborting.";
        parser.found.alert_bare(message);
        config = None;
    }
    Loaded {
        config,
        diagnostics: parser.found,
        quiet,
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
            self.warn_of_tcp_cookie(at);
            self.warn_of_monitor(at);
            self.warn_of_hash(at);
            self.warn_of_missing_bind(at);
            self.warn_of_unused_dispatch(at);
            self.warn_of_idle_check_rules(at, Kind::Http);
            self.check_program(at);
        }
        let default_backend = self.find_default_backend(at);
        // That of a backend is checked and not used.
        let is_frontend = self.proxies.get(at).is_some_and(ProxyDraft::is_frontend);
        resolved.default_backend = default_backend.filter(|_| is_frontend);
        resolved.switches = self.find_switches(at);
        resolved.server_choices = self.find_server_choices(at);
        if clean {
            self.warn_of_idle_servers(at, default_backend.is_some());
            self.warn_of_layer_six(at);
            resolved.log_format = self.log_format_of(at);
            resolved.error_line = self.error_line_of(at);
            resolved.balance = self.resolve_balance(at);
            resolved.unique_id = self.unique_id_of(at);
            self.warn_of_timeouts(at);
            self.warn_of_idle_check_rules(at, Kind::Tcp);
            self.limit_capture(at);
            self.warn_of_twins(at);
        }
        self.check_server_names(at);
        if clean {
            self.warn_of_fast_open(at);
            self.warn_of_mode(at);
            self.warn_of_unused_log(at);
        }
        resolved.stats = self.resolve_stats(at);
        resolved
    }

    /// A warning about a proxy as a whole, shown with its section line.
    pub(super) fn warn(&mut self, at: usize, message: String) {
        let place = self.proxies.get(at).map(|proxy| proxy.at.clone());
        self.found
            .push(Severity::Warning, Lead::Bare, place, message);
    }

    fn warn_of_monitor(&mut self, at: usize) {
        let Some(proxy) = self.proxies.get(at) else {
            return;
        };
        let tcp = proxy.settings.mode == Mode::Tcp;
        if proxy.is_frontend() && tcp && proxy.settings.monitor_uri.is_some() {
            let (kind, name) = (proxy.kind(), &proxy.name);
            let message =
                format!("monitor-uri will be ignored for {kind} '{name}' (needs 'mode http').");
            self.warn(at, message);
        }
    }

    fn warn_of_missing_bind(&mut self, at: usize) {
        let Some(proxy) = self.proxies.get(at) else {
            return;
        };
        if proxy.is_frontend() && proxy.bind_lines == 0 {
            let (kind, name) = (proxy.kind(), &proxy.name);
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
            Some((_, backend))
                if backend.settings.mode != proxy.settings.mode && self.lines_are_good =>
            {
                wrong_mode(proxy, backend, keyword)
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
        let said = if proxy.is_frontend() {
            proxy.settings.default_backend.clone()
        } else {
            proxy.unused_default.clone()
        };
        match said {
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
        for (name, place) in std::mem::take(&mut proxy.unused_switches) {
            self.find_backend(at, name.as_bytes(), &place, "use_backend");
        }
        let Some(proxy) = self.proxies.get_mut(at) else {
            return Vec::new();
        };
        let drafts = std::mem::take(&mut proxy.switches);
        drafts
            .into_iter()
            .filter_map(|draft| self.find_switch(at, draft))
            .collect()
    }

    fn find_switch(&mut self, at: usize, draft: ChoiceDraft) -> Option<Switch> {
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
                    let place = draft.at.pointing_at(&draft.target, problem.at);
                    self.found.alert(place, message).lead(Lead::ParsingCapital);
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
                let place = place.map(|place| place.pointing_at(&text, problem.at));
                let one = self
                    .found
                    .push(Severity::Alert, Lead::ParsingCapital, place, message);
                if let Some(name) = &problem.suggestion {
                    one.note(format!("did you mean '{name}' maybe ?"));
                }
                None
            }
        }
    }

    /// A `listen` that always goes elsewhere never uses its servers.
    fn warn_of_idle_servers(&mut self, at: usize, resolved: bool) {
        let Some(proxy) = self.proxies.get(at) else {
            return;
        };
        let elsewhere = if proxy.is_frontend() {
            proxy.settings.default_backend.is_some()
        } else {
            proxy.unused_default.is_some()
        };
        if resolved && elsewhere && !proxy.servers.is_empty() {
            let message = format!(
                "In proxy '{}', the 'default_backend' rule always has precedence over the servers, which will never be used.",
                proxy.name
            );
            self.warn(at, message);
        }
    }

    /// HAProxy does not look at bytes below HTTP where HTTP is read.
    fn warn_of_layer_six(&mut self, at: usize) {
        let Some(proxy) = self.proxies.get_mut(at) else {
            return;
        };
        let lines = std::mem::take(&mut proxy.layer_six);
        if proxy.settings.mode == Mode::Tcp {
            return;
        }
        let name = proxy.name.clone();
        let all = [
            lines.switches,
            lines.server_choices,
            lines.content,
            lines.request,
            lines.response,
        ];
        for place in all.into_iter().flatten() {
            let file = self.found.file_name(place.file);
            let message = format!(
                "Proxy '{name}': L6 sample fetches ignored on HTTP proxies (declared at {file}:{}).",
                place.line
            );
            self.found
                .push(Severity::Warning, Lead::Bare, Some(place), message);
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
        let redirect = !std::mem::take(&mut proxy.redirects).is_empty();
        let forward_for = proxy.settings.forward_for.take().is_some();
        let stats = proxy.settings.stats.take().is_some();
        let (kind, name) = (proxy.kind(), proxy.name.clone());
        if stats {
            let message =
                format!("'stats' statement ignored for {kind} '{name}' as it requires HTTP mode.");
            self.warn(at, message);
        }
        self.drop_capture(at);
        for (said, what) in [
            (request, "http-request"),
            (response, "http-response"),
            (redirect, "redirect"),
        ] {
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
        self.drop_options(at);
        self.drop_server_cookies(at);
    }

    /// Options of HTTP, in HAProxy's order.
    fn drop_options(&mut self, at: usize) {
        let Some(proxy) = self.proxies.get_mut(at) else {
            return;
        };
        let (front, back) = (proxy.is_frontend(), proxy.is_backend());
        let (kind, name) = (proxy.kind(), proxy.name.clone());
        let settings = &mut proxy.settings;
        let (http, invalid) = (&mut settings.http, &mut settings.accept_invalid);
        let all = [
            ("checkcache", back, &mut http.check_cache),
            ("http-buffer-request", true, &mut http.buffer_request),
            ("http-ignore-probes", front, &mut http.ignore_probes),
            ("idle-close-on-response", front, &mut http.close_on_answer),
            ("prefer-last-server", back, &mut http.prefer_last),
            ("accept-invalid-http-request", front, &mut invalid.request),
            ("accept-invalid-http-response", back, &mut invalid.response),
            ("http-use-proxy-header", front, &mut http.proxy_header),
            ("http-pretend-keepalive", back, &mut http.pretend_keep_alive),
            ("http-no-delay", true, &mut http.no_delay),
        ];
        let said = all
            .into_iter()
            .filter(|(_, serves, _)| *serves)
            .filter_map(|(option, _, on)| std::mem::take(on).then_some(option));
        let said: Vec<&str> = said.collect();
        for option in said {
            let message =
                format!("'option {option}' ignored for {kind} '{name}' as it requires HTTP mode.");
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
                    let script = &proxy.settings.script;
                    let lacking = match proxy.settings.checks.connects_with_port(script) {
                        None => ".",
                        Some((true, true)) => continue,
                        Some((true, false)) => {
                            ", and a tcp_check rule 'connect' with no port information."
                        }
                        Some((false, _)) => " nor tcp_check rule 'connect' with port information.",
                    };
                    let message = format!(
                        "config: {} '{}': server '{}' has neither service port nor check port{lacking}",
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
}

/// Why a frontend may not use a backend of another mode.
fn wrong_mode(proxy: &ProxyDraft, backend: &ProxyDraft, keyword: &str) -> String {
    let label = |one: &ProxyDraft| {
        let mode = match one.settings.mode {
            Mode::Tcp => "tcp",
            Mode::Http => "http",
        };
        let (kind, place) = (one.kind(), &one.place);
        (
            mode,
            format!("{kind} '{}' ({}:{})", one.name, place.file, place.line),
        )
    };
    let (mode, front) = label(proxy);
    let (other_mode, back) = label(backend);
    // HAProxy turns such a session into HTTP; oneloop decides when it accepts.
    if proxy.settings.mode == Mode::Tcp {
        return format!(
            "{mode} {front} uses {other_mode} {back}: going over from TCP to HTTP is not implemented by oneloop."
        );
    }
    let how = if keyword == "use_backend" {
        "in a 'use_backend' rule"
    } else {
        "as its default backend"
    };
    format!("{mode} {front} tries to use incompatible {other_mode} {back} {how} (see 'mode').")
}

/// The port a check connects to; `Some(0)` where there are no ports.
pub(super) fn check_port(server: &ServerDraft) -> Option<u16> {
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

/// The id of a proxy by its position.
pub(super) fn id_of(at: usize) -> ProxyId {
    ProxyId(u32::try_from(at).unwrap_or(u32::MAX))
}
