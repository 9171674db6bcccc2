//! The servers that there are now: how each is described, and which belong to which backend.
//!
//! It begins as the configuration has it. The runtime socket changes it (`set server ... addr`,
//! `add server`, `del server`); whatever asks about a server asks here and not the configuration,
//! which stays as it was read. Ids are indexes into the engine's tables: a server keeps its own for
//! life, and the id of one that was deleted is given again. That is safe because deleting is
//! refused while anything holds the id.

use std::sync::Arc;

use crate::config::model::{Config, Proxy, ProxyId, Server, ServerId};

/// One server.
#[derive(Clone, Debug)]
struct Entry {
    /// As it was declared.
    declared: Arc<Server>,
    /// As it is. Shared, so that a step may hold it while it changes the engine.
    present: Arc<Server>,
    /// Its place in its backend.
    place: u32,
    /// Those that track it, the last one declared first.
    trackers: Vec<ServerId>,
}

/// The servers that there are now.
#[derive(Clone, Debug)]
pub struct Roster {
    /// By server id; a deleted one stays until its id is given again.
    entries: Vec<Entry>,
    /// By proxy id, in the order of their declaration.
    members: Vec<Vec<ServerId>>,
    /// Ids of deleted servers.
    free: Vec<ServerId>,
}

impl Roster {
    /// The servers of a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let mut roster = Self {
            entries: Vec::with_capacity(config.servers.len()),
            members: vec![Vec::new(); config.proxies.len()],
            free: Vec::new(),
        };
        for server in &config.servers {
            roster.add_member(server.clone());
            // A state file has moved the check: that is how it is, and not how it was declared.
            if let Some(recalled) = &server.recalled {
                roster.change(server.id, |present| {
                    if let Some(check) = &mut present.check {
                        check.own_port = recalled.check.port.or(check.own_port);
                        check.own_address |= recalled.check.address.is_some();
                    }
                });
            }
        }
        for server in &config.servers {
            roster.note_tracker(server.id, server.track);
        }
        roster
    }

    /// How many ids there are, those of deleted servers included.
    #[must_use]
    pub fn ids(&self) -> usize {
        self.entries.len()
    }

    /// A server as it is now. The id is one that this roster gave.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "ids are given here and stay")]
    pub fn server(&self, id: ServerId) -> &Arc<Server> {
        &self.entries[id.0 as usize].present
    }

    /// A server as it was declared.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "ids are given here and stay")]
    pub fn declared(&self, id: ServerId) -> &Arc<Server> {
        &self.entries[id.0 as usize].declared
    }

    /// A server's place in its backend, from 0. The address of `dispatch` has none that is taken.
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "ids are given here and stay")]
    pub fn place(&self, id: ServerId) -> u32 {
        self.entries[id.0 as usize].place
    }

    /// The ids of a proxy's servers, in order: a place is an index here.
    #[must_use]
    pub fn members(&self, proxy: ProxyId) -> &[ServerId] {
        self.members
            .get(proxy.0 as usize)
            .map_or(&[], Vec::as_slice)
    }

    /// The servers of a proxy, in order.
    pub fn of(&self, proxy: &Proxy) -> impl ExactSizeIterator<Item = &Server> {
        self.members(proxy.id).iter().map(|id| &**self.server(*id))
    }

    /// Whether an id is a server's now.
    #[must_use]
    pub fn is_live(&self, id: ServerId) -> bool {
        let entry = self.entries.get(id.0 as usize);
        entry.is_some_and(|entry| {
            self.members(entry.present.proxy).get(entry.place as usize) == Some(&id)
        })
    }

    /// The id that the next server gets.
    #[must_use]
    pub fn next_id(&self) -> ServerId {
        let fresh = || ServerId(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        self.free.last().copied().unwrap_or_else(fresh)
    }

    /// Those that track a server.
    #[must_use]
    pub fn trackers(&self, id: ServerId) -> &[ServerId] {
        self.entries
            .get(id.0 as usize)
            .map_or(&[], |entry| entry.trackers.as_slice())
    }

    /// The names of backend and server of the one that a server tracks.
    #[must_use]
    pub fn tracked<'a>(&'a self, id: ServerId, config: &'a Config) -> Option<(&'a str, &'a str)> {
        let leader = self.server(self.server(id).track?);
        Some((&config.proxy(leader.proxy).name, &leader.name))
    }

    /// Whom a server tracks in the end, itself where it tracks nobody.
    #[must_use]
    pub fn leader(&self, id: ServerId) -> ServerId {
        let mut last = id;
        while let Some(next) = self.server(last).track {
            last = next;
        }
        last
    }

    fn note_tracker(&mut self, id: ServerId, leader: Option<ServerId>) {
        if let Some(leader) = leader.and_then(|id| self.entries.get_mut(id.0 as usize)) {
            leader.trackers.insert(0, id);
        }
    }

    /// A server comes in at the end of its proxy. Its id is [`Roster::next_id`].
    pub(crate) fn add(&mut self, server: Server) {
        let (id, leader) = (server.id, server.track);
        self.add_member(server);
        self.note_tracker(id, leader);
    }

    fn add_member(&mut self, server: Server) {
        let id = server.id;
        debug_assert_eq!(id, self.next_id());
        let Some(members) = self.members.get_mut(server.proxy.0 as usize) else {
            return;
        };
        let mut place = u32::MAX;
        if !server.dispatch {
            place = u32::try_from(members.len()).unwrap_or(u32::MAX);
            members.push(id);
        }
        let declared = Arc::new(server);
        let entry = Entry {
            present: Arc::clone(&declared),
            declared,
            place,
            trackers: Vec::new(),
        };
        match self.free.pop() {
            Some(id) => {
                if let Some(old) = self.entries.get_mut(id.0 as usize) {
                    *old = entry;
                }
            }
            None => self.entries.push(entry),
        }
    }

    /// A server goes: those behind it move up. Its id may be given again.
    pub(crate) fn remove(&mut self, id: ServerId) {
        debug_assert!(self.is_live(id));
        let (proxy, leader) = (self.server(id).proxy, self.server(id).track);
        if let Some(leader) = leader.and_then(|id| self.entries.get_mut(id.0 as usize)) {
            leader.trackers.retain(|tracker| *tracker != id);
        }
        if let Some(members) = self.members.get_mut(proxy.0 as usize) {
            members.retain(|member| *member != id);
            for (place, member) in (0..).zip(members.iter()) {
                if let Some(entry) = self.entries.get_mut(member.0 as usize) {
                    entry.place = place;
                }
            }
        }
        self.free.push(id);
    }

    /// Changes what a server is. What holds the old description keeps it to its own end.
    pub(crate) fn change(&mut self, id: ServerId, change: impl FnOnce(&mut Server)) {
        if let Some(entry) = self.entries.get_mut(id.0 as usize) {
            change(Arc::make_mut(&mut entry.present));
        }
    }
}
