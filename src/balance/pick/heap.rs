//! A heap of members that knows where each of them stands in it.
//!
//! So a member leaves from the middle, or changes its key, in the logarithm of their number.
//! A member is named by its place in the group; keys are unique where their order matters.

/// Not in the heap.
const NOWHERE: u32 = u32::MAX;

/// Members by key, the smallest on top.
#[derive(Clone, Debug)]
pub(super) struct Heap<K> {
    /// What a heap is: the key of an entry is not more than those below it.
    entries: Vec<(K, u32)>,
    /// Where each member stands in `entries`.
    at: Vec<u32>,
}

impl<K: Copy + Ord> Heap<K> {
    /// An empty heap with room for so many members.
    pub(super) fn with_capacity(count: usize) -> Self {
        Self {
            entries: Vec::with_capacity(count),
            at: Vec::with_capacity(count),
        }
    }

    /// There may be one more member, with the next place of the group.
    pub(super) fn grow(&mut self) {
        self.at.push(NOWHERE);
    }

    /// A member of the group is gone, and those behind it have moved up by one place.
    pub(super) fn shrink(&mut self, member: u32) {
        self.remove(member);
        if (member as usize) < self.at.len() {
            self.at.remove(member as usize);
        }
        for (_, other) in &mut self.entries {
            *other = other.saturating_sub(u32::from(*other > member));
        }
    }

    /// True when nobody is in it.
    pub(super) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The one with the smallest key.
    pub(super) fn first(&self) -> Option<(K, u32)> {
        self.entries.first().copied()
    }

    /// Puts a member in, or gives it another key.
    pub(super) fn put(&mut self, member: u32, key: K) {
        let Some(at) = self.at.get(member as usize).copied() else {
            return;
        };
        let at = match self.entries.get_mut(at as usize) {
            Some(entry) => {
                entry.0 = key;
                at as usize
            }
            None => {
                self.entries.push((key, member));
                self.entries.len().saturating_sub(1)
            }
        };
        let at = self.rise(at);
        self.sink(at);
    }

    /// Takes a member out; false when it was not in.
    pub(super) fn remove(&mut self, member: u32) -> bool {
        let Some(at) = self.at.get_mut(member as usize) else {
            return false;
        };
        let at = std::mem::replace(at, NOWHERE) as usize;
        if at >= self.entries.len() {
            return false;
        }
        self.entries.swap_remove(at);
        // The last one stands there now, unless that was its own place.
        if at < self.entries.len() {
            let at = self.rise(at);
            self.sink(at);
        }
        true
    }

    /// Moves an entry up to where it belongs, and says where that is.
    #[expect(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "the place is in the heap, and so is what lies above it"
    )]
    fn rise(&mut self, mut at: usize) -> usize {
        while at > 0 {
            let above = (at - 1) / 2;
            if self.entries[above].0 <= self.entries[at].0 {
                break;
            }
            self.entries.swap(at, above);
            self.note(at);
            at = above;
        }
        self.note(at);
        at
    }

    /// Moves an entry down to where it belongs.
    #[expect(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "the place is in the heap, and what lies below it ends with the heap"
    )]
    fn sink(&mut self, mut at: usize) {
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            if left >= self.entries.len() {
                break;
            }
            let right_is_first =
                right < self.entries.len() && self.entries[right].0 < self.entries[left].0;
            let first = if right_is_first { right } else { left };
            if self.entries[at].0 <= self.entries[first].0 {
                break;
            }
            self.entries.swap(at, first);
            self.note(at);
            at = first;
        }
        self.note(at);
    }

    /// Notes who stands at a place.
    fn note(&mut self, at: usize) {
        let Some((_, member)) = self.entries.get(at) else {
            return;
        };
        if let Some(place) = self.at.get_mut(*member as usize) {
            // No more entries than members, of which there are less than 2^32.
            *place = at as u32;
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Whatever comes, goes and changes: the first one has the smallest key.
    #[test]
    fn the_smallest_is_first() {
        let mut seed = 1_u32;
        let mut next = |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) % below
        };
        let mut heap = Heap::with_capacity(50);
        let mut model: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
        for _ in 0..50 {
            heap.grow();
        }
        for step in 0..20_000 {
            let member = next(50);
            match next(10) {
                0..5 => {
                    let key = (next(20), step);
                    heap.put(member, key);
                    model.insert(member, key);
                }
                5..9 => {
                    let was_in = model.remove(&member).is_some();
                    assert_eq!(heap.remove(member), was_in);
                }
                _ => {
                    heap.shrink(member);
                    heap.grow();
                    let moved = model.into_iter().filter(|(other, _)| *other != member);
                    let up = |(other, key)| (other - u32::from(other > member), key);
                    model = moved.map(up).collect();
                }
            }
            let first = model.iter().map(|(member, key)| (*key, *member)).min();
            assert_eq!(heap.first(), first);
            assert_eq!(heap.is_empty(), model.is_empty());
            for (at, entry) in heap.entries.iter().enumerate() {
                assert_eq!(heap.at[entry.1 as usize] as usize, at);
            }
        }
    }
}
