//! What was changed in a list since its file was read, and the same done to another reading of it.
//!
//! A process that follows another one reads the files anew. A change at run time is kept while the
//! file says what it said before: an entry that was deleted goes where it still stands as it did,
//! a value that was set is set where the old one still stands, and what was added comes behind,
//! unless the file has it by now. So whoever edits a file has the last word about what he edits.

use std::collections::HashMap;

use super::{Entries, Entry, List, Owned, Source};

/// What was changed in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// The version in use.
    pub current: u32,
    /// The last version that was begun.
    pub next: u32,
    /// Entries of the file that are gone: keys and values.
    pub deleted: Vec<Pair>,
    /// Entries of the file with another value: key, value in the file, value.
    pub set: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)>,
    /// What came: version, key and value.
    pub added: Vec<(u32, Vec<u8>, Vec<u8>)>,
}

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// The key and the value of an entry.
fn pair(entry: Entry<'_>) -> Pair {
    (entry.key.to_vec(), entry.value.to_vec())
}

/// By which name another process knows a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListName {
    /// Its file, and whether that is a map.
    File(String, bool),
    /// The number that was asked for.
    Number(u32),
    /// The ACL's section, name and criterion; of one without a name also its patterns. Of several
    /// that are alike, the how manieth it is.
    Words([String; 3], Vec<Vec<u8>>, usize),
}

/// The names of lists as they were read, in their order.
#[must_use]
pub fn names(lists: &[List]) -> Vec<ListName> {
    let mut alike: HashMap<ListName, usize> = HashMap::new();
    let name = |list: &List| {
        let words = match &list.source {
            Source::File(path) => return ListName::File(path.clone(), list.is_map),
            Source::Words(words) => words,
        };
        if let Some(number) = words.id {
            return ListName::Number(number);
        }
        let patterns = match words.acl.as_str() {
            "" => list.all().map(|entry| entry.key.to_vec()).collect(),
            _ => Vec::new(),
        };
        let names = [&words.section, &words.acl, &words.keyword].map(String::clone);
        let name = ListName::Words(names, patterns, 0);
        let before = alike.entry(name.clone()).or_default();
        let nth = *before;
        *before = nth.saturating_add(1);
        match name {
            ListName::Words(names, patterns, _) => ListName::Words(names, patterns, nth),
            other => other,
        }
    };
    lists.iter().map(name).collect()
}

impl List {
    /// What was changed since it was read as `read` has it; none if nothing was.
    #[must_use]
    pub fn difference(&self, read: &Self) -> Option<Difference> {
        if !matches!(self.entries, Entries::Changed(..)) && self.next == 0 {
            return None;
        }
        let mut difference = Difference {
            current: self.current,
            next: self.next,
            ..Difference::default()
        };
        // Entries of the file keep the numbers that it gave them.
        let mut now = self.all().peekable();
        let mut last = 0;
        for before in read.all() {
            last = before.id;
            match now.next_if(|entry| entry.id == before.id) {
                None => difference.deleted.push(pair(before)),
                Some(entry) if entry.value == before.value => {}
                Some(entry) => {
                    let (key, value) = pair(before);
                    difference.set.push((key, value, entry.value.to_vec()));
                }
            }
        }
        for entry in now {
            debug_assert!(entry.id > last);
            let (key, value) = pair(entry);
            difference.added.push((entry.version, key, value));
        }
        Some(difference)
    }

    /// Does the same to this list as it was read. Gives how many entries nobody could read who
    /// reads the list here; they are left out.
    pub fn follow(&mut self, difference: &Difference) -> usize {
        let mut deleted: HashMap<(&[u8], &[u8]), usize> = HashMap::new();
        for (key, value) in &difference.deleted {
            let times = deleted.entry((key, value)).or_default();
            *times = times.saturating_add(1);
        }
        let set = difference.set.iter();
        let set: HashMap<(&[u8], &[u8]), &[u8]> = set
            .map(|(key, before, value)| ((key.as_slice(), before.as_slice()), value.as_slice()))
            .collect();
        let mut left_out = 0_usize;
        let mut entries = Vec::new();
        let mut last = 0;
        let mut stood: HashMap<(&[u8], &[u8]), usize> = HashMap::new();
        for entry in self.all() {
            last = entry.id;
            let named = (entry.key, entry.value);
            if let Some(times) = deleted.get_mut(&named).filter(|times| **times > 0) {
                *times = times.saturating_sub(1);
                continue;
            }
            let value = set.get(&named).copied();
            let value = value.filter(|value| self.check(entry.key, value).is_ok());
            let value = value.unwrap_or(entry.value);
            let times = stood.entry(named).or_default();
            *times = times.saturating_add(1);
            entries.push(Owned {
                id: entry.id,
                version: difference.current,
                key: entry.key.into(),
                value: value.into(),
            });
        }
        for (version, key, value) in &difference.added {
            // The file may have it by now.
            if *version == difference.current
                && let Some(times) = stood.get_mut(&(key.as_slice(), value.as_slice()))
                && *times > 0
            {
                *times = times.saturating_sub(1);
                continue;
            }
            if self.check(key, value).is_err() {
                left_out = left_out.saturating_add(1);
                continue;
            }
            last = last.saturating_add(1);
            entries.push(Owned {
                id: last,
                version: *version,
                key: key.as_slice().into(),
                value: value.as_slice().into(),
            });
        }
        self.entries = Entries::Changed(entries, last);
        (self.current, self.next) = (difference.current, difference.next);
        self.is_stale = true;
        left_out
    }
}
