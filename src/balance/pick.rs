//! Which server gets the next session: the single `pick`.
//!
//! A `Group` is the load-balancing view of one backend: an effective weight for each server (0
//! for those that take nothing) and the state of the algorithm. Active servers are used while any
//! has weight; then the first backup, or with `option allbackups` all of them.
//!
//! How servers are ordered is a family's matter, one file each: turns (`roundrobin`), a table
//! (`map`: `static-rr` and hashes), a ring (`ring`: consistent hashes and `random`), an order that
//! the load moves servers in (`order`: `leastconn` and `first`). In each of them a pick costs the
//! same, or the logarithm, however many servers there are, and nothing allocates but the first
//! pick after a change.
//!
//! It must not know sessions, checks or names; who is full or to be avoided is asked for each
//! pick, and how many sessions a server has is told (`set_load`) whenever it changes.

mod heap;
mod map;
mod order;
mod ring;
mod roundrobin;

use map::Map;
use order::{By, Order};
use ring::Ring;
use roundrobin::Turns;

/// How servers are chosen (`balance`, `hash-type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// `roundrobin`: in turn, by weight, weights may change at any time.
    #[default]
    RoundRobin,
    /// `static-rr`: in turn, by a table.
    StaticRr,
    /// `leastconn`: who has the fewest sessions for its weight.
    LeastConn,
    /// `first`: the first one that has room.
    First,
    /// Where a key leads in a table; in turn without a key (`hash-type map-based`).
    Map,
    /// Where a key leads on a ring (`hash-type consistent`).
    Consistent,
    /// `random(DRAWS)`.
    Random(u32),
}

impl Algorithm {
    /// A key leads to a server.
    #[must_use]
    pub const fn has_keys(self) -> bool {
        matches!(self, Self::Map | Self::Consistent)
    }

    /// Weights may take any value while it is at work, and servers may come and go.
    #[must_use]
    pub const fn is_dynamic(self) -> bool {
        !matches!(self, Self::StaticRr | Self::Map)
    }
}

/// Parts of a weight: a server that warms up has some of them.
pub const PARTS: u16 = 16;

/// What a server is to its group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Effective weight in sixteenths, 0 to 4096; 0 takes nothing.
    pub weight: u16,
    /// `backup`.
    pub backup: bool,
    /// Its number in its backend (`id`).
    pub number: u32,
    /// Its limit of sessions moves with what its backend has to do.
    pub limit_moves: bool,
}

/// What `Group::pick` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picked {
    /// This server, by its place in the group.
    Server(u32),
    /// There are servers, but each of them is full: wait in the backend's queue.
    AllFull,
    /// No server has any weight.
    None,
}

/// Active servers or backups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Active,
    Backup,
}

impl Side {
    const fn of_mut<T>(self, both: &mut [T; 2]) -> &mut T {
        let [active, backup] = both;
        match self {
            Self::Active => active,
            Self::Backup => backup,
        }
    }

    const fn of<T>(self, both: &[T; 2]) -> &T {
        let [active, backup] = both;
        match self {
            Self::Active => active,
            Self::Backup => backup,
        }
    }
}

#[derive(Clone, Debug)]
enum Family {
    Turns(Turns),
    Map([Map; 2]),
    Ring([Ring; 2]),
    Order(Order),
}

#[derive(Clone, Debug)]
struct Member {
    weight: u32,
    side: Side,
}

/// The servers that have weight on one side.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    count: u32,
    weight: u32,
}

/// The servers of one backend, for choosing among them.
#[derive(Clone, Debug)]
pub struct Group {
    algorithm: Algorithm,
    all_backups: bool,
    members: Vec<Member>,
    sums: [Sum; 2],
    family: Family,
    /// The backup that stands in when only one does.
    first_backup: Option<u32>,
    /// What `random` draws from.
    chance: u64,
}

impl Group {
    /// A group of servers in the order of the configuration. `all_backups` is
    /// `option allbackups`.
    #[must_use]
    pub fn new(algorithm: Algorithm, places: &[Place], all_backups: bool) -> Self {
        let count = places.len();
        let family = match algorithm {
            Algorithm::RoundRobin => Family::Turns(Turns::with_capacity(count)),
            Algorithm::StaticRr | Algorithm::Map => {
                Family::Map([Map::with_capacity(count), Map::with_capacity(count)])
            }
            Algorithm::LeastConn => Family::Order(Order::with_capacity(By::Load, count)),
            Algorithm::First => Family::Order(Order::with_capacity(By::Number, count)),
            Algorithm::Consistent | Algorithm::Random(_) => {
                Family::Ring([Ring::with_capacity(count), Ring::with_capacity(count)])
            }
        };
        let mut group = Self {
            algorithm,
            all_backups,
            members: Vec::with_capacity(count),
            sums: [Sum::default(); 2],
            family,
            first_backup: None,
            chance: 1,
        };
        for place in places {
            group.put(*place, true);
        }
        if let Family::Turns(turns) = &mut group.family {
            turns.start();
        }
        group
    }

    /// The same with a bound on what a server may have of the load: `hash-balance-factor`, in
    /// percent of the average; 0 for none.
    #[must_use]
    pub fn bounded(mut self, factor: u32) -> Self {
        if let Family::Ring(rings) = &mut self.family {
            for ring in rings {
                ring.factor = factor;
            }
        }
        self
    }

    /// The same with other chances: two processes should not draw the same servers.
    #[must_use]
    pub const fn seeded(mut self, seed: u64) -> Self {
        self.chance = seed;
        self
    }

    /// A server comes in behind the others, while the group is at work.
    pub fn add(&mut self, place: Place) {
        self.put(place, false);
    }

    fn put(&mut self, place: Place, at_start: bool) {
        let index = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        let side = if place.backup {
            Side::Backup
        } else {
            Side::Active
        };
        self.members.push(Member { weight: 0, side });
        match &mut self.family {
            Family::Turns(turns) => turns.grow(),
            Family::Map(maps) => maps.iter_mut().for_each(Map::grow),
            Family::Ring(rings) => rings.iter_mut().for_each(|ring| ring.grow(place.number)),
            Family::Order(order) => order.grow(place.number, place.limit_moves),
        }
        self.weigh(index, place.weight, at_start);
    }

    /// A server goes, and those behind it move up by one place.
    pub fn remove(&mut self, index: u32) {
        self.set_weight(index, 0);
        if (index as usize) < self.members.len() {
            self.members.remove(index as usize);
        }
        match &mut self.family {
            Family::Turns(turns) => turns.shrink(index),
            Family::Map(maps) => maps.iter_mut().for_each(|map| map.shrink(index)),
            Family::Ring(rings) => rings.iter_mut().for_each(|ring| ring.shrink(index)),
            Family::Order(order) => order.shrink(index),
        }
        self.first_backup = self.find_backup(None);
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Active servers with weight.
    #[must_use]
    pub const fn active(&self) -> u32 {
        Side::Active.of(&self.sums).count
    }

    /// Backup servers with weight.
    #[must_use]
    pub const fn backup(&self) -> u32 {
        Side::Backup.of(&self.sums).count
    }

    /// True when no server has any weight.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.active() == 0 && self.backup() == 0
    }

    /// The total weight, in sixteenths, of those that serve now: the active ones, or the backups
    /// that stand in.
    #[must_use]
    pub fn total_weight(&self) -> u32 {
        match (self.active(), self.all_backups) {
            (0, true) => Side::Backup.of(&self.sums).weight,
            (0, false) => self.first_backup.map_or(0, |index| self.weight(index)),
            _ => Side::Active.of(&self.sums).weight,
        }
    }

    /// A server's effective weight, in sixteenths.
    #[must_use]
    pub fn weight(&self, index: u32) -> u32 {
        self.members
            .get(index as usize)
            .map_or(0, |member| member.weight)
    }

    /// Sets a server's effective weight in sixteenths, 0 to 4096: 0 takes it out (down, drained,
    /// in maintenance).
    pub fn set_weight(&mut self, index: u32, weight: u16) {
        self.weigh(index, weight, false);
    }

    fn weigh(&mut self, index: u32, weight: u16, at_start: bool) {
        let weight = u32::from(weight);
        let Some(member) = self.members.get_mut(index as usize) else {
            return;
        };
        let (before, side) = (std::mem::replace(&mut member.weight, weight), member.side);
        if before == weight {
            return;
        }
        let sum = side.of_mut(&mut self.sums);
        sum.weight = sum.weight.saturating_sub(before).saturating_add(weight);
        sum.count = sum
            .count
            .saturating_add(u32::from(before == 0))
            .saturating_sub(u32::from(weight == 0));
        match &mut self.family {
            Family::Turns(turns) => turns.set_weight(side, index, weight, at_start),
            Family::Map(maps) => side.of_mut(maps).set_weight(index, weight),
            Family::Ring(rings) => side.of_mut(rings).set_weight(index, weight),
            Family::Order(order) => order.set_weight(side, index, weight),
        }
        if side == Side::Backup && (before == 0 || weight == 0) {
            self.first_backup = self.find_backup(None);
        }
    }

    /// Whether what its servers have to do matters to it: else nobody need tell it.
    #[must_use]
    #[inline]
    pub const fn minds_load(&self) -> bool {
        matches!(self.family, Family::Ring(_) | Family::Order(_))
    }

    /// A server has so many sessions now, those that wait for it among them. To be told whenever
    /// that changes, and when the number of sessions that it takes does.
    pub fn set_load(&mut self, index: u32, load: u32) {
        let Some(member) = self.members.get(index as usize) else {
            return;
        };
        match &mut self.family {
            Family::Turns(_) | Family::Map(_) => {}
            Family::Ring(rings) => member.side.of_mut(rings).set_load(index, load),
            Family::Order(order) => order.set_load(member.side, index, load),
        }
    }

    /// The sessions that a server was last told to have; `None` where that is of no use.
    #[must_use]
    pub fn load(&self, index: u32) -> Option<u32> {
        let member = self.members.get(index as usize)?;
        match &self.family {
            Family::Turns(_) | Family::Map(_) => None,
            Family::Ring(rings) => Some(member.side.of(rings).load(index)),
            Family::Order(order) => Some(order.load(index)),
        }
    }

    /// Chooses a server for a session. `key` is the hash of what it is chosen by, if it has any.
    /// `avoid` is taken only when no other is left (redispatch); a server for which `full` is true
    /// is passed over, unless a key leads there: who has one waits for it.
    pub fn pick(
        &mut self,
        key: Option<u32>,
        avoid: Option<u32>,
        mut full: impl FnMut(u32) -> bool,
    ) -> Picked {
        if self.is_empty() {
            return Picked::None;
        }
        let side = match self.active() {
            0 => Side::Backup,
            _ => Side::Active,
        };
        if side == Side::Backup && !self.all_backups {
            let other = avoid.and_then(|_| self.find_backup(avoid));
            return match other.or(self.first_backup) {
                Some(index) if full(index) => Picked::AllFull,
                Some(index) => Picked::Server(index),
                None => Picked::None,
            };
        }
        match &mut self.family {
            Family::Turns(turns) => turns.pick(side, avoid, full),
            Family::Order(order) => order.pick(side, avoid, full),
            Family::Map(maps) => {
                let map = side.of_mut(maps);
                match key.and_then(|key| map.find(key)) {
                    Some(index) => Picked::Server(index),
                    None => map.pick(avoid, full),
                }
            }
            Family::Ring(rings) => {
                let ring = side.of_mut(rings);
                if let Algorithm::Random(draws) = self.algorithm {
                    let chance = &mut self.chance;
                    return ring.draw(draws, || draw(chance), avoid, full);
                }
                match key.and_then(|key| ring.find(key, avoid)) {
                    Some(index) => Picked::Server(index),
                    None => ring.pick(avoid, full),
                }
            }
        }
    }

    /// True when sessions may come to this server: it has weight, and is active or stands in.
    #[must_use]
    pub fn serves(&self, index: u32) -> bool {
        let member = self.members.get(index as usize);
        member.is_some_and(|member| {
            let stands_in =
                self.active() == 0 && (self.all_backups || self.first_backup == Some(index));
            member.weight > 0 && (member.side == Side::Active || stands_in)
        })
    }

    /// The first backup with weight that is not `avoid`.
    fn find_backup(&self, avoid: Option<u32>) -> Option<u32> {
        let usable = |(index, member): &(u32, &Member)| {
            member.side == Side::Backup && member.weight > 0 && Some(*index) != avoid
        };
        (0..)
            .zip(&self.members)
            .find(usable)
            .map(|(index, _)| index)
    }
}

/// A number by chance (Vigna's SplitMix64, of which the upper half is used).
const fn draw(state: &mut u64) -> u32 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let a = *state;
    let a = (a ^ (a >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let a = (a ^ (a >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((a ^ (a >> 31)) >> 32) as u32
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
mod tests;

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
mod families;

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
mod properties;
