//! What listeners have of their own beside their frontend: counters (`option socket-stats`) and an
//! order in which what happened is seen to (`nice`).
//!
//! Configurations without these options pay a look at an empty list.

use super::service::{Service, View};
use super::stats::Counters;
use super::{Engine, Subject};
use crate::base::arena::Handle;
use crate::config::model::{Config, Listener, Proxy};
use crate::net::Net;
use std::ops::Range;

/// The counters of all listeners, by position; none unless a frontend wants them.
#[derive(Debug, Default)]
pub struct ListenerStats(Vec<Counters>);

impl ListenerStats {
    /// As many as a configuration asks for.
    pub(crate) fn new(config: &Config) -> Self {
        let wanted = config.proxies.iter().any(|proxy| proxy.socket_stats);
        let count = if wanted { config.listeners.len() } else { 0 };
        Self(vec![Counters::default(); count])
    }

    /// Those of a listener.
    #[must_use]
    pub fn of(&self, listener: u32) -> Option<&Counters> {
        self.0.get(listener as usize)
    }

    /// The same, to count.
    pub(crate) fn count(&mut self, listener: u32, count: impl FnOnce(&mut Counters)) {
        if let Some(counters) = self.0.get_mut(listener as usize) {
            count(counters);
        }
    }

    /// `clear counters`: all of them, or only the maxima.
    pub(crate) fn clear(&mut self, clear: impl Fn(&mut Counters)) {
        self.0.iter_mut().for_each(clear);
    }
}

/// What a listener does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerStatus {
    /// Its frontend or the process has as many connections as it may have, or as many sessions a
    /// second.
    Waiting,
    /// It takes connections, or is paused.
    Open,
    /// It has as many as its line allows.
    Full,
}

impl ListenerStatus {
    /// All of them, in the order in which the metrics have them.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Open, Self::Full];

    /// What the statistics call it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "WAITING",
            Self::Open => "OPEN",
            Self::Full => "FULL",
        }
    }
}

/// Whether any listener is nicer than another.
pub(crate) fn any_is_nice(config: &Config) -> bool {
    config.listeners.iter().any(|listener| listener.nice != 0)
}

impl View<'_> {
    /// The listeners of a frontend that count for themselves, with their positions.
    #[must_use]
    pub fn counting_listeners(&self, proxy: &Proxy) -> Range<u32> {
        match proxy.socket_stats {
            true => proxy.listeners.clone(),
            false => 0..0,
        }
    }

    /// What a listener does just now.
    #[must_use]
    pub fn listener_status(&self, position: u32, listener: &Listener) -> ListenerStatus {
        let proxy = listener.proxy.0 as usize;
        let now = self.listener_connections.get(position as usize);
        let front = self.proxy_stats.get(proxy).map_or(0, |one| one.front.scur);
        let rate = self.proxy_stats.get(proxy).map(|one| &one.front.rate);
        let rate_max = self.config.proxy(listener.proxy).session_rate;
        let is_fast =
            rate_max.is_some_and(|most| rate.is_some_and(|rate| rate.read(self.now.ms) >= most));
        let most = self.proxies.get(proxy).map_or(0, |one| one.maxconn);
        if listener.maxconn.is_some_and(|most| now >= Some(&most)) {
            ListenerStatus::Full
        } else if is_fast || front >= most || self.clients.len() >= self.limits.maxconn as usize {
            ListenerStatus::Waiting
        } else {
            ListenerStatus::Open
        }
    }
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// How nice the listener is to which something belongs.
    pub(crate) fn niceness(&self, handle: Handle) -> i16 {
        let of_client = |key| self.clients.get(key).map(|client| client.listener);
        let listener = match Subject::of(handle) {
            Some(Subject::Listener(listener)) => Some(listener),
            Some(Subject::Client(key)) => of_client(key),
            Some(Subject::Upstream(key)) => {
                let user = self.upstreams.get(key).and_then(|record| record.user);
                user.and_then(of_client)
            }
            _ => None,
        };
        let listener = listener.and_then(|at| self.config.listeners.get(at as usize));
        listener.map_or(0, |listener| listener.nice)
    }
}
