//! The whole article on real sockets: its two configurations, its requests, its failures, its logs.
//!
//! The configurations in `tests/cfg` are the article's to the letter; [`article`] substitutes only
//! addresses, ports, paths and the user to drop to. Everything else is HAProxy's default, so the
//! checks run every two seconds and a refused connection is tried again after one second, as in the
//! article. Ports, process ids and times are masked in comparisons, after their form was checked.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use support::client::{Answer, Client};
use support::log::{HttpLine, LogSocket};
use support::origin::Origin;
use support::proxy::{Message, Proxy, Setup, signal};
use support::{Flavour, flavour, is_root, until};

mod support;

const L4: &str = include_str!("cfg/article-l4.cfg");
const L7: &str = include_str!("cfg/article-l7.cfg");

/// The page of the article's `curl 10.2.0.240/app2` while its server is away.
const PAGE_503: &str = "<html><body><h1>503 Service Unavailable</h1>\n\
                        No server is available to handle this request.\n\
                        </body></html>\n\n";

/// One request on a connection of its own, as `curl` does it.
fn get(addr: SocketAddr, path: &str) -> Answer {
    let mut client = Client::connect(addr);
    let answer = client.ask(&format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\n\r\n"));
    client.finish();
    answer
}

/// The article's configuration with this machine's addresses, paths and user.
fn article(config: &str) -> Setup {
    let mut template = config
        .replace("/dev/log", "@log@")
        .replace("/var/lib/haproxy", "@dir@")
        .replace("/run/haproxy/admin.sock", "@dir@/admin.sock")
        .replace("/etc/haproxy/errors/", "@dir@/")
        .replace("*:80", "@web@")
        .replace("10.2.1.242:80", "@server2@")
        .replace("10.2.1.243:80", "@server3@")
        .replace("user haproxy", "user nobody")
        .replace("group haproxy", "group nogroup");
    if !is_root() {
        // Only root may change its root directory and its user.
        let needs_root = ["chroot ", "user ", "group "];
        let mut lines: Vec<&str> = template.lines().collect();
        lines.retain(|line| {
            !needs_root
                .iter()
                .any(|word| line.trim_start().starts_with(word))
        });
        template = lines.join("\n") + "\n";
    }
    let mut setup = Setup::new(&template);
    for status in [400, 403, 408, 500, 502, 503, 504] {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cfg/errors");
        let page = fs::read(format!("{page}/{status}.http")).unwrap();
        setup = setup.file(&format!("{status}.http"), page);
    }
    enterable(&setup);
    setup
}

/// Makes the directory usable as the root directory of `nobody`: it can be entered, and the log
/// socket has the same path inside as outside.
fn enterable(setup: &Setup) {
    let dir = setup.dir();
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    let inside = dir.join(dir.strip_prefix("/").unwrap());
    fs::create_dir_all(inside.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/", inside).unwrap();
}

/// The article's machines: the proxy, the two servers, the syslog daemon.
struct Site {
    proxy: Proxy,
    log: LogSocket,
    server2: Origin,
    server3: Origin,
}

impl Site {
    fn start(config: &str) -> Self {
        let server2 = Origin::nginx("debian11-2\n");
        let server3 = Origin::nginx("debian11-3\n");
        let mut setup = article(config)
            .with("server2", server2.addr)
            .with("server3", server3.addr);
        let log = setup.log();
        let site = Self {
            proxy: setup.start(),
            log,
            server2,
            server3,
        };
        // A checked server starts one failure from DOWN; in the article it had been up for long.
        until("both servers were checked", || {
            let checked = site.proxy.command("show stat").matches(",L4OK,").count();
            (checked == 2).then_some(())
        });
        site
    }

    /// `curl 10.2.0.240/...`: the answer and the request's line in the log.
    fn curl(&self, path: &str) -> (Answer, HttpLine) {
        let answer = get(self.proxy.addr("web"), path);
        (answer, self.log.request(&format!("GET {path} HTTP/1.1")))
    }

    /// A request that must be served by this page and logged with this server.
    fn served(&self, path: &str, server: &str, page: &str) {
        let (answer, line) = self.curl(path);
        assert_eq!((answer.status(), answer.text().as_str()), (200, page));
        assert_eq!(answer.headers("server"), ["nginx/1.18.0"]);
        let bytes = flavour().bytes(214);
        let expected = format!(
            "web_proxy {server} T/T/T/T/T 200 {bytes} - - ---- 1/1/0/0/0 0/0 \"GET {path} HTTP/1.1\"",
        );
        assert_eq!(line.masked(), expected);
        assert_eq!(
            line.priority, 134,
            "local0.info, and not for the target `local1 notice`"
        );
    }

    /// A state change stands once on stderr and once in each of the two log targets.
    fn announced(&self, severity: u8, start: &str) -> (Message, String) {
        let on_stderr = self.proxy.message(start);
        let mut priorities = Vec::new();
        let mut text = String::new();
        for _ in 0..2 {
            let record = self.log.message(start);
            assert_eq!(
                (record.tag.as_str(), record.pid),
                ("haproxy", self.proxy.pid())
            );
            priorities.push(record.priority);
            text = record.text;
        }
        priorities.sort_unstable();
        assert_eq!(
            priorities,
            [128 + severity, 136 + severity],
            "local0 and local1: {text}"
        );
        (on_stderr, text)
    }

    /// `Server S is DOWN ...` with the article's words after it.
    fn down(&self, server: &str, active_left: u32) {
        let (on_stderr, text) = self.announced(1, &format!("Server {server} is DOWN, "));
        let expected = format!(
            "Server {server} is DOWN, reason: Layer4 connection problem, \
             info: \"Connection refused\", check duration: Nms. {active_left} active and \
             0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
        );
        assert_eq!(mask_duration(&text), expected);
        assert_eq!(on_stderr.level, "WARNING");
        assert_eq!(mask_duration(&on_stderr.text), expected);
    }

    /// `Server S is UP ...` with the article's words after it.
    fn up(&self, server: &str, active: u32) {
        let (on_stderr, text) = self.announced(5, &format!("Server {server} is UP, "));
        let expected = format!(
            "Server {server} is UP, reason: Layer4 check passed, check duration: Nms. \
             {active} active and 0 backup servers online. 0 sessions requeued, 0 total in queue.",
        );
        assert_eq!(mask_duration(&text), expected);
        assert_eq!(on_stderr.level, "WARNING");
        assert_eq!(mask_duration(&on_stderr.text), expected);
    }

    /// Stops the proxy as `systemctl stop` would, and looks for what the article does not have:
    /// a line that came twice, a message that nobody asked for.
    fn nothing_else(&mut self) {
        self.proxy.signal("TERM");
        assert_eq!(self.proxy.wait(), 143);
        let rest = self.log.records.rest();
        assert!(rest.is_empty(), "unexpected records: {rest:#?}");
        let printed = [self.proxy.stdout.rest(), self.proxy.stderr.rest()].concat();
        assert!(printed.is_empty(), "unexpected output: {printed:#?}");
    }
}

/// `check duration: 0ms` may be 1ms on a busy machine.
fn mask_duration(text: &str) -> String {
    let (before, after) = text
        .split_once("check duration: ")
        .expect("a check's duration");
    let (millis, after) = after.split_once("ms.").expect("milliseconds");
    assert!(millis.parse::<u32>().is_ok_and(|ms| ms < 2000), "{text}");
    format!("{before}check duration: Nms.{after}")
}

#[test]
fn both_configurations_pass_the_check() {
    for config in [L4, L7] {
        let mut setup = article(config)
            .with("server2", "127.0.0.1:80")
            .with("server3", "127.0.0.1:81");
        let _log = setup.log();
        let outcome = setup.check();
        assert_eq!(outcome.stdout, "Configuration file is valid\n");
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    }
}

#[test]
fn l4_alternates_loses_a_server_and_takes_it_back() {
    let mut site = Site::start(L4);
    let two = |site: &Site| site.served("/", "web_servers/debian11-2", "debian11-2\n");
    let three = |site: &Site| site.served("/", "web_servers/debian11-3", "debian11-3\n");
    two(&site);
    three(&site);
    two(&site);
    three(&site);

    // The server is stopped. Until its check has seen that, its share of requests is refused,
    // tried three times more, one second apart, and then answered with 503.
    site.server3.kill();
    two(&site);
    let began = Instant::now();
    let (answer, line) = site.curl("/");
    let took = began.elapsed();
    assert_eq!(
        answer.head.lines().next(),
        Some("HTTP/1.0 503 Service Unavailable")
    );
    assert_eq!(answer.text(), PAGE_503);
    let bytes = flavour().bytes(221);
    let expected = format!(
        "web_proxy web_servers/debian11-3 T/T/-1/-1/T 503 {bytes} - - SC-- 1/1/0/0/3 0/0 \
         \"GET / HTTP/1.1\"",
    );
    assert_eq!(line.masked(), expected);
    let total = line.timers[4];
    assert!(
        (3000..8000).contains(&total),
        "three seconds of waiting: {:?}",
        line.timers
    );
    assert!(took >= Duration::from_secs(3), "{took:?}");

    // Its check has seen it: the other server has all requests to itself.
    site.down("web_servers/debian11-3", 1);
    for _ in 0..3 {
        two(&site);
    }

    // It is started again and comes back by itself.
    site.server3.revive();
    site.up("web_servers/debian11-3", 2);
    let served: Vec<String> = (0..4).map(|_| site.curl("/").1.server).collect();
    let both = ["web_servers/debian11-2", "web_servers/debian11-3"];
    assert_ne!(served[0], served[1], "{served:?}");
    assert!(
        served.iter().all(|server| both.contains(&server.as_str())),
        "{served:?}"
    );
    assert_eq!(served[..2], served[2..], "in turn");
    site.nothing_else();

    // `option forwardfor`: each server was told who asked.
    for request in site.server2.requests.rest() {
        assert_eq!(
            request.headers("x-forwarded-for"),
            ["127.0.0.1"],
            "{}",
            request.head
        );
    }
}

#[test]
fn l7_routes_by_path_and_answers_503_for_the_dead_application() {
    let mut site = Site::start(L7);
    let app1 = |site: &Site, path: &str, sent: &str| {
        site.served(path, "web_server01/debian11-2", "debian11-2\n");
        site.server2
            .requests
            .take(sent, |request| request.target() == sent);
    };
    let app2 = |site: &Site, path: &str, sent: &str| {
        site.served(path, "web_server02/debian11-2", "debian11-3\n");
        site.server3
            .requests
            .take(sent, |request| request.target() == sent);
    };
    // What each path became on the way (the log keeps the path as it was asked for).
    app1(&site, "/", "/");
    app1(&site, "/", "/");
    app1(&site, "/app1", "/");
    app1(&site, "/app1/", "/");
    app1(&site, "/app1/x", "/x");
    app1(&site, "/app1x", "/x");
    app1(&site, "/app1?y=1", "/?y=1");
    app1(&site, "/app1/?y=1", "/?y=1");
    app1(&site, "/app1/x?y=1", "/x?y=1");
    app1(&site, "/app1/app1/x", "/app1/x");
    app1(&site, "//app1/x", "/x");
    app1(&site, "/x/app1/y", "/y");
    app1(&site, "/app1//x", "//x");
    app1(&site, "/APP1/x", "/APP1/x");
    app1(&site, "/app1%2Fx", "/%2Fx");
    app1(&site, "/app1/../x", "/../x");
    app2(&site, "/app2", "/");
    app2(&site, "/app2/", "/");
    app2(&site, "/app2/x?a=/app2/b", "/x?a=/app2/b");

    // The only server of /app2 is stopped.
    site.server3.kill();
    site.down("web_server02/debian11-2", 0);
    if flavour() == Flavour::Oneloop {
        let version = site.proxy.message("haproxy version is ");
        assert_eq!(version.level, "NOTICE");
        assert_eq!(version.text, "haproxy version is 2.6.12-oneloop-0.1.0");
        let path = site.proxy.message("path to executable is ");
        assert_eq!(path.level, "NOTICE");
        assert_eq!(
            path.text,
            format!("path to executable is {}", support::binary().display())
        );
    }
    // `announced` looks for one beginning on both ways; this message differs by its quotes.
    let alert = site.proxy.message("backend 'web_server02'");
    assert_eq!(alert.level, "ALERT");
    assert_eq!(
        alert.text,
        "backend 'web_server02' has no server available!"
    );
    let text = "backend web_server02 has no server available!";
    let mut priorities = [site.log.message(text), site.log.message(text)].map(|r| r.priority);
    priorities.sort_unstable();
    assert_eq!(priorities, [128, 136], "local0.emerg and local1.emerg");
    assert!(
        site.proxy.stderr.rest().is_empty(),
        "{:?}",
        site.proxy.stderr.rest()
    );

    app1(&site, "/", "/");
    app1(&site, "/", "/");
    app1(&site, "/app1", "/");
    app1(&site, "/app1", "/");
    let (answer, line) = site.curl("/app2");
    assert_eq!(answer.text(), PAGE_503);
    let expected_head = "HTTP/1.0 503 Service Unavailable\r\ncache-control: no-cache\r\n\
                         content-type: text/html\r\n\r\n";
    assert_eq!(answer.lowered_head(), expected_head);
    let bytes = flavour().bytes(221);
    let expected = format!(
        "web_proxy web_server02/<NOSRV> T/-1/-1/-1/T 503 {bytes} - - SC-- 1/1/0/0/0 0/0 \
         \"GET /app2 HTTP/1.1\"",
    );
    assert_eq!(line.masked(), expected);
    assert!(line.timers[4] < 3000, "at once: {:?}", line.timers);
    site.nothing_else();
}

/// The stderr of the article's failure comes in the article's order.
#[test]
fn the_last_server_going_down_prints_warning_notices_alert() {
    let mut site = Site::start(L7);
    site.server3.kill();
    let count = if flavour() == Flavour::Oneloop { 4 } else { 2 };
    let levels = site.proxy.stderr.wait("all lines of the failure", |lines| {
        let messages: Vec<Message> = lines.iter().map(|l| Message::parse(l).unwrap()).collect();
        let levels: Vec<String> = messages.into_iter().map(|m| m.level).collect();
        (levels.len() >= count).then_some(levels)
    });
    match flavour() {
        Flavour::Oneloop => assert_eq!(levels, ["WARNING", "NOTICE", "NOTICE", "ALERT"]),
        Flavour::Oracle => assert_eq!(levels, ["WARNING", "ALERT"]),
    }
}

/// A background process started by a test; it is not a child of ours any more.
struct Daemon {
    pid: u32,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if fs::exists(format!("/proc/{}", self.pid)).unwrap() {
            signal(self.pid, "KILL");
        }
    }
}

/// The configuration says `daemon`: without `-db` the program goes to the background, changes its
/// root directory and its user, and serves and logs from there.
#[test]
fn daemon_chroot_user_and_group_are_applied() {
    let (server2, server3) = (Origin::nginx("debian11-2\n"), Origin::nginx("debian11-3\n"));
    let web = support::free_endpoint();
    let mut setup = article(L4)
        .with("server2", server2.addr)
        .with("server3", server3.addr)
        .with("web", web);
    let log = setup.log();
    let (config, _) = setup.write();
    let pid_file = setup.dir().join("proxy.pid");
    let args = [
        "-f",
        config.to_str().unwrap(),
        "-p",
        pid_file.to_str().unwrap(),
    ];
    let outcome = setup.run(&args);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    let pid = fs::read_to_string(&pid_file).unwrap();
    let pid: u32 = pid
        .strip_suffix('\n')
        .expect("a newline after the pid")
        .parse()
        .unwrap();
    let daemon = Daemon { pid };

    let answer = get(web, "/");
    assert_eq!(answer.status(), 200);
    let record = log
        .records
        .take("the request's record", |record| record.is_request());
    assert_eq!(record.pid, daemon.pid);
    let line = HttpLine::parse(&record);
    assert_eq!(
        (line.priority, line.status, line.bytes),
        (134, 200, flavour().bytes(214))
    );

    if is_root() {
        let root = fs::read_link(format!("/proc/{pid}/root")).unwrap();
        assert_eq!(root, setup.dir());
        let id = |file: &str| {
            let text = fs::read_to_string(file).unwrap();
            let name = if file.ends_with("passwd") {
                "nobody:"
            } else {
                "nogroup:"
            };
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split(':').nth(2).unwrap().to_string()
        };
        let (user, group) = (id("/etc/passwd"), id("/etc/group"));
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line[name.len()..]
                .split_whitespace()
                .map(str::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(field("Uid:"), vec![user; 4]);
        assert_eq!(field("Gid:"), vec![group; 4]);
        assert!(field("Groups:").is_empty(), "no supplementary groups");
        assert_eq!(field("CapEff:"), ["0000000000000000"]);
        let socket = fs::metadata(setup.dir().join("admin.sock")).unwrap();
        assert_eq!(
            socket.permissions().mode() & 0o777,
            0o660,
            "stats socket ... mode 660"
        );
    }

    // A connection that carries nothing is not logged, and SIGUSR1 ends the process softly.
    drop(Client::connect(web));
    signal(pid, "USR1");
    until("the daemon is gone", || {
        (!fs::exists(format!("/proc/{pid}")).unwrap()).then_some(())
    });
    let rest: Vec<_> = log
        .records
        .rest()
        .into_iter()
        .filter(|r| r.is_request())
        .collect();
    assert!(rest.is_empty(), "option dontlognull: {rest:#?}");
}
