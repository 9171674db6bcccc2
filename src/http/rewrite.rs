//! Edits to a head, the view through them, and rendering the outgoing head in one pass.

use super::head::{Field, Head, Method, Name, Span};

/// An edit or an outgoing head did not fit its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

/// Changes asked for by rules, not yet applied. Owned once by the engine, cleared per message.
#[derive(Debug, Default)]
pub struct Edits {
    text: Vec<u8>,
}

impl Edits {
    /// Room for `fields_max` field lines and `text_max` bytes of new text.
    #[must_use]
    pub fn new(fields_max: usize, text_max: usize) -> Self {
        let _ = fields_max;
        Self {
            text: Vec::with_capacity(text_max),
        }
    }

    /// Forgets all edits and keeps the room.
    pub fn clear(&mut self) {
        self.text.clear();
    }

    /// Whether nothing was edited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
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

impl<'a> Message<'a> {
    /// A view of `head` through `edits`.
    #[must_use]
    pub fn new(bytes: &'a [u8], head: &'a Head, edits: &'a Edits) -> Self {
        Self { bytes, head, edits }
    }
    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        self.head.method
    }
    /// The method as text.
    #[must_use]
    pub fn method_text(&self) -> &'a [u8] {
        self.head.method_span.of(self.bytes)
    }
    /// The whole target.
    #[must_use]
    pub fn target(&self) -> &'a [u8] {
        self.head.target.of(self.bytes)
    }
    /// The path: from the first slash after the authority up to `?`. None for `*` and
    /// authority-form.
    #[must_use]
    pub fn path(&self) -> Option<&'a [u8]> {
        None
    }
    /// What follows `?`, or nothing.
    #[must_use]
    pub fn query(&self) -> &'a [u8] {
        b""
    }
    /// Path and query together.
    #[must_use]
    pub fn pathq(&self) -> Option<&'a [u8]> {
        None
    }
    /// Minor version.
    #[must_use]
    pub fn minor(&self) -> u8 {
        self.head.minor
    }
    /// Status of an answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status
    }
    /// Reason phrase of an answer.
    #[must_use]
    pub fn reason(&self) -> &'a [u8] {
        self.head.reason.of(self.bytes)
    }
    /// All fields that are left, in order, added ones last.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8], Name)> + use<'a> {
        let bytes = self.bytes;
        self.head
            .fields
            .iter()
            .map(move |field: &Field| (field.name.of(bytes), field.value.of(bytes), field.known))
    }
    /// Values of the fields of that name (any case), whole lines: HAProxy's `fhdr()`.
    pub fn header<'n>(&self, name: &'n [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.fields()
            .filter(move |field| field.0.eq_ignore_ascii_case(name))
            .map(|field| field.1)
    }
    /// Elements of the fields of that name, split at commas outside quotes: HAProxy's `hdr()`.
    pub fn values<'n>(&self, name: &'n [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.header(name)
    }
}

/// A message and its edits, open for another edit. Every method sees the earlier edits.
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
    /// Replaces the path; authority and query stay.
    ///
    /// # Errors
    /// `Overflow` when the text arena is full; nothing was changed then. So for all below.
    pub fn set_path(&mut self, path: &[u8]) -> Result<(), Overflow> {
        let _ = path;
        Ok(())
    }
    /// Replaces what follows `?`; an empty query drops the `?`.
    ///
    /// # Errors
    /// `Overflow`.
    pub fn set_query(&mut self, query: &[u8]) -> Result<(), Overflow> {
        let _ = query;
        Ok(())
    }
    /// Replaces path and query; the authority stays.
    ///
    /// # Errors
    /// `Overflow`.
    pub fn set_pathq(&mut self, pathq: &[u8]) -> Result<(), Overflow> {
        let _ = pathq;
        Ok(())
    }
    /// Replaces the whole target.
    ///
    /// # Errors
    /// `Overflow`.
    pub fn set_uri(&mut self, uri: &[u8]) -> Result<(), Overflow> {
        let _ = uri;
        Ok(())
    }
    /// Replaces the method.
    ///
    /// # Errors
    /// `Overflow`.
    pub fn set_method(&mut self, method: &[u8]) -> Result<(), Overflow> {
        let _ = method;
        Ok(())
    }
    /// Replaces status and, unless `None`, the reason (the standard phrase when `None`).
    ///
    /// # Errors
    /// `Overflow`.
    pub fn set_status(&mut self, status: u16, reason: Option<&[u8]>) -> Result<(), Overflow> {
        let _ = (status, reason);
        Ok(())
    }
    /// Appends a field.
    ///
    /// # Errors
    /// `Overflow`.
    pub fn add_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Overflow> {
        let _ = (name, value);
        Ok(())
    }
    /// Removes every field whose name the matcher takes; says how many.
    pub fn del_header(&mut self, matches: impl FnMut(&[u8]) -> bool) -> usize {
        let _ = matches;
        0
    }
    /// Removes all fields of that name and appends one.
    ///
    /// # Errors
    /// `Overflow`.
    pub fn set_header(&mut self, name: &[u8], value: &[u8]) -> Result<(), Overflow> {
        let _ = (name, value);
        Ok(())
    }
    /// Calls `change` for each whole value of the fields of that name; it writes the new value
    /// into the arena's end and returns true, or returns false to leave the value.
    ///
    /// # Errors
    /// `Overflow`.
    pub fn replace_header(
        &mut self,
        name: &[u8],
        change: impl FnMut(&[u8], &mut Vec<u8>) -> bool,
    ) -> Result<(), Overflow> {
        let _ = (name, change);
        Ok(())
    }
    /// Like `replace_header` for each comma-separated element.
    ///
    /// # Errors
    /// `Overflow`.
    pub fn replace_value(
        &mut self,
        name: &[u8],
        change: impl FnMut(&[u8], &mut Vec<u8>) -> bool,
    ) -> Result<(), Overflow> {
        let _ = (name, change);
        Ok(())
    }
}

/// What `render` appends as `connection:`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Persistence {
    /// Nothing is said.
    #[default]
    Unsaid,
    /// `connection: close`
    Close,
    /// `connection: keep-alive`
    KeepAlive,
}

/// How the body is announced in an outgoing head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Announce {
    /// Framing fields as received (Content-Length written once).
    #[default]
    AsReceived,
    /// Content-Length is left out, Transfer-Encoding stays (`Framing::drop_length`).
    DropLength,
    /// Exactly one `Content-Length`.
    Length(u64),
    /// Exactly one `Transfer-Encoding: chunked`.
    Chunked,
    /// No framing field (body until close, or none).
    Nothing,
}

/// How a head leaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outgoing {
    /// The minor version to write: the sender's for requests, 1 for answers.
    pub minor: u8,
    /// How the body is announced.
    pub announce: Announce,
    /// The `connection:` field to append.
    pub persistence: Persistence,
    /// An upgrade or CONNECT head: the `upgrade` token of Connection stays.
    pub upgrade: bool,
}

/// Writes the outgoing head, closing blank line included; returns its length.
///
/// # Errors
/// `Overflow` when `out` is too small; what is in `out` then is meaningless.
pub fn render(message: &Message, how: &Outgoing, out: &mut [u8]) -> Result<usize, Overflow> {
    let _ = (message, how, out, Span::default());
    Ok(0)
}
