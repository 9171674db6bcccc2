//! Options of a server about its health besides its own check: `agent-check` and what belongs to
//! it, `observe`, `error-limit`, `on-error`, `on-marked-down`, `on-marked-up`, `track`
//! (configuration.txt 5.2).
//!
//! Whom a server tracks is known when the whole file is: `resolve_tracks`.

use std::collections::HashMap;

use super::super::diag::{self, Lead, Severity};
use super::super::draft::{ProxyDraft, ServerSettings};
use super::super::lexer::Line;
use super::super::model::{Mode, Observe, OnError, ServerId};
use super::super::sections::Parser;
use super::super::units::{self, Allow, Spec};
use crate::balance::server::Observed;

/// `error-limit` unless given.
const ERRORS_BEFORE: u32 = 10;

/// What is said of a server's health beside its check.
#[derive(Clone, Debug)]
pub(in crate::config) struct HealthSettings {
    /// `agent-check`.
    pub(in crate::config) agent: bool,
    /// `agent-port`; the check's `port` when absent.
    pub(in crate::config) agent_port: Option<u16>,
    /// `agent-addr`.
    pub(in crate::config) agent_address: Option<(Spec, diag::Place)>,
    /// `agent-inter`, ms.
    pub(in crate::config) agent_inter: u32,
    /// `agent-send`.
    pub(in crate::config) agent_send: Vec<u8>,
    /// `observe`.
    pub(in crate::config) observed: Observed,
    /// `error-limit`.
    pub(in crate::config) error_limit: u32,
    /// `on-error`.
    pub(in crate::config) on_error: OnError,
    /// `on-marked-down shutdown-sessions`.
    pub(in crate::config) shut_when_down: bool,
    /// `on-marked-up shutdown-backup-sessions`.
    pub(in crate::config) shut_backups_when_up: bool,
    /// `track`, as written.
    pub(in crate::config) track: Option<String>,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            agent: false,
            agent_port: None,
            agent_address: None,
            agent_inter: 2000,
            agent_send: Vec::new(),
            observed: Observed::Nothing,
            error_limit: ERRORS_BEFORE,
            on_error: OnError::FailCheck,
            shut_when_down: false,
            shut_backups_when_up: false,
            track: None,
        }
    }
}

impl HealthSettings {
    /// What is observed, and what is done about it.
    pub(in crate::config) fn observe(&self) -> Option<Observe> {
        (self.observed != Observed::Nothing).then_some(Observe {
            what: self.observed,
            limit: self.error_limit,
            on_error: self.on_error,
        })
    }
}

impl Parser<'_> {
    /// One of these options that has an argument.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    pub(super) fn health_option(
        &mut self,
        line: &Line,
        at: usize,
        option: &str,
        settings: &mut ServerSettings,
        name: &str,
        before: &str,
    ) -> Option<()> {
        let word = line.word(at + 1).into_owned();
        let health = &mut settings.health;
        let refusal = match (option, word.as_str()) {
            ("agent-inter", _) => {
                health.agent_inter = self.server_time(line, at, name, before)?;
                return Some(());
            }
            ("agent-addr", "") => "'agent-addr' expects an address as argument..".to_owned(),
            ("agent-addr", _) => {
                return self.agent_address(line, at, settings, before);
            }
            ("agent-port", "") => "'agent-port' expects a port number as argument..".to_owned(),
            // The digits in front count, and of their number what fits: HAProxy's `atol`.
            ("agent-port", _) => {
                health.agent_port = Some(leading_number(&word) as u16);
                return Some(());
            }
            ("agent-send", "") => "'agent-send' expects a string as argument..".to_owned(),
            ("agent-send", _) => {
                health.agent_send = line.bytes(at + 1).to_vec();
                return Some(());
            }
            ("error-limit", "") => "'error-limit' expects an integer argument..".to_owned(),
            ("error-limit", _) => match u32::try_from(leading_number(&word)) {
                Ok(limit @ 1..) => {
                    health.error_limit = limit;
                    return Some(());
                }
                _ => "error-limit has to be > 0..".to_owned(),
            },
            ("observe", "") => "'observe' expects <mode> as argument..".to_owned(),
            ("observe", mode) => match mode {
                "none" => return health.watch(Observed::Nothing),
                "layer4" => return health.watch(Observed::Connections),
                "layer7" => return self.observe_answers(line, at, settings, before),
                _ => {
                    format!("'observe' expects one of 'none', 'layer4', 'layer7' but got '{mode}'.")
                }
            },
            ("on-error", mode) => {
                let chosen = match mode {
                    "fastinter" => Some(OnError::Hurry),
                    "fail-check" => Some(OnError::FailCheck),
                    "sudden-death" => Some(OnError::SuddenDeath),
                    "mark-down" => Some(OnError::MarkDown),
                    _ => None,
                };
                if let Some(chosen) = chosen {
                    health.on_error = chosen;
                    return Some(());
                }
                format!(
                    "'on-error' expects one of 'fastinter', 'fail-check', 'sudden-death' or \
                     'mark-down' but got '{mode}'."
                )
            }
            ("on-marked-down", "shutdown-sessions") => {
                health.shut_when_down = true;
                return Some(());
            }
            ("on-marked-up", "shutdown-backup-sessions") => {
                health.shut_backups_when_up = true;
                return Some(());
            }
            ("on-marked-down", _) => {
                format!("'on-marked-down' expects 'shutdown-sessions' but got '{word}'.")
            }
            ("on-marked-up", _) => {
                format!("'on-marked-up' expects 'shutdown-backup-sessions' but got '{word}'.")
            }
            (_, "") => "'track' expects [<proxy>/]<server> as argument..".to_owned(),
            (_, _) => {
                health.track = Some(word);
                return Some(());
            }
        };
        self.refuse_server(line, at + 1, format!("{before}{refusal}"));
        None
    }

    /// `observe layer7`. In a proxy that does not read answers HAProxy complains and goes on.
    fn observe_answers(
        &mut self,
        line: &Line,
        at: usize,
        settings: &mut ServerSettings,
        before: &str,
    ) -> Option<()> {
        if self.settings().mode == Mode::Http {
            return settings.health.watch(Observed::Answers);
        }
        let message = format!("{before}'layer7' can only be used in http proxies..");
        self.found.warning(line.at(at), message).lead(Lead::Place);
        Some(())
    }

    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn agent_address(
        &mut self,
        line: &Line,
        at: usize,
        settings: &mut ServerSettings,
        before: &str,
    ) -> Option<()> {
        let word = line.word(at + 1);
        let found = units::address(&word, Allow::PEER).ok().filter(|spec| {
            let has_port = !matches!(spec.port, units::Port::None);
            !has_port
                && match &spec.host {
                    units::Host::Name(name) => self.host.resolve(name).is_ok(),
                    units::Host::Unix(_) | units::Host::Abstract(_) => false,
                    _ => true,
                }
        });
        if let Some(spec) = found {
            settings.health.agent_address = Some((spec, line.at(at + 1)));
            return Some(());
        }
        let message =
            format!("{before}parsing agent-addr failed. Check if '{word}' is correct address..");
        self.refuse_server(line, at + 1, message);
        None
    }

    /// What a server's options say together: nobody has a check and tracks another one, a first
    /// check is one, and an agent needs a port; a check's own one will do.
    pub(super) fn check_health(
        &mut self,
        line: &Line,
        settings: &ServerSettings,
        name: &str,
        before: &str,
    ) -> Option<()> {
        let health = &settings.health;
        let port = health.agent_port.or(settings.check_port);
        let message = if settings.check && health.track.is_some() {
            format!("{before}unable to enable checks and tracking at the same time!")
        } else if settings.first_check && !settings.check {
            format!("{before}'first-check-before-traffic' needs 'check'.")
        } else if health.agent && port.unwrap_or_default() == 0 {
            format!(
                "{before}server {name} does not have agent port. Agent check has been disabled."
            )
        } else {
            return Some(());
        };
        self.refuse_server(line, 1, message);
        None
    }

    /// Finds whom each server tracks: by server id, as far as nothing is wrong.
    pub(in crate::config) fn resolve_tracks(&mut self) -> HashMap<ServerId, ServerId> {
        let mut tracks = HashMap::new();
        let mut refused = Vec::new();
        let proxies = &self.proxies;
        let of_names: HashMap<&str, (usize, &ProxyDraft)> = proxies
            .iter()
            .enumerate()
            .filter(|(_, proxy)| proxy.is_backend())
            .map(|(at, proxy)| (proxy.name.as_str(), (at, proxy)))
            .collect();
        let starts: Vec<usize> = proxies
            .iter()
            .scan(0usize, |next, proxy| {
                let start = *next;
                *next = next.saturating_add(proxy.servers.len());
                Some(start)
            })
            .collect();
        let id_at = |proxy: usize, place: usize| {
            let start = starts.get(proxy).copied().unwrap_or_default();
            ServerId(u32::try_from(start.saturating_add(place)).unwrap_or(u32::MAX))
        };
        for (at, proxy) in proxies.iter().enumerate() {
            for (place, server) in proxy.servers.iter().enumerate() {
                let Some(track) = &server.settings.health.track else {
                    continue;
                };
                let own = id_at(at, place);
                let mut refuse = |text: String| {
                    let text = format!("'server {}/{}' : {text}", proxy.name, server.name);
                    refused.push((server.at.clone(), text));
                };
                let (backend, target) = match track.split_once('/') {
                    Some((backend, target)) => (of_names.get(backend).copied(), target),
                    None => (Some((at, proxy)), track.as_str()),
                };
                let Some((backend_at, backend)) = backend else {
                    let name = track.split('/').next().unwrap_or_default();
                    refuse(format!(
                        "unable to find required proxy '{name}' for tracking."
                    ));
                    continue;
                };
                let mut named = backend.servers.iter().enumerate();
                let Some((target_place, target)) = named.find(|(_, one)| one.name == target) else {
                    refuse(format!(
                        "unable to find required server '{target}' for tracking."
                    ));
                    continue;
                };
                let (settings, id) = (&target.settings, id_at(backend_at, target_place));
                let drains = |proxy: &ProxyDraft| proxy.settings.checks.disable_on_404;
                let differs = backend_at != at && drains(backend) != drains(proxy);
                let (backend, name) = (&backend.name, &target.name);
                if !(settings.check || settings.health.agent || settings.health.track.is_some()) {
                    refuse(format!(
                        "unable to use {backend}/{name} for tracking as it does not have any \
                         check nor agent enabled."
                    ));
                    continue;
                }
                if differs {
                    // What a 404 does to the one would not be done to the other. HAProxy's words.
                    refuse(format!(
                        "unable to use {backend}/{name} fortracking: disable-on-404 option \
                         inconsistency."
                    ));
                    continue;
                }
                let mut last = id;
                while let Some(next) = tracks.get(&last).filter(|_| last != own) {
                    last = *next;
                }
                if last == own {
                    refuse(format!(
                        "unable to track {backend}/{name} as it belongs to a tracking chain \
                         looping back to {}/{}.",
                        proxy.name, server.name
                    ));
                } else {
                    tracks.insert(own, id);
                }
            }
        }
        for (place, text) in refused {
            self.found
                .push(Severity::Alert, Lead::Place, Some(place), text);
        }
        tracks
    }
}

impl HealthSettings {
    fn watch(&mut self, observed: Observed) -> Option<()> {
        self.observed = observed;
        Some(())
    }
}

/// The number that a word begins with, 0 if there is none.
fn leading_number(word: &str) -> i64 {
    let digits_at = usize::from(word.starts_with(['-', '+']));
    let rest = word.get(digits_at..).unwrap_or_default();
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let number = rest.get(..digits).unwrap_or_default();
    let number: i64 = match number.parse() {
        Ok(number) => number,
        Err(_) if number.is_empty() => 0,
        Err(_) => i64::MAX,
    };
    match word.starts_with('-') {
        true => number.saturating_neg(),
        false => number,
    }
}
