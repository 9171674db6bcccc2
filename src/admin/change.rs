//! Commands that change servers, frontends and counters: what their words mean, and how each
//! refusal is worded.
//!
//! Nothing is changed here: each command becomes a `Command` that the engine applies before it
//! reads the next one. Words are HAProxy's; an address, an agent or TLS cannot be set, and the
//! answer says so.

use super::command::{Call, Severity, refuse_as_missing};
use super::servers;
use crate::config::model::{AccessLevel, Proxy, Server};
use crate::engine::checks::Wish;
use crate::engine::service::{Command, Mode, Op, Outcome};

const SERVER_USAGE: &str = "usage: set server <backend>/<server> addr | agent | agent-addr | \
    agent-port | agent-send | check-addr | check-port | fqdn | health | ssl | state | weight";

/// Highest weight (configuration.txt 5.2, "weight").
const WEIGHT_MAX: u16 = 256;

/// The server that a command's word at `at` names; if there is none, the refusal is written.
fn server<'a>(call: &mut Call<'_, 'a>, at: usize) -> Option<&'a Server> {
    let view = call.view;
    match servers::find(call.word(at), view) {
        Ok(server) => Some(server),
        Err(text) => {
            call.refuse(text);
            None
        }
    }
}

fn wish(server: &Server, wish: Wish) -> Outcome {
    Outcome::Apply(Command::Server(server.id, wish))
}

/// `disable server B/S`.
pub(super) fn disable_server(call: &mut Call<'_, '_>) -> Outcome {
    server(call, 2).map_or(Outcome::Done, |server| wish(server, Wish::Disable))
}

/// `enable server B/S`.
pub(super) fn enable_server(call: &mut Call<'_, '_>) -> Outcome {
    server(call, 2).map_or(Outcome::Done, |server| wish(server, Wish::Enable))
}

/// `set weight B/S W`.
pub(super) fn set_weight(call: &mut Call<'_, '_>) -> Outcome {
    match server(call, 2) {
        Some(server) => weight(call, server, 3),
        None => Outcome::Done,
    }
}

/// `get weight B/S`.
pub(super) fn get_weight(call: &mut Call<'_, '_>) -> Outcome {
    if let Some(server) = server(call, 2)
        && let Some(record) = call.view.servers.get(server.id.0 as usize)
    {
        let text = format!("{} (initial {})\n", record.weight, record.weight_initial);
        call.out.extend_from_slice(text.as_bytes());
    }
    Outcome::Done
}

/// `set server B/S state|weight|health ...`.
pub(super) fn set_server(call: &mut Call<'_, '_>) -> Outcome {
    let Some(server) = server(call, 2) else {
        return Outcome::Done;
    };
    match call.word(3) {
        "state" => {
            let mode = match call.word(4) {
                "ready" => Mode::Ready,
                "drain" => Mode::Drain,
                "maint" => Mode::Maint,
                _ => {
                    let text = "'set server <srv> state' expects 'ready', 'drain' and 'maint'.";
                    return call.refuse(text);
                }
            };
            wish(server, Wish::Mode(mode))
        }
        "health" => {
            let op = match call.word(4) {
                "up" => Op::Running,
                "stopping" => Op::Stopping,
                "down" => Op::Stopped,
                _ => {
                    let text = "'set server <srv> health' expects 'up', 'stopping', or 'down'.";
                    return call.refuse(text);
                }
            };
            wish(server, Wish::Health(op))
        }
        "weight" => weight(call, server, 4),
        "agent" => call.refuse("agent checks are not enabled on this server."),
        what @ ("addr" | "agent-addr" | "agent-port" | "agent-send" | "check-addr"
        | "check-port" | "fqdn" | "ssl") => {
            let what = format!("set server {what}");
            refuse_as_missing(call, &what)
        }
        _ => call.refuse(SERVER_USAGE),
    }
}

/// A weight as `N` or `N%` of the initial one, cut off.
fn weight(call: &mut Call<'_, '_>, server: &Server, at: usize) -> Outcome {
    let word = call.word(at);
    if word.is_empty() {
        return call.refuse("Require <weight> or <weight%>.");
    }
    match weight_of(word, server.weight) {
        Ok(weight) => wish(server, Wish::Weight(weight)),
        Err(Weight::Refused(text)) => call.refuse(text),
        Err(Weight::Garbled(text)) => call.refuse_unended(text),
    }
}

/// Why a weight is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// A sentence like any other.
    Refused(&'static str),
    /// A sentence that HAProxy ends without its line end.
    Garbled(&'static str),
}

#[expect(clippy::arithmetic_side_effects, reason = "counts the bytes of a word")]
fn weight_of(word: &str, initial: u16) -> Result<u16, Weight> {
    let signed = usize::from(word.starts_with(['-', '+']));
    let digits = word.bytes().skip(signed).take_while(u8::is_ascii_digit);
    let len = signed + digits.count();
    if len == signed {
        let text = "Empty weight string empty or preceded by garbage";
        return Err(Weight::Garbled(text));
    }
    let (number, rest) = word.split_at(len);
    let number: i64 = number.parse().unwrap_or(i64::MAX);
    match rest {
        "" if !(0..=i64::from(WEIGHT_MAX)).contains(&number) => {
            let text = "Absolute weight can only be between 0 and 256 inclusive.";
            Err(Weight::Refused(text))
        }
        "" => Ok(u16::try_from(number).unwrap_or(WEIGHT_MAX)),
        "%" if number < 0 => Err(Weight::Refused("Relative weight must be positive.")),
        "%" => {
            let weight = number.saturating_mul(i64::from(initial)) / 100;
            Ok(u16::try_from(weight).map_or(WEIGHT_MAX, |weight| weight.min(WEIGHT_MAX)))
        }
        _ => Err(Weight::Garbled("Trailing garbage in weight string")),
    }
}

/// The frontend that a command's third word names; if there is none, the refusal is written.
fn frontend<'a>(call: &mut Call<'_, 'a>) -> Option<&'a Proxy> {
    let view = call.view;
    let name = call.word(2);
    if name.is_empty() {
        call.refuse("A frontend name is expected.");
        return None;
    }
    let mut proxies = view.config.proxies.iter();
    let found = proxies.find(|p| p.is_frontend && p.name == name);
    if found.is_none() {
        call.refuse("No such frontend.");
    }
    found
}

/// `disable frontend F`.
pub(super) fn disable_frontend(call: &mut Call<'_, '_>) -> Outcome {
    let Some(proxy) = frontend(call) else {
        return Outcome::Done;
    };
    let stats = call.view.proxy_stats.get(proxy.id.0 as usize);
    if proxy.disabled || stats.is_none_or(|stats| stats.stopped) {
        call.message(
            Severity::Notice,
            "Frontend was previously shut down, cannot disable.",
        )
    } else if stats.is_some_and(|stats| stats.paused) {
        call.message(Severity::Notice, "All sockets are already disabled.")
    } else {
        Outcome::Apply(Command::PauseFrontend(proxy.id))
    }
}

/// `enable frontend F`.
pub(super) fn enable_frontend(call: &mut Call<'_, '_>) -> Outcome {
    let Some(proxy) = frontend(call) else {
        return Outcome::Done;
    };
    let stats = call.view.proxy_stats.get(proxy.id.0 as usize);
    if proxy.disabled || stats.is_none_or(|stats| stats.stopped) {
        call.message(
            Severity::Notice,
            "Frontend was previously shut down, cannot enable.",
        )
    } else if stats.is_some_and(|stats| !stats.paused) {
        call.message(Severity::Notice, "All sockets are already enabled.")
    } else {
        Outcome::Apply(Command::ResumeFrontend(proxy.id))
    }
}

/// `clear counters [all]`: the maxima for an operator, all for an administrator.
pub(super) fn clear_counters(call: &mut Call<'_, '_>) -> Outcome {
    let all = call.word(2) == "all";
    if all && call.caller.level < AccessLevel::Admin {
        return call.refuse(super::command::DENIED);
    }
    Outcome::Apply(Command::ClearCounters { all })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights() {
        let absolute = "Absolute weight can only be between 0 and 256 inclusive.";
        let empty = "Empty weight string empty or preceded by garbage";
        let trailing = "Trailing garbage in weight string";
        let cases = [
            ("0", Ok(0)),
            ("256", Ok(256)),
            ("257", Err(Weight::Refused(absolute))),
            ("-3", Err(Weight::Refused(absolute))),
            ("99999999999999999999", Err(Weight::Refused(absolute))),
            ("50%", Ok(5)),
            ("55%", Ok(5)),
            ("0%", Ok(0)),
            ("9999%", Ok(256)),
            (
                "-5%",
                Err(Weight::Refused("Relative weight must be positive.")),
            ),
            ("abc", Err(Weight::Garbled(empty))),
            ("%", Err(Weight::Garbled(empty))),
            ("1x", Err(Weight::Garbled(trailing))),
            ("5%x", Err(Weight::Garbled(trailing))),
        ];
        for (word, expected) in cases {
            assert_eq!(weight_of(word, 10), expected, "{word}");
        }
    }
}
