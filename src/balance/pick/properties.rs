//! What holds for any weights: shares of sessions, and of keys.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::base::hash::avalanche;

fn group(algorithm: Algorithm, weights: &[u16]) -> Group {
    let place = |(number, weight): (u32, &u16)| Place {
        weight: *weight * PARTS,
        number,
        ..Place::default()
    };
    let places: Vec<_> = (1..).zip(weights).map(place).collect();
    Group::new(algorithm, &places, false)
}

/// How often each server is picked, of so many times.
fn counts(group: &mut Group, servers: usize, times: u32) -> Vec<u32> {
    let mut counts = vec![0; servers];
    for _ in 0..times {
        if let Picked::Server(index) = group.pick(None, None, |_| false) {
            counts[index as usize] += 1;
        }
    }
    counts
}

/// Whether a count is about that share of `all` which a weight is of `total`. The ring is
/// HAProxy's, whose places do not lie evenly: light servers have a quarter or twice of theirs.
fn is_about(count: u32, all: u32, weight: u16, total: u32) -> bool {
    let fair = all * u32::from(weight) / total;
    (fair / 6..=fair * 3).contains(&count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Over a whole cycle each server has what its weight says, within one, wherever it begins.
    #[test]
    fn turns_follow_weights(weights in vec(0..=256_u16, 1..10), begins in 0..600_u32) {
        let total: u32 = weights.iter().map(|weight| u32::from(*weight)).sum();
        for algorithm in [Algorithm::RoundRobin, Algorithm::StaticRr] {
            let mut group = group(algorithm, &weights);
            counts(&mut group, weights.len(), begins);
            let cycle = counts(&mut group, weights.len(), total);
            for (count, weight) in cycle.iter().zip(&weights) {
                prop_assert!(count.abs_diff((*weight).into()) <= 1, "{algorithm:?} {cycle:?}");
            }
        }
    }

    /// By chance each has its share of the sessions, as near as the ring comes.
    #[test]
    fn chance_follows_weights(weights in vec(50..=256_u16, 1..8), seed: u64) {
        let total: u32 = weights.iter().map(|weight| u32::from(*weight)).sum();
        let mut group = group(Algorithm::Random(1), &weights).seeded(seed);
        let counts = counts(&mut group, weights.len(), 20_000);
        for (count, weight) in counts.iter().zip(&weights) {
            prop_assert!(is_about(*count, 20_000, *weight, total), "{counts:?}");
        }
    }

    /// A server that leaves takes its own keys along, which are its share, and no others.
    #[test]
    fn a_server_that_leaves_moves_its_share(
        weights in vec(50..=256_u16, 2..8),
        leaves: proptest::sample::Index,
    ) {
        let total: u32 = weights.iter().map(|weight| u32::from(*weight)).sum();
        let who = leaves.index(weights.len());
        let mut group = group(Algorithm::Consistent, &weights);
        let owners = |group: &mut Group| -> Vec<Picked> {
            let keys = (0..20_000).map(avalanche);
            keys.map(|key| group.pick(Some(key), None, |_| false)).collect()
        };
        let before = owners(&mut group);
        group.set_weight(who as u32, 0);
        let after = owners(&mut group);
        let gone = Picked::Server(who as u32);
        let moved = before.iter().zip(&after).filter(|(old, new)| old != new);
        let moved: Vec<_> = moved.map(|(old, _)| *old).collect();
        prop_assert!(moved.iter().all(|old| *old == gone));
        prop_assert!(!after.contains(&gone));
        prop_assert!(is_about(moved.len() as u32, 20_000, weights[who], total), "{}", moved.len());
    }

    /// Under `leastconn` nobody is picked while another has less to do for its weight.
    #[test]
    fn the_least_loaded_is_picked(
        weights in vec(1..=256_u16, 1..10),
        steps in vec((0..3_u8, any::<proptest::sample::Index>()), 1..200),
    ) {
        let mut group = group(Algorithm::LeastConn, &weights);
        let mut served = vec![0_u32; weights.len()];
        for (step, who) in steps {
            let who = who.index(weights.len());
            if step == 0 {
                served[who] = served[who].saturating_sub(1);
                group.set_load(who as u32, served[who]);
                continue;
            }
            // What it would have with one more; one that has nothing to do comes first.
            let load = |at: usize| match served[at] {
                0 => 0,
                busy => (busy + 1) * 256 / u32::from(weights[at]),
            };
            let least = (0..weights.len()).map(load).min();
            let Picked::Server(index) = group.pick(None, None, |_| false) else {
                panic!("nobody is picked");
            };
            let index = index as usize;
            prop_assert_eq!(Some(load(index)), least);
            served[index] += 1;
            group.set_load(index as u32, served[index]);
        }
    }
}
