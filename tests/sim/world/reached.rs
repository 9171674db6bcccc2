//! What a run has come across: a sweep that never takes a path says nothing about it.
//!
//! The fake, the ends and the judge count by name; [`KINDS`] has the names that a sweep must come
//! by, and a test holds the two against each other in both directions.

use std::collections::BTreeMap;

/// Everything that a sweep must come across.
pub(crate) const KINDS: &[&str] = &[
    // The system.
    "accept: EMFILE",
    "accept: ENFILE",
    "accept: ENOBUFS",
    "accept: ENOMEM",
    "accept: ECONNABORTED",
    "watch: ENOSPC",
    "watch: ENOMEM",
    "connect: ECONNREFUSED at once",
    "connect: EADDRNOTAVAIL at once",
    "connect: ENETUNREACH at once",
    "connect: EMFILE at once",
    "connect: ENOBUFS at once",
    "connect: ECONNREFUSED later",
    "connect: ETIMEDOUT later",
    "connect: ENETUNREACH later",
    "connect: ECONNRESET later",
    "connect: no answer",
    "receive: a part",
    "receive: nothing behind an edge",
    "receive: ENOMEM",
    "send: a part",
    "send: more follows",
    "send: no room",
    "send: ENOBUFS",
    "edge: of a socket that is gone",
    "log: full",
    "log: refused",
    "clock: jumps",
    "tube: lent",
    "tube: refused",
    "tube: filled in part",
    "tube: nothing to fill it",
    "tube: emptied in part",
    "tube: no room to empty it",
    "tube: given back with bytes",
    "tube: reset while it held bytes",
    "program: no process",
    "program: not found",
    "program: not allowed",
    "program: passed",
    "program: failed",
    "program: ended by a signal",
    "program: asked to end",
    "program: made to end",
    "program: made to end, which would have",
    // The ends.
    "reset: a client before its request",
    "reset: a client in its request",
    "reset: a client that waits for its answer",
    "reset: a client in its answer",
    "reset: a client between two requests",
    "reset: a server before its request",
    "reset: a server before its answer",
    "reset: a server in its answer",
    "reset: a server in a tunnel",
    "reset: a server between two requests",
    "half-close: a client in a request",
    "half-close: a client in a tunnel",
    "half-close: a server in a tunnel",
    "refused: at the door",
    "introduction: a header",
    "introduction: in pieces",
    "introduction: a stranger",
    "introduction: cut short",
    "introduction: none",
    "introduction: at a server",
    "inspection: a session turned away",
    "inspection: a request turned away",
    "inspection: a session waited for",
    "inspection: a request waited for",
    "pooled: dead as it was taken",
    "pooled: a request sent again",
    "pooled: a request sent again with its body",
    "pooled: answered at another attempt",
    "continue: asked for and given",
    "continue: asked for and not given",
    "interim: passed on",
    "pipelining: a request behind another",
    "tunnel: TCP",
    "tunnel: upgrade",
    "framing: chunks up",
    "framing: chunks down",
    "framing: until the close",
    "reading: paused",
    "service: an answer",
    "service: an answer cut",
    "service: a body read",
    "check: a server went down",
    "check: a server came up",
    "check: answered well",
    "check: answered otherwise",
    "check: not answered",
    "check: broken off",
    "check: flooded",
    "check: a wrong status",
    "check: an invalid answer",
    "check: not in time",
    "agent: a word",
    "agent: nonsense",
    "agent: no whole word",
    "agent: a server drained",
    "track: followed",
    "observe: too many errors",
    "held back: let in by its check",
    "last server: come back to",
    "last server: a challenge",
    "gather: before a frontend's rules",
    "gather: before a backend's rules",
    "cookie: set",
    "cookie: followed",
    "cookie: left for another",
    "cookie: of nobody",
    "source: a port",
    "source: a port that others use",
    // What somebody asks of the engine.
    "signal: soft stop in the middle",
    "signal: stop in the middle",
    "signal: hard-stop-after in the middle",
    "signal: pause in the middle",
    "signal: resume in the middle",
    "signal: states",
    "order: hand over and drain",
    "order: the rest is told",
    "command: in the middle of a request",
    "command: server state",
    "command: server health",
    "command: weight",
    "command: frontend off",
    "command: frontend on",
    "command: clear counters",
    "command: health checks",
    "command: maxconn",
    "command: server added",
    "command: server deleted",
    "command: server moved",
    "command: rate limit",
    "command: cookies",
    "command: patterns",
    "command: show",
    // What the log says of it.
    "log: TCP",
    "log: HTTP",
    "log: queued",
    "log: queued at a server",
    "log: tried again",
    "log: sent elsewhere",
    "ended: ----",
    "ended: CD",
    "ended: DD",
    "ended: DH",
    "ended: UH",
    "ended: RC",
    "ended: CC",
    "ended: CQ",
    "ended: CR",
    "ended: CH",
    "ended: cD",
    "ended: cH",
    "ended: cR",
    "ended: LR",
    "ended: PD",
    "ended: PH",
    "ended: PR",
    "ended: SC",
    "ended: SD",
    "ended: SH",
    "ended: K-",
    "ended: KD",
    "ended: KH",
    "ended: sC",
    "ended: sD",
    "ended: sH",
    "ended: sQ",
];

/// How often each came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reached(pub(crate) BTreeMap<String, u64>);

impl Reached {
    pub(crate) fn add(&mut self, what: &str) {
        match self.0.get_mut(what) {
            Some(count) => *count += 1,
            None => drop(self.0.insert(what.to_owned(), 1)),
        }
    }

    /// How often something came.
    pub(crate) fn count(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or_default()
    }

    /// Adds up; true when something was new.
    pub(crate) fn join(&mut self, other: &Self) -> bool {
        let before = self.0.len();
        for (what, count) in &other.0 {
            *self.0.entry(what.clone()).or_default() += count;
        }
        self.0.len() > before
    }

    /// What must come and has not.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let mut kinds = KINDS.to_vec();
        kinds.retain(|kind| !self.0.contains_key(*kind));
        kinds
    }

    /// What has come and nobody asked for.
    pub(crate) fn unknown(&self) -> Vec<&String> {
        let known = |what: &&String| KINDS.contains(&what.as_str());
        self.0.keys().filter(|what| !known(what)).collect()
    }
}
