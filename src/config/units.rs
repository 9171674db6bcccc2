//! Reads times, sizes, integers and addresses as HAProxy 2.6 does, with its texts for what is
//! wrong.
//!
//! It turns text into plain values and never resolves a name, opens a file or looks at the machine:
//! a host name comes back as a name. Texts that need to know who asked (the keyword) are made by
//! the error's own `message` with the keyword as its argument.

use std::net::{Ipv4Addr, Ipv6Addr};

pub use crate::base::quantity::{TIME_MAX, TimeError, TimeUnit, size, time, time_ms, time_tail};

/// C's `atol`, which most of HAProxy's integer keywords read with: blanks and a sign may stand
/// before the digits, anything after them is not looked at, and no digits make 0. What does not
/// fit is cut to the nearest value.
pub fn atol(text: &str) -> i64 {
    let text = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let (minus, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, _) = digits.split_at(count);
    if digits.is_empty() {
        return 0;
    }
    let limit = if minus { i64::MIN } else { i64::MAX };
    digits.parse::<i64>().map_or(
        limit,
        |value| if minus { value.saturating_neg() } else { value },
    )
}

/// The whole text as a decimal integer (a sign may stand before it), or `None`.
pub fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Where an address points, before any name is resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Host {
    /// Nothing or `*`: any address (of the family, when one was named).
    Any,
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
    /// A name to resolve.
    Name(String),
    /// A unix socket's path.
    Unix(String),
    /// A socket in Linux' abstract namespace.
    Abstract(String),
    /// An inherited listening descriptor (`fd@N`).
    Fd(i32),
    /// An inherited socket pair (`sockpair@N`).
    SockPair(i32),
}

/// Which family a prefix asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Family {
    /// None named.
    #[default]
    Any,
    /// `ipv4@`, `udp4@`...
    V4,
    /// `ipv6@`.
    V6,
}

/// The port part of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Port {
    /// None was written.
    #[default]
    None,
    /// `:80`.
    One(u16),
    /// `:80-82`, both included.
    Range(u16, u16),
    /// `:+80` or `:-80`, relative to the client's port (servers only).
    Offset(i32),
}

/// An address as written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spec {
    /// `udp@` and `udp4@` were asked for (log targets).
    pub datagram: bool,
    /// The family named.
    pub family: Family,
    /// The host.
    pub host: Host,
    /// The port.
    pub port: Port,
}

/// What an address may be in the place where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Allow {
    /// A port may be written.
    pub port: bool,
    /// A port must be written.
    pub port_needed: bool,
    /// `:80-82` may be written.
    pub range: bool,
    /// `:+80` may be written.
    pub offset: bool,
    /// `fd@` and `sockpair@` may be written.
    pub fd: bool,
    /// A name may be written.
    pub name: bool,
    /// Datagram sockets may be asked for.
    pub datagram: bool,
}

impl Allow {
    /// What `bind` and `stats socket` take.
    pub const BIND: Self = Self {
        port: true,
        port_needed: true,
        range: true,
        offset: false,
        fd: true,
        name: true,
        datagram: false,
    };
    /// What `server` takes.
    pub const SERVER: Self = Self {
        port_needed: false,
        range: false,
        offset: true,
        fd: false,
        ..Self::BIND
    };
    /// What `dispatch` takes.
    pub const DISPATCH: Self = Self {
        range: false,
        fd: false,
        ..Self::BIND
    };
    /// What `log` takes.
    pub const LOG: Self = Self {
        offset: false,
        fd: true,
        datagram: true,
        ..Self::SERVER
    };
    /// What `source`, `addr` and their like take.
    pub const PEER: Self = Self {
        offset: false,
        fd: false,
        ..Self::SERVER
    };
}

/// The longest path of a unix socket: a listener is made under a longer, temporary name.
pub(super) const PATH_MAX: usize = 97;

/// The longest name in the abstract namespace.
const ABSTRACT_MAX: usize = 107;

/// The prefixes of an address: name, family, and what else it says.
enum Kind {
    Inet(Family),
    Unix,
    Abstract,
    Fd,
    SockPair,
    Quic(u8),
}

const PREFIXES: &[(&str, Kind, bool)] = &[
    ("unix@", Kind::Unix, false),
    ("uxst@", Kind::Unix, false),
    ("uxdg@", Kind::Unix, true),
    ("abns@", Kind::Abstract, false),
    ("ipv4@", Kind::Inet(Family::V4), false),
    ("ipv6@", Kind::Inet(Family::V6), false),
    ("tcp@", Kind::Inet(Family::Any), false),
    ("tcp4@", Kind::Inet(Family::V4), false),
    ("tcp6@", Kind::Inet(Family::V6), false),
    ("udp@", Kind::Inet(Family::Any), true),
    ("udp4@", Kind::Inet(Family::V4), true),
    ("udp6@", Kind::Inet(Family::V6), true),
    ("fd@", Kind::Fd, false),
    ("sockpair@", Kind::SockPair, false),
    ("quic4@", Kind::Quic(2), false),
    ("quic6@", Kind::Quic(10), false),
];

/// Reads a list of addresses parted by commas, as `bind` takes them. The text of the error is
/// HAProxy's without the `'bind' : ` before it.
pub fn addresses(text: &str, allow: Allow) -> Result<Vec<Spec>, String> {
    let text = text
        .strip_suffix(',')
        .filter(|rest| !rest.is_empty())
        .unwrap_or(text);
    text.split(',').map(|one| address(one, allow)).collect()
}

/// Reads one address; the error is HAProxy's text. A host that is no literal address comes back as
/// `Host::Name`, whether or not it can be one: only resolving it shows.
pub fn address(text: &str, allow: Allow) -> Result<Spec, String> {
    if text.is_empty() {
        return Err("'' resolves to an empty address (environment variable missing?)".to_owned());
    }
    let mut stream = false;
    let mut rest = text;
    let mut datagram = false;
    if let Some(after) = rest.strip_prefix("stream+") {
        (stream, rest) = (true, after);
    } else if let Some(after) = rest.strip_prefix("dgram+") {
        (datagram, rest) = (true, after);
    }
    let mut kind = if rest.starts_with('/') {
        &Kind::Unix
    } else {
        &Kind::Inet(Family::Any)
    };
    for (prefix, named, is_datagram) in PREFIXES {
        if let Some(after) = rest.strip_prefix(prefix) {
            kind = named;
            datagram |= *is_datagram && !stream;
            rest = after;
            break;
        }
    }
    if datagram && !allow.datagram {
        return Err(format!("dgram-type address not acceptable in '{text}'"));
    }
    let plain = |host| Spec {
        datagram,
        family: Family::Any,
        host,
        port: Port::None,
    };
    match kind {
        Kind::Inet(family) => {
            let (host, port) = split_port(rest, text, allow)?;
            Ok(Spec {
                datagram,
                family: *family,
                host: read_host(host, *family),
                port,
            })
        }
        Kind::Unix => Ok(plain(Host::Unix(fitting(rest, text, PATH_MAX)?))),
        Kind::Abstract => Ok(plain(Host::Abstract(fitting(rest, text, ABSTRACT_MAX)?))),
        Kind::Fd => {
            let number = descriptor(rest, text)?;
            if !allow.fd {
                return Err(format!(
                    "a file descriptor is not acceptable here in '{text}'"
                ));
            }
            Ok(plain(Host::Fd(number)))
        }
        Kind::SockPair => Ok(plain(Host::SockPair(descriptor(rest, text)?))),
        Kind::Quic(family) => Err(format!(
            "unsupported stream protocol for datagram family {family} address '{text}'; QUIC is not compiled in if this is what you were looking for."
        )),
    }
}

fn descriptor(number: &str, whole: &str) -> Result<i32, String> {
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let value = if digits { number.parse().ok() } else { None };
    value.ok_or_else(|| format!("file descriptor '{number}' is not a valid integer in '{whole}'"))
}

fn fitting(path: &str, whole: &str, max: usize) -> Result<String, String> {
    if path.len() > max {
        return Err(format!("socket path '{whole}' too long (max {max})"));
    }
    Ok(path.to_owned())
}

/// The host and the port. The last colon parts them, so that `::1:80` is port 80 of `::1`, unless
/// it stands inside brackets.
fn split_port<'a>(rest: &'a str, whole: &str, allow: Allow) -> Result<(&'a str, Port), String> {
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (rest, ""),
    };
    let Some(first) = port.chars().next() else {
        if allow.port_needed {
            return Err(format!("missing port specification in '{whole}'"));
        }
        return Ok((host, Port::None));
    };
    if !allow.port {
        return Err(format!(
            "port specification not permitted here in '{whole}'"
        ));
    }
    let port = match first {
        '0'..='9' => match port.split_once('-') {
            None => Port::One(number(port, allow)?),
            Some(_) if !allow.range => {
                return Err(format!("port range not permitted here in '{whole}'"));
            }
            Some((low, high)) => {
                let (low, high) = (number(low, allow)?, number(high, allow)?);
                if low > high {
                    return Err(format!("invalid port range '{port}'"));
                }
                Port::Range(low, high)
            }
        },
        '+' | '-' if allow.offset => {
            let offset = i32::try_from(atol(port)).ok();
            let offset = offset.filter(|by| by.abs() <= 65535);
            Port::Offset(offset.ok_or_else(|| format!("invalid port '{port}'"))?)
        }
        '+' | '-' => return Err(format!("port offset not permitted here in '{whole}'")),
        other => {
            return Err(format!(
                "invalid character '{other}' in port number '{port}' in '{whole}'"
            ));
        }
    };
    Ok((host, port))
}

fn number(port: &str, allow: Allow) -> Result<u16, String> {
    match u16::try_from(atol(port)) {
        Ok(0) if allow.port_needed => Err(format!("invalid port '{port}'")),
        Ok(number) => Ok(number),
        Err(_) => Err(format!("invalid port '{port}'")),
    }
}

fn read_host(host: &str, family: Family) -> Host {
    if matches!(host, "" | "*") {
        return Host::Any;
    }
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    if family != Family::V6
        && let Ok(ip) = bare.parse()
    {
        return Host::V4(ip);
    }
    if family != Family::V4
        && let Ok(ip) = bare.parse()
    {
        return Host::V6(ip);
    }
    Host::Name(host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let ok = [
            ("0", 0),
            ("1", 1),
            ("1us", 1),
            ("999us", 1),
            ("1001us", 2),
            ("0us", 0),
            ("1s", 1000),
            ("1m", 60_000),
            ("1h", 3_600_000),
            ("24d", 2_073_600_000),
            ("2147483647", TIME_MAX),
            ("1sx", 1000),
            ("1mss", 1),
            ("1day", 86_400_000),
            ("", 0),
        ];
        for (text, ms) in ok {
            assert_eq!(time_ms(text, TimeUnit::Ms), Ok(ms), "{text}");
        }
        let bad = [
            ("25d", TimeError::Overflow),
            ("2147483648", TimeError::Overflow),
            ("2147484s", TimeError::Overflow),
            (
                "99999999999999999999999999999999999999999999",
                TimeError::Overflow,
            ),
            (
                "340282366920938463463374607431768211455d",
                TimeError::Overflow,
            ),
            ("1x", TimeError::Unexpected('x')),
            ("x", TimeError::Unexpected('x')),
            ("s", TimeError::Unexpected('s')),
            ("-1", TimeError::Unexpected('-')),
            ("+1", TimeError::Unexpected('+')),
            (" 1", TimeError::Unexpected(' ')),
            ("1S", TimeError::Unexpected('S')),
            ("1u", TimeError::Unexpected('u')),
            ("1.5s", TimeError::Unexpected('.')),
            ("0x10", TimeError::Unexpected('x')),
        ];
        for (text, error) in bad {
            assert_eq!(time_ms(text, TimeUnit::Ms), Err(error), "{text}");
        }
        assert_eq!(time("25d", TimeUnit::S, TimeUnit::S), Ok(2_160_000));
        assert_eq!(time("1ms", TimeUnit::S, TimeUnit::S), Ok(1));
        assert_eq!(time_ms("5", TimeUnit::S), Ok(5000));
        assert_eq!(time_tail("1s"), None);
        assert_eq!(time_tail("x"), None);
        assert!(time_tail("1min").is_some_and(|text| {
            text.starts_with("unexpected character 'i' after the timer value '1min', only (us=")
        }));
        assert_eq!(
            TimeError::Overflow.message("25d", "timeout client"),
            "timer overflow in argument '25d' to 'timeout client' (maximum value is 2147483647 ms or ~24.8 days)"
        );
        assert_eq!(
            TimeError::Unexpected('x').message("1x", "timeout client"),
            "unexpected character 'x' in 'timeout client'"
        );
    }

    #[test]
    fn sizes_and_integers() {
        let sizes = [
            ("1", Ok(1)),
            ("1k", Ok(1024)),
            ("2M", Ok(2 << 20)),
            ("4g", Ok(4 << 30)),
            ("1x", Err('x')),
            ("1kk", Err('k')),
            ("k", Err('k')),
            ("", Err('\0')),
            ("-1", Err('-')),
            ("18446744073709551615k", Err('\0')),
            ("99999999999999999999", Err('\0')),
        ];
        for (text, value) in sizes {
            assert_eq!(size(text), value, "{text}");
        }
        let numbers = [
            ("5", 5),
            (" 5x", 5),
            ("-3", -3),
            ("+3", 3),
            ("x", 0),
            ("", 0),
            ("-", 0),
            ("99999999999999999999", i64::MAX),
            ("-99999999999999999999", i64::MIN),
        ];
        for (text, value) in numbers {
            assert_eq!(atol(text), value, "{text}");
        }
        assert_eq!(integer("1k"), None);
        assert_eq!(integer("-1"), Some(-1));
    }

    fn v4(text: &str) -> Host {
        Host::V4(text.parse().unwrap())
    }

    fn v6(text: &str) -> Host {
        Host::V6(text.parse().unwrap())
    }

    #[test]
    fn addresses_of_binds() {
        use Family::{Any, V4, V6};
        let ok: &[(&str, Family, Host, Port)] = &[
            ("*:80", Any, Host::Any, Port::One(80)),
            (":80", Any, Host::Any, Port::One(80)),
            ("1.2.3.4:80", Any, v4("1.2.3.4"), Port::One(80)),
            ("[::]:80", Any, v6("::"), Port::One(80)),
            (":::80", Any, v6("::"), Port::One(80)),
            ("::1:80", Any, v6("::1"), Port::One(80)),
            ("[::1]:80", Any, v6("::1"), Port::One(80)),
            ("[1.2.3.4]:80", Any, v4("1.2.3.4"), Port::One(80)),
            (
                "::ffff:1.2.3.4:80",
                Any,
                v6("::ffff:1.2.3.4"),
                Port::One(80),
            ),
            ("ipv4@*:80", V4, Host::Any, Port::One(80)),
            ("ipv6@:80", V6, Host::Any, Port::One(80)),
            ("ipv6@::1:80", V6, v6("::1"), Port::One(80)),
            ("ipv4@::1:80", V4, Host::Name("::1".into()), Port::One(80)),
            ("tcp4@1.2.3.4:80", V4, v4("1.2.3.4"), Port::One(80)),
            ("unix@/tmp/x", Any, Host::Unix("/tmp/x".into()), Port::None),
            ("unix@x", Any, Host::Unix("x".into()), Port::None),
            ("/tmp/x", Any, Host::Unix("/tmp/x".into()), Port::None),
            ("abns@x", Any, Host::Abstract("x".into()), Port::None),
            ("fd@3", Any, Host::Fd(3), Port::None),
            ("sockpair@4", Any, Host::SockPair(4), Port::None),
            (":80-82", Any, Host::Any, Port::Range(80, 82)),
            (":80x", Any, Host::Any, Port::One(80)),
            (
                "localhost:80",
                Any,
                Host::Name("localhost".into()),
                Port::One(80),
            ),
            (
                "foo@1.2.3.4:80",
                Any,
                Host::Name("foo@1.2.3.4".into()),
                Port::One(80),
            ),
            (
                "1.2.3.4:80:81",
                Any,
                Host::Name("1.2.3.4:80".into()),
                Port::One(81),
            ),
        ];
        for (text, family, host, port) in ok {
            let spec = Spec {
                datagram: false,
                family: *family,
                host: host.clone(),
                port: *port,
            };
            assert_eq!(address(text, Allow::BIND), Ok(spec), "{text}");
        }
        let bad = [
            ("*", "missing port specification in '*'"),
            ("80", "missing port specification in '80'"),
            ("[::1]", "missing port specification in '[::1]'"),
            ("[::1]80", "missing port specification in '[::1]80'"),
            ("1.2.3.4:", "missing port specification in '1.2.3.4:'"),
            ("ipv4@", "missing port specification in 'ipv4@'"),
            (
                "fd@x",
                "file descriptor 'x' is not a valid integer in 'fd@x'",
            ),
            (
                "fd@-1",
                "file descriptor '-1' is not a valid integer in 'fd@-1'",
            ),
            (
                "udp@1.2.3.4:80",
                "dgram-type address not acceptable in 'udp@1.2.3.4:80'",
            ),
            (
                "uxdg@/tmp/x",
                "dgram-type address not acceptable in 'uxdg@/tmp/x'",
            ),
            (":82-80", "invalid port range '82-80'"),
            (":80-", "invalid port ''"),
            (":-80", "port offset not permitted here in ':-80'"),
            (":0", "invalid port '0'"),
            (":65536", "invalid port '65536'"),
            (":0-10", "invalid port '0'"),
            (":1-65536", "invalid port '65536'"),
            (":x", "invalid character 'x' in port number 'x' in ':x'"),
            (
                "",
                "'' resolves to an empty address (environment variable missing?)",
            ),
        ];
        for (text, message) in bad {
            assert_eq!(
                address(text, Allow::BIND),
                Err(message.to_owned()),
                "{text}"
            );
        }
        assert!(address("quic4@:80", Allow::BIND).is_err_and(|e| e.contains("QUIC is not")));
        let count = |text| addresses(text, Allow::BIND).map(|list| list.len()).ok();
        assert_eq!(count(":80,:81,[::1]:82"), Some(3));
        assert_eq!(count(":80,"), Some(1));
        assert_eq!(count(","), None);
        assert_eq!(count(":80,,:81"), None);
    }

    #[test]
    fn addresses_of_servers_and_logs() {
        let server = |text| address(text, Allow::SERVER).map(|spec| spec.port);
        assert_eq!(server("1.2.3.4"), Ok(Port::None));
        assert_eq!(server("[::1]"), Ok(Port::None));
        assert_eq!(server("1.2.3.4:0"), Ok(Port::One(0)));
        assert_eq!(server("1.2.3.4:+80"), Ok(Port::Offset(80)));
        assert_eq!(server("1.2.3.4:-80"), Ok(Port::Offset(-80)));
        assert_eq!(
            server(":80-82"),
            Err("port range not permitted here in ':80-82'".to_owned())
        );
        assert_eq!(
            server("fd@3"),
            Err("a file descriptor is not acceptable here in 'fd@3'".to_owned())
        );
        let log = |text| address(text, Allow::LOG).map(|spec| (spec.datagram, spec.port));
        assert_eq!(log("127.0.0.1:514"), Ok((false, Port::One(514))));
        assert_eq!(log("udp@127.0.0.1"), Ok((true, Port::None)));
        assert_eq!(
            log(":+5"),
            Err("port offset not permitted here in ':+5'".to_owned())
        );
        let long = format!("/{}", "x".repeat(120));
        assert!(address(&long, Allow::BIND).is_err_and(|e| e.starts_with("socket path '/xx")));
    }
}
