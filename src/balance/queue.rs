//! Who waits for a slot, in order.
//!
//! Each server and each backend has a `Queue`: the root of a heap. The nodes of all heaps live in
//! one `Waiters`, so that thousands of queues cost nothing while nobody waits. A waiter gets a
//! `Ticket`, with which it leaves from the middle when its client goes or its time is up. Whose
//! turn is next is known at once; coming and leaving cost the logarithm of the length, on average
//! over many, whatever the priorities (a skew heap, after Sleator and Tarjan).
//!
//! It decides order and nothing else: who may take a slot is the caller's question, limits are
//! the caller's numbers. It never drops a waiter by itself.
//! Rejected: a list, in which each newcomer of a better class would pass all the others by.

use crate::base::arena::{Arena, Handle, Key};

/// A place in a queue.
pub type Ticket = Key<Waiter>;

/// Whose turn is sooner: the lowest first, in all queues alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    /// `http-request set-priority-class`.
    class: i16,
    /// When it came, ms, with `http-request set-priority-offset` added.
    at_ms: i64,
    /// Who came before whom, where that is the same.
    number: u64,
}

/// One who waits.
#[derive(Debug)]
pub struct Waiter {
    handle: Handle,
    turn: Turn,
    parent: Option<Ticket>,
    /// Two whose turn is later.
    left: Option<Ticket>,
    right: Option<Ticket>,
    /// `Queue::gone` when this one came.
    gone_before: u64,
}

/// One heap of waiters.
#[derive(Debug, Default)]
pub struct Queue {
    first: Option<Ticket>,
    len: u32,
    /// How many have left the queue, by any way.
    gone: u64,
}

/// The waiters of all queues.
pub struct Waiters {
    nodes: Arena<Waiter>,
    /// How many have come so far.
    came: u64,
}

impl Queue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self {
            first: None,
            len: 0,
            gone: 0,
        }
    }

    /// How many wait.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// True when nobody waits.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whose turn is next.
    pub const fn first(&self) -> Option<Ticket> {
        self.first
    }
}

/// One who has left a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Who it is.
    pub handle: Handle,
    /// How many left the queue while it waited: the log's `%sq` and `%bq`.
    pub position: u32,
}

impl Waiters {
    /// No waiters; at most `capacity` at a time, in all queues together.
    pub const fn new(capacity: usize) -> Self {
        Self {
            nodes: Arena::new(capacity),
            came: 0,
        }
    }

    /// Puts `handle` into `queue`, behind those of a lower class and those who came before `at_ms`;
    /// `None` when there are too many waiters.
    pub fn push(
        &mut self,
        queue: &mut Queue,
        handle: Handle,
        class: i16,
        at_ms: i64,
    ) -> Option<Ticket> {
        let turn = Turn {
            class,
            at_ms,
            number: self.came,
        };
        let waiter = Waiter {
            handle,
            turn,
            parent: None,
            left: None,
            right: None,
            gone_before: queue.gone,
        };
        let ticket = self.nodes.insert(waiter).ok()?;
        self.came = self.came.wrapping_add(1);
        queue.first = self.merge(queue.first, Some(ticket));
        queue.len = queue.len.saturating_add(1);
        Some(ticket)
    }

    /// Takes the first one out of `queue`.
    pub fn pop(&mut self, queue: &mut Queue) -> Option<Left> {
        self.remove(queue, queue.first?)
    }

    /// Takes the holder of `ticket` out of `queue`, in which it must be; `None` when it has left
    /// already.
    pub fn remove(&mut self, queue: &mut Queue, ticket: Ticket) -> Option<Left> {
        let gone = self.nodes.remove(ticket)?;
        let rest = self.merge(gone.left, gone.right);
        self.set_parent(rest, gone.parent);
        match gone.parent.and_then(|parent| self.nodes.get_mut(parent)) {
            Some(parent) if parent.left == Some(ticket) => parent.left = rest,
            Some(parent) => parent.right = rest,
            None => queue.first = rest,
        }
        queue.len = queue.len.saturating_sub(1);
        queue.gone = queue.gone.wrapping_add(1);
        let position = queue.gone.wrapping_sub(gone.gone_before);
        let position = position.min(u64::from(u32::MAX)) as u32;
        Some(Left {
            handle: gone.handle,
            position,
        })
    }

    /// Who waits under `ticket`.
    pub fn get(&self, ticket: Ticket) -> Option<Handle> {
        self.nodes.get(ticket).map(|waiter| waiter.handle)
    }

    /// The turn of whoever is the first in a queue, to be compared with that in another.
    pub fn next_turn(&self, queue: &Queue) -> Option<Turn> {
        Some(self.nodes.get(queue.first?)?.turn)
    }

    /// How many wait in all queues.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// True when nobody waits anywhere.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Makes one heap of two, which have no parents.
    fn merge(&mut self, one: Option<Ticket>, other: Option<Ticket>) -> Option<Ticket> {
        let (mut one, mut other) = (one, other);
        let mut root = None;
        // The one whose left child comes next.
        let mut above: Option<Ticket> = None;
        loop {
            let (next, goes_on) = match (one, other) {
                (Some(a), Some(b)) if self.comes_before(b, a) => (Some(b), Some(a)),
                (Some(a), Some(b)) => (Some(a), Some(b)),
                (rest, None) | (None, rest) => (rest, None),
            };
            self.set_parent(next, above);
            match above.and_then(|above| self.nodes.get_mut(above)) {
                Some(above) => above.left = next,
                None => root = next,
            }
            let (Some(next), Some(_)) = (next, goes_on) else {
                return root;
            };
            if let Some(node) = self.nodes.get_mut(next) {
                // The sides change places, so that no side grows long for long.
                one = node.right;
                node.right = node.left.take();
            }
            other = goes_on;
            above = Some(next);
        }
    }

    fn comes_before(&self, one: Ticket, other: Ticket) -> bool {
        let turn = |ticket| self.nodes.get(ticket).map(|waiter| waiter.turn);
        turn(one) < turn(other)
    }

    fn set_parent(&mut self, child: Option<Ticket>, parent: Option<Ticket>) {
        if let Some(child) = child.and_then(|child| self.nodes.get_mut(child)) {
            child.parent = parent;
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn handle(n: u64) -> Handle {
        Handle(n)
    }

    fn drain(waiters: &mut Waiters, queue: &mut Queue) -> Vec<u64> {
        std::iter::from_fn(|| waiters.pop(queue))
            .map(|left| left.handle.0)
            .collect()
    }

    #[test]
    fn first_in_first_out_with_leavers_in_between() {
        let mut waiters = Waiters::new(10);
        let (mut server, mut backend) = (Queue::new(), Queue::new());
        let tickets: Vec<_> = (0..4)
            .map(|n| waiters.push(&mut server, handle(n), 0, 5).unwrap())
            .collect();
        let other = waiters.push(&mut backend, handle(9), 0, 5).unwrap();
        assert_eq!((server.len(), backend.len(), waiters.len()), (4, 1, 5));
        let left = |left: Option<Left>| left.map(|left| (left.handle.0, left.position));
        assert_eq!(left(waiters.remove(&mut server, tickets[1])), Some((1, 1)));
        assert_eq!(waiters.remove(&mut server, tickets[1]), None);
        assert_eq!(left(waiters.pop(&mut server)), Some((0, 2)));
        assert_eq!(left(waiters.remove(&mut server, tickets[3])), Some((3, 3)));
        waiters.push(&mut server, handle(4), 0, 5);
        assert_eq!(left(waiters.pop(&mut server)), Some((2, 4)));
        assert_eq!(left(waiters.pop(&mut server)), Some((4, 2)));
        assert_eq!(waiters.pop(&mut server), None);
        assert!(server.is_empty() && server.first().is_none());
        assert_eq!(waiters.get(other), Some(handle(9)));
        assert_eq!(left(waiters.remove(&mut backend, other)), Some((9, 1)));
        assert!(waiters.is_empty());
    }

    #[test]
    fn too_many_waiters_are_refused() {
        let mut waiters = Waiters::new(1);
        let mut queue = Queue::new();
        assert!(waiters.push(&mut queue, handle(1), 0, 0).is_some());
        assert!(waiters.push(&mut queue, handle(2), 0, 0).is_none());
        assert_eq!(queue.len(), 1);
    }

    /// The class first, then the time, then who came first.
    #[test]
    fn priorities_go_before_time() {
        let mut waiters = Waiters::new(10);
        let mut queue = Queue::new();
        for (n, class, at_ms) in [
            (0, 0, 100),
            (1, 5, 100),
            (2, -5, 130),
            (3, 0, 140),
            (4, 0, 100),
            (5, -5, -20),
            (6, 0, i64::from(i32::MAX)),
            (7, 2_047, -900),
        ] {
            waiters.push(&mut queue, handle(n), class, at_ms);
        }
        assert_eq!(drain(&mut waiters, &mut queue), [5, 2, 0, 4, 3, 6, 1, 7]);
    }

    /// Heads of different queues are compared like neighbours in one.
    #[test]
    fn turns_of_two_queues_compare() {
        let mut waiters = Waiters::new(10);
        let (mut one, mut other) = (Queue::new(), Queue::new());
        assert_eq!(waiters.next_turn(&one), None);
        waiters.push(&mut one, handle(0), 0, 7);
        waiters.push(&mut other, handle(1), 0, 7);
        assert!(waiters.next_turn(&one) < waiters.next_turn(&other));
        waiters.push(&mut other, handle(2), -1, 9);
        assert!(waiters.next_turn(&other) < waiters.next_turn(&one));
    }

    /// Against a sorted list, with many who come and go in any order.
    #[test]
    fn the_order_is_that_of_a_sorted_list() {
        let mut waiters = Waiters::new(2_000);
        let mut queue = Queue::new();
        let mut model: Vec<((i16, i64, u64), Ticket)> = Vec::new();
        let mut state = 7_u64;
        let mut chance = move |n: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % n
        };
        for step in 0..20_000_u64 {
            match chance(5) {
                0..=2 if model.len() < 2_000 => {
                    let class = if step % 3 == 0 {
                        chance(7) as i16 - 3
                    } else {
                        0
                    };
                    let at_ms = step as i64 / 8 + chance(40) as i64 - 20;
                    let ticket = waiters.push(&mut queue, handle(step), class, at_ms);
                    model.push(((class, at_ms, step), ticket.unwrap()));
                    model.sort_unstable_by_key(|(turn, _)| *turn);
                }
                3 if !model.is_empty() => {
                    let at = chance(model.len() as u64) as usize;
                    let ((.., step), ticket) = model.remove(at);
                    let left = waiters.remove(&mut queue, ticket).unwrap();
                    assert_eq!(left.handle, handle(step));
                }
                _ if !model.is_empty() => {
                    let ((.., step), _) = model.remove(0);
                    assert_eq!(waiters.pop(&mut queue).unwrap().handle, handle(step));
                }
                _ => {}
            }
            assert_eq!(queue.len() as usize, model.len());
            assert_eq!(queue.first(), model.first().map(|(_, ticket)| *ticket));
        }
    }

    /// However they come, each costs few steps: a hundred thousand are through in no time.
    #[test]
    fn long_queues_stay_quick() {
        for order in [
            |n: i64| n,
            |n: i64| -n,
            |n: i64| n % 100,
            |n: i64| n ^ 0x5555,
        ] {
            let mut waiters = Waiters::new(100_000);
            let mut queue = Queue::new();
            for n in 0..100_000_i64 {
                waiters.push(&mut queue, handle(n as u64), 0, order(n));
            }
            assert_eq!(drain(&mut waiters, &mut queue).len(), 100_000);
        }
    }
}
