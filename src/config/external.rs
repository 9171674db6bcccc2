//! The lines of checks that run a program: `external-check` in `global`, which allows them, and in
//! sections, where it says what is run; `option external-check` asks for it (configuration.txt 3.1
//! and 4.2).
//!
//! Whether they fit together is judged when the section is known, in HAProxy's order and words.

use super::diag::{Lead, Severity};
use super::draft::{ProgramDraft, ScriptDraft};
use super::lexer::Line;
use super::sections::Parser;
use crate::check::external::Program;

impl ProgramDraft {
    /// What is run.
    pub(super) fn build(self) -> Program {
        Program {
            command: self.command.unwrap_or_default(),
            path: self.path.unwrap_or_default(),
        }
    }
}

impl Parser<'_> {
    /// `external-check command PROGRAM` or `external-check path DIRECTORIES`.
    pub(super) fn external_check_line(&mut self, line: &Line) {
        let word: Box<[u8]> = line.bytes(2).into();
        match line.bytes(1) {
            b"" => {
                let message = "missing argument after 'external-check'.\n";
                self.refuse(line, 0, message);
            }
            b"command" | b"path" if word.is_empty() => {
                let message = format!("missing argument after '{}'.", line.word(1));
                self.refuse(line, 1, message);
            }
            b"command" | b"path" if !self.only(line, 2) => {}
            b"command" => self.settings().program.command = Some(word),
            b"path" => self.settings().program.path = Some(word),
            _ => {
                let message = format!(
                    "'external-check' only supports 'command' and 'path'. but got '{}'.",
                    line.word(1)
                );
                self.refuse(line, 1, message);
            }
        }
    }

    /// Says what is missing for the program of a section, or that nothing asks for it.
    pub(super) fn check_program(&mut self, at: usize) {
        let Some(proxy) = self.proxies.get(at) else {
            return;
        };
        let (kind, name) = (proxy.kind(), proxy.name.clone());
        let place = proxy.at.clone();
        let program = proxy.settings.program.clone();
        if matches!(proxy.settings.script, ScriptDraft::Program) {
            let option =
                format!("Proxy '{name}' : 'option external-check' unable to find required");
            let mut missing = Vec::new();
            if !self.global.programs_checked {
                missing.push("'global.external-check'");
            }
            if program.command.is_none() {
                missing.push("'external-check command'");
            }
            for what in missing {
                let message = format!("{option} {what}.");
                let place = Some(place.clone());
                self.found.push(Severity::Alert, Lead::Bare, place, message);
            }
            if !self.global.forks {
                let message = format!(
                    "Proxy '{name}' : 'insecure-fork-wanted' not enabled in the global section, 'option external-check' will likely fail."
                );
                self.warn(at, message);
            }
        } else {
            let said = [
                (program.command.is_some(), "command"),
                (program.path.is_some(), "path"),
            ];
            for (_, what) in said.into_iter().filter(|(said, _)| *said) {
                let message = format!(
                    "'external-check {what}' will be ignored for {kind} '{name}' (requires 'option external-check')."
                );
                self.warn(at, message);
            }
        }
        let is_path = |command: &[u8]| command.first() == Some(&b'/');
        if program.path.is_none() && program.command.is_some_and(|command| !is_path(&command)) {
            let message = format!(
                "Proxy '{name}': 'external-check command' does not have a leading '/' and 'external-check path' is not set."
            );
            self.found
                .push(Severity::Alert, Lead::Bare, Some(place), message);
        }
    }
}
