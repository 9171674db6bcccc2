//! Checks by programs (`option external-check`): run, waited for, ended, reaped.
//!
//! A program is a check's connection in another form: its record is in the check's [`Talk`], an
//! edge tells that it has ended, and the check's timer that it had time enough. What is not waited
//! for any more is asked to end and kept in a list until it has, because only then can it be
//! reaped. One that does not listen is ended when the next check of its server begins, or with
//! this process; HAProxy lets it run, and after a while they are many.
//!
//! Without such a check nothing here is ever called, and the list has no storage.
//!
//! [`Talk`]: super::probing::Talk

use std::sync::Arc;

use super::checks::{ProbeId, seat};
use super::probing::words_of;
use super::service::Service;
use super::{Engine, Subject};
use crate::base::arena::GENERATION_MAX;
use crate::check::conversation::{Ending, Event, Script};
use crate::check::external;
use crate::check::probe::Status;
use crate::config::model::{Mode, ServerId};
use crate::net::{Invocation, Net, Process, Stop};

/// A program whose end nobody waits for.
#[derive(Debug)]
pub(crate) struct Leaving {
    server: ServerId,
    process: Process,
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// A check by a program begins.
    pub(super) fn start_program(&mut self, id: ProbeId) {
        let config = self.config;
        let described = Arc::clone(self.roster.server(id.server));
        let backend = config.proxy(described.proxy);
        let Script::Program(program) = &backend.script else {
            return;
        };
        self.hasten(id.server);
        // A socket that was inherited is known by its number only.
        let listener = config.listeners.get(backend.listeners.start as usize);
        let listener =
            listener.filter(|one| !backend.listeners.is_empty() && one.inherited.is_none());
        let subject = external::Subject {
            backend: (&backend.name, backend.number),
            listener: listener.map(|listener| &listener.endpoint),
            server: (&described.name, described.number),
            endpoint: &described.endpoint,
            maxconn: described.maxconn,
            sessions: self.server_stats[id.server.0 as usize].scur,
            is_http: backend.mode == Mode::Http,
        };
        let started = self.net.run(&Invocation {
            command: &program.command,
            path: &program.path,
            arguments: &subject.arguments(),
            environment: &subject.environment(&program.path),
        });
        match started {
            Ok(process) => self.wait_for_program(id, process),
            Err(stop) if stop.is_out_of_processes() => {
                let hint = match config.global.forks {
                    true => "",
                    false => " (likely caused by missing 'insecure-fork-wanted')",
                };
                let words = words_of(stop);
                ::log::error!(
                    "Failed to fork process for external health check{hint}: {words}. Aborting."
                );
                self.advance_probe(id, Event::Failed(&words));
            }
            Err(stop) => {
                let words = words_of(stop);
                ::log::error!(
                    "Failed to exec process for external health check: {words}. Aborting."
                );
                self.finish_probe(id, &external::ending(external::NOT_RUN));
            }
        }
    }

    fn wait_for_program(&mut self, id: ProbeId, process: Process) {
        let limit = self.time_of_check(id);
        let Some(Some(probe)) = seat!(self, id) else {
            return self.send_away(id.server, process, true);
        };
        probe.attempt = (probe.attempt + 1) & GENERATION_MAX;
        probe.due_ms = self.now.ms + u64::from(limit);
        let handle = Subject::Probe(id, probe.attempt).handle();
        let watched = self.net.watch(&process.socket, handle);
        self.wheel.promise(probe.timer, probe.due_ms);
        if watched.is_err() {
            self.send_away(id.server, process, true);
            return self.finish_probe(id, &Ending::new(Status::SocketError, ""));
        }
        if let Some(talk) = &mut probe.talk {
            talk.process = Some(process);
        }
    }

    /// An edge says that the program of a check has ended.
    pub(super) fn on_program_ready(&mut self, id: ProbeId) {
        let Some(Some(probe)) = seat!(self, id) else {
            return;
        };
        let Some(talk) = probe.talk.as_deref_mut() else {
            return;
        };
        let Some(process) = &talk.process else { return };
        let code = match self.net.outcome(process) {
            Err(Stop::Blocked) => return,
            Ok(code) => code,
            Err(_) => external::KILLED,
        };
        if let Some(process) = talk.process.take() {
            self.net.close(process.socket);
        }
        self.finish_probe(id, &external::ending(code));
    }

    /// Says that the program of a check took too long, if it is one.
    pub(super) fn tell_late_program(&mut self, id: ProbeId) {
        if let Some(Some(probe)) = seat!(self, id)
            && let Some(process) = probe.talk.as_ref().and_then(|talk| talk.process.as_ref())
        {
            ::log::warn!("kill {}", process.pid);
        }
    }

    /// Nobody waits for a program any more.
    pub(super) fn send_away(&mut self, server: ServerId, process: Process, now: bool) {
        self.net.end(&process, now);
        self.leaving.push(Leaving { server, process });
        self.reap();
    }

    /// The programs of a server that were asked to end have had the time for it.
    fn hasten(&mut self, server: ServerId) {
        self.reap();
        for one in self.leaving.iter().filter(|one| one.server == server) {
            self.net.end(&one.process, true);
        }
    }

    /// Takes those that have ended out of the list, and of the system's table.
    pub(super) fn reap(&mut self) {
        let mut at = 0;
        while let Some(one) = self.leaving.get(at) {
            if self.net.outcome(&one.process) == Err(Stop::Blocked) {
                at += 1;
                continue;
            }
            let one = self.leaving.swap_remove(at);
            self.net.close(one.process.socket);
        }
    }

    /// The process ends, and with it whatever it has started. What has not ended by then is reaped
    /// by the system.
    pub(super) fn end_programs(&mut self) {
        for (index, probe) in self.probes.iter_mut().flatten().enumerate() {
            let talk = probe.talk.as_deref_mut();
            if let Some(process) = talk.and_then(|talk| talk.process.take()) {
                let server = ServerId(index as u32);
                self.leaving.push(Leaving { server, process });
            }
        }
        for one in std::mem::take(&mut self.leaving) {
            self.net.end(&one.process, true);
            let _ = self.net.outcome(&one.process);
            self.net.close(one.process.socket);
        }
    }
}
