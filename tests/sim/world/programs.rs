//! The programs of checks: they run for a while, say whether their server is there, and do not all
//! listen when they are asked to end. Who has ended is reaped exactly once, and before its socket is
//! let go of; what is let go of before that must be ended, and the process must be at its end.

use std::collections::BTreeMap;

use oneloop::base::addr::Endpoint;
use oneloop::net::{Invocation, Readiness, Stop};

use super::held::Pass;
use super::state::{Core, Event, Far, Owner};

/// Errors with the names by which a sweep counts them.
const START_ERRORS: [(i32, &str); 3] = [
    (11, "program: no process"),
    (2, "program: not found"),
    (13, "program: not allowed"),
];
/// Ended by a signal: -1, without its sign.
const KILLED: u32 = u32::MAX;

/// One program.
#[derive(Debug, Default)]
struct Program {
    /// How it ended.
    code: Option<u32>,
    reaped: bool,
    /// It does not end because somebody asks.
    stubborn: bool,
    /// It was ended by force.
    doomed: bool,
}

/// All programs, by socket.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    all: BTreeMap<usize, Program>,
    /// Some that nobody will reap.
    orphans: bool,
}

impl Core {
    /// Starts the program of a check of one of the servers.
    pub(crate) fn run_program(
        &mut self,
        what: &Invocation<'_>,
        servers: &[Endpoint],
    ) -> Result<usize, Stop> {
        let told = |at: usize| String::from_utf8_lossy(&what.arguments[at]).into_owned();
        let at = format!("{}:{}", told(2), told(3));
        let server = servers.iter().position(|known| known.to_string() == at);
        let Some(server) = server else {
            self.problem(format!("a program for {at}, which nobody configured"));
            return Err(Stop::Failed(2));
        };
        self.progress += 1;
        if self.rng.permille(self.faults.refuse_at_once + 20) {
            let (errno, name) = START_ERRORS[self.progress as usize % START_ERRORS.len()];
            self.reach(name);
            return Err(Stop::Failed(errno));
        }
        let sock = self.open(Far::Program(server), Owner::Engine, false);
        self.say(|| format!("#{sock} is a program for server {server}"));
        let stubborn = self.rng.permille(300);
        let code = match self.server_up[server] {
            true => 0,
            false => self.rng.pick(&[1, 255, KILLED]),
        };
        // Some take too long, and some for ever.
        match self.rng.pick(&[0, 1, 5, 30, 39, 40, 41, 90, u64::MAX]) {
            u64::MAX => {}
            delay => self.at(delay, Event::Exit(sock, code)),
        }
        let program = Program {
            stubborn,
            ..Program::default()
        };
        self.programs.all.insert(sock, program);
        Ok(sock)
    }

    /// A program comes to its end, unless it has.
    pub(crate) fn exit_program(&mut self, sock: usize, code: u32) {
        let Some(program) = self.programs.all.get_mut(&sock) else {
            return;
        };
        if program.code.is_some() {
            return;
        }
        program.code = Some(code);
        self.say(|| format!("#{sock} ends: {}", code.cast_signed()));
        let s = &mut self.socks[sock];
        (s.connected, s.fin) = (true, true);
        self.change(sock, Readiness::READABLE);
    }

    pub(crate) fn program_outcome(&mut self, sock: usize) -> Result<u32, Stop> {
        let Some(program) = self.programs.all.get_mut(&sock) else {
            return Err(Stop::Failed(10));
        };
        let code = program.code.ok_or(Stop::Blocked)?;
        if std::mem::replace(&mut program.reaped, true) {
            self.problem(format!("#{sock} reaped twice"));
        }
        // Of one that could not be watched nobody is told: it is reaped whenever the engine looks.
        self.progress += u64::from(self.socks[sock].handle.is_some());
        if let (0, Far::Program(server)) = (code, self.socks[sock].far) {
            self.held.passes(server, Pass::Program);
        }
        self.reach(match code {
            0 => "program: passed",
            KILLED => "program: ended by a signal",
            _ => "program: failed",
        });
        Ok(code)
    }

    pub(crate) fn end_program(&mut self, sock: usize, now: bool) {
        let Some(program) = self.programs.all.get_mut(&sock) else {
            return self.problem(format!("#{sock} is no program"));
        };
        program.doomed |= now;
        let (ends, stubborn) = (now || !program.stubborn, program.stubborn);
        self.reach(match (now, stubborn) {
            (false, _) => "program: asked to end",
            (true, true) => "program: made to end",
            (true, false) => "program: made to end, which would have",
        });
        if ends {
            let delay = self.rng.pick(&[0, 1, 4]);
            self.at(delay, Event::Exit(sock, KILLED));
        }
    }

    /// The engine lets go of a socket; whether it was a program's.
    pub(crate) fn forget_program(&mut self, sock: usize) -> bool {
        let Some(program) = self.programs.all.remove(&sock) else {
            return false;
        };
        if !program.reaped && !program.doomed {
            self.problem(format!("#{sock} still runs, and nobody waits for it"));
        }
        self.programs.orphans |= !program.reaped;
        true
    }

    /// The engine waits, so it lives: whom it has left it will not reap any more.
    pub(crate) fn look_for_orphans(&mut self) {
        if self.programs.orphans {
            self.problem("a program has ended, and nobody reaps it".to_owned());
        }
    }
}
