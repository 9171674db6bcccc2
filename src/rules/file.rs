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

/// The files read so far. Compiling expressions has only shared access to what is around them, so
/// they are taken out of the cell and put back.
#[derive(Default)]
pub struct Files(Cell<BTreeMap<Box<[u8]>, File>>);

struct File {
    columns: Columns,
    contents: Rc<[u8]>,
    maps: Vec<(Kind, Rc<Map>)>,
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
        let mut files = self.0.take();
        let file = find(&mut files, path, columns, around);
        let contents = file.map(|file| Rc::clone(&file.contents));
        self.0.set(files);
        contents
    }

    /// The map of a file. The error is HAProxy's, without its full stop.
    pub(super) fn map(
        &self,
        path: &[u8],
        kind: Kind,
        around: &dyn Surroundings,
    ) -> Result<Rc<Map>, String> {
        let mut files = self.0.take();
        let file = find(&mut files, path, Columns::Two, around);
        let map = file.and_then(|file| {
            if let Some((_, map)) = file.maps.iter().find(|(known, _)| *known == kind) {
                return Ok(Rc::clone(map));
            }
            let map = Map::new(Rc::clone(&file.contents), kind, path)?;
            let map = Rc::new(map);
            file.maps.push((kind, Rc::clone(&map)));
            Ok(map)
        });
        self.0.set(files);
        map
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
