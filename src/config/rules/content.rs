//! `tcp-request content` and `tcp-request inspect-delay`.

use crate::config::lexer::Line;
use crate::config::sections::Parser;
use crate::config::units::{TimeError, TimeUnit, time_ms};

/// Whether a `tcp-request` line is a rule about contents.
pub(super) fn is_content(line: &Line) -> bool {
    line.bytes(1) == b"content"
}

impl Parser<'_> {
    /// `tcp-request inspect-delay TIME`; `at` names the section.
    pub(super) fn inspect_delay(&mut self, line: &Line, at: &str) {
        let word = line.word(2).into_owned();
        let why = match time_ms(&word, TimeUnit::Ms) {
            _ if word.is_empty() => String::new(),
            Ok(ms) => {
                let ms = u32::try_from(ms).unwrap_or(u32::MAX);
                self.warn_of_tail(line, 2);
                if self.only_as(line, 2, "tcp-request inspect-delay") {
                    self.set_inspect_delay(line, ms, at);
                }
                return;
            }
            Err(TimeError::Unexpected(c)) => format!(" (unexpected character '{c}')"),
            Err(TimeError::Overflow) => format!(
                " (timer overflow in '{word}', maximum value is 2147483647 ms or ~24.8 days)"
            ),
        };
        let message = format!(
            "'tcp-request inspect-delay' expects a positive delay in milliseconds, in {at}{why}"
        );
        self.refuse(line, 2, message);
    }

    /// The first one holds.
    fn set_inspect_delay(&mut self, line: &Line, ms: u32, at: &str) {
        let delay = &mut self.settings().inspect_delay;
        if delay.is_none_or(|delay| delay == 0) {
            *delay = Some(ms);
            return;
        }
        let message = format!("ignoring tcp-request inspect-delay (was already defined) in {at}");
        self.found.warning(line.at(1), message);
    }
}
