//! What developers ask of a running process: `show activity`, `show fd`, `show pools`, `show
//! events`, `show schema json`.
//!
//! The layouts are HAProxy's, with what there is here: one thread, sockets that an engine holds,
//! pools of buffers and records, no traces and so no sinks of events. Nothing that is not counted
//! is made up.

use std::io::Write as _;

use super::command::{Call, Severity};
use crate::config::model::ProxyId;
use crate::engine::accept::Client;
use crate::engine::cli::Cli;
use crate::engine::service::{Outcome, View};
use crate::engine::session::Session;
use crate::engine::upstream::Upstream;

/// `show activity`: counters of the loop, for the one thread.
pub(super) fn activity(call: &mut Call<'_, '_>) -> Outcome {
    let (process, now) = (call.view.process, call.view.now);
    let loops = process.turns.saturating_sub(process.cleared.0);
    let accepted = process.connections_total.saturating_sub(process.cleared.1);
    drop(writeln!(
        call.out,
        "thread_id: 1 (1..1)\ndate_now: {}.{:03}000\nloops: {loops}\naccepted: {accepted}",
        now.wall_ms / 1000,
        now.wall_ms % 1000,
    ));
    Outcome::Done
}

/// `show pools`.
pub(super) fn pools(call: &mut Call<'_, '_>) -> Outcome {
    let view = call.view;
    let (size, lent, free) = view.pool;
    let sessions = (
        size_of::<Session>(),
        view.sessions.reserved(),
        view.sessions.len(),
    );
    let (clients, upstreams, clis) = (view.clients.len(), view.upstreams.len(), view.clis.len());
    let pools = [
        ("buffer", size, lent.saturating_add(free), lent),
        ("session", sessions.0, sessions.1, sessions.2),
        ("client", size_of::<Client>(), clients, clients),
        ("upstream", size_of::<Upstream>(), upstreams, upstreams),
        ("cli", size_of::<Cli>(), clis, clis),
    ];
    call.out.extend_from_slice(b"Dumping pools usage.\n");
    let (mut allocated, mut used) = (0usize, 0usize);
    for (name, size, there, taken) in pools {
        let bytes = there.saturating_mul(size);
        allocated = allocated.saturating_add(bytes);
        used = used.saturating_add(taken.saturating_mul(size));
        drop(writeln!(
            call.out,
            "  - Pool {name} ({size} bytes) : {there} allocated ({bytes} bytes), {taken} used"
        ));
    }
    let count = pools.len();
    drop(writeln!(
        call.out,
        "Total: {count} pools, {allocated} bytes allocated, {used} used."
    ));
    Outcome::Done
}

/// `show fd [N]`: the sockets of clients, servers and runtime connections.
pub(super) fn descriptors(call: &mut Call<'_, '_>) -> Outcome {
    let view = call.view;
    let wanted = call.word(2).parse::<i32>().ok();
    let mut all: Vec<(i32, String)> = Vec::new();
    for (_, client) in view.clients.iter() {
        let proxy = name_of(view, client.frontend);
        let text = format!("owner=client fe={proxy} src={}", client.source);
        all.push((
            client.socket.raw(),
            format!("{} {text}", client.ready.letters()),
        ));
    }
    for (_, record) in view.upstreams.iter() {
        let server = view.roster.server(record.server);
        let idle = u8::from(record.user.is_none());
        let backend = name_of(view, server.proxy);
        let text = format!("owner=server sv={backend}/{} idle={idle}", server.name);
        all.push((
            record.socket.raw(),
            format!("{} {text}", record.ready.letters()),
        ));
    }
    for (_, cli) in view.clis.iter() {
        let text = format!("{} owner=cli fe=GLOBAL", cli.ready().letters());
        all.push((cli.descriptor(), text));
    }
    all.retain(|(descriptor, _)| wanted.is_none_or(|wanted| wanted == *descriptor));
    all.sort();
    for (descriptor, text) in all {
        drop(writeln!(call.out, "{descriptor:>7} : st={text}"));
    }
    Outcome::Done
}

fn name_of<'a>(view: &View<'a>, proxy: ProxyId) -> &'a str {
    &view.config.proxy(proxy).name
}

/// `show events [<sink>] [-w] [-n]`: there are no traces, so no sink has events.
pub(super) fn events(call: &mut Call<'_, '_>) -> Outcome {
    match call.word(2) {
        "" => call.message(
            Severity::Info,
            "Supported events sinks are listed below. Add -w(wait), -n(new). Any key to stop",
        ),
        _ => call.refuse_unended("No such event sink"),
    }
}

/// `show startup-logs`.
pub(super) fn startup_logs(call: &mut Call<'_, '_>) -> Outcome {
    let said = &call.view.limits.startup_logs;
    call.out.extend_from_slice(said.as_bytes());
    if said.is_empty() {
        call.out.push(b'\n');
    }
    Outcome::Done
}

/// The schema of `show info json` and `show stat json`.
const SCHEMA: &str = concat!(
    r##"{"$schema":"http://json-schema.org/draft-04/schema#","##,
    r##""title":"Statistics and facts of the process","##,
    r##""description":"Answers of 'show info json' and 'show stat json'","##,
    r##""oneOf":["##,
    r##"{"title":"Info","type":"array","items":{"type":"object","allOf":["##,
    r##"{"$ref":"#/definitions/field"},{"$ref":"#/definitions/typedValue"},"##,
    r##"{"properties":{"processNum":{"type":"integer","minimum":1}},"required":["processNum"]}]}},"##,
    r##"{"title":"Stat","type":"array","items":{"type":"array","items":{"type":"object","allOf":["##,
    r##"{"$ref":"#/definitions/field"},{"$ref":"#/definitions/typedValue"},"##,
    r##"{"properties":{"objType":{"enum":["Frontend","Backend","Listener","Server","Unknown"]},"##,
    r##""proxyId":{"type":"integer","minimum":0},"id":{"type":"integer","minimum":0},"##,
    r##""processNum":{"type":"integer","minimum":1}},"##,
    r##""required":["objType","proxyId","id","processNum"]}]}}}"##,
    r##"],"definitions":{"##,
    r##""field":{"properties":{"field":{"type":"object","properties":{"##,
    r##""pos":{"type":"integer","minimum":0},"name":{"type":"string"}},"##,
    r##""required":["pos","name"]}},"required":["field"]},"##,
    r##""tags":{"type":"object","properties":{"##,
    r##""origin":{"enum":["Metric","Status","Key","Config","Product","Unknown"]},"##,
    r##""nature":{"enum":["Max","Min","Rate","Counter","Gauge","Limit","Avg","Duration","Age","Time","Output","Name","Unknown"]},"##,
    r##""scope":{"enum":["Cluster","Process","Service","System","Unknown"]}},"##,
    r##""required":["origin","nature","scope"]},"##,
    r##""typedValue":{"properties":{"tags":{"$ref":"#/definitions/tags"},"value":{"oneOf":["##,
    r##"{"type":"object","properties":{"type":{"enum":["s32","s64","u32","u64","flt"]},"value":{"type":"number"}},"required":["type","value"]},"##,
    r##"{"type":"object","properties":{"type":{"enum":["str"]},"value":{"type":"string"}},"required":["type","value"]}"##,
    r##"]}},"required":["tags","value"]}"##,
    r##"}}"##,
);

/// `show schema json`.
pub(super) fn schema(call: &mut Call<'_, '_>) -> Outcome {
    call.out.extend_from_slice(SCHEMA.as_bytes());
    call.out.push(b'\n');
    Outcome::Done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_whole() {
        let count = |letter| SCHEMA.matches(letter).count();
        assert_eq!(count('{'), count('}'));
        assert_eq!(count('['), count(']'));
        assert_eq!(count('"') % 2, 0);
        let named = SCHEMA.split("\"$ref\":\"#/definitions/").skip(1);
        for name in named.filter_map(|rest| rest.split('"').next()) {
            assert!(SCHEMA.contains(&format!("\"{name}\":{{")), "{name}");
        }
    }
}
