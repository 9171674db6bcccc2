//! Reads times and sizes as HAProxy 2.6 does, with its texts for what is wrong (configuration.txt
//! 2.5, 5.1).

/// A unit of time, the default of a keyword and the suffix of a value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TimeUnit {
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
    /// Minutes.
    M,
    /// Hours.
    H,
    /// Days.
    D,
}

impl TimeUnit {
    /// The unit in microseconds.
    fn us(self) -> u128 {
        match self {
            Self::Us => 1,
            Self::Ms => 1_000,
            Self::S => 1_000_000,
            Self::M => 60_000_000,
            Self::H => 3_600_000_000,
            Self::D => 86_400_000_000,
        }
    }
}

/// The largest time, in whatever unit a keyword counts.
pub const TIME_MAX: u64 = 2_147_483_647;

/// Why a time was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeError {
    /// More than `TIME_MAX` of the unit asked for.
    Overflow,
    /// A character that is no digit and no unit.
    Unexpected(char),
}

impl TimeError {
    /// HAProxy's text where it names neither argument nor keyword.
    pub fn in_short(self) -> String {
        match self {
            Self::Overflow => {
                "time overflow (maximum value is 2147483647 ms or ~24.8 days)".to_owned()
            }
            Self::Unexpected(c) => format!("unexpected character '{c}'"),
        }
    }

    /// HAProxy's text for `argument` of `keyword`, for keywords that count milliseconds.
    pub fn message(self, argument: &str, keyword: &str) -> String {
        match self {
            Self::Overflow => format!(
                "timer overflow in argument '{argument}' to '{keyword}' (maximum value is 2147483647 ms or ~24.8 days)"
            ),
            Self::Unexpected(c) => format!("unexpected character '{c}' in '{keyword}'"),
        }
    }
}

/// A time in milliseconds, `text` counted in `default` where it names no unit. Part of a
/// millisecond counts as a whole one.
pub fn time_ms(text: &str, default: TimeUnit) -> Result<u64, TimeError> {
    time(text, default, TimeUnit::Ms)
}

/// A time in `wanted` units, rounded up. What follows a complete time is not looked at, as in
/// HAProxy: `time_tail` has the warning it deserves.
pub fn time(text: &str, default: TimeUnit, wanted: TimeUnit) -> Result<u64, TimeError> {
    let (value, unit, _) = read_time(text, default)?;
    let us = value.checked_mul(unit.us()).ok_or(TimeError::Overflow)?;
    match u64::try_from(us.div_ceil(wanted.us())) {
        Ok(amount) if amount <= TIME_MAX => Ok(amount),
        _ => Err(TimeError::Overflow),
    }
}

/// HAProxy's warning for a time that goes on after its unit (`1min`).
pub fn time_tail(text: &str) -> Option<String> {
    let (_, _, tail) = read_time(text, TimeUnit::Ms).ok()?;
    let first = tail.chars().next()?;
    Some(format!(
        "unexpected character '{first}' after the timer value '{text}', only (us=microseconds,ms=milliseconds,s=seconds,m=minutes,h=hours,d=days) are supported. This will be reported as an error in next versions."
    ))
}

/// Digits, unit and what is left.
fn read_time(text: &str, default: TimeUnit) -> Result<(u128, TimeUnit, &str), TimeError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let Some(first) = unit.chars().next() else {
        let value = if number.is_empty() {
            Some(0)
        } else {
            number.parse().ok()
        };
        return Ok((value.ok_or(TimeError::Overflow)?, default, ""));
    };
    if number.is_empty() {
        return Err(TimeError::Unexpected(first));
    }
    let units = [
        ("us", TimeUnit::Us),
        ("ms", TimeUnit::Ms),
        ("s", TimeUnit::S),
        ("m", TimeUnit::M),
        ("h", TimeUnit::H),
        ("d", TimeUnit::D),
    ];
    let named = units
        .into_iter()
        .find_map(|(name, one)| Some((one, unit.strip_prefix(name)?)));
    let (named, tail) = named.ok_or(TimeError::Unexpected(first))?;
    Ok((
        number.parse().map_err(|_| TimeError::Overflow)?,
        named,
        tail,
    ))
}

/// A size in bytes (`k`, `m`, `g`, in either case); the error is the character that does not belong
/// (`\0` for a number too large).
pub fn size(text: &str) -> Result<u64, char> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let mut rest = unit.chars();
    let first = rest.next();
    if number.is_empty() {
        return Err(first.unwrap_or('\0'));
    }
    let shift = match first {
        None => 0,
        Some('k' | 'K') => 10,
        Some('m' | 'M') => 20,
        Some('g' | 'G') => 30,
        Some(other) => return Err(other),
    };
    if let Some(other) = rest.next() {
        return Err(other);
    }
    let value: u64 = number.parse().map_err(|_| '\0')?;
    value.checked_mul(1 << shift).ok_or('\0')
}
