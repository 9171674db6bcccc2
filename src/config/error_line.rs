//! The line of a connection that is refused before it is a session (`error-log-format`,
//! configuration.txt 8.2.5).

use super::diag::{Lead, Severity};
use super::draft::LogChoice;
use super::lexer::Line;
use super::model::ErrorLine;
use super::sections::Parser;
use crate::rules::format::Purpose;

impl Parser<'_> {
    /// `error-log-format STRING`.
    pub(super) fn error_log_format_line(&mut self, line: &Line) {
        if line.bytes(1).is_empty() {
            self.refuse(line, 1, "error-log-format expects an argument.");
            return;
        }
        if line.words.len() > 2 {
            let message =
                "error-log-format expects only one argument, don't forget to escape spaces!";
            self.refuse(line, 2, message);
            return;
        }
        self.settings().error_format = Some((line.bytes(1).to_vec(), line.at(1)));
    }

    /// What a frontend writes: a format of its own, or HAProxy's line if it has a log format.
    pub(super) fn error_line_of(&mut self, at: usize) -> ErrorLine {
        let Some(proxy) = self.proxies.get(at).filter(|proxy| proxy.is_frontend()) else {
            return ErrorLine::None;
        };
        let Some((text, place)) = proxy.settings.error_format.clone() else {
            return match proxy.settings.log_choice {
                LogChoice::Default => ErrorLine::None,
                _ => ErrorLine::Plain,
            };
        };
        match self.compile_format(at, &text, Purpose::Log) {
            Ok(format) => ErrorLine::Format(format),
            Err(problem) => {
                let message = format!("failed to parse error-log-format : {}", problem.message);
                let place = place.pointing_at(&text, problem.at);
                let lead = Lead::ParsingCapital;
                let one = self.found.push(Severity::Alert, lead, Some(place), message);
                if let Some(name) = &problem.suggestion {
                    one.note(format!("did you mean '{name}' maybe ?"));
                }
                ErrorLine::None
            }
        }
    }
}
