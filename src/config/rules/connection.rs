//! `tcp-request` lines: which of them may stand where.

use crate::config::keywords::Section;
use crate::config::lexer::Line;
use crate::config::sections::Parser;
use crate::rules::connection::section;

impl Parser<'_> {
    /// Checks what the compiler of rules leaves to their place; reported. `inspect-delay`, which is
    /// no rule, is read here.
    pub(super) fn may_be_compiled(&mut self, line: &Line) -> bool {
        let (place, name) = self.scope();
        let kind = match place {
            Section::Listen => "proxy",
            other => other.name(),
        };
        let at = section(kind, &name);
        let message = match &*line.word(1) {
            word @ ("connection" | "content" | "inspect-delay")
                if place == Section::Defaults && name.is_empty() =>
            {
                format!("tcp-request {word} is not allowed in anonymous 'defaults' sections")
            }
            "connection" if place == Section::Backend => {
                format!(
                    "tcp-request connection is not allowed because {kind} {name} is not a frontend"
                )
            }
            "connection" | "content" => return true,
            "inspect-delay" => {
                self.inspect_delay(line, &at);
                return false;
            }
            "" => format!("missing argument for 'tcp-request' in {at}"),
            "session" => "'tcp-request session' is not implemented by oneloop.".to_owned(),
            word => format!(
                "'tcp-request' expects 'inspect-delay', 'connection', or 'content' in {at} (got '{word}')"
            ),
        };
        self.refuse(line, 1, message);
        false
    }
}
