//! What the handlers of configuration lines share: counting words, reading numbers, times, names of
//! users and addresses, and the `log` line that `global` and the proxies have in common.
//!
//! Each reader reports what is wrong itself, at the word, and answers `None`; a handler then leaves
//! its line out and the parser goes on with the next. None of them may panic on any bytes.
//!
//! A word that HAProxy would read loosely (`maxconn abc` is 0 there) is refused: nothing is
//! accepted and ignored. Rejected: a table of argument types per keyword, because most messages
//! name their keyword in a way of their own.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use super::diag;
use super::draft::LogLine;
use super::host::Host;
use super::lexer::Line;
use super::model::{LogAddress, LogTarget, Place};
use super::sections::Parser;
use super::units::{self, Allow, Family, Port, Spec, TimeUnit};
use crate::base::addr::Endpoint;
use crate::log::syslog::{self, Format, Framing, Level};

/// The port of a syslog server that names none.
const SYSLOG_PORT: u16 = 514;

/// The system's reason without Rust's error number.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// What names of sections, servers and ACLs are made of.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'.')
}

/// The first character of a name that may not stand there.
pub(super) fn bad_character(name: &[u8]) -> Option<char> {
    let text = String::from_utf8_lossy(name);
    text.chars()
        .find(|c| !u8::try_from(*c).is_ok_and(is_name_byte))
}

/// Why an address could not be made.
pub(super) enum AddressProblem {
    /// The name cannot be resolved (in the family asked for).
    Unresolved(String),
    /// The kind of address has no endpoint here.
    Unsupported,
}

/// The endpoint of an address; `port` stands in where the address has none of its own.
pub(super) fn endpoint(
    spec: &Spec,
    port: Option<u16>,
    host: &dyn Host,
) -> Result<Endpoint, AddressProblem> {
    let port = match (spec.port, port) {
        (Port::One(port) | Port::Range(port, _), None) => port,
        (_, Some(port)) => port,
        _ => 0,
    };
    let ip = match &spec.host {
        units::Host::Any if spec.family == Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        units::Host::Any => Ipv4Addr::UNSPECIFIED.into(),
        units::Host::V4(ip) => IpAddr::V4(*ip),
        units::Host::V6(ip) => IpAddr::V6(*ip),
        units::Host::Name(name) => resolve(name, spec.family, host)
            .ok_or_else(|| AddressProblem::Unresolved(name.clone()))?,
        units::Host::Unix(path) => return Ok(Endpoint::Unix(path.as_bytes().into())),
        units::Host::Abstract(name) => return Ok(Endpoint::Abstract(name.as_bytes().into())),
        units::Host::Fd(_) | units::Host::SockPair(_) => return Err(AddressProblem::Unsupported),
    };
    Ok(Endpoint::Inet(SocketAddr::new(ip, port)))
}

/// The first address of a name in a family.
fn resolve(name: &str, family: Family, host: &dyn Host) -> Option<IpAddr> {
    if name.is_empty() || name.contains(['\0', '[', ']']) {
        return None;
    }
    let found = host.resolve(name).ok()?;
    found.into_iter().find(|ip| match family {
        Family::Any => true,
        Family::V4 => ip.is_ipv4(),
        Family::V6 => ip.is_ipv6(),
    })
}

impl Parser<'_> {
    /// The line's place as the model keeps it.
    pub(super) fn place_of(&self, line: &Line) -> Place {
        Place {
            file: self.file_name(line.file),
            line: line.number,
        }
    }

    /// No words may follow word `last`; `what` is how the message names the statement.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    pub(super) fn only_as(&mut self, line: &Line, last: usize, what: &str) -> bool {
        let Some(extra) = line.words.get(last + 1) else {
            return true;
        };
        let message = format!(
            "'{what}' cannot handle unexpected argument '{}'.",
            extra.str()
        );
        self.found.alert(line.at(last + 1), message);
        false
    }

    /// No words may follow word `last` of a statement that is its keyword.
    pub(super) fn only(&mut self, line: &Line, last: usize) -> bool {
        let what = line.word(0).into_owned();
        self.only_as(line, last, &what)
    }

    /// Reports at a word.
    pub(super) fn refuse(&mut self, line: &Line, index: usize, message: impl Into<String>) {
        self.found.alert(line.at(index), message);
    }

    /// Reports at a word in the form without the blank before the colon.
    pub(super) fn refuse_tight(&mut self, line: &Line, index: usize, message: impl Into<String>) {
        self.found
            .alert(line.at(index), message)
            .lead(diag::Lead::ParsingTight);
    }

    /// Word `index` as a number of a range; `what` names the statement.
    pub(super) fn number(
        &mut self,
        line: &Line,
        index: usize,
        what: &str,
        range: RangeInclusive<i64>,
    ) -> Option<i64> {
        let word = line.word(index);
        let Some(number) = units::integer(&word) else {
            let message = format!("'{what}' expects an integer argument (got '{word}').");
            self.found.alert(line.at(index), message);
            return None;
        };
        if !range.contains(&number) {
            let message = format!(
                "'{what}' expects an integer in range {}..{} (got {number}).",
                range.start(),
                range.end()
            );
            self.found.alert(line.at(index), message);
            return None;
        }
        Some(number)
    }

    /// A statement of one number: `expects` is said when there is none.
    pub(super) fn number_line(
        &mut self,
        line: &Line,
        expects: &str,
        range: RangeInclusive<i64>,
    ) -> Option<i64> {
        if line.bytes(1).is_empty() {
            self.refuse(line, 1, expects);
            return None;
        }
        if !self.only(line, 1) {
            return None;
        }
        let what = line.word(0).into_owned();
        self.number(line, 1, &what, range)
    }

    /// A statement of one number from 0 up to what fits.
    pub(super) fn count_line(&mut self, line: &Line, expects: &str) -> Option<u32> {
        let number = self.number_line(line, expects, 0..=i64::from(i32::MAX))?;
        u32::try_from(number).ok()
    }

    /// A statement of one word: `expects` is said when there is none.
    pub(super) fn word_line(&mut self, line: &Line, expects: &str) -> Option<String> {
        if line.bytes(1).is_empty() {
            self.refuse(line, 1, expects);
            return None;
        }
        self.only(line, 1).then(|| line.word(1).into_owned())
    }

    /// Warns of a time that goes on after its unit: the rest is not counted.
    pub(super) fn warn_of_tail(&mut self, line: &Line, index: usize) {
        if let Some(text) = units::time_tail(&line.word(index)) {
            self.found
                .warning(line.at(index), text)
                .lead(diag::Lead::Bare);
        }
    }

    /// Word `index` as a time in ms; the message names `what`.
    pub(super) fn time(&mut self, line: &Line, index: usize, what: &str) -> Option<u32> {
        let word = line.word(index);
        self.warn_of_tail(line, index);
        match units::time_ms(&word, TimeUnit::Ms) {
            Ok(time) => Some(u32::try_from(time).unwrap_or(u32::MAX)),
            Err(error) => {
                let message = error.message(&word, what);
                self.found.alert(line.at(index), message);
                None
            }
        }
    }

    /// A `log` line of a proxy (`in_global` false) or of `global`.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    pub(super) fn log_line(&mut self, line: &Line, in_global: bool) -> Option<LogLine> {
        if line.bytes(1) == b"global" && line.words.len() == 2 {
            if in_global {
                let message = "log : 'global' is not supported for a global syslog server";
                self.refuse(line, 1, message);
                return None;
            }
            return Some(LogLine::Global);
        }
        if line.bytes(1).is_empty() || line.bytes(2).is_empty() {
            let or_global = if in_global { " " } else { "or global" };
            let message =
                format!("log : expects <address> and <facility> {or_global} as arguments");
            let message = message.replace("   ", "  ");
            self.refuse(line, line.words.len().min(2), message);
            return None;
        }
        let mut framing = Framing::new(0);
        let mut at = 2;
        loop {
            match line.bytes(at) {
                b"len" => framing.length_max = self.log_length(line, at + 1)?,
                b"format" => framing.format = self.log_format_name(line, at + 1)?,
                b"sample" => {
                    let message = "log : 'sample' is not implemented by oneloop.";
                    self.refuse(line, at, message);
                    return None;
                }
                _ => break,
            }
            at += 2;
        }
        self.log_levels(line, at, &mut framing)?;
        let to = self.log_address(line)?;
        Some(LogLine::Target(LogTarget {
            to,
            framing,
            place: self.place_of(line),
        }))
    }

    fn log_length(&mut self, line: &Line, at: usize) -> Option<usize> {
        let word = line.word(at);
        let length = units::integer(&word).and_then(|number| usize::try_from(number).ok());
        let length =
            length.filter(|length| (syslog::LENGTH_MIN..=syslog::LENGTH_MAX).contains(length));
        if length.is_none() {
            let message = format!(
                "log : invalid log length '{word}', must be between {} and {}",
                syslog::LENGTH_MIN,
                syslog::LENGTH_MAX
            );
            self.found.alert(line.at(at), message);
        }
        length
    }

    fn log_format_name(&mut self, line: &Line, at: usize) -> Option<Format> {
        let format = Format::named(line.bytes(at));
        if format.is_none() {
            let word = line.word(at);
            let message = format!("log : unknown log format '{word}'");
            let names = Format::NAMES.iter().map(|(name, _)| *name);
            self.found.alert(line.at(at), message).suggest(&word, names);
        }
        format
    }

    /// Facility, level and minimum level from word `at` on.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn log_levels(&mut self, line: &Line, at: usize, framing: &mut Framing) -> Option<()> {
        let word = line.word(at);
        let Some(facility) = syslog::facility(line.bytes(at)) else {
            let message = format!("log : unknown log facility '{word}'");
            let names = syslog::FACILITIES;
            self.found.alert(line.at(at), message).suggest(&word, names);
            return None;
        };
        framing.facility = facility;
        for (index, what, minimum) in [
            (at + 1, "optional log level", false),
            (at + 2, "optional minimum log level", true),
        ] {
            if line.words.len() <= index {
                break;
            }
            let Some(level) = Level::named(line.bytes(index)) else {
                let word = line.word(index);
                let message = format!("log : unknown {what} '{word}'");
                self.found
                    .alert(line.at(index), message)
                    .suggest(&word, syslog::LEVELS);
                return None;
            };
            if minimum {
                framing.level_min = level;
            } else {
                framing.level_max = level;
            }
        }
        if let Some(extra) = line.words.get(at + 3) {
            let message = format!("log : cannot handle unexpected argument '{}'", extra.str());
            self.found.alert(line.at(at + 3), message);
            return None;
        }
        Some(())
    }

    fn log_address(&mut self, line: &Line) -> Option<LogAddress> {
        let word = line.word(1).into_owned();
        match word.as_str() {
            "stdout" => return Some(LogAddress::Stdout),
            "stderr" => return Some(LogAddress::Stderr),
            _ => {}
        }
        for (prefix, what) in [
            ("ring@", "a ring as log target"),
            ("tcp@", "logging over TCP"),
            ("tcp4@", "logging over TCP"),
            ("tcp6@", "logging over TCP"),
            ("stream+", "logging over a stream"),
            ("sockpair@", "logging over a socket pair"),
        ] {
            if word.starts_with(prefix) {
                let message = format!("log : {what} ('{word}') is not implemented by oneloop.");
                self.refuse(line, 1, message);
                return None;
            }
        }
        let spec = match units::address(&word, Allow::LOG) {
            Ok(spec) => spec,
            Err(text) => {
                self.refuse(line, 1, format!("log : {text}"));
                return None;
            }
        };
        if let units::Host::Fd(number) = spec.host {
            return Some(LogAddress::Fd(number));
        }
        let port = matches!(spec.port, Port::None).then_some(SYSLOG_PORT);
        if spec.host == units::Host::Any {
            self.refuse(line, 1, format!("log : invalid address: '' in '{word}'"));
            return None;
        }
        match endpoint(&spec, port, self.host) {
            Ok(endpoint) => Some(LogAddress::Datagram(endpoint)),
            Err(AddressProblem::Unresolved(name)) => {
                let message = format!("log : invalid address: '{name}' in '{word}'");
                self.refuse(line, 1, message);
                None
            }
            Err(AddressProblem::Unsupported) => {
                let message = format!("log : '{word}' is not implemented by oneloop.");
                self.refuse(line, 1, message);
                None
            }
        }
    }
}
