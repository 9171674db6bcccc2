//! A network of its own on this machine: namespaces for the nodes, joined by a bridge in another.
//!
//! No address and no device of it is seen outside; what `ip` cannot make here is an error.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The namespaces; they are gone when this is dropped.
pub(crate) struct Lan {
    prefix: String,
    hosts: Vec<&'static str>,
}

impl Lan {
    /// Hosts by name, each with its addresses on `eth0`.
    pub(crate) fn new(hosts: &[(&'static str, &[&str])]) -> Self {
        let mut lan = Self {
            prefix: format!("oneloop{}", std::process::id()),
            hosts: Vec::new(),
        };
        let bridge = lan.add("bridge");
        ip(&format!("-n {bridge} link add br0 type bridge"));
        ip(&format!("-n {bridge} link set br0 up"));
        for (host, addresses) in hosts {
            let space = lan.add(host);
            ip(&format!(
                "-n {space} link add eth0 type veth peer name {host} netns {bridge}"
            ));
            ip(&format!("-n {bridge} link set {host} master br0 up"));
            ip(&format!("-n {space} link set lo up"));
            ip(&format!("-n {space} link set eth0 up"));
            for address in *addresses {
                ip(&format!("-n {space} address add {address} dev eth0"));
            }
        }
        lan
    }

    fn add(&mut self, host: &'static str) -> String {
        let space = self.space(host);
        ip(&format!("netns add {space}"));
        self.hosts.push(host);
        space
    }

    /// The namespace of a host.
    fn space(&self, host: &str) -> String {
        format!("{}-{host}", self.prefix)
    }

    /// Pulls the plug of a host, or puts it in again.
    pub(crate) fn link(&self, host: &str, state: &str) {
        let bridge = self.space("bridge");
        ip(&format!("-n {bridge} link set {host} {state}"));
    }

    /// Whether a host has an address on `eth0`.
    pub(crate) fn has(&self, host: &str, address: &str) -> bool {
        let space = self.space(host);
        let shown = ip(&format!("-n {space} -oneline address show dev eth0"));
        shown.contains(&format!(" {address}/"))
    }

    /// Kills every process of a host, as when it loses its power.
    pub(crate) fn kill_all(&self, host: &str) {
        for pid in ip(&format!("netns pids {}", self.space(host))).lines() {
            // One may have ended just now.
            signal(pid.trim().parse().unwrap(), libc::SIGKILL);
        }
    }

    /// A command that runs on a host.
    pub(crate) fn command(&self, host: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let space = self.open(host);
        let mut command = Command::new(program);
        #[allow(unsafe_code)]
        // SAFETY: `setns` takes a descriptor that the closure keeps open, and no memory; it may be
        // called between fork and exec.
        unsafe {
            command.pre_exec(move || enter(&space));
        }
        command
    }

    /// Takes this thread to a host.
    pub(crate) fn visit(&self, host: &str) {
        enter(&self.open(host)).unwrap();
    }

    fn open(&self, host: &str) -> File {
        let path = format!("/run/netns/{}", self.space(host));
        File::open(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for host in &self.hosts {
            self.kill_all(host);
            ip(&format!("netns delete {}", self.space(host)));
        }
    }
}

fn enter(space: &File) -> io::Result<()> {
    #[allow(unsafe_code)]
    // SAFETY: a call with a descriptor that is open, and no memory.
    let result = unsafe { libc::setns(space.as_raw_fd(), libc::CLONE_NEWNET) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Sends a signal to a process that this test started.
pub(crate) fn signal(pid: i32, number: i32) {
    #[allow(unsafe_code)]
    // SAFETY: a call with two numbers.
    unsafe {
        libc::kill(pid, number);
    }
}

/// Runs `ip` with these words and gives what it printed.
fn ip(words: &str) -> String {
    let output = Command::new("ip").args(words.split(' ')).output();
    let output = output.unwrap_or_else(|e| panic!("ip (package iproute2): {e}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {words}: {said}");
    String::from_utf8(output.stdout).unwrap()
}
