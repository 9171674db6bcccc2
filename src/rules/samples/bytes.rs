//! The fetches of the first bytes that a client sends, before anything is understood of them
//! (configuration.txt 7.3.5): their length, parts of them, what a TLS client says in them.
//!
//! They are for rules that wait until enough has come. [`Fetch::may_change`] says whether what a
//! fetch yields now may be something else once more bytes are there.

use super::{ANY, Args, BIN, BOOL, Context, INT, Kind, NONE, Needs, Row, STR, Sample, row};
use crate::http::head::Name;
use crate::http::rewrite::counted_head;
use crate::rules::Inspected;
use crate::rules::hello::{self, Found};

/// A compiled fetch.
#[derive(Debug)]
pub(in crate::rules) enum Fetch {
    /// How many bytes there are.
    Length,
    /// So many bytes from there on; all that follow when there is no length.
    Payload(usize, Option<usize>),
    /// What a length stands before.
    Measured(Measured),
    HelloType,
    ServerName,
    Protocol,
    /// They are an HTTP request.
    Http,
    /// No more is waited for.
    WaitEnd,
}

/// A part of the bytes whose length is written in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) struct Measured {
    /// Where the length is, and how many bytes it has.
    at: usize,
    width: usize,
    /// Where the part begins: from the first byte on, or as seen from behind the length.
    begins: i64,
    relative: bool,
}

const RANGE: &[Kind] = &[Kind::Int, Kind::Int];
const MEASURED: &[Kind] = &[Kind::Int, Kind::Int, Kind::Str];
const BYTES: Needs = Needs::Bytes;

#[rustfmt::skip]
const TABLE: &[Row] = &[
    row("payload", RANGE, 2, Needs::EitherBytes, BIN, |a, _, _| payload(a)),
    row("payload_lv", MEASURED, 2, Needs::EitherBytes, BIN, |a, _, _| measured(a)),
    row("req.len", NONE, 0, BYTES, INT, |_, _, _| made(Fetch::Length)),
    row("req.payload", RANGE, 2, BYTES, BIN, |a, _, _| payload(a)),
    row("req.payload_lv", MEASURED, 2, BYTES, BIN, |a, _, _| measured(a)),
    row("req.proto_http", NONE, 0, ANY, BOOL, |_, _, _| made(Fetch::Http)),
    row("req.ssl_alpn", NONE, 0, BYTES, STR, |_, _, _| made(Fetch::Protocol)),
    row("req.ssl_hello_type", NONE, 0, BYTES, INT, |_, _, _| made(Fetch::HelloType)),
    row("req.ssl_sni", NONE, 0, BYTES, STR, |_, _, _| made(Fetch::ServerName)),
    row("req_len", NONE, 0, BYTES, INT, |_, _, _| made(Fetch::Length)),
    row("req_proto_http", NONE, 0, ANY, BOOL, |_, _, _| made(Fetch::Http)),
    row("req_ssl_hello_type", NONE, 0, BYTES, INT, |_, _, _| made(Fetch::HelloType)),
    row("req_ssl_sni", NONE, 0, BYTES, STR, |_, _, _| made(Fetch::ServerName)),
    row("wait_end", NONE, 0, ANY, BOOL, |_, _, _| made(Fetch::WaitEnd)),
];

/// The rows.
pub(super) fn table() -> &'static [Row] {
    TABLE
}

fn made(fetch: Fetch) -> Result<super::Fetch, String> {
    Ok(super::Fetch::OfBytes(fetch))
}

fn payload(args: &Args) -> Result<super::Fetch, String> {
    let part = |index| args.int(index).unwrap_or_default();
    match (usize::try_from(part(0)), usize::try_from(part(1))) {
        (Ok(offset), Ok(length)) => made(Fetch::Payload(offset, (length > 0).then_some(length))),
        // HAProxy reads them as numbers without a sign: further than any buffer reaches.
        _ => made(Fetch::Payload(usize::MAX, None)),
    }
}

fn measured(args: &Args) -> Result<super::Fetch, String> {
    let Ok(at) = usize::try_from(args.int(0).unwrap_or_default()) else {
        return Err("payload offset1 must be positive".to_owned());
    };
    // HAProxy reads it as a number without a sign: wider than any buffer.
    let width = usize::try_from(args.int(1).unwrap_or_default()).unwrap_or(usize::MAX);
    if width == 0 {
        return Err("payload length must be > 0".to_owned());
    }
    let text = std::str::from_utf8(args.text(2)).unwrap_or("?");
    let begins = match text {
        "" => Ok(0),
        text => text.parse::<i64>(),
    };
    let Ok(begins) = begins else {
        return Err("payload offset2 is not a number".to_owned());
    };
    let relative = text.is_empty() || text.starts_with(['+', '-']);
    let end = at.saturating_add(width);
    let first = i64::try_from(end)
        .unwrap_or(i64::MAX)
        .saturating_add(begins);
    if relative && first < 0 {
        return Err("payload offset2 too negative".to_owned());
    }
    made(Fetch::Measured(Measured {
        at,
        width,
        begins,
        relative,
    }))
}

impl Measured {
    /// The part.
    fn of(self, bytes: &[u8], most: usize) -> Found<&[u8]> {
        let behind = self.at.saturating_add(self.width);
        let Some(length) = bytes.get(self.at..behind) else {
            return Found::NotYet;
        };
        let length = length.iter().fold(0_usize, |sum, byte| {
            sum.wrapping_shl(8) | usize::from(*byte)
        });
        let from = match self.relative {
            true => i64::try_from(behind).unwrap_or(i64::MAX),
            false => 0,
        };
        let from = usize::try_from(from.saturating_add(self.begins)).unwrap_or(usize::MAX);
        let to = from.saturating_add(length);
        if length == 0 || to > most {
            return Found::Nothing;
        }
        bytes.get(from..to).map_or(Found::NotYet, Found::Here)
    }
}

/// Bytes `from..to`, of a buffer that never holds more than `most`.
fn part(bytes: &[u8], from: usize, length: Option<usize>, most: usize) -> Found<&[u8]> {
    let to = from.saturating_add(length.unwrap_or_default());
    if to > most {
        return Found::Nothing;
    }
    let found = match length {
        Some(_) => bytes.get(from..to),
        None => bytes.get(from..),
    };
    found.map_or(Found::NotYet, Found::Here)
}

impl Fetch {
    /// The sample.
    pub(super) fn value<'s, C: Context>(&'s self, context: &'s C) -> Option<Sample<'s>> {
        match self {
            Self::Http => return Some(Sample::Bool(context.request().is_some())),
            Self::WaitEnd => {
                let is_over = context.inspected().is_none_or(|seen| seen.is_final);
                return is_over.then_some(Sample::Bool(true));
            }
            Self::Length => return Some(Sample::Int(length(context)? as i64)),
            _ => {}
        }
        let seen = context.inspected()?;
        Some(match self {
            Self::HelloType => Sample::Int(hello::hello_type(seen.bytes?).here()?.into()),
            Self::ServerName => Sample::Str(hello::server_name(seen.bytes?).here()?),
            Self::Protocol => Sample::Str(hello::first_protocol(seen.bytes?).here()?),
            _ => Sample::Bin(self.block(&seen)?.here()?),
        })
    }

    /// A part of the bytes.
    fn block<'a>(&self, seen: &Inspected<'a>) -> Option<Found<&'a [u8]>> {
        let bytes = seen.bytes?;
        match self {
            Self::Payload(from, length) => Some(part(bytes, *from, *length, seen.most)),
            Self::Measured(measured) => Some(measured.of(bytes, seen.most)),
            _ => None,
        }
    }

    /// Whether more bytes may make something else of it.
    pub(super) fn may_change(&self, seen: &Inspected<'_>) -> bool {
        let bytes = seen.bytes.unwrap_or_default();
        match self {
            Self::Length | Self::WaitEnd => true,
            // All that follows: more of it belongs to it as well.
            Self::Payload(_, None) => self.block(seen) != Some(Found::Nothing),
            Self::Http => seen.may_be_http,
            Self::HelloType => hello::hello_type(bytes) == Found::NotYet,
            Self::ServerName => hello::server_name(bytes) == Found::NotYet,
            Self::Protocol => hello::first_protocol(bytes) == Found::NotYet,
            Self::Payload(..) | Self::Measured(_) => self.block(seen) == Some(Found::NotYet),
        }
    }
}

/// How many bytes of the request there are: as they came, or of a request that was understood as
/// HAProxy keeps it.
fn length<C: Context>(context: &C) -> Option<usize> {
    if let Some(bytes) = context.inspected().and_then(|seen| seen.bytes) {
        return Some(bytes.len());
    }
    let request = context.request()?;
    let head = request.head;
    let has_body = head.has(Name::ContentLength) || head.has(Name::TransferEncoding);
    let behind = request.bytes.len().saturating_sub(head.len as usize);
    let body = if has_body { behind } else { 0 };
    Some(counted_head(head, request.bytes).saturating_add(body))
}
