//! `add server` and `del server`: servers that come and go while the process runs.

use super::command::{Call, Severity};
use super::frontend::is_named;
use super::servers;
use crate::config::dynamic;
use crate::config::model::{Proxy, Server};
use crate::engine::service::{Command, Outcome};

/// `add server B/S ADDRESS [OPTION...]`. It begins in maintenance unless `enabled` is said.
pub(super) fn add_server(call: &mut Call<'_, '_>) -> Outcome {
    let Some((backend, name)) = call.word(2).split_once('/') else {
        return call.refuse_unended("Require 'backend/server'.");
    };
    if backend.is_empty() || name.is_empty() {
        return call.refuse_unended("Require 'backend/server'.");
    }
    let mut proxies = call.view.config.proxies.iter();
    let Some(proxy) = proxies.find(|p| p.is_backend && is_named(p, backend)) else {
        return call.refuse_unended("No such backend.");
    };
    if !proxy.algorithm.is_dynamic() {
        let text = "Backend must use a dynamic load balancing to support dynamic servers.";
        return call.refuse_unended(text);
    }
    let words = call.words_from(3);
    let before = format!("'server {}/{name}' : ", proxy.name);
    let server = dynamic::server(&proxy.name, name, words).and_then(|(server, track)| {
        let made = number(proxy, server, call);
        let tracking = made.and_then(|server| match track {
            Some(track) => tracks(proxy, server, &track, call),
            None => Ok(server),
        });
        tracking.map_err(|text| format!("{before}{text}"))
    });
    let server = match server {
        Ok(server) => server,
        Err(text) => {
            ::log::error!("CLI : {text}");
            return call.refuse(text.strip_prefix(&before).unwrap_or(&text));
        }
    };
    let rests = server.disabled || !words.contains(&"enabled");
    call.message(Severity::Info, "New server registered.");
    Outcome::Apply(Command::AddServer(Box::new(server), rests))
}

/// Gives a server its ids and its number in its backend.
fn number(proxy: &Proxy, mut server: Server, call: &Call<'_, '_>) -> Result<Server, String> {
    let roster = call.view.roster;
    let known = |number: u32| roster.of(proxy).find(|other| other.number == number);
    if roster.of(proxy).any(|other| other.name == server.name) {
        return Err("Already exists a server with the same name in backend.".to_owned());
    }
    if server.number == 0 {
        server.number = (1..).find(|number| known(*number).is_none()).unwrap_or(0);
    } else if let Some(other) = known(server.number) {
        return Err(format!(
            "'id' : custom id {} already used at {}:{} ('server {}').",
            server.number, other.place.file, other.place.line, other.name
        ));
    }
    server.id = roster.next_id();
    server.proxy = proxy.id;
    let own = server.outgoing.take().map(|own| *own).unwrap_or_default();
    server.outgoing = own.over(&proxy.outgoing);
    Ok(server)
}

/// A server tracks another one: of the configuration, which stays.
fn tracks(
    proxy: &Proxy,
    mut server: Server,
    track: &str,
    call: &Call<'_, '_>,
) -> Result<Server, String> {
    let (config, roster) = (call.view.config, call.view.roster);
    let (backend, name) = match track.split_once('/') {
        Some((backend, name)) => {
            let mut proxies = config.proxies.iter().filter(|proxy| proxy.is_backend);
            (proxies.find(|proxy| proxy.name == backend), name)
        }
        None => (Some(proxy), track),
    };
    let Some(backend) = backend else {
        let name = track.split('/').next().unwrap_or_default();
        return Err(format!(
            "unable to find required proxy '{name}' for tracking."
        ));
    };
    let Some(leader) = roster.of(backend).find(|other| other.name == name) else {
        return Err(format!(
            "unable to find required server '{name}' for tracking."
        ));
    };
    let whole = format!("{}/{}", backend.name, leader.name);
    if !config
        .servers_of(backend)
        .iter()
        .any(|one| one.id == leader.id && one.name == name)
    {
        return Err(format!(
            "unable to use {whole} for tracking as it is a dynamic server."
        ));
    }
    if leader.check.is_none() && leader.agent.is_none() && leader.track.is_none() {
        return Err(format!(
            "unable to use {whole} for tracking as it does not have any check nor agent enabled."
        ));
    }
    if server.check.is_some() {
        return Err("unable to enable checks and tracking at the same time!".to_owned());
    }
    server.track = Some(leader.id);
    Ok(server)
}

/// `del server B/S`.
pub(super) fn del_server(call: &mut Call<'_, '_>) -> Outcome {
    let server = match servers::find(call.word(2), call.view) {
        Ok(server) => server,
        Err(text) => return call.refuse_unended(text),
    };
    let view = call.view;
    let is_tracked = !view.roster.trackers(server.id).is_empty();
    if view.config.names_server(server.id) || is_tracked {
        let text = "This server cannot be removed at runtime due to other configuration elements \
                    pointing to it.";
        return call.refuse_unended(text);
    }
    if !view.rests(server.id) {
        return call.refuse_unended("Only servers in maintenance mode can be deleted.");
    }
    if !view.is_free(server.id) {
        let text = "Server still has connections attached to it, cannot remove it.";
        return call.refuse_unended(text);
    }
    call.message_unended(Severity::Info, "Server deleted.");
    Outcome::Apply(Command::DeleteServer(server.id))
}
