//! The proxies of a sitting: found, started on their processor, and ended.
//!
//! Everything that is started ends with its [`Program`], and at the latest with the harness
//! itself. A proxy is ready when its port is open and its health checks had a moment.

use std::fs::{self, File};
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::configs::{Places, Shape};
use crate::system;

/// How long a program may take to open its port; under valgrind it takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// First health checks and the like.
const SETTLE: Duration = Duration::from_millis(300);
/// What a stopped program has before it is killed.
const GRACE: Duration = Duration::from_secs(3);
/// Of the log socket, which nobody reads: what does not fit is dropped at the receiver.
const LOG_BUFFER: i32 = 1 << 20;

/// Who takes part.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    Oneloop,
    Haproxy,
    Nginx,
    /// The relay that parses nothing.
    Floor,
    /// The same with `splice(2)`, where bodies are long.
    Splice,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Oneloop,
        Self::Haproxy,
        Self::Nginx,
        Self::Floor,
        Self::Splice,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Oneloop => "oneloop",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
            Self::Floor => "floor",
            Self::Splice => "splice",
        }
    }

    /// True for what the harness itself brings along.
    pub(crate) fn is_yardstick(self) -> bool {
        matches!(self, Self::Floor | Self::Splice)
    }
}

/// Where a program of that name is, also where only root has it in its path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// What all rounds of a sitting share.
pub(crate) struct Stage {
    folder: TempDir,
    /// The binary under test.
    pub(crate) binary: PathBuf,
    /// Proxies run here, and nothing else.
    pub(crate) proxy_processor: usize,
    /// The load, the origin and the harness itself.
    pub(crate) load_processor: usize,
    origins: [u16; 2],
    log: UdpSocket,
    origin: Option<Program>,
    started: AtomicU32,
}

impl Stage {
    /// Takes its place on the machine and starts the origin.
    pub(crate) fn set(binary: PathBuf) -> Result<Self, String> {
        let text = |error: io::Error| error.to_string();
        let processors = system::processors();
        let [proxy_processor, load_processor, ..] = processors[..] else {
            return Err("two processors are needed: one for the proxy, one for the load".into());
        };
        system::keep_to(load_processor).map_err(text)?;
        let folder = tempfile::tempdir().map_err(text)?;
        // The worker of an nginx that root starts may be somebody else.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).map_err(text)?;
        let log = UdpSocket::bind("127.0.0.1:0").map_err(text)?;
        system::receive_buffer(&log, LOG_BUFFER);
        let mut stage = Self {
            folder,
            binary,
            proxy_processor,
            load_processor,
            origins: [free_port().map_err(text)?, free_port().map_err(text)?],
            log,
            origin: None,
            started: AtomicU32::new(0),
        };
        let [first, second] = stage.origins;
        let mut origin = Command::new(std::env::current_exe().map_err(text)?);
        origin.args(["role:origin", &first.to_string(), &second.to_string()]);
        stage.origin = Some(stage.run("origin", origin, first, load_processor)?);
        Ok(stage)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn places(&self, front: u16) -> io::Result<Places<'_>> {
        Ok(Places {
            folder: self.folder.path(),
            front,
            origins: self.origins,
            log: self.log.local_addr()?.port(),
        })
    }

    /// Writes the file of one proxy; the command that runs it.
    pub(crate) fn command(&self, kind: Kind, shape: &Shape, port: u16) -> Result<Command, String> {
        let text = |error: io::Error| format!("{}: {error}", kind.name());
        if kind.is_yardstick() {
            let role = if kind == Kind::Floor {
                "role:relay"
            } else {
                "role:splice"
            };
            let mut command = Command::new(std::env::current_exe().map_err(text)?);
            command.args([role, &port.to_string(), &self.origins[0].to_string()]);
            return Ok(command);
        }
        let places = self.places(port).map_err(text)?;
        let file = self.folder().join(format!("{}-{port}.cfg", kind.name()));
        fs::write(&file, shape.text(kind, &places).map_err(text)?).map_err(text)?;
        let program = match kind {
            Kind::Oneloop => self.binary.clone(),
            _ => find(kind.name()).ok_or_else(|| format!("{} is missing", kind.name()))?,
        };
        let mut command = Command::new(program);
        if kind == Kind::Nginx {
            let log = self.folder().join("nginx.log");
            command.arg("-e").arg(log).arg("-c").arg(file);
        } else {
            command.arg("-db").arg("-f").arg(file);
        }
        Ok(command)
    }

    /// Starts a proxy and waits until it serves.
    pub(crate) fn start(&self, kind: Kind, shape: &Shape) -> Result<Program, String> {
        let port = free_port().map_err(|error| error.to_string())?;
        let command = self.command(kind, shape, port)?;
        let program = self.run(kind.name(), command, port, self.proxy_processor)?;
        Ok(program.settled())
    }

    /// Starts a command on a processor and waits until its port is open.
    pub(crate) fn run(
        &self,
        name: &str,
        mut command: Command,
        port: u16,
        processor: usize,
    ) -> Result<Program, String> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let output = self.folder().join(format!("{name}-{number}.out"));
        let text = |error: io::Error| format!("{name}: {error}");
        let file = File::create(&output).map_err(text)?;
        command.stdin(Stdio::null());
        command.stdout(file.try_clone().map_err(text)?).stderr(file);
        system::prepare(&mut command, processor);
        let child = command.spawn().map_err(text)?;
        let mut program = Program {
            family: vec![child.id()],
            child,
            port,
        };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = program.child.try_wait().map_err(text)?;
            if ended.is_some() || Instant::now() > deadline {
                let said = fs::read_to_string(&output).unwrap_or_default();
                return Err(format!("{name} does not serve:\n{}", said.trim_end()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(program)
    }
}

/// A port that nobody has just now.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A process, and all that come from it.
fn family(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
            Some((pid, parent.parse().ok()?))
        })
        .collect();
    let mut found = vec![pid];
    let mut at = 0;
    while at < found.len() {
        let children = parents.iter().filter(|(_, parent)| *parent == found[at]);
        let children: Vec<u32> = children.map(|(pid, _)| *pid).collect();
        found.extend(children);
        at += 1;
    }
    found
}

/// A running program, ended when it is dropped.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) port: u16,
    /// It and its children.
    pub(crate) family: Vec<u32>,
}

impl Program {
    /// Gives it a moment, after which its children are known.
    pub(crate) fn settled(mut self) -> Self {
        std::thread::sleep(SETTLE);
        self.family = family(self.child.id());
        self
    }

    /// Ends it in good order, or else, after so long, by force.
    pub(crate) fn end(&mut self, grace: Duration) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // A build that counts writes its profile when it comes to an end by itself (benches/pgo).
        let counts = std::env::var_os("LLVM_PROFILE_FILE").is_some();
        let signal = if counts { libc::SIGUSR1 } else { libc::SIGTERM };
        system::signal(&self.child, signal);
        let deadline = Instant::now() + grace;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // It may have ended by itself in between.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end(GRACE);
    }
}
