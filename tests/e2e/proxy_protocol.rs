//! The PROXY protocol with others at the far end: curl before us, haproxy before and behind us.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::support::proxy::Setup;
use crate::support::{Flavour, Journal, flavour};
use crate::{COMMON, Client, OK, Origin, Proxy, Rig, answering, common};

/// A frontend `f` that wants a header, in front of the origin.
fn introduced(lines: &str) -> Rig {
    let config = common(&format!(
        "frontend f\n bind @fe@ accept-proxy\n option forwardfor\n default_backend b\n{lines}\n\
         backend b\n server s @s@\n"
    ));
    Rig::of(answering(OK), &config)
}

/// A program of Debian's; where it is missing the test is left out, and fails with `CI=true`.
fn program(name: &str) -> Option<PathBuf> {
    let folders = ["/usr/bin", "/usr/sbin"].into_iter();
    let mut paths = folders.map(|folder| Path::new(folder).join(name));
    let found = paths.find(|path| path.exists());
    if found.is_none() {
        let text = format!("{name} is not installed: the PROXY protocol is not tried with it");
        assert!(std::env::var_os("CI").is_none(), "{text}");
        eprintln!("{text}");
    }
    found
}

#[test]
fn curl_introduces_itself() {
    let Some(curl) = program("curl") else { return };
    let rig = introduced("");
    let ask = |path: &str, more: &[&str]| {
        let url = format!("http://{}{path}", rig.addr());
        let quiet = ["--silent", "--max-time", "20", "--noproxy", "*"];
        let out = Command::new(&curl)
            .args(quiet)
            .args(more)
            .arg(url)
            .output()
            .unwrap();
        (out.status.code(), String::from_utf8(out.stdout).unwrap())
    };
    let (code, body) = ask("/with", &["--haproxy-protocol"]);
    assert_eq!((code, body.as_str()), (Some(0), "ok"));
    let request = rig.origin.requests.take("the request", |_| true);
    // It comes from the address that curl says it has, which is its own.
    let forwarded = request.headers("X-Forwarded-For");
    let line = rig.log.request("GET /with HTTP/1.1");
    let (source, _) = line.client.rsplit_once(':').unwrap();
    assert_eq!(forwarded, [source]);
    let (code, _) = ask("/without", &[]);
    assert!(matches!(code, Some(52 | 56)), "{code:?}");
    let end = "] f/1: Received something which does not look like a PROXY protocol header";
    let refused = |text: &str| text.ends_with(end);
    let record = rig.log.records.take("the refusal", |r| refused(&r.text));
    assert_eq!(record.priority, 134);
}

#[test]
fn a_header_may_come_byte_by_byte() {
    if flavour() == Flavour::Oracle {
        // It wants the whole header at once.
        return;
    }
    let rig = introduced(" timeout client 20s");
    let binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x04\x57\x08\xae";
    for (path, header) in [
        ("/1", &b"PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\n"[..]),
        ("/2", binary),
    ] {
        let mut client = rig.client();
        client.stream.set_nodelay(true).unwrap();
        for byte in header {
            client.send([*byte]);
        }
        let answer = client.ask(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(answer.status(), 200);
        client.finish();
        let ends = format!(" \"GET {path} HTTP/1.1\"");
        let records = &rig.log.records;
        let line = records.take("its line", |r| r.text.ends_with(&ends));
        assert!(line.text.starts_with("192.0.2.1:1111 ["), "{}", line.text);
        let request = rig.origin.requests.take("the request", |_| true);
        assert_eq!(request.headers("X-Forwarded-For"), ["192.0.2.1"]);
    }
}

#[test]
fn who_was_not_introduced_is_no_session() {
    let rig = introduced("");
    let mut client = rig.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.rest(), b"");
    rig.log
        .records
        .take("the refusal", |r| r.text.contains("does not look like"));
    let stat = rig.proxy.command("show stat");
    let mut lines = stat.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let front = lines.find(|line| line.starts_with("f,FRONTEND,")).unwrap();
    let values: Vec<&str> = front.split(',').collect();
    let value = |name: &str| values[names.iter().position(|known| *known == name).unwrap()];
    let seen = ["conn_tot", "stot", "req_tot", "ereq", "scur"].map(value);
    assert_eq!(seen, ["1", "0", "0", "0", "0"]);
}

#[test]
fn a_connection_speaks_for_one_client() {
    let headers = Arc::new(Journal::new());
    let filed = Arc::clone(&headers);
    let origin = Origin::scripted(move |wire| {
        filed.push(wire.line());
        while wire.request().is_some() {
            wire.send(OK);
        }
    });
    let config = format!(
        "{COMMON} http-reuse always\n\
         frontend f\n bind @fe@\n default_backend b\n\
         backend b\n server s @s@ send-proxy\n"
    );
    let rig = Rig::of(origin, &config);
    for _ in 0..3 {
        let mut client = rig.client();
        let port = client.stream.local_addr().unwrap();
        for path in ["/1", "/2"] {
            let answer = client.ask(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
            assert_eq!(answer.status(), 200);
        }
        client.finish();
        let to = rig.addr();
        let (ip, port) = (port.ip(), port.port());
        let expected = format!("PROXY TCP4 {ip} {} {port} {}\r\n", to.ip(), to.port());
        assert_eq!(headers.take("a header", |_| true), expected);
    }
    // One header for each client, whatever it asked.
    assert_eq!(headers.rest(), [""; 0]);
}

/// A proxy that takes introductions and makes one of its own, in the form that `server` says, with
/// `id` as what a header may have of an id.
fn link(before: &str, server: &str, id: &str, next: &Proxy, by: Option<&Path>) -> Proxy {
    let config = format!(
        "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n\
         frontend f\n bind @fe@ {before}\n unique-id-format {id}\n default_backend b\n\
         backend b\n server s @next@ {server}\n"
    );
    let mut setup = Setup::new(&config).with("next", next.addr("fe"));
    setup.program = by.map(Path::to_path_buf);
    setup.start()
}

#[test]
fn a_chain_with_haproxy_in_it() {
    let Some(haproxy) = program("haproxy") else {
        return;
    };
    let config = common(
        "frontend f\n bind @fe@ accept-proxy\n\
         log-format \"%ci:%cp %fi:%fp id=%[fc_pp_unique_id] %HU\"\n default_backend b\n\
         backend b\n server s @s@\n",
    );
    let last = Rig::of(answering(OK), &config);
    for (n, server) in [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2 proxy-v2-options crc32c",
        "send-proxy-v2 proxy-v2-options crc32c,unique-id,ssl",
    ]
    .into_iter()
    .enumerate()
    {
        // The client's addresses pass through haproxy, and haproxy reads what we send.
        let passed = "haproxy-%[fc_pp_unique_id]";
        let middle = link("accept-proxy", server, passed, &last.proxy, Some(&haproxy));
        let first = link("", server, "first-%ci", &middle, None);
        let mut client = Client::connect(first.addr("fe"));
        let own = client.stream.local_addr().unwrap();
        let path = format!("/{n}");
        let answer = client.ask(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(answer.status(), 200, "{server}");
        client.finish();
        let id = match server.contains("unique-id") {
            true => format!("haproxy-first-{}", own.ip()),
            false => "-".to_owned(),
        };
        let expected = format!("{own} {} id={id} {path}", first.addr("fe"));
        let ends = format!(" {path}");
        let line = last
            .log
            .records
            .take("the line", |r| r.text.ends_with(&ends));
        assert_eq!(line.text, expected, "{server}");
    }
}
