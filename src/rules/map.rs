//! Maps: converters that look a sample up in a file of keys and values.
//!
//! `map_<match>_<output>(file[,default])` (configuration.txt 7.3.1). Each way of matching has an
//! index, so that a map of thousands costs what a map of five costs: text goes through a trie,
//! numbers and addresses through sorted, disjoint stretches. Regular expressions alone are tried
//! one by one. The finest key wins where keys nest (`beg`, `ip`), the first of the file elsewhere.
//!
//! A map is immutable and is shared by the expressions that name it. Changing one at run time makes
//! another (`lists`), which a lookup finds by its number. Its text stays as it was read, with each
//! value's place in it, and the one place that looks up is `Lookup::find`.
//! Looking up must not allocate, nor copy a value. Rejected: hashing of keys (a hash of the whole
//! text, and nothing for prefixes), and a list for `sub`, `dir`, `dom` and `end`.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::rc::Rc;

use super::Context;
use super::args::{self, Args};
use super::compile::Compiler;
use super::convert::{Build, Output, Row, Step};
use super::fetch::{Sample, Type};
use super::network::{Network, embedded};
use super::pattern;
use super::regex::{Regex, expand, is_replacement};
use super::trie::Trie;

/// How a key is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matching {
    Str,
    Beg,
    End,
    Sub,
    Dir,
    Dom,
    Reg,
    /// The same; the value is a replacement that names groups.
    Regm,
    Int,
    Ip,
}

/// What distinguishes the converters from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    matching: Matching,
    /// The type of the values: `Str`, `Int` or `Ip`.
    output: Type,
}

impl Kind {
    /// HAProxy's name for the way of matching, and whether it looks into a tree.
    pub(super) fn matching_name(self) -> (&'static str, bool) {
        match self.matching {
            Matching::Str => ("str", true),
            Matching::Beg => ("beg", true),
            Matching::End => ("end", false),
            Matching::Sub => ("sub", false),
            Matching::Dir => ("dir", false),
            Matching::Dom => ("dom", false),
            Matching::Reg => ("reg", false),
            Matching::Regm => ("regm", false),
            Matching::Int => ("int", false),
            Matching::Ip => ("ip", true),
        }
    }

    /// HAProxy's name for the type of the values.
    pub(super) fn output_name(self) -> &'static str {
        match self.output {
            Type::Int => "sint",
            Type::Ip => "ipv4",
            _ => "str",
        }
    }
}

/// Writes a row.
const fn row(name: &'static str, matching: Matching, output: Type) -> Row {
    Row {
        name,
        kinds: match output {
            Type::Int => &[args::Kind::Str, args::Kind::Int],
            _ => &[args::Kind::Str, args::Kind::Str],
        },
        required: 1,
        input: Some(match matching {
            Matching::Int => Type::Int,
            Matching::Ip => Type::Ip,
            _ => Type::Str,
        }),
        output,
        build: Build::Map(Kind { matching, output }),
    }
}

#[rustfmt::skip]
pub(super) const TABLE: &[Row] = &[
    row("map", Matching::Str, Type::Str),
    row("map_beg", Matching::Beg, Type::Str),
    row("map_beg_int", Matching::Beg, Type::Int),
    row("map_beg_ip", Matching::Beg, Type::Ip),
    row("map_dir", Matching::Dir, Type::Str),
    row("map_dir_int", Matching::Dir, Type::Int),
    row("map_dir_ip", Matching::Dir, Type::Ip),
    row("map_dom", Matching::Dom, Type::Str),
    row("map_dom_int", Matching::Dom, Type::Int),
    row("map_dom_ip", Matching::Dom, Type::Ip),
    row("map_end", Matching::End, Type::Str),
    row("map_end_int", Matching::End, Type::Int),
    row("map_end_ip", Matching::End, Type::Ip),
    row("map_int", Matching::Int, Type::Str),
    row("map_int_int", Matching::Int, Type::Int),
    row("map_int_ip", Matching::Int, Type::Ip),
    row("map_ip", Matching::Ip, Type::Str),
    row("map_ip_int", Matching::Ip, Type::Int),
    row("map_ip_ip", Matching::Ip, Type::Ip),
    row("map_reg", Matching::Reg, Type::Str),
    row("map_reg_int", Matching::Reg, Type::Int),
    row("map_reg_ip", Matching::Reg, Type::Ip),
    row("map_regm", Matching::Regm, Type::Str),
    row("map_str", Matching::Str, Type::Str),
    row("map_str_int", Matching::Str, Type::Int),
    row("map_str_ip", Matching::Str, Type::Ip),
    row("map_sub", Matching::Sub, Type::Str),
    row("map_sub_int", Matching::Sub, Type::Int),
    row("map_sub_ip", Matching::Sub, Type::Ip),
];

/// A compiled converter: a map, and what to yield when nothing is found in it.
#[derive(Debug)]
pub(super) struct Lookup {
    map: Rc<Map>,
    /// Its number among all lookups of files.
    number: u32,
    default: Option<Value>,
}

/// What a default holds.
#[derive(Debug)]
enum Value {
    Text(Box<[u8]>),
    Int(i64),
    Ip(IpAddr),
}

/// The keys and values of one file, for one way of matching and one type of values.
#[derive(Debug)]
pub struct Map {
    /// The file.
    contents: Rc<[u8]>,
    index: Index,
    values: Values,
}

/// The keys; what they yield is the number of an entry.
#[derive(Debug)]
enum Index {
    Text(Matching, Trie),
    Regexes(Vec<Regex>),
    /// With whether the entry's value is a replacement.
    Replacements(Vec<(Regex, bool)>),
    Ints(Stretches<i64>),
    Networks(Networks),
}

/// The values by number of entry.
#[derive(Debug)]
enum Values {
    /// Places in the file.
    Text(Vec<Range<u32>>),
    Ints(Vec<i64>),
    Ips(Vec<IpAddr>),
}

/// One line of a file.
struct Entry {
    line: usize,
    key: Range<u32>,
    value: Range<u32>,
}

/// Compiles a converter of that kind.
pub(super) fn compile(kind: Kind, args: &Args, compiler: &Compiler<'_>) -> Result<Step, String> {
    let (map, number) = compiler.files.map(args.text(0), kind, compiler.around)?;
    let text = (args.len() > 1).then(|| args.text(1));
    let default = match kind.output {
        Type::Int => args.int(1).map(Value::Int),
        Type::Ip => match text {
            Some(text) => Some(Value::Ip(strict_ip(text).ok_or_else(|| {
                let text = String::from_utf8_lossy(text);
                format!("map: cannot parse default ip <{text}>.")
            })?)),
            None => None,
        },
        _ => text.map(|text| Value::Text(text.into())),
    };
    Ok(Step::Map(Box::new(Lookup {
        map,
        number,
        default,
    })))
}

impl Lookup {
    /// What the map has for a sample, else the default. `out` is where a replacement is made.
    pub(super) fn find<'c>(
        &'c self,
        sample: Sample<'_>,
        out: &mut Vec<u8>,
        context: &'c impl Context,
    ) -> Option<Output<'c>> {
        let map = context.changed().and_then(|lists| lists.map(self.number));
        let map = map.unwrap_or(&self.map);
        let found = match &map.index {
            Index::Replacements(all) => {
                let text = sample.bytes()?;
                let found = all.iter().zip(0..).find_map(|((regex, whole), entry)| {
                    Some((regex.captures(text, 0)?, *whole, entry))
                });
                if let Some((groups, whole, entry)) = found {
                    // A default stands for what is not there, not for what cannot be made.
                    let by = map.value(entry)?.bytes().filter(|_| whole)?;
                    expand(by, text, &groups, out);
                    return Some(Output::Written { binary: false });
                }
                None
            }
            index => index.find(sample)?,
        };
        let value = match (found, &self.default) {
            (Some(entry), _) => map.value(entry)?,
            (None, Some(Value::Text(text))) => Sample::Str(text),
            (None, Some(Value::Int(n))) => Sample::Int(*n),
            (None, Some(Value::Ip(ip))) => Sample::Ip(*ip),
            (None, None) => return None,
        };
        Some(Output::Sample(value))
    }
}

impl Index {
    /// The entry for a sample; none in vain where the sample is of no use.
    #[expect(
        clippy::option_option,
        reason = "what cannot be asked is not what was not found"
    )]
    fn find(&self, sample: Sample<'_>) -> Option<Option<u32>> {
        Some(match self {
            Self::Text(matching, trie) => find_text(*matching, trie, sample.bytes()?),
            Self::Regexes(all) => {
                let text = sample.bytes()?;
                let found = all.iter().position(|regex| regex.is_match(text));
                found.map(|entry| entry as u32)
            }
            Self::Replacements(all) => {
                let text = sample.bytes()?;
                let found = all.iter().position(|(regex, _)| regex.is_match(text));
                found.map(|entry| entry as u32)
            }
            Self::Ints(stretches) => stretches.find(sample.int()?),
            Self::Networks(networks) => networks.find(sample.ip()?),
        })
    }
}

impl Map {
    /// A map of pairs that are in no file.
    pub(super) fn of<'p>(
        pairs: impl Iterator<Item = (&'p [u8], &'p [u8])>,
        kind: Kind,
    ) -> Result<Self, String> {
        let mut contents = Vec::new();
        let mut put = |bytes: &[u8]| {
            let start = contents.len() as u32;
            contents.extend_from_slice(bytes);
            start..contents.len() as u32
        };
        let entries: Vec<Entry> = pairs
            .map(|(key, value)| Entry {
                line: 0,
                key: put(key),
                value: put(value),
            })
            .collect();
        Self::build(contents.into(), entries.into_iter(), kind).map_err(|(_, text)| text)
    }

    /// The place of the entry that a text finds, as the runtime socket asks for it.
    pub(super) fn place_of(&self, text: &[u8]) -> Option<usize> {
        let number = || std::str::from_utf8(text).ok()?.parse().ok();
        let sample = match &self.index {
            Index::Ints(_) => Sample::Int(number()?),
            Index::Networks(_) => Sample::Ip(strict_ip(text)?),
            _ => Sample::Str(text),
        };
        self.index.find(sample)?.map(|entry| entry as usize)
    }

    /// Reads the lines of a file. The error is HAProxy's, without its full stop.
    pub(super) fn new(contents: Rc<[u8]>, kind: Kind, path: &[u8]) -> Result<Self, String> {
        let lines: Vec<Entry> = entries(&contents).collect();
        Self::build(contents, lines.into_iter(), kind).map_err(|(line, text)| {
            let path = String::from_utf8_lossy(path);
            format!("{text} at line {line} of file '{path}'")
        })
    }

    /// A map of entries of a text; or the line of the first one that cannot be, and why.
    fn build(
        contents: Rc<[u8]>,
        entries: impl Iterator<Item = Entry>,
        kind: Kind,
    ) -> Result<Self, (usize, String)> {
        let mut values = match kind.output {
            Type::Int => Values::Ints(Vec::new()),
            Type::Ip => Values::Ips(Vec::new()),
            _ => Values::Text(Vec::new()),
        };
        let mut keys = Keys::default();
        for (entry, number) in entries.zip(0..) {
            let key = part(&contents, &entry.key);
            let value = part(&contents, &entry.value);
            let added = values
                .add(value, entry.value)
                .and_then(|()| keys.add(kind.matching, number, key, value));
            added.map_err(|text| (entry.line, text))?;
        }
        Ok(Self {
            contents,
            index: keys.finish(kind.matching),
            values,
        })
    }

    fn value(&self, entry: u32) -> Option<Sample<'_>> {
        let entry = entry as usize;
        Some(match &self.values {
            Values::Text(places) => Sample::Str(part(&self.contents, places.get(entry)?)),
            Values::Ints(all) => Sample::Int(*all.get(entry)?),
            Values::Ips(all) => Sample::Ip(*all.get(entry)?),
        })
    }
}

impl Values {
    fn add(&mut self, value: &[u8], place: Range<u32>) -> Result<(), String> {
        let wrong = || format!("unable to parse '{}'", String::from_utf8_lossy(value));
        match self {
            Self::Text(places) => places.push(place),
            Self::Ints(all) => {
                let number = std::str::from_utf8(value).ok().and_then(|n| n.parse().ok());
                all.push(number.ok_or_else(wrong)?);
            }
            Self::Ips(all) => all.push(strict_ip(value).ok_or_else(wrong)?),
        }
        Ok(())
    }
}

/// The keys of a file while it is read.
#[derive(Default)]
struct Keys {
    literals: Vec<(Vec<u8>, u32)>,
    regexes: Vec<(Regex, bool)>,
    ints: Vec<Stretch<i64>>,
    networks: Vec<(Network, u32)>,
}

impl Keys {
    fn add(
        &mut self,
        matching: Matching,
        entry: u32,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), String> {
        match matching {
            Matching::Str | Matching::Beg | Matching::Sub => {
                self.literals.push((key.to_vec(), entry));
            }
            Matching::End => {
                let backwards = key.iter().rev().copied().collect();
                self.literals.push((backwards, entry));
            }
            Matching::Dir | Matching::Dom => {
                // Of delimiters alone nothing is left, which matches nothing.
                let trimmed = pattern::trim(key, delimiters(matching));
                if !trimmed.is_empty() {
                    self.literals.push((trimmed.to_vec(), entry));
                }
            }
            Matching::Reg | Matching::Regm => {
                let regex = Regex::compile(key, false).map_err(|error| error.to_string())?;
                self.regexes.push((regex, is_replacement(value)));
            }
            Matching::Int => self.ints.push(Stretch {
                range: pattern::range(key, None)?.into_inner(),
                rank: (0, entry),
            }),
            Matching::Ip => {
                let network = Network::read(key, strict_ip).ok_or_else(|| {
                    let key = String::from_utf8_lossy(key);
                    format!("'{key}' is not a valid IPv4 or IPv6 address")
                })?;
                self.networks.push((network, entry));
            }
        }
        Ok(())
    }

    fn finish(self, matching: Matching) -> Index {
        match matching {
            Matching::Int => Index::Ints(Stretches::new(&self.ints, |n| n.checked_add(1))),
            Matching::Ip => Index::Networks(Networks::new(&self.networks)),
            Matching::Reg => {
                let regexes = self.regexes.into_iter();
                Index::Regexes(regexes.map(|(regex, _)| regex).collect())
            }
            Matching::Regm => Index::Replacements(self.regexes),
            _ => Index::Text(matching, Trie::new(self.literals)),
        }
    }
}

fn delimiters(matching: Matching) -> &'static [u8] {
    if matching == Matching::Dom {
        pattern::DOM_DELIMITERS
    } else {
        pattern::DIR_DELIMITERS
    }
}

/// The entry whose key is in a text: the longest where keys nest, the first elsewhere.
#[expect(clippy::arithmetic_side_effects, reason = "counts the bytes of a text")]
fn find_text(matching: Matching, trie: &Trie, text: &[u8]) -> Option<u32> {
    let mut best = None;
    let first = |best: &mut Option<u32>, entries: &[u32]| {
        // The entries of one key are in the order of the file.
        let entry = entries.first().copied();
        *best = best.map_or(entry, |best| entry.map(|entry| best.min(entry)));
    };
    let forward = text.iter().copied();
    match matching {
        Matching::Str => {
            trie.prefixes(forward, |length, entries| {
                // No key has a NUL, and HAProxy looks no further than one in the text.
                let whole = text.get(length).is_none_or(|byte| *byte == 0);
                if whole {
                    first(&mut best, entries);
                }
                whole
            });
        }
        Matching::Beg => {
            trie.prefixes(forward, |_, entries| {
                best = entries.first().copied();
                false
            });
        }
        Matching::End => {
            trie.prefixes(forward.rev(), |_, entries| {
                first(&mut best, entries);
                false
            });
        }
        Matching::Dir | Matching::Dom => {
            let ends = |at: usize| {
                let byte = text.get(at);
                byte.is_none_or(|byte| delimiters(matching).contains(byte))
            };
            for at in (0..text.len()).filter(|at| *at == 0 || ends(*at - 1)) {
                trie.prefixes(forward.clone().skip(at), |length, entries| {
                    if ends(at + length) {
                        first(&mut best, entries);
                    }
                    false
                });
            }
        }
        _ => {
            for at in 0..text.len() {
                trie.prefixes(forward.clone().skip(at), |_, entries| {
                    first(&mut best, entries);
                    false
                });
            }
        }
    }
    best
}

/// A stretch of numbers; where several overlap, the lowest rank wins. Its second half is the entry.
struct Stretch<T> {
    range: (T, T),
    rank: (u8, u32),
}

/// Disjoint stretches in order, looked up by halving.
#[derive(Debug)]
struct Stretches<T> {
    /// Where each begins; it goes on to the next.
    starts: Vec<T>,
    /// The entry of each; none in a gap.
    entries: Vec<Option<u32>>,
}

impl<T: Copy + Ord> Stretches<T> {
    /// Cuts stretches that may overlap; `next` gives the number after a number, if there is one.
    fn new(all: &[Stretch<T>], next: impl Fn(T) -> Option<T>) -> Self {
        let mut edges: Vec<(T, bool, (u8, u32))> = Vec::new();
        for stretch in all {
            let (low, high) = stretch.range;
            edges.push((low, true, stretch.rank));
            edges.extend(next(high).map(|after| (after, false, stretch.rank)));
        }
        edges.sort_unstable();
        let mut made = Self {
            starts: Vec::new(),
            entries: Vec::new(),
        };
        let mut open = BTreeSet::new();
        for here in edges.chunk_by(|a, b| a.0 == b.0) {
            for (_, begins, rank) in here {
                if *begins {
                    open.insert(*rank);
                } else {
                    open.remove(rank);
                }
            }
            let entry = open.first().map(|(_, entry)| *entry);
            if let Some((start, ..)) = here.first()
                && made.entries.last().copied().flatten() != entry
            {
                made.starts.push(*start);
                made.entries.push(entry);
            }
        }
        made
    }

    fn find(&self, n: T) -> Option<u32> {
        let after = self.starts.partition_point(|start| *start <= n);
        *self.entries.get(after.checked_sub(1)?)?
    }
}

/// Networks; the longest prefix wins.
#[derive(Debug)]
struct Networks {
    v4: Stretches<u32>,
    v6: Stretches<u128>,
    /// Network, mask and entry where the mask is no prefix: these come last, in order.
    scattered: Vec<(u32, u32, u32)>,
}

impl Networks {
    fn new(all: &[(Network, u32)]) -> Self {
        let (mut v4, mut v6, mut scattered) = (Vec::new(), Vec::new(), Vec::new());
        for (network, entry) in all {
            // The longer the prefix, the lower the rank.
            match *network {
                Network::V4 { bits, mask } if mask.leading_ones() == mask.count_ones() => {
                    v4.push(Stretch {
                        range: (bits, bits | !mask),
                        rank: (mask.count_zeros() as u8, *entry),
                    });
                }
                Network::V4 { bits, mask } => scattered.push((bits, mask, *entry)),
                Network::V6 { bits, mask } => v6.push(Stretch {
                    range: (bits, bits | !mask),
                    rank: (mask.count_zeros() as u8, *entry),
                }),
            }
        }
        Self {
            v4: Stretches::new(&v4, |n| n.checked_add(1)),
            v6: Stretches::new(&v6, |n| n.checked_add(1)),
            scattered,
        }
    }

    /// IPv4 and IPv6 meet as configuration.txt 7.1.6 says, the sample's own family first.
    fn find(&self, ip: IpAddr) -> Option<u32> {
        let (v4, v6) = match ip {
            IpAddr::V4(ip) => (Some(ip.to_bits()), ip.to_ipv6_mapped().to_bits()),
            IpAddr::V6(ip) => (embedded(ip), ip.to_bits()),
        };
        let find4 = || self.v4.find(v4?);
        let find6 = || self.v6.find(v6);
        let found = if ip.is_ipv4() {
            find4().or_else(find6)
        } else {
            find6().or_else(find4)
        };
        found.or_else(|| {
            let bits = v4?;
            let mut scattered = self.scattered.iter();
            let found = scattered.find(|(network, mask, _)| bits & mask == *network);
            found.map(|(_, _, entry)| *entry)
        })
    }
}

/// The entries of a file. A line ends at its first CR, LF or NUL; one that begins with `#` or has
/// no word is none. The key is its first word, the value the rest without blanks around it.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "counts the bytes and lines of a file"
)]
fn entries(contents: &[u8]) -> impl Iterator<Item = Entry> {
    let mut next = 0;
    let lines = contents.split(|byte| *byte == b'\n');
    lines.enumerate().filter_map(move |(number, line)| {
        let start = next;
        next += line.len() + 1;
        let end = line.iter().position(|byte| matches!(byte, b'\r' | 0));
        let line = line.get(..end.unwrap_or(line.len())).unwrap_or_default();
        if line.starts_with(b"#") {
            return None;
        }
        let blank = |at: &usize| matches!(line.get(*at), Some(b' ' | b'\t'));
        let ends = |at: &usize| blank(at) || *at == line.len();
        let key = (0..line.len()).find(|at| !blank(at))?;
        let key_end = (key..=line.len()).find(ends)?;
        let value = (key_end..=line.len()).find(|at| !blank(at))?;
        let value_end = (value..line.len()).rfind(|at| !blank(at));
        let value_end = value_end.map_or(value, |last| last + 1);
        let place = |from: usize, to: usize| (start + from) as u32..(start + to) as u32;
        Some(Entry {
            line: number + 1,
            key: place(key, key_end),
            value: place(value, value_end),
        })
    })
}

/// Keys and values of the lines of a file.
pub(super) fn pairs(contents: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    entries(contents).map(|entry| (part(contents, &entry.key), part(contents, &entry.value)))
}

/// Keys of the lines of a file, each with the number of its line.
pub(super) fn keys(contents: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    entries(contents).map(|entry| (entry.line, part(contents, &entry.key)))
}

fn part<'c>(contents: &'c [u8], place: &Range<u32>) -> &'c [u8] {
    let place = place.start as usize..place.end as usize;
    contents.get(place).unwrap_or_default()
}

/// An address in its usual form and no other: maps take no shortened ones.
fn strict_ip(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if text.contains(':') {
        text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    } else {
        text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
    }
}

#[cfg(test)]
mod tests;
