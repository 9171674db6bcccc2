//! The rules of `tcp-request connection`, which look at a connection before any byte of it is read
//! (configuration.txt 4.2 "tcp-request connection").
//!
//! They run in the order of the file until one accepts or rejects; `expect-proxy` asks for a
//! header of the PROXY protocol and lets the others have their say. All of them see the addresses
//! of the connection itself, whatever a header says later.

use super::Context;
use super::compile::{Compiler, Problem, nearest};
use super::condition::{Acl, Condition};
use super::fetch::{Scope, Scratch};

/// What HAProxy 2.6 lists as actions.
const LISTED: &str = "'accept', 'reject', 'capture', 'expect-proxy', 'expect-netscaler-cip', 'track-sc0' ... 'track-sc2', 'sc-inc-gpc(*)', 'sc-inc-gpc0(*)', 'sc-inc-gpc1(*)', 'sc-set-gpt(*)', 'sc-set-gpt0(*)', 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)', 'set-dst', 'set-dst-port', 'set-mark', 'set-src', 'set-src-port', 'set-tos', 'silent-drop'";

/// Their names, those with arguments up to the parenthesis.
const NAMES: &[&str] = &[
    "accept",
    "capture",
    "expect-netscaler-cip",
    "expect-proxy",
    "reject",
    "sc-inc-gpc",
    "sc-inc-gpc0",
    "sc-inc-gpc1",
    "sc-set-gpt",
    "sc-set-gpt0",
    "set-dst",
    "set-dst-port",
    "set-mark",
    "set-src",
    "set-src-port",
    "set-tos",
    "set-var",
    "set-var-fmt",
    "silent-drop",
    "track-sc0",
    "track-sc1",
    "track-sc2",
    "unset-var",
];

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Accept,
    Reject,
    ExpectProxy,
}

/// One `tcp-request connection` rule.
#[derive(Debug)]
pub struct ConnectionRule {
    action: Action,
    condition: Option<Condition>,
}

/// What the rules of a frontend decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The connection is served.
    Accepted {
        /// A header of the PROXY protocol comes first.
        introduced: bool,
    },
    /// It is closed.
    Rejected,
}

impl ConnectionRule {
    /// Whether it reads the connection's destination address.
    #[must_use]
    pub fn needs_destination(&self, acls: &[Acl]) -> bool {
        let condition = self.condition.as_ref();
        condition.is_some_and(|condition| condition.needs_destination(acls))
    }
}

/// Asks the rules of a frontend about a connection; `acls` is `Config::acls`.
pub fn evaluate<C: Context>(
    rules: &[ConnectionRule],
    acls: &[Acl],
    context: &C,
    scratch: &mut Scratch,
) -> Admission {
    let mut introduced = false;
    for rule in rules {
        let condition = rule.condition.as_ref();
        if condition.is_some_and(|condition| !condition.holds(acls, context, scratch)) {
            continue;
        }
        match rule.action {
            Action::Accept => break,
            Action::Reject => return Admission::Rejected,
            Action::ExpectProxy => introduced = true,
        }
    }
    Admission::Accepted { introduced }
}

/// Compiles the words after `tcp-request connection`: action, arguments, condition.
///
/// # Errors
/// A [`Problem`] worded as HAProxy does.
pub fn compile_connection_rule(
    words: &[&[u8]],
    compiler: &mut Compiler<'_>,
) -> Result<ConnectionRule, Problem> {
    let whole = String::from_utf8_lossy(words.first().copied().unwrap_or_default());
    let name = whole.split('(').next().unwrap_or_default();
    let section = section(compiler.kind, compiler.name);
    if !NAMES.contains(&name) {
        let near = nearest(name.as_bytes(), NAMES.iter().copied());
        let near = near.map(|near| format!(" Did you mean '{near}' maybe ?"));
        let text = format!(
            "'tcp-request connection' expects {LISTED} in {section} (got '{whole}').{}",
            near.unwrap_or_default()
        );
        return Err(Problem::new(0, text));
    }
    let mut at = 1;
    if name.starts_with("expect-") {
        let layer = String::from_utf8_lossy(words.get(1).copied().unwrap_or_default());
        if layer != "layer4" {
            let text = format!(
                "'tcp-request connection {name}' only supports 'layer4' in {section} (got '{layer}')"
            );
            return Err(Problem::new(1, text));
        }
        at = 2;
    }
    let action = match name {
        "accept" => Action::Accept,
        "reject" => Action::Reject,
        "expect-proxy" => Action::ExpectProxy,
        _ => {
            let text = format!("'tcp-request connection {name}' is not implemented by oneloop.");
            return Err(Problem::new(0, text));
        }
    };
    let what = format!("tcp-request connection {name}");
    let condition = condition_of(words, at, &what, Scope::Connection, compiler)?;
    Ok(ConnectionRule { action, condition })
}

/// Compiles the condition that a rule has from the word `at` on, if it has one.
pub(super) fn condition_of(
    words: &[&[u8]],
    at: usize,
    what: &str,
    scope: Scope,
    compiler: &mut Compiler<'_>,
) -> Result<Option<Condition>, Problem> {
    let section = section(compiler.kind, compiler.name);
    match words.get(at).copied() {
        None | Some(b"") => Ok(None),
        Some(kind @ (b"if" | b"unless")) => {
            let kind = String::from_utf8_lossy(kind);
            let rest = words.get(at..).unwrap_or_default();
            let warned = compiler.warnings.len();
            let condition = Condition::compile(rest, scope, compiler);
            compiler.shift_warnings(warned, at);
            let condition = condition.map_err(|problem| {
                problem.without_stop().shifted(at).within(format_args!(
                    "'{what}' : error detected in {section} while parsing '{kind}' condition : "
                ))
            })?;
            Ok(Some(condition))
        }
        Some(word) => {
            let word = String::from_utf8_lossy(word);
            let text =
                format!("'{what}' only accepts 'if' or 'unless', in {section} (got '{word}')");
            Err(Problem::new(at, text))
        }
    }
}

/// A section as messages of these rules name it.
#[must_use]
pub fn section(kind: &str, name: &str) -> String {
    match kind {
        "defaults" => "defaults section".to_owned(),
        _ => format!("{kind} '{name}'"),
    }
}
