//! A known ASCII word, compared in any case with a few wide loads.
//!
//! Field names and the tokens of `Connection` are compared with constants on every request. The
//! word is laid out at compile time as values and masks that leave out the bit of the case where
//! there is a letter, so that a comparison is two or three loads and no loop over bytes.
//! It must never match more than `eq_ignore_ascii_case` would.

/// A word of 1 to 24 ASCII bytes.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    text: &'static [u8],
    /// The first eight bytes, those from the eighth on, and the last eight; of a shorter word the
    /// first four and the last four.
    parts: [(u64, u64); 3],
}

/// The bit in which the two cases of an ASCII letter differ.
const CASE: u8 = 0x20;

impl Word {
    /// The longest word.
    const LEN_MAX: usize = 24;

    /// Lays out `text`, for constants: anything that is not 1 to 24 ASCII bytes fails to compile.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        let text = text.as_bytes();
        assert!(!text.is_empty() && text.len() <= Self::LEN_MAX);
        assert!(text.is_ascii());
        let width = if text.len() < 8 { 4 } else { 8 };
        let last = text.len().saturating_sub(width);
        Self {
            text,
            parts: [
                part(text, 0, width),
                part(text, 8, width),
                part(text, last, width),
            ],
        }
    }

    /// Whether `text` is this word in any case.
    #[must_use]
    #[inline]
    pub fn is(&self, text: &[u8]) -> bool {
        if text.len() != self.text.len() {
            return false;
        }
        let [first, middle, last] = self.parts;
        if let (Some(head), Some(tail)) = (text.first_chunk(), text.last_chunk()) {
            let third = match text.get(8..16) {
                Some(third) if text.len() > 16 => third.first_chunk(),
                _ => None,
            };
            return same(u64::from_le_bytes(*head), first)
                && same(u64::from_le_bytes(*tail), last)
                && third.is_none_or(|third| same(u64::from_le_bytes(*third), middle));
        }
        if let (Some(head), Some(tail)) = (text.first_chunk(), text.last_chunk()) {
            return same(u32::from_le_bytes(*head).into(), first)
                && same(u32::from_le_bytes(*tail).into(), last);
        }
        text.eq_ignore_ascii_case(self.text)
    }
}

#[inline]
fn same(bytes: u64, (mask, value): (u64, u64)) -> bool {
    bytes & mask == value
}

/// Mask and value of `width` bytes from `from` on, the first one lowest.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "at compile time, within the text"
)]
const fn part(text: &[u8], from: usize, width: usize) -> (u64, u64) {
    let (mut mask, mut value) = (0, 0);
    let mut at = 0;
    while at < width && from + at < text.len() {
        let byte = text[from + at];
        let significant = match byte.is_ascii_alphabetic() {
            true => !CASE,
            false => 0xff,
        };
        mask |= (significant as u64) << (8 * at);
        value |= ((byte & significant) as u64) << (8 * at);
        at += 1;
    }
    (mask, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [Word; 9] = [
        Word::new("te"),
        Word::new("host"),
        Word::new("upgrade"),
        Word::new("location"),
        Word::new("content-length"),
        Word::new("proxy-connection"),
        Word::new("transfer-encoding"),
        Word::new("sec-websocket-accept"),
        Word::new("abcdefghijklmnopqrstu-09"),
    ];

    /// Every word with every byte put at every place, and one byte more and less, beside what the
    /// standard library says.
    #[test]
    fn it_is_the_word_in_any_case_and_nothing_else() {
        for word in WORDS {
            let text = word.text.to_vec();
            assert!(word.is(&text) && word.is(&text.to_ascii_uppercase()));
            assert!(!word.is(&text[1..]) && !word.is(&text[..text.len() - 1]));
            assert!(!word.is(&[&text[..], b"x"].concat()) && !word.is(b""));
            for at in 0..text.len() {
                for byte in 0..=u8::MAX {
                    let mut changed = text.clone();
                    changed[at] = byte;
                    let expected = changed.eq_ignore_ascii_case(word.text);
                    assert_eq!(word.is(&changed), expected, "{changed:?}");
                }
            }
        }
    }
}
