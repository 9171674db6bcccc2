//! `tcp-request` lines, of which oneloop has `tcp-request connection`.

use crate::config::keywords::Section;
use crate::config::lexer::Line;
use crate::config::sections::Parser;
use crate::rules::connection::section;

impl Parser<'_> {
    /// Checks what the compiler of rules leaves to their place; reported.
    pub(super) fn may_be_compiled(&mut self, line: &Line) -> bool {
        let (place, name) = self.scope();
        let kind = match place {
            Section::Listen => "proxy",
            other => other.name(),
        };
        let at = section(kind, &name);
        let message = match &*line.word(1) {
            "connection" if place == Section::Defaults && name.is_empty() => {
                "tcp-request connection is not allowed in anonymous 'defaults' sections".to_owned()
            }
            "connection" if place == Section::Backend => {
                format!(
                    "tcp-request connection is not allowed because {kind} {name} is not a frontend"
                )
            }
            "connection" => return true,
            "" => format!("missing argument for 'tcp-request' in {at}"),
            word @ ("content" | "session" | "inspect-delay") => {
                format!("'tcp-request {word}' is not implemented by oneloop.")
            }
            word => format!(
                "'tcp-request' expects 'inspect-delay', 'connection', or 'content' in {at} (got '{word}')"
            ),
        };
        self.refuse(line, 1, message);
        false
    }
}
