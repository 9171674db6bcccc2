//! The header of the PROXY protocol, by which a proxy before us introduces a client, and by which
//! we introduce one to a server (proxy-protocol.txt, versions 1 and 2).
//!
//! [`parse`] looks at what has come so far and says what it is: more is to come, a whole header, or
//! nothing that may be believed. It says no as soon as nothing that could follow would help, so a
//! header may come in pieces and a stranger is not waited for. What it takes is what HAProxy 2.6
//! takes, except numbers that are too large or left out; the reasons have HAProxy's numbers.
//! [`write()`] puts a header together in the form that a `server` line asks for.
//!
//! Must never: read an address out of anything but a whole and valid header.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::addr::{Address, write_decimal};

/// What a header of version 1 begins with.
const WORD: &[u8] = b"PROXY ";
/// The longest line of version 1, its end included.
const LINE_MAX: usize = 107;
/// What a header of version 2 begins with.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// What stands before the addresses in version 2.
const FIXED: usize = 16;
/// A connection of the sender's own, which introduces nobody.
const LOCAL: u8 = 0x20;
/// A connection on behalf of a client.
const PROXY: u8 = 0x21;
const NO_FAMILY: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const TYPE_AUTHORITY: u8 = 0x02;
const TYPE_CRC32C: u8 = 0x03;
const TYPE_UNIQUE_ID: u8 = 0x05;
const TYPE_TLS: u8 = 0x20;
/// The longest name that a client may have asked for.
const AUTHORITY_MAX: usize = 255;
/// The longest unique id.
const UNIQUE_ID_MAX: usize = 128;
/// What is said of a client that did not use TLS: no flag, and a certificate not verified.
const NO_TLS: [u8; 8] = [TYPE_TLS, 0, 5, 0, 0, 0, 0, 0];

/// Why a connection that should have begun with a header is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was closed before any byte came.
    Closed,
    /// It broke.
    Failed,
    /// Nothing whole came in time.
    Late,
    /// It was closed within a header, or the header is longer than may be.
    Truncated,
    /// What came is no header.
    Foreign,
    /// A header that says what it may not say.
    Invalid,
    /// A header for another protocol.
    Unhandled,
}

impl Refusal {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Closed,
        Self::Failed,
        Self::Late,
        Self::Truncated,
        Self::Foreign,
        Self::Invalid,
        Self::Unhandled,
    ];

    /// The number that `fc_err` gives.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Closed => 11,
            Self::Failed => 12,
            Self::Late => 13,
            Self::Truncated => 14,
            Self::Foreign => 15,
            Self::Invalid => 16,
            Self::Unhandled => 17,
        }
    }

    /// What `fc_err_str` says of such a number; 0 is no refusal.
    #[must_use]
    pub fn text_of(number: i64) -> Option<&'static str> {
        if number == 0 {
            return Some("Success");
        }
        let is_it = |why: &&Self| i64::from(why.number()) == number;
        Self::ALL.iter().find(is_it).map(|why| why.text())
    }

    /// The words of the log.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Closed => "Connection closed while waiting for PROXY protocol header",
            Self::Failed => "Connection error while waiting for PROXY protocol header",
            Self::Late => "Timeout while waiting for PROXY protocol header",
            Self::Truncated => "Truncated PROXY protocol header received",
            Self::Foreign => "Received something which does not look like a PROXY protocol header",
            Self::Invalid => "Received an invalid PROXY protocol header",
            Self::Unhandled => "Received an unhandled protocol in the PROXY protocol header",
        }
    }
}

/// What a whole header said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// How long it is.
    pub length: usize,
    /// Source and destination; none where the connection's own hold.
    pub addresses: Option<(Address, Address)>,
    /// The name that the client asked for, empty when nothing was said.
    pub authority: &'a [u8],
    /// The id of the connection, empty likewise.
    pub unique_id: &'a [u8],
}

/// What has come so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// The beginning of a header.
    Partial,
    /// A header, and perhaps more behind it.
    Complete(Header<'a>),
    /// Nothing that could become a header.
    Refused(Refusal),
}

/// Looks at the first bytes of a connection; a header longer than `most` is refused.
#[must_use]
pub fn parse(bytes: &[u8], most: usize) -> Parsed<'_> {
    let result = match bytes.first() {
        None => return Parsed::Partial,
        Some(b'P') => line(bytes),
        Some(_) => binary(bytes, most),
    };
    match result {
        Ok(header) => Parsed::Complete(header),
        Err(Stop::Partial) => Parsed::Partial,
        Err(Stop::Refused(why)) => Parsed::Refused(why),
    }
}

/// Why parsing did not come to the end of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Partial,
    Refused(Refusal),
}

const INVALID: Stop = Stop::Refused(Refusal::Invalid);

/// A line of version 1, read from left to right.
struct Line<'a> {
    rest: &'a [u8],
    /// What reading stops with at the end of what is here.
    end: Stop,
}

impl Line<'_> {
    fn peek(&self) -> Result<u8, Stop> {
        self.rest.first().copied().ok_or(self.end)
    }

    fn skip(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    fn require(&mut self, byte: u8) -> Result<(), Stop> {
        if self.peek()? != byte {
            return Err(INVALID);
        }
        self.skip();
        Ok(())
    }

    /// A decimal number up to `most`; leading zeros count for nothing.
    fn number<T: TryFrom<u32>>(&mut self, most: u32) -> Result<T, Stop> {
        let mut number = None;
        loop {
            match self.peek()? {
                byte @ b'0'..=b'9' => {
                    let digit = u32::from(byte & 15);
                    let longer = number.unwrap_or(0_u32).saturating_mul(10);
                    let longer = longer.saturating_add(digit);
                    if longer > most {
                        return Err(INVALID);
                    }
                    number = Some(longer);
                    self.skip();
                }
                _ => {
                    let number = number.and_then(|number| T::try_from(number).ok());
                    return number.ok_or(INVALID);
                }
            }
        }
    }

    fn v4(&mut self) -> Result<IpAddr, Stop> {
        let mut octets = [0; 4];
        for (n, octet) in octets.iter_mut().enumerate() {
            if n > 0 {
                self.require(b'.')?;
            }
            *octet = self.number(255)?;
        }
        Ok(Ipv4Addr::from(octets).into())
    }

    fn v6(&mut self) -> Result<IpAddr, Stop> {
        let is_of_it = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
        let length = self.rest.iter().take_while(|byte| is_of_it(byte)).count();
        let (text, rest) = self.rest.split_at_checked(length).unwrap_or_default();
        if rest.is_empty() {
            return Err(self.end);
        }
        self.rest = rest;
        let text = std::str::from_utf8(text).map_err(|_| INVALID)?;
        let ip: Ipv6Addr = text.parse().map_err(|_| INVALID)?;
        Ok(ip.into())
    }
}

/// Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n`.
fn line(bytes: &[u8]) -> Result<Header<'_>, Stop> {
    let whole = bytes.get(..LINE_MAX).unwrap_or(bytes);
    let end = match bytes.len() < LINE_MAX {
        true => Stop::Partial,
        false => Stop::Refused(Refusal::Truncated),
    };
    let rest = begins_with(whole, WORD, Refusal::Foreign)?;
    let mut protocols = [&b"TCP4 "[..], b"TCP6 ", b"UNKNOWN\r\n"].into_iter();
    let Some(protocol) = protocols.find(|name| begins_with(rest, name, Refusal::Unhandled).is_ok())
    else {
        let mut protocols = [&b"TCP4 "[..], b"TCP6 ", b"UNKNOWN\r\n"].into_iter();
        let may_become = protocols.any(|name| name.starts_with(rest));
        return Err(match may_become {
            true => Stop::Partial,
            false => Stop::Refused(Refusal::Unhandled),
        });
    };
    let mut line = Line {
        rest: rest.get(protocol.len()..).unwrap_or_default(),
        end,
    };
    let addresses = match protocol {
        b"TCP4 " => Some(four(&mut line, Line::v4)?),
        b"TCP6 " => Some(four(&mut line, Line::v6)?),
        _ => None,
    };
    Ok(Header {
        length: whole.len().saturating_sub(line.rest.len()),
        addresses,
        authority: b"",
        unique_id: b"",
    })
}

/// The four words behind a protocol, and the end of the line.
fn four<'a>(
    line: &mut Line<'a>,
    address: fn(&mut Line<'a>) -> Result<IpAddr, Stop>,
) -> Result<(Address, Address), Stop> {
    let most = u32::from(u16::MAX);
    let source = address(line)?;
    line.require(b' ')?;
    let destination = address(line)?;
    line.require(b' ')?;
    let source_port = line.number(most)?;
    line.require(b' ')?;
    let destination_port = line.number(most)?;
    line.require(b'\r')?;
    line.require(b'\n')?;
    Ok((
        Address::new(source, source_port),
        Address::new(destination, destination_port),
    ))
}

/// What stands behind `wanted`, as far as it is here.
fn begins_with<'a>(bytes: &'a [u8], wanted: &[u8], otherwise: Refusal) -> Result<&'a [u8], Stop> {
    match bytes.strip_prefix(wanted) {
        Some(rest) => Ok(rest),
        None if wanted.starts_with(bytes) => Err(Stop::Partial),
        None => Err(Stop::Refused(otherwise)),
    }
}

/// Version 2: a signature, what it is about, how long it is, addresses, and values with types.
fn binary(bytes: &[u8], most: usize) -> Result<Header<'_>, Stop> {
    let rest = begins_with(bytes, SIGNATURE, Refusal::Foreign)?;
    let &version = rest.first().ok_or(Stop::Partial)?;
    if version & 0xf0 != LOCAL & 0xf0 {
        return Err(Stop::Refused(Refusal::Foreign));
    }
    let (&[_, family, high, low], rest) = rest.split_first_chunk().ok_or(Stop::Partial)?;
    let behind = usize::from(u16::from_be_bytes([high, low]));
    let length = FIXED.saturating_add(behind);
    if length > most {
        return Err(Stop::Refused(Refusal::Truncated));
    }
    let payload = rest.get(..behind).ok_or(Stop::Partial)?;
    let mut header = Header {
        length,
        addresses: None,
        authority: b"",
        unique_id: b"",
    };
    let values = match (version, family) {
        // What else it says is about nobody.
        (LOCAL, _) => return Ok(header),
        (PROXY, TCP4) => {
            let (source, rest) = payload.split_first_chunk::<4>().ok_or(INVALID)?;
            let (destination, rest) = rest.split_first_chunk::<4>().ok_or(INVALID)?;
            let both = (IpAddr::from(*source), IpAddr::from(*destination));
            with_ports(&mut header, both, rest)?
        }
        (PROXY, TCP6) => {
            let (source, rest) = payload.split_first_chunk::<16>().ok_or(INVALID)?;
            let (destination, rest) = rest.split_first_chunk::<16>().ok_or(INVALID)?;
            let both = (IpAddr::from(*source), IpAddr::from(*destination));
            with_ports(&mut header, both, rest)?
        }
        _ => return Err(INVALID),
    };
    read_values(&mut header, bytes, values)?;
    Ok(header)
}

/// Notes the addresses with the ports that follow them; gives what is behind.
fn with_ports<'a>(
    header: &mut Header<'a>,
    (source, destination): (IpAddr, IpAddr),
    rest: &'a [u8],
) -> Result<&'a [u8], Stop> {
    let (&[a, b, c, d], rest) = rest.split_first_chunk().ok_or(INVALID)?;
    header.addresses = Some((
        Address::new(source, u16::from_be_bytes([a, b])),
        Address::new(destination, u16::from_be_bytes([c, d])),
    ));
    Ok(rest)
}

/// The values behind the addresses. Of two of a type the last one holds.
fn read_values<'a>(
    header: &mut Header<'a>,
    bytes: &'a [u8],
    mut values: &'a [u8],
) -> Result<(), Stop> {
    let whole = bytes.get(..header.length).unwrap_or_default();
    while !values.is_empty() {
        let (&[kind, high, low], rest) = values.split_first_chunk().ok_or(INVALID)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, rest) = rest.split_at_checked(length).ok_or(INVALID)?;
        match kind {
            TYPE_AUTHORITY if length > AUTHORITY_MAX => return Err(INVALID),
            TYPE_AUTHORITY => header.authority = value,
            TYPE_UNIQUE_ID if length > UNIQUE_ID_MAX => return Err(INVALID),
            TYPE_UNIQUE_ID => header.unique_id = value,
            TYPE_CRC32C => {
                let told = value.try_into().ok().map(u32::from_be_bytes);
                let behind = rest.len();
                let before = whole.len().saturating_sub(behind.saturating_add(length));
                let before = whole.get(..before).unwrap_or_default();
                // It is reckoned with its own place empty.
                let sum = crc32c(crc32c(crc32c(!0, before), &[0; 4]), rest);
                if told != Some(!sum) {
                    return Err(INVALID);
                }
            }
            _ => {}
        }
        values = rest;
    }
    Ok(())
}

/// How a header is to be sent (`send-proxy`, `send-proxy-v2`, `proxy-v2-options`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form(u16);

impl Form {
    /// Version 1, unless [`Self::V2`] is there, too.
    pub const V1: Self = Self(1);
    /// Version 2.
    pub const V2: Self = Self(1 << 1);
    /// With what is known of the client's TLS.
    pub const TLS: Self = Self(1 << 2);
    /// With the name in its certificate.
    pub const COMMON_NAME: Self = Self(1 << 3);
    /// With the cipher.
    pub const CIPHER: Self = Self(1 << 4);
    /// With the algorithm that signed its certificate.
    pub const CERT_SIGNATURE: Self = Self(1 << 5);
    /// With the algorithm of its key.
    pub const CERT_KEY: Self = Self(1 << 6);
    /// With a checksum.
    pub const CRC32C: Self = Self(1 << 7);
    /// With the name that the client asked for.
    pub const AUTHORITY: Self = Self(1 << 8);
    /// With the unique id.
    pub const UNIQUE_ID: Self = Self(1 << 9);

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This without the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether anything of the other is in it.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// No header is sent at all. As in HAProxy any word asks for one, also an option of version 2
    /// on its own, which then goes out as version 1.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// Whom a header introduces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Guest<'a> {
    /// Source and destination of the client's connection; none for a connection of our own.
    pub addresses: Option<(Address, Address)>,
    /// The name that the client asked for.
    pub authority: &'a [u8],
    /// The unique id; none for a connection of our own.
    pub unique_id: Option<&'a [u8]>,
}

/// Appends a header.
pub fn write(out: &mut Vec<u8>, form: Form, guest: &Guest<'_>) {
    match form.has(Form::V2) {
        true => write_binary(out, form, guest),
        false => write_line(out, guest),
    }
}

fn write_line(out: &mut Vec<u8>, guest: &Guest<'_>) {
    let (source, destination) = match guest.addresses {
        Some(both @ (Address::V4(..), Address::V4(..))) => {
            out.extend_from_slice(b"PROXY TCP4 ");
            both
        }
        Some(both @ (Address::V6(..), Address::V6(..))) => {
            out.extend_from_slice(b"PROXY TCP6 ");
            both
        }
        _ => return out.extend_from_slice(b"PROXY UNKNOWN\r\n"),
    };
    for address in [source, destination] {
        address.write_ip(out);
        out.push(b' ');
    }
    write_decimal(out, u64::from(source.port()));
    out.push(b' ');
    write_decimal(out, u64::from(destination.port()));
    out.extend_from_slice(b"\r\n");
}

fn write_binary(out: &mut Vec<u8>, form: Form, guest: &Guest<'_>) {
    let start = out.len();
    out.extend_from_slice(SIGNATURE);
    let both = guest.addresses.unwrap_or_default();
    match both {
        (Address::V4(source, _), Address::V4(destination, _)) => {
            out.extend_from_slice(&[PROXY, TCP4, 0, 0]);
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
        }
        (Address::V6(source, _), Address::V6(destination, _)) => {
            out.extend_from_slice(&[PROXY, TCP6, 0, 0]);
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
        }
        _ => out.extend_from_slice(&[LOCAL, NO_FAMILY, 0, 0]),
    }
    if out.len().saturating_sub(start) > FIXED {
        out.extend_from_slice(&both.0.port().to_be_bytes());
        out.extend_from_slice(&both.1.port().to_be_bytes());
    }
    let checked = form.has(Form::CRC32C).then(|| {
        write_value(out, TYPE_CRC32C, &[0; 4]);
        out.len().saturating_sub(4)
    });
    if form.has(Form::AUTHORITY) && !guest.authority.is_empty() {
        write_value(out, TYPE_AUTHORITY, guest.authority);
    }
    if form.has(Form::UNIQUE_ID)
        && let Some(id) = guest.unique_id
    {
        write_value(out, TYPE_UNIQUE_ID, id);
    }
    if form.has(Form::TLS) {
        out.extend_from_slice(&NO_TLS);
    }
    let behind = out.len().saturating_sub(start).saturating_sub(FIXED);
    let behind = u16::try_from(behind).unwrap_or(u16::MAX).to_be_bytes();
    put(out, start.saturating_add(FIXED).saturating_sub(2), &behind);
    if let Some(at) = checked {
        let sum = !crc32c(!0, out.get(start..).unwrap_or_default());
        put(out, at, &sum.to_be_bytes());
    }
}

/// Overwrites bytes that are there.
fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    let places = out.iter_mut().skip(at);
    places.zip(bytes).for_each(|(place, byte)| *place = *byte);
}

/// Appends a value with its type. What is too long for its length is cut.
fn write_value(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let most = match kind {
        TYPE_UNIQUE_ID => UNIQUE_ID_MAX,
        _ => AUTHORITY_MAX,
    };
    let value = value.get(..most).unwrap_or(value);
    out.push(kind);
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
}

/// The checksum of RFC 3720 for each byte, its bits the other way round.
#[expect(
    clippy::indexing_slicing,
    reason = "the index ends where the table does"
)]
const CRC32C: [u32; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        let mut sum = n as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = sum >> 1 ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 };
            bit += 1;
        }
        table[n] = sum;
        n += 1;
    }
    table
};

/// Goes on with a checksum; it begins with all bits set and is inverted at the end.
fn crc32c(sum: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(sum, |sum, byte| {
        let at = (sum ^ u32::from(*byte)) & 0xff;
        sum >> 8 ^ CRC32C.get(at as usize).copied().unwrap_or_default()
    })
}

#[cfg(test)]
mod tests;
