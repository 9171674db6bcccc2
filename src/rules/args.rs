//! Arguments of fetches and converters: `name(a,b,c)` as text, to typed values.
//!
//! The argument parser has quotes and escapes of its own, the second level after those of the line
//! (configuration.txt 2.2): quotes protect commas and parentheses, a backslash protects quotes,
//! blanks and itself and writes `\n`, `\r` and `\t`; before anything else it stands for itself.
//! It must never look past the closing parenthesis, which is what a caller goes on with.
//! Rejected: handing arguments on as text, which would put the same checks into every row.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::compile::{Compiler, SplitOnce as _, parse_ip};
use super::regex::Regex;

/// What an argument must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any text.
    Str,
    /// A regular expression, kept as its text.
    Regex,
    /// A signed integer.
    Int,
    /// An IPv4 address.
    Ip4,
    /// An IPv6 address.
    Ip6,
    /// An IPv4 mask: dotted, or a number of bits.
    Mask4,
    /// An IPv6 mask: an address, or a number of bits.
    Mask6,
    /// The name of a proxy that accepts.
    Frontend,
    /// The name of a proxy that has servers; the current one when left out.
    Backend,
    /// `backend/server`, or a server of the current proxy.
    Server,
}

impl Kind {
    /// HAProxy's name for the type.
    fn name(self) -> &'static str {
        match self {
            Self::Str => "string",
            Self::Regex => "regex",
            Self::Int => "integer",
            Self::Ip4 => "IPv4 address",
            Self::Ip6 => "IPv6 address",
            Self::Mask4 => "IPv4 mask",
            Self::Mask6 => "IPv6 mask",
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::Server => "server",
        }
    }
}

/// A typed argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Arg {
    /// Text.
    Str(Vec<u8>),
    /// An integer, or the id of a proxy or server.
    Int(i64),
    /// An address or mask.
    Ip(IpAddr),
}

/// What is wrong with an argument list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ArgError {
    /// The argument to blame, counted from 1.
    pub(super) index: usize,
    /// HAProxy's words.
    pub(super) text: String,
}

/// What HAProxy finds only when the section is complete: a proxy or server that an argument names
/// in vain, or a bad regex. The message names the keyword in its middle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// What stands before the keyword.
    before: String,
    /// What stands after the section.
    after: String,
}

impl Reference {
    /// The same about an argument of a converter.
    pub(super) fn of_converter(mut self, name: &str) -> Self {
        self.before += &format!(" of conversion keyword '{name}' for");
        self
    }

    /// The message, with the keyword and where it stands.
    pub(super) fn message(&self, keyword: &str, place: &str) -> String {
        let of = if self.before.ends_with(" for") {
            ""
        } else {
            " of"
        };
        format!("{}{of} {keyword} in {place}{}.", self.before, self.after)
    }
}

/// The typed arguments of one fetch or converter.
#[derive(Debug, Default)]
pub(super) struct Args {
    list: Vec<Arg>,
    /// The list is well formed, but this in it is not there; nothing may be made of it.
    pub(super) missing: Option<Reference>,
}

impl Args {
    /// Remembers the first argument that names what is not there; its place is taken.
    fn unresolved(&mut self, reference: Reference) {
        self.list.push(Arg::Int(0));
        self.missing.get_or_insert(reference);
    }

    /// How many were given.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// A text argument, empty when left out.
    pub(super) fn text(&self, index: usize) -> &[u8] {
        match self.list.get(index) {
            Some(Arg::Str(text)) => text,
            _ => b"",
        }
    }

    /// An integer argument, if given.
    pub(super) fn int(&self, index: usize) -> Option<i64> {
        match self.list.get(index) {
            Some(Arg::Int(n)) => Some(*n),
            _ => None,
        }
    }

    /// The id that a name argument stood for.
    pub(super) fn id(&self, index: usize) -> u32 {
        self.int(index).map_or(0, |id| id as u32)
    }

    /// An address argument, if given.
    pub(super) fn ip(&self, index: usize) -> Option<IpAddr> {
        match self.list.get(index) {
            Some(Arg::Ip(ip)) => Some(*ip),
            _ => None,
        }
    }
}

/// Parses the argument list at the front of `text` (which may have none) and gives what is left.
#[expect(clippy::arithmetic_side_effects, reason = "the number of an argument")]
pub(super) fn parse<'t>(
    text: &'t [u8],
    kinds: &[Kind],
    required: usize,
    compiler: &Compiler<'_>,
) -> Result<(Args, &'t [u8]), ArgError> {
    let (raw, rest) = split(text, kinds.len())?;
    let mut args = Args::default();
    for (index, ((raw, behind), kind)) in raw.iter().zip(kinds).enumerate() {
        if *kind == Kind::Int && raw.is_empty() {
            if index < required {
                return Err(no_integer(index + 1));
            }
            // HAProxy reads an optional number that is empty as 0, and nothing behind it.
            if !behind.starts_with(b")") {
                return Err(expected(index + 1, behind));
            }
            args.list.push(Arg::Int(0));
            continue;
        }
        match typed(raw, *kind, compiler) {
            Ok(arg) => args.list.push(arg),
            Err(Some((before, after))) => {
                let before = format!("{before} in arg {}", index + 1);
                args.unresolved(Reference { before, after });
            }
            Err(None) => {
                return Err(ArgError {
                    index: index + 1,
                    text: format!(
                        "failed to parse '{}' as type '{}' at position {}",
                        String::from_utf8_lossy(raw),
                        kind.name(),
                        index + 1
                    ),
                });
            }
        }
    }
    if args.len() == 0 && required > 0 {
        // Text that is not given is empty; a proxy that is not named is the current one.
        match kinds.first() {
            Some(Kind::Str | Kind::Regex) => args.list.push(Arg::Str(Vec::new())),
            Some(Kind::Int) => return Err(no_integer(1)),
            Some(kind @ (Kind::Backend | Kind::Frontend)) => {
                let name = compiler.name;
                match typed(name.as_bytes(), *kind, compiler) {
                    Ok(arg) => args.list.push(arg),
                    Err(_) => args.unresolved(Reference {
                        before: format!("proxy '{name}', referenced in arg 1"),
                        after: if *kind == Kind::Frontend {
                            ", has not frontend capability".to_owned()
                        } else {
                            ", has not backend capability".to_owned()
                        },
                    }),
                }
            }
            _ => {}
        }
    }
    if args.len() < required {
        let kind = kinds.get(args.len()).map_or("string", |kind| kind.name());
        return Err(ArgError {
            index: args.len() + 1,
            text: format!(
                "missing arguments (got {}/{required}), type '{kind}' expected",
                args.len()
            ),
        });
    }
    Ok((args, rest))
}

/// Arguments without their quotes, each with what stands behind it, and what follows all of them.
type Split<'t> = (Vec<(Vec<u8>, &'t [u8])>, &'t [u8]);

/// Cuts `(a,b)` at the front of `text` into arguments.
fn split(text: &[u8], most: usize) -> Result<Split<'_>, ArgError> {
    let Some((b'(', mut rest)) = text.split_first() else {
        return Ok((Vec::new(), text));
    };
    if let Some((b')', after)) = rest.split_first() {
        return Ok((Vec::new(), after));
    }
    let mut args = Vec::new();
    loop {
        if args.len() == most {
            return Err(expected(args.len(), rest));
        }
        let (arg, end) = word(rest);
        rest = rest.get(end..).unwrap_or_default();
        args.push((arg, rest));
        match rest.split_first() {
            Some((b')', after)) => return Ok((args, after)),
            Some((b',', after)) if args.len() < most => rest = after,
            _ => return Err(expected(args.len(), rest)),
        }
    }
}

/// A number that must be there is not.
fn no_integer(index: usize) -> ArgError {
    ArgError {
        index,
        text: format!("expected type 'integer' at position {index}, but got nothing"),
    }
}

/// The list does not end where it must.
fn expected(index: usize, rest: &[u8]) -> ArgError {
    let text = if rest.is_empty() {
        "expected ')'".to_owned()
    } else {
        format!("expected ')' before '{}'", String::from_utf8_lossy(rest))
    };
    ArgError {
        index: index.max(1),
        text,
    }
}

/// One argument without its quotes, and where it ends; an open quote ends with the text.
#[expect(clippy::arithmetic_side_effects, reason = "counts the bytes of a text")]
fn word(text: &[u8]) -> (Vec<u8>, usize) {
    let mut out = Vec::new();
    let mut quote = None;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let here = at;
        at += 1;
        match (quote, byte) {
            (None, b',' | b')') => return (out, here),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            (Some(b'\''), _) => out.push(byte),
            (_, b'\\') => {
                let escaped = match text.get(at) {
                    Some(b'n') => Some(b'\n'),
                    Some(b'r') => Some(b'\r'),
                    Some(b't') => Some(b'\t'),
                    Some(&next @ (b'\\' | b'"' | b'\'' | b' ')) => Some(next),
                    _ => None,
                };
                at += usize::from(escaped.is_some());
                out.push(escaped.unwrap_or(b'\\'));
            }
            _ => out.push(byte),
        }
    }
    (out, at)
}

/// Gives an argument its type. `Err(None)` means that its form is wrong, else it names something
/// that is not there.
fn typed(raw: &[u8], kind: Kind, compiler: &Compiler<'_>) -> Result<Arg, Option<(String, String)>> {
    let shown = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let id = |id: u32| Arg::Int(i64::from(id));
    let around = compiler.around;
    let text = std::str::from_utf8(raw).ok();
    match kind {
        Kind::Str => Some(Arg::Str(raw.to_vec())).ok_or(None),
        Kind::Regex if raw.is_empty() => Err(Some(("missing regex".to_owned(), String::new()))),
        Kind::Regex => match Regex::compile(raw, false) {
            Ok(_) => Ok(Arg::Str(raw.to_vec())),
            Err(error) => {
                let text = format!("error in regex '{}'", shown(raw));
                Err(Some((text, format!(" : {error}"))))
            }
        },
        Kind::Int => text
            .and_then(|text| text.parse().ok())
            .map(Arg::Int)
            .ok_or(None),
        Kind::Ip4 => match parse_ip(raw) {
            Some(ip @ IpAddr::V4(_)) => Ok(Arg::Ip(ip)),
            _ => Err(None),
        },
        Kind::Ip6 => text
            .and_then(|text| text.parse::<Ipv6Addr>().ok())
            .map(|ip| Arg::Ip(ip.into()))
            .ok_or(None),
        Kind::Mask4 => match text.and_then(|text| text.parse::<u32>().ok()) {
            Some(bits @ 0..=32) => Ok(Arg::Ip(Ipv4Addr::from_bits(mask4(bits)).into())),
            Some(_) => Err(None),
            None => match parse_ip(raw) {
                Some(ip @ IpAddr::V4(_)) => Ok(Arg::Ip(ip)),
                _ => Err(None),
            },
        },
        Kind::Mask6 => match text.and_then(|text| text.parse::<u32>().ok()) {
            Some(bits @ 0..=128) => Ok(Arg::Ip(Ipv6Addr::from_bits(mask6(bits)).into())),
            Some(_) => Err(None),
            None => text
                .and_then(|text| text.parse::<Ipv6Addr>().ok())
                .map(|ip| Arg::Ip(ip.into()))
                .ok_or(None),
        },
        Kind::Frontend => match around.frontend(raw) {
            Some(found) => Ok(id(found)),
            None => Err(Some((
                format!("unable to find frontend '{}' referenced", shown(raw)),
                String::new(),
            ))),
        },
        Kind::Backend => match around.backend(raw) {
            Some(found) => Ok(id(found)),
            None => Err(Some((
                format!("unable to find backend '{}' referenced", shown(raw)),
                String::new(),
            ))),
        },
        Kind::Server => {
            let (backend, name) = match raw.split_once_byte(b'/') {
                Some((backend, name)) => (Some(backend), name),
                None => (None, raw),
            };
            if let Some(backend) = backend.filter(|backend| around.backend(backend).is_none()) {
                let text = format!("unable to find proxy '{}' referenced", shown(backend));
                return Err(Some((text, String::new())));
            }
            around.server(backend, name).map(id).ok_or_else(|| {
                let backend = backend.map_or_else(|| compiler.name.to_owned(), shown);
                let name = shown(name);
                let text =
                    format!("unable to find server '{name}' in proxy '{backend}', referenced");
                Some((text, String::new()))
            })
        }
    }
}

/// The mask of that many leading bits, at most 32.
pub(super) fn mask4(bits: u32) -> u32 {
    u32::MAX
        .checked_shl(32_u32.saturating_sub(bits))
        .unwrap_or(0)
}

/// The mask of that many leading bits, at most 128.
pub(super) fn mask6(bits: u32) -> u128 {
    u128::MAX
        .checked_shl(128_u32.saturating_sub(bits))
        .unwrap_or(0)
}
