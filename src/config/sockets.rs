//! Lines that say something of sockets (configuration.txt 3.1 "unix-bind", 4.2 "source",
//! "clitcpka-idle" and its kin, the options of TCP).
//!
//! What they say ends in `base::outgoing`: of a frontend for its listeners, of a backend for the
//! connections to its servers.

use super::diag::Lead;
use super::lexer::Line;
use super::lines::{AddressProblem, endpoint};
use super::model::{Failure, Mode};
use super::sections::Parser;
use super::units::{self, Allow, Host, Port, TimeUnit};
use crate::base::addr::Endpoint;
use crate::base::outgoing::{Incoming, Keepalive, Outgoing};

/// What is said of `source ... usesrc`, besides that it is refused.
pub(super) const NO_USESRC: &str =
    "servers are told of clients by 'send-proxy-v2' or 'option forwardfor'.";

/// What the lines of a proxy say of its sockets.
#[derive(Clone, Debug, Default)]
pub(super) struct ProxySockets {
    /// `option clitcpka` and `option srvtcpka`.
    client_alive: bool,
    server_alive: bool,
    /// Their times.
    client_times: Keepalive,
    server_times: Keepalive,
    /// `option nolinger`.
    no_linger: bool,
    /// `option tcp-smart-accept`, which is on in HTTP mode unless it is taken back.
    smart_accept: Option<bool>,
    /// `option tcp-smart-connect`.
    smart_connect: bool,
    /// `option socket-stats`.
    pub(super) socket_stats: bool,
    /// `source`.
    pub(super) source: Outgoing,
}

impl ProxySockets {
    /// What the listeners of a frontend have from it.
    pub(super) fn incoming(&self, mode: Mode) -> Incoming {
        Incoming {
            keepalive: self.client_alive.then_some(self.client_times),
            no_linger: self.no_linger,
            delayed_ack: self.smart_accept.unwrap_or(mode == Mode::Http),
            ..Incoming::default()
        }
    }

    /// What connections to the servers of a backend have from it.
    pub(super) fn outgoing(&self) -> Outgoing {
        Outgoing {
            keepalive: self.server_alive.then_some(self.server_times),
            no_linger: self.no_linger,
            delayed_ack: self.smart_connect,
            ..self.source.clone()
        }
    }
}

/// `unix-bind`: what unix sockets of `bind` lines have unless they say otherwise.
#[derive(Clone, Debug, Default)]
pub(super) struct UnixBind {
    pub(super) prefix: String,
    pub(super) mode: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
}

/// Why a source address was refused.
pub(super) enum SourceProblem {
    /// HAProxy's text.
    Bad(String),
    /// What oneloop lacks.
    Missing,
}

impl Parser<'_> {
    /// An option about sockets; false when the name is none of these.
    pub(super) fn socket_option(&mut self, name: &str, on: bool) -> bool {
        let sockets = &mut self.settings().sockets;
        match name {
            // One word for both sides; of the side that a proxy lacks nothing comes.
            "tcpka" => (sockets.client_alive, sockets.server_alive) = (on, on),
            "clitcpka" => sockets.client_alive = on,
            "srvtcpka" => sockets.server_alive = on,
            "nolinger" => sockets.no_linger = on,
            "tcp-smart-accept" => sockets.smart_accept = Some(on),
            "tcp-smart-connect" => sockets.smart_connect = on,
            "socket-stats" => sockets.socket_stats = on,
            _ => return false,
        }
        true
    }

    /// `clitcpka-idle`, `-intvl` and `-cnt`, and the same of `srvtcpka`.
    pub(super) fn keepalive_line(&mut self, line: &Line, name: &str) {
        if line.bytes(1).is_empty() {
            self.refuse(line, 1, format!("'{name}' expects an integer value"));
            return;
        }
        let word = line.word(1).into_owned();
        let (side, what) = name.split_once('-').unwrap_or((name, ""));
        let value = if what == "cnt" {
            let number = units::integer(&word);
            let number = number.and_then(|number| u32::try_from(number).ok());
            let Some(number) = number.filter(|number| *number <= 127) else {
                let text = match word.bytes().find(|byte| !byte.is_ascii_digit()) {
                    Some(bad) => format!(
                        "unexpected character '{}' in integer value '{word}'",
                        char::from(bad)
                    ),
                    None => format!("'{word}' is more than the system's 127."),
                };
                self.refuse(line, 1, format!("'{name}' : {text}"));
                return;
            };
            number
        } else {
            self.warn_of_tail(line, 1);
            match units::time(&word, TimeUnit::S, TimeUnit::S) {
                Ok(seconds) if seconds <= 32_767 => u32::try_from(seconds).unwrap_or_default(),
                Ok(_) => {
                    let text = format!("'{name}' : '{word}' is more than the system's 32767 s.");
                    self.refuse(line, 1, text);
                    return;
                }
                Err(units::TimeError::Unexpected(c)) => {
                    let text = format!("unexpected character '{c}' in argument to <{name}>.");
                    self.refuse(line, 1, text);
                    return;
                }
                Err(error) => {
                    self.refuse(line, 1, error.message(&word, name));
                    return;
                }
            }
        };
        if !self.only(line, 1) {
            return;
        }
        let of_client = side == "clitcpka";
        if let Some(proxy) = self.proxy() {
            let (lacks, kind) = if of_client {
                (!proxy.is_frontend(), "frontend")
            } else {
                (!proxy.is_backend(), "backend")
            };
            if lacks {
                let text = format!(
                    "{name} will be ignored because {} '{}' has no {kind} capability",
                    proxy.kind(),
                    proxy.name
                );
                self.found.warning(line.at(0), text);
            }
        }
        let sockets = &mut self.settings().sockets;
        let times = if of_client {
            &mut sockets.client_times
        } else {
            &mut sockets.server_times
        };
        let value = (value > 0).then_some(value);
        match what {
            "cnt" => times.count = value,
            "idle" => times.idle_s = value,
            _ => times.interval_s = value,
        }
    }

    /// `source ADDRESS[:PORT] [interface NAME]` of a backend.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    pub(super) fn source_line(&mut self, line: &Line) {
        if line.bytes(1).is_empty() {
            let message = "'source' expects <addr>[:<port>], and optionally 'usesrc' <addr>, and 'interface' <name>.";
            self.refuse(line, 1, message);
            return;
        }
        let word = line.word(1).into_owned();
        let mut said = match self.source_address(&word, Allow::PEER) {
            Ok(said) => said,
            Err(SourceProblem::Bad(text)) => {
                self.refuse(line, 1, format!("'source {word}' : {text}"));
                return;
            }
            Err(SourceProblem::Missing) => {
                let text = format!("'source {word}' is not implemented by oneloop.");
                self.refuse(line, 1, text);
                return;
            }
        };
        let mut at = 2;
        while at < line.words.len() {
            match line.bytes(at) {
                b"interface" => {
                    if line.bytes(at + 1).is_empty() {
                        self.refuse(line, at + 1, "'source' : missing interface name.");
                        return;
                    }
                    said.interface = Some(line.word(at + 1).into_owned());
                    at += 2;
                }
                b"usesrc" => {
                    if line.bytes(at + 1).is_empty() {
                        let message = "'usesrc' expects <addr>[:<port>], 'client', or 'clientip' as argument.";
                        self.refuse(line, at + 1, message);
                    } else {
                        let message = "'source ... usesrc' is not implemented by oneloop.";
                        self.found.alert(line.at(at), message).note(NO_USESRC);
                    }
                    return;
                }
                _ => {
                    let message =
                        "'source' only supports optional keywords 'interface' and 'usesrc'.";
                    let word = line.word(at);
                    self.found
                        .alert(line.at(at), message)
                        .suggest(&word, ["interface", "usesrc"]);
                    return;
                }
            }
        }
        self.settings().sockets.source = said;
    }

    /// What a source address asks for.
    pub(super) fn source_address(
        &self,
        word: &str,
        allow: Allow,
    ) -> Result<Outgoing, SourceProblem> {
        let spec = units::address(word, allow).map_err(SourceProblem::Bad)?;
        if matches!(
            spec.host,
            Host::Unix(_) | Host::Abstract(_) | Host::SockPair(_) | Host::Fd(_)
        ) {
            return Err(SourceProblem::Missing);
        }
        let (first, last_port) = match spec.port {
            Port::One(port) => (port, None),
            // A range of one is that one, whoever else has it.
            Port::Range(low, high) => (low, Some(high).filter(|high| *high > low)),
            Port::None | Port::Offset(_) => (0, None),
        };
        let source = match endpoint(&spec, Some(first), self.host) {
            Ok(Endpoint::Inet(address)) => address,
            Err(AddressProblem::Unresolved(name)) => {
                let text = format!("invalid address: '{name}' in '{word}'");
                return Err(SourceProblem::Bad(text));
            }
            _ => return Err(SourceProblem::Missing),
        };
        Ok(Outgoing {
            source: Some(source),
            last_port,
            ..Outgoing::default()
        })
    }

    /// `unix-bind [prefix P] [mode M] [user U] [uid N] [group G] [gid N]`.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    pub(super) fn unix_bind_line(&mut self, line: &Line) {
        const NAMES: [&str; 6] = ["prefix", "mode", "uid", "gid", "user", "group"];
        let mut said = self.global.unix_bind.clone();
        let mut at = 1;
        while at < line.words.len() {
            let name = line.word(at).into_owned();
            let word = line.word(at + 1).into_owned();
            let number = units::integer(&word).and_then(|number| u32::try_from(number).ok());
            let bad = |what: &str| format!("'unix-bind' : '{word}' {what}.");
            let missing = match name.as_str() {
                "prefix" if word.is_empty() => {
                    Some("unix_bind 'prefix' expects a path as an argument.".to_owned())
                }
                "prefix" => {
                    said.prefix.clone_from(&word);
                    None
                }
                "mode" => {
                    said.mode = super::bind::octal_mode(&word);
                    said.mode.is_none().then(|| bad("is no octal mode"))
                }
                "uid" => {
                    said.uid = number;
                    number.is_none().then(|| bad("is no number of a user"))
                }
                "gid" => {
                    said.gid = number;
                    number.is_none().then(|| bad("is no number of a group"))
                }
                "user" => {
                    said.uid = self.host.user_id(&word);
                    said.uid.is_none().then(|| bad("unknown user"))
                }
                "group" => {
                    said.gid = self.host.group_id(&word);
                    said.gid.is_none().then(|| bad("unknown group"))
                }
                _ => {
                    let message = "'unix-bind' only supports the 'prefix', 'mode', 'uid', 'gid', 'user' and 'group' options.";
                    self.found.alert(line.at(at), message).suggest(&name, NAMES);
                    return;
                }
            };
            if let Some(message) = missing {
                self.refuse(line, at + 1, message);
                return;
            }
            at += 2;
        }
        self.global.unix_bind = said;
    }

    /// Puts the prefix of `unix-bind` before the paths of a `bind` line; `None` when one is too
    /// long with it, which is reported.
    pub(super) fn with_prefix(
        &mut self,
        line: &Line,
        mut specs: Vec<units::Spec>,
    ) -> Option<Vec<units::Spec>> {
        let prefix = self.global.unix_bind.prefix.clone();
        for spec in &mut specs {
            let Host::Unix(path) = &mut spec.host else {
                continue;
            };
            path.insert_str(0, &prefix);
            if path.len() > units::PATH_MAX {
                let most = units::PATH_MAX.saturating_sub(prefix.len());
                let message = format!(
                    "'bind' : socket path '{}' too long (max {most})",
                    line.word(1)
                );
                self.refuse(line, 1, message);
                return None;
            }
        }
        Some(specs)
    }

    /// The warning of HAProxy for `tfo` on a server whose backend would lose requests with it.
    pub(super) fn warn_of_fast_open(&mut self, at: usize) {
        let Some(proxy) = self.proxies.get(at) else {
            return;
        };
        let repeats = [Failure::Connection, Failure::Empty, Failure::Late]
            .into_iter()
            .all(|failure| proxy.settings.retry_on.contains(failure));
        for server in &proxy.servers {
            if server.settings.outgoing.fast_open && !repeats {
                let message = format!(
                    "'server {}/{}' : server has tfo activated, the backend should be configured with at least 'conn-failure', 'empty-response' and 'response-timeout' or we wouldn't be able to retry the connection on failure.",
                    proxy.name, server.name
                );
                self.found
                    .warning(server.at.clone(), message)
                    .lead(Lead::Place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_acknowledges_late_unless_told_otherwise() {
        let mut sockets = ProxySockets::default();
        assert!(sockets.incoming(Mode::Http).delayed_ack);
        assert!(!sockets.incoming(Mode::Tcp).delayed_ack);
        sockets.smart_accept = Some(false);
        assert!(!sockets.incoming(Mode::Http).delayed_ack);
        sockets.smart_accept = Some(true);
        assert!(sockets.incoming(Mode::Tcp).delayed_ack);
        assert_eq!(sockets.outgoing(), Outgoing::default());
        sockets.client_alive = true;
        assert_eq!(sockets.outgoing().keepalive, None);
        assert_eq!(
            sockets.incoming(Mode::Tcp).keepalive,
            Some(Keepalive::default())
        );
    }
}
