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
use super::head::{Field, Head, Name, Span};
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

/// Appends the outgoing head, closing blank line included, to `out`.
///
/// # Errors
/// `Overflow` when it has more than `most` bytes; what was appended then is meaningless.
pub fn render(
    message: &Message,
    how: &Outgoing,
    most: usize,
    out: &mut Vec<u8>,
) -> Result<(), Overflow> {
    let before = out.len();
    let mut to = Writer { out };
    let version: &[u8] = if how.minor == 0 {
        b"HTTP/1.0"
    } else {
        b"HTTP/1.1"
    };
    let Message { bytes, head, edits } = *message;
    // Lines that leave as they came are copied together.
    let mut run = Span::default();
    let status = message.status();
    if edits.keeps_start_line() && how.minor == 1 && is_canonical_line(head, bytes) {
        run = Span {
            start: head.line.start,
            end: head.line.end.saturating_add(2),
        };
    } else if status == 0 {
        to.put(message.method_text());
        to.put(b" ");
        to.put(message.target());
        to.put(b" ");
        to.put(version);
        to.put(b"\r\n");
    } else {
        to.put(version);
        to.put(b" ");
        to.put_number(u64::from(status));
        to.put(b" ");
        to.put(message.reason());
        to.put(b"\r\n");
    }
    let mut announced = how.announce == Announce::Nothing;
    let put =
        |to: &mut Writer<'_>, announced: &mut bool, name: &[u8], value: &[u8], known| match known {
            Name::ContentLength | Name::TransferEncoding => {
                if !std::mem::replace(announced, true) {
                    // The spelling of the name is the sender's, where it is the same field.
                    let same = match how.announce {
                        Announce::Length(_) => known == Name::ContentLength,
                        Announce::Chunked => known == Name::TransferEncoding,
                        Announce::Nothing => false,
                    };
                    to.put_announce(how.announce, same.then_some(name));
                }
            }
            Name::Connection => to.put_connection(name, value, how),
            Name::Upgrade | Name::KeepAlive | Name::ProxyConnection | Name::Http2Settings => {
                to.put_of_one_connection((name, value, known), message, how);
            }
            _ if how.drop_named && is_named(message, name) => {}
            _ => to.put_field(name, value),
        };
    for (index, field) in head.fields.iter().enumerate() {
        if edits.is_removed(index) {
            continue;
        }
        let replacement = edits.replacement(index);
        let line = Span {
            start: field.name.start,
            end: field.value.end.saturating_add(2),
        };
        let is_as_announced = || match how.announce {
            Announce::Length(length) if field.known == Name::ContentLength => {
                !announced && is_decimal(field.value.of(bytes), length)
            }
            _ => false,
        };
        let passes = passes(field.known) || is_as_announced();
        let stays = passes && replacement.is_none() && !how.drop_named;
        if stays && is_canonical(field, bytes) {
            announced |= field.known == Name::ContentLength;
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
        let name = field.name.of(bytes);
        put(&mut to, &mut announced, name, value, field.known);
    }
    to.put(run.of(bytes));
    for added in &edits.added {
        let (name, value) = (added.name.of(&edits.text), added.value.of(&edits.text));
        put(&mut to, &mut announced, name, value, added.known);
    }
    if !announced {
        to.put_announce(how.announce, None);
    }
    to.put(how.persistence.tail());
    // It is bounded by what was received and by what edits may add, and is seldom too long.
    match to.out.len().saturating_sub(before) > most {
        true => Err(Overflow),
        false => Ok(()),
    }
}

/// Whether the start line came just as it would be written in HTTP/1.1.
fn is_canonical_line(head: &Head, bytes: &[u8]) -> bool {
    let behind = bytes.get(head.line.end as usize..);
    let ends = behind.is_some_and(|behind| behind.starts_with(b"\r\n"));
    if !ends || head.version.of(bytes) != b"HTTP/1.1" {
        return false;
    }
    // A request line with other blanks than one between its parts has another form in the log.
    if head.status == 0 {
        return head.logged.is_empty();
    }
    // `HTTP/1.1`, a blank, three digits, a blank.
    let blanks = (head.line.of(bytes).get(8), head.line.of(bytes).get(12));
    let behind = head.line.start.saturating_add(13);
    blanks == (Some(&b' '), Some(&b' ')) && head.reason.start == behind
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

/// Appends the parts of a head.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
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

/// Whether a text is just how this number is written.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "eighteen digits are less than 2^64"
)]
fn is_decimal(text: &[u8], number: u64) -> bool {
    if text.len() > 18 || (text.len() > 1 && text.first() == Some(&b'0')) {
        return false;
    }
    let mut found = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return false;
        }
        found = found * 10 + u64::from(digit);
    }
    found == number && !text.is_empty()
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
