//! What HAProxy's developers ask about threads and tasks, of a program that has one loop and no
//! tasks: `show threads`, `show tasks`, `show profiling`, `set profiling`; and `show resolvers`,
//! of which there are none.
//!
//! The layouts are HAProxy's. Nothing is measured for these answers, so what would have to be is
//! refused by name and never shown as if it were 0.

use std::io::Write as _;

use super::command::{Call, refuse_as_missing};
use crate::engine::service::Outcome;

/// `show threads`: the one thread. What is in its queue are sessions that go on with this turn.
pub(super) fn threads(call: &mut Call<'_, '_>) -> Outcome {
    let queued = call.view.run_queue;
    let running = u32::from(queued > 0);
    drop(writeln!(
        call.out,
        "* Thread 1 : act=1 glob=0 wq=1 rq={running} tl=0 tlsz=0 rqsz={queued}\n      \
         1/1    stuck=0 prof=0 harmless=0 wantrdv=0"
    ));
    Outcome::Done
}

/// `show tasks`.
pub(super) fn tasks(call: &mut Call<'_, '_>) -> Outcome {
    drop(writeln!(
        call.out,
        "Running tasks: {} (1 threads)\n  function                     places     %    lat_tot   lat_avg",
        call.view.run_queue
    ));
    Outcome::Done
}

/// `show profiling [all|status|tasks|memory] [byaddr] [<lines>]`.
pub(super) fn profiling(call: &mut Call<'_, '_>) -> Outcome {
    let (mut status, mut tasks) = (true, true);
    for word in call.words_from(2) {
        match *word {
            "all" => (status, tasks) = (true, true),
            "status" => (status, tasks) = (true, false),
            "tasks" => (status, tasks) = (false, true),
            "memory" => (status, tasks) = (false, false),
            "byaddr" => {}
            lines if lines.parse::<u32>().is_ok() => {}
            _ => {
                return call.refuse(
                    "Expects either 'all', 'status', 'tasks', 'memory', 'byaddr' or a max number \
                     of output lines.",
                );
            }
        }
    }
    if status {
        call.out.extend_from_slice(
            b"Per-task CPU profiling              : off           \
              # set profiling tasks {on|auto|off}\n\
              Memory usage profiling              : off           \
              # set profiling memory {on|off}\n",
        );
    }
    if tasks {
        call.out.extend_from_slice(
            b"Tasks activity:\n  \
              function                      calls   cpu_tot   cpu_avg   lat_tot   lat_avg\n",
        );
    }
    Outcome::Done
}

/// `set profiling {tasks|memory} {on|auto|off}`: it is off.
pub(super) fn set_profiling(call: &mut Call<'_, '_>) -> Outcome {
    match (call.word(2), call.word(3)) {
        ("memory", _) => call.refuse("Memory profiling not compiled in."),
        ("tasks", "off") => Outcome::Done,
        ("tasks", word @ ("on" | "auto")) => {
            refuse_as_missing(call, &format!("set profiling tasks {word}"))
        }
        ("tasks", _) => call.refuse("Expects 'on', 'auto', or 'off'."),
        _ => call.refuse("Expects either 'tasks' or 'memory'."),
    }
}

/// `show resolvers [<section>]`.
pub(super) fn resolvers(call: &mut Call<'_, '_>) -> Outcome {
    match call.word(2) {
        "" => Outcome::Done,
        _ => call.refuse("Can't find that resolvers section"),
    }
}
