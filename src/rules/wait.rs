//! `http-request wait-for-body`: the rules stop until the body has come, or enough of it
//! (configuration.txt 4.2, "http-request wait-for-body").
//!
//! The rules only say so; the engine waits, and asks them again from the next one on.

use super::compile::{Compiler, Lead, Problem};
use crate::base::quantity::{TimeUnit, size, time_ms, time_tail};

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitForBody {
    /// So long at most, ms; 0 for no limit of its own.
    pub time_ms: u32,
    /// So many bytes of the body are enough; 0 for none but the whole.
    pub at_least: u64,
}

impl WaitForBody {
    /// Compiles `wait-for-body time T [at-least N]`; gives the index of what follows. What is said
    /// twice counts as it was said last.
    pub(super) fn compile(
        words: &[&[u8]],
        compiler: &mut Compiler<'_>,
    ) -> Result<(Self, usize), Problem> {
        let (mut time, mut at_least, mut at) = (None, 0, 1);
        while let Some(name @ (b"time" | b"at-least")) = words.get(at).copied() {
            let value = at.saturating_add(1);
            let text = String::from_utf8_lossy(words.get(value).copied().unwrap_or_default());
            if text.is_empty() {
                let name = String::from_utf8_lossy(name);
                return Err(Problem::new(at, format!("missing argument for '{name}'.")));
            }
            let refuse = |text: String| Problem::new(value, text);
            if name == b"time" {
                let parsed = time_ms(&text, TimeUnit::Ms);
                time = Some(parsed.map_err(|error| refuse(format!("{}.", error.in_short())))?);
                if let Some(warning) = time_tail(&text) {
                    compiler.warnings.push(Problem {
                        lead: Lead::Bare,
                        ..Problem::new(value, warning)
                    });
                }
            } else {
                let wrong = |char| refuse(format!("unexpected character '{char}'."));
                at_least = size_within_u32(&text).map_err(wrong)?;
            }
            at = value.saturating_add(1);
        }
        let Some(time) = time else {
            let expected = "expects time <time> [ at-least <bytes> ].";
            return Err(Problem::new(words.len().min(1), expected));
        };
        let time_ms = u32::try_from(time).unwrap_or(u32::MAX);
        Ok((Self { time_ms, at_least }, at))
    }
}

/// A size that HAProxy has room for; else the character at which it has none.
fn size_within_u32(text: &str) -> Result<u64, char> {
    let found = size(text);
    match found {
        Ok(0..=0xFFFF_FFFF) => return found,
        Err(char) if char != '\0' => return found,
        _ => {}
    }
    let mut value = 0_u32;
    for char in text.chars() {
        let digit = char.to_digit(10).ok_or(char)?;
        let grown = value.checked_mul(10).and_then(|v| v.checked_add(digit));
        value = grown.ok_or(char)?;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_room() {
        let cases = [
            ("0", Ok(0)),
            ("1k", Ok(1_024)),
            ("3g", Ok(3 << 30)),
            ("4294967295", Ok(4_294_967_295)),
            ("4294967296", Err('6')),
            ("12345678901", Err('1')),
            ("4g", Err('g')),
            ("5000000k", Err('k')),
            ("1kb", Err('b')),
            ("x", Err('x')),
            ("-1", Err('-')),
        ];
        for (text, expected) in cases {
            assert_eq!(size_within_u32(text), expected, "{text}");
        }
    }
}
