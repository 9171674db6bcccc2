//! Who waits for a slot, in order.
//!
//! Each server and each backend has a `Queue`: the two ends of a list. The nodes of all lists
//! live in one `Waiters`, so that thousands of queues cost nothing while nobody waits. A waiter
//! gets a `Ticket`, with which it leaves from the middle in one step when its client goes or its
//! time is up.
//!
//! It decides order and nothing else: who may take a slot is the caller's question, limits are
//! the caller's numbers. It never drops a waiter by itself.

use crate::base::arena::{Arena, Handle, Key};

/// A place in a queue.
pub type Ticket = Key<Waiter>;

/// One who waits.
#[derive(Debug)]
pub struct Waiter {
    handle: Handle,
    prev: Option<Ticket>,
    next: Option<Ticket>,
    /// `Queue::gone` when this one came.
    gone_before: u64,
}

/// The ends of one list of waiters.
#[derive(Debug, Default)]
pub struct Queue {
    first: Option<Ticket>,
    last: Option<Ticket>,
    len: u32,
    /// How many have left the queue, by any way.
    gone: u64,
}

/// The waiters of all queues.
pub struct Waiters {
    nodes: Arena<Waiter>,
}

impl Queue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self {
            first: None,
            last: None,
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
        }
    }

    /// Puts `handle` at the end of `queue`; `None` when there are too many waiters.
    pub fn push(&mut self, queue: &mut Queue, handle: Handle) -> Option<Ticket> {
        let waiter = Waiter {
            handle,
            prev: queue.last,
            next: None,
            gone_before: queue.gone,
        };
        let ticket = self.nodes.insert(waiter).ok()?;
        match queue.last.and_then(|last| self.nodes.get_mut(last)) {
            Some(last) => last.next = Some(ticket),
            None => queue.first = Some(ticket),
        }
        queue.last = Some(ticket);
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
        let Waiter {
            handle,
            prev,
            next,
            gone_before,
        } = self.nodes.remove(ticket)?;
        match prev.and_then(|prev| self.nodes.get_mut(prev)) {
            Some(before) => before.next = next,
            None => queue.first = next,
        }
        match next.and_then(|next| self.nodes.get_mut(next)) {
            Some(after) => after.prev = prev,
            None => queue.last = prev,
        }
        queue.len = queue.len.saturating_sub(1);
        queue.gone = queue.gone.wrapping_add(1);
        let position = queue.gone.wrapping_sub(gone_before);
        let position = position.min(u64::from(u32::MAX)) as u32;
        Some(Left { handle, position })
    }

    /// Who waits under `ticket`.
    pub fn get(&self, ticket: Ticket) -> Option<Handle> {
        self.nodes.get(ticket).map(|waiter| waiter.handle)
    }

    /// How many wait in all queues.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// True when nobody waits anywhere.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn handle(n: u64) -> Handle {
        Handle(n)
    }

    #[test]
    fn first_in_first_out_with_leavers_in_between() {
        let mut waiters = Waiters::new(10);
        let (mut server, mut backend) = (Queue::new(), Queue::new());
        let tickets: Vec<_> = (0..4)
            .map(|n| waiters.push(&mut server, handle(n)).unwrap())
            .collect();
        let other = waiters.push(&mut backend, handle(9)).unwrap();
        assert_eq!((server.len(), backend.len(), waiters.len()), (4, 1, 5));
        assert_eq!(
            waiters
                .remove(&mut server, tickets[1])
                .map(|left| left.handle),
            Some(handle(1))
        );
        assert_eq!(waiters.remove(&mut server, tickets[1]), None);
        assert_eq!(
            waiters.pop(&mut server).map(|left| left.handle),
            Some(handle(0))
        );
        assert_eq!(
            waiters
                .remove(&mut server, tickets[3])
                .map(|left| left.handle),
            Some(handle(3))
        );
        waiters.push(&mut server, handle(4));
        assert_eq!(
            waiters.pop(&mut server).map(|left| left.handle),
            Some(handle(2))
        );
        assert_eq!(
            waiters.pop(&mut server).map(|left| left.handle),
            Some(handle(4))
        );
        assert_eq!(waiters.pop(&mut server), None);
        assert!(server.is_empty() && server.first().is_none());
        assert_eq!(waiters.get(other), Some(handle(9)));
        assert_eq!(
            waiters
                .remove(&mut backend, other)
                .map(|left| left.position),
            Some(1)
        );
        assert!(waiters.is_empty());
    }

    #[test]
    fn too_many_waiters_are_refused() {
        let mut waiters = Waiters::new(1);
        let mut queue = Queue::new();
        assert!(waiters.push(&mut queue, handle(1)).is_some());
        assert!(waiters.push(&mut queue, handle(2)).is_none());
        assert_eq!(queue.len(), 1);
    }
}
