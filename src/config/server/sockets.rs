//! Options of `server` lines about sockets: `source`, `tcp-ut` (configuration.txt 5.2).

use super::ServerSettings;
use crate::config::diag::Lead;
use crate::config::lexer::Line;
use crate::config::sections::Parser;
use crate::config::sockets::{NO_USESRC, SourceProblem};
use crate::config::units::{self, Allow, TimeUnit};

/// What `source` of a server takes: a range of ports, too.
const SOURCE: Allow = Allow {
    range: true,
    ..Allow::PEER
};

impl Parser<'_> {
    /// `source ADDRESS[:PORT[-PORT]] [interface NAME]`, from word `at` on; how many words it has.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    pub(super) fn server_source(
        &mut self,
        line: &Line,
        at: usize,
        settings: &mut ServerSettings,
        before: &str,
    ) -> Option<usize> {
        let word = line.word(at + 1).into_owned();
        if word.is_empty() {
            let message = format!(
                "{before}'source' expects <addr>[:<port>[-<port>]], and optionally 'usesrc' <addr>, and 'interface' <name> as argument.."
            );
            self.refuse_server(line, at + 1, message);
            return None;
        }
        let mut said = match self.source_address(&word, SOURCE) {
            Ok(said) => said,
            Err(SourceProblem::Bad(text)) => {
                self.refuse_server(line, at + 1, format!("{before}'source {word}' : {text}."));
                return None;
            }
            Err(SourceProblem::Missing) => {
                let message = format!("{before}'source {word}' is not implemented by oneloop.");
                self.refuse_server(line, at + 1, message);
                return None;
            }
        };
        let mut length = 2;
        loop {
            match line.bytes(at + length) {
                b"interface" => {
                    let name = line.word(at + length + 1).into_owned();
                    if name.is_empty() {
                        let message = format!("{before}'server' : missing interface name.");
                        self.refuse_server(line, at + length + 1, message);
                        let again = "error encountered while processing 'interface'.";
                        self.found.alert_bare(again);
                        return None;
                    }
                    said.interface = Some(name);
                    length += 2;
                }
                b"usesrc" => {
                    let message =
                        format!("{before}'source ... usesrc' is not implemented by oneloop.");
                    self.found
                        .alert(line.at(at + length), message)
                        .lead(Lead::Place)
                        .note(NO_USESRC);
                    return None;
                }
                _ => break,
            }
        }
        let outgoing = &mut settings.outgoing;
        outgoing.source = said.source;
        outgoing.last_port = said.last_port;
        outgoing.interface = said.interface;
        Some(length)
    }

    /// `tcp-ut TIME`.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    pub(super) fn server_user_timeout(
        &mut self,
        line: &Line,
        at: usize,
        settings: &mut ServerSettings,
        before: &str,
    ) -> Option<()> {
        let word = line.word(at + 1).into_owned();
        self.warn_of_server_tail(line, at, before);
        let text = if word.is_empty() {
            "'tcp-ut' : missing TCP User Timeout value".to_owned()
        } else {
            match units::time_ms(&word, TimeUnit::Ms) {
                Ok(time) => {
                    settings.outgoing.user_timeout_ms = u32::try_from(time).ok()?;
                    return Some(());
                }
                Err(error @ units::TimeError::Overflow) => error.message(&word, "tcp-ut"),
                Err(_) => "'tcp-ut' : expects a positive delay in milliseconds".to_owned(),
            }
        };
        self.refuse_server(line, at + 1, format!("{before}{text}."));
        None
    }
}
