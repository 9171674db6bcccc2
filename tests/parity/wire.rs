//! The little HTTP that the harness itself needs: where a message ends, and how it is written down
//! for comparison.
//!
//! It is deliberately separate from `src/http`: a test that framed messages with the code under
//! test would agree with its mistakes. It must never decide whether a message is correct; what it
//! cannot read is written down byte by byte.

/// What stands at the start of the bytes received so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// More bytes are needed.
    Incomplete,
    /// A message of this many bytes.
    Complete(usize),
    /// The body ends with the connection.
    UntilClose,
    /// What follows the head (this many bytes) is no longer HTTP.
    Tunnel(usize),
    /// Not HTTP.
    Unreadable,
}

/// A head's lines, and where the body starts.
pub(crate) struct Head {
    /// The start line.
    pub(crate) start: String,
    /// Names and values, in order.
    pub(crate) fields: Vec<(String, String)>,
    /// Length of the head with its empty line.
    pub(crate) len: usize,
}

impl Head {
    /// Reads a head, `None` if its empty line has not come.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut lines = Vec::new();
        let mut from = 0;
        loop {
            let end = from + bytes[from..].iter().position(|&b| b == b'\n')?;
            let line = without_cr(&bytes[from..end]);
            from = end + 1;
            if line.is_empty() {
                if lines.is_empty() {
                    continue;
                }
                break;
            }
            lines.push(latin(line));
        }
        let start = lines.remove(0);
        let fields = lines
            .into_iter()
            .map(|line| match line.split_once(':') {
                Some((name, value)) => (name.to_owned(), value.trim().to_owned()),
                None => (line, String::new()),
            })
            .collect();
        Some(Self {
            start,
            fields,
            len: from,
        })
    }

    /// The last value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let same = |field: &&(String, String)| field.0.eq_ignore_ascii_case(name);
        self.fields
            .iter()
            .rev()
            .find(same)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a comma separated field has a token.
    pub(crate) fn has_token(&self, name: &str, token: &str) -> bool {
        self.fields
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .any(|(_, value)| {
                value
                    .split(',')
                    .any(|part| part.trim().eq_ignore_ascii_case(token))
            })
    }

    /// The status of an answer, 0 if there is none.
    pub(crate) fn status(&self) -> u16 {
        self.start
            .split(' ')
            .nth(1)
            .and_then(|word| word.parse().ok())
            .unwrap_or(0)
    }

    /// Whether the connection stays open after this answer.
    pub(crate) fn keeps_alive(&self) -> bool {
        if self.start.starts_with("HTTP/1.0") {
            self.has_token("connection", "keep-alive")
        } else {
            !self.has_token("connection", "close")
        }
    }

    fn is_chunked(&self) -> bool {
        self.has_token("transfer-encoding", "chunked")
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Bytes to text, one character a byte.
pub(crate) fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| b as char).collect()
}

/// Where the request at the start of `bytes` ends.
pub(crate) fn request(bytes: &[u8]) -> Message {
    let Some(head) = Head::read(bytes) else {
        return Message::Incomplete;
    };
    if head.is_chunked() {
        return match chunked(&bytes[head.len..]) {
            Some((_, len)) => Message::Complete(head.len + len),
            None => Message::Incomplete,
        };
    }
    with_length(&head, bytes)
}

/// Where the answer to a request with this method ends.
pub(crate) fn answer(bytes: &[u8], method: &str) -> Message {
    let Some(head) = Head::read(bytes) else {
        return Message::Incomplete;
    };
    if !head.start.starts_with("HTTP/") {
        return Message::Unreadable;
    }
    let status = head.status();
    if status == 101 || (method == "CONNECT" && (200..300).contains(&status)) {
        return Message::Tunnel(head.len);
    }
    if method == "HEAD" || status < 200 || status == 204 || status == 304 {
        return Message::Complete(head.len);
    }
    if head.is_chunked() {
        return match chunked(&bytes[head.len..]) {
            Some((_, len)) => Message::Complete(head.len + len),
            None => Message::Incomplete,
        };
    }
    if head.field("content-length").is_none() {
        return Message::UntilClose;
    }
    with_length(&head, bytes)
}

fn with_length(head: &Head, bytes: &[u8]) -> Message {
    let body: usize = head
        .field("content-length")
        .and_then(|v| v.parse().ok())
        .unwrap_or(0);
    match bytes.len() >= head.len + body {
        true => Message::Complete(head.len + body),
        false => Message::Incomplete,
    }
}

/// What stands before a trailer behind the decoded data.
const TRAILER: &str = "(trailer) ";

/// Decodes a chunked body: its data with the trailers, and its length on the wire.
fn chunked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut data = Vec::new();
    let mut at = 0;
    loop {
        let line_len = bytes[at..].iter().position(|&b| b == b'\n')?;
        let line = latin(&bytes[at..at + line_len]);
        let size = line.split(';').next().unwrap_or("").trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        at += line_len + 1;
        if size == 0 {
            break;
        }
        data.extend(bytes.get(at..at + size)?);
        at += size;
        let end = bytes[at..].iter().position(|&b| b == b'\n')?;
        at += end + 1;
    }
    // Trailers, up to the empty line.
    loop {
        let len = bytes[at..].iter().position(|&b| b == b'\n')?;
        let line = without_cr(&bytes[at..at + len]);
        at += len + 1;
        if line.is_empty() {
            return Some((data, at));
        }
        data.push(b'\n');
        data.extend(TRAILER.as_bytes());
        data.extend(line);
    }
}

/// How a stream is written down.
pub(crate) struct Masks {
    /// Header names in one case, and dates hidden.
    pub(crate) names: bool,
    /// Chunk boundaries as they came.
    pub(crate) chunks_exact: bool,
}

/// Writes requests down, one line an entry.
pub(crate) fn show_requests(bytes: &[u8], masks: &Masks) -> Vec<String> {
    show(bytes, masks, request)
}

/// Writes answers down; `methods` are those of the requests, in order.
pub(crate) fn show_answers(bytes: &[u8], methods: &[String], masks: &Masks) -> Vec<String> {
    let mut methods = methods.iter();
    let mut method = methods.next();
    show(bytes, masks, |rest| {
        let found = answer(rest, method.map_or("GET", String::as_str));
        if let (Message::Complete(_), Some(head)) = (&found, Head::read(rest))
            && head.status() >= 200
        {
            method = methods.next();
        }
        found
    })
}

fn show(bytes: &[u8], masks: &Masks, mut next: impl FnMut(&[u8]) -> Message) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (len, complete) = match next(rest) {
            Message::Complete(len) => (len, true),
            Message::UntilClose | Message::Incomplete => (rest.len(), false),
            Message::Tunnel(len) => {
                show_message(&rest[..len], masks, &mut lines);
                show_body(&rest[len..], "(tunnel) ", &mut lines);
                return lines;
            }
            Message::Unreadable => {
                show_body(rest, "", &mut lines);
                return lines;
            }
        };
        show_message(&rest[..len], masks, &mut lines);
        rest = &rest[len..];
        if !complete {
            break;
        }
    }
    lines
}

fn show_message(bytes: &[u8], masks: &Masks, lines: &mut Vec<String>) {
    let Some(head) = Head::read(bytes) else {
        return show_body(bytes, "", lines);
    };
    for (index, line) in bytes[..head.len]
        .split_inclusive(|&b| b == b'\n')
        .enumerate()
    {
        let mut text = escape(line);
        if index > 0
            && masks.names
            && let Some((name, value)) = text.split_once(':')
        {
            let name = name.to_ascii_lowercase();
            // oneloop adds one where the origin sent none (docs/differences.md, dates).
            if name == "date" {
                continue;
            }
            text = format!("{name}:{value}");
        }
        lines.push(shorten(text));
    }
    let body = &bytes[head.len..];
    if head.is_chunked()
        && !masks.chunks_exact
        && let Some((data, _)) = chunked(body)
    {
        let first = lines.len();
        show_body(&data, "(chunked) ", lines);
        if masks.names {
            lower_trailers(&mut lines[first..]);
        }
        return;
    }
    show_body(body, "", lines);
}

/// Bodies and lines over this many bytes are written as length, hash and start.
const SHOWN_MAX: usize = 400;

fn shorten(line: String) -> String {
    if line.len() <= SHOWN_MAX {
        line
    } else {
        digest(line.as_bytes())
    }
}

fn digest(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &b| {
        (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
    });
    let start = escape(&bytes[..60]);
    format!("{} bytes, hash {hash:016x}, {start}...", bytes.len())
}

fn show_body(bytes: &[u8], prefix: &str, lines: &mut Vec<String>) {
    if bytes.len() > SHOWN_MAX {
        lines.push(format!("{prefix}{}", digest(bytes)));
        return;
    }
    for line in bytes.split_inclusive(|&b| b == b'\n') {
        lines.push(format!("{prefix}{}", escape(line)));
    }
}

/// Lowers the names of the trailers that `chunked` wrote behind the data.
fn lower_trailers(lines: &mut [String]) {
    for line in lines {
        if let Some((mark, field)) = line.split_once(TRAILER)
            && let Some((name, value)) = field.split_once(':')
        {
            *line = format!("{mark}{TRAILER}{}:{value}", name.to_ascii_lowercase());
        }
    }
}

/// Makes every byte visible.
pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut out = String::new();
    for &b in bytes {
        match b {
            b'\r' => out.push_str("\\r"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\\' => out.push_str("\\\\"),
            0x20..=0x7e => out.push(b as char),
            _ => out.push_str(&format!("\\x{b:02x}")),
        }
    }
    out
}

/// The methods of the requests in one write: words before a target and a version, at line starts.
pub(crate) fn methods_in(bytes: &[u8]) -> Vec<String> {
    latin(bytes)
        .split('\n')
        .filter_map(|line| {
            let words: Vec<&str> = line.trim_end().split_ascii_whitespace().collect();
            match words.as_slice() {
                [method, _, version] if version.starts_with("HTTP/") => Some((*method).to_owned()),
                _ => None,
            }
        })
        .collect()
}

#[test]
fn messages_end_where_their_framing_says() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
    let whole = [head.as_slice(), b"abcHTTP"].concat();
    assert_eq!(answer(&whole, "GET"), Message::Complete(head.len() + 3));
    assert_eq!(answer(head, "GET"), Message::Incomplete);
    assert_eq!(answer(head, "HEAD"), Message::Complete(head.len()));
    let chunks =
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n";
    assert_eq!(request(chunks), Message::Complete(chunks.len()));
    assert_eq!(request(&chunks[..chunks.len() - 1]), Message::Incomplete);
    assert_eq!(
        methods_in(b"HEAD / HTTP/1.1\r\nA: b\r\n\r\nGET /x HTTP/1.0\r\n"),
        ["HEAD", "GET"]
    );
}
