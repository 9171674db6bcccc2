//! Master and worker: start, reload, end, what each says, and what the service manager is told.

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
        let mut setup = Setup::new(config)
            .with("s", origin.addr)
            .with("log", NOWHERE);
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
fn the_service_manager_is_told() {
    if is_haproxy() {
        return;
    }
    let mut rig = Rig::of(answering(OK), &config(), &["-Ws"], &[]);
    let master = rig.proxy.pid();
    assert_eq!(
        rig.heard(),
        format!("READY=1\nMAINPID={master}\nSTATUS=Ready.\n")
    );
    rig.proxy.signal("USR2");
    let reloading = rig.heard();
    let moment = reloading
        .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
        .and_then(|rest| rest.strip_suffix("\nSTATUS=Reloading Configuration.\n"));
    let moment: u64 = moment
        .unwrap_or_else(|| panic!("{reloading:?}"))
        .parse()
        .unwrap();
    assert!(moment > 0);
    assert_eq!(
        rig.heard(),
        format!("READY=1\nMAINPID={master}\nSTATUS=Ready.\n")
    );
    rig.rewrite(|text| format!("{text} bogus\n"));
    rig.proxy.signal("USR2");
    assert!(rig.heard().starts_with("RELOADING=1\n"));
    let failed = format!("READY=1\nMAINPID={master}\nSTATUS=Reload failed!\n");
    assert_eq!(rig.heard(), failed);
    rig.proxy.signal("TERM");
    assert_eq!(rig.heard(), "STOPPING=1\nSTATUS=Stopping.\n");
    assert_eq!(rig.proxy.wait(), 0);
}

/// Debian's file says `daemon`, and its unit starts `-Ws`: the service is the first process.
#[test]
fn a_service_manager_is_not_left_for_the_background() {
    // The runtime socket is enough to serve, and nobody can take its address.
    let setup = Setup::new(&in_global(&common(""), "daemon")).with("log", NOWHERE);
    let (path, _) = setup.write();
    let heard = setup.dir().join("notify");
    let manager = UnixDatagram::bind(&heard).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut service = Command::new(binary())
        .args(["-Ws", "-f"])
        .arg(path)
        .env("NOTIFY_SOCKET", heard)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut text = [0; 256];
    let mut found = None;
    // HAProxy tells of a reload first.
    while found.is_none() {
        let length = manager.recv(&mut text).unwrap();
        let told = String::from_utf8_lossy(&text[..length]).into_owned();
        let pid = told.lines().find_map(|line| line.strip_prefix("MAINPID="));
        found = pid.map(str::to_owned);
    }
    assert_eq!(found.unwrap(), service.id().to_string());
    signal(service.id(), "TERM");
    until("the service ends", || service.try_wait().unwrap());
}

#[test]
fn only_ws_tells_the_service_manager() {
    if is_haproxy() {
        return;
    }
    let rig = Rig::new();
    rig.reload();
    rig.manager.set_nonblocking(true).unwrap();
    let nothing = rig.manager.recv(&mut [0; 64]).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
}

#[test]
fn the_watchdog_is_fed_while_the_worker_turns() {
    if is_haproxy() {
        return;
    }
    let watchdog = [("WATCHDOG_USEC", "200000")];
    let rig = Rig::of(answering(OK), &config(), &["-Ws"], &watchdog);
    let mut bytes = [0; 128];
    let mut fed = 0;
    while fed < 3 {
        let length = rig.manager.recv(&mut bytes).unwrap();
        fed += usize::from(&bytes[..length] == b"WATCHDOG=1\n");
    }
    let worker = rig.worker();
    signal(worker, "STOP");
    let stat = format!("/proc/{worker}/stat");
    until("the worker stands still", || {
        let text = std::fs::read_to_string(&stat).unwrap();
        text.contains(") T ").then_some(())
    });
    // What was sent while it turned.
    rig.manager.set_nonblocking(true).unwrap();
    while rig.manager.recv(&mut bytes).is_ok() {}
    rig.manager.set_nonblocking(false).unwrap();
    // One more for the answer that had come, and one that was on its way.
    let mut more = 0;
    rig.manager
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    while rig.manager.recv(&mut bytes).is_ok() {
        more += 1;
        assert!(more <= 2, "fed though the worker stands still");
    }
    signal(worker, "CONT");
    rig.manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = rig.manager.recv(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], b"WATCHDOG=1\n");
}

#[test]
fn commands_of_the_masters_socket() {
    let rig = Rig::new();
    let worker = rig.worker();
    let version = rig.master("show version\n");
    assert!(version.starts_with("2.6.12-") && version.ends_with("\n\n"));
    for prefix in ["@1".to_owned(), format!("@!{worker}"), "@master".to_owned()] {
        assert_eq!(rig.master(&format!("{prefix} show version\n")), version);
    }
    let pid = |answer: &str| -> u32 {
        let line = answer.lines().find(|line| line.starts_with("Pid: "));
        line.unwrap()["Pid: ".len()..].parse().unwrap()
    };
    assert_eq!(pid(&rig.master("@1 show info\n")), worker);
    // A prefix alone holds for what follows.
    let both = rig.master("@1; show info; @master; show version\n");
    assert_eq!(pid(&both), worker);
    assert!(both.ends_with(&version));
    for prefix in ["@2", "@!999999999", "@foo"] {
        let text = format!("Can't find the target PID matching the prefix '{prefix}'\n");
        assert_eq!(rig.master(&format!("{prefix} show version\n")), text);
    }
    assert_eq!(rig.master("show cli level\n"), "admin\n\n");
    assert_eq!(rig.master("operator; show cli level\n"), "operator\n\n");
    let denied = "Permission denied\n\n";
    assert_eq!(rig.master("user; reload\n"), denied);
    assert_eq!(rig.master("user; @1 disable frontend f\n"), denied);
    let help = rig.master("help\n");
    assert!(help.starts_with("The following commands are valid at this level:\n"));
    assert_eq!(help.lines().count(), 15, "{help}");
    let unknown = rig.master("foo\n");
    assert!(unknown.starts_with("Unknown command"), "{unknown}");
    let prompts = rig.master("prompt\nshow version\n@1\nshow version\n@master\nquit\n");
    let expected = format!("master> {version}master> {worker}> {version}{worker}> master> ");
    assert_eq!(prompts.trim_start_matches('\n'), expected);
    let proc = rig.master("show proc\n");
    let lines: Vec<&str> = proc.lines().collect();
    let head = "#<PID>          <type>          <reloads>       <uptime>        <version>      ";
    assert_eq!(lines[0], head);
    assert_eq!(lines[2], "# workers");
    assert_eq!(lines[4..], ["# programs", ""]);
    let master = rig.proxy.pid();
    let row = format!("{master:<15} master          0 [failed: 0]   0d00h00m");
    assert!(lines[1].starts_with(&row), "{}", lines[1]);
    assert!(lines[3].starts_with(&format!("{worker:<15} worker          0               0d")));
}

#[test]
fn the_level_of_the_masters_socket() {
    let setup = Setup::new(&config()).with("s", "127.0.0.1:1");
    let mut setup = setup.with("log", NOWHERE);
    let path = setup.dir().join("master.sock").display().to_string();
    setup.args.extend(["-W", "-S"].map(str::to_owned));
    setup.args.push(format!("{path},level,user,mode,600"));
    let proxy = setup.start();
    let mode = std::fs::metadata(&path).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&mode) & 0o777, 0o600);
    let mut stream = proxy.runtime("master.sock");
    stream.write_all(b"show cli level; reload\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "user\n\nPermission denied\n\n");
}

#[test]
fn words_of_the_masters_socket_that_are_wrong() {
    if is_haproxy() {
        return;
    }
    let setup = Setup::new(&config()).with("s", "127.0.0.1:1");
    let setup = setup.with("log", NOWHERE);
    let (path, _) = setup.write();
    let path = path.to_str().unwrap();
    for (words, texts) in [
        (
            "/nonexistent/m",
            [
                "Binding [master-socket:0] for proxy MASTER: cannot bind UNIX socket \
                 (No such file or directory) [/nonexistent/m]",
                "[haproxy.main()] Some protocols failed to start their listeners! Exiting.",
            ],
        ),
        (
            "/x,foo",
            [
                "'/x foo' : unknown keyword 'foo'.",
                "Can't create the master's CLI.",
            ],
        ),
    ] {
        let outcome = setup.run(&["-W", "-S", words, "-f", path]);
        assert_eq!(outcome.code, Some(1));
        let said = outcome.stderr.lines().filter_map(Message::parse);
        let said: Vec<String> = said.map(|message| message.text).collect();
        for (line, text) in said.iter().skip(2).zip(texts) {
            assert!(line.starts_with(text), "{line}");
        }
        assert_eq!(said.len(), 4);
    }
    let pid_file = ["-W", "-p", "/nonexistent/pid", "-f", path];
    let outcome = setup.run(&pid_file);
    assert_eq!(outcome.code, Some(1));
    let text = "[haproxy.main()] Cannot create pidfile /nonexistent/pid\n";
    assert!(outcome.stderr.ends_with(text));
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
    assert_eq!(client.rest(), b"");
}

#[test]
fn a_kept_client_is_told_to_close_and_not_cut() {
    if is_haproxy() {
        return;
    }
    let rig = Rig::new();
    let old = rig.worker();
    let mut client = Client::connect(rig.addr());
    let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    assert!(client.ask(request).headers("connection").is_empty());
    rig.reload();
    rig.anybody_said("Proxy b stopped");
    assert_eq!(rig.workers("# old workers"), [old]);
    let last = client.ask(request);
    assert_eq!(
        (last.status(), last.headers("connection")),
        (200, vec!["close".to_owned()])
    );
    assert_eq!(client.rest(), b"");
    rig.said(&format!("Former worker ({old}) exited with code 0 (Exit)"));
}

/// The counter `stot` of a row of `show stat`.
fn sessions(rig: &Rig, row: &str) -> u64 {
    let answer = rig.proxy.command("show stat");
    let row = answer.lines().find(|line| line.starts_with(row));
    row.unwrap().split(',').nth(7).unwrap().parse().unwrap()
}

#[test]
fn counters_states_and_changes_are_handed_over() {
    if is_haproxy() {
        return;
    }
    let rig = Rig::new();
    for _ in 0..3 {
        assert_eq!(rig.get(), 200);
    }
    rig.proxy.command("set server b/s weight 7");
    rig.proxy.command("set server b/s state drain");
    let mut kept = Client::connect(rig.addr());
    let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    // The only server drains, so nobody is served by it.
    assert_eq!(kept.ask(request).status(), 503);
    rig.reload();
    assert_eq!(rig.proxy.command("get weight b/s"), "7 (initial 10)\n\n");
    let answer = rig.proxy.command("show stat");
    let row = answer
        .lines()
        .find(|line| line.starts_with("b,s,"))
        .unwrap();
    assert_eq!(row.split(',').nth(17), Some("DRAIN"));
    assert_eq!(sessions(&rig, "b,s,"), 3);
    rig.proxy.command("set server b/s state ready");
    assert_eq!(rig.get(), 200);
    assert_eq!(sessions(&rig, "b,s,"), 4);
}

#[test]
fn what_a_former_worker_still_counts_is_not_lost() {
    if is_haproxy() {
        return;
    }
    let rig = Rig::new();
    let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(rig.addr());
        assert_eq!(client.ask(request).status(), 200);
        clients.push(client);
        // Each leaves a worker behind that has one client.
        rig.reload();
    }
    assert_eq!(rig.workers("# old workers").len(), 4);
    for client in &mut clients {
        assert_eq!(client.ask(request).status(), 200);
    }
    for _ in 0..4 {
        rig.said("Former worker (");
    }
    until("all is counted", || {
        (sessions(&rig, "b,s,") == 8).then_some(())
    });
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

#[test]
fn unix_listeners_and_their_modes_follow_the_configuration() {
    if is_haproxy() {
        return;
    }
    let config = format!("{}frontend u\n bind unix@@dir@/u.sock mode 600\n", config());
    let rig = Rig::of(answering(OK), &config, &["-W"], &[]);
    let path = rig.proxy.dir().join("u.sock");
    let facts = || {
        use std::os::unix::fs::MetadataExt as _;
        let of = std::fs::metadata(&path).unwrap();
        (of.ino(), of.mode() & 0o777)
    };
    let (inode, mode) = facts();
    assert_eq!(mode, 0o600);
    rig.rewrite(|text| text.replace("u.sock mode 600", "u.sock mode 660"));
    rig.reload();
    assert_eq!(facts(), (inode, 0o660));
    UnixStream::connect(&path).unwrap();
    // A file that is gone is made again.
    std::fs::remove_file(&path).unwrap();
    rig.reload();
    UnixStream::connect(&path).unwrap();
}

#[test]
fn abstract_and_unix_listeners_are_handed_over() {
    if is_haproxy() {
        return;
    }
    let config = format!(
        "{}frontend u\n bind unix@@dir@/u.sock\n bind abns@@dir@/abstract\n \
         http-request return status 200\n\
         frontend through\n bind @through@\n default_backend through\n\
         backend through\n balance roundrobin\n server u unix@@dir@/u.sock\n \
         server a abns@@dir@/abstract\n",
        config()
    );
    let rig = Rig::of(answering(OK), &config, &["-W"], &[]);
    let path = rig.proxy.dir().join("u.sock");
    for _ in 0..3 {
        for _ in 0..4 {
            let mut client = Client::connect(rig.proxy.addr("through"));
            let answer = client.ask("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
            assert_eq!(answer.status(), 200);
        }
        // It ends with its last client, and leaves the path alone.
        let worker = rig.worker();
        rig.reload();
        until("the former worker is gone", || {
            let gone = !Path::new(&format!("/proc/{worker}")).exists();
            gone.then_some(())
        });
        UnixStream::connect(&path).unwrap();
    }
}

/// Starts a second process that follows the first, and waits until the first is gone.
fn follow(first: &Path, second: &Path, how: &[&str]) {
    let exposing = common("frontend f\n bind @fe@\n http-request return status 200\n")
        .replace("level admin", "level admin expose-fd listeners");
    let spawn = |program: &Path, dir: &Path, more: &[&str]| {
        let mut command = Command::new(program);
        command.args(["-db", "-f"]).arg(dir.join("proxy.cfg"));
        command.args(more).stderr(std::process::Stdio::null());
        command.spawn().unwrap()
    };
    let setup = Setup::new(&exposing).with("log", NOWHERE);
    let (_, endpoints) = setup.write();
    let fe = endpoints["fe"];
    let mut old = spawn(first, setup.dir(), &[]);
    until("the first listens", || is_listening(fe).then_some(()));
    let inode = || {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let port = format!(":{:04X} 00000000:0000 0A ", fe.port());
        let rows = table.lines().filter(|row| row.contains(&port));
        let inodes = rows.map(|row| row.split_whitespace().nth(9).unwrap().to_owned());
        inodes.collect::<Vec<_>>()
    };
    let before = inode();
    let admin = setup.dir().join("admin.sock").display().to_string();
    let pid = old.id().to_string();
    let more = [how, &["-x", &admin, "-sf", &pid]].concat();
    let mut new = spawn(second, setup.dir(), &more);
    let status = until("the first is gone", || old.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    assert_eq!(inode(), before, "it is the same socket");
    let answer = Client::connect(fe).ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(answer.status(), 200);
    new.kill().unwrap();
    new.wait().unwrap();
}

#[test]
fn a_process_takes_the_listeners_of_another() {
    let ours = crate::support::binary();
    follow(&ours, &ours, &[]);
    follow(&ours, &ours, &["-W"]);
}

#[test]
fn haproxy_and_oneloop_follow_each_other() {
    let ours = crate::support::binary();
    let haproxy = Path::new("/usr/sbin/haproxy");
    if !haproxy.exists() {
        assert!(std::env::var("CI").is_err(), "haproxy is not installed");
        eprintln!("haproxy is not installed: how it follows and is followed is left out");
        return;
    }
    follow(haproxy, &ours, &[]);
    follow(&ours, haproxy, &[]);
}

#[test]
fn a_process_without_socket_to_follow_does_not_start() {
    let setup = Setup::new(&config()).with("s", "127.0.0.1:1");
    let setup = setup.with("log", NOWHERE);
    let (path, _) = setup.write();
    let outcome = setup.run(&["-x", "/nonexistent", "-f", path.to_str().unwrap()]);
    assert_eq!(outcome.code, Some(1));
    let said = outcome.stderr.lines().filter_map(Message::parse);
    let said: Vec<String> = said.map(|message| message.text).collect();
    let tail = [
        "Failed to connect to the old process socket '/nonexistent'",
        "Failed to get the sockets from the old process!",
    ];
    for text in tail {
        assert!(said.iter().any(|line| line == text), "{said:#?}");
    }
}

#[test]
fn a_process_that_ends_another_at_once() {
    let rig = |more: &[&str]| {
        let setup = Setup::new(&config()).with("s", "127.0.0.1:1");
        let mut setup = setup.with("log", NOWHERE);
        setup
            .args
            .extend(more.iter().map(|word| (*word).to_owned()));
        setup.start()
    };
    let mut old = rig(&[]);
    let _new = rig(&["-st", &old.pid().to_string()]);
    assert_eq!(old.wait(), 143);
}
