//! Checks that speak a protocol: what scripted servers are told, and what the check makes of them.
//!
//! A case is a backend with one server of its own, so all cases of a side run at once, in one
//! proxy. Compared are what the server heard on its first connection, the line of `option
//! log-health-checks`, and status, code and text in `show stat`. README.md beside this has the
//! language.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::proxy::{Binaries, Side};
use crate::report::{Outcome, Report, diff, say};
use crate::script::unescape;

/// How long a run may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a scripted server does.
enum Act {
    /// Waits until it was sent this, wherever it stands.
    Await(Vec<u8>),
    /// Sends.
    Say(Vec<u8>),
    /// Sends no more.
    Shut,
}

/// One case.
pub(crate) struct Case {
    pub(crate) name: String,
    /// Lines of the backend.
    lines: Vec<String>,
    /// More words of the server.
    words: String,
    acts: Vec<Act>,
    /// The check ends by the time limit, which is short for it.
    silent: bool,
    /// Why its statistics differ, if they do.
    pub(crate) differs: Option<String>,
}

/// Reads all cases.
pub(crate) fn load_all(folder: &Path) -> Vec<Case> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().flat_map(|path| load(path)).collect()
}

fn load(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let at = format!("{}:{}", path.display(), number + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("== case ") {
            cases.push(Case {
                name: name.to_owned(),
                lines: Vec::new(),
                words: String::new(),
                acts: Vec::new(),
                silent: false,
                differs: None,
            });
            continue;
        }
        let case = cases.last_mut().unwrap_or_else(|| panic!("{at}: no case"));
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "option" | "tcp-check" | "http-check" | "source" => case.lines.push(line.to_owned()),
            "server" => case.words = format!(" {rest}"),
            ">" => case.acts.push(Act::Await(unescape(rest, &at))),
            "<" => case.acts.push(Act::Say(unescape(rest, &at))),
            "shut" => case.acts.push(Act::Shut),
            "silent" => case.silent = true,
            "differs" => case.differs = Some(rest.to_owned()),
            _ => panic!("{at}: unknown step `{word}`"),
        }
    }
    cases
}

/// A scripted server.
struct Server {
    port: u16,
    over: Arc<AtomicBool>,
    /// What came on the first connection, once that has ended.
    heard: Arc<Mutex<Option<Vec<u8>>>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(case: Arc<Case>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let over = Arc::new(AtomicBool::new(false));
        let heard = Arc::new(Mutex::new(None));
        let (ended, first) = (Arc::clone(&over), Arc::clone(&heard));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let bytes = serve(&case, &mut stream.unwrap());
                first.lock().unwrap().get_or_insert(bytes);
            }
        });
        Self {
            port,
            over,
            heard,
            thread: Some(thread),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the thread out of accept.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(thread) = self.thread.take() {
            // A panic of it was told by the runner.
            let _ = thread.join();
        }
    }
}

/// Plays a case on a connection, to the end of what the proxy has to say.
fn serve(case: &Case, stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut seen = 0;
    let hear = |stream: &mut TcpStream, heard: &mut Vec<u8>| {
        let mut buffer = [0; 4096];
        // A reset is an end as well.
        let count = stream.read(&mut buffer).unwrap_or(0);
        heard.extend_from_slice(&buffer[..count]);
        count > 0
    };
    for act in &case.acts {
        match act {
            Act::Await(text) => loop {
                let at = heard[seen..]
                    .windows(text.len().max(1))
                    .position(|part| part.starts_with(text));
                if let Some(at) = at {
                    seen += at + text.len();
                    break;
                }
                if !hear(stream, &mut heard) {
                    return heard;
                }
            },
            // The proxy may have had enough.
            Act::Say(bytes) => drop(stream.write_all(bytes)),
            Act::Shut => drop(stream.shutdown(Shutdown::Write)),
        }
    }
    while hear(stream, &mut heard) {}
    heard
}

/// One side with all its cases.
struct Running {
    child: Child,
    folder: tempfile::TempDir,
    logs: UdpSocket,
}

impl Running {
    fn start(binary: &Path, cases: &[Arc<Case>], servers: &[Server]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().display();
        // The queue of a unix socket is too short for so many lines at once.
        let logs = UdpSocket::bind("127.0.0.1:0").unwrap();
        let log = logs.local_addr().unwrap();
        logs.set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        // An interval below a second starts all checks at once.
        let mut config = format!(
            "global\n    nbthread 1\n    stats socket {place}/stats level admin\n    \
             log {log} local0\n\
             defaults\n    mode tcp\n    log global\n    option log-health-checks\n    \
             timeout connect 20s\n    timeout client 1m\n    timeout server 1m\n    \
             default-server inter 900ms downinter 1h\n\
             frontend fe\n    bind {place}/fe\n"
        );
        for (case, server) in cases.iter().zip(servers) {
            let limit = if case.silent { "1s" } else { "20s" };
            let lines = case.lines.join("\n    ");
            let _ = write!(
                config,
                "backend {}\n    timeout check {limit}\n    {lines}\n    \
                 server s 127.0.0.1:{} check{}\n",
                case.name, server.port, case.words
            );
        }
        std::fs::write(folder.path().join("cfg"), config).unwrap();
        let child = Command::new(binary)
            .args(["-db", "-f", "cfg"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            folder,
            logs,
        }
    }

    /// The first line about each server's health.
    fn health(&mut self, cases: &[Arc<Case>]) -> BTreeMap<String, String> {
        let until = Instant::now() + PATIENCE;
        let mut lines = BTreeMap::new();
        let mut buffer = vec![0; 65_536];
        while lines.len() < cases.len() && Instant::now() < until {
            let Ok(count) = self.logs.recv(&mut buffer) else {
                let ended = self.child.try_wait().unwrap();
                assert!(ended.is_none(), "the proxy ended: {ended:?}");
                continue;
            };
            let line = String::from_utf8_lossy(&buffer[..count]).into_owned();
            let Some((_, told)) = line.split_once("Health check for server ") else {
                continue;
            };
            let (name, told) = told.split_once('/').unwrap();
            let (before, after) = told.split_once("check duration: ").unwrap();
            let (_, after) = after.split_once("ms").unwrap();
            let told = format!("{before}check duration: Nms{after}");
            lines.entry(name.to_owned()).or_insert(told);
        }
        lines
    }

    /// Status, code and text of each server, read between two checks.
    fn statistics(&self, cases: &[Arc<Case>]) -> BTreeMap<String, String> {
        let until = Instant::now() + PATIENCE;
        let mut found = BTreeMap::new();
        while found.len() < cases.len() && Instant::now() < until {
            let mut stream = UnixStream::connect(self.folder.path().join("stats")).unwrap();
            stream.write_all(b"show stat -1 4 -1\n").unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let rows = rows(&text);
            let column = |name| rows[0].iter().position(|one| one == name).unwrap();
            let wanted = ["check_status", "check_code", "last_chk", "check_desc"].map(column);
            for cells in rows[1..].iter().filter(|row| row.len() == rows[0].len()) {
                let values = wanted.map(|at| cells[at].as_str());
                if values[0] != "INI" && !values[0].starts_with('*') {
                    let values = values.join(", ").escape_default().to_string();
                    found.insert(cells[0].clone(), format!("stat: {values}"));
                }
            }
            // Neither proxy tells when a check is over: ask again in a moment.
            std::thread::sleep(Duration::from_millis(10));
        }
        found
    }
}

/// The rows of a CSV text; what is in quotes may have commas and ends of lines.
fn rows(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let mut quoted = false;
    for char in text.chars() {
        let row = rows.last_mut().unwrap();
        match char {
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\n' if !quoted => rows.push(vec![String::new()]),
            _ => row.last_mut().unwrap().push(char),
        }
    }
    rows
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A text with ports hidden.
fn without_ports(text: &str) -> String {
    let mut masked = String::new();
    for part in text.split_inclusive(|char: char| !char.is_ascii_digit()) {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        masked.push_str(if digits >= 4 { "PORT" } else { &part[..digits] });
        masked.push_str(&part[digits..]);
    }
    masked
}

/// What one side showed in each case: what the server heard, the log and the statistics.
fn run_side(binary: &Path, cases: &[Arc<Case>]) -> Vec<[String; 3]> {
    let servers: Vec<Server> = cases.iter().cloned().map(Server::start).collect();
    let mut proxy = Running::start(binary, cases, &servers);
    let health = proxy.health(cases);
    let statistics = proxy.statistics(cases);
    drop(proxy);
    let absent = || "nothing".to_owned();
    cases
        .iter()
        .zip(servers)
        .map(|(case, mut server)| {
            // Without a proxy every connection ends, and so does the server.
            server.over.store(true, Ordering::SeqCst);
            drop(TcpStream::connect(("127.0.0.1", server.port)));
            let _ = server.thread.take().unwrap().join();
            let heard = server.heard.lock().unwrap().take();
            let heard = heard.map_or_else(absent, |bytes| bytes.escape_ascii().to_string());
            let heard = without_ports(&heard);
            let log = health.get(&case.name).cloned();
            let stat = statistics.get(&case.name).cloned();
            [
                format!("heard: {heard}"),
                format!("log: {}", log.unwrap_or_else(absent)),
                stat.unwrap_or_else(absent),
            ]
        })
        .collect()
}

/// Runs all cases that `only` lets through.
pub(crate) fn run_all(cases: Vec<Case>, binaries: &Binaries, report: &Report, only: &crate::Only) {
    let cases: Vec<Arc<Case>> = cases
        .into_iter()
        .filter(|case| only.lets("protocols") || only.lets(&case.name))
        .map(Arc::new)
        .collect();
    if cases.is_empty() {
        return;
    }
    let [haproxy, oneloop] =
        [Side::Haproxy, Side::Oneloop].map(|side| run_side(binaries.path(side), &cases));
    for ((case, model), tested) in cases.iter().zip(haproxy).zip(oneloop) {
        if only.is_set() {
            say(&format!("==== {}\n{}\n", case.name, model.join("\n")));
        }
        let differs = case.differs.is_some() && !binaries.same;
        let outcome = match (model == tested, differs) {
            (true, false) => Outcome::Equal,
            (false, true) if model[..2] == tested[..2] => Outcome::Declared,
            (true, true) => Outcome::Failed("declared to differ, but does not".to_owned()),
            (false, _) => Outcome::Failed(diff(&model, &tested)),
        };
        report.file(case.name.clone(), outcome);
    }
}
