//! Sequences of HAProxy, and what holds whatever is picked.

use super::*;

fn group(weights: &[u16]) -> Group {
    let places: Vec<_> = weights
        .iter()
        .map(|weight| Place {
            weight: *weight * PARTS,
            ..Place::default()
        })
        .collect();
    Group::new(Algorithm::RoundRobin, &places, false)
}

fn letters(group: &mut Group, count: usize) -> String {
    let letter = |picked| match picked {
        Picked::Server(index) => char::from(b'a' + index as u8),
        Picked::AllFull => '!',
        Picked::None => '-',
    };
    (0..count)
        .map(|_| letter(group.pick(None, None, |_| false)))
        .collect()
}

/// What HAProxy 2.6.12 did with 60 requests.
#[test]
fn sequences_are_haproxys() {
    let rows: [(&[u16], &str); 17] = [
        (
            &[1, 1],
            "abababababababababababababababababababababababababababababab",
        ),
        (
            &[2, 1],
            "aabaabaabaabaabaabaabaabaabaabaabaabaabaabaabaabaabaabaabaab",
        ),
        (
            &[1, 2],
            "bbabbabbabbabbabbabbabbabbabbabbabbabbabbabbabbabbabbabbabba",
        ),
        (
            &[3, 2, 1],
            "abacababacababacababacababacababacababacababacababacababacab",
        ),
        (
            &[1, 2, 3],
            "cbcacbcbcacbcbcacbcbcacbcbcacbcbcacbcbcacbcbcacbcbcacbcbcacb",
        ),
        (
            &[10, 1],
            "aaaaaaaaaabaaaaaaaaaabaaaaaaaaaabaaaaaaaaaabaaaaaaaaaabaaaaa",
        ),
        (
            &[1, 10],
            "bbbbbbbbbbabbbbbbbbbbabbbbbbbbbbabbbbbbbbbbabbbbbbbbbbabbbbb",
        ),
        (
            &[5, 1, 1],
            "aaabaacaaabaacaaabaacaaabaacaaabaacaaabaacaaabaacaaabaacaaab",
        ),
        (
            &[4, 3, 2, 1],
            "abacbadabcabacbadabcabacbadabcabacbadabcabacbadabcabacbadabc",
        ),
        (
            &[1, 1, 1],
            "abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc",
        ),
        (
            &[7, 3],
            "aaabaabaabaaabaabaabaaabaabaabaaabaabaabaaabaabaabaaabaabaab",
        ),
        (
            &[100, 50, 25],
            "aabacabaabacabaabacabaabacabaabacabaabacabaabacabaabacabaaba",
        ),
        (
            &[256, 1],
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ),
        (
            &[16, 8, 4, 2, 1],
            "aabacabadabacabaeabacabadabacabaabacabadabacabaeabacabadabac",
        ),
        (
            &[13, 7, 5],
            "aabacbaabcaabacabaacbaabcaabacbaabcaabacabaacbaabcaabacbaabc",
        ),
        (
            &[3, 3, 3],
            "abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc",
        ),
        (
            &[2, 2, 1],
            "ababcababcababcababcababcababcababcababcababcababcababcababc",
        ),
    ];
    for (weights, sequence) in rows {
        assert_eq!(letters(&mut group(weights), 60), sequence, "{weights:?}");
    }
}

/// Changes at run time as HAProxy 2.6.12 showed them: server, new weight, then the picks.
#[test]
fn changes_are_haproxys() {
    type Step = (u32, u16, &'static str);
    let rows: [(&[u16], &str, &[Step]); 23] = [
        (&[1, 1], "aba", &[(1, 0, "aaa"), (1, 1, "ababab")]),
        (&[1, 1], "abab", &[(1, 0, "aaa"), (1, 1, "ababab")]),
        (&[1, 1, 1], "abcab", &[(1, 0, "caca"), (1, 1, "cabcabcab")]),
        (
            &[3, 2, 1],
            "abac",
            &[(0, 0, "bbbb"), (0, 3, "acbaabacbaab")],
        ),
        (
            &[3, 2, 1],
            "abac",
            &[(2, 0, "abab"), (2, 1, "abaabacbaaba")],
        ),
        (
            &[2, 1],
            "aaba",
            &[(1, 3, "abbababbabab"), (0, 1, "bbbabbbabbba")],
        ),
        (
            &[1, 1],
            "ababa",
            &[(0, 10, "baaaaaaaaaabaaaaaaaaaabaa"), (0, 1, "babababababa")],
        ),
        (&[1, 1], "ababa", &[(0, 0, "bbbb"), (0, 1, "babababababa")]),
        (&[10, 1], "aaaaa", &[(0, 0, "bbbb"), (0, 1, "babbababbaba")]),
        (
            &[43, 10, 2, 1],
            "a",
            &[
                (0, 0, "bbbbcbbbdb"),
                (2, 10, "b"),
                (3, 0, "cbcbcbcbcb"),
                (2, 0, "b"),
                (0, 43, "abaaaabaaa"),
            ],
        ),
        (
            &[10, 10, 10, 3, 1],
            "abcabcabcd",
            &[
                (3, 0, "a"),
                (3, 0, "bcabcabcab"),
                (0, 0, "ceb"),
                (4, 0, "ccb"),
                (2, 5, "bbc"),
            ],
        ),
        (
            &[10, 3, 1, 10],
            "adadadbada",
            &[
                (0, 10, "dcadabdada"),
                (2, 1, "dad"),
                (3, 0, "b"),
                (2, 0, "aaa"),
                (0, 5, "b"),
            ],
        ),
        (
            &[1, 48, 2, 5],
            "bbbbbbdbbb",
            &[
                (1, 10, "cbbabbdbcb"),
                (3, 2, "bbb"),
                (0, 5, "b"),
                (0, 10, "a"),
                (1, 0, "dacaaaadac"),
            ],
        ),
        (
            &[20, 1],
            "aaa",
            &[(
                0,
                10,
                "baaaaaaaaaabaaaaaaaaaabaaaaaaaaaabaaaaaaaaaabaaaaaaaaaabaaaa",
            )],
        ),
        (
            &[10, 10, 13],
            "cacbacbcabcacbacbacbcabcacbacbcabcacbacbcabcacbacbacbca",
            &[(
                2,
                2,
                "bababababacbababababacbababababacbababababacbababababacbababababacbababababacbababababacbababababacb",
            )],
        ),
        (
            &[4, 3, 5],
            "cacbacacbcabcacbacacbcabcacbacacbcabcacbacac",
            &[(
                2,
                5,
                "bcabcacbacacbcabcacbacacbcabcacbacacbcabcacbacacbcabcacbacacbcabcacbacacbcabcacbacacbcabcacbacacbcab",
            )],
        ),
        (
            &[1, 7],
            "b",
            &[
                (1, 0, "a"),
                (
                    1,
                    7,
                    "abbbbbbbabbbbbbbabbbbbbbabbbbbbbabbbbbbbabbbbbbbabbbbbbbabbb",
                ),
            ],
        ),
        (
            &[7, 1],
            "aaaaaaab",
            &[
                (1, 0, "a"),
                (
                    1,
                    1,
                    "aaaaaaabaaaaaaabaaaaaaabaaaaaaabaaaaaaabaaaaaaabaaaaaaabaaaa",
                ),
            ],
        ),
        (
            &[26, 3, 2, 3],
            "aaaabaaadaaacaaabaaadaaaaabaacadaaaaaabaaadaaacaaabaa",
            &[(
                1,
                10,
                "adaabaaabacabaadabaabaaabaadbaacabaaabaabadaabaaabacabaadabaabaaabaadbaacabaaabaabadaabaaabacabaadab",
            )],
        ),
        (
            &[1, 10, 3, 15, 10],
            "dbdebdedbcdebdedbadebd",
            &[(
                0,
                10,
                "ecdbadebdaedbadecbdaedbadebdaedbcadebdaedbadebdaecdbadebdaedbadecbdaedbadebdaedbcadebdaedbadebdaecdb",
            )],
        ),
        (
            &[10, 3, 2, 18],
            "ddad",
            &[(
                0,
                10,
                "bdadadcdaddabddadaddadbcdaddaddadbdadadcdaddabddadaddadbcdaddaddadbdadadcdaddabddadaddadbcdaddaddadb",
            )],
        ),
        (
            &[2, 1, 2],
            "",
            &[
                (0, 0, ""),
                (
                    0,
                    2,
                    "cbacacbacacbacacbacacbacacbacacbacacbacacbacacbacacbacacbaca",
                ),
            ],
        ),
        (
            &[1, 1],
            "a",
            &[(
                0,
                10,
                "baaaaaaaaaabaaaaaaaaaabaaaaaaaaaaaaaaaaaabaaaaaaaaaabaaaaaaa",
            )],
        ),
    ];
    for (weights, start, steps) in rows {
        let mut group = group(weights);
        assert_eq!(letters(&mut group, start.len()), start, "{weights:?}");
        for (index, weight, sequence) in steps {
            group.set_weight(*index, *weight * PARTS);
            assert_eq!(
                letters(&mut group, sequence.len()),
                *sequence,
                "{weights:?}"
            );
        }
    }
}

#[test]
fn shares_are_exact_over_a_round() {
    let weights = [13, 256, 1, 99, 40];
    let mut group = group(&weights);
    let total: usize = weights.iter().map(|weight| usize::from(*weight)).sum();
    for _ in 0..3 {
        let sequence = letters(&mut group, total);
        for (index, weight) in (b'a'..).zip(weights) {
            let count = sequence.bytes().filter(|byte| *byte == index).count();
            assert_eq!(count, usize::from(weight));
        }
    }
}

#[test]
fn backups_stand_in() {
    let place = |weight: u16, backup| Place {
        weight: weight * PARTS,
        backup,
        ..Place::default()
    };
    let places = [
        place(1, false),
        place(1, false),
        place(1, true),
        place(2, true),
    ];
    for (all, with_both, with_last, with_both_again) in [
        (false, "cccccc", "dddd", "cccc"),
        (true, "ddcddc", "dddd", "ddcd"),
    ] {
        let mut group = Group::new(Algorithm::RoundRobin, &places, all);
        assert_eq!(letters(&mut group, 4), "abab");
        group.set_weight(0, 0);
        group.set_weight(1, 0);
        assert_eq!((group.active(), group.backup()), (0, 2));
        assert_eq!(letters(&mut group, 6), with_both);
        group.set_weight(2, 0);
        assert_eq!(letters(&mut group, 4), with_last);
        group.set_weight(2, PARTS);
        assert_eq!(letters(&mut group, 4), with_both_again);
        group.set_weight(0, PARTS);
        assert_eq!(letters(&mut group, 4), "aaaa");
        for index in 0..4 {
            group.set_weight(index, 0);
        }
        assert_eq!(group.pick(None, None, |_| false), Picked::None);
    }
}

#[test]
fn avoided_and_full_servers_are_passed_over() {
    let mut group = group(&[1, 1, 1]);
    assert_eq!(group.pick(None, Some(0), |_| false), Picked::Server(1));
    assert_eq!(group.pick(None, None, |_| true), Picked::AllFull);
    group.set_weight(1, 0);
    group.set_weight(2, 0);
    assert_eq!(
        group.pick(None, Some(0), |_| false),
        Picked::Server(0),
        "nobody else is left"
    );
    assert_eq!(
        group.pick(None, Some(0), |index| index == 0),
        Picked::AllFull
    );
}

/// What HAProxy 2.6.12 did while one server's only slot was held: weights, the picks before,
/// who was held then, the picks while it was and afterwards.
#[test]
fn a_server_that_was_full_gets_no_burst() {
    let rows: [(&[u16], &str, u32, &str, &str); 3] = [
        (&[1, 1, 1], "abca", 1, "bcacaca", "bcabcabca"),
        (&[3, 2, 1], "abac", 0, "abbcbbcbbc", "ababacababacab"),
        (&[3, 2, 1], "aba", 1, "cabaacaaac", "ababacababacab"),
    ];
    for (weights, before, held, during, after) in rows {
        let mut group = group(weights);
        assert_eq!(letters(&mut group, before.len()), before);
        let mut taken = false;
        for expected in during.bytes() {
            let picked = group.pick(None, None, |index| index == held && taken);
            assert_eq!(
                picked,
                Picked::Server(u32::from(expected - b'a')),
                "{weights:?}"
            );
            taken |= picked == Picked::Server(held);
        }
        assert_eq!(letters(&mut group, after.len()), after, "{weights:?}");
    }
}

#[test]
fn many_servers_and_changes_find_somebody() {
    let mut group = group(&[5; 100]);
    let mut seed = 1u32;
    for _ in 0..20_000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let index = (seed >> 8) % 100;
        if seed >> 29 == 0 {
            group.set_weight(index, (seed % 257) as u16 * PARTS);
        }
        let picked = group.pick(None, Some(index), |other| other % 7 == index % 7);
        assert!(matches!(picked, Picked::Server(_)));
    }
}

/// Sequences of HAProxy 2.6.12: weights, `maxconn` of each server, and what came and went. A letter
/// is a session and its server, a dot one that waits, a capital the end of a session there; whoever
/// waits takes that place.
#[test]
fn full_servers_are_passed_over_as_haproxy_does() {
    type Row = (&'static [u16], &'static [u32], &'static str);
    let rows: [Row; 6] = [
        (
            &[5, 3, 2, 1],
            &[1, 2, 1, 1],
            "abcbABadBCbBcCbcAaDCbBdbcAaBb.B..B.BBBb.ACBDbcdACac.CBb.B.CBb..C.BC.B..D",
        ),
        (
            &[5, 3, 2, 1],
            &[1, 0, 0, 0],
            "abcbdbcDbcCAabdbBcbBcCBbdBbcbcbdCbCcDBBbcCbCdAaBBBbcBbCcDACaCBbABCadbCBB",
        ),
        (
            &[7, 5, 3, 2],
            &[1, 0, 1, 0],
            "abABaAcbaBdACaAbBDcabbdBbbCdbBcbbdBbbDBdbbBDbBDdBBbbdCBAabcBbDBbdbbdCDbc",
        ),
        (
            &[1, 1],
            &[2, 1],
            "aba..AB.A.B.A.ABb.AAABbBabABabaABAbBaAbBabaBb.A.B.BABAbaa..B.A.B.B.AAAa.",
        ),
        (
            &[1, 1, 1],
            &[1, 1, 1],
            "aAbBcabCAcBaCbBAcaAba..B.BA..A.A.C.C.C.AC..B.CAAa.A..CCBCcAba..AABb..B.B",
        ),
        (
            &[3, 2, 1],
            &[1, 1, 1],
            "abc.C..AAAa..B.CC..B.BCBb..B.C.CBAaACaABcCaAbaABbBacCbcABab..CC..AC..B.C",
        ),
    ];
    for (weights, limits, expected) in rows {
        let mut group = group(weights);
        let mut served = vec![0; limits.len()];
        let mut waiting = 0;
        let mut seen = String::new();
        for step in expected.bytes() {
            if step.is_ascii_uppercase() {
                seen.push(char::from(step));
                match waiting {
                    0 => served[usize::from(step - b'A')] -= 1,
                    _ => waiting -= 1,
                }
                continue;
            }
            let full = |index: u32| {
                let at = index as usize;
                limits[at] > 0 && served[at] >= limits[at]
            };
            let picked = match waiting {
                0 => group.pick(None, None, full),
                _ => Picked::AllFull,
            };
            if let Picked::Server(index) = picked {
                served[index as usize] += 1;
                seen.push(char::from(b'a' + index as u8));
            } else {
                waiting += 1;
                seen.push('.');
            }
        }
        assert_eq!(seen, expected, "{weights:?} {limits:?}");
    }
}
