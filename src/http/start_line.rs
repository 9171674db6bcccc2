//! Reads start lines, and checks what the request line and Host say together.
//!
//! Decides what a request line or status line may look like (RFC 9112 §3, §4): any blanks and
//! tabs between the parts, versions from HTTP/1.0 on, the four forms of a target, one host.
//! It must never look at other field lines or at lengths.
//! Stricter than HAProxy in five things: HTTP/0.9 as a written version, targets that begin with
//! `*` and are not the `*` of OPTIONS, statuses that are not three digits from 100 on, controls in
//! the reason, and a Host that is missing in HTTP/1.1, repeated, or no host.
//! Rejected: normalising the line in place for httparse, which would cost the original version
//! and a pass over each line; reading it here costs neither.

use std::ops::Range;

use super::head::{Head, Kind, Method, Name, Refusal, Span};
use super::head::{is_host, is_target, is_token, is_value};

/// The parts of a start line, as offsets into the line.
pub(super) struct StartLine {
    first: Range<usize>,
    second: Range<usize>,
    third: Range<usize>,
    minor: u8,
    status: u16,
    method: Method,
    canonical: bool,
}

impl StartLine {
    pub(super) fn read(
        kind: Kind,
        line: &[u8],
        start: usize,
        lenient: bool,
    ) -> Result<Self, Refusal> {
        match kind {
            Kind::Request => Self::read_request(line, start, lenient),
            Kind::Response => Self::read_response(line, start),
        }
    }

    /// `method SP target SP version`, with any number of blanks and tabs for SP.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "offsets into one line of a buffer, whose length fits 32 bits"
    )]
    fn read_request(line: &[u8], start: usize, lenient: bool) -> Result<Self, Refusal> {
        let kind = Kind::Request;
        let method = 0..line.iter().take_while(|&&byte| is_token(byte)).count();
        let gap = blanks(line, method.end);
        if method.is_empty() || gap == 0 {
            return Err(kind.refuse(start + method.end, "bad method"));
        }
        let from = method.end + gap;
        let rest = line.get(from..).unwrap_or_default();
        let in_target = |byte| is_target(byte) || (lenient && (byte == b'#' || byte > 0x7f));
        let target = from..from + rest.iter().take_while(|&&byte| in_target(byte)).count();
        let second_gap = blanks(line, target.end);
        if target.is_empty() || second_gap == 0 {
            let reason = if target.end == line.len() {
                "no version"
            } else {
                "bad target"
            };
            return Err(kind.refuse(start + target.end, reason));
        }
        let version = target.end + second_gap..line.len();
        let minor = read_version(line.get(version.clone()).unwrap_or_default())
            .ok_or_else(|| kind.refuse(start + version.start, "bad version"))?;
        let method_text = line.get(method.clone()).unwrap_or_default();
        if method_text == b"PRI" {
            // The HTTP/2 preface: what follows it is no HTTP/1 (RFC 9113 §3.4).
            return Err(kind.refuse(start, "HTTP/2 is not spoken here"));
        }
        let code = Method::from_bytes(method_text);
        let target_text = line.get(target.clone()).unwrap_or_default();
        if !is_good_target(code, target_text) {
            return Err(kind.refuse(start + target.start, "bad target"));
        }
        let separators = (line.get(method.end), line.get(target.end));
        let canonical = gap == 1 && second_gap == 1 && separators == (Some(&b' '), Some(&b' '));
        Ok(Self {
            first: method,
            second: target,
            third: version,
            minor,
            status: 0,
            method: code,
            canonical,
        })
    }

    /// `version SP status [SP reason]`, with any number of blanks and tabs for SP.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "offsets into one line of a buffer, whose length fits 32 bits"
    )]
    fn read_response(line: &[u8], start: usize) -> Result<Self, Refusal> {
        let kind = Kind::Response;
        let version = 0..line.len().min(8);
        let minor = read_version(line.get(version.clone()).unwrap_or_default())
            .ok_or_else(|| kind.refuse(start, "not an HTTP/1 answer"))?;
        let gap = blanks(line, version.end);
        let from = version.end + gap;
        let digits = match line.get(from..from + 3) {
            Some(
                &[
                    hundreds @ b'1'..=b'9',
                    tens @ b'0'..=b'9',
                    ones @ b'0'..=b'9',
                ],
            ) if gap > 0 => [hundreds, tens, ones],
            _ => {
                let rest = line.get(from..).unwrap_or_default();
                let good = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                return Err(kind.refuse(start + from + good.min(3), "bad status"));
            }
        };
        let status = digits
            .iter()
            .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
        let after = from + 3;
        let second_gap = blanks(line, after);
        if second_gap == 0 && line.len() != after {
            return Err(kind.refuse(start + after, "bad status"));
        }
        let reason = after + second_gap..line.len();
        let text = line.get(reason.clone()).unwrap_or_default();
        if let Some(at) = text.iter().position(|&byte| !is_value(byte)) {
            return Err(kind.refuse(start + reason.start + at, "bad byte in the reason"));
        }
        Ok(Self {
            first: version,
            second: from..after,
            third: reason,
            minor,
            status,
            method: Method::Other,
            canonical: true,
        })
    }

    #[expect(
        clippy::arithmetic_side_effects,
        reason = "offsets into one line of a buffer, whose length fits 32 bits"
    )]
    pub(super) fn store(self, head: &mut Head, line: &[u8], start: usize) {
        let span = |range: &Range<usize>| Span::new(start + range.start, start + range.end);
        head.minor = self.minor;
        head.status = self.status;
        head.method = self.method;
        if self.status != 0 {
            head.version = span(&self.first);
            head.reason = span(&self.third);
            return;
        }
        head.method_span = span(&self.first);
        head.target = span(&self.second);
        head.version = span(&self.third);
        if !self.canonical {
            let parts = [self.first, self.second, self.third];
            for (index, part) in parts.into_iter().enumerate() {
                if index > 0 {
                    head.logged.push(b' ');
                }
                head.logged
                    .extend_from_slice(line.get(part).unwrap_or_default());
            }
        }
    }
}

fn blanks(line: &[u8], from: usize) -> usize {
    let rest = line.get(from..).unwrap_or_default();
    rest.iter()
        .take_while(|&&byte| matches!(byte, b' ' | b'\t'))
        .count()
}

/// `HTTP/d.d` and nothing else. HAProxy also takes HTTP/0.9 so written; RFC 9112 knows none such.
fn read_version(text: &[u8]) -> Option<u8> {
    match text {
        b"HTTP/1.1" => Some(1),
        b"HTTP/1.0" => Some(0),
        [b'H', b'T', b'T', b'P', b'/', b'1'..=b'9', b'.', b'0'..=b'9'] => Some(1),
        _ => None,
    }
}

/// The four forms of RFC 9112 §3.2. The characters were checked before.
fn is_good_target(method: Method, target: &[u8]) -> bool {
    if method == Method::Connect {
        return split_port(target).is_some_and(|(host, port)| !host.is_empty() && !port.is_empty());
    }
    match target {
        [b'/', ..] => true,
        b"*" => method == Method::Options,
        _ => absolute_form(target).is_some(),
    }
}

/// Scheme and authority of an absolute target. A `?` straight after the authority, which leaves
/// out the path, is refused as HAProxy does.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "offsets into one line of a buffer, whose length fits 32 bits"
)]
fn absolute_form(target: &[u8]) -> Option<(&[u8], Range<usize>)> {
    let colon = target.iter().position(|&byte| byte == b':')?;
    let scheme = target.get(..colon)?;
    let (first, others) = scheme.split_first()?;
    let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    if !first.is_ascii_alphabetic() || !others.iter().all(is_scheme) {
        return None;
    }
    let rest = target.get(colon..)?.strip_prefix(b"://")?;
    let end = rest
        .iter()
        .position(|&byte| byte == b'/')
        .unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    if authority.is_empty() || authority.contains(&b'?') {
        return None;
    }
    Some((scheme, colon + 3..colon + 3 + end))
}

/// Host and port digits; a port that is no number is none.
fn split_port(authority: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = authority.iter().rposition(|&byte| byte == b':')?;
    let (host, port) = authority.split_at_checked(colon)?;
    let port = port.strip_prefix(b":")?;
    port.iter().all(u8::is_ascii_digit).then_some((host, port))
}

/// One `Host` field, which must be a host, and agree with an absolute target or CONNECT's authority
/// (RFC 9112 §3.2). HTTP/1.0 may have none. A lenient reading takes what HAProxy takes: none, the
/// same twice, anything for a value.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "offsets into one line of a buffer, whose length fits 32 bits"
)]
pub(super) fn check_hosts(bytes: &mut [u8], head: &mut Head, lenient: bool) -> Result<(), Refusal> {
    let mut host: Option<Span> = None;
    if !lenient {
        host = check_host(bytes, head)?;
    } else if head.has(Name::Host) {
        let mut clash = None;
        head.fields.retain(|field| match (field.known, host) {
            (Name::Host, None) => {
                host = Some(field.value);
                true
            }
            (Name::Host, Some(first)) => {
                if !first.of(bytes).eq_ignore_ascii_case(field.value.of(bytes)) {
                    clash = Some(field.value.start);
                }
                false
            }
            _ => true,
        });
        if let Some(position) = clash {
            return Err(Refusal::new(
                400,
                position as usize,
                "two different Host fields",
            ));
        }
    }
    let target = head.target.of(bytes);
    if matches!(target.first(), Some(b'/' | b'*')) {
        return Ok(());
    }
    let (defaults, authority): (&[&[u8]], _) = if head.method == Method::Connect {
        (&[b"80", b"443"], 0..target.len())
    } else {
        let Some((scheme, authority)) = absolute_form(target) else {
            return Ok(());
        };
        let default: &[&[u8]] = match scheme.len() {
            4 if scheme.eq_ignore_ascii_case(b"http") => &[b"80"],
            5 if scheme.eq_ignore_ascii_case(b"https") => &[b"443"],
            _ => &[],
        };
        (default, authority)
    };
    let authority_text = target.get(authority.clone()).unwrap_or_default();
    if !lenient && !is_authority(authority_text) {
        let position = head.target.start as usize + authority.start;
        return Err(Refusal::new(400, position, "bad authority"));
    }
    let wanted = strip_default(strip_userinfo(authority_text), defaults);
    if let Some(host) = host
        && !lenient
        && !strip_default(host.of(bytes), defaults).eq_ignore_ascii_case(wanted)
    {
        return Err(Refusal::new(
            400,
            host.start as usize,
            "Host differs from the target",
        ));
    }
    if head.method == Method::Connect {
        // The target must keep its port; HAProxy takes a default one out of Host.
        if let Some(field) = head
            .fields
            .iter_mut()
            .find(|field| field.known == Name::Host)
        {
            let text = field.value.of(bytes);
            field.value.end -= (text.len() - strip_default(text, defaults).len()) as u32;
        }
        return Ok(());
    }
    let excess = authority_text.len() - strip_default(authority_text, defaults).len();
    if excess > 0 {
        drop_port(bytes, head, authority.end - excess, excess);
    }
    Ok(())
}

/// The one `Host` field of a strict reading.
fn check_host(bytes: &[u8], head: &Head) -> Result<Option<Span>, Refusal> {
    if !head.has(Name::Host) {
        return match head.minor {
            0 => Ok(None),
            _ => Err(Refusal::new(400, head.line.end as usize, "no Host")),
        };
    }
    let mut fields = head.fields.iter().filter(|field| field.known == Name::Host);
    let host = fields.next().map(|field| field.value);
    if let Some(second) = fields.next() {
        return Err(Refusal::new(
            400,
            second.value.start as usize,
            "a second Host",
        ));
    }
    match host {
        Some(value) if !is_authority(value.of(bytes)) => {
            Err(Refusal::new(400, value.start as usize, "bad Host"))
        }
        host => Ok(host),
    }
}

/// Host and port, either of which may be empty (RFC 3986 §3.2.2, §3.2.3); no user information
/// (RFC 9110 §4.2.4).
fn is_authority(text: &[u8]) -> bool {
    let rest = match text.strip_prefix(b"[") {
        Some(inside) => {
            let end = inside.iter().position(|&byte| byte == b']');
            let Some((literal, rest)) = end.and_then(|end| inside.split_at_checked(end)) else {
                return false;
            };
            if !is_literal(literal) {
                return false;
            }
            rest.strip_prefix(b"]").unwrap_or_default()
        }
        None => behind_name(text),
    };
    match rest {
        [] => true,
        [b':', port @ ..] => port.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// What follows the name of a host: a `%` in it begins two hexadecimal digits.
fn behind_name(text: &[u8]) -> &[u8] {
    let mut rest = text;
    loop {
        let length = rest.iter().take_while(|&&byte| is_host(byte)).count();
        rest = rest.get(length..).unwrap_or_default();
        match rest {
            [b'%', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                rest = after;
            }
            _ => return rest,
        }
    }
}

/// What stands between the brackets: an address of IPv6, with a zone (RFC 6874) or without, or one
/// of a version to come.
fn is_literal(text: &[u8]) -> bool {
    if let [b'v' | b'V', future @ ..] = text {
        let version = future.iter().take_while(|byte| byte.is_ascii_hexdigit());
        let address = future.get(version.count()..).unwrap_or_default();
        return matches!(address, [b'.', rest @ ..] if !rest.is_empty()
            && rest.iter().all(|&byte| is_host(byte) || byte == b':'))
            && address.len() < future.len();
    }
    let end = text.iter().position(|&byte| byte == b'%');
    let (address, zone) = text.split_at(end.unwrap_or(text.len()));
    let zone_is_good = match zone {
        [] => true,
        [b'%', b'2', b'5', name @ ..] => !name.is_empty() && behind_name(name).is_empty(),
        _ => false,
    };
    let address = std::str::from_utf8(address).map(str::parse::<std::net::Ipv6Addr>);
    zone_is_good && matches!(address, Ok(Ok(_)))
}

fn strip_userinfo(authority: &[u8]) -> &[u8] {
    let mut parts = authority.rsplit(|&byte| byte == b'@');
    parts.next().unwrap_or(authority)
}

fn strip_default<'a>(authority: &'a [u8], defaults: &[&[u8]]) -> &'a [u8] {
    match split_port(authority) {
        Some((host, port)) if defaults.contains(&port) => host,
        _ => authority,
    }
}

/// Takes the default port out of an absolute target, as HAProxy does (RFC 9110 §4.2.3): what
/// stands before it moves right, so that everything behind keeps its place.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "offsets into one line of a buffer, whose length fits 32 bits"
)]
fn drop_port(bytes: &mut [u8], head: &mut Head, colon_in_target: usize, excess: usize) {
    let from = head.line.start as usize;
    let colon = head.target.start as usize + colon_in_target;
    if bytes.len() < colon + excess {
        return;
    }
    bytes.copy_within(from..colon, from + excess);
    let excess = excess as u32;
    head.line.start += excess;
    head.method_span.start += excess;
    head.method_span.end += excess;
    head.target.start += excess;
    if !head.logged.is_empty() {
        head.logged.clear();
        for (index, span) in [head.method_span, head.target, head.version]
            .iter()
            .enumerate()
        {
            if index > 0 {
                head.logged.push(b' ');
            }
            head.logged.extend_from_slice(span.of(bytes));
        }
    }
}
