//! Programs that run beside the loop: started, told of by the poller, reaped.
//!
//! A program is made by `posix_spawn(3)`, which copies nothing of this process, however large it
//! is, and says at once why a program cannot be run. It gets the standard streams and no other
//! descriptor: ours are all closed by `exec`, and so are those that we were started with
//! ([`keep_descriptors`]). What tells that it has ended is a `pidfd`, which is in the poller like a
//! socket (Linux 5.4); it also keeps its number from being given to somebody else, so that neither
//! a signal nor a wait can meet a stranger.
//!
//! Nothing here waits. Rejected: `SIGCHLD`, which tells that somebody has ended and not who, and
//! which two signals at once are one of; `fork` and `exec` by hand, which is slow in a process with
//! much memory.

// Descriptors of processes and limits have no safe door in `std`.
#![allow(unsafe_code)]

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use crate::net::{Invocation, Process, Socket, Stop};

/// The shell that runs what is no program by itself.
const SHELL: &str = "/bin/sh";

/// The standard streams: their number, and the first descriptor that is none of them.
const STANDARD: i32 = 3;

/// Descriptors at most that a program may have: those that this process had when it was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramLimits {
    /// The soft limit of descriptors.
    pub descriptors: u64,
}

/// Starts a program.
pub(super) fn start(what: &Invocation<'_>, limits: Option<ProgramLimits>) -> Result<Process, Stop> {
    let own = limits.and_then(|limits| lower(limits.descriptors));
    let child = first_that_runs(what);
    if let Some(own) = own {
        set_limit(&own);
    }
    let mut child = child.map_err(|why| failed(&why))?;
    let pid = child.id();
    // SAFETY: numbers only. The process cannot have been reaped: nobody else waits for it.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let Ok(descriptor) = i32::try_from(descriptor) else {
        return Err(Stop::Failed(libc::EIO));
    };
    if descriptor < 0 {
        let why = io::Error::last_os_error();
        // Nobody would hear of its end: it is killed, which is not waited for long.
        drop(child.kill());
        drop(child.wait());
        return Err(failed(&why));
    }
    Ok(Process {
        socket: Socket::from_raw(descriptor),
        pid,
    })
}

/// Tries the places where a program may be, as a shell does.
fn first_that_runs(what: &Invocation<'_>) -> io::Result<Child> {
    let mut reason = io::Error::from_raw_os_error(libc::ENOENT);
    for place in places(what.command, what.path) {
        let mut command = Command::new(&place);
        match prepare(&mut command, what).spawn() {
            Ok(child) => return Ok(child),
            Err(why) if why.raw_os_error() == Some(libc::ENOEXEC) => {
                let mut shell = Command::new(SHELL);
                shell.arg(&place);
                return prepare(&mut shell, what).spawn();
            }
            Err(why) => match why.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR) => {}
                // It is remembered, and the search goes on.
                Some(libc::EACCES) => reason = why,
                _ => return Err(why),
            },
        }
    }
    Err(reason)
}

fn prepare<'a>(command: &'a mut Command, what: &Invocation<'_>) -> &'a mut Command {
    command.env_clear();
    for (name, value) in what.environment {
        command.env(name, OsStr::from_bytes(value));
    }
    for argument in what.arguments {
        command.arg(OsStr::from_bytes(argument));
    }
    command
}

/// Where a command may be: it is a path itself, or in one of the directories.
fn places(command: &[u8], path: &[u8]) -> Vec<PathBuf> {
    let command = Path::new(OsStr::from_bytes(command));
    if command.as_os_str().as_bytes().contains(&b'/') {
        return vec![command.to_owned()];
    }
    let folders = path.split(|byte| *byte == b':');
    folders
        .map(|folder| match folder {
            // An empty one is the present directory.
            b"" => Path::new(".").join(command),
            folder => Path::new(OsStr::from_bytes(folder)).join(command),
        })
        .collect()
}

/// How a program ended: its code, or -1, without its sign, if a signal ended it.
pub(super) fn outcome(process: &Process) -> Result<u32, Stop> {
    // SAFETY: an all-zero record is a valid value of that plain C struct.
    let mut told: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG;
    let id = process.socket.raw().cast_unsigned();
    loop {
        // SAFETY: the record is valid for the call, which does not wait.
        let code = unsafe { libc::waitid(libc::P_PIDFD, id, &raw mut told, flags) };
        if code == 0 {
            break;
        }
        match io::Error::last_os_error() {
            why if why.raw_os_error() == Some(libc::EINTR) => {}
            why => return Err(failed(&why)),
        }
    }
    // SAFETY: the call has filled these fields in, or left them zero.
    let (pid, status) = unsafe { (told.si_pid(), told.si_status()) };
    match (pid, told.si_code) {
        (0, _) => Err(Stop::Blocked),
        (_, libc::CLD_EXITED) => Ok(status.cast_unsigned() & 0xFF),
        _ => Ok(u32::MAX),
    }
}

/// Asks a program to end; `now` does not ask.
pub(super) fn end(process: &Process, now: bool) {
    let signal = if now { libc::SIGKILL } else { libc::SIGTERM };
    let none: *const libc::siginfo_t = std::ptr::null();
    // SAFETY: numbers, and a null that is allowed. It fails only for one that has ended.
    unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.socket.raw(),
            signal,
            none,
            0,
        )
    };
}

/// Keeps to this process what it was started with, and lets a program's end be told: to be called
/// once, before programs run and before the root of the file system changes.
pub fn keep_descriptors() {
    // SAFETY: the default disposition runs none of our code. Where it was inherited as ignored, no
    // end of a program could be waited for.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    let (first, last) = (STANDARD as libc::c_uint, libc::c_uint::MAX);
    let flag = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: numbers only.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, flag) } == 0 {
        return;
    }
    // Linux before 5.11.
    let Ok(open) = fs::read_dir("/proc/self/fd") else {
        return;
    };
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    for descriptor in numbers.filter(|number| *number >= STANDARD) {
        // SAFETY: numbers only.
        unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// The limit of descriptors as it is now, for programs that will be started later.
#[must_use]
pub fn limits_now() -> ProgramLimits {
    ProgramLimits {
        descriptors: limit().rlim_cur,
    }
}

/// Lowers the limit of descriptors for what is started next; what it was, if it was changed.
fn lower(descriptors: u64) -> Option<libc::rlimit> {
    let own = limit();
    if own.rlim_cur <= descriptors {
        return None;
    }
    set_limit(&libc::rlimit {
        rlim_cur: descriptors,
        ..own
    });
    Some(own)
}

fn limit() -> libc::rlimit {
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the record is valid for the call.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit
}

fn set_limit(limit: &libc::rlimit) {
    // SAFETY: the record is valid for the call. Below the hard limit nothing is refused.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) };
}

fn failed(why: &io::Error) -> Stop {
    Stop::Failed(why.raw_os_error().unwrap_or(libc::EIO))
}
