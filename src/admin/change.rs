//! Commands that change servers: what their words mean, and how each refusal is worded.
//!
//! Nothing is changed here: each command becomes a `Command` that the engine applies before it
//! reads the next one. Words are HAProxy's, for a server without TLS and resolvers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::agent;
use super::command::Call;
use super::servers;
use crate::base::addr::Endpoint;
use crate::config::model::{Check, Server};
use crate::engine::checks::Wish;
use crate::engine::service::{Command, Mode, Op, Outcome};

const SERVER_USAGE: &str = "usage: set server <backend>/<server> addr | agent | agent-addr | \
    agent-port | agent-send | check-addr | check-port | fqdn | health | ssl | state | weight";

/// Highest weight (configuration.txt 5.2, "weight").
const WEIGHT_MAX: u16 = 256;

/// The server that a command's word at `at` names; if there is none, the refusal is written.
pub(super) fn server<'a>(call: &mut Call<'_, 'a>, at: usize) -> Option<&'a Server> {
    let view = call.view;
    match servers::find(call.word(at), view) {
        Ok(server) => Some(server),
        Err(text) => {
            call.refuse(text);
            None
        }
    }
}

pub(super) fn wish(server: &Server, wish: Wish) -> Outcome {
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
        "health" if server.track.is_some() => {
            call.refuse("cannot change health on a tracking server.")
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
        "addr" => set_address(call, server),
        "check-addr" => set_check_address(call, server),
        "check-port" => set_check_port(call, server),
        "agent" => agent::set_word(call, server),
        "agent-addr" => agent::set_address(call, server),
        "agent-port" => agent::set_port(call, server),
        "agent-send" => agent::set_send(call, server),
        // A server has neither resolvers nor TLS: these are HAProxy's words for it.
        "fqdn" => call.refuse(match call.word(4) {
            "" => "set server <b>/<s> fqdn requires a FQDN.",
            _ => "set server <b>/<s> fqdn failed because no resolution is configured.",
        }),
        "ssl" => call.refuse(
            "'set server <srv> ssl' cannot be set.  default-server should define ssl settings",
        ),
        _ => call.refuse(SERVER_USAGE),
    }
}

/// `enable health B/S`.
pub(super) fn enable_health(call: &mut Call<'_, '_>) -> Outcome {
    match server(call, 2) {
        Some(server) if server.check.is_none() => {
            call.refuse("Health check was not configured on this server, cannot enable.")
        }
        Some(server) => wish(server, Wish::Checks(true)),
        None => Outcome::Done,
    }
}

/// `disable health B/S`.
pub(super) fn disable_health(call: &mut Call<'_, '_>) -> Outcome {
    server(call, 2).map_or(Outcome::Done, |server| wish(server, Wish::Checks(false)))
}

/// `set maxconn server B/S N`.
pub(super) fn set_maxconn(call: &mut Call<'_, '_>) -> Outcome {
    let Some(server) = server(call, 3) else {
        return Outcome::Done;
    };
    let word = call.word(4);
    if word.is_empty() {
        return call.refuse("Require <maxconn>.");
    }
    match leading_number(word) {
        None => call.refuse_unended("maxconn string empty or preceded by garbage"),
        Some((_, rest)) if !rest.is_empty() => {
            call.refuse_unended("Trailing garbage in maxconn string")
        }
        // HAProxy's number is of 32 bits, and what is below 0 is very much there.
        Some((number, _)) => wish(server, Wish::Maxconn(number as u32)),
    }
}

/// The number that a word begins with, and what follows it.
#[expect(clippy::arithmetic_side_effects, reason = "counts the bytes of a word")]
pub(super) fn leading_number(word: &str) -> Option<(i64, &str)> {
    let signed = usize::from(word.starts_with(['-', '+']));
    let digits = word.bytes().skip(signed).take_while(u8::is_ascii_digit);
    let len = signed + digits.count();
    if len == signed {
        return None;
    }
    let (number, rest) = word.split_at(len);
    let end = if word.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    };
    Some((number.parse().unwrap_or(end), rest))
}

/// An address without a port; `*` is any.
pub(super) fn address_of(word: &str) -> Option<IpAddr> {
    match word {
        "*" => Some(Ipv4Addr::UNSPECIFIED.into()),
        word => word.parse().ok(),
    }
}

/// What a port becomes: a number, or a distance from the port that the client connected to.
fn port_word(offset: Option<i32>, port: u16) -> String {
    match offset {
        Some(by) => format!("+{}", by.rem_euclid(1 << 16)),
        None => port.to_string(),
    }
}

/// `set server B/S addr A [port P]`. The answer tells what of it changed.
fn set_address(call: &mut Call<'_, '_>, server: &Server) -> Outcome {
    const BY: &str = " by 'stats socket command'";
    let word = call.word(4);
    if word.is_empty() {
        let text = "set server <b>/<s> addr requires an address and optionally a port.";
        return call.refuse(text);
    }
    let Some(address) = address_of(word) else {
        let text = format!("Invalid addr '{word}'{BY}");
        return call.warn(&text);
    };
    let Endpoint::Inet(before) = server.endpoint else {
        let text = "Update for the current server address family is only supported through \
                    configuration file";
        return call.warn(&format!("{text}{BY}"));
    };
    let mut after = server.clone();
    let mut text = match before.ip() == address {
        true => "no need to change the addr".to_owned(),
        false if word == "*" => format!("IP changed from '{}' to '*'", before.ip()),
        false => format!("IP changed from '{}' to '{address}'", before.ip()),
    };
    if call.word(5) == "port" {
        text.push_str(", ");
        text.push_str(&set_port(&mut after, call.word(6)));
    }
    let port = match &after.endpoint {
        Endpoint::Inet(address) => address.port(),
        _ => 0,
    };
    move_to(&mut after, SocketAddr::new(address, port));
    text.push_str(BY);
    call.warn(&text);
    Outcome::Apply(Command::Redescribe(Box::new(after)))
}

/// Changes a server's port to what a word says, and tells what came of it.
fn set_port(server: &mut Server, word: &str) -> String {
    let Some((number, _)) = leading_number(word) else {
        return format!("problem converting port '{word}' to an int");
    };
    let mapped = word.starts_with(['-', '+']);
    let has_own_port = |check: &Check| check.own_port.is_some();
    if mapped && !server.check.as_ref().is_some_and(has_own_port) {
        return "can't change <port> to port map because it is incompatible with current health \
                check port configuration (use 'port' statement from the 'server' directive."
            .to_owned();
    }
    let port = number as u16;
    let Endpoint::Inet(address) = server.endpoint else {
        return String::new();
    };
    let now = match server.port_offset {
        Some(by) => by as u16,
        None => address.port(),
    };
    if now == port {
        return "no need to change the port".to_owned();
    }
    let before = port_word(server.port_offset, address.port());
    let sign = word.get(..usize::from(mapped)).unwrap_or_default();
    let text = format!(
        "port changed from '{before}' to '{sign}{}'",
        number.unsigned_abs() as u16
    );
    server.port_offset = (mapped || port == 0).then_some(i32::from(port as i16));
    let port = if server.port_offset.is_some() {
        0
    } else {
        port
    };
    server.endpoint = Endpoint::Inet(SocketAddr::new(address.ip(), port));
    text
}

/// Gives a server this address; its check follows where it has none of its own.
fn move_to(server: &mut Server, address: SocketAddr) {
    server.endpoint = Endpoint::Inet(address);
    let check_has_own = server.check.as_ref().is_some_and(|check| check.own_address);
    if let Some(agent) = &mut server.agent
        && !agent.own_address
        && !check_has_own
    {
        agent.endpoint = Endpoint::Inet(SocketAddr::new(address.ip(), agent.port));
    }
    let Some(check) = &mut server.check else {
        return;
    };
    if let Endpoint::Inet(checked) = &mut check.endpoint
        && !check.own_address
    {
        checked.set_ip(address.ip());
        if check.own_port.is_none() && server.port_offset.is_none() {
            checked.set_port(address.port());
        }
    }
}

/// The check of a server that `set server ... check-*` is to change.
fn check_of(server: &mut Server) -> Option<(u16, &mut Check)> {
    let port = match &server.endpoint {
        Endpoint::Inet(address) => address.port(),
        _ => 0,
    };
    Some((port, server.check.as_mut()?))
}

/// A port that a check is to have, from a word; 0 for the server's own.
pub(super) fn check_port_of(word: &str) -> Result<u16, &'static str> {
    match leading_number(word) {
        Some((number, "")) => u16::try_from(number).map_err(|_| "provided port is invalid"),
        _ => Err("provided port is not an integer"),
    }
}

fn aim_at_port(check: &mut Check, port: u16, servers: u16) {
    check.own_port = (port > 0).then_some(port);
    if let Endpoint::Inet(checked) = &mut check.endpoint {
        checked.set_port(check.own_port.unwrap_or(servers));
    }
}

/// `set server B/S check-port P`.
fn set_check_port(call: &mut Call<'_, '_>, server: &Server) -> Outcome {
    if call.word(4).is_empty() {
        return call.refuse("set server <b>/<s> check-port requires a port.");
    }
    let mut after = server.clone();
    let Some((servers, check)) = check_of(&mut after) else {
        return call.warn_unended("health checks are not enabled on this server");
    };
    match check_port_of(call.word(4)) {
        Ok(port) => aim_at_port(check, port, servers),
        Err(text) => return call.warn_unended(text),
    }
    Outcome::Apply(Command::Redescribe(Box::new(after)))
}

/// `set server B/S check-addr A [port P]`.
fn set_check_address(call: &mut Call<'_, '_>, server: &Server) -> Outcome {
    let word = call.word(4);
    if word.is_empty() {
        let text = "set server <b>/<s> check-addr requires an address and optionally a port.";
        return call.refuse(text);
    }
    let mut after = server.clone();
    let Some((servers, check)) = check_of(&mut after) else {
        return call.warn_unended("health checks are not enabled on this server");
    };
    let Some(address) = address_of(word) else {
        let text = format!("invalid addr '{word}'");
        return call.warn_unended(&text);
    };
    let port = match (call.word(5), check.own_port) {
        ("port", _) => match check_port_of(call.word(6)) {
            Ok(port) => port,
            Err(text) => return call.warn_unended(text),
        },
        (_, own) => own.unwrap_or(0),
    };
    check.own_address = true;
    check.endpoint = Endpoint::Inet(SocketAddr::new(address, servers));
    aim_at_port(check, port, servers);
    Outcome::Apply(Command::Redescribe(Box::new(after)))
}

/// A weight as `N` or `N%` of the initial one, cut off.
fn weight(call: &mut Call<'_, '_>, server: &Server, at: usize) -> Outcome {
    let word = call.word(at);
    if word.is_empty() {
        return call.refuse("Require <weight> or <weight%>.");
    }
    match weight_of(word, server.weight) {
        Ok(weight) if weight != 0 && weight != server.weight && is_static(call, server) => call
            .refuse(
                "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.",
            ),
        Ok(weight) => wish(server, Wish::Weight(weight)),
        Err(Weight::Refused(text)) => call.refuse(text),
        Err(Weight::Garbled(text)) => call.refuse_unended(text),
    }
}

/// Whether the weights of a server's backend cannot change.
fn is_static(call: &Call<'_, '_>, server: &Server) -> bool {
    !call.view.config.proxy(server.proxy).algorithm.is_dynamic()
}

/// Why a weight is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// A sentence like any other.
    Refused(&'static str),
    /// A sentence that HAProxy ends without its line end.
    Garbled(&'static str),
}

fn weight_of(word: &str, initial: u16) -> Result<u16, Weight> {
    let Some((number, rest)) = leading_number(word) else {
        let text = "Empty weight string empty or preceded by garbage";
        return Err(Weight::Garbled(text));
    };
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
