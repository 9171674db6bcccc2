//! What is tried again when a server fails.

/// `option redispatch [N]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redispatch {
    /// Never leave the server.
    Off,
    /// On the last retry (`-1`, the plain form), or on every N-th (`N`), or N before the last
    /// (`-N`).
    Every(i32),
}

/// Why an attempt at a server has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The connection was not made, or broke before anything of the request had left.
    Connection,
    /// It ended before an answer's head was whole.
    Empty,
    /// What came is no answer.
    Junk,
    /// `timeout server` ran out before an answer's head was whole.
    Late,
    /// An answer with this status.
    Status(u16),
}

/// The failures after which a request is sent once more (`retry-on`, configuration.txt 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryOn(u16);

/// The statuses that may be named, each with a bit behind those of the other failures.
const STATUSES: [u16; 10] = [401, 403, 404, 408, 425, 500, 501, 502, 503, 504];
const FIRST_STATUS: u32 = 4;

impl Default for RetryOn {
    fn default() -> Self {
        Self::of(Failure::Connection)
    }
}

impl RetryOn {
    /// Nothing is tried again.
    pub const NONE: Self = Self(0);

    /// The failures that a word of the line stands for; `None` for an unknown one.
    #[must_use]
    pub fn named(word: &[u8]) -> Option<Self> {
        Some(match word {
            // Nothing is ever sent as early data here.
            b"none" | b"0rtt-rejected" => Self::NONE,
            b"conn-failure" => Self::of(Failure::Connection),
            b"empty-response" => Self::of(Failure::Empty),
            b"junk-response" => Self::of(Failure::Junk),
            b"response-timeout" => Self::of(Failure::Late),
            b"all-retryable-errors" => [
                Failure::Connection,
                Failure::Empty,
                Failure::Junk,
                Failure::Late,
                Failure::Status(500),
                Failure::Status(502),
                Failure::Status(503),
                Failure::Status(504),
            ]
            .into_iter()
            .fold(Self::NONE, |all, one| all.with(Self::of(one))),
            word => {
                let status = std::str::from_utf8(word).ok()?;
                let status = STATUSES.iter().find(|known| known.to_string() == status)?;
                Self::of(Failure::Status(*status))
            }
        })
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a failure is among them.
    #[must_use]
    pub fn contains(self, failure: Failure) -> bool {
        self.0 & Self::of(failure).0 != 0
    }

    /// Whether any is among them that comes after a request was sent, which must be kept for it.
    #[must_use]
    pub fn keeps_requests(self) -> bool {
        self.0 & !Self::of(Failure::Connection).0 != 0
    }

    fn of(failure: Failure) -> Self {
        let bit = match failure {
            Failure::Connection => Some(0),
            Failure::Empty => Some(1),
            Failure::Junk => Some(2),
            Failure::Late => Some(3),
            Failure::Status(status) => {
                let at = STATUSES.iter().position(|known| *known == status);
                at.map(|at| FIRST_STATUS.saturating_add(at as u32))
            }
        };
        Self(bit.and_then(|bit| 1_u16.checked_shl(bit)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(words: &[&str]) -> RetryOn {
        let words = words.iter().map(|word| RetryOn::named(word.as_bytes()));
        words.flatten().fold(RetryOn::NONE, RetryOn::with)
    }

    #[test]
    fn words_stand_for_failures() {
        for (words, failure, holds) in [
            (&["none"][..], Failure::Connection, false),
            (&["conn-failure"], Failure::Connection, true),
            (&["conn-failure"], Failure::Empty, false),
            (&["empty-response"], Failure::Empty, true),
            (&["junk-response", "504"], Failure::Junk, true),
            (&["junk-response", "504"], Failure::Status(504), true),
            (&["junk-response", "504"], Failure::Status(503), false),
            (&["response-timeout"], Failure::Late, true),
            (&["401"], Failure::Status(401), true),
            (&["401"], Failure::Status(200), false),
            (&["all-retryable-errors"], Failure::Late, true),
            (&["all-retryable-errors"], Failure::Status(502), true),
            (&["all-retryable-errors"], Failure::Status(501), false),
            (&["all-retryable-errors"], Failure::Status(425), false),
        ] {
            assert_eq!(
                named(words).contains(failure),
                holds,
                "{words:?} {failure:?}"
            );
        }
        for word in ["", "405", "0503", " 503", "NONE", "5xx"] {
            assert_eq!(RetryOn::named(word.as_bytes()), None, "{word}");
        }
    }

    #[test]
    fn requests_are_kept_only_where_they_may_be_needed() {
        assert!(!RetryOn::default().keeps_requests());
        assert!(!named(&["0rtt-rejected", "conn-failure"]).keeps_requests());
        assert!(named(&["conn-failure", "504"]).keeps_requests());
        assert!(RetryOn::default().contains(Failure::Connection));
    }
}
