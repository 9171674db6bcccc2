//! What a master keeps when it becomes a new program: numbers of descriptors and of processes, as
//! the text of one environment variable.
//!
//! The text begins with the process's own id, so that a variable which leaked to another process
//! means nothing there. A field that a later version adds is unknown to an earlier one and passed
//! over, and one that is missing has its first value: a downgrade must not lose the workers.

use std::fmt::Write as _;
use std::os::fd::RawFd;

use crate::process::worker::Rules;

/// The variable's name.
pub(super) const VARIABLE: &str = "ONELOOP_MASTER";

/// A worker, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeptWorker {
    /// Its process.
    pub(super) pid: u32,
    /// The channel to it.
    pub(super) channel: RawFd,
    /// It was told to leave.
    pub(super) leaving: bool,
    /// Reloads that it has outlived.
    pub(super) reloads: u32,
    /// When it was started, monotonic ms.
    pub(super) started_ms: u64,
    /// The version that started it.
    pub(super) version: String,
}

/// What a master is, between two programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// When it was started, monotonic ms.
    pub(super) started_ms: u64,
    /// Reloads so far.
    pub(super) reloads: u32,
    /// Reloads since the last that went well.
    pub(super) failed: u32,
    /// A worker has served.
    pub(super) has_served: bool,
    /// What the last configuration that went well says of it.
    pub(super) rules: Rules,
    /// The runtime socket.
    pub(super) cli: Option<RawFd>,
    /// What connections to it may do.
    pub(super) level: u8,
    /// The pipe of a parent that waits.
    pub(super) parent: Option<RawFd>,
    /// The service has no terminal.
    pub(super) detached: bool,
    /// Where the pid is to be written, until it is.
    pub(super) pid_file: Option<String>,
    /// The processes that serve and those that leave.
    pub(super) workers: Vec<KeptWorker>,
    /// Runtime connections that wait for the result of the reload.
    pub(super) waiting: Vec<RawFd>,
    /// Processes that are told once the first worker serves: `PID/SIGNAL`.
    pub(super) followed: Vec<(u32, i32)>,
}

impl Kept {
    /// As the value of the variable, for the process `pid`.
    pub(super) fn write(&self, pid: u32) -> String {
        let mut out = format!("{pid}");
        let mut field = |name: &str, value: &dyn std::fmt::Display| {
            // Writing to a string does not fail.
            let _ = write!(out, ";{name}={value}");
        };
        field("started", &self.started_ms);
        field("reloads", &self.reloads);
        field("failed", &self.failed);
        field("served", &u8::from(self.has_served));
        field("survived", &u8::from(self.rules.failure_is_survived));
        field("most", &self.rules.reloads_max);
        field("detached", &u8::from(self.detached));
        field("level", &self.level);
        if let Some(cli) = self.cli {
            field("cli", &cli);
        }
        if let Some(parent) = self.parent {
            field("parent", &parent);
        }
        if let Some(path) = &self.pid_file {
            let hex: String = path.bytes().map(|byte| format!("{byte:02x}")).collect();
            field("pidfile", &hex);
        }
        for worker in &self.workers {
            let KeptWorker {
                pid,
                channel,
                leaving,
                reloads,
                started_ms,
                version,
            } = worker;
            let leaving = u8::from(*leaving);
            let text = format!("{pid},{channel},{leaving},{reloads},{started_ms},{version}");
            field("worker", &text);
        }
        for waiting in &self.waiting {
            field("waiting", waiting);
        }
        for (pid, signal) in &self.followed {
            field("followed", &format_args!("{pid},{signal}"));
        }
        out
    }

    /// Reads what [`Kept::write`] wrote in the process `pid`.
    pub(super) fn read(text: &str, pid: u32) -> Option<Self> {
        let mut fields = text.split(';');
        if fields.next()?.parse() != Ok(pid) {
            return None;
        }
        let mut kept = Self::default();
        for (name, value) in fields.filter_map(|field| field.split_once('=')) {
            let flag = value == "1";
            match name {
                "started" => kept.started_ms = value.parse().ok()?,
                "reloads" => kept.reloads = value.parse().ok()?,
                "failed" => kept.failed = value.parse().ok()?,
                "served" => kept.has_served = flag,
                "survived" => kept.rules.failure_is_survived = flag,
                "most" => kept.rules.reloads_max = value.parse().ok()?,
                "detached" => kept.detached = flag,
                "level" => kept.level = value.parse().ok()?,
                "cli" => kept.cli = value.parse().ok(),
                "parent" => kept.parent = value.parse().ok(),
                "pidfile" => kept.pid_file = Some(text_of(value)?),
                "worker" => kept.workers.push(worker_of(value)?),
                "waiting" => kept.waiting.push(value.parse().ok()?),
                "followed" => {
                    let (pid, signal) = value.split_once(',')?;
                    kept.followed
                        .push((pid.parse().ok()?, signal.parse().ok()?));
                }
                _ => {}
            }
        }
        Some(kept)
    }

    /// Every descriptor that must stay open.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let workers = self.workers.iter().map(|worker| worker.channel);
        let single = self.cli.into_iter().chain(self.parent);
        single.chain(workers).chain(self.waiting.iter().copied())
    }
}

/// The text behind pairs of hexadecimal digits.
fn text_of(hex: &str) -> Option<String> {
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    String::from_utf8(pairs.iter().map(byte).collect::<Option<Vec<u8>>>()?).ok()
}

fn worker_of(text: &str) -> Option<KeptWorker> {
    let mut parts = text.splitn(6, ',');
    Some(KeptWorker {
        pid: parts.next()?.parse().ok()?,
        channel: parts.next()?.parse().ok()?,
        leaving: parts.next()? == "1",
        reloads: parts.next()?.parse().ok()?,
        started_ms: parts.next()?.parse().ok()?,
        version: parts.next()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Kept {
        let worker = |pid, leaving| KeptWorker {
            pid,
            channel: 7,
            leaving,
            reloads: 3,
            started_ms: u64::MAX,
            version: "2.6.12-oneloop-0.1.0".into(),
        };
        Kept {
            started_ms: 1,
            reloads: 2,
            failed: 1,
            has_served: true,
            rules: Rules {
                failure_is_survived: true,
                reloads_max: 9,
            },
            cli: Some(4),
            level: 1,
            parent: Some(5),
            detached: true,
            pid_file: Some("/run/a;b=c,d\u{e9}.pid".into()),
            workers: vec![worker(10, true), worker(11, false)],
            waiting: vec![8, 9],
            followed: vec![(77, 10)],
        }
    }

    #[test]
    fn what_is_kept_is_read_again() {
        for kept in [Kept::default(), full()] {
            assert_eq!(Kept::read(&kept.write(42), 42), Some(kept));
        }
        let descriptors: Vec<RawFd> = full().descriptors().collect();
        assert_eq!(descriptors, [4, 5, 7, 7, 8, 9]);
    }

    #[test]
    fn another_processs_variable_means_nothing() {
        let text = full().write(42);
        assert_eq!(Kept::read(&text, 43), None);
        assert_eq!(Kept::read("", 42), None);
        assert_eq!(Kept::read("42;worker=1,2", 42), None);
        assert_eq!(Kept::read("42;pidfile=4", 42), None);
        assert_eq!(Kept::read("42;pidfile=zz", 42), None);
    }

    #[test]
    fn fields_of_a_later_version_are_passed_over() {
        let text = format!("{};more=x", full().write(42));
        assert_eq!(Kept::read(&text, 42), Some(full()));
    }
}
