//! The outgoing head, written once: what was received, through the edits that rules left.
//!
//! This file decides what happens to hop-by-hop fields (RFC 9110 §7.6.1): of Connection only
//! `upgrade` stays, Keep-Alive, Proxy-Connection and HTTP2-Settings go, `h2c` is cut out of
//! Upgrade, and exactly one framing field goes out (`Announce`), at the place of the first one that
//! came. Everything else passes as the sender spelt it, and what rules have added passes in any
//! case. Lines that leave as they came are copied together.
//! It must never decide lengths or persistence (`framing.rs`, `exchange.rs`).

pub use super::exchange::Persistence;
pub use super::framing::Announce;
use super::framing::{UPGRADE, elements, is_http2};
use super::head::{Field, Name, Span};
use super::rewrite::{Message, Overflow};

/// How a head leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// The minor version to write: the sender's. The answer of an HTTP/1.0 server that is sent
    /// on with chunks must say 1.
    pub minor: u8,
    /// The one framing field (`Framing::announce`).
    pub announce: Announce,
    /// The `connection` field to append.
    pub persistence: Persistence,
    /// Leaves out `Upgrade` (`Framing::drop_upgrade`).
    pub drop_upgrade: bool,
    /// Leaves out the fields that `Connection` names (`Framing::drop_named`).
    pub drop_named: bool,
}

/// Writes the outgoing head, closing blank line included; returns its length.
///
/// # Errors
/// `Overflow` when `out` is too small; what is in `out` then is meaningless.
pub fn render(message: &Message, how: &Outgoing, out: &mut [u8]) -> Result<usize, Overflow> {
    let mut to = Writer {
        out,
        len: 0,
        overflowed: false,
    };
    let version: &[u8] = if how.minor == 0 {
        b"HTTP/1.0"
    } else {
        b"HTTP/1.1"
    };
    let status = message.status();
    if status == 0 {
        to.put(message.method_text());
        to.put(b" ");
        to.put(message.target());
        to.put(b" ");
        to.put(version);
    } else {
        to.put(version);
        to.put(b" ");
        to.put_number(u64::from(status));
        to.put(b" ");
        to.put(message.reason());
    }
    to.put(b"\r\n");
    let mut announced = how.announce == Announce::Nothing;
    let mut put = |to: &mut Writer<'_>, name: &[u8], value: &[u8], known| match known {
        Name::ContentLength | Name::TransferEncoding => {
            if !announced {
                // The spelling of the name is the sender's, where it is the same field.
                let same = match how.announce {
                    Announce::Length(_) => known == Name::ContentLength,
                    Announce::Chunked => known == Name::TransferEncoding,
                    Announce::Nothing => false,
                };
                to.put_announce(how.announce, same.then_some(name));
                announced = true;
            }
        }
        Name::Connection => to.put_connection(name, value, how),
        Name::Upgrade | Name::KeepAlive | Name::ProxyConnection | Name::Http2Settings => {
            to.put_of_one_connection((name, value, known), message, how);
        }
        _ if how.drop_named && is_named(message, name) => {}
        _ => to.put_field(name, value),
    };
    let Message { bytes, head, edits } = *message;
    // Lines that leave as they came are copied together.
    let mut run = Span::default();
    for (index, field) in head.fields.iter().enumerate() {
        if edits.is_removed(index) {
            continue;
        }
        let replacement = edits.replacement(index);
        let line = Span {
            start: field.name.start,
            end: field.value.end.saturating_add(2),
        };
        let stays = replacement.is_none() && !how.drop_named && passes(field.known);
        if stays && is_canonical(field, bytes) {
            if run.end == line.start {
                run.end = line.end;
            } else {
                to.put(run.of(bytes));
                run = line;
            }
            continue;
        }
        to.put(run.of(bytes));
        run = Span::default();
        let value = match replacement {
            Some(value) => value.of(&edits.text),
            None => field.value.of(bytes),
        };
        put(&mut to, field.name.of(bytes), value, field.known);
    }
    to.put(run.of(bytes));
    for added in &edits.added {
        let (name, value) = (added.name.of(&edits.text), added.value.of(&edits.text));
        put(&mut to, name, value, added.known);
    }
    if !announced {
        to.put_announce(how.announce, None);
    }
    to.put(how.persistence.tail());
    if to.overflowed {
        Err(Overflow)
    } else {
        Ok(to.len)
    }
}

/// Whether nothing about a field of that name is decided here.
#[inline]
fn passes(known: Name) -> bool {
    !matches!(
        known,
        Name::ContentLength
            | Name::TransferEncoding
            | Name::Connection
            | Name::Upgrade
            | Name::KeepAlive
            | Name::ProxyConnection
            | Name::Http2Settings
    )
}

/// Whether the field's line came just as it would be written.
#[inline]
fn is_canonical(field: &Field, bytes: &[u8]) -> bool {
    let between = bytes.get(field.name.end as usize..field.value.start as usize);
    let behind = bytes.get(field.value.end as usize..);
    between == Some(b": ") && behind.is_some_and(|behind| behind.starts_with(b"\r\n"))
}

/// Whether a field is the sender's. What rules and options have added is ours: it is for the
/// receiver, and a sender that names it must not be able to take it out.
fn is_received(message: &Message, name: &[u8]) -> bool {
    message.bytes.as_ptr_range().contains(&name.as_ptr())
}

/// Whether a field belongs to the sender's connection only, because `Connection` names it.
#[cold]
fn is_named(message: &Message, name: &[u8]) -> bool {
    let mut lists = message.fields().filter(|field| field.2 == Name::Connection);
    is_received(message, name)
        && lists.any(|(_, value, _)| elements(value).any(|token| token.eq_ignore_ascii_case(name)))
}

/// Appends to a slice and remembers if something did not fit.
struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
    overflowed: bool,
}

impl Writer<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        // An end that wrapped is before its start: no such place.
        let end = self.len.wrapping_add(bytes.len());
        match self.out.get_mut(self.len..end) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.len = end;
            }
            None => self.overflowed = true,
        }
    }

    fn put_field(&mut self, name: &[u8], value: &[u8]) {
        self.put(name);
        self.put(b": ");
        self.put(value);
        self.put(b"\r\n");
    }

    fn put_number(&mut self, number: u64) {
        let mut digits = [0; 20];
        self.put(decimal(number, &mut digits));
    }

    fn put_announce(&mut self, announce: Announce, name: Option<&[u8]>) {
        match announce {
            Announce::Nothing => {}
            Announce::Chunked => self.put_field(name.unwrap_or(b"Transfer-Encoding"), b"chunked"),
            Announce::Length(length) => {
                self.put(name.unwrap_or(b"Content-Length"));
                self.put(b": ");
                self.put_number(length);
                self.put(b"\r\n");
            }
        }
    }

    /// Writes what is left of a field that speaks of one connection: nothing, or what a rule has
    /// added, or an Upgrade without HTTP/2, if it says anything else.
    #[cold]
    fn put_of_one_connection(
        &mut self,
        (name, value, known): (&[u8], &[u8], Name),
        message: &Message,
        how: &Outgoing,
    ) {
        let received = is_received(message, name);
        if known == Name::Upgrade && how.drop_upgrade || known != Name::Upgrade && received {
            return;
        }
        if !received || !elements(value).any(is_http2) {
            return self.put_field(name, value);
        }
        let mut left = elements(value).filter(|element| !element.is_empty() && !is_http2(element));
        let Some(first) = left.next() else { return };
        self.put(name);
        self.put(b": ");
        self.put(first);
        for element in left {
            self.put(b", ");
            self.put(element);
        }
        self.put(b"\r\n");
    }

    /// Writes what is left of a Connection field, which is `upgrade` or nothing: the rest speaks of
    /// the sender's connection only.
    fn put_connection(&mut self, name: &[u8], value: &[u8], how: &Outgoing) {
        let mut tokens = elements(value);
        let upgrade = tokens.find(|token| UPGRADE.is(token));
        if let Some(token) = upgrade.filter(|_| !how.drop_upgrade) {
            self.put_field(name, token);
        }
    }
}

/// The decimal digits of a number.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "no number of 64 bits has more than twenty digits"
)]
pub(super) fn decimal(number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return &digits[at..];
        }
    }
}
