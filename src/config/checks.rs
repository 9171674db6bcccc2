//! The lines that say what health checks do: `option httpchk`, `http-check` and `tcp-check`.
//!
//! A rule is compiled where it stands; a section that has one of its own forgets those that its
//! `defaults` handed on. Whether the rules fit together is judged when the section is known. The
//! messages are HAProxy's, down to the full stops that it says twice.

use std::sync::Arc;

use super::diag::Lead;
use super::draft::ScriptDraft;
use super::lexer::Line;
use super::sections::Parser;
use super::units::{self, Allow};
use crate::check::conversation::Script;
use crate::check::expect::{Compare, Expect, Pattern, Text};
use crate::check::probe::Status;
use crate::check::request::Request;
use crate::check::sequence::{
    Assigned, Condition, ConnectStep, Http, Payload, Sequence, SetVariable, Step,
};
use crate::rules::compile::{Compiler, Problem};
use crate::rules::fetch::{Expression, Scope};
use crate::rules::format::{Format, Purpose};
use crate::rules::regex::Regex;
use crate::rules::unhex;
use crate::rules::variables::check_name;

/// What the checks of a section do.
#[derive(Clone, Debug, Default)]
pub(super) struct ChecksDraft {
    request: Arc<Request>,
    pub(super) tcp: RulesDraft,
    pub(super) http: RulesDraft,
    disable_on_404: bool,
    send_state: bool,
}

/// The rules of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct RulesDraft {
    steps: Vec<Arc<Step>>,
    /// They are the section's own, and not its `defaults`'.
    own: bool,
    /// An option has asked for them.
    asked: bool,
}

impl ChecksDraft {
    /// What is not the section's own is replaced by the first rule that is.
    pub(super) fn inherited(&mut self) {
        (self.tcp.own, self.http.own) = (false, false);
    }

    /// Where the first connection of a sequence goes, and the last one: whether each names a port.
    pub(super) fn connects_with_port(&self, script: &ScriptDraft) -> Option<(bool, bool)> {
        let rules = match script {
            ScriptDraft::Tcp => &self.tcp,
            ScriptDraft::Http => &self.http,
            ScriptDraft::Connection | ScriptDraft::Protocol(_) => return None,
        };
        let ports = rules.steps.iter().filter_map(|step| match &**step {
            Step::Connect(connect) => Some(connect.how.port.is_some() || connect.port.is_some()),
            _ => None,
        });
        let mut ports = ports.peekable();
        let first = ports.peek().copied().unwrap_or(false);
        Some((first, ports.all(|has_port| has_port)))
    }

    /// What the checks of a proxy say and expect.
    pub(super) fn build(self, script: ScriptDraft) -> Script {
        match script {
            ScriptDraft::Connection => Script::Connection,
            ScriptDraft::Protocol(protocol) => Script::Protocol(protocol),
            ScriptDraft::Tcp => {
                let says = |step: &Arc<Step>| !matches!(**step, Step::Comment(_));
                let has_rules = self.tcp.steps.iter().any(says);
                let (steps, unwritten) = connected(self.tcp.steps);
                Script::Sequence(Box::new(Sequence {
                    http: None,
                    steps,
                    unwritten,
                    has_rules,
                }))
            }
            ScriptDraft::Http => {
                let has_rules = !self.http.steps.is_empty();
                let (mut steps, unwritten) = connected(self.http.steps);
                let connects = |step: &Arc<Step>| matches!(**step, Step::Connect(_));
                let asks = |step: &Arc<Step>| matches!(**step, Step::Request(_));
                let connect = steps.iter().position(connects).unwrap_or_default();
                let rest = steps.iter().skip(connect.saturating_add(1));
                let until = rest
                    .take_while(|step| !connects(step) && !asks(step))
                    .count();
                let next = connect.saturating_add(1).saturating_add(until);
                let first = match steps.get(next) {
                    Some(step) if asks(step) => next,
                    _ => {
                        let at = connect.saturating_add(1);
                        steps.insert(at, Arc::new(Step::Request(Box::default())));
                        at
                    }
                };
                let last = steps.iter().rposition(asks).unwrap_or_default();
                let expects = |step: &Arc<Step>| matches!(**step, Step::Expect(_));
                if !steps.iter().skip(last).any(expects) {
                    let pattern = Pattern::Codes(vec![(200, 399)]);
                    steps.push(Arc::new(Step::Expect(Box::new(Expect::new(pattern)))));
                }
                let http = Http {
                    request: self.request,
                    first,
                    disable_on_404: self.disable_on_404,
                    send_state: self.send_state,
                };
                Script::Sequence(Box::new(Sequence {
                    http: Some(http),
                    steps,
                    unwritten,
                    has_rules,
                }))
            }
        }
    }
}

/// The steps, behind a connection if they do not begin with one; and how many were put there.
fn connected(mut steps: Vec<Arc<Step>>) -> (Vec<Arc<Step>>, usize) {
    if steps.iter().any(|step| matches!(**step, Step::Connect(_))) {
        return (steps, 0);
    }
    steps.insert(0, Arc::new(Step::Connect(Box::default())));
    (steps, 1)
}

/// Whose rule it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tcp,
    Http,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp-check",
            Self::Http => "http-check",
        }
    }
}

impl Parser<'_> {
    /// `option tcp-check`.
    pub(super) fn tcp_check_option(&mut self) {
        let settings = self.settings();
        settings.script = ScriptDraft::Tcp;
        settings.checks.tcp.asked = true;
    }

    /// `option httpchk [[METHOD] URI [VERSION]]`.
    pub(super) fn httpchk_option(&mut self, line: &Line) {
        let word = |at: usize| line.words.get(at).map(|word| &*word.text);
        let (method, uri, version) = match (word(2), word(3)) {
            (Some(uri), None) => (None, Some(uri), None),
            (method, uri) => (method, uri, word(4)),
        };
        if uri.is_none() && method.is_none() {
            self.settings().script = ScriptDraft::Http;
            self.settings().checks.http.asked = true;
            return;
        }
        let mut request = Request {
            method: method.map(Into::into),
            uri: uri.map(|uri| Text::Fixed(uri.into())),
            ..Request::default()
        };
        if let Some(version) = version {
            let end = version.windows(2).position(|part| part == b"\r\n");
            let (version, hidden) = version.split_at(end.unwrap_or(version.len()));
            request.version = Some(version.into());
            if end.is_some() {
                let hidden = hidden.get(2..).unwrap_or_default();
                if !read_hidden(hidden, &mut request) {
                    let shown = String::from_utf8_lossy(hidden);
                    let message = format!(
                        "'option httpchk' : unable to parse the request '{shown}\r\n\r\n'.."
                    );
                    self.refuse(line, 4, message);
                    return;
                }
                let message = "'option httpchk' : hiding headers or body at the end of the version string is deprecated. Please, consider to use 'http-check send' directive instead.";
                self.found
                    .warning(line.at(4), message)
                    .lead(Lead::ParsingTight);
            }
        }
        self.settings().script = ScriptDraft::Http;
        let checks = &mut self.settings().checks;
        checks.http.asked = true;
        checks.request = Arc::new(request);
        // What was said before of the first request gives way where this says something.
        let first = checks
            .http
            .steps
            .iter_mut()
            .find_map(|step| matches!(**step, Step::Request(_)).then_some(step));
        if let Some(step) = first
            && let Some(Step::Request(old)) = Arc::get_mut(step)
        {
            old.uri = None;
            if method.is_some() {
                old.method = None;
            }
            if version.is_some() {
                old.version = None;
            }
        }
    }

    /// One `tcp-check` or `http-check` line.
    pub(super) fn check_line(&mut self, line: &Line) {
        let kind = match line.bytes(0) {
            b"tcp-check" => Kind::Tcp,
            _ => Kind::Http,
        };
        match (kind, line.bytes(1)) {
            (Kind::Http, b"disable-on-404") => {
                if self.only(line, 1) {
                    self.settings().checks.disable_on_404 = true;
                }
            }
            (Kind::Http, b"send-state") => {
                if self.only(line, 1) {
                    self.settings().checks.send_state = true;
                }
            }
            _ => self.check_rule(kind, line),
        }
    }

    fn check_rule(&mut self, kind: Kind, line: &Line) {
        let resolved = self.connect_address(line);
        let Some(address) = resolved else { return };
        let Some(mut step) = self.compile_words(line, 1, |words, compiler| {
            compile_step(kind, words, compiler)
        }) else {
            return;
        };
        if let (Step::Connect(connect), Some(ip)) = (&mut step, address) {
            connect.how.address = Some(ip);
        }
        let settings = self.settings();
        let is_http = matches!(settings.script, ScriptDraft::Http);
        let checks = &mut settings.checks;
        let rules = match kind {
            Kind::Tcp => &mut checks.tcp,
            Kind::Http => &mut checks.http,
        };
        if !rules.own {
            rules.own = true;
            rules.steps.clear();
        }
        let complaint = match kind {
            Kind::Http if is_http => out_of_order(&rules.steps, &step),
            _ => None,
        };
        let complaint = complaint.or_else(|| late_connect(kind, &rules.steps, &step));
        if let Some(Step::Comment(text)) = rules.steps.last().map(|step| &**step) {
            take_comment(&mut step, text);
        }
        rules.steps.push(Arc::new(step));
        if let Some(message) = complaint {
            self.refuse(line, 1, message);
        }
    }

    /// The address of `connect addr`; nothing where there is none, and none where it is bad.
    #[expect(
        clippy::option_option,
        reason = "a line without an address is a good one"
    )]
    fn connect_address(&mut self, line: &Line) -> Option<Option<std::net::IpAddr>> {
        if line.bytes(1) != b"connect" {
            return Some(None);
        }
        let mut at = 2_usize;
        while at < line.words.len() {
            if line.bytes(at) == b"addr" && !line.bytes(at.saturating_add(1)).is_empty() {
                break;
            }
            let takes_one = matches!(
                line.bytes(at),
                b"port" | b"addr" | b"comment" | b"sni" | b"alpn" | b"proto"
            );
            at = at.saturating_add(if takes_one { 2 } else { 1 });
        }
        if at >= line.words.len() {
            return Some(None);
        }
        let at = at.saturating_add(1);
        let word = line.word(at).into_owned();
        let text = match units::address(&word, Allow::PEER) {
            Ok(spec) => match super::lines::endpoint(&spec, Some(0), self.host) {
                Ok(crate::base::addr::Endpoint::Inet(address)) => {
                    return Some(Some(address.ip()));
                }
                _ => format!("invalid address: '{word}' in '{word}'\n"),
            },
            Err(text) => text,
        };
        let message = format!("'{} connect' : 'addr' : {text}..", line.word(0));
        self.refuse(line, at, message);
        None
    }

    /// Rules that no option asks for are told of.
    pub(super) fn warn_of_idle_check_rules(&mut self, at: usize) {
        let Some(proxy) = self.proxies.get(at) else {
            return;
        };
        let checks = &proxy.settings.checks;
        let (kind, name) = (proxy.kind(), proxy.name.clone());
        let mut idle = Vec::new();
        if !checks.tcp.asked && !checks.tcp.steps.is_empty() {
            idle.push("tcp-check rules without 'option tcp-check'");
        }
        if !checks.http.asked && !checks.http.steps.is_empty() {
            idle.push("http-check rules without 'option httpchk'");
        }
        for rules in idle {
            self.warn(
                at,
                format!("{kind} '{name}' uses {rules}, so the rules are ignored."),
            );
        }
    }
}

/// Headers and body behind the version of `option httpchk`; false where they cannot be read.
fn read_hidden(hidden: &[u8], request: &mut Request) -> bool {
    let end = hidden.windows(4).position(|part| part == b"\r\n\r\n");
    let (fields, body) = match end {
        Some(end) => (
            hidden.get(..end).unwrap_or_default(),
            hidden.get(end.saturating_add(4)..).unwrap_or_default(),
        ),
        None => (hidden, &b""[..]),
    };
    for line in fields.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return false;
        };
        let (name, value) = line.split_at(colon);
        if name.is_empty() || !name.iter().all(|byte| crate::http::head::is_token(*byte)) {
            return false;
        }
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let name = name.to_ascii_lowercase().into_boxed_slice();
        request
            .headers
            .push((name, Format::text(value, Purpose::Check)));
    }
    if !body.is_empty() {
        request.body = Some(Text::Fixed(body.into()));
    }
    true
}

/// What does not fit behind the rules before it: each request has its connection, each expectation
/// its request.
fn out_of_order(steps: &[Arc<Step>], step: &Step) -> Option<String> {
    let acts = |step: &&Step| matches!(step, Step::Connect(_) | Step::Request(_) | Step::Expect(_));
    let before = steps.iter().map(|step| &**step).filter(acts);
    // HAProxy counts neither what is sent nor that the first connection may be unwritten.
    let sends = before
        .clone()
        .filter(|step| matches!(step, Step::Request(_)))
        .count();
    let written = matches!(before.clone().next(), Some(Step::Connect(_)));
    let number = before
        .clone()
        .count()
        .saturating_sub(sends)
        .saturating_add(if written { 1 } else { 2 });
    let (name, missing) = match (before.last(), step) {
        (Some(Step::Connect(_) | Step::Request(_)), Step::Connect(_)) => ("connect", "expect"),
        (Some(Step::Expect(_)), Step::Request(_)) => ("send", "connect"),
        (Some(Step::Request(_)), Step::Request(_)) => ("send", "connect"),
        (Some(Step::Connect(_)), Step::Expect(_)) => ("expect", "send"),
        _ => return None,
    };
    Some(format!(
        "'http-check {name}' : unable to add http-check {name} rule at step {number} (missing {missing} rule).."
    ))
}

/// A sequence that connects begins with that.
fn late_connect(kind: Kind, steps: &[Arc<Step>], step: &Step) -> Option<String> {
    let Step::Connect(_) = step else { return None };
    let first = steps.iter().find(|step| {
        matches!(
            ***step,
            Step::Connect(_) | Step::Send(_) | Step::Request(_) | Step::Expect(_)
        )
    })?;
    if matches!(**first, Step::Connect(_)) {
        return None;
    }
    Some(format!(
        "'{} connect' : first step MUST also be a 'connect', optionally preceded by a 'set-var', an 'unset-var' or a 'comment', when there is a 'connect' step in the tcp-check ruleset.",
        kind.name()
    ))
}

/// Gives a step the comment of the rule before it, unless it has its own.
fn take_comment(step: &mut Step, text: &str) {
    let comment = match step {
        Step::Connect(connect) => &mut connect.comment,
        Step::Send(payload) => &mut payload.comment,
        Step::Expect(expect) => &mut expect.comment,
        _ => return,
    };
    comment.get_or_insert_with(|| text.into());
}

/// The words of a rule behind `tcp-check` or `http-check`.
fn compile_step(kind: Kind, words: &[&[u8]], compiler: &mut Compiler<'_>) -> Result<Step, Problem> {
    let name = kind.name();
    let verb = words.first().copied().unwrap_or_default();
    let shown = String::from_utf8_lossy(verb);
    let mut words = Words {
        words,
        at: 1,
        before: format!("'{name} {shown}' : "),
    };
    match verb {
        b"comment" => {
            let text = words.text("expects a string as argument.")?;
            Ok(Step::Comment(text.into()))
        }
        b"connect" => compile_connect(&mut words, compiler),
        b"send" if kind == Kind::Http => compile_request(&mut words, compiler),
        b"send" | b"send-lf" | b"send-binary" | b"send-binary-lf" if kind == Kind::Tcp => {
            compile_payload(verb, &mut words, compiler)
        }
        b"expect" => compile_expect(kind, &mut words, compiler),
        _ if verb.starts_with(b"set-var") || verb.starts_with(b"unset-var") => {
            compile_variable(verb, &mut words, compiler)
        }
        _ => {
            let known = match kind {
                Kind::Tcp => {
                    "'comment', 'connect', 'send', 'send-binary', 'expect', 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)'"
                }
                Kind::Http => {
                    "'disable-on-404', 'send-state', 'comment', 'connect', 'send', 'expect', 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)'"
                }
            };
            let text = format!("'{name}' only supports {known}. but got '{shown}'");
            Err(Problem::new(0, text))
        }
    }
}

/// A walk over the words of a rule.
struct Words<'w> {
    words: &'w [&'w [u8]],
    at: usize,
    /// What messages begin with.
    before: String,
}

impl<'w> Words<'w> {
    fn peek(&self) -> &'w [u8] {
        self.words.get(self.at).copied().unwrap_or_default()
    }

    fn is_done(&self) -> bool {
        self.at >= self.words.len()
    }

    fn take(&mut self) -> &'w [u8] {
        let word = self.peek();
        self.at = self.at.saturating_add(1);
        word
    }

    /// The next word, which must not be empty.
    fn argument(&mut self, complaint: &str) -> Result<&'w [u8], Problem> {
        match self.peek() {
            b"" => Err(self.wrong(complaint)),
            _ => Ok(self.take()),
        }
    }

    fn text(&mut self, complaint: &str) -> Result<String, Problem> {
        let word = self.argument(complaint)?;
        Ok(String::from_utf8_lossy(word).into_owned())
    }

    /// A problem with the next word.
    fn wrong(&self, text: impl std::fmt::Display) -> Problem {
        let last = self.words.len().saturating_sub(1);
        Problem::new(self.at.min(last), format!("{}{text}", self.before))
    }

    /// A problem with the word before.
    fn blame(&self, text: impl std::fmt::Display) -> Problem {
        Problem::new(self.at.saturating_sub(1), format!("{}{text}", self.before))
    }

    /// The next word as a log-format string, in the form of messages that quote it.
    fn format(&mut self, complaint: &str, compiler: &Compiler<'_>) -> Result<Format, Problem> {
        let word = self.argument(complaint)?;
        Format::compile(word, Purpose::Check, compiler).map_err(|problem| {
            let reason = problem
                .message
                .strip_suffix('.')
                .unwrap_or(&problem.message);
            let shown = String::from_utf8_lossy(word);
            Problem {
                suggestion: problem.suggestion.clone(),
                ..self.blame(format!(
                    "'{shown}' invalid log-format string ({reason}).\n."
                ))
            }
        })
    }

    /// The next word as an expression.
    fn expression(&mut self, what: &str, compiler: &Compiler<'_>) -> Result<Expression, Problem> {
        let word = self.take();
        Expression::compile(word, Scope::Check, compiler).map_err(|problem| Problem {
            suggestion: problem.suggestion.clone(),
            ..self.blame(format!(
                "error detected while parsing {what} expression : {}",
                problem.message
            ))
        })
    }

    /// The next word as a regular expression.
    fn regex(&mut self, complaint: &str) -> Result<Regex, Problem> {
        let word = self.argument(complaint)?;
        Regex::compile(word, false).map_err(|error| {
            let at = error.offset;
            Problem {
                at: Some(at),
                ..self.blame(format!("{error}."))
            }
        })
    }
}

const CONNECT_EXPECTS: &str = "expects 'comment', 'port', 'addr', 'send-proxy', 'ssl', 'sni', 'alpn' or 'via-socks4', 'linger', 'default' but got";

fn compile_connect(words: &mut Words<'_>, compiler: &Compiler<'_>) -> Result<Step, Problem> {
    let mut step = ConnectStep::default();
    while !words.is_done() {
        match words.take() {
            b"default" => {}
            b"linger" => step.how.linger = true,
            b"port" => {
                let word = words.peek();
                if word.is_empty() {
                    let text = "'port' expects a port number or a sample expression as argument..";
                    return Err(words.wrong(text));
                }
                let shown = String::from_utf8_lossy(word);
                if word.iter().all(u8::is_ascii_digit) {
                    let port = shown.parse::<u16>().ok().filter(|port| *port > 0);
                    words.take();
                    if port.is_none() {
                        return Err(words.blame(format!(
                            "expects a valid TCP port (from range 1 to 65535) or a sample expression, got {shown}.."
                        )));
                    }
                    step.how.port = port;
                } else {
                    step.port = Some(words.expression("port", compiler)?);
                }
            }
            b"addr" => {
                words.argument("'addr' expects <ipv4|ipv6> as argument..")?;
            }
            b"comment" => {
                let text = words.text("'comment' expects a string as argument..")?;
                step.comment = Some(text.into());
            }
            b"" => {}
            refused @ (b"send-proxy" | b"via-socks4" | b"ssl" | b"sni" | b"alpn" | b"proto") => {
                let shown = String::from_utf8_lossy(refused);
                return Err(words.blame(format!("'{shown}' is not implemented by oneloop.")));
            }
            other => {
                let shown = String::from_utf8_lossy(other);
                return Err(words.blame(format!("{CONNECT_EXPECTS} '{shown}' as argument..")));
            }
        }
    }
    Ok(Step::Connect(Box::new(step)))
}

fn compile_request(words: &mut Words<'_>, compiler: &Compiler<'_>) -> Result<Step, Problem> {
    let mut request = Request::default();
    while !words.is_done() {
        let word = words.take();
        let shown = String::from_utf8_lossy(word);
        let expects = format!("'{shown}' expects a string as argument..");
        match word {
            b"comment" => {
                words.argument(&expects)?;
            }
            b"meth" => request.method = Some(words.argument(&expects)?.into()),
            b"ver" => request.version = Some(words.argument(&expects)?.into()),
            b"uri" => request.uri = Some(Text::Fixed(words.argument(&expects)?.into())),
            b"uri-lf" => request.uri = Some(Text::Format(words.format(&expects, compiler)?)),
            b"body" => request.body = Some(Text::Fixed(words.argument(&expects)?.into())),
            b"body-lf" => request.body = Some(Text::Format(words.format(&expects, compiler)?)),
            b"hdr" => {
                let expects = "'hdr' expects <name> and <value> as arguments.";
                let name = words.argument(expects)?.to_ascii_lowercase();
                let value = words.argument(expects)?;
                let format = Format::compile(value, Purpose::Check, compiler);
                let format = format.map_err(|problem| Problem {
                    suggestion: problem.suggestion.clone(),
                    ..words.blame(&problem.message)
                })?;
                request.headers.push((name.into(), format));
            }
            b"" => {}
            _ => {
                return Err(words.blame(format!(
                    "expects 'comment', 'meth', 'uri', 'uri-lf', 'ver', 'hdr', 'body' or 'body-lf' but got '{shown}' as argument.."
                )));
            }
        }
    }
    Ok(Step::Request(Box::new(request)))
}

fn compile_payload(
    verb: &[u8],
    words: &mut Words<'_>,
    compiler: &Compiler<'_>,
) -> Result<Step, Problem> {
    let shown = String::from_utf8_lossy(verb);
    let what = if verb == b"send-binary" {
        "binary string"
    } else {
        "string"
    };
    let expects = format!("'{what}' expects a {shown} as argument.");
    let text = match verb {
        b"send" => Text::Fixed(words.argument(&expects)?.into()),
        b"send-binary" => {
            let word = words.argument(&expects)?;
            let bytes = unhex(word).map_err(|text| {
                let shown = String::from_utf8_lossy(word);
                words.blame(format!("'{shown}' invalid binary string ({text}).\n."))
            })?;
            Text::Fixed(bytes.into())
        }
        _ => Text::Format(words.format(&expects, compiler)?),
    };
    let mut comment = None;
    if !words.is_done() {
        let word = words.take();
        if word != b"comment" {
            let shown = String::from_utf8_lossy(word);
            return Err(words.blame(format!("expects 'comment' but got '{shown}' as argument..")));
        }
        let text = words.text("'comment' expects a string as argument..")?;
        comment = Some(text.into());
    }
    Ok(Step::Send(Payload {
        text,
        is_hex: verb == b"send-binary-lf",
        comment,
    }))
}

/// The statuses of an option, and its words about others.
const STATUSES: &[(&[u8], &[Status], &str)] = &[
    (
        b"ok-status",
        &[
            Status::L4Ok,
            Status::L6Ok,
            Status::L7Ok,
            Status::L7OkConditional,
        ],
        "'L4OK', 'L6OK', 'L7OK' or 'L7OKC'",
    ),
    (
        b"error-status",
        &[
            Status::L4Failed,
            Status::L6Invalid,
            Status::L7Invalid,
            Status::L7Status,
            Status::L7OkConditional,
        ],
        "'L4CON', 'L6RSP', 'L7RSP' or 'L7STS'",
    ),
    (
        b"tout-status",
        &[Status::L4Timeout, Status::L6Timeout, Status::L7Timeout],
        "'L4TOUT', 'L6TOUT' or 'L7TOUT'",
    ),
];

fn compile_expect(
    kind: Kind,
    words: &mut Words<'_>,
    compiler: &Compiler<'_>,
) -> Result<Step, Problem> {
    if words.is_done() {
        return Err(words.wrong("expects at least a matching pattern as arguments."));
    }
    let mut expect = Expect::new(Pattern::Codes(Vec::new()));
    let mut has_pattern = false;
    while !words.is_done() {
        let word = words.take();
        let shown = String::from_utf8_lossy(word);
        let expects = format!("'{shown}' expects a string as argument.");
        match word {
            b"min-recv" => {
                let text = words.text("'min-recv' expects a integer as argument.")?;
                let number = units::atol(&text);
                if number < -1 || number > i64::from(i32::MAX) {
                    let text = "'min-recv' expects -1 or an integer from 0 to INT_MAX.";
                    return Err(words.blame(text));
                }
                expect.least = usize::try_from(number).ok();
            }
            b"comment" => expect.comment = Some(words.text(&expects)?.into()),
            b"on-success" => expect.on_success = Some(words.format(&expects, compiler)?),
            b"on-error" => expect.on_error = Some(words.format(&expects, compiler)?),
            b"status-code" => {
                if words.peek().is_empty() {
                    return Err(words.wrong("'status-code' expects an expression as argument."));
                }
                expect.code = Some(words.expression("status-code", compiler)?);
            }
            b"ok-status" | b"error-status" | b"tout-status" => {
                let said = words.text(&expects)?;
                let row = STATUSES.iter().find(|(name, _, _)| *name == word);
                let (known, list) = row.map_or((&[][..], ""), |(_, known, list)| (*known, *list));
                let status = known.iter().find(|status| status.name() == said);
                let Some(status) = status else {
                    return Err(words.blame(format!(
                        "'{shown}' only supports {list} status (got '{said}').."
                    )));
                };
                *match word {
                    b"ok-status" => &mut expect.passed,
                    b"error-status" => &mut expect.failed,
                    _ => &mut expect.late,
                } = Some(*status);
            }
            _ if has_pattern && is_pattern(kind, word) => {
                return Err(words.blame("only on pattern expected."));
            }
            _ => {
                let mut match_name = word;
                while let Some((b'!', rest)) = match_name.split_first() {
                    expect.negated = true;
                    match_name = if rest.is_empty() { words.take() } else { rest };
                }
                if has_pattern && is_pattern(kind, match_name) {
                    return Err(words.blame("only on pattern expected."));
                }
                expect.pattern = compile_pattern(kind, match_name, words, compiler)?;
                has_pattern = true;
            }
        }
    }
    match has_pattern {
        true => Ok(Step::Expect(Box::new(expect))),
        false => Err(words.wrong("pattern not found.")),
    }
}

/// Whether a word says how to look at what came.
fn is_pattern(kind: Kind, word: &[u8]) -> bool {
    match word {
        b"string" | b"rstring" | b"string-lf" => true,
        b"binary" | b"rbinary" | b"binary-lf" => kind == Kind::Tcp,
        b"status" | b"rstatus" | b"hdr" | b"fhdr" => kind == Kind::Http,
        _ => false,
    }
}

fn compile_pattern(
    kind: Kind,
    name: &[u8],
    words: &mut Words<'_>,
    compiler: &Compiler<'_>,
) -> Result<Pattern, Problem> {
    let shown = String::from_utf8_lossy(name);
    if !is_pattern(kind, name) {
        let known = match kind {
            Kind::Tcp => {
                "'only supports min-recv, '[!]binary', '[!]string', '[!]rstring', '[!]string-lf''[!]rbinary', '[!]binary-lf' or comment"
            }
            Kind::Http => {
                "'only supports min-recv, [!]string', '[!]rstring', '[!]string-lf', '[!]status', '[!]rstatus', [!]hdr, [!]fhdr or comment"
            }
        };
        return Err(words.blame(format!("{known} but got '{shown}' as argument..")));
    }
    let expects = format!("'{shown}' expects a <pattern> as argument.");
    Ok(match name {
        b"string" => Pattern::Text(words.argument(&expects)?.into()),
        b"string-lf" => Pattern::TextFormat(words.format(&expects, compiler)?),
        b"rstring" => Pattern::Regex(words.regex(&expects)?),
        b"binary" => {
            let bytes = unhex(words.argument(&expects)?);
            let bytes =
                bytes.map_err(|text| words.blame(format!("invalid binary string ({text}).")))?;
            Pattern::Binary(bytes.into())
        }
        b"binary-lf" => Pattern::BinaryFormat(words.format(&expects, compiler)?),
        b"rbinary" => Pattern::BinaryRegex(words.regex(&expects)?),
        b"rstatus" => Pattern::CodeRegex(words.regex(&expects)?),
        b"status" => {
            let list = words.argument(&expects)?;
            Pattern::Codes(codes(list).map_err(|text| words.blame(text))?)
        }
        _ => return compile_header(&shown, words, compiler),
    })
}

/// `200,300-310`.
fn codes(list: &[u8]) -> Result<Vec<(u32, u32)>, String> {
    let text = String::from_utf8_lossy(list);
    if let Some(bad) = text
        .chars()
        .find(|c| !(c.is_ascii_digit() || matches!(c, ',' | '-')))
    {
        return Err(format!(
            "invalid character '{bad}' in the list of status codes."
        ));
    }
    let mut ranges = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let number = |text: &str| text.parse::<u32>().ok();
        let range = match part.split_once('-') {
            Some((from, to)) => number(from).zip(number(to)).filter(|(from, to)| from <= to),
            None => number(part).map(|code| (code, code)),
        };
        match range {
            Some(range) => ranges.push(range),
            None => return Err(format!("invalid range of status codes '{part}'.")),
        }
    }
    Ok(ranges)
}

fn compile_header(
    keyword: &str,
    words: &mut Words<'_>,
    compiler: &Compiler<'_>,
) -> Result<Pattern, Problem> {
    let expects =
        format!("'{keyword}' expects at the name keyword as first argument followed by a pattern.");
    let as_format = match words.take() {
        b"name" => false,
        b"name-lf" => true,
        _ => return Err(words.blame(&expects)),
    };
    let name = compile_compare(keyword, &expects, as_format, words, compiler)?;
    let as_format = match words.peek() {
        b"value" => Some(false),
        b"value-lf" => Some(true),
        _ => None,
    };
    let value = match as_format {
        Some(as_format) => {
            words.take();
            let expects = format!("'{keyword}' expect a pattern with the value keyword.");
            Some(compile_compare(
                keyword, &expects, as_format, words, compiler,
            )?)
        }
        None => None,
    };
    Ok(Pattern::Header {
        name,
        value,
        whole: keyword == "fhdr",
    })
}

/// `[-m METHOD] PATTERN`.
fn compile_compare(
    keyword: &str,
    expects: &str,
    as_format: bool,
    words: &mut Words<'_>,
    compiler: &Compiler<'_>,
) -> Result<Compare, Problem> {
    let mut method: &[u8] = b"str";
    if words.peek() == b"-m" {
        words.take();
        let list = "'str', 'beg', 'end', 'sub' or 'reg'";
        let complaint = format!("'{keyword}' : '-m' expects at a matching pattern ({list}).");
        method = words.argument(&complaint)?;
        if !matches!(method, b"str" | b"beg" | b"end" | b"sub" | b"reg") {
            let got = String::from_utf8_lossy(method);
            return Err(words.blame(format!(
                "'{keyword}' : '-m' only supports {list} (got '{got}')."
            )));
        }
    }
    if method == b"reg" && as_format {
        return Err(words.blame(format!(
            "'{keyword}': log-format string is not supported with a regex matching method."
        )));
    }
    if method == b"reg" {
        return Ok(Compare::Regex(words.regex(expects)?));
    }
    let text = match as_format {
        true => Text::Format(words.format(expects, compiler)?),
        false => Text::Fixed(words.argument(expects)?.into()),
    };
    Ok(match method {
        b"beg" => Compare::Begin(text),
        b"end" => Compare::End(text),
        b"sub" => Compare::Part(text),
        _ => Compare::Equal(text),
    })
}

/// `set-var(NAME[,CONDITION...])`, `set-var-fmt(...)`, `unset-var(NAME)`.
fn compile_variable(
    verb: &[u8],
    words: &mut Words<'_>,
    compiler: &Compiler<'_>,
) -> Result<Step, Problem> {
    let action: &[u8] = match verb {
        _ if verb.starts_with(b"set-var-fmt") => b"set-var-fmt",
        _ if verb.starts_with(b"set-var") => b"set-var",
        _ => b"unset-var",
    };
    let shown = String::from_utf8_lossy(action).into_owned();
    words.before.push_str(&format!("'{shown}' : "));
    let expects =
        "Expects 'set-var(<var-name>)', 'set-var-fmt(<var-name>)' or 'unset-var(<var-name>)'.";
    let rest = verb.get(action.len()..).unwrap_or_default();
    let Some((b'(', inside)) = rest.split_first() else {
        return Err(words.blame(format!("invalid or incomplete action '{shown}'. {expects}")));
    };
    let Some((b')', inside)) = inside.split_last() else {
        return Err(words.blame(format!(
            "incomplete argument after action '{shown}('. {expects}"
        )));
    };
    let mut parts = inside.split(|byte| *byte == b',');
    let name = parts.next().unwrap_or_default();
    if name.is_empty() {
        return Err(words.blame("Empty variable name cannot be accepted."));
    }
    let mut conditions = Vec::new();
    for part in parts
        .map(<[u8]>::trim_ascii)
        .filter(|part| !part.is_empty())
    {
        conditions.push(match part {
            b"ifexists" => Condition::Exists,
            b"ifnotexists" => Condition::Missing,
            b"ifempty" => Condition::Empty,
            b"ifnotempty" => Condition::NotEmpty,
            b"ifset" => Condition::Set,
            b"ifnotset" => Condition::NotSet,
            b"ifgt" => Condition::Greater,
            b"iflt" => Condition::Less,
            other => {
                let other = String::from_utf8_lossy(other);
                return Err(words.blame(format!("unknown condition \"{other}\".")));
            }
        });
    }
    check_name(name).map_err(|text| {
        // The parenthesis is a part of what HAProxy quotes.
        let text = match text.strip_suffix('\'') {
            Some(start) if text.starts_with("invalid syntax") => format!("{start})'"),
            _ => text,
        };
        words.blame(format!("{text}."))
    })?;
    if action == b"unset-var" {
        return Ok(Step::UnsetVariable(name.into()));
    }
    let value = match action {
        b"set-var" => {
            let word = words.peek();
            let expression = Expression::compile(word, Scope::Check, compiler);
            Assigned::Sample(expression.map_err(|problem| words.wrong(&problem.message))?)
        }
        _ => {
            let format = Format::compile(words.peek(), Purpose::Check, compiler);
            Assigned::Text(format.map_err(|problem| words.wrong(&problem.message))?)
        }
    };
    Ok(Step::SetVariable(Box::new(SetVariable {
        name: name.into(),
        conditions,
        value,
    })))
}
