//! `hash-type consistent` and `random`: servers at many places of a ring, and the nearest one.
//!
//! The places are HAProxy's, found by observing it: a server with number `n` and effective weight
//! `w` (in sixteenths) stands at `avalanche(n * 4096 + i)` for each `i` below `w`. A key leads to
//! the server of the nearest place, on either side. So whoever leaves takes only its own keys
//! along, and a server that has the same number has the same keys in every process.
//!
//! Requests without a key walk around the ring from place to place.
//!
//! With `hash-balance-factor` there are so many slots as the factor says for the load that there
//! will be, dealt out by weight in the order of the file so that none is lost to rounding, but at
//! least one to each. A key whose server has no slot left goes on to the next place.
//!
//! The places lie sorted in one list, in which a look-up halves its way. Changes are noted and
//! carried out by the next pick, all in one pass.

use crate::base::hash::avalanche;

use super::Picked;

/// How many places a number has: more than any weight needs.
const PLACES: u32 = 256 * 16;

#[derive(Clone, Debug, Default)]
struct Member {
    number: u32,
    /// In sixteenths, as set.
    weight: u32,
    /// In sixteenths, as it stands in the list.
    placed: u32,
    load: u32,
    /// The weights of those before it.
    before: u64,
}

/// A place of the ring, and whose it is.
type Spot = (u32, u32);

/// The ring of servers of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Ring {
    members: Vec<Member>,
    spots: Vec<Spot>,
    /// Spots on their way into the list, and the list that becomes of both.
    fresh: Vec<Spot>,
    merged: Vec<Spot>,
    is_stale: bool,
    /// Where the walk is.
    last: Option<Spot>,
    total_weight: u64,
    total_load: u64,
    /// `hash-balance-factor`, percent; 0 for none.
    pub(super) factor: u32,
}

impl Ring {
    pub(super) fn with_capacity(count: usize) -> Self {
        Self {
            members: Vec::with_capacity(count),
            ..Self::default()
        }
    }

    /// One more server, without weight.
    pub(super) fn grow(&mut self, number: u32) {
        self.members.push(Member {
            number,
            ..Member::default()
        });
    }

    /// A server without weight goes, and those behind it move up by one place.
    pub(super) fn shrink(&mut self, index: u32) {
        self.renew();
        if (index as usize) >= self.members.len() {
            return;
        }
        let gone = self.members.remove(index as usize);
        self.total_load = self.total_load.saturating_sub(u64::from(gone.load));
        for (_, member) in self.spots.iter_mut().chain(&mut self.last) {
            *member = member.saturating_sub(u32::from(*member > index));
        }
    }

    /// A server has another weight.
    pub(super) fn set_weight(&mut self, index: u32, weight: u32) {
        if let Some(member) = self.members.get_mut(index as usize) {
            self.total_weight = self
                .total_weight
                .saturating_sub(u64::from(member.weight))
                .saturating_add(u64::from(weight));
            member.weight = weight.min(PLACES);
            self.is_stale = true;
        }
    }

    /// A server has so many sessions now.
    pub(super) fn set_load(&mut self, index: u32, load: u32) {
        if let Some(member) = self.members.get_mut(index as usize) {
            self.total_load = self
                .total_load
                .saturating_sub(u64::from(member.load))
                .saturating_add(u64::from(load));
            member.load = load;
        }
    }

    /// The load that a server is taken to have.
    pub(super) fn load(&self, index: u32) -> u32 {
        self.members
            .get(index as usize)
            .map_or(0, |member| member.load)
    }

    /// The server that a key leads to; when that is to be avoided, the next one on the way around
    /// the ring, if there is any.
    pub(super) fn find(&mut self, key: u32, avoid: Option<u32>) -> Option<u32> {
        self.renew();
        let after = self.spots.partition_point(|spot| spot.0 < key);
        let next = self.spots.get(after).or_else(|| self.spots.first())?;
        let before = after.checked_sub(1).and_then(|at| self.spots.get(at));
        let before = before.or_else(|| self.spots.last())?;
        let back = key.wrapping_sub(before.0) < next.0.wrapping_sub(key);
        let at = if back { after.wrapping_sub(1) } else { after };
        let nearest = if back { before.1 } else { next.1 };
        let may_take = |index| self.factor == 0 || self.may_take(index);
        if may_take(nearest) && avoid != Some(nearest) {
            return Some(nearest);
        }
        // Around the ring, beginning at the nearest place: `usize::MAX` is the last one.
        let at = at.min(self.spots.len());
        let ahead = self.spots.get(at..).unwrap_or_default();
        let around = ahead.iter().chain(&self.spots);
        let mut others = around.map(|spot| spot.1);
        let other = others.find(|index| may_take(*index) && avoid != Some(*index));
        other.or(Some(nearest))
    }

    /// The one of `draws` servers, found by chance, that has least to do for its weight. When it
    /// is full or to be avoided, somebody on the way around the ring.
    pub(super) fn draw(
        &mut self,
        draws: u32,
        mut chance: impl FnMut() -> u32,
        avoid: Option<u32>,
        mut full: impl FnMut(u32) -> bool,
    ) -> Picked {
        let mut best = None;
        for _ in 0..draws {
            let Some(other) = self.find(chance(), None) else {
                return Picked::None;
            };
            if best.is_none_or(|best| self.has_less(other, best)) {
                best = Some(other);
            }
        }
        match best.filter(|best| avoid != Some(*best) && !full(*best)) {
            Some(best) => Picked::Server(best),
            None => self.pick(avoid, full),
        }
    }

    /// The next server on the way around the ring.
    pub(super) fn pick(&mut self, avoid: Option<u32>, mut full: impl FnMut(u32) -> bool) -> Picked {
        self.renew();
        let from = match self.last {
            Some(last) => self.spots.partition_point(|spot| *spot <= last),
            None => 0,
        };
        let ahead = self.spots.get(from..).unwrap_or_default();
        let behind = self.spots.get(..from).unwrap_or_default();
        let mut spare = None;
        for spot in ahead.iter().chain(behind) {
            if full(spot.1) {
                continue;
            }
            if avoid != Some(spot.1) {
                self.last = Some(*spot);
                return Picked::Server(spot.1);
            }
            spare = spare.or(Some(*spot));
        }
        self.last = spare.or(self.last);
        spare.map_or(Picked::AllFull, |spot| Picked::Server(spot.1))
    }

    /// Whether a server has fewer sessions for its weight than another.
    fn has_less(&self, one: u32, other: u32) -> bool {
        let of = |index: u32| self.members.get(index as usize);
        let (Some(one), Some(other)) = (of(one), of(other)) else {
            return false;
        };
        let share = |a: &Member, b: &Member| u64::from(a.load).saturating_mul(b.weight.into());
        share(one, other) < share(other, one)
    }

    /// Whether a server may have one session more under `hash-balance-factor`.
    fn may_take(&self, index: u32) -> bool {
        let Some(member) = self.members.get(index as usize) else {
            return false;
        };
        let total = self.total_load.saturating_add(1);
        let slots = total.saturating_mul(self.factor.into()).div_ceil(100);
        // The slots of the first servers, as far as their weights reach.
        let reach = |weight: u64| {
            let slots = weight.saturating_mul(slots);
            slots.checked_div(self.total_weight).unwrap_or(0)
        };
        let behind = member.before.saturating_add(member.weight.into());
        let own = reach(behind).saturating_sub(reach(member.before));
        u64::from(member.load) < own.max(1)
    }

    /// Puts the list right after changes.
    fn renew(&mut self) {
        if !std::mem::take(&mut self.is_stale) {
            return;
        }
        self.fresh.clear();
        for (index, member) in (0..).zip(&mut self.members) {
            if member.weight > member.placed {
                let base = member.number.wrapping_mul(PLACES);
                let places = member.placed..member.weight;
                let spot = |place| (avalanche(base.wrapping_add(place)), index);
                self.fresh.extend(places.map(spot));
            }
        }
        self.fresh.sort_unstable();
        let Self {
            members,
            spots,
            fresh,
            merged,
            ..
        } = self;
        merged.clear();
        let mut fresh = fresh.iter().copied().peekable();
        for spot in spots.iter() {
            while let Some(earlier) = fresh.next_if(|new| new < spot) {
                merged.push(earlier);
            }
            merged.push(*spot);
        }
        merged.extend(fresh);
        // Who has become lighter leaves its last places. They are found by making them again.
        let shrunk = |member: &Member| member.weight < member.placed;
        if members.iter().any(shrunk) {
            let mut gone: Vec<Spot> = Vec::new();
            for (index, member) in (0..).zip(members.iter()).filter(|(_, one)| shrunk(one)) {
                let base = member.number.wrapping_mul(PLACES);
                let places = member.weight..member.placed;
                gone.extend(places.map(|place| (avalanche(base.wrapping_add(place)), index)));
            }
            gone.sort_unstable();
            merged.retain(|spot| gone.binary_search(spot).is_err());
        }
        let mut before = 0_u64;
        for member in members.iter_mut() {
            member.placed = member.weight;
            member.before = before;
            before = before.saturating_add(member.weight.into());
        }
        std::mem::swap(spots, merged);
    }
}
