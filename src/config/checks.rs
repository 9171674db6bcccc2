//! The lines that say what health checks do: `option httpchk`, `http-check` and `tcp-check`.
//!
//! A rule is compiled where it stands; a section that has one of its own forgets those that its
//! `defaults` handed on. Whether the rules fit together is judged when the section is known. The
//! messages are HAProxy's, down to the full stops that it says twice.

use std::rc::Rc;

use super::diag::Lead;
use super::draft::{ProgramDraft, ScriptDraft};
use super::lexer::Line;
use super::sections::Parser;
use super::units::{self, Allow};
use crate::check::conversation::Script;
use crate::check::expect::{Expect, Pattern, Text};
use crate::check::request::Request;
use crate::check::sequence::{ConnectStep, Http, Sequence, Step};
use crate::rules::format::{Format, Purpose};

mod steps;

pub(super) use steps::Kind;
use steps::compile_step;

/// What the checks of a section do.
#[derive(Clone, Debug, Default)]
pub(super) struct ChecksDraft {
    request: Rc<Request>,
    pub(super) tcp: RulesDraft,
    pub(super) http: RulesDraft,
    pub(super) disable_on_404: bool,
    send_state: bool,
}

/// The rules of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct RulesDraft {
    steps: Vec<Rc<Step>>,
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
            ScriptDraft::Connection | ScriptDraft::Protocol(_) | ScriptDraft::Program => {
                return None;
            }
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
    pub(super) fn build(self, script: ScriptDraft, program: ProgramDraft) -> Script {
        match script {
            ScriptDraft::Program => Script::Program(Box::new(program.build())),
            ScriptDraft::Connection => Script::Connection,
            ScriptDraft::Protocol(protocol) => Script::Protocol(protocol),
            ScriptDraft::Tcp => {
                let says = |step: &Rc<Step>| !matches!(**step, Step::Comment(_));
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
                let connects = |step: &Rc<Step>| matches!(**step, Step::Connect(_));
                let asks = |step: &Rc<Step>| matches!(**step, Step::Request(_));
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
                        steps.insert(at, Rc::new(Step::Request(Box::default())));
                        at
                    }
                };
                let last = steps.iter().rposition(asks).unwrap_or_default();
                let expects = |step: &Rc<Step>| matches!(**step, Step::Expect(_));
                if !steps.iter().skip(last).any(expects) {
                    let pattern = Pattern::Codes(vec![(200, 399)]);
                    steps.push(Rc::new(Step::Expect(Box::new(Expect::new(pattern)))));
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
fn connected(mut steps: Vec<Rc<Step>>) -> (Vec<Rc<Step>>, usize) {
    if steps.iter().any(|step| matches!(**step, Step::Connect(_))) {
        return (steps, 0);
    }
    let mut connect = ConnectStep::default();
    connect.how.as_server = true;
    steps.insert(0, Rc::new(Step::Connect(Box::new(connect))));
    (steps, 1)
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
        checks.request = Rc::new(request);
        // What was said before of the first request gives way where this says something.
        let first = checks
            .http
            .steps
            .iter_mut()
            .find_map(|step| matches!(**step, Step::Request(_)).then_some(step));
        if let Some(step) = first
            && let Some(Step::Request(old)) = Rc::get_mut(step)
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
        rules.steps.push(Rc::new(step));
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

    /// Rules of a kind that no option asks for are told of.
    pub(super) fn warn_of_idle_check_rules(&mut self, at: usize, kind: Kind) {
        let Some(proxy) = self.proxies.get(at) else {
            return;
        };
        let checks = &proxy.settings.checks;
        let (rules, idle) = match kind {
            Kind::Tcp => (&checks.tcp, "tcp-check rules without 'option tcp-check'"),
            Kind::Http => (&checks.http, "http-check rules without 'option httpchk'"),
        };
        if !rules.asked && !rules.steps.is_empty() {
            let (kind, name) = (proxy.kind(), &proxy.name);
            let message = format!("{kind} '{name}' uses {idle}, so the rules are ignored.");
            self.warn(at, message);
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
fn out_of_order(steps: &[Rc<Step>], step: &Step) -> Option<String> {
    let acts = |step: &&Step| matches!(step, Step::Connect(_) | Step::Request(_) | Step::Expect(_));
    let mut before = steps.iter().map(|step| &**step).filter(acts);
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
    let (name, missing) = match (before.next_back(), step) {
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
fn late_connect(kind: Kind, steps: &[Rc<Step>], step: &Step) -> Option<String> {
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
