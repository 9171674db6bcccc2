//! How many connections and descriptors the process may have, and the limits raised for them.
//!
//! `maxconn` decides the descriptors; when nobody said it, the system's limit of descriptors
//! decides `maxconn`. The reckoning is HAProxy's, so that the same file gives the same numbers in
//! `show info`: it was measured on HAProxy 2.6.12 with `nbthread 1` under several limits,
//! listeners, checks and stats sockets (three descriptors more for every further thread, which is
//! why a two-processor machine shows one connection less there).
//!
//! It must never lower a limit of descriptors: programs around us count on theirs.

// Limits of the process have no safe door in `std`.
#![allow(unsafe_code)]

use ::log::Level;

use crate::config::model::Config;
use crate::process::daemon::{Failure, Note};

/// What the process may use: what `show info` prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Client connections at most (`Maxconn`).
    pub maxconn: u32,
    /// Pipes for splicing at most (`Maxpipes`); 0 when nothing is spliced.
    pub max_pipes: u32,
    /// Descriptors needed for that (`Maxsock`).
    pub maxsock: u32,
    /// Descriptors asked of the system (`Ulimit-n`).
    pub descriptors: u32,
}

/// The least that `maxconn` is when nothing is said.
const MAXCONN_MIN: u32 = 100;
/// Descriptors that HAProxy keeps for itself: ten, and three for its one thread. Measured on 2.6
/// with `nbthread 1`, as are all numbers here.
const DESCRIPTORS_RESERVED: u32 = 13;
/// Memory that HAProxy counts for a connection besides its two buffers, bytes.
const CONNECTION_MEMORY: u64 = 3740;

/// Pipes for splicing when no line asks for it. A pipe is lent only while bytes are in it.
const SPARE_PIPES: u32 = 64;

/// What decides how many descriptors the process needs.
#[derive(Clone, Copy, Debug)]
struct Needs {
    /// `maxconn`, if it was said.
    maxconn: Option<u32>,
    /// Listeners, stats sockets among them.
    listeners: usize,
    /// Runtime connections at most; 0 without a stats socket.
    commands: u32,
    /// Servers with a check.
    checks: usize,
    /// `tune.bufsize`.
    buffer_size: u32,
    /// `-m`, MB.
    memory_mb: u32,
    /// Something is spliced: `maxpipes`, if it was said.
    pipes: Option<Option<u32>>,
}

impl Needs {
    fn new(config: &Config, memory_mb: u32) -> Self {
        let global = &config.global;
        let stats = !global.stats_sockets.is_empty();
        Self {
            maxconn: global.maxconn.filter(|said| *said > 0),
            listeners: config.listeners.len() + global.stats_sockets.len(),
            commands: if stats { global.stats_maxconn } else { 0 },
            checks: config
                .servers
                .iter()
                .filter(|server| server.check.is_some())
                .count(),
            buffer_size: global.buffer_size,
            memory_mb,
            pipes: config
                .proxies
                .iter()
                .any(|proxy| proxy.splicing.asked())
                .then_some(global.max_pipes),
        }
    }

    /// `maxconn`, pipes and the descriptors for them, by HAProxy's reckoning: two a connection and
    /// a pipe, one a listener and a check, and those of the stats sockets' connections. Without
    /// `maxpipes` there is a pipe for every fourth connection.
    fn reckon(self, descriptors_max: u64) -> (u32, u32, u32) {
        let fixed = (self.listeners + self.checks) as u64;
        let own = u64::from(DESCRIPTORS_RESERVED) + fixed + u64::from(self.commands);
        let maxconn = self.maxconn.unwrap_or_else(|| {
            let free = descriptors_max.saturating_sub(own);
            let mut most = match self.pipes {
                None => free / 2,
                Some(_) => free.saturating_mul(2) / 5,
            };
            if self.memory_mb > 0 {
                let each = 2 * u64::from(self.buffer_size) + CONNECTION_MEMORY;
                most = most.min((u64::from(self.memory_mb) << 20) / each);
                most -= most % 100;
            }
            u32::try_from(most).unwrap_or(u32::MAX / 4).max(MAXCONN_MIN)
        });
        let pipes = self.pipes.map_or(0, |said| said.unwrap_or(maxconn / 4));
        let maxsock = (u64::from(maxconn) + u64::from(pipes)) * 2 + own;
        (maxconn, pipes, u32::try_from(maxsock).unwrap_or(u32::MAX))
    }
}

/// The connections that a configuration would have here (`maxconn`, or what the limit of
/// descriptors allows), without changing anything.
#[must_use]
pub fn connections(config: &Config, memory_mb: u32) -> u32 {
    let descriptors_max = limit(libc::RLIMIT_NOFILE).rlim_max;
    Needs::new(config, memory_mb).reckon(descriptors_max).0
}

/// Reckons what is needed, and raises the limits to it.
pub(super) fn take_limits(
    config: &Config,
    memory_mb: u32,
    notes: &mut Vec<Note>,
) -> Result<Resources, Failure> {
    let strict = config.global.strict_limits;
    let mut missed = |text: String| {
        let level = if strict { Level::Error } else { Level::Warn };
        notes.push((level, text));
        if strict {
            Err(Failure {
                notes: std::mem::take(notes),
                status: 1,
            })
        } else {
            Ok(())
        }
    };
    let limit = limit(libc::RLIMIT_NOFILE);
    let (maxconn, max_pipes, maxsock) = Needs::new(config, memory_mb).reckon(limit.rlim_max);
    let mut descriptors = config.global.descriptors_max.unwrap_or(maxsock);
    let wanted = u64::from(descriptors);
    let mut short = false;
    if limit.rlim_cur < wanted {
        let hard = limit.rlim_max.max(wanted);
        if !set_limit(libc::RLIMIT_NOFILE, wanted, hard) {
            let now = limit.rlim_cur;
            let mut text =
                format!("[haproxy.main()] Cannot raise FD limit to {wanted}, limit is {now}.");
            if let Some((asked, place)) = &config.global.limit_asked {
                let (file, line) = (&place.file, place.line);
                text.push_str(&format!(
                    " '{asked}' of {file}:{line} asked for it; going over the hard limit of {} \
                     needs the privileges of root.",
                    limit.rlim_max
                ));
            }
            missed(text)?;
            // As far as it goes.
            set_limit(libc::RLIMIT_NOFILE, limit.rlim_max, limit.rlim_max);
            descriptors = u32::try_from(limit.rlim_max).unwrap_or(descriptors);
            short = config.global.descriptors_max.is_none();
        }
    }
    let asked = config.proxies.iter().any(|proxy| proxy.splicing.asked());
    let max_pipes = match asked || config.global.no_splice {
        true => max_pipes,
        false => spare_pipes(config, u64::from(maxsock)),
    };
    let bytes = u64::from(memory_mb) << 20;
    if memory_mb > 0 && !set_limit(libc::RLIMIT_AS, bytes, bytes) {
        missed(format!(
            "[haproxy.main()] Cannot fix MEM limit to {memory_mb} megs."
        ))?;
    }
    if short {
        let most = limit.rlim_max;
        let text = format!(
            "[haproxy.main()] FD limit ({most}) too low for maxconn={maxconn}/maxsock={maxsock}. Please raise 'ulimit-n' to {maxsock} or more to avoid any trouble."
        );
        notes.push((Level::Error, text));
    }
    Ok(Resources {
        maxconn,
        max_pipes,
        maxsock,
        descriptors,
    })
}

/// Pipes for splicing when no line asks for it: as many as are useful, if the limits have room for
/// them beside everything else; nothing else gets less for it.
fn spare_pipes(config: &Config, maxsock: u64) -> u32 {
    let most = config.global.max_pipes.unwrap_or(SPARE_PIPES);
    let wanted = u64::from(most).saturating_mul(2).saturating_add(maxsock);
    let limit = limit(libc::RLIMIT_NOFILE);
    let has_room = wanted <= limit.rlim_cur
        || (wanted <= limit.rlim_max && set_limit(libc::RLIMIT_NOFILE, wanted, limit.rlim_max));
    if has_room { most } else { 0 }
}

/// A limit of the process.
pub(super) fn limit(resource: libc::__rlimit_resource_t) -> libc::rlimit {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is valid for the call; asking for an own limit does not fail.
    unsafe { libc::getrlimit(resource, &raw mut limit) };
    limit
}

/// Sets a limit; whether it worked.
pub(super) fn set_limit(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) -> bool {
    let limit = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: the pointer is valid for the call.
    unsafe { libc::setrlimit(resource, &raw const limit) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// HAProxy 2.6.12 with `nbthread 1`: what `show info` prints.
    #[test]
    fn limits_are_haproxys() {
        let plain = Needs {
            maxconn: None,
            listeners: 2,
            commands: 10,
            checks: 0,
            buffer_size: 16384,
            memory_mb: 0,
            pipes: None,
        };
        let pipes = |said| Needs {
            pipes: Some(said),
            ..plain
        };
        for (needs, limit, expected) in [
            (plain, 20_000, (9987, 0, 19_999)),
            (plain, 3000, (1487, 0, 2999)),
            (plain, 1, (100, 0, 225)),
            (
                Needs {
                    listeners: 6,
                    ..plain
                },
                20_000,
                (9985, 0, 19_999),
            ),
            (Needs { checks: 2, ..plain }, 20_000, (9986, 0, 19_999)),
            (
                Needs {
                    checks: 100,
                    ..plain
                },
                20_000,
                (9937, 0, 19_999),
            ),
            (
                Needs {
                    commands: 50,
                    ..plain
                },
                20_000,
                (9967, 0, 19_999),
            ),
            (
                Needs {
                    maxconn: Some(1000),
                    ..plain
                },
                20_000,
                (1000, 0, 2025),
            ),
            (
                Needs {
                    maxconn: Some(30_000),
                    ..plain
                },
                20_000,
                (30_000, 0, 60_025),
            ),
            (
                Needs {
                    memory_mb: 100,
                    ..plain
                },
                20_000,
                (2800, 0, 5625),
            ),
            (
                Needs {
                    memory_mb: 250,
                    ..plain
                },
                20_000,
                (7100, 0, 14_225),
            ),
            (
                Needs {
                    memory_mb: 1000,
                    ..plain
                },
                20_000,
                (9900, 0, 19_825),
            ),
            (pipes(None), 4000, (1590, 397, 3999)),
            (pipes(Some(7)), 4000, (1590, 7, 3219)),
            (
                Needs {
                    maxconn: Some(1000),
                    ..pipes(None)
                },
                4000,
                (1000, 250, 2525),
            ),
            (plain, u64::MAX, (u32::MAX / 4, 0, u32::MAX / 2 + 25 - 1)),
        ] {
            assert_eq!(needs.reckon(limit), expected, "{needs:?} {limit}");
        }
    }
}
