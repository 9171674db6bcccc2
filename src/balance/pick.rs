//! Which server gets the next session: the single `pick`.
//!
//! A `Group` is the load-balancing view of one backend: an effective weight for each server (0
//! for those that take nothing) and the state of the algorithm. Active servers are used while any
//! has weight; then the first backup, or with `option allbackups` all of them.
//!
//! Round robin follows HAProxy's sequence exactly, found by observing it. Every pick is one step
//! on a line of positions. A server's turn lies one *period* behind its last one, a period being
//! the total weight divided by its own; the fraction is carried, so that over one round everyone
//! gets its exact share. The server with the earliest turn is picked; among equal turns the one
//! with the smallest `carried - weight`. Servers that have not had a turn yet wait, heaviest
//! first, and take a step at which no turn has come. So weights 3, 2, 1 give `abacab`. Every 16
//! rounds a cycle ends: who has a turn behind its end waits for the next one and begins afresh.
//! A server that comes back gets its turn as far ahead as the others' weight says, one whose
//! weight changes a period ahead, so neither gets a burst.
//!
//! The turns are in a heap that knows where each server stands in it, so a pick costs the
//! logarithm of the number of servers, and nothing allocates after the group is made.
//!
//! It must not know sessions, checks or names; who is full or to be avoided is asked for each
//! pick. Rejected: expanding weights into a table (256 entries for each server, rebuilt at each
//! change) and nginx' form of smooth round robin (a scan of all servers, and another sequence).

/// How servers are chosen (`balance`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// `roundrobin`: in turn, by weight, weights may change at any time.
    #[default]
    RoundRobin,
}

/// What a server is to its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Effective weight, 0 to 256; 0 takes nothing.
    pub weight: u16,
    /// `backup`.
    pub backup: bool,
}

/// What `Group::pick` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picked {
    /// This server, by its place in the group.
    Server(u32),
    /// There are servers, but each of them is full: wait in the backend's queue.
    AllFull,
    /// No server has any weight.
    None,
}

#[derive(Clone, Debug)]
struct Member {
    weight: u32,
    backup: bool,
    /// The next turn; `None` before the first one.
    turn: Option<u64>,
    /// The carried fraction of a position, in parts of `weight`.
    carried: u32,
    /// Who came first among equals.
    order: u64,
}

/// Servers of one kind (active or backup) that take turns.
#[derive(Clone, Debug, Default)]
struct Ring {
    /// Members with weight and a turn: a heap with the earliest turn on top.
    heap: Vec<u32>,
    /// Members with weight that have not had a turn in this cycle, the heaviest last.
    fresh: Vec<u32>,
    /// Members with weight whose turn comes after this cycle.
    waiting: Vec<u32>,
    position: u64,
    cycle_end: u64,
    total_weight: u32,
    count: u32,
    order: u64,
}

/// The servers of one backend, for choosing among them.
#[derive(Clone, Debug)]
pub struct Group {
    algorithm: Algorithm,
    all_backups: bool,
    members: Vec<Member>,
    active: Ring,
    backup: Ring,
    /// Members taken out while a pick passes them over.
    passed: Vec<u32>,
}

/// How many rounds a cycle has.
const CYCLE_ROUNDS: u64 = 16;

impl Group {
    /// A group of servers in the order of the configuration. `all_backups` is
    /// `option allbackups`.
    pub fn new(algorithm: Algorithm, places: &[Place], all_backups: bool) -> Self {
        let ring = |count| Ring {
            heap: Vec::with_capacity(count),
            fresh: Vec::with_capacity(count),
            waiting: Vec::with_capacity(count),
            ..Ring::default()
        };
        let mut group = Self {
            algorithm,
            all_backups,
            members: Vec::with_capacity(places.len()),
            active: ring(places.len()),
            backup: ring(places.len()),
            passed: Vec::with_capacity(places.len()),
        };
        for (index, place) in (0..).zip(places) {
            group.add(*place);
            let ring = if place.backup {
                &mut group.backup
            } else {
                &mut group.active
            };
            ring.set_weight(&mut group.members, index, u32::from(place.weight), true);
        }
        group.active.cycle_end = CYCLE_ROUNDS * u64::from(group.active.total_weight);
        group.backup.cycle_end = CYCLE_ROUNDS * u64::from(group.backup.total_weight);
        group
    }

    /// Adds a server without weight at the end and says its place.
    fn add(&mut self, place: Place) -> u32 {
        let fresh = Member {
            weight: 0,
            backup: place.backup,
            turn: None,
            carried: 0,
            order: 0,
        };
        self.members.push(fresh);
        self.members.len() as u32 - 1
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Active servers with weight.
    pub const fn active(&self) -> u32 {
        self.active.count
    }

    /// Backup servers with weight.
    pub const fn backup(&self) -> u32 {
        self.backup.count
    }

    /// True when no server has any weight.
    pub const fn is_empty(&self) -> bool {
        self.active.count == 0 && self.backup.count == 0
    }

    /// The total weight of those that serve now: the active ones, or the backups that stand in.
    pub fn total_weight(&self) -> u32 {
        match (self.active.count, self.all_backups) {
            (0, true) => self.backup.total_weight,
            (0, false) => self
                .first_backup(None)
                .map_or(0, |index| self.weight(index)),
            _ => self.active.total_weight,
        }
    }

    /// A server's effective weight.
    pub fn weight(&self, index: u32) -> u32 {
        self.members
            .get(index as usize)
            .map_or(0, |member| member.weight)
    }

    /// Sets a server's effective weight, 0 to 256: 0 takes it out (down, drained, in
    /// maintenance).
    pub fn set_weight(&mut self, index: u32, weight: u16) {
        let Some(member) = self.members.get(index as usize) else {
            return;
        };
        let ring = if member.backup {
            &mut self.backup
        } else {
            &mut self.active
        };
        ring.set_weight(&mut self.members, index, u32::from(weight), false);
    }

    /// Chooses a server for a session. `avoid` is taken only when no other is left (redispatch);
    /// a server for which `full` is true is passed over.
    pub fn pick(&mut self, avoid: Option<u32>, mut full: impl FnMut(u32) -> bool) -> Picked {
        if self.is_empty() {
            return Picked::None;
        }
        if self.active.count == 0 && !self.all_backups {
            return match self.first_backup(avoid).or_else(|| self.first_backup(None)) {
                Some(index) if full(index) => Picked::AllFull,
                Some(index) => Picked::Server(index),
                None => Picked::None,
            };
        }
        match self.algorithm {
            Algorithm::RoundRobin => self.pick_in_turn(avoid, full),
        }
    }

    /// The first backup with weight that is not `avoid`.
    fn first_backup(&self, avoid: Option<u32>) -> Option<u32> {
        let usable = |(index, member): &(u32, &Member)| {
            member.backup && member.weight > 0 && Some(*index) != avoid
        };
        (0..)
            .zip(&self.members)
            .find(usable)
            .map(|(index, _)| index)
    }

    fn pick_in_turn(&mut self, avoid: Option<u32>, mut full: impl FnMut(u32) -> bool) -> Picked {
        let ring = if self.active.count > 0 {
            &mut self.active
        } else {
            &mut self.backup
        };
        let mut chosen = None;
        let mut spare = None;
        let mut renewed = false;
        debug_assert!(self.passed.is_empty());
        ring.begin_cycle_if_due(&mut self.members);
        loop {
            let Some(index) = ring.take_next(&self.members) else {
                if renewed || ring.waiting.is_empty() {
                    break;
                }
                // Those who wait for the next cycle are better than nobody.
                renewed = true;
                ring.begin_cycle_if_due(&mut self.members);
                continue;
            };
            // Whoever is passed over has had its turn all the same: it gets no burst afterwards.
            ring.use_turn(&mut self.members[index as usize]);
            self.passed.push(index);
            if full(index) {
                continue;
            }
            if avoid != Some(index) {
                chosen = Some(index);
                break;
            }
            spare = Some(index);
        }
        chosen = chosen.or(spare);
        ring.position += u64::from(chosen.is_some());
        for index in self.passed.drain(..) {
            ring.enter(&self.members, index);
        }
        chosen.map_or(Picked::AllFull, Picked::Server)
    }
}

impl Ring {
    fn set_weight(&mut self, members: &mut [Member], index: u32, weight: u32, at_start: bool) {
        let member = &mut members[index as usize];
        let before = member.weight;
        if before == weight {
            return;
        }
        if before > 0 {
            self.leave(members, index);
        }
        self.total_weight = self.total_weight - before + weight;
        self.count = self.count + u32::from(before == 0) - u32::from(weight == 0);
        let member = &mut members[index as usize];
        member.weight = weight;
        if weight == 0 {
            return;
        }
        self.order += 1;
        member.order = self.order;
        if at_start {
            member.turn = None;
        } else if before == 0 {
            let others = self.total_weight - weight;
            member.turn = Some(self.position + u64::from(others.div_ceil(weight)));
            // What was carried before stays, even where it is more than the new weight: it is
            // worked off turn by turn, in HAProxy too.
        } else if member.turn.is_some() {
            member.turn = Some(self.position + u64::from(self.total_weight / weight));
            member.carried = 0;
        }
        self.enter(members, index);
    }

    /// Begins the next cycle when this one is over, or has nobody left: those who waited for it
    /// are as if they had never had a turn.
    fn begin_cycle_if_due(&mut self, members: &mut [Member]) {
        let is_empty = self.heap.is_empty() && self.fresh.is_empty();
        if self.position < self.cycle_end && !is_empty {
            return;
        }
        self.position = self.position.max(self.cycle_end);
        self.cycle_end = self.position + CYCLE_ROUNDS * u64::from(self.total_weight);
        while let Some(index) = self.waiting.pop() {
            let member = &mut members[index as usize];
            member.turn = None;
            member.carried = 0;
            self.enter(members, index);
        }
    }

    /// Takes out the member whose turn it is: the earliest when its turn has come, else the
    /// heaviest of those without one, else the earliest.
    fn take_next(&mut self, members: &[Member]) -> Option<u32> {
        let first = self.heap.first().copied();
        let due = first.is_some_and(|index| members[index as usize].turn <= Some(self.position));
        if !due && let Some(index) = self.fresh.pop() {
            return Some(index);
        }
        first.inspect(|_| self.remove_at(members, 0))
    }

    /// Moves a member that was taken out on to its next turn.
    fn use_turn(&mut self, member: &mut Member) {
        let total = self.total_weight;
        let from = member.turn.unwrap_or(self.position);
        member.carried += total % member.weight;
        let whole = member.carried >= member.weight;
        if whole {
            member.carried -= member.weight;
        }
        member.turn = Some(from + u64::from(total / member.weight) + u64::from(whole));
        self.order += 1;
        member.order = self.order;
    }

    /// Puts a member with weight in.
    fn enter(&mut self, members: &[Member], index: u32) {
        let member = &members[index as usize];
        if member.turn >= Some(self.cycle_end) {
            self.waiting.push(index);
            return;
        }
        if member.turn.is_none() {
            let heavier = |other: &u32| {
                let other = &members[*other as usize];
                (other.weight, member.order) < (member.weight, other.order)
            };
            let at = self.fresh.partition_point(heavier);
            self.fresh.insert(at, index);
            return;
        }
        let mut at = self.heap.len();
        self.heap.push(index);
        while at > 0 {
            let parent = (at - 1) / 2;
            if key(members, self.heap[parent]) <= key(members, index) {
                break;
            }
            self.heap[at] = self.heap[parent];
            at = parent;
        }
        self.heap[at] = index;
    }

    /// Takes a member out, wherever it is: only changes of weight do this, so a scan will do.
    fn leave(&mut self, members: &[Member], index: u32) {
        if let Some(at) = self.heap.iter().position(|other| *other == index) {
            self.remove_at(members, at);
        } else {
            self.fresh.retain(|other| *other != index);
            self.waiting.retain(|other| *other != index);
        }
    }

    fn remove_at(&mut self, members: &[Member], at: usize) {
        let Some(last) = self.heap.pop() else { return };
        if at == self.heap.len() {
            return;
        }
        // The last one takes the empty place and moves to where it belongs.
        self.heap[at] = last;
        let mut at = at;
        while at > 0 && key(members, self.heap[at]) < key(members, self.heap[(at - 1) / 2]) {
            self.heap.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
        loop {
            let children = (2 * at + 1)..(2 * at + 3).min(self.heap.len());
            let Some(child) = children.min_by_key(|child| key(members, self.heap[*child])) else {
                break;
            };
            if key(members, self.heap[at]) <= key(members, self.heap[child]) {
                break;
            }
            self.heap.swap(at, child);
            at = child;
        }
    }
}

/// What orders the turns: the earliest first, then the one owed most, then who came first.
fn key(members: &[Member], index: u32) -> (Option<u64>, i64, u64) {
    let member = &members[index as usize];
    (
        member.turn,
        i64::from(member.carried) - i64::from(member.weight),
        member.order,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(weights: &[u16]) -> Group {
        let places: Vec<_> = weights
            .iter()
            .map(|weight| Place {
                weight: *weight,
                backup: false,
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
            .map(|_| letter(group.pick(None, |_| false)))
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
                group.set_weight(*index, *weight);
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
        let place = |weight, backup| Place { weight, backup };
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
            group.set_weight(2, 1);
            assert_eq!(letters(&mut group, 4), with_both_again);
            group.set_weight(0, 1);
            assert_eq!(letters(&mut group, 4), "aaaa");
            for index in 0..4 {
                group.set_weight(index, 0);
            }
            assert_eq!(group.pick(None, |_| false), Picked::None);
        }
    }

    #[test]
    fn avoided_and_full_servers_are_passed_over() {
        let mut group = group(&[1, 1, 1]);
        assert_eq!(group.pick(Some(0), |_| false), Picked::Server(1));
        assert_eq!(group.pick(None, |_| true), Picked::AllFull);
        group.set_weight(1, 0);
        group.set_weight(2, 0);
        assert_eq!(
            group.pick(Some(0), |_| false),
            Picked::Server(0),
            "nobody else is left"
        );
        assert_eq!(group.pick(Some(0), |index| index == 0), Picked::AllFull);
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
                let picked = group.pick(None, |index| index == held && taken);
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
    fn many_servers_and_changes_keep_the_heap_in_order() {
        let mut group = group(&[5; 100]);
        let mut seed = 1u32;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let index = (seed >> 8) % 100;
            if seed >> 29 == 0 {
                group.set_weight(index, (seed % 257) as u16);
            }
            let picked = group.pick(Some(index), |other| other % 7 == index % 7);
            assert!(matches!(picked, Picked::Server(_)));
            let heap = &group.active.heap;
            for at in 1..heap.len() {
                let (above, below) = (heap[(at - 1) / 2], heap[at]);
                assert!(key(&group.members, above) <= key(&group.members, below));
            }
            let rest = group.active.fresh.len() + group.active.waiting.len();
            assert_eq!(heap.len() + rest, group.active() as usize);
        }
    }
}
