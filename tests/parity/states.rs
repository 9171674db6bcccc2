//! Server state files: what one proxy wrote is read by the other.
//!
//! Both are brought into the same states by the same commands and say what they are (`show servers
//! state`); then each begins with what each of them wrote, and must say the same again, with the
//! same remarks. Checks are an hour apart, so that only the first one of the first server ever runs,
//! and that one is waited for.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::proxy::{Binaries, Side};
use crate::report::{Outcome, Report, diff};

/// What brings the servers into as many states as there are.
const COMMANDS: [&str; 12] = [
    "set server app/weight weight 7",
    "set server app/zero weight 0",
    "set server app/maint state maint",
    "set server app/drain state drain",
    "set server app/down health down",
    "set server app/stops health stopping",
    "set server app/off state ready",
    "set server app/drained-off state ready",
    "set server app/drained-off state drain",
    "set server app/down-drain health down",
    "set server app/down-drain state drain",
    "set server second/a state maint",
];

/// The servers of the first backend, the first of which is checked at once.
const SERVERS: [&str; 12] = [
    "first 127.0.0.1:@origin@ check",
    "weight 127.0.0.1:@origin@ weight 3 check",
    "zero 127.0.0.1:@origin@ weight 3",
    "maint 127.0.0.1:@origin@ check",
    "drain 127.0.0.1:@origin@ check",
    "down 127.0.0.1:@origin@ check rise 4 fall 6",
    "stops 127.0.0.1:@origin@ check",
    "off 127.0.0.1:@origin@ check disabled",
    "drained-off 127.0.0.1:@origin@ disabled",
    "down-drain 127.0.0.1:@origin@ backup check",
    "by-name localhost:@origin@ id 77",
    "moved 127.0.0.1:@origin@ check port @origin@",
];

/// The column of the time since the last change.
const AGE: usize = 9;

/// The age, seconds, that a file is given before it is read.
const OLD: i64 = 5_000;

fn config(folder: &Path, origin: u16, source: &str) -> String {
    let folder = folder.display();
    let servers = SERVERS
        .map(|server| format!("    server {server}\n"))
        .concat();
    format!(
        "global\n    stats socket {folder}/stats level admin\n    server-state-base {folder}\n    \
         server-state-file state\ndefaults\n    timeout connect 1m\n    timeout client 1m\n    \
         timeout server 1m\n    default-server inter 1h\n    \
         load-server-state-from-file {source}\n\
         frontend fe\n    bind {folder}/fe\n    default_backend app\n\
         backend app\n    server-state-file-name app.state\n{servers}\
         backend second\n    id 40\n    server a 127.0.0.1:@origin@\n    server b 127.0.0.1:@origin@\n"
    )
    .replace("@origin@", &origin.to_string())
}

/// A proxy under way.
struct Running {
    child: Child,
    socket: PathBuf,
}

impl Running {
    fn start(binary: &Path, folder: &Path, config: &str) -> Self {
        std::fs::write(folder.join("cfg"), config).unwrap();
        let child = Command::new(binary)
            .args(["-db", "-f", "cfg"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            child,
            socket: folder.join("stats"),
        }
    }

    fn ask(&self, command: &str) -> Option<String> {
        let mut stream = UnixStream::connect(&self.socket).ok()?;
        stream.write_all(format!("{command}\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// The states, once the one check that runs has been answered.
    fn states(&mut self) -> String {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let states = self.ask("show servers state").unwrap_or_default();
            let first = states.lines().find(|line| line.contains(" first "));
            let word = |at| first.and_then(|line| line.split(' ').nth(at));
            if (word(10), word(11), word(13)) == (Some("6"), Some("3"), Some("6")) {
                return states;
            }
            let over = self.child.try_wait().unwrap().is_some() || Instant::now() > until;
            assert!(!over, "no state of a checked server: {states:?}");
            // Neither proxy tells when a check is over: ask again in a moment.
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it: its remarks, without what comes before them.
    fn remarks(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        let mut text = String::new();
        let stderr = self.child.stderr.take();
        stderr.unwrap().read_to_string(&mut text).unwrap();
        self.child.wait().unwrap();
        let lines = text.lines().filter(|line| !line.starts_with("[NOTICE]"));
        lines
            .map(|line| {
                let line = line.split_once(") : ").map_or(line, |(_, rest)| rest);
                line.strip_prefix("config : ").unwrap_or(line).to_owned()
            })
            .collect()
    }
}

/// States with ages as `young`, `old` (what was read from a file) or what they are.
fn masked(states: &str) -> Vec<String> {
    let lines = states.lines().map(|line| {
        let mut words: Vec<&str> = line.split(' ').collect();
        let age = words.get(AGE).and_then(|age| age.parse::<i64>().ok());
        // HAProxy counts whole seconds of its own: it may be one short.
        match age {
            Some(-1..=600) => words[AGE] = "young",
            Some(age) if (OLD - 1..OLD + 600).contains(&age) => words[AGE] = "old",
            _ => {}
        }
        words.join(" ")
    });
    lines.collect()
}

/// A file whose servers have been as they are for long.
fn aged(states: &str) -> String {
    let lines = states.lines().map(|line| {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        if words.len() > AGE && !line.starts_with('#') {
            words[AGE] = OLD.to_string();
        }
        words.join(" ") + "\n"
    });
    lines.filter(|line| line != "\n").collect()
}

/// Runs the whole with one kind of file.
fn compare(source: &str, binaries: &Binaries, report: &Report) {
    let origin = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = origin.local_addr().unwrap().port();
    let sides = [Side::Haproxy, Side::Oneloop];
    let mut written = Vec::new();
    for side in sides {
        let folder = tempfile::tempdir().unwrap();
        let text = config(folder.path(), port, "none");
        let mut proxy = Running::start(binaries.path(side), folder.path(), &text);
        proxy.states();
        for command in COMMANDS {
            proxy.ask(command).unwrap();
        }
        written.push(proxy.states());
        proxy.remarks();
    }
    let name = format!("states-{source}");
    let told: Vec<Vec<String>> = written.iter().map(|states| masked(states)).collect();
    let mut pairs = vec![(format!("{name}-written"), told)];
    for (from, states) in sides.iter().zip(&written) {
        let mut read = Vec::new();
        for side in sides {
            let folder = tempfile::tempdir().unwrap();
            let text = config(folder.path(), port, source);
            // Of the lines of a local file those of the other backend are passed over.
            for file in ["state", "app.state", "second"] {
                std::fs::write(folder.path().join(file), aged(states)).unwrap();
            }
            let mut proxy = Running::start(binaries.path(side), folder.path(), &text);
            let mut told = masked(&proxy.states());
            told.extend(proxy.remarks());
            read.push(told);
        }
        pairs.push((format!("{name}-of-{}", from.name()), read));
    }
    for (case, told) in pairs {
        let [haproxy, oneloop] = told.as_slice() else {
            continue;
        };
        let outcome = match haproxy == oneloop {
            true => Outcome::Equal,
            false => Outcome::Failed(diff(haproxy, oneloop)),
        };
        report.file(case, outcome);
    }
}

/// Runs it all.
pub(crate) fn run_all(binaries: &Binaries, report: &Report, only: &crate::Only) {
    for source in ["global", "local"] {
        if only.lets("states") || only.lets(&format!("states-{source}")) {
            compare(source, binaries, report);
        }
    }
}
