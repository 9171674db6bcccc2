//! The master: one small process that starts who serves, follows it, and starts the next one.
//!
//! A master never reads a configuration, never touches traffic, and keeps its privileges. It forks
//! a worker, which reads the configuration, takes the listeners and the knowledge of the worker
//! that serves, and tells when it serves itself; then the other is told to finish and leave. A
//! worker that does not get so far changes nothing: the one that serves goes on. So no reload can
//! lose a connection, and no mistake in a file can end the service.
//!
//! For a reload the master becomes its program anew, so that an upgraded one is used; what it must
//! remember is in `kept`. It waits in one `poll` for signals, for its workers' words and for its
//! runtime socket (`cli`). Counts that a leaving worker has left are passed on unread to the one
//! that serves.
//!
//! Invariants: at most one worker is on its way; of those that serve, at most one was not told to
//! leave; the process ends when it has no worker, but for `no-exit-on-failure`.
//!
//! Rejected: HAProxy's way of reading the file in the master, which holds the file's memory and
//! the parser's faults in the process that must not fail; and the engine's loop for the runtime
//! socket, which would bring its records along.

// Signals, processes, `poll` and `exec` have no safe door in `std`.
#![allow(unsafe_code)]

mod anew;
mod cli;
mod commands;
mod kept;
mod system;

use std::fs::File;
use std::io::{self, Write as _};
use std::mem::zeroed;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, IntoRawFd, OwnedFd};

use ::log::Level;

use self::anew::become_anew;
use self::cli::{ADMIN, Ask, Session, SocketWords};
use self::kept::{Kept, KeptWorker, VARIABLE};
use self::system::{
    block_signals, kill, now_ms, now_us, open_signals, readable, signal_name, wait,
};
use crate::base::version::VERSION_AS_HAPROXY;
use crate::config::host::Host;
use crate::net::channel::{self, Channel, Kind};
use crate::net::listen::{bind_all, error_text};
use crate::process::daemon::{self, CANNOT_FORK};
use crate::process::message::{self, NOTICE};
use crate::process::notify::Notify;
use crate::process::worker::{Rules, Worker};

/// Connections to the runtime socket at most.
const SESSIONS_MAX: usize = 32;
/// Bytes of what a worker said while it started that are kept for the answer to `reload`.
const TRANSCRIPT_MAX: usize = 64 * 1024;
/// What the command line says to the master.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// `-Ws`: the service manager is told.
    pub notify: bool,
    /// `-S`.
    pub socket: Option<String>,
}

/// What the first reading of the configuration says to it.
#[derive(Clone, Debug, Default)]
pub struct First {
    /// It leaves the terminal.
    pub daemon: bool,
    /// Where its pid is written.
    pub pid_file: Option<String>,
    /// Processes that are told once the first worker serves, and the signal for each.
    pub followed: Vec<(u32, i32)>,
}

/// How [`Master::run`] ends.
#[derive(Debug)]
pub enum End {
    /// In the master: the process ends with this code.
    Exit(u8),
    /// In a worker, which was just forked.
    Worker(Worker),
}

/// A worker, seen from its master.
#[derive(Debug)]
struct Record {
    pid: u32,
    channel: Channel,
    stage: Stage,
    reloads: u32,
    started_ms: u64,
    version: String,
    /// It was asked for a sign of life and has not given it.
    asked: bool,
    /// It has closed its channel, and its end is due.
    silent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Reads the configuration.
    Forked,
    /// Has read it.
    Loaded(Rules),
    /// Serves.
    Current,
    /// Was told to finish.
    Leaving,
}

impl Stage {
    fn is_on_its_way(self) -> bool {
        matches!(self, Self::Forked | Self::Loaded(_))
    }
}

/// The master process.
#[derive(Debug)]
pub struct Master {
    signals: OwnedFd,
    notify: Notify,
    socket: Option<OwnedFd>,
    level: u8,
    socket_words: Option<String>,
    sessions: Vec<Session>,
    workers: Vec<Record>,
    started_ms: u64,
    reloads: u32,
    failed: u32,
    has_served: bool,
    rules: Rules,
    parent: Option<File>,
    detached: bool,
    pid_file: Option<String>,
    followed: Vec<(u32, i32)>,
    /// What was said during the load under way.
    transcript: String,
    reload_wanted: bool,
    stopping: bool,
    /// The exit code of the end under way.
    code: i32,
    next_ping_ms: Option<u64>,
}

/// Becomes a master: binds its runtime socket, leaves the terminal if it shall, and becomes its
/// program anew, which finds its state by [`Master::resume`]. Returns only when that failed, with
/// the exit code, or with a master that runs in this program.
///
/// # Errors
/// The exit code, after what was wrong has been said.
pub fn begin(
    words: &Words,
    first: First,
    host: &dyn Host,
    directory: Option<&File>,
) -> Result<Master, u8> {
    let fail = |text: &str| {
        ::log::error!("{text}");
        1
    };
    let socket = match &words.socket {
        Some(socket) => {
            let words = SocketWords::read(socket, host).map_err(|text| {
                ::log::error!("{text}");
                fail("Can't create the master's CLI.")
            })?;
            let level = words.level;
            let socket = bind_socket(words).map_err(|text| {
                ::log::error!("{text}");
                fail(SOME_FAILED)
            })?;
            Some((socket, level))
        }
        None => None,
    };
    let (socket, level) = socket.unzip();
    // Relative to where the process is now, which `-C` may have changed.
    let pid_file = first.pid_file.map(|path| absolute(&path));
    if let Some(path) = &pid_file {
        daemon::try_pid_file(path).map_err(|text| fail(&text))?;
    }
    if let Some(directory) = directory {
        // SAFETY: an open directory.
        unsafe { libc::fchdir(directory.as_raw_fd()) };
    }
    let mut parent = None;
    if first.daemon {
        parent = Some(daemon::fork().map_err(|_| fail(CANNOT_FORK))?);
    }
    block_signals();
    let kept = Kept {
        started_ms: now_ms(),
        cli: socket.map(IntoRawFd::into_raw_fd),
        level: level.unwrap_or(ADMIN),
        parent: parent.map(IntoRawFd::into_raw_fd),
        detached: first.daemon,
        pid_file,
        followed: first.followed,
        ..Kept::default()
    };
    // A master that has read a configuration would keep its memory.
    drop(become_anew(&kept));
    Master::of(words, &kept).map_err(|why| fail(&error_text(&why)))
}

/// What is said when a socket could not be bound.
const SOME_FAILED: &str =
    "[haproxy.main()] Some protocols failed to start their listeners! Exiting.";

fn bind_socket(words: SocketWords) -> Result<OwnedFd, String> {
    let bound = bind_all(&[words.spec]).map_err(|failures| {
        let failed = failures.first().map_or("", |failure| failure.text.as_str());
        format!("Binding [master-socket:0] for proxy MASTER: {failed}")
    })?;
    let bound = bound.into_iter().next();
    bound.map(|bound| bound.socket).ok_or_else(String::new)
}

fn absolute(path: &str) -> String {
    std::path::absolute(path).map_or_else(
        |_| path.to_owned(),
        |whole| whole.to_string_lossy().into_owned(),
    )
}

impl Master {
    /// The master that this process was before it became this program; `None` in any other
    /// process. To be called once, at the very start.
    ///
    /// # Errors
    /// Why it cannot go on: the service is over.
    pub fn resume(words: &Words) -> Option<io::Result<Self>> {
        let text = std::env::var(VARIABLE).ok()?;
        // SAFETY: the process has one thread.
        unsafe { std::env::remove_var(VARIABLE) };
        let kept = Kept::read(&text, std::process::id())?;
        for descriptor in kept.descriptors() {
            channel::keep_over_exec(descriptor, false);
        }
        Some(Self::of(words, &kept))
    }

    fn of(words: &Words, kept: &Kept) -> io::Result<Self> {
        block_signals();
        let signals = open_signals()?;
        let sessions = kept.waiting.iter().copied();
        let sessions = sessions.filter_map(channel::adopt).map(Session::waiting);
        let workers = kept.workers.iter().filter_map(|worker| {
            Some(Record {
                pid: worker.pid,
                channel: Channel::from(channel::adopt(worker.channel)?),
                stage: match worker.leaving {
                    true => Stage::Leaving,
                    false => Stage::Current,
                },
                reloads: worker.reloads,
                started_ms: worker.started_ms,
                version: worker.version.clone(),
                asked: false,
                silent: false,
            })
        });
        let notify = Notify::new(words.notify);
        Ok(Self {
            next_ping_ms: notify.period_ms().map(|period| now_ms() + period),
            notify,
            signals,
            socket: kept.cli.and_then(channel::adopt),
            level: kept.level,
            socket_words: words.socket.clone(),
            sessions: sessions.collect(),
            workers: workers.collect(),
            started_ms: kept.started_ms,
            reloads: kept.reloads,
            failed: kept.failed,
            has_served: kept.has_served,
            rules: kept.rules,
            parent: kept.parent.and_then(channel::adopt).map(File::from),
            detached: kept.detached,
            pid_file: kept.pid_file.clone(),
            followed: kept.followed.clone(),
            transcript: String::new(),
            reload_wanted: false,
            stopping: false,
            code: 0,
        })
    }

    fn keep(&self) -> Kept {
        let workers = self.workers.iter().map(|worker| KeptWorker {
            pid: worker.pid,
            channel: worker.channel.as_raw_fd(),
            leaving: worker.stage == Stage::Leaving,
            reloads: worker.reloads,
            started_ms: worker.started_ms,
            version: worker.version.clone(),
        });
        let waiting = self.sessions.iter().filter(|session| session.waits);
        Kept {
            started_ms: self.started_ms,
            reloads: self.reloads,
            failed: self.failed,
            has_served: self.has_served,
            rules: self.rules,
            cli: self.socket.as_ref().map(|socket| socket.as_raw_fd()),
            level: self.level,
            parent: self.parent.as_ref().map(|parent| parent.as_raw_fd()),
            detached: self.detached,
            pid_file: self.pid_file.clone(),
            workers: workers.collect(),
            waiting: waiting.map(Session::descriptor).collect(),
            followed: self.followed.clone(),
        }
    }

    /// Starts a worker and follows it, until the service ends or, in a process of its own, a worker
    /// begins.
    #[must_use]
    pub fn run(mut self) -> End {
        self.reap();
        // What it served by may have ended while the program changed.
        if !self.stopping
            && let Some(worker) = self.load()
        {
            return End::Worker(worker);
        }
        loop {
            if let Some(code) = self.is_over() {
                return End::Exit(u8::try_from(code).unwrap_or(1));
            }
            if self.reload_wanted && !self.stopping && !self.is_loading() {
                self.reload();
                if let Some(worker) = self.load() {
                    return End::Worker(worker);
                }
            }
            self.turn();
        }
    }

    /// The exit code, once no worker is left and none is wanted.
    fn is_over(&self) -> Option<i32> {
        if !self.workers.is_empty() || !self.stopping && self.has_served {
            return None;
        }
        if self.stopping {
            let code = self.code;
            ::log::warn!("All workers exited. Exiting... ({code})");
        }
        Some(self.code)
    }

    fn is_loading(&self) -> bool {
        self.workers
            .iter()
            .any(|worker| worker.stage.is_on_its_way())
    }

    fn current(&self) -> Option<&Record> {
        let mut workers = self.workers.iter();
        workers.find(|worker| worker.stage == Stage::Current)
    }

    /// Waits, and acts on what came.
    fn turn(&mut self) {
        let mut asked = vec![readable(self.signals.as_raw_fd())];
        let room = self.sessions.len() < SESSIONS_MAX;
        let socket = self.socket.as_ref().filter(|_| room);
        asked.push(readable(socket.map_or(-1, |socket| socket.as_raw_fd())));
        let workers = self.workers.iter();
        asked.extend(workers.map(|worker| match worker.silent {
            true => readable(-1),
            false => readable(worker.channel.as_raw_fd()),
        }));
        let sessions_at = asked.len();
        for session in &self.sessions {
            let (client, worker) = session.interest();
            asked.push(client);
            asked.push(worker.unwrap_or_else(|| readable(-1)));
        }
        let sessions = self.sessions.len();
        wait(&mut asked, self.next_ping_ms);
        self.ping();
        // Words before signals: what a worker said before its end counts.
        for at in 0..self.workers.len() {
            self.hear(at);
        }
        for at in 0..sessions {
            let gone = libc::POLLHUP | libc::POLLERR;
            if asked[sessions_at + 2 * at].revents & gone != 0 {
                self.sessions[at].hang_up();
            }
        }
        if asked[0].revents != 0 {
            self.read_signals();
        }
        if asked[1].revents != 0 {
            self.accept();
        }
        self.serve_sessions();
    }

    /// Tells the service manager that all is well, if the worker's loop has answered.
    fn ping(&mut self) {
        let (Some(period_ms), Some(due_ms)) = (self.notify.period_ms(), self.next_ping_ms) else {
            return;
        };
        let now = now_ms();
        if now < due_ms {
            return;
        }
        self.next_ping_ms = Some(now + period_ms);
        let mut workers = self.workers.iter_mut();
        let current = workers.find(|worker| worker.stage == Stage::Current);
        if current.as_ref().is_none_or(|worker| !worker.asked) {
            self.notify.alive();
        }
        if let Some(worker) = current {
            worker.asked = true;
            // One that has no room for it is not alive.
            drop(worker.channel.send(Kind::Ping, b"", &[]));
        }
    }

    /// Reads all that a worker has said.
    fn hear(&mut self, at: usize) {
        loop {
            let mut message = match self.workers[at].channel.receive() {
                Ok(Some(message)) => message,
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return,
                Ok(None) | Err(_) => {
                    self.workers[at].silent = true;
                    return;
                }
            };
            match message.kind {
                Some(Kind::Said) => {
                    let text = String::from_utf8_lossy(&message.text).into_owned();
                    self.transcribe(&text);
                }
                Some(Kind::Loaded) => {
                    let rules = Rules::read(&message.text).unwrap_or_default();
                    self.workers[at].stage = Stage::Loaded(rules);
                    self.write_pid_file();
                }
                Some(Kind::Ready) => self.in_charge(at),
                Some(Kind::Ping) => self.workers[at].asked = false,
                Some(Kind::Rest) => {
                    if let (Some(rest), Some(current)) = (message.descriptors.pop(), self.current())
                    {
                        // A worker that reads nothing any more is about to be missed.
                        drop(current.channel.send(Kind::Rest, b"", &[rest.as_fd()]));
                    }
                }
                _ => {}
            }
        }
    }

    /// A worker serves: the others are told to leave.
    fn in_charge(&mut self, at: usize) {
        if let Stage::Loaded(rules) = self.workers[at].stage {
            self.rules = rules;
        }
        for worker in &mut self.workers {
            if worker.stage == Stage::Current {
                worker.stage = Stage::Leaving;
                // Who is gone need not be told.
                drop(worker.channel.send(Kind::Drain, b"", &[]));
            }
        }
        self.workers[at].stage = Stage::Current;
        self.has_served = true;
        self.failed = 0;
        self.say(Level::Info, "Loading success.");
        if let Some(mut parent) = self.parent.take() {
            if let Ok(nowhere) = daemon::nowhere() {
                daemon::leave_terminal(&nowhere);
            }
            drop(parent.write_all(b"r"));
        }
        for (pid, signal) in std::mem::take(&mut self.followed) {
            kill(pid, signal);
        }
        let most = self.rules.reloads_max;
        for worker in &self.workers {
            if worker.stage == Stage::Leaving && worker.reloads > most {
                kill(worker.pid, libc::SIGTERM);
            }
        }
        self.loaded(true);
    }

    /// A load has ended: who waits for its result is told.
    fn loaded(&mut self, success: bool) {
        let status = if success { "Ready." } else { "Reload failed!" };
        self.notify.ready(status);
        let transcript = std::mem::take(&mut self.transcript);
        for session in self.sessions.iter_mut().filter(|session| session.waits) {
            session.answer(&format!("Success={}\n--\n", u8::from(success)));
            session.answer(&transcript);
            session.waits = false;
            session.quit = true;
        }
    }

    /// Says something that belongs to the load under way.
    fn say(&mut self, level: Level, text: &str) {
        let target = if level == Level::Info {
            NOTICE
        } else {
            "oneloop"
        };
        ::log::log!(target: target, level, "{text}");
        let line = message::line(level, target, &text);
        self.transcribe(&line);
    }

    fn transcribe(&mut self, line: &str) {
        if self.transcript.len() + line.len() < TRANSCRIPT_MAX {
            self.transcript.push_str(line);
            self.transcript.push('\n');
        }
    }

    /// The pid file is written once the first configuration was good.
    fn write_pid_file(&mut self) {
        let Some(path) = self.pid_file.take() else {
            return;
        };
        match daemon::open_pid_file(&path) {
            // A full disk loses the file's content, not the service.
            Ok(mut file) => drop(writeln!(file, "{}", std::process::id())),
            // It could be made a moment ago.
            Err(text) => self.say(Level::Error, &text),
        }
    }

    /// Forks a worker. In the worker it returns what that is to have.
    fn load(&mut self) -> Option<Worker> {
        self.reload_wanted = false;
        let (here, there) = match Channel::pair() {
            Ok(pair) => pair,
            Err(why) => {
                self.cannot_load(&why);
                return None;
            }
        };
        let predecessor = self.introduce();
        let master = std::process::id();
        // SAFETY: the process has one thread, so the child is a whole copy.
        match unsafe { libc::fork() } {
            -1 => {
                let why = io::Error::last_os_error();
                self.cannot_load(&why);
                None
            }
            0 => {
                drop(here);
                self.become_worker(master, there.as_raw_fd());
                Some(Worker {
                    master: there,
                    predecessor,
                    detached: self.detached,
                    is_first: !self.has_served,
                })
            }
            pid => {
                self.workers.push(Record {
                    pid: pid.cast_unsigned(),
                    channel: here,
                    stage: Stage::Forked,
                    reloads: 0,
                    started_ms: now_ms(),
                    version: VERSION_AS_HAPROXY.to_owned(),
                    asked: false,
                    silent: false,
                });
                None
            }
        }
    }

    fn cannot_load(&mut self, why: &io::Error) {
        let text = format!("{CANNOT_FORK} ({})", error_text(why));
        self.say(Level::Error, &text);
        self.failed_load();
    }

    /// A channel to the worker that serves, for the one that follows it.
    fn introduce(&self) -> Option<Channel> {
        let current = self.current()?;
        let (ours, theirs) = Channel::pair().ok()?;
        let sent = current
            .channel
            .send(Kind::Successor, b"", &[theirs.as_fd()]);
        sent.ok().map(|()| ours)
    }

    /// What a child of a master must not have of it.
    fn become_worker(&mut self, master: u32, channel: i32) {
        message::speak_as(master);
        message::copy_to(channel);
        self.workers.clear();
        self.sessions.clear();
        self.socket = None;
        self.parent = None;
        // SAFETY: the set is initialised before it is used, and the process has one thread.
        unsafe {
            let mut none: libc::sigset_t = zeroed();
            libc::sigemptyset(&raw mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
            std::env::set_var("HAPROXY_MWORKER", "1");
            if let Some(socket) = &self.socket_words {
                let address = socket.split(',').next().unwrap_or_default();
                let kind = if address.starts_with('/') {
                    "unix@"
                } else {
                    ""
                };
                std::env::set_var("HAPROXY_MASTER_CLI", format!("{kind}{address}"));
            }
        }
    }

    /// Becomes the program anew. Returns when that failed, and the running one goes on.
    fn reload(&mut self) {
        for session in self.sessions.iter_mut().filter(|session| session.wants) {
            session.wants = false;
            session.waits = true;
        }
        self.notify.reloading(now_us());
        message::notice("Reloading HAProxy");
        self.reloads += 1;
        for worker in &mut self.workers {
            worker.reloads += 1;
        }
        let why = become_anew(&self.keep());
        let pid = std::process::id();
        let why = error_text(&why);
        let text = format!("Failed to reexecute the master process [{pid}]: {why}");
        self.say(Level::Warn, &text);
    }

    fn failed_load(&mut self) {
        self.failed += 1;
        if self.has_served {
            self.say(Level::Warn, "Loading failure!");
            self.loaded(false);
        } else if self.code == 0 {
            self.code = 1;
        }
    }

    fn read_signals(&mut self) {
        // SAFETY: an all-zero record is a valid value of that plain C struct.
        let mut record: libc::signalfd_siginfo = unsafe { zeroed() };
        let room = size_of::<libc::signalfd_siginfo>();
        loop {
            // SAFETY: the record is valid for `room` bytes, and any bytes are a valid record.
            let got =
                unsafe { libc::read(self.signals.as_raw_fd(), (&raw mut record).cast(), room) };
            if usize::try_from(got) != Ok(room) {
                return;
            }
            self.on_signal(record.ssi_signo.cast_signed());
        }
    }

    fn on_signal(&mut self, signal: i32) {
        match signal {
            libc::SIGCHLD => self.reap(),
            libc::SIGUSR2 | libc::SIGHUP => self.reload_wanted = true,
            libc::SIGTERM | libc::SIGINT | libc::SIGUSR1 => {
                if !self.stopping {
                    ::log::warn!("Exiting Master process...");
                    self.notify.stopping();
                }
                self.stopping = true;
                self.signal_all(signal);
            }
            other => {
                if let Some(current) = self.current() {
                    kill(current.pid, other);
                }
            }
        }
    }

    fn signal_all(&self, signal: i32) {
        for worker in &self.workers {
            kill(worker.pid, signal);
        }
    }

    /// Takes leave of every worker that has ended.
    fn reap(&mut self) {
        loop {
            let mut status = 0;
            // SAFETY: the pointer is valid for the call.
            let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
            if pid <= 0 {
                return;
            }
            let known = |worker: &Record| worker.pid.cast_signed() == pid;
            if let Some(at) = self.workers.iter().position(known) {
                // Its last words may still lie in the channel.
                self.hear(at);
                let worker = self.workers.remove(at);
                self.on_end(&worker, status);
            }
        }
    }

    fn on_end(&mut self, worker: &Record, status: i32) {
        let killed = libc::WIFSIGNALED(status);
        let (code, how) = if killed {
            let signal = libc::WTERMSIG(status);
            (128 + signal, signal_name(signal))
        } else {
            (libc::WEXITSTATUS(status), "Exit".to_owned())
        };
        let text = |whose: &str| {
            let pid = worker.pid;
            format!("{whose} worker ({pid}) exited with code {code} ({how})")
        };
        let in_order = matches!(code, 0 | 143 | 130);
        match worker.stage {
            Stage::Leaving => ::log::warn!("{}", text("Former")),
            Stage::Current => {
                let level = if killed { Level::Error } else { Level::Warn };
                ::log::log!(level, "{}", text("Current"));
                if self.stopping || in_order {
                    self.set_code(code);
                    self.stopping = true;
                } else if self.rules.failure_is_survived {
                    // The next reload brings a worker again.
                } else {
                    self.exit_on_failure(code);
                }
            }
            Stage::Forked | Stage::Loaded(_) if self.stopping => {}
            Stage::Loaded(_) if !self.has_served => {
                let level = if killed { Level::Error } else { Level::Warn };
                ::log::log!(level, "{}", text("Current"));
                self.exit_on_failure(code);
            }
            Stage::Forked | Stage::Loaded(_) => {
                if killed {
                    self.say(Level::Error, &text("New"));
                }
                if !self.has_served && self.code == 0 {
                    self.code = code;
                }
                self.failed_load();
            }
        }
    }

    fn exit_on_failure(&mut self, code: i32) {
        ::log::error!("exit-on-failure: killing every processes with SIGTERM");
        self.set_code(code);
        self.stopping = true;
        self.signal_all(libc::SIGTERM);
    }

    /// The first code that tells of a failure stays; an end by `SIGTERM` is a good one.
    fn set_code(&mut self, code: i32) {
        if self.code == 0 && code != 128 + libc::SIGTERM {
            self.code = code;
        }
    }

    fn accept(&mut self) {
        let Some(socket) = &self.socket else { return };
        let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        let null = std::ptr::null_mut();
        // SAFETY: the address is not asked for.
        let got = unsafe { libc::accept4(socket.as_raw_fd(), null, null.cast(), flags) };
        if got >= 0 {
            // SAFETY: just opened, and owned by nobody else.
            let client = unsafe { OwnedFd::from_raw_fd(got) };
            self.sessions.push(Session::new(client, self.level));
        }
    }

    fn serve_sessions(&mut self) {
        let mut sessions = std::mem::take(&mut self.sessions);
        sessions.retain_mut(|session| {
            loop {
                match session.advance() {
                    Ask::Command(command) => self.run_command(session, &command),
                    Ask::Nothing => return true,
                    Ask::Over => return false,
                }
            }
        });
        self.sessions = sessions;
    }
}
