//! Two balancers behind one address: how long a switch takes, and what is lost.
//!
//! The files of `examples/keepalived` run as they are (but for their folders) on two nodes, each a
//! network namespace of this machine, while clients ask without a pause. A node is killed, or
//! oneloop on it, or it is taken out on purpose; the clients must be served by the other one, and the
//! table says how long nobody was served and how many requests failed. `docs/scaling.md` has it.
//!
//! It needs root, iproute2 and keepalived, takes two minutes, and is run by name:
//! `cargo test --release --test failover`. `.ci/long` runs it.

mod clients;
mod lan;

#[allow(dead_code, reason = "nothing here listens on loopback")]
#[path = "../support/place.rs"]
mod place;

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clients::{Clients, Seen};
use lan::{Lan, signal};
use place::{is_root, until};

/// How often each fault is tried.
const ROUNDS: usize = 9;

/// The address that the nodes share, as the examples have it.
const SHARED: &str = "198.51.100.10";

/// Longer than this nobody may be without an answer.
const GAP_MAX: Duration = Duration::from_secs(5);

/// What happens to the active node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    NodeDies,
    OneloopDies,
    Planned,
}

impl Fault {
    const ALL: [Self; 3] = [Self::NodeDies, Self::OneloopDies, Self::Planned];

    const fn name(self) -> &'static str {
        match self {
            Self::NodeDies => "the active node loses its power: all is killed, its link is down",
            Self::OneloopDies => "oneloop alone is killed on the active node",
            Self::Planned => "keepalived is stopped on the active node",
        }
    }
}

/// One of the two balancers.
struct Node {
    name: &'static str,
    folder: PathBuf,
    oneloop: Child,
    keepalived: Child,
    /// How often it has become ready to take the address over.
    ready: usize,
}

impl Node {
    fn start(lan: &Lan, name: &'static str, shared: &Path) -> Self {
        let folder = shared.join(name);
        fs::create_dir(&folder).unwrap();
        let configuration = example("oneloop.cfg");
        let configuration = configuration.replace("/run/oneloop", folder.to_str().unwrap());
        fs::write(folder.join("oneloop.cfg"), configuration).unwrap();
        let check = shared.join("check-oneloop");
        let configuration = example(&format!("{name}.conf"));
        let configuration =
            configuration.replace("/etc/keepalived/check-oneloop", check.to_str().unwrap());
        fs::write(folder.join("keepalived.conf"), configuration).unwrap();
        let mut node = Self {
            name,
            oneloop: balancer(lan, name, &folder),
            keepalived: keepalived(lan, name, &folder),
            folder,
            ready: 0,
        };
        node.wait_until_ready();
        node
    }

    /// Waits until it may take the address: its check has passed, and it listens to the other.
    fn wait_until_ready(&mut self) {
        self.ready += 1;
        until("keepalived is ready", || {
            let said = fs::read_to_string(self.folder.join("keepalived.log")).unwrap();
            (said.matches("Entering BACKUP STATE").count() >= self.ready).then_some(())
        });
    }

    /// Does what the fault is.
    fn suffer(&mut self, lan: &Lan, fault: Fault) {
        match fault {
            Fault::NodeDies => {
                lan.link(self.name, "down");
                lan.kill_all(self.name);
                self.keepalived.wait().unwrap();
                self.oneloop.wait().unwrap();
                // A machine that starts anew has nothing in /run.
                for file in ["keepalived.pid", "vrrp.pid"] {
                    fs::remove_file(self.folder.join(file)).unwrap();
                }
            }
            Fault::OneloopDies => {
                self.oneloop.kill().unwrap();
                self.oneloop.wait().unwrap();
            }
            Fault::Planned => {
                signal(self.keepalived.id() as i32, libc::SIGTERM);
                self.keepalived.wait().unwrap();
            }
        }
    }

    /// Is itself again, as the second of the two.
    fn recover(&mut self, lan: &Lan, fault: Fault) {
        if fault == Fault::NodeDies {
            lan.link(self.name, "up");
        }
        if fault != Fault::Planned {
            self.oneloop = balancer(lan, self.name, &self.folder);
        }
        if fault != Fault::OneloopDies {
            self.keepalived = keepalived(lan, self.name, &self.folder);
        }
        self.wait_until_ready();
    }
}

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/keepalived");
    fs::read_to_string(path.join(name)).unwrap()
}

/// Starts a balancer and waits until it has seen all its servers.
fn balancer(lan: &Lan, host: &str, folder: &Path) -> Child {
    let child = oneloop(lan, host, &folder.join("oneloop.cfg"));
    until("the balancer sees its servers", || {
        let mut socket = UnixStream::connect(folder.join("admin.sock")).ok()?;
        socket.write_all(b"show stat\n").unwrap();
        let mut rows = String::new();
        socket.read_to_string(&mut rows).unwrap();
        (rows.matches(",UP,").count() >= 3 && rows.matches(",L4OK,").count() == 2).then_some(())
    });
    child
}

fn oneloop(lan: &Lan, host: &str, configuration: &Path) -> Child {
    let mut command = lan.command(host, env!("CARGO_BIN_EXE_oneloop"));
    command.arg("-f").arg(configuration);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn keepalived(lan: &Lan, host: &str, folder: &Path) -> Child {
    let log = folder.join("keepalived.log");
    let log = File::options().create(true).append(true).open(log).unwrap();
    let mut command = lan.command(host, "keepalived");
    command.args(["--dont-fork", "--log-console", "--log-detail", "--vrrp"]);
    for (option, file) in [
        ("--use-file", "keepalived.conf"),
        ("--pid", "keepalived.pid"),
        ("--vrrp_pid", "vrrp.pid"),
    ] {
        command.arg(option).arg(folder.join(file));
    }
    command.stdout(log.try_clone().unwrap()).stderr(log);
    command.spawn().unwrap()
}

/// One round: the clients ask, the active node suffers, the other one serves.
fn round(lan: &Arc<Lan>, nodes: &mut [Node; 2], fault: Fault) -> Seen {
    const ANSWERS: u64 = 500;
    let service = SocketAddr::new(SHARED.parse().unwrap(), 80);
    let active = until("one node has the address", || {
        let has: Vec<bool> = nodes.iter().map(|n| lan.has(n.name, SHARED)).collect();
        match has[..] {
            [true, false] => Some(0),
            [false, true] => Some(1),
            _ => None,
        }
    });
    let clients = Clients::start(lan, "clients", service);
    until("the clients are served", || {
        (clients.answered() >= ANSWERS).then_some(())
    });
    nodes[active].suffer(lan, fault);
    until("the other node has the address", || {
        lan.has(nodes[1 - active].name, SHARED).then_some(())
    });
    let before = clients.answered();
    until("the clients are served by the other node", || {
        (clients.answered() >= before + ANSWERS).then_some(())
    });
    let seen = clients.end();
    nodes[active].recover(lan, fault);
    seen
}

/// Least, median and most.
fn spread<T: Ord + Display + Copy>(mut of: [T; ROUNDS]) -> String {
    of.sort();
    format!("{}, {}, {}", of[0], of[ROUNDS / 2], of[ROUNDS - 1])
}

fn main() -> ExitCode {
    if !is_root() {
        eprintln!("failover: network namespaces take root");
        return ExitCode::FAILURE;
    }
    // Not below /tmp: keepalived runs no script where others could put one of theirs.
    let shared = tempfile::Builder::new()
        .prefix("failover")
        .tempdir_in("/run");
    let shared = shared.unwrap();
    fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let check = shared.path().join("check-oneloop");
    fs::write(&check, example("check-oneloop")).unwrap();
    fs::set_permissions(&check, fs::Permissions::from_mode(0o755)).unwrap();
    let lan = Arc::new(Lan::new(&[
        ("first", &["198.51.100.11/24"]),
        ("second", &["198.51.100.12/24"]),
        ("servers", &["198.51.100.21/24", "198.51.100.22/24"]),
        ("clients", &["198.51.100.200/24"]),
    ]));
    let servers = shared.path().join("servers.cfg");
    fs::write(&servers, SERVERS).unwrap();
    let mut servers = oneloop(&lan, "servers", &servers);
    let mut nodes = ["first", "second"].map(|name| Node::start(&lan, name, shared.path()));

    println!("Least, median and most of {ROUNDS} rounds:\n");
    println!("| what happens | ms in which nobody was served | requests that failed | of |");
    println!("|---|---|---|---|");
    let mut missed = false;
    for fault in Fault::ALL {
        let rounds = [(); ROUNDS].map(|()| round(&lan, &mut nodes, fault));
        let gaps = spread(rounds.map(|seen| seen.gap.as_millis()));
        let failed = spread(rounds.map(|seen| seen.failed));
        let asked = spread(rounds.map(|seen| seen.asked));
        println!("| {} | {gaps} | {failed} | {asked} |", fault.name());
        missed |= rounds.iter().any(|seen| seen.gap > GAP_MAX);
    }
    drop(lan);
    for child in [&mut servers].into_iter().chain(
        nodes
            .iter_mut()
            .flat_map(|node| [&mut node.oneloop, &mut node.keepalived]),
    ) {
        child.wait().unwrap();
    }
    if missed {
        eprintln!("failover: nobody was served for more than {GAP_MAX:?}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The servers behind the nodes.
const SERVERS: &str = "\
defaults
    mode http
    timeout client 50s
frontend servers
    bind 198.51.100.21:8080
    bind 198.51.100.22:8080
    http-request return status 200 content-type text/plain string \"served\\n\"
";
