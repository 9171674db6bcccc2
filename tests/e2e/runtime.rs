//! The runtime socket: commands, their answers to the byte, levels, several commands on a line.

use std::io::{Read, Write};

use crate::support::{Flavour, flavour};
use crate::{OK, Rig, answering, common};

/// Two servers in a backend, and the sockets of all three levels.
fn site() -> Rig {
    let config = common(
        "frontend web_proxy\n bind @fe@\n default_backend web\n\
         backend web\n balance roundrobin\n server s1 @s@ weight 1\n server s2 @s@ weight 1\n",
    )
    .replace(
        "defaults\n",
        "    stats socket @dir@/user.sock level user\n\
         \x20   stats socket @dir@/operator.sock level operator\n\
         defaults\n",
    );
    Rig::of(answering(OK), &config)
}

/// The version that tools read.
fn version(rig: &Rig) -> String {
    let info = rig.proxy.command("show info");
    let line = info
        .lines()
        .find(|line| line.starts_with("Version: "))
        .unwrap();
    line["Version: ".len()..].to_string()
}

/// The value of one column of a server's row.
fn column(rig: &Rig, server: &str, name: &str) -> String {
    let stat = rig.proxy.command("show stat");
    let header = stat.lines().next().unwrap().strip_prefix("# ").unwrap();
    let at = header.split(',').position(|column| column == name).unwrap();
    let row = stat.lines().find(|line| line.starts_with(server)).unwrap();
    row.split(',').nth(at).unwrap().to_string()
}

/// Sends raw bytes to a socket of the test's directory, ends, and reads the whole answer.
fn raw(rig: &Rig, socket: &str, bytes: &str) -> String {
    let mut stream = rig.proxy.runtime(socket);
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn show_info_has_haproxys_keys_in_order() {
    let rig = site();
    let info = rig.proxy.command("show info");
    let keys: Vec<&str> = info
        .trim_end()
        .lines()
        .map(|line| line.split_once(':').unwrap().0)
        .collect();
    let expected = "Name Version Release_date Nbthread Nbproc Process_num Pid Uptime Uptime_sec \
         Memmax_MB PoolAlloc_MB PoolUsed_MB PoolFailed Ulimit-n Maxsock Maxconn Hard_maxconn \
         CurrConns CumConns CumReq MaxSslConns CurrSslConns CumSslConns Maxpipes PipesUsed \
         PipesFree ConnRate ConnRateLimit MaxConnRate SessRate SessRateLimit MaxSessRate SslRate \
         SslRateLimit MaxSslRate SslFrontendKeyRate SslFrontendMaxKeyRate \
         SslFrontendSessionReuse_pct SslBackendKeyRate SslBackendMaxKeyRate SslCacheLookups \
         SslCacheMisses CompressBpsIn CompressBpsOut CompressBpsRateLim Tasks Run_queue Idle_pct \
         node Stopping Jobs Unstoppable#Jobs Listeners ActivePeers ConnectedPeers DroppedLogs \
         BusyPolling FailedResolutions TotalBytesOut TotalSplicdedBytesOut BytesOutRate \
         DebugCommandsIssued CumRecvLogs Build#info Memmax_bytes PoolAlloc_bytes PoolUsed_bytes \
         Start_time_sec Tainted";
    let expected: Vec<String> = expected
        .split_whitespace()
        .map(|key| key.replace('#', " "))
        .collect();
    assert_eq!(keys, expected);
    let value = |key: &str| {
        let line = info
            .lines()
            .find(|line| line.starts_with(&format!("{key}: ")))
            .unwrap();
        line[key.len() + 2..].to_string()
    };
    assert_eq!(value("Name"), "HAProxy");
    assert_eq!(
        (value("Nbthread"), value("Nbproc")),
        ("1".into(), "1".into())
    );
    assert_eq!(value("Pid"), rig.proxy.pid().to_string());
    assert_eq!(value("Stopping"), "0");
    assert!(info.ends_with("\n\n"), "an empty line ends the answer");
    match flavour() {
        Flavour::Oneloop => assert_eq!(value("Version"), "2.6.12-oneloop-0.1.0"),
        Flavour::Oracle => assert!(value("Version").starts_with("2.6.")),
    }
}

#[test]
fn show_stat_has_haproxys_columns_and_counts() {
    let rig = site();
    for n in 0..4 {
        rig.ask(&format!("GET /{n} HTTP/1.1\r\nHost: h"));
    }
    let stat = rig.proxy.command("show stat");
    let header = stat.lines().next().unwrap();
    let start = "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,\
         wretr,wredis,status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,\
         throttle,lbtot,tracked,type,rate,rate_lim,rate_max,check_status,check_code,check_duration,\
         hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,req_rate,req_rate_max,\
         req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt,\
         qtime,ctime,rtime,ttime,agent_status,agent_code,agent_duration,check_desc,agent_desc,\
         check_rise,check_fall,check_health,agent_rise,agent_fall,agent_health,addr,cookie,mode,algo,\
         conn_rate,conn_rate_max,conn_tot,intercepted,dcon,dses,wrew,connect,reuse,cache_lookups,\
         cache_hits,srv_icur,src_ilim,qtime_max,ctime_max,rtime_max,ttime_max,eint,idle_conn_cur,\
         safe_conn_cur,used_conn_cur,need_conn_est,uweight,agg_server_status,\
         agg_server_check_status,agg_check_status,-,";
    assert!(header.starts_with(start), "{header}");
    let names: Vec<String> = stat
        .trim_end()
        .lines()
        .skip(1)
        .map(|row| {
            assert!(row.ends_with(','), "rows end with a comma: {row}");
            assert_eq!(row.split(',').count(), header.split(',').count(), "{row}");
            row.split(',').take(2).collect::<Vec<_>>().join("/")
        })
        .collect();
    assert_eq!(
        names,
        ["web_proxy/FRONTEND", "web/s1", "web/s2", "web/BACKEND"]
    );
    for (row, name, value) in [
        ("web_proxy,FRONTEND", "stot", "4"),
        ("web_proxy,FRONTEND", "req_tot", "4"),
        ("web_proxy,FRONTEND", "hrsp_2xx", "4"),
        ("web_proxy,FRONTEND", "status", "OPEN"),
        ("web_proxy,FRONTEND", "type", "0"),
        ("web,s1", "stot", "2"),
        ("web,s2", "lbtot", "2"),
        ("web,s1", "status", "no check"),
        ("web,s1", "type", "2"),
        ("web,BACKEND", "hrsp_2xx", "4"),
        ("web,BACKEND", "status", "UP"),
        ("web,BACKEND", "act", "2"),
        ("web,BACKEND", "type", "1"),
    ] {
        assert_eq!(column(&rig, row, name), value, "{row} {name}");
    }
}

#[test]
fn show_servers_state_has_a_row_for_each_server() {
    let rig = site();
    let state = rig.proxy.command("show servers state web");
    let lines: Vec<&str> = state.lines().collect();
    assert_eq!(lines[0], "1");
    let header = "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state \
                  srv_uweight srv_iweight srv_time_since_last_change srv_check_status \
                  srv_check_result srv_check_health srv_check_state srv_agent_state \
                  bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl \
                  srv_check_port srv_check_addr srv_agent_addr srv_agent_port";
    assert_eq!(lines[1], header);
    for (line, id) in [(lines[2], 1), (lines[3], 2)] {
        let fields: Vec<&str> = line.split(' ').collect();
        let addr = rig.origin.addr;
        assert_eq!(fields[1], "web");
        assert_eq!(
            fields[2..5],
            [id.to_string(), format!("s{id}"), addr.ip().to_string()]
        );
        assert_eq!(
            fields[5..9],
            ["2", "0", "1", "1"],
            "running, no administrator, weights"
        );
        assert_eq!(fields[18], addr.port().to_string());
        assert_eq!(fields.len(), 25);
    }
    assert_eq!(lines.len(), 5, "and the empty line");
    assert_eq!(
        rig.proxy.command("show servers state nope"),
        "Can't find backend.\n\n"
    );
}

/// Asks `count` times and gives the names of the servers that were used.
fn served_by(rig: &Rig, count: usize) -> Vec<String> {
    (0..count)
        .map(|n| rig.get(&format!("/{n}")).1.server)
        .collect()
}

#[test]
fn a_server_in_maintenance_gets_nothing_until_it_is_ready() {
    let rig = site();
    assert_eq!(rig.proxy.command("set server web/s1 state maint"), "\n");
    let down = "Server web/s1 is going DOWN for maintenance. 1 active and 0 backup servers left. \
                0 sessions active, 0 requeued, 0 remaining in queue.";
    let record = rig.log.message("Server web/s1 ");
    assert_eq!((record.priority, record.text.as_str()), (129, down));
    assert_eq!(rig.proxy.message("Server web/s1 ").text, down);
    assert_eq!(column(&rig, "web,s1", "status"), "MAINT");
    assert_eq!(served_by(&rig, 3), ["web/s2"; 3]);
    assert_eq!(rig.proxy.command("set server web/s1 state ready"), "\n");
    let record = rig.log.message("Server web/s1 ");
    let up = "Server web/s1 is UP/READY (leaving forced maintenance).";
    assert_eq!((record.priority, record.text.as_str()), (133, up));
    assert!(served_by(&rig, 2).contains(&"web/s1".to_string()));
}

#[test]
fn disable_and_enable_server_are_the_same_in_other_words() {
    let rig = site();
    assert_eq!(rig.proxy.command("disable server web/s2"), "\n");
    assert_eq!(served_by(&rig, 3), ["web/s1"; 3]);
    assert_eq!(column(&rig, "web,s2", "status"), "MAINT");
    assert_eq!(rig.proxy.command("enable server web/s2"), "\n");
    assert!(served_by(&rig, 2).contains(&"web/s2".to_string()));
}

#[test]
fn a_draining_server_gets_nothing_new() {
    let rig = site();
    assert_eq!(rig.proxy.command("set server web/s1 state drain"), "\n");
    let text = "Server web/s1 enters drain state. 1 active and 0 backup servers online. \
                0 sessions requeued, 0 total in queue.";
    assert_eq!(rig.log.message("Server web/s1 ").text, text);
    assert_eq!(served_by(&rig, 3), ["web/s2"; 3]);
    assert_eq!(rig.proxy.command("set server web/s1 state ready"), "\n");
    assert_eq!(
        rig.log.message("Server web/s1 ").text,
        "Server web/s1 is UP (leaving forced drain)."
    );
    assert!(served_by(&rig, 2).contains(&"web/s1".to_string()));
}

#[test]
fn the_last_server_going_leaves_nobody() {
    let rig = site();
    rig.proxy
        .command("disable server web/s1; disable server web/s2");
    assert_eq!(
        rig.log.message("backend web ").text,
        "backend web has no server available!"
    );
    assert_eq!(rig.proxy.message("backend 'web'").level, "ALERT");
    let (answer, line) = rig.get("/");
    assert_eq!(
        (answer.status(), line.server.as_str()),
        (503, "web/<NOSRV>")
    );
}

#[test]
fn weights_are_set_and_told() {
    let rig = site();
    assert_eq!(rig.proxy.command("set server web/s1 weight 3"), "\n");
    assert_eq!(rig.proxy.command("get weight web/s1"), "3 (initial 1)\n\n");
    let served = served_by(&rig, 8);
    assert_eq!(
        served.iter().filter(|server| *server == "web/s1").count(),
        6,
        "{served:?}"
    );
    assert_eq!(rig.proxy.command("set server web/s1 weight 100%"), "\n");
    assert_eq!(rig.proxy.command("get weight web/s1"), "1 (initial 1)\n\n");
    assert_eq!(rig.proxy.command("set server web/s1 weight 0"), "\n");
    assert_eq!(served_by(&rig, 3), ["web/s2"; 3]);
    assert_eq!(
        rig.proxy.command("set server web/s1 weight 300"),
        "Absolute weight can only be between 0 and 256 inclusive.\n\n"
    );
}

#[test]
fn errors_are_told_in_haproxys_words() {
    let rig = site();
    for (command, answer) in [
        (
            "set server web/s1 state foo",
            "'set server <srv> state' expects 'ready', 'drain' and 'maint'.",
        ),
        ("set server web/nope state maint", "No such server."),
        ("set server nope/s1 state maint", "No such backend."),
        ("disable server nope", "Require 'backend/server'."),
        ("disable server nope/s1", "No such backend."),
        ("enable server web/nope", "No such server."),
    ] {
        assert_eq!(
            rig.proxy.command(command),
            format!("{answer}\n\n"),
            "{command}"
        );
    }
    let answer = rig.proxy.command("set server web/s1");
    assert!(
        answer.starts_with("usage: set server <backend>/<server> "),
        "{answer}"
    );
    let answer = rig.proxy.command("foo");
    assert!(answer.starts_with("Unknown command"), "{answer}");
}

#[test]
fn help_lists_the_commands_of_the_level() {
    let rig = site();
    let help = rig.proxy.command("help");
    assert!(
        help.starts_with("The following commands are valid at this level:\n"),
        "{help}"
    );
    for command in [
        "show info",
        "show stat",
        "show servers state",
        "disable server",
        "set server",
    ] {
        assert!(
            help.contains(&format!("\n  {command}")),
            "{command}: {help}"
        );
    }
    for command in ["help [<command>]", "prompt", "quit"] {
        assert!(
            help.contains(&format!("\n  {command}")),
            "{command}: {help}"
        );
    }
    let help = rig.proxy.command("help set server");
    assert!(help.contains("\n  set server "), "{help}");
    assert!(!help.contains("\n  show info"), "{help}");
}

#[test]
fn several_commands_on_a_line_are_answered_in_order() {
    let rig = site();
    let answer = rig
        .proxy
        .command("get weight web/s1;set server web/s1 weight 5;get weight web/s1");
    assert_eq!(answer, "1 (initial 1)\n\n\n5 (initial 1)\n\n");
}

#[test]
fn a_command_needs_its_newline() {
    let rig = site();
    let mut stream = rig.proxy.runtime("admin.sock");
    stream.write_all(b"show info").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "");
}

#[test]
fn the_prompt_keeps_the_connection() {
    let rig = site();
    let answer = raw(
        &rig,
        "admin.sock",
        "prompt\nget weight web/s1\nget weight web/s2\nquit\n",
    );
    assert_eq!(answer, "\n> 1 (initial 1)\n\n> 1 (initial 1)\n\n> ");
}

#[test]
fn without_the_prompt_the_connection_ends_after_the_answer() {
    let rig = site();
    assert_eq!(
        raw(&rig, "admin.sock", "get weight web/s1\n"),
        "1 (initial 1)\n\n"
    );
}

#[test]
fn levels_decide_who_may_do_what() {
    let rig = site();
    for socket in ["user.sock", "operator.sock"] {
        let answer = raw(&rig, socket, "set server web/s1 state maint\n");
        assert_eq!(answer, "Permission denied\n\n", "{socket}");
        let answer = raw(&rig, socket, "disable server web/s1\n");
        assert_eq!(answer, "Permission denied\n\n", "{socket}");
        assert!(raw(&rig, socket, "show info\n").starts_with("Name: HAProxy\n"));
        assert!(raw(&rig, socket, "show stat\n").starts_with("# pxname,"));
    }
    assert_eq!(served_by(&rig, 2).len(), 2);
    assert!(!version(&rig).is_empty());
}

#[test]
fn an_abandoned_connection_ends_with_stats_timeout() {
    let config = common("frontend f\n bind @fe@\n http-request return status 200\n")
        .replace("defaults\n", "    stats timeout 200ms\ndefaults\n");
    let rig = Rig::of(answering(OK), &config);
    assert_eq!(raw(&rig, "admin.sock", ""), "");
}
