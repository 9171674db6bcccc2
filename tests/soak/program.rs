//! The two programs: started with the same text, watched from outside by `/proc` and the runtime
//! socket, and ended by their own handle.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;

use crate::line::{limit_descriptors, signal};
use crate::place::{PATIENCE, free_endpoint, is_listening, until};

/// How often a start is tried again when somebody took the port.
const STARTS_MAX: usize = 5;

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    /// What is tested.
    Oneloop,
    /// What it is measured against.
    Haproxy,
}

impl Side {
    /// Its binary, if there is one.
    pub(crate) fn binary(self) -> Option<PathBuf> {
        if self == Self::Oneloop {
            let given = std::env::var_os("ONELOOP_TEST_BIN").map(PathBuf::from);
            return given.or_else(|| Some(PathBuf::from(env!("CARGO_BIN_EXE_oneloop"))));
        }
        let usual = ["/usr/sbin", "/usr/local/sbin", "/usr/bin"];
        let mut paths = usual.iter().map(|folder| Path::new(folder).join("haproxy"));
        paths.find(|path| path.exists())
    }
}

/// A running program.
pub(crate) struct Program {
    child: Child,
    folder: TempDir,
    /// Where its frontend `@fe@` listens.
    pub(crate) addr: SocketAddr,
}

impl Program {
    /// Starts it. In `sections`, `@fe@` is a free endpoint and `@dir@` a folder of its own; what
    /// `global` has beside the runtime socket comes first. `most` limits its descriptors.
    pub(crate) fn start(side: Side, global: &str, sections: &str, most: Option<u64>) -> Self {
        for _ in 0..STARTS_MAX {
            let folder = tempfile::Builder::new().prefix("soak").tempdir().unwrap();
            let addr = free_endpoint();
            // One thread, as the other has.
            let threads = match side {
                Side::Oneloop => "",
                Side::Haproxy => " nbthread 1\n",
            };
            let text = format!(
                "global\n{threads} stats socket @dir@/admin.sock mode 600 level admin\n\
                 {global}\n{sections}\n"
            );
            let path = folder.path();
            let text = text
                .replace("@dir@", path.to_str().unwrap())
                .replace("@fe@", &addr.to_string());
            fs::write(path.join("proxy.cfg"), text).unwrap();
            let said = File::create(path.join("stderr")).unwrap();
            let mut command = Command::new(side.binary().unwrap());
            command
                .args(["-db", "-f"])
                .arg(path.join("proxy.cfg"))
                .env_remove("RUST_LOG")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(said);
            if let Some(most) = most {
                limit_descriptors(&mut command, most);
            }
            let mut child = command.spawn().unwrap();
            let ended = until("the program listens", || {
                if let Some(status) = child.try_wait().unwrap() {
                    return Some(Some(status));
                }
                is_listening(addr).then_some(None)
            });
            let program = Self {
                child,
                folder,
                addr,
            };
            let Some(status) = ended else {
                return program;
            };
            let said = program.said();
            assert!(said.contains("already in use"), "{status}: {said}");
        }
        panic!("{STARTS_MAX} starts, and each time somebody had taken the port");
    }

    /// Its own folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it printed on standard error.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.folder().join("stderr")).unwrap()
    }

    /// Resident memory, kB.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.unwrap().trim().strip_suffix(" kB").unwrap();
        number.trim().parse().unwrap()
    }

    /// Time on the processor since its start, in hundredths of a second.
    pub(crate) fn ticks(&self) -> u64 {
        let fields = self.stat();
        // User and system time: fields 14 and 15 of the whole line.
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Descriptors that are open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// Runs `work` while the program stands still.
    pub(crate) fn frozen<R>(&self, work: impl FnOnce() -> R) -> R {
        signal(self.child.id(), libc::SIGSTOP);
        until("the program stands still", || {
            (self.stat()[0] == "T").then_some(())
        });
        let result = work();
        signal(self.child.id(), libc::SIGCONT);
        result
    }

    /// Asks it to stop when it is done.
    pub(crate) fn soft_stop(&self) {
        signal(self.child.id(), libc::SIGUSR1);
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        until("the program ends", || self.child.try_wait().unwrap())
    }

    /// Sends a line to the runtime socket and gives the whole answer.
    pub(crate) fn command(&self, line: &str) -> String {
        let path = self.folder().join("admin.sock");
        let mut stream = until("the runtime socket accepts", || {
            UnixStream::connect(&path).ok()
        });
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        writeln!(stream, "{line}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// A number of `show info`.
    pub(crate) fn info(&self, name: &str) -> u64 {
        let info = self.command("show info");
        let prefix = format!("{name}: ");
        let found = info.lines().find_map(|line| line.strip_prefix(&prefix));
        let value = found.unwrap_or_else(|| panic!("no {name} in {info}"));
        value.trim().parse().unwrap()
    }

    /// The sum of a column of `show stat`.
    pub(crate) fn stat_sum(&self, column: &str) -> u64 {
        let stat = self.command("show stat");
        let mut rows = stat.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let names = rows.next().unwrap();
        let at = names.iter().position(|name| *name == column).unwrap();
        rows.filter_map(|row| row.get(at)?.parse::<u64>().ok())
            .sum()
    }

    fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.child.id()))
    }

    /// The fields of its `stat` from the state on.
    fn stat(&self) -> Vec<String> {
        let stat = fs::read_to_string(self.proc("stat")).unwrap();
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        rest.split(' ').map(str::to_owned).collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only when the process has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
