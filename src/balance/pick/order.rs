//! `leastconn` and `first`: servers in an order that their load moves them in.
//!
//! `leastconn` takes who has the fewest sessions, waiting ones among them, for its weight. As in
//! HAProxy, found by observing it, the load is the one that the server would have: one session
//! more, parted by the weight, in whole 256ths; an idle server comes before all others whatever
//! its weight. Among equals comes first who came to that load, or back into service, first.
//!
//! `first` takes the server of the smallest number that has room. One that was found full is left
//! out until its own count moves, so that the full ones at the front are not asked at each pick;
//! one whose limit moves with its backend's load is asked each time.

use super::heap::Heap;
use super::{Picked, Side};

/// What the order goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// `leastconn`.
    Load,
    /// `first`.
    Number,
}

#[derive(Clone, Debug)]
struct Member {
    /// In sixteenths; 0 is out of the order.
    weight: u32,
    load: u32,
    number: u32,
    limit_moves: bool,
}

/// The order of a group's servers.
#[derive(Clone, Debug)]
pub(super) struct Order {
    by: By,
    members: Vec<Member>,
    heaps: [Heap<(u64, u64)>; 2],
    /// Who came later among equals.
    came: u64,
    /// Members taken out while a pick passes them over, with their keys.
    passed: Vec<(u32, (u64, u64))>,
}

impl Order {
    pub(super) fn with_capacity(by: By, count: usize) -> Self {
        Self {
            by,
            members: Vec::with_capacity(count),
            heaps: [Heap::with_capacity(count), Heap::with_capacity(count)],
            came: 0,
            passed: Vec::with_capacity(count),
        }
    }

    /// One more server, without weight.
    pub(super) fn grow(&mut self, number: u32, limit_moves: bool) {
        self.members.push(Member {
            weight: 0,
            load: 0,
            number,
            limit_moves,
        });
        for heap in &mut self.heaps {
            heap.grow();
        }
    }

    /// A server without weight goes, and those behind it move up by one place.
    pub(super) fn shrink(&mut self, index: u32) {
        if (index as usize) < self.members.len() {
            self.members.remove(index as usize);
        }
        for heap in &mut self.heaps {
            heap.shrink(index);
        }
    }

    /// A server has another weight.
    pub(super) fn set_weight(&mut self, side: Side, index: u32, weight: u32) {
        if let Some(member) = self.members.get_mut(index as usize) {
            member.weight = weight;
        }
        self.place(side, index);
    }

    /// A server has so many sessions now, or takes another number of them.
    pub(super) fn set_load(&mut self, side: Side, index: u32, load: u32) {
        if let Some(member) = self.members.get_mut(index as usize) {
            member.load = load;
        }
        self.place(side, index);
    }

    /// The load that a server is taken to have.
    pub(super) fn load(&self, index: u32) -> u32 {
        self.members
            .get(index as usize)
            .map_or(0, |member| member.load)
    }

    /// Puts a server where it belongs, behind its equals.
    fn place(&mut self, side: Side, index: u32) {
        let Some(member) = self.members.get(index as usize) else {
            return;
        };
        let key = match self.by {
            By::Number => u64::from(member.number),
            By::Load if member.load == 0 => 0,
            By::Load => u64::from(member.load)
                .saturating_add(1)
                .saturating_mul(256 * 16)
                .checked_div(u64::from(member.weight))
                .unwrap_or(0),
        };
        let heap = side.of_mut(&mut self.heaps);
        if member.weight == 0 {
            heap.remove(index);
            return;
        }
        self.came = self.came.wrapping_add(1);
        heap.put(index, (key, self.came));
    }

    pub(super) fn pick(
        &mut self,
        side: Side,
        avoid: Option<u32>,
        mut full: impl FnMut(u32) -> bool,
    ) -> Picked {
        debug_assert!(self.passed.is_empty());
        let heap = side.of_mut(&mut self.heaps);
        let mut chosen = None;
        let mut spare = None;
        while let Some((key, index)) = heap.first() {
            let is_full = full(index);
            if !is_full && avoid != Some(index) {
                chosen = Some(index);
                break;
            }
            heap.remove(index);
            let member = self.members.get(index as usize);
            let sleeps = is_full
                && self.by == By::Number
                && member.is_some_and(|member| !member.limit_moves);
            if !sleeps {
                self.passed.push((index, key));
            }
            if !is_full {
                spare = Some(index);
            }
        }
        for (index, key) in self.passed.drain(..) {
            heap.put(index, key);
        }
        chosen.or(spare).map_or(Picked::AllFull, Picked::Server)
    }
}
