//! When health checks run, and what they change.
//!
//! When a check is due and what its result means is here; `probing` has what it says and hears
//! meanwhile, and `check::state` when to look again. Whatever changes a server's state (a check,
//! the runtime socket) comes through `tell_change`, so that the order of service, the log,
//! stderr and the counters cannot disagree.

use std::sync::Arc;

use super::balance::parts;
use super::probing::Talk;
use super::service::Service;
use super::{Engine, Subject};
use crate::balance::server::{
    Admin, Cause, Change, Counts, Mode, News, Op, Server, Story, write_news, write_none_left,
};
use crate::base::wheel::{TimerId, Wheel};
use crate::check::conversation::{Ending, Event};
use crate::check::probe::{Report, Status, write_reason};
use crate::check::state::{Check, Settings, Spread, Transition, Verdict, write_health_line};
use crate::config::model::{self, Config, Server as Described, ServerId};
use crate::log::syslog::Level;
use crate::net::Net;

/// The health check of one server at run time.
#[derive(Debug)]
pub struct Probe {
    /// The rise/fall counter.
    pub state: Check,
    /// The last result.
    pub report: Report,
    /// Checks that failed while they took the server to be up (`chkfail`).
    pub failures: u64,
    /// The check under way.
    pub(super) talk: Option<Box<Talk>>,
    pub(super) attempt: u32,
    pub(super) timer: TimerId,
    pub(super) started_ms: u64,
    /// When the next step is due: the next start, or the end of the wait for this one.
    pub(super) due_ms: u64,
}

impl Probe {
    /// The check of a server, if it has one, with a timer that is not armed yet.
    pub(crate) fn new(server: &Described, wheel: &mut Wheel, due_ms: u64) -> Option<Self> {
        let check = server.check.as_ref()?;
        let state = Check::new(Settings {
            inter_ms: u64::from(check.inter),
            fastinter_ms: check.fastinter.map(u64::from),
            downinter_ms: check.downinter.map(u64::from),
            rise: check.rise,
            fall: check.fall,
        });
        Some(Self {
            state,
            report: Report::default(),
            failures: 0,
            talk: None,
            attempt: 0,
            timer: wheel.add(Subject::ProbeTimer(server.id).handle()),
            started_ms: due_ms,
            due_ms,
        })
    }

    /// A check is under way just now.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.talk.is_some()
    }

    /// The next check is due as if checks had gone on: HAProxy's keep their rhythm.
    fn catch_up(&mut self, now_ms: u64) {
        let interval = self.state.settings().inter_ms.max(1);
        let missed = (now_ms + 1).saturating_sub(self.due_ms).div_ceil(interval);
        self.due_ms += missed * interval;
    }

    /// Its timer, and when its next step is due (ms).
    pub(crate) fn promise(&self) -> (TimerId, u64) {
        (self.timer, self.due_ms)
    }
}

/// What a check had found before this process began.
#[derive(Debug)]
pub(crate) struct Past {
    /// `disable health` was not given.
    pub(crate) enabled: bool,
    /// What the last one found.
    pub(crate) verdict: Option<Verdict>,
    /// The same at length.
    pub(crate) report: Report,
    /// Until the next one is due, ms.
    pub(crate) due_in_ms: u64,
}

/// A change asked for through the runtime socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// `set server B/S state`.
    Mode(Mode),
    /// `disable server`.
    Disable,
    /// `enable server`.
    Enable,
    /// `set server B/S weight`: the absolute user weight.
    Weight(u16),
    /// `set server B/S health up|down|stopping`.
    Health(Op),
    /// `enable health` (true), `disable health`.
    Checks(bool),
    /// `set maxconn server`; 0 for none.
    Maxconn(u32),
}

/// The probes of all servers, by server id; none where a server is not checked.
pub(crate) fn probes(config: &Config, wheel: &mut Wheel, now_ms: u64) -> Vec<Option<Probe>> {
    // Nobody looks after a proxy that is disabled.
    let check_of = |server: &'_ model::Server| {
        let lives = !config.proxy(server.proxy).disabled;
        config.server(server.id).check.as_ref().filter(|_| lives)
    };
    let checked = config.servers.iter().filter_map(check_of);
    let spread = Spread::new(checked.map(|check| u64::from(check.inter)));
    let mut index = 0;
    config
        .servers
        .iter()
        .map(|server| {
            check_of(server)?;
            let mut probe = Probe::new(server, wheel, now_ms)?;
            let inter_ms = probe.state.settings().inter_ms;
            probe.due_ms = now_ms + spread.delay_ms(index, inter_ms);
            index += 1;
            let recalled = server.recalled.as_ref();
            if recalled.map_or(server.disabled, |known| known.admin.any(Admin::MAINT)) {
                probe.state.pause();
            }
            if let Some(known) = recalled {
                probe.state.set_enabled(known.check.enabled);
                probe.state.carry_on(known.health, known.check.verdict);
                probe.report.status = known.check.status;
            }
            if probe.state.runs() {
                wheel.promise(probe.timer, probe.due_ms);
            }
            Some(probe)
        })
        .collect()
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// The wheel's promise for a server's checks: time to start one, or to give one up.
    pub(crate) fn on_probe_timer(&mut self, server: ServerId) {
        let now = self.now.ms;
        let Some(Some(probe)) = self.probes.get_mut(server.0 as usize) else {
            return;
        };
        if probe.due_ms > now {
            self.wheel.promise(probe.timer, probe.due_ms);
            return;
        }
        if let Some(talk) = &probe.talk {
            let connected = talk.is_connected();
            return self.advance_probe(server, Event::TimedOut { connected });
        }
        if probe.state.runs() && !self.stopping {
            self.start_probe(server);
        }
    }

    /// A probe has ended: its result, what follows from it, and when to look again.
    pub(super) fn finish_probe(&mut self, server: ServerId, ending: &Ending) {
        let config = self.config;
        let status = ending.status;
        let now = self.now.ms;
        let index = server.0 as usize;
        let spread = self.spread(server);
        self.drop_talk(server);
        let Some(Some(probe)) = self.probes.get_mut(index) else {
            return;
        };
        let before = probe.report.status;
        probe.report.set(
            status,
            ending.code,
            now.saturating_sub(probe.started_ms),
            &ending.info,
        );
        let verdict = if status == Status::L7OkConditional {
            Verdict::PassedStopping
        } else if status.passed() {
            Verdict::Passed
        } else {
            Verdict::Failed
        };
        if verdict == Verdict::Failed && probe.state.is_up() {
            probe.failures += 1;
        }
        let outcome = probe.state.on_result(verdict, now, spread);
        probe.due_ms = outcome.due_ms;
        self.wheel.promise(probe.timer, probe.due_ms);
        self.servers[index].health.value = probe.state.value();
        let described = Arc::clone(self.roster.server(server));
        let proxy = config.proxy(described.proxy);
        let mut reason = Vec::new();
        write_reason(&mut reason, &probe.report);
        let told = proxy.log_options.health_checks;
        if told && (outcome.moved || before != status) {
            let mut line = Vec::new();
            let names = (
                proxy.name.as_str(),
                described.name.as_str(),
                described.backup,
            );
            let drained = self.servers[index].is_drained();
            write_health_line(&mut line, names, verdict, &reason, &probe.state, drained);
            let line = String::from_utf8_lossy(&line);
            ::log::warn!("{line}");
            self.journal
                .message(config, proxy, Level::Notice, &line, self.now);
        }
        let cause = if told {
            Cause::Untold
        } else {
            Cause::Check(&reason)
        };
        let record = &mut self.servers[index];
        let change = match outcome.transition {
            Transition::WentDown => record.go_down(now),
            Transition::CameUp => record.come_up(now),
            Transition::Stopping => record.begin_stopping(now),
            Transition::Resumed => record.come_up(now),
            Transition::None => None,
        };
        if let Some(change) = change {
            self.tell_change(server, change, cause);
        }
    }

    /// `spread-checks`: a share of the interval, by chance that is the same in every run.
    fn spread(&self, server: ServerId) -> i64 {
        let percent = i64::from(self.config.global.spread_checks);
        let Some(check) = self
            .roster
            .server(server)
            .check
            .as_ref()
            .filter(|_| percent > 0)
        else {
            return 0;
        };
        let mixed = (self.now.ms ^ (u64::from(server.0) << 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let share = (mixed >> 40) as i64 % 1000 - 500;
        i64::from(check.inter) * percent * share / 50_000
    }

    /// Carries out what the runtime socket asked for.
    pub(crate) fn wish(&mut self, server: ServerId, wish: Wish) {
        let now = self.now.ms;
        let record = &mut self.servers[server.0 as usize];
        let before = record.admin;
        let changes = match wish {
            Wish::Mode(mode) => record.set_mode(mode, true, now),
            Wish::Checks(enabled) => return self.enable_checks(server, enabled),
            Wish::Maxconn(limit) => {
                record.maxconn = limit;
                self.tell_load(server);
                return self.note_freed(server);
            }
            Wish::Disable => [record.add_admin(Admin::FORCED_MAINT, now), None],
            Wish::Enable => [record.clear_admin(Admin::FORCED_MAINT, true, now), None],
            Wish::Weight(weight) => {
                record.weight = weight;
                self.refresh_weight(server);
                if before.any(Admin::DRAIN) && !before.any(Admin::MAINT) {
                    self.tell_change(server, Change::drain_kept(), Cause::Untold);
                } else {
                    self.review_backend(server);
                }
                return;
            }
            Wish::Health(op) => {
                let change = match op {
                    Op::Stopped => record.go_down(now),
                    Op::Stopping => record.begin_stopping(now),
                    Op::Starting | Op::Running => record.come_up(now),
                };
                let up = op != Op::Stopped;
                let health = &mut record.health;
                health.value = if up { health.full() } else { 0 };
                if let Some(Some(probe)) = self.probes.get_mut(server.0 as usize) {
                    probe.state.force(up);
                    health.value = probe.state.value();
                }
                if let Some(change) = change {
                    self.tell_change(server, change, Cause::Cli);
                }
                return;
            }
        };
        let after = self.servers[server.0 as usize].admin;
        self.follow_maintenance(server, before.any(Admin::MAINT), after.any(Admin::MAINT));
        for change in changes.into_iter().flatten() {
            self.tell_change(server, change, Cause::Untold);
        }
        self.refresh_weight(server);
    }

    /// Checks rest while their server is in maintenance.
    pub(crate) fn follow_maintenance(&mut self, server: ServerId, before: bool, after: bool) {
        let now = self.now.ms;
        let Some(Some(probe)) = self.probes.get_mut(server.0 as usize) else {
            return;
        };
        if !before && after {
            probe.state.pause();
            self.end_probe(server);
        } else if before && !after {
            probe.state.resume();
            if probe.state.runs() {
                probe.catch_up(now);
                self.wheel.promise(probe.timer, probe.due_ms);
            }
        } else {
            return;
        }
        if let Some(Some(probe)) = self.probes.get(server.0 as usize) {
            self.servers[server.0 as usize].health.value = probe.state.value();
        }
    }

    /// `enable health`, `disable health`: what was found last stays.
    fn enable_checks(&mut self, server: ServerId, enabled: bool) {
        let now = self.now.ms;
        let Some(Some(probe)) = self.probes.get_mut(server.0 as usize) else {
            return;
        };
        if probe.state.is_enabled() == enabled {
            return;
        }
        probe.state.set_enabled(enabled);
        self.servers[server.0 as usize].checked = enabled;
        if probe.state.runs() && !self.stopping {
            probe.catch_up(now);
            self.wheel.promise(probe.timer, probe.due_ms);
        } else {
            self.end_probe(server);
        }
    }

    /// No check of a server is under way any more, and none is due.
    pub(crate) fn end_probe(&mut self, server: ServerId) {
        self.drop_talk(server);
        if let Some(Some(probe)) = self.probes.get_mut(server.0 as usize) {
            self.wheel.disarm(probe.timer);
        }
    }

    /// A server's check goes on from where another process was: its counter, what it found last,
    /// and when it looks again.
    pub(crate) fn recall_check(&mut self, server: ServerId, value: u32, past: &Past) {
        let now = self.now.ms;
        self.drop_talk(server);
        let Some(Some(probe)) = self.probes.get_mut(server.0 as usize) else {
            return;
        };
        probe.state.set_enabled(past.enabled);
        probe.state.carry_on(value, past.verdict);
        probe.report.clone_from(&past.report);
        let record = &mut self.servers[server.0 as usize];
        record.checked = past.enabled;
        record.health.value = probe.state.value();
        self.wheel.disarm(probe.timer);
        probe.due_ms = now + past.due_in_ms.min(probe.state.interval_ms());
        if probe.state.runs() && !self.stopping {
            self.wheel.promise(probe.timer, probe.due_ms);
        }
    }

    /// The order of service learns a server's weight.
    pub(crate) fn refresh_weight(&mut self, server: ServerId) {
        let proxy = self.roster.server(server).proxy;
        let algorithm = self.config.proxy(proxy).algorithm;
        let weight = parts(&self.servers[server.0 as usize], algorithm, self.now.ms);
        let index = self.roster.place(server);
        self.proxies[proxy.0 as usize]
            .group
            .set_weight(index, weight);
        self.note_changed(proxy);
    }

    /// Tells a server's change to the order of service, stderr and the log.
    pub(crate) fn tell_change(&mut self, server: ServerId, change: Change, cause: Cause<'_>) {
        let config = self.config;
        let now = self.now;
        let described = Arc::clone(self.roster.server(server));
        let proxy = config.proxy(described.proxy);
        self.refresh_weight(server);
        self.follow_warming(server);
        let record = &self.servers[server.0 as usize];
        let usable = || self.records_of(proxy.id).filter(|s| s.usable());
        let active = usable().filter(|s| !s.backup).count() as u32;
        let backup = usable().filter(|s| s.backup).count() as u32;
        let story = Story {
            backend: &proxy.name,
            name: &described.name,
            server: record,
            cause,
            via: None,
            counts: Counts {
                active,
                backup,
                sessions: self.server_stats[server.0 as usize].scur,
                requeued: 0,
                queued: self.proxy_stats[proxy.id.0 as usize].queued,
            },
        };
        let level = if change.alert {
            Level::Alert
        } else {
            Level::Notice
        };
        let kept = change.drain_kept.then_some(News::DrainKept);
        for news in [Some(change.news), kept].into_iter().flatten() {
            let mut line = Vec::new();
            write_news(&mut line, news, &story);
            let line = String::from_utf8_lossy(&line);
            ::log::warn!("{line}");
            self.journal.message(config, proxy, level, &line, now);
        }
        let alive = record.alive();
        if !alive {
            self.close_idle_of(server);
        }
        self.review_backend(server);
    }

    /// Notes whether the backend of a server has a usable one left, and tells when it has none.
    pub(crate) fn review_backend(&mut self, server: ServerId) {
        let config = self.config;
        let now = self.now;
        let proxy = config.proxy(self.roster.server(server).proxy);
        let none_left = !self.records_of(proxy.id).any(Server::usable);
        let stats = &mut self.proxy_stats[proxy.id.0 as usize];
        let was_down = stats.is_down;
        stats.is_down = none_left;
        if stats.is_down && !was_down {
            stats.last_change_ms = now.ms;
            stats.times_down += 1;
            let word = if proxy.is_frontend {
                "proxy"
            } else {
                "backend"
            };
            let mut line = Vec::new();
            write_none_left(&mut line, word, &proxy.name, true);
            ::log::error!("{}", String::from_utf8_lossy(&line));
            line.clear();
            write_none_left(&mut line, word, &proxy.name, false);
            let line = String::from_utf8_lossy(&line);
            self.journal
                .message(config, proxy, Level::Emerg, &line, now);
        } else if was_down && !stats.is_down {
            stats.down_ms += now.ms.saturating_sub(stats.last_change_ms);
            stats.last_change_ms = now.ms;
        }
    }

    /// Ends all checks (soft stop).
    pub(crate) fn stop_checks(&mut self) {
        for server in 0..self.probes.len() {
            self.end_probe(ServerId(server as u32));
        }
    }
}
