//! What came in answer to an HTTP check, read as far as it is there.
//!
//! A check looks at an answer more kindly than the relay does: any number is a status, and an
//! interim answer is an answer, as in HAProxy. A head that is cut off or malformed is no answer.
//! Nothing here allocates but a body that came in chunks.

use std::borrow::Cow;

use crate::http::chunked::Chunked;
use crate::http::head::is_token;

/// The head of an answer and what has come of its body.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The status.
    pub code: u32,
    /// The reason phrase.
    pub reason: &'a [u8],
    /// The field lines, without the empty one.
    fields: &'a [u8],
    /// What has come of the body.
    pub body: Cow<'a, [u8]>,
    /// The body is whole.
    pub complete: bool,
}

/// What the input is so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Reading<'a> {
    /// Its head is not whole.
    Partial,
    /// It is no answer, and will not be one.
    Invalid,
    /// An answer, at least its head.
    Answer(Answer<'a>),
}

/// Reads what has come so far; `ended` when nothing more will.
pub fn read(input: &[u8], ended: bool) -> Reading<'_> {
    let Some((head, rest)) = split_head(input) else {
        let hopeless = ended || !could_be_status_line(input);
        return if hopeless {
            Reading::Invalid
        } else {
            Reading::Partial
        };
    };
    let (line, fields) = split_line(head);
    let Some((code, reason)) = status_line(line) else {
        return Reading::Invalid;
    };
    let mut answer = Answer {
        code,
        reason,
        fields,
        body: Cow::Borrowed(rest),
        complete: ended,
    };
    if answer.fields().any(|(name, _)| !is_name(name)) {
        return Reading::Invalid;
    }
    let chunked = answer
        .values(b"transfer-encoding")
        .any(|value| value.to_ascii_lowercase().ends_with(b"chunked"));
    let length = answer
        .values(b"content-length")
        .find_map(|value| std::str::from_utf8(value).ok()?.parse::<usize>().ok());
    if matches!(code, 100..=199 | 204 | 304) {
        (answer.body, answer.complete) = (Cow::Borrowed(&b""[..]), true);
    } else if chunked {
        let mut bytes = rest.to_vec();
        let mut decoder = Chunked::default();
        let Ok(found) = decoder.decode(&mut bytes) else {
            return Reading::Invalid;
        };
        answer.complete |= found.done;
        answer.body = Cow::Owned(found.data.of(&bytes).to_vec());
    } else if let Some(length) = length {
        answer.complete |= rest.len() >= length;
        answer.body = Cow::Borrowed(rest.get(..length).unwrap_or(rest));
    }
    Reading::Answer(answer)
}

impl<'a> Answer<'a> {
    /// Name and value of each field line.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let lines = self.fields.split(|byte| *byte == b'\n');
        lines
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| !line.is_empty())
            .map(|line| {
                let colon = line.iter().position(|byte| *byte == b':');
                match colon.and_then(|colon| line.split_at_checked(colon)) {
                    Some((name, value)) => (name, value.get(1..).unwrap_or_default().trim_ascii()),
                    // A line without a colon has no name, which makes the answer invalid.
                    None => (&b""[..], line),
                }
            })
    }

    fn values(&self, name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.fields()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| is_token(*byte))
}

/// The head without its empty line, and what follows it; bare LF ends lines too.
fn split_head(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut line_is_empty = false;
    let mut length = 0_usize;
    for byte in input {
        length = length.saturating_add(1);
        if *byte == b'\n' && line_is_empty {
            let (head, rest) = input.split_at_checked(length)?;
            return Some((head, rest));
        }
        line_is_empty = *byte == b'\n' || (line_is_empty && *byte == b'\r');
    }
    None
}

/// The first line without its end, and the lines that follow.
fn split_line(head: &[u8]) -> (&[u8], &[u8]) {
    let end = head.iter().position(|byte| *byte == b'\n');
    let (line, rest) = head.split_at(end.unwrap_or(head.len()));
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    (line, rest.get(1..).unwrap_or_default())
}

/// Whether these bytes may become the beginning of an answer: what is not must not be waited for.
fn could_be_status_line(input: &[u8]) -> bool {
    input
        .iter()
        .zip(b"HTTP/")
        .all(|(byte, expected)| byte == expected)
}

/// Code and reason of `HTTP/1.1 200 OK`.
fn status_line(line: &[u8]) -> Option<(u32, &[u8])> {
    let [major, b'.', minor, b' ', rest @ ..] = line.strip_prefix(b"HTTP/")? else {
        return None;
    };
    if !(major.is_ascii_digit() && minor.is_ascii_digit()) {
        return None;
    }
    let rest = rest.trim_ascii_start();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // More digits than any status has still print as a number.
    if digits == 0 || digits > 6 {
        return None;
    }
    let (digits, reason) = rest.split_at_checked(digits)?;
    let code = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match reason.first() {
        None => Some((code, b"")),
        Some(b' ') => Some((code, reason.trim_ascii())),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers given to HAProxy 2.6.12's `option httpchk` and what it read. All were followed by
    /// the end of the connection.
    #[test]
    fn status_lines() {
        for (input, expected) in [
            ("HTTP/1.0 200 OK\r\n\r\n", Some((200, "OK"))),
            (
                "HTTP/1.1 503 Service Unavailable\r\nX: y\r\n\r\nbody",
                Some((503, "Service Unavailable")),
            ),
            ("HTTP/1.0 404 \r\n\r\n", Some((404, ""))),
            ("HTTP/1.0 302\r\n\r\n", Some((302, ""))),
            ("garbage\r\n\r\n", None),
            ("", None),
            ("HTTP/1.0 99 OK\r\n\r\n", Some((99, "OK"))),
            ("HTTP/1.0 200 OK\r\n", None),
            ("HTTP/1.0 700 Foo Bar\r\n\r\n", Some((700, "Foo Bar"))),
            ("HTTP/1.0 200 OK\n\n", Some((200, "OK"))),
            ("HTTP/1.0 2000 OK\r\n\r\n", Some((2000, "OK"))),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
                Some((100, "Continue")),
            ),
            ("HTTP/1.0\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nfoo\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\nfoo : bar\r\n\r\n", None),
        ] {
            let found = match read(input.as_bytes(), true) {
                Reading::Answer(answer) => Some((answer.code, answer.reason)),
                Reading::Invalid | Reading::Partial => None,
            };
            assert_eq!(found, expected.map(|(n, s)| (n, s.as_bytes())), "{input:?}");
            // Split anywhere, the head alone decides.
            for end in 0..input.len() {
                let early = match read(&input.as_bytes()[..end], false) {
                    Reading::Answer(answer) => Some((answer.code, answer.reason)),
                    Reading::Invalid => None,
                    Reading::Partial => continue,
                };
                assert_eq!(early, found, "{input:?} {end}");
            }
        }
    }

    #[test]
    fn bodies() {
        for (rest, body, complete) in [
            ("Content-Length: 5\r\n\r\nhel", "hel", false),
            ("Content-Length: 5\r\n\r\nhello and more", "hello", true),
            ("\r\nhello", "hello", false),
            (
                "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
                "hello",
                true,
            ),
            (
                "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nl",
                "hel",
                false,
            ),
        ] {
            let input = format!("HTTP/1.1 200 OK\r\n{rest}");
            let Reading::Answer(answer) = read(input.as_bytes(), false) else {
                panic!("{input:?}");
            };
            assert_eq!(
                (&*answer.body, answer.complete),
                (body.as_bytes(), complete)
            );
        }
    }
}
