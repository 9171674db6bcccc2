//! Edits to a head, and the view through them.
//!
//! Rules never touch received bytes. They leave edits (`Editor`), later rules look through the
//! edits made so far (`Message`), and at the end `render.rs` writes the outgoing head once. `Edits`
//! is owned once by the engine, has a bounded text arena and allocates nothing after warm-up.
//! Rejected: editing the receive buffer (growing a field would move the body), and a list of
//! small strings (allocates).

use std::ops::Range;

use super::head::{Head, Method, Name, Span};
use crate::base::scan::has_control;

/// An edit or an outgoing head did not fit its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

/// Changes asked for by rules, not yet applied. Owned once by the engine, cleared per message.
#[derive(Debug, Default)]
pub struct Edits {
    /// All new text; the other members point into it.
    pub(super) text: Vec<u8>,
    text_max: usize,
    /// One bit for each received field.
    removed: Vec<u64>,
    /// New values of received fields, by index; seldom more than one or two.
    replaced: Vec<(u32, Span)>,
    pub(super) added: Vec<Added>,
    added_max: usize,
    method: Option<(Method, Span)>,
    target: Option<Span>,
    status: Option<u16>,
    reason: Option<Span>,
    /// Copies of old values that may lie in `text` themselves.
    scratch: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Added {
    pub(super) name: Span,
    pub(super) value: Span,
    pub(super) known: Name,
}

impl Edits {
    /// Room for `fields_max` received and as many new field lines, and `text_max` bytes of new
    /// text (`tune.bufsize` is a good bound: more could not be sent).
    #[must_use]
    pub fn new(fields_max: usize, text_max: usize) -> Self {
        Self {
            text: Vec::with_capacity(text_max),
            text_max,
            removed: vec![0; fields_max.div_ceil(64)],
            replaced: Vec::with_capacity(8),
            added: Vec::with_capacity(16),
            added_max: fields_max,
            scratch: Vec::with_capacity(1024),
            ..Self::default()
        }
    }

    /// Forgets all edits and keeps the room.
    pub fn clear(&mut self) {
        if self.is_empty() {
            return;
        }
        self.text.clear();
        self.removed.fill(0);
        self.replaced.clear();
        self.added.clear();
        self.method = None;
        self.target = None;
        self.status = None;
        self.reason = None;
    }

    /// Takes over what was edited elsewhere in the same head, and keeps its own room.
    pub fn take_over(&mut self, other: &Self) {
        self.text.clear();
        self.text.extend_from_slice(&other.text);
        self.removed.clear();
        self.removed.extend_from_slice(&other.removed);
        self.replaced.clear();
        self.replaced.extend_from_slice(&other.replaced);
        self.added.clear();
        self.added.extend_from_slice(&other.added);
        self.method = other.method;
        self.target = other.target;
        self.status = other.status;
        self.reason = other.reason;
    }

    /// Whether nothing was edited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
            && self.status.is_none()
            && self.replaced.is_empty()
            && self.added.is_empty()
            && self.method.is_none()
            && self.target.is_none()
            && self.removed.iter().all(|&word| word == 0)
    }

    /// Whether nothing of the start line was edited.
    pub(super) fn keeps_start_line(&self) -> bool {
        self.method.is_none()
            && self.target.is_none()
            && self.status.is_none()
            && self.reason.is_none()
    }

    pub(super) fn is_removed(&self, index: usize) -> bool {
        self.removed
            .get(index / 64)
            .is_some_and(|word| word & (1 << (index % 64)) != 0)
    }

    fn remove(&mut self, index: usize) {
        if let Some(word) = self.removed.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    pub(super) fn replacement(&self, index: usize) -> Option<Span> {
        let found = self.replaced.iter().find(|(at, _)| *at as usize == index);
        found.map(|&(_, value)| value)
    }

    fn replace(&mut self, index: usize, value: Span) {
        match self
            .replaced
            .iter_mut()
            .find(|(at, _)| *at as usize == index)
        {
            Some(entry) => entry.1 = value,
            None => self.replaced.push((index as u32, value)),
        }
    }

    /// Appends the parts to the arena as one text.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "spans of one arena, whose length fits 32 bits"
    )]
    #[inline]
    fn store(&mut self, parts: &[&[u8]]) -> Result<Span, Overflow> {
        let start = self.text.len();
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if !self.has_room(len) {
            return Err(Overflow);
        }
        for part in parts {
            self.text.extend_from_slice(part);
        }
        self.disarm(start);
        Ok(Span::new(start, start + len))
    }

    /// Turns line ends and NUL in new text into blanks (RFC 9110 §5.5): a rule that copies
    /// decoded input into a head must not be able to add lines to it.
    fn disarm(&mut self, start: usize) {
        let new = self.text.get_mut(start..).unwrap_or_default();
        if !has_control(new) {
            return;
        }
        for byte in new {
            if matches!(*byte, b'\r' | b'\n' | 0) {
                *byte = b' ';
            }
        }
    }

    fn has_room(&self, len: usize) -> bool {
        self.text.len().saturating_add(len) <= self.text_max
    }

    #[expect(
        clippy::arithmetic_side_effects,
        reason = "spans of one arena, whose length fits 32 bits"
    )]
    fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), Overflow> {
        if self.added.len() >= self.added_max {
            return Err(Overflow);
        }
        let both = self.store(&[name, value])?;
        let middle = both.start + name.len() as u32;
        self.added.push(Added {
            name: Span {
                start: both.start,
                end: middle,
            },
            value: Span {
                start: middle,
                end: both.end,
            },
            known: Name::from_bytes(name),
        });
        Ok(())
    }
}

/// What an edit does to a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays as it is.
    Stays,
    /// It becomes what was appended.
    Becomes,
    /// The field goes.
    Goes,
}

impl Fate {
    /// Whether there is a new value.
    fn of(changed: bool) -> Self {
        if changed { Self::Becomes } else { Self::Stays }
    }
}

/// A message as later rules must see it: the head through the edits made so far.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The buffer the head was parsed from.
    pub bytes: &'a [u8],
    /// The parsed head.
    pub head: &'a Head,
    /// The edits so far.
    pub edits: &'a Edits,
}

/// What the log's `%U` counts of a request beside the texts of its head: the record of the start
/// line and the end of the fields.
const COUNTED_START: usize = 21;

/// How long a request's head is in HAProxy's internal form, which is what it counts.
#[must_use]
pub fn counted_head(head: &Head, bytes: &[u8]) -> usize {
    let texts = [
        head.method_span.len(),
        head.target.len(),
        head.version.of(bytes).len(),
    ];
    let fields = head
        .fields
        .iter()
        .flat_map(|field| [field.name.len(), field.value.len()]);
    fields
        .chain(texts)
        .fold(COUNTED_START, |sum, length| sum.saturating_add(length))
}

impl<'a> Message<'a> {
    /// A view of `head` through `edits`.
    #[must_use]
    pub fn new(bytes: &'a [u8], head: &'a Head, edits: &'a Edits) -> Self {
        Self { bytes, head, edits }
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        self.edits
            .method
            .map_or(self.head.method, |(method, _)| method)
    }

    /// The method as text.
    #[must_use]
    pub fn method_text(&self) -> &'a [u8] {
        match self.edits.method {
            Some((_, text)) => text.of(&self.edits.text),
            None => self.head.method_span.of(self.bytes),
        }
    }

    /// The whole target.
    #[must_use]
    pub fn target(&self) -> &'a [u8] {
        match self.edits.target {
            Some(target) => target.of(&self.edits.text),
            None => self.head.target.of(self.bytes),
        }
    }

    /// The path: from the first slash after the authority up to `?`. None for `*`, for CONNECT
    /// and for an absolute target that ends with its authority.
    #[must_use]
    pub fn path(&self) -> Option<&'a [u8]> {
        self.pathq().map(|pathq| split_query(pathq).0)
    }

    /// What follows the first `?`; none without `?`.
    #[must_use]
    pub fn query(&self) -> Option<&'a [u8]> {
        self.pathq().and_then(|pathq| split_query(pathq).1)
    }

    /// Path and query together.
    #[must_use]
    pub fn pathq(&self) -> Option<&'a [u8]> {
        if self.method() == Method::Connect {
            return None;
        }
        let target = self.target();
        target
            .get(path_start(target)..)
            .filter(|pathq| !pathq.is_empty())
    }

    /// Minor version as received.
    #[must_use]
    pub fn minor(&self) -> u8 {
        self.head.minor
    }

    /// Status of an answer; 0 for a request.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.edits.status.unwrap_or(self.head.status)
    }

    /// Reason phrase of an answer.
    #[must_use]
    pub fn reason(&self) -> &'a [u8] {
        match (self.edits.reason, self.edits.status) {
            (Some(reason), _) => reason.of(&self.edits.text),
            (None, Some(status)) => super::reply::reason(status).as_bytes(),
            (None, None) => self.head.reason.of(self.bytes),
        }
    }

    /// All fields that are left, in order, added ones last: name, value, well-known name.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8], Name)> + use<'a> {
        let Self { bytes, head, edits } = *self;
        let received = head
            .fields
            .iter()
            .enumerate()
            .filter_map(move |(index, field)| {
                if edits.is_removed(index) {
                    return None;
                }
                let value = match edits.replacement(index) {
                    Some(value) => value.of(&edits.text),
                    None => field.value.of(bytes),
                };
                Some((field.name.of(bytes), value, field.known))
            });
        let added = edits.added.iter().map(move |added| {
            (
                added.name.of(&edits.text),
                added.value.of(&edits.text),
                added.known,
            )
        });
        received.chain(added)
    }

    /// Whole values of the fields of that name in any case: HAProxy's `fhdr()`.
    pub fn header<'n>(&self, name: &'n [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.fields()
            .filter(move |field| field.0.eq_ignore_ascii_case(name))
            .map(|field| field.1)
    }

    /// The value of the first field of a well-known name.
    #[must_use]
    pub fn known(&self, name: Name) -> Option<&'a [u8]> {
        self.fields()
            .find(|field| field.2 == name)
            .map(|field| field.1)
    }

    /// Elements of the fields of that name, split at commas outside quotes and trimmed:
    /// HAProxy's `hdr()`. An empty field has one empty element. HAProxy splits every name, also
    /// Date and Cookie, and so does this.
    pub fn values<'n>(&self, name: &'n [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.header(name)
            .flat_map(|value| Elements { rest: Some(value) })
    }
}

/// The comma-separated elements of one value. An open quote swallows the rest, as in HAProxy.
struct Elements<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let (element, behind) = rest.split_at_checked(element_end(rest))?;
        self.rest = behind.strip_prefix(b",");
        Some(element.trim_ascii())
    }
}

/// Offset of the first comma outside quotes, or the length.
fn element_end(value: &[u8]) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    for (at, &byte) in value.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return at,
            _ => {}
        }
    }
    value.len()
}

/// Where the path begins; the length of the target if it has none.
fn path_start(target: &[u8]) -> usize {
    match target {
        [b'/', ..] => 0,
        [b'*', ..] => target.len(),
        // Without scheme and slash it can only be a path that a rule set so.
        _ => authority(target).map_or(0, |authority| authority.end as usize),
    }
}

/// The authority of an absolute target.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "offsets into one buffer, whose length fits 32 bits"
)]
fn authority(target: &[u8]) -> Option<Span> {
    let colon = target.iter().position(|&byte| byte == b':')?;
    let rest = target.get(colon..)?.strip_prefix(b"://")?;
    let end = rest
        .iter()
        .position(|&byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    Some(Span::new(colon + 3, colon + 3 + end))
}

fn split_query(pathq: &[u8]) -> (&[u8], Option<&[u8]>) {
    let end = pathq.iter().position(|&byte| byte == b'?');
    let (path, query) = pathq.split_at(end.unwrap_or(pathq.len()));
    (path, query.strip_prefix(b"?"))
}

/// A message and its edits, open for another edit. Every method sees the earlier edits, and a
/// failed one leaves the message as it was (of several values the earlier ones may have been
/// changed). HAProxy answers 500 when a rewrite does not fit.
#[derive(Debug)]
pub struct Editor<'a> {
    /// The buffer the head was parsed from.
    pub bytes: &'a [u8],
    /// The parsed head.
    pub head: &'a Head,
    /// Where edits go.
    pub edits: &'a mut Edits,
}

impl Editor<'_> {
    /// The view through the edits so far.
    #[must_use]
    pub fn message(&self) -> Message<'_> {
        Message {
            bytes: self.bytes,
            head: self.head,
            edits: self.edits,
        }
    }

    /// Replaces the path; authority and query stay (`http-request set-path`, `replace-path`).
    ///
    /// # Errors
    /// `Overflow` when there is no room.
    pub fn set_path(&mut self, path: &[u8]) -> Result<(), Overflow> {
        self.splice_target(
            |target| {
                let start = path_start(target);
                let path = split_query(target.get(start..).unwrap_or_default()).0;
                Some(start..start.saturating_add(path.len()))
            },
            [path, b""],
        )
    }

    /// Replaces what follows `?`, and adds the `?` if there was none (`set-query`).
    ///
    /// # Errors
    /// `Overflow` when there is no room.
    pub fn set_query(&mut self, query: &[u8]) -> Result<(), Overflow> {
        self.splice_target(
            |target| {
                let start = path_start(target);
                let path = split_query(target.get(start..).unwrap_or_default()).0;
                Some(start.saturating_add(path.len())..target.len())
            },
            [b"?", query],
        )
    }

    /// Replaces path and query; the authority stays (`set-pathq`, `replace-pathq`).
    ///
    /// # Errors
    /// `Overflow` when there is no room.
    pub fn set_pathq(&mut self, pathq: &[u8]) -> Result<(), Overflow> {
        self.splice_target(
            |target| Some(path_start(target)..target.len()),
            [pathq, b""],
        )
    }

    /// Replaces the whole target; the authority of an absolute one goes into a Host that is
    /// there (`set-uri`, `replace-uri`).
    ///
    /// # Errors
    /// `Overflow` when there is no room.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "spans of one arena, whose length fits 32 bits"
    )]
    pub fn set_uri(&mut self, uri: &[u8]) -> Result<(), Overflow> {
        let target = self.edits.store(&[uri])?;
        self.edits.target = Some(target);
        if let Some(authority) = authority(uri) {
            let host = Span {
                start: target.start + authority.start,
                end: target.start + authority.end,
            };
            let field = self
                .head
                .fields
                .iter()
                .position(|field| field.known == Name::Host);
            if let Some(index) = field {
                self.edits.replace(index, host);
            }
        }
        Ok(())
    }

    /// Replaces the method (`set-method`).
    ///
    /// # Errors
    /// `Overflow` when there is no room.
    pub fn set_method(&mut self, method: &[u8]) -> Result<(), Overflow> {
        let text = self.edits.store(&[method])?;
        self.edits.method = Some((Method::from_bytes(method), text));
        Ok(())
    }

    /// Replaces status and reason; without a reason the standard phrase (`set-status`).
    ///
    /// # Errors
    /// `Overflow` when there is no room.
    pub fn set_status(&mut self, status: u16, reason: Option<&[u8]>) -> Result<(), Overflow> {
        let reason = reason
            .map(|reason| self.edits.store(&[reason]))
            .transpose()?;
        self.edits.status = Some(status);
        self.edits.reason = reason;
        Ok(())
    }

    /// Appends a field (`add-header`).
    ///
    /// # Errors
    /// `Overflow` when there is no room.
    pub fn add_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Overflow> {
        self.edits.add(name, value)
    }

    /// Removes every field whose name the matcher takes; says how many (`del-header`).
    #[expect(clippy::arithmetic_side_effects, reason = "counts of fields")]
    pub fn del_header(&mut self, mut matches: impl FnMut(&[u8]) -> bool) -> usize {
        let mut count = 0;
        for (index, field) in self.head.fields.iter().enumerate() {
            if !self.edits.is_removed(index) && matches(field.name.of(self.bytes)) {
                self.edits.remove(index);
                count += 1;
            }
        }
        let Edits { text, added, .. } = &mut *self.edits;
        let before = added.len();
        added.retain(|added| !matches(added.name.of(text)));
        count + before - added.len()
    }

    /// Removes all fields of that name and appends one (`set-header`). A new Host also goes into
    /// an absolute target, or the two would differ.
    ///
    /// # Errors
    /// `Overflow` when there is no room.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "offsets into one buffer, whose length fits 32 bits"
    )]
    pub fn set_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Overflow> {
        if self.head.status == 0 && name.eq_ignore_ascii_case(b"host") {
            let range = |target: &[u8]| {
                let authority = authority(target)?;
                let text = authority.of(target);
                let userinfo = text
                    .iter()
                    .rposition(|&byte| byte == b'@')
                    .map_or(0, |at| at + 1);
                Some(authority.start as usize + userinfo..authority.end as usize)
            };
            self.splice_target(range, [value, b""])?;
        }
        if !self.edits.has_room(name.len() + value.len()) {
            return Err(Overflow);
        }
        self.del_header(|found| found.eq_ignore_ascii_case(name));
        self.edits.add(name, value)
    }

    /// Calls `change` for each whole value of the fields of that name: it appends the new value
    /// to the given arena and returns true, or returns false to leave the value
    /// (`replace-header`).
    ///
    /// # Errors
    /// `Overflow` when there is no room.
    pub fn replace_header(
        &mut self,
        name: &[u8],
        mut change: impl FnMut(&[u8], &mut Vec<u8>) -> bool,
    ) -> Result<(), Overflow> {
        let is_meant = |found: &[u8], _| found.eq_ignore_ascii_case(name).then_some(());
        self.edit_fields(is_meant, |value, (), text| Fate::of(change(value, text)))
    }

    /// Like `replace_header` for each comma-separated element; unchanged elements keep their
    /// blanks (`replace-value`).
    ///
    /// # Errors
    /// `Overflow` when there is no room.
    pub fn replace_value(
        &mut self,
        name: &[u8],
        mut change: impl FnMut(&[u8], &mut Vec<u8>) -> bool,
    ) -> Result<(), Overflow> {
        let is_meant = |found: &[u8], _| found.eq_ignore_ascii_case(name).then_some(());
        self.edit_fields(is_meant, |value, (), text| {
            let mut changed = false;
            let mut at = 0;
            loop {
                let rest = value.get(at..).unwrap_or_default();
                let end = element_end(rest);
                let element = rest.get(..end).unwrap_or_default();
                if change(element.trim_ascii(), text) {
                    changed = true;
                } else {
                    text.extend_from_slice(element);
                }
                // The comma belongs to neither side; behind the last element there is none.
                at = at.saturating_add(end).saturating_add(1);
                if at > value.len() {
                    return Fate::of(changed);
                }
                text.push(b',');
            }
        })
    }

    /// Calls `change` for the whole value of each field that `is_meant` names by its name: what the
    /// change appends to the given arena may become the value, or the field may go.
    ///
    /// # Errors
    /// `Overflow` when there is no room.
    pub fn edit_fields<T: Copy>(
        &mut self,
        is_meant: impl Fn(&[u8], Name) -> Option<T>,
        mut change: impl FnMut(&[u8], T, &mut Vec<u8>) -> Fate,
    ) -> Result<(), Overflow> {
        for (index, field) in self.head.fields.iter().enumerate() {
            let Some(meant) = is_meant(field.name.of(self.bytes), field.known) else {
                continue;
            };
            if self.edits.is_removed(index) {
                continue;
            }
            let replacement = self.edits.replacement(index);
            self.edits.scratch.clear();
            match replacement {
                Some(old) => self
                    .edits
                    .scratch
                    .extend_from_slice(old.of(&self.edits.text)),
                None => self
                    .edits
                    .scratch
                    .extend_from_slice(field.value.of(self.bytes)),
            }
            match self.edits.change_scratch(meant, &mut change)? {
                (Fate::Becomes, value) => self.edits.replace(index, value),
                (Fate::Goes, _) => self.edits.remove(index),
                (Fate::Stays, _) => {}
            }
        }
        let mut index = 0;
        loop {
            let Edits {
                text,
                added,
                scratch,
                ..
            } = &mut *self.edits;
            let Some(entry) = added.get(index) else { break };
            index = index.saturating_add(1);
            let Some(meant) = is_meant(entry.name.of(text), entry.known) else {
                continue;
            };
            scratch.clear();
            scratch.extend_from_slice(entry.value.of(text));
            let (fate, value) = self.edits.change_scratch(meant, &mut change)?;
            let place = index.saturating_sub(1);
            match fate {
                Fate::Becomes => {
                    if let Some(entry) = self.edits.added.get_mut(place) {
                        entry.value = value;
                    }
                }
                Fate::Goes => {
                    self.edits.added.remove(place);
                    index = place;
                }
                Fate::Stays => {}
            }
        }
        Ok(())
    }

    /// Replaces the range of the target that `range` names; without one nothing happens, as for
    /// the path of `*` and of CONNECT.
    fn splice_target(
        &mut self,
        range: impl FnOnce(&[u8]) -> Option<Range<usize>>,
        new: [&[u8]; 2],
    ) -> Result<(), Overflow> {
        let message = self.message();
        if message.method() == Method::Connect || message.target().starts_with(b"*") {
            return Ok(());
        }
        // The old target may lie in the arena that grows, so it is read from a copy.
        let mut old = std::mem::take(&mut self.edits.scratch);
        old.clear();
        old.extend_from_slice(self.message().target());
        let stored = range(&old).map(|range| {
            let before = old.get(..range.start).unwrap_or_default();
            let after = old.get(range.end..).unwrap_or_default();
            self.edits.store(&[before, new[0], new[1], after])
        });
        self.edits.scratch = old;
        if let Some(target) = stored.transpose()? {
            self.edits.target = Some(target);
        }
        Ok(())
    }
}

impl Edits {
    /// Lets `change` write a new value for the one in `scratch`.
    fn change_scratch<T>(
        &mut self,
        meant: T,
        change: &mut impl FnMut(&[u8], T, &mut Vec<u8>) -> Fate,
    ) -> Result<(Fate, Span), Overflow> {
        let start = self.text.len();
        let fate = change(&self.scratch, meant, &mut self.text);
        if fate != Fate::Becomes {
            self.text.truncate(start);
            return Ok((fate, Span::default()));
        }
        if !self.has_room(0) {
            self.text.truncate(start);
            return Err(Overflow);
        }
        self.disarm(start);
        Ok((fate, Span::new(start, self.text.len())))
    }
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
mod tests;
