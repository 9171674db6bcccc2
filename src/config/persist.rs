//! The lines that bind clients to servers: `cookie`, `dynamic-cookie-key`, `force-persist`,
//! `ignore-persist`, and `capture cookie`, which only looks (configuration.txt 4.2).
//!
//! A second `cookie` line begins anew, but for the attributes of the first, as in HAProxy. What of
//! it needs the mode of its proxy is judged at the end, in `resolve`.

use super::diag::Lead;
use super::draft::{CookieDraft, ProxyDraft, ServerDraft};
use super::lexer::Line;
use super::model::{
    Capture, Cookie, CookieMode, Mode, PersistRule, Persistence, ServerChoice, ServerTarget, twins,
};
use super::sections::Parser;
use super::units::{self, Host, Port, TimeUnit};
use crate::balance::persist::{Directory, dynamic_cookie};
use crate::rules::condition::Condition;
use crate::rules::fetch::Scope;
use crate::rules::plan::Rules;

/// What a `cookie` line takes behind its name.
const COOKIE_OPTIONS: [&str; 13] = [
    "rewrite", "insert", "prefix", "indirect", "nocache", "postonly", "preserve", "httponly",
    "secure", "domain", "maxidle", "maxlife", "dynamic",
];

/// What is said of a word that is none of them; HAProxy's list lacks some.
const COOKIE_HELP: &str = "'cookie' supports 'rewrite', 'insert', 'prefix', 'indirect', 'nocache', 'postonly', 'domain', 'maxidle', 'dynamic', 'maxlife' and 'attr' options.";

/// The most bytes of a captured cookie, unless `tune.http.cookielen` says otherwise.
const CAPTURE_MAX: u32 = 63;

impl Parser<'_> {
    /// `cookie NAME [OPTION...]`.
    pub(super) fn cookie_line(&mut self, line: &Line) {
        if line.bytes(1).is_empty() {
            self.refuse(line, 1, "'cookie' expects <cookie_name> as argument.");
            return;
        }
        let persistence = &mut self.settings().persistence;
        let attributes = match persistence.cookie.take() {
            Some(before) => before.attributes,
            None => Vec::new(),
        };
        let mut draft = CookieDraft {
            attributes,
            ..CookieDraft::default()
        };
        draft.settings.name = line.word(1).into_owned();
        let Some(modes) = self.cookie_options(line, &mut draft) else {
            return;
        };
        let settings = &draft.settings;
        // HAProxy judges in this order, and goes on.
        let mut wrong = Vec::new();
        if modes.contains(&CookieMode::Rewrite) && settings.indirect {
            wrong.push("cookie 'rewrite' and 'indirect' modes are incompatible.");
        }
        if modes.iter().any(|mode| Some(mode) != modes.first()) {
            wrong.push("cookie 'rewrite', 'insert' and 'prefix' modes are incompatible.");
        }
        let inserts = modes.contains(&CookieMode::Insert);
        if settings.preserve && !inserts && !settings.indirect {
            wrong.push("cookie 'preserve' requires at least 'insert' or 'indirect'.");
        }
        for message in &wrong {
            self.refuse(line, 0, *message);
        }
        self.settings().persistence.cookie = Some(Box::new(draft));
    }

    /// The options of a `cookie` line, and the modes that it names.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn cookie_options(&mut self, line: &Line, draft: &mut CookieDraft) -> Option<Vec<CookieMode>> {
        let mut modes = Vec::new();
        let mut at = 2;
        while at < line.words.len() {
            let settings = &mut draft.settings;
            let word = line.word(at);
            match &*word {
                "rewrite" => modes.push(CookieMode::Rewrite),
                "insert" => modes.push(CookieMode::Insert),
                "prefix" => modes.push(CookieMode::Prefix),
                "indirect" => settings.indirect = true,
                "nocache" => settings.no_cache = true,
                "postonly" => settings.post_only = true,
                "preserve" => settings.preserve = true,
                "httponly" => draft.http_only = true,
                "secure" => draft.secure = true,
                "dynamic" => draft.dynamic = true,
                "domain" => draft.domains.push(self.cookie_domain(line, at + 1)?),
                "attr" => draft.attributes.push(self.cookie_attribute(line, at + 1)?),
                "maxidle" => settings.max_idle = self.cookie_age(line, at, "idletime")?,
                "maxlife" => settings.max_life = self.cookie_age(line, at, "lifetime")?,
                _ => {
                    let names = COOKIE_OPTIONS.into_iter().chain(["attr"]);
                    self.found
                        .alert(line.at(at), COOKIE_HELP)
                        .suggest(&word, names);
                    return None;
                }
            }
            at += match &*word {
                "domain" | "attr" | "maxidle" | "maxlife" => 2,
                _ => 1,
            };
        }
        draft.settings.mode = modes.first().copied().unwrap_or_default();
        Some(modes)
    }

    fn cookie_domain(&mut self, line: &Line, at: usize) -> Option<String> {
        let domain = line.word(at).into_owned();
        if domain.is_empty() {
            self.refuse_tight(line, at, "'domain' expects <domain> as argument.");
            return None;
        }
        if !domain.starts_with('.') && !domain.contains('.') {
            let message = format!(
                "domain '{domain}' contains no embedded dot, this configuration may not work properly (see RFC6265#5.2.3)."
            );
            self.found
                .warning(line.at(at), message)
                .lead(Lead::ParsingTight);
        }
        let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if let Some(bad) = domain.chars().find(|c| !is_good(*c)) {
            let message = format!("character '{bad}' is not permitted in domain name '{domain}'.");
            self.refuse_tight(line, at, message);
            return None;
        }
        Some(domain)
    }

    fn cookie_attribute(&mut self, line: &Line, at: usize) -> Option<String> {
        let attribute = line.word(at).into_owned();
        if attribute.is_empty() {
            self.refuse_tight(line, at, "'attr' expects <value> as argument.");
            return None;
        }
        let is_bad = |byte: &u8| byte.is_ascii_control() || *byte == b';';
        if let Some(bad) = line.bytes(at).iter().find(|byte| is_bad(byte)) {
            let message = format!("character '%x{bad:02X}' is not permitted in attribute value.");
            self.refuse_tight(line, at, message);
            return None;
        }
        Some(attribute)
    }

    /// `maxidle` and `maxlife`, seconds.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn cookie_age(&mut self, line: &Line, at: usize, what: &str) -> Option<u32> {
        let option = line.word(at);
        let word = line.word(at + 1);
        if word.is_empty() {
            let message = format!("'{option}' expects <{what}> in seconds as argument.");
            self.refuse_tight(line, at + 1, message);
            return None;
        }
        self.warn_of_tail(line, at + 1);
        let message = match units::time(&word, TimeUnit::S, TimeUnit::S) {
            Ok(seconds) => return u32::try_from(seconds).ok(),
            Err(units::TimeError::Overflow) => format!(
                "timer overflow in argument <{word}> to <{option}>, maximum value is 2147483647 s (~68 years)."
            ),
            Err(units::TimeError::Unexpected(c)) => {
                format!("unexpected character '{c}' in argument to <{option}>.")
            }
        };
        self.refuse_tight(line, at + 1, message);
        None
    }

    /// `dynamic-cookie-key KEY`.
    pub(super) fn dynamic_key_line(&mut self, line: &Line) {
        let key = line.word(1).into_owned();
        if key.is_empty() {
            let message = "'dynamic-cookie-key' expects <secret_key> as argument.";
            self.refuse(line, 1, message);
            return;
        }
        self.settings().persistence.key = Some(key);
    }

    /// `force-persist` and `ignore-persist`.
    pub(super) fn persist_rule_line(&mut self, line: &Line) {
        let keyword = line.word(0).into_owned();
        if !matches!(line.bytes(1), b"if" | b"unless") {
            let message =
                format!("'{keyword}' requires either 'if' or 'unless' followed by a condition.");
            self.refuse(line, 1, message);
            return;
        }
        let before = format!("error detected while parsing a '{keyword}' rule : ");
        let Some(condition) = self.condition(line, 1, Scope::Switch, &before) else {
            return;
        };
        if let Some(proxy) = self.proxy() {
            proxy.persist_rules.push(PersistRule {
                forces: keyword == "force-persist",
                condition,
            });
        }
    }

    /// `capture cookie NAME len LENGTH`.
    pub(super) fn capture_line(&mut self, line: &Line) {
        let is_known = matches!(line.bytes(1), b"cookie" | b"request" | b"response");
        if is_known && self.defaults_id().is_some() {
            let what = line.word(1);
            let message = format!("'capture {what}' not allowed in 'defaults' section.");
            self.refuse(line, 1, message);
            return;
        }
        match line.bytes(1) {
            b"cookie" => {}
            b"request" | b"response" if line.bytes(2) == b"header" => {
                let what = line.word(1);
                let message = format!("'capture {what} header' is not implemented by oneloop.");
                self.refuse(line, 1, message);
                return;
            }
            b"request" => {
                let message = "'capture request' expects 'header' <header_name> 'len' <len>.";
                self.refuse(line, 2, message);
                return;
            }
            _ => {
                let message =
                    "'capture' expects 'cookie' or 'request header' or 'response header'.";
                self.refuse(line, 1, message);
                return;
            }
        }
        if line.bytes(4).is_empty() {
            let message = "'capture' expects 'cookie' <cookie_name> 'len' <len>.";
            self.refuse(line, line.words.len().min(4), message);
            return;
        }
        let Ok(length) = usize::try_from(units::atol(&line.word(4))) else {
            let message = "'capture cookie' : a length below 0 is not implemented by oneloop.";
            self.refuse(line, 4, message);
            return;
        };
        let begins = line.word(2).into_owned();
        if let Some(proxy) = self.proxy() {
            proxy.capture = Some(Capture { begins, length });
        }
    }

    /// A cookie needs `mode http`.
    pub(super) fn warn_of_tcp_cookie(&mut self, at: usize) {
        let Some(proxy) = self.proxies.get_mut(at) else {
            return;
        };
        if proxy.is_backend()
            && proxy.settings.mode == Mode::Tcp
            && proxy.settings.persistence.cookie.is_some()
        {
            let (kind, name) = (proxy.kind(), &proxy.name);
            let message =
                format!("cookie will be ignored for {kind} '{name}' (needs 'mode http').");
            self.warn(at, message);
        }
    }

    /// What is too long for a captured cookie is cut.
    pub(super) fn limit_capture(&mut self, at: usize) {
        let most = self.global.cookie_length.unwrap_or(CAPTURE_MAX) as usize;
        let Some(proxy) = self.proxies.get_mut(at) else {
            return;
        };
        if let Some(capture) = &mut proxy.capture
            && capture.length > most
        {
            capture.length = most;
            let name = &proxy.name;
            let message = format!("truncating capture length to {most} bytes for proxy '{name}'.");
            self.warn(at, message);
        }
    }

    /// Two servers of one place get the same dynamic cookie.
    pub(super) fn warn_of_twins(&mut self, at: usize) {
        let Some(proxy) = self.proxies.get(at) else {
            return;
        };
        let persistence = &proxy.settings.persistence;
        let Some(key) = persistence.dynamic_key() else {
            return;
        };
        let values = proxy
            .servers
            .iter()
            .filter_map(|server| literal_cookie(server, key));
        let values: Vec<String> = values.collect();
        let all = values
            .iter()
            .zip(0..)
            .map(|(value, id)| (value.as_str(), id));
        if Directory::new(all).has_twins() {
            let message = twins(&proxy.name);
            self.warn(at, message);
        }
    }

    /// What needs `mode http` and is not: the capture, and the servers' cookies.
    pub(super) fn drop_capture(&mut self, at: usize) {
        let Some(proxy) = self.proxies.get_mut(at) else {
            return;
        };
        if proxy.capture.take().is_some() {
            let (kind, name) = (proxy.kind(), &proxy.name);
            let message = format!(
                "'capture' statement ignored for {kind} '{name}' as it requires HTTP mode."
            );
            self.warn(at, message);
        }
    }

    /// The servers of a TCP proxy have no cookies.
    pub(super) fn drop_server_cookies(&mut self, at: usize) {
        let Some(proxy) = self.proxies.get_mut(at) else {
            return;
        };
        let (kind, name) = (proxy.kind(), proxy.name.clone());
        let dynamic = proxy.settings.persistence.dynamic_key().map(str::to_owned);
        let mut messages = Vec::new();
        for server in &mut proxy.servers {
            let own = server.settings.cookie.take().is_some();
            let made = dynamic.as_ref().and_then(|key| literal_cookie(server, key));
            if own || made.is_some() {
                let server = &server.name;
                messages.push(format!(
                    "{kind} '{name}' : ignoring cookie for server '{server}' as HTTP mode is disabled."
                ));
            }
        }
        proxy.settings.persistence.cookie = None;
        for message in messages {
            self.warn(at, message);
        }
    }
}

/// The dynamic cookie of a server whose address is written out.
fn literal_cookie(server: &ServerDraft, key: &str) -> Option<String> {
    if server.settings.cookie.is_some() {
        return None;
    }
    let address = match server.address.host {
        Host::V4(address) => address.into(),
        Host::V6(address) => address.into(),
        _ => return None,
    };
    let port = match server.address.port {
        Port::None => 0,
        Port::One(port) | Port::Range(port, _) => i32::from(port),
        Port::Offset(by) => by,
    };
    Some(dynamic_cookie(key.as_bytes(), address, port))
}

/// What the lines of a proxy mean.
pub(super) fn persistence(
    draft: &mut ProxyDraft,
    rules: Rules<PersistRule>,
    choices: Rules<ServerChoice>,
) -> Persistence {
    let said = std::mem::take(&mut draft.settings.persistence);
    let dynamic = said.dynamic();
    let cookie = said.cookie.map(|cookie| Box::new(cookie.finish()));
    Persistence {
        cookie,
        dynamic,
        tries_down: said.tries_down,
        rules,
        choices,
    }
}

impl CookieDraft {
    /// The cookie, its tail written out.
    fn finish(self) -> Cookie {
        let mut tail = "; path=/".to_owned();
        let parts = self.domains.iter().map(|domain| format!("domain={domain}"));
        let flags = [(self.http_only, "HttpOnly"), (self.secure, "Secure")];
        let flags = flags.into_iter().filter(|(on, _)| *on);
        let parts = parts.chain(flags.map(|(_, word)| word.to_owned()));
        for part in parts.chain(self.attributes) {
            tail.push_str("; ");
            tail.push_str(&part);
        }
        Cookie {
            tail,
            ..self.settings
        }
    }
}

/// Whether any rule reads where the client connected to.
pub(super) fn needs_destination(
    rules: &[PersistRule],
    choices: &[ServerChoice],
    of: impl Fn(&Condition) -> bool,
) -> bool {
    let by_target = |target: &ServerTarget| match target {
        ServerTarget::Dynamic(format) => format.needs_destination(),
        ServerTarget::Server(_) => false,
    };
    let mut choices = choices.iter();
    rules.iter().any(|rule| of(&rule.condition))
        || choices.any(|choice| by_target(&choice.target) || of(&choice.condition))
}
