//! The system calls that std has no words for, each behind a safe function.
//!
//! Processors to run on, limits, the end of children with their parent, sockets as the floor
//! needs them. What can fail and matters says so; nothing here knows what is measured.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Duration;

/// Of `listen`; thousands of clients come at once.
const BACKLOG: c_int = 4096;

/// True when the last call would have had to wait.
pub(crate) fn blocked() -> bool {
    let error = io::Error::last_os_error().raw_os_error();
    matches!(error, Some(libc::EAGAIN | libc::ENOTCONN))
}

/// A port of this machine as the calls want it.
pub(crate) fn loopback(port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes([127, 0, 0, 1]),
        },
        sin_zero: [0; 8],
    }
}

fn switch_on(socket: c_int, level: c_int, option: c_int) {
    let one: c_int = 1;
    // SAFETY: `one` is an integer of the length that is given and lives for the call.
    unsafe {
        libc::setsockopt(
            socket,
            level,
            option,
            (&raw const one).cast(),
            size_of_val(&one) as libc::socklen_t,
        );
    }
}

pub(crate) fn no_delay(socket: c_int) {
    switch_on(socket, libc::IPPROTO_TCP, libc::TCP_NODELAY);
}

/// A listener that never blocks, on a port of this machine.
pub(crate) fn listen(port: u16) -> io::Result<c_int> {
    let address = loopback(port);
    // SAFETY: takes numbers only.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0) };
    switch_on(socket, libc::SOL_SOCKET, libc::SO_REUSEADDR);
    // SAFETY: `address` is a whole `sockaddr_in` and lives for the call.
    let bound = unsafe {
        libc::bind(
            socket,
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    };
    // SAFETY: takes numbers only.
    if bound != 0 || unsafe { libc::listen(socket, BACKLOG) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(socket)
}

/// Makes room for what is received and not read.
pub(crate) fn receive_buffer(socket: &impl AsRawFd, bytes: c_int) {
    // SAFETY: `bytes` is an integer of the length that is given and lives for the call.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUF,
            (&raw const bytes).cast(),
            size_of_val(&bytes) as libc::socklen_t,
        );
    }
}

fn set_of(processor: usize) -> libc::cpu_set_t {
    // SAFETY: all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is whole; a number beyond it was never one of `processors`.
    unsafe { libc::CPU_SET(processor, &mut set) };
    set
}

/// The processors that this process may use.
pub(crate) fn processors() -> Vec<usize> {
    // SAFETY: all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is whole and as long as is said.
    if unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) } != 0 {
        return Vec::new();
    }
    let size = libc::CPU_SETSIZE as usize;
    (0..size)
        // SAFETY: the number is below the size of the set.
        .filter(|at| unsafe { libc::CPU_ISSET(*at, &set) })
        .collect()
}

/// From now on this process and what it starts run on one processor.
pub(crate) fn keep_to(processor: usize) -> io::Result<()> {
    let set = set_of(processor);
    // SAFETY: the set is whole and as long as is said.
    if unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The command will run on one processor, and end when this process does.
pub(crate) fn prepare(command: &mut Command, processor: usize) {
    let set = set_of(processor);
    let inside = move || {
        // SAFETY: both calls may be made between fork and exec; the set was copied into the child.
        let failed = unsafe {
            libc::sched_setaffinity(0, size_of_val(&set), &raw const set) != 0
                || libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) != 0
        };
        if failed {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    };
    // SAFETY: `inside` allocates nothing and takes no lock.
    unsafe { command.pre_exec(inside) };
}

/// Takes the soft limit of descriptors up to the hard one, and tells it.
pub(crate) fn raise_descriptors() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a whole `rlimit` in both calls.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
    }
    limit.rlim_cur
}

/// Clock ticks a second, in which `/proc/PID/stat` counts.
pub(crate) fn ticks_per_second() -> f64 {
    // SAFETY: takes a number only.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    if ticks > 0 { ticks as f64 } else { 100.0 }
}

pub(crate) fn is_root() -> bool {
    // SAFETY: takes nothing.
    unsafe { libc::geteuid() == 0 }
}

/// Sends a signal to a child that has not been waited for, so that its number is still its own.
pub(crate) fn signal(child: &Child, signal: c_int) {
    // SAFETY: takes numbers only.
    unsafe { libc::kill(child.id() as libc::pid_t, signal) };
}

/// What a child that was waited for has used.
pub(crate) struct Used {
    /// User and system time together.
    pub(crate) cpu: Duration,
    pub(crate) succeeded: bool,
}

/// Waits for a child, and tells what it has used.
pub(crate) fn wait_for(child: &Child) -> io::Result<Used> {
    let mut status = 0;
    // SAFETY: all zeros is a valid `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let pid = child.id() as libc::pid_t;
    // SAFETY: both pointers are to whole records that live for the call.
    if unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) } != pid {
        return Err(io::Error::last_os_error());
    }
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    Ok(Used {
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        succeeded: status == 0,
    })
}

/// A timer that can be waited for among sockets.
pub(crate) struct Ticker(c_int);

impl Ticker {
    pub(crate) fn every(interval: Duration) -> io::Result<Self> {
        let spec = libc::timespec {
            tv_sec: interval.as_secs() as libc::time_t,
            tv_nsec: interval.subsec_nanos().into(),
        };
        let times = libc::itimerspec {
            it_interval: spec,
            it_value: spec,
        };
        let kind = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: takes numbers only.
        let timer = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, kind) };
        // SAFETY: `times` is whole and lives for the call; no old value is asked for.
        let set =
            unsafe { libc::timerfd_settime(timer, 0, &raw const times, std::ptr::null_mut()) };
        if timer < 0 || set != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(timer))
    }

    /// Takes the ticks that have passed; the next one is told then.
    pub(crate) fn take(&self) {
        let mut ticks = [0u8; 8];
        // SAFETY: the pointer and the length are those of one array.
        unsafe { libc::read(self.0, ticks.as_mut_ptr().cast(), ticks.len()) };
    }
}

impl AsRawFd for Ticker {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // SAFETY: takes a number only, and the timer is ours.
        unsafe { libc::close(self.0) };
    }
}

/// Readiness of many sockets, level-triggered, for reading.
pub(crate) struct Watch {
    poll: c_int,
    events: Vec<libc::epoll_event>,
}

impl Watch {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes a number only.
        let poll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if poll < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            poll,
            events: vec![libc::epoll_event { events: 0, u64: 0 }; 256],
        })
    }

    /// `number` is told when there is something to read.
    pub(crate) fn add(&self, file: &impl AsRawFd, number: usize) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: number as u64,
        };
        let file = file.as_raw_fd();
        // SAFETY: `event` is whole and lives for the call.
        if unsafe { libc::epoll_ctl(self.poll, libc::EPOLL_CTL_ADD, file, &raw mut event) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// The numbers of what is ready, at most after so long.
    pub(crate) fn ready(&mut self, patience: Duration, into: &mut Vec<usize>) {
        into.clear();
        let wait = patience.as_millis().min(60_000) as c_int;
        let length = self.events.len() as c_int;
        // SAFETY: the pointer and the length are those of one list.
        let count = unsafe { libc::epoll_wait(self.poll, self.events.as_mut_ptr(), length, wait) };
        into.extend(
            self.events[..count.max(0) as usize]
                .iter()
                .map(|event| event.u64 as usize),
        );
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // SAFETY: takes a number only, and the poll is ours.
        unsafe { libc::close(self.poll) };
    }
}
