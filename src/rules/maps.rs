//! Maps as they are now: what the runtime socket shows and changes (management.txt 9.3).
//!
//! The configuration keeps each map as it was read. Of a file that was changed there is a list of
//! pairs here, with HAProxy's versions: a version is filled beside the one in use and takes its
//! place at once. A lookup asks for the present map by its number ([`Context::map`]) and finds the
//! one of the configuration where nothing was changed, so that changing costs requests nothing.
//! A changed file is indexed anew once for all changes of a turn.
//!
//! [`Context::map`]: super::Context::map

use std::rc::Rc;

use super::map::{Kind, Map};

/// A file of keys and values that lookups name.
#[derive(Clone, Debug)]
pub struct MapFile {
    /// Its path as the configuration has it.
    pub path: String,
    /// Where it is named: file and line.
    pub uses: Vec<(String, u32)>,
    pairs: Pairs,
    /// The version in use.
    pub current: u32,
    /// The last version that was begun.
    pub next: u32,
    lookups: Vec<(u32, Kind)>,
    is_stale: bool,
}

/// Its lines, which cost nothing of their own before the first change.
#[derive(Clone, Debug)]
enum Pairs {
    AsRead(Rc<[u8]>),
    Changed(Vec<Owned>, u64),
}

/// A pair of a file that was changed.
#[derive(Clone, Debug)]
struct Owned {
    id: u64,
    version: u32,
    key: Box<[u8]>,
    value: Box<[u8]>,
}

/// A key and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// Its number in its file, from 1.
    pub id: u64,
    /// The version it belongs to.
    pub version: u32,
    /// The key.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
}

/// Which pairs of a file a command means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which<'a> {
    /// All of the version in use with this key.
    Key(&'a [u8]),
    /// The one of this number.
    Id(u64),
}

impl Owned {
    fn of(pair: Pair<'_>) -> Self {
        Self {
            id: pair.id,
            version: pair.version,
            key: pair.key.into(),
            value: pair.value.into(),
        }
    }

    fn pair(&self) -> Pair<'_> {
        Pair {
            id: self.id,
            version: self.version,
            key: &self.key,
            value: &self.value,
        }
    }
}

impl Which<'_> {
    fn means(self, pair: Pair<'_>, current: u32) -> bool {
        match self {
            Self::Key(key) => pair.key == key && pair.version == current,
            Self::Id(id) => pair.id == id,
        }
    }
}

/// What one lookup of a file finds for a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The way of matching, and whether it looks into a tree.
    pub matching: (&'static str, bool),
    /// The type of the values.
    pub output: &'static str,
    /// Key and value.
    pub pair: Option<(Vec<u8>, Vec<u8>)>,
}

impl MapFile {
    pub(super) fn new(path: String, contents: Rc<[u8]>) -> Self {
        Self {
            path,
            uses: Vec::new(),
            pairs: Pairs::AsRead(contents),
            current: 0,
            next: 0,
            lookups: Vec::new(),
            is_stale: false,
        }
    }

    /// A lookup of this file that has a number of its own.
    pub(super) fn add_lookup(&mut self, number: u32, kind: Kind) {
        if !self.lookups.contains(&(number, kind)) {
            self.lookups.push((number, kind));
        }
    }

    /// All pairs, of all versions, in order.
    pub fn all(&self) -> impl Iterator<Item = Pair<'_>> {
        let (read, changed): (&[u8], &[Owned]) = match &self.pairs {
            Pairs::AsRead(contents) => (contents, &[]),
            Pairs::Changed(pairs, _) => (&[], pairs),
        };
        let read = super::map::pairs(read).zip(1..);
        let read = read.map(|((key, value), id)| Pair {
            id,
            version: 0,
            key,
            value,
        });
        read.chain(changed.iter().map(Owned::pair))
    }

    /// The pairs of a version, in order.
    pub fn pairs(&self, version: u32) -> impl Iterator<Item = Pair<'_>> {
        self.all().filter(move |pair| pair.version == version)
    }

    /// Works on the pairs as a list of their own, and the last number that was given.
    fn change(&mut self, work: impl FnOnce(&mut Vec<Owned>, &mut u64)) {
        if let Pairs::AsRead(_) = &self.pairs {
            let all: Vec<Owned> = self.all().map(Owned::of).collect();
            let last = all.last().map_or(0, |pair| pair.id);
            self.pairs = Pairs::Changed(all, last);
        }
        if let Pairs::Changed(all, last) = &mut self.pairs {
            work(all, last);
        }
    }

    /// Whether a pair could stand here, for each of the lookups.
    ///
    /// # Errors
    /// What the first one says that cannot read it.
    pub fn check(&self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let check = |(_, kind): &(u32, Kind)| Map::of([(key, value)].into_iter(), *kind);
        self.lookups
            .iter()
            .try_for_each(|lookup| check(lookup).map(drop))
    }

    /// Whether there is such a pair.
    #[must_use]
    pub fn has(&self, which: Which<'_>) -> bool {
        self.all().any(|pair| which.means(pair, self.current))
    }

    /// What each lookup finds for a text.
    #[must_use]
    pub fn find(&self, text: &[u8]) -> Vec<Found> {
        let present: Vec<Pair<'_>> = self.pairs(self.current).collect();
        let find = |(_, kind): &(u32, Kind)| {
            let pairs = present.iter().map(|pair| (pair.key, pair.value));
            let map = Map::of(pairs, *kind).ok();
            let place = map.and_then(|map| map.place_of(text));
            let pair = place.and_then(|place| present.get(place));
            Found {
                matching: kind.matching_name(),
                output: kind.output_name(),
                pair: pair.map(|pair| (pair.key.to_vec(), pair.value.to_vec())),
            }
        };
        self.lookups.iter().map(find).collect()
    }
}

/// A key and a value that are to come.
pub type NewPair = (Vec<u8>, Vec<u8>);

/// A change of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapChange {
    /// `add map`: pairs for a version.
    Add(u32, Vec<NewPair>),
    /// `set map` by key.
    Set(Vec<u8>, Vec<u8>),
    /// `set map` by number.
    SetOne(u64, Vec<u8>),
    /// `del map` by key.
    Delete(Vec<u8>),
    /// `del map` by number.
    DeleteOne(u64),
    /// `clear map`: the pairs of a version.
    Clear(u32),
    /// `prepare map`.
    Prepare,
    /// `commit map`: this version is in use from now on, older ones are gone.
    Commit(u32),
}

/// All maps.
#[derive(Debug, Default)]
pub struct Maps {
    files: Vec<MapFile>,
    /// By number of lookup, where the file was changed.
    now: Vec<Option<Map>>,
}

impl Maps {
    /// The maps of a configuration, not changed yet.
    #[must_use]
    pub fn new(files: Vec<MapFile>) -> Self {
        let numbers = files.iter().flat_map(|file| &file.lookups);
        let count = numbers.map(|(number, _)| *number as usize).max();
        let count = count.map_or(0, |last| last.saturating_add(1));
        let now = std::iter::repeat_with(|| None).take(count).collect();
        Self { files, now }
    }

    /// The files, in the order in which the configuration names them.
    #[must_use]
    pub fn files(&self) -> &[MapFile] {
        &self.files
    }

    /// The present map of a lookup, where its file was changed.
    #[must_use]
    pub fn changed(&self, lookup: u32) -> Option<&Map> {
        self.now.get(lookup as usize)?.as_ref()
    }

    /// Changes a file, by its place among them.
    pub fn change(&mut self, file: usize, change: MapChange) {
        let Some(file) = self.files.get_mut(file) else {
            return;
        };
        let current = file.current;
        if change == MapChange::Prepare {
            file.next = file.next.wrapping_add(1);
            return;
        }
        if let MapChange::Commit(version) = change {
            file.current = version;
        }
        file.is_stale = true;
        file.change(|pairs, last| match change {
            MapChange::Prepare => {}
            MapChange::Add(version, new) => {
                for (key, value) in new {
                    *last = last.saturating_add(1);
                    pairs.push(Owned {
                        id: *last,
                        version,
                        key: key.into(),
                        value: value.into(),
                    });
                }
            }
            MapChange::Set(key, value) => {
                let its = |pair: &&mut Owned| Which::Key(&key).means(pair.pair(), current);
                for pair in pairs.iter_mut().filter(its) {
                    pair.value = value.as_slice().into();
                }
            }
            MapChange::SetOne(id, value) => {
                if let Some(pair) = pairs.iter_mut().find(|pair| pair.id == id) {
                    pair.value = value.into();
                }
            }
            MapChange::Delete(key) => {
                pairs.retain(|pair| !Which::Key(&key).means(pair.pair(), current));
            }
            MapChange::DeleteOne(id) => pairs.retain(|pair| pair.id != id),
            MapChange::Clear(version) => pairs.retain(|pair| pair.version != version),
            MapChange::Commit(version) => pairs.retain(|pair| pair.version >= version),
        });
    }

    /// Indexes anew what was changed since the last time.
    pub fn refresh(&mut self) {
        for file in self.files.iter_mut().filter(|file| file.is_stale) {
            file.is_stale = false;
            for (number, kind) in &file.lookups {
                let pairs = file.pairs(file.current).map(|pair| (pair.key, pair.value));
                // Each pair was checked when it came.
                if let Ok(map) = Map::of(pairs, *kind)
                    && let Some(now) = self.now.get_mut(*number as usize)
                {
                    *now = Some(map);
                }
            }
        }
    }
}
