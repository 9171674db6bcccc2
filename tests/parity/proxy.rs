//! Starts and ends the two proxies, and finds their binaries.
//!
//! A proxy runs in the foreground as a child, so that it can be ended by its handle whatever
//! happens to a test. Rejected: `-D` with a pid file (waiting for the parent would spare the
//! connection attempts below, but an aborted test run would leave daemons behind).

use crate::place::reserve;
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    /// The oracle.
    Haproxy,
    /// What is tested.
    Oneloop,
}

impl Side {
    /// The name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Haproxy => "haproxy",
            Self::Oneloop => "oneloop",
        }
    }
}

/// The two binaries, and whether both are the oracle.
pub(crate) struct Binaries {
    /// The oracle.
    pub(crate) haproxy: PathBuf,
    /// What is tested.
    pub(crate) oneloop: PathBuf,
    /// `PARITY_SELF=1`: nothing is translated, no difference is expected.
    pub(crate) same: bool,
}

impl Binaries {
    /// Finds them; `None` if there is no haproxy and this is not CI.
    pub(crate) fn find() -> Option<Self> {
        let given = std::env::var_os("HAPROXY_BIN").map(PathBuf::from);
        let usual = [
            "/usr/sbin/haproxy",
            "/usr/local/sbin/haproxy",
            "/usr/bin/haproxy",
        ];
        let haproxy = given
            .into_iter()
            .chain(usual.map(PathBuf::from))
            .find(|path| path.exists());
        let Some(haproxy) = haproxy else {
            let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(
                !in_ci,
                "haproxy is not installed, and in CI parity is not optional"
            );
            return None;
        };
        let oneloop = std::env::var_os("ONELOOP_TEST_BIN").map_or_else(
            || PathBuf::from(env!("CARGO_BIN_EXE_oneloop")),
            PathBuf::from,
        );
        let same = std::env::var("PARITY_SELF").is_ok_and(|value| value == "1");
        Some(Self {
            haproxy,
            oneloop,
            same,
        })
    }

    /// The binary of a side.
    pub(crate) fn path(&self, side: Side) -> &Path {
        match side {
            Side::Haproxy => &self.haproxy,
            Side::Oneloop => &self.oneloop,
        }
    }
}

/// A running proxy with its configuration filled in.
pub(crate) struct Proxy {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    /// Ports and paths by the names they have in the configuration.
    pub(crate) places: BTreeMap<String, String>,
    /// Keeps the ports from other runs on this machine, whose proxies would share the connections.
    _held: Vec<OwnedFd>,
}

/// How often a start is tried again because somebody else took a port in between.
const STARTS_MAX: usize = 4;

impl Proxy {
    /// Starts a proxy in `folder` and returns once it serves.
    pub(crate) fn start(
        binary: &Path,
        config: &str,
        folder: &Path,
        world: &mut World,
    ) -> Result<Self, String> {
        let mut why = String::new();
        for _ in 0..STARTS_MAX {
            match Self::start_once(binary, config, folder, world) {
                Ok(proxy) => return Ok(proxy),
                Err(error) => why = error,
            }
            if !why.contains("Address already in use") {
                break;
            }
        }
        Err(why)
    }

    fn start_once(
        binary: &Path,
        config: &str,
        folder: &Path,
        world: &mut World,
    ) -> Result<Self, String> {
        let filled = fill_in(config, folder, world);
        std::fs::write(folder.join("suite.cfg"), filled.text).unwrap();
        let mut child = Command::new(binary)
            .args(["-db", "-f", "suite.cfg"])
            .current_dir(folder)
            .env_remove("HAPROXY_LOCALPEER")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", binary.display()))?;
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        let mut proxy = Self {
            child,
            stdout: Some(stdout),
            stderr: Some(stderr),
            places: filled.places,
            _held: filled.held,
        };
        let marker = filled.listeners["marker"];
        world.set_listeners(filled.listeners);
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", marker)).is_err() {
            if let Ok(Some(status)) = proxy.child.try_wait() {
                let (_, stderr) = proxy.stop();
                return Err(format!("did not start ({status}):\n{}", stderr.trim_end()));
            }
            if Instant::now() > until {
                return Err("does not listen after 10 s".to_owned());
            }
            // There is no event for "it listens" that both proxies give: ask again in a moment.
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(proxy)
    }

    /// Whether the process is still there.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it; what it printed on stdout and stderr.
    pub(crate) fn stop(&mut self) -> (String, String) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let text = |reader: Option<JoinHandle<Vec<u8>>>| {
            reader.map_or_else(String::new, |reader| {
                crate::wire::latin(&reader.join().unwrap())
            })
        };
        (text(self.stdout.take()), text(self.stderr.take()))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// A configuration with real ports and paths.
struct Filled {
    text: String,
    places: BTreeMap<String, String>,
    listeners: BTreeMap<String, u16>,
    held: Vec<OwnedFd>,
}

/// Replaces `@name@`: one letter is an origin's port, `log`, `logudp` and `dir` are the log targets
/// and the folder, `dead*` a port that refuses, anything else a port for the proxy to listen on.
fn fill_in(config: &str, folder: &Path, world: &World) -> Filled {
    let log = if config.contains("@logudp@") {
        "@logudp@"
    } else {
        "@log@"
    };
    let text = format!("{config}{}", MARKER.replace("@log@", log));
    let mut places = BTreeMap::new();
    let mut listeners = BTreeMap::new();
    let mut held = Vec::new();
    let mut out = String::new();
    let mut parts = text.split('@');
    out.push_str(parts.next().unwrap_or_default());
    while let Some(name) = parts.next() {
        let value = match name {
            "log" => folder.join("log").display().to_string(),
            "logudp" => format!("127.0.0.1:{}", world.log_udp()),
            "dir" => folder.display().to_string(),
            _ if name.len() == 1 => {
                let letter = name.chars().next().unwrap();
                let port = world.origin_ports().get(&letter);
                port.unwrap_or_else(|| panic!("no origin {letter}"))
                    .to_string()
            }
            _ => match places.get(name) {
                Some(port) => String::clone(port),
                None => {
                    let port = free_port(&mut held);
                    listeners.insert(name.to_owned(), port);
                    port.to_string()
                }
            },
        };
        places.insert(name.to_owned(), value.clone());
        out.push_str(&value);
        out.push_str(parts.next().unwrap_or_default());
    }
    Filled {
        text: out,
        places,
        listeners,
        held,
    }
}

/// A port that nobody has, and that no other suite of this run was given: the proxies listen with
/// SO_REUSEPORT, so two of them on one port would share its connections without an error.
fn free_port(held: &mut Vec<OwnedFd>) -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let (socket, endpoint) = reserve(Ipv4Addr::LOCALHOST);
        held.push(socket);
        if GIVEN.lock().unwrap().insert(endpoint.port()) {
            return endpoint.port();
        }
    }
}

/// The section that the harness adds: its log line says that all earlier ones have come.
const MARKER: &str = "
defaults
    mode http
    timeout client 10m
    option httplog
    option dontlognull
frontend parity-marker
    bind 127.0.0.1:@marker@
    log @log@ local7
    http-request deny
";
