//! The run-time record of a server: administrative state, operational state, weight, counters,
//! and the words in which changes are told.
//!
//! A server is described by two things that must not be mixed: what the administrator wants
//! (`Admin`, a set of reasons for maintenance or drain) and what the checks found (`Op` and the
//! check's health). `usable` and the status text follow from both; the pair is never stored a
//! second time in another form.
//!
//! Changes are methods that say what changed; the caller keeps the picker in step, tells the log
//! and starts or stops checks. Nothing here reads a clock or knows a session. All texts of state
//! changes are in this file, so that the log, stderr and the runtime API cannot differ.

use std::io::Write as _;

use super::pick::PARTS;
use crate::base::addr::write_decimal;

/// Reasons for maintenance and drain, with HAProxy's numbers (`srv_admin_state` of
/// `show servers state`, management.txt 9.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Admin(u8);

impl Admin {
    /// Nothing: ready.
    pub const READY: Self = Self(0);
    /// Maintenance by the runtime API.
    pub const FORCED_MAINT: Self = Self(0x01);
    /// Maintenance of the server that this one tracks.
    pub const INHERITED_MAINT: Self = Self(0x02);
    /// The configuration says `disabled`. Such a server starts with `FORCED_MAINT` too, and this
    /// one stays as a mark when the runtime API has made it ready: no reason by itself.
    pub const CONFIG_MAINT: Self = Self(0x04);
    /// Drain by the runtime API.
    pub const FORCED_DRAIN: Self = Self(0x08);
    /// Drain of the server that this one tracks.
    pub const INHERITED_DRAIN: Self = Self(0x10);
    /// Maintenance because the name did not resolve.
    pub const RESOLUTION_MAINT: Self = Self(0x20);
    /// The name was set by the runtime API; no reason by itself.
    pub const NAME_SET: Self = Self(0x40);
    /// Any reason for maintenance.
    pub const MAINT: Self = Self(0x01 | 0x02 | 0x20);
    /// Any reason for drain.
    pub const DRAIN: Self = Self(0x08 | 0x10);

    /// The number that `show servers state` prints.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set of a number as printed; unknown bits are dropped.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0x7f)
    }

    /// True when any reason of `other` is set.
    pub const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// This set and `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set less `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// Operational state, with HAProxy's numbers (`srv_op_state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Op {
    /// Down.
    Stopped = 0,
    /// Up and still warming (`slowstart`).
    Starting = 1,
    /// Up.
    Running = 2,
    /// Up for those it knows; new sessions go elsewhere (`NOLB`).
    Stopping = 3,
}

impl Op {
    /// The state of a number as printed.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Stopped),
            1 => Some(Self::Starting),
            2 => Some(Self::Running),
            3 => Some(Self::Stopping),
            _ => None,
        }
    }
}

/// Where a check's counter stands: `value` is 0 when surely down, `rise + fall - 1` when surely
/// up, and the server runs from `rise` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// The counter.
    pub value: u32,
    /// Successes in a row that bring a server up.
    pub rise: u32,
    /// Failures in a row that take a server down.
    pub fall: u32,
}

impl Health {
    /// The counter of a server that is surely up.
    pub const fn full(&self) -> u32 {
        self.rise.saturating_add(self.fall).saturating_sub(1)
    }
}

/// What the agent of a server says of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AgentWord {
    /// Nobody is asked.
    #[default]
    None,
    /// Nothing is wrong.
    Up,
    /// It is down.
    Down,
}

impl AgentWord {
    /// Nobody is asked.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::None
    }
}

/// Which traffic of a server tells of its health (`observe`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Observed {
    /// None.
    #[default]
    Nothing,
    /// `layer4`: whether it can be connected to.
    Connections,
    /// `layer7`: that, and what it answers.
    Answers,
}

/// What a server starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initial {
    /// `weight`, 0 to 256.
    pub weight: u16,
    /// `backup`.
    pub backup: bool,
    /// `disabled`: starts in maintenance.
    pub disabled: bool,
    /// `minconn`, 0 for a limit that does not move.
    pub minconn: u32,
    /// `maxconn`, 0 for none.
    pub maxconn: u32,
    /// `maxqueue`, 0 for none.
    pub maxqueue: u32,
    /// `slowstart`, ms; 0 for none.
    pub slow_start_ms: u32,
    /// `check`.
    pub checked: bool,
    /// `agent-check`.
    pub agent: AgentWord,
    /// `observe`.
    pub observed: Observed,
    /// `rise`.
    pub rise: u32,
    /// `fall`.
    pub fall: u32,
}

impl Default for Initial {
    fn default() -> Self {
        Self {
            weight: 1,
            backup: false,
            disabled: false,
            minconn: 0,
            maxconn: 0,
            maxqueue: 0,
            slow_start_ms: 0,
            checked: false,
            agent: AgentWord::None,
            observed: Observed::Nothing,
            rise: 2,
            fall: 3,
        }
    }
}

/// How much a backend has to do, for the limits of its servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Its sessions, those that wait among them.
    pub sessions: u32,
    /// `fullconn`: from so many on, servers take as many as they ever do.
    pub full_conn: u32,
}

impl Load {
    /// A backend with nothing to do: servers take as few as they ever do.
    pub const NONE: Self = Self {
        sessions: 0,
        full_conn: u32::MAX,
    };
}

/// A server at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// What the administrator wants.
    pub admin: Admin,
    /// What the checks found.
    pub op: Op,
    /// The check's counter; without a check it only shows what the runtime API has set.
    pub health: Health,
    /// A check is configured and enabled.
    pub checked: bool,
    /// What the agent said.
    pub agent: AgentWord,
    /// What is observed of its traffic.
    pub observed: Observed,
    /// Errors in a row among what is observed.
    pub errors: u32,
    /// How often those were too many: `hanafail`.
    pub alarms: u64,
    /// `backup`.
    pub backup: bool,
    /// Weight of the configuration, 0 to 256.
    pub weight_initial: u16,
    /// Weight as set at run time, 0 to 256.
    pub weight: u16,
    /// The most sessions at once while its backend has none, 0 where the limit does not move.
    pub minconn: u32,
    /// The most sessions at once, 0 for any number.
    pub maxconn: u32,
    /// The most sessions that may wait for this very server, 0 for any number.
    pub maxqueue: u32,
    /// `slowstart`, ms; 0 for none.
    pub slow_start_ms: u32,
    /// How much of its limit of sessions it has reached while it warms up, percent.
    pub warm_percent: u32,
    /// Sessions that hold a slot.
    pub served: u32,
    /// Sessions that wait for a slot of this server.
    pub queued: u32,
    /// When `op` last changed, monotonic ms.
    pub last_change_ms: u64,
    /// Time spent down before `last_change_ms`, in ms.
    pub down_ms: u64,
    /// How often it went down, maintenance included: `chkdown`.
    pub downs: u64,
}

/// What a change of a server is, as the log tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Went down.
    Down,
    /// Came up.
    Up,
    /// Takes no new sessions.
    Stopping,
    /// Was up and goes into maintenance.
    MaintFromUp,
    /// Was down and goes into maintenance.
    MaintFromDown,
    /// Left one reason for maintenance; forced maintenance remains.
    MaintKept,
    /// Left forced maintenance; that of the tracked server remains.
    MaintInherited,
    /// Left maintenance; `forced` when that was the runtime API's.
    MaintLeft {
        /// The reason that went was forced maintenance.
        forced: bool,
    },
    /// Went into drain.
    DrainEntered,
    /// Something changed while drain remains.
    DrainKept,
    /// Left drain.
    DrainLeft,
}

/// What `set server B/S state` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `ready`: neither drain nor maintenance.
    Ready,
    /// `drain`: no new sessions but those that must come here; checks go on.
    Drain,
    /// `maint`: nothing, not even checks.
    Maint,
}

/// What a method of `Server` changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// What to tell.
    pub news: News,
    /// True when it deserves syslog level alert: a server in use was lost. Notice otherwise.
    pub alert: bool,
    /// `News::DrainKept` is to be told after it.
    pub drain_kept: bool,
}

impl Change {
    /// A change that nobody needs to be woken for.
    pub const fn notice(news: News) -> Self {
        Self {
            news,
            alert: false,
            drain_kept: false,
        }
    }

    /// Something changed that nobody sees while drain remains: that is what is told.
    pub const fn drain_kept() -> Self {
        Self::notice(News::DrainKept)
    }
}

impl Server {
    /// A server as the configuration has it. A checked one starts up, one failure from down.
    pub fn new(initial: &Initial, now_ms: u64) -> Self {
        let admin = match initial.disabled {
            true => Admin::CONFIG_MAINT.with(Admin::FORCED_MAINT),
            false => Admin::READY,
        };
        let value = if initial.disabled { 0 } else { initial.rise };
        Self {
            admin,
            op: if initial.disabled {
                Op::Stopped
            } else {
                Op::Running
            },
            health: Health {
                value,
                rise: initial.rise,
                fall: initial.fall,
            },
            checked: initial.checked,
            agent: initial.agent,
            observed: initial.observed,
            errors: 0,
            alarms: 0,
            backup: initial.backup,
            weight_initial: initial.weight,
            weight: initial.weight,
            minconn: initial.minconn,
            maxconn: initial.maxconn,
            maxqueue: initial.maxqueue,
            slow_start_ms: initial.slow_start_ms,
            warm_percent: 100,
            served: 0,
            queued: 0,
            last_change_ms: now_ms,
            down_ms: 0,
            downs: 0,
        }
    }

    /// The same in maintenance by the runtime API, as a server that was added there begins.
    #[must_use]
    pub fn in_maintenance(mut self) -> Self {
        self.admin = self.admin.with(Admin::FORCED_MAINT);
        self.op = Op::Stopped;
        self.health.value = 0;
        self
    }

    /// True when new sessions may be sent here.
    pub const fn usable(&self) -> bool {
        self.weight > 0 && self.alive() && !self.admin.any(Admin::DRAIN)
    }

    /// True when it is up, drained or not.
    pub const fn alive(&self) -> bool {
        matches!(self.op, Op::Running | Op::Starting) && !self.admin.any(Admin::MAINT)
    }

    /// True when sessions that are bound to it may come: also when it wants no others.
    pub const fn takes_bound(&self) -> bool {
        !matches!(self.op, Op::Stopped) && !self.admin.any(Admin::MAINT)
    }

    /// True when it gets no new sessions because of its weight or the administrator's drain.
    pub const fn is_drained(&self) -> bool {
        self.weight == 0 || self.admin.any(Admin::DRAIN)
    }

    /// The weight that the picker is to use: 0 unless usable.
    pub const fn effective_weight(&self) -> u16 {
        if self.usable() { self.weight } else { 0 }
    }

    /// The most sessions at once under this load, 0 for any number: `maxconn`, or with `minconn`
    /// that share of it which the backend's sessions are of its `fullconn`; less of it, but at
    /// least one, while the server warms up.
    pub fn limit(&self, load: Load) -> u32 {
        let limit = self.warm_limit(load);
        if limit == 0 || self.op != Op::Starting {
            return limit;
        }
        let share = u64::from(limit).saturating_mul(self.warm_percent.into()) / 100;
        (share as u32).max(1)
    }

    /// The same of a server that is warm.
    fn warm_limit(&self, load: Load) -> u32 {
        if self.minconn == 0 || load.sessions >= load.full_conn {
            return self.maxconn;
        }
        let share = u64::from(load.sessions).saturating_mul(u64::from(self.maxconn));
        let share = share.checked_div(u64::from(load.full_conn)).unwrap_or(0);
        // Less than the whole of `maxconn`.
        (share as u32).max(self.minconn)
    }

    /// True when all slots that there are under this load are held.
    pub fn is_full(&self, load: Load) -> bool {
        let limit = self.limit(load);
        limit > 0 && self.served >= limit
    }

    /// The check (or the runtime API) found it down. `None` when it was, or is in maintenance.
    pub fn go_down(&mut self, now_ms: u64) -> Option<Change> {
        if self.admin.any(Admin::MAINT) || self.op == Op::Stopped {
            return None;
        }
        // Nobody had taken it out of use; a weight of 0 is no such thing.
        let alert = self.op != Op::Stopping && !self.admin.any(Admin::DRAIN);
        self.change_op(Op::Stopped, now_ms);
        Some(Change {
            news: News::Down,
            alert,
            drain_kept: self.admin.any(Admin::DRAIN),
        })
    }

    /// The check (or the runtime API) found it up. `None` when it was, or is in maintenance.
    pub fn come_up(&mut self, now_ms: u64) -> Option<Change> {
        if self.admin.any(Admin::MAINT) || matches!(self.op, Op::Running | Op::Starting) {
            return None;
        }
        self.begin_running(now_ms);
        let drain_kept = self.admin.any(Admin::DRAIN);
        Some(Change {
            drain_kept,
            ..Change::notice(News::Up)
        })
    }

    /// The check (or the runtime API) found that it wants no new sessions. `None` when it did
    /// already, or is in maintenance.
    pub fn begin_stopping(&mut self, now_ms: u64) -> Option<Change> {
        if self.admin.any(Admin::MAINT) || self.op == Op::Stopping {
            return None;
        }
        self.change_op(Op::Stopping, now_ms);
        let drain_kept = self.admin.any(Admin::DRAIN);
        Some(Change {
            drain_kept,
            ..Change::notice(News::Stopping)
        })
    }

    /// Adds one reason for maintenance or drain. `None` when nothing is to be told.
    pub fn add_admin(&mut self, reason: Admin, now_ms: u64) -> Option<Change> {
        let before = self.admin;
        self.admin = before.with(reason);
        if reason.any(Admin::MAINT) {
            if before.any(Admin::MAINT) {
                return None;
            }
            self.health.value = 0;
            if self.op == Op::Stopped {
                return Some(Change::notice(News::MaintFromDown));
            }
            let alert = self.op != Op::Stopping && !before.any(Admin::DRAIN);
            self.change_op(Op::Stopped, now_ms);
            return Some(Change {
                alert,
                ..Change::notice(News::MaintFromUp)
            });
        }
        if before == self.admin || before.any(Admin::MAINT) || !reason.any(Admin::DRAIN) {
            return None;
        }
        Some(match before.any(Admin::DRAIN) {
            true => Change::drain_kept(),
            false => Change::notice(News::DrainEntered),
        })
    }

    /// Takes one reason for maintenance or drain away. `None` when nothing is to be told. When
    /// the last reason for maintenance goes, the server is up, a checked one by a thread:
    /// `tracked_up` is false when it tracks a server that is down.
    pub fn clear_admin(&mut self, reason: Admin, tracked_up: bool, now_ms: u64) -> Option<Change> {
        let before = self.admin;
        self.admin = before.without(reason);
        if before == self.admin {
            return None;
        }
        if !before.any(Admin::MAINT) {
            let drained = before.any(Admin::DRAIN);
            let left = !self.admin.any(Admin::DRAIN);
            if drained && left && self.slow_start_ms > 0 && self.alive() {
                self.begin_running(now_ms);
            }
            return drained.then_some(match left {
                true => Change::notice(News::DrainLeft),
                false => Change::drain_kept(),
            });
        }
        if self.admin.any(Admin::MAINT) {
            if !reason.any(Admin::MAINT) {
                return None;
            }
            let news = match self.admin.any(Admin::FORCED_MAINT) {
                true => News::MaintKept,
                false => News::MaintInherited,
            };
            return Some(Change::notice(news));
        }
        if tracked_up {
            if self.checked {
                self.health.value = self.health.rise;
            }
            self.begin_running(now_ms);
        }
        let forced = reason.any(Admin::FORCED_MAINT);
        let drain_kept = self.admin.any(Admin::DRAIN);
        Some(Change {
            drain_kept,
            ..Change::notice(News::MaintLeft { forced })
        })
    }

    /// `set server B/S state ...`: up to two changes, to be told in order.
    pub fn set_mode(&mut self, mode: Mode, tracked_up: bool, now_ms: u64) -> [Option<Change>; 2] {
        let (maint, drain) = (Admin::FORCED_MAINT, Admin::FORCED_DRAIN);
        // The order decides what is told: what is added comes first, so that a server on its way
        // from drain to maintenance or back is never in use in between.
        match mode {
            Mode::Ready => [
                self.clear_admin(maint, tracked_up, now_ms),
                self.clear_admin(drain, tracked_up, now_ms),
            ],
            Mode::Drain => [
                self.add_admin(drain, now_ms),
                self.clear_admin(maint, tracked_up, now_ms),
            ],
            Mode::Maint => [
                self.add_admin(maint, now_ms),
                self.clear_admin(drain, tracked_up, now_ms),
            ],
        }
    }

    /// Seconds since `op` last changed: `lastchg`.
    pub const fn since_change_s(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.last_change_ms) / 1000
    }

    /// Seconds spent down in all, the present time down included: `downtime`.
    pub fn downtime_s(&self, now_ms: u64) -> u64 {
        let current = match self.op {
            Op::Stopped => now_ms.saturating_sub(self.last_change_ms),
            _ => 0,
        };
        self.down_ms.saturating_add(current) / 1000
    }

    /// It serves from now on; with `slowstart` it warms up first.
    fn begin_running(&mut self, now_ms: u64) {
        let op = match self.slow_start_ms {
            0 => Op::Running,
            _ => Op::Starting,
        };
        self.warm_percent = 0;
        if self.op == op {
            self.last_change_ms = now_ms;
        } else {
            self.change_op(op, now_ms);
        }
    }

    /// Seconds of its warming: gone, and in all.
    fn warming_s(&self, now_ms: u64) -> (u64, u64) {
        let all = u64::from(self.slow_start_ms).div_ceil(1000).max(1);
        (self.since_change_s(now_ms).min(all), all)
    }

    /// How many sixteenths of its weight a server has reached: all of them unless it warms up,
    /// and at least one.
    pub fn warmth(&self, now_ms: u64) -> u16 {
        if self.op != Op::Starting || self.slow_start_ms == 0 {
            return PARTS;
        }
        let (gone, all) = self.warming_s(now_ms);
        let parts = gone.saturating_mul(PARTS.into()).saturating_add(all);
        // At most one part too many.
        (parts.checked_div(all).unwrap_or(1) as u16).min(PARTS)
    }

    /// The pause between two steps of warming, ms.
    pub fn warming_step_ms(&self) -> u64 {
        u64::from(self.slow_start_ms / 20).max(1000)
    }

    /// Takes one step of warming; whether it was the last one.
    pub fn warm_up(&mut self, now_ms: u64) -> bool {
        let (gone, all) = self.warming_s(now_ms);
        // No more than all of it.
        self.warm_percent = gone.saturating_mul(100).checked_div(all).unwrap_or(100) as u32;
        let is_over = gone >= all;
        if is_over {
            self.change_op(Op::Running, now_ms);
        }
        is_over
    }

    fn change_op(&mut self, op: Op, now_ms: u64) {
        debug_assert_ne!(self.op, op);
        if self.op == Op::Stopped {
            let down_ms = now_ms.saturating_sub(self.last_change_ms);
            self.down_ms = self.down_ms.saturating_add(down_ms);
        }
        if op == Op::Stopped {
            self.downs = self.downs.saturating_add(1);
        }
        self.op = op;
        self.last_change_ms = now_ms;
    }
}

/// A server that another one tracks, for texts.
#[derive(Clone, Copy, Debug)]
pub struct Tracked<'a> {
    /// The record of whom it tracks in the end, which is checked.
    pub server: &'a Server,
    /// The name of its backend.
    pub backend: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// Appends the status that `show stat` and the statistics page print: `UP`, `UP 2/3`, `DOWN`,
/// `DOWN 1/2`, `NOLB`, `DRAIN`, `MAINT`, `MAINT (via b/s)`, `MAINT (resolution)`, `no check`.
/// A server that tracks another shows the other's counter.
pub fn write_status(out: &mut Vec<u8>, server: &Server, tracked: Option<Tracked<'_>>) {
    let source = tracked.map_or(server, |tracked| tracked.server);
    if server.admin.any(Admin::MAINT) {
        out.extend_from_slice(b"MAINT");
        match tracked {
            Some(via) if server.admin.any(Admin::INHERITED_MAINT) => {
                drop(write!(out, " (via {}/{})", via.backend, via.name));
            }
            _ if server.admin.any(Admin::RESOLUTION_MAINT) => {
                out.extend_from_slice(b" (resolution)");
            }
            _ => {}
        }
        return;
    }
    let Health { value, rise, fall } = source.health;
    let word: &[u8] = match server.op {
        Op::Stopped => {
            out.extend_from_slice(b"DOWN");
            if source.agent == AgentWord::Down {
                out.extend_from_slice(b" (agent)");
            } else if source.checked && value > 0 {
                drop(write!(out, " {value}/{rise}"));
            }
            return;
        }
        Op::Stopping => b"NOLB",
        Op::Running | Op::Starting if server.admin.any(Admin::DRAIN) => match source.agent {
            AgentWord::None => b"DRAIN",
            _ => {
                out.extend_from_slice(b"DRAIN (agent)");
                return;
            }
        },
        Op::Running | Op::Starting if !source.checked => b"no check",
        Op::Running | Op::Starting => b"UP",
    };
    out.extend_from_slice(word);
    if source.checked && value < source.health.full() {
        drop(write!(
            out,
            " {}/{fall}",
            value.saturating_add(1).saturating_sub(rise)
        ));
    }
}

/// Why a server went down, came up or is stopping.
#[derive(Clone, Copy, Debug, Default)]
pub enum Cause<'a> {
    /// Not told: the check's result has a line of its own (`option log-health-checks`).
    #[default]
    Untold,
    /// `changed from CLI`.
    Cli,
    /// `changed from server-state after a reload`.
    StateFile,
    /// A check, in the words of `check::probe::write_reason`.
    Check(&'a [u8]),
}

/// The numbers at the end of a change's line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Active servers left after the change.
    pub active: u32,
    /// Backup servers left after the change.
    pub backup: u32,
    /// Sessions on the server.
    pub sessions: u32,
    /// Sessions taken off the server's queue, or given to it.
    pub requeued: u32,
    /// Sessions waiting in the backend's queue.
    pub queued: u32,
}

/// Everything a change's line is made of.
#[derive(Clone, Copy, Debug)]
pub struct Story<'a> {
    /// The backend's name.
    pub backend: &'a str,
    /// The server's name.
    pub name: &'a str,
    /// The server after the change.
    pub server: &'a Server,
    /// Why it changed.
    pub cause: Cause<'a>,
    /// Backend and name of the tracked server whose change it follows.
    pub via: Option<(&'a str, &'a str)>,
    /// The numbers.
    pub counts: Counts,
}

/// Appends the line that tells `news`, without a newline: the same on stderr and in the log.
pub fn write_news(out: &mut Vec<u8>, news: News, story: &Story<'_>) {
    let Story {
        backend,
        name,
        server,
        ..
    } = *story;
    let kind = if server.backup {
        "Backup Server"
    } else {
        "Server"
    };
    drop(write!(out, "{kind} {backend}/{name} "));
    let up = if server.op == Op::Stopped {
        "DOWN"
    } else {
        "UP"
    };
    match news {
        News::Down | News::Up | News::Stopping => {
            out.extend_from_slice(match news {
                News::Down => b"is DOWN",
                News::Up => b"is UP",
                _ => b"is stopping",
            });
            write_cause(out, story);
            write_tail(out, server, &story.counts);
        }
        News::MaintFromUp => {
            out.extend_from_slice(b"is going DOWN for maintenance");
            write_via(out, story);
            write_tail(out, server, &story.counts);
        }
        News::MaintFromDown => {
            out.extend_from_slice(b"was DOWN and now enters maintenance");
            write_via(out, story);
            out.push(b'.');
        }
        News::MaintKept => out.extend_from_slice(b"remains in forced maintenance."),
        News::MaintInherited => {
            out.extend_from_slice(b"is leaving forced maintenance but remains in maintenance");
            write_via(out, story);
            out.push(b'.');
        }
        News::MaintLeft { forced } => {
            let drain = if server.admin.any(Admin::DRAIN) {
                "DRAIN"
            } else {
                "READY"
            };
            let forced = if forced { "forced " } else { "" };
            drop(write!(
                out,
                "is {up}/{drain} (leaving {forced}maintenance)."
            ));
        }
        News::DrainEntered => {
            out.extend_from_slice(b"enters drain state");
            write_via(out, story);
            write_tail(out, server, &story.counts);
        }
        News::DrainKept if server.admin.any(Admin::FORCED_DRAIN) => {
            out.extend_from_slice(b"remains in forced drain mode.");
        }
        News::DrainKept => {
            out.extend_from_slice(b"is leaving forced drain but remains in drain mode");
            write_via(out, story);
            out.push(b'.');
        }
        News::DrainLeft => drop(write!(out, "is {up} (leaving forced drain).")),
    }
}

fn write_cause(out: &mut Vec<u8>, story: &Story<'_>) {
    match story.cause {
        Cause::Untold => {}
        Cause::Cli => out.extend_from_slice(b", changed from CLI"),
        Cause::StateFile => out.extend_from_slice(b", changed from server-state after a reload"),
        Cause::Check(words) => {
            out.extend_from_slice(b", ");
            out.extend_from_slice(words);
        }
    }
    write_via(out, story);
}

fn write_via(out: &mut Vec<u8>, story: &Story<'_>) {
    if let Some((backend, name)) = story.via {
        drop(write!(out, " via {backend}/{name}"));
    }
}

fn write_tail(out: &mut Vec<u8>, server: &Server, counts: &Counts) {
    let Counts {
        active,
        backup,
        sessions,
        requeued,
        queued,
    } = *counts;
    let down = server.op == Op::Stopped;
    out.extend_from_slice(b". ");
    write_decimal(out, u64::from(active));
    out.extend_from_slice(b" active and ");
    write_decimal(out, u64::from(backup));
    out.extend_from_slice(if down {
        b" backup servers left."
    } else {
        b" backup servers online."
    });
    if active == 0 && backup > 0 {
        out.extend_from_slice(b" Running on backup.");
    }
    drop(match down {
        true => write!(
            out,
            " {sessions} sessions active, {requeued} requeued, {queued} remaining in queue."
        ),
        false => write!(
            out,
            " {requeued} sessions requeued, {queued} total in queue."
        ),
    });
}

/// Appends `backend b has no server available!`; stderr has the name in quotes. `word` is
/// `backend`, or `proxy` for a `listen` section.
pub fn write_none_left(out: &mut Vec<u8>, word: &str, backend: &str, quoted: bool) {
    let quote = if quoted { "'" } else { "" };
    drop(write!(
        out,
        "{word} {quote}{backend}{quote} has no server available!"
    ));
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]
mod tests;
