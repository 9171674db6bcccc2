//! Syslog messages as bytes: names and numbers, the header before the text, the cut at the end.
//!
//! One `Framing` describes one `log` line of the configuration: its format, facility and levels.
//! It answers whether a message of a level is sent at all and writes what stands before the text
//! (configuration.txt 4.2, "log"). It opens no socket, keeps no queue and knows no request.

use crate::base::addr::write_decimal;
use crate::base::clock::{Now, write_rfc3339, write_syslog_date};

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
        Some(Self::ALL[number])
    }

    /// The name.
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
    /// `<134>1 2026-11-22T10:00:00+00:00 host haproxy 42 - - `.
    Rfc5424,
    /// `<134>`.
    Priority,
    /// `<6>`.
    Short,
    /// `<6>2026-11-22T10:00:00+00:00 `.
    Timed,
    /// `2026-11-22T10:00:00+00:00 `.
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
    /// `log-send-hostname`, or the machine's name.
    pub host: &'a [u8],
    /// `log-format-sd`, rendered; empty for none. For `Format::Rfc5424` only.
    pub structured: &'a [u8],
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
    /// The longest message in bytes, header and newline included.
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

    /// Appends one whole message: header, `text` cut to the length, newline. The caller has
    /// asked `takes`.
    pub fn write(
        &self,
        out: &mut Vec<u8>,
        now: &Now,
        sender: &Sender<'_>,
        level: Level,
        text: &[u8],
    ) {
        let start = out.len();
        self.write_header(out, now, sender, level);
        let used = out.len() - start;
        let room = self.length_max.saturating_sub(used + 1);
        out.extend_from_slice(&text[..text.len().min(room)]);
        out.push(b'\n');
    }

    /// Appends what stands before the text. It is the same for all messages of a second.
    pub fn write_header(&self, out: &mut Vec<u8>, now: &Now, sender: &Sender<'_>, level: Level) {
        let level = level.max(self.level_min) as u64;
        let (wall, offset) = (now.wall_ms, now.utc_offset_s);
        match self.format {
            Format::Raw | Format::Iso => {}
            Format::Short | Format::Timed => write_priority(out, level),
            Format::Local | Format::Rfc3164 | Format::Rfc5424 | Format::Priority => {
                write_priority(out, u64::from(self.facility) * 8 + level);
            }
        }
        match self.format {
            Format::Raw | Format::Short | Format::Priority => {}
            Format::Iso | Format::Timed => {
                write_rfc3339(out, wall, offset);
                out.push(b' ');
            }
            Format::Local | Format::Rfc3164 => {
                write_syslog_date(out, wall, offset);
                out.push(b' ');
                if self.format == Format::Rfc3164 {
                    out.extend_from_slice(sender.host);
                    out.push(b' ');
                }
                out.extend_from_slice(sender.tag);
                out.push(b'[');
                write_decimal(out, u64::from(sender.pid));
                out.extend_from_slice(b"]: ");
            }
            Format::Rfc5424 => {
                out.extend_from_slice(b"1 ");
                write_rfc3339(out, wall, offset);
                for word in [sender.host, sender.tag] {
                    out.push(b' ');
                    out.extend_from_slice(word);
                }
                out.push(b' ');
                write_decimal(out, u64::from(sender.pid));
                out.extend_from_slice(b" - ");
                let none: &[u8] = b"-";
                let structured = sender.structured;
                out.extend_from_slice(if structured.is_empty() {
                    none
                } else {
                    structured
                });
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
