//! Becoming a service: from a checked configuration to a door that the engine can use.
//!
//! The order is the point of this file: limits, log sockets, listeners, pid file, fork, signals and
//! poller, chroot, groups, gid, uid, and only then the word to the waiting parent. What needs the
//! privileges or the whole file system comes before they go; the epoll instance comes after the last
//! fork, because two processes must not share one.
//!
//! Every failure has HAProxy's words. Where a step lacks the privilege, a second line names the line
//! of the configuration that asked for the step; HAProxy leaves that to guessing.
//!
//! It must never print: texts are returned, `main` prints them. Rejected: the parent writing the
//! child's pid, which another process could read before the child exists for good.

// Fork, privileges and limits have no safe door in `std`.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::exit;
use std::ptr;

use ::log::Level;

use crate::base::addr::Endpoint;
use crate::base::arena::Handle;
use crate::config::model::{Config, Global, Listener, LogAddress, Place, Proxy, StatsSocket};
use crate::net::listen::{BoundListener, ListenerSpec, bind_all, error_text};
use crate::net::logs::{LogSpec, LogTarget};
use crate::net::os::{Os, Parts, utc_offset_s};
use crate::process::signal;

/// What the command line and the engine add to the configuration.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// Leave the terminal: `-D` or `daemon`, unless `-d` or `-db`.
    pub daemon: bool,
    /// `-m`, MB; 0 means no limit.
    pub memory_mb: u32,
    /// The log targets, in the order by which the engine names them.
    pub logs: &'a [LogAddress],
    /// The handle of each listener's edges.
    pub listener_handle: fn(u32) -> Handle,
}

/// What the process may use: what `show info` prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Client connections at most (`Maxconn`).
    pub maxconn: u32,
    /// Descriptors needed for that (`Maxsock`).
    pub maxsock: u32,
    /// Descriptors asked of the system (`Ulimit-n`).
    pub descriptors: u32,
}

/// Something to print: [`Level::Error`] is an ALERT, [`Level::Warn`] a WARNING.
pub type Note = (Level, String);

/// Why the start ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What to print, in order.
    pub notes: Vec<Note>,
    /// The exit code.
    pub status: i32,
}

/// A process that is all that it will be, but has not told its parent yet.
#[derive(Debug)]
pub struct Started {
    /// The door for the engine.
    pub net: Os,
    /// What it may use.
    pub resources: Resources,
    /// What to print before [`Ready::ready`].
    pub notes: Vec<Note>,
    /// To be used right before the loop.
    pub ready: Ready,
}

/// The waiting parent, if there is one.
#[derive(Debug)]
pub struct Ready(Option<Waiting>);

#[derive(Debug)]
struct Waiting {
    /// The pipe that the parent reads.
    parent: File,
    /// `/dev/null`, opened before the chroot.
    nowhere: File,
}

impl Ready {
    /// The service serves: leaves the terminal in daemon mode, and lets the parent return 0.
    pub fn ready(self, net: &mut Os) {
        let Some(Waiting {
            mut parent,
            nowhere,
        }) = self.0
        else {
            return;
        };
        for standard in 0..=2 {
            // SAFETY: both are open descriptors.
            unsafe { libc::dup2(nowhere.as_raw_fd(), standard) };
        }
        net.look_again_at_logs();
        // It fails only if the parent is gone, and then nobody waits.
        drop(parent.write_all(b"r"));
    }
}

/// Changes to the directory of `-C`, before any file is read.
///
/// # Errors
/// HAProxy's text.
pub fn change_directory(path: &str) -> Result<(), String> {
    let failed = |why| {
        format!(
            "Could not change to directory {path} : {}",
            error_text(&why)
        )
    };
    std::env::set_current_dir(path).map_err(failed)
}

/// Becomes a service. In daemon mode the parent does not return from here: it waits, and exits with 0
/// once [`Ready::ready`] is called, or with the child's exit code.
///
/// # Errors
/// The first step that failed, as HAProxy says it.
pub fn start(config: &Config, options: &Options<'_>) -> Result<Started, Failure> {
    let mut notes = Vec::new();
    // Reads the zone's file while it can be seen.
    utc_offset_s(0);
    signal::ignore();
    let resources = take_limits(config, options.memory_mb, &mut notes)?;
    let logs = open_logs(options.logs).map_err(|text| failure(&mut notes, text))?;
    let listeners = bind(config, resources.maxconn, &mut notes)?;
    let mut pid_file = None;
    let mut waiting = None;
    if options.daemon {
        let path = config.global.pid_file.as_deref();
        pid_file = path
            .map(open_pid_file)
            .transpose()
            .map_err(|text| failure(&mut notes, text))?;
        let nowhere = OpenOptions::new().read(true).write(true).open("/dev/null");
        let nowhere = nowhere
            .map_err(|_| failure(&mut notes, "[haproxy.main()] Cannot open /dev/null".into()))?;
        let parent =
            fork().map_err(|_| failure(&mut notes, "[haproxy.main()] Cannot fork.".into()))?;
        waiting = Some(Waiting { parent, nowhere });
    }
    let signals = Some(signal::install().map_err(|why| cannot_poll(&mut notes, &why))?);
    let listener_handle = options.listener_handle;
    let net = Os::new(Parts {
        listeners,
        listener_handle,
        logs,
        signals,
    })
    .map_err(|why| cannot_poll(&mut notes, &why))?;
    if let Some(mut file) = pid_file {
        // A full disk loses the file's content, not the service.
        drop(writeln!(file, "{}", std::process::id()));
    }
    drop_privileges(&config.global, &mut notes)?;
    Ok(Started {
        net,
        resources,
        notes,
        ready: Ready(waiting),
    })
}

/// An ending with one more ALERT after what was noted already.
fn failure(notes: &mut Vec<Note>, text: String) -> Failure {
    notes.push((Level::Error, text));
    Failure {
        notes: std::mem::take(notes),
        status: 1,
    }
}

fn cannot_poll(notes: &mut Vec<Note>, why: &io::Error) -> Failure {
    let why = error_text(why);
    failure(
        notes,
        format!("[haproxy.main()] No polling mechanism available ({why})."),
    )
}

/// The least that `maxconn` is when nothing is said.
const MAXCONN_MIN: u32 = 100;
/// Descriptors that HAProxy keeps for itself: ten, and three for its one thread. Measured on 2.6 with
/// `nbthread 1`, as are all numbers here.
const DESCRIPTORS_RESERVED: u32 = 13;
/// Memory that HAProxy counts for a connection besides its two buffers, bytes.
const CONNECTION_MEMORY: u64 = 3740;

/// `maxconn` and the descriptors for it, by HAProxy's reckoning: two descriptors a connection, one a
/// listener and a check, and those of the stats sockets' connections.
fn reckon(config: &Config, memory_mb: u32, descriptors_max: u64) -> (u32, u32) {
    let global = &config.global;
    let checks = config
        .servers
        .iter()
        .filter(|server| server.check.is_some())
        .count();
    let listeners = config.listeners.len() + global.stats_sockets.len();
    let commands = if global.stats_sockets.is_empty() {
        0
    } else {
        global.stats_maxconn
    };
    let own = u64::from(DESCRIPTORS_RESERVED) + (listeners + checks) as u64 + u64::from(commands);
    let maxconn = global.maxconn.filter(|said| *said > 0).unwrap_or_else(|| {
        let mut most = descriptors_max.saturating_sub(own) / 2;
        if memory_mb > 0 {
            let each = 2 * u64::from(global.buffer_size) + CONNECTION_MEMORY;
            most = most.min((u64::from(memory_mb) << 20) / each);
            most -= most % 100;
        }
        u32::try_from(most).unwrap_or(u32::MAX / 4).max(MAXCONN_MIN)
    });
    let maxsock = u64::from(maxconn) * 2 + own;
    (maxconn, u32::try_from(maxsock).unwrap_or(u32::MAX))
}

/// Reckons what is needed, and raises the limits to it.
fn take_limits(
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
    let (maxconn, maxsock) = reckon(config, memory_mb, limit.rlim_max);
    let descriptors = config.global.descriptors_max.unwrap_or(maxsock);
    let wanted = u64::from(descriptors);
    let mut short = false;
    if limit.rlim_cur < wanted {
        let hard = limit.rlim_max.max(wanted);
        if !set_limit(libc::RLIMIT_NOFILE, wanted, hard) {
            let now = limit.rlim_cur;
            missed(format!(
                "[haproxy.main()] Cannot raise FD limit to {wanted}, limit is {now}."
            ))?;
            // As far as it goes.
            set_limit(libc::RLIMIT_NOFILE, limit.rlim_max, limit.rlim_max);
            short = config.global.descriptors_max.is_none();
        }
    }
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
        maxsock,
        descriptors,
    })
}

/// A limit of the process.
fn limit(resource: libc::__rlimit_resource_t) -> libc::rlimit {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is valid for the call; asking for an own limit does not fail.
    unsafe { libc::getrlimit(resource, &raw mut limit) };
    limit
}

/// Sets a limit; whether it worked.
fn set_limit(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) -> bool {
    let limit = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: the pointer is valid for the call.
    unsafe { libc::setrlimit(resource, &raw const limit) == 0 }
}

/// Opens the log targets, in order.
fn open_logs(logs: &[LogAddress]) -> Result<Vec<LogTarget>, String> {
    let open = |address: &LogAddress| {
        let spec = match address {
            LogAddress::Datagram(endpoint) => LogSpec::Datagram(endpoint.clone()),
            LogAddress::Stdout => LogSpec::Descriptor(1),
            LogAddress::Stderr => LogSpec::Descriptor(2),
            LogAddress::Fd(descriptor) => LogSpec::Descriptor(*descriptor),
        };
        LogTarget::open(&spec).map_err(|why| {
            format!(
                "[haproxy.main()] Cannot open a log socket : {}.",
                error_text(&why)
            )
        })
    };
    logs.iter().map(open).collect()
}

/// Binds the configuration's listeners and then its stats sockets; what is disabled keeps its number
/// and does not listen.
fn bind(
    config: &Config,
    maxconn: u32,
    notes: &mut Vec<Note>,
) -> Result<Vec<Option<BoundListener>>, Failure> {
    let mut specs = Vec::new();
    let mut names = Vec::new();
    let mut numbers = Vec::new();
    for (number, listener) in config.listeners.iter().enumerate() {
        let proxy = config.proxy(listener.proxy);
        if !proxy.disabled {
            specs.push(spec(listener, proxy, maxconn));
            names.push((&listener.place, proxy.kind(), proxy.name.as_str()));
            numbers.push(number);
        }
    }
    for (n, stats) in config.global.stats_sockets.iter().enumerate() {
        specs.push(stats_spec(stats, config.global.stats_maxconn));
        names.push((&stats.place, "frontend", "GLOBAL"));
        numbers.push(config.listeners.len() + n);
    }
    if specs.is_empty() {
        let text =
            "[haproxy.main()] No enabled listener found (check for 'bind' directives) ! Exiting.";
        return Err(failure(notes, text.to_owned()));
    }
    let binding = |index: usize, text: &str| {
        let (place, kind, name): (&Place, &str, &str) = names[index];
        format!(
            "Binding [{}:{}] for {kind} {name}: {text}",
            place.file, place.line
        )
    };
    let bound = bind_all(&specs).map_err(|failures| {
        let alerts = failures
            .iter()
            .map(|failed| binding(failed.index, &failed.text));
        notes.extend(alerts.map(|text| (Level::Error, text)));
        let text = "[haproxy.main()] Some protocols failed to start their listeners! Exiting.";
        failure(notes, text.to_owned())
    })?;
    let mut all: Vec<Option<BoundListener>> = Vec::new();
    all.resize_with(
        config.listeners.len() + config.global.stats_sockets.len(),
        || None,
    );
    for (index, listener) in bound.into_iter().enumerate() {
        if let Some(text) = &listener.warning {
            notes.push((Level::Warn, binding(index, text)));
        }
        all[numbers[index]] = Some(listener);
    }
    Ok(all)
}

/// How a listener of a proxy listens. Without `backlog` as many may wait as may be served.
fn spec(listener: &Listener, proxy: &Proxy, maxconn: u32) -> ListenerSpec {
    let backlog = listener
        .backlog
        .or(proxy.backlog)
        .or(proxy.maxconn)
        .unwrap_or(maxconn);
    ListenerSpec {
        inherited: listener.inherited,
        mode: listener.mode,
        uid: listener.uid,
        gid: listener.gid,
        v6_only: listener.v6_only,
        interface: listener.interface.clone(),
        ..ListenerSpec::new(listener.endpoint.clone(), backlog)
    }
}

/// How a stats socket listens.
fn stats_spec(stats: &StatsSocket, maxconn: u32) -> ListenerSpec {
    let endpoint: Endpoint = stats.endpoint.clone();
    ListenerSpec {
        mode: stats.mode,
        uid: stats.uid,
        gid: stats.gid,
        ..ListenerSpec::new(endpoint, maxconn)
    }
}

/// A new file for the pid: what stood there may belong to somebody else by now.
fn open_pid_file(path: &str) -> Result<File, String> {
    drop(fs::remove_file(path));
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(path);
    file.map_err(|_| format!("[haproxy.main()] Cannot create pidfile {path}"))
}

/// Forks. The parent stays in here until the child says that it serves or ends; the child gets the
/// pipe to say so, in a session of its own.
fn fork() -> io::Result<File> {
    let mut ends = [0; 2];
    // SAFETY: the array has room for the two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and owned by nobody else.
    let (read, write) = unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) };
    drop(io::stdout().flush());
    // SAFETY: the process has one thread, so the child is a whole copy.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // SAFETY: no pointer is passed. It cannot fail in a process that was just forked.
            unsafe { libc::setsid() };
            Ok(write)
        }
        child => {
            drop(write);
            exit(wait_for(child, read))
        }
    }
}

/// The parent's exit code: 0 once the child serves, else the child's.
fn wait_for(child: libc::pid_t, mut read: File) -> i32 {
    let mut word = [0; 1];
    if read.read_exact(&mut word).is_ok() {
        return 0;
    }
    let mut status = 0;
    loop {
        // SAFETY: the pointer is valid for the call.
        let code = unsafe { libc::waitpid(child, &raw mut status, 0) };
        if code == child {
            break;
        }
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return 1;
        }
    }
    if libc::WIFSIGNALED(status) {
        128 + libc::WTERMSIG(status)
    } else {
        libc::WEXITSTATUS(status)
    }
}

/// Gives up what the service does not need: the file system outside the chroot, groups, gid, uid,
/// and the way back to any of them.
fn drop_privileges(global: &Global, notes: &mut Vec<Note>) -> Result<(), Failure> {
    if let Some((path, place)) = &global.chroot {
        change_root(path).map_err(|why| {
            let text = format!("[haproxy.main()] Cannot chroot({path}).");
            refused(notes, text, &why, place, &format!("chroot {path}"))
        })?;
    }
    if (global.user.is_some() || global.group.is_some()) && !drop_groups() {
        let text = "[haproxy.main()] Failed to drop supplementary groups. Using 'gid'/'group' without 'uid'/'user' is generally useless.";
        notes.push((Level::Warn, text.to_owned()));
    }
    if let Some((id, name, place)) = &global.group {
        // SAFETY: no pointer is passed.
        done(unsafe { libc::setgid(*id) }).map_err(|why| {
            let text = format!("[haproxy.main()] Cannot set gid {id}.");
            refused(notes, text, &why, place, &format!("group {name}"))
        })?;
    }
    if let Some((id, name, place)) = &global.user {
        // SAFETY: no pointer is passed.
        done(unsafe { libc::setuid(*id) }).map_err(|why| {
            let text = format!("[haproxy.main()] Cannot set uid {id}.");
            refused(notes, text, &why, place, &format!("user {name}"))
        })?;
    }
    // Nothing below may start a program or gain a privilege: HAProxy's defaults, too (global
    // `insecure-fork-wanted` and `insecure-setuid-wanted` would lift them). Neither can fail where
    // it matters.
    // SAFETY: numbers only.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    set_limit(libc::RLIMIT_NPROC, 0, 0);
    Ok(())
}

/// HAProxy's line, and ours that names the line which asked.
fn refused(
    notes: &mut Vec<Note>,
    text: String,
    why: &io::Error,
    place: &Place,
    asked: &str,
) -> Failure {
    notes.push((Level::Error, text));
    let hint = match why.raw_os_error() {
        Some(libc::EPERM) => "; it needs the privileges of root",
        _ => "",
    };
    let why = error_text(why);
    failure(
        notes,
        format!("[{}:{}] : '{asked}' : {why}{hint}.", place.file, place.line),
    )
}

fn change_root(path: &str) -> io::Result<()> {
    let path = CString::new(path)?;
    // SAFETY: the path is valid for both calls.
    unsafe {
        done(libc::chroot(path.as_ptr()))?;
        done(libc::chdir(c"/".as_ptr()))
    }
}

/// Leaves all supplementary groups; whether none is left.
fn drop_groups() -> bool {
    // SAFETY: a count of 0 only asks for the number, and an empty list needs no pointer.
    unsafe { libc::getgroups(0, ptr::null_mut()) == 0 || libc::setgroups(0, ptr::null()) == 0 }
}

/// The result of a system call that says -1.
fn done(code: i32) -> io::Result<()> {
    if code < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
