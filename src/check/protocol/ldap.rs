//! `option ldap-check`: an anonymous bind of LDAPv3, to which the server must answer `success`.

use super::Judgement;
use crate::check::probe::Status;

/// Message 1: bind, version 3, no name, no password.
pub(super) const BIND: &[u8] = b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0";
/// The shortest answer: the same length, by chance.
const ANSWER_MIN: usize = 14;

const SEQUENCE: &[u8] = b"\x30";
/// INTEGER 1, the number of our message.
const MESSAGE_ID: &[u8] = b"\x02\x01\x01";
const BIND_RESPONSE: &[u8] = b"\x61";
/// ENUMERATED, of one byte.
const RESULT: &[u8] = b"\x0a\x01";

pub(super) fn judge(input: &[u8], ended: bool) -> Judgement<'static> {
    if input.len() < ANSWER_MIN && !ended {
        return Judgement::Wait;
    }
    match result_code(input) {
        Ok(0) => Judgement::done(Status::L7Ok, 0, b"Success"),
        Ok(code) => Judgement::done(
            Status::L7Status,
            u32::from(code),
            b"See RFC: http://tools.ietf.org/html/rfc4511#section-4.1.9",
        ),
        Err(Fault::Foreign) => Judgement::done(Status::L7Invalid, 0, b"Not LDAPv3 protocol"),
        Err(Fault::Partial) if ended => Judgement::done(Status::L7Invalid, 0, b""),
        Err(Fault::Partial) => Judgement::Wait,
    }
}

/// Why there is no result.
enum Fault {
    /// It is no bind response to our message.
    Foreign,
    /// It may become one.
    Partial,
}

/// Reads `SEQUENCE { messageID 1, [APPLICATION 1] { resultCode, ... } }` (RFC 4511 §4.2.2).
fn result_code(input: &[u8]) -> Result<u8, Fault> {
    let rest = after(input, SEQUENCE)?;
    let (len, rest) = length(rest)?;
    let whole = rest.len() >= len;
    let rest = after(rest, MESSAGE_ID)?;
    let rest = after(rest, BIND_RESPONSE)?;
    let (_, rest) = length(rest)?;
    let rest = after(rest, RESULT)?;
    match rest.first() {
        Some(code) if whole => Ok(*code),
        _ => Err(Fault::Partial),
    }
}

/// What follows bytes that must be there.
fn after<'a>(input: &'a [u8], wanted: &[u8]) -> Result<&'a [u8], Fault> {
    match input.strip_prefix(wanted) {
        Some(rest) => Ok(rest),
        None if wanted.starts_with(input) => Err(Fault::Partial),
        None => Err(Fault::Foreign),
    }
}

/// A length in BER, of one byte or in a long form of up to four, and what follows it.
fn length(input: &[u8]) -> Result<(usize, &[u8]), Fault> {
    let (first, rest) = input.split_first().ok_or(Fault::Partial)?;
    let count = match first {
        0..=0x7f => return Ok((usize::from(*first), rest)),
        0x81..=0x84 => usize::from(first & 0x0f),
        _ => return Err(Fault::Foreign),
    };
    let (bytes, rest) = rest.split_at_checked(count).ok_or(Fault::Partial)?;
    let len = bytes
        .iter()
        .fold(0_usize, |len, byte| (len << 8) | usize::from(*byte));
    Ok((len, rest))
}
