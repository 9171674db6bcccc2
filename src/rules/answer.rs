//! Answers that rules give: deny, return, redirect.

use super::Context;
use super::fetch::Scratch;

/// Which action gave the answer; the log says `PR--` for a denial and `LR--` for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `deny`.
    Deny,
    /// `return`.
    Return,
    /// `redirect`.
    Redirect,
}

/// The answer of a final rule.
#[derive(Debug)]
pub struct Final {
    /// Which action gave it.
    pub kind: Kind,
    status: u16,
}

/// What `Final::render` wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Status of the answer.
    pub status: u16,
    /// Bytes of the head at the front of what was written; the rest is the body, to be left out
    /// in an answer to HEAD.
    pub head_len: usize,
    /// What the log's BYTES field says of head and body when all is delivered.
    pub logged_bytes: u64,
    /// The same without the body.
    pub logged_head_bytes: u64,
    /// The client connection ends after it.
    pub closes: bool,
}

impl Final {
    /// The status whose usual error answer (the proxy's errorfile or the built-in one) is to be
    /// given; `None` when `render` makes the answer.
    #[must_use]
    pub fn error_status(&self) -> Option<u16> {
        Some(self.status)
    }

    /// Appends the answer to `out`, head first. It has no `connection:` field and no blank line
    /// missing; the engine gives the persistence by `closes` of its own.
    pub fn render<C: Context>(
        &self,
        context: &C,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Rendered {
        let _ = (context, scratch, out);
        Rendered {
            status: self.status,
            head_len: 0,
            logged_bytes: 0,
            logged_head_bytes: 0,
            closes: false,
        }
    }
}
