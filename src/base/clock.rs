//! The time of one loop turn, and dates as text.
//!
//! The clock is read in one place (`Net::wait`); everything else gets a `Now`. This file turns
//! numbers into text and knows no time zone: the offset to UTC is part of `Now`, and local dates
//! take it as an argument.
//!
//! `DateCache` keeps the text of one second, because a busy second has thousands of log lines
//! and only the milliseconds differ.
//!
//! Rejected: `strftime` (locale, allocation, a C call) and a date crate (thirty lines do).

use crate::base::addr::write_decimal;

/// The time of a loop turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic clock in milliseconds, from any origin. Timers and durations use it.
    pub ms: u64,
    /// Wall clock in milliseconds since 1970-01-01 UTC. Dates use it.
    pub wall_ms: u64,
    /// Local time less UTC in seconds, at `wall_ms`.
    pub utc_offset_s: i32,
}

/// A moment of the civil (Gregorian) calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year, such as 2023.
    pub year: u32,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59: the unix clock has no leap seconds.
    pub second: u8,
    /// Day of the week, 0 is Sunday.
    pub weekday: u8,
    /// Day of the year, from 0.
    pub year_day: u16,
}

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];
const WEEKDAYS: [&[u8; 3]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];

impl Civil {
    /// The date of `seconds` since 1970-01-01, moved by `utc_offset_s`. Dates before 1970 read
    /// as 1970.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "every 64-bit second is fewer than 2^48 days; a part is taken off its whole"
    )]
    pub fn new(seconds: u64, utc_offset_s: i32) -> Self {
        let seconds = seconds.saturating_add_signed(i64::from(utc_offset_s));
        let (days, rest) = (seconds / 86_400, (seconds % 86_400) as u32);
        // Days from 0000-03-01, in eras of 400 years; years begin in March, so that the leap day
        // is the last of its year.
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u8;
        let month = ((month_from_march + 2) % 12 + 1) as u8;
        let year = (400 * era + year_of_era + u64::from(month <= 2)) as u32;
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        // 1 March is day 59 of a common year; January and February end the March year.
        let year_day = match month {
            1 | 2 => day_of_year - 306,
            _ => day_of_year + 59 + u64::from(leap),
        } as u16;
        Self {
            year,
            month,
            day,
            hour: (rest / 3600) as u8,
            minute: (rest / 60 % 60) as u8,
            second: (rest % 60) as u8,
            weekday: ((days + 4) % 7) as u8,
            year_day,
        }
    }

    /// The month's first three letters, such as `Feb`.
    pub fn month_name(&self) -> &'static [u8] {
        let index = usize::from(self.month.saturating_sub(1));
        MONTHS.get(index).copied().unwrap_or(b"???")
    }

    /// The weekday's first three letters, such as `Sun`.
    pub fn weekday_name(&self) -> &'static [u8] {
        let index = usize::from(self.weekday);
        WEEKDAYS.get(index).copied().unwrap_or(b"???")
    }

    /// Appends `04:02:26`.
    fn write_time(&self, out: &mut Vec<u8>) {
        write_padded(out, u32::from(self.hour), 2);
        out.push(b':');
        write_padded(out, u32::from(self.minute), 2);
        out.push(b':');
        write_padded(out, u32::from(self.second), 2);
    }

    /// Appends `19/Feb/2023:04:02:26`, the log's date without its milliseconds.
    fn write_log_second(&self, out: &mut Vec<u8>) {
        write_padded(out, u32::from(self.day), 2);
        out.push(b'/');
        out.extend_from_slice(self.month_name());
        out.push(b'/');
        write_padded(out, self.year, 4);
        out.push(b':');
        self.write_time(out);
    }
}

/// Appends `19/Feb/2023:04:02:26.864`, local time: the log's `%t` and `%tr`.
pub fn write_log_date(out: &mut Vec<u8>, wall_ms: u64, utc_offset_s: i32) {
    Civil::new(wall_ms / 1000, utc_offset_s).write_log_second(out);
    write_milliseconds(out, wall_ms);
}

/// Appends `19/Feb/2023:04:02:26 +0100`: the log's `%Tl` and `%trl`; with an offset of 0 its
/// `%T` and `%trg`.
pub fn write_zone_date(out: &mut Vec<u8>, wall_ms: u64, utc_offset_s: i32) {
    Civil::new(wall_ms / 1000, utc_offset_s).write_log_second(out);
    out.push(b' ');
    write_zone(out, utc_offset_s, None);
}

/// Appends seconds since 1970: the log's `%Ts`.
pub fn write_timestamp(out: &mut Vec<u8>, wall_ms: u64) {
    write_decimal(out, wall_ms / 1000);
}

/// Appends the milliseconds of the date, three digits: the log's `%ms`.
pub fn write_timestamp_ms(out: &mut Vec<u8>, wall_ms: u64) {
    write_padded(out, (wall_ms % 1000) as u32, 3);
}

/// Appends `Feb  9 04:02:26`, local time with the day padded by a blank (RFC 3164 §4.1.2).
pub fn write_syslog_date(out: &mut Vec<u8>, wall_ms: u64, utc_offset_s: i32) {
    let date = Civil::new(wall_ms / 1000, utc_offset_s);
    out.extend_from_slice(date.month_name());
    out.push(b' ');
    if date.day < 10 {
        out.push(b' ');
    }
    write_decimal(out, u64::from(date.day));
    out.push(b' ');
    date.write_time(out);
}

/// Appends `2023-02-19T04:02:26+01:00` (RFC 3339, whole seconds).
pub fn write_rfc3339(out: &mut Vec<u8>, wall_ms: u64, utc_offset_s: i32) {
    write_rfc3339_second(out, wall_ms, utc_offset_s);
    write_zone(out, utc_offset_s, Some(b':'));
}

/// Appends `2023-02-19T04:02:26.864000+01:00` (RFC 3339 with microseconds, as RFC 5424 messages
/// have it; the clock has milliseconds).
pub fn write_rfc3339_micros(out: &mut Vec<u8>, wall_ms: u64, utc_offset_s: i32) {
    write_rfc3339_second(out, wall_ms, utc_offset_s);
    write_milliseconds(out, wall_ms);
    out.extend_from_slice(b"000");
    write_zone(out, utc_offset_s, Some(b':'));
}

fn write_rfc3339_second(out: &mut Vec<u8>, wall_ms: u64, utc_offset_s: i32) {
    let date = Civil::new(wall_ms / 1000, utc_offset_s);
    write_padded(out, date.year, 4);
    out.push(b'-');
    write_padded(out, u32::from(date.month), 2);
    out.push(b'-');
    write_padded(out, u32::from(date.day), 2);
    out.push(b'T');
    date.write_time(out);
}

/// Appends `Sun, 22 Nov 2026 10:00:00 GMT` (RFC 9110 §5.6.7).
pub fn write_http_date(out: &mut Vec<u8>, wall_ms: u64) {
    let date = Civil::new(wall_ms / 1000, 0);
    out.extend_from_slice(date.weekday_name());
    out.extend_from_slice(b", ");
    write_padded(out, u32::from(date.day), 2);
    out.push(b' ');
    out.extend_from_slice(date.month_name());
    out.push(b' ');
    write_padded(out, date.year, 4);
    out.push(b' ');
    date.write_time(out);
    out.extend_from_slice(b" GMT");
}

/// Appends `049/040303`: day of the year from 0, then hours, minutes and seconds, local time, as
/// HAProxy 2.2 put before its messages.
pub fn write_message_date(out: &mut Vec<u8>, wall_ms: u64, utc_offset_s: i32) {
    let date = Civil::new(wall_ms / 1000, utc_offset_s);
    write_padded(out, u32::from(date.year_day), 3);
    out.push(b'/');
    for part in [date.hour, date.minute, date.second] {
        write_padded(out, u32::from(part), 2);
    }
}

/// The text of one second, rendered once. Made for the log, whose dates are nearly always those
/// of the present second; another second is rendered anew.
#[derive(Clone, Debug, Default)]
pub struct DateCache {
    log: Cached,
    http: Cached,
}

#[derive(Clone, Debug, Default)]
struct Cached {
    /// The second since 1970 and the offset that `text` is of.
    of: Option<(u64, i32)>,
    text: Vec<u8>,
}

impl Cached {
    fn text(&mut self, of: (u64, i32), render: impl FnOnce(&mut Vec<u8>)) -> &[u8] {
        if self.of != Some(of) {
            self.text.clear();
            render(&mut self.text);
            self.of = Some(of);
        }
        &self.text
    }
}

impl DateCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends what `write_log_date` does.
    pub fn write_log_date(&mut self, out: &mut Vec<u8>, wall_ms: u64, utc_offset_s: i32) {
        let second = wall_ms / 1000;
        out.extend_from_slice(self.log.text((second, utc_offset_s), |text| {
            Civil::new(second, utc_offset_s).write_log_second(text);
        }));
        write_milliseconds(out, wall_ms);
    }

    /// What `write_http_date` appends.
    pub fn http_date(&mut self, wall_ms: u64) -> &[u8] {
        self.http
            .text((wall_ms / 1000, 0), |text| write_http_date(text, wall_ms))
    }
}

/// Appends `.864`.
fn write_milliseconds(out: &mut Vec<u8>, wall_ms: u64) {
    out.push(b'.');
    write_padded(out, (wall_ms % 1000) as u32, 3);
}

/// Appends `+0100`, or `+01:00` with a separator.
fn write_zone(out: &mut Vec<u8>, utc_offset_s: i32, separator: Option<u8>) {
    out.push(if utc_offset_s < 0 { b'-' } else { b'+' });
    let minutes = utc_offset_s.unsigned_abs() / 60;
    write_padded(out, minutes / 60, 2);
    out.extend(separator);
    write_padded(out, minutes % 60, 2);
}

/// Appends the last `width` (at most 4) digits of `n`, padded by zeros.
#[expect(clippy::arithmetic_side_effects, reason = "a rest of ten is one digit")]
fn write_padded(out: &mut Vec<u8>, n: u32, width: u32) {
    let digits = [n / 1000, n / 100, n / 10, n].map(|n| b'0' + (n % 10) as u8);
    let first = digits.len().saturating_sub(width as usize);
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn civil_dates() {
        // Seconds, then the date as `date -u +'%Y-%m-%d %H:%M:%S %w %j'` has it.
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00 4 001"),
            (951_782_399, "2000-02-28 23:59:59 1 059"),
            (951_782_400, "2000-02-29 00:00:00 2 060"),
            (951_868_800, "2000-03-01 00:00:00 3 061"),
            (1_676_779_346, "2023-02-19 04:02:26 0 050"),
            (1_704_067_199, "2023-12-31 23:59:59 0 365"),
            (1_735_603_200, "2024-12-31 00:00:00 2 366"),
            (1_795_341_600, "2026-11-22 10:00:00 0 326"),
            (4_107_542_400, "2100-03-01 00:00:00 1 060"),
            (16_725_225_599, "2499-12-31 23:59:59 4 365"),
        ] {
            let d = Civil::new(seconds, 0);
            let shown = format!(
                "{:04}-{:02}-{:02} {:02}:{:02}:{:02} {} {:03}",
                d.year,
                d.month,
                d.day,
                d.hour,
                d.minute,
                d.second,
                d.weekday,
                d.year_day + 1
            );
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut before = Civil::new(0, 0);
        for day in 1..200_000u64 {
            let date = Civil::new(day * 86_400, 0);
            assert_eq!(date.weekday, (before.weekday + 1) % 7);
            if date.day != 1 {
                assert_eq!((date.day, date.month), (before.day + 1, before.month));
            }
            if date.year == before.year {
                assert_eq!(date.year_day, before.year_day + 1);
            } else {
                assert_eq!((date.year_day, date.month, date.day), (0, 1, 1));
            }
            before = date;
        }
    }

    #[test]
    fn dates_as_text() {
        let at = 1_676_779_346_864; // 2023-02-19 04:02:26.864 UTC
        assert_eq!(
            text(|o| write_log_date(o, at, 0)),
            "19/Feb/2023:04:02:26.864"
        );
        assert_eq!(
            text(|o| write_log_date(o, at, 3600)),
            "19/Feb/2023:05:02:26.864"
        );
        assert_eq!(
            text(|o| write_zone_date(o, at, 0)),
            "19/Feb/2023:04:02:26 +0000"
        );
        assert_eq!(
            text(|o| write_zone_date(o, at, -12_600)),
            "19/Feb/2023:00:32:26 -0330"
        );
        assert_eq!(text(|o| write_timestamp(o, at)), "1676779346");
        assert_eq!(text(|o| write_timestamp_ms(o, at - 860)), "004");
        assert_eq!(text(|o| write_syslog_date(o, at, 0)), "Feb 19 04:02:26");
        assert_eq!(
            text(|o| write_syslog_date(o, at - 10 * 86_400_000, 0)),
            "Feb  9 04:02:26"
        );
        assert_eq!(
            text(|o| write_rfc3339(o, at, 19_800)),
            "2023-02-19T09:32:26+05:30"
        );
        assert_eq!(
            text(|o| write_http_date(o, at)),
            "Sun, 19 Feb 2023 04:02:26 GMT"
        );
        assert_eq!(text(|o| write_message_date(o, at, 0)), "049/040226");
    }

    #[test]
    fn the_cache_says_the_same() {
        let mut cache = DateCache::new();
        for (at, offset) in [
            (1_676_779_346_864, 0),
            (1_676_779_346_001, 0),
            (1_676_779_347_000, 0),
            (1_676_779_347_000, 7200),
            (1_676_779_346_999, 7200),
        ] {
            let log = text(|o| write_log_date(o, at, offset));
            assert_eq!(text(|o| cache.write_log_date(o, at, offset)), log);
            assert_eq!(
                cache.http_date(at),
                text(|o| write_http_date(o, at)).as_bytes()
            );
        }
    }
}
