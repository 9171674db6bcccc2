//! Programs that people have for HAProxy, unchanged: they must work with oneloop as they do there.
//!
//! `hatop` drives the runtime socket, `halog` reads the log, `prometheus-haproxy-exporter` reads the
//! CSV, and Prometheus' own `promtool` judges the metrics. Each is of Debian's package of that name (`halog` is in haproxy's). Where one is missing the
//! test says that it is left out; with `CI=true` that is a failure.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use support::client::{Answer, Client};
use support::log::LogSocket;
use support::origin::Origin;
use support::proxy::{Proxy, Setup};
use support::{free_endpoint, is_listening, until};

#[allow(dead_code, reason = "other tests need more of it")]
mod support;

/// A program of Debian's, if it is there.
fn program(name: &str) -> Option<PathBuf> {
    let mut paths = ["/usr/bin", "/usr/sbin"]
        .iter()
        .map(|folder| Path::new(folder).join(name));
    let found = paths.find(|path| path.exists());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{name} is not installed");
        eprintln!("clients: left out, {name} is not installed");
    }
    found
}

const SHARED: &str = "\
global
    log @log@ local0
    node lobby
    stats socket @dir@/admin.sock mode 600 level admin
defaults
    mode http
    log global
    option httplog
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend metrics
    bind @metrics@
    no log
    http-request use-service prometheus-exporter
frontend web
    bind @fe@
    http-request deny if { path /secret }
    http-request redirect location /new if { path /old }
    default_backend app
backend app
    server one @one@
    server two @two@
frontend page
    bind @page@
    no log
    stats enable
    stats uri /stats
";

/// The proxy, two origins behind it, and its log.
struct Rig {
    proxy: Proxy,
    log: LogSocket,
    _origins: [Origin; 2],
}

impl Rig {
    fn new(program: Option<&Path>) -> Self {
        Self::of(program, SHARED)
    }

    fn of(program: Option<&Path>, config: &str) -> Self {
        let origins = [Origin::nginx("one"), Origin::nginx("two")];
        let mut setup = Setup::new(config)
            .with("one", origins[0].addr)
            .with("two", origins[1].addr);
        setup.program = program.map(Path::to_path_buf);
        let log = setup.log();
        Self {
            proxy: setup.start(),
            log,
            _origins: origins,
        }
    }

    fn get(&self, path: &str) {
        get(self.proxy.addr("fe"), path);
    }

    /// The state of a server, from `show stat`.
    fn state_of(&self, server: &str) -> String {
        let rows = self.proxy.command("show stat");
        let start = format!("app,{server},");
        let row = rows.lines().find(|row| row.starts_with(&start));
        row.unwrap().split(',').nth(17).unwrap().to_owned()
    }
}

/// One request on a connection of its own.
fn get(addr: SocketAddr, path: &str) -> Answer {
    let mut client = Client::connect(addr);
    let answer = client.ask(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
    client.finish();
    answer
}

/// A program on a terminal of its own.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    /// All that it has written.
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    /// Starts a command line under `script`, which every Debian system has.
    fn start(command: &str) -> Self {
        let command = format!("stty rows 40 columns 120; exec {command}");
        let mut child = Command::new("script")
            .args(["--quiet", "--flush", "--command", &command, "/dev/null"])
            .env("TERM", "linux")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let screen = Arc::new(Mutex::new(String::new()));
        let (mut output, filed) = (child.stdout.take().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(len @ 1..) = output.read(&mut buffer) {
                filed
                    .lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&buffer[..len]));
            }
        });
        Self {
            keys: child.stdin.take().unwrap(),
            child,
            screen,
        }
    }

    /// Waits until this was written.
    fn wait_for(&self, words: &str) {
        until(&format!("the screen has {words:?}"), || {
            self.screen.lock().unwrap().contains(words).then_some(())
        });
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail only when it has ended by itself. What runs on the terminal ends with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn hatop_shows_the_proxies_and_disables_a_server() {
    const DOWN: &str = "\x1b[B";
    const DISABLE: &str = "\x1b[21~";
    const ENABLE: &str = "\x1b[20~";
    let Some(hatop) = program("hatop") else {
        return;
    };
    let rig = Rig::new(None);
    rig.get("/");
    let socket = rig.proxy.dir().join("admin.sock");
    let command = format!(
        "{} --update-interval 1 -s {}",
        hatop.display(),
        socket.display()
    );
    let mut terminal = Terminal::start(&command);
    for words in [
        "lobby", "web", "FRONTEND", "OPEN", "app", "one", "two", "BACKEND",
    ] {
        terminal.wait_for(words);
    }
    // The cursor begins at `>>> metrics`; the server is the seventh line below it.
    terminal.press(&DOWN.repeat(7));
    terminal.press(DISABLE);
    until("hatop has disabled the server", || {
        (rig.state_of("one") == "MAINT").then_some(())
    });
    terminal.wait_for("MAINT");
    assert_eq!(rig.state_of("two"), "no check");
    terminal.press(ENABLE);
    until("hatop has enabled the server again", || {
        (rig.state_of("one") == "no check").then_some(())
    });
    terminal.press("q");
    let status = until("hatop ends", || terminal.child.try_wait().unwrap());
    assert!(status.success(), "{}", terminal.screen.lock().unwrap());
}

/// The log of the same requests, in the form of a file that rsyslog wrote.
fn log_of(program: Option<&Path>) -> String {
    let rig = Rig::new(program);
    let requests = [
        "/",
        "/a?x=1",
        "/a?x=2",
        "/secret",
        "/old",
        "/b",
        "/secret?no",
        "/a",
    ];
    for path in requests {
        rig.get(path);
    }
    let mut refused = Client::connect(rig.proxy.addr("fe"));
    refused.send("GET / HTTP/1.1\r\nHost : h\r\n\r\n");
    refused.rest();
    let mut lines = String::new();
    let records = rig.log.records.wait("all lines", |records| {
        let lines = records.iter().filter(|record| record.is_request());
        (lines.clone().count() > requests.len()).then(|| lines.cloned().collect::<Vec<_>>())
    });
    for record in records {
        let (stamp, tag, pid, text) = (record.stamp, record.tag, record.pid, record.text);
        writeln!(lines, "{stamp} localhost {tag}[{pid}]: {text}").unwrap();
    }
    lines
}

/// What `halog` makes of a log.
fn halog(program: &Path, options: &str, log: &str) -> String {
    let mut child = Command::new(program)
        .args(options.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(log.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "halog {options}");
    assert!(!output.stdout.is_empty(), "halog {options} says nothing");
    String::from_utf8(output.stdout).unwrap()
}

/// The columns of a table that are no times and no bytes; the rest depends on the machine, or, as
/// bytes do, on the version.
fn columns(table: &str, kept: &[usize]) -> String {
    let mut rows: Vec<String> = table
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let kept = kept.iter().filter_map(|at| fields.get(*at).copied());
            kept.collect::<Vec<_>>().join(" ")
        })
        .collect();
    rows.sort();
    rows.join("\n")
}

#[test]
fn halog_finds_in_the_log_what_it_finds_in_haproxys() {
    let (Some(halog_program), Some(haproxy)) = (program("halog"), program("haproxy")) else {
        return;
    };
    let (ours, theirs) = (log_of(None), log_of(Some(&haproxy)));
    let whole = usize::MAX;
    let cases: &[(&str, &[usize])] = &[
        ("-q -c", &[whole]),
        ("-q -c -H", &[whole]),
        ("-q -c -e", &[whole]),
        ("-q -c -E", &[whole]),
        ("-q -c -hs 400:499", &[whole]),
        ("-q -c -HS 200", &[whole]),
        ("-q -c -tcn PR", &[whole]),
        ("-q -c -TCN LR", &[whole]),
        ("-q -st", &[whole]),
        ("-q -tc", &[whole]),
        ("-q -cc", &[whole]),
        // The server and its requests by class of status.
        ("-q -srv", &[0, 1, 2, 3, 4, 5, 6, 7, 8]),
        // Requests, errors, and what they are counted by.
        ("-q -u", &[0, 1, 8]),
        ("-q -uc -query", &[0, 1, 8]),
        ("-q -ue", &[0, 1, 8]),
        ("-q -ic", &[0, 1, 8]),
    ];
    for (options, kept) in cases {
        let pick = |log: &str| {
            let output = halog(&halog_program, options, log);
            match kept {
                [usize::MAX] => output,
                kept => columns(&output, kept),
            }
        };
        assert_eq!(
            pick(&ours),
            pick(&theirs),
            "halog {options}\n{ours}\n{theirs}"
        );
    }
}

/// A program that ends with the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only when it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is there to scrape at an address.
fn scrape(addr: SocketAddr) -> String {
    let answer = get(addr, "/metrics");
    assert_eq!(answer.status(), 200, "{}", answer.head);
    answer.text()
}

#[test]
fn prometheus_haproxy_exporter_reads_the_runtime_socket_and_the_page() {
    let Some(exporter) = program("prometheus-haproxy-exporter") else {
        return;
    };
    let rig = Rig::new(None);
    for path in ["/", "/a", "/secret"] {
        rig.get(path);
    }
    let socket = rig.proxy.dir().join("admin.sock");
    let text = export(&exporter, &format!("unix:{}", socket.display()));
    assert!(text.contains("haproxy_version_info"), "{text}");
    let page = rig.proxy.addr("page");
    export(&exporter, &format!("http://{page}/stats;csv"));
}

/// Scrapes a place through the exporter, and gives what it says of it.
fn export(exporter: &Path, place: &str) -> String {
    let addr = free_endpoint();
    let exporter = Command::new(exporter)
        .arg(format!("--web.listen-address={addr}"))
        .arg(format!("--haproxy.scrape-uri={place}"))
        .stderr(Stdio::null())
        .spawn();
    let _exporter = Daemon(exporter.unwrap());
    until("the exporter listens", || is_listening(addr).then_some(()));
    let text = scrape(addr);
    for line in [
        "haproxy_up 1",
        "haproxy_exporter_csv_parse_failures_total 0",
        "haproxy_frontend_http_requests_total{frontend=\"web\"} 3",
        "haproxy_frontend_requests_denied_total{frontend=\"web\"} 1",
        "haproxy_frontend_http_responses_total{code=\"2xx\",frontend=\"web\"} 2",
        "haproxy_frontend_http_responses_total{code=\"4xx\",frontend=\"web\"} 1",
        "haproxy_backend_up{backend=\"app\"} 1",
        "haproxy_backend_current_server{backend=\"app\"} 2",
        "haproxy_server_sessions_total{backend=\"app\",server=\"one\"} 1",
        "haproxy_server_sessions_total{backend=\"app\",server=\"two\"} 1",
        "haproxy_server_up{backend=\"app\",server=\"one\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    text
}

/// Runs `promtool` on a text and gives what it says.
fn promtool(program: &Path, words: &[&str], text: &str) -> String {
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended without reading all.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8(said).unwrap()
}

/// The metrics after the same requests.
fn metrics_of(program: Option<&Path>) -> String {
    let listeners = "bind @fe@ name first maxconn 7\n    bind @quiet@\n    option socket-stats";
    let rig = Rig::of(program, &SHARED.replace("bind @fe@", listeners));
    for path in ["/", "/a", "/secret", "/old", "/b"] {
        rig.get(path);
    }
    rig.proxy.command("disable server app/two");
    scrape(rig.proxy.addr("metrics"))
}

/// What is the same of every process that did the same.
const OF_PROCESS: &[&str] = &[
    "haproxy_process_nbthread",
    "haproxy_process_nbproc",
    "haproxy_process_relative_process_id",
    "haproxy_process_pool_failures_total",
    "haproxy_process_stopping",
    "haproxy_process_listeners",
    "haproxy_process_dropped_logs_total",
    "haproxy_process_current_zlib_memory",
];

/// What depends on the moment, on the machine, or on what a program is.
const VARYING: &[&str] = &[
    // Of the process: its build, its memory, its time.
    "haproxy_process_",
    // By the byte: `docs/differences.md` under "Bytes in the HTTP log".
    "_bytes_out_total",
    "_seconds",
    "_rate",
    "_rate_max",
    // Connections kept for later, of which HAProxy's estimate has a memory.
    "haproxy_server_need_connections_current",
    // oneloop counts the answer under way, which HAProxy does when it has ended.
    "haproxy_frontend_http_responses_total{proxy=\"metrics\",code=\"2xx\"}",
];

#[test]
fn the_metrics_are_those_of_haproxy() {
    let (Some(promtool_program), Some(haproxy)) = (program("promtool"), program("haproxy")) else {
        return;
    };
    let (ours, theirs) = (metrics_of(None), metrics_of(Some(&haproxy)));
    let types = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("# TYPE "));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(types(&ours), types(&theirs));
    let series = |text: &str| -> Vec<(String, String)> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let parts = lines.map(|line| line.rsplit_once(' ').unwrap());
        let named = parts.map(|(name, value)| (name.to_owned(), value.to_owned()));
        named
            .filter(|(name, _)| !name.contains("_build_info"))
            .collect()
    };
    let (ours_series, theirs_series) = (series(&ours), series(&theirs));
    let names = |series: &[(String, String)]| -> Vec<String> {
        series.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&ours_series), names(&theirs_series));
    for ((name, ours), (_, theirs)) in ours_series.iter().zip(&theirs_series) {
        let metric = name.split('{').next().unwrap();
        let varies = |varying: &&&str| {
            metric.starts_with(**varying) || metric.ends_with(**varying) || name == **varying
        };
        if OF_PROCESS.contains(&metric) || VARYING.iter().find(varies).is_none() {
            assert_eq!(ours, theirs, "{name}");
        }
    }
    let judge = |text: &str| promtool(&promtool_program, &["check", "metrics"], text);
    // HAProxy's own names are not all to its taste.
    assert_eq!(judge(&ours), judge(&theirs));
}
