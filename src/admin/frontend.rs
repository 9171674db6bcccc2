//! Commands that change frontends, limits of the whole process, and counters.

use super::change::leading_number;
use super::command::{Call, DENIED, Severity};
use crate::config::model::{AccessLevel, Proxy};
use crate::engine::service::{Command, Outcome, RateLimit};

/// What `set rate-limit` takes.
const RATE_LIMITS: &str = "'set rate-limit' only supports :
   - 'connections global' to set the per-process maximum connection rate
   - 'sessions global' to set the per-process maximum session rate
   - 'ssl-sessions global' to set the per-process maximum SSL session rate
   - 'http-compression global' to set the per-process maximum compression speed in kB/s";

/// The frontend that a command's word at `at` names; if there is none, the refusal is written.
fn frontend<'a>(call: &mut Call<'_, 'a>, at: usize) -> Option<&'a Proxy> {
    let view = call.view;
    let name = call.word(at);
    if name.is_empty() {
        call.refuse("A frontend name is expected.");
        return None;
    }
    let mut proxies = view.config.proxies.iter();
    let found = proxies.find(|p| p.is_frontend && is_named(p, name));
    if found.is_none() {
        call.refuse("No such frontend.");
    }
    found
}

/// `disable frontend F`.
pub(super) fn disable_frontend(call: &mut Call<'_, '_>) -> Outcome {
    switch(call, false)
}

/// `enable frontend F`.
pub(super) fn enable_frontend(call: &mut Call<'_, '_>) -> Outcome {
    switch(call, true)
}

fn switch(call: &mut Call<'_, '_>, on: bool) -> Outcome {
    let Some(proxy) = frontend(call, 2) else {
        return Outcome::Done;
    };
    let word = if on { "enable" } else { "disable" };
    let stats = call.view.proxy_stats.get(proxy.id.0 as usize);
    let is_on = stats.is_some_and(|stats| !stats.paused);
    let text = match (is_shut(call, proxy), on) {
        (true, _) => format!("Frontend was previously shut down, cannot {word}."),
        (false, _) if is_on == on => format!("All sockets are already {word}d."),
        (false, true) => return Outcome::Apply(Command::ResumeFrontend(proxy.id)),
        (false, false) => return Outcome::Apply(Command::PauseFrontend(proxy.id)),
    };
    call.message(Severity::Notice, &text)
}

/// `shutdown frontend F`.
pub(super) fn shutdown_frontend(call: &mut Call<'_, '_>) -> Outcome {
    match frontend(call, 2) {
        Some(proxy) if is_shut(call, proxy) => {
            call.message(Severity::Notice, "Frontend was already shut down.")
        }
        Some(proxy) => Outcome::Apply(Command::ShutFrontend(proxy.id)),
        None => Outcome::Done,
    }
}

fn is_shut(call: &Call<'_, '_>, proxy: &Proxy) -> bool {
    let stats = call.view.proxy_stats.get(proxy.id.0 as usize);
    proxy.disabled || stats.is_none_or(|stats| stats.stopped)
}

/// Whether a word is a proxy's name, or `#` and its number.
pub(super) fn is_named(proxy: &Proxy, word: &str) -> bool {
    match word.strip_prefix('#') {
        Some(number) => number.parse() == Ok(proxy.number),
        None => proxy.name == word,
    }
}

/// The number of a word as `atol(3)` reads it: 0 where there is none.
fn number_of(word: &str) -> i64 {
    leading_number(word).map_or(0, |(number, _)| number)
}

/// `set maxconn frontend F N`.
pub(super) fn set_maxconn_frontend(call: &mut Call<'_, '_>) -> Outcome {
    let Some(proxy) = frontend(call, 3) else {
        return Outcome::Done;
    };
    match call.word(4) {
        "" => call.refuse("Integer value expected."),
        word => match u32::try_from(number_of(word)) {
            Ok(limit) => Outcome::Apply(Command::FrontendMaxconn(proxy.id, limit)),
            Err(_) => call.refuse("Value out of range."),
        },
    }
}

/// `set maxconn global N`; 0 is what it was at the start.
pub(super) fn set_maxconn_global(call: &mut Call<'_, '_>) -> Outcome {
    let hard = call.view.limits.hard_maxconn;
    match call.word(3) {
        "" => call.refuse("Expects an integer value."),
        word => match number_of(word) {
            limit if limit > i64::from(hard) => call.refuse("Value out of range."),
            limit => {
                let limit = u32::try_from(limit).unwrap_or(0);
                let limit = if limit == 0 { hard } else { limit };
                Outcome::Apply(Command::GlobalMaxconn(limit))
            }
        },
    }
}

/// `set rate-limit WHAT global N`; 0 for no limit.
pub(super) fn set_rate_limit(call: &mut Call<'_, '_>) -> Outcome {
    let what = match call.word(2) {
        "connections" => RateLimit::Connections,
        "sessions" => RateLimit::Sessions,
        "ssl-sessions" => RateLimit::TlsSessions,
        "http-compression" => RateLimit::Compression,
        _ => return call.refuse(RATE_LIMITS),
    };
    if call.word(3) != "global" {
        return call.refuse(RATE_LIMITS);
    }
    match call.word(4) {
        "" => call.refuse("Expects an integer value."),
        word => match u32::try_from(number_of(word)) {
            Ok(limit) => Outcome::Apply(Command::RateLimit(what, limit)),
            Err(_) => call.refuse("Value out of range."),
        },
    }
}

/// `clear counters [all]`: the maxima for an operator, all for an administrator.
pub(super) fn clear_counters(call: &mut Call<'_, '_>) -> Outcome {
    let all = call.word(2) == "all";
    if all && call.caller.level < AccessLevel::Admin {
        return call.refuse(DENIED);
    }
    Outcome::Apply(Command::ClearCounters { all })
}
