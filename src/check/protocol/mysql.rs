//! `option mysql-check`: the server's handshake, and with a user its answer to a login.
//!
//! The login leaves as soon as there is a connection, without waiting for the handshake, and a
//! `QUIT` goes with it, so that the server sees a session that ended in good order.

use super::{Judgement, to_nul};
use crate::check::probe::Status;

/// A user without a password, as the packets that are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login(Vec<u8>);

/// `COM_QUIT`.
const QUIT: &[u8] = b"\x01\0\0\0\x01";
/// The most bytes of one packet.
const PACKET_MAX: usize = 0xff_ffff;

impl Login {
    /// `user NAME [post-41|pre-41]`; `None` when the name is longer than a packet may be.
    pub fn new(user: &[u8], before_41: bool) -> Option<Self> {
        let mut body = match before_41 {
            // Long passwords; no limit.
            true => b"\0\x80\0\0\x01".to_vec(),
            // Protocol 4.1 and its passwords, no limit, UTF-8, and what is reserved.
            false => [b"\0\x82\0\0\0\x80\0\x01\x21".as_slice(), &[0; 23]].concat(),
        };
        body.extend_from_slice(user);
        // The end of the name, and an empty password.
        body.extend_from_slice(b"\0\0");
        if body.len() > PACKET_MAX {
            return None;
        }
        let len = u32::try_from(body.len()).ok()?.to_le_bytes();
        let mut packets = len.get(..3)?.to_vec();
        packets.push(1);
        packets.extend_from_slice(&body);
        packets.extend_from_slice(QUIT);
        Some(Self(packets))
    }

    pub(super) fn packets(&self) -> &[u8] {
        &self.0
    }
}

pub(super) fn judge(logs_in: bool, input: &[u8], ended: bool) -> Judgement<'static> {
    let incomplete = || match ended {
        true => Judgement::done(Status::L7Invalid, 0, b""),
        false => Judgement::Wait,
    };
    let Some((handshake, rest)) = packet(input) else {
        return incomplete();
    };
    let version = match handshake {
        [0xff, error @ ..] => return refused(error),
        [_, version @ ..] => to_nul(version),
        [] => return Judgement::done(Status::L7Invalid, 0, b""),
    };
    if logs_in {
        let Some((answer, _)) = packet(rest) else {
            return incomplete();
        };
        match answer {
            [0xff, error @ ..] => return refused(error),
            [] => return Judgement::done(Status::L7Invalid, 0, b""),
            // Welcome, or a request for another kind of password: the user is known.
            _ => {}
        }
    }
    Judgement::done(Status::L7Ok, 0, version)
}

/// The body of the first packet, and what follows it.
fn packet(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = input.split_first_chunk::<4>()?;
    let [low, middle, high, _sequence] = *head;
    let len = u32::from_le_bytes([low, middle, high, 0]);
    rest.split_at_checked(usize::try_from(len).ok()?)
}

/// An error packet: its number and its text, with the SQL state where the server sends one.
fn refused(error: &[u8]) -> Judgement<'static> {
    let (code, text) = match error {
        [low, high, text @ ..] => (u16::from_le_bytes([*low, *high]), text),
        _ => (0, b"".as_slice()),
    };
    Judgement::done(Status::L7Status, u32::from(code), to_nul(text))
}
