//! What a change of a server does to others: to servers that track it, to its sessions; and what
//! its traffic and its agent say of it.
//!
//! Servers that track another one follow whatever changes it: they have its state, and are in
//! maintenance or drained while it is (`track`). Sessions that a change ends are only noted when it
//! happens, and end with the turn: a step of one of them may be what brought the change about.

use std::sync::Arc;

use super::Engine;
use super::checks::{ProbeId, Wish};
use super::service::Service;
use crate::balance::server::{Admin, Change, Mode, News, Observed, Op};
use crate::check::agent::{self, Answer};
use crate::check::probe::Status;
use crate::check::state::Verdict;
use crate::config::model::{OnError, ServerId};
use crate::log::termination::Cause;
use crate::net::{Net, Stop};

/// The highest weight.
const WEIGHT_MAX: u64 = 256;

/// Sessions that are to end with this turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unwanted {
    server: ServerId,
    why: Cause,
}

/// What a session found out about its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It could be connected to.
    Connected,
    /// It could not.
    NotConnected,
    /// It answered.
    Answered(u16),
    /// Its answer cannot be read.
    Garbled,
    /// It closed before it answered.
    Closed,
    /// Its connection broke before it answered.
    Broke,
    /// It did not answer in time.
    Late,
}

impl Finding {
    /// True for an answer that a server gives which is well.
    const fn is_good(self) -> bool {
        match self {
            Self::Connected => true,
            Self::Answered(status) => matches!(status, 100..=499 | 501 | 505),
            _ => false,
        }
    }

    /// The end of a connection on which an answer was awaited.
    pub(crate) const fn of_end(stop: Stop) -> Self {
        match stop {
            Stop::Closed => Self::Closed,
            _ => Self::Broke,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Connected | Self::NotConnected => "L4 unsuccessful connection",
            Self::Answered(_) => "Wrong http response",
            Self::Garbled => "Invalid http response (headers)",
            Self::Closed => "Close from server (http)",
            Self::Broke => "Read error (http)",
            Self::Late => "Read timeout (http)",
        }
    }
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// Those that track a server follow it; the last one declared is the first.
    pub(super) fn lead(&mut self, server: ServerId) {
        for tracker in self.roster.trackers(server).to_vec() {
            self.follow(tracker, server);
        }
    }

    /// A server becomes what the one is that it tracks.
    fn follow(&mut self, server: ServerId, leader: ServerId) {
        let now = self.now.ms;
        let (admin, op) = {
            let leader = &self.servers[leader.0 as usize];
            (leader.admin, leader.op)
        };
        let leads_up = op != Op::Stopped;
        let record = &mut self.servers[server.0 as usize];
        let reasons = [
            (Admin::INHERITED_MAINT, admin.any(Admin::MAINT)),
            (Admin::INHERITED_DRAIN, admin.any(Admin::DRAIN)),
        ];
        let mut changes = Vec::new();
        let before = record.admin;
        for (reason, _) in reasons.iter().filter(|(r, on)| *on && !before.any(*r)) {
            changes.extend(record.add_admin(*reason, now));
        }
        for (reason, _) in reasons.iter().filter(|(r, on)| !*on && before.any(*r)) {
            changes.extend(record.clear_admin(*reason, leads_up, now));
        }
        changes.extend(match op {
            Op::Stopped => record.go_down(now),
            Op::Stopping => record.begin_stopping(now),
            Op::Starting | Op::Running => record.come_up(now),
        });
        for change in changes {
            self.tell_one(server, change, Default::default(), true);
        }
        self.refresh_weight(server);
        self.lead(server);
    }

    /// Whether a server that leaves maintenance is up: what it tracks is, and its agent does not
    /// say otherwise.
    pub(super) fn may_come_up(&self, server: ServerId) -> bool {
        if let Some(leader) = self.roster.server(server).track {
            return self.servers[leader.0 as usize].op != Op::Stopped;
        }
        let agent = self.agents[server.0 as usize].as_ref();
        agent.is_none_or(|agent| !agent.state.is_enabled() || agent.state.is_up())
    }

    /// Notes whose sessions end by a change (`on-marked-down`, `on-marked-up`).
    pub(super) fn note_unwanted(&mut self, server: ServerId, change: Change) {
        let described = Arc::clone(self.roster.server(server));
        match change.news {
            News::Down | News::MaintFromUp if described.shut_when_down => {
                let why = Cause::Down;
                self.unwanted.push(Unwanted { server, why });
            }
            News::Up | News::MaintLeft { .. } if described.shut_backups_when_up => {
                let record = &self.servers[server.0 as usize];
                if record.backup || record.weight == 0 || !record.alive() {
                    return;
                }
                let why = Cause::Up;
                for &server in self.roster.members(described.proxy) {
                    if self.servers[server.0 as usize].backup {
                        self.unwanted.push(Unwanted { server, why });
                    }
                }
            }
            _ => {}
        }
    }

    /// Ends the sessions that were noted.
    pub(super) fn let_unwanted_go(&mut self) {
        for Unwanted { server, why } in std::mem::take(&mut self.unwanted) {
            self.shut_sessions(server, why);
        }
    }

    /// A session found something out about its server (`observe`).
    pub(crate) fn observe(&mut self, server: ServerId, finding: Finding) {
        let record = &mut self.servers[server.0 as usize];
        let connection = matches!(finding, Finding::Connected | Finding::NotConnected);
        match record.observed {
            Observed::Nothing => return,
            Observed::Connections if !connection => return,
            // That it could be connected to does not make up for its answers.
            Observed::Answers if finding == Finding::Connected => return,
            _ if finding.is_good() => {
                record.errors = 0;
                return;
            }
            Observed::Connections | Observed::Answers => {}
        }
        self.alarm(server, finding);
    }

    /// One more error among what is observed; something is done when there are too many.
    #[cold]
    fn alarm(&mut self, server: ServerId, finding: Finding) {
        let now = self.now.ms;
        let index = server.0 as usize;
        let (Some(observe), Some(Some(probe))) = (
            self.roster.server(server).observe,
            self.probes.get_mut(index),
        ) else {
            return;
        };
        let record = &mut self.servers[index];
        if self.stopping || !probe.state.runs() || record.op == Op::Stopped {
            return;
        }
        record.errors += 1;
        if record.errors < observe.limit {
            return;
        }
        (record.errors, record.alarms) = (0, record.alarms + 1);
        if observe.on_error == OnError::Hurry {
            return self.hurry(server);
        }
        match observe.on_error {
            OnError::Hurry | OnError::FailCheck => {}
            OnError::SuddenDeath => probe.state.limit_to(1),
            OnError::MarkDown => probe.state.limit_to(0),
        }
        let (limit, words) = (observe.limit, finding.words());
        let info = format!("Detected {limit} consecutive errors, last one was: {words}");
        let before = probe.report.status;
        probe.report.set(Status::Analyzed, 0, 0, info.as_bytes());
        probe.failures += u64::from(probe.state.is_up());
        let outcome = probe.state.on_result(Verdict::Failed, now, 0);
        let told = outcome.moved || before != Status::Analyzed;
        self.conclude(ProbeId::check(server), Verdict::Failed, told, true);
        self.hurry(server);
    }

    /// The next check comes as soon as `fastinter` says, where it says something.
    fn hurry(&mut self, server: ServerId) {
        let Some(Some(probe)) = self.probes.get_mut(server.0 as usize) else {
            return;
        };
        if let Some(soon) = probe.state.settings().fastinter_ms
            && !probe.is_running()
        {
            probe.due_ms = probe.due_ms.min(self.now.ms + soon);
            self.wheel.promise(probe.timer, probe.due_ms);
        }
    }

    /// What an agent wants of its server is done, as if the administrator had asked for it.
    pub(super) fn obey(&mut self, server: ServerId, answer: &Answer) {
        if let Some(mode) = answer.mode {
            self.wish(
                server,
                Wish::Mode(match mode {
                    agent::Mode::Ready => Mode::Ready,
                    agent::Mode::Drain => Mode::Drain,
                    agent::Mode::Maint => Mode::Maint,
                }),
            );
        }
        if let Some(percent) = answer.weight {
            let initial = u64::from(self.servers[server.0 as usize].weight_initial);
            let weight = percent.saturating_mul(initial) / 100;
            self.wish(server, Wish::Weight(weight.min(WEIGHT_MAX) as u16));
        }
        if let Some(limit) = answer.maxconn {
            self.wish(server, Wish::Maxconn(limit));
        }
    }
}
