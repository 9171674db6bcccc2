//! The commands of the master's runtime socket: its own, and the way of the others to a worker.
//!
//! A command goes to whom its prefix names, or to whom a prefix alone has named before. What the
//! master does itself is in [`COMMANDS`]; everything else is a worker's.

use std::os::fd::AsFd as _;

use super::cli::{OPERATOR, PROMPT, Session, Target, USER};
use super::system::now_ms;
use super::{Master, Record, Stage};
use crate::base::version::VERSION_AS_HAPROXY;
use crate::net::channel::Kind;

impl Master {
    /// Runs a command of a session, or passes it on.
    pub(super) fn run_command(&mut self, session: &mut Session, command: &[u8]) {
        if command == PROMPT {
            return self.prompt(session);
        }
        let text = String::from_utf8_lossy(command).into_owned();
        let mut rest = text.trim_ascii();
        let mut target = session.target;
        if let Some(prefixed) = rest.strip_prefix('@') {
            let (prefix, after) = match prefixed.split_once(|c: char| c.is_ascii_whitespace()) {
                Some((prefix, after)) => (prefix, after.trim_ascii_start()),
                None => (prefixed, ""),
            };
            let found = Target::of(prefix).filter(|target| self.worker_of(*target).is_ok());
            let Some(found) = found else {
                let text = format!("Can't find the target PID matching the prefix '@{prefix}'\n");
                session.answer(&text);
                return self.prompt(session);
            };
            if after.is_empty() {
                session.target = found;
                return self.prompt(session);
            }
            target = found;
            rest = after;
        }
        match (rest, self.worker_of(target)) {
            // These two are the connection's, wherever it speaks to.
            ("prompt" | "quit", _) | (_, Ok(None)) => self.own_command(session, rest),
            (_, Ok(Some(worker))) => {
                let begun = session.begin(rest.as_bytes()).and_then(|there| {
                    let level = [session.level];
                    worker.channel.send(Kind::Command, &level, &[there.as_fd()])
                });
                if begun.is_err() {
                    session.give_up();
                    session.answer("Can't connect to the target CLI!\n");
                    self.prompt(session);
                }
            }
            (_, Err(())) => {
                session.answer("Can't connect to the target CLI!\n");
                self.prompt(session);
            }
        }
    }

    /// The worker behind a target; none for the master itself.
    fn worker_of(&self, target: Target) -> Result<Option<&Record>, ()> {
        let served = |worker: &&Record| !worker.stage.is_on_its_way();
        match target {
            Target::Master => Ok(None),
            Target::Current => self.current().ok_or(()).map(Some),
            Target::Pid(pid) if pid == std::process::id() => Ok(None),
            Target::Pid(pid) => {
                let mut workers = self.workers.iter().filter(served);
                let found = workers.find(|worker| worker.pid == pid);
                found.ok_or(()).map(Some)
            }
        }
    }

    fn prompt(&self, session: &mut Session) {
        if session.interactive && !session.quit {
            match self.worker_of(session.target) {
                Ok(Some(worker)) => session.answer(&format!("{}> ", worker.pid)),
                _ if self.failed > 0 => session.answer("master[ReloadFailed]> "),
                _ => session.answer("master> "),
            }
        }
    }

    /// A command of the master's own.
    fn own_command(&mut self, session: &mut Session, command: &str) {
        let words: Vec<&str> = command.split_ascii_whitespace().collect();
        let denied = "Permission denied\n";
        let answer = match words[..] {
            ["quit", ..] => {
                session.quit = true;
                return;
            }
            ["prompt", ..] => {
                session.interactive = !session.interactive;
                if session.interactive {
                    self.prompt(session);
                } else {
                    session.answer("\n");
                }
                return;
            }
            ["reload", ..] if session.level < OPERATOR => denied.to_owned(),
            ["reload", ..] => {
                session.wants = true;
                self.reload_wanted = true;
                return;
            }
            // These two answer nothing, not even the empty line.
            ["operator", ..] => {
                session.level = session.level.min(OPERATOR);
                return self.prompt(session);
            }
            ["user", ..] => {
                session.level = USER;
                return self.prompt(session);
            }
            ["show", "version", ..] => format!("{VERSION_AS_HAPROXY}\n"),
            ["show", "proc", ..] => self.processes(),
            ["show", "cli", "level", ..] => {
                let level = match session.level {
                    USER => "user",
                    OPERATOR => "operator",
                    _ => "admin",
                };
                format!("{level}\n")
            }
            ["show", "cli", "sockets", ..] => String::new(),
            ["help", ..] => help(HELP_HEAD, &words[1..].join(" ")),
            _ => help(UNKNOWN_HEAD, ""),
        };
        session.answer(&answer);
        session.answer("\n");
        self.prompt(session);
    }

    /// `show proc`.
    fn processes(&self) -> String {
        let now = now_ms();
        let mut out = row("#<PID>", "<type>", "<reloads>", "<uptime>", "<version>");
        let reloads = format!("{} [failed: {}]", self.reloads, self.failed);
        let pid = std::process::id().to_string();
        let uptime = uptime(now - self.started_ms);
        out.push_str(&row(&pid, "master", &reloads, &uptime, VERSION_AS_HAPROXY));
        let mut workers = |title: &str, stage: Stage| {
            let mut some = self.workers.iter().filter(|worker| worker.stage == stage);
            let some = some.by_ref().collect::<Vec<_>>();
            if !some.is_empty() || stage == Stage::Current {
                out.push_str(title);
            }
            for worker in some {
                let reloads = worker.reloads.to_string();
                let pid = worker.pid.to_string();
                let uptime = self::uptime(now - worker.started_ms);
                out.push_str(&row(&pid, "worker", &reloads, &uptime, &worker.version));
            }
        };
        workers("# workers\n", Stage::Current);
        workers("# old workers\n", Stage::Leaving);
        out.push_str("# programs\n");
        out
    }
}

fn row(pid: &str, kind: &str, reloads: &str, uptime: &str, version: &str) -> String {
    format!("{pid:<15} {kind:<15} {reloads:<15} {uptime:<15} {version:<15}")
        .trim_start()
        .to_owned()
        + "\n"
}

fn uptime(ms: u64) -> String {
    let s = ms / 1000;
    let (d, h, m, s) = (s / 86_400, s / 3600 % 24, s / 60 % 60, s % 60);
    format!("{d}d{h:02}h{m:02}m{s:02}s")
}

const HELP_HEAD: &str = "The following commands are valid at this level:\n";
const UNKNOWN_HEAD: &str = "Unknown command. Please enter one of the following commands only:\n";

/// The master's commands, as `help` prints them.
const COMMANDS: [(&str, &str); 13] = [
    ("@!<pid>", "send a command to the <pid> process"),
    (
        "@<relative pid>",
        "send a command to the <relative pid> process",
    ),
    ("@master", "send a command to the master process"),
    (
        "operator",
        "lower the level of the current CLI session to operator",
    ),
    ("reload", "reload haproxy"),
    (
        "show cli level",
        "display the level of the current CLI session",
    ),
    ("show cli sockets", "dump list of cli sockets"),
    ("show proc", "show processes status"),
    ("show version", "show version of the current process"),
    ("user", "lower the level of the current CLI session to user"),
    ("help [<command>]", "list matching or all commands"),
    ("prompt", "toggle interactive mode with prompt"),
    ("quit", "disconnect"),
];
/// The last commands of the list, which are always shown.
const ALWAYS_SHOWN: usize = 3;

fn help(head: &str, prefix: &str) -> String {
    let mut out = head.to_owned();
    let always_from = COMMANDS.len() - ALWAYS_SHOWN;
    for (at, (name, about)) in COMMANDS.iter().enumerate() {
        if at >= always_from || name.starts_with(prefix) {
            out.push_str(&format!("  {name:<40}: {about}\n"));
        }
    }
    out
}
