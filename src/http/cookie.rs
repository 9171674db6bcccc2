//! Cookies of a persistence or of a log: how Cookie and Set-Cookie fields are read and edited.
//!
//! A Cookie field is a list of pairs with `;` between them, and `,` as RFC 2109 had it. A
//! Set-Cookie field has one pair, and what follows it is its own. Set-Cookie2 (RFC 2965) is a list
//! of those.
//! Each pair is shown to a judge, who says what becomes of it; blanks around its `=` go, as HAProxy
//! has it. A value ends at a delimiter outside quotes, so that an open quote takes the rest; names
//! that begin with `$` are attributes of the pair before and go with it.
//!
//! One walk over a field, whatever is in it: the work is bounded by its length. Received bytes are
//! never touched; the new value is written behind the other edits. Dates are here too, in the form
//! in which they follow a server's name in a cookie: five digits of base 64, one for four seconds.
//! Whose cookie it is and whether it may be followed is `engine/persist.rs`'s to say.

use super::head::{Method, Name};
use super::rewrite::{Fate, Message};

/// How a cookie leads to a server (`cookie NAME ...`, configuration.txt 4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is read, and nothing is done about it.
    #[default]
    Passive,
    /// `rewrite`: the server sets it, and its value becomes the server's.
    Rewrite,
    /// `insert`: the proxy sets it.
    Insert,
    /// `prefix`: the server sets it, and its value gets the server's in front.
    Prefix,
}

/// The persistence cookie of a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// How it leads to a server.
    pub mode: Mode,
    /// `indirect`: the server does not see it, the client not twice.
    pub indirect: bool,
    /// `nocache`: an answer that sets it is not for caches.
    pub no_cache: bool,
    /// `postonly`: only answers to POST set it.
    pub post_only: bool,
    /// `preserve`: what the server sets itself stays.
    pub preserve: bool,
    /// `maxidle`, seconds; 0 for none.
    pub max_idle: u32,
    /// `maxlife`, seconds; 0 for none.
    pub max_life: u32,
    /// What follows the value where the proxy sets it: the path, `domain` and its kin.
    pub tail: String,
}

impl Settings {
    /// Whether the log tells of it: without a mode and `indirect` HAProxy follows it in silence.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.mode != Mode::Passive || self.indirect
    }
}

/// `capture cookie`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// What `name=value` begins with.
    pub begins: String,
    /// The most bytes of it that are kept.
    pub length: usize,
}

/// Which field a list of pairs is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Cookie.
    Request,
    /// Set-Cookie.
    Answer,
    /// Set-Cookie2.
    Answers,
}

impl Place {
    /// Which of an answer's fields this is, by its name.
    #[must_use]
    pub fn of_answer(name: &[u8], known: Name) -> Option<Self> {
        match known {
            Name::SetCookie => Some(Self::Answer),
            _ if name.eq_ignore_ascii_case(b"set-cookie2") => Some(Self::Answers),
            _ => None,
        }
    }

    /// Whether a byte outside quotes parts two pairs.
    fn is_delimiter(self, byte: u8) -> bool {
        match self {
            Self::Request => matches!(byte, b';' | b','),
            Self::Answer => false,
            Self::Answers => byte == b',',
        }
    }
}

/// What becomes of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It stays.
    Keep,
    /// It goes, and its attributes with it.
    Drop,
    /// Its value loses that many bytes in front.
    Cut(usize),
    /// Its value is this.
    Set(&'a [u8]),
    /// Its value gets this and a `~` in front.
    Prefix(&'a [u8]),
}

/// One pair of a list, as offsets into it.
#[derive(Clone, Copy, Debug)]
struct Pair {
    name: (usize, usize),
    /// `None` when there is no `=`.
    value: Option<(usize, usize)>,
    /// Its delimiter, or the end of the list.
    end: usize,
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn skip_blanks(list: &[u8], from: usize) -> usize {
    let rest = list.get(from..).unwrap_or_default();
    let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
    from.saturating_add(blanks)
}

fn trim_end(list: &[u8], start: usize, end: usize) -> usize {
    let bytes = list.get(start..end).unwrap_or_default();
    let blanks = bytes.iter().rev().take_while(|byte| is_blank(**byte));
    end.saturating_sub(blanks.count())
}

/// The first byte from `from` on, outside quotes, that `is_wanted` takes; or the end.
fn find_unquoted(list: &[u8], from: usize, is_wanted: impl Fn(u8) -> bool) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in list.iter().enumerate().skip(from) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            byte if !quoted && is_wanted(*byte) => return at,
            _ => {}
        }
    }
    list.len()
}

/// The pair that begins at `from`.
#[expect(clippy::arithmetic_side_effects, reason = "offsets into one list")]
fn pair_at(list: &[u8], from: usize, place: Place) -> Pair {
    let start = skip_blanks(list, from);
    let rest = list.get(start..).unwrap_or_default();
    let stops = |byte: &u8| matches!(byte, b'=' | b';' | b',');
    let stop = rest
        .iter()
        .position(stops)
        .map_or(list.len(), |at| start + at);
    let name = (start, trim_end(list, start, stop));
    if list.get(stop) != Some(&b'=') {
        let end = find_unquoted(list, stop, |byte| place.is_delimiter(byte));
        return Pair {
            name,
            value: None,
            end,
        };
    }
    let start = skip_blanks(list, stop + 1);
    let stop = find_unquoted(list, start, |byte| matches!(byte, b';' | b','));
    let value = (start, trim_end(list, start, stop));
    Pair {
        name,
        value: Some(value),
        end: find_unquoted(list, stop, |byte| place.is_delimiter(byte)),
    }
}

fn part(list: &[u8], (start, end): (usize, usize)) -> &[u8] {
    list.get(start..end).unwrap_or_default()
}

/// Shows each pair with a value to the judge, and appends the field's new value to `text`.
#[expect(clippy::arithmetic_side_effects, reason = "offsets into one list")]
pub fn edit<'v>(
    list: &[u8],
    place: Place,
    text: &mut Vec<u8>,
    mut judge: impl FnMut(&[u8], &[u8]) -> Verdict<'v>,
) -> Fate {
    let began = text.len();
    let mut from = 0;
    // Where the pairs that go began: with their delimiter, if any.
    let mut dropping = None;
    let mut any_stays = false;
    let mut any_goes = false;
    loop {
        let pair = pair_at(list, from, place);
        let delimiter = from.checked_sub(1);
        let verdict = match pair.value {
            Some(_) if list.get(pair.name.0) == Some(&b'$') => None,
            Some(value) => Some(judge(part(list, pair.name), part(list, value))),
            None if list.get(pair.name.0) == Some(&b'$') => None,
            None => Some(Verdict::Keep),
        };
        match verdict {
            Some(Verdict::Drop) => {
                dropping.get_or_insert(delimiter);
                any_goes = true;
            }
            // An attribute shares the fate of what it belongs to.
            None if dropping.is_some() => {}
            _ => {
                any_stays |= verdict.is_some();
                match (dropping.take(), delimiter) {
                    (Some(None), _) => from = skip_blanks(list, from),
                    (Some(Some(_)), Some(delimiter)) => {
                        let kept = trim_end(text, began, text.len());
                        text.truncate(kept);
                        text.extend(list.get(delimiter));
                        text.push(b' ');
                        from = skip_blanks(list, from);
                    }
                    (_, Some(delimiter)) => text.extend(list.get(delimiter)),
                    (_, None) => {}
                }
                put(list, from, &pair, verdict, text);
            }
        }
        if pair.end >= list.len() {
            break;
        }
        from = pair.end + 1;
    }
    let after = text.get(began..).unwrap_or_default();
    if any_goes && (!any_stays || after.is_empty()) {
        return Fate::Goes;
    }
    match after == list {
        true => Fate::Stays,
        false => Fate::Becomes,
    }
}

/// Appends one pair, from its blanks up to its delimiter.
fn put(list: &[u8], from: usize, pair: &Pair, verdict: Option<Verdict<'_>>, text: &mut Vec<u8>) {
    let (Some(value), Some(verdict)) = (pair.value, verdict) else {
        return text.extend_from_slice(part(list, (from, pair.end)));
    };
    text.extend_from_slice(part(list, (from, pair.name.1)));
    text.push(b'=');
    let old = part(list, value);
    match verdict {
        Verdict::Keep | Verdict::Drop => text.extend_from_slice(old),
        Verdict::Cut(bytes) => text.extend_from_slice(old.get(bytes..).unwrap_or_default()),
        Verdict::Set(new) => text.extend_from_slice(new),
        Verdict::Prefix(new) => {
            text.extend_from_slice(new);
            text.push(b'~');
            text.extend_from_slice(old);
        }
    }
    text.extend_from_slice(part(list, (value.1, pair.end)));
}

/// Whether `name=value` is what a `capture cookie` line asks for.
#[must_use]
pub fn is_captured(begins: &[u8], name: &[u8], value: &[u8]) -> bool {
    match begins.split_at_checked(name.len()) {
        // The name, then perhaps an `=` and how the value begins.
        Some((own, rest)) if own == name => match rest.split_first() {
            Some((b'=', rest)) => value.starts_with(rest),
            Some(_) => false,
            None => true,
        },
        Some(_) => false,
        None => name.starts_with(begins),
    }
}

/// When a cookie was set last and first, seconds since 1970; 0 for a date that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dates {
    /// When it was set last.
    pub last: u64,
    /// When it was set first.
    pub first: u64,
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// How many digits a date has.
const DATE_DIGITS: u32 = 5;

/// How many seconds one is.
const DATE_UNIT: u64 = 4;

/// A date as cookies have it: rounded up.
#[must_use]
pub fn rounded(seconds: u64) -> u64 {
    seconds.next_multiple_of(DATE_UNIT)
}

/// Appends a date that was rounded.
pub fn write_date(seconds: u64, text: &mut Vec<u8>) {
    let units = seconds / DATE_UNIT;
    for place in (0..DATE_DIGITS).rev() {
        let digit = (units >> place.saturating_mul(6)) & 63;
        text.extend(DIGITS.get(digit as usize));
    }
}

/// The date that a text begins with; 0 when that is none.
fn read_date(text: &[u8]) -> u64 {
    let Some(digits) = text.get(..DATE_DIGITS as usize) else {
        return 0;
    };
    let value = |digit: &u8| {
        Some(match digit {
            b'A'..=b'Z' => digit.wrapping_sub(b'A'),
            b'a'..=b'z' => digit.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => digit.wrapping_sub(b'0').wrapping_add(52),
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        })
    };
    let units = digits.iter().try_fold(0_u64, |units, digit| {
        Some((units << 6) | u64::from(value(digit)?))
    });
    units.unwrap_or(0).saturating_mul(DATE_UNIT)
}

impl Dates {
    /// The dates behind a server's name: `LAST` or `LAST|FIRST`.
    #[must_use]
    pub fn read(text: &[u8]) -> Self {
        let bar = text.iter().position(|byte| *byte == b'|');
        let first = bar.and_then(|at| text.get(at.saturating_add(1)..));
        // What has no five digits before the bar is no date.
        let last = text.get(..bar.unwrap_or(text.len())).unwrap_or_default();
        Self {
            last: read_date(last),
            first: first.map_or(0, read_date),
        }
    }
}

/// Whether caches may keep an answer, as far as its head tells (RFC 9111 §3).
///
/// `method` is the request's, `status` the one that the server gave.
#[must_use]
pub fn is_cacheable(message: &Message, method: Method, status: u16) -> bool {
    let safe = matches!(
        method,
        Method::Get | Method::Head | Method::Options | Method::Trace
    );
    let by_default = matches!(
        status,
        200 | 203 | 204 | 206 | 300 | 301 | 404 | 405 | 410 | 414 | 501
    );
    let mut may = safe && by_default;
    let mut is_dated = false;
    for (name, value, _) in message.fields() {
        if name.eq_ignore_ascii_case(b"pragma") && value.eq_ignore_ascii_case(b"no-cache") {
            return false;
        }
        let tells = [&b"etag"[..], b"last-modified", b"expires"];
        is_dated |= tells.iter().any(|one| name.eq_ignore_ascii_case(one));
    }
    for element in message.values(b"cache-control") {
        let is = |word: &[u8]| element.eq_ignore_ascii_case(word);
        let begins = |word: &[u8]| {
            let head = element.get(..word.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(word))
        };
        let forbids = [
            &b"private"[..],
            b"no-cache",
            b"no-store",
            b"max-age=0",
            b"s-maxage=0",
        ];
        if forbids.iter().any(|word| is(word)) {
            may = false;
        } else if is(b"public") {
            may = true;
        } else {
            is_dated |= begins(b"max-age") || begins(b"s-maxage");
        }
    }
    may && is_dated
}

/// Whether an answer sets a cookie.
#[must_use]
pub fn sets_any(message: &Message) -> bool {
    let known = [&b"set-cookie"[..], b"set-cookie2"];
    let mut fields = message.fields();
    fields.any(|(name, _, _)| known.iter().any(|one| name.eq_ignore_ascii_case(one)))
}

/// Whether a cacheable answer asks caches to leave its cookies out
/// (`Cache-Control: no-cache="set-cookie"`).
#[must_use]
pub fn keeps_cookies_back(message: &Message) -> bool {
    const LEFT_OUT: &[u8] = b"no-cache=\"set-cookie";
    message
        .values(b"cache-control")
        .fold(false, |back, element| {
            let head = element.get(..LEFT_OUT.len()).unwrap_or_default();
            head.eq_ignore_ascii_case(LEFT_OUT) || back && !element.eq_ignore_ascii_case(b"public")
        })
}

#[cfg(test)]
#[path = "cookie_tests.rs"]
mod tests;
