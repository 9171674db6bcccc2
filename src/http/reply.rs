//! Answers that oneloop gives itself: errors, redirects, returns; rendered at load if constant.

use super::rewrite::{Message, Overflow};

/// A constant answer, rendered at load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Status of the answer.
    pub status: u16,
    /// The head as sent, closing blank line included.
    pub head: Vec<u8>,
    /// The body; left out in answers to HEAD.
    pub body: Vec<u8>,
    /// What the log's BYTES field says when it was delivered.
    pub logged_bytes: u64,
    /// The connection ends after it.
    pub closes: bool,
}

/// What is wrong with an errorfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// For the diagnostic.
    pub reason: &'static str,
}

impl Reply {
    /// The built-in answer of that status; of 500 for a status that has none.
    #[must_use]
    pub fn builtin(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }
    /// The raw built-in answer given below the HTTP layer (400 and 408 to unreadable requests).
    #[must_use]
    pub fn raw(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }
    /// An `errorfile` as HAProxy re-emits it.
    ///
    /// # Errors
    /// What keeps the file from being an answer.
    pub fn from_errorfile(bytes: &[u8]) -> Result<Self, Problem> {
        let _ = bytes;
        Ok(Self::default())
    }
}

/// The standard reason phrase as HAProxy writes it.
#[must_use]
pub fn reason(status: u16) -> &'static str {
    let _ = status;
    "Other"
}

/// What the log counts for an answer's head: see `LOGGED_END`.
#[must_use]
pub fn logged_head_bytes(message: &Message) -> u64 {
    let _ = message;
    0
}

/// Writes a `return` answer: status line, length, type, extra fields, blank line; the body is
/// the caller's to send after it.
///
/// # Errors
/// `Overflow` when `out` is too small.
pub fn return_head(
    status: u16,
    content_type: Option<&[u8]>,
    length: u64,
    fields: &[(&[u8], &[u8])],
    out: &mut Vec<u8>,
) -> Result<(), Overflow> {
    let _ = (status, content_type, length, fields, out);
    Ok(())
}
