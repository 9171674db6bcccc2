//! `retry-on` and `option redispatch` (configuration.txt 4.2).

use super::lexer::Line;
use super::model::{Redispatch, RetryOn};
use super::sections::Parser;

impl Parser<'_> {
    /// `retry-on WORD...`: what it says replaces what was said before.
    pub(super) fn retry_on_line(&mut self, line: &Line) {
        let words = line.words.len().saturating_sub(1);
        if self.proxy().is_some_and(|proxy| !proxy.is_backend()) {
            let message = "'retry-on' only available in backend or listen section";
            self.refuse(line, 0, message);
            return;
        }
        if words == 0 {
            let message = "'retry-on' needs at least one keyword to specify when to retry";
            self.refuse(line, 0, message);
            return;
        }
        let mut chosen = RetryOn::NONE;
        for at in 1..=words {
            let word = line.bytes(at);
            if word == b"none" && words > 1 {
                // HAProxy's spelling.
                self.refuse(line, at, "'retry-on' 'none' keyworld only usable alone");
                return;
            }
            let Some(named) = RetryOn::named(word) else {
                let message = format!("'retry-on': unknown keyword '{}'", line.word(at));
                self.refuse(line, at, message);
                return;
            };
            chosen = chosen.with(named);
        }
        self.settings().retry_on = chosen;
    }

    /// `option redispatch [N]`.
    pub(super) fn redispatch_option(&mut self, line: &Line, on: bool) {
        let mut every = -1;
        if on && line.words.len() > 2 {
            let range = i64::from(i32::MIN)..=i64::from(i32::MAX);
            let Some(number) = self.number(line, 2, "option redispatch", range) else {
                return;
            };
            every = i32::try_from(number).unwrap_or(-1);
        }
        if self.only_as(line, if on { 2 } else { 1 }, "option redispatch") {
            self.settings().redispatch = match (on, every) {
                (false, _) | (true, 0) => Redispatch::Off,
                (true, every) => Redispatch::Every(every),
            };
        }
    }
}
