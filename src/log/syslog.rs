//! Syslog messages as bytes: names and numbers, the header before the text, the cut at the end.
//!
//! One `Framing` describes one `log` line of the configuration: its format, facility and levels.
//! It answers whether a message of a level is sent at all and writes what stands before the text
//! (configuration.txt 4.2, "log"). It opens no socket, keeps no queue and knows no request.

use crate::base::addr::write_decimal;
use crate::base::clock::{Now, write_rfc3339_micros, write_syslog_date};

/// The 24 facilities by number.
pub const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2",
    "ftp", "ntp", "audit", "alert", "cron2", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];
/// The eight levels by number, the most severe first.
pub const LEVELS: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];
/// Length of a message before it is cut, unless `len` says otherwise.
pub const LENGTH_DEFAULT: usize = 1024;
/// The least that `len` takes.
pub const LENGTH_MIN: usize = 80;
/// The most that `len` takes.
pub const LENGTH_MAX: usize = 65_535;

/// Severity of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// 0: the system is unusable.
    Emerg,
    /// 1: act at once.
    Alert,
    /// 2: critical.
    Crit,
    /// 3: error.
    Err,
    /// 4: warning.
    Warning,
    /// 5: normal but significant.
    Notice,
    /// 6: informational; requests are logged at it.
    Info,
    /// 7: debugging.
    Debug,
}

impl Level {
    /// All levels by number.
    pub const ALL: [Self; 8] = [
        Self::Emerg,
        Self::Alert,
        Self::Crit,
        Self::Err,
        Self::Warning,
        Self::Notice,
        Self::Info,
        Self::Debug,
    ];

    /// The level of a name, as the configuration spells it.
    pub fn named(name: &[u8]) -> Option<Self> {
        let number = LEVELS.iter().position(|known| known.as_bytes() == name)?;
        Self::ALL.get(number).copied()
    }

    /// The name.
    #[expect(clippy::indexing_slicing, reason = "there are as many names as levels")]
    pub const fn name(self) -> &'static str {
        LEVELS[self as usize]
    }
}

/// The number of a facility's name.
pub fn facility(name: &[u8]) -> Option<u8> {
    FACILITIES
        .iter()
        .position(|known| known.as_bytes() == name)
        .map(|number| number as u8)
}

/// What stands before the text of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// `<134>Nov 22 10:00:00 haproxy[42]: `: RFC 3164 without the host name.
    #[default]
    Local,
    /// `<134>Nov 22 10:00:00 host haproxy[42]: `.
    Rfc3164,
    /// `<134>1 2026-11-22T10:00:00.000000+00:00 host haproxy 42 - - `.
    Rfc5424,
    /// `<134>`.
    Priority,
    /// `<6>`.
    Short,
    /// `<6>2026-11-22T10:00:00.000000+00:00 `.
    Timed,
    /// `2026-11-22T10:00:00.000000+00:00 `.
    Iso,
    /// Nothing.
    Raw,
}

impl Format {
    /// Names as the configuration spells them.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("local", Self::Local),
        ("rfc3164", Self::Rfc3164),
        ("rfc5424", Self::Rfc5424),
        ("priority", Self::Priority),
        ("short", Self::Short),
        ("timed", Self::Timed),
        ("iso", Self::Iso),
        ("raw", Self::Raw),
    ];

    /// The format of a name.
    pub fn named(name: &[u8]) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(known, _)| known.as_bytes() == name)
            .map(|(_, format)| *format)
    }
}

/// Who sends: the parts of a header that do not change from message to message.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// `log-tag`, by default `haproxy`.
    pub tag: &'a [u8],
    /// The process id.
    pub pid: u32,
    /// `log-send-hostname`; empty without it. It makes a `Format::Local` message an RFC 3164
    /// one; those formats that must have a name say `localhost` or `-` without it.
    pub host: &'a [u8],
    /// `log-format-sd`, rendered; empty for none. For `Format::Rfc5424` only.
    pub structured: &'a [u8],
}

/// What a message's header depends on, besides its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderOf {
    /// The date, in the unit in which the header has it.
    moment: u64,
    utc_offset_s: i32,
    level: Level,
}

/// How one `log` line of the configuration frames and filters its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// What stands before the text.
    pub format: Format,
    /// The facility's number, 0 to 23.
    pub facility: u8,
    /// Messages less severe than this are not sent.
    pub level_max: Level,
    /// Messages more severe than this are sent as this.
    pub level_min: Level,
    /// The longest message in bytes, header included, newline not.
    pub length_max: usize,
}

impl Framing {
    /// A framing with HAProxy's defaults: all levels, `local`, 1024 bytes.
    pub const fn new(facility: u8) -> Self {
        Self {
            format: Format::Local,
            facility,
            level_max: Level::Debug,
            level_min: Level::Emerg,
            length_max: LENGTH_DEFAULT,
        }
    }

    /// True when a message of `level` is sent.
    pub fn takes(&self, level: Level) -> bool {
        level <= self.level_max
    }

    /// Appends one whole message: `header`, `text` cut to the length, newline. The caller has
    /// asked `takes`.
    pub fn write(&self, out: &mut Vec<u8>, header: &[u8], text: &[u8]) {
        out.extend_from_slice(header);
        let room = self.length_max.saturating_sub(header.len());
        out.extend_from_slice(text.get(..room).unwrap_or(text));
        out.push(b'\n');
    }

    /// What a header by one sender depends on: it is the same where this is.
    pub fn header_of(&self, now: &Now, level: Level) -> HeaderOf {
        let moment = match self.format {
            Format::Iso | Format::Timed | Format::Rfc5424 => now.wall_ms,
            Format::Local | Format::Rfc3164 => now.wall_ms / 1000,
            Format::Raw | Format::Short | Format::Priority => 0,
        };
        HeaderOf {
            moment,
            utc_offset_s: now.utc_offset_s,
            level,
        }
    }

    /// Appends what stands before the text.
    pub fn write_header(&self, out: &mut Vec<u8>, now: &Now, sender: &Sender<'_>, level: Level) {
        let level = level.max(self.level_min) as u64;
        let (wall, offset) = (now.wall_ms, now.utc_offset_s);
        match self.format {
            Format::Raw | Format::Iso => {}
            Format::Short | Format::Timed => write_priority(out, level),
            Format::Local | Format::Rfc3164 | Format::Rfc5424 | Format::Priority => {
                write_priority(out, (u64::from(self.facility) << 3) | level);
            }
        }
        match self.format {
            Format::Raw | Format::Short | Format::Priority => {}
            Format::Iso | Format::Timed => {
                write_rfc3339_micros(out, wall, offset);
                out.push(b' ');
            }
            Format::Local | Format::Rfc3164 => {
                write_syslog_date(out, wall, offset);
                out.push(b' ');
                if self.format == Format::Rfc3164 || !sender.host.is_empty() {
                    out.extend_from_slice(or(sender.host, b"localhost"));
                    out.push(b' ');
                }
                out.extend_from_slice(sender.tag);
                out.push(b'[');
                write_decimal(out, u64::from(sender.pid));
                out.extend_from_slice(b"]: ");
            }
            Format::Rfc5424 => {
                out.extend_from_slice(b"1 ");
                write_rfc3339_micros(out, wall, offset);
                for word in [or(sender.host, b"-"), sender.tag] {
                    out.push(b' ');
                    out.extend_from_slice(word);
                }
                out.push(b' ');
                write_decimal(out, u64::from(sender.pid));
                out.extend_from_slice(b" - ");
                out.extend_from_slice(or(sender.structured, b"-"));
                out.push(b' ');
            }
        }
    }
}

/// Appends `<n>`.
fn write_priority(out: &mut Vec<u8>, n: u64) {
    out.push(b'<');
    write_decimal(out, n);
    out.push(b'>');
}

/// `text`, or what stands for it when it is empty.
const fn or<'a>(text: &'a [u8], instead: &'a [u8]) -> &'a [u8] {
    if text.is_empty() { instead } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22 21:46:06.262 UTC.
    const NOW: Now = Now {
        ms: 0,
        wall_ms: 1_795_383_966_262,
        utc_offset_s: 0,
    };
    const SENDER: Sender<'static> = Sender {
        tag: b"haproxy",
        pid: 42,
        host: b"",
        structured: b"",
    };

    fn message(framing: Framing, sender: &Sender<'_>, level: Level, text: &str) -> String {
        let mut out = Vec::new();
        let mut header = Vec::new();
        framing.write_header(&mut header, &NOW, sender, level);
        framing.write(&mut out, &header, text.as_bytes());
        String::from_utf8(out).unwrap()
    }

    /// Headers as HAProxy 2.6.12 sent them (whose microseconds were not zero).
    #[test]
    fn headers() {
        let named = Sender {
            host: b"foo",
            tag: b"bar",
            ..SENDER
        };
        let structured = Sender {
            structured: b"[a@1 b=\"c\"]",
            ..SENDER
        };
        let at = "2026-11-22T21:46:06.262000+00:00";
        for (format, sender, expected) in [
            (
                "local",
                SENDER,
                "<134>Nov 22 21:46:06 haproxy[42]: x\n".to_string(),
            ),
            (
                "local",
                named,
                "<134>Nov 22 21:46:06 foo bar[42]: x\n".into(),
            ),
            (
                "rfc3164",
                SENDER,
                "<134>Nov 22 21:46:06 localhost haproxy[42]: x\n".into(),
            ),
            (
                "rfc5424",
                SENDER,
                format!("<134>1 {at} - haproxy 42 - - x\n"),
            ),
            ("rfc5424", named, format!("<134>1 {at} foo bar 42 - - x\n")),
            (
                "rfc5424",
                structured,
                format!("<134>1 {at} - haproxy 42 - [a@1 b=\"c\"] x\n"),
            ),
            ("priority", SENDER, "<134>x\n".into()),
            ("short", SENDER, "<6>x\n".into()),
            ("timed", SENDER, format!("<6>{at} x\n")),
            ("iso", SENDER, format!("{at} x\n")),
            ("raw", SENDER, "x\n".into()),
        ] {
            let format = Format::named(format.as_bytes()).unwrap();
            let framing = Framing {
                format,
                ..Framing::new(16)
            };
            assert_eq!(message(framing, &sender, Level::Info, "x"), expected);
        }
        assert_eq!(Format::named(b"json"), None);
    }

    #[test]
    fn levels_filter_and_cap() {
        let local3 = facility(b"local3").unwrap();
        // `max [min]`, the level of a message, the number sent.
        for (max, min, level, number) in [
            ("info", "emerg", Level::Info, Some(158)),
            ("err", "emerg", Level::Info, None),
            ("notice", "emerg", Level::Alert, Some(153)),
            ("notice", "emerg", Level::Info, None),
            ("debug", "warning", Level::Info, Some(158)),
            ("info", "debug", Level::Info, Some(159)),
            ("debug", "warning", Level::Emerg, Some(156)),
        ] {
            let framing = Framing {
                level_max: Level::named(max.as_bytes()).unwrap(),
                level_min: Level::named(min.as_bytes()).unwrap(),
                format: Format::Priority,
                ..Framing::new(local3)
            };
            assert_eq!(framing.takes(level), number.is_some(), "{max} {min}");
            if let Some(number) = number {
                assert_eq!(
                    message(framing, &SENDER, level, "x"),
                    format!("<{number}>x\n")
                );
            }
        }
    }

    #[test]
    fn long_messages_are_cut() {
        let long = "a".repeat(2000);
        for (length_max, format) in [
            (80, Format::Local),
            (1024, Format::Local),
            (100, Format::Raw),
            (90, Format::Rfc5424),
        ] {
            let framing = Framing {
                length_max,
                format,
                ..Framing::new(16)
            };
            let cut = message(framing, &SENDER, Level::Info, &long);
            assert_eq!(cut.len(), length_max + 1);
            assert!(cut.ends_with("a\n"));
        }
        assert_eq!(Framing::new(16).length_max, 1024);
    }

    #[test]
    fn names_and_numbers() {
        for (name, number) in [("kern", 0), ("auth2", 10), ("cron2", 15), ("local0", 16)] {
            assert_eq!(facility(name.as_bytes()), Some(number));
        }
        assert_eq!(facility(b"local8"), None);
        for (number, level) in (0..).zip(Level::ALL) {
            assert_eq!(level as u8, number);
            assert_eq!(Level::named(level.name().as_bytes()), Some(level));
        }
        assert_eq!(Level::named(b"error"), None);
    }
}
