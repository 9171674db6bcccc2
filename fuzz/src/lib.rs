//! What the fuzz targets check, as plain functions: `tests/split.rs` replays the corpus with them.
//!
//! Each takes any bytes and panics when a rule is broken: the same input must give the same
//! result however it is cut, spans must lie inside the head, and what is rendered must be read
//! again as the same message.

mod config;
mod expression;
mod forward;
mod handover;
mod proxy_header;
mod runtime;
mod session;
pub mod strict;
pub mod wire;

pub use config::config;
pub use expression::expression;
pub use forward::forward;
pub use handover::handover;
pub use proxy_header::proxy_header;
pub use runtime::runtime_command;
pub use session::session;

use oneloop::http::chunked::Chunked;
use oneloop::http::framing::{self, Announce, Asked, Body};
use oneloop::http::head::{self, Head, Limits, Method, Parsed, Progress};
use oneloop::http::render::{Outgoing, Persistence, render};
use oneloop::http::rewrite::{Edits, Message};

/// Which of the two parsers of heads is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Request,
    Response,
}

/// The result of parsing, comparable between runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Partial,
    Refused(u16),
    Complete { len: u32, text: String },
}

/// Target `request_head`.
pub fn request_head(data: &[u8]) {
    head_however_cut(Side::Request, data);
}

/// Target `response_head`.
pub fn response_head(data: &[u8]) {
    head_however_cut(Side::Response, data);
}

/// Target `chunked`.
pub fn chunked(data: &[u8]) {
    let whole = decode_in_steps(data, data.len().max(1));
    for step in [1, 2, 3, 7, 64] {
        assert_eq!(whole, decode_in_steps(data, step), "cut every {step} bytes");
    }
    if let Ok(body) = &whole
        && let Some(consumed) = body.consumed_at_end
    {
        let again = recut(body);
        let reread = decode_in_steps(&again, again.len()).expect("our own chunks are good");
        assert_eq!((&body.data, &body.trailer), (&reread.data, &reread.trailer));
        assert_eq!(reread.consumed_at_end, Some(again.len()));
        assert!(consumed <= data.len());
    }
}

/// Parses at once, byte by byte, and in two parts; all must agree.
pub fn head_however_cut(side: Side, data: &[u8]) {
    let whole = parse_in_steps(side, data, data.len().max(1));
    for step in [1, 2, 5, 33] {
        let cut = parse_in_steps(side, data, step);
        assert_eq!(
            whole,
            cut,
            "cut every {step} bytes: {:?}",
            String::from_utf8_lossy(data)
        );
    }
    if let Outcome::Complete { len, .. } = whole {
        let only_head = &data[..len as usize];
        assert_eq!(
            whole,
            parse_in_steps(side, only_head, only_head.len()),
            "without the rest"
        );
        rendered_again(side, data);
    }
}

/// Shows the parser a growing prefix of `data`, `step` bytes more each time.
pub fn parse_in_steps(side: Side, data: &[u8], step: usize) -> Outcome {
    let mut head = Head::new(101);
    let mut progress = Progress::default();
    let mut bytes = Vec::with_capacity(data.len());
    for part in data.chunks(step) {
        bytes.extend_from_slice(part);
        match parse(side, &mut bytes, &mut progress, &mut head) {
            Parsed::Partial => {}
            Parsed::Refused(refusal) => return Outcome::Refused(refusal.status),
            Parsed::Complete => return complete(&head, &bytes, data),
        }
    }
    Outcome::Partial
}

fn parse(side: Side, bytes: &mut [u8], progress: &mut Progress, head: &mut Head) -> Parsed {
    match side {
        Side::Request => head::request(bytes, progress, head, &Limits::default()),
        Side::Response => head::response(bytes, progress, head, &Limits::default()),
    }
}

fn complete(head: &Head, bytes: &[u8], data: &[u8]) -> Outcome {
    let len = head.len as usize;
    assert!(len <= bytes.len());
    assert_eq!(
        bytes[len..],
        data[len..bytes.len()],
        "bytes behind the head were touched"
    );
    let mut text = format!(
        "{:?} {} {} {:?}",
        head.method,
        head.minor,
        head.status,
        String::from_utf8_lossy(head.logged_line(bytes))
    );
    for span in [
        head.line,
        head.method_span,
        head.target,
        head.reason,
        head.version,
    ] {
        assert!(span.start <= span.end && span.end as usize <= len);
        text += &format!("|{}", String::from_utf8_lossy(span.of(bytes)));
    }
    for field in &head.fields {
        assert!(field.name.end <= field.value.start && field.value.end as usize <= len);
        let (name, value) = (field.name.of(bytes), field.value.of(bytes));
        assert!(!name.is_empty() && name.iter().all(u8::is_ascii_graphic));
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        assert_eq!(value, value.trim_ascii());
        text += &format!("|{name:?}={value:?}");
    }
    Outcome::Complete {
        len: head.len,
        text,
    }
}

/// What we send on must be read by the next parser with the same length.
fn rendered_again(side: Side, data: &[u8]) {
    let mut bytes = data.to_vec();
    let mut head = Head::new(101);
    let first = parse(side, &mut bytes, &mut Progress::default(), &mut head);
    assert_eq!(first, Parsed::Complete);
    let Ok(framing) = frame(side, &head, &bytes) else {
        return;
    };
    if framing.body == Body::Tunnel || framing.interim {
        return;
    }
    let edits = Edits::new(100, 4096);
    let message = Message::new(&bytes, &head, &edits);
    let how = Outgoing {
        minor: if framing.announce == Announce::Chunked {
            1
        } else {
            head.minor
        },
        announce: framing.announce,
        persistence: Persistence::Unsaid,
        drop_upgrade: framing.drop_upgrade,
        drop_named: framing.drop_named,
    };
    let mut out = Vec::new();
    let most = data.len() + 1024;
    render(&message, &how, most, &mut out).expect("there is room");
    let len = out.len();
    let mut again = Head::new(103);
    let parsed = parse(side, &mut out, &mut Progress::default(), &mut again);
    if len < Limits::default().bytes_max as usize {
        assert_eq!(
            parsed,
            Parsed::Complete,
            "{:?}",
            String::from_utf8_lossy(&out)
        );
        assert_eq!(again.len as usize, len);
        let reread = frame(side, &again, &out).expect("what we send is well framed");
        assert_eq!(
            (framing.body, framing.announce),
            (reread.body, reread.announce)
        );
        assert_eq!(head.target.of(&bytes), again.target.of(&out));
        assert_eq!(head.status, again.status);
    }
}

fn frame(side: Side, head: &Head, bytes: &[u8]) -> Result<framing::Framing, head::Refusal> {
    match side {
        Side::Request => framing::request(head, bytes),
        Side::Response => framing::response(
            head,
            bytes,
            Asked {
                method: Method::Get,
                ..Asked::default()
            },
        ),
    }
}

/// A decoded body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoding {
    pub data: Vec<u8>,
    pub trailer: Vec<u8>,
    /// How much of the input the message took, if it ended.
    pub consumed_at_end: Option<usize>,
    lasts: u32,
}

/// Gives `data` to a decoder in pieces of `step` bytes.
pub fn decode_in_steps(data: &[u8], step: usize) -> Result<Decoding, u16> {
    let mut decoder = Chunked::default();
    let mut found = Decoding::default();
    let mut consumed = 0;
    for part in data.chunks(step) {
        let mut bytes = part.to_vec();
        let decoded = decoder
            .decode(&mut bytes)
            .map_err(|refusal| refusal.status)?;
        assert!(decoded.done || decoded.consumed == part.len());
        assert_eq!(bytes[decoded.consumed..], part[decoded.consumed..]);
        assert!(decoded.trailer.is_empty() || decoded.trailer.start >= decoded.data.end);
        found.data.extend_from_slice(decoded.data.of(&bytes));
        found.trailer.extend_from_slice(decoded.trailer.of(&bytes));
        found.lasts += u32::from(decoded.last);
        consumed += decoded.consumed;
        if decoded.done {
            assert_eq!(found.lasts, 1);
            found.consumed_at_end = Some(consumed);
            return Ok(found);
        }
    }
    Ok(found)
}

fn recut(body: &Decoding) -> Vec<u8> {
    let mut out = Vec::new();
    let mut line = [0; 20];
    if !body.data.is_empty() {
        out.extend_from_slice(oneloop::http::chunked::size_line(
            body.data.len(),
            &mut line,
        ));
        out.extend_from_slice(&body.data);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n");
    out.extend_from_slice(&body.trailer);
    out.extend_from_slice(b"\r\n");
    out
}
