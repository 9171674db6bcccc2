//! Where records live: a slab of bounded size whose keys carry a generation.
//!
//! The arena decides one thing: whether a key still names the record it was made for. A key that
//! outlived its record finds nothing, never the record that took its slot. Events of the poller
//! and of the timer wheel carry such keys as opaque 64-bit `Handle`s, so a stale event is dropped
//! by the look-up and needs no other care.
//!
//! It never touches memory before a record needs it: a capacity of 500,000 costs nothing at
//! start and grows with use. It never hands out more than its capacity; the caller gets the
//! record back and must say what a full table means.
//!
//! Rejected: reference counting (a cycle between client and upstream needs weak links and
//! run-time checks), one arena for all kinds (two `&mut` at once would need pair borrowing), and
//! reserving the whole table at start (a large `maxconn` would count as resident memory).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use slab::Slab;

/// Bits of a generation; it wraps after 2^28 uses of one slot.
pub const GENERATION_BITS: u32 = 28;
/// The largest generation, and the mask that wraps it.
pub const GENERATION_MAX: u32 = (1 << GENERATION_BITS) - 1;
/// The largest kind that a `Handle` can carry.
pub const KIND_MAX: u8 = 15;

/// 64 opaque bits that poller and wheel carry and give back without knowing what they mean.
///
/// From the top: kind (4 bits), generation (28 bits), index (32 bits). The engine alone gives the
/// kinds a meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(pub u64);

impl Handle {
    /// Packs the three parts. A kind over 15 or a generation over 28 bits is cut to size.
    pub const fn new(kind: u8, generation: u32, index: u32) -> Self {
        debug_assert!(kind <= KIND_MAX && generation <= GENERATION_MAX);
        let top = ((kind & KIND_MAX) as u64) << 60;
        Self(top | (((generation & GENERATION_MAX) as u64) << 32) | index as u64)
    }

    /// The kind of record, 0 to 15.
    pub const fn kind(self) -> u8 {
        (self.0 >> 60) as u8
    }

    /// The generation of the slot, 28 bits.
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32 & GENERATION_MAX
    }

    /// The slot.
    pub const fn index(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Handle({}:{}.{})",
            self.kind(),
            self.index(),
            self.generation()
        )
    }
}

/// Names one record of an `Arena<T>`. It outlives its record harmlessly.
pub struct Key<T> {
    index: u32,
    generation: u32,
    kind: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// A key from its parts, as read back from a `Handle`. The generation is cut to 28 bits.
    pub const fn from_parts(index: u32, generation: u32) -> Self {
        Self {
            index,
            generation: generation & GENERATION_MAX,
            kind: PhantomData,
        }
    }

    /// The key that a handle carries; the caller has looked at the handle's kind.
    pub const fn from_handle(handle: Handle) -> Self {
        Self::from_parts(handle.index(), handle.generation())
    }

    /// The handle that carries this key and `kind` (0 to 15).
    pub const fn handle(self, kind: u8) -> Handle {
        Handle::new(kind, self.generation, self.index)
    }

    /// The slot.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// The generation, 28 bits.
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

// Derived impls would ask the same of `T`, which a key does not hold.
impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Key<T> {}
impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.index, self.generation) == (other.index, other.generation)
    }
}
impl<T> Eq for Key<T> {}
impl<T> Hash for Key<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.index, self.generation).hash(state);
    }
}
impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}.{})", self.index, self.generation)
    }
}

/// Records of one type, at most `capacity` of them, each found by its `Key`.
#[derive(Debug)]
pub struct Arena<T> {
    slots: Slab<Slot<T>>,
    /// The generation of each slot ever used; bumped when its record leaves. Look-ups do without:
    /// they find it beside the record.
    generations: Vec<u32>,
    capacity: usize,
}

/// A record and the generation that its key has.
#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    record: T,
}

impl<T> Arena<T> {
    /// An empty arena for at most `capacity` records (2^32 - 1 at most). Reserves nothing.
    pub const fn new(capacity: usize) -> Self {
        let limit = u32::MAX as usize;
        let capacity = if capacity > limit { limit } else { capacity };
        Self {
            slots: Slab::new(),
            generations: Vec::new(),
            capacity,
        }
    }

    /// Stores `record`, or gives it back when the arena is full.
    pub fn insert(&mut self, record: T) -> Result<Key<T>, T> {
        if self.is_full() {
            return Err(record);
        }
        let index = self.slots.vacant_key();
        let key = self.key_of_new(index);
        self.put(key, record);
        Ok(key)
    }

    /// Stores the record that `make` builds from its own key; `None`, with `make` not called,
    /// when the arena is full.
    pub fn insert_with_key(&mut self, make: impl FnOnce(Key<T>) -> T) -> Option<Key<T>> {
        if self.is_full() {
            return None;
        }
        let index = self.slots.vacant_key();
        let key = self.key_of_new(index);
        self.put(key, make(key));
        Some(key)
    }

    /// Fills the slot that a key was made for.
    fn put(&mut self, key: Key<T>, record: T) {
        let generation = key.generation;
        let inserted = self.slots.insert(Slot { generation, record });
        debug_assert_eq!(key.index as usize, inserted);
    }

    /// The record, or `None` when it has left.
    #[inline]
    pub fn get(&self, key: Key<T>) -> Option<&T> {
        let slot = self.slots.get(key.index as usize)?;
        (slot.generation == key.generation).then_some(&slot.record)
    }

    /// The record, or `None` when it has left.
    #[inline]
    pub fn get_mut(&mut self, key: Key<T>) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        (slot.generation == key.generation).then_some(&mut slot.record)
    }

    /// True while the record of `key` is here.
    pub fn contains(&self, key: Key<T>) -> bool {
        self.get(key).is_some()
    }

    /// Takes the record out; its key and all copies of it find nothing from now on.
    pub fn remove(&mut self, key: Key<T>) -> Option<T> {
        let generation = self.generations.get_mut(key.index as usize)?;
        if *generation != key.generation {
            return None;
        }
        let slot = self.slots.try_remove(key.index as usize)?;
        *generation = generation.wrapping_add(1) & GENERATION_MAX;
        Some(slot.record)
    }

    /// How many records are here.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True when no record is here.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The most records this arena takes.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Changes the limit. Records above a lowered limit stay until they leave by themselves.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity.min(u32::MAX as usize);
    }

    /// True when `insert` would give the record back.
    pub fn is_full(&self) -> bool {
        self.slots.len() >= self.capacity
    }

    /// All records with their keys, in slot order.
    pub fn iter(&self) -> impl Iterator<Item = (Key<T>, &T)> {
        self.slots
            .iter()
            .map(|(index, slot)| (slot.key(index), &slot.record))
    }

    /// All records with their keys, in slot order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Key<T>, &mut T)> {
        self.slots
            .iter_mut()
            .map(|(index, slot)| (slot.key(index), &mut slot.record))
    }

    /// All keys, in slot order.
    pub fn keys(&self) -> impl Iterator<Item = Key<T>> {
        self.iter().map(|(key, _)| key)
    }

    /// The key of a slot that is being filled; a slot never used before starts at generation 0.
    fn key_of_new(&mut self, index: usize) -> Key<T> {
        if index == self.generations.len() {
            self.generations.push(0);
        }
        let generation = self.generations.get(index).copied().unwrap_or_default();
        Key::from_parts(index as u32, generation)
    }
}

impl<T> Slot<T> {
    fn key(&self, index: usize) -> Key<T> {
        Key::from_parts(index as u32, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handle_packs_and_unpacks() {
        for (kind, generation, index) in [
            (0, 0, 0),
            (15, GENERATION_MAX, u32::MAX),
            (3, 1, 7),
            (8, 0x0abc_def1, 0x8000_0000),
        ] {
            let handle = Handle::new(kind, generation, index);
            assert_eq!((handle.kind(), handle.generation(), handle.index()), {
                (kind, generation, index)
            });
            let key = Key::<u8>::from_handle(handle);
            assert_eq!(key.handle(kind), handle);
        }
    }

    #[test]
    fn stale_key_finds_nothing() {
        let mut arena = Arena::new(2);
        let first = arena.insert("a").unwrap();
        assert_eq!(arena.remove(first), Some("a"));
        let second = arena.insert("b").unwrap();
        assert_eq!(first.index(), second.index());
        assert_ne!(first, second);
        assert_eq!(arena.get(first), None);
        assert_eq!(arena.remove(first), None);
        assert_eq!(arena.get(second), Some(&"b"));
    }

    #[test]
    fn full_arena_gives_the_record_back() {
        let mut arena = Arena::new(1);
        assert!(arena.insert_with_key(|key| key.index()).is_some());
        assert!(arena.is_full());
        assert_eq!(arena.insert(5), Err(5));
        assert!(arena.insert_with_key(|_| unreachable!()).is_none());
    }

    #[test]
    fn generation_wraps() {
        let mut arena = Arena::new(1);
        let first = arena.insert(()).unwrap();
        arena.remove(first);
        arena.generations[0] = GENERATION_MAX;
        let last = arena.insert(()).unwrap();
        assert_eq!(last, Key::from_parts(0, GENERATION_MAX));
        assert_eq!(arena.remove(last), Some(()));
        assert_eq!(arena.insert(()).unwrap(), Key::from_parts(0, 0));
    }

    #[test]
    fn a_large_capacity_reserves_nothing() {
        let arena = Arena::<[u64; 64]>::new(500_000);
        assert_eq!(arena.slots.capacity(), 0);
        assert_eq!(arena.generations.capacity(), 0);
    }

    #[test]
    fn iterates_in_slot_order() {
        let mut arena = Arena::new(10);
        let keys: Vec<_> = (0..4).map(|n| arena.insert(n).unwrap()).collect();
        arena.remove(keys[1]);
        assert_eq!(arena.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [0, 2, 3]);
        assert!(arena.keys().eq([keys[0], keys[2], keys[3]]));
        assert_eq!(arena.len(), 3);
    }
}
