//! Looks for bytes in short texts, eight at a time.
//!
//! Heads are short and are looked through once, so that a loop over bytes costs more than these two
//! questions should; what the machine has for longer texts costs more than it saves here.
//! It must never answer otherwise than such a loop would.

/// A byte in each place of a word.
const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Where the first line end is.
#[must_use]
pub fn find_line_end(text: &[u8]) -> Option<usize> {
    let (words, rest) = text.as_chunks();
    let mut from: usize = 0;
    for word in words {
        // Of the high bits that are left the lowest is that of the first byte that is zero.
        let word = u64::from_le_bytes(*word) ^ each(b'\n');
        let found = word.wrapping_sub(each(1)) & !word & each(0x80);
        if found != 0 {
            return Some(from.saturating_add(found.trailing_zeros() as usize / 8));
        }
        from = from.saturating_add(8);
    }
    let found = rest.iter().position(|&byte| byte == b'\n')?;
    Some(from.saturating_add(found))
}

/// Whether any byte is below the blank.
#[must_use]
pub fn has_control(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks();
    let below = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        word.wrapping_sub(each(b' ')) & !word & each(0x80) != 0
    };
    words.iter().any(below) || rest.iter().any(|byte| *byte < b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte at every place, alone and with another behind it, beside a loop over bytes.
    #[test]
    fn they_answer_as_a_loop_would() {
        for length in 0..20 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    for filler in [b'a', b' ', 0x7f, 0x80, 0xff, b'\n' | 0x80, byte] {
                        let mut text = vec![filler; length];
                        text[at] = byte;
                        let line_end = text.iter().position(|byte| *byte == b'\n');
                        let control = text.iter().any(|byte| *byte < b' ');
                        assert_eq!(find_line_end(&text), line_end, "{text:?}");
                        assert_eq!(has_control(&text), control, "{text:?}");
                    }
                }
            }
        }
        assert_eq!((find_line_end(b""), has_control(b"")), (None, false));
    }
}
