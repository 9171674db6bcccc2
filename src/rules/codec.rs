//! Encodings of bytes as text and back: hexadecimal, base64, URL, JSON, what logs show; and
//! checksums.
//!
//! Pure functions from bytes to a buffer, in the forms that HAProxy's converters have. What is not
//! well formed gives nothing; nothing here panics or allocates beyond the buffer's growth.
//! Rejected: a crate for each of them, and a table for the CRC (it is not on a hot path).

use super::convert::Encoding;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// The upper-case digit of the low four bits.
#[expect(clippy::indexing_slicing, reason = "four bits are at most 15")]
fn digit(bits: u8) -> u8 {
    HEX[usize::from(bits & 15)]
}

/// Appends two upper-case digits.
pub(super) fn push_hex(byte: u8, out: &mut Vec<u8>) {
    out.push(digit(byte >> 4));
    out.push(digit(byte));
}

/// The bytes that a log shows as they are: printable ASCII without the `special` ones.
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "at compile time, within the tables"
)]
const fn plain(special: &[u8]) -> [bool; 256] {
    let mut plain = [false; 256];
    let mut byte = b' ';
    while byte < 0x7f {
        plain[byte as usize] = true;
        byte += 1;
    }
    let mut at = 0;
    while at < special.len() {
        plain[special[at] as usize] = false;
        at += 1;
    }
    plain
}

/// What is plain in a request line.
pub(super) static LINE: [bool; 256] = plain(b"\"#");
/// What is plain in a captured header.
pub(super) static CAPTURE: [bool; 256] = plain(b"\"#{|}");

/// Appends text with `#XX` for what is not plain.
pub(super) fn encode(text: &[u8], plain: &[bool; 256], out: &mut Vec<u8>) {
    let mut rest = text;
    // Mostly there is nothing to encode, and all of it is one run.
    while let Some(at) = rest
        .iter()
        .position(|byte| plain.get(usize::from(*byte)) != Some(&true))
    {
        let (clean, [byte, behind @ ..]) = rest.split_at(at) else {
            break;
        };
        out.extend_from_slice(clean);
        out.push(b'#');
        push_hex(*byte, out);
        rest = behind;
    }
    out.extend_from_slice(rest);
}

pub(super) fn hex_digits(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        push_hex(*byte, out);
    }
}

pub(super) fn join_hex(
    bytes: &[u8],
    separator: &[u8],
    size: usize,
    truncate: bool,
    out: &mut Vec<u8>,
) {
    if size == 0 {
        return hex_digits(bytes, out);
    }
    for (n, chunk) in bytes.chunks(size).enumerate() {
        if truncate && chunk.len() < size {
            break;
        }
        if n > 0 {
            out.extend_from_slice(separator);
        }
        hex_digits(chunk, out);
    }
}

pub(super) fn to_base64(bytes: &[u8], for_url: bool, out: &mut Vec<u8>) {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let letter = |index: u32| match (index & 63) as usize {
        62 => {
            if for_url {
                b'-'
            } else {
                b'+'
            }
        }
        63 => {
            if for_url {
                b'_'
            } else {
                b'/'
            }
        }
        index => LETTERS.get(index).copied().unwrap_or_default(),
    };
    for chunk in bytes.chunks(3) {
        let byte = |n: usize| u32::from(chunk.get(n).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (n, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            if n <= chunk.len() {
                out.push(letter(bits >> shift));
            } else if !for_url {
                out.push(b'=');
            }
        }
    }
}

/// The `user:password` of an `Authorization` field (RFC 7617 §2); `None` when it is of another
/// scheme or not base64.
#[must_use]
pub fn basic_credentials(field: &[u8]) -> Option<Vec<u8>> {
    let (scheme, rest) = field.split_at_checked(6)?;
    let mut given = Vec::new();
    let basic = scheme.eq_ignore_ascii_case(b"basic ");
    from_base64(rest.trim_ascii(), false, &mut given)?;
    basic.then_some(given)
}

/// Padding is required in plain base64 and refused in the URL form (RFC 4648 §5).
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a letter lies in the range it is matched with; a chunk has at most four; padding is text"
)]
pub(super) fn from_base64(text: &[u8], for_url: bool, out: &mut Vec<u8>) -> Option<()> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' if !for_url => Some(62),
        b'/' if !for_url => Some(63),
        b'-' if for_url => Some(62),
        b'_' if for_url => Some(63),
        _ => None,
    };
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    if !for_url && (!text.len().is_multiple_of(4) || padding > 2) {
        return None;
    }
    for chunk in text.get(..text.len() - padding)?.chunks(4) {
        let mut bits = 0_u32;
        for byte in chunk {
            bits = bits << 6 | u32::from(value(*byte)?);
        }
        bits <<= 6 * (4 - chunk.len());
        let count = match chunk.len() {
            4 => 3,
            3 => 2,
            2 => 1,
            _ => return None,
        };
        out.extend(bits.to_be_bytes().into_iter().skip(1).take(count));
    }
    Some(())
}

/// The byte that hexadecimal digits, and nothing else, stand for.
pub(super) fn hex_byte(digits: &[u8]) -> Option<u8> {
    // The library would take a sign.
    let digits = std::str::from_utf8(digits).ok()?;
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u8::from_str_radix(digits, 16).ok()
}

/// Undoes `%XX`; `+` is a blank in forms, which a query string is.
pub(super) fn url_decode(text: &[u8], form: bool, out: &mut Vec<u8>) -> Option<()> {
    let mut query = form;
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => {
                let digits;
                (digits, rest) = rest.split_at_checked(2)?;
                out.push(hex_byte(digits)?);
            }
            b'+' if query => out.push(b' '),
            _ => {
                query |= byte == b'?';
                out.push(byte);
            }
        }
    }
    Some(())
}

pub(super) fn url_encode(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(byte);
        } else {
            out.push(b'%');
            push_hex(byte, out);
        }
    }
}

/// Where the host ends: before the last colon that is not inside brackets.
pub(super) fn host_end(text: &[u8]) -> usize {
    let from = text.iter().rposition(|byte| *byte == b']').unwrap_or(0);
    text.iter()
        .rposition(|byte| *byte == b':')
        .filter(|at| *at >= from)
        .unwrap_or(text.len())
}

pub(super) fn to_json(text: &[u8], encoding: Encoding, out: &mut Vec<u8>) -> Option<()> {
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        if byte < 0x80 || encoding == Encoding::Ascii {
            json_char(u32::from(byte), out);
            rest = after;
            continue;
        }
        let character = rest
            .utf8_chunks()
            .next()
            .and_then(|chunk| chunk.valid().chars().next());
        match (character, encoding) {
            (Some(character), _) => {
                json_char(character as u32, out);
                rest = rest.get(character.len_utf8()..).unwrap_or_default();
                continue;
            }
            (None, Encoding::Utf8) => return None,
            (None, Encoding::Latin) => json_char(u32::from(byte), out),
            (None, _) => {}
        }
        rest = after;
    }
    Some(())
}

fn json_char(code: u32, out: &mut Vec<u8>) {
    match u8::try_from(code) {
        Ok(byte @ (b'"' | b'\\' | b'/')) => out.extend_from_slice(&[b'\\', byte]),
        Ok(8) => out.extend_from_slice(b"\\b"),
        Ok(12) => out.extend_from_slice(b"\\f"),
        Ok(b'\n') => out.extend_from_slice(b"\\n"),
        Ok(b'\r') => out.extend_from_slice(b"\\r"),
        Ok(b'\t') => out.extend_from_slice(b"\\t"),
        Ok(byte @ 0x20..0x7f) => out.push(byte),
        _ => {
            let mut units = [0; 2];
            let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            for unit in character.encode_utf16(&mut units) {
                out.extend_from_slice(b"\\u");
                for byte in unit.to_be_bytes() {
                    for bits in [byte >> 4, byte] {
                        out.push(digit(bits).to_ascii_lowercase());
                    }
                }
            }
        }
    }
}

/// Hex digits to bytes.
///
/// # Errors
/// HAProxy's words.
pub fn unhex(text: &[u8]) -> Result<Vec<u8>, String> {
    if !text.len().is_multiple_of(2) {
        return Err("an even number of hex digit is expected".to_owned());
    }
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .map(|digit| digit as u8)
            .ok_or_else(|| format!("an hex digit is expected (found '{}')", char::from(*byte)))
    };
    text.chunks(2)
        .map(|pair| match pair {
            [high, low] => Ok(digit(high)? << 4 | digit(low)?),
            _ => Ok(0),
        })
        .collect()
}
