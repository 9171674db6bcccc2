//! Whether what became of every request is what may become of it.

use crate::model::{Client, Model, Outcome};
use crate::scenario::{Framing, Mishap, Plan, Quirk};
use crate::state::Faults;

/// What of a run excuses what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Excuses {
    pub(crate) clean: bool,
    pub(crate) tcp: bool,
    pub(crate) idle_close: bool,
    pub(crate) abort_on_close: bool,
    pub(crate) stopped: bool,
    pub(crate) servers_flip: bool,
    pub(crate) wishes: bool,
    pub(crate) faults: Faults,
}

/// Holds every outcome against its plan; says the first that may not be.
pub(crate) fn outcomes(model: &Model, excuses: &Excuses) -> Result<(), String> {
    for (index, client) in model.clients.iter().enumerate() {
        let mut kept = true;
        for (at, outcome) in client.outcomes.iter().copied().enumerate() {
            let id = client.script.ids[at];
            let plan = &model.plans[id as usize];
            let last = at + 1 == client.outcomes.len();
            if !allowed(client, plan, outcome, excuses, kept, last) {
                return Err(format!(
                    "client {index}, request {id}: {outcome:?}; {:?}; {plan:?}; {excuses:?}",
                    client.script.quirk
                ));
            }
            // Whatever ended otherwise may have ended the connection for those behind it.
            kept &= outcome == Outcome::Answered;
            let tunnel = (plan.upgrade || excuses.tcp) && !client.script.runtime;
            let through = outcome == Outcome::Answered && tunnel;
            let up = plan.up.unwrap_or_default();
            if excuses.clean && through && model.upped[id as usize] != up {
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
    last: bool,
) -> bool {
    let faults = &excuses.faults;
    let quirk = if last {
        client.script.quirk
    } else {
        Quirk::None
    };
    let client_odd = client.script.quirk != Quirk::None
        || faults.client_reset > 0
        || faults.abandoned > 0
        || faults.watch_fails > 0
        || (excuses.abort_on_close && client.script.half_close)
        || excuses.stopped;
    let unreachable = faults.refuse_at_once > 0
        || faults.refuse_late > 0
        || faults.connect_silent > 0
        || faults.watch_fails > 0
        || excuses.servers_flip
        || excuses.wishes;
    // A connection that broke before it was used looks like one that could not be made.
    let broken = faults.server_reset > 0;
    match outcome {
        Outcome::Answered if client.script.runtime => true,
        Outcome::Own(status) if plan.ruled() == Some(status) => !client.script.tcp,
        Outcome::Answered => {
            plan.mishap == Mishap::None && (client.script.tcp || plan.ruled().is_none())
        }
        Outcome::Left => client.script.quirk != Quirk::None,
        Outcome::Own(400) => {
            // `option abortonclose`: a client that has ended its side has given up.
            let ends = client.script.half_close || client.script.quirk == Quirk::EndsInHead;
            matches!(quirk, Quirk::EndsInHead | Quirk::Garbage) || (excuses.abort_on_close && ends)
        }
        Outcome::Own(408) => quirk == Quirk::StallsInHead,
        Outcome::Own(502) => {
            broken
                || matches!(
                    plan.mishap,
                    Mishap::CloseUnanswered
                        | Mishap::ResetUnanswered
                        | Mishap::Garbage
                        | Mishap::Cut(..)
                )
        }
        Outcome::Own(503) => unreachable || broken,
        Outcome::Own(504) => plan.mishap == Mishap::Silence,
        Outcome::Own(_) | Outcome::Open => false,
        Outcome::Cut => {
            broken
                || client_odd
                || (excuses.tcp && unreachable)
                || matches!(plan.mishap, Mishap::Cut(..))
        }
        Outcome::Unanswered => {
            !kept
                || client_odd
                || broken
                || excuses.idle_close
                || (excuses.tcp && unreachable)
                || matches!(
                    plan.mishap,
                    Mishap::CloseUnanswered | Mishap::ResetUnanswered | Mishap::Cut(..)
                )
        }
        Outcome::NotSent => !kept || client_odd || broken || excuses.idle_close,
    }
}

/// Holds the log lines against what was answered.
pub(crate) fn logs(model: &Model, lines: &[Vec<u8>], requests: u64) -> Result<(), String> {
    let mut counted = 0;
    let mut by_id: Vec<Option<String>> = vec![None; model.plans.len()];
    for line in lines {
        let line = String::from_utf8_lossy(line).into_owned();
        let Some((before, quoted)) = line.split_once('"') else {
            continue;
        };
        if quoted.starts_with("<BADREQ>") || !before.contains("] f") {
            continue;
        }
        counted += 1;
        let number = quoted.split_once("/r/").map(|(_, rest)| rest);
        let id = number.and_then(|rest| rest.split(' ').next()?.parse::<usize>().ok());
        let Some(slot) = id.and_then(|id| by_id.get_mut(id)) else {
            return Err(format!("a line of no request: {line}"));
        };
        if slot.replace(before.to_owned()).is_some() {
            return Err(format!("a second line: {line}"));
        }
    }
    let mut unlogged = 0;
    for client in model.clients.iter().filter(|client| !client.script.runtime) {
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
            let right = match outcome {
                Outcome::Answered => {
                    let plan = &model.plans[id];
                    // An answer that ends with its connection may have come whole and still be
                    // cut; a client that has its answer may leave in the middle of its body.
                    let open = plan.framing == Framing::UntilClose && model.faults.server_reset > 0;
                    let left = plan.early && letters == "CD--";
                    let normal = letters == "----" || plan.upgrade || open || left;
                    normal && status == plan.status.to_string()
                }
                Outcome::Own(own) => status == own.to_string() && letters != "----",
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
    Ok(())
}
