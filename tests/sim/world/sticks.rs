//! Clients that are bound to their server by a cookie, and whether that is kept to.
//!
//! The cookie is the engine's own (`insert indirect`): servers never see it, and a client is told it
//! when it has none, or when its server could not be had.

use super::scenario::Plan;
use super::state::Core;
use super::wire::Head;

/// What binds clients of the backend that has no prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sticks {
    No,
    /// A cookie, of which nobody can tell where it leads: servers come and move.
    Loosely,
    Strictly,
}

/// Whether the request is for the backend with the cookie.
pub(crate) fn is_bound(plan: &Plan) -> bool {
    !matches!(plan.prefix, "/app1" | "/app2")
}

/// A cookie that leads nowhere.
const NOBODY: &str = "SRV=gone";

impl Sticks {
    /// What a client comes with that has been here before.
    pub(crate) fn brought(self, client: usize) -> Option<String> {
        match client % 4 {
            _ if self == Self::No => None,
            0 | 1 => Some(format!("SRV=c{}", client % 2)),
            2 => Some(NOBODY.to_owned()),
            _ => None,
        }
    }

    /// The line of the backend.
    pub(crate) fn line(self) -> &'static str {
        match self {
            Self::No => "",
            Self::Loosely | Self::Strictly => "  cookie SRV insert indirect nocache\n",
        }
    }

    /// Holds a server's answer against where it came from and what its request came with; the cookie
    /// that it sets.
    pub(crate) fn judge(
        self,
        core: &mut Core,
        head: &Head,
        (plan, sent): (&Plan, &Option<String>),
        server: usize,
    ) -> Result<Option<String>, String> {
        let set = head.get("set-cookie");
        let id = plan.id;
        if self == Self::No || !is_bound(plan) || plan.served() {
            return match set {
                None => Ok(None),
                Some(set) => Err(format!("the answer to {id} sets {set}")),
            };
        }
        if plan.upgrade {
            return Ok(None);
        }
        let pair = set.and_then(|set| set.split(';').next());
        let is = format!("SRV=c{server}");
        let right = match (sent.as_deref(), pair) {
            _ if self == Self::Loosely => true,
            (None, None) => false,
            (Some(sent), None) => sent == is,
            (None, Some(pair)) => pair == is,
            // It may have been left for another, and come back.
            (Some(_), Some(pair)) => pair == is,
        };
        if !right {
            return Err(format!("request {id} with {sent:?} at {is} sets {set:?}"));
        }
        core.reach(match (sent.as_deref(), pair) {
            (Some(_), None) => "cookie: followed",
            (Some(NOBODY), _) => "cookie: of nobody",
            (Some(_), Some(_)) => "cookie: left for another",
            _ => "cookie: set",
        });
        Ok(pair.map(str::to_owned))
    }
}
