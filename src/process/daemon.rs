//! Becoming a service: from a checked configuration to a door that the engine can use.
//!
//! The order is the point of this file: limits, log sockets, listeners, pid file, fork, signals
//! and poller, chroot, groups, gid, uid, and only then the word to the waiting parent. What needs
//! the privileges or the whole file system comes before they go; the epoll instance comes after
//! the last fork, because two processes must not share one.
//!
//! Every failure has HAProxy's words. Where a step lacks the privilege, a second line names the
//! line of the configuration that asked for the step; HAProxy leaves that to guessing.
//!
//! It must never print: texts are returned, `main` prints them. Rejected: the parent writing the
//! child's pid, which another process could read before the child exists for good.

// Fork, privileges and limits have no safe door in `std`.
#![allow(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::exit;

use ::log::Level;

use crate::base::addr::Endpoint;
use crate::base::arena::Handle;
use crate::config::model::{Config, Listener, LogAddress, Place, Proxy, StatsSocket};
use crate::net::listen::{BoundListener, ListenerSpec, bind_or_take, error_text};
use crate::net::logs::{LogSpec, LogTarget};
use crate::net::os::{Os, Parts, utc_offset_s};
use crate::net::program;
use crate::process::handover;
use crate::process::limits::{Resources, take_limits};
use crate::process::privileges::drop_privileges;
use crate::process::signal;
use crate::process::worker::{Rules, Worker};

/// What is said when the system has no room for another process.
pub(super) const CANNOT_FORK: &str = "[haproxy.main()] Cannot fork.";

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
    /// What this process has of its master, if it is a worker.
    pub worker: Option<&'a Worker>,
    /// `-x`: the runtime socket of the process whose listeners are taken.
    pub listeners_from: Option<&'a str>,
    /// `-sf`, `-st`: processes and the signals that they get once this one serves.
    pub followed: &'a [(u32, i32)],
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

/// Who is to be told that the service serves.
#[derive(Debug, Default)]
pub struct Ready {
    /// The pipe that a waiting parent reads.
    parent: Option<File>,
    /// `/dev/null`, opened before the chroot, for a service without a terminal.
    nowhere: Option<File>,
    /// Processes that this one follows, and the signal for each.
    followed: Vec<(u32, i32)>,
}

impl Ready {
    /// The service serves: leaves the terminal in daemon mode, and lets the parent return 0.
    pub fn ready(self, net: &mut Os) {
        if let Some(nowhere) = self.nowhere {
            leave_terminal(&nowhere);
            net.look_again_at_logs();
        }
        if let Some(mut parent) = self.parent {
            // It fails only if the parent is gone, and then nobody waits.
            drop(parent.write_all(b"r"));
        }
        for (pid, signal) in self.followed {
            // SAFETY: numbers only. It fails for one that is gone, or is not ours to tell.
            unsafe { libc::kill(pid.cast_signed(), signal) };
        }
    }
}

/// Puts `/dev/null` where the terminal was.
pub(super) fn leave_terminal(nowhere: &File) {
    for standard in 0..=2 {
        // SAFETY: both are open descriptors.
        unsafe { libc::dup2(nowhere.as_raw_fd(), standard) };
    }
}

/// `/dev/null`.
pub(super) fn nowhere() -> Result<File, String> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/null");
    file.map_err(|_| "[haproxy.main()] Cannot open /dev/null".to_owned())
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

/// Becomes a service. In daemon mode the parent does not return from here: it waits, and exits
/// with 0 once [`Ready::ready`] is called, or with the child's exit code.
///
/// # Errors
/// The first step that failed, as HAProxy says it.
pub fn start(config: &Config, options: &Options<'_>) -> Result<Started, Failure> {
    let mut notes = Vec::new();
    // Reads the zone's file while it can be seen.
    utc_offset_s(0);
    signal::ignore();
    let programs = config.runs_programs().then(program::limits_now);
    let resources = take_limits(config, options.memory_mb, &mut notes)?;
    let logs = open_logs(options.logs).map_err(|text| failure(&mut notes, text))?;
    let offered = match (options.worker, options.listeners_from) {
        (Some(worker), _) if !worker.is_first => worker.listeners(),
        (_, Some(socket)) => handover::listeners(socket).map_err(|why| {
            let text = format!("Failed to connect to the old process socket '{socket}'{why}");
            notes.push((Level::Warn, text));
            let text = "Failed to get the sockets from the old process!";
            failure(&mut notes, text.to_owned())
        })?,
        (_, None) => Vec::new(),
    };
    let listeners = bind(config, resources.maxconn, offered, &mut notes)?;
    let mut pid_file = None;
    let mut ready = Ready {
        followed: options.followed.to_vec(),
        ..Ready::default()
    };
    if options.worker.map_or(options.daemon, Worker::detached) {
        ready.nowhere = Some(nowhere().map_err(|text| failure(&mut notes, text))?);
    }
    if let Some(worker) = options.worker {
        worker.loaded(Rules {
            failure_is_survived: config.global.failure_is_survived,
            reloads_max: config.global.reloads_max.unwrap_or(u32::MAX),
        });
    } else if options.daemon {
        let path = config.global.pid_file.as_deref();
        pid_file = path
            .map(open_pid_file)
            .transpose()
            .map_err(|text| failure(&mut notes, text))?;
        let parent = fork().map_err(|_| failure(&mut notes, CANNOT_FORK.into()))?;
        ready.parent = Some(parent);
    }
    let signals = Some(signal::install().map_err(|why| cannot_poll(&mut notes, &why))?);
    let listener_handle = options.listener_handle;
    let net = Os::new(Parts {
        listeners,
        listener_handle,
        logs,
        signals,
        tubes: match config.global.no_splice {
            true => (0, 0),
            false => (resources.max_pipes, config.global.pipe_size),
        },
        control: options
            .worker
            .map(Worker::control)
            .transpose()
            .map_err(|why| cannot_poll(&mut notes, &why))?,
        programs,
    })
    .map_err(|why| cannot_poll(&mut notes, &why))?;
    if let Some(mut file) = pid_file {
        // A full disk loses the file's content, not the service.
        drop(writeln!(file, "{}", std::process::id()));
    }
    if programs.is_some() {
        program::keep_descriptors();
    }
    drop_privileges(&config.global, &mut notes)?;
    Ok(Started {
        net,
        resources,
        notes,
        ready,
    })
}

/// An ending with one more ALERT after what was noted already.
pub(super) fn failure(notes: &mut Vec<Note>, text: String) -> Failure {
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

/// Binds the configuration's listeners and then its stats sockets; what is disabled keeps its
/// number and does not listen.
fn bind(
    config: &Config,
    maxconn: u32,
    offered: Vec<OwnedFd>,
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
    let bound = bind_or_take(&specs, offered).map_err(|failures| {
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
        defer_accept: listener.defer_accept,
        interface: listener.interface.clone(),
        incoming: listener.incoming,
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
        defer_accept: stats.defer_accept,
        ..ListenerSpec::new(endpoint, maxconn)
    }
}

/// A new file for the pid: what stood there may belong to somebody else by now.
pub(super) fn open_pid_file(path: &str) -> Result<File, String> {
    drop(fs::remove_file(path));
    let file = OpenOptions::new()
        .write(true)
        // Not what somebody put there in between, such as a link.
        .create_new(true)
        .mode(0o644)
        .open(path);
    file.map_err(|_| format!("[haproxy.main()] Cannot create pidfile {path}"))
}

/// Whether a pid file could be made, before anything is begun.
pub(super) fn try_pid_file(path: &str) -> Result<(), String> {
    let trial = format!("{path}.{}.tmp", std::process::id());
    let made = open_pid_file(&trial).is_ok();
    drop(fs::remove_file(&trial));
    match made {
        true => Ok(()),
        false => Err(format!("[haproxy.main()] Cannot create pidfile {path}")),
    }
}

/// Forks. The parent stays in here until the child says that it serves or ends; the child gets the
/// pipe to say so, in a session of its own.
pub(super) fn fork() -> io::Result<File> {
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

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::os::unix::net::UnixStream;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Output};

    use std::ptr;

    use super::*;
    use crate::config::model::{AccessLevel, Global};
    use crate::net::{Net as _, Signal};

    #[test]
    fn a_pid_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        fs::write(&path, "an older and longer content").unwrap();
        writeln!(open_pid_file(path.to_str().unwrap()).unwrap(), "7").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"7\n");
        let text = open_pid_file("/nonexistent/pid").unwrap_err();
        assert_eq!(
            text,
            "[haproxy.main()] Cannot create pidfile /nonexistent/pid"
        );
    }

    #[test]
    fn a_directory_that_is_missing() {
        assert_eq!(
            change_directory("/nonexistent").unwrap_err(),
            "Could not change to directory /nonexistent : No such file or directory"
        );
    }

    /// The folder given to the test's other process.
    const FOLDER: &str = "ONELOOP_TEST_FOLDER";

    /// The folder, when this is the other process of a test.
    fn other_process() -> Option<PathBuf> {
        std::env::var_os(FOLDER).map(PathBuf::from)
    }

    /// Runs the test `name` again as a process of its own, whose limits, signals and privileges may
    /// change.
    fn again(name: &str, folder: &Path) -> Output {
        let name = format!("process::daemon::tests::{name}");
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", &name, "--nocapture", "--test-threads=1"]);
        command.env(FOLDER, folder).output().unwrap()
    }

    fn place() -> Place {
        Place {
            file: "x.cfg".into(),
            line: 7,
        }
    }

    /// A configuration with one stats socket in a folder.
    fn config(folder: &Path) -> Config {
        let path = folder
            .join("stats.sock")
            .to_str()
            .unwrap()
            .as_bytes()
            .into();
        let stats = StatsSocket {
            endpoint: Endpoint::Unix(path),
            mode: None,
            uid: None,
            gid: None,
            level: AccessLevel::Operator,
            expose_listeners: false,
            defer_accept: false,
            place: place(),
        };
        let global = Global {
            logs: Vec::new(),
            log_tag: "haproxy".into(),
            log_hostname: None,
            chroot: None,
            user: None,
            group: None,
            daemon: false,
            pid_file: Some(folder.join("pid").to_str().unwrap().into()),
            maxconn: Some(10),
            descriptors_max: None,
            limit_asked: None,
            hard_stop_after: None,
            spread_checks: 0,
            stats_sockets: vec![stats],
            stats_timeout: 10_000,
            stats_maxconn: 10,
            buffer_size: 16384,
            max_rewrite: 1024,
            max_headers: 101,
            max_accept: 4,
            max_pipes: None,
            pipe_size: 0,
            no_splice: false,
            log_line_max: 1024,
            node: None,
            description: None,
            environment: Vec::new(),
            zero_warning: false,
            dumpable: false,
            master_worker: false,
            failure_is_survived: false,
            reloads_max: None,
            quiet: false,
            strict_limits: true,
            forks: false,
            gains_privileges: false,
        };
        Config {
            global,
            proxies: Vec::new(),
            servers: Vec::new(),
            listeners: Vec::new(),
            acls: Vec::new(),
            lists: Vec::new(),
            groups: Vec::new(),
            named_servers: Vec::new(),
        }
    }

    fn options(daemon: bool) -> Options<'static> {
        Options {
            daemon,
            memory_mb: 0,
            logs: &[],
            listener_handle: |n| Handle::new(1, 0, n),
            worker: None,
            listeners_from: None,
            followed: &[],
        }
    }

    /// Serves until a signal ends it: never returns into the test runner.
    fn serve(config: &Config, daemon: bool) -> ! {
        match start(config, &options(daemon)) {
            Ok(Started { mut net, ready, .. }) => {
                ready.ready(&mut net);
                loop {
                    net.wait(None, &mut Vec::new());
                    if let Some(Signal::Stop(number)) = net.signal() {
                        signal::end_by(number);
                    }
                }
            }
            Err(failure) => {
                for (_, text) in failure.notes {
                    eprintln!("{text}");
                }
                exit(failure.status)
            }
        }
    }

    /// The lines on stderr that are ours.
    fn notes(output: &Output) -> Vec<String> {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_daemon_serves_when_its_parent_returns() {
        if let Some(folder) = other_process() {
            let mut config = config(&folder);
            // Else only root could look at its descriptors.
            config.global.dumpable = true;
            serve(&config, true);
        }
        let folder = tempfile::tempdir().unwrap();
        let output = again("a_daemon_serves_when_its_parent_returns", folder.path());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let mut client = UnixStream::connect(folder.path().join("stats.sock")).unwrap();
        let pid = fs::read_to_string(folder.path().join("pid")).unwrap();
        let pid: i32 = pid.strip_suffix('\n').unwrap().parse().unwrap();
        let of = |path: &str| fs::read_link(format!("/proc/{pid}/{path}")).unwrap();
        for standard in ["fd/0", "fd/1", "fd/2"] {
            assert_eq!(of(standard), Path::new("/dev/null"));
        }
        // SAFETY: no pointer is passed, and the process is the test's own.
        unsafe {
            assert_eq!(libc::getsid(pid), pid, "a session of its own");
            libc::kill(pid, libc::SIGTERM);
        }
        // The end closes the listener and with it the connection that nobody accepted.
        let end = client.read(&mut [0; 1]);
        assert!(matches!(&end, Ok(0)) || end.unwrap_err().kind() == ErrorKind::ConnectionReset);
    }

    #[test]
    fn a_daemons_failure_is_its_parents() {
        if let Some(folder) = other_process() {
            let mut config = config(&folder);
            config.global.chroot = Some(("/nonexistent".into(), place()));
            serve(&config, true);
        }
        let folder = tempfile::tempdir().unwrap();
        let output = again("a_daemons_failure_is_its_parents", folder.path());
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(
            notes(&output)[0],
            "[haproxy.main()] Cannot chroot(/nonexistent)."
        );
    }

    #[test]
    fn signals_end_the_process_as_signals() {
        use std::os::unix::process::ExitStatusExt as _;
        if let Some(folder) = other_process() {
            let config = config(&folder);
            let Ok(Started { mut net, .. }) = start(&config, &options(false)) else {
                panic!()
            };
            // SAFETY: no pointer is passed.
            unsafe {
                libc::raise(libc::SIGPIPE);
                libc::raise(libc::SIGUSR2);
                libc::raise(libc::SIGHUP);
            }
            net.wait(None, &mut Vec::new());
            assert_eq!(net.signal(), Some(Signal::DumpStates));
            signal::end_by(libc::SIGINT);
        }
        let folder = tempfile::tempdir().unwrap();
        let output = again("signals_end_the_process_as_signals", folder.path());
        assert_eq!(output.status.signal(), Some(libc::SIGINT), "{output:?}");
        assert!(
            !folder.path().join("pid").exists(),
            "only a daemon writes it"
        );
    }

    #[test]
    fn root_drops_everything() {
        // SAFETY: no pointer is passed.
        let root = unsafe { libc::geteuid() == 0 };
        if !root {
            return;
        }
        if let Some(folder) = other_process() {
            let mut config = config(&folder);
            config.global.chroot = Some((folder.to_str().unwrap().into(), place()));
            config.global.user = Some((65534, "nobody".into(), place()));
            config.global.group = Some((65534, "nogroup".into(), place()));
            let started = start(&config, &options(false)).unwrap();
            assert_eq!(started.notes, []);
            let (mut uids, mut gids) = ([0; 3], [0; 3]);
            // SAFETY: each pointer has room for one number.
            unsafe {
                libc::getresuid(&raw mut uids[0], &raw mut uids[1], &raw mut uids[2]);
                libc::getresgid(&raw mut gids[0], &raw mut gids[1], &raw mut gids[2]);
                assert_eq!(libc::getgroups(0, ptr::null_mut()), 0);
                assert_eq!(libc::setuid(0), -1);
            }
            assert_eq!((uids, gids), ([65534; 3], [65534; 3]));
            assert!(Path::new("/stats.sock").exists() && !Path::new("/proc").exists());
            exit(42);
        }
        let folder = tempfile::tempdir().unwrap();
        let output = again("root_drops_everything", folder.path());
        assert_eq!(output.status.code(), Some(42), "{output:?}");
    }

    #[test]
    fn a_missing_privilege_names_the_line() {
        if let Some(folder) = other_process() {
            let mut config = config(&folder);
            // SAFETY: no pointer is passed. For anybody but root it does nothing.
            unsafe {
                libc::setgroups(0, ptr::null());
                libc::setgid(65534);
                libc::setuid(65534);
            }
            let mut notes = Vec::new();
            config.global.user = Some((0, "root".into(), place()));
            notes.extend(
                drop_privileges(&config.global, &mut Vec::new())
                    .unwrap_err()
                    .notes,
            );
            config.global.group = Some((0, "root".into(), place()));
            notes.extend(
                drop_privileges(&config.global, &mut Vec::new())
                    .unwrap_err()
                    .notes,
            );
            config.global.chroot = Some(("/".into(), place()));
            notes.extend(
                drop_privileges(&config.global, &mut Vec::new())
                    .unwrap_err()
                    .notes,
            );
            for (_, text) in notes {
                eprintln!("{text}");
            }
            exit(0);
        }
        let folder = tempfile::tempdir().unwrap();
        let output = again("a_missing_privilege_names_the_line", folder.path());
        let why = "Operation not permitted; it needs the privileges of root.";
        let lines = notes(&output);
        for (said, asked) in [
            ("Cannot chroot(/).", "chroot /"),
            ("Cannot set gid 0.", "group root"),
            ("Cannot set uid 0.", "user root"),
        ] {
            let at = lines.iter().position(|line| line.ends_with(said));
            let at = at.unwrap_or_else(|| panic!("{lines:?}"));
            assert_eq!(lines[at + 1], format!("[x.cfg:7] : '{asked}' : {why}"));
        }
    }

    #[test]
    fn a_start_without_listeners_or_with_a_taken_one() {
        if let Some(folder) = other_process() {
            let mut config = config(&folder.join("none"));
            let first = start(&config, &options(false)).unwrap_err();
            config.global.stats_sockets.clear();
            let second = start(&config, &options(false)).unwrap_err();
            config.global.maxconn = Some(2_000_000_000);
            let third = start(&config, &options(false)).unwrap_err();
            for failure in [first, second, third] {
                assert_eq!(failure.status, 1);
                assert!(
                    failure
                        .notes
                        .iter()
                        .all(|(level, _)| *level == Level::Error)
                );
                for (_, text) in failure.notes {
                    eprintln!("{text}");
                }
            }
            exit(0);
        }
        let folder = tempfile::tempdir().unwrap();
        let output = again(
            "a_start_without_listeners_or_with_a_taken_one",
            folder.path(),
        );
        let path = folder.path().join("none/stats.sock");
        let lines = notes(&output);
        assert_eq!(
            lines[..3],
            [
                format!(
                    "Binding [x.cfg:7] for frontend GLOBAL: cannot bind UNIX socket (No such file or directory) [{}]",
                    path.display()
                ),
                "[haproxy.main()] Some protocols failed to start their listeners! Exiting.".into(),
                "[haproxy.main()] No enabled listener found (check for 'bind' directives) ! Exiting.".into(),
            ]
        );
        assert!(
            lines[3].starts_with("[haproxy.main()] Cannot raise FD limit to 4000000013, limit is ")
        );
    }
}
