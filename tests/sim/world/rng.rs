//! The seeded source of every choice in a simulated run (splitmix64).
//!
//! One number decides a whole run, so nothing else may: no clock, no address, no order of a hash map.

use std::collections::VecDeque;

/// A stream of numbers that a seed decides, or the bytes of a fuzz target's input while they last.
#[derive(Clone)]
pub(crate) struct Rng {
    state: u64,
    bytes: VecDeque<u8>,
}

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D_4C95_7F2D,
            bytes: VecDeque::new(),
        }
    }

    /// Each choice takes as many bytes as it has need of; behind them the seed decides.
    pub(crate) fn of_bytes(bytes: &[u8], seed: u64) -> Self {
        Self {
            bytes: bytes.iter().copied().collect(),
            ..Self::new(seed)
        }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0 to `n - 1`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        let mut chosen = 0_u64;
        let mut reach = 1_u64;
        while reach < n {
            let Some(byte) = self.bytes.pop_front() else {
                return self.next() % n;
            };
            chosen = (chosen << 8) | u64::from(byte);
            reach = reach.saturating_mul(256);
        }
        chosen % n.max(1)
    }

    /// `from` to `to`, both included.
    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// True in so many of a thousand cases.
    pub(crate) fn permille(&mut self, share: u64) -> bool {
        self.below(1000) < share
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}
