//! Rules about contents in the simulation: what they say, whom they turn away, and what the log
//! tells of them.
//!
//! A TCP client begins with `T` and its number; of a request the number is a field. Those with a
//! seven in the right place come to no server.

use super::reached::Reached;
use super::rng::Rng;
use super::scenario::{Plan, Script};

/// How long bytes are waited for where that is not for ever, ms.
const DELAY_MS: i64 = 20;

/// What the rules of a run say; each text is of a section.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Inspection {
    pub(crate) of_web: &'static str,
    pub(crate) of_tcp: &'static str,
    pub(crate) behind_web: &'static str,
    pub(crate) behind_tcp: &'static str,
}

const WEB: &str = "  tcp-request inspect-delay 20ms
  tcp-request content reject if { req.hdr(x-id),mod(10) 7 }
  tcp-request content set-priority-class int(1) if { path_end 3 }
  tcp-request content accept if WAIT_END
";
const TCP: &str = "  tcp-request inspect-delay 1h
  tcp-request content reject if { req.payload(2,1) -m str 7 }
  tcp-request content set-priority-class req.payload(2,1)
  tcp-request content accept if { req.payload(0,2) -m bin 5420 } { req.len ge 4 }
";
const TCP_THAT_WAITS: &str = "  tcp-request inspect-delay 20ms
  tcp-request content reject if { req.payload(2,1) -m str 7 }
  tcp-request content accept if { req.len ge 1500 } !HTTP
";
const BEHIND_WEB: &str = "  tcp-request inspect-delay 20ms
  tcp-request content accept if { req.len gt 900 } or WAIT_END
";
const BEHIND_TCP: &str = "  tcp-request inspect-delay 20ms
  tcp-request content accept if { req.payload(0,600) -m found }
";

impl Inspection {
    /// What a run has; most have none.
    pub(crate) fn drawn(rng: &mut Rng) -> Self {
        if !rng.permille(350) {
            return Self::default();
        }
        Self {
            of_web: WEB,
            of_tcp: rng.pick(&[TCP, TCP, TCP_THAT_WAITS]),
            behind_web: rng.pick(&["", BEHIND_WEB]),
            behind_tcp: rng.pick(&["", BEHIND_TCP]),
        }
    }

    /// Whether a rule turns the client's request or session away.
    pub(crate) fn turns_away(self, script: &Script, plan: &Plan) -> bool {
        let sevens = match script.tcp {
            true => plan.id.to_string().starts_with('7'),
            false => plan.id % 10 == 7,
        };
        self != Self::default() && !script.runtime && sevens
    }

    /// Counts what a log line, up to the request, says of inspection.
    pub(crate) fn note(self, line: &str, reached: &mut Reached) {
        if self == Self::default() {
            return;
        }
        let tcp = line.contains("] f2 ");
        let words: Vec<&str> = line.split_whitespace().collect();
        // From the end: queues, connections, letters; of a request two cookies; bytes, a status.
        let place = if tcp { 4 } else { 7 };
        let Some(timers) = words.iter().rev().nth(place) else {
            return;
        };
        let waited = timers
            .split('/')
            .next()
            .and_then(|ms| ms.parse::<i64>().ok());
        let queued = words.last().is_none_or(|queues| *queues != "0/0");
        if waited.is_some_and(|ms| ms >= DELAY_MS) && !queued {
            reached.add(match tcp {
                true => "inspection: a session waited for",
                false => "inspection: a request waited for",
            });
        }
        let refused = words
            .iter()
            .rev()
            .nth(2)
            .is_some_and(|letters| letters.starts_with("PR"));
        let silent = words.contains(&"-1");
        if refused && (tcp || silent) {
            reached.add(match tcp {
                true => "inspection: a session turned away",
                false => "inspection: a request turned away",
            });
        }
    }
}
