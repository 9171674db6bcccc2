//! The first message of a TLS client, as far as it says where the client wants to go (RFC 8446
//! §4.1.2, RFC 6066 §3, RFC 7301 §3.1).
//!
//! Nothing is decrypted: a ClientHello is in the clear, and is read where it lies. What has not
//! come yet is [`Found::NotYet`], so that an inspection waits for it; what is something else is
//! [`Found::Nothing`] as early as that is certain. A hello that is cut over several records is not
//! put together, as in HAProxy.
//!
//! Must never: panic or allocate, whatever the bytes are.

/// What was found in bytes that may be only the first of those to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// It is there.
    Here(T),
    /// More bytes may bring it.
    NotYet,
    /// It will not come.
    Nothing,
}

impl<T> Found<T> {
    /// What is there.
    pub fn here(self) -> Option<T> {
        match self {
            Self::Here(value) => Some(value),
            Self::NotYet | Self::Nothing => None,
        }
    }
}

/// The header of a record: type, version, length.
const RECORD: usize = 5;

/// The header of a handshake message: type, length.
const HANDSHAKE: usize = 4;

/// Where the message of the first record begins.
const MESSAGE: usize = RECORD + HANDSHAKE;

/// The types of records that TLS has (RFC 8446 §5.1); a handshake is the third.
const TYPES: std::ops::RangeInclusive<u8> = 20..=23;
const HANDSHAKE_RECORD: u8 = 22;

/// The type of a ClientHello among handshake messages.
const CLIENT_HELLO: u8 = 1;

/// The shortest ClientHello with an extension: version, random, session id, one cipher suite, one
/// compression method, the length of the extensions, and of them one that is empty but for itself.
const HELLO_MIN: usize = 2 + 32 + 1 + 2 + 2 + 1 + 1 + 2 + 2;

/// The longest session id.
const SESSION_ID_MAX: u8 = 32;

/// The extension that names the server, and the one that lists protocols.
const SERVER_NAME: u16 = 0;
const PROTOCOLS: u16 = 16;

/// Reads numbers and vectors off the front of a message.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn short(&mut self) -> Option<u16> {
        let bytes = self.take(2)?.try_into().ok()?;
        Some(u16::from_be_bytes(bytes))
    }

    /// What a length of one byte stands before.
    fn vector(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?;
        self.take(usize::from(length))
    }

    /// What a length of two bytes stands before.
    fn long_vector(&mut self) -> Option<&'a [u8]> {
        let length = self.short()?;
        self.take(usize::from(length))
    }
}

/// The length that a handshake message says it has.
fn handshake_length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(RECORD + 1..MESSAGE)?;
    Some(
        length
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
    )
}

/// The length that a record says it has.
fn record_length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(3..RECORD)?.try_into().ok()?;
    Some(usize::from(u16::from_be_bytes(length)))
}

/// The type of the handshake message that the bytes begin with, once it is whole (1 is a
/// ClientHello).
#[must_use]
pub fn hello_type(bytes: &[u8]) -> Found<u8> {
    let Some(first) = bytes.first() else {
        return Found::NotYet;
    };
    if !TYPES.contains(first) {
        return Found::Nothing;
    }
    let message = bytes.get(MESSAGE..);
    let (Some(message), Some(length)) = (message, handshake_length(bytes)) else {
        return Found::NotYet;
    };
    let is_modern = bytes.get(1).is_some_and(|major| *major >= 3);
    if !is_modern || record_length(bytes).is_none_or(|length| length < HANDSHAKE) {
        return Found::Nothing;
    }
    match bytes.get(RECORD) {
        Some(kind) if message.len() >= length => Found::Here(*kind),
        _ => Found::NotYet,
    }
}

/// The extensions of the ClientHello that the bytes begin with.
fn extensions(bytes: &[u8]) -> Found<Reader<'_>> {
    let length = handshake_length(bytes);
    let asked = [
        bytes.first().map(|kind| *kind == HANDSHAKE_RECORD),
        // HAProxy looks at the version once both of its numbers are there.
        bytes.get(1..3).map(|version| version.first() >= Some(&3)),
        record_length(bytes).map(|length| length >= HELLO_MIN.saturating_add(HANDSHAKE)),
        bytes.get(RECORD).map(|kind| *kind == CLIENT_HELLO),
        length.map(|length| length >= HELLO_MIN),
        // HAProxy is content when the last four bytes are missing, and reads on behind them.
        length.and_then(|length| bytes.get(MESSAGE..)?.get(..length).map(|_| true)),
    ];
    for is_right in asked {
        match is_right {
            Some(true) => {}
            Some(false) => return Found::Nothing,
            None => return Found::NotYet,
        }
    }
    let message = bytes.get(MESSAGE..).unwrap_or_default();
    match extensions_of(message, length.unwrap_or_default()) {
        Some(found) => Found::Here(found),
        None => Found::Nothing,
    }
}

/// The extensions of a ClientHello of that length.
fn extensions_of(message: &[u8], length: usize) -> Option<Reader<'_>> {
    let mut reader = Reader(message.get(..length)?);
    let (major, minor) = (reader.byte()?, reader.byte()?);
    if major < 3 || minor < 1 {
        return None;
    }
    reader.take(32)?;
    if reader.vector()?.len() > usize::from(SESSION_ID_MAX) {
        return None;
    }
    if reader.long_vector()?.len() < 2 || reader.vector()?.is_empty() {
        return None;
    }
    let length = usize::from(reader.short()?);
    reader.take(length).filter(|_| length >= 2).map(Reader)
}

/// What the first extension of that kind says, where `read` finds anything in it; `Err` ends the
/// search.
fn extension<'a>(
    bytes: &'a [u8],
    wanted: u16,
    read: impl Fn(&'a [u8]) -> Result<Option<&'a [u8]>, ()>,
) -> Found<&'a [u8]> {
    let mut left = match extensions(bytes) {
        Found::Here(reader) => reader,
        Found::NotYet => return Found::NotYet,
        Found::Nothing => return Found::Nothing,
    };
    while let Some(kind) = left.short() {
        let Some(length) = left.short().map(usize::from) else {
            break;
        };
        let Some(body) = left.take(length) else {
            break;
        };
        if kind != wanted {
            continue;
        }
        match read(body) {
            Ok(Some(found)) => return Found::Here(found),
            Ok(None) => {}
            Err(()) => break,
        }
    }
    Found::Nothing
}

/// The name of the server that a TLS client asks for.
#[must_use]
pub fn server_name(bytes: &[u8]) -> Found<&[u8]> {
    extension(bytes, SERVER_NAME, |body| {
        let mut reader = Reader(body);
        let list = reader.short().map(usize::from).ok_or(())?;
        // A type, a length and one byte; the list may not be longer than what it lies in.
        if list < 4 || list > reader.0.len() {
            return Err(());
        }
        if reader.byte() != Some(0) {
            return Ok(None);
        }
        // HAProxy reads a name that is longer than its extension, whatever lies behind that.
        reader.long_vector().map(Some).ok_or(())
    })
}

/// The first protocol that a TLS client would speak.
#[must_use]
pub fn first_protocol(bytes: &[u8]) -> Found<&[u8]> {
    extension(bytes, PROTOCOLS, |body| {
        let mut reader = Reader(body);
        reader.short().ok_or(())?;
        reader.vector().map(Some).ok_or(())
    })
}

#[cfg(test)]
mod tests;
