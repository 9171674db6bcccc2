//! `static-rr` and `hash-type map-based`: a table with one entry for each part of the weights.
//!
//! The order of the table is HAProxy's, found by observing it. Before each entry everybody gets its
//! own weight as credit, and whoever gets the entry pays the total of all weights. The entry goes
//! to the one with the most whole totals of credit, the first one in the file among equals.
//! HAProxy asks everybody for each entry; here the times at which somebody's credit passes a whole
//! total lie in a heap, so that a table of a million entries is made in a moment.
//!
//! Weights are divided by what they have in common: that changes neither the turns nor where a
//! hash leads. The table is made by the first pick after a change, so that many changes at once
//! cost one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Picked;

/// The table of servers of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Map {
    weights: Vec<u32>,
    table: Vec<u32>,
    /// A weight has changed since the table was made.
    is_stale: bool,
    /// Whose turn is next.
    next: usize,
}

impl Map {
    pub(super) fn with_capacity(count: usize) -> Self {
        Self {
            weights: Vec::with_capacity(count),
            ..Self::default()
        }
    }

    /// One more server, without weight.
    pub(super) fn grow(&mut self) {
        self.weights.push(0);
    }

    /// A server without weight goes, and those behind it move up by one place.
    pub(super) fn shrink(&mut self, index: u32) {
        if (index as usize) < self.weights.len() {
            self.weights.remove(index as usize);
            self.is_stale = true;
        }
    }

    /// A server has another weight.
    pub(super) fn set_weight(&mut self, index: u32, weight: u32) {
        if let Some(known) = self.weights.get_mut(index as usize) {
            *known = weight;
            self.is_stale = true;
        }
    }

    /// The server that a key leads to.
    pub(super) fn find(&mut self, key: u32) -> Option<u32> {
        self.renew();
        let at = key.checked_rem(u32::try_from(self.table.len()).ok()?)?;
        self.table.get(at as usize).copied()
    }

    /// The server whose turn it is.
    pub(super) fn pick(&mut self, avoid: Option<u32>, mut full: impl FnMut(u32) -> bool) -> Picked {
        self.renew();
        let mut spare = None;
        let mut at = self.next;
        for _ in 0..self.table.len() {
            if at >= self.table.len() {
                at = 0;
            }
            let Some(index) = self.table.get(at).copied() else {
                break;
            };
            at = at.saturating_add(1);
            if full(index) {
                continue;
            }
            if avoid != Some(index) {
                self.next = at;
                return Picked::Server(index);
            }
            spare = spare.or(Some((index, at)));
        }
        match spare {
            Some((index, at)) => {
                self.next = at;
                Picked::Server(index)
            }
            None => Picked::AllFull,
        }
    }

    fn renew(&mut self) {
        if !std::mem::take(&mut self.is_stale) {
            return;
        }
        fill(&self.weights, &mut self.table);
        // HAProxy goes on at the same entry of the new table, or at its start.
        if self.next >= self.table.len() {
            self.next = 0;
        }
    }
}

/// Fills the table.
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "the total is not 0 behind the first check; weights are small and times are 64 bits"
)]
fn fill(weights: &[u32], table: &mut Vec<u32>) {
    table.clear();
    let common = weights.iter().fold(0, |a, b| gcd(a, *b));
    if common == 0 {
        return;
    }
    let weights: Vec<u64> = weights.iter().map(|w| u64::from(w / common)).collect();
    let total: u64 = weights.iter().sum();
    // How many entries each one has got, and how many whole totals its credit is.
    let mut got = vec![0_u64; weights.len()];
    let mut level = vec![-1_i64; weights.len()];
    // When the credit of a server is one whole total more: with `t` entries before this one it is
    // `(t + 1) * weight - got * total`.
    let reaches = |index: usize, got: u64, level: i64| {
        let wanted = got as i64 + level;
        (wanted as u64 * total).div_ceil(weights[index]).max(1) - 1
    };
    let mut rises = BinaryHeap::new();
    // Highest credit first, then the first in the file. What is out of date is left in.
    let mut ready = BinaryHeap::new();
    for (index, weight) in weights.iter().enumerate() {
        if *weight > 0 {
            rises.push(Reverse((0, index)));
        }
    }
    for time in 0..total {
        while let Some(Reverse((due, index))) = rises.peek().copied()
            && due <= time
        {
            rises.pop();
            level[index] += 1;
            ready.push((level[index], Reverse(index)));
            let next = reaches(index, got[index], level[index] + 1);
            rises.push(Reverse((next, index)));
        }
        let best = loop {
            match ready.pop() {
                Some((known, Reverse(index))) if known == level[index] => break index,
                Some(_) => {}
                // The credits of all sum up to one total: somebody has some.
                None => return,
            }
        };
        got[best] += 1;
        level[best] -= 1;
        if level[best] >= 0 {
            ready.push((level[best], Reverse(best)));
        }
        table.push(best as u32);
    }
}

fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a.checked_rem(b).unwrap_or(0));
    }
    a
}
