//! What a server is chosen by (`balance source`, `uri`, `url_param`, `hdr`, `hash`), and the
//! number that becomes of it.
//!
//! Which bytes count was found by giving HAProxy requests and seeing where they went; the tables
//! of the tests have them. A request that has nothing to be chosen by gives no number: it is
//! served in turn.

use std::net::IpAddr;

use crate::base::hash::{Function, avalanche};
use crate::rules::Context;
use crate::rules::fetch::{Buffers, Expression, Sample};

/// What a server is chosen by.
#[derive(Debug)]
pub enum Key {
    /// `source`: the client's address.
    Source,
    /// `uri`.
    Uri(Uri),
    /// `url_param NAME [check_post]`.
    Parameter {
        /// The parameter's name.
        name: Vec<u8>,
        /// The body of a POST is looked at, too.
        check_post: bool,
    },
    /// `hdr(NAME) [use_domain_only]`.
    Header {
        /// The field's name.
        name: Vec<u8>,
        /// Only the last but one label of a host name counts.
        domain_only: bool,
    },
    /// `hash EXPRESSION`.
    Sample(Expression),
}

/// What of a request's target counts (`balance uri`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uri {
    /// `whole`: what follows a question mark, too.
    pub whole: bool,
    /// `path-only`: not the scheme and authority before the path.
    pub path_only: bool,
    /// `len`: at most so many bytes; 0 for all.
    pub length: u32,
    /// `depth`: at most so many directories; 0 for all.
    pub depth: u32,
}

/// How a number is made of a key.
#[derive(Debug)]
pub struct Hashing {
    /// What is hashed.
    pub key: Key,
    /// By which function.
    pub function: Function,
    /// Its result is mixed once more.
    pub avalanche: bool,
}

impl Key {
    /// The name of the algorithm, as `show stat` has it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Uri(_) => "uri",
            Self::Parameter { .. } => "url_param",
            Self::Header { .. } => "hdr",
            Self::Sample(_) => "hash",
        }
    }
}

impl Hashing {
    /// Whether it reads the client connection's destination address.
    #[must_use]
    pub fn needs_destination(&self) -> bool {
        matches!(&self.key, Key::Sample(expression) if expression.needs_destination())
    }

    /// Whether it may read a request's body.
    #[must_use]
    pub fn reads_body(&self) -> bool {
        let Key::Parameter { check_post, .. } = self.key else {
            return false;
        };
        check_post
    }

    /// The number of a session's key; `None` when it has none. `body` is what has come of a
    /// request's body.
    pub fn number<C: Context>(
        &self,
        context: &C,
        buffers: &mut Buffers,
        body: &[u8],
    ) -> Option<u32> {
        let request = context.request();
        let number = match &self.key {
            Key::Source => of_address(context.source().ip()?),
            Key::Uri(uri) => {
                let request = request?;
                let target = match uri.path_only {
                    true => request.pathq().unwrap_or_else(|| request.target()),
                    false => request.target(),
                };
                self.function.of(uri.part(target))
            }
            Key::Parameter { name, check_post } => {
                let request = request?;
                let target = request.target();
                let query = target.iter().position(|byte| *byte == b'?');
                let query = query.and_then(|at| target.get(at.saturating_add(1)..));
                let in_query = query.and_then(|query| parameter(query, name));
                let posted = *check_post && request.method_text() == b"POST";
                let value = match in_query {
                    Some(value) => value,
                    None if posted => parameter(body, name)?,
                    None => return None,
                };
                self.function.of(value)
            }
            Key::Header { name, domain_only } => {
                let request = request?;
                let value = request.header(name).next()?;
                let value = first_of_list(value);
                if value.is_empty() {
                    return None;
                }
                let value = match domain_only {
                    true => domain(value),
                    false => value,
                };
                self.function.of(value)
            }
            Key::Sample(expression) => {
                let sample = expression.value(context, buffers)?;
                self.of_sample(sample)
            }
        };
        Some(match self.avalanche {
            true => avalanche(number),
            false => number,
        })
    }

    fn of_sample(&self, sample: Sample<'_>) -> u32 {
        match sample {
            Sample::Bool(yes) => self.function.of(&i64::from(yes).to_be_bytes()),
            Sample::Int(number) => self.function.of(&number.to_be_bytes()),
            Sample::Ip(IpAddr::V4(ip)) => self.function.of(&ip.octets()),
            Sample::Ip(IpAddr::V6(ip)) => self.function.of(&ip.octets()),
            Sample::Str(text) | Sample::Bin(text) | Sample::Method(_, text) => {
                self.function.of(text)
            }
        }
    }
}

impl Uri {
    /// The part of a target that counts.
    #[must_use]
    pub fn part<'t>(&self, target: &'t [u8]) -> &'t [u8] {
        let mut slashes = 0_u32;
        let mut ends = |(at, byte): (usize, &u8)| {
            if self.length > 0 && at >= self.length as usize {
                return true;
            }
            match *byte {
                b'?' => !self.whole,
                b'/' if self.depth > 0 => {
                    slashes = slashes.saturating_add(1);
                    slashes > self.depth
                }
                _ => false,
            }
        };
        let end = target.iter().enumerate().position(&mut ends);
        target
            .get(..end.unwrap_or(target.len()))
            .unwrap_or_default()
    }
}

/// An address is its own number; of a long one the words are laid over each other.
fn of_address(ip: IpAddr) -> u32 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits(),
        IpAddr::V6(ip) => {
            let (bits, shifts) = (ip.to_bits(), [0, 32, 64, 96]);
            let words = shifts.iter().map(|shift| (bits >> *shift) as u32);
            words.fold(0, |sum, word| sum ^ word)
        }
    }
}

/// The value of the first parameter of that name, if it has an equals sign.
fn parameter<'t>(query: &'t [u8], name: &[u8]) -> Option<&'t [u8]> {
    query
        .split(|byte| *byte == b'&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
}

/// The first element of a field that is a list; commas in quotes part nothing.
fn first_of_list(value: &[u8]) -> &[u8] {
    let (mut quoted, mut escaped) = (false, false);
    let mut ends = |byte: &u8| {
        if std::mem::take(&mut escaped) {
            return false;
        }
        match byte {
            b'"' => quoted = !quoted,
            b'\\' => escaped = quoted,
            b',' => return !quoted,
            _ => {}
        }
        false
    };
    let end = value.iter().position(&mut ends).unwrap_or(value.len());
    value.get(..end).unwrap_or_default().trim_ascii()
}

/// The label before the last dot of a host name; all of a name without a dot. The byte before
/// that dot counts whatever it is.
fn domain(host: &[u8]) -> &[u8] {
    let Some(dot) = host.iter().rposition(|byte| *byte == b'.') else {
        return host;
    };
    let Some(last) = dot.checked_sub(1) else {
        return host;
    };
    let before = host.get(..last).unwrap_or_default();
    let start = before.iter().rposition(|byte| *byte == b'.');
    let start = start.map_or(0, |dot| dot.saturating_add(1));
    host.get(start..dot).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where HAProxy 2.6.12 sent such values says that this is what it hashed.
    #[test]
    fn domains_are_haproxys() {
        let rows: [(&[u8], &[u8]); 18] = [
            (b"www.example.com", b"example"),
            (b"haproxy.1wt.eu", b"1wt"),
            (b"example.com", b"example"),
            (b"localhost", b"localhost"),
            (b"a.b.c.d", b"c"),
            (b"10.0.0.1", b"0"),
            (b"www.example.com:8080", b"example"),
            (b"acd:8080", b"acd:8080"),
            (b"ww.acd:80.90", b"acd:80"),
            (b"com.", b"com"),
            (b".com", b".com"),
            (b"a.co.uk", b"co"),
            (b"wxz..bee", b"wxz."),
            (b"wxz...bee", b"."),
            (b"..", b"."),
            (b".", b"."),
            (b".acd.bfg", b"acd"),
            (b"acd.bfg.", b"bfg"),
        ];
        for (host, part) in rows {
            assert_eq!(domain(host), part, "{}", host.escape_ascii());
        }
    }

    #[test]
    fn targets_are_haproxys() {
        let all = Uri::default();
        let whole = Uri { whole: true, ..all };
        let length = |length| Uri { length, ..all };
        let depth = |depth| Uri { depth, ..all };
        let rows: [(Uri, &[u8], &[u8]); 15] = [
            (all, b"/abc/def/ghi?x=1", b"/abc/def/ghi"),
            (all, b"/a;b?c", b"/a;b"),
            (all, b"http://h/abc?d", b"http://h/abc"),
            (whole, b"/a?b=c?d", b"/a?b=c?d"),
            (length(4), b"/abc/def", b"/abc"),
            (length(4), b"/ab?d=e", b"/ab"),
            (length(4), b"/a", b"/a"),
            (depth(2), b"/abc/def/ghi?x=1", b"/abc/def"),
            (depth(2), b"/abc/?d", b"/abc/"),
            (depth(2), b"//b/c", b"//b"),
            (depth(2), b"/a//b", b"/a/"),
            (depth(2), b"/abc/def/", b"/abc/def"),
            (depth(1), b"/abc", b"/abc"),
            (
                Uri {
                    depth: 2,
                    ..length(6)
                },
                b"/abc/def/ghi",
                b"/abc/d",
            ),
            (
                Uri {
                    depth: 2,
                    ..length(6)
                },
                b"/a/b/c/d",
                b"/a/b",
            ),
        ];
        for (uri, target, part) in rows {
            assert_eq!(uri.part(target), part, "{uri:?} {}", target.escape_ascii());
        }
    }

    #[test]
    fn parameters_are_haproxys() {
        let rows: [(&[u8], Option<&[u8]>); 11] = [
            (b"id=hello", Some(b"hello")),
            (b"x=1&id=foo&y=2", Some(b"foo")),
            (b"id=", Some(b"")),
            (b"id", None),
            (b"xid=1", None),
            (b"x;id=9", None),
            (b"id=a%20b&", Some(b"a%20b")),
            (b"ID=5", None),
            (b"id=1&id=2", Some(b"1")),
            (b"id=foo bar", Some(b"foo bar")),
            (b"q=1\nid=nl", None),
        ];
        for (query, value) in rows {
            assert_eq!(parameter(query, b"id"), value, "{}", query.escape_ascii());
        }
    }

    #[test]
    fn lists_give_their_first() {
        let rows: [(&[u8], &[u8]); 5] = [
            (b"first, second", b"first"),
            (b"\"a, b\"", b"\"a, b\""),
            (b" pad ", b"pad"),
            (b", second", b""),
            (b"", b""),
        ];
        for (value, first) in rows {
            assert_eq!(first_of_list(value), first, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn addresses_are_their_own_numbers() {
        assert_eq!(of_address("127.0.0.1".parse().unwrap()), 0x7f00_0001);
        assert_eq!(of_address("::1".parse().unwrap()), 1);
        let words = "1:2:3:4:5:6:7:8".parse().unwrap();
        assert_eq!(
            of_address(words),
            0x0001_0002 ^ 0x0003_0004 ^ 0x0005_0006 ^ 0x0007_0008
        );
    }
}
