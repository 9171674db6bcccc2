//! `show info`: what the process is, may use and has done, as text, typed lines or JSON.
//!
//! The keys, their order, their numbers and their spelling (`TotalSplicdedBytesOut`, `node`) are
//! HAProxy's, because monitoring reads them; what oneloop has not (TLS, compression, peers) is 0.

use std::io::Write as _;

use super::field::{Field, Form, Value, write_json_tail};
use crate::base::version::{RELEASE_DATE, VERSION_AS_HAPROXY};
use crate::engine::service::View;

macro_rules! facts {
    ($($fact:ident $name:literal $tags:literal $about:literal;)*) => {
        /// A line of `show info`; its number is its place.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Fact {
            $(
                #[doc = $about]
                $fact,
            )*
        }

        /// What each line is, by its number.
        pub const FACTS: &[Field] = &[
            $(Field { name: $name, tags: $tags, about: $about },)*
        ];
    };
}

facts! {
    Name "Name" "POS" "Name of the product that tools expect";
    Version "Version" "POS" "Version of the configuration language, then oneloop's own";
    ReleaseDate "Release_date" "POS" "Day of the release";
    Nbthread "Nbthread" "CGS" "Threads that serve, always 1";
    Nbproc "Nbproc" "CGS" "Worker processes, always 1";
    ProcessNum "Process_num" "KGP" "Number of this worker, always 1";
    Pid "Pid" "SGP" "Process id";
    Uptime "Uptime" "MDP" "Time since the start in days, hours, minutes and seconds";
    UptimeSec "Uptime_sec" "MDP" "Seconds since the start";
    MemmaxMb "Memmax_MB" "CLP" "Most memory allowed, MB; 0 for no limit (-m)";
    PoolAllocMb "PoolAlloc_MB" "MGP" "Memory of the buffer pool, MB";
    PoolUsedMb "PoolUsed_MB" "MGP" "Memory of the buffers in use, MB";
    PoolFailed "PoolFailed" "MCP" "Times no buffer was to be had";
    UlimitN "Ulimit-n" "CLP" "Most descriptors allowed";
    Maxsock "Maxsock" "CLP" "Descriptors that all connections allowed would take";
    Maxconn "Maxconn" "CLP" "Most client connections allowed";
    HardMaxconn "Hard_maxconn" "CLP" "Most client connections allowed at the start";
    CurrConns "CurrConns" "MGP" "Client connections now";
    CumConns "CumConns" "MCP" "Client connections since the start";
    CumReq "CumReq" "MCP" "Requests since the start";
    MaxSslConns "MaxSslConns" "MMP" "Most TLS connections allowed";
    CurrSslConns "CurrSslConns" "MGP" "TLS connections now";
    CumSslConns "CumSslConns" "MCP" "TLS connections since the start";
    Maxpipes "Maxpipes" "CLP" "Most pipes for splicing allowed";
    PipesUsed "PipesUsed" "MGP" "Pipes in use";
    PipesFree "PipesFree" "MGP" "Pipes kept for use";
    ConnRate "ConnRate" "MRP" "Client connections in the last second";
    ConnRateLimit "ConnRateLimit" "CLP" "Most client connections allowed in a second";
    MaxConnRate "MaxConnRate" "MMP" "Most client connections in one second";
    SessRate "SessRate" "MRP" "Sessions in the last second";
    SessRateLimit "SessRateLimit" "CLP" "Most sessions allowed in a second";
    MaxSessRate "MaxSessRate" "MRP" "Most sessions in one second";
    SslRate "SslRate" "MRP" "TLS connections in the last second";
    SslRateLimit "SslRateLimit" "CLP" "Most TLS connections allowed in a second";
    MaxSslRate "MaxSslRate" "MMP" "Most TLS connections in one second";
    SslFrontendKeyRate "SslFrontendKeyRate" "MGP" "TLS keys made for clients in the last second";
    SslFrontendMaxKeyRate "SslFrontendMaxKeyRate" "MMP" "Most TLS keys made for clients in one second";
    SslFrontendSessionReusePct "SslFrontendSessionReuse_pct" "MGP" "Share of TLS sessions resumed by clients";
    SslBackendKeyRate "SslBackendKeyRate" "MRP" "TLS keys made for servers in the last second";
    SslBackendMaxKeyRate "SslBackendMaxKeyRate" "MMP" "Most TLS keys made for servers in one second";
    SslCacheLookups "SslCacheLookups" "MCP" "TLS sessions looked up";
    SslCacheMisses "SslCacheMisses" "MCP" "TLS sessions looked up in vain";
    CompressBpsIn "CompressBpsIn" "MRP" "Bytes that went into compression in the last second";
    CompressBpsOut "CompressBpsOut" "MRP" "Bytes that came out of compression in the last second";
    CompressBpsRateLim "CompressBpsRateLim" "CLP" "Most bytes a second out of compression";
    ZlibMemUsage "ZlibMemUsage" "MGP" "Memory of compression";
    MaxZlibMemUsage "MaxZlibMemUsage" "CLP" "Most memory allowed for compression";
    Tasks "Tasks" "MGP" "Sessions, checks and runtime connections now";
    RunQueue "Run_queue" "MGP" "Sessions that could go on now";
    IdlePct "Idle_pct" "MaP" "Share of the last second spent waiting";
    Node "node" "COS" "Name of this node";
    Description "description" "COS" "Description of this node";
    Stopping "Stopping" "MGP" "1 while a soft stop is under way";
    Jobs "Jobs" "MGP" "Connections and listeners now";
    UnstoppableJobs "Unstoppable Jobs" "MGP" "Jobs that a soft stop does not wait for";
    Listeners "Listeners" "MGP" "Listeners now";
    ActivePeers "ActivePeers" "MGP" "Peers connected and agreed";
    ConnectedPeers "ConnectedPeers" "MGP" "Peers connected";
    DroppedLogs "DroppedLogs" "MGP" "Log messages that could not be sent";
    BusyPolling "BusyPolling" "MGP" "1 when the loop never sleeps (busy-polling)";
    FailedResolutions "FailedResolutions" "MGP" "Name resolutions that failed";
    TotalBytesOut "TotalBytesOut" "MGP" "Bytes sent to clients since the start";
    TotalSplicdedBytesOut "TotalSplicdedBytesOut" "MGP" "Bytes sent by splicing since the start";
    BytesOutRate "BytesOutRate" "MRP" "Bytes sent to clients in the last second";
    DebugCommandsIssued "DebugCommandsIssued" "MGP" "Debugging commands run since the start";
    CumRecvLogs "CumRecvLogs" "MCP" "Log messages received";
    BuildInfo "Build info" "POS" "Which build this is";
    MemmaxBytes "Memmax_bytes" "CLP" "Most memory allowed, bytes; 0 for no limit (-m)";
    PoolAllocBytes "PoolAlloc_bytes" "MGP" "Memory of the buffer pool, bytes";
    PoolUsedBytes "PoolUsed_bytes" "MGP" "Memory of the buffers in use, bytes";
    StartTimeSec "Start_time_sec" "MDP" "When the process started, seconds since 1970";
    Tainted "Tainted" "SGP" "Whether experimental features were used, 0 for none";
}

/// Appends the whole answer to `show info` but for the empty line at its end.
pub fn show(words: &[&str], view: &View<'_>, out: &mut Vec<u8>) {
    let (form, described) = Form::of(words);
    let values = values(view, words.contains(&"float"));
    let given = FACTS.iter().zip(&values).enumerate();
    let mut given = given.filter(|(_, (_, value))| !value.is_empty());
    if form == Form::Json {
        let mut separator = b'[';
        for (index, (field, value)) in given.by_ref() {
            out.push(separator);
            separator = b',';
            let name = field.name;
            drop(write!(
                out,
                "{{\"field\":{{\"pos\":{index},\"name\":\"{name}\"}},"
            ));
            write_json_tail(out, field.tags, value);
        }
        out.extend_from_slice(b"]\n");
        return;
    }
    for (index, (field, value)) in given {
        if form == Form::Typed {
            drop(write!(out, "{index}.{}.1:{}:", field.name, field.tags));
            value.write_typed(out);
        } else {
            drop(write!(out, "{}: ", field.name));
            value.write(out);
        }
        if described {
            drop(write!(out, ":\"{}\"", field.about));
        }
        out.push(b'\n');
    }
}

/// A value for each of [`FACTS`]; what is not set here is 0.
pub(super) fn values<'a>(view: &View<'a>, float: bool) -> Vec<Value<'a>> {
    let mut values = vec![Value::U32(0); FACTS.len()];
    let mut set = |fact: Fact, value: Value<'a>| {
        if let Some(place) = values.get_mut(fact as usize) {
            *place = value;
        }
    };
    let (limits, process, now) = (view.limits, view.process, view.now.ms);
    let up_ms = now.saturating_sub(limits.started.0);
    let up = up_ms / 1000;
    let count = |n: u64| Value::U32(u32::try_from(n).unwrap_or(u32::MAX));
    set(Fact::Name, Value::from("HAProxy"));
    set(Fact::Version, Value::from(VERSION_AS_HAPROXY));
    set(Fact::ReleaseDate, Value::from(RELEASE_DATE));
    for fact in [Fact::Nbthread, Fact::Nbproc, Fact::ProcessNum] {
        set(fact, Value::U32(1));
    }
    set(Fact::Pid, Value::U32(limits.pid));
    let (days, hours) = (up / 86_400, up % 86_400 / 3600);
    let uptime = format!("{days}d {hours}h{:02}m{:02}s", up % 3600 / 60, up % 60);
    set(Fact::Uptime, Value::from(uptime));
    let started_ms = limits.started.1;
    if float {
        set(Fact::UptimeSec, Value::Micros(up_ms.saturating_mul(1000)));
        set(
            Fact::StartTimeSec,
            Value::Micros(started_ms.saturating_mul(1000)),
        );
    } else {
        set(Fact::UptimeSec, count(up));
        set(Fact::StartTimeSec, count(started_ms / 1000));
    }
    set(Fact::MemmaxMb, Value::U32(limits.memory_mb));
    let memory = u64::from(limits.memory_mb) << 20;
    set(Fact::MemmaxBytes, count(memory));
    set(Fact::UlimitN, Value::U32(limits.descriptors));
    set(Fact::Maxsock, Value::U32(limits.maxsock));
    set(Fact::Maxconn, Value::U32(limits.maxconn));
    set(Fact::HardMaxconn, Value::U32(limits.hard_maxconn));
    set(Fact::Maxpipes, Value::U32(limits.max_pipes));
    set(Fact::PipesUsed, Value::U32(view.tubes.0));
    set(Fact::PipesFree, Value::U32(view.tubes.1));
    let rates = view.rate_limits;
    set(Fact::ConnRateLimit, Value::U32(rates.connections));
    set(Fact::SessRateLimit, Value::U32(rates.sessions));
    set(Fact::SslRateLimit, Value::U32(rates.tls_sessions));
    let compression = u64::from(rates.compression).saturating_mul(1024);
    set(Fact::CompressBpsRateLim, count(compression));
    set(Fact::CurrConns, Value::U32(process.connections));
    set(Fact::CumConns, count(process.connections_total));
    set(Fact::CumReq, count(process.requests_total));
    let (connections, sessions) = (&process.connection_rate, &process.session_rate);
    set(Fact::ConnRate, Value::U32(connections.read(now)));
    set(Fact::MaxConnRate, Value::U32(connections.max));
    set(Fact::SessRate, Value::U32(sessions.read(now)));
    set(Fact::MaxSessRate, Value::U32(sessions.max));
    set(Fact::ZlibMemUsage, Value::Empty);
    set(Fact::MaxZlibMemUsage, Value::Empty);
    let probes = view.probes.iter().flatten().count() as u32;
    let connections = process
        .connections
        .saturating_add(view.runtime_connections());
    let listening = if view.stopping {
        0
    } else {
        let proxies = view.config.proxies.iter().filter(|proxy| !proxy.disabled);
        let own: usize = proxies.map(|proxy| proxy.listeners.len()).sum();
        own.saturating_add(view.config.global.stats_sockets.len()) as u32
    };
    set(Fact::Tasks, Value::U32(connections.saturating_add(probes)));
    set(Fact::IdlePct, Value::U32(view.idle_percent.into()));
    set(Fact::RunQueue, Value::U32(view.run_queue));
    set(Fact::Node, Value::from(limits.node.as_str()));
    let description = view.config.global.description.as_deref();
    set(
        Fact::Description,
        description.map_or(Value::Empty, Value::from),
    );
    set(Fact::Stopping, Value::U32(u32::from(view.stopping)));
    let jobs = connections.saturating_add(listening);
    set(Fact::Jobs, Value::U32(jobs));
    set(Fact::Listeners, Value::U32(listening));
    set(Fact::DroppedLogs, count(process.dropped_logs));
    set(Fact::TotalBytesOut, Value::U64(process.bytes_out));
    set(Fact::TotalSplicdedBytesOut, Value::U64(0));
    let rate = u64::from(process.bytes_out_rate.read(now));
    set(Fact::BytesOutRate, Value::U64(rate));
    set(Fact::BuildInfo, Value::from(VERSION_AS_HAPROXY));
    let (size, lent, free) = view.pool;
    let (used, kept) = (
        (lent as u64).saturating_mul(size as u64),
        (lent.saturating_add(free) as u64).saturating_mul(size as u64),
    );
    set(Fact::PoolAllocMb, count(kept >> 20));
    set(Fact::PoolUsedMb, count(used >> 20));
    set(Fact::PoolAllocBytes, Value::U64(kept));
    set(Fact::PoolUsedBytes, Value::U64(used));
    set(Fact::Tainted, Value::from("0"));
    values
}
