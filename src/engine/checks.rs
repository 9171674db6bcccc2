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
    Admin, AgentWord, Cause, Change, Counts, Mode, News, Op, Server, Story, write_news,
    write_none_left,
};
use crate::base::wheel::{TimerId, Wheel};
use crate::check::conversation::{Ending, Event};
use crate::check::probe::{Report, Status, write_reason};
use crate::check::state::{Check, Settings, Spread, Verdict, write_health_line};
use crate::config::model::{self, Config, Server as Described, ServerId};
use crate::log::syslog::Level;
use crate::net::Net;

/// Which probe: the check of a server, or the question to its agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeId {
    /// Whose it is.
    pub server: ServerId,
    /// It is the agent's.
    pub agent: bool,
}

impl ProbeId {
    /// One of the two of a server.
    pub(crate) const fn of(server: ServerId, agent: bool) -> Self {
        Self { server, agent }
    }

    /// The check of a server.
    pub(crate) const fn check(server: ServerId) -> Self {
        Self::of(server, false)
    }

    /// The check and the agent of a server.
    pub(crate) const fn both(server: ServerId) -> [Self; 2] {
        [Self::of(server, false), Self::of(server, true)]
    }
}

/// The place of a probe in the engine's tables, borrowing nothing but one of them.
macro_rules! seat {
    ($engine:ident, $id:expr) => {
        match $id.agent {
            true => &mut $engine.agents,
            false => &mut $engine.probes,
        }
        .get_mut($id.server.0 as usize)
    };
}
pub(super) use seat;

/// The health check of one server at run time, or the question to its agent.
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
        Some(Self::begin(ProbeId::check(server.id), state, wheel, due_ms))
    }

    /// The same of its agent. One word of that is enough.
    pub(crate) fn of_agent(server: &Described, wheel: &mut Wheel, due_ms: u64) -> Option<Self> {
        let agent = server.agent.as_ref()?;
        let state = Check::new(Settings {
            inter_ms: u64::from(agent.inter),
            fastinter_ms: None,
            downinter_ms: None,
            rise: 1,
            fall: 1,
        });
        let id = ProbeId::of(server.id, true);
        Some(Self::begin(id, state, wheel, due_ms))
    }

    fn begin(id: ProbeId, state: Check, wheel: &mut Wheel, due_ms: u64) -> Self {
        Self {
            state,
            report: Report::default(),
            failures: 0,
            talk: None,
            attempt: 0,
            timer: wheel.add(Subject::ProbeTimer(id).handle()),
            started_ms: due_ms,
            due_ms,
        }
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
    /// It was not given yet when maintenance began.
    pub(crate) halted: bool,
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
    /// `enable agent` (true), `disable agent`.
    Agent(bool),
    /// `set server B/S agent up` (true), `down`.
    AgentWord(bool),
    /// `set maxconn server`; 0 for none.
    Maxconn(u32),
}

/// The checks of all servers, by server id, and the questions to their agents; none where a server
/// has none.
pub(crate) fn probes(
    config: &Config,
    wheel: &mut Wheel,
    now_ms: u64,
) -> (Vec<Option<Probe>>, Vec<Option<Probe>>) {
    // Nobody looks after a proxy that is disabled.
    let lives = |server: &model::Server| !config.proxy(server.proxy).disabled;
    let asked = config.servers.iter().filter(|server| lives(server));
    let intervals = asked.flat_map(|server| {
        let check = server.check.as_ref().map(|check| check.inter);
        let agent = server.agent.as_ref().map(|agent| agent.inter);
        check.into_iter().chain(agent).map(u64::from)
    });
    let spread = Spread::new(intervals);
    let mut index = 0;
    let mut delay = |probe: &mut Probe| {
        let inter_ms = probe.state.settings().inter_ms;
        probe.due_ms = now_ms + spread.delay_ms(index, inter_ms);
        index += 1;
    };
    config
        .servers
        .iter()
        .map(|server| {
            if !lives(server) {
                return (None, None);
            }
            let check = Probe::new(server, wheel, now_ms).map(|mut probe| {
                delay(&mut probe);
                if server.held_back {
                    // Nobody is to wait for its turn.
                    probe.due_ms = now_ms;
                    probe.state.hold_back();
                }
                begin_check(server, probe, wheel)
            });
            let agent = Probe::of_agent(server, wheel, now_ms).map(|mut probe| {
                delay(&mut probe);
                wheel.promise(probe.timer, probe.due_ms);
                probe
            });
            (check, agent)
        })
        .unzip()
}

/// A check as a state file or the server's line has it.
fn begin_check(server: &model::Server, mut probe: Probe, wheel: &mut Wheel) -> Probe {
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
    probe
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// The wheel's promise for a server's checks: time to start one, or to give one up.
    pub(crate) fn on_probe_timer(&mut self, server: ProbeId) {
        let now = self.now.ms;
        let Some(Some(probe)) = seat!(self, server) else {
            return;
        };
        if probe.due_ms > now {
            self.wheel.promise(probe.timer, probe.due_ms);
            return;
        }
        if let Some(talk) = &probe.talk {
            let connected = talk.is_connected();
            self.tell_late_program(server);
            return self.advance_probe(server, Event::TimedOut { connected });
        }
        if probe.state.runs() && !self.stopping {
            self.start_probe(server);
        }
    }

    /// A probe has ended: its result, what follows from it, and when to look again.
    pub(super) fn finish_probe(&mut self, id: ProbeId, ending: &Ending) {
        let status = ending.status;
        let now = self.now.ms;
        let spread = self.spread(id);
        let answer = self.answer(id);
        self.drop_talk(id);
        let Some(Some(probe)) = seat!(self, id) else {
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
        // An agent that cannot be asked has not said that its server is down.
        let decides = !id.agent || matches!(status, Status::L7Ok | Status::L7Status);
        if !id.agent && verdict == Verdict::Failed && probe.state.is_up() {
            probe.failures += 1;
        }
        let mut moved = false;
        if decides {
            let outcome = probe.state.on_result(verdict, now, spread);
            (probe.due_ms, moved) = (outcome.due_ms, outcome.moved);
        } else {
            let due_ms = now + probe.state.interval_ms();
            probe.due_ms = due_ms.saturating_add_signed(spread);
        }
        self.wheel.promise(probe.timer, probe.due_ms);
        if let Some(answer) = answer {
            self.obey(id.server, &answer);
        }
        if status != Status::Checked {
            self.conclude(id, verdict, moved || before != status, decides);
        }
    }

    /// A result is told, where it is `news`, and changes the server, where it `decides`.
    pub(super) fn conclude(&mut self, id: ProbeId, verdict: Verdict, news: bool, decides: bool) {
        let config = self.config;
        let now = self.now.ms;
        let index = id.server.0 as usize;
        self.note_health(id);
        let Some(Some(probe)) = seat!(self, id) else {
            return;
        };
        let described = Arc::clone(self.roster.server(id.server));
        let proxy = config.proxy(described.proxy);
        let mut reason = Vec::new();
        write_reason(&mut reason, &probe.report);
        let told = proxy.log_options.health_checks;
        if told && news {
            let mut line = Vec::new();
            let names = (
                proxy.name.as_str(),
                described.name.as_str(),
                described.backup,
            );
            let what = if id.agent { "Agent" } else { "Health" };
            let drained = self.servers[index].weight == 0;
            write_health_line(
                &mut line,
                what,
                names,
                verdict,
                &reason,
                &probe.state,
                drained,
            );
            let line = String::from_utf8_lossy(&line);
            ::log::warn!("{line}");
            self.journal
                .message(config, proxy, Level::Notice, &line, self.now);
        }
        if !decides || described.track.is_some() {
            return;
        }
        let is_up = probe.state.is_up();
        let all_up = ProbeId::both(id.server).into_iter().all(|id| {
            let Some(Some(probe)) = seat!(self, id) else {
                return true;
            };
            !probe.state.is_enabled() || probe.state.is_up()
        });
        let record = &mut self.servers[index];
        let change = match verdict {
            Verdict::Failed if !is_up => record.go_down(now),
            Verdict::Failed => None,
            _ if !all_up => None,
            // What the check has found is not the agent's to end.
            Verdict::Passed if id.agent && record.op == Op::Stopping => None,
            Verdict::Passed => record.come_up(now),
            Verdict::PassedStopping => record.begin_stopping(now),
        };
        if let Some(change) = change {
            let cause = if told {
                Cause::Untold
            } else {
                Cause::Check(&reason)
            };
            self.tell_change(id.server, change, cause);
        }
    }

    /// The record of a server learns how its check or its agent stands.
    fn note_health(&mut self, id: ProbeId) {
        let Some(Some(probe)) = seat!(self, id) else {
            return;
        };
        let record = &mut self.servers[id.server.0 as usize];
        if id.agent {
            record.agent = match (probe.state.is_enabled(), probe.state.is_up()) {
                (false, _) => AgentWord::None,
                (true, true) => AgentWord::Up,
                (true, false) => AgentWord::Down,
            };
        } else {
            record.health.value = probe.state.value();
        }
    }

    /// `spread-checks`: a share of the interval, by chance that is the same in every run.
    fn spread(&mut self, id: ProbeId) -> i64 {
        let percent = i64::from(self.config.global.spread_checks);
        let Some(Some(probe)) = seat!(self, id).filter(|_| percent > 0) else {
            return 0;
        };
        let inter = probe.state.settings().inter_ms as i64;
        let salt = (u64::from(id.server.0) << 32) | u64::from(id.agent);
        let mixed = (self.now.ms ^ salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let share = (mixed >> 40) as i64 % 1000 - 500;
        inter * percent * share / 50_000
    }

    /// Carries out what the runtime socket asked for.
    pub(crate) fn wish(&mut self, server: ServerId, wish: Wish) {
        let now = self.now.ms;
        let may_rise = self.may_come_up(server);
        let record = &mut self.servers[server.0 as usize];
        let before = record.admin;
        let changes = match wish {
            Wish::Mode(mode) => record.set_mode(mode, may_rise, now),
            Wish::Checks(enabled) => {
                return self.enable_checks(ProbeId::of(server, false), enabled);
            }
            Wish::Agent(enabled) => return self.enable_checks(ProbeId::of(server, true), enabled),
            Wish::AgentWord(up) => return self.force_agent(server, up),
            Wish::Maxconn(limit) => {
                record.maxconn = limit;
                self.tell_load(server);
                return self.note_freed(server);
            }
            Wish::Disable => [record.add_admin(Admin::FORCED_MAINT, now), None],
            Wish::Enable => [record.clear_admin(Admin::FORCED_MAINT, may_rise, now), None],
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
        if before != after {
            self.lead(server);
        }
    }

    /// `set server B/S agent up|down`.
    fn force_agent(&mut self, server: ServerId, up: bool) {
        let now = self.now.ms;
        let id = ProbeId::of(server, true);
        if let Some(Some(agent)) = seat!(self, id) {
            agent.state.force(up);
        }
        self.note_health(id);
        let record = &mut self.servers[server.0 as usize];
        let change = match up {
            true => record.come_up(now),
            false => record.go_down(now),
        };
        if let Some(change) = change {
            self.tell_change(server, change, Cause::Cli);
        }
    }

    /// Checks rest while their server is in maintenance.
    pub(crate) fn follow_maintenance(&mut self, server: ServerId, before: bool, after: bool) {
        let now = self.now.ms;
        let Some(Some(probe)) = self.probes.get_mut(server.0 as usize) else {
            return;
        };
        if !before && after {
            probe.state.pause();
            self.end_probe(ProbeId::check(server));
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

    /// `enable health`, `disable health` and the same of agents: what was found last stays.
    fn enable_checks(&mut self, id: ProbeId, enabled: bool) {
        let now = self.now.ms;
        let Some(Some(probe)) = seat!(self, id) else {
            return;
        };
        if probe.state.is_enabled() == enabled {
            return;
        }
        probe.state.set_enabled(enabled);
        if !id.agent {
            self.servers[id.server.0 as usize].checked = enabled;
        }
        if probe.state.runs() && !self.stopping {
            probe.catch_up(now);
            self.wheel.promise(probe.timer, probe.due_ms);
        } else {
            self.end_probe(id);
        }
        self.note_health(id);
    }

    /// No check of a server is under way any more, and none is due.
    pub(crate) fn end_probe(&mut self, id: ProbeId) {
        self.drop_talk(id);
        if let Some(Some(probe)) = seat!(self, id) {
            self.wheel.disarm(probe.timer);
        }
    }

    /// A server's check goes on from where another process was: its counter, what it found last,
    /// and when it looks again.
    pub(crate) fn recall_check(&mut self, server: ServerId, value: u32, past: &Past) {
        let now = self.now.ms;
        let id = ProbeId::check(server);
        self.drop_talk(id);
        let Some(Some(probe)) = seat!(self, id) else {
            return;
        };
        probe.state.set_enabled(past.enabled);
        probe.state.recall_halted(past.halted);
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

    /// Tells a server's change to the order of service, stderr and the log, and to those that track
    /// it.
    pub(crate) fn tell_change(&mut self, server: ServerId, change: Change, cause: Cause<'_>) {
        self.tell_one(server, change, cause, false);
        self.lead(server);
    }

    /// The same, to nobody else. `led`: it changed because the one changed that it tracks.
    pub(super) fn tell_one(
        &mut self,
        server: ServerId,
        change: Change,
        cause: Cause<'_>,
        led: bool,
    ) {
        let config = self.config;
        let now = self.now;
        let described = Arc::clone(self.roster.server(server));
        let proxy = config.proxy(described.proxy);
        self.refresh_weight(server);
        self.follow_warming(server);
        let requeued = match self.servers[server.0 as usize].usable() {
            true => 0,
            false => self.requeue(server, proxy),
        };
        let record = &self.servers[server.0 as usize];
        let usable = || self.records_of(proxy.id).filter(|s| s.usable());
        let active = usable().filter(|s| !s.backup).count() as u32;
        let backup = usable().filter(|s| s.backup).count() as u32;
        let tracked = self.roster.tracked(server, config);
        let story = Story {
            backend: &proxy.name,
            name: &described.name,
            server: record,
            cause,
            via: tracked.filter(|_| led),
            counts: Counts {
                active,
                backup,
                sessions: self.server_stats[server.0 as usize].scur,
                requeued,
                queued: record.queued,
            },
        };
        let level = if change.alert {
            Level::Alert
        } else {
            Level::Notice
        };
        let kept = change.drain_kept.then_some(News::DrainKept);
        for news in [Some(change.news), kept].into_iter().flatten() {
            // Whose maintenance or drain it is that remains.
            let remains = matches!(news, News::MaintInherited | News::DrainKept);
            let via = story.via.or_else(|| tracked.filter(|_| remains));
            let mut line = Vec::new();
            write_news(&mut line, news, &Story { via, ..story });
            let line = String::from_utf8_lossy(&line);
            ::log::warn!("{line}");
            self.journal.message(config, proxy, level, &line, now);
        }
        // Who is bound to a server that is stopping still comes.
        if !record.takes_bound() {
            self.close_idle_of(server);
        }
        self.review_backend(server);
        self.note_unwanted(server, change);
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
            for id in ProbeId::both(ServerId(server as u32)) {
                self.end_probe(id);
            }
        }
    }
}
