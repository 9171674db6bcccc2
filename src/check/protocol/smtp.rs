//! `option smtpchk`: the greeting, `HELO` or `EHLO`, `QUIT`; each answer must begin with a 2.

use super::{Judgement, first_line};
use crate::check::probe::Status;

/// What is said after the greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello(Vec<u8>);

impl Hello {
    /// `option smtpchk [hello domain]`: without a domain, or with another word than `HELO` and
    /// `EHLO`, it is `HELO localhost`.
    pub fn new(hello: &[u8], domain: &[u8]) -> Self {
        let mut line = match hello {
            b"HELO" | b"EHLO" if !domain.is_empty() => [hello, b" ", domain].concat(),
            _ => b"HELO localhost".to_vec(),
        };
        line.extend_from_slice(b"\r\n");
        Self(line)
    }

    pub(super) fn judge(&self, step: u8, input: &[u8], ended: bool) -> Judgement<'_> {
        // To `HELO` any number of lines may answer, and the last one decides; HAProxy waits for it
        // as long as it may. Greeting and farewell are judged by their first four bytes.
        if step != 2 && input.len() < 4 && !ended {
            return Judgement::Wait;
        }
        let (code, next) = (code(input), input.get(3));
        let good = code.is_some_and(|code| code / 100 == 2);
        match step {
            1 if code.is_none() || !matches!(next, Some(b' ' | b'\r')) => {
                Judgement::done(Status::L7Invalid, 0, first_line(input))
            }
            1 if good => Judgement::Say(&self.0),
            2 if lines_are_good(input) => Judgement::Say(b"QUIT\r\n"),
            2 if !ended => Judgement::Wait,
            3 if good && matches!(next, Some(b' ' | b'-' | b'\r')) => {
                Judgement::done(Status::L7Ok, code.unwrap_or(0), text(input))
            }
            _ => Judgement::done(Status::L7Status, code.unwrap_or(0), text(input)),
        }
    }
}

/// The three digits that an answer begins with.
fn code(input: &[u8]) -> Option<u32> {
    let digits = input.get(..3)?;
    let digits = std::str::from_utf8(digits).ok()?;
    match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => digits.parse().ok(),
        false => None,
    }
}

/// True once `250-this`, `250-that`, `250 end` is there.
fn lines_are_good(mut input: &[u8]) -> bool {
    while code(input).is_some_and(|code| code / 100 == 2) {
        let rest = match input.get(3..) {
            Some([b' ' | b'\r', ..]) => return true,
            Some([b'-', rest @ ..]) => rest,
            _ => return false,
        };
        let end = rest.iter().position(|byte| *byte == b'\r');
        match end.and_then(|at| rest.get(at..)) {
            Some([b'\r', b'\n', next @ ..]) => input = next,
            _ => return false,
        }
    }
    false
}

/// What follows the code on the first line.
fn text(input: &[u8]) -> &[u8] {
    let mut text = input.get(4..).unwrap_or_default();
    while let [b' ', rest @ ..] = text {
        text = rest;
    }
    first_line(text)
}
