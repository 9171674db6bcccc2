//! `roundrobin`: servers in turn, by weights that may change at any time.
//!
//! The sequence is HAProxy's, found by observing it. Every pick is one step
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
//! Rejected: expanding weights into a table (256 entries for each server, rebuilt at each change)
//! and nginx' form of smooth round robin (a scan of all servers, and another sequence).

use super::heap::Heap;
use super::{Picked, Side};

/// A server's turns.
#[derive(Clone, Debug, Default)]
struct Member {
    weight: u32,
    /// The next turn; `None` before the first one.
    turn: Option<u64>,
    /// The carried fraction of a position, in parts of `weight`.
    carried: u32,
    /// Who came first among equals.
    order: u64,
}

impl Member {
    fn key(&self, turn: u64) -> Key {
        let owed = i64::from(self.carried).saturating_sub(i64::from(self.weight));
        (turn, owed, self.order)
    }
}

/// What orders the turns: the earliest first, then the one owed most, then who came first.
type Key = (u64, i64, u64);

/// Servers of one kind (active or backup) that take turns.
#[derive(Clone, Debug)]
struct Ring {
    /// Members with weight and a turn.
    heap: Heap<Key>,
    /// Members with weight that have not had a turn in this cycle, the heaviest last.
    fresh: Vec<u32>,
    /// Members with weight whose turn comes after this cycle.
    waiting: Vec<u32>,
    position: u64,
    cycle_end: u64,
    total_weight: u32,
    order: u64,
}

/// The turns of a group's servers.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    members: Vec<Member>,
    rings: [Ring; 2],
    /// Members taken out while a pick passes them over.
    passed: Vec<u32>,
}

impl Turns {
    pub(super) fn with_capacity(count: usize) -> Self {
        let ring = || Ring {
            heap: Heap::with_capacity(count),
            fresh: Vec::with_capacity(count),
            waiting: Vec::with_capacity(count),
            position: 0,
            cycle_end: 0,
            total_weight: 0,
            order: 0,
        };
        Self {
            members: Vec::with_capacity(count),
            rings: [ring(), ring()],
            passed: Vec::with_capacity(count),
        }
    }

    /// One more server, without weight.
    pub(super) fn grow(&mut self) {
        self.members.push(Member::default());
        for ring in &mut self.rings {
            ring.heap.grow();
        }
    }

    /// A server without weight goes, and those behind it move up by one place.
    pub(super) fn shrink(&mut self, index: u32) {
        if (index as usize) < self.members.len() {
            self.members.remove(index as usize);
        }
        for ring in &mut self.rings {
            ring.heap.shrink(index);
            for place in ring.fresh.iter_mut().chain(&mut ring.waiting) {
                *place = place.saturating_sub(u32::from(*place > index));
            }
        }
    }

    /// A server has another weight. `at_start`: the group is only being made.
    pub(super) fn set_weight(&mut self, side: Side, index: u32, weight: u32, at_start: bool) {
        let Self { members, rings, .. } = self;
        side.of_mut(rings)
            .set_weight(members, index, weight, at_start);
    }

    /// The group is made.
    pub(super) fn start(&mut self) {
        for ring in &mut self.rings {
            ring.cycle_end = ring.cycle_length();
        }
    }

    pub(super) fn pick(
        &mut self,
        side: Side,
        avoid: Option<u32>,
        mut full: impl FnMut(u32) -> bool,
    ) -> Picked {
        let Self {
            members,
            rings,
            passed,
        } = self;
        let ring = side.of_mut(rings);
        debug_assert!(passed.is_empty());
        ring.begin_cycle_if_due(members);
        if let Some(index) = ring.next().filter(|index| avoid != Some(*index))
            && !full(index)
        {
            // Nobody is passed over: its turn moves on where it stands.
            let member = member_mut(members, index);
            ring.use_turn(member);
            member.order = ring.next_order();
            ring.move_on(members, index);
            return Picked::Server(index);
        }
        let mut chosen = None;
        let mut spare = None;
        let mut renewed = None;
        loop {
            let Some(index) = ring.take_next() else {
                if renewed.is_some() {
                    break;
                }
                // Those who wait for the next cycle are better than nobody.
                renewed = Some(passed.len());
                ring.begin_cycle_if_due(members);
                continue;
            };
            // Whoever is passed over has had its turn all the same: it gets no burst afterwards.
            ring.use_turn(member_mut(members, index));
            passed.push(index);
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
        for (at, index) in passed.drain(..).enumerate().rev() {
            let member = member_mut(members, index);
            if at < anew {
                member.turn = None;
                member.carried = 0;
            }
            member.order = ring.next_order();
            ring.enter(members, index);
        }
        chosen.map_or(Picked::AllFull, Picked::Server)
    }
}

impl Ring {
    fn cycle_length(&self) -> u64 {
        // Weights come in sixteenths: that is sixteen rounds.
        u64::from(self.total_weight)
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
            self.leave(index);
        }
        self.total_weight = self.total_weight - before + weight;
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
    fn take_next(&mut self) -> Option<u32> {
        match self.next() {
            Some(index) => {
                self.heap.remove(index);
                Some(index)
            }
            None => self.fresh.pop(),
        }
    }

    /// Whose turn it is, if it is nobody's first one.
    fn next(&self) -> Option<u32> {
        let ((turn, ..), index) = self.heap.first()?;
        (turn <= self.position || self.fresh.is_empty()).then_some(index)
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
        let Some(turn) = entering.turn else {
            let heavier = |other: &u32| {
                let other = member(members, *other);
                (other.weight, entering.order) < (entering.weight, other.order)
            };
            let at = self.fresh.partition_point(heavier);
            self.fresh.insert(at, index);
            return;
        };
        if turn >= self.cycle_end {
            self.waiting.push(index);
            return;
        }
        self.heap.put(index, entering.key(turn));
    }

    /// A member that is in the heap has another turn now.
    fn move_on(&mut self, members: &[Member], index: u32) {
        let moving = member(members, index);
        match moving.turn.filter(|turn| *turn < self.cycle_end) {
            Some(turn) => self.heap.put(index, moving.key(turn)),
            None => {
                self.heap.remove(index);
                self.waiting.push(index);
            }
        }
    }

    /// Takes a member out, wherever it is: only changes of weight do this, so a scan will do.
    fn leave(&mut self, index: u32) {
        if !self.heap.remove(index) {
            self.fresh.retain(|other| *other != index);
            self.waiting.retain(|other| *other != index);
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
