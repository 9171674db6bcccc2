//! When a server counts as up or down: the rise/fall counter and the time of the next check.
//!
//! Results and times go in, transitions and the next due time come out. The counter runs from 0
//! (surely down) to `rise + fall - 1` (surely up); the server is up from `rise` on. A first
//! failure on the way down, or a first success on the way up, makes the checks hurry
//! (`fastinter`). A server starts at `rise`: up, and one failure from down.
//!
//! It sends nothing, knows no sockets and never decides what a failure does to sessions. The
//! interval runs from the end of a check to the start of the next, as it does in HAProxy.

use std::io::Write as _;

/// Intervals below this do not count for the spread of the first checks, in ms.
const SPREAD_INTERVAL_MIN_MS: u64 = 1000;

/// `inter`, `fastinter`, `downinter`, `rise` and `fall` (configuration.txt 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Between two checks of a server that is surely up, in ms.
    pub inter_ms: u64,
    /// Between two checks while the counter is on its way; `inter_ms` when not set.
    pub fastinter_ms: Option<u64>,
    /// Between two checks of a server that is surely down; `inter_ms` when not set.
    pub downinter_ms: Option<u64>,
    /// Successes in a row that bring a server up, at least 1.
    pub rise: u32,
    /// Failures in a row that take a server down, at least 1.
    pub fall: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            inter_ms: 2000,
            fastinter_ms: None,
            downinter_ms: None,
            rise: 2,
            fall: 3,
        }
    }
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server serves.
    Passed,
    /// It serves those it knows and wants no others (`http-check disable-on-404`).
    PassedStopping,
    /// It does not serve.
    Failed,
}

impl Verdict {
    /// `srv_check_result` of `show servers state`.
    pub const fn number(self) -> u8 {
        match self {
            Self::Failed => 2,
            Self::Passed => 3,
            Self::PassedStopping => 4,
        }
    }

    /// The verdict of a number as printed; the others are none.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            2 => Some(Self::Failed),
            3 => Some(Self::Passed),
            4 => Some(Self::PassedStopping),
            _ => None,
        }
    }

    /// The word of the `log-health-checks` line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Passed => "succeeded",
            Self::PassedStopping => "conditionally succeeded",
        }
    }
}

/// What a result did to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// Nothing.
    None,
    /// The last of `fall` failures: it is down now.
    WentDown,
    /// The last of `rise` successes: it is up now.
    CameUp,
    /// It wants no new sessions now.
    Stopping,
    /// It was stopping and takes new sessions again.
    Resumed,
}

/// What `Check::on_result` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What changed.
    pub transition: Transition,
    /// The counter moved: `option log-health-checks` tells of it.
    pub moved: bool,
    /// When the next check starts, monotonic ms.
    pub due_ms: u64,
}

/// The check of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    settings: Settings,
    value: u32,
    stopping: bool,
    enabled: bool,
    paused: bool,
    /// It was enabled when it was paused: only then HAProxy takes note of that.
    halted: bool,
    verdict: Option<Verdict>,
}

impl Check {
    /// A check that has not run: its server is up, one failure from down.
    pub const fn new(settings: Settings) -> Self {
        Self {
            settings,
            value: settings.rise,
            stopping: false,
            enabled: true,
            paused: false,
            halted: false,
            verdict: None,
        }
    }

    /// Takes the result of a check that ended at `now_ms`. `spread_ms` (negative, zero or
    /// positive, from `spread-checks` and the caller's randomness) is added to the interval.
    pub fn on_result(&mut self, verdict: Verdict, now_ms: u64, spread_ms: i64) -> Outcome {
        let before = self.value;
        let was_up = self.is_up();
        let was_stopping = self.stopping;
        self.verdict = Some(verdict);
        let transition = match verdict {
            Verdict::Failed => {
                // Below `rise` a single failure undoes all successes.
                self.value = if self.value > self.settings.rise {
                    self.value.saturating_sub(1)
                } else {
                    0
                };
                if was_up && !self.is_up() {
                    Transition::WentDown
                } else {
                    Transition::None
                }
            }
            // Who wants no new sessions cannot come up that way.
            Verdict::PassedStopping if !was_up => Transition::None,
            Verdict::Passed | Verdict::PassedStopping => {
                // Up is up: one success there undoes all failures.
                self.value = self.value.saturating_add(1).min(self.full());
                if self.value >= self.settings.rise {
                    self.value = self.full();
                }
                self.stopping = verdict == Verdict::PassedStopping;
                match (was_up, self.is_up(), was_stopping, self.stopping) {
                    (false, true, _, _) => Transition::CameUp,
                    (true, _, false, true) => Transition::Stopping,
                    (true, _, true, false) => Transition::Resumed,
                    _ => Transition::None,
                }
            }
        };
        if !self.is_up() {
            self.stopping = false;
        }
        let due_ms = now_ms
            .saturating_add(self.interval_ms())
            .saturating_add_signed(spread_ms);
        Outcome {
            transition,
            moved: self.value != before,
            due_ms,
        }
    }

    /// The present interval between the end of a check and the next one, in ms: `inter` when
    /// surely up, `downinter` when surely down, `fastinter` in between.
    pub fn interval_ms(&self) -> u64 {
        let Settings {
            inter_ms,
            fastinter_ms,
            downinter_ms,
            ..
        } = self.settings;
        let chosen = match self.value {
            0 => downinter_ms,
            value if value == self.full() => None,
            _ => fastinter_ms,
        };
        chosen.unwrap_or(inter_ms).max(1)
    }

    /// True while the counter says up.
    pub const fn is_up(&self) -> bool {
        self.value >= self.settings.rise
    }

    /// The counter.
    pub const fn value(&self) -> u32 {
        self.value
    }

    /// The counter of a server that is surely up.
    pub const fn full(&self) -> u32 {
        let both = self.settings.rise.saturating_add(self.settings.fall);
        both.saturating_sub(1)
    }

    /// What the last check found.
    pub const fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// The settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The counter is so far above down at most: `on-error sudden-death` and `mark-down`.
    pub fn limit_to(&mut self, spare: u32) {
        self.value = self.value.min(self.settings.rise.saturating_add(spare));
    }

    /// `set server B/S health up|down`: the counter goes to its end.
    pub fn force(&mut self, up: bool) {
        self.value = if up { self.full() } else { 0 };
        self.stopping = false;
    }

    /// Down and one success from up, before any check has run: `first-check-before-traffic`.
    pub fn hold_back(&mut self) {
        self.value = self.settings.rise.saturating_sub(1);
    }

    /// Goes on from where another process was: its counter and what its last check found.
    pub fn carry_on(&mut self, value: u32, verdict: Option<Verdict>) {
        self.value = value.min(self.full());
        self.verdict = verdict;
        self.stopping = self.is_up() && verdict == Some(Verdict::PassedStopping);
    }

    /// The server goes into maintenance: no checks, counter at 0.
    pub fn pause(&mut self) {
        self.paused = true;
        self.halted = self.enabled;
        self.value = 0;
        self.stopping = false;
    }

    /// The server leaves maintenance: up again, one failure from down.
    pub fn resume(&mut self) {
        self.paused = false;
        self.halted = false;
        self.value = self.settings.rise;
    }

    /// `disable health B/S` and `enable health B/S`; the counter stays.
    pub fn set_enabled(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    /// True when checks are to run.
    pub const fn runs(&self) -> bool {
        self.enabled && !self.paused
    }

    /// True unless `disable health` was given: otherwise the status is `no check`.
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// `srv_check_state` of `show servers state`: 1 running now, 2 configured, 4 enabled,
    /// 8 paused. Of one that was not enabled when it was paused it says so only since it is.
    pub const fn number(&self, in_progress: bool) -> u8 {
        let paused = self.paused && (self.enabled || self.halted);
        in_progress as u8 | 2 | ((self.enabled as u8) << 2) | ((paused as u8) << 3)
    }

    /// Whether it was enabled when it was paused.
    pub const fn is_halted(&self) -> bool {
        self.halted
    }

    /// Whether it was enabled when another process paused it.
    pub fn recall_halted(&mut self, halted: bool) {
        self.halted = self.paused && halted;
    }

    /// Appends `2/3 UP` or `1/2 DOWN`, the end of a `log-health-checks` line; a `drained` server
    /// (weight 0 included) that is up has `2/3 DRAIN`.
    pub fn write_progress(&self, out: &mut Vec<u8>, drained: bool) {
        let Settings { rise, fall, .. } = self.settings;
        // Writing to a vector does not fail.
        drop(match self.is_up() {
            true => {
                let word = if drained { "DRAIN" } else { "UP" };
                let spare = self.value.saturating_sub(rise).saturating_add(1);
                write!(out, "{spare}/{fall} {word}")
            }
            false => write!(out, "{}/{rise} DOWN", self.value),
        });
    }
}

/// Appends a whole `option log-health-checks` line, without a newline. `what` is `Health` or
/// `Agent`; `reason` is what
/// `probe::write_reason` wrote.
pub fn write_health_line(
    out: &mut Vec<u8>,
    what: &str,
    (backend, server, is_backup): (&str, &str, bool),
    verdict: Verdict,
    reason: &[u8],
    state: &Check,
    drained: bool,
) {
    let kind = if is_backup { "backup server" } else { "server" };
    drop(write!(
        out,
        "{what} check for {kind} {backend}/{server} {}, ",
        verdict.word()
    ));
    out.extend_from_slice(reason);
    out.extend_from_slice(b", status: ");
    state.write_progress(out, drained);
    out.push(b'.');
}

/// Spreads the first checks of all servers of the process.
///
/// The n-th of N checked servers (disabled ones included, in the order of the configuration)
/// starts n/N of its interval after the start. Short intervals are taken as the shortest one of
/// a second or more, if there is any, so that a few busy checks do not all start at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    count: u64,
    shortest_ms: u64,
}

impl Spread {
    /// The spread over servers with these `inter`s, in ms.
    pub fn new(intervals_ms: impl IntoIterator<Item = u64>) -> Self {
        let mut spread = Self {
            count: 0,
            shortest_ms: u64::MAX,
        };
        for interval in intervals_ms {
            spread.count = spread.count.saturating_add(1);
            if interval >= SPREAD_INTERVAL_MIN_MS {
                spread.shortest_ms = spread.shortest_ms.min(interval);
            }
        }
        if spread.shortest_ms == u64::MAX {
            spread.shortest_ms = 0;
        }
        spread
    }

    /// How long after the start the check number `index` (from 0) begins, in ms.
    pub fn delay_ms(&self, index: u64, interval_ms: u64) -> u64 {
        let turns_ms = interval_ms.max(self.shortest_ms).saturating_mul(index);
        // Without any check there is nothing to spread.
        turns_ms.checked_div(self.count).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Transition::{CameUp, None as Same, Resumed, Stopping, WentDown};
    use super::Verdict::{Failed, Passed, PassedStopping};
    use super::*;

    fn progress(state: &Check) -> String {
        let mut out = Vec::new();
        state.write_progress(&mut out, false);
        String::from_utf8(out).unwrap()
    }

    /// Each row: verdict, transition, did the counter move, wait until the next check, progress.
    /// The first table is what HAProxy 2.6.12 logged (`inter 1000 fastinter 200 downinter 500
    /// rise 3 fall 3`).
    #[test]
    fn results_move_the_counter() {
        let settings = Settings {
            inter_ms: 1000,
            fastinter_ms: Some(200),
            downinter_ms: Some(500),
            rise: 3,
            fall: 3,
        };
        type Row = (Verdict, Transition, bool, u64, &'static str);
        let tables: [(Settings, &[Row]); 3] = [
            (
                settings,
                &[
                    (Passed, Same, true, 1000, "3/3 UP"),
                    (Passed, Same, false, 1000, "3/3 UP"),
                    (Failed, Same, true, 200, "2/3 UP"),
                    (Failed, Same, true, 200, "1/3 UP"),
                    (Failed, WentDown, true, 500, "0/3 DOWN"),
                    (Failed, Same, false, 500, "0/3 DOWN"),
                    (Passed, Same, true, 200, "1/3 DOWN"),
                    (Failed, Same, true, 500, "0/3 DOWN"),
                    (Passed, Same, true, 200, "1/3 DOWN"),
                    (Passed, Same, true, 200, "2/3 DOWN"),
                    (Passed, CameUp, true, 1000, "3/3 UP"),
                    (Failed, Same, true, 200, "2/3 UP"),
                    (Passed, Same, true, 1000, "3/3 UP"),
                ],
            ),
            (
                Settings {
                    rise: 2,
                    fall: 1,
                    ..Settings::default()
                },
                &[
                    (Failed, WentDown, true, 2000, "0/2 DOWN"),
                    (Passed, Same, true, 2000, "1/2 DOWN"),
                    (Passed, CameUp, true, 2000, "1/1 UP"),
                    (Failed, WentDown, true, 2000, "0/2 DOWN"),
                ],
            ),
            (
                Settings::default(),
                &[
                    (PassedStopping, Stopping, true, 2000, "3/3 UP"),
                    (PassedStopping, Same, false, 2000, "3/3 UP"),
                    (Passed, Resumed, false, 2000, "3/3 UP"),
                    (Failed, Same, true, 2000, "2/3 UP"),
                    (Failed, Same, true, 2000, "1/3 UP"),
                    (Failed, WentDown, true, 2000, "0/2 DOWN"),
                    (PassedStopping, Same, false, 2000, "0/2 DOWN"),
                ],
            ),
        ];
        for (table, (settings, rows)) in tables.into_iter().enumerate() {
            let mut state = Check::new(settings);
            for (row, &(verdict, transition, moved, wait_ms, shown)) in rows.iter().enumerate() {
                let outcome = state.on_result(verdict, 10_000, 0);
                let expected = Outcome {
                    transition,
                    moved,
                    due_ms: 10_000 + wait_ms,
                };
                assert_eq!(
                    (outcome, progress(&state).as_str()),
                    (expected, shown),
                    "{table}.{row}"
                );
            }
        }
    }

    #[test]
    fn a_new_server_is_one_failure_from_down() {
        let mut state = Check::new(Settings::default());
        assert_eq!(progress(&state), "1/3 UP");
        assert_eq!(state.on_result(Failed, 0, 0).transition, WentDown);
    }

    #[test]
    fn maintenance_and_the_runtime_api() {
        let mut state = Check::new(Settings::default());
        state.on_result(Passed, 0, 0);
        assert_eq!((state.value(), state.number(false)), (4, 6));
        state.pause();
        assert_eq!(
            (state.value(), state.number(false), state.runs()),
            (0, 14, false)
        );
        state.resume();
        assert_eq!(
            (state.value(), state.number(true), state.runs()),
            (2, 7, true)
        );
        state.set_enabled(false);
        assert_eq!(
            (state.value(), state.number(false), state.runs()),
            (2, 2, false)
        );
        state.force(false);
        assert_eq!(progress(&state), "0/2 DOWN");
        state.force(true);
        assert_eq!(progress(&state), "3/3 UP");
    }

    /// Seen on HAProxy 2.6.12: one row is the intervals of all checked servers and when each
    /// first check came.
    #[test]
    fn who_is_held_back_comes_up_by_the_first_check() {
        for (verdict, transition, shown) in [
            (Passed, CameUp, "3/3 UP"),
            (Failed, Same, "0/2 DOWN"),
            (PassedStopping, Same, "1/2 DOWN"),
        ] {
            let mut state = Check::new(Settings::default());
            state.hold_back();
            assert_eq!(progress(&state), "1/2 DOWN");
            assert_eq!(state.on_result(verdict, 0, 0).transition, transition);
            assert_eq!(progress(&state), shown);
        }
    }

    #[test]
    fn first_checks_are_spread() {
        let rows: [(&[u64], &[u64]); 6] = [
            (&[2000], &[0]),
            (&[2000, 2000], &[0, 1000]),
            (&[2000, 2000, 2000], &[0, 666, 1333]),
            (&[10_000, 10_000, 10_000], &[0, 3333, 6666]),
            (&[2000, 500, 1000, 100], &[0, 250, 500, 750]),
            (&[2000, 2000, 1000, 1000], &[0, 500, 500, 750]),
        ];
        for (intervals, delays) in rows {
            let spread = Spread::new(intervals.iter().copied());
            let found: Vec<_> = (0..)
                .zip(intervals)
                .map(|(n, interval)| spread.delay_ms(n, *interval))
                .collect();
            assert_eq!(found, delays);
        }
    }

    #[test]
    fn the_line_of_log_health_checks() {
        let mut state = Check::new(Settings::default());
        state.on_result(Passed, 0, 0);
        state.on_result(Failed, 0, 0);
        let mut out = Vec::new();
        let reason = b"reason: Layer4 connection problem, info: \"Connection refused\", \
                       check duration: 0ms";
        write_health_line(
            &mut out,
            "Health",
            ("b", "a", false),
            Failed,
            reason,
            &state,
            false,
        );
        out.push(b'|');
        write_health_line(
            &mut out,
            "Health",
            ("b", "a", true),
            Failed,
            reason,
            &state,
            true,
        );
        let rest = "b/a failed, reason: Layer4 connection problem, info: \"Connection refused\", \
                    check duration: 0ms, status: 2/3";
        let expected = format!(
            "Health check for server {rest} UP.|Health check for backup server {rest} DRAIN."
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
