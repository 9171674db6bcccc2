//! The actions of `http-request` and `http-response`, and their evaluation in order.
//!
//! A rule is an action and a condition. Rules of a proxy run in the order of the file; each sees
//! the message through the edits of those before it. An action either edits, or ends the rules:
//! `allow` goes on with the request, `deny`, `return` and `redirect` answer it.
//!
//! The session's facts come through a [`Context`] of the engine's, the message through `Subject`,
//! which is lent for reading and for editing by turns: no copy of the message, no interior
//! mutability. Evaluation allocates nothing once the scratch has grown.
//! Rejected: actions as callbacks into the engine; a rule can then do anything.

use super::answer::{Final, Kind, compile_answer, compile_redirect};
use super::applet::Applet;
use super::compile::{Compiler, Lead, Problem, nearest};
use super::condition::{Acl, Condition};
use super::fetch::{Scope, Scratch};
use super::format::{Field, Format, Purpose, Value};
use super::lists::Lists;
use super::plan::{Conditional, Rules, Walk};
use super::regex::{Regex, expand};
use super::said::{Said, Saying};
use super::wait::WaitForBody;
use super::{Context, Inspected};
use crate::base::addr::Address;
use crate::base::clock::Now;
use crate::http::head::Head;
use crate::http::rewrite::{Editor, Edits, Message, Overflow};

/// What HAProxy 2.6 lists as actions of `http-request`, in its order.
#[rustfmt::skip]
const REQUEST_NAMES: &[&str] = &[
    "wait-for-handshake", "ot-group", "set-log-level", "set-nice", "use-service", "sc-inc-gpc(*)",
    "sc-inc-gpc0(*)", "sc-inc-gpc1(*)", "sc-set-gpt(*)", "sc-set-gpt0(*)", "send-spoe-group",
    "do-resolve(*)", "cache-use", "add-acl(*)", "add-header", "allow", "auth", "capture",
    "del-acl(*)", "del-header", "del-map(*)", "deny", "disable-l7-retry", "early-hint",
    "normalize-uri", "redirect", "reject", "replace-header", "replace-path", "replace-pathq",
    "replace-uri", "replace-value", "return", "set-header", "set-map(*)", "set-method", "set-path",
    "set-pathq", "set-query", "set-uri", "strict-mode", "tarpit", "track-sc(*)", "set-timeout",
    "wait-for-body", "set-var-fmt(*)", "set-var(*)", "unset-var(*)", "set-dst", "set-dst-port",
    "set-mark", "set-src", "set-src-port", "set-tos", "silent-drop", "set-priority-class",
    "set-priority-offset",
];

/// What it lists as actions of `http-response`.
#[rustfmt::skip]
const RESPONSE_NAMES: &[&str] = &[
    "ot-group", "set-log-level", "set-nice", "sc-inc-gpc(*)", "sc-inc-gpc0(*)", "sc-inc-gpc1(*)",
    "sc-set-gpt(*)", "sc-set-gpt0(*)", "send-spoe-group", "cache-store", "add-acl(*)", "add-header",
    "allow", "capture", "del-acl(*)", "del-header", "del-map(*)", "deny", "redirect",
    "replace-header", "replace-value", "return", "set-header", "set-map(*)", "set-status",
    "strict-mode", "track-sc(*)", "wait-for-body", "set-var-fmt(*)", "set-var(*)", "unset-var(*)",
    "set-mark", "set-tos", "silent-drop",
];

/// One rule of either list.
#[derive(Debug)]
struct Rule {
    action: Action,
    condition: Option<Condition>,
}

/// One `http-request` rule.
#[derive(Debug)]
pub struct RequestRule {
    rule: Rule,
    /// The line it stands on.
    pub line: u32,
}

/// One `http-response` rule.
#[derive(Debug)]
pub struct ResponseRule {
    rule: Rule,
    /// The line it stands on.
    pub line: u32,
}

impl AsRef<Rule> for RequestRule {
    fn as_ref(&self) -> &Rule {
        &self.rule
    }
}

impl AsRef<Rule> for ResponseRule {
    fn as_ref(&self) -> &Rule {
        &self.rule
    }
}

impl Conditional for RequestRule {
    fn condition(&self) -> Option<&Condition> {
        self.rule.condition.as_ref()
    }
}

impl Conditional for ResponseRule {
    fn condition(&self) -> Option<&Condition> {
        self.rule.condition.as_ref()
    }
}

impl RequestRule {
    /// Whether it waits for the body of a request.
    #[must_use]
    pub fn waits(&self) -> bool {
        matches!(self.rule.action, Action::Wait(_))
    }

    /// Whether its condition asks for bytes that HAProxy does not look at where HTTP is read.
    #[must_use]
    pub fn reads_bytes(&self, acls: &[Acl]) -> bool {
        self.rule.reads_bytes(acls)
    }

    /// Whether it reads the client connection's destination address.
    #[must_use]
    pub fn needs_destination(&self, acls: &[Acl]) -> bool {
        self.rule.needs_destination(acls)
    }
}

impl ResponseRule {
    /// Whether its condition asks for bytes that HAProxy does not look at where HTTP is read.
    #[must_use]
    pub fn reads_bytes(&self, acls: &[Acl]) -> bool {
        self.rule.reads_bytes(acls)
    }

    /// Whether it reads the client connection's destination address.
    #[must_use]
    pub fn needs_destination(&self, acls: &[Acl]) -> bool {
        self.rule.needs_destination(acls)
    }
}

/// What a rule does.
#[derive(Debug)]
enum Action {
    Allow,
    Final(Box<Final>),
    SetHeader {
        name: Box<[u8]>,
        value: Format,
        /// What is there stays.
        add: bool,
    },
    DelHeader(Names),
    ReplaceHeader {
        name: Box<[u8]>,
        regex: Box<Regex>,
        by: Format,
        /// Each element of the list, not each line.
        elements: bool,
    },
    Set(Part, Format),
    Replace(Part, Box<Regex>, Format),
    SetStatus(u16, Option<Box<[u8]>>),
    UseService(Applet),
    Say(Saying),
    Wait(WaitForBody),
}

/// A part of the request line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Method,
    Path,
    PathQuery,
    Query,
    Uri,
}

/// Which header names `del-header` takes. HAProxy knows names in lower case only.
#[derive(Debug)]
enum Names {
    Exactly(Box<[u8]>),
    Beg(Box<[u8]>),
    End(Box<[u8]>),
    Sub(Box<[u8]>),
    Reg(Box<Regex>),
}

/// What the rules of a proxy decided.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'a> {
    /// All rules were passed: go on with the next proxy's rules.
    Continue,
    /// `allow`: go on, no more rules of this proxy.
    Allow,
    /// The answer is given by a rule.
    Final(&'a Final),
    /// The answer is given by a service.
    Service(Applet),
    /// The body is waited for; the rules go on from this one.
    Wait(WaitForBody, u32),
}

/// A message that rules may edit.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The buffer the head was parsed from.
    pub bytes: &'a [u8],
    /// The parsed head.
    pub head: &'a Head,
    /// Where edits go.
    pub edits: &'a mut Edits,
}

/// Which list a rule is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Request,
    Response,
}

impl Side {
    fn keyword(self) -> &'static str {
        match self {
            Self::Request => "http-request",
            Self::Response => "http-response",
        }
    }

    fn purpose(self) -> Purpose {
        match self {
            Self::Request => Purpose::Request,
            Self::Response => Purpose::Response,
        }
    }

    fn scope(self) -> Scope {
        match self {
            Self::Request => Scope::Request,
            Self::Response => Scope::Response,
        }
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Request => REQUEST_NAMES,
            Self::Response => RESPONSE_NAMES,
        }
    }
}

/// Compiles the words after `http-request`: action, arguments, condition.
///
/// # Errors
/// A [`Problem`] worded as HAProxy does.
pub fn compile_request_rule(
    words: &[&[u8]],
    compiler: &mut Compiler<'_>,
) -> Result<RequestRule, Problem> {
    let line = compiler.line;
    compile(words, Side::Request, compiler).map(|rule| RequestRule { rule, line })
}

/// Compiles the words after `http-response`: action, arguments, condition.
///
/// # Errors
/// A [`Problem`] worded as HAProxy does.
pub fn compile_response_rule(
    words: &[&[u8]],
    compiler: &mut Compiler<'_>,
) -> Result<ResponseRule, Problem> {
    let line = compiler.line;
    compile(words, Side::Response, compiler).map(|rule| ResponseRule { rule, line })
}

/// Compiles the words after the `redirect` keyword of a proxy (configuration.txt 4.2, "redirect"):
/// a rule to be run after all `http-request` rules.
///
/// # Errors
/// A [`Problem`] worded as HAProxy does.
pub fn compile_redirect_keyword(
    words: &[&[u8]],
    compiler: &mut Compiler<'_>,
) -> Result<RequestRule, Problem> {
    let before = format!(
        "error detected in {} '{}' while parsing redirect rule : ",
        compiler.kind, compiler.name
    );
    // The keyword stands where an action's name would.
    let shifted: Vec<&[u8]> = std::iter::once(&b"redirect"[..])
        .chain(words.iter().copied())
        .collect();
    let unshift = |mut problem: Problem| {
        problem.word = problem.word.saturating_sub(1);
        problem
    };
    let (answer, at) = compile_redirect(&shifted, Purpose::Request, compiler)
        .map_err(|problem| unshift(problem).within(&before))?;
    let rest = shifted.get(at..).unwrap_or_default();
    let warned = compiler.warnings.len();
    let condition = (!rest.is_empty())
        .then(|| Condition::compile(rest, Scope::Request, compiler))
        .transpose()
        .map_err(|problem| {
            unshift(problem.shifted(at)).within(format_args!("{before}error in condition: "))
        })?;
    compiler.shift_warnings(warned, at.saturating_sub(1));
    Ok(RequestRule {
        rule: Rule {
            action: Action::Final(Box::new(answer)),
            condition,
        },
        line: compiler.line,
    })
}

fn compile(words: &[&[u8]], side: Side, compiler: &mut Compiler<'_>) -> Result<Rule, Problem> {
    let name = words.first().copied().unwrap_or_default();
    let shown = String::from_utf8_lossy(name);
    let keyword = side.keyword();
    let Some(compiled) = action(words, side, compiler) else {
        return Err(unknown(name, side));
    };
    let (action, at) = compiled.map_err(|problem| {
        problem.within(format_args!(
            "error detected in {} '{}' while parsing '{keyword} {shown}' rule : ",
            compiler.kind, compiler.name
        ))
    })?;
    let condition = match words.get(at).copied() {
        None | Some(b"") => None,
        Some(b"if" | b"unless") => {
            let rest = words.get(at..).unwrap_or_default();
            let warned = compiler.warnings.len();
            let condition =
                Condition::compile(rest, side.scope(), compiler).map_err(|problem| {
                    problem.shifted(at).within(format_args!(
                        "error detected while parsing an '{keyword} {shown}' condition : "
                    ))
                })?;
            compiler.shift_warnings(warned, at);
            Some(condition)
        }
        Some(word) => {
            let word = String::from_utf8_lossy(word);
            return Err(Problem {
                lead: Lead::Tight,
                ..Problem::new(
                    at,
                    format!(
                        "'{keyword} {shown}' expects either 'if' or 'unless' followed by a condition but found '{word}'."
                    ),
                )
            });
        }
    };
    Ok(Rule { action, condition })
}

/// The message for an action that is not in our table.
fn unknown(name: &[u8], side: Side) -> Problem {
    let keyword = side.keyword();
    let shown = String::from_utf8_lossy(name);
    let stem = |listed: &'static str| listed.strip_suffix("(*)").unwrap_or(listed);
    let listed = side.names().iter().any(|listed| {
        let (head, tail) = name.split_at(stem(listed).len().min(name.len()));
        let arguments = tail.starts_with(b"(") || listed.starts_with("track-sc");
        head == stem(listed).as_bytes() && (tail.is_empty() || arguments)
    });
    let problem = Problem {
        lead: Lead::Tight,
        ..Problem::new(0, "")
    };
    if listed {
        return Problem {
            message: format!("'{keyword} {shown}' is not implemented by oneloop."),
            ..problem
        };
    }
    let list = side.names().join("', '");
    let missing = if name.is_empty() {
        " (missing argument)"
    } else {
        ""
    };
    let near = nearest(name, side.names().iter().map(|listed| stem(listed)));
    let hint = near.map_or_else(String::new, |near| {
        format!(" Did you mean '{near}' maybe ?")
    });
    Problem {
        message: format!("'{keyword}' expects '{list}', but got '{shown}'{missing}.{hint}"),
        suggestion: near.map(str::to_owned),
        ..problem
    }
}

/// Compiles an action and its arguments; gives the index of what follows them. `None` when there
/// is no such action.
fn action(
    words: &[&[u8]],
    side: Side,
    compiler: &mut Compiler<'_>,
) -> Option<Result<(Action, usize), Problem>> {
    let (request, purpose) = (side == Side::Request, side.purpose());
    let name = words.first().copied().unwrap_or_default();
    let refusal = if request { 403 } else { 502 };
    let ended = |(answer, at)| (Action::Final(Box::new(answer)), at);
    Some(match name {
        b"allow" => Ok((Action::Allow, 1)),
        b"deny" => compile_answer(words, Kind::Deny, refusal, purpose, compiler).map(ended),
        b"return" => compile_answer(words, Kind::Return, 200, purpose, compiler).map(ended),
        b"redirect" => compile_redirect(words, purpose, compiler).map(ended),
        b"set-header" | b"add-header" => {
            set_header(words, name == b"add-header", purpose, compiler)
        }
        b"del-header" => del_header(words),
        b"replace-header" | b"replace-value" => {
            replace_header(words, name == b"replace-value", purpose, compiler)
        }
        b"set-method" if request => set(words, Part::Method, compiler),
        b"set-path" if request => set(words, Part::Path, compiler),
        b"set-pathq" if request => set(words, Part::PathQuery, compiler),
        b"set-query" if request => set(words, Part::Query, compiler),
        b"set-uri" if request => set(words, Part::Uri, compiler),
        b"replace-path" if request => replace(words, Part::Path, compiler),
        b"replace-pathq" if request => replace(words, Part::PathQuery, compiler),
        b"replace-uri" if request => replace(words, Part::Uri, compiler),
        b"set-status" if !request => set_status(words),
        b"use-service" if request => use_service(words),
        b"wait-for-body" if request => {
            WaitForBody::compile(words, compiler).map(|(wait, at)| (Action::Wait(wait), at))
        }
        b"disable-l7-retry" if request => Ok((Action::Say(Saying::Once), 1)),
        b"set-priority-class" | b"set-priority-offset" if request => {
            Saying::priority(words, Scope::Request, compiler)
                .map(|(saying, at)| (Action::Say(saying), at))
        }
        _ => return None,
    })
}

/// The arguments of an action, if all are there and none is empty.
fn arguments<'w, const N: usize>(
    words: &[&'w [u8]],
    expected: &str,
) -> Result<[&'w [u8]; N], Problem> {
    let given = words.get(1..=N).unwrap_or_default();
    match <[&[u8]; N]>::try_from(given) {
        Ok(given) if given.iter().all(|word| !word.is_empty()) => Ok(given),
        _ => Err(Problem::new(words.len().min(N), expected)),
    }
}

/// What stands at `at`, after the arguments, must be a condition. Actions that do not ask have a
/// different message from `compile`.
fn no_more(words: &[&[u8]], at: usize, expected: &str) -> Result<(), Problem> {
    match words.get(at).copied() {
        None | Some(b"" | b"if" | b"unless") => Ok(()),
        Some(_) => Err(Problem::new(at, expected)),
    }
}

fn regex(text: &[u8], word: usize, before: &str) -> Result<Box<Regex>, Problem> {
    Regex::compile(text, false)
        .map(Box::new)
        .map_err(|error| Problem {
            at: Some(error.offset),
            ..Problem::new(word, format!("{before}{error}."))
        })
}

fn set_header(
    words: &[&[u8]],
    add: bool,
    purpose: Purpose,
    compiler: &Compiler<'_>,
) -> Result<(Action, usize), Problem> {
    let [name, value] = arguments(words, "expects exactly 2 arguments.")?;
    check_name(name, 1)?;
    let value = Format::compile(value, purpose, compiler).map_err(|problem| problem.shifted(2))?;
    let name = name.into();
    Ok((Action::SetHeader { name, value, add }, 3))
}

/// HAProxy takes any name; one that no receiver could read is refused here.
fn check_name(name: &[u8], word: usize) -> Result<(), Problem> {
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    match name.iter().position(|byte| !token(byte)) {
        None => Ok(()),
        Some(at) => {
            let shown = String::from_utf8_lossy(name);
            Err(Problem {
                at: Some(at),
                ..Problem::new(word, format!("'{shown}' is not a valid header name."))
            })
        }
    }
}

fn del_header(words: &[&[u8]]) -> Result<(Action, usize), Problem> {
    let [name] = arguments(words, "expects at least 1 argument.")?;
    let lower = || name.to_ascii_lowercase().into_boxed_slice();
    if words.get(2) != Some(&&b"-m"[..]) {
        return Ok((Action::DelHeader(Names::Exactly(lower())), 2));
    }
    let names = match words.get(3).copied().unwrap_or_default() {
        b"" => return Err(Problem::new(3, "-m flag expects exactly 1 argument.")),
        b"str" => Names::Exactly(lower()),
        b"beg" => Names::Beg(lower()),
        b"end" => Names::End(lower()),
        b"sub" => Names::Sub(lower()),
        b"reg" => Names::Reg(regex(name, 1, "")?),
        other => {
            let other = String::from_utf8_lossy(other);
            let text = format!("-m with unsupported matching method '{other}'.");
            return Err(Problem::new(3, text));
        }
    };
    Ok((Action::DelHeader(names), 4))
}

fn replace_header(
    words: &[&[u8]],
    elements: bool,
    purpose: Purpose,
    compiler: &Compiler<'_>,
) -> Result<(Action, usize), Problem> {
    let [name, pattern, by] = arguments(words, "expects exactly 3 arguments.")?;
    let regex = regex(pattern, 2, "")?;
    let by = Format::compile(by, purpose, compiler).map_err(|problem| problem.shifted(3))?;
    let action = Action::ReplaceHeader {
        name: name.into(),
        regex,
        by,
        elements,
    };
    Ok((action, 4))
}

fn set(words: &[&[u8]], part: Part, compiler: &Compiler<'_>) -> Result<(Action, usize), Problem> {
    let expected = "expects exactly 1 argument <format>.";
    let [value] = arguments(words, expected)?;
    no_more(words, 2, expected)?;
    let value =
        Format::compile(value, Purpose::Request, compiler).map_err(|problem| problem.shifted(1))?;
    Ok((Action::Set(part, value), 2))
}

fn replace(
    words: &[&[u8]],
    part: Part,
    compiler: &Compiler<'_>,
) -> Result<(Action, usize), Problem> {
    let expected = "expects exactly 2 arguments <match-regex> and <replace-format>.";
    let [pattern, by] = arguments(words, expected)?;
    no_more(words, 3, expected)?;
    let regex = regex(pattern, 1, "failed to parse the regex : ")?;
    let by =
        Format::compile(by, Purpose::Request, compiler).map_err(|problem| problem.shifted(2))?;
    Ok((Action::Replace(part, regex, by), 3))
}

fn set_status(words: &[&[u8]]) -> Result<(Action, usize), Problem> {
    let expected = "expects 1 argument: <status>; or 3 arguments: <status> reason <fmt>.";
    let [status] = arguments(words, expected)?;
    let code = std::str::from_utf8(status)
        .ok()
        .and_then(|text| text.parse::<u16>().ok());
    let Some(code @ 100..=999) = code else {
        let text = "expects an integer status code between 100 and 999.";
        return Err(Problem::new(1, text));
    };
    match (words.get(2).copied(), words.get(3).copied()) {
        (Some(b"reason"), Some(reason)) if !reason.is_empty() => {
            Ok((Action::SetStatus(code, Some(reason.into())), 4))
        }
        _ => Ok((Action::SetStatus(code, None), 2)),
    }
}

fn use_service(words: &[&[u8]]) -> Result<(Action, usize), Problem> {
    let name = words.get(1).copied().unwrap_or_default();
    if name.is_empty() {
        return Err(Problem::new(1, "'use-service' expects a service name."));
    }
    match Applet::named(name) {
        Some(applet) => Ok((Action::UseService(applet), 2)),
        None => {
            let name = String::from_utf8_lossy(name);
            Err(Problem::new(1, format!("'{name}' unknown service name.")))
        }
    }
}

/// Runs `http-request` rules. `facts` is the session without the request: what its `request()`
/// says is not asked; the rules see `subject` through its edits instead. They begin with the rule
/// of number `from`: 0, or what [`Verdict::Wait`] said.
///
/// # Errors
/// [`Overflow`] when the edits do not fit: the answer is 500 (HAProxy: `PR--`).
pub fn evaluate_request<'r, C: Context>(
    (rules, from): (&'r Rules<RequestRule>, u32),
    acls: &[Acl],
    facts: &C,
    subject: &mut Subject<'_>,
    scratch: &mut Scratch,
) -> Result<Verdict<'r>, Overflow> {
    evaluate((rules, from), Side::Request, acls, facts, subject, scratch)
}

/// Runs `http-response` rules, as [`evaluate_request`] does for requests.
///
/// # Errors
/// [`Overflow`] when the edits do not fit: the answer is 502.
pub fn evaluate_response<'r, C: Context>(
    rules: &'r Rules<ResponseRule>,
    acls: &[Acl],
    facts: &C,
    subject: &mut Subject<'_>,
    scratch: &mut Scratch,
) -> Result<Verdict<'r>, Overflow> {
    evaluate((rules, 0), Side::Response, acls, facts, subject, scratch)
}

fn evaluate<'r, C: Context, R: AsRef<Rule>>(
    (rules, from): (&'r Rules<R>, u32),
    side: Side,
    acls: &[Acl],
    facts: &C,
    subject: &mut Subject<'_>,
    scratch: &mut Scratch,
) -> Result<Verdict<'r>, Overflow> {
    let mut walk = Walk::from(from);
    loop {
        let view = View {
            facts,
            message: Message::new(subject.bytes, subject.head, subject.edits),
            side,
            said: scratch.said,
        };
        let Some(rule) = rules.next(&mut walk, acls, &view, scratch) else {
            return Ok(Verdict::Continue);
        };
        let rule = rule.as_ref();
        let holds = rule
            .condition
            .as_ref()
            .is_none_or(|condition| condition.holds(acls, &view, scratch));
        if !holds {
            continue;
        }
        match &rule.action {
            Action::Allow => return Ok(Verdict::Allow),
            Action::UseService(applet) => return Ok(Verdict::Service(*applet)),
            Action::Wait(wait) => return Ok(Verdict::Wait(*wait, walk.next())),
            Action::Final(answer) => {
                if !answer.is_void(&view, scratch) {
                    return Ok(Verdict::Final(answer));
                }
            }
            Action::Say(saying) => {
                saying.say(&view, &mut scratch.buffers, &mut scratch.said);
            }
            action => {
                action.render(&view, scratch);
                action.edit(subject, &scratch.text, &mut scratch.made)?;
                scratch.cache.clear();
                walk.forget();
            }
        }
    }
}

/// The session as a rule sees it: the engine's facts, and the message through its edits.
struct View<'a, C> {
    facts: &'a C,
    message: Message<'a>,
    side: Side,
    said: Said,
}

impl<C: Context> Context for View<'_, C> {
    fn request(&self) -> Option<Message<'_>> {
        match self.side {
            Side::Request => Some(self.message),
            Side::Response => self.facts.request(),
        }
    }

    fn response(&self) -> Option<Message<'_>> {
        (self.side == Side::Response).then_some(self.message)
    }

    fn changed(&self) -> Option<&Lists> {
        self.facts.changed()
    }

    fn source(&self) -> Address {
        self.facts.source()
    }

    fn destination(&self) -> Address {
        self.facts.destination()
    }

    fn field(&self, field: Field) -> Value<'_> {
        self.said
            .field(field)
            .unwrap_or_else(|| self.facts.field(field))
    }

    fn now(&self) -> Now {
        self.facts.now()
    }

    fn inspected(&self) -> Option<Inspected<'_>> {
        self.facts.inspected()
    }
}

impl Action {
    /// Writes the text that the action needs to the scratch.
    fn render<C: Context>(&self, view: &C, scratch: &mut Scratch) {
        let Scratch { buffers, text, .. } = scratch;
        text.clear();
        match self {
            Self::SetHeader { value: format, .. }
            | Self::ReplaceHeader { by: format, .. }
            | Self::Set(_, format)
            | Self::Replace(_, _, format) => format.render(view, buffers, text),
            Self::Allow
            | Self::Final(_)
            | Self::DelHeader(_)
            | Self::SetStatus(..)
            | Self::UseService(_)
            | Self::Say(_)
            | Self::Wait(_) => {}
        }
    }

    /// Edits the message. `text` is what `render` wrote; in a replacement, groups of the match
    /// are named in it, wherever they come from.
    fn edit(
        &self,
        subject: &mut Subject<'_>,
        text: &[u8],
        made: &mut Vec<u8>,
    ) -> Result<(), Overflow> {
        let mut editor = Editor {
            bytes: subject.bytes,
            head: subject.head,
            edits: subject.edits,
        };
        match self {
            Self::SetHeader {
                name, add: true, ..
            } => editor.add_header(name, text),
            Self::SetHeader { name, .. } => editor.set_header(name, text),
            Self::DelHeader(names) => {
                editor.del_header(|name| names.contain(name));
                Ok(())
            }
            Self::ReplaceHeader {
                name,
                regex,
                elements,
                ..
            } => {
                let change = |value: &[u8], out: &mut Vec<u8>| substitute(regex, text, value, out);
                if *elements {
                    editor.replace_value(name, change)
                } else {
                    editor.replace_header(name, change)
                }
            }
            Self::Set(part, _) => part.set(&mut editor, text),
            Self::Replace(part, regex, _) => part.replace(&mut editor, regex, text, made),
            Self::SetStatus(status, reason) => editor.set_status(*status, reason.as_deref()),
            Self::Allow | Self::Final(_) | Self::UseService(_) | Self::Say(_) | Self::Wait(_) => {
                Ok(())
            }
        }
    }
}

/// Writes the replacement of a whole value; false if the expression does not match.
fn substitute(regex: &Regex, by: &[u8], value: &[u8], out: &mut Vec<u8>) -> bool {
    match regex.captures(value, 0) {
        Some(groups) => {
            expand(by, value, &groups, out);
            true
        }
        None => false,
    }
}

impl Part {
    fn set(self, editor: &mut Editor<'_>, text: &[u8]) -> Result<(), Overflow> {
        match self {
            // A request without a method cannot be sent; HAProxy would send it.
            Self::Method if text.is_empty() => Ok(()),
            Self::Method => editor.set_method(text),
            Self::Path => editor.set_path(text),
            Self::PathQuery => editor.set_pathq(text),
            Self::Query => editor.set_query(text),
            Self::Uri => editor.set_uri(text),
        }
    }

    /// Replaces the whole part if the expression matches anywhere in it.
    fn replace(
        self,
        editor: &mut Editor<'_>,
        regex: &Regex,
        by: &[u8],
        made: &mut Vec<u8>,
    ) -> Result<(), Overflow> {
        let message = editor.message();
        let old = match self {
            Self::Method => Some(message.method_text()),
            Self::Path => message.path(),
            Self::PathQuery => message.pathq(),
            Self::Query => message.query(),
            Self::Uri => Some(message.target()),
        };
        made.clear();
        match old {
            Some(old) if substitute(regex, by, old, made) => self.set(editor, made),
            _ => Ok(()),
        }
    }
}

impl Names {
    /// Whether a name is taken; its case does not count.
    fn contain(&self, name: &[u8]) -> bool {
        let same = |part: Option<&[u8]>, wanted: &[u8]| {
            part.is_some_and(|part| part.eq_ignore_ascii_case(wanted))
        };
        match self {
            Self::Exactly(wanted) => name.eq_ignore_ascii_case(wanted),
            Self::Beg(wanted) => same(name.get(..wanted.len()), wanted),
            Self::End(wanted) => {
                let start = name.len().checked_sub(wanted.len());
                same(start.and_then(|start| name.get(start..)), wanted)
            }
            Self::Sub(wanted) => name
                .windows(wanted.len())
                .any(|part| part.eq_ignore_ascii_case(wanted)),
            Self::Reg(regex) => {
                // HAProxy matches names in lower case; header names are short.
                let mut lower = [0; 256];
                let length = name.len().min(lower.len());
                for (to, from) in lower.iter_mut().zip(name) {
                    *to = from.to_ascii_lowercase();
                }
                regex.is_match(lower.get(..length).unwrap_or_default())
            }
        }
    }
}

impl Rule {
    fn reads_bytes(&self, acls: &[Acl]) -> bool {
        let condition = self.condition.as_ref();
        condition.is_some_and(|condition| condition.reads_bytes(acls))
    }

    fn needs_destination(&self, acls: &[Acl]) -> bool {
        let by_action = match &self.action {
            Action::Final(answer) => answer.needs_destination(),
            Action::Say(saying) => saying.needs_destination(),
            Action::SetHeader { value: format, .. }
            | Action::ReplaceHeader { by: format, .. }
            | Action::Set(_, format)
            | Action::Replace(_, _, format) => format.needs_destination(),
            Action::Allow
            | Action::DelHeader(_)
            | Action::SetStatus(..)
            | Action::UseService(_)
            | Action::Wait(_) => false,
        };
        by_action
            || self
                .condition
                .as_ref()
                .is_some_and(|condition| condition.needs_destination(acls))
    }
}

#[cfg(test)]
mod tests;
