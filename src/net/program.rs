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

// Descriptors of processes, signals and limits have no safe door in `std`.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::ptr;

use crate::net::{Invocation, Process, Socket, Stop};

/// The shell that runs what is no program by itself.
const SHELL: &CStr = c"/bin/sh";

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
    let started = first_that_runs(what);
    if let Some(own) = own {
        set_limit(&own);
    }
    let pid = started.map_err(|why| failed(&why))?;
    // SAFETY: numbers only. The process cannot have been reaped: nobody else waits for it.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if descriptor < 0 {
        let why = io::Error::last_os_error();
        // Nobody would hear of its end: it is killed, which is not waited for long.
        // SAFETY: numbers, and a null that is allowed.
        unsafe {
            libc::kill(pid, libc::SIGKILL);
            libc::waitpid(pid, ptr::null_mut(), 0);
        }
        return Err(failed(&why));
    }
    Ok(Process {
        socket: Socket::from_raw(descriptor as i32),
        pid: pid.cast_unsigned(),
    })
}

/// Tries the places where a program may be, as a shell does; its number.
fn first_that_runs(what: &Invocation<'_>) -> io::Result<libc::pid_t> {
    let variables = what.environment.iter().map(|(name, value)| {
        let text = [name.as_bytes(), b"=", value].concat();
        CString::new(text)
    });
    let variables = variables.collect::<Result<Vec<_>, _>>()?;
    let told = what.arguments.iter().map(|word| CString::new(&word[..]));
    let told = told.collect::<Result<Vec<_>, _>>()?;
    let mut reason = io::Error::from_raw_os_error(libc::ENOENT);
    for place in places(what.command, what.path) {
        let place = CString::new(place)?;
        let mut words = vec![place.as_c_str()];
        words.extend(told.iter().map(CString::as_c_str));
        let mut started = spawn(&place, &words, &variables);
        if matches!(&started, Err(why) if why.raw_os_error() == Some(libc::ENOEXEC)) {
            words.insert(0, SHELL);
            started = spawn(SHELL, &words, &variables);
        }
        match started {
            Ok(pid) => return Ok(pid),
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

/// Runs a file with the standard streams, no signal blocked, and those at their default that we
/// ignore.
fn spawn(file: &CStr, words: &[&CStr], variables: &[CString]) -> io::Result<libc::pid_t> {
    let ended = |texts: &mut dyn Iterator<Item = *const libc::c_char>| {
        let texts = texts.map(<*const libc::c_char>::cast_mut);
        texts.chain([ptr::null_mut()]).collect::<Vec<_>>()
    };
    let words = ended(&mut words.iter().map(|word| word.as_ptr()));
    let variables = ended(&mut variables.iter().map(|text| text.as_ptr()));
    let mut pid = 0;
    // SAFETY: the attributes are initialised by `posix_spawnattr_init` and both sets by
    // `sigemptyset` before anything reads them; both lists end with a null, and their texts outlive
    // the call.
    let code = unsafe {
        let mut attributes: libc::posix_spawnattr_t = std::mem::zeroed();
        let (mut blocked, mut default): (libc::sigset_t, libc::sigset_t) =
            (std::mem::zeroed(), std::mem::zeroed());
        libc::sigemptyset(&raw mut blocked);
        libc::sigemptyset(&raw mut default);
        for number in [libc::SIGPIPE, libc::SIGUSR2] {
            libc::sigaddset(&raw mut default, number);
        }
        libc::posix_spawnattr_init(&raw mut attributes);
        libc::posix_spawnattr_setsigmask(&raw mut attributes, &raw const blocked);
        libc::posix_spawnattr_setsigdefault(&raw mut attributes, &raw const default);
        let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        libc::posix_spawnattr_setflags(&raw mut attributes, flags as libc::c_short);
        let code = libc::posix_spawn(
            &raw mut pid,
            file.as_ptr(),
            ptr::null(),
            &raw const attributes,
            words.as_ptr(),
            variables.as_ptr(),
        );
        libc::posix_spawnattr_destroy(&raw mut attributes);
        code
    };
    match code {
        0 => Ok(pid),
        number => Err(io::Error::from_raw_os_error(number)),
    }
}

/// Where a command may be: it is a path itself, or in one of the directories.
fn places(command: &[u8], path: &[u8]) -> Vec<Vec<u8>> {
    if command.contains(&b'/') {
        return vec![command.to_owned()];
    }
    let folders = path.split(|byte| *byte == b':');
    folders
        .map(|folder| match folder {
            // An empty one is the present directory.
            b"" => [b"./", command].concat(),
            folder => [folder, b"/", command].concat(),
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
