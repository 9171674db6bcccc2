//! Several processes on one port, and the examples that add up what they did (`docs/scaling.md`).
//!
//! The other half of that page, two nodes behind one address, is in `tests/failover`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::client::Client;
use support::origin::Origin;
use support::proxy::{Proxy, Setup};
use support::until;

#[allow(dead_code, reason = "other tests need more of it")]
mod support;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// The example, with addresses of this machine.
fn start(web: &str, origin: &Origin) -> Proxy {
    let text = std::fs::read_to_string(examples().join("one-port.cfg")).unwrap();
    let text = text
        .replace("/dev/log", "@dir@/log")
        .replace("${RUNTIME_DIRECTORY-/run/oneloop}", "@dir@")
        .replace("${METRICS-127.0.0.1:8406}", "@metrics@")
        .replace("0.0.0.0:8080", web)
        .replace("198.51.100.21:8080", &origin.addr.to_string())
        .replace("198.51.100.22:8080", &origin.addr.to_string());
    Setup::new(&text).start()
}

fn get(addr: SocketAddr, path: &str) -> String {
    let mut client = Client::connect(addr);
    let answer = client.ask(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
    client.finish();
    assert_eq!(answer.status(), 200, "{}", answer.head);
    answer.text()
}

/// What a process counts, by series.
fn metrics(proxy: &Proxy) -> BTreeMap<String, u64> {
    let text = get(proxy.addr("metrics"), "/metrics");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let parts = lines.filter_map(|line| line.rsplit_once(' '));
    parts
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect()
}

#[test]
fn two_processes_on_one_port_share_the_work() {
    const REQUESTS: u64 = 64;
    let origin = Origin::nginx("page");
    let first = start("@web@", &origin);
    let web = first.addr("web");
    let second = start(&web.to_string(), &origin);
    until("the second listens, too", || {
        let listening = metrics(&second)["haproxy_process_listeners"];
        (listening == 3).then_some(())
    });
    for _ in 0..REQUESTS {
        get(web, "/");
    }
    let counted = [metrics(&first), metrics(&second)];
    let sum = |name: &str| counted.iter().map(|of| of[name]).sum::<u64>();
    let requests = "haproxy_frontend_http_requests_total{proxy=\"web\"}";
    assert!(counted.iter().all(|of| of[requests] > 0), "{counted:?}");
    assert_eq!(sum(requests), REQUESTS);
    for name in [
        "haproxy_frontend_http_responses_total{proxy=\"web\",code=\"2xx\"}",
        "haproxy_backend_http_responses_total{proxy=\"app\",code=\"2xx\"}",
        "haproxy_backend_sessions_total{proxy=\"app\"}",
    ] {
        assert_eq!(sum(name), REQUESTS, "{name}");
    }
    // One goes away, and the other has it all.
    drop(first);
    for _ in 0..REQUESTS {
        get(web, "/");
    }
    let alone = metrics(&second)[requests];
    assert_eq!(alone, counted[1][requests] + REQUESTS);
}

#[test]
fn the_examples_for_prometheus_hold() {
    let promtool = Path::new("/usr/bin/promtool");
    if !promtool.exists() {
        assert!(
            std::env::var_os("CI").is_none(),
            "promtool is not installed"
        );
        return eprintln!("scaling: left out, promtool (package prometheus) is not installed");
    }
    for words in [
        "check config prometheus.yml",
        "check rules oneloop.rules.yml",
        "test rules oneloop.test.yml",
    ] {
        let output = Command::new(promtool)
            .args(words.split(' '))
            .current_dir(examples().join("prometheus"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words}: {said}{complained}");
    }
}
