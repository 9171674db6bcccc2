//! Every command of the runtime socket, on real sockets, answer by answer.
//!
//! `runtime.rs` shows what the commands do to traffic and logs; this file holds each
//! command's words, forms, levels and refusals. The expectations are HAProxy's: all but the help
//! texts and the refusals of what oneloop lacks hold for the oracle as well
//! (`ONELOOP_TEST_BIN=/usr/sbin/haproxy`).

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use crate::support::client::Client;
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{Flavour, PATIENCE, flavour, free_endpoint, until};

const CONFIG: &str = "\
global
    stats socket @dir@/admin.sock mode 600 level admin
    stats socket @dir@/operator.sock level operator
    stats socket @dir@/user.sock level user
    stats timeout 30s
    maxconn 500
    node n1
    description hello
    setenv RUNTIME_TEST yes
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend web
    bind @web@
    maxconn 100
    default_backend app
frontend off
    disabled
    bind @off@
backend app
    server s1 @s@ weight 10
    server s2 @s@ backup
    server s3 @s@ disabled
    server s4 @s@ check inter 1h port @port@ id 9
backend empty
listen tcp
    mode tcp
    bind @tcp@
    server t1 @s@
    server t2 unix@/nonexistent
";

/// The proxy and the origin behind it.
struct Site {
    proxy: Proxy,
    origin: Origin,
}

impl Site {
    fn start() -> Self {
        let origin = Origin::nginx("page\n");
        let setup = Setup::new(CONFIG)
            .with("s", origin.addr)
            .with("port", origin.addr.port())
            .with("off", free_endpoint());
        Self {
            proxy: setup.start(),
            origin,
        }
    }

    /// A connection to a socket, which may be made a moment after the listeners.
    fn connect(&self, socket: &str) -> UnixStream {
        let path = self.proxy.dir().join(socket);
        let stream = until("the socket answers", || UnixStream::connect(&path).ok());
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes to a socket, as they are, and reads to the end.
    fn raw(&self, socket: &str, bytes: &str) -> String {
        let mut stream = self.connect(socket);
        stream.write_all(bytes.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The answer to a line at the level admin.
    fn ask(&self, line: &str) -> String {
        self.raw("admin.sock", &format!("{line}\n"))
    }

    /// Checks each command's whole answer but for the empty line at its end.
    fn expect(&self, cases: &[(&str, &str)]) {
        for (command, answer) in cases {
            assert_eq!(self.ask(command), format!("{answer}\n"), "{command}");
        }
    }

    /// The cell of a row of `show stat`.
    fn cell(&self, proxy: &str, name: &str, column: &str) -> String {
        let stat = self.ask("show stat");
        let header = stat.lines().next().unwrap().strip_prefix("# ").unwrap();
        let at = header.split(',').position(|c| c == column).unwrap();
        let start = format!("{proxy},{name},");
        let row = stat.lines().find(|row| row.starts_with(&start)).unwrap();
        row.split(',').nth(at).unwrap().to_string()
    }

    /// The first two cells of the rows that a `show stat` gives.
    fn rows(&self, command: &str) -> Vec<String> {
        let stat = self.ask(command);
        let rows = stat.lines().skip(1).filter(|row| !row.is_empty());
        rows.map(|row| row.split(',').take(2).collect::<Vec<_>>().join("/"))
            .collect()
    }

    fn version(&self) -> String {
        match flavour() {
            Flavour::Oneloop => "2.6.12-oneloop-0.1.0".to_string(),
            Flavour::Oracle => self.ask("show version").trim().to_string(),
        }
    }
}

const USAGE: &str = "usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | \
                     agent-send | check-addr | check-port | fqdn | health | ssl | state | weight\n";

#[test]
fn help_and_unknown_commands() {
    let site = Site::start();
    let help = site.ask("help");
    let mut lines = help.lines();
    let title = "The following commands are valid at this level:";
    assert_eq!(lines.next(), Some(title));
    let usages: Vec<&str> = lines
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_once(": ").unwrap().0.trim())
        .collect();
    let (commands, always) = usages.split_at(usages.len() - 3);
    assert_eq!(always, ["help [<command>]", "prompt", "quit"]);
    assert!(commands.is_sorted(), "{commands:#?}");
    assert!(help.ends_with("\n\n"));

    let near = "Unknown command, but maybe one of the following ones is a better match:\n";
    for (command, title, wanted) in [
        (
            "help get weight",
            "The following",
            &["get weight <bk>/<srv>"][..],
        ),
        (
            "show servers",
            near,
            &[
                "show servers conn [<backend>]",
                "show servers state [<backend>]",
            ],
        ),
        ("show infos", near, &["show info [desc|json|typed|float]*"]),
        ("get", near, &["get weight <bk>/<srv>"]),
    ] {
        let answer = site.ask(command);
        assert!(answer.starts_with(title), "{command}: {answer}");
        for usage in wanted {
            assert!(answer.contains(&format!("\n  {usage:<40}: ")), "{answer}");
        }
        assert!(!answer.contains("\n  show stat"), "{command}: {answer}");
    }
    let all = "Unknown command. Please enter one of the following commands only:\n";
    assert!(site.ask("").starts_with(all));
    assert!(site.ask("show version;").contains(all));
}

#[test]
fn what_oneloop_lacks_is_refused_by_name() {
    if flavour() == Flavour::Oracle {
        return;
    }
    let site = Site::start();
    for (command, name) in [
        ("show table", "show table"),
        ("set table x <<\nshow version\n", "set table"),
        ("trace h1 sink", "trace"),
        ("experimental-mode on;set var proc.x int(1)", "set var"),
        ("set profiling tasks on", "set profiling tasks on"),
        ("show libs", "show libs"),
    ] {
        let answer = format!("'{name}' is not implemented by oneloop.\n\n");
        assert!(site.ask(command).ends_with(&answer), "{command}");
    }
}

#[test]
fn threads_tasks_and_what_is_measured() {
    let site = Site::start();
    site.expect(&[
        ("set profiling", "Expects either 'tasks' or 'memory'.\n"),
        ("set profiling x on", "Expects either 'tasks' or 'memory'.\n"),
        ("set profiling tasks", "Expects 'on', 'auto', or 'off'.\n"),
        ("set profiling tasks maybe", "Expects 'on', 'auto', or 'off'.\n"),
        ("set profiling tasks off", ""),
        ("set profiling memory on", "Memory profiling not compiled in.\n"),
        (
            "show profiling x",
            "Expects either 'all', 'status', 'tasks', 'memory', 'byaddr' or a max number of \
             output lines.\n",
        ),
        (
            "show profiling status",
            "Per-task CPU profiling              : off           # set profiling tasks {on|auto|off}\n\
             Memory usage profiling              : off           # set profiling memory {on|off}\n",
        ),
        ("show profiling memory", ""),
        ("show resolvers x", "Can't find that resolvers section\n"),
        ("get var", "Missing process-wide variable identifier.\n"),
        ("get var proc.nope", "Variable not found.\n"),
    ]);
    let threads = site.ask("show threads");
    assert!(threads.starts_with("* Thread 1 : "), "{threads}");
    assert!(threads.contains("\n      1/1    stuck=0 "), "{threads}");
    let tasks = site.ask("show tasks");
    let header = "  function                     places     %    lat_tot   lat_avg\n";
    assert!(
        tasks.starts_with("Running tasks: ") && tasks.contains(header),
        "{tasks}"
    );
}

#[test]
fn lines_words_and_payloads() {
    let site = Site::start();
    let weight = "10 (initial 10)\n\n";
    for (bytes, answer) in [
        ("get weight app/s1", String::new()),
        (" get \t weight  app/s1 \r\n", weight.to_string()),
        ("get weight app\\/s1 more words\n", weight.to_string()),
        ("get weight app/s1\nget weight app/s1\n", weight.repeat(2)),
        ("get weight app/s1;get weight app/s1\n", weight.repeat(2)),
        (
            "get weight app/s1;quit;get weight app/s1\n",
            weight.to_string(),
        ),
        ("quit\n", String::new()),
        // Lines of a payload are no commands, and without its end nothing runs.
        (
            "get weight app/s1 <<\ndisable server app/s1\n\n",
            weight.to_string(),
        ),
        (
            "get weight app/s1 <<\ndisable server app/s1\n",
            String::new(),
        ),
    ] {
        assert_eq!(site.raw("admin.sock", bytes), answer, "{bytes:?}");
    }
    assert_eq!(site.cell("app", "s1", "status"), "no check");
}

#[test]
fn prompt_and_quit() {
    let site = Site::start();
    let weight = "10 (initial 10)\n\n> ";
    for (bytes, answer) in [
        ("prompt\n", "\n> ".to_string()),
        ("prompt\nquit\n", "\n> ".to_string()),
        ("prompt\nprompt\n", "\n> \n".to_string()),
        ("prompt;get weight app/s1\n", format!("\n> {weight}")),
        (
            "prompt\nget weight app/s1;get weight app/s1\nget weight app/s1\n",
            format!("\n> {}", weight.repeat(3)),
        ),
        (
            "prompt\nget weight app/s1 <<\nx\n\nquit\n",
            format!("\n> + + {weight}"),
        ),
    ] {
        assert_eq!(site.raw("admin.sock", bytes), answer, "{bytes:?}");
    }
    // One at a time, the connection stays.
    let mut stream = site.connect("admin.sock");
    for (line, answer) in [("prompt\n", "\n> "), ("get weight app/s1\n", weight)] {
        stream.write_all(line.as_bytes()).unwrap();
        let mut bytes = vec![0; answer.len()];
        stream.read_exact(&mut bytes).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), answer);
    }
}

#[test]
fn show_info_in_every_form() {
    let site = Site::start();
    let version = site.version();
    let plain = site.ask("show info");
    for line in [
        "Name: HAProxy".to_string(),
        format!("Version: {version}"),
        "Nbthread: 1".to_string(),
        format!("Pid: {}", site.proxy.pid()),
        "Maxconn: 500".to_string(),
        "CurrConns: 0".to_string(),
        "node: n1".to_string(),
        "description: hello".to_string(),
        "Listeners: 5".to_string(),
        "Tainted: 0".to_string(),
    ] {
        assert!(plain.contains(&format!("{line}\n")), "{line}: {plain}");
    }
    let uptime = plain
        .lines()
        .find(|line| line.starts_with("Uptime:"))
        .unwrap();
    assert!(uptime.starts_with("Uptime: 0d 0h00m"), "{uptime}");
    let typed = site.ask("show info typed");
    for line in [
        "0.Name.1:POS:str:HAProxy".to_string(),
        format!("1.Version.1:POS:str:{version}"),
        "15.Maxconn.1:CLP:u32:500".to_string(),
        "50.node.1:COS:str:n1".to_string(),
        "51.description.1:COS:str:hello".to_string(),
        "61.TotalBytesOut.1:MGP:u64:".to_string(),
        "71.Tainted.1:SGP:str:0".to_string(),
    ] {
        assert!(typed.contains(&line), "{line}: {typed}");
    }
    assert_eq!(typed.lines().count(), plain.lines().count());
    let json = site.ask("show info json");
    let first = "[{\"field\":{\"pos\":0,\"name\":\"Name\"},\"processNum\":1,\"tags\":{\"origin\":\
                 \"Product\",\"nature\":\"Output\",\"scope\":\"Service\"},\"value\":{\"type\":\
                 \"str\",\"value\":\"HAProxy\"}},{";
    assert!(json.starts_with(first), "{json}");
    assert!(
        json.ends_with("\"value\":{\"type\":\"str\",\"value\":\"0\"}}]\n\n"),
        "{json}"
    );
    let described = site.ask("show info desc");
    assert!(described.starts_with("Name: HAProxy:\""), "{described}");
    let described = site.ask("show info typed desc");
    assert!(
        described.starts_with("0.Name.1:POS:str:HAProxy:\""),
        "{described}"
    );
    let float = site.ask("show info float typed");
    let line = float.lines().find(|line| line.starts_with("8."));
    let number = line.and_then(|line| line.strip_prefix("8.Uptime_sec.1:MDP:flt:"));
    let seconds: f64 = number.unwrap().parse().unwrap();
    assert!((0.0..60.0).contains(&seconds), "{line:?}");
}

#[test]
fn show_stat_rows_and_filters() {
    let site = Site::start();
    let all = [
        "web/FRONTEND",
        "app/s1",
        "app/s2",
        "app/s3",
        "app/s4",
        "app/BACKEND",
        "empty/BACKEND",
        "tcp/FRONTEND",
        "tcp/t1",
        "tcp/t2",
        "tcp/BACKEND",
    ];
    let without = |left_out: &[&str]| -> Vec<&str> {
        let mut rows = all.to_vec();
        rows.retain(|row| !left_out.contains(row));
        rows
    };
    let only = |kept: &str| -> Vec<&str> {
        let mut rows = all.to_vec();
        rows.retain(|row| row.ends_with(kept));
        rows
    };
    let iid = site.cell("app", "BACKEND", "iid");
    for (arguments, rows) in [
        ("".to_string(), all.to_vec()),
        ("nonsense".to_string(), all.to_vec()),
        ("no-maint".to_string(), without(&["app/s3"])),
        ("up".to_string(), without(&["app/s3"])),
        ("-1 1 -1".to_string(), only("FRONTEND")),
        ("-1 2 -1".to_string(), only("BACKEND")),
        ("app 2 -1".to_string(), vec!["app/BACKEND"]),
        ("app 4 2".to_string(), vec!["app/s2"]),
        ("app 4 9".to_string(), vec!["app/s4"]),
        (format!("{iid} 4 1"), vec!["app/s1"]),
        (
            "app 4 -1 no-maint".to_string(),
            vec!["app/s1", "app/s2", "app/s4"],
        ),
        ("99 7 -1".to_string(), vec![]),
        ("off 7 -1".to_string(), vec![]),
    ] {
        assert_eq!(
            site.rows(&format!("show stat {arguments}")),
            rows,
            "{arguments}"
        );
    }
    site.expect(&[("show stat nope 7 -1", "No such proxy.\n")]);
    let address = site.origin.addr.to_string();
    for (proxy, name, column, value) in [
        ("web", "FRONTEND", "slim", "100"),
        ("tcp", "FRONTEND", "slim", "500"),
        ("app", "BACKEND", "slim", "10"),
        ("empty", "BACKEND", "slim", "1"),
        ("empty", "BACKEND", "status", "UP"),
        ("empty", "BACKEND", "downtime", ""),
        ("app", "BACKEND", "downtime", "0"),
        ("app", "BACKEND", "weight", "11"),
        ("app", "BACKEND", "act", "2"),
        ("app", "BACKEND", "bck", "1"),
        ("app", "BACKEND", "algo", "roundrobin"),
        ("app", "s1", "weight", "10"),
        ("app", "s1", "addr", &address),
        ("app", "s1", "chkfail", ""),
        ("app", "s1", "lastsess", "-1"),
        ("app", "s2", "bck", "1"),
        ("app", "s3", "status", "MAINT"),
        ("app", "s4", "sid", "9"),
        ("app", "s4", "check_rise", "2"),
        ("tcp", "t1", "hrsp_2xx", ""),
        ("tcp", "t2", "addr", "unix"),
        ("tcp", "FRONTEND", "mode", "tcp"),
        ("tcp", "FRONTEND", "intercepted", ""),
    ] {
        assert_eq!(
            site.cell(proxy, name, column),
            value,
            "{proxy}/{name} {column}"
        );
    }
    let by_user = site.raw("user.sock", "show stat app 4 1\n");
    assert!(!by_user.contains(&address), "{by_user}");
}

#[test]
fn show_stat_typed_and_json() {
    let site = Site::start();
    let iid = site.cell("app", "BACKEND", "iid");
    let typed = site.ask("show stat app 6 1 typed");
    for line in [
        format!("S.{iid}.1.0.pxname.1:KNS:str:app"),
        format!("S.{iid}.1.1.svname.1:KNS:str:s1"),
        format!("S.{iid}.1.19.act.1:SGP:u32:1"),
        format!("S.{iid}.1.55.lastsess.1:MAP:s32:-1"),
        format!("S.{iid}.1.103.ssl_sess.1:MCP:u64:0"),
        format!("B.{iid}.0.19.act.1:MGP:u32:2"),
        format!("B.{iid}.0.126.h1_spliced_bytes_out.1:MCP:u64:0"),
    ] {
        assert!(typed.lines().any(|l| l == line), "{line}: {typed}");
    }
    let described = site.ask("show stat app 4 1 typed desc");
    let first = format!("S.{iid}.1.0.pxname.1:KNS:str:app:\"");
    assert!(described.starts_with(&first), "{described}");
    let json = site.ask("show stat app 4 1 json");
    let first = format!(
        "[[{{\"objType\":\"Server\",\"proxyId\":{iid},\"id\":1,\"field\":{{\"pos\":0,\"name\":\
         \"pxname\"}},\"processNum\":1,\"tags\":{{\"origin\":\"Key\",\"nature\":\"Name\",\"scope\":\
         \"Service\"}},\"value\":{{\"type\":\"str\",\"value\":\"app\"}}}},"
    );
    assert!(json.starts_with(&first), "{json}");
    assert!(json.ends_with("}}]]\n\n"), "{json}");
}

#[test]
fn show_servers_state_conn_and_backends() {
    let site = Site::start();
    let iid = site.cell("app", "BACKEND", "iid");
    let tcp = site.cell("tcp", "BACKEND", "iid");
    let (ip, port) = (site.origin.addr.ip(), site.origin.addr.port());
    let state = site.ask("show servers state");
    let rows: Vec<Vec<&str>> = state
        .lines()
        .skip(2)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let mut fields: Vec<&str> = line.split(' ').collect();
            // Time since the last change, and how far the first check is.
            fields[9] = "T";
            if fields[3] == "s4" {
                fields.splice(10..14, ["C"; 4]);
            }
            fields
        })
        .collect();
    let expected = [
        format!("{iid} app 1 s1 {ip} 2 0 10 10 T 1 0 2 0 0 0 0 - {port} - 0 0 - - 0"),
        format!("{iid} app 2 s2 {ip} 2 0 1 1 T 1 0 2 0 0 0 0 - {port} - 0 0 - - 0"),
        format!("{iid} app 3 s3 {ip} 0 5 1 1 T 1 0 0 8 0 0 0 - {port} - 0 0 - - 0"),
        format!("{iid} app 9 s4 {ip} 2 0 1 1 T C C C C 0 0 1 - {port} - 0 {port} - - {port}"),
        format!("{tcp} tcp 1 t1 {ip} 2 0 1 1 T 1 0 2 0 0 0 0 - {port} - 0 0 - - 0"),
        format!("{tcp} tcp 2 t2 - 2 0 1 1 T 1 0 2 0 0 0 0 - 0 - 0 0 - - 0"),
    ];
    let rows: Vec<String> = rows.iter().map(|fields| fields.join(" ")).collect();
    assert_eq!(rows, expected);

    let conn = site.ask("show servers conn tcp");
    let header = "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est \
                  unsafe_nb safe_nb idle_lim idle_cur idle_per_thr[1]\n";
    let t1 = format!("tcp/t1 {tcp}/1 {ip} {port} - 5000 0 0 0 0 0 -1 0 0\n");
    let t2 = format!("tcp/t2 {tcp}/2 - 0 - 5000 0 0 0 0 0 -1 0 0\n");
    assert_eq!(conn, format!("{header}{t1}{t2}\n"));

    let mut none = site.ask("show servers state empty");
    assert_eq!(
        none.split_off(2).lines().count(),
        2,
        "header and empty line"
    );
    site.expect(&[
        ("show servers state nope", "Can't find backend.\n"),
        ("show servers state web", "Can't find backend.\n"),
        ("show servers conn nope", "Can't find backend.\n"),
        ("show backend", "# name\napp\nempty\ntcp\n"),
    ]);
}

#[test]
fn small_things_shown() {
    let site = Site::start();
    let version = format!("{}\n", site.version());
    let dir = site.proxy.dir().to_str().unwrap().to_string();
    let sockets = format!(
        "# socket lvl processes\nunix@{dir}/admin.sock admin all\n\
         unix@{dir}/operator.sock operator all\nunix@{dir}/user.sock user all\n"
    );
    site.expect(&[
        ("show version", &version),
        ("show cli level", "admin\n"),
        ("show cli sockets", &sockets),
        ("show env RUNTIME_TEST", "RUNTIME_TEST=yes\n"),
        ("show env NO_SUCH_THING", "Variable not found\n"),
        ("show errors nope", "No such proxy.\n"),
    ]);
    assert!(site.ask("show env").contains("\nRUNTIME_TEST=yes\n"));
    for command in ["show errors", "show errors web", "show errors app response"] {
        let errors = site.ask(command);
        assert!(errors.starts_with("Total events captured on ["), "{errors}");
        assert!(errors.ends_with("] : 0\n\n"), "{errors}");
    }
}

#[test]
fn server_commands_and_their_refusals() {
    let site = Site::start();
    let state = "'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n";
    let health = "'set server <srv> health' expects 'up', 'stopping', or 'down'.\n";
    site.expect(&[
        ("set server", "Require 'backend/server'.\n"),
        ("set server app", "Require 'backend/server'.\n"),
        ("set server app/s1", USAGE),
        ("set server app/s1 nonsense", USAGE),
        ("set server app/nope state maint", "No such server.\n"),
        ("set server nope/s1 state maint", "No such backend.\n"),
        ("set server web/s1 state maint", "No such backend.\n"),
        ("set server app/s1 state", state),
        ("set server app/s1 state up", state),
        ("set server app/s1 health", health),
        ("set server app/s1 health ready", health),
        (
            "set server app/s1 agent up",
            "agent checks are not enabled on this server.\n",
        ),
        ("disable server", "Require 'backend/server'.\n"),
        ("disable server app/nope", "No such server.\n"),
        ("enable server nope/s1", "No such backend.\n"),
        ("get weight", "Require 'backend/server'.\n"),
        ("get weight app/nope", "No such server.\n"),
        ("set weight", "Require 'backend/server'.\n"),
    ]);
    for (command, status) in [
        ("set server app/s1 state drain", "DRAIN"),
        ("set server app/s1 state maint", "MAINT"),
        ("set server app/s1 state ready", "no check"),
        ("disable server app/s1", "MAINT"),
        ("disable server app/s1", "MAINT"),
        ("enable server app/s1", "no check"),
        ("set server app/s1 health down", "DOWN"),
        ("set server app/s1 health stopping", "NOLB"),
        ("set server app/s1 health up", "no check"),
    ] {
        assert_eq!(site.ask(command), "\n", "{command}");
        assert_eq!(site.cell("app", "s1", "status"), status, "{command}");
    }
    assert_eq!(site.ask("enable server app/s3"), "\n");
    let state = site.ask("show servers state app");
    let s3 = state.lines().find(|line| line.contains(" s3 ")).unwrap();
    let admin = s3.split(' ').nth(6).unwrap();
    assert_eq!(admin, "4", "the mark of the configuration stays");
}

#[test]
fn weights() {
    let site = Site::start();
    let absolute = "Absolute weight can only be between 0 and 256 inclusive.\n";
    let require = "Require <weight> or <weight%>.\n";
    // Two refusals come without the empty line.
    let garbage = "Empty weight string empty or preceded by garbage";
    let trailing = "Trailing garbage in weight string";
    site.expect(&[
        ("get weight app/s1", "10 (initial 10)\n"),
        (
            "set server app/s1 weight 25%;get weight app/s1",
            "\n2 (initial 10)\n",
        ),
        (
            "set weight app/s1 250%;get weight app/s1",
            "\n25 (initial 10)\n",
        ),
        (
            "set weight app/s1 7;get weight app/s1",
            "\n7 (initial 10)\n",
        ),
        (
            "set weight app/s1 9999%;get weight app/s1",
            "\n256 (initial 10)\n",
        ),
        ("set server app/s1 weight", require),
        ("set weight app/s1", require),
        ("set server app/s1 weight 257", absolute),
        ("set server app/s1 weight -1", absolute),
        (
            "set server app/s1 weight -1%",
            "Relative weight must be positive.\n",
        ),
        ("set server app/s1 weight abc", garbage),
        ("set server app/s1 weight 1x", trailing),
        ("set server app/s1 weight 1%x", trailing),
        ("get weight app/s1", "256 (initial 10)\n"),
    ]);
}

#[test]
fn clear_counters() {
    let site = Site::start();
    for n in 0..3 {
        let mut client = Client::connect(site.proxy.addr("web"));
        assert_eq!(
            client
                .ask(&format!("GET /{n} HTTP/1.1\r\nHost: h\r\n\r\n"))
                .status(),
            200
        );
    }
    until("all three were counted", || {
        (site.cell("web", "FRONTEND", "hrsp_2xx") == "3").then_some(())
    });
    assert_eq!(site.cell("app", "s1", "smax"), "1");
    assert_eq!(site.ask("clear counters"), "\n");
    for (proxy, name, column, value) in [
        ("web", "FRONTEND", "smax", "0"),
        ("web", "FRONTEND", "rate_max", "0"),
        ("web", "FRONTEND", "req_tot", "3"),
        ("app", "s1", "smax", "0"),
        ("app", "s1", "lbtot", "3"),
    ] {
        assert_eq!(
            site.cell(proxy, name, column),
            value,
            "{proxy}/{name} {column}"
        );
    }
    assert!(site.ask("show info").contains("\nMaxConnRate: 0\n"));
    assert_eq!(site.raw("operator.sock", "clear counters\n"), "\n");
    let denied = site.raw("operator.sock", "clear counters all\n");
    assert_eq!(denied, "Permission denied\n\n");
    assert_eq!(site.cell("web", "FRONTEND", "req_tot"), "3");
    assert_eq!(site.ask("clear counters all"), "\n");
    for column in ["stot", "bin", "bout", "hrsp_2xx", "req_tot", "conn_tot"] {
        assert_eq!(site.cell("web", "FRONTEND", column), "0", "{column}");
    }
    assert_eq!(site.cell("app", "s1", "lbtot"), "0");
}

#[test]
fn disable_and_enable_frontend() {
    let site = Site::start();
    let shut = "Frontend was previously shut down, cannot";
    site.expect(&[
        ("disable frontend", "A frontend name is expected.\n"),
        ("enable frontend", "A frontend name is expected.\n"),
        ("disable frontend app", "No such frontend.\n"),
        ("disable frontend off", &format!("{shut} disable.\n")),
        ("enable frontend off", &format!("{shut} enable.\n")),
        ("enable frontend web", "All sockets are already enabled.\n"),
        ("disable frontend web", ""),
        (
            "disable frontend web",
            "All sockets are already disabled.\n",
        ),
    ]);
    assert_eq!(site.cell("web", "FRONTEND", "status"), "PAUSED");
    let paused = site.proxy.message("Paused frontend web.");
    assert_eq!(paused.level, "WARNING");
    assert_eq!(site.ask("enable frontend web"), "\n");
    assert_eq!(site.cell("web", "FRONTEND", "status"), "OPEN");
    site.proxy.message("Resumed frontend web.");
    let mut client = Client::connect(site.proxy.addr("web"));
    let answer = client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(answer.status(), 200);
}

#[test]
fn levels_go_down_only() {
    let site = Site::start();
    for (command, answer) in [
        ("user;show cli level", "\nuser\n\n"),
        (
            "user;operator;show cli level",
            "\nPermission denied\n\nuser\n\n",
        ),
        ("operator;show cli level", "\noperator\n\n"),
        ("operator;user;get weight app/s1", "\n\n10 (initial 10)\n\n"),
        ("operator;disable server app/s1", "\nPermission denied\n\n"),
        ("operator;show env RUNTIME_TEST", "\nRUNTIME_TEST=yes\n\n"),
        ("user;show env RUNTIME_TEST", "\nPermission denied\n\n"),
        ("user;show errors", "\nPermission denied\n\n"),
        ("user;clear counters", "\nPermission denied\n\n"),
        ("user;set weight app/s1 3", "\nPermission denied\n\n"),
        ("user;disable frontend web", "\nPermission denied\n\n"),
        ("user;set server", "\nPermission denied\n\n"),
    ] {
        assert_eq!(site.ask(command), answer, "{command}");
    }
    assert_eq!(
        site.raw("operator.sock", "show cli level\n"),
        "operator\n\n"
    );
    assert_eq!(site.raw("user.sock", "show cli level\n"), "user\n\n");
    assert_eq!(
        site.ask("show cli level"),
        "admin\n\n",
        "another's choice is its own"
    );
}

#[test]
fn set_severity_output() {
    let site = Site::start();
    let required = "one of 'none', 'number', 'string' is a required argument\n";
    site.expect(&[
        ("set severity-output", required),
        ("set severity-output loud", required),
        (
            "set severity-output number;show cli level",
            "\n[6]: admin\n",
        ),
        (
            "set severity-output string;show cli level",
            "\n[info]: admin\n",
        ),
        (
            "set severity-output string;get weight nope/s",
            "\n[err]: No such backend.\n",
        ),
        (
            "set severity-output number;get weight app/s1",
            "\n10 (initial 10)\n",
        ),
        (
            "set severity-output number;enable frontend web",
            "\n[5]: All sockets are already enabled.\n",
        ),
        (
            "set severity-output number;user;set weight app/s1 3",
            "\n\n[3]: Permission denied\n",
        ),
        (
            "set severity-output string;set severity-output none;show cli level",
            "\n\nadmin\n",
        ),
    ]);
}

#[test]
fn set_timeout_cli() {
    let site = Site::start();
    let only = "'set timeout' only supports 'cli'.\n";
    site.expect(&[
        ("set timeout", only),
        ("set timeout client 5s", only),
        ("set timeout cli", "Expects an integer value.\n"),
        ("set timeout cli abc", "Invalid timeout value.\n"),
        ("set timeout cli 1h", ""),
    ]);
    // The connection ends by itself, though `stats timeout` is long.
    let mut stream = site.connect("admin.sock");
    stream.write_all(b"prompt;set timeout cli 100ms\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("\n> \n> "), "{answer:?}");
}
