//! A list of rules that is not tried one by one.
//!
//! Real configurations have hundreds of rules of one kind: `use_backend ... if { path_beg ... }`,
//! by host, by suffix. A condition that cannot hold unless some literal is found in some sample is
//! *keyed* by these literals. All rules keyed by the same sample share tries (`trie`), and one
//! walk over the sample tells the first rule that can hold. That rule's whole condition is then
//! asked as ever, so that a plan only leaves out what would have said no: order, edits and
//! everything else stay what they are without it.
//!
//! It must never leave out a rule that holds. A sample that changes by itself within a request
//! keys nothing; after an edit the candidates are looked up again.
//! Rejected: keys of regular expressions, numbers and networks (rare in long lists), and one tree
//! over several samples (order would have to be kept by other means).

use std::ops::Deref;
use std::rc::Rc;

use super::Context;
use super::condition::{Acl, AclId, Condition};
use super::fetch::Scratch;
use super::pattern::{Literally, Patterns};
use super::trie::Trie;

/// Samples that key rules of one list; further ones are left to their conditions.
const GROUPS_MAX: usize = 4;

/// Fewer rules than this are tried one by one: a walk would not pay.
const GROUP_MIN: usize = 2;

/// No rule.
const NONE: u32 = u32::MAX;

/// What stands in a list of rules.
pub trait Conditional {
    /// Its condition; none always holds.
    fn condition(&self) -> Option<&Condition>;
}

/// Rules in order, and how to find the next one that can hold.
#[derive(Debug)]
pub struct Rules<R> {
    list: Vec<R>,
    /// By the first rule of each.
    groups: Vec<Rc<Group>>,
    /// The rules of no group, ascending. Without groups it is empty and all rules are tried.
    others: Vec<u32>,
}

/// The rules that one sample keys.
#[derive(Debug)]
pub struct Group {
    /// Its number among all groups of the configuration.
    number: u32,
    /// Ascending.
    rules: Vec<u32>,
    /// The ACLs that key each of them.
    keyed_by: Vec<Box<[AclId]>>,
    /// An ACL whose sample it is.
    sample: AclId,
    indices: Vec<Index>,
}

/// What plans are made with: the ACLs (`Config::acls`), and all groups made so far.
#[derive(Debug)]
pub struct Planner<'a> {
    acls: &'a [Acl],
    groups: Vec<Rc<Group>>,
}

impl<'a> Planner<'a> {
    /// A planner that has made nothing.
    #[must_use]
    pub fn new(acls: &'a [Acl]) -> Self {
        let groups = Vec::new();
        Self { acls, groups }
    }

    /// The ACLs.
    #[must_use]
    pub fn acls(&self) -> &'a [Acl] {
        self.acls
    }

    /// All groups, by number.
    #[must_use]
    pub fn finish(self) -> Vec<Rc<Group>> {
        self.groups
    }
}

/// The literals of one way of matching.
#[derive(Debug)]
pub(super) struct Index {
    how: Literally,
    any_case: bool,
    trie: Trie,
}

impl<R: Conditional> Rules<R> {
    /// A plan for these rules.
    #[must_use]
    pub fn new(list: Vec<R>, planner: &mut Planner<'_>) -> Self {
        let acls = planner.acls;
        let keys: Vec<Vec<Key<'_>>> = list
            .iter()
            .map(|rule| rule.condition().map_or(Vec::new(), |c| keys(c, acls)))
            .collect();
        // A rule goes to the sample that keys most of the rules.
        let mut samples: Vec<(&[u8], usize)> = Vec::new();
        for key in keys.iter().flatten() {
            match samples.iter_mut().find(|(known, _)| *known == key.sample) {
                Some((_, rules)) => *rules = rules.saturating_add(1),
                None => samples.push((key.sample, 1)),
            }
        }
        samples.sort_by_key(|(_, rules)| std::cmp::Reverse(*rules));
        samples.retain(|(_, rules)| *rules >= GROUP_MIN);
        samples.truncate(GROUPS_MAX);
        let mut members: Vec<Vec<(u32, &Key<'_>)>> = vec![Vec::new(); samples.len()];
        let mut others = Vec::new();
        for (at, keys) in (0..).zip(&keys) {
            let chosen = samples
                .iter()
                .zip(&mut members)
                .find_map(|(sample, rules)| {
                    let key = keys.iter().find(|key| key.sample == sample.0)?;
                    Some((key, rules))
                });
            match chosen {
                Some((key, rules)) => rules.push((at, key)),
                None => others.push(at),
            }
        }
        let mut groups = Vec::new();
        for members in &members {
            let number = planner.groups.len() as u32;
            if let Some(group) = Group::new(number, members, acls).map(Rc::new) {
                planner.groups.push(Rc::clone(&group));
                groups.push(group);
            }
        }
        groups.sort_by_key(|group: &Rc<Group>| group.rules.first().copied());
        if groups.is_empty() {
            others.clear();
        }
        Self {
            list,
            groups,
            others,
        }
    }
}

impl<R> Rules<R> {
    /// The first rule that is not tried yet and may hold; whoever asks asks its condition.
    pub fn next<C: Context>(
        &self,
        walk: &mut Walk,
        acls: &[Acl],
        context: &C,
        scratch: &mut Scratch,
    ) -> Option<&R> {
        let from = walk.from;
        let mut first = if self.groups.is_empty() {
            from
        } else {
            at_least(&self.others, from)
        };
        for (group, candidate) in self.groups.iter().zip(&mut walk.candidates) {
            if at_least(&group.rules, from) > first {
                continue;
            }
            let known = candidate.filter(|known| *known >= from);
            let found = known.unwrap_or_else(|| group.find(from, acls, context, scratch));
            *candidate = Some(found);
            first = first.min(found);
        }
        let rule = self.list.get(first as usize)?;
        walk.from = first.saturating_add(1);
        Some(rule)
    }
}

impl<R> Deref for Rules<R> {
    type Target = [R];

    fn deref(&self) -> &[R] {
        &self.list
    }
}

impl<R> Default for Rules<R> {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            groups: Vec::new(),
            others: Vec::new(),
        }
    }
}

/// How far one message has come in a list of rules.
#[derive(Debug, Default)]
pub struct Walk {
    /// The next rule to look at.
    from: u32,
    /// The next rule of each group that may hold, as far as it is known.
    candidates: [Option<u32>; GROUPS_MAX],
}

impl Walk {
    /// One that begins with this rule.
    pub(super) fn from(from: u32) -> Self {
        Self {
            from,
            ..Self::default()
        }
    }

    /// The rule behind the last one that was found.
    pub(super) fn next(&self) -> u32 {
        self.from
    }

    /// The message was edited: what was found in it may be gone.
    pub fn forget(&mut self) {
        self.candidates = [None; GROUPS_MAX];
    }
}

/// A sample and ACLs on it, one of which must match for a condition to hold.
#[derive(Debug)]
struct Key<'a> {
    /// The text of its expression.
    sample: &'a [u8],
    acls: Vec<AclId>,
}

/// The samples that key a condition: in each of its groups stands a term on that sample, not
/// negated, all of whose ACLs compare with literals.
fn keys<'a>(condition: &Condition, acls: &'a [Acl]) -> Vec<Key<'a>> {
    let mut keys: Vec<Key<'a>> = Vec::new();
    for (at, group) in condition.alternatives().enumerate() {
        let mut here: Vec<Key<'a>> = Vec::new();
        for term in group {
            let literal = |id: &AclId| acls.get(id.0 as usize)?.literal_sample();
            let Some(sample) = term.first().and_then(literal) else {
                continue;
            };
            let same = term.iter().all(|id| literal(id) == Some(sample));
            if same && !here.iter().any(|key| key.sample == sample) {
                let acls = term.to_vec();
                here.push(Key { sample, acls });
            }
        }
        if at == 0 {
            keys = here;
            continue;
        }
        keys.retain_mut(|key| {
            let other = here.iter().find(|other| other.sample == key.sample);
            key.acls.extend(other.iter().flat_map(|other| &other.acls));
            other.is_some()
        });
    }
    keys
}

impl Group {
    fn new(number: u32, members: &[(u32, &Key<'_>)], acls: &[Acl]) -> Option<Self> {
        let sample = *members.first()?.1.acls.first()?;
        let keyed_by = members.iter().map(|(_, key)| key.acls.as_slice().into());
        let mut group = Self {
            number,
            rules: members.iter().map(|(rule, _)| *rule).collect(),
            keyed_by: keyed_by.collect(),
            sample,
            indices: Vec::new(),
        };
        group.indices = group.index(|acl| acls.get(acl.0 as usize).map(Acl::patterns));
        Some(group)
    }

    /// Its number among all groups of the configuration.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Whether such an ACL keys one of its rules.
    pub(super) fn is_keyed_by(&self, is_it: impl Fn(AclId) -> bool) -> bool {
        self.keyed_by.iter().flatten().any(|acl| is_it(*acl))
    }

    /// The tries of what the ACLs that key its rules compare with.
    pub(super) fn index<'p>(
        &self,
        patterns_of: impl Fn(AclId) -> Option<&'p Patterns>,
    ) -> Vec<Index> {
        let mut kinds: Vec<(Literally, bool)> = Vec::new();
        let mut entries: Vec<Vec<(Vec<u8>, u32)>> = Vec::new();
        for (rule, acls) in self.rules.iter().zip(&self.keyed_by) {
            let patterns = acls.iter().filter_map(|acl| patterns_of(*acl));
            let literals = patterns.filter_map(Patterns::literals).flatten();
            for (how, any_case, literal) in literals {
                let known = kinds.iter().position(|kind| *kind == (how, any_case));
                if known.is_none() {
                    kinds.push((how, any_case));
                    entries.push(Vec::new());
                }
                let place = known.unwrap_or_else(|| entries.len().saturating_sub(1));
                if let Some(of_kind) = entries.get_mut(place) {
                    of_kind.push((how.key(literal), *rule));
                }
            }
        }
        let kinds = kinds.into_iter().zip(entries);
        let indices = kinds.map(|((how, any_case), all)| Index {
            how,
            any_case,
            trie: Trie::new(all),
        });
        indices.collect()
    }

    /// The first rule from `from` on whose key is in the message.
    fn find<C: Context>(&self, from: u32, acls: &[Acl], context: &C, scratch: &mut Scratch) -> u32 {
        let mut first = NONE;
        let Some(acl) = acls.get(self.sample.0 as usize) else {
            return first;
        };
        let changed = context.changed();
        let changed = changed.and_then(|lists| lists.indices(self.number));
        let indices = changed.unwrap_or(&self.indices);
        acl.each_sample(context, scratch, |sample| {
            let Some(text) = sample.bytes() else {
                // No text: its rules are asked one by one.
                first = first.min(at_least(&self.rules, from));
                return;
            };
            for index in indices {
                first = first.min(index.find(from, text));
            }
        });
        first
    }
}

impl Index {
    fn find(&self, from: u32, text: &[u8]) -> u32 {
        let forward = text.iter().copied();
        let backward = text.iter().rev().copied();
        match (self.how, self.any_case) {
            (Literally::End, false) => self.walk(from, text.len(), backward),
            (Literally::End, true) => self.walk(
                from,
                text.len(),
                backward.map(|byte| byte.to_ascii_lowercase()),
            ),
            (_, false) => self.walk(from, text.len(), forward),
            (_, true) => self.walk(
                from,
                text.len(),
                forward.map(|byte| byte.to_ascii_lowercase()),
            ),
        }
    }

    fn walk(&self, from: u32, length: usize, text: impl Iterator<Item = u8>) -> u32 {
        let mut first = NONE;
        self.trie.prefixes(text, |matched, rules| {
            if self.how != Literally::Whole || matched == length {
                first = first.min(at_least(rules, from));
            }
            false
        });
        first
    }
}

/// The first of ascending numbers that is not below `from`.
fn at_least(numbers: &[u32], from: u32) -> u32 {
    let at = match numbers.first() {
        Some(first) if *first >= from => 0,
        _ => numbers.partition_point(|number| *number < from),
    };
    numbers.get(at).copied().unwrap_or(NONE)
}

#[cfg(test)]
mod tests;
