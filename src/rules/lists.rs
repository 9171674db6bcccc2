//! Lists of patterns and maps as they are now: what the runtime socket shows and changes
//! (management.txt 9.3, "show acl", "show map" and their kin).
//!
//! A list is a file that rules name, or the patterns of one ACL, and is known by its number. ACLs
//! and lookups read the same list in their own ways (`Reader`). The configuration keeps each
//! list as it was read. Of one that was changed there is a list of entries here, with HAProxy's
//! versions: a version is filled beside the one in use and takes its place at once.
//!
//! What reads a changed list is made anew, once for all changes of a turn: maps, the patterns of
//! ACLs, and the tries by which a plan finds rules that such an ACL keys (`plan`). All of it is
//! found by number ([`Context::changed`]), and nothing is looked for while nothing was changed, so
//! that changing costs requests nothing.
//! Rejected: changing an index in place (each would need a way to take a key out again).
//!
//! [`Context::changed`]: super::Context::changed

mod difference;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::rc::Rc;

pub use self::difference::{Difference, ListName, Pair, names};
use super::condition::{Acl, AclId};
use super::fetch::Sample;
use super::file::Columns;
use super::map::{self, Kind, Map};
use super::network::Network;
use super::pattern::{Flavour, Matching, Patterns};
use super::plan::{Group, Index};

/// Entries that rules compare with or look up in.
#[derive(Clone, Debug)]
pub struct List {
    /// Its number: `#<id>`.
    pub id: u32,
    /// Where it comes from.
    pub source: Source,
    /// Where it is named: file and line.
    pub uses: Vec<(String, u32)>,
    /// It is a file of keys and values.
    pub is_map: bool,
    entries: Entries,
    /// The version in use.
    pub current: u32,
    /// The last version that was begun.
    pub next: u32,
    /// Who reads it, in the order of the configuration.
    readers: Vec<Reader>,
    is_stale: bool,
}

/// Where a list comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file, by its path as the configuration has it.
    File(String),
    /// The words of an ACL.
    Words(Words),
}

/// Whose words a list is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// The ACL's criterion.
    pub keyword: String,
    /// The section, with what it is: `frontend web`.
    pub section: String,
    /// The ACL's name; empty between braces.
    pub acl: String,
    /// The number asked for by `-u`.
    pub id: Option<u32>,
}

/// Its entries, which cost nothing of their own before the first change.
#[derive(Clone, Debug)]
enum Entries {
    /// The text of a file.
    AsRead(Rc<[u8]>, Columns),
    /// The words of an ACL.
    AsSaid(Rc<[Box<[u8]>]>),
    /// With the last number that was given.
    Changed(Vec<Owned>, u64),
}

/// One way in which a list is read.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reader {
    /// A lookup, by its number among all of them.
    Lookup(u32, Kind),
    /// An ACL.
    Patterns(Flavour),
}

/// An entry of a list that was changed.
#[derive(Clone, Debug)]
struct Owned {
    id: u64,
    version: u32,
    key: Box<[u8]>,
    value: Box<[u8]>,
}

/// A pattern, or a key and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its number in its list, from 1.
    pub id: u64,
    /// The version it belongs to.
    pub version: u32,
    /// The pattern or key.
    pub key: &'a [u8],
    /// The value; empty where there is none.
    pub value: &'a [u8],
}

/// Which entries of a list a command means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which<'a> {
    /// All of the version in use with this key.
    Key(&'a [u8]),
    /// The one of this number.
    Id(u64),
}

impl Owned {
    fn of(entry: Entry<'_>) -> Self {
        Self {
            id: entry.id,
            version: entry.version,
            key: entry.key.into(),
            value: entry.value.into(),
        }
    }

    fn entry(&self) -> Entry<'_> {
        Entry {
            id: self.id,
            version: self.version,
            key: &self.key,
            value: &self.value,
        }
    }
}

impl Which<'_> {
    fn means(self, entry: Entry<'_>, current: u32) -> bool {
        match self {
            Self::Key(key) => entry.key == key && entry.version == current,
            Self::Id(id) => entry.id == id,
        }
    }
}

/// What one reader of a list finds for a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The way of matching.
    pub matching: &'static str,
    /// Case does not matter.
    pub any_case: bool,
    /// The type of the values; none for an ACL.
    pub output: Option<&'static str>,
    /// What was found.
    pub hit: Option<Hit>,
}

/// An entry that matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Where HAProxy has it: in a tree or in a list.
    pub is_tree: bool,
    /// Key and value; none where what matches is no entry.
    pub entry: Option<(Vec<u8>, Vec<u8>)>,
}

impl List {
    pub(super) fn of_file(path: String, contents: Rc<[u8]>, columns: Columns) -> Self {
        let entries = Entries::AsRead(contents, columns);
        Self::new(Source::File(path), entries, columns == Columns::Two)
    }

    pub(super) fn of_words(words: Words, patterns: Vec<Box<[u8]>>) -> Self {
        let entries = Entries::AsSaid(patterns.into());
        Self::new(Source::Words(words), entries, false)
    }

    fn new(source: Source, entries: Entries, is_map: bool) -> Self {
        Self {
            id: 0,
            source,
            uses: Vec::new(),
            is_map,
            entries,
            current: 0,
            next: 0,
            readers: Vec::new(),
            is_stale: false,
        }
    }

    /// It is read by a lookup that has a number of its own.
    pub(super) fn add_lookup(&mut self, number: u32, kind: Kind) {
        self.add_reader(Reader::Lookup(number, kind));
    }

    /// It is read by an ACL.
    pub(super) fn add_flavour(&mut self, flavour: Flavour) {
        self.add_reader(Reader::Patterns(flavour));
    }

    fn add_reader(&mut self, reader: Reader) {
        if !self.readers.contains(&reader) {
            self.readers.push(reader);
        }
    }

    /// The path of its file.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match &self.source {
            Source::File(path) => Some(path),
            Source::Words(_) => None,
        }
    }

    /// An ACL compares with it.
    #[must_use]
    pub fn is_acl(&self) -> bool {
        let by_acl = |reader: &Reader| matches!(reader, Reader::Patterns(_));
        self.readers.iter().any(by_acl)
    }

    /// All entries, of all versions, in order.
    pub fn all(&self) -> impl Iterator<Item = Entry<'_>> {
        let (mut one, mut two, mut said, mut changed) = (None, None, None, None);
        match &self.entries {
            Entries::AsRead(contents, Columns::One) => one = Some(patterns(contents)),
            Entries::AsRead(contents, Columns::Two) => two = Some(map::pairs(contents)),
            Entries::AsSaid(words) => said = Some(words.iter()),
            Entries::Changed(entries, _) => changed = Some(entries.iter()),
        }
        let one = one.into_iter().flatten().map(|(_, key)| key);
        let said = said.into_iter().flatten().map(|word| &**word);
        let bare = one.chain(said).map(|key| (key, &[][..]));
        let read = bare.chain(two.into_iter().flatten()).zip(1..);
        let read = read.map(|((key, value), id)| Entry {
            id,
            version: 0,
            key,
            value,
        });
        read.chain(changed.into_iter().flatten().map(Owned::entry))
    }

    /// The entries of a version, in order.
    pub fn entries(&self, version: u32) -> impl Iterator<Item = Entry<'_>> {
        self.all().filter(move |entry| entry.version == version)
    }

    /// Works on the entries as a list of their own, and the last number that was given.
    fn change(&mut self, work: impl FnOnce(&mut Vec<Owned>, &mut u64)) {
        if !matches!(self.entries, Entries::Changed(..)) {
            let all: Vec<Owned> = self.all().map(Owned::of).collect();
            let last = all.last().map_or(0, |entry| entry.id);
            self.entries = Entries::Changed(all, last);
        }
        if let Entries::Changed(all, last) = &mut self.entries {
            work(all, last);
        }
    }

    /// Whether an entry could stand here, for each of the readers.
    ///
    /// # Errors
    /// What the first one says that cannot read it, with its full stop.
    pub fn check(&self, key: &[u8], value: &[u8]) -> Result<(), String> {
        self.readers.iter().try_for_each(|reader| match reader {
            Reader::Lookup(_, kind) => {
                let map = Map::of([(key, value)].into_iter(), *kind);
                map.map(drop).map_err(|text| format!("{text}."))
            }
            Reader::Patterns(flavour) => flavour.read(key).map(drop),
        })
    }

    /// Whether there is such an entry.
    #[must_use]
    pub fn has(&self, which: Which<'_>) -> bool {
        self.all().any(|entry| which.means(entry, self.current))
    }

    /// What each reader finds for a text.
    #[must_use]
    pub fn find(&self, text: &[u8]) -> Vec<Found> {
        let present: Vec<Entry<'_>> = self.entries(self.current).collect();
        let readers = self.readers.iter();
        let all = readers.map(|reader| match reader {
            Reader::Lookup(_, kind) => {
                let pairs = present.iter().map(|entry| (entry.key, entry.value));
                let map = Map::of(pairs, *kind).ok();
                let place = map.and_then(|map| map.place_of(text));
                let (matching, is_tree) = kind.matching_name();
                Found {
                    matching,
                    any_case: false,
                    output: Some(kind.output_name()),
                    hit: place
                        .and_then(|place| present.get(place))
                        .map(|entry| Hit::new(is_tree, entry)),
                }
            }
            Reader::Patterns(flavour) => Found {
                matching: flavour.matching.name(),
                any_case: flavour.any_case,
                output: None,
                hit: pattern_hit(*flavour, text, &present),
            },
        });
        all.collect()
    }
}

impl Hit {
    fn new(is_tree: bool, entry: &Entry<'_>) -> Self {
        Self {
            is_tree,
            entry: Some((entry.key.to_vec(), entry.value.to_vec())),
        }
    }
}

/// The pattern that a text matches: the finest of those in a tree, else the first.
fn pattern_hit(flavour: Flavour, text: &[u8], present: &[Entry<'_>]) -> Option<Hit> {
    let words = std::str::from_utf8(text).ok();
    let number = || words?.parse::<i64>().ok();
    let sample = match flavour.matching {
        Matching::Found => return None,
        Matching::Bool => {
            let hit = number()? != 0;
            return hit.then_some(Hit {
                is_tree: true,
                entry: None,
            });
        }
        Matching::Int => Sample::Int(number()?),
        Matching::Ip => Sample::Ip(words?.parse::<IpAddr>().ok()?),
        _ => Sample::Str(text),
    };
    let mut folded = Vec::new();
    let mut matches = |entry: &&Entry<'_>| {
        let one = flavour.read(entry.key);
        one.is_ok_and(|one| one.matches(sample, &mut folded))
    };
    // How fine a pattern of a tree is.
    let fineness = |entry: &Entry<'_>| match (flavour.matching, flavour.any_case) {
        (Matching::Str, false) => Some(0),
        (Matching::Beg, false) => Some(entry.key.len()),
        (Matching::Ip, _) => Network::read(entry.key, super::compile::parse_ip)?.prefix(),
        _ => None,
    };
    let mut best: Option<(&Entry<'_>, Option<usize>)> = None;
    for entry in present.iter().filter(|entry| matches(entry)) {
        let fine = fineness(entry);
        if best.is_none_or(|(_, known)| fine > known) {
            best = Some((entry, fine));
        }
    }
    best.map(|(entry, fine)| Hit::new(fine.is_some(), entry))
}

/// The patterns of a file, each with the number of its line: blanks at the front are cut, empty
/// lines and lines that begin with `#` are none.
pub(super) fn patterns(contents: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = contents.split(|byte| *byte == b'\n').zip(1..);
    lines.filter_map(|(line, number)| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let pattern = line.trim_ascii_start();
        (!line.starts_with(b"#") && !pattern.is_empty()).then_some((number, pattern))
    })
}

/// A key and a value that are to come; the value of a pattern is empty.
pub type NewEntry = (Vec<u8>, Vec<u8>);

/// A change of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListChange {
    /// `add acl`, `add map`: entries for a version.
    Add(u32, Vec<NewEntry>),
    /// `set map` by key.
    Set(Vec<u8>, Vec<u8>),
    /// `set map` by number.
    SetOne(u64, Vec<u8>),
    /// `del acl`, `del map` by key.
    Delete(Vec<u8>),
    /// The same by number.
    DeleteOne(u64),
    /// `clear acl`, `clear map`: the entries of a version.
    Clear(u32),
    /// `prepare acl`, `prepare map`.
    Prepare,
    /// `commit acl`, `commit map`: this version is in use from now on, older ones are gone.
    Commit(u32),
}

/// All lists.
#[derive(Debug, Default)]
pub struct Lists {
    all: Vec<List>,
    /// By number of lookup, where its list was changed.
    maps: Vec<Option<Map>>,
    /// By number of ACL.
    patterns: Vec<Option<Patterns>>,
    /// By number of the group of rules.
    indices: Vec<Option<Vec<Index>>>,
    /// Something was changed since the last time.
    is_stale: bool,
}

impl Lists {
    /// The lists of a configuration, not changed yet.
    #[must_use]
    pub fn new(all: Vec<List>) -> Self {
        Self {
            all,
            ..Self::default()
        }
    }

    /// The lists, in the order in which the configuration names them.
    #[must_use]
    pub fn all(&self) -> &[List] {
        &self.all
    }

    /// What was changed; none if nothing was.
    #[must_use]
    pub fn changed(&self) -> Option<&Self> {
        let unchanged = self.maps.is_empty() && self.patterns.is_empty();
        (!unchanged).then_some(self)
    }

    /// The present map of a lookup, where its list was changed.
    pub(super) fn map(&self, lookup: u32) -> Option<&Map> {
        self.maps.get(lookup as usize)?.as_ref()
    }

    /// The present patterns of an ACL, where one of its lists was changed.
    pub(super) fn patterns(&self, acl: AclId) -> Option<&Patterns> {
        self.patterns.get(acl.0 as usize)?.as_ref()
    }

    /// The present tries of a group of rules, where an ACL that keys one of them was changed.
    pub(super) fn indices(&self, group: u32) -> Option<&[Index]> {
        self.indices.get(group as usize)?.as_deref()
    }

    /// Changes a list, by its place among them.
    pub fn change(&mut self, list: usize, change: ListChange) {
        let Some(list) = self.all.get_mut(list) else {
            return;
        };
        let current = list.current;
        if change == ListChange::Prepare {
            list.next = list.next.wrapping_add(1);
            return;
        }
        if let ListChange::Commit(version) = change {
            list.current = version;
        }
        list.is_stale = true;
        self.is_stale = true;
        list.change(|entries, last| match change {
            ListChange::Prepare => {}
            ListChange::Add(version, new) => {
                for (key, value) in new {
                    *last = last.saturating_add(1);
                    entries.push(Owned {
                        id: *last,
                        version,
                        key: key.into(),
                        value: value.into(),
                    });
                }
            }
            ListChange::Set(key, value) => {
                let its = |entry: &&mut Owned| Which::Key(&key).means(entry.entry(), current);
                for entry in entries.iter_mut().filter(its) {
                    entry.value = value.as_slice().into();
                }
            }
            ListChange::SetOne(id, value) => {
                if let Some(entry) = entries.iter_mut().find(|entry| entry.id == id) {
                    entry.value = value.into();
                }
            }
            ListChange::Delete(key) => {
                entries.retain(|entry| !Which::Key(&key).means(entry.entry(), current));
            }
            ListChange::DeleteOne(id) => entries.retain(|entry| entry.id != id),
            ListChange::Clear(version) => entries.retain(|entry| entry.version != version),
            ListChange::Commit(version) => entries.retain(|entry| entry.version >= version),
        });
    }

    /// Does to a list, by its place among them, what another process did to it. Gives how many
    /// entries were left out.
    pub fn follow(&mut self, list: usize, difference: &Difference) -> usize {
        self.is_stale = true;
        let list = self.all.get_mut(list);
        list.map_or(0, |list| list.follow(difference))
    }

    /// Makes anew what reads a list that was changed since the last time. `acls` and `groups` are
    /// `Config::acls` and `Config::groups`.
    pub fn refresh(&mut self, acls: &[Acl], groups: &[Rc<Group>]) {
        if !std::mem::take(&mut self.is_stale) {
            return;
        }
        let mut stale = BTreeSet::new();
        for (place, list) in (0_u32..).zip(&mut self.all) {
            if std::mem::take(&mut list.is_stale) {
                stale.insert(place);
                refresh_maps(list, &mut self.maps);
            }
        }
        let mut changed = BTreeSet::new();
        for (id, acl) in (0..).map(AclId).zip(acls) {
            if !acl.parts().iter().any(|part| stale.contains(&part.list)) {
                continue;
            }
            let values = acl.parts().iter().flat_map(|part| {
                let list = self.all.get(part.list as usize);
                let entries = list.into_iter().flat_map(|list| list.entries(list.current));
                entries.map(|entry| (entry.key, part.flavour.any_case))
            });
            // Each entry was checked when it came.
            if let Ok(patterns) = Patterns::of(acl.patterns().matching(), values) {
                put(&mut self.patterns, id.0, patterns);
                changed.insert(id);
            }
        }
        let affected = groups
            .iter()
            .filter(|group| group.is_keyed_by(|acl| changed.contains(&acl)));
        for group in affected {
            let indices = group.index(|acl| {
                let known = acls.get(acl.0 as usize).map(Acl::patterns);
                self.patterns(acl).or(known)
            });
            put(&mut self.indices, group.number(), indices);
        }
    }
}

/// Indexes a list anew for each of its lookups.
fn refresh_maps(list: &List, maps: &mut Vec<Option<Map>>) {
    for reader in &list.readers {
        if let Reader::Lookup(number, kind) = reader {
            let present = list.entries(list.current);
            // Each entry was checked when it came.
            if let Ok(map) = Map::of(present.map(|entry| (entry.key, entry.value)), *kind) {
                put(maps, *number, map);
            }
        }
    }
}

/// Puts a value in its place, which may not be there yet.
fn put<T>(all: &mut Vec<Option<T>>, place: u32, value: T) {
    let place = place as usize;
    if all.len() <= place {
        all.resize_with(place.saturating_add(1), || None);
    }
    if let Some(slot) = all.get_mut(place) {
        *slot = Some(value);
    }
}

#[cfg(test)]
mod tests;
