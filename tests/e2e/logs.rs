//! Log lines: their formats, their targets, what is left out, and how a record is framed.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;

use crate::support::log::{LogSocket, Record};
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{Flavour, PATIENCE, end, flavour, is_root, own_address};
use crate::{Client, Gate, OK, Rig, answering, common};

#[test]
fn an_httplog_line_field_by_field() {
    let origin = answering("HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 5\r\n\r\nhello");
    let rig = Rig::new(origin, "", "");
    let (_, line) = rig.get("/page?q=1");
    let bytes = flavour().bytes(70);
    let expected =
        format!("f b/s T/T/T/T/T 200 {bytes} - - ---- 1/1/0/0/0 0/0 \"GET /page?q=1 HTTP/1.1\"");
    assert_eq!(line.masked(), expected);
    assert_eq!(line.priority, 134, "local0.info");
}

#[test]
fn timers_are_measured() {
    let origin = Origin::scripted(|wire| {
        wire.stream
            .set_read_timeout(Some(std::time::Duration::from_millis(150)))
            .unwrap();
        while wire.request().is_some() {
            // Nobody sends here: the read is a clock of 150 ms.
            wire.exactly(1);
            wire.send(OK);
        }
    });
    let rig = Rig::new(origin, "", "");
    let mut client = rig.client();
    client.send("GET /slow HTTP/1.1\r\n");
    let clock = UdpSocket::bind((own_address(), 0)).unwrap();
    clock
        .set_read_timeout(Some(std::time::Duration::from_millis(400)))
        .unwrap();
    assert!(clock.recv(&mut [0]).is_err(), "a clock of 400 ms");
    client.send("Host: h\r\n\r\n");
    assert_eq!(client.answer().status(), 200);
    let line = rig.log.request("GET /slow HTTP/1.1");
    let [tr, tw, tc, tr2, ta] = line.timers;
    assert!(
        (200..15_000).contains(&tr),
        "TR, from the first byte to the last of the head: {tr}"
    );
    assert!(
        (0..15_000).contains(&tw) && (0..15_000).contains(&tc),
        "{:?}",
        line.timers
    );
    assert!(
        (145..15_000).contains(&tr2),
        "Tr, until the server's answer: {tr2}"
    );
    assert!(ta >= 345, "Ta, all of it: {ta}");
}

#[test]
fn the_idle_time_before_a_request_is_not_counted() {
    let rig = Rig::new(answering(OK), "", "");
    let mut client = rig.client();
    client.ask("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
    let clock = UdpSocket::bind((own_address(), 0)).unwrap();
    clock
        .set_read_timeout(Some(std::time::Duration::from_millis(1000)))
        .unwrap();
    assert!(clock.recv(&mut [0]).is_err(), "a clock of a second");
    client.ask("GET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
    let line = rig.log.request("GET /2 HTTP/1.1");
    assert!(
        line.timers[0] < 900 && line.timers[4] < 900,
        "{:?}",
        line.timers
    );
}

#[test]
fn log_format_variables() {
    let rig = Rig::new(
        answering(OK),
        " log-format \"%ci %fi:%fp %f|%b|%s|%si:%sp|%ST|%B|%U|%tsc|%HM|%HP|%HQ|%HU|%HV|%r|%{+Q}r|%%\"",
        "",
    );
    rig.ask("GET /p?q=1 HTTP/1.1\r\nHost: h");
    let record = rig.log.records.take("the line", |_| true);
    let (fe, s) = (rig.addr(), rig.origin.addr);
    let bytes = flavour().bytes(56);
    let uploaded = record.text.split('|').nth(6).unwrap().to_string();
    let expected = format!(
        "127.0.0.1 {}:{} f|b|s|{}:{}|200|{bytes}|{uploaded}|----|GET|/p|?q=1|/p?q=1|HTTP/1.1|\
         GET /p?q=1 HTTP/1.1|\"GET /p?q=1 HTTP/1.1\"|%",
        fe.ip(),
        fe.port(),
        s.ip(),
        s.port()
    );
    assert_eq!(record.text, expected);
    assert!(
        uploaded.parse::<u32>().is_ok_and(|bytes| bytes > 0),
        "{uploaded}"
    );
}

#[test]
fn log_format_sample_expressions() {
    let rig = Rig::new(
        answering(OK),
        " log-format \"%[src]|%[dst_port]|%{+Q}[src]|%[src,ipmask(8)]|%[always_false]\"",
        "",
    );
    rig.ask("GET / HTTP/1.1\r\nHost: h");
    let record = rig.log.records.take("the line", |_| true);
    let port = rig.addr().port();
    assert_eq!(
        record.text,
        format!("127.0.0.1|{port}|\"127.0.0.1\"|127.0.0.0|0")
    );
}

#[test]
fn dontlognull_leaves_out_connections_without_a_byte() {
    let rig = Rig::new(
        answering(OK),
        " option dontlognull\n timeout client 100ms",
        "",
    );
    drop(rig.client());
    // One that is timed out is answered with 408, and still not logged.
    let mut idle = rig.client();
    let answer = String::from_utf8(idle.rest()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    rig.get("/later");
    assert!(
        rig.log.records.rest().is_empty(),
        "{:?}",
        rig.log.records.rest()
    );
}

#[test]
fn without_dontlognull_they_are_logged() {
    let rig = Rig::new(answering(OK), "", "");
    drop(rig.client());
    let line = rig.log.request("<BADREQ>");
    let expected = "f f/<NOSRV> -1/-1/-1/-1/T 400 0 - - CR-- 1/1/0/0/0 0/0 \"<BADREQ>\"";
    assert_eq!(line.masked(), expected);
}

#[test]
fn dontlog_normal_keeps_only_what_went_wrong() {
    let rig = Rig::new(
        answering(OK),
        " option dontlog-normal\n http-request deny deny_status 500 if { path /bad }",
        "",
    );
    rig.ask("GET /good HTTP/1.1\r\nHost: h");
    rig.get("/bad");
    assert!(
        rig.log.records.rest().is_empty(),
        "{:?}",
        rig.log.records.rest()
    );
}

#[test]
fn logasap_writes_the_line_before_the_body_and_says_so_with_a_plus() {
    let gate = Gate::new();
    let passed = gate.clone();
    let origin = Origin::scripted(move |wire| {
        wire.request();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
        passed.pass();
        wire.send("ok");
    });
    let rig = Rig::new(origin, " option logasap", "");
    let mut client = rig.client();
    client.send("GET /asap HTTP/1.1\r\nHost: h\r\n\r\n");
    let record = rig.log.records.take("the early line", |_| true);
    let fields: Vec<&str> = record.text.split(' ').collect();
    assert!(
        fields[4].rsplit('/').next().unwrap().starts_with('+'),
        "{}",
        record.text
    );
    assert!(fields[6].starts_with('+'), "{}", record.text);
    gate.open();
    assert_eq!(client.answer().text(), "ok");
    client.finish();
    assert!(rig.log.records.rest().is_empty());
}

#[test]
fn log_tag_replaces_the_name() {
    let config = crate::COMMON.replace("global\n", "global\n    log-tag balancer\n")
        + "frontend f\n bind @fe@\n default_backend b\nbackend b\n server s @s@\n";
    let rig = Rig::of(answering(OK), &config);
    rig.ask("GET / HTTP/1.1\r\nHost: h");
    let record = rig.log.records.take("the line", |_| true);
    assert_eq!(
        (record.tag.as_str(), record.pid),
        ("balancer", rig.proxy.pid())
    );
}

#[test]
fn the_level_of_a_target_filters() {
    let config = "\
        global\n log @log@ local3 notice\n log @dir@/all local4 info notice\n\
        defaults\n mode http\n log global\n option httplog\n\
         timeout connect 1s\n timeout client 5s\n timeout server 5s\n\
        frontend f\n bind @fe@\n http-request return status 200\n";
    let mut setup = Setup::new(config);
    let log = setup.log();
    let all = LogSocket::bind(&setup.dir().join("all"));
    let proxy = setup.start();
    let mut client = Client::connect(proxy.addr("fe"));
    client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    // `info` is the least that passes here, and everything graver is sent as `notice`.
    assert_eq!(all.request("GET / HTTP/1.1").priority, 20 * 8 + 6);
    assert!(log.records.rest().is_empty(), "{:?}", log.records.rest());
}

#[test]
fn a_udp_target_gets_the_same_record() {
    let socket = UdpSocket::bind((own_address(), 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let config =
        common("frontend f\n bind @fe@\n log @udp@ local2\n http-request return status 200\n");
    let mut setup = Setup::new(&config).with("udp", socket.local_addr().unwrap());
    let log = setup.log();
    let proxy = setup.start();
    let mut client = Client::connect(proxy.addr("fe"));
    client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let mut buffer = [0; 2000];
    let len = socket.recv(&mut buffer).unwrap();
    let record = Record::parse(&buffer[..len]);
    assert_eq!((record.priority, record.pid), (18 * 8 + 6, proxy.pid()));
    assert_eq!(record.text, log.records.take("the line", |_| true).text);
}

#[test]
fn stdout_as_a_target_in_the_raw_format() {
    let config = "\
        global\n log stdout format raw local0\n\
        defaults\n mode http\n log global\n option httplog\n\
         timeout connect 1s\n timeout client 5s\n timeout server 5s\n\
        frontend f\n bind @fe@\n http-request return status 200\n";
    let proxy = Setup::new(config).start();
    let mut client = Client::connect(proxy.addr("fe"));
    client.ask("GET /raw HTTP/1.1\r\nHost: h\r\n\r\n");
    let line = proxy.stdout.take("the line", |_| true);
    assert!(line.starts_with("127.0.0.1:"), "{line}");
    assert!(line.ends_with("\"GET /raw HTTP/1.1\""), "{line}");
}

#[test]
fn a_missing_target_is_reported_once_and_service_goes_on() {
    let config = "\
        global\n log @dir@/nobody local0\n\
        defaults\n mode http\n log global\n option httplog\n\
         timeout connect 1s\n timeout client 5s\n timeout server 5s\n\
        frontend f\n bind @fe@\n http-request return status 200\n";
    let proxy = Setup::new(config).start();
    let mut client = Client::connect(proxy.addr("fe"));
    for _ in 0..3 {
        assert_eq!(
            client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status(),
            200
        );
    }
    let alert = proxy.message("sendmsg()/writev() failed in logger #1: No such file or directory");
    assert_eq!(alert.level, "ALERT");
    let again: Vec<String> = proxy.stderr.rest();
    assert!(
        !again.iter().any(|line| line.contains("logger #1")),
        "{again:?}"
    );
}

#[test]
fn a_log_daemon_that_restarts_is_found_again() {
    let rig = Rig::new(answering(OK), "", "");
    rig.get("/before");
    let path = rig.proxy.dir().join("log");
    std::fs::remove_file(&path).unwrap();
    let log = LogSocket::bind(&path);
    rig.ask("GET /after HTTP/1.1\r\nHost: h");
    assert_eq!(log.request("GET /after HTTP/1.1").status, 200);
    std::mem::forget(rig.log);
}

#[test]
fn a_log_socket_replaced_inside_a_chroot_is_found_again() {
    if !is_root() {
        return;
    }
    // The path is the one that the process sees once it has locked itself in.
    let config = common("frontend f\n bind @fe@\n http-request return status 200\n").replacen(
        "log @log@",
        "chroot @dir@\n    log /inside",
        1,
    );
    let setup = Setup::new(&config);
    let path = setup.dir().join("inside");
    let log = LogSocket::bind(&path);
    let proxy = setup.start();
    let mut client = Client::connect(proxy.addr("fe"));
    let mut ask = |path: &str| {
        let answer = client.ask(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(answer.status(), 200);
    };
    ask("/before");
    log.request("GET /before HTTP/1.1");
    drop(log);
    std::fs::remove_file(&path).unwrap();
    ask("/nobody");
    let log = LogSocket::bind(&path);
    ask("/after");
    log.request("GET /after HTTP/1.1");
}

/// `DroppedLogs` of `show info`.
fn dropped(proxy: &Proxy) -> usize {
    let info = proxy.command("show info");
    let mut lines = info.lines();
    let count = lines.find_map(|line| line.strip_prefix("DroppedLogs: "));
    count.unwrap().parse().unwrap()
}

#[test]
fn messages_that_cannot_be_sent_are_counted() {
    const ASKED: usize = 40;
    let config = common("frontend f\n bind @fe@\n http-request return status 200\n").replacen(
        "@log@",
        "@dir@/full",
        1,
    );
    let setup = Setup::new(&config);
    let path = setup.dir().join("full");
    let log = UnixDatagram::bind(&path).unwrap();
    let proxy = setup.start();
    let mut client = Client::connect(proxy.addr("fe"));
    let mut ask = |times: usize| {
        for _ in 0..times {
            client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        }
    };
    // Nobody reads: what the socket does not hold is dropped, and counted.
    ask(ASKED);
    let full = dropped(&proxy);
    log.set_nonblocking(true).unwrap();
    let mut held = 0;
    let mut buffer = [0; 2000];
    while let Ok(len) = log.recv(&mut buffer) {
        held += usize::from(buffer[..len].ends_with(b"\"GET / HTTP/1.1\"\n"));
    }
    assert!(full > 0 && full + held == ASKED, "{full} and {held}");
    // haproxy counts only those.
    end(&log);
    ask(5);
    let gone = match flavour() {
        Flavour::Oneloop => 5,
        Flavour::Oracle => 0,
    };
    assert_eq!(dropped(&proxy), full + gone);
}
