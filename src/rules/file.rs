//! Files that rules name: patterns (`-f`) and maps.
//!
//! A file is read when it is first named and kept until the configuration is complete: who names
//! it again gets the same lines, be it a pipe, and expressions that look it up in the same way
//! share one map. A file of one column (patterns) cannot be one of two (a map), as in HAProxy.
//! It must never open anything itself: [`Surroundings::read`] has the limits.
//! Rejected: keeping this in what surrounds a line, which would have to know maps.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::compile::Surroundings;
use super::map::{Kind, Map};
use super::maps::MapFile;

/// The files read so far. Compiling expressions has only shared access to what is around them, so
/// they are taken out of the cell and put back.
#[derive(Default)]
pub struct Files {
    all: Cell<BTreeMap<Box<[u8]>, File>>,
    /// The maps among them, in the order in which they were named.
    maps: Cell<Vec<MapFile>>,
    /// Maps that were named since somebody asked, by their place among the maps.
    named: Cell<Vec<usize>>,
    /// How many lookups of maps there are.
    lookups: Cell<u32>,
}

struct File {
    columns: Columns,
    contents: Rc<[u8]>,
    maps: Vec<(Kind, Rc<Map>, u32)>,
    /// Its place among the maps.
    place: Option<usize>,
}

/// What the lines of a file hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Columns {
    /// A pattern.
    One,
    /// A key and a value.
    Two,
}

impl Files {
    /// The contents of a file. The error is HAProxy's, without its full stop.
    pub(super) fn read(
        &self,
        path: &[u8],
        columns: Columns,
        around: &dyn Surroundings,
    ) -> Result<Rc<[u8]>, String> {
        let mut files = self.all.take();
        let file = find(&mut files, path, columns, around);
        let contents = file.map(|file| Rc::clone(&file.contents));
        self.all.set(files);
        contents
    }

    /// The map of a file, and the number of its lookup. The error is HAProxy's, without its full
    /// stop.
    pub(super) fn map(
        &self,
        path: &[u8],
        kind: Kind,
        around: &dyn Surroundings,
    ) -> Result<(Rc<Map>, u32), String> {
        let mut files = self.all.take();
        let file = find(&mut files, path, Columns::Two, around);
        let map = file.and_then(|file| self.map_of(file, kind, path));
        self.all.set(files);
        map
    }

    fn map_of(&self, file: &mut File, kind: Kind, path: &[u8]) -> Result<(Rc<Map>, u32), String> {
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
        let mut maps = self.maps.take();
        let place = *file.place.get_or_insert_with(|| {
            let path = String::from_utf8_lossy(path).into_owned();
            maps.push(MapFile::new(path, Rc::clone(&file.contents)));
            maps.len().saturating_sub(1)
        });
        if let Some(listed) = maps.get_mut(place) {
            listed.add_lookup(number, kind);
        }
        self.maps.set(maps);
        let mut named = self.named.take();
        named.push(place);
        self.named.set(named);
        Ok((map, number))
    }

    /// The maps that were named since the last time are named in this line.
    pub fn settle(&self, file: &str, line: u32) {
        let named = self.named.take();
        if named.is_empty() {
            return;
        }
        let mut maps = self.maps.take();
        for place in named {
            if let Some(map) = maps.get_mut(place) {
                map.uses.push((file.to_owned(), line));
            }
        }
        self.maps.set(maps);
    }

    /// All maps, in the order in which they were named.
    pub fn take_maps(&self) -> Vec<MapFile> {
        self.maps.take()
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
            place: None,
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
