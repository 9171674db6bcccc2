//! The lines that name where sessions go without balancing: `use-server` and `dispatch`
//! (configuration.txt 4.2).
//!
//! A handler keeps its line; `resolve` finds the servers when all of them are known. A name with a
//! `%` is a format string, whose server is looked for when a request comes. The address of
//! `dispatch` becomes a server that is none of its backend's.

use super::diag::{Lead, Place, Severity};
use super::draft::{ChoiceDraft, DispatchDraft};
use super::lexer::Line;
use super::lines::{AddressProblem, endpoint};
use super::model::{ServerChoice, ServerId, ServerTarget};
use super::rules::condition_place;
use super::sections::Parser;
use super::units::{self, Allow};
use crate::rules::fetch::Scope;
use crate::rules::format::Purpose;

impl Parser<'_> {
    /// `dispatch ADDRESS:PORT`.
    pub(super) fn dispatch_line(&mut self, line: &Line) {
        let word = line.word(1).into_owned();
        let made = units::address(&word, Allow::DISPATCH).and_then(|spec| {
            endpoint(&spec, None, self.host).map_err(|problem| match problem {
                AddressProblem::Unresolved(name) => {
                    format!("invalid address: '{name}' in '{word}'")
                }
                AddressProblem::Unsupported => {
                    format!("'{word}' is not implemented by oneloop.")
                }
            })
        });
        let endpoint = match made {
            Ok(endpoint) => endpoint,
            Err(text) => {
                self.refuse(line, 1, format!("'dispatch' : {text}"));
                return;
            }
        };
        let at = line.at(1);
        if self.only(line, 1)
            && let Some(proxy) = self.proxy()
        {
            proxy.dispatch = Some(DispatchDraft { endpoint, at });
        }
    }

    /// Where a backend balances, nothing goes to the address of `dispatch`.
    pub(super) fn warn_of_unused_dispatch(&mut self, at: usize) {
        let Some(proxy) = self.proxies.get(at) else {
            return;
        };
        let unused = proxy.dispatch.is_some() && proxy.dispatches().is_none();
        if unused && proxy.is_backend() {
            let (kind, name) = (proxy.kind(), &proxy.name);
            let message =
                format!("dispatch address of {kind} '{name}' will be ignored in balance mode.");
            self.warn(at, message);
        }
    }

    /// `use-server SERVER if|unless CONDITION`.
    pub(super) fn use_server_line(&mut self, line: &Line) {
        if line.bytes(1).is_empty() {
            self.refuse(line, 1, "'use-server' expects a server name.");
            return;
        }
        if !matches!(line.bytes(2), b"if" | b"unless") {
            let message = "'use-server' requires either 'if' or 'unless' followed by a condition.";
            self.refuse(line, 2, message);
            return;
        }
        let Some((draft, below_http)) = self.choice(line, Scope::Server) else {
            return;
        };
        if let Some(proxy) = self.proxy() {
            proxy.layer_six.server_choices.extend(below_http);
            proxy.server_choices.push(draft);
        }
    }

    /// What `use_backend` and `use-server` lines have in common: the name, and the condition if
    /// there is one. The place is there when that asks for bytes below HTTP.
    pub(super) fn choice(
        &mut self,
        line: &Line,
        scope: Scope,
    ) -> Option<(ChoiceDraft, Option<Place>)> {
        let mut condition = None;
        if matches!(line.bytes(2), b"if" | b"unless") {
            let before = "error detected while parsing switching rule : ";
            condition = Some(self.condition(line, 2, scope, before)?);
        }
        let below_http = condition
            .as_ref()
            .is_some_and(|condition| condition.reads_bytes(&self.acls));
        let draft = ChoiceDraft {
            target: line.bytes(1).to_vec(),
            at: line.at(1),
            condition,
        };
        Some((draft, below_http.then(|| condition_place(line))))
    }

    /// The servers that the `use-server` lines of a proxy name.
    pub(super) fn find_server_choices(&mut self, at: usize) -> Vec<ServerChoice> {
        let Some(proxy) = self.proxies.get_mut(at) else {
            return Vec::new();
        };
        let drafts = std::mem::take(&mut proxy.server_choices);
        let found = drafts.into_iter().filter_map(|draft| {
            let target = self.find_server_target(at, &draft)?;
            Some(ServerChoice {
                target,
                condition: draft.condition?,
            })
        });
        found.collect()
    }

    fn find_server_target(&mut self, at: usize, draft: &ChoiceDraft) -> Option<ServerTarget> {
        let text = &draft.target;
        if text.contains(&b'%') {
            match self.compile_format(at, text, Purpose::Server) {
                // A text that is written as a format is one, too, although no server has its name.
                Ok(format) if format.constant().is_none() || !text.starts_with(b"%%") => {
                    return Some(ServerTarget::Dynamic(format));
                }
                Ok(_) => {}
                Err(problem) => {
                    let message = format!(
                        "Parsing [{}:{}]; use-server rule failed to parse log-format '{}' : {}",
                        self.file_name(draft.at.file),
                        draft.at.line,
                        String::from_utf8_lossy(text),
                        problem.message
                    );
                    let place = Some(draft.at.clone().pointing_at(text, problem.at));
                    let one = self.found.push(Severity::Alert, Lead::Bare, place, message);
                    if let Some(name) = &problem.suggestion {
                        one.note(format!("did you mean '{name}' maybe ?"));
                    }
                    return None;
                }
            }
        }
        let key = (u32::try_from(at).unwrap_or(u32::MAX), text.clone());
        if let Some(id) = self.names.servers.get(&key) {
            self.names.spoken_of.note(*id);
            return Some(ServerTarget::Server(ServerId(*id)));
        }
        let proxy = self.proxies.get(at)?;
        let name = String::from_utf8_lossy(text).into_owned();
        let message = format!(
            "{} '{}' : unable to find server '{name}' referenced in a 'use-server' rule.",
            proxy.kind(),
            proxy.name
        );
        let near = proxy.servers.iter().map(|server| server.name.as_str());
        let place = Some(draft.at.clone());
        self.found
            .push(Severity::Alert, Lead::Bare, place, message)
            .suggest(&name, near);
        None
    }
}
