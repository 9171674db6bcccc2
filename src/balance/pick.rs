//! Which server gets the next session: the single `pick`.
//!
//! A `Group` is the load-balancing view of one backend: an effective weight for each server (0
//! for those that take nothing) and the state of the algorithm. Active servers are used while any
//! has weight; then the first backup, or with `option allbackups` all of them.
//!
//! Round robin follows HAProxy's sequence exactly, found by observing it. Every pick is one step
//! on a line of positions. A server's turn lies one *period* behind its last one, a period being
//! the total weight divided by its own; the fraction is carried, so that over one round everyone
//! gets its exact share. The server with the earliest turn is picked; among equal turns the one
//! with the smallest `carried - weight`. Servers that have not had a turn yet wait, heaviest
//! first, and take a step at which no turn has come. So weights 3, 2, 1 give `abacab`. Every 16
//! rounds a cycle ends: who has a turn behind its end waits for the next one and begins afresh.
//! A server that comes back gets its turn as far ahead as the others' weight says, one whose
//! weight changes a period ahead, so neither gets a burst.
//!
//! A server that is passed over, because it is full or to be avoided, has had its turn, and each
//! one passed over is a step on the line too; among equals the one passed over last comes first.
//! When all of them were passed over the cycle is over.
//!
//! The turns are in a heap that knows where each server stands in it, so a pick costs the
//! logarithm of the number of servers, and nothing allocates after the group is made.
//!
//! It must not know sessions, checks or names; who is full or to be avoided is asked for each
//! pick. Rejected: expanding weights into a table (256 entries for each server, rebuilt at each
//! change) and nginx' form of smooth round robin (a scan of all servers, and another sequence).

/// How servers are chosen (`balance`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// `roundrobin`: in turn, by weight, weights may change at any time.
    #[default]
    RoundRobin,
}

/// What a server is to its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Effective weight, 0 to 256; 0 takes nothing.
    pub weight: u16,
    /// `backup`.
    pub backup: bool,
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

#[derive(Clone, Debug)]
struct Member {
    weight: u32,
    backup: bool,
    /// The next turn; `None` before the first one.
    turn: Option<u64>,
    /// The carried fraction of a position, in parts of `weight`.
    carried: u32,
    /// Who came first among equals.
    order: u64,
}

/// Servers of one kind (active or backup) that take turns.
#[derive(Clone, Debug, Default)]
struct Ring {
    /// Members with weight and a turn: a heap with the earliest turn on top.
    heap: Vec<u32>,
    /// Members with weight that have not had a turn in this cycle, the heaviest last.
    fresh: Vec<u32>,
    /// Members with weight whose turn comes after this cycle.
    waiting: Vec<u32>,
    position: u64,
    cycle_end: u64,
    total_weight: u32,
    count: u32,
    order: u64,
}

/// The servers of one backend, for choosing among them.
#[derive(Clone, Debug)]
pub struct Group {
    algorithm: Algorithm,
    all_backups: bool,
    members: Vec<Member>,
    active: Ring,
    backup: Ring,
    /// Members taken out while a pick passes them over.
    passed: Vec<u32>,
}

/// How many rounds a cycle has.
const CYCLE_ROUNDS: u64 = 16;

impl Group {
    /// A group of servers in the order of the configuration. `all_backups` is
    /// `option allbackups`.
    pub fn new(algorithm: Algorithm, places: &[Place], all_backups: bool) -> Self {
        let ring = |count| Ring {
            heap: Vec::with_capacity(count),
            fresh: Vec::with_capacity(count),
            waiting: Vec::with_capacity(count),
            ..Ring::default()
        };
        let mut group = Self {
            algorithm,
            all_backups,
            members: Vec::with_capacity(places.len()),
            active: ring(places.len()),
            backup: ring(places.len()),
            passed: Vec::with_capacity(places.len()),
        };
        for place in places {
            group.put(*place, true);
        }
        group.active.cycle_end = group.active.cycle_length();
        group.backup.cycle_end = group.backup.cycle_length();
        group
    }

    /// A server comes in behind the others, while the group is at work.
    pub fn add(&mut self, place: Place) {
        self.put(place, false);
    }

    fn put(&mut self, place: Place, at_start: bool) {
        let index = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        self.members.push(Member {
            weight: 0,
            backup: place.backup,
            turn: None,
            carried: 0,
            order: 0,
        });
        let ring = if place.backup {
            &mut self.backup
        } else {
            &mut self.active
        };
        let weight = u32::from(place.weight);
        ring.set_weight(&mut self.members, index, weight, at_start);
    }

    /// A server goes, and those behind it move up by one place.
    pub fn remove(&mut self, index: u32) {
        self.set_weight(index, 0);
        if (index as usize) < self.members.len() {
            self.members.remove(index as usize);
        }
        for ring in [&mut self.active, &mut self.backup] {
            for list in [&mut ring.heap, &mut ring.fresh, &mut ring.waiting] {
                for place in list.iter_mut().filter(|place| **place > index) {
                    *place = place.saturating_sub(1);
                }
            }
        }
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Active servers with weight.
    pub const fn active(&self) -> u32 {
        self.active.count
    }

    /// Backup servers with weight.
    pub const fn backup(&self) -> u32 {
        self.backup.count
    }

    /// True when no server has any weight.
    pub const fn is_empty(&self) -> bool {
        self.active.count == 0 && self.backup.count == 0
    }

    /// The total weight of those that serve now: the active ones, or the backups that stand in.
    pub fn total_weight(&self) -> u32 {
        match (self.active.count, self.all_backups) {
            (0, true) => self.backup.total_weight,
            (0, false) => self
                .first_backup(None)
                .map_or(0, |index| self.weight(index)),
            _ => self.active.total_weight,
        }
    }

    /// A server's effective weight.
    pub fn weight(&self, index: u32) -> u32 {
        self.members
            .get(index as usize)
            .map_or(0, |member| member.weight)
    }

    /// Sets a server's effective weight, 0 to 256: 0 takes it out (down, drained, in
    /// maintenance).
    pub fn set_weight(&mut self, index: u32, weight: u16) {
        let Some(member) = self.members.get(index as usize) else {
            return;
        };
        let ring = if member.backup {
            &mut self.backup
        } else {
            &mut self.active
        };
        ring.set_weight(&mut self.members, index, u32::from(weight), false);
    }

    /// Chooses a server for a session. `avoid` is taken only when no other is left (redispatch);
    /// a server for which `full` is true is passed over.
    pub fn pick(&mut self, avoid: Option<u32>, mut full: impl FnMut(u32) -> bool) -> Picked {
        if self.is_empty() {
            return Picked::None;
        }
        if self.active.count == 0 && !self.all_backups {
            return match self.first_backup(avoid).or_else(|| self.first_backup(None)) {
                Some(index) if full(index) => Picked::AllFull,
                Some(index) => Picked::Server(index),
                None => Picked::None,
            };
        }
        match self.algorithm {
            Algorithm::RoundRobin => self.pick_in_turn(avoid, full),
        }
    }

    /// True when sessions may come to this server: it has weight, and is active or stands in.
    pub fn serves(&self, index: u32) -> bool {
        let member = self.members.get(index as usize);
        member.is_some_and(|member| {
            let stands_in = self.active.count == 0
                && (self.all_backups || self.first_backup(None) == Some(index));
            member.weight > 0 && (!member.backup || stands_in)
        })
    }

    /// The first backup with weight that is not `avoid`.
    fn first_backup(&self, avoid: Option<u32>) -> Option<u32> {
        let usable = |(index, member): &(u32, &Member)| {
            member.backup && member.weight > 0 && Some(*index) != avoid
        };
        (0..)
            .zip(&self.members)
            .find(usable)
            .map(|(index, _)| index)
    }

    fn pick_in_turn(&mut self, avoid: Option<u32>, mut full: impl FnMut(u32) -> bool) -> Picked {
        let ring = if self.active.count > 0 {
            &mut self.active
        } else {
            &mut self.backup
        };
        let mut chosen = None;
        let mut spare = None;
        let mut renewed = None;
        debug_assert!(self.passed.is_empty());
        ring.begin_cycle_if_due(&mut self.members);
        loop {
            let Some(index) = ring.take_next(&self.members) else {
                if renewed.is_some() {
                    break;
                }
                // Those who wait for the next cycle are better than nobody.
                renewed = Some(self.passed.len());
                ring.begin_cycle_if_due(&mut self.members);
                continue;
            };
            // Whoever is passed over has had its turn all the same: it gets no burst afterwards.
            ring.use_turn(member_mut(&mut self.members, index));
            self.passed.push(index);
            if full(index) {
                continue;
            }
            if avoid != Some(index) {
                chosen = Some(index);
                break;
            }
            spare = Some(index);
        }
        chosen = chosen.or(spare);
        let anew = renewed.unwrap_or_default();
        for (at, index) in self.passed.drain(..).enumerate().rev() {
            let member = member_mut(&mut self.members, index);
            if at < anew {
                member.turn = None;
                member.carried = 0;
            }
            member.order = ring.next_order();
            ring.enter(&self.members, index);
        }
        chosen.map_or(Picked::AllFull, Picked::Server)
    }
}

impl Ring {
    fn cycle_length(&self) -> u64 {
        CYCLE_ROUNDS.saturating_mul(u64::from(self.total_weight))
    }

    /// A number behind all that were given: who came later among equals.
    const fn next_order(&mut self) -> u64 {
        self.order = self.order.wrapping_add(1);
        self.order
    }

    #[expect(
        clippy::arithmetic_side_effects,
        reason = "a member's weight is part of the total and not 0 below; positions are steps of 64 bits"
    )]
    fn set_weight(&mut self, members: &mut [Member], index: u32, weight: u32, at_start: bool) {
        let before = member(members, index).weight;
        if before == weight {
            return;
        }
        if before > 0 {
            self.leave(members, index);
        }
        self.total_weight = self.total_weight - before + weight;
        self.count = self.count + u32::from(before == 0) - u32::from(weight == 0);
        let member = member_mut(members, index);
        member.weight = weight;
        if weight == 0 {
            return;
        }
        member.order = self.next_order();
        if at_start {
            member.turn = None;
        } else if before == 0 {
            let others = self.total_weight - weight;
            member.turn = Some(self.position + u64::from(others.div_ceil(weight)));
            // What was carried before stays, even where it is more than the new weight: it is
            // worked off turn by turn, in HAProxy too.
        } else if member.turn.is_some() {
            member.turn = Some(self.position + u64::from(self.total_weight / weight));
            member.carried = 0;
        }
        self.enter(members, index);
    }

    /// Begins the next cycle when this one is over, or has nobody left: those who waited for it
    /// are as if they had never had a turn.
    fn begin_cycle_if_due(&mut self, members: &mut [Member]) {
        let is_empty = self.heap.is_empty() && self.fresh.is_empty();
        if self.position < self.cycle_end && !is_empty {
            return;
        }
        self.position = self.position.max(self.cycle_end);
        self.cycle_end = self.position.saturating_add(self.cycle_length());
        while let Some(index) = self.waiting.pop() {
            let member = member_mut(members, index);
            member.turn = None;
            member.carried = 0;
            self.enter(members, index);
        }
    }

    /// Takes out the member whose turn it is: the earliest when its turn has come, else the
    /// heaviest of those without one, else the earliest.
    fn take_next(&mut self, members: &[Member]) -> Option<u32> {
        let first = self.heap.first().copied();
        let due = first.is_some_and(|index| member(members, index).turn <= Some(self.position));
        if !due && let Some(index) = self.fresh.pop() {
            return Some(index);
        }
        first.inspect(|_| self.remove_at(members, 0))
    }

    /// Moves a member that was taken out on to its next turn, and the line one step on.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "who has a turn has weight; less than two of the greatest weights are carried"
    )]
    fn use_turn(&mut self, member: &mut Member) {
        let total = self.total_weight;
        let from = member.turn.unwrap_or(self.position);
        member.carried += total % member.weight;
        let whole = member.carried >= member.weight;
        if whole {
            member.carried -= member.weight;
        }
        member.turn = Some(from + u64::from(total / member.weight) + u64::from(whole));
        self.position += 1;
    }

    /// Puts a member with weight in.
    fn enter(&mut self, members: &[Member], index: u32) {
        let entering = member(members, index);
        if entering.turn >= Some(self.cycle_end) {
            self.waiting.push(index);
            return;
        }
        if entering.turn.is_none() {
            let heavier = |other: &u32| {
                let other = member(members, *other);
                (other.weight, entering.order) < (entering.weight, other.order)
            };
            let at = self.fresh.partition_point(heavier);
            self.fresh.insert(at, index);
            return;
        }
        let at = self.heap.len();
        self.heap.push(index);
        self.rise(members, at);
    }

    /// Takes a member out, wherever it is: only changes of weight do this, so a scan will do.
    fn leave(&mut self, members: &[Member], index: u32) {
        if let Some(at) = self.heap.iter().position(|other| *other == index) {
            self.remove_at(members, at);
        } else {
            self.fresh.retain(|other| *other != index);
            self.waiting.retain(|other| *other != index);
        }
    }

    fn remove_at(&mut self, members: &[Member], at: usize) {
        let Some(last) = self.heap.pop() else { return };
        // The last one takes the empty place, unless that was its own, and moves to where it
        // belongs.
        if let Some(place) = self.heap.get_mut(at) {
            *place = last;
            let at = self.rise(members, at);
            self.sink(members, at);
        }
    }

    /// Moves the one at a place of the heap up to where it belongs, and says where that is.
    #[expect(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "the place is in the heap, and so is what lies above it"
    )]
    fn rise(&mut self, members: &[Member], mut at: usize) -> usize {
        while at > 0 {
            let above = (at - 1) / 2;
            if key(members, self.heap[above]) <= key(members, self.heap[at]) {
                break;
            }
            self.heap.swap(at, above);
            at = above;
        }
        at
    }

    /// Moves the one at a place of the heap down to where it belongs.
    #[expect(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "the place is in the heap, and what lies below it ends with the heap"
    )]
    fn sink(&mut self, members: &[Member], mut at: usize) {
        loop {
            let below = (2 * at + 1)..(2 * at + 3).min(self.heap.len());
            let Some(first) = below.min_by_key(|at| key(members, self.heap[*at])) else {
                break;
            };
            if key(members, self.heap[at]) <= key(members, self.heap[first]) {
                break;
            }
            self.heap.swap(at, first);
            at = first;
        }
    }
}

/// The member of a ring's list.
#[expect(
    clippy::indexing_slicing,
    reason = "lists hold places in the group, which nobody leaves"
)]
fn member(members: &[Member], index: u32) -> &Member {
    &members[index as usize]
}

/// The same, to change it.
#[expect(clippy::indexing_slicing, reason = "as for `member`")]
fn member_mut(members: &mut [Member], index: u32) -> &mut Member {
    &mut members[index as usize]
}

/// What orders the turns: the earliest first, then the one owed most, then who came first.
fn key(members: &[Member], index: u32) -> (Option<u64>, i64, u64) {
    let member = member(members, index);
    let owed = i64::from(member.carried).saturating_sub(i64::from(member.weight));
    (member.turn, owed, member.order)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
mod tests;
