//! Files that rules name (`-f`, maps), and the lists that ACLs are made of.
//!
//! A file is read when it is first named and kept until the configuration is complete: who names
//! it again gets the same lines, be it a pipe, and expressions that look it up in the same way
//! share one map. A file of one column (patterns) cannot be one of two (a map), as in HAProxy.
//! Each file is a list with a number, and so are the patterns that stand in an ACL's line; lines
//! of a `defaults` section, which are compiled again for each proxy, have the same lists each time.
//! It must never open anything itself: [`Surroundings::read`] has the limits.
//! Rejected: keeping this in what surrounds a line, which would have to know maps.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::compile::Surroundings;
use super::lists::{List, Source, Words};
use super::map::{Kind, Map};
use super::pattern::Flavour;

/// The files read so far. Compiling expressions has only shared access to what is around them, so
/// they are taken out of the cell and put back.
#[derive(Default)]
pub struct Files {
    all: Cell<BTreeMap<Box<[u8]>, File>>,
    /// All lists, in the order in which they were named.
    lists: Cell<Vec<List>>,
    /// How many lookups of maps there are.
    lookups: Cell<u32>,
    reading: Cell<Reading>,
    /// The lists that each line named.
    lines: Cell<BTreeMap<(String, u32), Vec<usize>>>,
}

/// The line that is being compiled.
#[derive(Default)]
struct Reading {
    /// File and number.
    place: (String, u32),
    /// The lists that it named so far.
    named: Vec<usize>,
    /// The lists that it named when it was compiled before, but for those.
    before: Vec<usize>,
}

struct File {
    columns: Columns,
    contents: Rc<[u8]>,
    maps: Vec<(Kind, Rc<Map>, u32)>,
}

/// What the lines of a file hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Columns {
    /// A pattern.
    One,
    /// A key and a value.
    Two,
}

/// Works on what is in a cell.
fn with<C: Default, T>(cell: &Cell<C>, work: impl FnOnce(&mut C) -> T) -> T {
    let mut all = cell.take();
    let outcome = work(&mut all);
    cell.set(all);
    outcome
}

impl Files {
    /// A line begins: what is named from now on is named there.
    pub fn begin(&self, file: &str, line: u32) {
        let mut last = self.reading.take();
        last.named.append(&mut last.before);
        if !last.named.is_empty() {
            with(&self.lines, |lines| lines.insert(last.place, last.named));
        }
        let place = (file.to_owned(), line);
        let before = with(&self.lines, |lines| lines.remove(&place));
        self.reading.set(Reading {
            place,
            named: Vec::new(),
            before: before.unwrap_or_default(),
        });
    }

    /// The contents of a file of patterns and the place of its list. The error is HAProxy's,
    /// without its full stop.
    pub(super) fn patterns(
        &self,
        path: &[u8],
        columns: Columns,
        flavour: Flavour,
        around: &dyn Surroundings,
    ) -> Result<(Rc<[u8]>, usize), String> {
        let contents = with(&self.all, |files| {
            let file = find(files, path, columns, around)?;
            Ok::<_, String>(Rc::clone(&file.contents))
        })?;
        let place = self.name_file(path, &contents, columns, |list| list.add_flavour(flavour));
        Ok((contents, place))
    }

    /// The place of the list of the patterns in an ACL's line.
    ///
    /// # Errors
    /// The number asked for is another list's.
    pub(super) fn words(
        &self,
        words: &Words,
        patterns: Vec<Box<[u8]>>,
        flavour: Flavour,
    ) -> Result<usize, &'static str> {
        let is_same = |list: &List| {
            let same = matches!(&list.source, Source::Words(known)
                if (&known.keyword, &known.acl) == (&words.keyword, &words.acl));
            let keys = list.all().map(|entry| entry.key);
            same && keys.eq(patterns.iter().map(|pattern| &**pattern))
        };
        if let Some(place) = self.named_before(is_same) {
            return Ok(place);
        }
        let asked = |list: &List| match &list.source {
            Source::Words(known) => known.id,
            Source::File(_) => None,
        };
        let place = with(&self.lists, |lists| {
            if words.id.is_some() && lists.iter().any(|list| asked(list) == words.id) {
                return Err("the id is already used");
            }
            let mut list = List::of_words(words.clone(), patterns);
            list.add_flavour(flavour);
            lists.push(list);
            Ok(lists.len().saturating_sub(1))
        })?;
        self.note(place);
        Ok(place)
    }

    /// The map of a file, and the number of its lookup. The error is HAProxy's, without its full
    /// stop.
    pub(super) fn map(
        &self,
        path: &[u8],
        kind: Kind,
        around: &dyn Surroundings,
    ) -> Result<(Rc<Map>, u32), String> {
        let (contents, map, number) = with(&self.all, |files| {
            let file = find(files, path, Columns::Two, around)?;
            let known = file.maps.iter().find(|(known, ..)| *known == kind);
            let known = known.map(|(_, map, number)| (Rc::clone(map), *number));
            let (map, number) = match known {
                Some(known) => known,
                None => {
                    let map = Rc::new(Map::new(Rc::clone(&file.contents), kind, path)?);
                    let number = self.lookups.get();
                    self.lookups.set(number.saturating_add(1));
                    file.maps.push((kind, Rc::clone(&map), number));
                    (map, number)
                }
            };
            Ok::<_, String>((Rc::clone(&file.contents), map, number))
        })?;
        let add = |list: &mut List| list.add_lookup(number, kind);
        self.name_file(path, &contents, Columns::Two, add);
        Ok((map, number))
    }

    /// Names the list of a file in the present line, and gives its place.
    fn name_file(
        &self,
        path: &[u8],
        contents: &Rc<[u8]>,
        columns: Columns,
        add_reader: impl FnOnce(&mut List),
    ) -> usize {
        let path = String::from_utf8_lossy(path);
        let is_it = |list: &List| list.path() == Some(&*path);
        let before = self.named_before(is_it);
        let place = with(&self.lists, |lists| {
            let known = before.or_else(|| lists.iter().position(is_it));
            let place = known.unwrap_or(lists.len());
            if known.is_none() {
                let contents = Rc::clone(contents);
                lists.push(List::of_file(path.clone().into_owned(), contents, columns));
            }
            if let Some(list) = lists.get_mut(place) {
                add_reader(list);
            }
            place
        });
        if before.is_none() {
            self.note(place);
        }
        place
    }

    /// A list that this line named when it was compiled before.
    fn named_before(&self, is_it: impl Fn(&List) -> bool) -> Option<usize> {
        with(&self.reading, |reading| {
            let at = with(&self.lists, |lists| {
                let mut before = reading.before.iter();
                before.position(|place| lists.get(*place).is_some_and(&is_it))
            })?;
            let place = reading.before.remove(at);
            reading.named.push(place);
            Some(place)
        })
    }

    /// A list is named in this line for the first time.
    fn note(&self, place: usize) {
        let line = with(&self.reading, |reading| {
            reading.named.push(place);
            reading.place.clone()
        });
        with(&self.lists, |lists| {
            if let Some(list) = lists.get_mut(place) {
                list.uses.push(line);
            }
        });
    }

    /// All lists, in the order in which they were named, with their numbers.
    pub fn take_lists(&self) -> Vec<List> {
        let mut lists = self.lists.take();
        let asked = |list: &List| match &list.source {
            Source::Words(words) => words.id,
            Source::File(_) => None,
        };
        let taken: BTreeSet<u32> = lists.iter().filter_map(asked).collect();
        let mut free = (0..=u32::MAX).filter(|id| !taken.contains(id));
        for list in &mut lists {
            list.id = asked(list).or_else(|| free.next()).unwrap_or_default();
        }
        lists
    }
}

fn find<'f>(
    files: &'f mut BTreeMap<Box<[u8]>, File>,
    path: &[u8],
    columns: Columns,
    around: &dyn Surroundings,
) -> Result<&'f mut File, String> {
    let shown = String::from_utf8_lossy(path);
    if !files.contains_key(path) {
        let contents = around.read(path).map_err(|why| match why.as_str() {
            "No such file or directory" | "Permission denied" => {
                format!("failed to open pattern file <{shown}>")
            }
            _ => format!("error encountered while reading  <{shown}> : {why}"),
        })?;
        let file = File {
            columns,
            contents: contents.into(),
            maps: Vec::new(),
        };
        files.insert(path.into(), file);
    }
    match files.get_mut(path) {
        Some(file) if file.columns == columns => Ok(file),
        _ => {
            let (before, now) = match columns {
                Columns::One => ("two", "one"),
                Columns::Two => ("one", "two"),
            };
            Err(format!(
                "The file \"{shown}\" is already used as {before} column file and cannot be used by as {now} column file"
            ))
        }
    }
}
