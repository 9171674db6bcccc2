//! `unique-id-format` and `unique-id-header` (configuration.txt 4.2).

use super::diag::{Lead, Severity};
use super::lexer::Line;
use super::model::UniqueId;
use super::proxy::is_token;
use super::sections::Parser;
use crate::rules::format::Purpose;

impl Parser<'_> {
    /// `unique-id-format STRING`.
    pub(super) fn unique_id_format_line(&mut self, line: &Line) {
        if line.bytes(1).is_empty() {
            self.refuse(line, 1, "unique-id-format expects an argument.");
            return;
        }
        if line.words.len() > 2 {
            let message =
                "unique-id-format expects only one argument, don't forget to escape spaces!";
            self.refuse(line, 2, message);
            return;
        }
        self.settings().unique_id_format = Some((line.bytes(1).to_vec(), line.at(1)));
    }

    /// `unique-id-header NAME`.
    pub(super) fn unique_id_header_line(&mut self, line: &Line) {
        if line.bytes(1).is_empty() {
            self.refuse(line, 1, "unique-id-header expects an argument.");
            return;
        }
        if !line.bytes(1).iter().copied().all(is_token) {
            let message = format!(
                "unique-id-header : '{}' is not a header name.",
                line.word(1)
            );
            self.refuse(line, 1, message);
            return;
        }
        self.settings().unique_id_header = Some(line.bytes(1).to_vec());
    }

    /// How a frontend names its requests; nothing where it does not, or where the format is bad,
    /// which is reported.
    pub(super) fn unique_id_of(&mut self, at: usize) -> Option<Box<UniqueId>> {
        let proxy = self.proxies.get(at).filter(|proxy| proxy.is_frontend())?;
        let (text, place) = proxy.settings.unique_id_format.clone()?;
        let header = proxy.settings.unique_id_header.clone();
        match self.compile_format(at, &text, Purpose::UniqueId) {
            Ok(format) => Some(Box::new(UniqueId {
                format,
                header: header.map(Vec::into_boxed_slice),
            })),
            Err(problem) => {
                let message = format!("failed to parse unique-id : {}", problem.message);
                let place = place.pointing_at(&text, problem.at);
                let lead = Lead::ParsingCapital;
                let one = self.found.push(Severity::Alert, lead, Some(place), message);
                if let Some(name) = &problem.suggestion {
                    one.note(format!("did you mean '{name}' maybe ?"));
                }
                None
            }
        }
    }
}
