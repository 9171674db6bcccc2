//! The lines of `defaults`, `frontend`, `backend` and `listen` that set something of the proxy
//! itself (configuration.txt 4.2): modes, limits, timeouts, options, logs, error files.
//!
//! What a `defaults` section may say lands in `Settings` and is handed on; what only a proxy
//! may say lands in its draft. A keyword that says nothing in a section (`balance` in a
//! frontend) is reported and left out, as HAProxy does. Addresses, servers and rules have
//! files of their own.

use super::build::BUFFER_SIZE;
use super::diag::{self, Lead};
use super::draft::{LogChoice, LogLine, ScriptDraft, Settings, StateSource};
use super::keywords::{self, Admitted, Prefix, Scope};
use super::lexer::Line;
use super::lines::reason;
use super::model::{ForwardFor, HttpConnection, Mode, Network, Reuse, Timeouts};
use super::sections::Parser;
use super::units;
use crate::http::head::Limits;
use crate::http::reply::Reply;
use std::net::IpAddr;
use std::sync::Arc;

/// The statuses that `errorfile` replaces.
const ERROR_STATUSES: [u16; 19] = [
    200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 421, 422, 425, 429, 500, 501, 502, 503, 504,
];

/// The field of a timeout.
fn timeout_field<'a>(timeouts: &'a mut Timeouts, name: &str) -> Option<&'a mut Option<u32>> {
    Some(match name {
        "client" => &mut timeouts.client,
        "client-fin" => &mut timeouts.client_fin,
        "connect" => &mut timeouts.connect,
        "server" => &mut timeouts.server,
        "server-fin" => &mut timeouts.server_fin,
        "queue" => &mut timeouts.queue,
        "check" => &mut timeouts.check,
        "tunnel" => &mut timeouts.tunnel,
        "http-request" => &mut timeouts.http_request,
        "http-keep-alive" => &mut timeouts.http_keep_alive,
        _ => return None,
    })
}

/// The field of an option that is on or off.
fn option_field<'a>(settings: &'a mut Settings, name: &str) -> Option<&'a mut bool> {
    let logs = &mut settings.log_options;
    Some(match name {
        "dontlognull" => &mut logs.dont_log_null,
        "dontlog-normal" => &mut logs.dont_log_normal,
        "logasap" => &mut logs.log_asap,
        "log-separate-errors" => &mut logs.separate_errors,
        "log-health-checks" => &mut logs.health_checks,
        "abortonclose" => &mut settings.abort_on_close,
        "independent-streams" => &mut settings.independent_streams,
        "contstats" => &mut settings.continuous_stats,
        "checkcache" => &mut settings.http.check_cache,
        "http-ignore-probes" => &mut settings.http.ignore_probes,
        "idle-close-on-response" => &mut settings.http.close_on_answer,
        "http-use-proxy-header" => &mut settings.http.proxy_header,
        "http-pretend-keepalive" => &mut settings.http.pretend_keep_alive,
        "http-buffer-request" => &mut settings.http.buffer_request,
        "http-no-delay" => &mut settings.http.no_delay,
        "prefer-last-server" => &mut settings.http.prefer_last,
        "accept-invalid-http-request" | "accept-unsafe-violations-in-http-request" => {
            &mut settings.accept_invalid.request
        }
        "accept-invalid-http-response" | "accept-unsafe-violations-in-http-response" => {
            &mut settings.accept_invalid.response
        }
        "splice-auto" => &mut settings.splicing.auto,
        "splice-request" => &mut settings.splicing.request,
        "splice-response" => &mut settings.splicing.response,
        "allbackups" => &mut settings.all_backups,
        "persist" => &mut settings.persistence.tries_down,
        _ => return None,
    })
}

impl Parser<'_> {
    /// One line of `defaults`, `frontend`, `backend` or `listen`.
    pub(super) fn proxy_line(&mut self, admitted: &Admitted) {
        let line = &admitted.line;
        let name = admitted.keyword.name;
        match name {
            "mode" => self.mode_line(line),
            "log" => self.proxy_log(admitted),
            "log-tag" => {
                let expects = "'log-tag' expects a tag for use in syslog.";
                if let Some(tag) = self.word_line(line, expects) {
                    self.settings().log_tag = Some(tag);
                }
            }
            "unique-id-format" => self.unique_id_format_line(line),
            "unique-id-header" => self.unique_id_header_line(line),
            "error-log-format" => self.error_log_format_line(line),
            "log-format" => self.log_format_line(line),
            "option" => self.option_line(admitted),
            "timeout" => self.timeout_line(line),
            "errorfile" => self.errorfile_line(line),
            "bind" => self.bind_line(line),
            "default_backend" => self.default_backend_line(line),
            "acl" | "http-request" | "http-response" | "redirect" | "tcp-request" => {
                self.rule_line(line);
            }
            "use_backend" => self.use_backend_line(line),
            "stats" => self.stats_line(line),
            "balance" => self.balance_line(line),
            "hash-type" => self.hash_type_line(line),
            "hash-balance-factor" => self.hash_factor_line(line),
            "server" => self.server_line(line),
            "http-check" | "tcp-check" => self.check_line(line),
            "external-check" => self.external_check_line(line),
            "default-server" => self.default_server_line(line),
            "maxconn" | "backlog" => {
                let expects = format!("'{name}' expects an integer argument.");
                if let Some(number) = self.count_line(line, &expects) {
                    let number = (number > 0).then_some(number);
                    if name == "maxconn" {
                        self.settings().maxconn = number;
                    } else {
                        self.settings().backlog = number;
                    }
                }
            }
            "fullconn" => {
                let expects = "'fullconn' expects an integer argument.";
                if let Some(number) = self.count_line(line, expects) {
                    self.settings().full_conn = (number > 0).then_some(number);
                }
            }
            "retries" => {
                let expects = "'retries' expects an integer argument (dispatch counts for one).";
                if let Some(number) = self.count_line(line, expects) {
                    self.settings().retries = number;
                }
            }
            "retry-on" => self.retry_on_line(line),
            "http-reuse" => self.http_reuse_line(line),
            "rate-limit" => self.rate_limit_line(line),
            "monitor-uri" => {
                if let Some(uri) = self.word_line(line, "'monitor-uri' expects an URI.") {
                    self.settings().monitor_uri = Some(uri);
                }
            }
            "enabled" | "disabled" => {
                if self.only(line, 0) {
                    self.settings().disabled = name == "disabled";
                }
            }
            "description" => {
                if let Some(text) = self.description_text(line)
                    && let Some(proxy) = self.proxy()
                {
                    proxy.description = Some(text);
                }
            }
            "load-server-state-from-file" => self.state_source_line(line),
            "server-state-file-name" => {
                if self.only(line, 1)
                    && let Some(proxy) = self.proxy()
                {
                    let name = line.word(1);
                    let own = matches!(name.as_ref(), "" | "use-backend-name");
                    proxy.state_file = (!own).then(|| name.into_owned());
                }
            }
            "cookie" => self.cookie_line(line),
            "dynamic-cookie-key" => self.dynamic_key_line(line),
            "force-persist" | "ignore-persist" => self.persist_rule_line(line),
            "dispatch" => self.dispatch_line(line),
            "use-server" => self.use_server_line(line),
            "capture" => self.capture_line(line),
            "id" => self.id_of_proxy(line),
            "source" => self.source_line(line),
            "clitcpka-idle" | "clitcpka-intvl" | "clitcpka-cnt" | "srvtcpka-idle"
            | "srvtcpka-intvl" | "srvtcpka-cnt" => self.keepalive_line(line, name),
            _ => self.unhandled(admitted),
        }
    }

    fn state_source_line(&mut self, line: &Line) {
        let source = match line.bytes(1) {
            b"global" => StateSource::Global,
            b"local" => StateSource::Local,
            b"none" => StateSource::None,
            _ => {
                let word = line.word(1);
                let message = format!(
                    "'load-server-state-from-file' expects 'global', 'local' or 'none'. Got '{word}'"
                );
                self.found
                    .alert(line.at(1), message)
                    .suggest(&word, ["global", "local", "none"]);
                return;
            }
        };
        if self.only(line, 1) {
            self.settings().state_source = source;
        }
    }

    fn mode_line(&mut self, line: &Line) {
        let mode = match line.bytes(1) {
            b"http" => Mode::Http,
            b"tcp" => Mode::Tcp,
            b"health" => {
                let message = "'mode health' doesn't exist anymore. Please use 'http-request return status 200' instead.";
                self.refuse(line, 1, message);
                return;
            }
            _ => {
                let word = line.word(1);
                let message = format!("unknown proxy mode '{word}'.");
                self.found
                    .alert(line.at(1), message)
                    .suggest(&word, ["http", "tcp"]);
                return;
            }
        };
        if self.only(line, 1) {
            self.settings().mode = mode;
        }
    }

    fn proxy_log(&mut self, admitted: &Admitted) {
        let line = &admitted.line;
        if admitted.prefix == Prefix::No {
            if line.words.len() > 1 {
                self.refuse(line, 1, "log : 'no log' does not expect arguments");
            } else {
                self.settings().logs.clear();
            }
        } else if let Some(log) = self.log_line(line, false) {
            let logs = &mut self.settings().logs;
            let global_again = matches!(log, LogLine::Global)
                && logs.iter().any(|log| matches!(log, LogLine::Global));
            if !global_again {
                logs.push(log);
            }
        }
    }

    fn log_format_line(&mut self, line: &Line) {
        if line.bytes(1).is_empty() {
            self.refuse(line, 1, "log-format expects an argument.");
            return;
        }
        if line.words.len() > 2 {
            let message = "log-format expects only one argument, don't forget to escape spaces!";
            self.refuse(line, 2, message);
            return;
        }
        self.choose_log(line, LogChoice::Custom(line.bytes(1).to_vec(), line.at(1)));
    }

    /// Sets the log format; in `defaults`, a second choice is worth a warning.
    fn choose_log(&mut self, line: &Line, choice: LogChoice) {
        if self.defaults_id().is_some() {
            let before = self.settings().log_choice.said_by();
            let after = choice.said_by();
            if let (Some(before), Some(after)) = (before, after)
                && before != after
            {
                let message =
                    format!("'{after}' overrides previous '{before}' in 'defaults' section.");
                self.found
                    .warning(line.at(0), message)
                    .lead(Lead::ParsingTight);
            }
        }
        self.settings().log_choice = choice;
    }

    fn timeout_line(&mut self, line: &Line) {
        let (section, name) = self.scope();
        let scope = Scope {
            section,
            proxy: &name,
        };
        let Some(what) = keywords::admit_timeout(scope, line, &mut self.found) else {
            return;
        };
        let name = what.name;
        let full = format!("timeout {name}");
        if line.bytes(2).is_empty() {
            let message = format!("'{full}' expects an integer value (in milliseconds)");
            self.refuse(line, 2, message);
            return;
        }
        let Some(time) = self.time(line, 2, &full) else {
            return;
        };
        if let Some(extra) = line.words.get(3) {
            let message = format!(
                "'{full}' : unexpected extra argument '{}' after value '{}'.",
                extra.str(),
                line.word(2)
            );
            self.refuse(line, 3, message);
            return;
        }
        let inherited = self.proxy().map(|proxy| proxy.timeouts_inherited);
        let Some(field) = timeout_field(&mut self.settings().timeouts, name) else {
            let message = format!("'{full}' is not implemented by oneloop.");
            self.refuse(line, 1, message);
            return;
        };
        let before = field.replace(time);
        if let Some(mut inherited) = inherited
            && before.is_some_and(|before| before > 0)
            && timeout_field(&mut inherited, name).is_some_and(|base| *base != before)
        {
            let message = format!("overwriting '{full}' which was already specified");
            self.found.warning(line.at(1), message);
        }
    }

    fn option_line(&mut self, admitted: &Admitted) {
        let line = &admitted.line;
        let (section, name) = self.scope();
        let scope = Scope {
            section,
            proxy: &name,
        };
        let Some(option) = keywords::admit_option(scope, admitted, &mut self.found) else {
            if section == keywords::Section::Frontend {
                self.forget_external_check(line.bytes(1));
            }
            return;
        };
        let name = option.name;
        let on = admitted.prefix == Prefix::None;
        if let Some(field) = option_field(self.settings(), name) {
            *field = on;
            if name == "splice-auto" {
                self.settings().splicing.refused = !on;
            }
            return;
        }
        if self.socket_option(name, on) {
            return;
        }
        match name {
            "httpclose" | "http-server-close" | "http-keep-alive" => {
                self.http_connection_option(name, on);
            }
            "redispatch" => self.redispatch_option(line, on),
            "httpchk" => self.httpchk_option(line),
            "tcp-check" => self.tcp_check_option(),
            "external-check" => self.settings().script = ScriptDraft::Program,
            "httplog" | "tcplog" => self.log_option(line, name),
            "smtpchk" | "redis-check" | "mysql-check" | "pgsql-check" | "ldap-check" => {
                self.protocol_option(line, name);
            }
            "forwardfor" => {
                if let Some(forward_for) = self.forwardfor_option(line) {
                    self.settings().forward_for = Some(forward_for);
                }
            }
            _ => {
                let message = format!("'option {name}' is not implemented by oneloop.");
                self.refuse(line, 1, message);
            }
        }
    }

    /// Checks of another kind, though they are ignored in a frontend, leave nothing of `option
    /// external-check` there, as in HAProxy.
    fn forget_external_check(&mut self, option: &[u8]) {
        let of_checks: [&[u8]; 7] = [
            b"httpchk",
            b"tcp-check",
            b"redis-check",
            b"smtpchk",
            b"mysql-check",
            b"pgsql-check",
            b"ldap-check",
        ];
        if of_checks.contains(&option) {
            self.settings().script = ScriptDraft::Connection;
        }
    }

    /// The last of these options wins; `no` takes back only its own.
    fn http_connection_option(&mut self, name: &str, on: bool) {
        let kind = match name {
            "httpclose" => HttpConnection::Close,
            "http-server-close" => HttpConnection::ServerClose,
            _ => HttpConnection::KeepAlive,
        };
        let current = &mut self.settings().http_connection;
        if on {
            *current = kind;
        } else if *current == kind {
            *current = HttpConnection::default();
        }
    }

    /// `option httplog [clf]` and `option tcplog`.
    fn log_option(&mut self, line: &Line, name: &str) {
        let choice = match (name, line.bytes(2)) {
            ("tcplog", _) => LogChoice::Tcp,
            (_, b"") => LogChoice::Http(line.at(1)),
            (_, b"clf") => LogChoice::Clf(line.at(1)),
            _ => {
                self.refuse(line, 2, "keyword 'httplog' only supports option 'clf'.");
                return;
            }
        };
        self.choose_log(line, choice);
    }

    /// `option forwardfor [except NET] [header NAME] [if-none]`.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn forwardfor_option(&mut self, line: &Line) -> Option<ForwardFor> {
        let mut said = ForwardFor {
            header: "X-Forwarded-For".to_owned(),
            except: None,
            if_none: false,
        };
        let mut at = 2;
        while at < line.words.len() {
            match line.bytes(at) {
                b"except" => {
                    said.except = network(&line.word(at + 1));
                    if said.except.is_none() {
                        let message =
                            "'option forwardfor except' expects <address>[/mask] as argument.";
                        self.refuse(line, at + 1, message);
                        return None;
                    }
                    at += 1;
                }
                b"header" => {
                    if line.bytes(at + 1).is_empty() {
                        let message =
                            "'option forwardfor header' expects <header_name> as argument.";
                        self.refuse(line, at + 1, message);
                        return None;
                    }
                    said.header = line.word(at + 1).into_owned();
                    if !said.header.bytes().all(is_token) {
                        let message = format!(
                            "'option forwardfor header' : '{}' is not a header name.",
                            said.header
                        );
                        self.refuse(line, at + 1, message);
                        return None;
                    }
                    at += 1;
                }
                b"if-none" => said.if_none = true,
                _ => {
                    let message = "'option forwardfor' only supports optional values: 'except', 'header' and 'if-none'.";
                    let word = line.word(at);
                    self.found
                        .alert(line.at(at), message)
                        .suggest(&word, ["except", "header", "if-none"]);
                    return None;
                }
            }
            at += 1;
        }
        Some(said)
    }

    fn errorfile_line(&mut self, line: &Line) {
        if line.bytes(1).is_empty() || line.bytes(2).is_empty() {
            let message = "errorfile : expects <status_code> and <file> as arguments.";
            self.refuse(line, line.words.len().min(2), message);
            return;
        }
        let number = units::atol(&line.word(1));
        let status = u16::try_from(number).unwrap_or(0);
        if !ERROR_STATUSES.contains(&status) {
            let message = format!("errorfile : status code '{number}' not handled.");
            self.refuse(line, 1, message);
            return;
        }
        if !self.only(line, 2) {
            return;
        }
        let Some(reply) = self.error_reply(line) else {
            return;
        };
        let files = &mut self.settings().error_files;
        match files.iter_mut().find(|(known, _)| *known == status) {
            Some((_, known)) => *known = reply,
            None => files.push((status, reply)),
        }
    }

    /// The answer that the file of an `errorfile` line holds.
    fn error_reply(&mut self, line: &Line) -> Option<Arc<Reply>> {
        let path = line.word(2).into_owned();
        if let Some(known) = self.error_files.get(&path) {
            return Some(known.clone());
        }
        let bytes_max = self.global.buffer_size.unwrap_or(BUFFER_SIZE);
        let bytes = match self.host.read_file(&path, bytes_max as usize) {
            Ok(bytes) => bytes,
            Err(error) => {
                use std::io::ErrorKind::{FileTooLarge, IsADirectory};
                // Opening a directory works, reading it does not.
                let verb = match error.kind() {
                    FileTooLarge | IsADirectory => "reading",
                    _ => "opening",
                };
                let message = format!("errorfile : error {verb} file '{path}'.");
                let why = reason(&error);
                self.found.alert(line.at(2), message).note(why);
                return None;
            }
        };
        let limits = Limits {
            bytes_max,
            lenient: false,
        };
        match Reply::from_errorfile(&bytes, &limits) {
            Ok(reply) => {
                let reply = Arc::new(reply);
                self.error_files.insert(path, reply.clone());
                Some(reply)
            }
            Err(problem) => {
                let message = format!("errorfile : '{path}': {problem}");
                self.refuse(line, 2, message);
                None
            }
        }
    }

    fn default_backend_line(&mut self, line: &Line) {
        let expects = "'default_backend' expects a backend name.";
        if let Some(name) = self.word_line(line, expects) {
            self.settings().default_backend = Some((name, line.at(1)));
        }
    }

    fn http_reuse_line(&mut self, line: &Line) {
        let reuse = match line.bytes(1) {
            b"never" => Reuse::Never,
            b"safe" => Reuse::Safe,
            b"aggressive" => Reuse::Aggressive,
            b"always" => Reuse::Always,
            _ => {
                let word = line.word(1);
                let message = "'http-reuse' only supports 'never', 'safe', 'aggressive', 'always'.";
                let names = ["never", "safe", "aggressive", "always"];
                self.found.alert(line.at(1), message).suggest(&word, names);
                return;
            }
        };
        let full = format!("http-reuse {}", line.word(1));
        if self.only_as(line, 1, &full) {
            self.settings().reuse = reuse;
        }
    }

    /// `rate-limit sessions N`.
    fn rate_limit_line(&mut self, line: &Line) {
        let word = line.word(1).into_owned();
        if word != "sessions" {
            let message = format!("'rate-limit' only supports 'sessions' (got '{word}')");
            self.found
                .alert(line.at(1), message)
                .suggest(&word, ["sessions"]);
            return;
        }
        let word = line.word(2).into_owned();
        if word.is_empty() {
            // The doubled word is HAProxy's.
            let message =
                "'rate-limit sessions' expects expects an integer value (in sessions/second)";
            self.refuse(line, 2, message);
            return;
        }
        let rate = units::integer(&word).and_then(|rate| u32::try_from(rate).ok());
        let Some(rate) = rate else {
            let digits = word.trim_start_matches(['+', '-']);
            let text = match digits.chars().find(|c| !c.is_ascii_digit()) {
                Some(bad) => format!("unexpected character '{bad}' in integer value '{word}'"),
                None => format!("'{word}' is out of range."),
            };
            self.refuse(line, 2, format!("'rate-limit sessions' : {text}"));
            return;
        };
        if !self.only_as(line, 2, "rate-limit sessions") {
            return;
        }
        let before = std::mem::replace(&mut self.settings().session_rate, rate);
        let Some(proxy) = self.proxy() else { return };
        let message = if !proxy.is_frontend() {
            format!(
                "rate-limit sessions will be ignored because {} '{}' has no frontend capability",
                proxy.kind(),
                proxy.name
            )
        } else if before != proxy.session_rate_inherited {
            "overwriting rate-limit sessions which was already specified".to_owned()
        } else {
            return;
        };
        self.found.warning(line.at(0), message);
    }

    /// `id N`.
    fn id_of_proxy(&mut self, line: &Line) {
        let Some(at) = self.proxy_id() else {
            return;
        };
        if line.bytes(1).is_empty() {
            self.refuse_tight(line, 1, "'id' expects an integer argument.");
            return;
        }
        if !self.only(line, 1) {
            return;
        }
        let number = units::integer(&line.word(1)).and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| (1..=i32::MAX as u32).contains(number));
        let Some(number) = number else {
            self.refuse_tight(line, 1, "custom id has to be > 0.");
            return;
        };
        let clash = self.proxy_ids.get(&number).filter(|other| **other != at);
        let clash = clash.and_then(|other| self.proxies.get(*other));
        if let (Some(other), Some(proxy)) = (clash, self.proxies.get(at)) {
            let message = format!(
                "{} {} reuses same custom id as {} {} (declared at {}:{}).",
                proxy.kind(),
                proxy.name,
                other.kind(),
                other.name,
                other.place.file,
                other.place.line
            );
            self.refuse_tight(line, 1, message);
            return;
        }
        if let Some(proxy) = self.proxies.get_mut(at) {
            if let Some(before) = proxy.number.replace(number) {
                self.proxy_ids.remove(&before);
            }
            self.proxy_ids.insert(number, at);
        }
    }
}

/// A header name's byte (RFC 9110 §5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `ADDRESS[/PREFIX]` or `ADDRESS/MASK`.
fn network(text: &str) -> Option<Network> {
    let (address, mask) = match text.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match mask {
        None => width,
        Some(mask) => match mask.parse::<u8>() {
            Ok(prefix) => prefix,
            Err(_) => mask_prefix(mask, address.is_ipv4())?,
        },
    };
    (prefix <= width).then_some(Network { address, prefix })
}

/// The prefix length of a mask of leading ones.
fn mask_prefix(mask: &str, is_v4: bool) -> Option<u8> {
    match mask.parse::<IpAddr>().ok()? {
        IpAddr::V4(mask) if is_v4 => {
            let bits = u32::from(mask);
            let ones = bits.leading_ones();
            (bits.count_ones() == ones).then_some(ones as u8)
        }
        IpAddr::V6(mask) if !is_v4 => {
            let bits = u128::from(mask);
            let ones = bits.leading_ones();
            (bits.count_ones() == ones).then_some(ones as u8)
        }
        _ => None,
    }
}

/// Where a log choice was said, for messages about it.
pub(super) fn said_at(choice: &LogChoice) -> Option<&diag::Place> {
    match choice {
        LogChoice::Http(place) | LogChoice::Clf(place) | LogChoice::Custom(_, place) => Some(place),
        LogChoice::Default | LogChoice::Tcp => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (text, prefix) in [
            ("10.0.0.0/8", Some(8)),
            ("10.0.0.0/255.255.0.0", Some(16)),
            ("10.0.0.1", Some(32)),
            ("::1", Some(128)),
            ("fe80::/10", Some(10)),
            ("fe80::/ffff::", Some(16)),
            ("10.0.0.0/33", None),
            ("10.0.0.0/255.0.255.0", None),
            ("10.0.0.0/ffff::", None),
            ("name", None),
            ("", None),
        ] {
            assert_eq!(network(text).map(|found| found.prefix), prefix, "{text}");
        }
    }
}
