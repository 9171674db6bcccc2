//! What a document of a handover says, line by line: which counters there are, and what each line
//! means.
//!
//! A document becomes [`Knowledge`] or an error; nothing of the engine is looked at here. What is
//! counted stands in tables, each field once with its word, so that writing and reading cannot
//! disagree. A key that is missing is 0 or nothing.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::document::{Line, Pen, read};
use super::stats::{Counters, ProcessStats, Rate, Times};
use crate::balance::server::{Admin, Health, Op};
use crate::base::addr::Endpoint;
use crate::check::probe::{Report, Status};
use crate::check::state::Verdict;
use crate::config::model::Server;
use crate::engine::accept::RateLimits;
use crate::engine::checks::Past;
use crate::rules::lists::{Difference, ListName};

/// The largest weight.
const WEIGHT_MAX: u32 = 256;

/// A word of the document and the field that it stands for.
pub(super) type Field<R, T> = (&'static str, fn(&mut R) -> &mut T);

/// What is added up.
pub(super) const SUMS: [Field<Counters, u64>; 29] = [
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
    ("rejected", |c| &mut c.rejected),
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
pub(super) const PEAKS: [Field<Counters, u32>; 10] = [
    ("smax", |c| &mut c.smax),
    ("used_max", |c| &mut c.used_max),
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
pub(super) const RATES: [Field<Counters, Rate>; 3] = [
    ("rate", |c| &mut c.rate),
    ("conn_rate", |c| &mut c.conn_rate),
    ("req_rate", |c| &mut c.req_rate),
];

/// Times: their sum, and how many they are (`qtime_count`).
pub(super) const TIMES: [Field<Counters, Times>; 4] = [
    ("qtime", |c| &mut c.qtime),
    ("ctime", |c| &mut c.ctime),
    ("rtime", |c| &mut c.rtime),
    ("ttime", |c| &mut c.ttime),
];

/// What is added up of the process.
pub(super) const PROCESS_SUMS: [Field<ProcessStats, u64>; 5] = [
    ("connections", |p| &mut p.connections_total),
    ("requests", |p| &mut p.requests_total),
    ("bytes_out", |p| &mut p.bytes_out),
    ("dropped_logs", |p| &mut p.dropped_logs),
    ("accept_failures", |p| &mut p.accept_failures),
];

/// Of which the larger one counts.
pub(super) const PROCESS_PEAKS: [Field<ProcessStats, u32>; 3] = [
    ("connection_rate_max", |p| &mut p.connection_rate.max),
    ("session_rate_max", |p| &mut p.session_rate.max),
    ("bytes_out_rate_max", |p| &mut p.bytes_out_rate.max),
];

/// Rates of the last second.
pub(super) const PROCESS_RATES: [Field<ProcessStats, Rate>; 3] = [
    ("connection_rate", |p| &mut p.connection_rate),
    ("session_rate", |p| &mut p.session_rate),
    ("bytes_out_rate", |p| &mut p.bytes_out_rate),
];

/// `set rate-limit`.
pub(super) const RATE_LIMITS: [Field<RateLimits, u32>; 4] = [
    ("limit_connections", |r| &mut r.connections),
    ("limit_sessions", |r| &mut r.sessions),
    ("limit_tls_sessions", |r| &mut r.tls_sessions),
    ("limit_compression", |r| &mut r.compression),
];

/// What a counter gained. One that was cleared meanwhile has what it counted since.
pub(super) fn gained(now: u64, before: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

/// Counters of one line.
#[derive(Debug, Default)]
pub(super) struct Gains {
    pub(super) sums: [u64; SUMS.len()],
    pub(super) peaks: [u32; PEAKS.len()],
    pub(super) rates: [u32; RATES.len()],
    pub(super) times: [(u64, u32); TIMES.len()],
    /// Since the last session came, ms.
    pub(super) last_session: Option<u64>,
}

/// A line `front`.
#[derive(Debug)]
pub(super) struct FrontLine {
    pub(super) gains: Gains,
    pub(super) logs: u64,
    pub(super) paused: bool,
    /// Where the file had it, if it was shut for good.
    pub(super) shut_at: Vec<u8>,
    /// As now, and as in the file.
    pub(super) maxconn: Option<(u32, u32)>,
}

/// A line `back`.
#[derive(Debug)]
pub(super) struct BackLine {
    pub(super) gains: Gains,
    pub(super) downs: u64,
    /// Absent in what follows the whole document.
    pub(super) state: Option<BackState>,
}

#[derive(Debug)]
pub(super) struct BackState {
    pub(super) is_down: bool,
    pub(super) since_change_ms: u64,
    pub(super) down_ms: u64,
}

/// A line `server`.
#[derive(Debug)]
pub(super) struct ServerLine {
    pub(super) gains: Gains,
    pub(super) downs: u64,
    pub(super) failures: u64,
    /// Absent in what follows the whole document.
    pub(super) state: Option<ServerState>,
}

/// What a server was, and what the file said of it.
#[derive(Debug)]
pub(super) struct ServerState {
    pub(super) op: Op,
    pub(super) admin: Admin,
    /// As now, and as in the file.
    pub(super) weight: Option<(u32, u32)>,
    pub(super) maxconn: Option<(u32, u32)>,
    pub(super) disabled_in_file: bool,
    /// Where it is and is checked, and where the file has it.
    pub(super) target: Vec<u8>,
    pub(super) target_in_file: Vec<u8>,
    pub(super) moved: Option<Moved>,
    pub(super) health: u32,
    pub(super) rise: u32,
    pub(super) fall: u32,
    pub(super) since_change_ms: u64,
    pub(super) down_ms: u64,
    pub(super) past: Option<Past>,
}

/// Where a server was moved to at run time.
#[derive(Debug)]
pub(super) struct Moved {
    address: SocketAddr,
    port_offset: Option<i32>,
    check: Option<SocketAddr>,
    check_port: Option<u16>,
    has_check_address: bool,
}

impl Moved {
    /// Moves a server there.
    pub(super) fn apply(&self, server: &mut Server) {
        server.endpoint = Endpoint::Inet(self.address);
        server.port_offset = self.port_offset;
        if let Some(check) = &mut server.check
            && let Some(address) = self.check
        {
            check.endpoint = Endpoint::Inet(address);
            check.own_port = self.check_port;
            check.own_address = self.has_check_address;
        }
    }
}

impl ServerState {
    /// The check's counter, where it may have to come and go at another pace now.
    pub(super) fn health_in(&self, here: &Health) -> u32 {
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
pub(super) struct Knowledge {
    pub(super) process: Option<ProcessLine>,
    pub(super) fronts: HashMap<String, FrontLine>,
    pub(super) backs: HashMap<String, BackLine>,
    /// By backend and name.
    pub(super) servers: HashMap<(String, String), ServerLine>,
    /// Servers that came, in order.
    pub(super) added: Vec<AddedLine>,
    /// Servers that were deleted: backend, name, and where the file had them.
    pub(super) deleted: Vec<(String, String, Vec<u8>)>,
    /// Lists that were changed.
    pub(super) lists: Vec<(ListName, Difference)>,
}

/// A line `added`: a server that came at run time.
#[derive(Debug)]
pub(super) struct AddedLine {
    pub(super) backend: String,
    pub(super) name: String,
    pub(super) number: u32,
    /// Its address and options, as the command had them.
    pub(super) words: String,
}

impl Knowledge {
    pub(super) fn of(document: &[u8]) -> Result<Self, String> {
        let (whole, lines) = read(document)?;
        let mut known = Self::default();
        for line in &lines {
            let once = match line.kind {
                "process" => known.process.replace(process_of(line, whole)?).is_none(),
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
                "added" => {
                    known.added.push(added_of(line)?);
                    true
                }
                "deleted" => {
                    let server = (line.name(0)?, line.name(1)?, line.text("target.file")?);
                    known.deleted.push(server);
                    true
                }
                "list" => {
                    let list = list_of(line)?;
                    let is_new = known.lists.iter().all(|(name, _)| *name != list.0);
                    known.lists.push(list);
                    is_new
                }
                "list.del" | "list.set" | "list.add" => {
                    let list = known.lists.last_mut();
                    let (_, list) = list.ok_or("an entry of no list")?;
                    read_entry(line, list)?;
                    true
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

/// A line `process`.
#[derive(Debug)]
pub(super) struct ProcessLine {
    pub(super) sums: [u64; PROCESS_SUMS.len()],
    pub(super) peaks: [u32; PROCESS_PEAKS.len()],
    pub(super) rates: [u32; PROCESS_RATES.len()],
    /// As now, and as in the file; absent in what follows the whole document.
    pub(super) maxconn: Option<(u32, u32)>,
    pub(super) rate_limits: [u32; RATE_LIMITS.len()],
}

fn process_of(line: &Line<'_>, whole: bool) -> Result<ProcessLine, String> {
    Ok(ProcessLine {
        sums: numbers(line, &PROCESS_SUMS)?,
        peaks: small_numbers(line, &PROCESS_PEAKS)?,
        rates: small_numbers(line, &PROCESS_RATES)?,
        maxconn: changed(line, "maxconn", u32::MAX)?.filter(|_| whole),
        rate_limits: small_numbers(line, &RATE_LIMITS)?,
    })
}

/// A number that may change at run time: as it is, and as the file has it.
fn changed(line: &Line<'_>, key: &str, most: u32) -> Result<Option<(u32, u32)>, String> {
    let pair = (
        line.up_to(key, most)?,
        line.up_to(&format!("{key}.file"), most)?,
    );
    Ok(line.number(key)?.map(|_| pair))
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
        shut_at: line.text("shut_at")?,
        maxconn: changed(line, "maxconn", u32::MAX)?,
    })
}

fn added_of(line: &Line<'_>) -> Result<AddedLine, String> {
    let words = String::from_utf8(line.text("words")?);
    Ok(AddedLine {
        backend: line.name(0)?,
        name: line.name(1)?,
        number: line.up_to("id", u32::MAX)?,
        words: words.map_err(|_| "the words of a server are no text".to_owned())?,
    })
}

fn list_of(line: &Line<'_>) -> Result<(ListName, Difference), String> {
    let name = match line.name(0)?.as_str() {
        "file" => ListName::File(line.name(1)?, false),
        "map" => ListName::File(line.name(1)?, true),
        "number" => ListName::Number(line.up_to("id", u32::MAX)?),
        "words" => {
            let names = [line.name(1)?, line.name(2)?, line.name(3)?];
            let patterns = line.names().iter().skip(4).cloned().collect();
            ListName::Words(names, patterns, line.up_to("nth", u32::MAX)? as usize)
        }
        other => return Err(format!("'{other}' is no name of a list")),
    };
    let difference = Difference {
        current: line.up_to("current", u32::MAX)?,
        next: line.up_to("next", u32::MAX)?,
        ..Difference::default()
    };
    Ok((name, difference))
}

/// An entry that a list has lost or gained.
fn read_entry(line: &Line<'_>, list: &mut Difference) -> Result<(), String> {
    match (line.kind, line.names()) {
        ("list.del", [key, value]) => list.deleted.push((key.clone(), value.clone())),
        ("list.set", [key, before, value]) => {
            list.set.push((key.clone(), before.clone(), value.clone()));
        }
        ("list.add", [key, value]) => {
            let version = line.up_to("version", u32::MAX)?;
            list.added.push((version, key.clone(), value.clone()));
        }
        (kind, _) => return Err(format!("a line '{kind}' that is none")),
    }
    Ok(())
}

/// Writes what was changed in a list.
pub(super) fn write_list(pen: &mut Pen<'_>, name: &ListName, difference: &Difference) {
    match name {
        ListName::File(path, is_map) => {
            let kind = if *is_map { "map" } else { "file" };
            pen.line("list", &[kind.as_bytes(), path.as_bytes()]);
        }
        ListName::Number(number) => {
            pen.line("list", &[b"number"]);
            pen.number("id", (*number).into());
        }
        ListName::Words(names, patterns, nth) => {
            let names = names.iter().map(String::as_bytes);
            let names = std::iter::once(&b"words"[..]).chain(names);
            let names = names.chain(patterns.iter().map(Vec::as_slice));
            pen.line("list", &names.collect::<Vec<_>>());
            pen.count("nth", *nth as u64);
        }
    }
    pen.number("current", difference.current.into());
    pen.number("next", difference.next.into());
    for (key, value) in &difference.deleted {
        pen.names("list.del", &[key, value]);
    }
    for (key, before, value) in &difference.set {
        pen.names("list.set", &[key, before, value]);
    }
    for (version, key, value) in &difference.added {
        pen.names("list.add", &[key, value]);
        pen.count("version", (*version).into());
    }
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
        weight: changed(line, "weight", WEIGHT_MAX)?,
        maxconn: changed(line, "maxconn", u32::MAX)?,
        disabled_in_file: small("disabled.file", 1)? == 1,
        target: line.text("target")?,
        target_in_file: line.text("target.file")?,
        moved: moved_of(line)?,
        health: small("health", u32::MAX)?,
        rise: small("rise", u32::MAX)?,
        fall: small("fall", u32::MAX)?,
        since_change_ms: line.count("changed_ago")?,
        down_ms: line.count("down_ms")?,
        past,
    })
}

fn moved_of(line: &Line<'_>) -> Result<Option<Moved>, String> {
    let Some(address) = line.parsed("at")? else {
        return Ok(None);
    };
    Ok(Some(Moved {
        address,
        port_offset: line.parsed("at_offset")?,
        check: line.parsed("check_at")?,
        check_port: line.parsed("check_port")?,
        has_check_address: line.up_to("check_address", 1)? == 1,
    }))
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
        halted: line.up_to("halted", 1)? == 1,
        verdict,
        report,
        due_in_ms: line.count("due_in")?,
    })
}

pub(super) fn write_counters(
    pen: &mut Pen<'_>,
    counters: &Counters,
    before: &Counters,
    now_ms: u64,
) {
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
pub(super) fn higher(pen: &mut Pen<'_>, key: &str, now: u32, before: u32) {
    if now > before {
        pen.number(key, now.into());
    }
}

pub(super) fn add_counters(counters: &mut Counters, gains: &Gains, now_ms: u64) {
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

/// Writes the rates of the last second.
pub(super) fn write_rates<R: Copy, const N: usize>(
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

/// Writes where a server was moved to, if it was.
pub(super) fn write_moved(pen: &mut Pen<'_>, server: &Server, declared: &Server) {
    let stays = server.endpoint == declared.endpoint
        && server.check == declared.check
        && server.port_offset == declared.port_offset;
    let Endpoint::Inet(address) = &server.endpoint else {
        return;
    };
    if stays {
        return;
    }
    pen.text("at", address.to_string().as_bytes());
    if let Some(offset) = server.port_offset {
        pen.text("at_offset", offset.to_string().as_bytes());
    }
    if let Some(check) = &server.check
        && let Endpoint::Inet(address) = &check.endpoint
    {
        pen.text("check_at", address.to_string().as_bytes());
        if let Some(port) = check.own_port {
            pen.number("check_port", port.into());
        }
        pen.count("check_address", check.own_address.into());
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
            used_max,
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
            rejected,
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
            rejected,
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
        assert_eq!((smax, used_max, qmax), (1, 1, 1));
        for rate in [rate, conn_rate, req_rate] {
            assert_eq!((rate.read(5_000), rate.max), (1, 1));
        }
        for time in [qtime, ctime, rtime, ttime] {
            assert_eq!((time.parts(), time.max), ((1, 1), 1));
        }
    }
}
