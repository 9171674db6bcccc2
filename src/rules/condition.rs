//! ACLs and conditions: `if`/`unless` over tests, with AND, OR and negation.
//!
//! An ACL is one line (or one pair of braces): expression and patterns. A condition is any of
//! several groups of terms, a group needing all of its terms; a term is an ACL by name, which may
//! be declared on several lines, or by braces. All ACLs of a configuration are in one table and are
//! known by index, so that what one said is remembered for the rest of the message.
//!
//! The memory is dropped at each edit of the message: rules see what earlier rules did. What may
//! change without an edit (counters, dates) is never remembered.
//! Rejected: a cache by name (a hash a term), and evaluating all ACLs beforehand (most never run).

use super::Context;
use super::compile::{Compiler, Lead, Problem, nearest};
use super::fetch::{Expression, ExpressionError, Sample, Scope, Scratch, Type};
use super::pattern::{self, Compiled, Owner, Part, Patterns};

/// Index into `Config::acls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AclId(pub u32);

/// One ACL: a line, or one pair of braces.
#[derive(Debug)]
pub struct Acl {
    /// Its name; empty when anonymous.
    pub name: Box<[u8]>,
    /// The section that uses it, for one of the ACLs that need no declaration (configuration.txt
    /// 7.4): each section has its own.
    predefined_for: Option<Box<str>>,
    /// The criterion's keyword, for messages.
    keyword: Box<[u8]>,
    /// The criterion as an expression, in words: ACLs of the same text read the same sample.
    sample: Box<[u8]>,
    expression: Expression,
    patterns: Patterns,
    /// The lists that its patterns are from.
    parts: Box<[Part]>,
}

/// The predefined ACLs: name and words.
#[rustfmt::skip]
const PREDEFINED: &[(&str, &[&[u8]])] = &[
    ("FALSE", &[b"always_false"]),
    ("HTTP", &[b"req.proto_http"]),
    ("HTTP_1.0", &[b"req.ver", b"1.0"]),
    ("HTTP_1.1", &[b"req.ver", b"1.1"]),
    ("HTTP_2.0", &[b"req.ver", b"2.0"]),
    ("HTTP_CONTENT", &[b"req.hdr_val(content-length)", b"gt", b"0"]),
    ("HTTP_URL_ABS", &[b"url_reg", b"^[^/:]*://"]),
    ("HTTP_URL_SLASH", &[b"url_beg", b"/"]),
    ("HTTP_URL_STAR", &[b"url", b"*"]),
    ("LOCALHOST", &[b"src", b"127.0.0.1/8", b"::1"]),
    ("METH_CONNECT", &[b"method", b"CONNECT"]),
    ("METH_DELETE", &[b"method", b"DELETE"]),
    ("METH_GET", &[b"method", b"GET", b"HEAD"]),
    ("METH_HEAD", &[b"method", b"HEAD"]),
    ("METH_OPTIONS", &[b"method", b"OPTIONS"]),
    ("METH_POST", &[b"method", b"POST"]),
    ("METH_PUT", &[b"method", b"PUT"]),
    ("METH_TRACE", &[b"method", b"TRACE"]),
    ("REQ_CONTENT", &[b"req.len", b"gt", b"0"]),
    ("TRUE", &[b"always_true"]),
    ("WAIT_END", &[b"wait_end"]),
];

/// Predefined ACLs of HAProxy that are not implemented.
const PREDEFINED_MISSING: &[&str] = &["RDP_COOKIE"];

impl Acl {
    /// Compiles what follows `acl`: name, criterion, flags, patterns.
    ///
    /// # Errors
    /// A [`Problem`] worded as HAProxy does.
    pub fn compile(words: &[&[u8]], compiler: &mut Compiler<'_>) -> Result<Self, Problem> {
        let name = words.first().copied().unwrap_or_default();
        let shown = String::from_utf8_lossy(name);
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
        if let Some(at) = name.iter().position(|byte| !allowed(byte)) {
            let byte = name
                .get(at..=at)
                .map(String::from_utf8_lossy)
                .unwrap_or_default();
            return Err(Problem {
                at: Some(at),
                ..Problem::new(
                    0,
                    format!("character '{byte}' is not permitted in acl name '{shown}'."),
                )
            });
        }
        if name.eq_ignore_ascii_case(b"or") {
            return Err(Problem::new(
                0,
                format!(
                    "acl name '{shown}' will never match. 'or' is used to express a logical disjunction within a condition."
                ),
            ));
        }
        let test = words.get(1..).unwrap_or_default();
        let warned = compiler.warnings.len();
        let acl = Self::test(name, test, compiler).map_err(|problem| {
            problem.shifted(1).within(format_args!(
                "error detected while parsing ACL '{shown}' : "
            ))
        });
        compiler.shift_warnings(warned, 1);
        acl
    }

    /// Compiles criterion, flags and patterns. An empty word ends the line.
    fn test(name: &[u8], words: &[&[u8]], compiler: &mut Compiler<'_>) -> Result<Self, Problem> {
        let end = words.iter().position(|word| word.is_empty());
        let words = words.get(..end.unwrap_or(words.len())).unwrap_or_default();
        let criterion = words.first().copied().unwrap_or_default();
        let end = criterion
            .iter()
            .position(|byte| matches!(byte, b'(' | b','));
        let keyword = criterion
            .get(..end.unwrap_or(criterion.len()))
            .unwrap_or_default();
        let own = pattern::keyword(keyword);
        // The keyword stands for its fetch; what follows is the same for both.
        let rest = criterion.get(keyword.len()..).unwrap_or_default();
        let sample = match own {
            Some((fetch, _)) => [fetch.as_bytes(), rest].concat(),
            None => criterion.to_vec(),
        };
        let own_fetch = own.map(|own| own.0);
        let expression = Self::expression(criterion, &sample, keyword, own_fetch, compiler)?;
        let implied = own
            .map(|own| own.1)
            .filter(|_| expression.last_converter().is_none());
        let values = words.get(1..).unwrap_or_default();
        let owner = Owner {
            acl: name,
            criterion: keyword,
        };
        let compiled = Patterns::compile(values, implied, expression.output(), &owner, compiler);
        let Compiled { patterns, parts } = compiled.map_err(|problem| problem.shifted(1))?;
        Ok(Self {
            name: name.into(),
            predefined_for: None,
            keyword: keyword.into(),
            sample: sample.into(),
            expression,
            patterns,
            parts: parts.into(),
        })
    }

    /// Compiles the criterion; `sample` is what it stands for.
    fn expression(
        criterion: &[u8],
        sample: &[u8],
        keyword: &[u8],
        fetch: Option<&'static str>,
        compiler: &Compiler<'_>,
    ) -> Result<Expression, Problem> {
        let shown = String::from_utf8_lossy(keyword);
        let whole = String::from_utf8_lossy(criterion);
        let wrong = |error: &ExpressionError| {
            let text = match (error, fetch) {
                (ExpressionError::Arguments(_, text), Some(_)) => {
                    format!("ACL keyword '{shown}' : {text}.")
                }
                (ExpressionError::Values(_, text), Some(_)) => {
                    format!("in argument to '{shown}', {text}.")
                }
                (ExpressionError::Converter(text), Some(_)) => {
                    format!("ACL keyword '{shown}' : {text}..")
                }
                (ExpressionError::Reference(_, reference), _) => {
                    let place = format!("proxy '{}'", compiler.name);
                    let keyword = format!("ACL keyword '{}'", fetch.unwrap_or(&shown));
                    return Problem {
                        lead: Lead::Tight,
                        complete: true,
                        ..Problem::new(0, reference.message(&keyword, &place))
                    };
                }
                _ => format!("{} in ACL expression '{whole}'.", error.text()),
            };
            Problem {
                suggestion: error.suggestion(),
                ..Problem::new(0, text)
            }
        };
        let (expression, rest) =
            Expression::parse(sample, Scope::Request, compiler).map_err(|error| wrong(&error))?;
        if rest.is_empty() {
            return Ok(expression);
        }
        let error = match (expression.last_converter(), fetch) {
            (None, Some(_)) => "missing comma after fetch keyword".to_owned(),
            (None, None) => format!("missing comma after fetch keyword '{shown}'"),
            (Some(name), _) => format!("missing comma after converter '{name}'"),
        };
        Err(wrong(&ExpressionError::Converter(error)))
    }

    /// Rules that come later do not find it, should it be predefined.
    pub fn keep_to_its_rule(&mut self) {
        self.predefined_for = None;
    }

    /// The lists that its patterns are from.
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Its patterns as the configuration has them.
    pub(super) fn patterns(&self) -> &Patterns {
        &self.patterns
    }

    /// Whether any sample matches; `id` is its own.
    pub fn matches<C: Context>(&self, id: AclId, context: &C, scratch: &mut Scratch) -> bool {
        let changed = context.changed().and_then(|lists| lists.patterns(id));
        let patterns = changed.unwrap_or(&self.patterns);
        self.expression
            .any(context, &mut scratch.buffers, |sample, folded| {
                patterns.matches(sample, folded)
            })
    }

    /// What it says of bytes that may be only the first of those to come: where nothing matches
    /// yet, more of them may.
    fn answer<C: Context>(&self, id: AclId, context: &C, scratch: &mut Scratch) -> Answer {
        if self.matches(id, context, scratch) {
            return Answer::Yes;
        }
        match context.inspected() {
            Some(seen) if self.expression.may_change(&seen) => Answer::NotYet,
            _ => Answer::No,
        }
    }

    /// The sample that it compares with literals and nothing else, by its text; none when the
    /// sample may change while the message does not.
    pub(super) fn literal_sample(&self) -> Option<&[u8]> {
        let is_text = matches!(self.expression.output(), Type::Str | Type::Bin);
        let literal = self.patterns.literals().is_some();
        (is_text && literal && !self.expression.is_volatile()).then_some(&*self.sample)
    }

    /// Calls `see` with each of its samples.
    pub(super) fn each_sample<C: Context>(
        &self,
        context: &C,
        scratch: &mut Scratch,
        mut see: impl FnMut(Sample<'_>),
    ) {
        self.expression
            .any(context, &mut scratch.buffers, |sample, _| {
                see(sample);
                false
            });
    }
}

/// Remembers, for one message, what each ACL said.
#[derive(Debug, Default)]
pub struct AclCache {
    /// Moves on when everything is to be forgotten.
    generation: u32,
    /// For each ACL the generation it was evaluated in, and what it said.
    said: Vec<(u32, bool)>,
}

impl AclCache {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            // Four thousand million messages later, an old mark must not look new.
            self.said.clear();
            self.generation = 1;
        }
    }

    fn recall(&self, id: AclId) -> Option<bool> {
        let (generation, said) = *self.said.get(id.0 as usize)?;
        (generation == self.generation && generation != 0).then_some(said)
    }

    fn remember(&mut self, id: AclId, said: bool, total: usize) {
        if self.said.len() < total {
            self.said.resize(total, (0, false));
        }
        if let Some(mark) = self.said.get_mut(id.0 as usize) {
            *mark = (self.generation, said);
        }
    }
}

/// What is known of a condition while bytes still come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// It does not hold.
    No,
    /// More bytes have to be there before that is known.
    NotYet,
    /// It holds.
    Yes,
}

impl Answer {
    /// The answer to the opposite question, if that is asked.
    fn negated(self, negated: bool) -> Self {
        match (self, negated) {
            (Self::No, true) => Self::Yes,
            (Self::Yes, true) => Self::No,
            _ => self,
        }
    }
}

/// A name or a pair of braces in a condition, negated or not.
#[derive(Debug)]
struct Term {
    negated: bool,
    /// Any of these.
    acls: Vec<AclId>,
}

/// `if`/`unless` over ACLs: any of several groups, all of each group.
#[derive(Debug)]
pub struct Condition {
    unless: bool,
    groups: Vec<Vec<Term>>,
}

impl Condition {
    /// Compiles words that begin with `if` or `unless`.
    ///
    /// # Errors
    /// A [`Problem`] such as `no such ACL : 'x'.`: the caller says what it was parsing.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    pub fn compile(
        words: &[&[u8]],
        scope: Scope,
        compiler: &mut Compiler<'_>,
    ) -> Result<Self, Problem> {
        let unless = match words.first().copied() {
            Some(b"if") => false,
            Some(b"unless") => true,
            _ => return Err(Problem::new(0, "expects 'if' or 'unless'.")),
        };
        let mut groups = Vec::new();
        let mut group = Vec::new();
        let mut negated = false;
        let mut at = 1;
        while let Some(&word) = words.get(at).filter(|word| !word.is_empty()) {
            if word.eq_ignore_ascii_case(b"or") || word == b"||" {
                groups.push(std::mem::take(&mut group));
                negated = false;
                at += 1;
                continue;
            }
            let marks = word.iter().take_while(|byte| **byte == b'!').count();
            negated ^= marks % 2 == 1;
            let name = word.get(marks..).unwrap_or_default();
            if name.is_empty() {
                at += 1;
                continue;
            }
            let (acls, next) = if name == b"{" {
                braces(words, at, compiler)?
            } else {
                (named(name, at, compiler)?, at + 1)
            };
            for id in &acls {
                check_scope(*id, scope, at, compiler);
            }
            group.push(Term { negated, acls });
            negated = false;
            at = next;
        }
        groups.push(group);
        // A group without a term never holds.
        groups.retain(|group| !group.is_empty());
        Ok(Self { unless, groups })
    }

    /// For each of its groups the terms that are not negated, a term being ACLs any of which must
    /// match. None at all when the condition is an `unless`, which holds where nothing matches.
    pub(super) fn alternatives(&self) -> impl Iterator<Item = impl Iterator<Item = &[AclId]>> {
        let groups = if self.unless { &[][..] } else { &self.groups };
        groups.iter().map(|group| {
            let terms = group.iter().filter(|term| !term.negated);
            terms.map(|term| term.acls.as_slice())
        })
    }

    /// Whether it reads the client connection's destination address.
    #[must_use]
    pub fn needs_destination(&self, acls: &[Acl]) -> bool {
        self.any_acl(acls, |acl| acl.expression.needs_destination())
    }

    /// What is known of it while bytes still come: it is certain once no more of them can change
    /// it. Nothing is remembered of it.
    pub fn answer<C: Context>(&self, acls: &[Acl], context: &C, scratch: &mut Scratch) -> Answer {
        let mut met = Answer::No;
        for group in &self.groups {
            let mut all = Answer::Yes;
            for term in group {
                let acl = |id: &AclId| Some((*id, acls.get(id.0 as usize)?));
                let asked = term.acls.iter().filter_map(acl);
                let mut any = Answer::No;
                for (id, acl) in asked {
                    any = any.max(acl.answer(id, context, scratch));
                    if any == Answer::Yes {
                        break;
                    }
                }
                all = all.min(any.negated(term.negated));
                if all == Answer::No {
                    break;
                }
            }
            met = met.max(all);
            if met == Answer::Yes {
                break;
            }
        }
        met.negated(self.unless)
    }

    /// Whether it asks for bytes that HAProxy does not look at where HTTP is read.
    #[must_use]
    pub fn reads_bytes(&self, acls: &[Acl]) -> bool {
        self.any_acl(acls, |acl| acl.expression.reads_bytes())
    }

    /// Whether it asks for something of an HTTP request.
    #[must_use]
    pub fn reads_request(&self, acls: &[Acl]) -> bool {
        self.any_acl(acls, |acl| acl.expression.reads_request())
    }

    fn any_acl(&self, acls: &[Acl], test: impl FnMut(&Acl) -> bool) -> bool {
        let terms = self.groups.iter().flatten();
        terms
            .flat_map(|term| &term.acls)
            .filter_map(|id| acls.get(id.0 as usize))
            .any(test)
    }

    /// Whether the condition is met. `acls` is `Config::acls`.
    pub fn holds<C: Context>(&self, acls: &[Acl], context: &C, scratch: &mut Scratch) -> bool {
        let mut any_holds = |term: &Term| {
            let found = term.acls.iter().any(|id| says(*id, acls, context, scratch));
            found != term.negated
        };
        let met = self
            .groups
            .iter()
            .any(|group| group.iter().all(&mut any_holds));
        met != self.unless
    }
}

/// What an ACL says, by memory if it was asked before.
fn says<C: Context>(id: AclId, acls: &[Acl], context: &C, scratch: &mut Scratch) -> bool {
    if let Some(said) = scratch.cache.recall(id) {
        return said;
    }
    let Some(acl) = acls.get(id.0 as usize) else {
        return false;
    };
    let said = acl.matches(id, context, scratch);
    if !acl.expression.is_volatile() {
        scratch.cache.remember(id, said, acls.len());
    }
    said
}

/// Compiles `{ criterion ... }` at `at`; gives its id and the index after the closing brace.
#[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
fn braces(
    words: &[&[u8]],
    at: usize,
    compiler: &mut Compiler<'_>,
) -> Result<(Vec<AclId>, usize), Problem> {
    let inside = words.get(at + 1..).unwrap_or_default();
    let close = inside
        .iter()
        .take_while(|word| !word.is_empty())
        .position(|word| *word == b"}");
    let Some(close) = close else {
        return Err(Problem::new(at, "missing closing '}' in condition."));
    };
    let test = inside.get(..close).unwrap_or_default();
    let warned = compiler.warnings.len();
    let acl = Acl::test(b"", test, compiler).map_err(|problem| problem.shifted(at + 1))?;
    compiler.shift_warnings(warned, at + 1);
    Ok((vec![declare(acl, compiler)], at + close + 2))
}

/// Finds the ACLs of a name: those of the proxy, else the predefined one.
fn named(name: &[u8], at: usize, compiler: &mut Compiler<'_>) -> Result<Vec<AclId>, Problem> {
    let own = compiler.around.acls(name);
    if !own.is_empty() {
        return Ok(own.to_vec());
    }
    let section = format!("{} {}", compiler.kind, compiler.name);
    let known = compiler
        .acls
        .iter()
        .position(|acl| acl.predefined_for.as_deref() == Some(&*section) && *acl.name == *name);
    if let Some(index) = known {
        return Ok(vec![AclId(index as u32)]);
    }
    let shown = String::from_utf8_lossy(name);
    let Some((_, words)) = PREDEFINED
        .iter()
        .find(|(known, _)| known.as_bytes() == name)
    else {
        if PREDEFINED_MISSING.contains(&&*shown) {
            let text = format!("predefined ACL '{shown}' is not implemented by oneloop.");
            return Err(Problem::new(at, text));
        }
        let names = compiler.around.acl_names();
        let names = names.iter().map(String::as_str);
        let predefined = PREDEFINED.iter().map(|(name, _)| *name);
        return Err(Problem {
            suggestion: nearest(name, names.chain(predefined)).map(str::to_owned),
            ..Problem::new(at, format!("no such ACL : '{shown}'."))
        });
    };
    let mut acl = Acl::test(name, words, compiler)?;
    acl.predefined_for = Some(section.into());
    Ok(vec![declare(acl, compiler)])
}

fn declare(acl: Acl, compiler: &mut Compiler<'_>) -> AclId {
    let id = AclId(compiler.acls.len() as u32);
    compiler.acls.push(acl);
    id
}

/// Warns of an ACL that reads what is not there.
fn check_scope(id: AclId, scope: Scope, at: usize, compiler: &mut Compiler<'_>) {
    let Some(acl) = compiler.acls.get(id.0 as usize) else {
        return;
    };
    if acl.expression.needs().lacking(scope).is_none() {
        return;
    }
    // A `listen` has both sides: what rules of its answers say is the backend's.
    let is_frontend = match scope {
        Scope::Server => false,
        Scope::Response => compiler.kind == "frontend",
        _ => compiler.is_frontend,
    };
    let side = if is_frontend { "frontend" } else { "backend" };
    let place = match scope {
        Scope::Connection => "tcp-request connection rule",
        Scope::Content => "tcp-request content rule",
        Scope::Request => "http-request header rule",
        Scope::Switch => "use-backend rule",
        Scope::Server => "use-server, balance or stick-match rule",
        Scope::Response => "http-response header rule",
        Scope::Log | Scope::Check => "logs",
    };
    let within = match scope {
        Scope::Connection => " in 'tcp-request connection'",
        Scope::Content => " in 'tcp-request content'",
        _ => "",
    };
    let name = String::from_utf8_lossy(&acl.name);
    let keyword = String::from_utf8_lossy(&acl.keyword);
    let text = if name.is_empty() {
        format!(
            "anonymous acl will never match{within} because it uses keyword '{keyword}' which is incompatible with '{side} {place}'"
        )
    } else {
        format!(
            "acl '{name}' will never match{within} because it only involves keywords that are incompatible with '{side} {place}'"
        )
    };
    compiler.warnings.push(Problem {
        lead: Lead::Spaced,
        ..Problem::new(at, text)
    });
}

#[cfg(test)]
mod tests;
