//! Many literal texts looked up at once: which of them does this text begin with?
//!
//! A lookup walks the text once, whatever the number of keys, and allocates nothing. Suffixes are
//! prefixes of the text read backwards, and matching without case reads both in lower case; the
//! caller gives the bytes in the order and case it wants.
//! Rejected: hashing (a hash for each length that occurs), and sorting with binary search (compares
//! the front of the text again and again).

/// Byte strings in a tree of common prefixes, each with numbers that the caller gave it.
#[derive(Debug, Default)]
pub(super) struct Trie {
    /// The root first; the children of a node stand together, ordered by their first byte.
    nodes: Vec<Node>,
    labels: Vec<u8>,
    values: Vec<u32>,
}

/// What follows the parent's text, and what ends here.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// The first byte of the label, by which the node is found.
    first: u8,
    label: Part,
    children: Part,
    values: Part,
}

/// A part of one of the trie's lists.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    start: u32,
    len: u32,
}

impl Part {
    /// What `add` appends to `list`.
    fn appended<T>(list: &mut Vec<T>, add: impl IntoIterator<Item = T>) -> Self {
        let start = list.len();
        list.extend(add);
        Self {
            start: start as u32,
            len: list.len().saturating_sub(start) as u32,
        }
    }

    fn of<T>(self, list: &[T]) -> &[T] {
        let rest = list.get(self.start as usize..).unwrap_or_default();
        rest.get(..self.len as usize).unwrap_or_default()
    }
}

/// A node that is still to be made: its entries share their first `depth` bytes.
struct Open<'a> {
    node: usize,
    entries: &'a [(Vec<u8>, u32)],
    depth: usize,
}

impl Trie {
    /// A trie of these keys. A key may come several times; its numbers are kept in ascending order.
    pub(super) fn new(mut entries: Vec<(Vec<u8>, u32)>) -> Self {
        entries.sort_unstable();
        entries.dedup();
        let mut trie = Self {
            nodes: vec![Node::default()],
            ..Self::default()
        };
        let mut open = vec![Open {
            node: 0,
            entries: &entries,
            depth: 0,
        }];
        while let Some(next) = open.pop() {
            trie.fill(&next, &mut open);
        }
        trie
    }

    /// Gives a node its numbers and its children.
    fn fill<'a>(&mut self, next: &Open<'a>, open: &mut Vec<Open<'a>>) {
        let &Open { node, depth, .. } = next;
        // Sorted, so that a key stands before those which it begins.
        let ends = next.entries.partition_point(|(key, _)| key.len() <= depth);
        let (here, longer) = next.entries.split_at(ends);
        let values = Part::appended(&mut self.values, here.iter().map(|(_, value)| *value));
        let first_child = self.nodes.len();
        for entries in longer.chunk_by(|(a, _), (b, _)| a.get(depth) == b.get(depth)) {
            let (Some((low, _)), Some((high, _))) = (entries.first(), entries.last()) else {
                continue;
            };
            // What the first and the last share, all between them share.
            let shared = low.iter().zip(high).take_while(|(a, b)| a == b).count();
            let text = low.get(depth..shared).unwrap_or_default();
            open.push(Open {
                node: self.nodes.len(),
                entries,
                depth: shared,
            });
            self.nodes.push(Node {
                first: text.first().copied().unwrap_or_default(),
                label: Part::appended(&mut self.labels, text.iter().copied()),
                ..Node::default()
            });
        }
        let children = Part {
            start: first_child as u32,
            len: self.nodes.len().saturating_sub(first_child) as u32,
        };
        if let Some(node) = self.nodes.get_mut(node) {
            node.children = children;
            node.values = values;
        }
    }

    /// Calls `found` with the length and the numbers of each key that the bytes begin with, the
    /// shortest first, until it says true; tells whether it did.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "the labels that matched are a part of the text"
    )]
    pub(super) fn prefixes(
        &self,
        mut text: impl Iterator<Item = u8>,
        mut found: impl FnMut(usize, &[u32]) -> bool,
    ) -> bool {
        let mut length = 0;
        let mut at = self.nodes.first();
        while let Some(node) = at {
            if node.values.len > 0 && found(length, node.values.of(&self.values)) {
                return true;
            }
            let Some(byte) = text.next() else {
                return false;
            };
            let children = node.children.of(&self.nodes);
            let Ok(child) = children.binary_search_by_key(&byte, |child| child.first) else {
                return false;
            };
            at = children.get(child);
            let label = at.map_or(&[][..], |child| child.label.of(&self.labels));
            let mut rest = label.iter().skip(1);
            if !rest.all(|expected| text.next() == Some(*expected)) {
                return false;
            }
            length += label.len();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(keys: &[&str], text: &str) -> Vec<(usize, Vec<u32>)> {
        let numbered = keys.iter().zip(0..);
        let trie = Trie::new(
            numbered
                .map(|(key, n)| (key.as_bytes().to_vec(), n))
                .collect(),
        );
        let mut all = Vec::new();
        trie.prefixes(text.bytes(), |length, values| {
            all.push((length, values.to_vec()));
            false
        });
        all
    }

    #[test]
    fn every_key_that_the_text_begins_with_is_found_shortest_first() {
        let keys = ["/app", "/", "/apple", "/b", "", "/app", "/ap/x", "/app/"];
        let expected = vec![(0, vec![4]), (1, vec![1]), (4, vec![0, 5]), (6, vec![2])];
        assert_eq!(found(&keys, "/apple/1"), expected);
        assert_eq!(found(&keys, "x"), [(0, vec![4])]);
        assert_eq!(found(&[], "x"), []);
        assert_eq!(found(&["\u{ff}"], "\u{ff}y"), [(2, vec![0])]);
    }

    #[test]
    fn it_finds_what_comparing_with_each_key_finds() {
        // All texts of up to four letters of a small alphabet, every third of them a key.
        let letters = ["a", "b", "/"];
        let mut texts = vec![String::new()];
        for at in 0..40 {
            let text = texts[at].clone();
            texts.extend(letters.map(|letter| format!("{text}{letter}")));
        }
        let keys: Vec<&str> = texts.iter().step_by(3).map(String::as_str).collect();
        for text in &texts {
            let lengths: Vec<usize> = found(&keys, text)
                .iter()
                .map(|(length, _)| *length)
                .collect();
            let mut expected: Vec<usize> = keys
                .iter()
                .filter(|key| text.starts_with(**key))
                .map(|key| key.len())
                .collect();
            expected.sort_unstable();
            assert_eq!(lengths, expected, "{text}");
        }
    }
}
