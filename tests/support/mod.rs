//! What the black-box tests stand on: a proxy process, origins, a syslog socket and raw clients.
//!
//! The binary under test is the one Cargo built; `ONELOOP_TEST_BIN=/usr/sbin/haproxy` runs the
//! same tests against the oracle, and [`Flavour`] holds the few places where the two differ on
//! purpose. Nothing here sleeps in place of knowing: every wait polls a condition, or waits on a
//! condition variable, until [`PATIENCE`] is over. Ports come from the kernel, on a loopback
//! address of the test's own (see [`own_address`]), so a port that was given back for a moment
//! cannot be taken by somebody else's outgoing connection, whose address is always 127.0.0.1.
//!
//! Rejected: waiting for a listener by connecting to it (the probe would show up in the logs and
//! counters that the tests read; `/proc/net/tcp` tells the same without a trace).

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

pub(crate) mod client;
pub(crate) mod log;
pub(crate) mod origin;
pub(crate) mod place;
pub(crate) mod proxy;

pub(crate) use place::*;

/// The `TZ` every proxy under test runs with, so that local time is seen to be local.
pub(crate) const ZONE: &str = "TST-3";

/// What [`ZONE`] adds to UTC, in seconds.
const ZONE_SECONDS: u64 = 3 * 3600;

/// Which program is under test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flavour {
    /// oneloop: the article's HAProxy 2.2 where versions differ.
    Oneloop,
    /// Debian's HAProxy 2.6, to check the expectations themselves.
    Oracle,
}

/// The flavour of the binary that [`binary`] names.
pub(crate) fn flavour() -> Flavour {
    if binary().ends_with("haproxy") {
        Flavour::Oracle
    } else {
        Flavour::Oneloop
    }
}

/// The program under test.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("ONELOOP_TEST_BIN").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_oneloop")),
        PathBuf::from,
    )
}

impl Flavour {
    /// The BYTES of an http log line, given the article's number (HAProxy 2.2 counts 5 more).
    pub(crate) fn bytes(self, article: u64) -> u64 {
        match self {
            Self::Oneloop => article,
            Self::Oracle => article - 5,
        }
    }
}

/// A growing list that other threads wait on: log records, output lines, requests seen.
#[derive(Debug)]
pub(crate) struct Journal<T> {
    items: Mutex<Vec<T>>,
    changed: Condvar,
}

impl<T: Clone + Debug> Journal<T> {
    /// An empty list.
    pub(crate) fn new() -> Self {
        Self {
            items: Mutex::new(Vec::new()),
            changed: Condvar::new(),
        }
    }

    /// Adds an item and wakes whoever waits.
    pub(crate) fn push(&self, item: T) {
        self.items.lock().unwrap().push(item);
        self.changed.notify_all();
    }

    /// Waits until an item is `wanted`, and removes the first such one.
    pub(crate) fn take(&self, what: &str, wanted: impl Fn(&T) -> bool) -> T {
        self.wait(what, |items| {
            let at = items.iter().position(&wanted)?;
            Some(items.remove(at))
        })
    }

    /// Waits until `look` finds what it wants in the list.
    pub(crate) fn wait<R>(&self, what: &str, mut look: impl FnMut(&mut Vec<T>) -> Option<R>) -> R {
        let deadline = Instant::now() + PATIENCE;
        let mut items = self.items.lock().unwrap();
        loop {
            if let Some(found) = look(&mut items) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "waited in vain for {what}; there is: {items:#?}"
            );
            items = self.changed.wait_timeout(items, left).unwrap().0;
        }
    }

    /// What is there and was not taken.
    pub(crate) fn rest(&self) -> Vec<T> {
        self.items.lock().unwrap().clone()
    }
}

/// A moment in [`ZONE`], broken down as the logs print it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalTime {
    /// Seconds since the epoch, shifted into the zone.
    seconds: u64,
}

impl LocalTime {
    /// The present moment.
    pub(crate) fn now() -> Self {
        let utc = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        Self {
            seconds: utc + ZONE_SECONDS,
        }
    }

    /// The moment `seconds` earlier.
    pub(crate) fn earlier(self, seconds: u64) -> Self {
        Self {
            seconds: self.seconds - seconds,
        }
    }

    /// (year, month from 1, day from 1, day of the year from 0).
    fn date(self) -> (u64, usize, u64, u64) {
        let mut days = self.seconds / 86_400;
        let leap =
            |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
        let mut year = 1970;
        while days >= 365 + u64::from(leap(year)) {
            days -= 365 + u64::from(leap(year));
            year += 1;
        }
        let day_of_year = days;
        let february = 28 + u64::from(leap(year));
        let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut month = 0;
        while days >= lengths[month] {
            days -= lengths[month];
            month += 1;
        }
        (year, month + 1, days + 1, day_of_year)
    }

    fn clock(self) -> (u64, u64, u64) {
        (
            self.seconds / 3600 % 24,
            self.seconds / 60 % 60,
            self.seconds % 60,
        )
    }

    fn month_name(self) -> &'static str {
        let names = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        names[self.date().1 - 1]
    }

    /// `049/040303`, as in `[WARNING] 049/040303 (4418) : `.
    pub(crate) fn stderr_stamp(self) -> String {
        let (h, m, s) = self.clock();
        format!("{:03}/{h:02}{m:02}{s:02}", self.date().3)
    }

    /// `Feb 19 04:02:26`, as in a syslog record; a day below ten has a blank in front.
    pub(crate) fn syslog_stamp(self) -> String {
        let (h, m, s) = self.clock();
        format!(
            "{} {:2} {h:02}:{m:02}:{s:02}",
            self.month_name(),
            self.date().2
        )
    }

    /// `19/Feb/2023:04:02:26`, as in a request's log line, without the milliseconds.
    pub(crate) fn log_stamp(self) -> String {
        let (year, _, day, _) = self.date();
        let (h, m, s) = self.clock();
        format!("{day:02}/{}/{year}:{h:02}:{m:02}:{s:02}", self.month_name())
    }
}

/// Panics unless `stamp` is `format` of one of the last 120 seconds.
pub(crate) fn assert_recent(stamp: &str, format: impl Fn(LocalTime) -> String) {
    let now = LocalTime::now();
    let recent = (0..120).any(|age| format(now.earlier(age)) == stamp);
    assert!(
        recent,
        "{stamp:?} is not a local time of the last two minutes: {}",
        format(now)
    );
}
