//! The rules of `tcp-request content`, which look at the first bytes of a session before a server
//! is chosen for it (configuration.txt 4.2 "tcp-request content").
//!
//! They run in the order of the file until one accepts or rejects. A rule whose condition cannot be
//! answered before more bytes have come makes all of them wait, and they then begin again; what the
//! rules before it have said stays said. Whoever evaluates says when nothing more is waited for.

use super::compile::{Compiler, Problem, nearest};
use super::condition::{Acl, Answer, Condition};
use super::connection::{condition_of, section};
use super::fetch::{Scope, Scratch};
use super::format::{Field, Value};
use super::lists::Lists;
use super::said::{Said, Saying};
use super::{Context, Inspected};
use crate::base::addr::Address;
use crate::base::clock::Now;
use crate::http::rewrite::Message;

/// What HAProxy 2.6 lists as actions.
const LISTED: &str = "'accept', 'reject', 'capture', 'expect-proxy', 'expect-netscaler-cip', 'track-sc0' ... 'track-sc2', 'ot-group', 'set-log-level', 'set-nice', 'switch-mode', 'use-service', 'sc-inc-gpc(*)', 'sc-inc-gpc0(*)', 'sc-inc-gpc1(*)', 'sc-set-gpt(*)', 'sc-set-gpt0(*)', 'send-spoe-group', 'do-resolve(*)', 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)', 'set-src', 'set-src-port', 'set-dst', 'set-dst-port', 'set-mark', 'set-tos', 'silent-drop', 'set-priority-class', 'set-priority-offset'";

/// Their names, those with arguments up to the parenthesis.
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "accept", "capture", "do-resolve", "ot-group", "reject", "sc-inc-gpc", "sc-inc-gpc0",
    "sc-inc-gpc1", "sc-set-gpt", "sc-set-gpt0", "send-spoe-group", "set-dst", "set-dst-port",
    "set-log-level", "set-mark", "set-nice", "set-priority-class", "set-priority-offset", "set-src",
    "set-src-port", "set-tos", "set-var", "set-var-fmt", "silent-drop", "switch-mode", "track-sc0",
    "track-sc1", "track-sc2", "unset-var", "use-service",
];

/// What a rule does.
#[derive(Debug)]
enum Action {
    Accept,
    Reject,
    Say(Saying),
}

/// One `tcp-request content` rule.
#[derive(Debug)]
pub struct ContentRule {
    action: Action,
    condition: Option<Condition>,
}

/// What the rules of a proxy decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inspection {
    /// The session goes on.
    Passed,
    /// It ends here.
    Rejected,
    /// More bytes are needed to say.
    NotYet,
}

impl ContentRule {
    /// Whether it reads the client connection's destination address.
    #[must_use]
    pub fn needs_destination(&self, acls: &[Acl]) -> bool {
        let by_action = match &self.action {
            Action::Say(saying) => saying.needs_destination(),
            Action::Accept | Action::Reject => false,
        };
        let condition = self.condition.as_ref();
        by_action || condition.is_some_and(|condition| condition.needs_destination(acls))
    }

    /// Whether it asks for bytes that HAProxy does not look at where HTTP is read.
    #[must_use]
    pub fn reads_bytes(&self, acls: &[Acl]) -> bool {
        let condition = self.condition.as_ref();
        condition.is_some_and(|condition| condition.reads_bytes(acls))
    }

    /// Whether it asks for something of an HTTP request.
    #[must_use]
    pub fn reads_request(&self, acls: &[Acl]) -> bool {
        let by_action = match &self.action {
            Action::Say(saying) => saying.reads_request(),
            Action::Accept | Action::Reject => false,
        };
        let condition = self.condition.as_ref();
        by_action || condition.is_some_and(|condition| condition.reads_request(acls))
    }
}

/// Asks the rules of a proxy about a session; `acls` is `Config::acls`. What they say of it is left
/// in the scratch.
pub fn evaluate<C: Context>(
    rules: &[ContentRule],
    acls: &[Acl],
    facts: &C,
    scratch: &mut Scratch,
) -> Inspection {
    for rule in rules {
        let view = View {
            facts,
            said: scratch.said,
        };
        let answer = match &rule.condition {
            Some(condition) => condition.answer(acls, &view, scratch),
            None => Answer::Yes,
        };
        match (answer, &rule.action) {
            (Answer::No, _) => {}
            (Answer::NotYet, _) => return Inspection::NotYet,
            (Answer::Yes, Action::Accept) => return Inspection::Passed,
            (Answer::Yes, Action::Reject) => return Inspection::Rejected,
            (Answer::Yes, Action::Say(saying)) => {
                saying.say(&view, &mut scratch.buffers, &mut scratch.said);
            }
        }
    }
    Inspection::Passed
}

/// The session as a rule sees it: the engine's facts, and what the rules before it have said.
struct View<'a, C> {
    facts: &'a C,
    said: Said,
}

impl<C: Context> Context for View<'_, C> {
    fn request(&self) -> Option<Message<'_>> {
        self.facts.request()
    }

    fn response(&self) -> Option<Message<'_>> {
        None
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

    fn changed(&self) -> Option<&Lists> {
        self.facts.changed()
    }

    fn inspected(&self) -> Option<Inspected<'_>> {
        self.facts.inspected()
    }
}

/// Compiles the words after `tcp-request content`: action, arguments, condition.
///
/// # Errors
/// A [`Problem`] worded as HAProxy does.
pub fn compile_content_rule(
    words: &[&[u8]],
    compiler: &mut Compiler<'_>,
) -> Result<ContentRule, Problem> {
    let whole = String::from_utf8_lossy(words.first().copied().unwrap_or_default());
    let name = whole.split('(').next().unwrap_or_default();
    if !NAMES.contains(&name) {
        let near = nearest(name.as_bytes(), NAMES.iter().copied());
        let near = near.map(|near| format!(" Did you mean '{near}' maybe ?"));
        let text = format!(
            "'tcp-request content' expects {LISTED} in {} (got '{whole}').{}",
            section(compiler.kind, compiler.name),
            near.unwrap_or_default()
        );
        return Err(Problem::new(0, text));
    }
    let (action, at) = match name {
        "accept" => (Action::Accept, 1),
        "reject" => (Action::Reject, 1),
        "set-priority-class" | "set-priority-offset" => {
            let (saying, at) =
                Saying::priority(words, Scope::Content, compiler).map_err(Problem::without_stop)?;
            (Action::Say(saying), at)
        }
        _ => {
            let text = format!("'tcp-request content {name}' is not implemented by oneloop.");
            return Err(Problem::new(0, text));
        }
    };
    let what = format!("tcp-request content {name}");
    let condition = condition_of(words, at, &what, Scope::Content, compiler)?;
    Ok(ContentRule { action, condition })
}

#[cfg(test)]
mod tests;
