//! What the runtime socket tells of servers and backends: `show servers state`, `show servers
//! conn`, `show backend`; and how it finds the server that a command names.
//!
//! The lines are those of a server state file (management.txt 9.3), so the columns keep HAProxy's
//! order and its way of saying "none" (`-` and 0); agent columns repeat the check's, as its do.

use std::io::Write as _;

use super::frontend::is_named;
use crate::base::addr::Endpoint;
use crate::config::model::{Check, Mode, Proxy, Reuse, Server};
use crate::engine::idle::IdleList;
use crate::engine::service::{Admin, View};

/// The columns of `show servers state`.
const STATE_HEADER: &str = "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state \
    srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result \
    srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn \
    srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port";

/// The columns of `show servers conn`, for one thread.
const CONN_HEADER: &str = "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max \
    need_est unsafe_nb safe_nb idle_lim idle_cur idle_per_thr[1]";

/// The proxies that a command with an optional backend name is about.
///
/// # Errors
/// `Can't find backend.`
fn chosen<'a>(name: Option<&str>, view: &View<'a>) -> Result<Vec<&'a Proxy>, &'static str> {
    let backends = view.config.proxies.iter().filter(|p| p.is_backend);
    let Some(name) = name else {
        return Ok(backends.collect());
    };
    let mut backends = backends.filter(|p| is_named(p, name)).peekable();
    match backends.peek() {
        Some(_) => Ok(backends.collect()),
        None => Err("Can't find backend."),
    }
}

/// Appends the answer to `show servers state [backend]` but for its empty line.
///
/// # Errors
/// `Can't find backend.`
pub fn state(name: Option<&str>, view: &View<'_>, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let backends = chosen(name, view)?;
    drop(writeln!(out, "1\n{STATE_HEADER}"));
    for backend in backends {
        for server in view.roster.of(backend) {
            write_state(out, backend, server, view);
        }
    }
    Ok(())
}

fn write_state(out: &mut Vec<u8>, backend: &Proxy, server: &Server, view: &View<'_>) {
    let index = server.id.0 as usize;
    let Some(record) = view.servers.get(index) else {
        return;
    };
    let probe = view.probes.get(index).and_then(Option::as_ref);
    let (status, result, health, running) = match probe {
        Some(probe) => (
            probe.report.status as u8,
            // While one is under way there is none.
            probe
                .state
                .verdict()
                .filter(|_| !probe.is_running())
                .map_or(0, |verdict| verdict.number()),
            probe.state.value(),
            probe.state.number(probe.is_running()),
        ),
        None => {
            // A check that there is not is paused for good by `disabled`.
            let paused = record.admin.any(Admin::CONFIG_MAINT);
            (1, 0, record.health.value, u8::from(paused) << 3)
        }
    };
    let (address, port) = address_and_port(&reached_at(server));
    let check = server.check.as_ref();
    let check_port = check.and_then(|check| check.own_port).unwrap_or(0);
    let check_address = own_address(check);
    let declared = view.roster.declared(server.id).check.as_ref();
    let agent = server.agent.as_ref();
    let agent_port = match agent {
        Some(agent) => agent.port,
        None => declared.and_then(|check| check.own_port).unwrap_or(0),
    };
    let agent_address = match agent.filter(|agent| agent.own_address) {
        Some(agent) => address_and_port(&agent.endpoint).0,
        None => own_address(declared),
    };
    let asked = view.agents.get(index).and_then(Option::as_ref);
    // An agent's number has a mark of its own.
    let agent_state = asked.map_or(0, |agent| 16 | agent.state.number(agent.is_running()));
    drop(writeln!(
        out,
        "{} {} {} {} {address} {} {} {} {} {} {status} {result} {health} {running} {agent_state} {} {} {} \
         {port} - 0 {check_port} {check_address} {agent_address} {agent_port}",
        backend.number,
        backend.name,
        number_of(backend, server),
        server.name,
        record.op as u8,
        record.admin.bits(),
        record.weight,
        record.weight_initial,
        record.since_change_s(view.now.ms),
        u8::from(backend.forced_number),
        u8::from(server.forced_number),
        server.hostname.as_deref().unwrap_or("-"),
    ));
}

/// A server's number. Those of a proxy that is disabled are never counted.
fn number_of(backend: &Proxy, server: &Server) -> u32 {
    match backend.disabled && !server.forced_number {
        true => 0,
        false => server.number,
    }
}

/// The idle connections of a server that are not yet, and that are, proven: those have served more
/// than one request, and any other may come on them. What clients keep for themselves is not among
/// them, as in HAProxy.
pub(super) fn idle_connections(index: usize, view: &View<'_>) -> (u32, u32) {
    let list = view.idle_lists.get(index);
    list.map_or((0, 0), |list| (list.fresh(), list.proven()))
}

/// Appends the answer to `show servers conn [backend]` but for its empty line.
///
/// # Errors
/// `Can't find backend.`
pub fn connections(
    name: Option<&str>,
    view: &View<'_>,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let backends = chosen(name, view)?;
    drop(writeln!(out, "{CONN_HEADER}"));
    for backend in backends {
        for server in view.roster.of(backend) {
            let index = server.id.0 as usize;
            let (fresh, proven) = idle_connections(index, view);
            let idle = fresh.saturating_add(proven);
            let used = used_connections(backend, index, view);
            let most = most_connections(index, view);
            let (address, port) = address_and_port(&reached_at(server));
            let limit = server.pool.most.map_or(-1, i64::from);
            // HAProxy leaves the share of the thread out where nothing is ever kept.
            let thread = match limit {
                0 => String::new(),
                _ => format!(" {idle}"),
            };
            drop(writeln!(
                out,
                "{}/{} {}/{} {address} {port} - {} {used} {most} {most} {fresh} {proven} {limit} \
                 {idle}{thread}",
                backend.name,
                server.name,
                backend.number,
                number_of(backend, server),
                server.pool.purge_delay,
            ));
        }
    }
    Ok(())
}

/// The connections in use of a server, by its index. Those that nobody else may ever use do not
/// count: of TCP sessions, and where each client has its own.
pub(super) fn used_connections(proxy: &Proxy, server: usize, view: &View<'_>) -> u32 {
    let private = view
        .idle_lists
        .get(server)
        .is_some_and(IdleList::is_private);
    if proxy.mode == Mode::Tcp || proxy.reuse == Reuse::Never || private {
        return 0;
    }
    view.server_stats.get(server).map_or(0, |c| c.scur)
}

/// The most connections that a server had at once, by its index; a check's counts, too.
pub(super) fn most_connections(server: usize, view: &View<'_>) -> u32 {
    let probes = [view.probes.get(server), view.agents.get(server)];
    let mut probes = probes.into_iter().flatten().flatten();
    let checked = probes.any(|probe| probe.report.status.has_run());
    let most = view.server_stats.get(server).map_or(0, |c| c.used_max);
    most.max(u32::from(checked))
}

/// Appends the answer to `show backend` but for its empty line.
pub fn backends(view: &View<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"# name\n");
    for proxy in view.config.proxies.iter().filter(|p| p.is_backend) {
        drop(writeln!(out, "{}", proxy.name));
    }
}

/// The server of `backend/server`.
///
/// # Errors
/// `Require 'backend/server'.`, `No such backend.`, `No such server.`
pub fn find<'a>(name: &str, view: &View<'a>) -> Result<&'a Server, &'static str> {
    let Some((backend, server)) = name.split_once('/') else {
        return Err("Require 'backend/server'.");
    };
    let mut proxies = view.config.proxies.iter();
    if server.is_empty() {
        return Err("Require 'backend/server'.");
    }
    let Some(backend) = proxies.find(|p| p.is_backend && is_named(p, backend)) else {
        return Err("No such backend.");
    };
    let number = server.strip_prefix('#').map(|number| number.parse().ok());
    let mut servers = view.roster.of(backend);
    let is_it = |s: &&Server| match number {
        Some(number) => number == Some(s.number),
        None => s.name == server,
    };
    servers.find(is_it).ok_or("No such server.")
}

/// Where a server is reached; a distance from the client's port stands for the port.
pub(super) fn reached_at(server: &Server) -> Endpoint {
    match server.port_offset {
        Some(by) => server.endpoint.with_port(by as u16),
        None => server.endpoint.clone(),
    }
}

/// The address that a check has of its own.
fn own_address(check: Option<&Check>) -> String {
    check.filter(|check| check.own_address).map_or_else(
        || "-".to_owned(),
        |check| address_and_port(&check.endpoint).0,
    )
}

/// An endpoint's address and port as these commands print them: `-` and 0 for a unix socket.
fn address_and_port(endpoint: &Endpoint) -> (String, u16) {
    match endpoint {
        Endpoint::Inet(address) => (address.ip().to_string(), address.port()),
        Endpoint::Unix(_) | Endpoint::Abstract(_) => ("-".to_owned(), 0),
    }
}
