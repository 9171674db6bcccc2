//! Whether what became of every request is what may become of it.

use oneloop::net::Signal;

use super::inspection::Inspection;
use super::model::{Client, Model, Outcome};
use super::reached::Reached;
use super::scenario::{Framing, Mishap, Plan, Quirk, Scenario, Script};
use super::state::Faults;

/// What of a run excuses what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Excuses {
    pub(crate) clean: bool,
    pub(crate) idle_close: bool,
    pub(crate) abort_on_close: bool,
    /// The process was told to end.
    pub(crate) stopped: bool,
    /// What is left of a soft stop is killed, and who waits is told so.
    pub(crate) killed: bool,
    /// It was told to leave the doors to a successor, and to cut nobody.
    pub(crate) drained: bool,
    /// A frontend was told to rest: it refuses, and lets go who waits at its door.
    pub(crate) rests: bool,
    /// `timeout queue` may run out.
    pub(crate) short_queue: bool,
    /// Any timeout may run out: the machine slept.
    pub(crate) late: bool,
    /// Somebody meddled with connections of clients, or of servers.
    pub(crate) clients_odd: bool,
    pub(crate) servers_odd: bool,
    pub(crate) servers_flip: bool,
    pub(crate) wishes: bool,
    /// Sessions end with their servers.
    pub(crate) shuts: bool,
    /// What a server fails is sent once more.
    pub(crate) repeats: bool,
    /// Rules about contents turn some away.
    pub(crate) inspection: Inspection,
    pub(crate) faults: Faults,
}

impl Excuses {
    pub(crate) fn of(scenario: &Scenario) -> Self {
        let told = |is: &dyn Fn(Signal) -> bool| scenario.signals.iter().any(|(_, s)| is(*s));
        let rests = |script: &Script| script.commands.contains("disable frontend");
        Self {
            clean: scenario.clean,
            idle_close: scenario.idle_close,
            abort_on_close: scenario.abort_on_close,
            stopped: told(&|signal| matches!(signal, Signal::SoftStop | Signal::Stop(_))),
            killed: scenario.hard_stop_after.is_some(),
            drained: false,
            rests: told(&|signal| signal == Signal::Pause) || scenario.scripts.iter().any(rests),
            short_queue: scenario.short_queue,
            late: !scenario.jumps.is_empty(),
            clients_odd: false,
            servers_odd: false,
            servers_flip: scenario.servers_flip || scenario.few_ports,
            wishes: scenario.wishes,
            shuts: scenario.shuts,
            repeats: scenario.repeats,
            inspection: scenario.inspection,
            faults: scenario.faults,
        }
    }
}

/// Holds every outcome against its plan; says the first that may not be.
pub(crate) fn outcomes(model: &Model, excuses: &Excuses) -> Result<(), String> {
    for (index, client) in model.clients.iter().enumerate() {
        let mut kept = true;
        for (at, outcome) in client.outcomes.iter().copied().enumerate() {
            let id = client.script.ids[at];
            let plan = &model.plans[id as usize];
            let next = client.script.ids.get(at + 1);
            let next = next.map(|id| &model.plans[*id as usize]);
            if !allowed(client, plan, outcome, excuses, kept, next) {
                return Err(format!(
                    "client {index}, request {id}: {outcome:?}; {:?}; {plan:?}; {excuses:?}",
                    client.script.quirk
                ));
            }
            let turned_away = excuses.inspection.turns_away(&client.script, plan);
            if turned_away && model.seen[id as usize] > 0 {
                return Err(format!("{id} was turned away and seen by a server"));
            }
            // Whatever ended otherwise may have ended the connection for those behind it.
            kept &= outcome == Outcome::Answered;
            let tunnel = (plan.upgrade || client.script.tcp) && !client.script.runtime;
            let through = outcome == Outcome::Answered && tunnel;
            let up = plan.up.unwrap_or_default();
            if excuses.clean && through && !turned_away && model.upped[id as usize] != up {
                let got = model.upped[id as usize];
                return Err(format!("tunnel {id}: {got} bytes of {up} went up"));
            }
        }
    }
    Ok(())
}

fn allowed(
    client: &Client,
    plan: &Plan,
    outcome: Outcome,
    excuses: &Excuses,
    kept: bool,
    next: Option<&Plan>,
) -> bool {
    let faults = &excuses.faults;
    let quirk = match next {
        None => client.script.quirk,
        Some(_) => Quirk::None,
    };
    let client_odd = client.script.quirk != Quirk::None
        || faults.client_reset > 0
        || faults.abandoned > 0
        || faults.watch_fails > 0
        || (excuses.abort_on_close && client.script.half_close)
        || faults.no_memory > 0
        || excuses.clients_odd
        || excuses.stopped
        || excuses.late;
    let tcp = client.script.tcp;
    // Whom a drain does not serve: who was not let in, and who was told to come no more.
    let sent_off = excuses.drained
        && (client.turned_away || client.is_told_to_leave() || client.script.runtime);
    let unreachable = faults.refuse_at_once > 0
        || faults.refuse_late > 0
        || faults.connect_silent > 0
        || faults.watch_fails > 0
        || excuses.servers_flip
        || excuses.wishes;
    // A connection that broke before it was used looks like one that could not be made.
    let broken =
        faults.server_reset > 0 || faults.no_memory > 0 || excuses.servers_odd || excuses.shuts;
    let turned_away = excuses.inspection.turns_away(&client.script, plan);
    match outcome {
        // A session in which nothing was to come down ends as if it had been served.
        Outcome::Answered if turned_away => tcp && plan.down == 0,
        Outcome::Own(status) if turned_away && plan.ruled() == Some(status) => false,
        Outcome::Unanswered | Outcome::Cut | Outcome::NotSent if turned_away => true,
        // Who sends more behind a request that is turned away gets a reset, as from HAProxy, and it
        // may overtake the answer before.
        Outcome::Cut
            if next.is_some_and(|next| excuses.inspection.turns_away(&client.script, next)) =>
        {
            true
        }
        Outcome::Answered | Outcome::Own(_) if client.script.quirk.is_unintroduced() => false,
        Outcome::Answered if client.script.runtime => true,
        Outcome::Own(status) if plan.ruled() == Some(status) => !client.script.tcp,
        Outcome::Answered => {
            let recovered = excuses.repeats && plan.recovers && !client.script.tcp;
            (plan.mishap == Mishap::None || recovered)
                && (client.script.tcp || plan.ruled().is_none())
        }
        Outcome::Left => client.script.quirk != Quirk::None || excuses.clients_odd,
        Outcome::Own(400) => {
            // `option abortonclose`: a client that has ended its side has given up.
            let ends = client.script.half_close || client.script.quirk == Quirk::EndsInHead;
            matches!(quirk, Quirk::EndsInHead | Quirk::Garbage)
                || excuses.clients_odd
                || (excuses.abort_on_close && ends)
        }
        Outcome::Own(408) => quirk == Quirk::StallsInHead || excuses.late,
        Outcome::Own(502) => {
            broken
                || excuses.killed
                || matches!(
                    plan.mishap,
                    Mishap::CloseUnanswered
                        | Mishap::ResetUnanswered
                        | Mishap::Garbage
                        | Mishap::Mangled
                        | Mishap::Cut(..)
                )
        }
        Outcome::Own(503) => unreachable || broken || excuses.short_queue || excuses.late,
        Outcome::Own(504) => {
            // A request that could not be sent may be answered all the same: that is waited for.
            let silent = matches!(plan.mishap, Mishap::Silence | Mishap::Stalls(_));
            silent || excuses.late || faults.no_memory > 0
        }
        Outcome::Own(_) | Outcome::Open => false,
        Outcome::Cut => {
            let stream = tcp || client.script.runtime;
            broken
                || client_odd
                || (stream && sent_off)
                || (tcp && (unreachable || excuses.short_queue || excuses.rests))
                || matches!(
                    plan.mishap,
                    Mishap::Cut(..) | Mishap::Stalls(_) | Mishap::Mangled
                )
        }
        Outcome::Unanswered => {
            // What only a close would end is broken off by a reset, which takes along what the
            // client has not read.
            let open_ended = plan.minor == 0 || plan.framing == Framing::UntilClose;
            let cut_late = matches!(plan.mishap, Mishap::Mangled | Mishap::Stalls(_));
            (open_ended && cut_late)
                || !kept
                || sent_off
                || client_odd
                || excuses.rests
                || broken
                || excuses.idle_close
                || (tcp && (unreachable || excuses.short_queue))
                || matches!(
                    plan.mishap,
                    Mishap::CloseUnanswered | Mishap::ResetUnanswered | Mishap::Cut(..)
                )
        }
        Outcome::NotSent => {
            let excused = excuses.rests || broken || excuses.idle_close;
            !kept || sent_off || client_odd || excused
        }
    }
}

/// Holds the log lines against what was answered.
pub(crate) fn logs(
    model: &Model,
    lines: &[Vec<u8>],
    requests: u64,
    sessions: u64,
    reached: &mut Reached,
) -> Result<(), String> {
    let mut counted = 0;
    let mut counted_tcp = 0;
    let mut by_id: Vec<Option<String>> = vec![None; model.plans.len()];
    for line in lines {
        let line = String::from_utf8_lossy(line).into_owned();
        note_change(&line, reached);
        if line.contains("] f2 ") {
            counted_tcp += 1;
            reached.add("log: TCP");
            model.inspection.note(&line, reached);
            note(&line, reached)?;
            continue;
        }
        let Some((before, quoted)) = line.split_once('"') else {
            continue;
        };
        if !before.contains("] f") {
            continue;
        }
        note(before, reached)?;
        model.inspection.note(before, reached);
        if quoted.starts_with("<BADREQ>") {
            continue;
        }
        counted += 1;
        reached.add("log: HTTP");
        let number = quoted.split_once("/r/").map(|(_, rest)| rest);
        let id = number.and_then(|rest| rest.split(['/', ' ']).next()?.parse::<usize>().ok());
        let Some(slot) = id.and_then(|id| by_id.get_mut(id)) else {
            return Err(format!("a line of no request: {line}"));
        };
        if slot.replace(before.to_owned()).is_some() {
            return Err(format!("a second line: {line}"));
        }
    }
    let mut unlogged = 0;
    let http = |client: &&Client| !client.script.runtime && !client.script.tcp;
    for client in model.clients.iter().filter(http) {
        for (at, outcome) in client.outcomes.iter().enumerate() {
            let id = client.script.ids[at] as usize;
            let Some(before) = &by_id[id] else {
                // A reused connection that was dead already: the client is to ask again, and no
                // line tells of it, as in HAProxy.
                let silent = matches!(outcome, Outcome::Unanswered | Outcome::Left);
                if silent && model.may_repeat {
                    unlogged += 1;
                } else if *outcome == Outcome::Answered || model.seen[id] > 0 {
                    return Err(format!("request {id} has no line"));
                }
                continue;
            };
            let words: Vec<&str> = before.split_whitespace().collect();
            let [.., status, _, _, _, letters, _, _] = words[..] else {
                return Err(format!("a short line: {before}"));
            };
            if *outcome == Outcome::Cut && model.plans[id].served() {
                reached.add("service: an answer cut");
            }
            let right = match outcome {
                Outcome::Answered => {
                    let plan = &model.plans[id];
                    // An answer that ends with its connection may have come whole and still be
                    // cut; a client that has its answer may leave in the middle of its body, its
                    // server may read no more of it, or the process may end.
                    let open = plan.framing == Framing::UntilClose && model.may_break;
                    let letters = &letters[..letters.len().min(2)];
                    let left = (plan.early || plan.waits)
                        && matches!(letters, "CD" | "KD" | "sD" | "cD" | "DD" | "UD");
                    let served = plan.served() && letters == "LR";
                    if served {
                        reached.add("service: an answer");
                    }
                    if served && plan.up.is_some_and(|up| up > 0) {
                        reached.add("service: a body read");
                    }
                    let normal = letters == "--" || plan.upgrade || open || left || served;
                    normal && status == plan.status.to_string()
                }
                Outcome::Own(own) => status == own.to_string() && !letters.starts_with("--"),
                _ => true,
            };
            if !right {
                return Err(format!("{outcome:?} to {id} is logged as {before}"));
            }
        }
    }
    if counted > requests || counted + unlogged < requests {
        return Err(format!("{requests} requests and {counted} lines"));
    }
    if counted_tcp != sessions {
        return Err(format!("{sessions} TCP sessions and {counted_tcp} lines"));
    }
    Ok(())
}

/// Counts what a line of a session says: how it ended, whether it waited, whether it was tried
/// again. The letters, the connections and the queues are its last three words.
fn note(line: &str, reached: &mut Reached) -> Result<(), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [.., letters, connections, queues] = words[..] else {
        return Err(format!("a short line: {line}"));
    };
    let kind = letters.get(..2);
    let kind = kind.ok_or_else(|| format!("no letters: {line}"))?;
    let kind = if kind == "--" { "----" } else { kind };
    reached.add(&format!("ended: {kind}"));
    if !queues.ends_with("/0") {
        reached.add("log: queued");
    }
    if !queues.starts_with("0/") {
        reached.add("log: queued at a server");
    }
    let retries = connections.rsplit('/').next().unwrap_or_default();
    if retries.starts_with('+') {
        reached.add("log: sent elsewhere");
    } else if retries != "0" {
        reached.add("log: tried again");
    }
    Ok(())
}

/// Counts what the log says of servers.
fn note_change(line: &str, reached: &mut Reached) {
    if line.contains(" is DOWN, reason: ") {
        reached.add("check: a server went down");
    } else if line.contains(" is UP, reason: ") {
        reached.add("check: a server came up");
    }
    for (words, what) in [
        ("Layer7 wrong status", "check: a wrong status"),
        ("Layer7 invalid response", "check: an invalid answer"),
        ("Layer7 timeout", "check: not in time"),
        (" via b0/s0", "track: followed"),
        ("reason: Health analyze", "observe: too many errors"),
        ("remains in forced drain", "agent: a server drained"),
    ] {
        if line.contains(words) {
            reached.add(what);
        }
    }
}
