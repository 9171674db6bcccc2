//! What a line means: the values that a configuration has in the end.

use oneloop::base::addr::Endpoint;
use oneloop::config::model::{HttpConnection, LogAddress, Mode, Redispatch, Reuse};

use crate::given::{check, good, proxy};

#[test]
fn defaults_are_inherited() {
    let config = good(
        "defaults one\n mode http\n timeout client 1s\n option dontlognull\n retries 7\n option redispatch\n maxconn 9\n log stdout local0\n default-server inter 7s weight 5\n option http-server-close\n\
         defaults two from one\n no option dontlognull\n timeout client 2s\n no log\n no option redispatch\n\
         frontend a from one\n bind :1\n\
         frontend b\n bind :2\n no option http-server-close\n timeout client 3s\n\
         defaults\n\
         frontend c\n bind :3\n timeout client 1s\n\
         backend d from one\n timeout server 1s\n timeout connect 1s\n server x 1.2.3.4:1 check\n default-server weight 6\n server y 1.2.3.4:2 inter 1s\n",
    );
    let (a, b, c) = (
        proxy(&config, "a"),
        proxy(&config, "b"),
        proxy(&config, "c"),
    );
    assert_eq!(
        (a.mode, a.timeouts.client, a.maxconn),
        (Mode::Http, Some(1000), Some(9))
    );
    assert!(a.log_options.dont_log_null && a.logs.len() == 1);
    assert_eq!(a.logs[0].to, LogAddress::Stdout);
    assert_eq!(a.http_connection, HttpConnection::ServerClose);
    assert_eq!((b.mode, b.timeouts.client), (Mode::Http, Some(3000)));
    assert!(!b.log_options.dont_log_null && b.logs.is_empty());
    assert_eq!(b.http_connection, HttpConnection::KeepAlive);
    assert_eq!((c.mode, c.maxconn, c.retries), (Mode::Tcp, None, 3));
    let d = proxy(&config, "d");
    assert_eq!(
        (d.redispatch, d.retries, d.maxconn),
        (Redispatch::Every(-1), 7, None)
    );
    assert_eq!(d.reuse, Reuse::Safe);
    let servers = config.servers_of(d);
    assert_eq!((servers[0].weight, servers[1].weight), (5, 6));
    assert_eq!(servers[0].check.as_ref().unwrap().inter, 7000);
    assert!(servers[1].check.is_none());
}

#[test]
fn a_limit_moves_only_below_maxconn() {
    let config = good(
        "listen l\n bind :1\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n\
         default-server minconn 5 maxqueue 7\n server a 1.2.3.4:1 maxconn 10\n\
         server b 1.2.3.4:1\n server c 1.2.3.4:1 maxconn 5 maxqueue 0\n\
         server d 1.2.3.4:1 minconn 0 maxconn 3\n",
    );
    let servers = config.servers_of(proxy(&config, "l"));
    let limits = servers.iter().map(|s| (s.minconn, s.maxconn, s.maxqueue));
    let expected = [(5, 10, 7), (0, 5, 7), (0, 5, 0), (0, 3, 7)];
    assert_eq!(limits.collect::<Vec<_>>(), expected);
}

#[test]
fn a_missing_default_is_the_oracles() {
    let config = good(
        "listen l\n bind :1\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n server s 1.2.3.4\n",
    );
    let listen = proxy(&config, "l");
    assert_eq!(listen.default_backend, Some(listen.id));
    assert_eq!(
        (listen.mode, listen.retries, listen.maxconn),
        (Mode::Tcp, 3, None)
    );
    assert!(listen.log_format.is_none());
    let server = &config.servers_of(listen)[0];
    assert_eq!((server.port_offset, server.maxconn), (Some(0), 0));
    let global = &config.global;
    assert_eq!((global.stats_timeout, global.stats_maxconn), (10_000, 10));
    assert_eq!(
        (global.max_headers, global.max_accept, global.log_line_max),
        (101, 4, 1024)
    );
}

#[test]
fn a_timeout_of_zero_takes_back_what_defaults_said() {
    let config = good(
        "defaults\n timeout client 1s\n timeout http-request 1s\n\
         frontend f\n bind :1\n timeout http-request 0\n",
    );
    let timeouts = proxy(&config, "f").timeouts;
    assert_eq!((timeouts.client, timeouts.http_request), (Some(1000), None));
}

#[test]
fn idle_pools_of_servers() {
    let pool = |default: &str, words: &str| {
        let text = format!(
            "backend b\n timeout connect 1s\n timeout server 1s\n default-server {default}\n \
             server s 127.0.0.1:1 {words}\n"
        );
        let config = good(&text);
        let pool = config.servers[0].pool;
        (pool.most, pool.spare, pool.purge_delay)
    };
    let rows = [
        ("", "", (None, 0, 5_000)),
        ("", "pool-max-conn -1 pool-purge-delay 0", (None, 0, 0)),
        ("", "pool-max-conn 0 pool-low-conn 4", (Some(0), 4, 5_000)),
        (
            "",
            "pool-max-conn 2147483647",
            (Some(2_147_483_647), 0, 5_000),
        ),
        ("", "pool-purge-delay 1us", (None, 0, 1)),
        ("", "pool-purge-delay 24d", (None, 0, 2_073_600_000)),
        (
            "pool-max-conn 7 pool-low-conn 2 pool-purge-delay 1s",
            "",
            (Some(7), 2, 1_000),
        ),
        (
            "pool-max-conn 7 pool-purge-delay 1s",
            "pool-max-conn -1",
            (None, 0, 1_000),
        ),
    ];
    for (default, words, expected) in rows {
        assert_eq!(pool(default, words), expected, "{default} / {words}");
    }
}

#[test]
fn batches_of_connections() {
    for (line, expected) in [
        ("", 4),
        ("tune.maxaccept 0", 4),
        ("tune.maxaccept 1", 1),
        ("tune.maxaccept 65536", 65_536),
        ("tune.maxaccept -1", u32::MAX),
    ] {
        let config = good(&format!("global\n {line}\nbackend b\n"));
        assert_eq!(config.global.max_accept, expected, "{line}");
    }
}

#[test]
fn connections_taken_late() {
    let config = good(
        "global\n stats socket 127.0.0.1:1 defer-accept\n stats socket /s/x\n\
         frontend f\n timeout client 1s\n bind :81 defer-accept name x\n bind :82\n",
    );
    let late: Vec<bool> = config
        .listeners
        .iter()
        .map(|one| one.defer_accept)
        .collect();
    assert_eq!(late, [true, false]);
    let sockets = &config.global.stats_sockets;
    let late: Vec<bool> = sockets.iter().map(|one| one.defer_accept).collect();
    assert_eq!(late, [true, false]);
}

#[test]
fn addresses_of_bind_and_server() {
    let config = good(
        "frontend f\n timeout client 1s\n bind :81-83,[::1]:84 name x\n bind unix@/tmp/s mode 600\n bind abns@n id 9\n bind fd@7\n bind ipv6@:85 v6only\n bind localhost:86 maxconn 5\n\
         backend b\n timeout connect 1s\n timeout server 1s\n server a localhost:1\n server b /tmp/x\n server c [::1]:2 check port 3\n server d 1.2.3.4:+10\n server e 1.2.3.4:5 check addr 1.2.3.5 id 1\n",
    );
    let f = proxy(&config, "f");
    let listeners = config.listeners_of(f);
    let all: Vec<String> = listeners
        .iter()
        .map(|one| one.endpoint.to_string())
        .collect();
    assert_eq!(
        all,
        [
            "0.0.0.0:81",
            "0.0.0.0:82",
            "0.0.0.0:83",
            "[::1]:84",
            "/tmp/s",
            "abns@n",
            "abns@",
            "[::]:85",
            "127.0.0.1:86"
        ]
    );
    let numbers: Vec<u32> = listeners.iter().map(|one| one.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 9, 7, 8, 10]);
    assert_eq!(listeners[3].name.as_deref(), Some("x"));
    assert_eq!(listeners[4].mode, Some(0o600));
    assert_eq!(listeners[6].inherited, Some(7));
    assert_eq!(listeners[7].v6_only, Some(true));
    let servers = config.servers_of(proxy(&config, "b"));
    assert_eq!(servers[0].endpoint.to_string(), "127.0.0.1:1");
    assert_eq!(servers[0].hostname.as_deref(), Some("localhost"));
    assert!(matches!(servers[1].endpoint, Endpoint::Unix(_)));
    assert_eq!(
        servers[2].check.as_ref().unwrap().endpoint.to_string(),
        "[::1]:3"
    );
    assert_eq!(servers[3].port_offset, Some(10));
    assert_eq!(
        servers[4].check.as_ref().unwrap().endpoint.to_string(),
        "1.2.3.5:5"
    );
    let numbers: Vec<u32> = servers.iter().map(|one| one.number).collect();
    assert_eq!(numbers, [2, 3, 4, 5, 1]);
}

#[test]
fn rules_of_named_defaults_run_before_the_proxys_own() {
    let config = good(
        "defaults d\n mode http\n timeout client 1s\n acl x path /a\n http-request deny if x\n\
         frontend f from d\n bind :1\n http-request set-header a b\n\
         frontend g from d\n bind :2\n",
    );
    let (f, g) = (proxy(&config, "f"), proxy(&config, "g"));
    let lines: Vec<u32> = f.http_request.iter().map(|rule| rule.line).collect();
    assert_eq!(lines, [5, 8]);
    assert_eq!(g.http_request.len(), 1);
    check(&[(
        "defaults\n http-request deny\n",
        &["A parsing [F:2] : 'http-request' not allowed in anonymous 'defaults' section."],
    )]);
}
