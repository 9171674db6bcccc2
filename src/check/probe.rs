//! What a check found: the names, numbers and words of results.
//!
//! They are in one place because the log, the statistics and `show servers state` must agree on
//! them. How a result comes about is `conversation`'s.

use std::io::Write as _;

use crate::base::addr::write_decimal;

/// The result of a check, with HAProxy's numbers (`srv_check_status` of `show servers state`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// `UNK`: no check is configured.
    Unknown = 0,
    /// `INI`: not checked yet.
    #[default]
    Initializing = 1,
    /// `CHECKED`: an answer that says neither up nor down.
    Checked = 3,
    /// `HANA`: what was observed of its traffic (`observe`).
    Analyzed = 4,
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
    pub const ALL: [Self; 19] = [
        Self::Unknown,
        Self::Initializing,
        Self::Checked,
        Self::Analyzed,
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
            Self::Checked => "CHECKED",
            Self::Analyzed => "HANA",
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
            Self::Checked => "No status change",
            Self::Analyzed => "Health analyze",
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

    /// True when there is something to be told of how long it took.
    pub const fn has_duration(self) -> bool {
        self.has_run() && !matches!(self, Self::Analyzed)
    }

    /// True once a check has run.
    pub const fn has_run(self) -> bool {
        self as u8 >= Self::Checked as u8
    }

    /// True when the result carries a code (`check_code`, and `code:` in the log).
    pub const fn has_code(self) -> bool {
        self as u8 >= Self::L7Ok as u8
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
        // A NUL ends the text, as in HAProxy.
        let text = info.iter().take_while(|byte| **byte != 0);
        self.info.extend(text.take(INFO_MAX));
    }
}

/// The longest `info` that is kept, in bytes.
const INFO_MAX: usize = 127;

/// Appends `reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms`,
/// with `code: 503` after the reason of what has a code.
pub fn write_reason(out: &mut Vec<u8>, report: &Report) {
    out.extend_from_slice(b"reason: ");
    out.extend_from_slice(report.status.description().as_bytes());
    if report.status.has_code() {
        // A program that was killed has -1.
        drop(write!(out, ", code: {}", report.code as i32));
    }
    if !report.info.is_empty() {
        out.extend_from_slice(b", info: \"");
        for &byte in &report.info {
            // Whatever a server sends, it must not end the line or the quotes.
            match byte {
                b' '..=b'~' if !matches!(byte, b'"' | b'<' | b'>') => out.push(byte),
                _ => drop(write!(out, "<{byte:02X}>")),
            }
        }
        out.push(b'"');
    }
    if report.status == Status::Analyzed {
        return;
    }
    out.extend_from_slice(b", check duration: ");
    write_decimal(out, report.duration_ms);
    out.extend_from_slice(b"ms");
}

#[cfg(test)]
mod tests {
    use super::*;

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
            (Status::L7Invalid, 0, 3, "d\n\0\u{1}5.5", {
                "reason: Layer7 invalid response, info: \"d<0A>\", check duration: 3ms"
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
