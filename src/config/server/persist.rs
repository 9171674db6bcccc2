//! The option of a server line that binds clients to the server: `cookie`.

use super::super::draft::ServerSettings;
use super::super::lexer::Line;
use super::super::sections::Parser;

impl Parser<'_> {
    /// `cookie VALUE`.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    pub(super) fn server_cookie(
        &mut self,
        line: &Line,
        at: usize,
        settings: &mut ServerSettings,
        before: &str,
    ) -> Option<()> {
        self.server_value(line, at, before)?;
        settings.cookie = Some(line.word(at + 1).into_owned());
        Some(())
    }
}
