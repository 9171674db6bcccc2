//! The timer wheel: one node for each record, for life, and the earliest wake promised to it.
//!
//! Six levels of 64 slots; a slot of level n spans 64^n milliseconds, so the wheel reaches over
//! two years and what lies beyond waits in the last level. A bit map for each level finds the
//! next slot in use without a walk. Lists are doubly linked by index through one vector.
//!
//! The wheel is lazy: a deadline is a field of its record, and activity only stores a number. The
//! wheel holds a *promise*, a time no later than the true deadline. Promising something later
//! than what is armed does nothing; when the armed time comes, the node fires, is unarmed, and
//! its owner either acts or promises again. So a busy session touches the wheel once a timeout.
//!
//! It knows handles, not connections; it reads no clock; after the table has grown to the number
//! of records it allocates nothing. It must never fire a node before its armed time, and `next`
//! must never be later than any armed time (it may be earlier: slots of upper levels are then
//! handed down to lower ones).
//!
//! Rejected: a binary heap (moves on every activity, or tombstones) and a wheel of connections
//! with eager re-linking (twice the work for each request, for no benefit).

use crate::base::arena::Handle;

const LEVELS: usize = 6;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// What the wheel spans: 2^36 milliseconds.
const SPAN_MS: u64 = 1 << (SLOT_BITS * LEVELS as u32);
const NONE: u32 = u32::MAX;
const UNARMED: u64 = u64::MAX;
/// `Node::list` of a node that is in no list.
const NO_LIST: u16 = u16::MAX;

/// A node of the wheel, owned by one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerId(u32);

#[derive(Clone, Debug)]
struct Node {
    /// Armed time in ms, or `UNARMED`.
    at_ms: u64,
    handle: Handle,
    prev: u32,
    next: u32,
    /// Level * 64 + slot, or `NO_LIST`.
    list: u16,
    live: bool,
}

/// Timers in milliseconds of the monotonic clock.
#[derive(Clone, Debug)]
pub struct Wheel {
    nodes: Vec<Node>,
    /// First unused node, linked through `next`.
    free: u32,
    /// First node of each list.
    heads: [u32; LEVELS * SLOTS],
    occupied: [u64; LEVELS],
    /// All armed times before this have fired.
    elapsed_ms: u64,
    /// Nothing is due before: neither a timer nor a slot to be handed down.
    quiet_until_ms: u64,
    len: usize,
    armed: usize,
}

impl Wheel {
    /// An empty wheel whose time is `now_ms`.
    pub const fn new(now_ms: u64) -> Self {
        Self {
            nodes: Vec::new(),
            free: NONE,
            heads: [NONE; LEVELS * SLOTS],
            occupied: [0; LEVELS],
            elapsed_ms: now_ms,
            quiet_until_ms: u64::MAX,
            len: 0,
            armed: 0,
        }
    }

    /// A node for a new record, unarmed. `handle` is what firing yields.
    pub fn add(&mut self, handle: Handle) -> TimerId {
        let fresh = Node {
            at_ms: UNARMED,
            handle,
            prev: NONE,
            next: NONE,
            list: NO_LIST,
            live: true,
        };
        self.len = self.len.saturating_add(1);
        if self.free == NONE {
            let index = self.nodes.len() as u32;
            self.nodes.push(fresh);
            return TimerId(index);
        }
        let index = self.free;
        let node = self.node_mut(index);
        let following = node.next;
        *node = fresh;
        self.free = following;
        TimerId(index)
    }

    /// Ends a node with its record. It will not fire again.
    pub fn remove(&mut self, timer: TimerId) {
        debug_assert!(self.node(timer.0).live, "a timer is removed once");
        self.disarm(timer);
        let free = self.free;
        let node = self.node_mut(timer.0);
        node.live = false;
        node.next = free;
        self.free = timer.0;
        self.len = self.len.saturating_sub(1);
    }

    /// Makes sure that the node fires no later than `at_ms`. Does nothing when it is armed for
    /// that time or an earlier one; a time already past fires at the next `advance`.
    #[inline]
    pub fn promise(&mut self, timer: TimerId, at_ms: u64) {
        let node = self.node(timer.0);
        debug_assert!(node.live);
        if node.at_ms <= at_ms {
            return;
        }
        self.unlink(timer.0);
        self.node_mut(timer.0).at_ms = at_ms;
        self.link(timer.0);
    }

    /// Takes a promise back; nothing fires until the next one.
    pub fn disarm(&mut self, timer: TimerId) {
        self.unlink(timer.0);
        self.node_mut(timer.0).at_ms = UNARMED;
    }

    /// The time the node is armed for, in ms.
    pub fn armed_at(&self, timer: TimerId) -> Option<u64> {
        match self.node(timer.0).at_ms {
            UNARMED => None,
            at_ms => Some(at_ms),
        }
    }

    /// When to call `advance` next, in ms: never later than any armed time, `None` when nothing
    /// is armed.
    pub fn next(&self) -> Option<u64> {
        self.next_slot().map(|(_, at_ms)| at_ms)
    }

    /// Moves the time on to `now_ms` and appends the handle of each node whose armed time has
    /// come. Those nodes are unarmed; their owners promise again.
    #[inline]
    pub fn advance(&mut self, now_ms: u64, fired: &mut Vec<Handle>) {
        if now_ms >= self.quiet_until_ms {
            self.fire(now_ms, fired);
        }
        self.elapsed_ms = self.elapsed_ms.max(now_ms);
    }

    fn fire(&mut self, now_ms: u64, fired: &mut Vec<Handle>) {
        self.quiet_until_ms = u64::MAX;
        while let Some((list, at_ms)) = self.next_slot() {
            if at_ms > now_ms {
                self.quiet_until_ms = at_ms;
                break;
            }
            self.elapsed_ms = self.elapsed_ms.max(at_ms);
            let mut index = std::mem::replace(self.head_mut(list), NONE);
            self.mark_empty(list);
            while index != NONE {
                self.armed = self.armed.saturating_sub(1);
                let node = self.node_mut(index);
                let following = node.next;
                node.list = NO_LIST;
                if node.at_ms <= now_ms {
                    node.at_ms = UNARMED;
                    fired.push(node.handle);
                } else {
                    self.link(index);
                }
                index = following;
            }
        }
    }

    /// How many nodes there are, armed or not.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True without any node.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many nodes are armed.
    pub const fn armed(&self) -> usize {
        self.armed
    }

    /// The list that comes due first, and the start of the time it covers.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "levels are below 6 and slots below 64; a time is below 2^64 less the wheel's span"
    )]
    fn next_slot(&self) -> Option<(usize, u64)> {
        // All of a lower level comes before any of an upper one, because an upper slot in use
        // lies behind the one that the present is in (the last level apart, where it may be a
        // full turn away).
        let in_use = |(_, map): &(usize, &u64)| **map != 0;
        let (level, map) = self.occupied.iter().enumerate().find(in_use)?;
        let shift = SLOT_BITS * level as u32;
        let present = (self.elapsed_ms >> shift) as u32 % SLOTS as u32;
        let ahead = map.rotate_right(present);
        let turn_ms = (SLOTS as u64) << shift;
        let turn_start = self.elapsed_ms & !(turn_ms - 1);
        if level == 0 {
            let slot = (present + ahead.trailing_zeros()) % SLOTS as u32;
            return Some((slot as usize, turn_start + u64::from(slot)));
        }
        // The present's own slot means a full turn from now.
        let ahead = if ahead == 1 {
            SLOTS as u32
        } else {
            (ahead & !1).trailing_zeros()
        };
        let slot = (present + ahead) as usize % SLOTS;
        let start = turn_start + (u64::from(present + ahead) << shift);
        Some((level * SLOTS + slot, start))
    }

    /// A node: ids come from `add` and links from nodes, and no node is ever taken away.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the table never shrinks")]
    fn node(&self, index: u32) -> &Node {
        &self.nodes[index as usize]
    }

    /// The same, to be changed.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the table never shrinks")]
    fn node_mut(&mut self, index: u32) -> &mut Node {
        &mut self.nodes[index as usize]
    }

    /// The first node of a list.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "a list is a slot of a level")]
    fn head_mut(&mut self, list: usize) -> &mut u32 {
        &mut self.heads[list]
    }

    /// Strikes a list off its level's map.
    fn mark_empty(&mut self, list: usize) {
        *self.map_mut(list / SLOTS) &= !(1 << (list % SLOTS));
    }

    /// Which slots of a level are in use.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "a level is below 6")]
    fn map_mut(&mut self, level: usize) -> &mut u64 {
        &mut self.occupied[level]
    }

    /// Puts an armed node in the list of its time.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "a level is below 6 and a slot below 64"
    )]
    fn link(&mut self, index: u32) {
        let node = self.node(index);
        debug_assert!(node.list == NO_LIST && node.at_ms != UNARMED);
        let at_ms = node
            .at_ms
            .clamp(self.elapsed_ms, self.elapsed_ms.saturating_add(SPAN_MS - 1));
        // The highest bit in which the time differs from the present says which level tells
        // them apart.
        let apart = (at_ms ^ self.elapsed_ms).max(1).ilog2();
        let level = ((apart / SLOT_BITS) as usize).min(LEVELS - 1);
        let shift = SLOT_BITS * level as u32;
        let slot = (at_ms >> shift) as usize % SLOTS;
        self.quiet_until_ms = self.quiet_until_ms.min(at_ms >> shift << shift);
        let list = level * SLOTS + slot;
        let head = std::mem::replace(self.head_mut(list), index);
        if head != NONE {
            self.node_mut(head).prev = index;
        }
        let node = self.node_mut(index);
        node.prev = NONE;
        node.next = head;
        node.list = list as u16;
        *self.map_mut(level) |= 1 << slot;
        self.armed = self.armed.saturating_add(1);
    }

    /// Takes a node out of its list, if it is in one.
    fn unlink(&mut self, index: u32) {
        let Node {
            prev, next, list, ..
        } = *self.node(index);
        if list == NO_LIST {
            return;
        }
        let list = list as usize;
        if prev == NONE {
            *self.head_mut(list) = next;
            if next == NONE {
                self.mark_empty(list);
            }
        } else {
            self.node_mut(prev).next = next;
        }
        if next != NONE {
            self.node_mut(next).prev = prev;
        }
        self.node_mut(index).list = NO_LIST;
        self.armed = self.armed.saturating_sub(1);
    }
}

const _: () = assert!(size_of::<Node>() <= 32);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn handle(n: u32) -> Handle {
        Handle::new(1, 0, n)
    }

    #[test]
    fn fires_at_its_time_and_not_before() {
        for delay in [
            0,
            1,
            63,
            64,
            65,
            4095,
            4096,
            50_000,
            1 << 30,
            (1 << 36) - 1,
            1 << 36,
            1 << 40,
        ] {
            for start in [0, 1, 63, 12_345_678, (1 << 36) - 5, u64::MAX / 4] {
                let mut wheel = Wheel::new(start);
                let timer = wheel.add(handle(7));
                wheel.promise(timer, start + delay);
                let mut fired = Vec::new();
                let mut wakes = 0;
                while fired.is_empty() {
                    let next = wheel.next().unwrap();
                    assert!(
                        next <= start + delay,
                        "start {start} delay {delay} next {next}"
                    );
                    wheel.advance(next, &mut fired);
                    assert_eq!(!fired.is_empty(), next == start + delay);
                    wakes += 1;
                    assert!(wakes < 30, "start {start} delay {delay}");
                }
                assert_eq!(fired, [handle(7)]);
                assert_eq!((wheel.next(), wheel.armed(), wheel.len()), (None, 0, 1));
            }
        }
    }

    #[test]
    fn a_later_promise_does_nothing_and_an_earlier_one_moves() {
        let mut wheel = Wheel::new(0);
        let timer = wheel.add(handle(1));
        wheel.promise(timer, 100);
        wheel.promise(timer, 200);
        assert_eq!(wheel.armed_at(timer), Some(100));
        wheel.promise(timer, 50);
        assert_eq!(wheel.armed_at(timer), Some(50));
        let mut fired = Vec::new();
        wheel.advance(49, &mut fired);
        assert!(fired.is_empty());
        wheel.advance(1000, &mut fired);
        assert_eq!(fired, [handle(1)]);
        wheel.advance(2000, &mut fired);
        assert_eq!(fired.len(), 1);
    }

    #[test]
    fn a_past_promise_is_due_at_once() {
        let mut wheel = Wheel::new(1000);
        let timer = wheel.add(handle(1));
        wheel.promise(timer, 3);
        assert!(wheel.next().unwrap() <= 1000);
        let mut fired = Vec::new();
        wheel.advance(1000, &mut fired);
        assert_eq!(fired, [handle(1)]);
    }

    #[test]
    fn nodes_are_reused_and_nothing_allocates_after_warm_up() {
        let mut wheel = Wheel::new(0);
        let mut fired = Vec::with_capacity(64);
        let timers: Vec<_> = (0..64).map(|n| wheel.add(handle(n))).collect();
        timers.into_iter().for_each(|timer| wheel.remove(timer));
        let before = wheel.nodes.capacity();
        for round in 0..1000 {
            let timer = wheel.add(handle(round));
            wheel.promise(timer, u64::from(round) + 30);
            wheel.advance(u64::from(round), &mut fired);
            wheel.remove(timer);
        }
        assert_eq!(wheel.nodes.capacity(), before);
        assert_eq!((wheel.len(), wheel.armed(), wheel.next()), (0, 0, None));
    }

    #[derive(Clone, Debug)]
    enum Op {
        Add,
        Remove(usize),
        Promise(usize, u64),
        Disarm(usize),
        Advance(u64),
        Wake,
    }

    fn op() -> impl Strategy<Value = Op> {
        let delay = prop_oneof![0..70u64, 0..5000u64, 0..10_000_000u64, 0..(1u64 << 38)];
        let step = prop_oneof![0..3u64, 0..200u64, 0..300_000u64, 0..(1u64 << 37)];
        prop_oneof![
            Just(Op::Add),
            any::<usize>().prop_map(Op::Remove),
            (any::<usize>(), delay.clone()).prop_map(|(n, delay)| Op::Promise(n, delay)),
            (any::<usize>(), delay).prop_map(|(n, delay)| Op::Promise(n, delay)),
            any::<usize>().prop_map(Op::Disarm),
            step.prop_map(Op::Advance),
            Just(Op::Wake),
        ]
    }

    proptest! {
        /// The wheel against a sorted map: same nodes fire at the same calls, and `next` is
        /// never late.
        #[test]
        fn behaves_like_a_sorted_map(
            start in prop_oneof![Just(0u64), 0..100_000u64, (1u64 << 36) - 100..(1u64 << 36)],
            ops in proptest::collection::vec(op(), 1..120),
        ) {
            let mut wheel = Wheel::new(start);
            let mut now = start;
            let mut live: Vec<(TimerId, Handle)> = Vec::new();
            let mut model: BTreeMap<Handle, u64> = BTreeMap::new();
            let mut count = 0;
            for op in ops {
                let to = match op {
                    Op::Advance(step) => now + step,
                    Op::Wake => wheel.next().unwrap_or(now).max(now),
                    _ => now,
                };
                match op {
                    Op::Add => {
                        count += 1;
                        live.push((wheel.add(handle(count)), handle(count)));
                    }
                    Op::Remove(n) if !live.is_empty() => {
                        let (timer, handle) = live.swap_remove(n % live.len());
                        wheel.remove(timer);
                        model.remove(&handle);
                    }
                    Op::Promise(n, delay) if !live.is_empty() => {
                        let (timer, handle) = live[n % live.len()];
                        wheel.promise(timer, now + delay);
                        let at = model.entry(handle).or_insert(u64::MAX);
                        *at = (*at).min(now + delay);
                    }
                    Op::Disarm(n) if !live.is_empty() => {
                        let (timer, handle) = live[n % live.len()];
                        wheel.disarm(timer);
                        model.remove(&handle);
                    }
                    Op::Advance(_) | Op::Wake => {
                        now = to;
                        let mut fired = Vec::new();
                        wheel.advance(now, &mut fired);
                        fired.sort();
                        let due: Vec<_> =
                            model.iter().filter(|(_, at)| **at <= now).map(|(h, _)| *h).collect();
                        model.retain(|_, at| *at > now);
                        prop_assert_eq!(fired, due);
                    }
                    _ => {}
                }
                prop_assert_eq!(wheel.armed(), model.len());
                prop_assert_eq!(wheel.len(), live.len());
                let first = model.values().min().copied();
                prop_assert_eq!(wheel.next().is_some(), first.is_some());
                if let (Some(next), Some(first)) = (wheel.next(), first) {
                    prop_assert!(next <= first, "next {next} first {first} now {now}");
                }
            }
        }
    }
}
