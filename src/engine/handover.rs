//! A reload forgets nothing: what a process knows goes to its successor as a
//! [document](super::document), and what it still counts while it drains goes after it.
//!
//! Proxies are matched by name, once as frontends and once as backends, so that a `listen` which
//! was cut in two keeps what it counted; servers by the names of their backend and their own. What
//! is gone is dropped, what is new starts fresh. Counters add up, maxima are the larger one.
//!
//! Two things decide what a server is after a reload: what the old process knew, and what the
//! new file says. A change at run time is kept while the file says what it said before, and
//! gives way to a line that was edited. What checks found is kept while they look at the same
//! address.
//!
//! A document is read and judged whole before anything changes, so one that is not understood
//! changes nothing. Sessions are not handed over; nothing here is on the way of a request.

use std::collections::HashMap;

use super::Engine;
use super::document::{Line, Pen, read};
use super::service::Service;
use super::stats::{Counters, ProcessStats, ProxyStats, Rate, Times};
use crate::balance::server::{Admin, Health, Op};
use crate::check::probe::{Report, Status};
use crate::check::state::Verdict;
use crate::config::model::{Proxy, Server, ServerId};
use crate::engine::checks::Past;
use crate::net::Net;

/// The largest weight.
const WEIGHT_MAX: u32 = 256;

/// What an administrator may have wanted and a file may have said; the rest follows from servers
/// that are tracked and names that are resolved.
const KNOWN_ADMIN: Admin = Admin::FORCED_MAINT
    .with(Admin::FORCED_DRAIN)
    .with(Admin::CONFIG_MAINT);

/// A word of the document and the field that it stands for.
type Field<R, T> = (&'static str, fn(&mut R) -> &mut T);

/// What is added up.
const SUMS: [Field<Counters, u64>; 28] = [
    ("stot", |c| &mut c.stot),
    ("bin", |c| &mut c.bin),
    ("bout", |c| &mut c.bout),
    ("dreq", |c| &mut c.dreq),
    ("dresp", |c| &mut c.dresp),
    ("ereq", |c| &mut c.ereq),
    ("econ", |c| &mut c.econ),
    ("eresp", |c| &mut c.eresp),
    ("wretr", |c| &mut c.wretr),
    ("wredis", |c| &mut c.wredis),
    ("lbtot", |c| &mut c.lbtot),
    ("hrsp_1xx", |c| &mut c.hrsp[0]),
    ("hrsp_2xx", |c| &mut c.hrsp[1]),
    ("hrsp_3xx", |c| &mut c.hrsp[2]),
    ("hrsp_4xx", |c| &mut c.hrsp[3]),
    ("hrsp_5xx", |c| &mut c.hrsp[4]),
    ("hrsp_other", |c| &mut c.hrsp[5]),
    ("req_tot", |c| &mut c.req_tot),
    ("cli_abrt", |c| &mut c.cli_abrt),
    ("srv_abrt", |c| &mut c.srv_abrt),
    ("intercepted", |c| &mut c.intercepted),
    ("dcon", |c| &mut c.dcon),
    ("dses", |c| &mut c.dses),
    ("wrew", |c| &mut c.wrew),
    ("eint", |c| &mut c.eint),
    ("connect", |c| &mut c.connect),
    ("reuse", |c| &mut c.reuse),
    ("conn_tot", |c| &mut c.conn_tot),
];

/// Of which the larger one counts.
const PEAKS: [Field<Counters, u32>; 9] = [
    ("smax", |c| &mut c.smax),
    ("qmax", |c| &mut c.qmax),
    ("rate_max", |c| &mut c.rate.max),
    ("conn_rate_max", |c| &mut c.conn_rate.max),
    ("req_rate_max", |c| &mut c.req_rate.max),
    ("qtime_max", |c| &mut c.qtime.max),
    ("ctime_max", |c| &mut c.ctime.max),
    ("rtime_max", |c| &mut c.rtime.max),
    ("ttime_max", |c| &mut c.ttime.max),
];

/// Rates of the last second.
const RATES: [Field<Counters, Rate>; 3] = [
    ("rate", |c| &mut c.rate),
    ("conn_rate", |c| &mut c.conn_rate),
    ("req_rate", |c| &mut c.req_rate),
];

/// Times: their sum, and how many they are (`qtime_count`).
const TIMES: [Field<Counters, Times>; 4] = [
    ("qtime", |c| &mut c.qtime),
    ("ctime", |c| &mut c.ctime),
    ("rtime", |c| &mut c.rtime),
    ("ttime", |c| &mut c.ttime),
];

/// What is added up of the process.
const PROCESS_SUMS: [Field<ProcessStats, u64>; 5] = [
    ("connections", |p| &mut p.connections_total),
    ("requests", |p| &mut p.requests_total),
    ("bytes_out", |p| &mut p.bytes_out),
    ("dropped_logs", |p| &mut p.dropped_logs),
    ("accept_failures", |p| &mut p.accept_failures),
];

/// Of which the larger one counts.
const PROCESS_PEAKS: [Field<ProcessStats, u32>; 3] = [
    ("connection_rate_max", |p| &mut p.connection_rate.max),
    ("session_rate_max", |p| &mut p.session_rate.max),
    ("bytes_out_rate_max", |p| &mut p.bytes_out_rate.max),
];

/// Rates of the last second.
const PROCESS_RATES: [Field<ProcessStats, Rate>; 3] = [
    ("connection_rate", |p| &mut p.connection_rate),
    ("session_rate", |p| &mut p.session_rate),
    ("bytes_out_rate", |p| &mut p.bytes_out_rate),
];

/// The counters as the successor knows them.
#[derive(Clone, Debug, Default)]
pub struct Told {
    process: ProcessStats,
    proxies: Vec<ProxyTold>,
    servers: Vec<ServerTold>,
}

#[derive(Clone, Debug, Default)]
struct ProxyTold {
    stats: ProxyStats,
    logs: u64,
}

#[derive(Clone, Debug, Default)]
struct ServerTold {
    counters: Counters,
    downs: u64,
    failures: u64,
}

/// What a counter gained. One that was cleared meanwhile has what it counted since.
fn gained(now: u64, before: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

/// Counters of one line.
#[derive(Debug, Default)]
struct Gains {
    sums: [u64; SUMS.len()],
    peaks: [u32; PEAKS.len()],
    rates: [u32; RATES.len()],
    times: [(u64, u32); TIMES.len()],
    /// Since the last session came, ms.
    last_session: Option<u64>,
}

/// A line `front`.
#[derive(Debug)]
struct FrontLine {
    gains: Gains,
    logs: u64,
    paused: bool,
}

/// A line `back`.
#[derive(Debug)]
struct BackLine {
    gains: Gains,
    downs: u64,
    /// Absent in what follows the whole document.
    state: Option<BackState>,
}

#[derive(Debug)]
struct BackState {
    is_down: bool,
    since_change_ms: u64,
    down_ms: u64,
}

/// A line `server`.
#[derive(Debug)]
struct ServerLine {
    gains: Gains,
    downs: u64,
    failures: u64,
    /// Absent in what follows the whole document.
    state: Option<ServerState>,
}

/// What a server was, and what the file said of it.
#[derive(Debug)]
struct ServerState {
    op: Op,
    admin: Admin,
    /// As now, and as in the file.
    weight: (u32, u32),
    maxconn: (u32, u32),
    disabled_in_file: bool,
    target: Vec<u8>,
    health: u32,
    rise: u32,
    fall: u32,
    since_change_ms: u64,
    down_ms: u64,
    past: Option<Past>,
}

impl ServerState {
    /// The check's counter, where it may have to come and go at another pace now.
    fn health_in(&self, here: &Health) -> u32 {
        let then = Health {
            value: self.health,
            rise: self.rise,
            fall: self.fall,
        };
        if (then.rise, then.fall) == (here.rise, here.fall) {
            return then.value.min(here.full());
        }
        match then.value {
            value if value >= then.full() => here.full(),
            value if value >= then.rise => here.rise,
            _ => 0,
        }
    }
}

/// A document that was understood.
#[derive(Debug, Default)]
struct Knowledge {
    process: Option<ProcessLine>,
    fronts: HashMap<String, FrontLine>,
    backs: HashMap<String, BackLine>,
    /// By backend and name.
    servers: HashMap<(String, String), ServerLine>,
}

impl Knowledge {
    fn of(document: &[u8]) -> Result<Self, String> {
        let (whole, lines) = read(document)?;
        let mut known = Self::default();
        for line in &lines {
            let once = match line.kind {
                "process" => known.process.replace(process_of(line)?).is_none(),
                "front" => {
                    let read = front_of(line)?;
                    known.fronts.insert(line.name(0)?, read).is_none()
                }
                "back" => {
                    let read = back_of(line, whole)?;
                    known.backs.insert(line.name(0)?, read).is_none()
                }
                "server" => {
                    let names = (line.name(0)?, line.name(1)?);
                    known
                        .servers
                        .insert(names, server_of(line, whole)?)
                        .is_none()
                }
                _ => true,
            };
            if !once {
                return Err(format!("a second line '{}' of the same", line.kind));
            }
        }
        Ok(known)
    }
}

/// The numbers of a table of fields.
fn numbers<R, T, const N: usize>(
    line: &Line<'_>,
    fields: &[Field<R, T>; N],
) -> Result<[u64; N], String> {
    let mut found = [0; N];
    for (place, (key, _)) in found.iter_mut().zip(fields) {
        *place = line.count(key)?;
    }
    Ok(found)
}

/// The same, as numbers of 32 bits.
fn small_numbers<R, T, const N: usize>(
    line: &Line<'_>,
    fields: &[Field<R, T>; N],
) -> Result<[u32; N], String> {
    let mut found = [0; N];
    for (place, (key, _)) in found.iter_mut().zip(fields) {
        *place = line.up_to(key, u32::MAX)?;
    }
    Ok(found)
}

/// The process's line: sums, maxima, rates.
type ProcessLine = (
    [u64; PROCESS_SUMS.len()],
    [u32; PROCESS_PEAKS.len()],
    [u32; PROCESS_RATES.len()],
);

fn process_of(line: &Line<'_>) -> Result<ProcessLine, String> {
    Ok((
        numbers(line, &PROCESS_SUMS)?,
        small_numbers(line, &PROCESS_PEAKS)?,
        small_numbers(line, &PROCESS_RATES)?,
    ))
}

fn gains_of(line: &Line<'_>) -> Result<Gains, String> {
    let mut gains = Gains {
        sums: numbers(line, &SUMS)?,
        peaks: small_numbers(line, &PEAKS)?,
        rates: small_numbers(line, &RATES)?,
        last_session: line.number("lastsess")?,
        ..Gains::default()
    };
    for (place, (key, _)) in gains.times.iter_mut().zip(&TIMES) {
        let count = line.up_to(&format!("{key}_count"), Times::WINDOW as u32)?;
        let sum = line.count(key)?;
        let most = u64::from(count) * u64::from(u32::MAX);
        if sum > most {
            return Err(format!("'{key}={sum}' is more than {count} times can be"));
        }
        *place = (sum, count);
    }
    Ok(gains)
}

fn front_of(line: &Line<'_>) -> Result<FrontLine, String> {
    Ok(FrontLine {
        gains: gains_of(line)?,
        logs: line.count("logs")?,
        paused: line.up_to("paused", 1)? == 1,
    })
}

fn back_of(line: &Line<'_>, whole: bool) -> Result<BackLine, String> {
    let state = BackState {
        is_down: line.up_to("down", 1)? == 1,
        since_change_ms: line.count("changed_ago")?,
        down_ms: line.count("down_ms")?,
    };
    Ok(BackLine {
        gains: gains_of(line)?,
        downs: line.count("downs")?,
        state: whole.then_some(state),
    })
}

fn server_of(line: &Line<'_>, whole: bool) -> Result<ServerLine, String> {
    Ok(ServerLine {
        gains: gains_of(line)?,
        downs: line.count("downs")?,
        failures: line.count("failures")?,
        state: if whole { Some(state_of(line)?) } else { None },
    })
}

fn state_of(line: &Line<'_>) -> Result<ServerState, String> {
    let small = |key, most| line.up_to(key, most);
    let op = small("op", 3)? as u8;
    let past = match line.number("status")? {
        Some(_) => Some(past_of(line)?),
        None => None,
    };
    Ok(ServerState {
        op: Op::from_number(op).ok_or_else(|| format!("'op={op}' is no state"))?,
        admin: Admin::from_bits(small("admin", 0x7f)? as u8),
        weight: (
            small("weight", WEIGHT_MAX)?,
            small("weight.file", WEIGHT_MAX)?,
        ),
        maxconn: (
            small("maxconn", u32::MAX)?,
            small("maxconn.file", u32::MAX)?,
        ),
        disabled_in_file: small("disabled.file", 1)? == 1,
        target: line.text("target")?,
        health: small("health", u32::MAX)?,
        rise: small("rise", u32::MAX)?,
        fall: small("fall", u32::MAX)?,
        since_change_ms: line.count("changed_ago")?,
        down_ms: line.count("down_ms")?,
        past,
    })
}

fn past_of(line: &Line<'_>) -> Result<Past, String> {
    let status = line.up_to("status", u32::from(u8::MAX))? as u8;
    let status = Status::from_number(status)
        .ok_or_else(|| format!("'status={status}' is no result of a check"))?;
    let verdict = match line.up_to("verdict", u32::from(u8::MAX))? as u8 {
        0 => None,
        number => Some(
            Verdict::from_number(number)
                .ok_or_else(|| format!("'verdict={number}' is no result of a check"))?,
        ),
    };
    let (code, duration_ms) = (line.up_to("code", u32::MAX)?, line.count("duration")?);
    let mut report = Report::default();
    report.set(status, code, duration_ms, &line.text("info")?);
    Ok(Past {
        enabled: line.up_to("enabled", 1)? == 1,
        verdict,
        report,
        due_in_ms: line.count("due_in")?,
    })
}

fn write_counters(pen: &mut Pen<'_>, counters: &Counters, before: &Counters, now_ms: u64) {
    let (mut now, mut before) = (*counters, *before);
    for (key, of) in SUMS {
        pen.count(key, gained(*of(&mut now), *of(&mut before)));
    }
    for (key, of) in PEAKS {
        higher(pen, key, *of(&mut now), *of(&mut before));
    }
    for (key, of) in TIMES {
        let ((sum, count), (old_sum, old_count)) = (of(&mut now).parts(), of(&mut before).parts());
        let more = gained(u64::from(count), u64::from(old_count));
        // A full window slides, and what it gained cannot be told from what it lost.
        if more > 0 {
            pen.count(key, gained(sum, old_sum).min(more * u64::from(u32::MAX)));
            pen.number(&format!("{key}_count"), more);
        }
    }
    if let Some(last) = counters
        .lastsess
        .filter(|_| counters.lastsess > before.lastsess)
    {
        pen.number("lastsess", now_ms.saturating_sub(last));
    }
}

/// Writes a maximum that is higher than what was told before.
fn higher(pen: &mut Pen<'_>, key: &str, now: u32, before: u32) {
    if now > before {
        pen.number(key, now.into());
    }
}

/// Where a server and its check are, in one text to compare: what was found out about one address
/// says nothing about another.
fn target(server: &Server) -> String {
    match &server.check {
        Some(check) => format!("{} checked at {}", server.endpoint, check.endpoint),
        None => server.endpoint.to_string(),
    }
}

fn add_counters(counters: &mut Counters, gains: &Gains, now_ms: u64) {
    for ((_, of), gain) in SUMS.iter().zip(gains.sums) {
        let sum = of(counters);
        *sum = sum.saturating_add(gain);
    }
    for ((_, of), (sum, count)) in TIMES.iter().zip(gains.times) {
        of(counters).join(sum, count);
    }
    for ((_, of), rate) in RATES.iter().zip(gains.rates) {
        of(counters).carry_on(now_ms, rate);
    }
    for ((_, of), peak) in PEAKS.iter().zip(gains.peaks) {
        let most = of(counters);
        *most = peak.max(*most);
    }
    let last = gains.last_session.map(|ago| now_ms.saturating_sub(ago));
    counters.lastsess = counters.lastsess.max(last);
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// Writes all that a successor is to know, and notes that it has been told.
    pub fn hand_over(&mut self, out: &mut Vec<u8>) {
        self.handed = None;
        self.write_knowledge(out, true);
    }

    /// Writes what was counted since the last call of this or of [`Engine::hand_over`].
    pub fn hand_over_rest(&mut self, out: &mut Vec<u8>) {
        self.write_knowledge(out, false);
    }

    /// Goes on from what another process has handed over; best before the first turn, for a whole
    /// document.
    ///
    /// # Errors
    /// Why the document is not understood; then nothing has changed.
    pub fn take_over(&mut self, document: &[u8]) -> Result<(), String> {
        let known = Knowledge::of(document)?;
        self.take_process(&known);
        for proxy in &self.config.proxies {
            if proxy.is_frontend
                && let Some(line) = known.fronts.get(&proxy.name)
            {
                self.take_front(proxy, line);
            }
            if proxy.is_backend {
                self.take_back(proxy, &known);
            }
        }
        Ok(())
    }

    fn write_knowledge(&mut self, out: &mut Vec<u8>, whole: bool) {
        let config = self.config;
        let now_ms = self.now.ms;
        let before = self.handed.take().unwrap_or_default();
        let told = self.told();
        let mut pen = Pen::new(out, whole);
        pen.line("process", &[]);
        self.write_process(&mut pen, &before.process, whole);
        for proxy in &config.proxies {
            let index = proxy.id.0 as usize;
            let nothing = ProxyTold::default();
            let old = before.proxies.get(index).unwrap_or(&nothing);
            let stats = &self.proxy_stats[index];
            if proxy.is_frontend {
                pen.line("front", &[&proxy.name]);
                write_counters(&mut pen, &stats.front, &old.stats.front, now_ms);
                pen.count("logs", gained(self.proxies[index].log_count, old.logs));
                if whole {
                    write_rates(&mut pen, &RATES, &stats.front, now_ms);
                    pen.count("paused", stats.paused.into());
                }
            }
            if !proxy.is_backend {
                continue;
            }
            pen.line("back", &[&proxy.name]);
            write_counters(&mut pen, &stats.back, &old.stats.back, now_ms);
            pen.count("downs", gained(stats.times_down, old.stats.times_down));
            if whole {
                write_rates(&mut pen, &RATES, &stats.back, now_ms);
                pen.count("down", stats.is_down.into());
                pen.number("changed_ago", now_ms.saturating_sub(stats.last_change_ms));
                pen.count("down_ms", stats.down_ms);
            }
            for server in config.servers_of(proxy) {
                pen.line("server", &[&proxy.name, &server.name]);
                self.write_server(&mut pen, server, &before, whole);
            }
        }
        pen.end();
        self.handed = Some(Box::new(told));
    }

    fn told(&self) -> Told {
        let proxies = self.proxy_stats.iter().zip(&self.proxies);
        let servers = self
            .servers
            .iter()
            .zip(&self.server_stats)
            .zip(&self.probes);
        Told {
            process: self.process,
            proxies: proxies
                .map(|(stats, record)| ProxyTold {
                    stats: *stats,
                    logs: record.log_count,
                })
                .collect(),
            servers: servers
                .map(|((record, counters), probe)| ServerTold {
                    counters: *counters,
                    downs: record.downs,
                    failures: probe.as_ref().map_or(0, |probe| probe.failures),
                })
                .collect(),
        }
    }

    fn write_process(&self, pen: &mut Pen<'_>, before: &ProcessStats, whole: bool) {
        let (mut now, mut before) = (self.process, *before);
        for (key, of) in PROCESS_SUMS {
            pen.count(key, gained(*of(&mut now), *of(&mut before)));
        }
        for (key, of) in PROCESS_PEAKS {
            higher(pen, key, *of(&mut now), *of(&mut before));
        }
        if whole {
            write_rates(pen, &PROCESS_RATES, &now, self.now.ms);
        }
    }

    fn write_server(&self, pen: &mut Pen<'_>, server: &Server, before: &Told, whole: bool) {
        let index = server.id.0 as usize;
        let now_ms = self.now.ms;
        let record = &self.servers[index];
        let probe = self.probes[index].as_ref();
        let nothing = ServerTold::default();
        let old = before.servers.get(index).unwrap_or(&nothing);
        let counters = &self.server_stats[index];
        write_counters(pen, counters, &old.counters, now_ms);
        pen.count("downs", gained(record.downs, old.downs));
        let failures = probe.map_or(0, |probe| probe.failures);
        pen.count("failures", gained(failures, old.failures));
        if !whole {
            return;
        }
        write_rates(pen, &RATES, counters, now_ms);
        pen.number("op", record.op as u64);
        pen.number("admin", record.admin.bits().into());
        pen.count("disabled.file", server.disabled.into());
        pen.number("weight", record.weight.into());
        pen.number("weight.file", server.weight.into());
        pen.number("maxconn", record.maxconn.into());
        pen.number("maxconn.file", server.maxconn.into());
        pen.text("target", target(server).as_bytes());
        pen.number("health", record.health.value.into());
        pen.number("rise", record.health.rise.into());
        pen.number("fall", record.health.fall.into());
        pen.number("changed_ago", now_ms.saturating_sub(record.last_change_ms));
        pen.count("down_ms", record.down_ms);
        let Some(probe) = probe else { return };
        pen.number("enabled", probe.state.is_enabled().into());
        let verdict = probe.state.verdict().map_or(0, Verdict::number);
        pen.number("verdict", verdict.into());
        pen.number("status", probe.report.status as u64);
        pen.count("code", probe.report.code.into());
        pen.count("duration", probe.report.duration_ms);
        pen.text("info", &probe.report.info);
        // One that is under way is begun anew by the successor.
        let (_, due_ms) = probe.promise();
        let due_in_ms = match probe.is_running() {
            true => 0,
            false => due_ms.saturating_sub(now_ms),
        };
        pen.number("due_in", due_in_ms);
    }

    fn take_process(&mut self, known: &Knowledge) {
        let Some((sums, peaks, rates)) = &known.process else {
            return;
        };
        let process = &mut self.process;
        for ((_, of), gain) in PROCESS_SUMS.iter().zip(sums) {
            let sum = of(process);
            *sum = sum.saturating_add(*gain);
        }
        for ((_, of), rate) in PROCESS_RATES.iter().zip(rates) {
            of(process).carry_on(self.now.ms, *rate);
        }
        for ((_, of), peak) in PROCESS_PEAKS.iter().zip(peaks) {
            let most = of(process);
            *most = (*peak).max(*most);
        }
    }

    fn take_front(&mut self, proxy: &Proxy, line: &FrontLine) {
        let index = proxy.id.0 as usize;
        add_counters(&mut self.proxy_stats[index].front, &line.gains, self.now.ms);
        let logs = &mut self.proxies[index].log_count;
        *logs = logs.saturating_add(line.logs);
        if line.paused && !proxy.disabled {
            self.pause_frontend(proxy.id);
        }
    }

    fn take_back(&mut self, proxy: &Proxy, known: &Knowledge) {
        let config = self.config;
        let now_ms = self.now.ms;
        let index = proxy.id.0 as usize;
        let own = proxy.servers.start as usize..proxy.servers.end as usize;
        let was_usable = self.servers[own.clone()].iter().any(|s| s.usable());
        for server in config.servers_of(proxy) {
            let names = (proxy.name.clone(), server.name.clone());
            if let Some(line) = known.servers.get(&names) {
                self.take_server(server, line);
            }
        }
        let usable = self.servers[own].iter().any(|s| s.usable());
        let Some(line) = known.backs.get(&proxy.name) else {
            return;
        };
        let stats = &mut self.proxy_stats[index];
        add_counters(&mut stats.back, &line.gains, now_ms);
        stats.times_down = stats.times_down.saturating_add(line.downs);
        let Some(state) = &line.state else { return };
        // A state file told the same story, and less of it.
        let mut described = config.servers_of(proxy).iter();
        let by_file = stats.is_down && described.any(|server| server.recalled.is_some());
        if by_file {
            stats.is_down = false;
            stats.times_down = stats.times_down.saturating_sub(1);
        }
        stats.down_ms = stats.down_ms.saturating_add(state.down_ms);
        let since = now_ms.saturating_sub(state.since_change_ms);
        match (state.is_down, usable) {
            (true, false) => (stats.is_down, stats.last_change_ms) = (true, since),
            (false, true) => stats.last_change_ms = since,
            (true, true) => stats.down_ms = stats.down_ms.saturating_add(state.since_change_ms),
            // Those that were up are gone from the file.
            (false, false) if was_usable || by_file => {
                self.review_backend(ServerId(proxy.servers.start));
            }
            (false, false) => {}
        }
    }

    fn take_server(&mut self, server: &Server, line: &ServerLine) {
        let index = server.id.0 as usize;
        let now_ms = self.now.ms;
        add_counters(&mut self.server_stats[index], &line.gains, now_ms);
        let record = &mut self.servers[index];
        record.downs = record.downs.saturating_add(line.downs);
        if let Some(probe) = &mut self.probes[index] {
            probe.failures = probe.failures.saturating_add(line.failures);
        }
        let Some(state) = &line.state else { return };
        let told = server.recalled.map_or(0, |recalled| recalled.downs);
        record.downs = record.downs.saturating_sub(told);
        record.down_ms = record.down_ms.saturating_add(state.down_ms);
        let (weight, in_file) = state.weight;
        if in_file == u32::from(server.weight) {
            record.weight = weight as u16;
        }
        let (maxconn, in_file) = state.maxconn;
        if in_file == server.maxconn {
            record.maxconn = maxconn;
        }
        self.take_state(server, state);
        self.refresh_weight(server.id);
        if !self.servers[index].alive() {
            self.close_idle_of(server.id);
        }
    }

    /// What a server was: what the administrator wanted, unless the file has changed its mind, and
    /// what its checks found, unless they look elsewhere now. Nothing of it is told: it is no news.
    fn take_state(&mut self, server: &Server, state: &ServerState) {
        let index = server.id.0 as usize;
        let record = &mut self.servers[index];
        let had_maint = record.admin.any(Admin::MAINT);
        if state.disabled_in_file == server.disabled {
            record.admin = Admin::from_bits(state.admin.bits() & KNOWN_ADMIN.bits());
        }
        let was_maint = state.admin.any(Admin::MAINT);
        let is_maint = record.admin.any(Admin::MAINT);
        self.follow_maintenance(server.id, had_maint, is_maint);
        let record = &mut self.servers[index];
        if is_maint {
            (record.op, record.health.value) = (Op::Stopped, 0);
        } else if had_maint {
            (record.op, record.health.value) = (Op::Running, record.health.rise);
        }
        let same = state.target == target(server).as_bytes();
        let goes_on = was_maint == is_maint && (is_maint || same);
        if goes_on {
            let now_ms = self.now.ms;
            record.last_change_ms = now_ms.saturating_sub(state.since_change_ms);
        } else if state.op == Op::Stopped {
            record.down_ms = record.down_ms.saturating_add(state.since_change_ms);
        }
        if goes_on && !is_maint {
            record.op = match state.op {
                Op::Starting => Op::Running,
                op => op,
            };
            record.health.value = state.health_in(&record.health);
        }
        let value = record.health.value;
        if let Some(past) = state.past.as_ref().filter(|_| same) {
            self.recall_check(server.id, value, past);
        }
    }
}

/// Writes the rates of the last second.
fn write_rates<R: Copy, const N: usize>(
    pen: &mut Pen<'_>,
    fields: &[Field<R, Rate>; N],
    record: &R,
    now_ms: u64,
) {
    let mut record = *record;
    for (key, of) in fields {
        pen.count(key, of(&mut record).read(now_ms).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A counter that is added to the engine is handed over, or stands here as one of the few that
    /// are not: what there is just now.
    #[test]
    fn no_counter_is_left_out() {
        let mut all = Counters::default();
        for (at, (_, of)) in (1..).zip(SUMS) {
            *of(&mut all) += at;
        }
        for (_, of) in PEAKS {
            *of(&mut all) += 1;
        }
        for (_, of) in TIMES {
            of(&mut all).join(1, 1);
        }
        for (_, of) in RATES {
            of(&mut all).carry_on(5_000, 1);
        }
        let Counters {
            scur: _,
            lastsess: _,
            smax,
            stot,
            bin,
            bout,
            dreq,
            dresp,
            ereq,
            econ,
            eresp,
            wretr,
            wredis,
            lbtot,
            hrsp,
            req_tot,
            cli_abrt,
            srv_abrt,
            intercepted,
            dcon,
            dses,
            wrew,
            eint,
            connect,
            reuse,
            conn_tot,
            qmax,
            rate,
            conn_rate,
            req_rate,
            qtime,
            ctime,
            rtime,
            ttime,
        } = all;
        let mut sums = vec![
            stot, bin, bout, dreq, dresp, ereq, econ, eresp, wretr, wredis, lbtot,
        ];
        sums.extend(hrsp);
        sums.extend([
            req_tot,
            cli_abrt,
            srv_abrt,
            intercepted,
            dcon,
            dses,
            wrew,
            eint,
        ]);
        sums.extend([connect, reuse, conn_tot]);
        assert_eq!(sums, (1..=SUMS.len() as u64).collect::<Vec<_>>());
        assert_eq!((smax, qmax), (1, 1));
        for rate in [rate, conn_rate, req_rate] {
            assert_eq!((rate.read(5_000), rate.max), (1, 1));
        }
        for time in [qtime, ctime, rtime, ttime] {
            assert_eq!((time.parts(), time.max), ((1, 1), 1));
        }
    }
}
