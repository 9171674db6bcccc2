//! Decodes chunked bodies in place and writes the size lines of new chunks.
//!
//! This file decides where the payload and the end of a chunked message lie (RFC 9112 §7.1).
//! The payload of one call is compacted to one run; trailers follow it; chunk extensions never
//! survive, because oneloop always cuts its own chunks, as HAProxy does.
//! It must never touch a byte behind the message, and never hold bytes back: whatever is given
//! is consumed, so that the caller needs no buffer for the decoder.
//! Refused beyond HAProxy: every line that ends in a bare LF (RFC 9112 §2.2 tolerates it in heads
//! only, and readers that look for the CRLF would go on), folds, names that are none, controls in
//! trailers and extensions, and trailers that pretend to frame or route the message or speak of one
//! connection (RFC 9110 §6.5.1).
//! Rejected: forwarding the chunks as they came (a parser behind us might read them otherwise).

use super::head::{Refusal, Span, is_token, is_value};

/// Bytes a size line may have, extension included; HAProxy's bound is its buffer as well.
const SIZE_LINE_MAX: u16 = 16384;
/// Bytes all trailer lines together may have.
const TRAILER_BYTES_MAX: u16 = 16384;
/// Trailer lines, as for the head (`tune.http.maxhdr` less one).
const TRAILER_LINES_MAX: u8 = 100;
/// No chunk has 2^52 bytes; below it no sum of lengths can overflow.
const SIZE_BITS_MAX: u32 = 52;

/// Where the decoder stands between two calls. One per direction, inside the engine's pipe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunked {
    /// Size read so far, or payload bytes still to come.
    left: u64,
    /// FNV-1a of the trailer name so far, in lower case.
    name_hash: u32,
    /// Bytes of the current size line, or of all trailer lines.
    line_bytes: u16,
    trailer_lines: u8,
    step: Step,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    /// Before the first digit.
    #[default]
    Size,
    Digits,
    /// Blanks between the size and the line end or `;`.
    Blanks,
    Extension,
    SizeLf,
    Data,
    DataEnd,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

/// What one call found. All spans are offsets into the slice given to `decode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes used up: all of the input, or up to the end of the message when `done`.
    /// Bytes behind it are untouched.
    pub consumed: usize,
    /// Payload of this call, contiguous. With one chunk in the input nothing was moved.
    pub data: Span,
    /// The zero chunk was seen in this call: write `0\r\n` after the payload.
    pub last: bool,
    /// Trailer bytes of this call (part of a line possible; CRLF line ends), to be passed on as
    /// they are after the zero chunk. Stands right after `data` if there is any.
    pub trailer: Span,
    /// The message ended in this call: write the final `\r\n`.
    pub done: bool,
}

/// A run of bytes being collected in place: nothing moves while it is the first of its call.
struct Run {
    start: usize,
    end: usize,
}

impl Run {
    fn span(&self) -> Span {
        Span::new(self.start, self.end)
    }
}

impl Chunked {
    /// Decodes what `bytes` holds; consumes everything up to the end of the message.
    ///
    /// # Errors
    /// 400 for anything malformed (to a server's answer the engine says 502); nothing of `bytes`
    /// may be forwarded then.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "`at` and the runs lie in `bytes`, and `take` is no more than is left"
    )]
    pub fn decode(&mut self, bytes: &mut [u8]) -> Result<Decoded, Refusal> {
        let mut found = Decoded::default();
        let mut data: Option<Run> = None;
        let mut trailer: Option<Run> = None;
        let mut at = 0;
        while self.step != Step::Done {
            if self.step == Step::Data {
                let there = (bytes.len() - at) as u64;
                let take = self.left.min(there) as usize;
                if take == 0 && self.left > 0 {
                    break;
                }
                match &mut data {
                    None => {
                        data = Some(Run {
                            start: at,
                            end: at + take,
                        })
                    }
                    Some(run) => {
                        bytes.copy_within(at..at + take, run.end);
                        run.end += take;
                    }
                }
                at += take;
                self.left -= take as u64;
                if self.left == 0 {
                    self.step = Step::DataEnd;
                }
                continue;
            }
            let Some(&byte) = bytes.get(at) else { break };
            let before = self.step;
            self.take(byte)
                .map_err(|reason| Refusal::new(400, at, reason))?;
            if self.step == Step::TrailerStart && before != Step::TrailerLf {
                found.last = true;
            }
            if belongs_to_trailer(before, self.step) {
                let run = trailer.get_or_insert_with(|| {
                    let start = data.as_ref().map_or(at, |run| run.end);
                    Run { start, end: start }
                });
                if let Some(place) = bytes.get_mut(run.end) {
                    *place = byte;
                }
                run.end += 1;
            }
            at += 1;
        }
        found.consumed = at;
        found.done = self.step == Step::Done;
        found.data = data.as_ref().map_or_else(Span::default, Run::span);
        let empty = Span {
            start: found.data.end,
            end: found.data.end,
        };
        found.trailer = trailer.as_ref().map_or(empty, Run::span);
        Ok(found)
    }

    /// Payload bytes of the current chunk that have not come yet: what `splice` may move.
    #[must_use]
    pub fn left(&self) -> u64 {
        if self.step == Step::Data {
            self.left
        } else {
            0
        }
    }

    /// Takes note of payload that was moved past the decoder; at most `left()` bytes.
    pub fn skip(&mut self, moved: u64) {
        debug_assert!(moved <= self.left());
        if self.step == Step::Data {
            self.left = self.left.saturating_sub(moved);
            if self.left == 0 {
                self.step = Step::DataEnd;
            }
        }
    }

    /// Whether the end of the message was reached.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.step == Step::Done
    }

    /// One byte of anything but payload.
    fn take(&mut self, byte: u8) -> Result<(), &'static str> {
        self.step = match (self.step, byte) {
            (Step::Size | Step::Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.add_digit(byte)?;
                Step::Digits
            }
            (Step::Digits | Step::Blanks, b' ' | b'\t') => Step::Blanks,
            (Step::Digits | Step::Blanks, b';') => Step::Extension,
            (Step::Digits | Step::Blanks | Step::Extension, b'\r') => Step::SizeLf,
            (Step::SizeLf, b'\n') => self.end_size(),
            (Step::Digits | Step::Blanks | Step::Extension | Step::TrailerStart, b'\n') => {
                return Err("LF without CR");
            }
            (Step::Extension, _) if is_value(byte) => Step::Extension,
            (Step::Size, _) => return Err("chunk size missing"),
            (Step::Digits | Step::Blanks, _) => return Err("bad byte in a chunk size"),
            (Step::Extension, _) => return Err("bad byte in a chunk extension"),
            (Step::DataEnd, b'\r') => Step::DataLf,
            (Step::DataLf, b'\n') => Step::Size,
            (Step::DataEnd, _) => return Err("chunk longer than its size"),
            (Step::TrailerStart, b'\r') => Step::EndLf,
            (Step::EndLf, b'\n') => Step::Done,
            (Step::TrailerStart, _) if is_token(byte) => {
                self.trailer_lines = self.trailer_lines.saturating_add(1);
                if self.trailer_lines > TRAILER_LINES_MAX {
                    return Err("too many trailers");
                }
                self.name_hash = hash(HASH_START, byte);
                Step::TrailerName
            }
            (Step::TrailerName, b':') => {
                if FORBIDDEN_NAMES.contains(&self.name_hash) {
                    return Err("forbidden trailer");
                }
                Step::TrailerValue
            }
            (Step::TrailerName, _) if is_token(byte) => {
                self.name_hash = hash(self.name_hash, byte);
                Step::TrailerName
            }
            (Step::TrailerValue, b'\r') => Step::TrailerLf,
            (Step::TrailerValue, _) if is_value(byte) => Step::TrailerValue,
            (Step::TrailerLf, b'\n') => Step::TrailerStart,
            (Step::TrailerStart | Step::TrailerName, _) => return Err("bad trailer name"),
            (Step::TrailerValue, _) => return Err("bad byte in a trailer"),
            (Step::SizeLf | Step::DataLf | Step::TrailerLf | Step::EndLf, _) => {
                return Err("CR without LF");
            }
            (Step::Data | Step::Done, _) => return Err("not a chunk line"),
        };
        self.count()
    }

    fn add_digit(&mut self, byte: u8) -> Result<(), &'static str> {
        let digit = match byte {
            b'0'..=b'9' => byte.wrapping_sub(b'0'),
            _ => (byte | 0x20).wrapping_sub(b'a' - 10),
        };
        self.left = self.left << 4 | u64::from(digit);
        if self.left >> SIZE_BITS_MAX != 0 {
            Err("chunk size too large")
        } else {
            Ok(())
        }
    }

    fn end_size(&mut self) -> Step {
        self.line_bytes = 0;
        if self.left > 0 {
            return Step::Data;
        }
        self.trailer_lines = 0;
        Step::TrailerStart
    }

    /// Bounds size lines and the trailer section.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "who is past the bound is counted no further, and u16 holds more"
    )]
    fn count(&mut self) -> Result<(), &'static str> {
        match self.step {
            Step::Digits | Step::Blanks | Step::Extension | Step::SizeLf => {
                self.line_bytes += 1;
                if self.line_bytes > SIZE_LINE_MAX {
                    Err("chunk size line too long")
                } else {
                    Ok(())
                }
            }
            Step::TrailerName | Step::TrailerValue | Step::TrailerLf => {
                self.line_bytes += 1;
                if self.line_bytes > TRAILER_BYTES_MAX {
                    Err("trailers too long")
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }
}

/// Whether the byte that led from one step to the next is part of a trailer line.
fn belongs_to_trailer(before: Step, after: Step) -> bool {
    matches!(
        after,
        Step::TrailerName | Step::TrailerValue | Step::TrailerLf
    ) || (before == Step::TrailerLf && after == Step::TrailerStart)
}

const HASH_START: u32 = 0x811c_9dc5;

const fn hash(so_far: u32, byte: u8) -> u32 {
    (so_far ^ byte.to_ascii_lowercase() as u32).wrapping_mul(0x0100_0193)
}

const fn hash_all(mut name: &[u8]) -> u32 {
    let mut sum = HASH_START;
    while let [first, rest @ ..] = name {
        sum = hash(sum, *first);
        name = rest;
    }
    sum
}

/// Trailers that would frame or route the message if someone merged them into its head, or would
/// say something of the next connection. A name that collides with one of these is refused too,
/// which harms nobody but its inventor.
const FORBIDDEN_NAMES: [u32; 10] = [
    hash_all(b"content-length"),
    hash_all(b"transfer-encoding"),
    hash_all(b"host"),
    hash_all(b"connection"),
    hash_all(b"keep-alive"),
    hash_all(b"proxy-connection"),
    hash_all(b"upgrade"),
    hash_all(b"http2-settings"),
    hash_all(b"te"),
    hash_all(b"trailer"),
];

/// The size line of a chunk of `len` bytes: lower-case hexadecimal and CRLF.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "sixteen digits and CRLF are the most, and 20 bytes are there"
)]
pub fn size_line(len: usize, out: &mut [u8; 20]) -> &[u8] {
    let mut at = out.len() - 2;
    out[at] = b'\r';
    out[at + 1] = b'\n';
    let mut rest = len;
    loop {
        at -= 1;
        out[at] = b"0123456789ABCDEF"[rest & 15];
        rest >>= 4;
        if rest == 0 {
            return &out[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `payload|trailer|rest`, then `...` if the message goes on; or the refusal's reason.
    fn decoded(input: &str) -> String {
        let mut bytes = input.as_bytes().to_vec();
        let mut decoder = Chunked::default();
        match decoder.decode(&mut bytes) {
            Err(refusal) => {
                assert_eq!(refusal.status, 400);
                refusal.reason.to_owned()
            }
            Ok(found) => {
                let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
                let data = text(found.data.of(&bytes));
                let trailer = text(found.trailer.of(&bytes));
                let rest = text(&bytes[found.consumed..]);
                assert_eq!(found.done, decoder.is_done());
                assert!(found.last || !found.done);
                format!(
                    "{data}|{trailer}|{rest}{}",
                    if found.done { "" } else { "..." }
                )
            }
        }
    }

    table! { decoded:
        one: "5\r\nhello\r\n0\r\n\r\n" => "hello||";
        two: "5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n" => "helloabc||";
        none: "0\r\n\r\n" => "||";
        rest_is_untouched: "1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n" => "a||GET / HTTP/1.1\r\n";
        size_bare_lf: "5\nhello\r\n0\r\n\r\n" => "LF without CR";
        blank_bare_lf: "5 \nhello\r\n0\r\n\r\n" => "LF without CR";
        data_bare_lf: "5\r\nhello\n0\r\n\r\n" => "chunk longer than its size";
        blank_behind_size: "5 \t\r\nhello\r\n0\r\n\r\n" => "hello||";
        blank_before_size: " 5\r\nhello\r\n" => "chunk size missing";
        leading_zeros: "005\r\nhello\r\n000\r\n\r\n" => "hello||";
        many_leading_zeros: "00000000000000000000000005\r\nhello\r\n0\r\n\r\n" => "hello||";
        upper_and_lower_case: "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n" => "01234567890123456789||";
        hex_prefix: "0x5\r\nhello\r\n" => "bad byte in a chunk size";
        plus: "+5\r\nhello\r\n" => "chunk size missing";
        minus: "-5\r\nhello\r\n" => "chunk size missing";
        letter: "5h\r\nhello\r\n" => "bad byte in a chunk size";
        empty_size: "\r\nhello\r\n" => "chunk size missing";
        only_extension: ";x\r\nhello\r\n" => "chunk size missing";
        extension: "5;ext\r\nhello\r\n0;x=y\r\n\r\n" => "hello||";
        extension_with_blanks: "5 ; ext = \"q\"\r\nhello\r\n0\r\n\r\n" => "hello||";
        extension_bare_lf: "5;a\nhello\r\n0\r\n\r\n" => "LF without CR";
        extension_with_cr: "5;a\rb\r\nhello\r\n" => "CR without LF";
        extension_with_control: "5;a\0b\r\nhello\r\n" => "bad byte in a chunk extension";
        quoted_lf: "5;\"a\nb\"\r\nhello\r\n" => "LF without CR";
        text_behind_blank: "5 x\r\nhello\r\n" => "bad byte in a chunk size";
        size_cr: "5\rhello\r\n" => "CR without LF";
        data_cr: "5\r\nhello\r0\r\n" => "CR without LF";
        data_too_long: "5\r\nhelloX0\r\n" => "chunk longer than its size";
        data_without_end: "5\r\nhello0\r\n" => "chunk longer than its size";
        empty_line_between: "5\r\nhello\r\n\r\n0\r\n\r\n" => "chunk size missing";
        size_2_52: "10000000000000\r\n" => "chunk size too large";
        size_64_bits: "FFFFFFFFFFFFFFFF\r\n" => "chunk size too large";
        size_over_64_bits: "10000000000000005\r\n" => "chunk size too large";
        open_size: "5" => "||...";
        open_data: "5\r\nhel" => "hel||...";
        open_end: "5\r\nhello\r\n0\r\n" => "hello||...";
        trailer: "0\r\nX: y\r\nA:b\r\n\r\n" => "|X: y\r\nA:b\r\n|";
        trailer_behind_data: "2\r\nab\r\n0\r\nX: y\r\n\r\nG" => "ab|X: y\r\n|G";
        trailer_open: "0\r\nX: y" => "|X: y|...";
        trailer_empty_value: "0\r\nX:\r\n\r\n" => "|X:\r\n|";
        trailer_bare_lf: "0\r\nX: y\n\r\n" => "bad byte in a trailer";
        trailer_end_bare_lf: "0\r\nX: y\r\n\n" => "LF without CR";
        end_bare_lf: "0\r\n\n" => "LF without CR";
        trailer_without_colon: "0\r\nXy\r\n\r\n" => "bad trailer name";
        trailer_without_name: "0\r\n: y\r\n\r\n" => "bad trailer name";
        trailer_blank_before_colon: "0\r\nX : y\r\n\r\n" => "bad trailer name";
        trailer_folded: "0\r\nX: y\r\n z\r\n\r\n" => "bad trailer name";
        trailer_control: "0\r\nX: \u{1}y\r\n\r\n" => "bad byte in a trailer";
        trailer_content_length: "0\r\nContent-Length: 5\r\n\r\n" => "forbidden trailer";
        trailer_transfer_encoding: "0\r\ntransfer-encoding: chunked\r\n\r\n" => "forbidden trailer";
        trailer_host: "0\r\nHost: a\r\n\r\n" => "forbidden trailer";
        trailer_connection: "0\r\nCONNECTION: close\r\n\r\n" => "forbidden trailer";
        trailer_keep_alive: "0\r\nKeep-Alive: 1\r\n\r\n" => "forbidden trailer";
        trailer_upgrade: "0\r\nUpgrade: x\r\n\r\n" => "forbidden trailer";
        trailer_te: "0\r\nTE: x\r\n\r\n" => "forbidden trailer";
        trailer_trailer: "0\r\nTrailer: x\r\n\r\n" => "forbidden trailer";
        trailer_near_miss: "0\r\nHosts: a\r\nXTE: b\r\n\r\n" => "|Hosts: a\r\nXTE: b\r\n|";
        trailer_name_with_at: "0\r\nX@Y: a\r\n\r\n" => "bad trailer name";
        trailer_blanks_round_the_value: "0\r\nX: \t a \t\r\n\r\n" => "|X: \t a \t\r\n|";
    }

    fn bounded(parts: (&str, &str, usize, &str)) -> String {
        let (before, repeated, times, after) = parts;
        let all = decoded(&format!("{before}{}{after}", repeated.repeat(times)));
        if all.contains('|') {
            "good".into()
        } else {
            all
        }
    }

    table! { bounded:
        extension_16000: ("5;", "a", 16000, "\r\nhello\r\n0\r\n\r\n") => "good";
        extension_20000: ("5;", "a", 20000, "\r\nhello\r\n0\r\n\r\n") => "chunk size line too long";
        zeros_20000: ("", "0", 20000, "5\r\nhello\r\n0\r\n\r\n") => "chunk size line too long";
        trailer_16000: ("0\r\nX: ", "y", 16000, "\r\n\r\n") => "good";
        trailer_64000: ("0\r\nX: ", "y", 64000, "\r\n\r\n") => "trailers too long";
        trailers_100: ("0\r\n", "X: y\r\n", 100, "\r\n") => "good";
        trailers_101: ("0\r\n", "X: y\r\n", 101, "\r\n") => "too many trailers";
    }

    fn line(len: usize) -> String {
        String::from_utf8_lossy(size_line(len, &mut [0; 20])).into_owned()
    }

    table! { line:
        line_0: 0 => "0\r\n";
        line_15: 15 => "F\r\n";
        line_16: 16 => "10\r\n";
        line_max: usize::MAX => "FFFFFFFFFFFFFFFF\r\n";
    }

    #[test]
    fn one_chunk_is_not_moved() {
        let mut bytes = b"5;x\r\nhello\r\n0\r\n\r\n".to_vec();
        let found = Chunked::default().decode(&mut bytes).unwrap();
        assert_eq!((found.data.start, found.data.end), (5, 10));
    }

    #[test]
    fn spliced_payload_is_skipped() {
        let mut decoder = Chunked::default();
        decoder.decode(&mut b"10\r\nabc".to_vec()).unwrap();
        assert_eq!(decoder.left(), 13);
        decoder.skip(13);
        assert_eq!(decoder.left(), 0);
        assert!(decoder.decode(&mut b"\r\n0\r\n\r\n".to_vec()).unwrap().done);
    }

    #[test]
    fn it_stays_small() {
        assert!(std::mem::size_of::<Chunked>() <= 24);
    }
}
