//! Master and worker: start, reload, end, what each says, and what the service manager is told.

mod knowledge;
mod listeners;
mod manager;
mod socket;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::client::Client;
use crate::support::origin::Origin;
use crate::support::proxy::{Message, Proxy, Setup, signal};
use crate::support::{Flavour, PATIENCE, binary, flavour, is_listening, until};
use crate::{OK, answering, common, silent};

/// A service with a master, its runtime socket and its origin.
struct Rig {
    proxy: Proxy,
    origin: Origin,
    /// What the service manager hears.
    manager: UnixDatagram,
}

/// Where logs go that nobody reads.
const NOWHERE: &str = "127.0.0.1:9";

/// The configuration of most tests.
fn config() -> String {
    common(
        "frontend f\n bind @fe@\n default_backend b\n\
         backend b\n server s @s@ weight 10\n",
    )
}

/// A configuration with one more line in `global`.
fn in_global(config: &str, line: &str) -> String {
    config.replacen("global\n", &format!("global\n    {line}\n"), 1)
}

impl Rig {
    fn new() -> Self {
        Self::of(answering(OK), &config(), &["-W"], &[])
    }

    fn of(origin: Origin, config: &str, args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::start(origin, Setup::new(config), args, env)
    }

    fn start(origin: Origin, setup: Setup, args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut setup = setup.with("s", origin.addr).with("log", NOWHERE);
        let dir = setup.dir().to_owned();
        let path = |name: &str| dir.join(name).display().to_string();
        let manager = UnixDatagram::bind(path("notify")).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        setup.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        setup.args.extend(["-S".to_owned(), path("master.sock")]);
        setup.args.extend(["-p".to_owned(), path("pid")]);
        setup.env.push(("NOTIFY_SOCKET".into(), path("notify")));
        for (name, value) in env {
            setup.env.push(((*name).into(), (*value).into()));
        }
        let rig = Self {
            proxy: setup.start(),
            origin,
            manager,
        };
        rig.said("Loading success.");
        rig
    }

    /// A line of the master's.
    fn said(&self, start: &str) -> Message {
        self.proxy.message(start)
    }

    /// A line of any of its processes.
    fn anybody_said(&self, text: &str) -> Message {
        let wanted = |line: &String| Message::parse(line).is_some_and(|m| m.text.starts_with(text));
        Message::parse(&self.proxy.stderr.take(text, wanted)).unwrap()
    }

    /// An answer of the master's runtime socket.
    fn master(&self, commands: &str) -> String {
        let mut stream = self.proxy.runtime("master.sock");
        stream.write_all(commands.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The processes that the master tells of, under a title.
    fn workers(&self, title: &str) -> Vec<u32> {
        let answer = self.master("show proc\n");
        let part = answer.split(title).nth(1).unwrap_or_default();
        let rows = part
            .lines()
            .skip(1)
            .take_while(|line| !line.starts_with('#'));
        let pids = rows.filter_map(|row| row.split_whitespace().next());
        pids.map(|pid| pid.parse().unwrap()).collect()
    }

    /// The worker that serves.
    fn worker(&self) -> u32 {
        self.workers("# workers")[0]
    }

    /// Changes the configuration file.
    fn rewrite(&self, change: impl Fn(&str) -> String) {
        let path = self.proxy.dir().join("proxy.cfg");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, change(&text)).unwrap();
    }

    /// Makes the master reload, and waits for the end of it.
    fn reload(&self) {
        self.proxy.signal("USR2");
        self.said("Loading success.");
    }

    /// What the service manager hears next, without what changes from time to time.
    fn heard(&self) -> String {
        loop {
            let mut bytes = [0; 512];
            let length = self.manager.recv(&mut bytes).unwrap();
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if !text.starts_with("WATCHDOG") {
                return text;
            }
        }
    }

    fn addr(&self) -> SocketAddr {
        self.proxy.addr("fe")
    }

    fn get(&self) -> i32 {
        Client::connect(self.addr())
            .ask("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            .status()
    }
}

/// Whether the program is HAProxy, which does less here: docs/differences.md, "Reloads".
fn is_haproxy() -> bool {
    flavour() == Flavour::Oracle
}

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn a_master_starts_a_worker_and_ends_with_it() {
    for (name, code, level, how) in [
        ("TERM", 0, "ALERT", "143 (Terminated)"),
        ("INT", 130, "ALERT", "130 (Interrupt)"),
        ("USR1", 0, "WARNING", "0 (Exit)"),
    ] {
        let mut rig = Rig::new();
        let worker = rig.worker();
        let master = rig.proxy.pid();
        assert_eq!(
            rig.said(&format!("New worker ({worker}) forked")).level,
            "NOTICE"
        );
        assert_ne!(worker, master);
        let pid = std::fs::read_to_string(rig.proxy.dir().join("pid")).unwrap();
        assert_eq!(pid, format!("{master}\n"));
        assert_eq!(rig.get(), 200);
        rig.proxy.signal(name);
        assert_eq!(rig.proxy.wait(), code, "{name}");
        assert_eq!(rig.said("Exiting Master process...").level, "WARNING");
        let text = format!("Current worker ({worker}) exited with code {how}");
        assert_eq!(rig.said(&text).level, level);
        let text = format!("All workers exited. Exiting... ({code})");
        assert_eq!(rig.said(&text).level, "WARNING");
        assert!(!is_alive(worker));
    }
}

#[test]
fn a_signal_reloads_and_the_master_stays_the_same_process() {
    let rig = Rig::new();
    for name in ["USR2", "HUP"] {
        let old = rig.worker();
        rig.proxy.signal(name);
        assert_eq!(rig.said("Reloading HAProxy").level, "NOTICE");
        rig.said("Loading success.");
        let new = rig.worker();
        assert_ne!(old, new);
        assert_eq!(rig.anybody_said("Proxy f stopped").pid, old);
        let text = format!("Former worker ({old}) exited with code 0 (Exit)");
        assert_eq!(rig.said(&text).level, "WARNING");
        assert_eq!(rig.get(), 200);
    }
    let master = rig.proxy.pid().to_string();
    let answer = rig.master("show proc\n");
    let row: Vec<&str> = answer.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..5], [&master, "master", "2", "[failed:", "0]"]);
}

#[test]
fn a_bad_file_at_a_reload_changes_nothing() {
    let rig = Rig::new();
    let worker = rig.worker();
    rig.rewrite(|text| text.replace("default_backend b", "default_backend nowhere"));
    rig.proxy.signal("USR2");
    let why = "Proxy 'f': unable to find required default_backend: 'nowhere'.";
    assert_eq!(rig.said(why).level, "ALERT");
    assert_eq!(rig.said("Loading failure!").level, "WARNING");
    assert_eq!(rig.worker(), worker);
    assert_eq!(rig.get(), 200);
    assert!(rig.master("show proc\n").contains("[failed: 1]"));
    assert_eq!(
        rig.master("prompt\nquit\n").trim_start_matches('\n'),
        "master[ReloadFailed]> "
    );
    rig.rewrite(|text| text.replace("nowhere", "b"));
    rig.reload();
    assert_ne!(rig.worker(), worker);
    assert!(rig.master("show proc\n").contains("[failed: 0]"));
}

#[test]
fn reload_answers_with_its_result() {
    if is_haproxy() {
        return;
    }
    let rig = Rig::new();
    let answer = rig.master("reload\n");
    let mut lines = answer.lines();
    assert_eq!(lines.next(), Some("Success=1"), "{answer}");
    assert_eq!(lines.next(), Some("--"));
    let worker = rig.worker();
    let said: Vec<String> = lines
        .filter_map(|line| Message::parse(line).map(|message| message.text))
        .collect();
    let forked = format!("New worker ({worker}) forked");
    assert_eq!(said, [forked.as_str(), "Loading success."]);
    rig.rewrite(|text| format!("{text} bogus\n"));
    let answer = rig.master("reload\n");
    assert!(answer.starts_with("Success=0\n--\n"), "{answer}");
    assert!(answer.contains("unknown keyword 'bogus' in 'backend' section"));
    assert!(answer.ends_with("Loading failure!\n"), "{answer}");
    assert_eq!(rig.worker(), worker);
}

#[test]
fn a_worker_that_cannot_serve_leaves_the_former_one_alone() {
    if is_haproxy() {
        return;
    }
    let rig = Rig::new();
    let worker = rig.worker();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    rig.rewrite(|text| text.replace("frontend f\n", &format!("frontend f\n bind {address}\n")));
    let answer = rig.master("reload\n");
    let why = format!("cannot bind socket (Address already in use) for [{address}]");
    assert!(
        answer.starts_with("Success=0\n") && answer.contains(&why),
        "{answer}"
    );
    rig.rewrite(|text| {
        let text = text.replace(&format!(" bind {address}\n"), "");
        in_global(&text, "chroot /nonexistent")
    });
    // It has bound everything by then, and fails behind that.
    let answer = rig.master("reload\n");
    assert!(answer.starts_with("Success=0\n"), "{answer}");
    assert!(answer.contains("[haproxy.main()] Cannot chroot(/nonexistent)."));
    assert_eq!(rig.worker(), worker);
    assert_eq!(rig.get(), 200);
}

#[test]
fn a_start_that_fails_ends_the_master() {
    let start = |config: &str| {
        let setup = Setup::new(config).with("s", "127.0.0.1:1");
        let setup = setup.with("log", NOWHERE);
        let (path, _) = setup.write();
        let outcome = setup.run(&["-W", "-f", path.to_str().unwrap()]);
        let texts: Vec<String> = outcome
            .stderr
            .lines()
            .filter_map(Message::parse)
            .map(|message| message.text)
            .collect();
        (outcome.code, texts)
    };
    let (code, texts) = start(&config().replace("default_backend b", "default_backend x"));
    assert_eq!(code, Some(1));
    let why = "Proxy 'f': unable to find required default_backend: 'x'.";
    assert_eq!(texts[2..], [why, "Fatal errors found in configuration."]);

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (code, texts) = start(&config().replace("@fe@", &address.to_string()));
    assert_eq!(code, Some(1));
    assert!(texts[2].contains("cannot bind socket (Address already in use)"));
    assert_eq!(texts.len(), 4, "{texts:#?}");

    let (code, texts) = start(&in_global(&config(), "chroot /nonexistent"));
    assert_eq!(code, Some(1));
    let at = |text: &str| {
        let found = texts.iter().position(|line| line.contains(text));
        found.unwrap_or_else(|| panic!("no '{text}' in {texts:#?}"))
    };
    assert!(at("New worker (") < at("Cannot chroot(/nonexistent)."));
    assert!(at("Cannot chroot(/nonexistent).") < at(") exited with code 1 (Exit)"));
    assert!(at("Current worker (") < at("exit-on-failure: killing every processes with SIGTERM"));
    assert_eq!(texts.last().unwrap(), "All workers exited. Exiting... (1)");
}

#[test]
fn a_worker_that_dies_ends_the_service() {
    let mut rig = Rig::new();
    let worker = rig.worker();
    signal(worker, "KILL");
    assert_eq!(rig.proxy.wait(), 137);
    let text = format!("Current worker ({worker}) exited with code 137 (Killed)");
    assert_eq!(rig.said(&text).level, "ALERT");
    let text = "exit-on-failure: killing every processes with SIGTERM";
    assert_eq!(rig.said(text).level, "ALERT");
    let text = "All workers exited. Exiting... (137)";
    assert_eq!(rig.said(text).level, "WARNING");
}

#[test]
fn a_worker_that_is_told_to_end_ends_the_service_in_order() {
    for (name, how) in [("TERM", "143 (Terminated)"), ("USR1", "0 (Exit)")] {
        let mut rig = Rig::new();
        let worker = rig.worker();
        signal(worker, name);
        assert_eq!(rig.proxy.wait(), 0);
        rig.said(&format!("Current worker ({worker}) exited with code {how}"));
        rig.said("All workers exited. Exiting... (0)");
    }
}

#[test]
fn with_no_exit_on_failure_the_next_reload_brings_a_worker() {
    if is_haproxy() {
        return;
    }
    let config = in_global(&config(), "master-worker no-exit-on-failure");
    // The keyword alone makes a master, too.
    let mut rig = Rig::of(answering(OK), &config, &[], &[]);
    let worker = rig.worker();
    signal(worker, "KILL");
    rig.said(&format!(
        "Current worker ({worker}) exited with code 137 (Killed)"
    ));
    assert!(rig.workers("# workers").is_empty());
    let refused = "Can't find the target PID matching the prefix '@1'\n";
    assert_eq!(rig.master("@1 show version\n"), refused);
    rig.reload();
    assert_eq!(rig.get(), 200);
    rig.proxy.signal("TERM");
    assert_eq!(rig.proxy.wait(), 0);
}

#[test]
fn a_worker_does_not_outlive_its_master() {
    let rig = Rig::new();
    let worker = rig.worker();
    rig.proxy.signal("KILL");
    until("the worker is gone", || {
        let stat = std::fs::read_to_string(format!("/proc/{worker}/stat"));
        stat.map_or(true, |stat| stat.contains(") Z "))
            .then_some(())
    });
    assert!(!is_listening(rig.addr()));
}

#[test]
fn a_daemon_may_be_a_master() {
    let mut setup = Setup::new(&config()).with("s", "127.0.0.1:1");
    let pid_file = setup.dir().join("pid");
    setup = setup.with("log", NOWHERE);
    let (path, endpoints) = setup.write();
    let pid_text = pid_file.to_str().unwrap();
    let outcome = setup.run(&["-W", "-D", "-p", pid_text, "-f", path.to_str().unwrap()]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    // It serves when its parent returns.
    assert!(endpoints.values().all(|addr| is_listening(*addr)));
    let master: u32 = std::fs::read_to_string(&pid_file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let first = children(master);
    signal(master, "USR2");
    until("another worker serves alone", || {
        let now = children(master);
        (now.len() == 1 && now != first).then_some(())
    });
    signal(master, "TERM");
    until("the master is gone", || (!is_alive(master)).then_some(()));
    assert!(!endpoints.values().any(|addr| is_listening(*addr)));
}

fn children(pid: u32) -> Vec<String> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_worker_that_outlives_too_many_reloads_is_ended() {
    let config = in_global(&config(), "mworker-max-reloads 1");
    let rig = Rig::of(silent(), &config, &["-W"], &[]);
    let old = rig.worker();
    let mut client = Client::connect(rig.addr());
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    rig.origin.requests.take("the request", |_| true);
    rig.reload();
    assert_eq!(rig.workers("# old workers"), [old]);
    // It can still be asked.
    let answer = rig.master(&format!("@!{old} show info\n"));
    assert!(answer.contains(&format!("Pid: {old}\n")), "{answer}");
    rig.reload();
    rig.said(&format!(
        "Former worker ({old}) exited with code 143 (Terminated)"
    ));
    assert_eq!(client.rest(), b"");
    until("the others are gone, too", || {
        rig.workers("# old workers").is_empty().then_some(())
    });
}

#[test]
fn hard_stop_after_ends_a_former_worker() {
    if is_haproxy() {
        return;
    }
    let config = in_global(&config(), "hard-stop-after 300ms");
    let rig = Rig::of(silent(), &config, &["-W"], &[]);
    let old = rig.worker();
    let mut client = Client::connect(rig.addr());
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    rig.origin.requests.take("the request", |_| true);
    rig.reload();
    rig.said(&format!("Former worker ({old}) exited with code 0 (Exit)"));
    // Who waits is told.
    assert_eq!(client.answer().status(), 502);
    assert_eq!(client.rest(), b"");
}

#[test]
fn an_upgraded_program_is_used_at_the_next_reload() {
    if is_haproxy() {
        return;
    }
    let user = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
    let mut setup = Setup::new(&config()).with("s", "127.0.0.1:1");
    setup = setup.with("log", NOWHERE);
    setup.user = Some(user);
    setup.args.push("-W".into());
    let proxy = setup.start();
    proxy.message("Loading success.");
    let program = proxy.dir().join("program");
    let new = proxy.dir().join("new");
    std::fs::copy(&program, &new).unwrap();
    std::fs::rename(&new, &program).unwrap();
    let runs = || std::fs::read_link(format!("/proc/{}/exe", proxy.pid())).unwrap();
    assert_ne!(runs(), program, "the old file has no name any more");
    proxy.signal("USR2");
    proxy.message("Loading success.");
    assert_eq!(runs(), program);
    // Without a program the one that runs goes on.
    std::fs::remove_file(&program).unwrap();
    proxy.signal("USR2");
    let text = format!("Failed to reexecute the master process [{}]: ", proxy.pid());
    assert_eq!(proxy.message(&text).level, "WARNING");
    proxy.message("Loading success.");
}
