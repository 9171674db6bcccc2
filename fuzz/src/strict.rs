//! An HTTP/1 reader that takes the strict grammar of RFC 9112 and nothing else.
//!
//! The target `forward` holds what oneloop sends against it, so it shares no code and no leniency
//! with `src/http`: no bare LF, no folding, no blank too many, one framing field, no chunk
//! extension (a proxy that cuts chunks anew has none to send). It reads from the start each time
//! and keeps nothing; messages here are short.

/// A message that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Requests only.
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    /// The minor version.
    pub minor: u8,
    /// Answers only.
    pub status: u16,
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(Vec<u8>, Vec<u8>)>,
    pub framing: Framing,
    /// Nothing is missing. An answer whose body ends with the connection never is by itself.
    pub whole: bool,
    /// How many bytes it took.
    pub len: usize,
}

/// How the end of a body is found (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    #[default]
    None,
    Length(u64),
    Chunked,
    UntilClose,
    Tunnel,
}

/// What was found at the front of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// Not even the head is complete, and so far it is none that is wrong.
    Nothing,
    /// The head is complete; see `Message::whole` for the rest.
    Message(Box<Message>),
    /// It breaks the grammar.
    Bad(String),
}

impl Message {
    /// The values of a field, by its name in lower case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let same = move |known: &[u8]| known.eq_ignore_ascii_case(name.as_bytes());
        let fields = self.fields.iter().filter(move |field| same(&field.0));
        fields.map(|field| field.1.as_slice())
    }
}

/// Reads a request at the front of `bytes`.
pub fn request(bytes: &[u8]) -> Read {
    finish(read(bytes, None))
}

/// Reads an answer to a request with this method.
pub fn response(bytes: &[u8], method: &[u8]) -> Read {
    finish(read(bytes, Some(method)))
}

fn finish(found: Result<Option<Message>, String>) -> Read {
    match found {
        Ok(None) => Read::Nothing,
        Ok(Some(message)) => Read::Message(Box::new(message)),
        Err(why) => Read::Bad(why),
    }
}

fn read(bytes: &[u8], asked: Option<&[u8]>) -> Result<Option<Message>, String> {
    let mut message = Message::default();
    let Some((line, mut at)) = line(bytes, 0)? else {
        return Ok(None);
    };
    match asked {
        None => request_line(line, &mut message)?,
        Some(_) => status_line(line, &mut message)?,
    }
    let mut fields = Vec::new();
    if !read_fields(bytes, &mut at, &mut fields)? {
        return Ok(None);
    }
    message.fields = fields;
    message.framing = match asked {
        None => request_framing(&message)?,
        Some(method) => response_framing(&message, method)?,
    };
    read_body(bytes, &mut at, &mut message)?;
    message.len = at;
    Ok(Some(message))
}

/// The line at `at` without its CRLF, and where the next one begins.
fn line(bytes: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, String> {
    let rest = &bytes[at..];
    let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return Ok(None);
    };
    match (rest[end], rest.get(end + 1)) {
        (b'\r', Some(b'\n')) => Ok(Some((&rest[..end], at + end + 2))),
        (b'\r', None) => Ok(None),
        _ => Err(format!("bare line end after {:?}", shown(&rest[..end]))),
    }
}

fn request_line(line: &[u8], message: &mut Message) -> Result<(), String> {
    let wrong = || format!("request line {:?}", shown(line));
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next());
    let (target, version) = (target.ok_or_else(wrong)?, words.next().ok_or_else(wrong)?);
    let is_target = |byte: &u8| byte.is_ascii_graphic() && *byte != b'#';
    if words.next().is_some() || !is_token(method) || !target.iter().all(is_target) {
        return Err(wrong());
    }
    // RFC 9112 §3.2: origin, authority (CONNECT only), asterisk (OPTIONS only), absolute.
    let good = match (method, target) {
        (b"CONNECT", _) => !target.is_empty() && !target.contains(&b'/'),
        (_, [b'/', ..]) => true,
        (b"OPTIONS", b"*") => true,
        _ => is_absolute(target),
    };
    if !good {
        return Err(wrong());
    }
    message.minor = minor(version).ok_or_else(wrong)?;
    message.method = method.to_vec();
    message.target = target.to_vec();
    Ok(())
}

/// RFC 3986: `scheme:` and something behind it.
fn is_absolute(target: &[u8]) -> bool {
    let Some(colon) = target.iter().position(|byte| *byte == b':') else {
        return false;
    };
    let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    target[0].is_ascii_alphabetic()
        && target[..colon].iter().all(is_scheme)
        && target.len() > colon + 1
}

fn minor(version: &[u8]) -> Option<u8> {
    match version {
        b"HTTP/1.0" => Some(0),
        b"HTTP/1.1" => Some(1),
        _ => None,
    }
}

fn status_line(line: &[u8], message: &mut Message) -> Result<(), String> {
    let wrong = || format!("status line {:?}", shown(line));
    let version = line.get(..8).and_then(minor);
    message.minor = version.ok_or_else(wrong)?;
    let (Some(b' '), Some(digits)) = (line.get(8), line.get(9..12)) else {
        return Err(wrong());
    };
    if !digits.iter().all(u8::is_ascii_digit) || digits[0] == b'0' {
        return Err(wrong());
    }
    message.status = digits
        .iter()
        .fold(0, |n, digit| n * 10 + u16::from(digit - b'0'));
    // The blank before the reason is not optional (RFC 9112 §4).
    if line.get(12) != Some(&b' ') || !line[13..].iter().all(|byte| is_text(*byte)) {
        return Err(wrong());
    }
    Ok(())
}

/// Field lines up to the empty one; false when that has not come.
fn read_fields(
    bytes: &[u8],
    at: &mut usize,
    into: &mut Vec<(Vec<u8>, Vec<u8>)>,
) -> Result<bool, String> {
    loop {
        let Some((field, next)) = line(bytes, *at)? else {
            return Ok(false);
        };
        *at = next;
        if field.is_empty() {
            return Ok(true);
        }
        let wrong = || format!("field line {:?}", shown(field));
        let colon = field
            .iter()
            .position(|byte| *byte == b':')
            .ok_or_else(wrong)?;
        let (name, value) = (&field[..colon], &field[colon + 1..]);
        if !is_token(name) || !value.iter().all(|byte| is_text(*byte)) {
            return Err(wrong());
        }
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let start = value.iter().position(|byte| !blank(byte));
        let end = value.iter().rposition(|byte| !blank(byte));
        let value = match (start, end) {
            (Some(start), Some(end)) => &value[start..=end],
            _ => &[],
        };
        into.push((name.to_vec(), value.to_vec()));
    }
}

/// The one framing field that a message may have: a length, or `chunked`.
fn announced(message: &Message) -> Result<Framing, String> {
    let lengths: Vec<&[u8]> = message.values("content-length").collect();
    let codings: Vec<&[u8]> = message.values("transfer-encoding").collect();
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(Framing::None),
        ([], [coding]) if *coding == b"chunked" && message.minor == 1 => Ok(Framing::Chunked),
        ([length], []) if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
            let text = std::str::from_utf8(length).unwrap_or_default();
            let length = text.parse().map_err(|_| format!("length {text}"))?;
            Ok(Framing::Length(length))
        }
        _ => Err(format!("framing {lengths:?} {codings:?}")),
    }
}

fn request_framing(message: &Message) -> Result<Framing, String> {
    // RFC 9112 §3.2.
    let hosts = message.values("host").count();
    if hosts > 1 || (hosts == 0 && message.minor == 1) {
        return Err(format!("{hosts} Host fields"));
    }
    announced(message)
}

fn response_framing(message: &Message, method: &[u8]) -> Result<Framing, String> {
    let found = announced(message)?;
    let tunnel = message.status == 101 || (method == b"CONNECT" && message.status / 100 == 2);
    // RFC 9112 §6.1, RFC 9110 §8.6: these carry no framing field.
    let bare = message.status / 100 == 1 || message.status == 204 || tunnel;
    if bare && found != Framing::None {
        return Err(format!(
            "{found:?} in a {} to {}",
            message.status,
            shown(method)
        ));
    }
    Ok(match (bare, found) {
        _ if tunnel => Framing::Tunnel,
        (true, _) => Framing::None,
        _ if method == b"HEAD" || message.status == 304 => Framing::None,
        (false, Framing::None) => Framing::UntilClose,
        (false, found) => found,
    })
}

fn read_body(bytes: &[u8], at: &mut usize, message: &mut Message) -> Result<(), String> {
    match message.framing {
        Framing::None | Framing::Tunnel => message.whole = true,
        Framing::UntilClose => {
            message.body = bytes[*at..].to_vec();
            *at = bytes.len();
        }
        Framing::Length(length) => {
            let left = bytes.len() - *at;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            message.body = bytes[*at..*at + left.min(length)].to_vec();
            *at += message.body.len();
            message.whole = message.body.len() == length;
        }
        Framing::Chunked => message.whole = read_chunks(bytes, at, message)?,
    }
    Ok(())
}

/// True when the last chunk and its trailers have come.
fn read_chunks(bytes: &[u8], at: &mut usize, message: &mut Message) -> Result<bool, String> {
    loop {
        let Some((size, next)) = line(bytes, *at)? else {
            *at = bytes.len();
            return Ok(false);
        };
        let good = (1..=16).contains(&size.len()) && size.iter().all(u8::is_ascii_hexdigit);
        let text = std::str::from_utf8(size).unwrap_or_default();
        let number = u64::from_str_radix(text, 16).ok().filter(|_| good);
        let number = number.ok_or_else(|| format!("chunk size {:?}", shown(size)))?;
        *at = next;
        if number == 0 {
            break;
        }
        let left = bytes.len() - *at;
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        message
            .body
            .extend_from_slice(&bytes[*at..*at + left.min(number)]);
        *at += left.min(number);
        match &bytes[*at..] {
            [] | [b'\r'] => {
                *at = bytes.len();
                return Ok(false);
            }
            [b'\r', b'\n', ..] => *at += 2,
            _ => return Err("no line end after a chunk".to_owned()),
        }
    }
    let mut trailers = Vec::new();
    if !read_fields(bytes, at, &mut trailers)? {
        *at = bytes.len();
        return Ok(false);
    }
    // RFC 9110 §6.5.1: what frames or routes a message, or speaks of one connection.
    for (name, _) in &trailers {
        let forbidden = "content-length transfer-encoding host connection keep-alive \
                         proxy-connection upgrade http2-settings te trailer";
        let mut forbidden = forbidden.split(' ');
        if forbidden.any(|known| name.eq_ignore_ascii_case(known.as_bytes())) {
            return Err(format!("trailer {}", shown(name)));
        }
    }
    message.trailers = trailers;
    Ok(true)
}

fn is_token(bytes: &[u8]) -> bool {
    let mark = |byte: &u8| b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(|b| b.is_ascii_alphanumeric() || mark(b))
}

/// VCHAR, obs-text, SP and HTAB.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(200)].escape_ascii().to_string()
}
