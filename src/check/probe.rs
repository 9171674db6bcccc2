//! What a check sends and what an answer means.
//!
//! Bytes in, a `Status` out. Two probes exist: a connection (layer 4) and a request
//! (`option httpchk`, layer 7). The names, numbers and words of results are here, because the
//! log, the statistics and `show servers state` must agree on them.
//!
//! It opens nothing and waits for nothing: the engine connects, reads and measures. A partial
//! answer is no answer; only the end of the head, or of the connection, settles it.

use crate::base::addr::write_decimal;

/// The longest head of an answer that is looked at, in bytes.
pub const ANSWER_MAX: usize = 16_384;

/// The result of a check, with HAProxy's numbers (`srv_check_status` of `show servers state`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// `UNK`: no check is configured.
    Unknown = 0,
    /// `INI`: not checked yet.
    #[default]
    Initializing = 1,
    /// `SOCKERR`: the proxy itself could not try.
    SocketError = 5,
    /// `L4OK`: connected.
    L4Ok = 6,
    /// `L4TOUT`: not connected in time.
    L4Timeout = 7,
    /// `L4CON`: refused, or no way there.
    L4Failed = 8,
    /// `L6OK`: the handshake was done.
    L6Ok = 9,
    /// `L6TOUT`: no handshake in time.
    L6Timeout = 10,
    /// `L6RSP`: the handshake failed.
    L6Invalid = 11,
    /// `L7TOUT`: no answer in time.
    L7Timeout = 12,
    /// `L7RSP`: no answer, or not one of the protocol.
    L7Invalid = 13,
    /// `L7OK`: the answer is good.
    L7Ok = 15,
    /// `L7OKC`: good, under a condition (`disable-on-404`).
    L7OkConditional = 16,
    /// `L7STS`: an answer that says no.
    L7Status = 17,
    /// `PROCERR`: the external check failed.
    ProcessError = 18,
    /// `PROCTOUT`: the external check took too long.
    ProcessTimeout = 19,
    /// `PROCOK`: the external check passed.
    ProcessOk = 20,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 17] = [
        Self::Unknown,
        Self::Initializing,
        Self::SocketError,
        Self::L4Ok,
        Self::L4Timeout,
        Self::L4Failed,
        Self::L6Ok,
        Self::L6Timeout,
        Self::L6Invalid,
        Self::L7Timeout,
        Self::L7Invalid,
        Self::L7Ok,
        Self::L7OkConditional,
        Self::L7Status,
        Self::ProcessError,
        Self::ProcessTimeout,
        Self::ProcessOk,
    ];

    /// The status of a number (`srv_check_status` of `show servers state`), if it is one.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| *status as u8 == number)
    }

    /// The name in `show stat` (`check_status`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "UNK",
            Self::Initializing => "INI",
            Self::SocketError => "SOCKERR",
            Self::L4Ok => "L4OK",
            Self::L4Timeout => "L4TOUT",
            Self::L4Failed => "L4CON",
            Self::L6Ok => "L6OK",
            Self::L6Timeout => "L6TOUT",
            Self::L6Invalid => "L6RSP",
            Self::L7Timeout => "L7TOUT",
            Self::L7Invalid => "L7RSP",
            Self::L7Ok => "L7OK",
            Self::L7OkConditional => "L7OKC",
            Self::L7Status => "L7STS",
            Self::ProcessError => "PROCERR",
            Self::ProcessTimeout => "PROCTOUT",
            Self::ProcessOk => "PROCOK",
        }
    }

    /// The words in the log and in `show stat` (`check_desc`).
    pub const fn description(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Initializing => "Initializing",
            Self::SocketError => "Socket error",
            Self::L4Ok => "Layer4 check passed",
            Self::L4Timeout => "Layer4 timeout",
            Self::L4Failed => "Layer4 connection problem",
            Self::L6Ok => "Layer6 check passed",
            Self::L6Timeout => "Layer6 timeout",
            Self::L6Invalid => "Layer6 invalid response",
            Self::L7Timeout => "Layer7 timeout",
            Self::L7Invalid => "Layer7 invalid response",
            Self::L7Ok => "Layer7 check passed",
            Self::L7OkConditional => "Layer7 check conditionally passed",
            Self::L7Status => "Layer7 wrong status",
            Self::ProcessError => "External check error",
            Self::ProcessTimeout => "External check timeout",
            Self::ProcessOk => "External check passed",
        }
    }

    /// True for a result that counts as a success.
    pub const fn passed(self) -> bool {
        matches!(
            self,
            Self::L4Ok | Self::L6Ok | Self::L7Ok | Self::L7OkConditional | Self::ProcessOk
        )
    }

    /// True once a check has run: only then `check_duration` is shown.
    pub const fn has_run(self) -> bool {
        self as u8 >= Self::SocketError as u8
    }

    /// True when the result carries a code (`check_code`, and `code:` in the log).
    pub const fn has_code(self) -> bool {
        matches!(self, Self::L7Ok | Self::L7OkConditional | Self::L7Status)
    }
}

/// A finished check as the log and the statistics tell it. `info` keeps its storage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The result.
    pub status: Status,
    /// The code of the answer, 0 for none.
    pub code: u32,
    /// How long it took, in ms.
    pub duration_ms: u64,
    /// More about it: the system's words for an error, or the answer's reason phrase.
    pub info: Vec<u8>,
}

impl Report {
    /// Sets all fields, keeping storage.
    pub fn set(&mut self, status: Status, code: u32, duration_ms: u64, info: &[u8]) {
        (self.status, self.code, self.duration_ms) = (status, code, duration_ms);
        self.info.clear();
        self.info.extend(info.iter().take(INFO_MAX));
    }
}

/// The longest `info` that is kept, in bytes.
const INFO_MAX: usize = 256;

/// Appends `reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms`,
/// with `code: 503` after the reason where there is one.
pub fn write_reason(out: &mut Vec<u8>, report: &Report) {
    out.extend_from_slice(b"reason: ");
    out.extend_from_slice(report.status.description().as_bytes());
    if report.status.has_code() && report.code > 0 {
        out.extend_from_slice(b", code: ");
        write_decimal(out, u64::from(report.code));
    }
    if !report.info.is_empty() {
        out.extend_from_slice(b", info: \"");
        for &byte in &report.info {
            // Whatever a server sends, it must not end the line or the quotes.
            match byte {
                b' '..=b'~' if byte != b'"' => out.push(byte),
                _ => out.push(b'?'),
            }
        }
        out.push(b'"');
    }
    out.extend_from_slice(b", check duration: ");
    write_decimal(out, report.duration_ms);
    out.extend_from_slice(b"ms");
}

/// The request of `option httpchk [method] [uri] [version]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpProbe {
    /// `OPTIONS` unless given.
    pub method: Vec<u8>,
    /// `/` unless given.
    pub uri: Vec<u8>,
    /// `HTTP/1.0` unless given; whatever is given is sent.
    pub version: Vec<u8>,
}

impl Default for HttpProbe {
    fn default() -> Self {
        Self {
            method: b"OPTIONS".into(),
            uri: b"/".into(),
            version: b"HTTP/1.0".into(),
        }
    }
}

impl HttpProbe {
    /// Appends the request.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (n, word) in [&self.method, &self.uri, &self.version]
            .into_iter()
            .enumerate()
        {
            if n > 0 {
                out.push(b' ');
            }
            out.extend_from_slice(word);
        }
        out.extend_from_slice(b"\r\n\r\n");
    }
}

/// What an answer to an `HttpProbe` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpAnswer<'a> {
    /// Its head is not whole.
    Partial,
    /// A result, with the code and reason phrase where there are any.
    Done(Status, u32, &'a [u8]),
}

/// Judges what has come so far; `closed` when nothing more will. 2xx and 3xx pass.
pub fn judge_http(answer: &[u8], closed: bool) -> HttpAnswer<'_> {
    const INVALID: HttpAnswer<'static> = HttpAnswer::Done(Status::L7Invalid, 0, b"");
    if !head_is_whole(answer) {
        return match closed || answer.len() >= ANSWER_MAX {
            true => INVALID,
            false => HttpAnswer::Partial,
        };
    }
    let line = answer
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let Some((code, reason)) = status_line(line) else {
        return INVALID;
    };
    let status = match code {
        200..=399 => Status::L7Ok,
        _ => Status::L7Status,
    };
    HttpAnswer::Done(status, code, reason)
}

/// True when an empty line ends the head; bare LF ends lines too.
fn head_is_whole(answer: &[u8]) -> bool {
    let mut empty = false;
    answer.iter().any(|byte| {
        let ends = *byte == b'\n' && empty;
        empty = *byte == b'\n' || (empty && *byte == b'\r');
        ends
    })
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

    fn done(status: Status, code: u32, reason: &'static str) -> HttpAnswer<'static> {
        HttpAnswer::Done(status, code, reason.as_bytes())
    }

    /// Answers given to HAProxy 2.6.12's `option httpchk` and what it made of them. All were
    /// followed by the end of the connection.
    #[test]
    fn answers() {
        use Status::{L7Invalid, L7Ok, L7Status};
        let rows: [(&str, HttpAnswer<'static>); 13] = [
            ("HTTP/1.0 200 OK\r\n\r\n", done(L7Ok, 200, "OK")),
            (
                "HTTP/1.1 503 Service Unavailable\r\nX: y\r\n\r\nbody",
                done(L7Status, 503, "Service Unavailable"),
            ),
            ("HTTP/1.0 404 \r\n\r\n", done(L7Status, 404, "")),
            ("HTTP/1.0 302\r\n\r\n", done(L7Ok, 302, "")),
            ("garbage\r\n\r\n", done(L7Invalid, 0, "")),
            ("", done(L7Invalid, 0, "")),
            ("HTTP/1.0 99 OK\r\n\r\n", done(L7Status, 99, "OK")),
            ("HTTP/1.0 200 OK\r\n", done(L7Invalid, 0, "")),
            (
                "HTTP/1.0 700 Foo Bar\r\n\r\n",
                done(L7Status, 700, "Foo Bar"),
            ),
            ("HTTP/1.0 200 OK\n\n", done(L7Ok, 200, "OK")),
            ("HTTP/1.0 2000 OK\r\n\r\n", done(L7Status, 2000, "OK")),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", {
                done(L7Status, 100, "Continue")
            }),
            ("HTTP/1.0\r\n\r\n", done(L7Invalid, 0, "")),
        ];
        for (answer, expected) in rows {
            assert_eq!(judge_http(answer.as_bytes(), true), expected, "{answer:?}");
            // Split anywhere, the head alone decides.
            for end in 0..answer.len() {
                let early = judge_http(&answer.as_bytes()[..end], false);
                assert!(
                    early == HttpAnswer::Partial || early == expected,
                    "{answer:?} {end}"
                );
            }
        }
    }

    #[test]
    fn the_request() {
        let mut out = Vec::new();
        HttpProbe::default().write(&mut out);
        assert_eq!(out, b"OPTIONS / HTTP/1.0\r\n\r\n");
        out.clear();
        let probe = HttpProbe {
            method: b"GET".into(),
            uri: b"/health".into(),
            ..probe()
        };
        probe.write(&mut out);
        assert_eq!(out, b"GET /health HTTP/1.0\r\n\r\n");
    }

    fn probe() -> HttpProbe {
        HttpProbe::default()
    }

    #[test]
    fn reasons() {
        for (status, code, duration_ms, info, text) in [
            (
                Status::L4Ok,
                0,
                0,
                "",
                "reason: Layer4 check passed, check duration: 0ms",
            ),
            (
                Status::L4Failed,
                0,
                0,
                "Connection refused",
                "reason: Layer4 connection problem, info: \"Connection refused\", \
                 check duration: 0ms",
            ),
            (
                Status::L7Timeout,
                0,
                1002,
                "",
                "reason: Layer7 timeout, check duration: 1002ms",
            ),
            (
                Status::L7Status,
                503,
                0,
                "Service Unavailable",
                "reason: Layer7 wrong status, code: 503, info: \"Service Unavailable\", \
                 check duration: 0ms",
            ),
            (Status::L7Ok, 200, 3, "", {
                "reason: Layer7 check passed, code: 200, check duration: 3ms"
            }),
        ] {
            let mut report = Report::default();
            report.set(status, code, duration_ms, info.as_bytes());
            let mut out = Vec::new();
            write_reason(&mut out, &report);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn numbers_are_haproxys() {
        for (status, number, name) in [
            (Status::Initializing, 1, "INI"),
            (Status::L4Ok, 6, "L4OK"),
            (Status::L4Timeout, 7, "L4TOUT"),
            (Status::L4Failed, 8, "L4CON"),
            (Status::L7Timeout, 12, "L7TOUT"),
            (Status::L7Invalid, 13, "L7RSP"),
            (Status::L7Ok, 15, "L7OK"),
            (Status::L7Status, 17, "L7STS"),
        ] {
            assert_eq!((status as u8, status.name()), (number, name));
            assert_eq!(status.passed(), name.ends_with("OK"));
        }
    }
}
