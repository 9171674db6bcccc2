//! Commands about the agents of servers: `enable|disable agent` and `set server B/S agent`,
//! `agent-addr`, `agent-port`, `agent-send` (management.txt 9.3).

use std::net::SocketAddr;

use super::change::{address_of, check_port_of, server, wish};
use super::command::Call;
use crate::base::addr::Endpoint;
use crate::config::model::Server;
use crate::engine::checks::Wish;
use crate::engine::service::{Command, Outcome};

/// `enable agent B/S`.
pub(super) fn enable(call: &mut Call<'_, '_>) -> Outcome {
    match server(call, 2) {
        Some(server) if server.agent.is_none() => {
            call.refuse("Agent was not configured on this server, cannot enable.")
        }
        Some(server) => wish(server, Wish::Agent(true)),
        None => Outcome::Done,
    }
}

/// `disable agent B/S`.
pub(super) fn disable(call: &mut Call<'_, '_>) -> Outcome {
    server(call, 2).map_or(Outcome::Done, |server| wish(server, Wish::Agent(false)))
}

/// True while the agent of a server is asked.
fn is_asked(call: &Call<'_, '_>, server: &Server) -> bool {
    let agent = call.view.agents.get(server.id.0 as usize);
    let agent = agent.and_then(Option::as_ref);
    agent.is_some_and(|agent| agent.state.is_enabled())
}

/// `set server B/S agent up|down`.
pub(super) fn set_word(call: &mut Call<'_, '_>, server: &Server) -> Outcome {
    if !is_asked(call, server) {
        return call.refuse("agent checks are not enabled on this server.");
    }
    match call.word(4) {
        "up" => wish(server, Wish::AgentWord(true)),
        "down" => wish(server, Wish::AgentWord(false)),
        _ => call.refuse("'set server <srv> agent' expects 'up' or 'down'."),
    }
}

/// `set server B/S agent-send TEXT`.
pub(super) fn set_send(call: &mut Call<'_, '_>, server: &Server) -> Outcome {
    if !is_asked(call, server) {
        return call.refuse("agent checks are not enabled on this server.");
    }
    let mut after = server.clone();
    if let Some(agent) = &mut after.agent {
        agent.send = call.word(4).as_bytes().to_vec();
    }
    Outcome::Apply(Command::Redescribe(Box::new(after)))
}

/// `set server B/S agent-port P`.
pub(super) fn set_port(call: &mut Call<'_, '_>, server: &Server) -> Outcome {
    if call.word(4).is_empty() {
        return call.refuse("set server <b>/<s> agent-port requires a port.");
    }
    if !is_asked(call, server) {
        return call.warn_unended("agent checks are not enabled on this server");
    }
    match check_port_of(call.word(4)) {
        Ok(port) => aim(server, None, Some(port)),
        Err(text) => call.warn_unended(text),
    }
}

/// `set server B/S agent-addr A [port P]`.
pub(super) fn set_address(call: &mut Call<'_, '_>, server: &Server) -> Outcome {
    let word = call.word(4);
    if word.is_empty() {
        let text = "set server <b>/<s> agent-addr requires an address and optionally a port.";
        return call.refuse(text);
    }
    if !is_asked(call, server) {
        return call.warn_unended("agent checks are not enabled on this server");
    }
    let Some(address) = address_of(word) else {
        let text = format!("invalid addr '{word}'");
        return call.warn_unended(&text);
    };
    let port = match call.word(5) {
        "port" => match check_port_of(call.word(6)) {
            Ok(port) => Some(port),
            Err(text) => return call.warn_unended(text),
        },
        _ => None,
    };
    aim(server, Some(address), port)
}

/// The agent of a server is asked elsewhere from now on.
fn aim(server: &Server, address: Option<std::net::IpAddr>, port: Option<u16>) -> Outcome {
    let mut after = server.clone();
    if let Some(agent) = &mut after.agent {
        agent.port = port.unwrap_or(agent.port);
        agent.own_address |= address.is_some();
        agent.endpoint = match address {
            Some(address) => Endpoint::Inet(SocketAddr::new(address, agent.port)),
            None => agent.endpoint.with_port(agent.port),
        };
    }
    Outcome::Apply(Command::Redescribe(Box::new(after)))
}
