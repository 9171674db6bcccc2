//! The algorithms beside `roundrobin`: what HAProxy 2.6.12 did, and what holds whatever comes.

use super::*;
use crate::base::hash::{Function, avalanche};

/// Numbers by chance, the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u32) -> u32 {
        draw(&mut self.0) % most
    }
}

fn places(weights: &[u16]) -> Vec<Place> {
    let place = |(number, weight): (u32, &u16)| Place {
        weight: *weight * PARTS,
        number,
        ..Place::default()
    };
    (1..).zip(weights).map(place).collect()
}

fn group(algorithm: Algorithm, weights: &[u16]) -> Group {
    Group::new(algorithm, &places(weights), false)
}

fn letter(picked: Picked) -> char {
    match picked {
        Picked::Server(index) => char::from(b'a' + index as u8),
        Picked::AllFull => '!',
        Picked::None => '-',
    }
}

#[test]
fn static_sequences_are_haproxys() {
    let rows: [(&[u16], &str); 14] = [
        (&[1, 1], "abababababababab"),
        (&[2, 1], "aabaabaabaabaabaab"),
        (&[1, 2], "abbabbabbabbabbabb"),
        (&[3, 2, 1], "aababcaababcaababcaababcaababc"),
        (&[1, 2, 3], "acbcbcacbcbcacbcbcacbcbc"),
        (&[10, 1], "aaaaaaaaaabaaaaaaaaaab"),
        (&[5, 1, 1], "aaabaacaaabaacaaabaac"),
        (&[4, 3, 2, 1], "ababcabacdababcabacdababcabacd"),
        (&[7, 3], "aaabaabaabaaabaabaab"),
        (&[100, 50, 25], "aababacaababacaababac"),
        (
            &[16, 8, 4, 2, 1],
            "aababacabacabadabacabadabacabaeaababacabacabad",
        ),
        (&[2, 4], "abbabbabbabb"),
        (&[0, 3, 1], "bbbcbbbcbbbc"),
        (&[13, 7, 5], "aabacababcaabacababcaabacaabacababcaabac"),
    ];
    for (weights, sequence) in rows {
        let mut group = group(Algorithm::StaticRr, weights);
        let picked = sequence.bytes();
        let picked: String = picked
            .map(|_| letter(group.pick(None, None, |_| false)))
            .collect();
        assert_eq!(picked, sequence, "{weights:?}");
    }
}

/// A server that goes and comes back: the entry of the table at which HAProxy goes on.
#[test]
fn a_new_table_is_entered_where_the_old_one_was_left() {
    let mut group = group(Algorithm::StaticRr, &[1, 2, 3]);
    let next = |group: &mut Group, count: usize| -> String {
        let picks = (0..count).map(|_| letter(group.pick(None, None, |_| false)));
        picks.collect()
    };
    assert_eq!(next(&mut group, 18), "acbcbcacbcbcacbcbc");
    group.set_weight(1, 0);
    assert_eq!(next(&mut group, 14), "acccacccacccac");
    group.set_weight(1, 2 * PARTS);
    assert_eq!(next(&mut group, 14), "bcbcacbcbcacbc");
}

#[test]
fn shares_of_a_table_are_exact_over_a_round() {
    let mut chance = Chance(3);
    for _ in 0..200 {
        let count = 1 + chance.below(8) as usize;
        let weights: Vec<u16> = (0..count).map(|_| chance.below(257) as u16).collect();
        let total: usize = weights.iter().map(|weight| usize::from(*weight)).sum();
        let mut group = group(Algorithm::StaticRr, &weights);
        for round in 0..2 {
            let mut counts = vec![0; count];
            for _ in 0..total {
                if let Picked::Server(index) = group.pick(None, None, |_| false) {
                    counts[index as usize] += 1;
                }
            }
            assert_eq!(counts, weights, "round {round}");
        }
    }
}

/// HAProxy's choice for the keys `/0`, `/37`, `/74`...
#[test]
fn keys_lead_where_haproxy_sends_them() {
    use Algorithm::{Consistent, Map};
    use Function::{Djb2, Sdbm, Wt6};
    type Row = (&'static [u16], Algorithm, Function, bool, &'static str);
    let rows: [Row; 12] = [
        (
            &[1, 1, 1],
            Consistent,
            Sdbm,
            true,
            "cbcbacbbbccacacbaabcacca",
        ),
        (&[1, 1, 1], Map, Sdbm, false, "cbcabccabbccabbcaabbcaab"),
        (
            &[1, 1, 1],
            Consistent,
            Djb2,
            false,
            "cccbbbbbbbbbbbbbbbbbbbbb",
        ),
        (&[1, 1, 1], Map, Wt6, true, "caacbbcacbbccaabcacacabc"),
        (
            &[3, 2, 1],
            Consistent,
            Sdbm,
            true,
            "abcbbcbabccacacbabacacca",
        ),
        (&[3, 2, 1], Map, Sdbm, false, "cababccabbcbababaaaabaaa"),
        (
            &[3, 2, 1],
            Consistent,
            Djb2,
            false,
            "aaabbbbbbbbbbbbbbbbbbbbb",
        ),
        (&[3, 2, 1], Map, Wt6, true, "baacbbbacbaccaaacacacaac"),
        (
            &[5, 1, 4, 2],
            Consistent,
            Sdbm,
            true,
            "abcdddbacdddcdabacacacca",
        ),
        (&[5, 1, 4, 2], Map, Sdbm, false, "cacdcddaaaccacbcadaacaab"),
        (
            &[5, 1, 4, 2],
            Consistent,
            Djb2,
            false,
            "cddccccccccccccccccccccc",
        ),
        (&[5, 1, 4, 2], Map, Wt6, true, "cddccacaccaddadacacadaac"),
    ];
    for (weights, algorithm, function, mixed, expected) in rows {
        let mut group = group(algorithm, weights);
        let picked = (0..expected.len()).map(|n| {
            let hash = function.of(format!("/{}", n * 37).as_bytes());
            let hash = if mixed { avalanche(hash) } else { hash };
            letter(group.pick(Some(hash), None, |_| false))
        });
        let picked: String = picked.collect();
        assert_eq!(picked, expected, "{weights:?} {algorithm:?} {function:?}");
    }
}

/// Requests without a key go round the ring in HAProxy's order.
#[test]
fn the_way_round_the_ring_is_haproxys() {
    let rows: [(&[u16], &str); 2] = [
        (&[1, 1, 1, 1, 1], "cddcdbedacadabc"),
        (&[1, 2, 3], "cccccccccccbacacabcaacabb"),
    ];
    for (weights, expected) in rows {
        let mut group = group(Algorithm::Consistent, weights);
        let picks = (0..expected.len()).map(|_| letter(group.pick(None, None, |_| false)));
        assert_eq!(picks.collect::<String>(), expected);
    }
}

fn owners(group: &mut Group, keys: u32) -> Vec<u32> {
    let key = |n: u32| group.pick(Some(avalanche(n.wrapping_mul(97))), None, |_| false);
    (0..keys)
        .map(key)
        .map(|picked| match picked {
            Picked::Server(index) => index,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// Whoever leaves takes its own keys along and nothing else, and has them again when it is back;
/// a weight that changes moves keys from or to that server only.
#[test]
fn a_ring_moves_no_more_than_it_must() {
    let mut chance = Chance(11);
    for _ in 0..20 {
        let count = 2 + chance.below(12);
        let weights: Vec<u16> = (0..count).map(|_| 1 + chance.below(20) as u16).collect();
        let mut group = group(Algorithm::Consistent, &weights);
        let before = owners(&mut group, 2_000);
        let who = chance.below(count);
        group.set_weight(who, 0);
        let without = owners(&mut group, 2_000);
        for (old, new) in before.iter().zip(&without) {
            assert!(*new != who && (*old == who || old == new));
        }
        let weight = 1 + chance.below(40) as u16;
        group.set_weight(who, weight * PARTS);
        let changed = owners(&mut group, 2_000);
        for (old, new) in without.iter().zip(&changed) {
            assert!(old == new || *new == who);
        }
        group.set_weight(who, weights[who as usize] * PARTS);
        assert_eq!(owners(&mut group, 2_000), before);
        // A server of no account that goes for good changes nothing but places.
        group.add(Place {
            number: 900,
            weight: 3 * PARTS,
            ..Place::default()
        });
        let _ = owners(&mut group, 10);
        group.remove(count);
        assert_eq!(owners(&mut group, 2_000), before);
    }
}

/// A group in which sessions begin and end.
struct Busy {
    group: Group,
    served: Vec<u32>,
    limits: Vec<u32>,
}

impl Busy {
    fn new(group: Group, limits: &[u32]) -> Self {
        Self {
            group,
            served: vec![0; limits.len()],
            limits: limits.to_vec(),
        }
    }

    fn begin(&mut self, key: Option<u32>) -> Picked {
        let full = |index: u32| {
            let at = index as usize;
            self.limits[at] > 0 && self.served[at] >= self.limits[at]
        };
        let picked = self.group.pick(key, None, full);
        if let Picked::Server(index) = picked {
            self.served[index as usize] += 1;
            self.group.set_load(index, self.served[index as usize]);
        }
        picked
    }

    fn end(&mut self, index: u32) {
        self.served[index as usize] -= 1;
        self.group.set_load(index, self.served[index as usize]);
    }
}

/// Sequences of HAProxy 2.6.12: a letter is a session and its server, a capital its end.
#[test]
fn leastconn_sequences_are_haproxys() {
    let rows: [(&[u16], &str); 4] = [
        (
            &[1, 1, 1],
            "aAbBcCaAbcBCaAbBcabcCABCabcabBcCbcabcabcCcaBAbcBBBAAbabAababacbBabcBbB",
        ),
        (
            &[3, 2, 1],
            "aAbBcCaAbcBCaAbBcabaACBAcbaabBaAbaabacbaAaaBCbcBBBAAbbaAbaabacbAaaaBbB",
        ),
        (
            &[256, 100, 7, 1],
            "aAbBcCdDabABcCdDabcdDABCdabcaAaAaaabaabaAaaBAbaCBBAAcbaAbaaabaaAabaAaA",
        ),
        (
            &[10, 10, 7, 3],
            "aAbBcCdDabABcCdDabcdDABCdabcaAbBabcababcBbaBAbaCBBACcbbAacbacbaBbdaAbA",
        ),
    ];
    for (weights, expected) in rows {
        let limits = vec![0; weights.len()];
        let mut busy = Busy::new(group(Algorithm::LeastConn, weights), &limits);
        let steps = expected.bytes().map(|step| {
            if step.is_ascii_uppercase() {
                busy.end(u32::from(step - b'A'));
                return char::from(step);
            }
            letter(busy.begin(None))
        });
        assert_eq!(steps.collect::<String>(), expected, "{weights:?}");
    }
}

/// Nobody is picked while another would have less to do for its weight; an idle server is picked
/// before all others.
#[test]
fn leastconn_picks_nobody_with_more_to_do() {
    let mut chance = Chance(5);
    for _ in 0..50 {
        let count = 1 + chance.below(9);
        let weights: Vec<u16> = (0..count).map(|_| 1 + chance.below(256) as u16).collect();
        let limits: Vec<u32> = (0..count).map(|_| chance.below(6)).collect();
        let mut busy = Busy::new(group(Algorithm::LeastConn, &weights), &limits);
        for _ in 0..500 {
            if chance.below(5) < 2 {
                let who = chance.below(count);
                if busy.served[who as usize] > 0 {
                    busy.end(who);
                }
                continue;
            }
            let before = busy.served.clone();
            let load = |at: usize| match before[at] {
                0 => 0,
                served => (served + 1) * 256 / u32::from(weights[at]),
            };
            let free = |at: &usize| limits[*at] == 0 || before[*at] < limits[*at];
            let least = (0..count as usize).filter(free).map(load).min();
            match (busy.begin(None), least) {
                (Picked::Server(index), Some(least)) => {
                    assert_eq!(load(index as usize), least);
                }
                (Picked::AllFull, None) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn first_takes_the_smallest_number_that_has_room() {
    let mut places = places(&[1, 1, 1]);
    for (place, number) in places.iter_mut().zip([5, 2, 3]) {
        place.number = number;
    }
    let group = Group::new(Algorithm::First, &places, false);
    let mut busy = Busy::new(group, &[2, 1, 3]);
    let picks = |busy: &mut Busy, count: usize| -> String {
        (0..count).map(|_| letter(busy.begin(None))).collect()
    };
    // As HAProxy did with these numbers and limits.
    assert_eq!(picks(&mut busy, 7), "bcccaa!");
    busy.end(1);
    assert_eq!(picks(&mut busy, 2), "b!");
    busy.end(0);
    busy.end(2);
    assert_eq!(picks(&mut busy, 3), "ca!");
    // Room that comes of another limit is told, too.
    busy.limits[1] = 2;
    busy.group.set_load(1, 1);
    assert_eq!(picks(&mut busy, 2), "b!");
}

/// Whatever begins, ends, comes and goes: the first one with room, and those whose limit moves
/// are asked each time.
#[test]
fn first_forgets_nobody() {
    let mut chance = Chance(21);
    for _ in 0..50 {
        let count = 1 + chance.below(9);
        let mut places = places(&vec![1; count as usize]);
        for place in &mut places {
            place.limit_moves = chance.below(3) == 0;
        }
        let limits: Vec<u32> = (0..count).map(|_| 1 + chance.below(4)).collect();
        let group = Group::new(Algorithm::First, &places, false);
        let mut busy = Busy::new(group, &limits);
        for _ in 0..500 {
            let who = chance.below(count);
            match chance.below(8) {
                0..3 if busy.served[who as usize] > 0 => busy.end(who),
                3 => busy.group.set_weight(who, chance.below(2) as u16 * PARTS),
                4 if places[who as usize].limit_moves => {
                    busy.limits[who as usize] = 1 + chance.below(5);
                }
                _ => {
                    let free = |at: &usize| {
                        busy.group.weight(*at as u32) > 0 && busy.served[*at] < busy.limits[*at]
                    };
                    let expected = (0..count as usize).find(free);
                    let expected = match (expected, busy.group.is_empty()) {
                        (Some(at), _) => Picked::Server(at as u32),
                        (None, true) => Picked::None,
                        (None, false) => Picked::AllFull,
                    };
                    assert_eq!(busy.begin(None), expected);
                }
            }
        }
    }
}

/// With `hash-balance-factor` no server has more than its share of the slots, whatever the keys.
#[test]
fn a_bounded_ring_stays_in_its_bounds() {
    let mut chance = Chance(8);
    for _ in 0..50 {
        let count = 1 + chance.below(9);
        let weights: Vec<u16> = (0..count).map(|_| 1 + chance.below(20) as u16).collect();
        let total: u32 = weights.iter().map(|weight| u32::from(*weight)).sum();
        let factor = 101 + chance.below(200);
        let group = group(Algorithm::Consistent, &weights).bounded(factor);
        let mut busy = Busy::new(group, &vec![0; count as usize]);
        for step in 0..500 {
            if chance.below(5) < 2 {
                let who = chance.below(count);
                if busy.served[who as usize] > 0 {
                    busy.end(who);
                }
                continue;
            }
            // Half of all sessions have one key.
            let key = if step % 2 == 0 {
                1
            } else {
                chance.below(u32::MAX)
            };
            let Picked::Server(index) = busy.begin(Some(avalanche(key))) else {
                panic!("nobody");
            };
            let sessions: u32 = busy.served.iter().sum();
            let slots = (sessions * factor).div_ceil(100);
            let share = (slots * u32::from(weights[index as usize])).div_ceil(total);
            assert!(busy.served[index as usize] <= share);
        }
    }
}

/// What HAProxy did with sessions of one key that stay.
#[test]
fn the_bound_deals_slots_out_as_haproxy_does() {
    let group = group(Algorithm::Consistent, &[1, 1, 1, 1, 1]).bounded(101);
    let mut busy = Busy::new(group, &[0; 5]);
    let key = avalanche(0x7f00_0001);
    let picks = (0..24).map(|_| letter(busy.begin(Some(key))));
    assert_eq!(picks.collect::<String>(), "decbecdbaecdbaecdbaecdba");
}

#[test]
fn random_follows_weights_and_load() {
    let weights = [200, 100, 50];
    let mut group = group(Algorithm::Random(1), &weights).seeded(7);
    let mut counts = [0_u32; 3];
    for _ in 0..35_000 {
        if let Picked::Server(index) = group.pick(None, None, |_| false) {
            counts[index as usize] += 1;
        }
    }
    // The ring itself is uneven by some percent at these weights.
    for (count, weight) in counts.iter().zip(weights) {
        let fair = u32::from(weight) * 100;
        assert!(count.abs_diff(fair) < fair / 10, "{counts:?}");
    }
    // Of two draws the one with less to do: nobody gets far ahead.
    let mut busy = Busy::new(
        super::Group::new(Algorithm::Random(2), &places(&[10; 8]), false),
        &[0; 8],
    );
    for _ in 0..800 {
        assert!(matches!(busy.begin(None), Picked::Server(_)));
    }
    let (least, most) = (busy.served.iter().min(), busy.served.iter().max());
    assert!(
        least >= Some(&90) && most <= Some(&110),
        "{:?}",
        busy.served
    );
}

/// While anybody has room nobody waits, whatever was drawn; a key's server that is full gives its
/// session to the next in turn.
#[test]
fn full_servers_are_passed_over() {
    for algorithm in [
        Algorithm::Random(1),
        Algorithm::Random(2),
        Algorithm::StaticRr,
        Algorithm::Consistent,
        Algorithm::LeastConn,
    ] {
        let mut busy = Busy::new(group(algorithm, &[3, 1, 2]), &[1, 2, 1]);
        for _ in 0..4 {
            assert!(
                matches!(busy.begin(None), Picked::Server(_)),
                "{algorithm:?}"
            );
        }
        assert_eq!(busy.begin(None), Picked::AllFull, "{algorithm:?}");
        assert_eq!(busy.served, [1, 2, 1], "{algorithm:?}");
        busy.end(1);
        assert_eq!(busy.begin(None), Picked::Server(1), "{algorithm:?}");
    }
}

#[test]
fn one_to_be_avoided_is_the_last_resort() {
    for algorithm in [
        Algorithm::Random(2),
        Algorithm::StaticRr,
        Algorithm::Consistent,
        Algorithm::LeastConn,
        Algorithm::First,
    ] {
        let mut group = group(algorithm, &[1, 1]);
        for _ in 0..6 {
            let picked = group.pick(None, Some(0), |_| false);
            assert_eq!(picked, Picked::Server(1), "{algorithm:?}");
        }
        group.set_weight(1, 0);
        let picked = group.pick(None, Some(0), |_| false);
        assert_eq!(picked, Picked::Server(0), "{algorithm:?}");
    }
}

/// As HAProxy has it: a table leads where it led before, a ring to the next place on it.
#[test]
fn a_key_that_leads_to_one_to_be_avoided() {
    for (algorithm, leaves) in [(Algorithm::Map, false), (Algorithm::Consistent, true)] {
        let mut group = group(algorithm, &[1, 1, 1]);
        for key in [7, 1 << 20, 3 << 30] {
            let found = group.pick(Some(key), None, |_| false);
            let Picked::Server(first) = found else {
                panic!("{algorithm:?}: {found:?}");
            };
            let other = group.pick(Some(key), Some(first), |_| false);
            assert_eq!(other != found, leaves, "{algorithm:?} {key}");
            assert_eq!(group.pick(Some(key), Some(first), |_| false), other);
        }
    }
}

#[test]
fn backups_stand_in_under_every_algorithm() {
    for algorithm in [
        Algorithm::Random(2),
        Algorithm::StaticRr,
        Algorithm::Map,
        Algorithm::Consistent,
        Algorithm::LeastConn,
        Algorithm::First,
    ] {
        let mut places = places(&[1, 1, 1]);
        places[1].backup = true;
        places[2].backup = true;
        for all in [false, true] {
            let mut group = Group::new(algorithm, &places, all);
            let seen = |group: &mut Group| -> Vec<u32> {
                let mut found: Vec<u32> = (0..64)
                    .filter_map(|n| match group.pick(Some(avalanche(n)), None, |_| false) {
                        Picked::Server(index) => {
                            group.set_load(index, n + 1);
                            Some(index)
                        }
                        _ => None,
                    })
                    .collect();
                found.sort_unstable();
                found.dedup();
                found
            };
            assert_eq!(seen(&mut group), [0], "{algorithm:?}");
            group.set_weight(0, 0);
            let expected: &[u32] = match (all, algorithm) {
                (false, _) | (true, Algorithm::First) => &[1],
                (true, _) => &[1, 2],
            };
            assert_eq!(seen(&mut group), expected, "{algorithm:?} {all}");
            group.set_weight(1, 0);
            assert_eq!(seen(&mut group), [2], "{algorithm:?}");
        }
    }
}
