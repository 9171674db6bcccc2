//! Server state files: what `show servers state` printed before, read at the start
//! (configuration.txt 4.2 "load-server-state-from-file", management.txt 9.3).
//!
//! A file is read whole before anything of it counts: one corrupted line, and all of it is left
//! alone. Then each server that has a line is given what it says, in the order of the
//! configuration, and what changes by that is told as HAProxy tells it. A weight counts only
//! while the configured one is still the same. The outcome is part of the configuration
//! (`model::Recalled`): the engine begins with it, and `-c` says the same as a start.
//!
//! Nothing here may fail: the worst is a warning, and a server as its line has it.

use std::collections::HashMap;
use std::net::IpAddr;

use super::diag::Diagnostics;
use super::draft::StateSource;
use super::host::{FILE_BYTES_MAX, Host};
use super::model::{Config, Proxy, Recalled, RecalledCheck, Server};
use crate::balance::server::{
    Admin, Cause, Change, Counts, Op, Server as Record, Story, write_news,
};
use crate::base::addr::Endpoint;
use crate::check::probe::Status;
use crate::check::state::Verdict;

/// The first line of a file: its version.
const VERSION_LINE: &str = "1";

/// A line of so many bytes or more, its end included, is corrupted.
const LINE_MAX: usize = 2_000;

/// The columns that a line must have; what stands behind them came with later releases.
const COLUMNS_MIN: usize = 20;

/// `srv_check_state`: there is a check, and it is enabled.
const CHECK_CONFIGURED: i64 = 2;
const CHECK_ENABLED: i64 = 4;

/// The columns in order, as far as they are read.
#[derive(Clone, Copy)]
enum Column {
    BackendId = 0,
    Backend = 1,
    Server = 3,
    Address = 4,
    Op = 5,
    Admin = 6,
    Weight = 7,
    WeightInFile = 8,
    SinceChange = 9,
    CheckStatus = 10,
    CheckResult = 11,
    CheckHealth = 12,
    CheckState = 13,
    AgentState = 14,
    BackendForced = 15,
    ServerForced = 16,
    Port = 18,
    CheckPort = 21,
    CheckAddress = 22,
    AgentAddress = 23,
    AgentPort = 24,
}

/// One line of a file.
#[derive(Debug)]
struct Row<'t> {
    words: Vec<&'t str>,
}

impl<'t> Row<'t> {
    fn word(&self, column: Column) -> &'t str {
        self.words.get(column as usize).copied().unwrap_or("-")
    }
}

/// What makes a file useless.
#[derive(Debug, PartialEq, Eq)]
enum Broken {
    Version,
    /// Counted from the line behind the version.
    Line(usize),
}

/// The rows of a file.
fn rows(text: &str) -> Result<Vec<Row<'_>>, Broken> {
    let mut lines = text.split_inclusive('\n');
    if lines.next().and_then(|line| line.strip_suffix('\n')) != Some(VERSION_LINE) {
        return Err(Broken::Version);
    }
    let mut rows = Vec::new();
    for (number, line) in (1..).zip(lines) {
        let whole = line.ends_with('\n') && line.len() < LINE_MAX && !line.contains('\0');
        if !whole {
            return Err(Broken::Line(number));
        }
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.first() {
            None => {}
            Some(word) if word.starts_with('#') => {}
            Some(_) if words.len() < COLUMNS_MIN => return Err(Broken::Line(number)),
            Some(_) => rows.push(Row { words }),
        }
    }
    Ok(rows)
}

/// Where each proxy's states come from, by proxy; and the two lines of `global`.
pub(super) struct Wanted {
    pub(super) base: Option<String>,
    pub(super) file: Option<String>,
    pub(super) proxies: Vec<(StateSource, Option<String>)>,
}

impl Wanted {
    fn path(&self, name: &str) -> String {
        match &self.base {
            Some(base) if !name.starts_with('/') => format!("{base}/{name}"),
            _ => name.to_owned(),
        }
    }
}

/// Reads what the configuration asks for and gives it to its servers.
pub(super) fn load(config: &mut Config, wanted: &Wanted, host: &dyn Host, found: &mut Diagnostics) {
    let text = match &wanted.file {
        Some(name) => read_global(&wanted.path(name), host, found),
        None => String::new(),
    };
    // A file that is broken has said so.
    let all = rows(&text).unwrap_or_default();
    let mut by_name = HashMap::new();
    for row in &all {
        let names = (row.word(Column::Backend), row.word(Column::Server));
        by_name.entry(names).or_insert(row);
    }
    for (proxy, (source, name)) in config.proxies.iter().zip(&wanted.proxies) {
        if proxy.disabled || !proxy.is_backend {
            continue;
        }
        let all = config
            .servers
            .get_mut(proxy.servers.start as usize..proxy.servers.end as usize);
        let Some(servers) = all else { continue };
        match source {
            StateSource::None => {}
            StateSource::Global if wanted.file.is_none() => {
                found.warning_bare(format!(
                    "backend '{}' configured to load server state file from global section \
                     'server-state-file' directive. Unfortunately, 'server-state-file' is not set!",
                    proxy.name
                ));
            }
            StateSource::Global => {
                let row_of = |name: &str| by_name.get(&(proxy.name.as_str(), name)).copied();
                recall(proxy, servers, &row_of, found);
            }
            StateSource::Local if servers.is_empty() => {}
            StateSource::Local => {
                let path = wanted.path(name.as_deref().unwrap_or(&proxy.name));
                load_local(proxy, servers, &path, host, found);
            }
        }
    }
}

/// The text of the file of `global`, empty when it cannot be used.
fn read_global(path: &str, host: &dyn Host, found: &mut Diagnostics) -> String {
    let text = match host.read_file(path, FILE_BYTES_MAX) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            let reason = words_of(&error);
            found.warning_bare(format!(
                "config: Can't open global server state file '{path}': {reason}"
            ));
            return String::new();
        }
    };
    match rows(&text) {
        Ok(_) => {}
        Err(Broken::Version) => {
            found.warning_bare(format!(
                "config: Can't get version of the global server state file '{path}'."
            ));
        }
        Err(Broken::Line(line)) => {
            found.warning_bare(format!(
                "config: corrupted global server state file '{path}' at line {line}."
            ));
        }
    }
    text
}

/// A backend's own file.
fn load_local(
    proxy: &Proxy,
    servers: &mut [Server],
    path: &str,
    host: &dyn Host,
    found: &mut Diagnostics,
) {
    let lead = format!("Proxy '{}': ", proxy.name);
    let text = match host.read_file(path, FILE_BYTES_MAX) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            let reason = words_of(&error);
            found.warning_bare(format!(
                "{lead}Can't open server state file '{path}': {reason}."
            ));
            return;
        }
    };
    let rows = match rows(&text) {
        Ok(rows) => rows,
        Err(Broken::Version) => {
            found.warning_bare(format!(
                "{lead}Can't get version of the server state file '{path}'."
            ));
            return;
        }
        Err(Broken::Line(line)) => {
            found.warning_bare(format!(
                "{lead}corrupted server state file '{path}' at line {line}."
            ));
            return;
        }
    };
    let mut by_name = HashMap::new();
    for row in &rows {
        let (id, backend) = (row.word(Column::BackendId), row.word(Column::Backend));
        let name = row.word(Column::Server);
        let same_id = id.parse() == Ok(proxy.number);
        if backend != proxy.name && !same_id {
            // A line about somebody else.
            continue;
        }
        if backend != proxy.name {
            found.warning_bare(format!(
                "{lead}backend name mismatch: from server state file: '{backend}', from running \
                 config '{}'",
                proxy.name
            ));
            continue;
        }
        if !same_id {
            found.warning_bare(format!(
                "{lead}backend ID mismatch: from server state file: '{id}', from running config \
                 '{}'",
                proxy.number
            ));
        }
        if !servers.iter().any(|server| server.name == name) {
            found.warning_bare(format!(
                "{lead}can't find server '{name}' in backend '{backend}'"
            ));
            continue;
        }
        by_name.entry(name).or_insert(row);
    }
    recall(proxy, servers, &|name| by_name.get(name).copied(), found);
}

/// The system's words for an error, without Rust's number behind them.
fn words_of(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// Gives the servers of a backend what their rows say.
fn recall<'r, 't: 'r>(
    proxy: &Proxy,
    servers: &mut [Server],
    row_of: &dyn Fn(&str) -> Option<&'r Row<'t>>,
    found: &mut Diagnostics,
) {
    let fresh = |server: &Server| Record::new(&server.initial(), 0);
    let mut records: Vec<Record> = servers.iter().map(fresh).collect();
    for (at, server) in servers.iter_mut().enumerate() {
        let Some(row) = row_of(&server.name) else {
            continue;
        };
        let known = match Known::of(row) {
            Ok(known) => known,
            Err(list) => {
                found.warning_bare(format!(
                    "server-state application failed for server '{}/{}'{list}",
                    proxy.name, server.name
                ));
                continue;
            }
        };
        for step in [Known::change_op, Known::change_admin, Known::change_drain] {
            let record = records.get_mut(at);
            if let Some(change) = record.and_then(|record| step(&known, record, server.disabled)) {
                tell(proxy, &records, (at, &server.name), change, found);
            }
        }
        let Some(record) = records.get_mut(at) else {
            continue;
        };
        if known.weight_in_file == server.weight {
            record.weight = known.weight;
        }
        server.recalled = Some(known.recalled(record));
        move_server(server, row, known.port);
        if let Some(why) = move_check(server, row) {
            found.warning_bare(format!(
                "server-state partially applied for server '{}/{}', {why}",
                proxy.name, server.name
            ));
        }
    }
}

/// Says what a row has changed.
fn tell(
    proxy: &Proxy,
    records: &[Record],
    (at, name): (usize, &str),
    change: Change,
    found: &mut Diagnostics,
) {
    let Some(server) = records.get(at) else {
        return;
    };
    let usable = |backup: bool| {
        let own = records.iter().filter(|record| record.usable());
        own.filter(|record| record.backup == backup).count() as u32
    };
    let story = Story {
        backend: &proxy.name,
        name,
        server,
        cause: Cause::StateFile,
        via: None,
        counts: Counts {
            active: usable(false),
            backup: usable(true),
            ..Counts::default()
        },
    };
    let mut line = Vec::new();
    write_news(&mut line, change.news, &story);
    found.warning_bare(String::from_utf8_lossy(&line));
}

/// What a row says, once it is understood.
#[derive(Debug)]
struct Known {
    op: Op,
    admin: Admin,
    weight: u16,
    weight_in_file: u16,
    since_change_s: u64,
    status: Status,
    verdict: Option<Verdict>,
    check_enabled: bool,
    /// 0 where there is none.
    port: u16,
}

impl Known {
    /// Reads a row; an error is a list of what is not valid in it, each after a comma.
    fn of(row: &Row<'_>) -> Result<Self, String> {
        let mut list = String::new();
        let mut number = |name: &str, column: Column, valid: fn(i64) -> bool| {
            let word = row.word(column);
            let number = word.parse().ok().filter(|number| valid(*number));
            if number.is_none() {
                list += &format!(", invalid {name} value '{word}'");
            }
            number.unwrap_or_default()
        };
        let op = number("srv_op_state", Column::Op, |n| (0..=3).contains(&n));
        // Nothing is in maintenance and drained.
        let admin = number("srv_admin_state", Column::Admin, |bits| {
            (0..=0x7f).contains(&bits) && bits & 9 != 9
        });
        let weight = number("srv_uweight", Column::Weight, |n| (0..=256).contains(&n));
        let in_file = number("srv_iweight", Column::WeightInFile, |n| {
            (0..=256).contains(&n)
        });
        let since = number("srv_last_time_change", Column::SinceChange, |_| true);
        let status = number("srv_check_status", Column::CheckStatus, |n| {
            (0..=20).contains(&n)
        });
        let result = number("srv_check_result", Column::CheckResult, |n| {
            (0..=4).contains(&n)
        });
        number("srv_check_health", Column::CheckHealth, |_| true);
        let check = number("srv_check_state", Column::CheckState, |n| {
            (0..=31).contains(&n)
        });
        number("srv_agent_state", Column::AgentState, |n| {
            (0..=31).contains(&n)
        });
        number("bk_f_forced_id", Column::BackendForced, |n| {
            (0..=1).contains(&n)
        });
        number("srv_f_forced_id", Column::ServerForced, |n| {
            (0..=1).contains(&n)
        });
        let port = match row.word(Column::Port) {
            "-" => 0,
            _ => number("srv_port", Column::Port, |n| u16::try_from(n).is_ok()),
        };
        if !list.is_empty() {
            return Err(list);
        }
        let small = |number: i64| u16::try_from(number).unwrap_or_default();
        let byte = |number: i64| u8::try_from(number).unwrap_or_default();
        Ok(Self {
            op: Op::from_number(byte(op)).unwrap_or(Op::Running),
            admin: Admin::from_bits(byte(admin)),
            weight: small(weight),
            weight_in_file: small(in_file),
            since_change_s: u64::try_from(since).unwrap_or_default(),
            status: Status::from_number(byte(status)).unwrap_or(Status::Unknown),
            verdict: Verdict::from_number(byte(result)),
            check_enabled: check & CHECK_CONFIGURED == 0 || check & CHECK_ENABLED != 0,
            port: small(port),
        })
    }

    /// Up or down, and how surely; only a change is told, and nothing while maintenance holds.
    fn change_op(&self, record: &mut Record, _disabled: bool) -> Option<Change> {
        let full = record.health.full();
        let (change, value) = match self.op {
            Op::Stopped => (record.go_down(0), 0),
            Op::Stopping => (record.begin_stopping(0), record.health.rise),
            Op::Starting => (None, record.health.rise),
            Op::Running => (None, full),
        };
        record.health.value = value;
        change
    }

    /// Maintenance, unless it was the configuration's and it has changed its mind; going into it is
    /// not told.
    fn change_admin(&self, record: &mut Record, disabled: bool) -> Option<Change> {
        let forced = self.admin.any(Admin::FORCED_MAINT);
        let by_file = self.admin.any(Admin::CONFIG_MAINT);
        match (disabled, forced, by_file) {
            (true, false, true) => record.clear_admin(Admin::FORCED_MAINT, true, 0),
            (false, true, false) => {
                record.add_admin(Admin::FORCED_MAINT, 0);
                None
            }
            _ => None,
        }
    }

    fn change_drain(&self, record: &mut Record, _disabled: bool) -> Option<Change> {
        if !self.admin.any(Admin::FORCED_DRAIN) || record.admin.any(Admin::MAINT) {
            return None;
        }
        record.admin = record.admin.with(Admin::FORCED_DRAIN);
        Some(Change::drain_kept())
    }

    fn recalled(&self, record: &Record) -> Recalled {
        Recalled {
            admin: record.admin,
            op: record.op,
            health: record.health.value,
            weight: record.weight,
            downs: record.downs,
            since_change_s: self.since_change_s,
            check: RecalledCheck {
                enabled: self.check_enabled,
                status: self.status,
                verdict: self.verdict,
                port: None,
                address: None,
            },
        }
    }
}

/// Where a server was: the port that it was given at run time, and the address that its name had.
fn move_server(server: &mut Server, row: &Row<'_>, port: u16) {
    let Endpoint::Inet(before) = server.endpoint else {
        return;
    };
    let mut address = before;
    if port > 0 && server.port_offset.is_none() {
        address.set_port(port);
    }
    let ip = row.word(Column::Address).parse::<IpAddr>().ok();
    if let Some(ip) = ip.filter(|_| server.hostname.is_some()) {
        address.set_ip(ip);
    }
    server.endpoint = Endpoint::Inet(address);
    if let Some(check) = &mut server.check
        && let Endpoint::Inet(checked) = &mut check.endpoint
    {
        if !check.own_address {
            checked.set_ip(address.ip());
        }
        if check.own_port.is_none() && checked.port() == before.port() {
            checked.set_port(address.port());
        }
    }
}

/// Where a check was moved to at run time; the reason when that cannot be.
fn move_check(server: &mut Server, row: &Row<'_>) -> Option<String> {
    let said = |address: Column, port: Column| {
        let (address, port) = (row.word(address), row.word(port));
        (address != "-" || !matches!(port, "-" | "0")).then_some((address, port))
    };
    if let Some((address, port)) = said(Column::CheckAddress, Column::CheckPort) {
        let Some(check) = &mut server.check else {
            return Some("health checks are not enabled on this server".to_owned());
        };
        let ip = match address {
            "-" => None,
            _ => match address.parse::<IpAddr>() {
                Ok(ip) => Some(ip),
                Err(_) => return Some(format!("invalid addr '{address}'")),
            },
        };
        let port = match port.parse::<i64>() {
            _ if port == "-" => None,
            Ok(port) => match u16::try_from(port) {
                Ok(port) => Some(port).filter(|port| *port > 0),
                Err(_) => return Some("provided port is invalid".to_owned()),
            },
            Err(_) => return Some("provided port is not an integer".to_owned()),
        };
        // A unix socket has neither.
        if let Endpoint::Inet(checked) = &mut check.endpoint {
            checked.set_ip(ip.unwrap_or_else(|| checked.ip()));
            checked.set_port(port.unwrap_or_else(|| checked.port()));
        }
        if let Some(recalled) = &mut server.recalled {
            (recalled.check.port, recalled.check.address) = (port, ip);
        }
    }
    let agent = said(Column::AgentAddress, Column::AgentPort);
    agent.map(|_| "agent checks are not enabled on this server".to_owned())
}

#[cfg(test)]
mod tests;
