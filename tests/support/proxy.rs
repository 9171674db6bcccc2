//! The program under test: its configuration, its process, what it prints, its runtime socket.
//!
//! A configuration is a template: `@name@` becomes a value the test gave, `@dir@` the test's own
//! directory, `@log@` its syslog socket, and any other name a free endpoint (`127.x.y.z:port`),
//! on which the start is waited for. If another process took such a port first, the start is
//! tried again with new ones. A process that a test started is ended by its own id, never by name.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use tempfile::TempDir;

use super::log::LogSocket;
use super::{
    Flavour, Journal, LocalTime, PATIENCE, ZONE, assert_recent, binary, flavour, free_endpoint,
    is_listening, until,
};

/// How often a start is tried again when somebody took the port.
const STARTS_MAX: usize = 5;

/// A configuration and all that belongs to it, before the start.
pub(crate) struct Setup {
    dir: TempDir,
    template: String,
    values: BTreeMap<String, String>,
    /// Further command line arguments for [`Setup::start`].
    pub(crate) args: Vec<String>,
    /// Further environment variables.
    pub(crate) env: Vec<(String, String)>,
    /// A limit of its own that it starts with, as `ulimit` takes it.
    pub(crate) limit: Option<&'static str>,
    /// Whom the program runs as, where the test may choose that; its program is then a copy.
    pub(crate) user: Option<u32>,
    /// Another program than [`binary`].
    pub(crate) program: Option<PathBuf>,
}

/// A program that ran to its end.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// All of its standard output.
    pub(crate) stdout: String,
    /// All of its standard error.
    pub(crate) stderr: String,
}

impl Setup {
    /// A configuration template in a directory of its own.
    pub(crate) fn new(template: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("ol").tempdir().unwrap();
        let mut values = BTreeMap::new();
        values.insert("dir".to_string(), dir.path().to_str().unwrap().to_string());
        Self {
            dir,
            template: template.to_string(),
            values,
            args: Vec::new(),
            env: Vec::new(),
            limit: None,
            user: None,
            program: None,
        }
    }

    /// The program that is started.
    fn program(&self) -> PathBuf {
        self.program.clone().unwrap_or_else(binary)
    }

    /// The test's directory.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Gives `@name@` its value.
    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.values.insert(name.to_string(), value.to_string());
        self
    }

    /// Puts a file into the test's directory.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.dir().join(name), content).unwrap();
        self
    }

    /// Binds the syslog socket behind `@log@`.
    pub(crate) fn log(&mut self) -> LogSocket {
        let path = self.dir().join("log");
        self.values
            .insert("log".to_string(), path.to_str().unwrap().to_string());
        LogSocket::bind(&path)
    }

    /// Writes the configuration with all names filled in, and tells which endpoints it took.
    pub(crate) fn write(&self) -> (PathBuf, BTreeMap<String, SocketAddr>) {
        let mut endpoints = BTreeMap::new();
        let mut text = String::new();
        let mut rest = self.template.as_str();
        while let Some(at) = rest.find('@') {
            text.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            let len = rest.bytes().take_while(|b| is_name(*b)).count();
            if len == 0 || !rest[len..].starts_with('@') {
                text.push('@');
                continue;
            }
            let name = &rest[..len];
            rest = &rest[len + 1..];
            match self.values.get(name) {
                Some(value) => text.push_str(value),
                None => {
                    let addr = endpoints
                        .entry(name.to_string())
                        .or_insert_with(free_endpoint);
                    text.push_str(&addr.to_string());
                }
            }
        }
        text.push_str(rest);
        let path = self.dir().join("proxy.cfg");
        std::fs::write(&path, text).unwrap();
        (path, endpoints)
    }

    /// Runs the program with these arguments alone, to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        let mut child = self.spawn(args.iter().copied());
        let stdout = drain(child.stdout.take().unwrap());
        let stderr = drain(child.stderr.take().unwrap());
        let deadline = Instant::now() + PATIENCE;
        let status = until("the program ends", || {
            if Instant::now() + PATIENCE / 10 > deadline {
                // It serves instead of ending: what it printed says why.
                child.kill().unwrap();
            }
            child.try_wait().unwrap()
        });
        Outcome {
            code: status.code(),
            stdout: stdout.take("the end of stdout", |_| true),
            stderr: stderr.take("the end of stderr", |_| true),
        }
    }

    /// Runs `-c -f` on the configuration.
    pub(crate) fn check(&self) -> Outcome {
        let (path, _) = self.write();
        self.run(&["-c", "-f", path.to_str().unwrap()])
    }

    /// Starts the program in the foreground and waits until it listens on every endpoint.
    pub(crate) fn start(self) -> Proxy {
        for _ in 0..STARTS_MAX {
            let (path, endpoints) = self.write();
            let mut args: Vec<&str> = vec!["-db"];
            let one_thread = self.dir().join("one-thread.cfg");
            if self.program().ends_with("haproxy") {
                // As many threads as cores would make the oracle's answers depend on the machine.
                std::fs::write(&one_thread, "global\n    nbthread 1\n").unwrap();
                args.extend(["-f", one_thread.to_str().unwrap()]);
            }
            args.extend(["-f", path.to_str().unwrap()]);
            args.extend(self.args.iter().map(String::as_str));
            let mut child = self.spawn(args.iter().copied());
            let (stdout, _) = follow(child.stdout.take().unwrap());
            let (stderr, stderr_end) = follow(child.stderr.take().unwrap());
            let gone = until("the proxy listens", || {
                if let Some(status) = child.try_wait().unwrap() {
                    return Some(Some(status));
                }
                endpoints
                    .values()
                    .all(|addr| is_listening(*addr))
                    .then_some(None)
            });
            let Some(status) = gone else {
                return Proxy {
                    setup: self,
                    child,
                    endpoints,
                    stdout,
                    stderr,
                };
            };
            stderr_end.join().unwrap();
            let taken = |line: &String| line.contains("Address already in use");
            let printed = stderr.rest();
            let again = printed.iter().any(taken);
            assert!(again, "ended at once with {status}: {printed:#?}");
        }
        panic!("{STARTS_MAX} starts, and each time somebody had taken the port");
    }

    fn spawn<'a>(&self, args: impl Iterator<Item = &'a str>) -> Child {
        let program = match self.user {
            None => self.program(),
            Some(_) => {
                // Where the program was built, that user may have no business. Another process
                // copies: a child that another test forks meanwhile would keep the file open for
                // writing, and a program that is being written does not start.
                let copy = self.dir().join("program");
                let copied = Command::new("cp").arg(self.program()).arg(&copy).status();
                assert!(copied.is_ok_and(|status| status.success()), "cp");
                copy
            }
        };
        let mut command = match self.limit {
            None => Command::new(program),
            Some(limit) => {
                // The shell becomes the program, so that the process keeps its id.
                let mut command = Command::new("sh");
                let limited = format!("ulimit {limit}; exec \"$0\" \"$@\"");
                command.arg("-c").arg(limited).arg(program);
                command
            }
        };
        if let Some(user) = self.user {
            command.uid(user);
        }
        command
            .args(args)
            .env_remove("RUST_LOG")
            .env("TZ", ZONE)
            .envs(self.env.iter().cloned())
            .current_dir(self.dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", self.program().display()))
    }
}

/// Reads lines into a journal until the stream and with it the thread ends.
fn follow(stream: impl Read + Send + 'static) -> (Arc<Journal<String>>, JoinHandle<()>) {
    let lines = Arc::new(Journal::new());
    let filed = Arc::clone(&lines);
    let thread = std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            filed.push(line);
        }
    });
    (lines, thread)
}

/// Reads a stream to its end, which then stands in the journal as one text.
fn drain(mut stream: impl Read + Send + 'static) -> Arc<Journal<String>> {
    let texts = Arc::new(Journal::new());
    let filed = Arc::clone(&texts);
    std::thread::spawn(move || {
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        filed.push(String::from_utf8_lossy(&text).into_owned());
    });
    texts
}

/// A line of stderr in HAProxy's form, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Message {
    /// `NOTICE`, `WARNING` or `ALERT`.
    pub(crate) level: String,
    /// The process that the line names.
    pub(crate) pid: u32,
    /// What follows the prefix.
    pub(crate) text: String,
}

impl Message {
    /// Takes a line apart: `[WARNING] 049/040303 (4418) : TEXT`, or the oracle's newer form
    /// without the time, padded, and with `config : ` before what concerns the configuration.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (level, rest) = line.strip_prefix('[')?.split_once(']')?;
        let (pid, text) = rest.split_once(" (")?.1.split_once(") : ")?;
        let prefix = rest.split_once('(')?.0;
        let text = match flavour() {
            Flavour::Oneloop => {
                assert_recent(prefix.trim_matches(' '), LocalTime::stderr_stamp);
                assert_eq!(prefix.len(), " 049/040303 ".len(), "{line:?}");
                text
            }
            Flavour::Oracle => text.strip_prefix("config : ").unwrap_or(text),
        };
        let pid = pid.parse().ok()?;
        Some(Self {
            level: level.to_string(),
            pid,
            text: text.to_string(),
        })
    }
}

/// A running proxy.
pub(crate) struct Proxy {
    setup: Setup,
    child: Child,
    endpoints: BTreeMap<String, SocketAddr>,
    /// Lines of standard output that nobody has taken.
    pub(crate) stdout: Arc<Journal<String>>,
    /// Lines of standard error that nobody has taken.
    pub(crate) stderr: Arc<Journal<String>>,
}

impl Proxy {
    /// The endpoint that `@name@` became.
    pub(crate) fn addr(&self, name: &str) -> SocketAddr {
        self.endpoints[name]
    }

    /// The test's directory.
    pub(crate) fn dir(&self) -> &Path {
        self.setup.dir()
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal (`"USR1"`, ...) to this process alone.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Waits for the end of the process and gives what a shell would: the exit code, or 128 and
    /// the number of the signal that ended it.
    pub(crate) fn wait(&mut self) -> i32 {
        let status = until("the proxy ends", || self.child.try_wait().unwrap());
        status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap())
    }

    /// Waits for a line of stderr whose text begins with `start`, and checks whose it is.
    pub(crate) fn message(&self, start: &str) -> Message {
        let wanted =
            |line: &String| Message::parse(line).is_some_and(|m| m.text.starts_with(start));
        let message = Message::parse(&self.stderr.take(start, wanted)).unwrap();
        assert_eq!(message.pid, self.pid());
        message
    }

    /// Connects to a runtime socket of the test's directory.
    pub(crate) fn runtime(&self, name: &str) -> UnixStream {
        let path = self.dir().join(name);
        let stream = until("the runtime socket accepts", || {
            UnixStream::connect(&path).ok()
        });
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a line to the runtime socket `@dir@/admin.sock` and gives the whole answer.
    pub(crate) fn command(&self, line: &str) -> String {
        let mut stream = self.runtime("admin.sock");
        writeln!(stream, "{line}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Both fail only when the process has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to one process; the shell's own `kill` is there even where procps is not.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -s {name} {pid}"))
        .status();
    assert!(status.unwrap().success(), "kill -s {name} {pid}");
}
