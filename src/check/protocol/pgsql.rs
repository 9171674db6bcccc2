//! `option pgsql-check`: a startup message, to which the server answers how it wants a password (or
//! that it wants none), or with an error.

use super::{Judgement, to_nul};
use crate::check::probe::Status;

/// The startup message of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Startup(Vec<u8>);

/// Protocol 3.0.
const VERSION: &[u8] = b"\0\x03\0\0";
/// The longest name of a user that is taken, far above what a server takes.
const USER_MAX: usize = 4096;
/// An error message is no longer than this; a length above it is not one of the protocol.
const ERROR_MAX: usize = 16_384;

impl Startup {
    /// `user NAME`; `None` when the name is too long.
    pub fn new(user: &[u8]) -> Option<Self> {
        if user.len() > USER_MAX {
            return None;
        }
        let body = [VERSION, b"user\0", user, b"\0\0"].concat();
        let len = u32::try_from(body.len().checked_add(4)?).ok()?;
        Some(Self([len.to_be_bytes().as_slice(), &body].concat()))
    }

    pub(super) fn message(&self) -> &[u8] {
        &self.0
    }
}

pub(super) fn judge(input: &[u8], ended: bool) -> Judgement<'static> {
    match input {
        [b'E', a, b, c, d, fields @ ..] => {
            let len = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX);
            let whole = fields.get(1..).is_some_and(|text| text.contains(&0));
            if !whole && !ended && len <= ERROR_MAX && fields.len().saturating_add(4) < len {
                return Judgement::Wait;
            }
            // The first field is the severity: its letter, and its text.
            Judgement::done(
                Status::L7Invalid,
                0,
                to_nul(fields.get(1..).unwrap_or_default()),
            )
        }
        [b'E', ..] if ended => Judgement::done(Status::L7Invalid, 0, b""),
        // A length below 256, and one of the kinds of authentication.
        [b'R', 0, 0, 0, _, 0, 0, 0, 0..=12, ..] => {
            Judgement::done(Status::L7Ok, 0, b"PostgreSQL server is ok")
        }
        _ if input.len() < 9 && !ended => Judgement::Wait,
        _ => Judgement::done(Status::L7Status, 0, b"PostgreSQL unknown error"),
    }
}
