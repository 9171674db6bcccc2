//! `http-request use-service prometheus-exporter`: what may be asked, and how it is answered. That
//! names, types and values are HAProxy's is in `tests/clients.rs`.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const SECTIONS: &str = "\
frontend f
    bind @fe@
    http-request use-service prometheus-exporter if { path /metrics }
    default_backend b
backend b
    server one 127.0.0.1:1
    server two 127.0.0.1:1 disabled
";

fn started(sections: &str) -> (Proxy, LogSocket) {
    let mut setup = Setup::new(&common(sections));
    let log = setup.log();
    (setup.start(), log)
}

/// The scopes that a text has metrics of.
fn scopes(text: &str) -> BTreeSet<&str> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("haproxy_"));
    lines.map(|line| line.split('_').next().unwrap()).collect()
}

#[test]
fn scopes_are_chosen_by_the_query() {
    let (proxy, _log) = started(SECTIONS);
    let all = "process frontend backend server";
    let cases = [
        ("", all),
        ("?", all),
        ("?a=b&extra-counters", all),
        ("?scope=*", all),
        ("?scope=global", "process"),
        ("?scope=frontend&scope=server", "frontend server"),
        ("?scope=glo%62al&&", "process"),
        ("?scope=global&scope=*", all),
        ("?scope=&scope=backend", "backend"),
        ("?scope=backend&scope=", ""),
        ("?scope=listener", ""),
        ("?scope=sticktable", ""),
    ];
    for (query, expected) in cases {
        let mut client = Client::connect(proxy.addr("fe"));
        let answer = client.ask(&format!("GET /metrics{query} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(answer.status(), 200, "{query}");
        let expected: BTreeSet<&str> = expected.split_whitespace().collect();
        assert_eq!(scopes(&answer.text()), expected, "{query}");
    }
}

#[test]
fn servers_in_maintenance_may_be_left_out() {
    let (proxy, _log) = started(SECTIONS);
    let mut client = Client::connect(proxy.addr("fe"));
    let mut servers = |query: &str| -> BTreeSet<String> {
        let request = format!("GET /metrics?scope=server{query} HTTP/1.1\r\nHost: h\r\n\r\n");
        let text = client.ask(&request).text();
        let series = text.lines().filter(|line| !line.starts_with('#'));
        let labels = series.map(|line| line.split('"').nth(3).unwrap().to_owned());
        labels.collect()
    };
    assert_eq!(servers(""), ["one", "two"].map(str::to_owned).into());
    assert_eq!(servers("&no-maint"), ["one"].map(str::to_owned).into());
}

#[test]
fn a_query_that_means_nothing_is_refused() {
    let (proxy, log) = started(SECTIONS);
    for query in [
        "scope",
        "scope=all",
        "scope=Global",
        "scope=global&x=%zz",
        "%",
    ] {
        let mut client = Client::connect(proxy.addr("fe"));
        let answer = client.ask(&format!("GET /metrics?{query} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(answer.status(), 400, "{query}");
        assert_eq!(answer.headers("connection"), ["close"]);
        assert!(answer.text().contains("400 Bad request"));
        client.finish();
        let line = log.request(&format!("GET /metrics?{query} HTTP/1.1"));
        assert_eq!((line.server.as_str(), line.status), ("f/<PROMEX>", 400));
        assert_eq!(line.state, "LR--");
    }
}

#[test]
fn the_metrics_have_a_head_and_a_log_line() {
    let (proxy, log) = started(SECTIONS);
    let mut client = Client::connect(proxy.addr("fe"));
    // Two on one connection; the method does not matter.
    for method in ["GET", "PUT"] {
        let answer = client.ask(&format!("{method} /metrics HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(
            answer.lowered_head(),
            "HTTP/1.1 200 OK\r\n\
             cache-control: no-cache\r\n\
             content-type: text/plain; version=0.0.4\r\n\
             transfer-encoding: chunked\r\n\r\n"
        );
        assert!(answer.body.ends_with(b"\n"));
        let line = log.request(&format!("{method} /metrics HTTP/1.1"));
        assert_eq!(line.server, "f/<PROMEX>");
        assert_eq!((line.status, line.state.as_str()), (200, "LR--"));
    }
    client.finish();
}

/// A scrape that is larger than any buffer comes in pieces, and the client may take its time.
#[test]
fn a_scrape_of_many_servers_is_whole() {
    const SERVERS: usize = 2000;
    let mut sections = SECTIONS.to_owned();
    for index in 0..SERVERS {
        sections.push_str(&format!("    server more{index} 127.0.0.1:1\n"));
    }
    let (proxy, _log) = started(&sections);
    let mut client = Client::connect(proxy.addr("fe"));
    client.send("GET /metrics?scope=server HTTP/1.1\r\nHost: h\r\n\r\n");
    let text = client.answer().text();
    let mut counts = BTreeMap::new();
    let mut described = BTreeSet::new();
    let mut series = BTreeSet::new();
    for line in text.lines() {
        match line.strip_prefix("# TYPE ") {
            Some(named) => assert!(described.insert(named), "{named} is described twice"),
            None if line.starts_with("# HELP ") => {}
            None => {
                let (name, _) = line.rsplit_once(' ').unwrap();
                assert!(series.insert(name), "{name} is there twice");
                *counts.entry(name.split('{').next().unwrap()).or_insert(0) += 1;
            }
        }
    }
    let all = SERVERS + 2;
    assert_eq!(counts["haproxy_server_current_sessions"], all);
    assert_eq!(counts["haproxy_server_status"], all * 5);
    assert_eq!(counts["haproxy_server_http_responses_total"], all * 6);
    assert_eq!(counts["haproxy_server_uweight"], all);
    assert!(counts.values().all(|count| count % all == 0), "{counts:?}");
}
