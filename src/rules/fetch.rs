//! Expressions: a sample fetch and its converters, compiled once and evaluated per request.
//!
//! An expression yields samples that borrow from the session or from [`Buffers`]. In an ACL a fetch
//! of something that occurs several times yields each occurrence ([`Expression::any`]); elsewhere
//! it yields one, which for headers and cookies is the last ([`Expression::value`]).
//! What each fetch reads is in `samples.rs`, what converters do in `convert.rs`.
//!
//! Evaluation must not allocate once the buffers have grown, and must not fail: what cannot be had
//! is no sample, and no sample matches nothing and prints as nothing.
//! Rejected: a boxed closure a fetch (hides what it reads), owned samples (a copy a header).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::args::Reference;
use super::compile::{Compiler, Lead, Problem, nearest};
use super::condition::AclCache;
use super::convert::{self, Converter, Output};
use super::said::Said;
use super::samples::{self, Fetch, Needs};
use super::{Context, Inspected};
use super::{args, missing};
use crate::base::addr::write_signed;
use crate::base::clock::DateCache;
use crate::http::head::Method;

/// The type of a sample, for compile-time checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A boolean.
    Bool,
    /// A signed integer.
    Int,
    /// An IPv4 or IPv6 address.
    Ip,
    /// Text.
    Str,
    /// Bytes that are not text.
    Bin,
    /// A request method.
    Method,
}

impl Type {
    /// HAProxy's short name, as in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "sint",
            Self::Ip => "addr",
            Self::Str => "str",
            Self::Bin => "bin",
            Self::Method => "meth",
        }
    }

    /// Whether samples of this type can be read as the other (configuration.txt 7.1, the matrix).
    #[must_use]
    pub fn casts_to(self, to: Self) -> bool {
        match (self, to) {
            _ if self == to => true,
            (_, Self::Str) | (Self::Str, _) => to != Self::Method,
            (Self::Bool, Self::Int) | (Self::Int, Self::Bool) => true,
            (Self::Int | Self::Ip, Self::Bin) | (Self::Int, Self::Ip) | (Self::Ip, Self::Int) => {
                true
            }
            (Self::Ip, Self::Bool) => true,
            (Self::Method, Self::Bin) => true,
            _ => false,
        }
    }
}

/// What a fetch or converter yields; borrows from the session or from [`Buffers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample<'a> {
    /// A boolean.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// Text.
    Str(&'a [u8]),
    /// Bytes that are not text.
    Bin(&'a [u8]),
    /// A request method with its text.
    Method(Method, &'a [u8]),
}

impl<'a> Sample<'a> {
    /// The bytes of a sample that is made of bytes.
    #[must_use]
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Str(text) | Self::Bin(text) | Self::Method(_, text) => Some(text),
            Self::Bool(_) | Self::Int(_) | Self::Ip(_) => None,
        }
    }

    /// HAProxy's short name of its type, in which an address tells its family.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Bool(_) => Type::Bool.name(),
            Self::Int(_) => Type::Int.name(),
            Self::Ip(IpAddr::V4(_)) => "ipv4",
            Self::Ip(IpAddr::V6(_)) => "ipv6",
            Self::Str(_) => Type::Str.name(),
            Self::Bin(_) => Type::Bin.name(),
            Self::Method(..) => Type::Method.name(),
        }
    }

    /// Appends it as text: booleans as `1` and `0`, bytes as they are.
    pub fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Bool(yes) => out.push(if yes { b'1' } else { b'0' }),
            Self::Int(n) => write_signed(out, n),
            Self::Ip(ip) => crate::base::addr::Address::new(ip, 0).write_ip(out),
            Self::Str(text) | Self::Bin(text) | Self::Method(_, text) => {
                out.extend_from_slice(text);
            }
        }
    }

    /// As an integer: text by its leading digits, so `12abc` is 12 and `abc` is 0; nothing for
    /// empty text.
    #[must_use]
    pub fn int(self) -> Option<i64> {
        match self {
            Self::Bool(yes) => Some(i64::from(yes)),
            Self::Int(n) => Some(n),
            Self::Ip(IpAddr::V4(ip)) => Some(i64::from(ip.to_bits())),
            Self::Ip(IpAddr::V6(_)) => None,
            Self::Str(text) | Self::Bin(text) | Self::Method(_, text) => leading_int(text),
        }
    }

    /// As an address.
    #[must_use]
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(ip),
            Self::Int(n) => Some(Ipv4Addr::from_bits(n as u32).into()),
            Self::Str(text) => super::compile::parse_ip(text),
            Self::Bin(bytes) => match bytes.len() {
                4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
                16 => <[u8; 16]>::try_from(bytes)
                    .ok()
                    .map(|octets| Ipv6Addr::from(octets).into()),
                _ => None,
            },
            Self::Bool(_) | Self::Method(..) => None,
        }
    }
}

/// A sign and digits at the front, the rest is not looked at; saturates.
pub(super) fn leading_int(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    let magnitude =
        digits
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .fold(0_i64, |n, byte| {
                // The low half of a digit is its value.
                n.saturating_mul(10).saturating_add(i64::from(byte & 15))
            });
    Some(if negative {
        magnitude.saturating_neg()
    } else {
        magnitude
    })
}

/// Where an expression is evaluated, which decides what fetches may be used (the columns of
/// `haproxy -dKsmp`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `tcp-request connection` rules.
    Connection,
    /// `tcp-request content` rules.
    Content,
    /// `http-request` rules.
    Request,
    /// `use_backend`.
    Switch,
    /// `use-server`.
    Server,
    /// `http-response` rules.
    Response,
    /// Log formats.
    Log,
    /// Rules of health checks.
    Check,
}

/// The memory that evaluation works in. Grows during the first requests, then never again.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Where converters write.
    pub buffers: Buffers,
    /// Results of ACLs for the current message.
    pub cache: AclCache,
    /// Where actions write values before they become edits.
    pub(super) text: Vec<u8>,
    /// Where a replacement is put together while the old value is still in use.
    pub(super) made: Vec<u8>,
    /// What rules have said of the request.
    pub said: Said,
}

impl Scratch {
    /// Forgets what was true of the previous message. To be called whenever a new request or
    /// answer head has been parsed, before any rule, condition or log line looks at it.
    pub fn start_message(&mut self) {
        self.cache.clear();
        self.said = Said::default();
    }
}

/// Where fetches and converters write, by turns.
#[derive(Debug, Default)]
pub struct Buffers {
    /// What a fetch had to put together.
    pub(super) source: Vec<u8>,
    /// The text that the next converter reads.
    pub(super) front: Vec<u8>,
    /// What it writes to.
    pub(super) back: Vec<u8>,
    /// Text in lower case, for matching without case.
    pub(super) folded: Vec<u8>,
    /// The dates of the present second.
    pub dates: DateCache,
}

/// A fetch with its converters.
#[derive(Debug)]
pub struct Expression {
    fetch: Fetch,
    converters: Vec<Converter>,
    needs: Needs,
    output: Type,
}

/// What is wrong with an expression; rules and ACLs word it differently.
#[derive(Debug)]
pub(super) enum ExpressionError {
    /// There is no name.
    Missing,
    /// No such fetch; whether HAProxy has one of that name.
    Unknown(String, bool),
    /// The fetch's argument list.
    Arguments(String, String),
    /// The fetch's arguments, each well formed, make no sense.
    Values(String, String),
    /// Arguments of the fetch, whose name this is, or of a converter name what is not there.
    Reference(String, Reference),
    /// Something about a converter.
    Converter(String),
}

impl ExpressionError {
    /// As rules say it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Missing => "missing fetch method".to_owned(),
            Self::Unknown(name, false) => format!("unknown fetch method '{name}'"),
            Self::Unknown(name, true) => {
                format!("fetch method '{name}' is not implemented by oneloop")
            }
            Self::Arguments(name, text) => format!("fetch method '{name}' : {text}"),
            Self::Values(name, text) => format!("invalid args in fetch method '{name}' : {text}"),
            Self::Reference(name, reference) => {
                reference.message(&format!("sample fetch keyword '{name}'"), "this section")
            }
            Self::Converter(text) => text.clone(),
        }
    }

    /// The problem of a rule or log line; `text` is the message unless a name is missing, which
    /// has a message of its own.
    pub(super) fn problem(&self, text: String, scope: Scope, compiler: &Compiler<'_>) -> Problem {
        if let Self::Reference(name, reference) = self {
            let kind = match scope {
                Scope::Connection => "tcp-request connection expression",
                Scope::Content => "tcp-request content expression",
                Scope::Request => "http-request expression",
                Scope::Response => "http-response response",
                Scope::Switch => "use_backend expression",
                Scope::Server => "use-server or balance expression",
                Scope::Log => "log-format string",
                Scope::Check => "tcp-check rule",
            };
            let place = format!("{kind} in proxy '{}'", compiler.name);
            let keyword = format!("sample fetch keyword '{name}'");
            return Problem {
                lead: Lead::Tight,
                complete: true,
                ..Problem::new(0, reference.message(&keyword, &place))
            };
        }
        Problem {
            suggestion: self.suggestion(),
            ..Problem::new(0, text)
        }
    }

    /// A fetch that was probably meant.
    pub(super) fn suggestion(&self) -> Option<String> {
        let Self::Unknown(name, false) = self else {
            return None;
        };
        let names = samples::names().chain(super::pattern::keywords());
        let names = names.filter(|known| known != name);
        nearest(name.as_bytes(), names).map(str::to_owned)
    }
}

impl Expression {
    /// Compiles `name(args),converter(args),...`; all of `text` must be used.
    ///
    /// # Errors
    /// A [`Problem`] about word 0.
    pub fn compile(text: &[u8], scope: Scope, compiler: &Compiler<'_>) -> Result<Self, Problem> {
        let (expression, rest) = Self::parse(text, scope, compiler)
            .map_err(|error| error.problem(format!("{}.", error.text()), scope, compiler))?;
        if rest.is_empty() {
            Ok(expression)
        } else {
            let at = text.len().saturating_sub(rest.len());
            let rest = String::from_utf8_lossy(rest);
            Err(Problem {
                at: Some(at),
                ..Problem::new(0, format!("unexpected '{rest}' after the expression."))
            })
        }
    }

    /// Compiles an expression at the front of `text` and gives what follows it.
    pub(super) fn parse<'t>(
        text: &'t [u8],
        scope: Scope,
        compiler: &Compiler<'_>,
    ) -> Result<(Self, &'t [u8]), ExpressionError> {
        let (name, rest) = name(text);
        let (fetch, output, needs, rest) = samples::compile(name, rest, scope, compiler)?;
        Self {
            fetch,
            converters: Vec::new(),
            needs,
            output,
        }
        .converters(name, rest, compiler)
    }

    /// Compiles `,converter(args),...` at the front of `rest`, after the fetch of that name.
    pub(super) fn converters<'t>(
        mut self,
        fetch: &[u8],
        mut rest: &'t [u8],
        compiler: &Compiler<'_>,
    ) -> Result<(Self, &'t [u8]), ExpressionError> {
        // What HAProxy says last: everything else that is wrong goes before it.
        let mut deferred = None;
        while let Some((b',', after)) = rest.split_first() {
            // Several commas count as one, and one at the very end as none.
            let skipped = after.iter().take_while(|byte| **byte == b',').count();
            let after = after.get(skipped..).unwrap_or_default();
            if after.is_empty() {
                rest = after;
                break;
            }
            let (name, after) = name(after);
            let shown = String::from_utf8_lossy(name).into_owned();
            let Some(row) = convert::find(name) else {
                let text = if missing::CONVERTERS.contains(&shown.as_str()) {
                    format!("converter '{shown}' is not implemented by oneloop")
                } else {
                    format!("unknown converter '{shown}'")
                };
                return Err(ExpressionError::Converter(text));
            };
            let (mut values, after) = args::parse(after, row.kinds, row.required, compiler)
                .map_err(|error| {
                    ExpressionError::Converter(format!(
                        "invalid arg {} in converter '{shown}' : {}",
                        error.index, error.text
                    ))
                })?;
            if !row.input.is_none_or(|input| self.output.casts_to(input)) {
                let text = format!("converter '{shown}' cannot be applied");
                return Err(ExpressionError::Converter(text));
            }
            if let Some(reference) = values.missing.take() {
                deferred.get_or_insert_with(|| reference.of_converter(&shown));
            } else {
                let step = row.step(&values, compiler).map_err(|text| {
                    let text = format!("invalid args in converter '{shown}' : {text}");
                    ExpressionError::Converter(text)
                })?;
                self.converters.push(Converter {
                    name: row.name,
                    input: row.input,
                    step,
                });
            }
            self.output = row.output;
            rest = after;
        }
        match deferred {
            None => Ok((self, rest)),
            Some(reference) => {
                let fetch = String::from_utf8_lossy(fetch).into_owned();
                Err(ExpressionError::Reference(fetch, reference))
            }
        }
    }

    /// The type of what it yields.
    #[must_use]
    pub fn output(&self) -> Type {
        self.output
    }

    /// What it reads and a place does not have, in HAProxy's words.
    #[must_use]
    pub fn lacks(&self, scope: Scope) -> Option<&'static str> {
        self.needs.lacking(scope)
    }

    /// What it reads, for checks of place.
    pub(super) fn needs(&self) -> Needs {
        self.needs
    }

    /// The name of the last converter, if there are any.
    pub(super) fn last_converter(&self) -> Option<&'static str> {
        self.converters.last().map(|converter| converter.name)
    }

    /// Whether its value may change within one request though the message does not.
    pub(super) fn is_volatile(&self) -> bool {
        self.fetch.is_volatile()
    }

    /// Whether it reads bytes that are not understood in HTTP mode (HAProxy's "layer 6").
    pub(super) fn reads_bytes(&self) -> bool {
        matches!(self.needs, Needs::Bytes | Needs::EitherBytes)
    }

    /// Whether it reads an HTTP request.
    pub(super) fn reads_request(&self) -> bool {
        self.fetch.reads_request(self.needs)
    }

    /// Whether it may be something else once more bytes have come.
    pub(super) fn may_change(&self, seen: &Inspected<'_>) -> bool {
        !seen.is_final && self.fetch.may_change(self.needs, seen)
    }

    /// Whether it reads the client connection's destination address.
    #[must_use]
    pub fn needs_destination(&self) -> bool {
        self.fetch.needs_destination()
    }

    /// Calls `test` with one sample after another until it says true; tells whether it did. The
    /// last argument of `test` is a buffer to use.
    pub fn any<C: Context>(
        &self,
        context: &C,
        buffers: &mut Buffers,
        mut test: impl FnMut(Sample<'_>, &mut Vec<u8>) -> bool,
    ) -> bool {
        let Buffers {
            source,
            front,
            back,
            folded,
            dates: _,
        } = buffers;
        if self.converters.is_empty() {
            return self
                .fetch
                .any(context, source, |sample| test(sample, folded));
        }
        let mut found = false;
        self.fetch.any(context, source, |sample| {
            match convert::run(&self.converters, sample, front, back, context) {
                Some(result) => {
                    found = test(result.sample(front), folded);
                    found
                }
                // HAProxy looks no further than at one of which converters make nothing.
                None => true,
            }
        });
        found
    }

    /// The one sample that text uses: of a repeated header the last occurrence.
    pub fn value<'s, C: Context>(
        &'s self,
        context: &'s C,
        buffers: &'s mut Buffers,
    ) -> Option<Sample<'s>> {
        let Buffers {
            source,
            front,
            back,
            ..
        } = buffers;
        let sample = self.fetch.value(context, source)?;
        let result = convert::run(&self.converters, sample, front, back, context)?;
        Some(result.sample(front))
    }
}

/// Cuts a name off the front: everything up to a parenthesis, comma or anything else that no
/// name has.
fn name(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || b"-_.+".contains(byte)))
        .unwrap_or(text.len());
    text.split_at(end)
}

/// The state between two converters: a sample of the fetch, or text in the front buffer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Current<'a> {
    /// Not in a buffer of ours.
    Direct(Sample<'a>),
    /// Bytes `start..end` of the front buffer; text or not.
    Front {
        start: usize,
        end: usize,
        binary: bool,
    },
}

impl<'a> Current<'a> {
    /// The sample, for as long as the front buffer stays.
    pub(super) fn sample(self, front: &'a [u8]) -> Sample<'a> {
        match self {
            Self::Direct(sample) => sample,
            Self::Front { start, end, binary } => {
                let bytes = front.get(start..end).unwrap_or_default();
                if binary {
                    Sample::Bin(bytes)
                } else {
                    Sample::Str(bytes)
                }
            }
        }
    }

    /// What a converter's output makes of it. Written text is in the front buffer by now.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "the slice is a part of what the front buffer holds"
    )]
    pub(super) fn after(self, output: Output<'a>, written: usize) -> Self {
        match output {
            Output::Sample(sample) => Self::Direct(sample),
            Output::Bool(yes) => Self::Direct(Sample::Bool(yes)),
            Output::Int(n) => Self::Direct(Sample::Int(n)),
            Output::Ip(ip) => Self::Direct(Sample::Ip(ip)),
            Output::Written { binary } => Self::Front {
                start: 0,
                end: written,
                binary,
            },
            Output::Slice(from, to) => match self {
                Self::Direct(Sample::Str(text) | Sample::Method(_, text)) => {
                    Self::Direct(Sample::Str(text.get(from..to).unwrap_or_default()))
                }
                Self::Direct(Sample::Bin(text)) => {
                    Self::Direct(Sample::Bin(text.get(from..to).unwrap_or_default()))
                }
                Self::Direct(sample) => Self::Direct(sample),
                Self::Front { start, binary, .. } => Self::Front {
                    start: start + from,
                    end: start + to,
                    binary,
                },
            },
        }
    }
}

#[cfg(test)]
mod tests;
